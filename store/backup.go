package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrNotBackup is returned for a file that Backup did not make.
var ErrNotBackup = errors.New("this is not a backup of whatsappd")

// ErrNotEmpty is returned when a backup is to be restored over something.
var ErrNotEmpty = errors.New("it is not empty; a backup is restored into an empty data_dir only")

// Backup is what a backup tells of itself beside the ledger.
type Backup struct {
	Made      time.Time
	Version   string // of the program that made it
	Settings  string // the settings in effect, as YAML, without secrets
	Simulated string // root key of the simulator that the ledger belongs to; empty for the real WhatsApp
}

// The table that makes a copy of the ledger a backup. It is taken out again when the backup is restored.
const (
	makeBackupTable = `CREATE TABLE backup (made INTEGER NOT NULL, version TEXT NOT NULL, settings TEXT NOT NULL, simulated TEXT NOT NULL) STRICT`
	fillBackupTable = `INSERT INTO backup (made, version, settings, simulated) VALUES (?, ?, ?, ?)`
	readBackupTable = `SELECT made, version, settings, simulated FROM backup`
	dropBackupTable = `DROP TABLE backup`
)

// endEvents gives up the events that a backup still had to deliver: they are old news, and may have been delivered since.
const endEvents = `UPDATE callback SET state = 'dead', finished = ?, last_error = 'a backup was restored that still had it to deliver'
	WHERE task_id IS NULL AND state IN ('due', 'sending')`

// WriteBackup copies the ledger of a data directory, and what b says, into one new file that only we can read. The daemon may
// run meanwhile: the copy is what was committed when it began. WhatsApp's own keys are left out, because old ones lose
// messages. A file that is there already is never overwritten, and one that could not be finished is taken away.
func WriteBackup(ctx context.Context, dir, path string, b Backup) (err error) {
	ledger := filepath.Join(dir, ledgerFile)
	if fileSize(ledger) <= 0 {
		return fmt.Errorf("back up %s: there is no ledger; is it the daemon's data_dir?", ledger)
	}
	mark, err := os.ReadFile(filepath.Join(dir, markFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("back up %s: %w", ledger, withUser(err))
	}
	b.Simulated = strings.TrimSpace(string(mark))
	err = newFile(path, func(unfinished string) error { return copyLedger(ctx, ledger, unfinished, b) })
	if err != nil {
		return fmt.Errorf("back up %s into %s: %w", ledger, path, err)
	}
	return nil
}

// copyLedger makes a backup under its unfinished name.
func copyLedger(ctx context.Context, ledger, path string, b Backup) (err error) {
	steps, err := readSteps(migrations)
	if err != nil {
		return err
	}
	pool := openFile(ledger, copying, 1)
	defer func() { err = errors.Join(err, pool.Close()) }()
	if version, err := schemaVersion(ctx, pool, ledger, steps); err != nil {
		return err
	} else if version == 0 {
		return ErrNotLedger
	}
	if err := vacuumInto(ctx, pool, path); err != nil {
		return err
	}
	out := openFile(path, writing, 1)
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := out.ExecContext(ctx, makeBackupTable); err != nil {
		return explain(err)
	}
	_, err = out.ExecContext(ctx, fillBackupTable, millis(b.Made), b.Version, b.Settings, b.Simulated)
	return explain(err)
}

// Restore puts the ledger of a backup into an empty data directory, which it makes when it is missing. Nothing is changed
// when the backup is damaged, foreign or of a newer program, or when the directory is in use. The account is to be paired
// again afterwards.
func Restore(ctx context.Context, path, dir string, log *slog.Logger) (_ Backup, err error) {
	b, err := readBackup(ctx, path)
	if err != nil {
		return b, fmt.Errorf("restore %s: %w", path, err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return b, fmt.Errorf("data directory %s: %w", dir, err)
	}
	if err := mustBeEmpty(dir); err != nil {
		return b, err
	}
	if err := makePrivate(dir, log); err != nil {
		return b, err
	}
	held, err := takeLock(dir)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, held.release()) }()
	if err := mustBeEmpty(dir); err != nil { // somebody may have come between
		return b, err
	}
	if b.Simulated != "" { // the mark is on the disk before the first database is
		if err := writeWhole(dir, markFile, b.Simulated+"\n"); err != nil {
			return b, fmt.Errorf("mark the data directory as simulated: %w", err)
		}
	}
	err = newFile(filepath.Join(dir, ledgerFile), func(unfinished string) error { return takeOut(ctx, path, unfinished) })
	if err != nil {
		return b, fmt.Errorf("restore %s into %s: %w", path, dir, errors.Join(err, unmark(dir)))
	}
	return b, nil
}

