package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// served starts a handler and returns a drive against it.
func served(t *testing.T, handler http.HandlerFunc) drive {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return drive{address: server.Listener.Addr().String(), status: http.StatusAccepted, request: func(int) []byte {
		return []byte("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
	}}
}

// TestAStallIsMeasuredOnEveryCallThatWasDue stalls a server once: with a driver that waits for answers only one call would be
// slow.
func TestAStallIsMeasuredOnEveryCallThatWasDue(t *testing.T) {
	t.Parallel()
	const due = 50 // calls, all due within the stall
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	stalled := make(chan struct{})
	var asked atomic.Int32
	d := served(t, func(w http.ResponseWriter, _ *http.Request) {
		<-stalled
		if asked.Add(1) == due {
			cancel()
		}
		w.WriteHeader(http.StatusAccepted)
	})
	d.clients, d.rate = 1, 1000
	const stall = 200 * time.Millisecond
	time.AfterFunc(stall, func() { close(stalled) })
	got := d.run(ctx)
	require.NoError(t, got.err())
	require.GreaterOrEqual(t, len(got.took), due)
	require.Len(t, got.bodies, len(got.took))
	require.GreaterOrEqual(t, got.percentile(50), stall/2, "calls were measured from when they were sent")
}

func TestOtherAnswersAreToldOf(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	d := served(t, func(w http.ResponseWriter, _ *http.Request) {
		defer cancel()
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	d.clients = 1
	got := d.run(ctx)
	require.ErrorContains(t, got.err(), "Service Unavailable:1")
	require.Empty(t, got.took)
}

func TestAConnectionThatEndsIsMadeAnew(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	var asked, connected atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 6 {
			cancel()
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connected.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	d := drive{address: server.Listener.Addr().String(), clients: 1, each: 2, status: http.StatusAccepted, request: func(int) []byte {
		return []byte("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
	}}
	got := d.run(ctx)
	require.NoError(t, got.err())
	require.Equal(t, int32(3), connected.Load())
	require.Len(t, got.took, 6)
}

func TestFiguresAreChosenByName(t *testing.T) {
	t.Parallel()
	chosen, err := choose("accept, idle")
	require.NoError(t, err)
	require.Len(t, chosen, 2)
	require.Equal(t, "accept", chosen[0].name)
	_, err = choose("accept,nothing")
	require.ErrorContains(t, err, `"nothing"`)
	all, err := choose("")
	require.NoError(t, err)
	require.Len(t, all, len(figures()))
}

// TestNoHandleOfOursIsCountedAsTheirs has a handle that is inherited, as a shell may leave one.
func TestNoHandleOfOursIsCountedAsTheirs(t *testing.T) { //nolint:paralleltest // it is about the handles of the whole process
	const inherited = 200
	require.NoError(t, unix.Dup2(1, inherited))
	t.Cleanup(func() { _ = unix.Close(inherited) })
	handles := func() string {
		out, err := exec.CommandContext(t.Context(), "ls", "/proc/self/fd").Output()
		require.NoError(t, err)
		return string(out)
	}
	require.Contains(t, handles(), strconv.Itoa(inherited))
	require.NoError(t, keepHandles())
	require.NotContains(t, handles(), strconv.Itoa(inherited))
}
