package store

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
)

// useKeys opens a data directory with a linked device in it and closes it, as a start and a stop of the daemon do.
func useKeys(t *testing.T, dir string) {
	t.Helper()
	db := openDB(t, dir)
	keys, err := db.WhatsApp(t.Context())
	require.NoError(t, err)
	for _, statement := range []string{`CREATE TABLE IF NOT EXISTS whatsmeow_device (jid TEXT PRIMARY KEY)`, `INSERT OR IGNORE INTO whatsmeow_device VALUES ('1@s.whatsapp.net')`} {
		_, err := keys.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	require.NoError(t, db.Close())
}

// copyFiles copies databases with their logs, as they are at this moment, and removes what was there.
func copyFiles(t *testing.T, from, to string, names ...string) {
	t.Helper()
	for _, name := range names {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(filepath.Join(to, name+suffix)) // not all of them are always there
			content, err := os.ReadFile(filepath.Join(from, name+suffix))
			if os.IsNotExist(err) {
				continue
			}
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(to, name+suffix), content, 0o600))
		}
	}
}

// keysFinding is what the doctor says of the keys.
func keysFinding(t *testing.T, dir string) error {
	t.Helper()
	for _, f := range Examine(t.Context(), dir) {
		if f.What == whatsappFile {
			return f.Err
		}
	}
	require.Fail(t, "the keys were not looked at")
	return nil
}

func TestAnOldCopyOfTheKeysIsRefusedUntouched(t *testing.T) {
	t.Parallel()
	for name, age := range map[string]func(t *testing.T, dir, copied string){
		"of the start before": func(t *testing.T, dir, copied string) {
			useKeys(t, dir)
			copyFiles(t, dir, copied, whatsappFile)
			useKeys(t, dir)
		},
		"of the time before a stop": func(t *testing.T, dir, copied string) {
			useKeys(t, dir)
			db := openDB(t, dir)
			_, err := db.WhatsApp(t.Context())
			require.NoError(t, err)
			copyFiles(t, dir, copied, whatsappFile)
			require.NoError(t, db.Close())
		},
		"of a program that did not count": func(t *testing.T, dir, copied string) {
			useKeys(t, dir)
			copyFiles(t, dir, copied, whatsappFile)
			pool := openFile(filepath.Join(copied, whatsappFile), writing, 1)
			_, err := pool.ExecContext(t.Context(), `DROP TABLE keys_use`)
			require.NoError(t, err)
			require.NoError(t, pool.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, copied := t.TempDir(), t.TempDir()
			age(t, dir, copied)
			require.NoError(t, keysFinding(t, dir))
			newest := t.TempDir()
			copyFiles(t, dir, newest, whatsappFile)
			copyFiles(t, copied, dir, whatsappFile)
			before, err := os.ReadFile(filepath.Join(dir, whatsappFile))
			require.NoError(t, err)
			require.ErrorIs(t, keysFinding(t, dir), session.ErrKeys)
			for range 2 { // each start, not only the first
				db := openDB(t, dir)
				_, err := db.WhatsApp(t.Context())
				require.ErrorIs(t, err, session.ErrKeys)
				require.ErrorContains(t, err, filepath.Join(dir, whatsappFile))
				require.ErrorContains(t, err, "an older copy")
				require.NotContains(t, err.Error(), "\n")
				require.NoError(t, db.Close())
			}
			after, err := os.ReadFile(filepath.Join(dir, whatsappFile))
			require.NoError(t, err)
			require.Equal(t, before, after)

			copyFiles(t, newest, dir, whatsappFile)
			useKeys(t, dir)
			require.NoError(t, os.Remove(filepath.Join(dir, whatsappFile)))
			useKeys(t, dir) // linked anew
			useKeys(t, dir)
			require.NoError(t, keysFinding(t, dir))
		})
	}
}

func TestKeysAreNotTakenForOld(t *testing.T) {
	t.Parallel()
	t.Run("after a kill at any moment", func(t *testing.T) {
		t.Parallel()
		dir, killed := t.TempDir(), t.TempDir()
		useKeys(t, dir)
		db := openDB(t, dir)
		copyFiles(t, dir, killed, ledgerFile)
		_, err := db.WhatsApp(t.Context())
		require.NoError(t, err)
		copyFiles(t, dir, killed, whatsappFile) // the keys have counted the start, the ledger has not
		useKeys(t, killed)
		for range 3 {
			copyFiles(t, dir, killed, ledgerFile, whatsappFile) // neither has counted a stop
			useKeys(t, killed)
		}
		require.NoError(t, db.Close())
	})
	t.Run("beside an old copy of the ledger", func(t *testing.T) {
		t.Parallel()
		dir, copied := t.TempDir(), t.TempDir()
		useKeys(t, dir)
		copyFiles(t, dir, copied, ledgerFile)
		useKeys(t, dir)
		useKeys(t, dir)
		copyFiles(t, copied, dir, ledgerFile)
		useKeys(t, dir)
		require.NoError(t, keysFinding(t, dir))
	})
	t.Run("of the time before they counted", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		useKeys(t, dir)
		for _, name := range []string{ledgerFile, whatsappFile} {
			pool := openFile(filepath.Join(dir, name), writing, 1)
			_, err := pool.ExecContext(t.Context(), `DELETE FROM keys_use`)
			require.NoError(t, err)
			require.NoError(t, pool.Close())
		}
		require.NoError(t, keysFinding(t, dir))
		useKeys(t, dir)
	})
	t.Run("when no device was ever linked", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		useKeys(t, dir)
		require.NoError(t, os.Remove(filepath.Join(dir, whatsappFile)))
		require.NoError(t, os.WriteFile(filepath.Join(dir, whatsappFile), nil, 0o600))
		useKeys(t, dir)
	})
}
