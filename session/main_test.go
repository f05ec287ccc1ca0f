package session_test

import (
	"fmt"
	"log/slog"
	"os"
	"testing"

	"whatsappd/session"
	"whatsappd/simulator"
)

// rootPrivate is the root key of every simulator of these tests: the protocol library trusts one root per process.
const rootPrivate = "5a17000000000000000000000000000000000000000000000000000000000002"

func TestMain(m *testing.M) {
	sim, err := simulator.New(simulator.Options{RootPrivate: rootPrivate})
	if err == nil {
		err = session.SetUp(slog.New(slog.DiscardHandler), "whatsappd test", sim.RootKey())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := sim.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}
