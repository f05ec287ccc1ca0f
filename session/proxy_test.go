package session_test

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

// testProxy is a proxy for tests. It counts the tunnels it made.
type testProxy struct {
	url     string
	tunnels atomic.Int32
	onward  string // where tunnels lead, whatever is asked for; empty: to what is asked for
	stop    func() // also ends its tunnels
}

// reach opens the far end of a tunnel.
func (p *testProxy) reach(asked string) (net.Conn, error) {
	return net.Dial("tcp", cmp.Or(p.onward, asked))
}

// pipe carries bytes both ways until one side ends.
func pipe(one, other net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{one, other}, {other, one}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // ends with the connection
			_ = way[0].Close()
		})
	}
	both.Wait()
}

// readAhead is a connection of which the server may have read the first byte of the tunnel already.
type readAhead struct {
	net.Conn
	from io.Reader
}

func (c readAhead) Read(into []byte) (int, error) { return c.from.Read(into) }

// httpProxy makes tunnels by CONNECT for who has the right user and password.
func httpProxy(t *testing.T) *testProxy {
	p := &testProxy{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "Basic dXNlcjpwYXNzd29yZA==" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		onward, err := p.reach(r.Host)
		if r.Method != http.MethodConnect || err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.WriteHeader(http.StatusOK)
		conn, read, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		p.tunnels.Add(1)
		t.Cleanup(func() { _ = conn.Close() })
		pipe(readAhead{conn, read.Reader}, onward)
	}))
	p.url = strings.Replace(server.URL, "http://", "http://user:password@", 1)
	p.stop = server.Close
	t.Cleanup(p.stop)
	return p
}

// socksProxy makes tunnels by SOCKS 5 (RFC 1928), without a password, to addresses of IPv4.
func socksProxy(t *testing.T) *testProxy {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &testProxy{url: "socks5://" + listener.Addr().String(), stop: func() { _ = listener.Close() }}
	t.Cleanup(p.stop)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				greeting, request := make([]byte, 3), make([]byte, 10)
				if _, err := io.ReadFull(conn, greeting); err != nil {
					return
				}
				_, _ = conn.Write([]byte{5, 0})
				if _, err := io.ReadFull(conn, request); err != nil || request[3] != 1 {
					return
				}
				onward, err := p.reach(net.JoinHostPort(net.IP(request[4:8]).String(), fmt.Sprint(binary.BigEndian.Uint16(request[8:]))))
				if err != nil {
					return
				}
				_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
				p.tunnels.Add(1)
				pipe(conn, onward)
			}()
		}
	}()
	return p
}

// trapped is an address that only a dial around the proxy reaches.
type trapped struct {
	addr  string
	calls atomic.Int32
}

func trap(t *testing.T) *trapped {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	caught := &trapped{addr: listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			caught.calls.Add(1)
			_ = conn.Close()
		}
	}()
	return caught
}

func TestEverythingGoesThroughTheProxy(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) *testProxy{"http": httpProxy, "socks5": socksProxy} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Options{WebVersion: 1})
			require.NoError(t, w.sim.AddAccount(simulator.AccountSpec{
				Number: ana, Name: "Ana", Sync: simulator.Sync{AppState: true, Chats: 3, Messages: 2000}, // too much for a message: a file
			}))
			p := start(t)
			w.opts.Proxy = p.url
			p.onward = w.sim.Addr()
			around := trap(t)
			w.opts.Simulator.Addr = around.addr
			w.pair()
			for late := time.Now().Add(patience); w.sim.Counters().Downloads == 0 || w.sim.Counters().MediaDeleted == 0; w.rest(20 * time.Millisecond) {
				require.True(t, time.Now().Before(late), "the history was not read")
			}
			_, err := w.send(bea, "hello")
			require.NoError(t, err)
			w.read(bea, 1)
			w.wait("the live version", func() bool {
				_, known := w.account.VersionBehind()
				return known
			})
			const page, file = 1, 1 // the one with the live version, and the history
			require.GreaterOrEqual(t, int(p.tunnels.Load()), w.sim.Counters().Connections+page+file)

			connections := w.sim.Counters().Connections
			p.stop()
			require.NoError(t, w.sim.Kick(ana, simulator.KickDrop))
			w.wait("the proxy is missed", func() bool { return w.account.Status().Reason == session.CodeProxyUnreachable })
			require.Equal(t, connections, w.sim.Counters().Connections, "nothing goes around a proxy that is down")
			require.NotContains(t, w.account.Status().Detail, "password")
			require.Zero(t, around.calls.Load(), "no connection went around the proxy")
		})
	}
}

func TestAProxyThatRefusesUsIsToldApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Proxy = strings.Replace(httpProxy(t).url, "user:password@", "user:wrong@", 1)
	w.opts.Timing.PairStart = w.opts.Timing.BackoffMax
	w.run()
	w.wait("a round that ends", func() bool { return w.account.Pairing().Reason == session.CodeProxyUnreachable })
	require.NotContains(t, w.account.Pairing().Detail, "wrong")
	require.Zero(t, w.sim.Counters().Connections)
}

func TestASimulatorIsNotReachedThroughAnotherMachine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Proxy = "http://192.0.2.1:3128"
	_, err := session.Open(t.Context(), w.opts)
	require.ErrorContains(t, err, "loopback")
}
