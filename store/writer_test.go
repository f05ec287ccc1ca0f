package store

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/callback"
	"whatsappd/session"
	"whatsappd/task"
)

// idleWriter returns a writer on a fresh ledger whose batches the test commits by hand.
func idleWriter(t *testing.T) *writer {
	t.Helper()
	path := t.TempDir() + "/ledger.db"
	pool := openFile(path, writing, 1)
	conn, err := pool.Conn(t.Context())
	require.NoError(t, err)
	steps, err := readSteps(migrations)
	require.NoError(t, err)
	require.NoError(t, migrate(t.Context(), conn, path, steps))
	require.NoError(t, useLog(t.Context(), conn))
	t.Cleanup(func() {
		require.NoError(t, conn.Close())
		require.NoError(t, pool.Close())
	})
	return &writer{pool: pool, conn: conn, batch: batchSize}
}

// commitAll commits changes as one batch and returns what each caller heard.
func commitAll(t *testing.T, w *writer, changes ...func(context.Context, queries) error) []error {
	t.Helper()
	var batch []operation
	for _, change := range changes {
		batch = append(batch, operation{change: change, done: make(chan error, 1)})
	}
	w.commit(t.Context(), batch)
	var errs []error
	for _, op := range batch {
		errs = append(errs, <-op.done)
	}
	return errs
}

func accountsOf(t *testing.T, w *writer) []string {
	t.Helper()
	rows, err := w.conn.QueryContext(t.Context(), `SELECT id FROM account ORDER BY id`)
	require.NoError(t, err)
	defer rows.Close()
	var found []string
	for rows.Next() {
		var id string
		require.NoError(t, rows.Scan(&id))
		found = append(found, id)
	}
	require.NoError(t, rows.Err())
	return found
}

func add(id string) func(context.Context, queries) error {
	return func(ctx context.Context, q queries) error { return needAccount(ctx, q, id) }
}

// then makes one change after another.
func then(changes ...func(context.Context, queries) error) func(context.Context, queries) error {
	return func(ctx context.Context, q queries) error {
		for _, change := range changes {
			if err := change(ctx, q); err != nil {
				return err
			}
		}
		return nil
	}
}

func orphan(ctx context.Context, q queries) error {
	_, err := q.ExecContext(ctx, `INSERT INTO chat (contact, account) VALUES ('nobody', 'nobody')`)
	return err
}

func TestAFailedChangeIsUndoneAlone(t *testing.T) {
	t.Parallel()
	w := idleWriter(t)
	ours := errors.New("ours")
	errs := commitAll(t, w,
		add("a"),
		then(add("b"), orphan),
		then(add("c"), func(context.Context, queries) error { return ours }),
		add("d"))
	require.NoError(t, errs[0])
	require.ErrorContains(t, errs[1], "FOREIGN KEY")
	require.ErrorIs(t, errs[2], ours)
	require.NoError(t, errs[3])
	require.Equal(t, []string{"a", "d"}, accountsOf(t, w))
}

func TestAFailedCommitIsToldToEverybody(t *testing.T) {
	t.Parallel()
	w := idleWriter(t)
	late := func(ctx context.Context, q queries) error { // found out only by COMMIT
		_, err := q.ExecContext(ctx, `PRAGMA defer_foreign_keys = ON`)
		return errors.Join(err, orphan(ctx, q))
	}
	refused := func(context.Context, queries) error { return task.ErrIdempotency }
	for i, err := range commitAll(t, w, add("a"), late, refused, add("b")) {
		require.ErrorContains(t, err, "commit", i)
	}
	require.Empty(t, accountsOf(t, w))
	require.NoError(t, commitAll(t, w, add("c"))[0])
	require.Equal(t, []string{"c"}, accountsOf(t, w))
}

func TestALostTransactionIsToldToEverybody(t *testing.T) {
	t.Parallel()
	w := idleWriter(t)
	gone := func(ctx context.Context, q queries) error { // as SQLite does by itself on a full disk
		_, err := q.ExecContext(ctx, `ROLLBACK`)
		return errors.Join(err, errors.New("the disk is broken"))
	}
	for i, err := range commitAll(t, w, add("a"), gone, add("b")) {
		require.ErrorContains(t, err, "the disk is broken", i)
	}
	require.Empty(t, accountsOf(t, w))
	require.NoError(t, commitAll(t, w, add("c"))[0])
}

