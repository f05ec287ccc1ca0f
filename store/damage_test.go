package store

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/callback"
	"whatsappd/session"
	"whatsappd/task"
)

var (
	damageSeed = flag.Uint64("damage-seed", 0, "repeat a run of the randomised damage tests; 0 for a new one")
	damageRuns = flag.Int("damage-runs", 60, "how many bits the randomised damage tests flip, one after the other")
)

// files are the contents of a ledger and its log by name, the index of the log left out: SQLite makes that anew.
type files map[string][]byte

// ledgerFiles reads the files of a ledger.
func ledgerFiles(t *testing.T, dir string) files {
	t.Helper()
	found := files{}
	for _, name := range []string{ledgerFile, ledgerFile + "-wal"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if !errors.Is(err, os.ErrNotExist) {
			require.NoError(t, err)
			found[name] = content
		}
	}
	return found
}

// in writes the files into a directory of their own.
func (f files) in(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	for name, content := range f {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	return dir
}

// text is what each of the messages says that the small ledgers hold.
const text = "Dear Ana, this is the text of a message that must arrive as it is or not at all."

// smallLedger returns the files of a ledger with some tasks in every state, as they stand while the daemon works: what came
// last is in the log only. Closed gives those after a stop.
func smallLedger(t *testing.T, closed bool) files {
	t.Helper()
	dir := t.TempDir()
	db := openDB(t, dir)
	s := newScene(t, func(*testing.T) keepers { return keepers{db, db, db, db} })
	require.NoError(t, db.KeepFacts(t.Context(), session.DefaultAccount, session.Facts{Number: "15550100100", PairedAt: s.now}))
	accept := func(i int) {
		s.accept(task.New{
			Kind: task.Message, Number: fmt.Sprintf("155501001%02d", i), Text: text, MessageID: fmt.Sprintf("3EB0%016X", i), ReturnURL: "http://host/cb",
		})
	}
	for i := range 10 {
		accept(i)
	}
	for range 3 {
		require.NoError(t, db.Finish(t.Context(), []task.Finished{s.end(s.claimOne(), task.Yes)}))
	}
	if closed {
		require.NoError(t, db.Close())
		return ledgerFiles(t, dir)
	}
	_, err := db.writer.conn.ExecContext(t.Context(), `PRAGMA main.wal_checkpoint(TRUNCATE)`)
	require.NoError(t, err)
	for i := 10; i < 13; i++ {
		accept(i)
	}
	return ledgerFiles(t, dir)
}

// survive opens damaged files and uses them as a daemon would. Either they are refused, and then not changed, or they work;
// in no case may a message come out that was not put in, or the program break.
func survive(t *testing.T, damaged files, what string) (refused error) {
	t.Helper()
	dir := damaged.in(t)
	db, err := Open(t.Context(), dir, Options{})
	if err != nil {
		require.Condition(t, func() bool {
			return errors.Is(err, ErrDamaged) || errors.Is(err, ErrNotLedger) || errors.Is(err, ErrNewerSchema)
		}, "%s: %v", what, err)
		require.NotContains(t, err.Error(), "\n", what)
		require.True(t, maps.EqualFunc(damaged, ledgerFiles(t, dir), func(a, b []byte) bool { return string(a) == string(b) }),
			"%s: refused with %v, and changed", what, err)
		return err
	}
	defer func() { _ = db.Close() }() // on damage it may say so
	_, _ = db.Recover(t.Context())
	_, _ = db.List(t.Context(), "", 0, 100)
	_, _ = db.Counts(t.Context())
	_, _ = db.Deliveries(t.Context(), callback.Due, "", 100)
	_, _ = db.Facts(t.Context(), session.DefaultAccount)
	waiting, _ := db.Waiting(t.Context(), account, task.ClassMessage, 100)
	claimed, _ := db.Claim(t.Context(), account, task.ClassMessage, time.Now(), 1)
	for _, got := range append(waiting, claimed...) {
		if got.Damaged == "" {
			require.Equal(t, text, got.Text, what)
			require.Regexp(t, `^155501001\d\d$`, got.Number, what)
			require.Equal(t, "http://host/cb", got.ReturnURL, what)
		}
	}
	return nil
}

func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	closed, working := smallLedger(t, true), smallLedger(t, false)
	change := func(f files, name string, do func([]byte) []byte) files {
		changed := maps.Clone(f)
		changed[name] = do([]byte(string(f[name])))
		return changed
	}
	t.Run("88 header flipped, each byte that SQLite reads", func(t *testing.T) {
		t.Parallel()
		refused := 0
		for i := range 100 {
			if survive(t, change(closed, ledgerFile, func(b []byte) []byte { b[i] ^= 0xff; return b }), fmt.Sprintf("byte %d", i)) != nil {
				refused++
			}
		}
		require.Greater(t, refused, 40)
	})
	t.Run("88 page 1 zeroed", func(t *testing.T) {
		t.Parallel()
		require.Error(t, survive(t, change(closed, ledgerFile, func(b []byte) []byte { clear(b[:4096]); return b }), "page 1"))
	})
	t.Run("88 truncated at every 512 bytes", func(t *testing.T) {
		t.Parallel()
		for size := 512; size < len(closed[ledgerFile]); size += 512 {
			require.Error(t, survive(t, change(closed, ledgerFile, func(b []byte) []byte { return b[:size] }), fmt.Sprintf("%d bytes", size)))
		}
	})
	t.Run("88 random bit flips", func(t *testing.T) {
		t.Parallel()
		seed := *damageSeed
		if seed == 0 {
			seed = rand.Uint64()
		}
		t.Logf("repeat with -damage-seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		refused := 0
		for range *damageRuns {
			at, bit := random.IntN(len(closed[ledgerFile])), random.IntN(8)
			err := survive(t, change(closed, ledgerFile, func(b []byte) []byte { b[at] ^= 1 << bit; return b }), fmt.Sprintf("seed %d: bit %d of byte %d", seed, bit, at))
			if err != nil {
				refused++
			}
		}
		t.Logf("%d of %d were refused", refused, *damageRuns)
	})
	t.Run("89 log cut off, also within a frame: the commits before it are there", func(t *testing.T) {
		t.Parallel()
		log := ledgerFile + "-wal"
		count := 0
		for size := 0; size < len(working[log])+2060; size += 2060 { // a frame has 4120
			dir := change(working, log, func(b []byte) []byte { return b[:min(size, len(b))] }).in(t)
			db := openDB(t, dir)
			tasks := mustList(t, db)
			require.GreaterOrEqual(t, len(tasks), count, "more of the log, more commits")
			count = len(tasks)
			require.NoError(t, db.Close())
		}
		require.Equal(t, 13, count)
	})
	t.Run("89 log gone: the last checkpoint is there", func(t *testing.T) {
		t.Parallel()
		require.Len(t, mustList(t, openDB(t, files{ledgerFile: working[ledgerFile]}.in(t))), 10)
	})
	t.Run("89 bit flips in the log: a prefix of the commits is there", func(t *testing.T) {
		t.Parallel()
		for at := 0; at < len(working[ledgerFile+"-wal"]); at += 5003 {
			flipped := change(working, ledgerFile+"-wal", func(b []byte) []byte { b[at] ^= 0x10; return b })
			db := openDB(t, flipped.in(t))
			require.GreaterOrEqual(t, len(mustList(t, db)), 10, "byte %d", at)
			require.NoError(t, db.Close())
		}
	})
	t.Run("89 index of the log stale or of another file", func(t *testing.T) {
		t.Parallel()
		for _, content := range []string{"", "nonsense", strings.Repeat("\xff", 32768)} {
			dir := working.in(t)
			require.NoError(t, os.WriteFile(filepath.Join(dir, ledgerFile+"-shm"), []byte(content), 0o600))
			require.Len(t, mustList(t, openDB(t, dir)), 13)
		}
	})
	t.Run("89 log of another ledger", func(t *testing.T) {
		t.Parallel()
		other := smallLedger(t, false)
		mixed := files{ledgerFile: closed[ledgerFile], ledgerFile + "-wal": other[ledgerFile+"-wal"]}
		_ = survive(t, mixed, "another ledger's log")
	})
	t.Run("89 stale log of the same ledger", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		db := openDB(t, dir)
		s := newScene(t, func(*testing.T) keepers { return keepers{db, db, db, db} })
		s.message("15550100101")
		stale := ledgerFiles(t, dir)[ledgerFile+"-wal"]
		for range 50 {
			s.message("15550100102")
		}
		require.NoError(t, db.Close())
		now := ledgerFiles(t, dir)
		now[ledgerFile+"-wal"] = stale
		_ = survive(t, now, "a log that was moved into the ledger long ago")
	})
	t.Run("89 log without its ledger", func(t *testing.T) {
		t.Parallel()
		require.ErrorIs(t, survive(t, files{ledgerFile + "-wal": working[ledgerFile+"-wal"]}, "no ledger"), ErrDamaged)
	})
	t.Run("87 directory in its place", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(dir, ledgerFile), 0o700))
		_, err := Open(t.Context(), dir, Options{})
		require.ErrorContains(t, err, filepath.Join(dir, ledgerFile))
		require.DirExists(t, filepath.Join(dir, ledgerFile))
	})
	t.Run("87 empty file is a new ledger", func(t *testing.T) {
		t.Parallel()
		require.Empty(t, mustList(t, openDB(t, files{ledgerFile: nil}.in(t))))
	})
}

