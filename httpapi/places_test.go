package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// hall is connections without a server.
type hall struct {
	t *testing.T
	l *connections
}

// enter opens a connection that is at the point where a request is long, and asks for a place. It does so again each time
// something is heard from the client, until there is an error.
func (h hall) enter() (client net.Conn, placed, ended chan error) {
	client, server := net.Pipe()
	c := &connection{Conn: server, all: h.l, gone: make(chan struct{})}
	require.True(h.t, h.l.admit(c))
	c.sent.Store(shortMost)
	placed, ended = make(chan error, 1), make(chan error, 1)
	go func() {
		err := h.l.places.take(c)
		placed <- err
		for err == nil && c.broken == nil {
			_, err = c.Read(make([]byte, 100))
		}
		ended <- c.Close()
	}()
	synctest.Wait()
	return client, placed, ended
}

// counts is how many have a place, and how many wait for one.
func (h hall) counts() (taken, waiting int) {
	h.l.places.mu.Lock()
	defer h.l.places.mu.Unlock()
	return len(h.l.places.taken), len(h.l.places.waiting)
}

// clear closes all connections.
func (h hall) clear() {
	h.l.mu.Lock()
	var open []*connection
	for e := h.l.order.Front(); e != nil; e = e.Next() {
		open = append(open, e.Value.(*connection))
	}
	h.l.mu.Unlock()
	for _, c := range open {
		c.giveWay()
	}
	synctest.Wait()
	taken, waiting := h.counts()
	require.Zero(h.t, taken)
	require.Zero(h.t, waiting)
}

func TestWhoSendsWithoutABreakIsLetThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hall{t, newConnections(nil, Limits{Connections: 1000, Header: 10 * time.Second})}
		talker, placed, ended := h.enter()
		require.NoError(t, <-placed)
		silent := make([]chan error, 0, 100)
		for range 100 {
			_, _, ended := h.enter()
			silent = append(silent, ended)
		}
		for range 100 { // enough for all that wait
			time.Sleep(silenceMost / 2)
			_, err := talker.Write([]byte("more"))
			require.NoError(t, err)
			taken, _ := h.counts()
			require.LessOrEqual(t, taken, placesMost)
		}
		require.Empty(t, ended)
		gone := 0
		for _, ended := range silent {
			gone += len(ended)
		}
		require.GreaterOrEqual(t, gone, 100-placesMost, "those who say nothing gave way to one another")
		_ = talker.Close()
		<-ended
		h.clear()
	})
}

func TestWhoCameLastIsTheNextToBeLetIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hall{t, newConnections(nil, Limits{Connections: 1000, Header: 10 * time.Second})}
		for range placesMost + 100 {
			h.enter()
		}
		_, placed, _ := h.enter()
		begun := time.Now()
		require.NoError(t, <-placed)
		require.LessOrEqual(t, time.Since(begun), 2*silenceMost)
		h.clear()
	})
}

func TestNobodyWaitsForAPlaceForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hall{t, newConnections(nil, Limits{Connections: 1000, Header: 10 * time.Second})}
		var talkers []net.Conn
		for range placesMost {
			client, _, _ := h.enter()
			talkers = append(talkers, client)
		}
		begun := time.Now()
		_, placed, ended := h.enter()
		for len(placed) == 0 {
			time.Sleep(silenceMost / 2)
			for _, client := range talkers {
				_, err := client.Write([]byte("more"))
				require.NoError(t, err)
			}
			synctest.Wait()
		}
		require.ErrorIs(t, <-placed, noPlace{})
		require.InDelta(t, 10*time.Second, time.Since(begun), float64(silenceMost))
		require.NoError(t, <-ended)
		_, waiting := h.counts()
		require.Zero(t, waiting)
		h.clear()
	})
}

