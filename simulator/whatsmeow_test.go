package simulator_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types/events"
	waLog "go.mau.fi/whatsmeow/util/log"

	"whatsappd/simulator"
)

// patience is how long tests wait for what must happen.
const patience = 60 * time.Second

// start starts a server under the root these tests trust, with one phone.
func start(t testing.TB, opts ...simulator.Options) *simulator.Server {
	t.Helper()
	var o simulator.Options
	if len(opts) > 0 {
		o = opts[0]
	}
	o.RootPrivate = rootPrivate
	// A client on a busy machine still reads a last stanza before it sees the close.
	o.CloseGrace = 2 * time.Second
	server := simulator.Start(t, o)
	require.NoError(t, server.AddAccount(simulator.AccountSpec{Number: ana, Name: "Ana"}))
	return server
}

// ana is the number of the phone most tests have.
const ana = "5511900000001"

// client is an unmodified whatsmeow client that talks to a simulator and remembers its events.
type client struct {
	*whatsmeow.Client
	device *store.Device
	log    *testLog

	mu     sync.Mutex
	events []any
	more   chan struct{}
}

// newStore makes an empty store of the library in a file of its own.
func newStore(t testing.TB) *sqlstore.Container {
	t.Helper()
	path := filepath.Join(t.TempDir(), "whatsapp.db")
	db, err := sql.Open("sqlite3", "file:"+path+"?_foreign_keys=on&_journal_mode=WAL&_synchronous=OFF")
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	container := sqlstore.NewWithDB(db, "sqlite3", waLog.Noop)
	require.NoError(t, container.Upgrade(t.Context()))
	t.Cleanup(func() { require.NoError(t, container.Close()) })
	return container
}

// newClient makes a client over a device of a store. A warning or error in its log fails the test unless tolerated.
func newClient(t testing.TB, addr string, device *store.Device) *client {
	t.Helper()
	log := &testLog{t: t}
	c := &client{Client: whatsmeow.NewClient(device, log), device: device, log: log, more: make(chan struct{}, 1)}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "tcp", addr)
	}
	transport := &http.Transport{DialContext: dial, DialTLSContext: dial}
	web := &http.Client{Transport: transport}
	c.SetWebsocketHTTPClient(web)
	c.SetPreLoginHTTPClient(web)
	c.SetMediaHTTPClient(web)
	c.AddEventHandler(c.remember)
	t.Cleanup(func() {
		log.close()
		c.Disconnect()
		transport.CloseIdleConnections()
	})
	return c
}

func (c *client) remember(event any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, event)
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// wait returns the next event of a type, and forgets those before it.
func wait[E any](t testing.TB, c *client) E {
	t.Helper()
	late := time.After(patience)
	for {
		if event, ok := take[E](c); ok {
			return event
		}
		select {
		case <-c.more:
		case <-late:
			var wanted E
			t.Fatalf("no %T", wanted)
		}
	}
}

func take[E any](c *client) (E, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, event := range c.events {
		if wanted, ok := event.(E); ok {
			c.events = c.events[i+1:]
			return wanted, true
		}
	}
	var none E
	return none, false
}

// paired returns a client that is linked to Ana's phone and connected.
func paired(t testing.TB, server *simulator.Server) *client {
	t.Helper()
	c := newClient(t, server.Addr(), newStore(t).NewDevice())
	require.NoError(t, c.Connect())
	codes := wait[*events.QR](t, c)
	require.NoError(t, server.Scan(t.Context(), ana, codes.Codes[0]))
	wait[*events.PairSuccess](t, c)
	wait[*events.Connected](t, c)
	return c
}

// testLog fails the test on warnings and errors, which a client has no reason for in a calm scenario.
type testLog struct {
	t        testing.TB
	mu       sync.Mutex
	tolerant bool
	closed   bool
}

func (l *testLog) tolerate() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tolerant = true
}

func (l *testLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

func (l *testLog) complain(level, format string, args []any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
	case strings.HasPrefix(format, "Failed to send keepalive"): // a ping may fall into the restart after pairing
	case l.tolerant:
		l.t.Logf("whatsmeow %s: %s", level, fmt.Sprintf(format, args...))
	default:
		l.t.Errorf("whatsmeow %s: %s", level, fmt.Sprintf(format, args...))
	}
}

func (l *testLog) Warnf(format string, args ...any)  { l.complain("warning", format, args) }
func (l *testLog) Errorf(format string, args ...any) { l.complain("error", format, args) }
func (l *testLog) Infof(string, ...any)              {}
func (l *testLog) Debugf(string, ...any)             {}
func (l *testLog) Sub(string) waLog.Logger           { return l }
