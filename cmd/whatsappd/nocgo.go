//go:build !cgo

package main

// Without cgo the SQLite driver is a stub that fails at run time; this fails while it is built, with the reason.
const _ int = "whatsappd needs cgo for SQLite: build with CGO_ENABLED=1 and a C compiler"
