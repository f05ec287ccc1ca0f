package session_test

import (
	"fmt"
	"log/slog"
	"os"
	"testing"

	"whatsappd/session"
	"whatsappd/simulator"
)

// rootPrivate is the root key of every simulator of these tests: a process trusts one root.
const rootPrivate = "5a17000000000000000000000000000000000000000000000000000000000003"

func TestMain(m *testing.M) {
	if err := trust(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func trust() error {
	server, err := simulator.New(simulator.Options{RootPrivate: rootPrivate})
	if err != nil {
		return err
	}
	session.QuietSignal(slog.New(slog.DiscardHandler))
	if err := session.UseRootKey(server.RootKey()); err != nil {
		return err
	}
	return server.Close()
}
