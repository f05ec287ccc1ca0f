package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// door is a running server whose handler takes every request with a token, and holds those for /held until it is told to let
// them go.
type door struct {
	t       *testing.T
	address string
	held    chan struct{} // gets one value for each request that is held
	reading atomic.Int32  // how many requests for /body have come in by more than what anybody may send
	most    atomic.Int32  // how many that were at most
	letGo   chan struct{}
}

func openDoor(t *testing.T, limits Limits) *door {
	t.Helper()
	d := &door{t: t, held: make(chan struct{}, 100), letGo: make(chan struct{})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d.address = listener.Addr().String()
	server := NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		keepConnection(r.Context())
		if r.Body = (body{r.Body, r.Context()}); r.URL.Path == "/body" {
			d.readBody(w, r)
			return
		}
		if r.ContentLength == 0 {
			allHere(r.Context())
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/held" {
			d.held <- struct{}{}
			select {
			case <-d.letGo:
			case <-r.Context().Done():
			}
		}
		_, _ = io.WriteString(w, "done")
	}), limits, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener, time.Second) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	return d
}

// readBody reads a body to its end.
func (d *door) readBody(w http.ResponseWriter, r *http.Request) {
	first := make([]byte, 2*shortMost)
	_, err := io.ReadFull(r.Body, first)
	if err == nil {
		now := d.reading.Add(1)
		defer d.reading.Add(-1)
		for most := d.most.Load(); now > most && !d.most.CompareAndSwap(most, now); most = d.most.Load() {
		}
		_, err = io.Copy(io.Discard, r.Body)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
}

// dial comes from one of this machine's loopback addresses and says something.
func (d *door) dial(from, says string) net.Conn {
	d.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.DialContext(d.t.Context(), "tcp", d.address)
	require.NoError(d.t, err)
	d.t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, says)
	require.NoError(d.t, err)
	return conn
}

// status reads an answer; 0 when the connection was closed instead.
func status(t *testing.T, conn net.Conn) int {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		slow, ok := errors.AsType[net.Error](err)
		require.False(t, ok && slow.Timeout(), "neither answered nor closed")
		return 0
	}
	_, err = io.Copy(io.Discard, res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode
}

// closed waits until the other side has closed a connection.
func closed(t *testing.T, conn net.Conn) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
	_, err := io.Copy(io.Discard, conn)
	if slow, ok := err.(net.Error); ok { //nolint:errorlint // a reset is fine
		require.False(t, slow.Timeout(), "the connection is still open")
	}
}

const (
	asks      = "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\n\r\n"
	asksAndIs = "GET /held HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\n\r\n"
	begins    = "GET / HTTP/1.1\r\nHost: x\r\nX: "
)

func TestWhoShowsNoTokenGivesWay(t *testing.T) {
	t.Parallel()
	d := openDoor(t, Limits{Connections: 10})
	working := d.dial("127.0.0.1", asksAndIs)
	<-d.held
	var slow []net.Conn
	for range 100 {
		slow = append(slow, d.dial("127.0.0.1", begins))
	}
	require.Equal(t, http.StatusOK, status(t, d.dial("127.0.0.1", asks)), "a caller with a token gets in")
	for _, conn := range slow[:90] { // ten are open at most
		closed(t, conn)
	}
	close(d.letGo)
	require.Equal(t, http.StatusOK, status(t, working), "a request under way is finished")
}

func TestAConnectionThatWaitsForItsNextRequestGivesWayToo(t *testing.T) {
	t.Parallel()
	d := openDoor(t, Limits{Connections: 10})
	first := d.dial("127.0.0.1", asks)
	require.Equal(t, http.StatusOK, status(t, first))
	gone := make(chan struct{})
	go func() {
		closed(t, first)
		close(gone)
	}()
	for open := true; open; { // the server waits for the next request a moment after the client has the answer
		require.Equal(t, http.StatusOK, status(t, d.dial("127.0.0.1", asks)))
		select {
		case <-gone:
			open = false
		default:
		}
	}
}

func TestWithoutRoomTheNextIsTurnedAway(t *testing.T) {
	t.Parallel()
	d := openDoor(t, Limits{Connections: 2})
	first, second := d.dial("127.0.0.1", asksAndIs), d.dial("127.0.0.1", asksAndIs)
	<-d.held
	<-d.held
	closed(t, d.dial("127.0.0.1", ""))
	close(d.letGo)
	require.Equal(t, http.StatusOK, status(t, first))
	require.Equal(t, http.StatusOK, status(t, second))
	require.Equal(t, http.StatusOK, status(t, d.dial("127.0.0.1", asks)), "there is room again")
}

func TestTheAddressWithMostConnectionsGivesWay(t *testing.T) {
	t.Parallel()
	d := openDoor(t, Limits{Connections: 10})
	patient := d.dial("127.0.0.3", begins) // the oldest of all
	for range 100 {
		d.dial("127.0.0.2", begins)
	}
	require.Equal(t, http.StatusOK, status(t, d.dial("127.0.0.4", asks)))
	_, err := io.WriteString(patient, "y\r\nAuthorization: x\r\n\r\n")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status(t, patient))
}