// TestDamageFoundBesideTheWork is about ledgers too large to be read before the start.
func TestDamageFoundBesideTheWork(t *testing.T) {
	t.Parallel()
	good := smallLedger(t, true)
	damaged := maps.Clone(good)
	content := []byte(string(good[ledgerFile]))
	var page int // of task's table; what a cell points to is damaged, so that only reading it all finds it
	pool := openFile(filepath.Join(good.in(t), ledgerFile), reading, 1)
	require.NoError(t, pool.QueryRowContext(t.Context(), `SELECT rootpage FROM sqlite_schema WHERE name = 'task_text'`).Scan(&page))
	require.NoError(t, pool.Close())
	content[(page-1)*4096+8] ^= 0xff
	damaged[ledgerFile] = content
	dir := damaged.in(t)
	large := Options{Logger: testLogger(t), wholeLimit: 1}

	db, err := Open(t.Context(), dir, large)
	require.NoError(t, err, "it is not read whole")
	require.ErrorIs(t, db.Check(t.Context()), ErrDamaged)
	require.NoError(t, db.Close())
	_, err = Open(t.Context(), dir, large)
	require.ErrorIs(t, err, ErrDamaged, "the next start reads it whole")

	require.NoError(t, os.WriteFile(filepath.Join(dir, ledgerFile), good[ledgerFile], 0o600))
	db, err = Open(t.Context(), dir, large)
	require.NoError(t, err, "a backup was put back")
	require.NoFileExists(t, filepath.Join(dir, suspectFile))
	require.NoError(t, db.Close())
	db, err = Open(t.Context(), dir, large)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, db.Check(ctx), "told to stop: the next start checks again")
	require.NoError(t, db.Check(t.Context()))
	require.NoError(t, db.Close())
}

