package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// imageUser is who the program is in the image.
const imageUser = 65532

// jail is a file system with nothing in it but the program and its data directory, as the image has it. The root cannot be
// written: not by the program's user, and where mounts are permitted not by anybody.
type jail struct {
	t    *testing.T
	root string
}

// newJail puts a program into an empty root.
func newJail(t *testing.T, program string) *jail {
	t.Helper()
	j := &jail{t: t, root: t.TempDir()}
	content, err := os.ReadFile(program)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(j.root, "app"), content, 0o600))
	require.NoError(t, os.Chmod(filepath.Join(j.root, "app"), 0o555))
	data := filepath.Join(j.root, "data")
	require.NoError(t, os.Mkdir(data, 0o700))
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(data, imageUser, imageUser))
	}
	require.NoError(t, os.Chmod(j.root, 0o555))
	t.Cleanup(func() { _ = os.Chmod(j.root, 0o700) }) // so that it can be removed
	return j
}

// owner is who the program's files belong to, seen from outside.
func (j *jail) owner() int {
	if os.Geteuid() == 0 {
		return imageUser
	}
	return os.Geteuid()
}

// command prepares the program to run inside, with this environment only.
func (j *jail) command(env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(j.t.Context(), "/app", args...)
	cmd.Dir, cmd.Env = "/", env
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: j.root}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: imageUser, Gid: imageUser}
		return cmd
	}
	// Without root: a user namespace, in which we are the image's user.
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
	cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: imageUser, HostID: os.Geteuid(), Size: 1}}
	cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: imageUser, HostID: os.Getegid(), Size: 1}}
	return cmd
}

// start starts a command from a thread whose mounts are its own: there the root is read-only, and the data directory is not.
func (j *jail) start(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine, and its mounts with the child
		if os.Geteuid() == 0 {
			if err := j.seal(); err != nil && !errors.Is(err, unix.EPERM) {
				started <- err
				return
			} else if err != nil {
				j.t.Log("mounts are not permitted here; the root is protected by its mode alone:", err)
			}
		}
		started <- cmd.Start()
	}()
	return <-started
}

// seal makes the root read-only for this thread and the processes it starts.
func (j *jail) seal() error {
	data := filepath.Join(j.root, "data")
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	return errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount(j.root, j.root, "", unix.MS_BIND, ""),
		unix.Mount(data, data, "", unix.MS_BIND, ""),
		unix.Mount("", j.root, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""),
	)
}