func TestOnceTakenTheAnswerIsTheTruth(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	taken, release := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error, 1)
	go func() {
		answer <- db.writer.do(ctx, func(ctx context.Context, q queries) error {
			close(taken)
			<-release
			return needAccount(ctx, q, "taken")
		})
	}()
	<-taken
	cancel()

	// while the writer is busy, a caller who gives up was never there
	waiting, giveUp := context.WithCancel(t.Context())
	refused := make(chan error, 1)
	go func() { refused <- db.writer.do(waiting, add("refused")) }()
	giveUp()
	require.ErrorIs(t, <-refused, context.Canceled)

	close(release)
	require.NoError(t, <-answer)
	for id, want := range map[string]int{"taken": 1, "refused": 0} {
		var count int
		require.NoError(t, db.reads.QueryRowContext(t.Context(), `SELECT count(*) FROM account WHERE id = ?`, id).Scan(&count))
		require.Equal(t, want, count, id)
	}
}

func TestClosingFinishesWhatWasTaken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openDB(t, dir)
	taken, release := make(chan struct{}), make(chan struct{})
	answer, late, closed := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() {
		answer <- db.writer.do(t.Context(), func(ctx context.Context, q queries) error {
			close(taken)
			<-release
			return needAccount(ctx, q, "taken")
		})
	}()
	<-taken
	go func() { late <- db.writer.do(t.Context(), add("late")) }()
	go func() { closed <- db.Close() }()
	require.ErrorIs(t, <-late, task.ErrStopping)
	close(release)
	require.NoError(t, <-answer)
	require.NoError(t, <-closed)
	facts := openDB(t, dir)
	var count int
	require.NoError(t, facts.reads.QueryRowContext(t.Context(), `SELECT count(*) FROM account`).Scan(&count))
	require.Equal(t, 1, count)
}

// limitPages makes the ledger as large as it is plus some pages: beyond that the disk counts as full. Negative for no limit.
func limitPages(t *testing.T, db *DB, more int) {
	t.Helper()
	require.NoError(t, db.writer.do(t.Context(), func(ctx context.Context, q queries) error {
		var pages int
		if err := q.QueryRowContext(ctx, `PRAGMA page_count`).Scan(&pages); err != nil {
			return err
		}
		if pages += more; more < 0 {
			pages = 1 << 30
		}
		return q.QueryRowContext(ctx, `PRAGMA max_page_count = `+strconv.Itoa(pages)).Scan(&pages)
	}))
}

func TestAFullDiskAcceptsNothingByHalves(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openDB(t, dir)
	limitPages(t, db, 200)
	var mu sync.Mutex
	acknowledged := map[task.ID]bool{}
	fill := func(callers, each int) (refused int) {
		var group sync.WaitGroup
		for range callers {
			group.Go(func() {
				for range each {
					w := task.New{Account: account, Kind: task.Message, Number: "15550100101", Text: strings.Repeat("x", 20_000)}
					accepted, err := db.Accept(t.Context(), w, newScene(t, nothing).now)
					mu.Lock()
					if err == nil {
						acknowledged[accepted.ID] = true
					} else if refused++; !errors.Is(err, task.ErrFull) {
						t.Errorf("not told as a full disk: %v", err)
					}
					mu.Unlock()
				}
			})
		}
		group.Wait()
		return refused
	}
	require.Positive(t, fill(8, 20))
	require.NotEmpty(t, acknowledged)
	require.NoError(t, db.Ping(t.Context()))

	limitPages(t, db, -1)
	require.Zero(t, fill(8, 2), "works again once there is space")
	require.NoError(t, db.Close())
	kept := map[task.ID]bool{}
	for _, k := range mustList(t, openDB(t, dir)) {
		kept[k.ID] = true
		require.Len(t, k.Text, 20_000)
	}
	require.Equal(t, acknowledged, kept)
}