func TestSchemasOfOthers(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T, statements ...string) error {
		dir := smallLedger(t, true).in(t)
		pool := openFile(filepath.Join(dir, ledgerFile), "", 1)
		for _, statement := range statements {
			_, err := pool.ExecContext(t.Context(), statement)
			require.NoError(t, err)
		}
		require.NoError(t, pool.Close())
		return survive(t, ledgerFiles(t, dir), statements[0])
	}
	t.Run("90 half-migrated: the number is there, a column is not", func(t *testing.T) {
		t.Parallel()
		err := refused(t, `ALTER TABLE account DROP COLUMN quota_total`)
		require.ErrorIs(t, err, ErrNotLedger)
		require.ErrorContains(t, err, "account.quota_total")
	})
	t.Run("90 half-migrated: an index is not there", func(t *testing.T) {
		t.Parallel()
		require.ErrorContains(t, refused(t, `DROP INDEX task_lane`), "task_lane")
	})
	t.Run("90 half-migrated: a step was taken, and its number is not there", func(t *testing.T) {
		t.Parallel()
		steps, err := readSteps(migrations)
		require.NoError(t, err)
		dir := t.TempDir()
		require.NoError(t, os.Chmod(dir, 0o700))
		fillFirst(t, filepath.Join(dir, ledgerFile), steps[:10])
		pool := openFile(filepath.Join(dir, ledgerFile), "", 1)
		_, err = pool.ExecContext(t.Context(), `PRAGMA user_version = 9`)
		require.NoError(t, err)
		require.NoError(t, pool.Close())
		before := ledgerFiles(t, dir)
		_, err = Open(t.Context(), dir, Options{})
		require.ErrorContains(t, err, "migrate to schema 10")
		require.Equal(t, before, ledgerFiles(t, dir))
	})
	t.Run("90 foreign, with a number like ours", func(t *testing.T) {
		t.Parallel()
		require.ErrorIs(t, refused(t, `PRAGMA foreign_keys = OFF`, `DROP TABLE task`), ErrNotLedger)
	})
	t.Run("90 newer", func(t *testing.T) {
		t.Parallel()
		require.ErrorIs(t, refused(t, `PRAGMA user_version = 99`), ErrNewerSchema)
	})
	t.Run("90 an index that somebody added is no harm", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, refused(t, `CREATE INDEX theirs ON task (created)`))
	})
}
