package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
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
		var slow net.Error
		require.NotErrorAs(t, err, &slow, "neither answered nor closed")
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
	d := openDoor(t, Limits{Connections: 2})
	first := d.dial("127.0.0.1", asks)
	require.Equal(t, http.StatusOK, status(t, first))
	require.Equal(t, http.StatusOK, status(t, d.dial("127.0.0.1", asks)))
	require.Equal(t, http.StatusOK, status(t, d.dial("127.0.0.1", asks)))
	closed(t, first)
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

func TestWhatWasSentWithoutAnAnswerIsBounded(t *testing.T) {
	t.Parallel()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := newConnections(plain, 100, 100<<10)
	server := &http.Server{Handler: http.NotFoundHandler(), MaxHeaderBytes: 1 << 20}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	d := &door{t: t, address: plain.Addr().String()}
	held := func() (total int64, most int64) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for e := l.order.Front(); e != nil; e = e.Next() {
			sent := e.Value.(*connection).sent
			total, most = total+sent, max(most, sent)
		}
		require.Equal(t, total, l.sent)
		require.LessOrEqual(t, total, l.unread)
		return total, most
	}
	small := d.dial("127.0.0.1", begins+strings.Repeat("y", 1<<10))
	require.Eventually(t, func() bool { total, _ := held(); return total > 1<<10 }, 30*time.Second, time.Millisecond)
	for range 20 {
		d.dial("127.0.0.1", begins+strings.Repeat("y", 30<<10))
		held()
	}
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.order.Len() <= 1+3 // three of the large ones find room
	}, 30*time.Second, time.Millisecond)
	held()
	_, err = io.WriteString(small, "\r\n\r\n")
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, status(t, small), "who sent little is left alone")
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
