package store

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"whatsappd/task"
)

// largeTasks is how many finished messages the large ledger of the tests has, each with callback, attempt and eight steps; a
// tenth of that is queued beside them.
var largeTasks = flag.Int("tasks", 1000, "finished tasks of the large ledger: \"make large\" takes a million")

// The rows of a large ledger, from number ?1 to ?2 at the time ?3: seven days of messages, one each 600 ms.
const (
	largeFinished = `WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
		INSERT INTO task (id, account, kind, class, number, text, message_id, return_url, for_number, idem_key, request_hash,
			request_id, token_id, state, attempt, verdict, created, started, finished, delivery, delivery_at, canonical, lid)
		SELECT printf('01990000-0000-7000-8000-%012d', i), 'default', 'message', 'message', printf('1555%07d', i % 50000),
			CASE WHEN i < ?4 THEN '' ELSE 'A message of about the length that people write to each other.' END, printf('3EB0%016X', i),
			'https://example.com/hook?order=' || i, '15550100100', 'key-' || i, hex(randomblob(32)), hex(randomblob(8)), 'wad_1234',
			'done', 1, 'yes', ?3, ?3, ?3 + i, 3, ?3, printf('1555%07d', i % 50000), printf('%d@lid', 100000000000000 + i % 50000) FROM n`
	largeSteps = `INSERT INTO task_step (task, n, at, what, detail)
		SELECT seq, s.value, finished, 'step ' || s.value, '' FROM task, json_each('[1,2,3,4,5,6,7,8]') AS s WHERE seq >= ?1 AND seq <= ?2`
	largeCallbacks = `INSERT INTO callback (id, task_id, url, destination, body, state, attempt, next_at, last_status, created, finished)
		SELECT printf('cb_01990000-0000-7000-8000-%012d', seq), id, return_url, 'https://example.com:443',
			CAST('{"task_id":"' || id || '","result":"True"}' AS BLOB), 'delivered', 1, finished, 200, finished, finished
		FROM task WHERE seq >= ?1 AND seq <= ?2`
	largeAttempts = `INSERT INTO callback_attempt (callback_id, n, at, took_ms, status, error)
		SELECT printf('cb_01990000-0000-7000-8000-%012d', seq), 1, finished, 12, 200, '' FROM task WHERE seq >= ?1 AND seq <= ?2`
	largeQueued = `WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
		INSERT INTO task (id, account, kind, class, number, text, message_id, return_url, for_number, request_hash, request_id, token_id, created)
		SELECT printf('01990000-0000-7000-8000-%012d', i), 'default', 'message', 'message', printf('1555%07d', i % 50000),
			'A message of about the length that people write to each other.', printf('3EB0%016X', i), 'https://example.com/hook?order=' || i,
			'15550100100', hex(randomblob(32)), hex(randomblob(8)), 'wad_1234', ?3 FROM n`
)

// fillLarge writes a ledger as a week of heavy use leaves it.
func fillLarge(t *testing.T, dir string, finished int, now time.Time) {
	t.Helper()
	db, err := Open(t.Context(), dir, Options{})
	require.NoError(t, err)
	do := func(query string, args ...any) {
		_, err := db.change(t.Context(), query, args...)
		require.NoError(t, err)
	}
	do(`INSERT INTO account (id, number) VALUES ('default', '15550100100')`)
	const chunk = 20_000
	for from := 1; from <= finished; from += chunk {
		to := min(from+chunk-1, finished)
		do(largeFinished, from, to, millis(now), finished*6/7)
		for _, rows := range []string{largeSteps, largeCallbacks, largeAttempts} {
			do(rows, from, to)
		}
	}
	do(largeQueued, finished+1, finished+finished/10, millis(now))
	require.NoError(t, db.Close())
}

// dropFromCache makes the next reader of a file wait for the disk, as after a boot.
func dropFromCache(t *testing.T, path string) {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	require.NoError(t, file.Sync())
	require.NoError(t, unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED))
}

