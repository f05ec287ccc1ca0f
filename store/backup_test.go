package store

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/task"
)

// restored writes a backup of a data directory, restores it and opens what came of it.
func restored(t *testing.T, dir string, opts Options) (*DB, Backup) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ledger.backup")
	made := Backup{Made: time.UnixMilli(1_700_000_000_000).UTC(), Version: "v1", Settings: "listen: 127.0.0.1:8080\n"}
	require.NoError(t, WriteBackup(t.Context(), dir, file, made))
	require.Equal(t, os.FileMode(0o600), mode(t, file))
	target := filepath.Join(t.TempDir(), "data")
	got, err := Restore(t.Context(), file, target, testLogger(t))
	require.NoError(t, err)
	made.Simulated = opts.Simulated
	require.Equal(t, made, got)
	require.Equal(t, os.FileMode(0o700), mode(t, target))
	entries, err := os.ReadDir(target)
	require.NoError(t, err)
	for _, entry := range entries {
		require.Equal(t, os.FileMode(0o600), mode(t, filepath.Join(target, entry.Name())), entry.Name())
	}
	db, err := Open(t.Context(), target, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db, got
}

func TestABackupHoldsWhatWasCommitted(t *testing.T) {
	t.Parallel()
	t.Run("95 while callers are answered", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		db := openDB(t, dir)
		require.NoError(t, db.KeepFacts(t.Context(), session.DefaultAccount, session.Facts{Number: "15550100100"}))
		var mu sync.Mutex
		var acknowledged []task.ID
		var before []task.ID
		var callers sync.WaitGroup
		stop := make(chan struct{})
		enough := make(chan struct{})
		for i := range 4 {
			callers.Go(func() {
				for n := 0; ; n++ {
					accepted, err := db.Accept(t.Context(), task.New{Account: account, Kind: task.Message, Number: strconv.Itoa(15550100000 + i), Text: text}, time.Now())
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					acknowledged = append(acknowledged, accepted.ID)
					if len(acknowledged) == 40 {
						close(enough)
					}
					mu.Unlock()
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
		<-enough
		mu.Lock()
		before = append(before, acknowledged...)
		mu.Unlock()
		copied, _ := restored(t, dir, Options{})
		close(stop)
		callers.Wait()
		kept := map[task.ID]bool{}
		for _, one := range mustList(t, copied) {
			require.Empty(t, one.Damaged)
			kept[one.ID] = true
		}
		for _, id := range before {
			require.True(t, kept[id], "acknowledged before the backup began")
		}
		facts, err := copied.Facts(t.Context(), session.DefaultAccount)
		require.NoError(t, err)
		require.Equal(t, session.Number("15550100100"), facts.Number)
	})
	t.Run("95 of a daemon that was killed, with its log", func(t *testing.T) {
		t.Parallel()
		dir := smallLedger(t, false).in(t)
		db, _ := restored(t, dir, Options{})
		require.Len(t, mustList(t, db), 13)
		require.Equal(t, schemaOf(t, openDB(t, t.TempDir())), schemaOf(t, db), "no trace of the backup")
	})
	t.Run("95 of a simulator's data directory, which stays one", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		db, err := Open(t.Context(), dir, Options{Simulated: "ab12"})
		require.NoError(t, err)
		defer func() { require.NoError(t, db.Close()) }()
		restored(t, dir, Options{Simulated: "ab12"})
	})
}

func TestABackupOverwritesNothing(t *testing.T) {
	t.Parallel()
	dir := smallLedger(t, true).in(t)
	file := filepath.Join(t.TempDir(), "taken")
	require.NoError(t, os.WriteFile(file, []byte("precious"), 0o600))
	require.ErrorContains(t, WriteBackup(t.Context(), dir, file, Backup{}), "no file is overwritten")
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "precious", string(content))

	empty := filepath.Join(t.TempDir(), "new")
	require.ErrorContains(t, WriteBackup(t.Context(), t.TempDir(), empty, Backup{}), "there is no ledger")
	require.NoFileExists(t, empty)
	require.Error(t, WriteBackup(t.Context(), dir, filepath.Join(t.TempDir(), "no", "such", "place"), Backup{}))

	damaged := files{ledgerFile: []byte(string(smallLedger(t, true)[ledgerFile]))}
	clear(damaged[ledgerFile][4096*3 : 4096*30])
	require.ErrorIs(t, WriteBackup(t.Context(), damaged.in(t), empty, Backup{}), ErrDamaged)
	require.NoFileExists(t, empty)
	require.NoFileExists(t, empty+".part")
}

func TestARestoreIsRefusedUntouched(t *testing.T) {
	t.Parallel()
	dir := smallLedger(t, true).in(t)
	file := filepath.Join(t.TempDir(), "backup")
	require.NoError(t, WriteBackup(t.Context(), dir, file, Backup{Made: time.Now()}))
	sound, err := os.ReadFile(file)
	require.NoError(t, err)
	written := func(t *testing.T, content []byte) string {
		path := filepath.Join(t.TempDir(), "backup")
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	changed := func(t *testing.T, statement string) string {
		path := written(t, sound)
		pool := openFile(path, "", 1)
		_, err := pool.ExecContext(t.Context(), statement)
		require.NoError(t, err)
		require.NoError(t, pool.Close())
		return path
	}
	for name, c := range map[string]struct {
		file func(t *testing.T) string
		want error
	}{
		"95 no such file":       {func(t *testing.T) string { return filepath.Join(t.TempDir(), "none") }, os.ErrNotExist},
		"95 a text":             {func(t *testing.T) string { return written(t, []byte("a letter, which is longer than a header")) }, ErrNotBackup},
		"95 empty":              {func(t *testing.T) string { return written(t, nil) }, ErrNotBackup},
		"95 a ledger itself":    {func(t *testing.T) string { return changed(t, `DROP TABLE backup`) }, ErrNotBackup},
		"95 of a newer program": {func(t *testing.T) string { return changed(t, `PRAGMA user_version = 99`) }, ErrNewerSchema},
		"95 half of it":         {func(t *testing.T) string { return written(t, sound[:len(sound)/2]) }, ErrDamaged},
		"95 damaged": {func(t *testing.T) string {
			content := []byte(string(sound))
			clear(content[4096*3 : 4096*12])
			return written(t, content)
		}, ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := filepath.Join(t.TempDir(), "data")
			_, err := Restore(t.Context(), c.file(t), target, testLogger(t))
			require.ErrorIs(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
			require.NoDirExists(t, target)
		})
	}
	for _, name := range []string{ledgerFile, whatsappFile, "letter.txt"} {
		t.Run("95 over "+name, func(t *testing.T) {
			t.Parallel()
			target := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(target, name), []byte("precious"), 0o600))
			_, err := Restore(t.Context(), file, target, testLogger(t))
			require.ErrorIs(t, err, ErrNotEmpty)
			require.ErrorContains(t, err, name)
			content, err := os.ReadFile(filepath.Join(target, name))
			require.NoError(t, err)
			require.Equal(t, "precious", string(content))
		})
	}
	t.Run("95 into a directory that is in use", func(t *testing.T) {
		t.Parallel()
		target := t.TempDir()
		require.NoError(t, os.Chmod(target, 0o700))
		held, err := takeLock(target)
		require.NoError(t, err)
		defer func() { require.NoError(t, held.release()) }()
		_, err = Restore(t.Context(), file, target, testLogger(t))
		require.ErrorIs(t, err, ErrLocked)
	})
}

func TestAFileIsMadeWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path+".part", []byte("of a run that was killed"), 0o600))
	broken := errors.New("broken")
	require.ErrorIs(t, newFile(path, func(unfinished string) error {
		require.NoError(t, os.WriteFile(unfinished, []byte("half"), 0o600))
		return broken
	}), broken)
	require.NoFileExists(t, path)
	require.NoFileExists(t, path+".part")
	require.NoError(t, newFile(path, func(unfinished string) error { return os.WriteFile(unfinished, []byte("whole"), 0o600) }))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "whole", string(content))
}
