package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTheStaticBinaryNeedsNothingAroundIt runs the program as the image does: in a root with nothing else in it that cannot
// be written, as a user without rights, with the data directory as the only place to write.
func TestTheStaticBinaryNeedsNothingAroundIt(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "whatsappd")
	build := exec.CommandContext(t.Context(), "make", "-C", "../..", "build", "OUT="+program, "VERSION=v0-test")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	j := newJail(t, program)
	run := func(env []string, args ...string) (string, error) {
		var output strings.Builder
		cmd := j.command(env, args...)
		cmd.Stdout, cmd.Stderr = &output, &output
		require.NoError(t, j.start(cmd))
		err := cmd.Wait()
		return output.String(), err
	}
	output, err := run(nil, "version")
	require.NoError(t, err, output)
	require.Contains(t, output, "v0-test")

	address := closedAddress(t)
	env := []string{
		"WHATSAPPD_LISTEN=" + address, "WHATSAPPD_DATA_DIR=/data", "WHATSAPPD_TOKEN_FILE=/data/token",
		"WHATSAPPD_SIMULATOR_ADDR=" + closedAddress(t), "WHATSAPPD_SIMULATOR_ROOT_KEY=" + strings.Repeat("ab", 32),
	}
	output, err = run(env, "healthcheck")
	require.Error(t, err, "nobody serves yet: %s", output)
	output, err = run(env, "config", "print")
	require.NoError(t, err, output)

	output, err = run(append(env, "WHATSAPPD_TOKEN="+testToken), "serve", "--data-dir", "/elsewhere")
	require.Error(t, err, "the root can be written")
	require.Regexp(t, "read-only file system|permission denied", output)

	daemon := j.command(env, "serve")
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	daemon.Stdout, daemon.Stderr = log, log
	require.NoError(t, j.start(daemon))
	defer func() { _ = daemon.Process.Kill() }()
	require.Eventually(t, func() bool {
		_, err := run(env, "healthcheck")
		return err == nil
	}, patience, 50*time.Millisecond, "the daemon answers its health check")

	data := filepath.Join(j.root, "data")
	for _, name := range []string{"ledger.db", "whatsapp.db", "token"} {
		info, err := os.Stat(filepath.Join(data, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
		require.EqualValues(t, j.owner(), info.Sys().(*syscall.Stat_t).Uid, name)
	}
	token, err := os.ReadFile(filepath.Join(data, "token"))
	require.NoError(t, err)
	require.NoError(t, daemon.Process.Signal(syscall.SIGTERM))
	err = daemon.Wait()
	printed, readErr := os.ReadFile(log.Name())
	require.NoError(t, readErr)
	require.NoError(t, err, string(printed))
	require.NotContains(t, string(printed), strings.TrimSpace(string(token)), "the token was printed")
}
