package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// receiver is a caller's side: it takes callbacks and keeps what it got.
type receiver struct {
	t      testing.TB
	server *httptest.Server

	mu       sync.Mutex
	status   int // what it answers
	received []received
	byTask   map[string][]received
	more     chan struct{} // closed and replaced at every callback
}

// received is one callback as it arrived.
type received struct {
	Path, Query string
	Header      http.Header
	Body        string
	TaskID      string
	Result      string
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{t: t, status: http.StatusNoContent, more: make(chan struct{}), byTask: map[string][]received{}}
	r.server = httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(r.server.Close)
	return r
}

func (r *receiver) take(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	got := received{Path: req.URL.Path, Query: req.URL.RawQuery, Header: req.Header, Body: string(body)}
	var payload struct {
		TaskID string `json:"task_id"`
		Result string `json:"result"`
	}
	if json.Unmarshal(body, &payload) == nil {
		got.TaskID, got.Result = payload.TaskID, payload.Result
	}
	r.mu.Lock()
	r.received = append(r.received, got)
	r.byTask[got.TaskID] = append(r.byTask[got.TaskID], got)
	close(r.more)
	r.more = make(chan struct{})
	status := r.status
	r.mu.Unlock()
	w.WriteHeader(status)
}

// answer makes the receiver answer with another status until the returned function is called.
func (r *receiver) answer(status int) (restore func()) {
	set := func(status int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.status = status
	}
	set(status)
	return func() { set(http.StatusNoContent) }
}

// address is the receiver's host and port, as callback.allow wants it.
func (r *receiver) address() string { return r.server.Listener.Addr().String() }

// url is a return URL at the receiver.
func (r *receiver) url(path string) string { return r.server.URL + path }

// all returns the callbacks that arrived so far.
func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.received...)
}

// of returns the first callback of a task, if there was one.
func (r *receiver) of(taskID string) (received, bool) {
	if all := r.about(taskID); len(all) > 0 {
		return all[0], true
	}
	return received{}, false
}

// about returns all callbacks of a task.
func (r *receiver) about(taskID string) []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.byTask[taskID])
}

// tasks returns of how many tasks there was a callback.
func (r *receiver) tasks() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byTask)
}

// wants waits for the callback of a task.
func (r *receiver) wants(taskID string) received {
	r.t.Helper()
	var found received
	r.until("the callback of "+taskID, func([]received) (ok bool) {
		found, ok = r.of(taskID)
		return ok
	})
	return found
}

// result waits for the callback of a task and checks what it says.
func (r *receiver) result(taskID, want string) {
	r.t.Helper()
	require.Equal(r.t, want, r.wants(taskID).Result)
}

// until waits until the callbacks that arrived satisfy a condition.
func (r *receiver) until(what string, satisfied func([]received) bool) {
	r.t.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		more := r.more
		got := slices.Clip(r.received) // what is there never changes
		r.mu.Unlock()
		if satisfied(got) {
			return
		}
		select {
		case <-more: // after a long run there is a long queue to work off
			deadline = time.After(patience)
		case <-deadline:
			r.t.Fatalf("%s did not arrive; %d callbacks did", what, len(got))
		}
	}
}
