package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"whatsappd/task"
)

// queries runs statements: inside the writer's transaction, or on the pool of readers.
type queries interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// writer is the one goroutine that changes the ledger. All operations that wait share a commit, and with it the wait for the
// disk: that is what lets many callers be answered durably in the time of one.
type writer struct {
	pool    *sql.DB
	conn    *sql.Conn // the only one, so that its prepared statements are always at hand
	batch   int
	ops     chan operation // without a buffer: an operation is either with its caller or taken
	rides   chan operation // those whose callers have time: see ride
	wait    time.Duration  // at most, of a ride
	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once
	soon    atomic.Bool // the present message ends with a commit, in some milliseconds
	refused atomic.Bool // the disk did not take a change, and has not been tried since
}

// operation is one caller's change. It is all made or not at all.
type operation struct {
	change func(context.Context, queries) error
	done   chan error
}

func startWriter(ctx context.Context, pool *sql.DB, conn *sql.Conn, batch int) *writer {
	w := &writer{
		pool: pool, conn: conn, batch: batch,
		ops: make(chan operation), rides: make(chan operation), wait: rideWait, stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	// A commit outlives the callers who wait for it: half of the batch belongs to others.
	go w.run(context.WithoutCancel(ctx))
	return w
}

// do makes a change and returns after its commit. When the context ends before the change was taken, nothing happens; once
// taken, the answer is what became of it.
func (w *writer) do(ctx context.Context, change func(context.Context, queries) error) error {
	return w.hand(ctx, w.ops, change)
}

// rideWait is the longest that ride puts a commit off.
const rideWait = 5 * time.Millisecond

// ride is do for a change that can wait for a moment: while messages go out one by one it shares the commit of one of them.
func (w *writer) ride(ctx context.Context, change func(context.Context, queries) error) error {
	return w.hand(ctx, w.rides, change)
}

// hand gives an operation to the writer.
func (w *writer) hand(ctx context.Context, to chan<- operation, change func(context.Context, queries) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	op := operation{change: change, done: make(chan error, 1)}
	select {
	case <-w.stop:
		return task.ErrStopping
	default:
	}
	select {
	case to <- op:
		return <-op.done
	case <-w.stop:
		return task.ErrStopping
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) run(ctx context.Context) {
	defer close(w.stopped)
	batch := make([]operation, 0, w.batch)
	for {
		select {
		case <-w.stop:
			return
		case op := <-w.ops:
			batch = append(batch[:0], op)
		case op := <-w.rides:
			batch = w.await(append(batch[:0], op))
		}
		batch = w.gather(batch)
		w.commit(ctx, batch)
	}
}

// await waits for an operation whose commit can be shared. What was taken is committed also when the writer is to stop.
func (w *writer) await(batch []operation) []operation {
	if !w.soon.Load() {
		return batch
	}
	timer := time.NewTimer(w.wait)
	defer timer.Stop()
	for len(batch) < w.batch {
		select {
		case op := <-w.ops:
			return append(batch, op)
		case op := <-w.rides:
			batch = append(batch, op)
		case <-timer.C:
			return batch
		case <-w.stop:
			return batch
		}
	}
	return batch
}

// gather adds the operations that wait.
func (w *writer) gather(batch []operation) []operation {
	runtime.Gosched() // lets the callers of the last commit come back with their next change
	for len(batch) < w.batch {
		select {
		case op := <-w.ops:
			batch = append(batch, op)
		case op := <-w.rides:
			batch = append(batch, op)
		default:
			return batch
		}
	}
	return batch
}

// commit makes the changes of a batch in one transaction and answers each caller. A change that fails is undone alone. When
// the transaction fails, nobody's change was made, and everybody hears why: also those who failed before, because what they
// ran into may have been a change that is gone now.
func (w *writer) commit(ctx context.Context, batch []operation) {
	errs := make([]error, len(batch))
	err := transact(ctx, w.conn, func() (err error) {
		for i, op := range batch {
			if errs[i], err = w.apply(ctx, op); err != nil {
				return err
			}
		}
		return nil
	})
	for i, op := range batch {
		if err != nil {
			errs[i] = err
		}
		told := explain(errs[i])
		if errors.Is(told, task.ErrFull) || errors.Is(told, task.ErrUnwritable) {
			w.refused.Store(true)
		}
		op.done <- told
	}
}

// apply makes one change. The second error tells that the whole transaction is lost: on a full disk SQLite may roll it back
// by itself, and the savepoint with it.
func (w *writer) apply(ctx context.Context, op operation) (own, lost error) {
	if _, err := w.conn.ExecContext(ctx, `SAVEPOINT operation`); err != nil {
		return nil, err
	}
	own = op.change(ctx, w.conn)
	if own != nil {
		if _, err := w.conn.ExecContext(ctx, `ROLLBACK TO operation`); err != nil {
			return nil, own
		}
	}
	_, lost = w.conn.ExecContext(ctx, `RELEASE operation`)
	return own, lost
}

// stopTaking lets the batch in work end and refuses all other operations.
func (w *writer) stopTaking() {
	w.once.Do(func() { close(w.stop) })
	<-w.stopped
}

// close stops the writer, moves the log into the database and closes it.
func (w *writer) close() error {
	w.stopTaking()
	var errs []error
	if _, err := w.conn.ExecContext(context.Background(), `PRAGMA main.wal_checkpoint(TRUNCATE)`); err != nil {
		errs = append(errs, fmt.Errorf("move the log into the ledger: %w", err))
	}
	return errors.Join(append(errs, w.conn.Close(), w.pool.Close())...)
}
