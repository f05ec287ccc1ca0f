package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBadDataDirs(t *testing.T) {
	t.Parallel()
	t.Run("85 what cannot be a data directory", func(t *testing.T) {
		t.Parallel()
		env, dir := offline(t), t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		require.NoError(t, os.WriteFile(at("file"), []byte("kept"), 0o600))
		require.NoError(t, os.Symlink("loop", at("loop")))
		require.NoError(t, os.Symlink(at("absent/deep"), at("dangling")))
		for path, says := range map[string]string{
			at("file"): "not a directory", at("file/data"): "not a directory", at("loop"): "make the data directory", at("loop/data"): "make the data directory",
			at("dangling"): "make the data directory", "/proc/whatsappd": "make the data directory", "/dev/null": "not a directory",
		} {
			refusesToStart(t, exitFailed, says, with(env, "WHATSAPPD_DATA_DIR", path), "serve")
		}
		for _, path := range []string{"~/data", "~", " "} {
			refusesToStart(t, exitUsage, "data_dir", with(env, "WHATSAPPD_DATA_DIR", path), "serve")
		}
		kept, err := os.ReadFile(at("file"))
		require.NoError(t, err)
		require.Equal(t, "kept", string(kept))
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 3, "nothing was made in place of what was refused")
	})
	t.Run("85 unusual paths", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		for _, name := range []string{"with blanks", "Grüße-数据", "percent%20?x=1#y&mode=memory", "deep/er/still", "quote'\"`$(id)"} {
			path := filepath.Join(dir, name)
			starts(t, with(offline(t), "WHATSAPPD_DATA_DIR", path), "serve")
			info, err := os.Stat(filepath.Join(path, "ledger.db"))
			require.NoError(t, err, "the ledger is where it was asked for")
			require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		}
		p := start(t, "serve", with(offline(t), "WHATSAPPD_DATA_DIR", "relative/data"), "serve")
		p.wants(`"msg":"listening"`)
		require.FileExists(t, filepath.Join(p.cmd.Dir, "relative/data/ledger.db"))
	})
	t.Run("87 other files in place of the databases", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"ledger.db", "whatsapp.db"} {
			env := offline(t)
			starts(t, env, "serve")
			path := filepath.Join(env["WHATSAPPD_DATA_DIR"], name)
			for _, content := range []string{"x", "not a database\n", strings.Repeat("text ", 2000), "SQLite format 3\x00"} {
				require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
				refusesToStart(t, exitFailed, name, env, "serve")
				kept, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, content, string(kept), "it is not touched")
			}
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o700))
			refusesToStart(t, exitFailed, name, env, "serve")
			require.DirExists(t, path)

			require.NoError(t, os.Remove(path))
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			starts(t, env, "serve") // an empty file is an empty store
		}
	})
}