func TestAPlaceIsGivenBack(t *testing.T) {
	t.Parallel()
	d := openDoor(t, Limits{})
	long := "GET /held HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nX: " + strings.Repeat("y", 100<<10) + "\r\n\r\n"
	sent := fmt.Sprintf("POST /held HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nContent-Length: %d\r\n\r\n", 100<<10) + strings.Repeat("y", 100<<10)
	var held []net.Conn
	for range 3 * placesMost { // once the token is seen, or the body is read, though they are not answered
		held = append(held, d.dial("127.0.0.1", long))
		<-d.held
		held = append(held, d.dial("127.0.0.1", sent))
		<-d.held
	}
	conn := d.dial("127.0.0.1", "")
	for range 3 * placesMost { // with the answer, though there is no token
		_, err := io.WriteString(conn, strings.Replace(long, "Authorization", "Other", 1))
		require.NoError(t, err)
		require.Equal(t, http.StatusUnauthorized, status(t, conn))
	}
	for range 3 * placesMost { // with the connection
		require.NoError(t, d.dial("127.0.0.1", begins+strings.Repeat("y", 100<<10)).Close())
	}
	require.Equal(t, http.StatusUnauthorized, status(t, d.dial("127.0.0.1", strings.Replace(long, "Authorization", "Other", 1))))
	close(d.letGo)
	for _, conn := range held {
		require.Equal(t, http.StatusOK, status(t, conn), "nobody who has sent all gives way")
	}
}

func TestALongRequestGetsThroughBesideThoseThatDoNotEnd(t *testing.T) {
	t.Parallel()
	d := openDoor(t, Limits{Header: 10 * time.Minute}) // only who gives way makes room
	for range 100 {
		d.dial("127.0.0.1", begins+strings.Repeat("y", 30<<10))
	}
	small := d.dial("127.0.0.1", begins)
	long := "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nX: " + strings.Repeat("y", 900<<10) + "\r\n\r\n"
	for begun, answer := time.Now(), 0; answer != http.StatusOK; { // on a busy machine it may itself be silent for too long
		require.Less(t, time.Since(begun), time.Minute)
		conn := d.dial("127.0.0.1", "")
		_, _ = io.WriteString(conn, long) // it may be closed already
		answer = status(t, conn)
	}
	_, err := io.WriteString(small, "y\r\nAuthorization: x\r\n\r\n")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status(t, small), "who sent little is left alone")
}

func TestALongBodyGetsThroughBesideThoseThatDoNotEnd(t *testing.T) {
	t.Parallel()
	d := openDoor(t, Limits{Header: 10 * time.Minute}) // only who gives way makes room
	begins := fmt.Sprintf("POST /body HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nContent-Length: %d\r\n\r\n", 900<<10)
	for range 100 {
		d.dial("127.0.0.1", begins+strings.Repeat("y", 30<<10))
	}
	for begun, answer := time.Now(), 0; answer != http.StatusOK; { // on a busy machine it may itself be silent for too long
		require.Less(t, time.Since(begun), time.Minute)
		conn := d.dial("127.0.0.1", "")
		_, _ = io.WriteString(conn, begins+strings.Repeat("y", 900<<10)) // it may be closed already
		answer = status(t, conn)
	}
	require.LessOrEqual(t, int(d.most.Load()), placesMost+1, "one that is whole gives its place away before it is counted out")
}

func TestABodyThatFoundNoPlaceIsToComeAgain(t *testing.T) {
	t.Parallel()
	err := decode(iotest.ErrReader(noPlace{}), &TaskRequest{}, "kind")
	require.Equal(t, errBusy, badBody(err))
	require.Equal(t, 10*time.Second, errBusy.retryAfter())
	require.True(t, failureOf(errBusy.code).Retryable)
}

// TestALongLineThatBreaksOffIsNotTakenForAWholeOne is about what net/http would do with it: quote all of it.
func TestALongLineThatBreaksOffIsNotTakenForAWholeOne(t *testing.T) {
	t.Parallel()
	for sent := shortMost; sent < shortMost+5000; sent += 123 {
		client, server := net.Pipe()
		l := newConnections(nil, Limits{Connections: 10, Header: time.Minute})
		c := &connection{Conn: server, all: l, gone: make(chan struct{})}
		require.True(t, l.admit(c))
		go func() {
			_, _ = io.WriteString(client, strings.Repeat("y", sent))
			_ = client.Close()
		}()
		line, err := textproto.NewReader(bufio.NewReader(c)).ReadLine()
		require.Empty(t, line)
		require.ErrorIs(t, err, io.EOF)
		require.NoError(t, c.Close())
	}
}