func TestALedgerThatTakesNoChangesSaysSoUntilItDoes(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	now := newScene(t, nothing).now
	readOnly := func(on int) {
		_, err := db.writer.conn.ExecContext(t.Context(), `PRAGMA query_only = `+strconv.Itoa(on))
		require.NoError(t, err)
	}
	accept := func() error {
		_, err := db.Accept(t.Context(), task.New{Account: account, Kind: task.Check, Number: "15550100101"}, now)
		return err
	}
	require.NoError(t, accept())
	require.NoError(t, db.writer.do(t.Context(), add("a")))
	require.Error(t, db.writer.do(t.Context(), orphan))
	require.NoError(t, db.Writable(t.Context()), "a change that cannot be made is no fault of the disk")
	readOnly(1)
	require.NoError(t, db.Writable(t.Context()), "nothing was refused yet")
	require.Error(t, accept())
	require.ErrorIs(t, db.Writable(t.Context()), task.ErrUnwritable)
	require.ErrorIs(t, db.Writable(t.Context()), task.ErrUnwritable)
	readOnly(0)
	require.NoError(t, db.Writable(t.Context()))
	require.NoError(t, accept())
}

func TestManyCallersOfAllKinds(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	now := newScene(t, nothing).now
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			for j := range 10 {
				number := strconv.Itoa(15550100000 + i)
				_, err := db.Accept(t.Context(), task.New{Account: account, Kind: task.Check, Number: number, ReturnURL: "http://host/cb"}, now)
				errs := []error{err, db.Heard(t.Context(), account, task.Address{Number: number}, now, now)}
				tasks, err := db.Claim(t.Context(), account, task.ClassCheck, now, 3)
				errs = append(errs, err)
				for _, c := range tasks {
					c.State, c.Verdict, c.Finished = task.Done, task.Yes, now
					errs = append(errs, db.Finish(t.Context(), []task.Finished{{Task: c, Callback: &task.Callback{URL: c.ReturnURL}}}))
				}
				_, err = db.ClaimDue(t.Context(), now, callback.Room{All: 2})
				errs = append(errs, err, db.KeepFacts(t.Context(), session.DefaultAccount, session.Facts{Number: session.Number(number)}))
				_, err = db.List(t.Context(), "", 0, j)
				if err := errors.Join(append(errs, err)...); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	require.Len(t, mustList(t, db), 160)
}

// ridden starts a writer whose rides wait as long as it takes, and gives it one.
func ridden(t *testing.T, soon bool) (w *writer, ride operation) {
	t.Helper()
	w = idleWriter(t)
	w.ops, w.rides, w.stop, w.stopped = make(chan operation), make(chan operation), make(chan struct{}), make(chan struct{})
	w.wait = time.Hour
	w.soon.Store(soon)
	go w.run(t.Context())
	t.Cleanup(w.stopTaking)
	ride = operation{change: add("ride"), done: make(chan error, 1)}
	w.rides <- ride
	return w, ride
}

func TestARideSharesTheCommitOfTheNext(t *testing.T) {
	t.Parallel()
	w, ride := ridden(t, true)
	var there int
	require.NoError(t, w.do(t.Context(), func(ctx context.Context, q queries) error {
		select {
		case <-ride.done:
			return errors.New("it had a commit of its own")
		default:
		}
		return q.QueryRowContext(ctx, `SELECT count(*) FROM account WHERE id = 'ride'`).Scan(&there)
	}))
	require.NoError(t, <-ride.done)
	require.Equal(t, 1, there, "its change comes first, in the same transaction")
}

func TestARideDoesNotWaitWhereNothingIsToCome(t *testing.T) {
	t.Parallel()
	w, ride := ridden(t, false)
	require.NoError(t, <-ride.done)
	w.stopTaking()
	require.Equal(t, []string{"ride"}, accountsOf(t, w))
}

func TestARideIsCommittedWithTheStop(t *testing.T) {
	t.Parallel()
	w, ride := ridden(t, true)
	w.stopTaking()
	require.NoError(t, <-ride.done)
	require.Equal(t, []string{"ride"}, accountsOf(t, w))
	require.ErrorIs(t, w.ride(t.Context(), add("late")), task.ErrStopping)
}
