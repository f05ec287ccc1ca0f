// Package store keeps everything durable in SQLite: tasks, callbacks, accounts and what is known of numbers in ledger.db, and
// WhatsApp's own keys in whatsapp.db, which belongs to whatsmeow and is only opened here.
//
// It knows files, schema and statements, and fills the interfaces that its users declare: task.Keeper, callback.Keeper and
// session.Keeper. Policy is theirs: when a task is due again, how often a callback is tried, what an answer is worth.
package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"whatsappd/callback"
	"whatsappd/session"
	"whatsappd/task"
)

// batchSize is how many operations share a commit at most.
const batchSize = 256

// The databases of a data directory.
const (
	ledgerFile   = "ledger.db"
	whatsappFile = "whatsapp.db"
)

// DB is an open data directory. Its methods can be called from many goroutines.
//
// It implements task.Keeper, callback.Keeper and session.Keeper.
type DB struct {
	dir    string
	log    *slog.Logger
	lock   *lock
	reads  *sql.DB // read-only, several connections
	writer *writer // the only way to change the ledger

	announce func(account session.AccountID, before, after session.Facts) []callback.Event // nil for no events

	checked bool // the whole ledger was read when it was opened

	mu       sync.Mutex // guards the rest
	whatsapp *sql.DB
	uses     int64 // how often it was taken up and put down
	closed   bool
	closeErr error
}

var (
	_ task.Keeper    = (*DB)(nil)
	_ session.Keeper = (*DB)(nil)
)

// Options says what a data directory is opened for.
type Options struct {
	Simulated string       // root key of the simulator in hex; empty for the real WhatsApp
	Logger    *slog.Logger // nil for none

	// Announce returns the events that a change in the facts about an account makes: they are kept with the change. Nil for none.
	Announce func(account session.AccountID, before, after session.Facts) []callback.Event

	wholeLimit int64 // a test's own; 0 for wholeLimit
}

// Open opens the data directory, makes it when it is missing, and brings the ledger to the newest schema. It holds an
// exclusive lock until Close. ErrLocked, ErrMode, ErrLive, ErrSimulated, ErrOtherSimulator, ErrNotLedger, ErrDamaged and
// ErrNewerSchema are told apart; the message of each is a sentence for the operator.
func Open(ctx context.Context, dir string, opts Options) (*DB, error) {
	return open(ctx, dir, opts, batchSize)
}

func open(ctx context.Context, dir string, opts Options, batch int) (_ *DB, err error) {
	db := &DB{log: opts.Logger, announce: opts.Announce}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	if db.dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	if err := makePrivate(db.dir, db.log); err != nil {
		return nil, err
	}
	if db.lock, err = takeLock(db.dir); err != nil {
		return nil, err
	}
	if err := checkMark(db.dir, opts.Simulated); err != nil {
		return nil, err
	}
	if err := db.openLedger(ctx, batch, cmp.Or(opts.wholeLimit, wholeLimit)); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(db.dir, ledgerFile), err)
	}
	return db, nil
}

// openLedger opens ledger.db, brings it up to date and starts the writer.
func (db *DB) openLedger(ctx context.Context, batch int, limit int64) error {
	path := filepath.Join(db.dir, ledgerFile)
	if err := prepareFile(path); err != nil {
		return err
	}
	steps, err := readSteps(migrations)
	if err != nil {
		return err
	}
	logged := fileSize(path + "-wal")
	found, err := inspect(ctx, path, steps, limit)
	if err != nil {
		if logged < 0 && fileSize(path+"-wal") == 0 {
			_, _ = os.Remove(path+"-shm"), os.Remove(path+"-wal") // made by looking; they would be of no harm
		}
		return err
	}
	pool := openFile(path, writing, 1)
	conn, err := pool.Conn(ctx)
	if err != nil {
		return errors.Join(explain(err), pool.Close())
	}
	if err := db.prepare(ctx, conn, path, steps, found); err != nil {
		return errors.Join(err, conn.Close(), pool.Close())
	}
	db.writer = startWriter(ctx, pool, conn, batch)
	db.reads = openFile(path, reading, readers)
	db.reads.SetConnMaxIdleTime(readerIdle)
	if err := db.reads.PingContext(ctx); err != nil {
		return fmt.Errorf("open for reading: %w", err)
	}
	return nil
}