// TestALargeLedger holds what a ledger may cost however large it is.
func TestALargeLedger(t *testing.T) { //nolint:tparallel // the steps follow each other on one ledger
	t.Parallel()
	dir := t.TempDir()
	start := time.UnixMilli(1_700_000_000_000)
	fillLarge(t, dir, *largeTasks, start)
	path := filepath.Join(dir, ledgerFile)
	t.Logf("%d finished tasks, %d MB", *largeTasks, fileSize(path)>>20)
	beside := Options{Logger: testLogger(t), wholeLimit: 1}

	for _, cache := range []string{"cold", "warm"} {
		t.Run("92 a start takes less than three seconds, "+cache, func(t *testing.T) {
			if cache == "cold" {
				dropFromCache(t, path)
			}
			took := timed(t, "start", func() error {
				db, err := Open(t.Context(), dir, beside)
				if err != nil {
					return err
				}
				_, err = db.Recover(t.Context())
				require.False(t, db.checked)
				t.Cleanup(func() { require.NoError(t, db.Close()) })
				return err
			})
			require.Less(t, took, 3*time.Second)
		})
	}

	db, err := Open(t.Context(), dir, beside)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	t.Run("92 lists come in pages", func(t *testing.T) {
		first, err := db.List(t.Context(), "", 0, 100)
		require.NoError(t, err)
		require.Len(t, first, 100)
		for name, list := range map[string]func() error{
			"newest":    func() error { _, err := db.List(t.Context(), task.Done, 0, 100); return err },
			"oldest":    func() error { _, err := db.List(t.Context(), task.Done, 101, 100); return err },
			"callbacks": func() error { _, err := db.Deliveries(t.Context(), "delivered", "", 100); return err },
		} {
			require.Less(t, timed(t, name, list), time.Second)
		}
	})
	alone := acceptBeside(t, db, func() {
		for range 50 {
			require.NoError(t, db.Ping(t.Context()))
		}
	})
	bearable := max(100*time.Millisecond, 4*alone.of(99)) // on a machine that is busy with other things
	t.Run("92 the whole ledger is read beside the work", func(t *testing.T) {
		accepts := acceptBeside(t, db, func() { timed(t, "check", func() error { return db.Check(t.Context()) }) })
		require.Less(t, accepts.of(99), bearable)
	})
	t.Run("92 retention does not hold up who asks meanwhile", func(t *testing.T) {
		accepts := acceptBeside(t, db, func() {
			timed(t, "sweep", func() error {
				count, err := db.Sweep(t.Context(), start.Add(time.Duration(*largeTasks+1)*time.Millisecond), start)
				require.Equal(t, *largeTasks, count)
				return err
			})
		})
		require.Less(t, accepts.of(99), bearable)
		for _, table := range []string{"task_step", "callback", "callback_attempt"} {
			var left int
			require.NoError(t, db.reads.QueryRowContext(t.Context(), `SELECT count(*) FROM `+table).Scan(&left))
			require.Zero(t, left, table)
		}
	})
}

// timed logs how long something took.
func timed(t *testing.T, name string, do func() error) time.Duration {
	t.Helper()
	began := time.Now()
	require.NoError(t, do(), name)
	took := time.Since(began)
	t.Logf("%s: %s", name, took.Round(time.Millisecond))
	return took
}

// durations are sorted.
type durations []time.Duration

// of returns a percentile.
func (d durations) of(percent int) time.Duration { return d[(len(d)-1)*percent/100] }

// acceptBeside lets four callers accept messages while something is done, and returns how long each had to wait.
func acceptBeside(t *testing.T, db *DB, do func()) durations {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	var took durations
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for n := 0; n == 0 || ctx.Err() == nil; n++ {
				began := time.Now()
				_, err := db.Accept(t.Context(), task.New{
					Account: account, Kind: task.Message, Number: strconv.Itoa(15550100000 + rand.IntN(1000)), Text: "hello", MessageID: "3EB0C0FFEE",
				}, began)
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	do()
	cancel()
	callers.Wait()
	slices.Sort(took)
	t.Logf("%d accepts meanwhile: median %s, of 100 the slowest %s, slowest of all %s", len(took),
		took.of(50).Round(time.Microsecond), took.of(99).Round(time.Millisecond), took.of(100).Round(time.Millisecond))
	return took
}
