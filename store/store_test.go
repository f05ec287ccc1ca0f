package store

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/store/sqlstore"

	"whatsappd/session"
	"whatsappd/task"
)

func TestWhatIsKeptIsThereAfterAReopen(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "with space", "100%#?")
	db := openDB(t, dir)
	s := newScene(t, func(*testing.T) keepers { return keepers{db, db, db, db} })
	id := s.message("15550100101")
	require.NoError(t, db.Close())
	require.Equal(t, id, ids(mustList(t, openDB(t, dir)))[0])
}

func mustList(t *testing.T, db *DB) []task.Task {
	t.Helper()
	tasks, err := db.List(t.Context(), "", 0, 100_000)
	require.NoError(t, err)
	return tasks
}

func TestCloseTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openDB(t, dir)
	require.NoError(t, db.Ping(t.Context()))
	require.NoError(t, db.Close())
	require.NoError(t, db.Close())
	_, err := db.Accept(t.Context(), task.New{Account: account, Kind: task.Check}, newScene(t, nothing).now)
	require.ErrorIs(t, err, task.ErrStopping)
	require.Error(t, db.Ping(t.Context()))
	_, err = db.WhatsApp(t.Context())
	require.ErrorIs(t, err, task.ErrStopping)
	require.NoFileExists(t, filepath.Join(dir, ledgerFile+"-wal"), "the log is moved into the ledger")
}

func nothing(*testing.T) keepers { return keepers{} }

func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "data")
	db, err := Open(t.Context(), dir, Options{Simulated: "ab12", Logger: testLogger(t)})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	keys, err := db.WhatsApp(t.Context())
	require.NoError(t, err)
	_, err = keys.ExecContext(t.Context(), `CREATE TABLE example (id INTEGER)`)
	require.NoError(t, err)
	require.NoError(t, db.KeepFacts(t.Context(), session.DefaultAccount, session.Facts{}))

	require.Equal(t, os.FileMode(0o700), mode(t, dir))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
		require.Equal(t, os.FileMode(0o600), mode(t, filepath.Join(dir, entry.Name())), entry.Name())
	}
	require.Equal(t, []string{"ledger.db", "ledger.db-shm", "ledger.db-wal", "lock", "simulated",
		"whatsapp.db", "whatsapp.db-shm", "whatsapp.db-wal"}, names)
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Mode().Perm()
}

func TestOpenDirectoriesAreClosedOrRefused(t *testing.T) {
	t.Parallel()
	t.Run("an empty directory is made private", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		require.NoError(t, os.Chmod(dir, 0o755))
		openDB(t, dir)
		require.Equal(t, os.FileMode(0o700), mode(t, dir))
	})
	t.Run("a data directory is made private again, with its files", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		require.NoError(t, openDB(t, dir).Close())
		ledger := filepath.Join(dir, ledgerFile)
		require.NoError(t, os.Chmod(dir, 0o777))
		require.NoError(t, os.Chmod(ledger, 0o644))
		openDB(t, dir)
		require.Equal(t, os.FileMode(0o700), mode(t, dir))
		require.Equal(t, os.FileMode(0o600), mode(t, ledger))
	})
	t.Run("somebody else's directory is left alone", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		require.NoError(t, os.Chmod(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "letter.txt"), nil, 0o600))
		_, err := Open(t.Context(), dir, Options{})
		require.ErrorIs(t, err, ErrMode)
		require.ErrorContains(t, err, dir)
		require.Equal(t, os.FileMode(0o755), mode(t, dir))
		require.NoFileExists(t, filepath.Join(dir, lockFile))
	})
}

func TestASecondOpenIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := openDB(t, dir)
	_, err := Open(t.Context(), dir, Options{})
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, dir)
	require.ErrorContains(t, err, "process "+strconv.Itoa(os.Getpid()))
	require.NotContains(t, err.Error(), "\n")
	require.NoError(t, first.Ping(t.Context()), "the first is unharmed")
	require.NoError(t, first.Close())
	openDB(t, dir)
}