func TestALastWordReachesWhoIsStillSending(t *testing.T) {
	t.Parallel()
	d := openDoor(t, Limits{})
	conn := d.dial("127.0.0.1", "")
	go func() { _, _ = io.WriteString(conn, begins+strings.Repeat("y", 1<<20+1<<16)) }()
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, status(t, conn))
}

func TestSlowClientsAreClosedAndHarmNobody(t *testing.T) {
	t.Parallel()
	const header = 500 * time.Millisecond
	d := openDoor(t, Limits{Header: header})
	var slow sync.WaitGroup
	var open atomic.Int32
	var longest atomic.Int64
	for range 500 {
		open.Add(1)
		slow.Go(func() { // a byte now and then, as slow-loris does
			defer open.Add(-1)
			conn, err := net.Dial("tcp", d.address)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			begun := time.Now()
			for n := 0; ; n++ {
				if _, err := io.WriteString(conn, begins[n%len(begins):][:1]); err != nil {
					break
				}
				_ = conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
				if _, err := conn.Read(make([]byte, 1)); err != nil {
					if slow, ok := err.(net.Error); ok && slow.Timeout() { //nolint:errorlint // a reset is the end
						continue
					}
				}
				break
			}
			longest.Store(max(longest.Load(), int64(time.Since(begun))))
		})
	}
	var took []time.Duration
	for open.Load() > 0 {
		begun := time.Now()
		require.Equal(t, http.StatusOK, status(t, d.dial("127.0.0.1", asks)))
		took = append(took, time.Since(begun))
	}
	slow.Wait()
	slices.Sort(took)
	t.Logf("%d calls beside 500 slow clients: p50 %s, p99 %s; the last slow one was closed after %s",
		len(took), took[len(took)/2], took[len(took)*99/100], time.Duration(longest.Load()))
	require.Less(t, took[len(took)*99/100], 5*time.Second, "on a busy machine")
	require.Less(t, time.Duration(longest.Load()), header+20*time.Second, "on a busy machine")
}

func TestTheLimitsOfTheServerAreThePromisedOnes(t *testing.T) {
	t.Parallel()
	s := NewServer(http.NotFoundHandler(), Limits{}, slog.New(slog.DiscardHandler))
	require.Equal(t, Limits{Connections: 1000, Header: 10 * time.Second}, s.limits)
	require.Equal(t, 10*time.Second, s.http.ReadHeaderTimeout)
	for name, limit := range map[string]time.Duration{"read": s.http.ReadTimeout, "write": s.http.WriteTimeout, "idle": s.http.IdleTimeout} {
		require.NotZero(t, limit, name)
		require.LessOrEqual(t, limit, 2*time.Minute, name)
	}
	require.Greater(t, s.http.WriteTimeout, pairPatience, "the longest wait of a handler")
	require.Equal(t, 1<<20, s.http.MaxHeaderBytes)
}

func TestEachTokenHasItsOwnRate(t *testing.T) {
	t.Parallel()
	r, now := newRates(60), time.Now()
	for range 60 {
		require.Zero(t, r.wait("a", now))
	}
	require.InDelta(t, 1, r.wait("a", now).Seconds(), 0.01)
	require.InDelta(t, 1, r.wait("a", now).Seconds(), 0.01, "what is refused does not count")
	require.Zero(t, r.wait("b", now), "another token")
	require.Zero(t, r.wait("a", now.Add(time.Second)))
	require.NotZero(t, r.wait("a", now.Add(time.Second)))
	for i := range 1000 {
		require.Zero(t, newRates(0).wait(fmt.Sprint(i%2), now), "no limit")
	}
}

// silentConn is a connection over which nothing ever comes.
type silentConn struct{ net.Conn }

func (silentConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (silentConn) Close() error         { return nil }

// BenchmarkAConnectionTooMuch is what each client costs whoever accepts it while there are as many as there may be.
func BenchmarkAConnectionTooMuch(b *testing.B) {
	l := newConnections(nil, Limits{Connections: 1000})
	for b.Loop() {
		l.admit(&connection{Conn: silentConn{}, all: l, source: source("127.0.0.1:1"), gone: make(chan struct{})})
	}
}

func TestTheMostConnectionsOfAnAddressAreKnown(t *testing.T) {
	t.Parallel()
	const seed = 1
	random := rand.New(rand.NewPCG(seed, 0))
	l := newConnections(nil, Limits{Connections: 1 << 20})
	var open []*connection
	for range 10_000 {
		if len(open) > 0 && random.IntN(2) == 0 {
			i := random.IntN(len(open))
			require.NoError(t, open[i].Close())
			open = slices.Delete(open, i, i+1)
		} else {
			c := &connection{Conn: silentConn{}, all: l, source: source(fmt.Sprintf("127.0.0.%d:1", random.IntN(20))), gone: make(chan struct{})}
			require.True(t, l.admit(c))
			open = append(open, c)
		}
		most := map[netip.Prefix]int{}
		for _, c := range open {
			most[c.source]++
		}
		largest := 0
		for _, count := range most {
			largest = max(largest, count)
		}
		require.Len(t, l.sizes, largest+1)
		require.Len(t, l.from, len(most))
	}
}
