package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/httpapi"
)

func TestBadWriteAheadLogs(t *testing.T) { //nolint:tparallel // one world, whose data directory each row replaces
	t.Parallel()
	w := calmWorld(t, 0)
	const calls = 20
	accept := func() {
		for range calls {
			w.hook.result(w.ws("check", contact(1)), notLoggedIn)
		}
	}
	original := w.settings["WHATSAPPD_DATA_DIR"]
	w.serve()
	accept()
	w.daemon.kill()
	log, err := os.ReadFile(filepath.Join(original, "ledger.db-wal"))
	require.NoError(t, err)
	require.Greater(t, len(log), 32+4096, "there is something in the log")

	w.settings["WHATSAPPD_DATA_DIR"] = t.TempDir() + "/other"
	w.serve()
	accept()
	w.daemon.kill()
	foreign, err := os.ReadFile(filepath.Join(w.settings["WHATSAPPD_DATA_DIR"], "ledger.db-wal"))
	require.NoError(t, err)

	for name, c := range map[string]struct {
		damage func(t *testing.T, log, index string)
		least  int
	}{
		"89 no index": {func(t *testing.T, _, index string) { require.NoError(t, os.Remove(index)) }, calls},
		"89 index of nonsense": {func(t *testing.T, _, index string) {
			require.NoError(t, os.WriteFile(index, bytes.Repeat([]byte("nonsense"), 4096), 0o600))
		}, calls},
		"89 empty index": {func(t *testing.T, _, index string) { require.NoError(t, os.Truncate(index, 0)) }, calls},
		"89 nonsense after the log": {func(t *testing.T, path, _ string) {
			require.NoError(t, os.WriteFile(path, append(bytes.Clone(log), "nonsense"...), 0o600))
		}, calls},
		"89 log cut in a frame":    {func(t *testing.T, path, _ string) { require.NoError(t, os.Truncate(path, int64(len(log)-1000))) }, 1},
		"89 log cut in half":       {func(t *testing.T, path, _ string) { require.NoError(t, os.Truncate(path, int64(len(log)/2+7))) }, 0},
		"89 log cut in its header": {func(t *testing.T, path, _ string) { require.NoError(t, os.Truncate(path, 20)) }, 0},
		"89 no log":                {func(t *testing.T, path, _ string) { require.NoError(t, os.Remove(path)) }, 0},
		"89 log of another ledger": {func(t *testing.T, path, _ string) { require.NoError(t, os.WriteFile(path, foreign, 0o600)) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(original)))
			require.NoError(t, os.Chmod(dir, 0o700))
			path := filepath.Join(dir, "ledger.db-wal")
			c.damage(t, path, filepath.Join(dir, "ledger.db-shm"))
			w.settings["WHATSAPPD_DATA_DIR"] = dir
			w.serve()
			var tasks httpapi.TasksAnswer
			w.get("/v1/tasks?limit=500", &tasks)
			require.GreaterOrEqual(t, len(tasks.Tasks), c.least)
			require.LessOrEqual(t, len(tasks.Tasks), calls)
			accept()
			code, _ := w.daemon.stop()
			require.Zero(t, code)
		})
	}
	w.settings["WHATSAPPD_DATA_DIR"] = original // where the end of a scenario looks
}
