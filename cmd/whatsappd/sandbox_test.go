package main

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/simulator"
)

// sandboxArgs start a sandbox on free ports, with a phone that scans at once.
func sandboxArgs(dir string, more ...string) []string {
	return append([]string{"sandbox", "--data-dir", dir, "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--receiver", "127.0.0.1:0", "--scan-after", "10ms"}, more...)
}

// paste does what one of the printed curl lines does.
func paste(t *testing.T, p *process, name string) {
	t.Helper()
	line := p.wants(`^  ` + name + ` +curl -X POST -H '([^:]+): ([^']+)' '([^']+)'$`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, line[3], nil)
	require.NoError(t, err)
	req.Header.Set(line[1], line[2])
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusAccepted, res.StatusCode)
}

func TestTheSandboxWorksByItsPastedLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/sandbox"
	first := start(t, "sandbox", nil, sandboxArgs(dir)...)
	first.wants("This is not WhatsApp")
	first.wants("█")
	first.wants("online as")
	paste(t, first, "check")
	first.wants(`callback to /callback: \{"task_id":"[^"]+","result":"True"\}`)
	paste(t, first, "message")
	first.wants("Ana decrypted: Hello Ana")
	first.wants("your phone has a copy of what was sent: Hello Ana")
	first.wants("your phone decrypted: Thank you")
	paste(t, first, "login")
	first.wants(`"result":"Whatsapp already logged in"`)
	counters, err := simulator.NewClient(first.wants(`control +(http://\S+)`)[1]).Counters(t.Context())
	require.NoError(t, err)
	require.Empty(t, counters.Unhandled)
	require.Empty(t, counters.Problems)
	require.Zero(t, counters.DecryptFailed)
	require.Zero(t, counters.NoRecipientCopy)
	code, _ := first.stop()
	require.Zero(t, code)

	second := start(t, "second sandbox", nil, sandboxArgs(dir)...)
	require.Equal(t, first.wants(`token +(wad_\S+)`), second.wants(`token +(wad_\S+)`), "lines pasted before still work")
	second.wants("online as")
	require.NotContains(t, second.output(), "█", "it is paired already")
	paste(t, second, "logout")
	second.wants(`"result":"Log out successful"`)
}

func TestTheReadmeNamesTheContactsOfTheSandbox(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	for line := range strings.Lines(contactLines()) {
		require.Contains(t, string(readme), line)
	}
}

func TestAPersonCanScanInTheSandbox(t *testing.T) {
	t.Parallel()
	sandbox := start(t, "sandbox", nil, sandboxArgs(t.TempDir()+"/sandbox", "--scan", "manual")...)
	listen := sandbox.wants(`daemon +http://(\S+)`)[1]
	control := sandbox.wants(`control +(http://\S+)`)[1]
	line := sandbox.wants(`Scan it with: +\S+whatsappd (simulator scan .+)$`)[1]
	require.Contains(t, line, "--listen "+listen)
	require.Contains(t, line, "--control "+control)
	output, code := whatsappd(t, nil, strings.Fields(line)...)
	require.Zero(t, code, output)
	sandbox.wants("online as")
}

func TestUsedWronglySaysHow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		env  map[string]string
		says string
	}{
		"no token":              {[]string{"serve"}, nil, "token"},
		"unknown command":       {[]string{"dance"}, nil, "dance"},
		"unknown setting":       {[]string{"serve", "--set", "lisen=127.0.0.1:0"}, nil, "listen"},
		"unknown variable":      {[]string{"config", "print"}, map[string]string{"WHATSAPPD_TOKN": "x"}, "WHATSAPPD_TOKEN"},
		"half a simulator":      {[]string{"serve"}, map[string]string{"WHATSAPPD_SIMULATOR_ADDR": "127.0.0.1:1"}, "simulator.root_key"},
		"simulator elsewhere":   {[]string{"simulator", "--addr", "127.0.0.1:0", "--control", "0.0.0.0:0"}, nil, "loopback"},
		"simulator too hostile": {[]string{"simulator", "--hostile", "101"}, nil, "--hostile"},
		"client without token":  {[]string{"status"}, nil, "token"},
		"a private notify.url":  {[]string{"serve"}, map[string]string{"WHATSAPPD_TOKEN": testToken, "WHATSAPPD_NOTIFY_URL": "http://127.0.0.1:9/"}, "callback.allow"},
		"callback.allow is odd": {[]string{"serve"}, map[string]string{"WHATSAPPD_TOKEN": testToken, "WHATSAPPD_CALLBACK_ALLOW": "10.0.0.1/8"}, "10.0.0.0/8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			output, code := whatsappd(t, c.env, c.args...)
			require.Contains(t, output, c.says)
			require.Equal(t, exitUsage, code, output)
		})
	}
}
