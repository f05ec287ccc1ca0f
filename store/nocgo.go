//go:build !cgo

package store

import "database/sql/driver"

// Without cgo the SQLite driver is a stub that fails at run time; this fails while it is built, with the reason.
const _ int = "whatsappd needs cgo for SQLite: install a C compiler (Debian: gcc and libc6-dev) and build with CGO_ENABLED=1"

func newConnector(string) driver.Connector { return nil }

func explain(err error) error { return err }
