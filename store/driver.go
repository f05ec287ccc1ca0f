//go:build cgo

package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/mattn/go-sqlite3"

	"whatsappd/task"
)

// connector opens connections to one file with a driver of its own, so that nothing is registered for the whole process.
type connector struct {
	driver  *sqlite3.SQLiteDriver
	address string
}

// Connect implements driver.Connector.
func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.address) }

// Driver implements driver.Connector.
func (c connector) Driver() driver.Driver { return c.driver }

func newConnector(address string) connector {
	return connector{address: address, driver: &sqlite3.SQLiteDriver{
		ConnectHook: func(c *sqlite3.SQLiteConn) error {
			// a container may have no directory for temporary files
			_, err := c.Exec("PRAGMA temp_store = MEMORY", nil)
			return err
		},
	}}
}

// explain gives SQLite's failures the names that callers act on.
func explain(err error) error {
	var failure sqlite3.Error
	if !errors.As(err, &failure) {
		return err
	}
	switch {
	case failure.Code == sqlite3.ErrFull,
		failure.ExtendedCode == sqlite3.ErrIoErrSHMSize,
		failure.SystemErrno == syscall.ENOSPC,
		failure.SystemErrno == syscall.EDQUOT:
		return fmt.Errorf("%w: %w", task.ErrFull, err)
	case failure.Code == sqlite3.ErrIoErr, failure.Code == sqlite3.ErrReadonly, failure.Code == sqlite3.ErrBusy, failure.Code == sqlite3.ErrCantOpen:
		return fmt.Errorf("%w: %w", task.ErrUnwritable, err)
	case failure.Code == sqlite3.ErrNotADB,
		failure.Code == sqlite3.ErrError && strings.Contains(err.Error(), "unsupported file format"):
		return fmt.Errorf("%w: %w", ErrNotLedger, err)
	case failure.Code == sqlite3.ErrCorrupt:
		return damaged(err.Error())
	}
	return err
}
