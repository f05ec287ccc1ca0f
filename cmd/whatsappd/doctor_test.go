package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/store"
)

// sound makes a data directory, and settings under which the doctor has nothing to say about the rest.
func sound(t *testing.T, simulator string) (dir string, settings map[string]string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	root := "0102030405060708091011121314151617181920212223242526272829303132"
	db, err := store.Open(t.Context(), dir, store.Options{Simulated: root})
	require.NoError(t, err)
	require.NoError(t, db.Close())
	return dir, map[string]string{
		"WHATSAPPD_DATA_DIR": dir, "WHATSAPPD_TOKEN": testToken, "WHATSAPPD_LISTEN": closedAddress(t),
		"WHATSAPPD_SIMULATOR_ADDR": simulator, "WHATSAPPD_SIMULATOR_ROOT_KEY": root,
	}
}

func TestTheDoctorSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	whatsapp := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(whatsapp.Close)
	address := whatsapp.Listener.Addr().String()
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string, settings map[string]string)
		says   string
		code   int
	}{
		"nothing": {nil, `ok +ledger.db +sound, schema \d+ of \d+`, exitDone},
		"open to others": {func(t *testing.T, dir string, _ map[string]string) {
			require.NoError(t, os.Chmod(dir, 0o755))
		}, `wrong +data directory +.*chmod 700`, exitFailed},
		"a file open to others": {func(t *testing.T, dir string, _ map[string]string) {
			require.NoError(t, os.Chmod(filepath.Join(dir, "ledger.db"), 0o644))
		}, `wrong +modes +others may read ledger.db`, exitFailed},
		"no directory": {func(_ *testing.T, _ string, settings map[string]string) {
			settings["WHATSAPPD_DATA_DIR"] += "/none"
		}, `wrong +data directory +.*does not exist`, exitFailed},
		"a damaged ledger": {func(t *testing.T, dir string, _ map[string]string) {
			require.NoError(t, os.Truncate(filepath.Join(dir, "ledger.db"), 8192))
		}, `wrong +ledger.db +.*the database is damaged`, exitFailed},
		"keys that are none": {func(t *testing.T, dir string, _ map[string]string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "whatsapp.db"), []byte("a text that is longer than a header"), 0o600))
		}, `wrong +whatsapp.db +.*pair again`, exitFailed},
		"no token": {func(_ *testing.T, _ string, settings map[string]string) {
			delete(settings, "WHATSAPPD_TOKEN")
		}, `wrong +settings +there is no token`, exitFailed},
		"a user's token of Slack": {func(_ *testing.T, _ string, settings map[string]string) {
			settings["WHATSAPPD_SLACK_TOKEN"] = "xoxp-1234567890"
		}, `wrong +slack +.*xoxb-`, exitFailed},
		"the port of somebody else": {func(_ *testing.T, _ string, settings map[string]string) {
			settings["WHATSAPPD_LISTEN"] = address
		}, `wrong +listen +.*in use`, exitFailed},
		"no WhatsApp": {func(t *testing.T, _ string, settings map[string]string) {
			settings["WHATSAPPD_SIMULATOR_ADDR"] = closedAddress(t)
		}, `wrong +reachable +.*refused`, exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, settings := sound(t, address)
			if c.change != nil {
				c.change(t, dir, settings)
			}
			said, code := whatsappd(t, settings, "doctor")
			require.Equal(t, c.code, code, said)
			require.Regexp(t, c.says, said)
			require.NotContains(t, said, testToken)
			require.NotContains(t, said, "xoxp-1")
		})
	}
}

func TestTheDoctorLooksBesideARunningDaemon(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 0)
	daemon := w.serve()
	w.settings["WHATSAPPD_LISTEN"] = w.base[len("http://"):]
	said, code := whatsappd(t, w.settings, "doctor")
	require.Zero(t, code, said)
	require.Regexp(t, `ok +lock +a daemon uses it \(process \d+\)`, said)
	require.Regexp(t, `ok +listen +a daemon answers`, said)
	stopped, _ := daemon.stop()
	require.Zero(t, stopped)
}

func TestTheDoctorComparesClocks(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", "Tue, 14 Nov 2023 22:13:20 GMT")
	}))
	t.Cleanup(server.Close)
	told, err := askTime(t.Context(), server.URL, "")
	require.NoError(t, err)
	require.Equal(t, int64(1_700_000_000), told.Unix())
	require.NoError(t, examineClock(told.Add(30*time.Second), told).Err)
	require.ErrorContains(t, examineClock(told.Add(-time.Hour), told).Err, "-1h0m0s")

	proxied, err := askTime(t.Context(), "http://whatsapp.invalid/", server.URL)
	require.NoError(t, err)
	require.Equal(t, told, proxied, "asked through the proxy")
	_, err = askTime(t.Context(), "http://whatsapp.invalid/", "http://user:secret@"+closedAddress(t))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}