// unmark takes the mark of a simulated directory away again.
func unmark(dir string) error {
	if err := os.Remove(filepath.Join(dir, markFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// readBackup reads all of a backup, to see that it is whole, and returns what it says of itself.
func readBackup(ctx context.Context, path string) (b Backup, err error) {
	if _, err := os.Stat(path); err != nil {
		return b, withUser(err)
	}
	if err := checkHead(path); errors.Is(err, ErrNotLedger) || fileSize(path) == 0 {
		return b, ErrNotBackup
	} else if err != nil {
		return b, err
	}
	steps, err := readSteps(migrations)
	if err != nil {
		return b, err
	}
	pool := openFile(path, reading, 1)
	defer func() { err = errors.Join(err, pool.Close()) }()
	version, err := schemaVersion(ctx, pool, path, steps)
	if err != nil {
		return b, err
	}
	var tables int
	err = pool.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'backup'`).Scan(&tables)
	if err == nil && tables == 0 {
		err = ErrNotBackup
	}
	if err == nil {
		err = compareSchema(ctx, pool, steps[:version])
	}
	if err == nil {
		_, err = readWhole(ctx, pool, `PRAGMA main.integrity_check(1)`)
	}
	if err != nil {
		return b, explain(err)
	}
	err = pool.QueryRowContext(ctx, readBackupTable).Scan(moment{&b.Made}, &b.Version, &b.Settings, &b.Simulated)
	return b, explain(err)
}

// takeOut makes the ledger that a backup holds under its unfinished name.
func takeOut(ctx context.Context, path, unfinished string) (err error) {
	in, err := os.Open(path)
	if err != nil {
		return withUser(err)
	}
	defer in.Close()
	out, err := os.OpenFile(unfinished, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return withUser(err)
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	pool := openFile(unfinished, writing, 1)
	defer func() { err = errors.Join(err, pool.Close()) }()
	if _, err := pool.ExecContext(ctx, endEvents, millis(time.Now())); err != nil {
		return explain(err)
	}
	_, err = pool.ExecContext(ctx, dropBackupTable)
	return explain(err)
}

// newFile makes a file that is there completely or not at all, and never in place of another one. What makes it gets a name
// beside it. A file that is cut off by a crash is left empty, its unfinished part beside it.
func newFile(path string, make func(unfinished string) error) (err error) {
	unfinished := path + ".part"
	// Only the name of a file that we made ourselves is given to the finished one.
	mine, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return errors.New("it is there already, and no file is overwritten")
	}
	if err != nil {
		return withUser(err)
	}
	defer func() {
		if err != nil {
			_, _ = os.Remove(unfinished), os.Remove(path) // of no use; the error is the one to tell
		}
	}()
	if err := mine.Close(); err != nil {
		return err
	}
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return withUser(err)
	}
	if err := make(unfinished); err != nil {
		return err
	}
	return rename(unfinished, path)
}

// mustBeEmpty refuses a directory that holds anything but a lock, or what a volume of its own has.
func mustBeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into the data directory: %w", withUser(err))
	}
	for _, entry := range entries {
		if name := entry.Name(); name != lockFile && name != "lost+found" {
			return fmt.Errorf("data directory %s: %w (there is %s)", dir, ErrNotEmpty, name)
		}
	}
	return nil
}
