package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// ErrNotLedger is returned for a database file that holds something else. The file is left as it is.
var ErrNotLedger = errors.New("this is not a database of whatsappd; move it away, or choose another data_dir")

// ErrDamaged is returned for a database whose content contradicts itself.
var ErrDamaged = errors.New("the database is damaged; restore a backup, or move it away to start with an empty one")

// readers is how many connections read the ledger side by side.
const readers = 4

// readerIdle is after how long without work such a connection is closed: a daemon that has nothing to do holds few handles. The
// next one takes a millisecond or two to open.
const readerIdle = 5 * time.Second

// magic is how every SQLite database begins.
const magic = "SQLite format 3\x00"

// The ways to open a database. Each connection of a pool needs its pragmas, so they stand in its address.
const (
	// writing: foreign keys, because whatsmeow refuses to start without; FULL, because a commit is a promise that must survive
	// a power cut, and the driver's default for a write-ahead log is less; a wait for whoever else holds the file, of which two
	// in a row, that of the call before and one's own, end before callers hang up after 30 s; transactions that take the write
	// lock at once, because taking it later can fail without a wait; deleted text overwritten where that costs no extra write.
	writing = "_foreign_keys=on&_synchronous=FULL&_busy_timeout=14000&_txlock=immediate&_secure_delete=fast&_stmt_cache_size=64"
	// copying: as reading, but for a statement that writes another file.
	copying = "mode=ro&_busy_timeout=14000"
	reading = "mode=ro&_query_only=1&_busy_timeout=14000&_stmt_cache_size=64"
)

// useLog turns the write-ahead log on, so that readers do not wait for the writer. The file remembers it.
func useLog(ctx context.Context, q queries) error {
	var mode string
	if err := q.QueryRowContext(ctx, `PRAGMA main.journal_mode = WAL`).Scan(&mode); err != nil {
		return fmt.Errorf("turn the write-ahead log on: %w", explain(err))
	}
	if mode != "wal" {
		return fmt.Errorf("turn the write-ahead log on: the journal mode stays %q; is this a network file system?", mode)
	}
	return nil
}

// openFile returns a pool of connections to a database; none is opened yet.
func openFile(path, mode string, connections int) *sql.DB {
	address := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + mode
	pool := sql.OpenDB(newConnector(address))
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	return pool
}

// readable reports whether the beginning of a database says that SQLite may write it: the two bytes after the page size are
// its formats for writing and for reading.
func readable(head []byte) bool {
	return bytes.HasPrefix(head, []byte(magic)) && (head[18] == 1 || head[18] == 2)
}

// checkHead refuses a file that is no database, told by its first bytes, and a log whose database is gone. Nothing is
// touched.
func checkHead(path string) error {
	if fileSize(path) <= 0 && fileSize(path+"-wal") > 0 { // SQLite would make a new one and drop the log
		return fmt.Errorf("%w: it is empty or gone, and its log %s-wal is there", ErrDamaged, filepath.Base(path))
	}
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return withUser(err)
	}
	defer file.Close()
	head := make([]byte, 20)
	if n, err := io.ReadFull(file, head); n > 0 && !readable(head) {
		return ErrNotLedger
	} else if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// prepareFile makes the file of a database readable for nobody else; SQLite gives its log the same mode.
func prepareFile(path string) error {
	if err := checkHead(path); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return withUser(err)
	}
	if err := file.Close(); err != nil {
		return err
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Chmod(name, 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
			return withUser(err)
		}
	}
	return nil
}

// withUser adds who we are to a refusal of the operating system.
func withUser(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w (running as user %d)", err, os.Geteuid())
	}
	return err
}

// millis is a time as it is kept: unix milliseconds, 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// fromMillis is the reverse of millis.
func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// moment scans a kept time into the time it holds.
type moment struct{ *time.Time }

// Scan implements sql.Scanner.
func (m moment) Scan(value any) error {
	ms, ok := value.(int64)
	if !ok {
		return fmt.Errorf("a time is kept as %T", value)
	}
	*m.Time = fromMillis(ms)
	return nil
}