// prepare brings a ledger that was looked at to the newest schema, and its broken rows to an end.
func (db *DB) prepare(ctx context.Context, conn *sql.Conn, path string, steps []string, found finding) error {
	if err := migrate(ctx, conn, path, steps); err != nil {
		return err
	}
	if err := useLog(ctx, conn); err != nil {
		return err
	}
	if found.rows {
		db.log.Warn("the ledger has rows that break its own rules; they are set aside")
		if err := mendRows(ctx, conn, time.Now()); err != nil {
			return err
		}
	}
	if count, err := endStrays(ctx, conn, time.Now()); err != nil {
		return err
	} else if count > 0 {
		db.log.Warn("the ledger has rows that no queue would take; they end as damaged", "count", count)
	}
	if db.checked = found.whole; !db.checked {
		return nil
	}
	if err := os.Remove(filepath.Join(db.dir, suspectFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the ledger is whole again: %w", withUser(err))
	}
	return nil
}

// Close commits what was taken, moves the write-ahead log into the database and gives the directory back. Operations that
// come later fail with task.ErrStopping. It can be called twice.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return db.closeErr
	}
	db.closed = true
	var errs []error
	if db.whatsapp != nil && db.writer != nil {
		errs = append(errs, db.countUse(context.Background())) // whatever ended, this is still to be done
	}
	if db.writer != nil {
		db.writer.stopTaking()
	}
	if db.reads != nil {
		errs = append(errs, db.reads.Close()) // before the writer's: the last connection to close removes the log
	}
	if db.writer != nil {
		errs = append(errs, db.writer.close())
	}
	if db.whatsapp != nil {
		errs = append(errs, db.whatsapp.Close())
	}
	if db.lock != nil {
		errs = append(errs, db.lock.release())
	}
	if err := errors.Join(errs...); err != nil {
		db.closeErr = fmt.Errorf("close data directory %s: %w", db.dir, err)
	}
	return db.closeErr
}

// Ping tells whether the ledger answers: it goes once through the writer and once through the readers.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.writer.do(ctx, func(context.Context, queries) error { return nil }); err != nil {
		return fmt.Errorf("ping the writer: %w", err)
	}
	var one int
	if err := db.reads.QueryRowContext(ctx, `SELECT 1 FROM sqlite_schema LIMIT 1`).Scan(&one); err != nil {
		return fmt.Errorf("ping the readers: %w", err)
	}
	return nil
}

// Writable tells whether the disk takes changes of the ledger. After it has refused one, a small file and a small change are
// tried at each call until both work; until then the error is task.ErrFull or task.ErrUnwritable.
func (db *DB) Writable(ctx context.Context) error {
	if !db.writer.refused.Load() {
		return nil
	}
	// The log may have room of its own on a disk that is full, or that the system made read-only after an error.
	probe := filepath.Join(db.dir, "probe")
	err := os.WriteFile(probe, make([]byte, 64<<10), 0o600)
	_ = os.Remove(probe) // may never have been there
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w: %w", task.ErrFull, err)
	case err != nil:
		return fmt.Errorf("%w: %w", task.ErrUnwritable, err)
	}
	if _, err := db.change(ctx, `UPDATE account SET pace_paired_at = pace_paired_at`); err != nil {
		return fmt.Errorf("try the ledger: %w", err)
	}
	db.writer.refused.Store(false)
	return nil
}

// Free returns how many bytes the program may still write to the disk of the data directory.
func (db *DB) Free() (uint64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(db.dir, &stat); err != nil {
		return 0, fmt.Errorf("ask for free space in %s: %w", db.dir, err)
	}
	return stat.Bavail * uint64(stat.Bsize), nil
}
