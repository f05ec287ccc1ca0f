package store

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
)

func TestDamagedKeysAreRefusedUntouched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openDB(t, dir)
	keys, err := db.WhatsApp(t.Context())
	require.NoError(t, err)
	for _, statement := range []string{`CREATE TABLE key (id INTEGER PRIMARY KEY, value BLOB)`, `CREATE INDEX key_value ON key (value)`,
		`INSERT INTO key (value) SELECT randomblob(900) FROM json_each('[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]')`} {
		_, err := keys.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	require.NoError(t, db.Close())
	path := filepath.Join(dir, whatsappFile)
	sound, err := os.ReadFile(path)
	require.NoError(t, err)
	for name, damage := range map[string]func([]byte) []byte{
		"93 keys cut off":        func(b []byte) []byte { return b[:len(b)-4096] },
		"93 keys: page zeroed":   func(b []byte) []byte { clear(b[4096:8192]); return b },
		"93 keys: page 1 zeroed": func(b []byte) []byte { clear(b[:4096]); return b },
		"93 keys: a text file":   func([]byte) []byte { return []byte("my keys, a text longer than any header") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, damaged := t.TempDir(), damage([]byte(string(sound)))
			path := filepath.Join(dir, whatsappFile)
			db := openDB(t, dir)
			require.NoError(t, os.WriteFile(path, damaged, 0o600))
			_, err := db.WhatsApp(t.Context())
			require.ErrorIs(t, err, session.ErrKeys)
			require.ErrorContains(t, err, path)
			require.NotContains(t, err.Error(), "\n")
			require.NotContains(t, err.Error(), "restore", "old keys lose messages")
			got, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, damaged, got)
		})
	}
}