func TestLiveAndSimulatedAreKeptApart(t *testing.T) {
	t.Parallel()
	reopen := func(t *testing.T, dir, rootKey string) error {
		t.Helper()
		db, err := Open(t.Context(), dir, Options{Simulated: rootKey, Logger: testLogger(t)})
		if err == nil {
			require.NoError(t, db.Close())
		}
		return err
	}
	for name, c := range map[string]struct {
		first, second string
		want          error
	}{
		"live stays live":                         {"", "", nil},
		"a simulator comes back":                  {"ab12", "AB12\n", nil},
		"live is refused for a simulator":         {"", "ab12", ErrLive},
		"simulated is refused for live":           {"ab12", "", ErrSimulated},
		"another simulator's key is refused":      {"ab12", "cd34", ErrOtherSimulator},
		"a key that only begins alike is refused": {"ab12", "ab", ErrOtherSimulator},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, reopen(t, dir, c.first))
			err := reopen(t, dir, c.second)
			require.ErrorIs(t, err, c.want)
			if c.want != nil {
				require.ErrorContains(t, err, dir)
				require.NotContains(t, err.Error(), "\n")
			}
			require.NoError(t, reopen(t, dir, c.first), "a refusal changes nothing")
		})
	}
	t.Run("keys alone make a directory live", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, whatsappFile), nil, 0o600))
		require.ErrorIs(t, reopen(t, dir, "ab12"), ErrLive)
	})
}

func TestForeignFilesAreRefusedAndUntouched(t *testing.T) {
	t.Parallel()
	foreign := func(t *testing.T) []byte {
		path := filepath.Join(t.TempDir(), "other.db")
		pool := openFile(path, "", 1)
		_, err := pool.ExecContext(t.Context(), `CREATE TABLE note (text TEXT)`)
		require.NoError(t, err)
		require.NoError(t, pool.Close())
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		return content
	}
	for name, content := range map[string]func(t *testing.T) []byte{
		"text":                     func(*testing.T) []byte { return []byte("dear diary, this is a longer text than any header is\n") },
		"a few bytes":              func(*testing.T) []byte { return []byte("x") },
		"another program's tables": foreign,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, want := t.TempDir(), content(t)
			path := filepath.Join(dir, ledgerFile)
			require.NoError(t, os.WriteFile(path, want, 0o600))
			_, err := Open(t.Context(), dir, Options{})
			require.ErrorIs(t, err, ErrNotLedger)
			require.ErrorContains(t, err, path)
			got, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
	t.Run("whatsapp.db", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		path := filepath.Join(dir, whatsappFile)
		require.NoError(t, os.WriteFile(path, []byte("not a database"), 0o600))
		_, err := openDB(t, dir).WhatsApp(t.Context())
		require.ErrorIs(t, err, session.ErrKeys)
		require.ErrorContains(t, err, path)
	})
}

func TestADamagedLedgerIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openDB(t, dir)
	s := newScene(t, func(*testing.T) keepers { return keepers{db, db, db, db} })
	for range 200 {
		s.message("15550100101")
	}
	require.NoError(t, db.Close())
	path := filepath.Join(dir, ledgerFile)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := 4096; i < len(content); i += 64 {
		content[i] ^= 0xff
	}
	require.NoError(t, os.WriteFile(path, content, 0o600))
	_, err = Open(t.Context(), dir, Options{})
	require.ErrorIs(t, err, ErrDamaged)
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, content, got)
}

func TestWhatsmeowsStoreRunsOnItsOneConnection(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	keys, err := db.WhatsApp(t.Context())
	require.NoError(t, err)
	again, err := db.WhatsApp(t.Context())
	require.NoError(t, err)
	require.Same(t, keys, again)
	require.Equal(t, 1, keys.Stats().MaxOpenConnections)
	container := sqlstore.NewWithDB(keys, "sqlite3", nil)
	require.NoError(t, container.Upgrade(t.Context()))
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "14000"} {
		require.Equal(t, want, pragmaOf(t, keys, pragma), pragma)
	}
}

func TestTheLedgerIsDurableAndItsReadersOnlyRead(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1",
		"busy_timeout": "14000", "temp_store": "2"} {
		require.NoError(t, db.writer.do(t.Context(), func(_ context.Context, q queries) error {
			require.Equal(t, want, pragmaOf(t, q, pragma), pragma)
			return nil
		}))
	}
	_, err := db.reads.ExecContext(t.Context(), `DELETE FROM task`)
	require.ErrorContains(t, err, "readonly")
}

func pragmaOf(t *testing.T, q interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}, name string,
) string {
	t.Helper()
	var value string
	require.NoError(t, q.QueryRowContext(t.Context(), `PRAGMA `+name).Scan(&value))
	return value
}

func TestFreeSpaceIsKnown(t *testing.T) {
	t.Parallel()
	free, err := openDB(t, t.TempDir()).Free()
	require.NoError(t, err)
	require.Positive(t, free)
}
