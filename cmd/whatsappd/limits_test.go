package main

import (
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/httpapi"
)

// slowClients is larger in make load.
var slowClients = flag.Int("slow", 300, "how many slow clients hold on to the daemon in the test of its limits")

// memory is what a process holds at this moment and held at most, in bytes.
func (p *process) memory() (now, most int64) {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(p.t, err)
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			now = kilobytes << 10
		case "VmHWM":
			most = kilobytes << 10
		}
	}
	require.NotZero(p.t, now)
	return now, max(now, most)
}

// hold opens connections that say a part of a request and no more, and keeps them until the test ends. Those that the daemon
// closes are not opened again.
func (w *world) hold(count int, says string) {
	w.t.Helper()
	address := strings.TrimPrefix(w.base, "http://")
	for range count {
		conn, err := net.Dial("tcp", address)
		if err != nil { // the system's own queue is full for the moment
			continue
		}
		w.t.Cleanup(func() { _ = conn.Close() })
		_, _ = io.WriteString(conn, says) // it may be closed already
	}
}

// callers measures calls that have a token, on a connection of its own each.
func (w *world) callers(count int) (took []time.Duration) {
	w.t.Helper()
	for range count {
		begun := time.Now()
		res, body := w.raw(w.t, call("GET", "/v1/tasks?limit=1"))
		require.Equal(w.t, http.StatusOK, res.StatusCode, body)
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	return took
}

func TestSlowClientsLeaveTheMemoryFlat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.settings["WHATSAPPD_PAIRING_AUTO"] = "false"
	w.settings["WHATSAPPD_LOG_LEVEL"] = "info" // thousands of lines are no help
	w.settings["GOMEMLIMIT"] = "200MiB"        // as the compose file has it
	if *slowClients < 1000 {
		w.settings["WHATSAPPD_LIMIT_CONNECTIONS"] = "100"
	}
	w.serve()
	w.callers(50)
	before, _ := w.daemon.memory()
	w.hold(*slowClients, "POST /ws/check/4915112345678/http://host/ HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("y", 4<<10))
	held, _ := w.daemon.memory()
	w.hold(*slowClients/10, "POST /ws/message/4915112345678/"+strings.Repeat("y", 900<<10))
	large, most := w.daemon.memory()
	took := w.callers(50)
	t.Logf("%d slow clients: %.1f MiB before, %.1f MiB beside them, %.1f MiB with a tenth of large requests, %.1f MiB at most; callers p50 %s, p99 %s",
		*slowClients, float64(before)/(1<<20), float64(held)/(1<<20), float64(large)/(1<<20), float64(most)/(1<<20), took[len(took)/2], took[len(took)*99/100])
	require.Less(t, most, int64(256<<20), "what the compose file allows")
	if *slowClients < 1000 {
		require.Less(t, most-before, int64(80<<20))
	}
	require.Less(t, took[len(took)/2], time.Second, "on a busy machine")
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.daemon.cmd.Process.Pid))
	require.NoError(t, err)
	require.LessOrEqual(t, len(files), 1000+100)
}

// TestFewHandlesAreEnough has the system allow 64 handles, and five hundred clients.
func TestFewHandlesAreEnough(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sh")
	require.NoError(t, err)
	w := newWorld(t, 1)
	w.settings["WHATSAPPD_LOG_LEVEL"] = "info"
	path, err := binary()
	require.NoError(t, err)
	w.run(exec.Command(shell, "-c", `ulimit -n 64; exec "$0" "$@"`, path, "serve"))
	require.Contains(t, w.daemon.output(), "few open files")
	w.pair()
	w.hold(500, "POST /ws/")
	w.hook.result(w.ws("message", contact(1), "beside the others"), "True")
	w.hold(500, "POST /ws/")
	w.hook.result(w.ws("check", contact(1)), "True")
	w.online()
	require.NotContains(t, w.daemon.output(), "too many open files")
	code, _ := w.daemon.stop()
	require.Zero(t, code)
}

func TestAFullQueueAcceptsNothingByHalves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	w.settings["WHATSAPPD_LIMIT_QUEUE"] = "3"
	w.settings["WHATSAPPD_PACE_OFF"] = "false" // first messages to strangers wait for minutes after a pairing
	w.serve()
	w.pair()
	keyed := strings.Replace(call("POST", "/ws/message/"+contact(1)+"/hello/"+url.PathEscape(w.hook.url("/cb"))), "\r\n\r\n", "\r\nIdempotency-Key: order-1\r\n\r\n", 1)
	res, first := w.raw(t, keyed)
	require.Equal(t, http.StatusAccepted, res.StatusCode, first)
	ids := []string{taskID(t, first)}
	for i := range 2 {
		ids = append(ids, w.ws("message", contact(i+2), "waits for a while"))
	}
	path := "/ws/check/" + contact(1) + "/" + url.PathEscape(w.hook.url("/cb"))
	full := func() {
		t.Helper()
		res, body := w.raw(t, call("POST", path))
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, body)
		require.NotEmpty(t, res.Header.Get("Retry-After"))
		require.Contains(t, body, `"status":"failed"`)
		res, body = w.raw(t, keyed)
		require.Equal(t, http.StatusAccepted, res.StatusCode, "a repeat is no new work: %s", body)
		require.Equal(t, first, body)
	}
	full()
	output, code := w.command("tasks")
	require.Zero(t, code, output)
	require.Len(t, strings.Split(strings.TrimSpace(output), "\n"), 1+len(ids), "a refused call was stored:\n%s", output)
	w.daemon.stop()
	w.serve()
	full() // what waited before counts
	res, body := w.raw(t, strings.Replace(call("POST", path), "/ws/check/"+contact(1), "/ws/login", 1))
	require.Equal(t, http.StatusAccepted, res.StatusCode, "a log-in finds room: %s", body)
}

// drip says a text over and over, a byte at a time, until the other side has gone.
func drip(conn net.Conn, text string) {
	for n := 0; ; n++ {
		if _, err := io.WriteString(conn, text[n%len(text):][:1]); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// flood says a text over and over, as fast as it is taken, up to a gigabyte.
func flood(conn net.Conn, text string) (sent int64) {
	for sent < 1<<30 {
		n, err := io.WriteString(conn, text)
		if sent += int64(n); err != nil {
			break
		}
	}
	return sent
}

// TestReceiversThatMisbehaveCostNoMemory has the daemon meet every bad receiver at once, and several times.
func TestReceiversThatMisbehaveCostNoMemory(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	most := map[string]int64{} // sent by mode, at most
	raw := func(mode string, misbehave func(conn net.Conn) int64) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _, err := rw.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			sent := misbehave(conn)
			mu.Lock()
			defer mu.Unlock()
			most[mode] = max(most[mode], sent)
		}
	}
	modes := map[string]struct {
		handler http.HandlerFunc
		state   string // after the first attempt
	}{
		"closes":        {raw("closes", func(net.Conn) int64 { return 0 }), "due"},
		"says nonsense": {raw("says nonsense", func(c net.Conn) int64 { return flood(c, "\x00\xff nonsense\r\n") }), "due"},
		"never answers": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, "due"},
		"endless header": {raw("endless header", func(c net.Conn) int64 {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ")
			return flood(c, strings.Repeat("x", 4096))
		}), "due"},
		"endless headers": {raw("endless headers", func(c net.Conn) int64 {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			return flood(c, "X-Y: "+strings.Repeat("z", 1000)+"\r\n")
		}), "due"},
		"endless hints": {raw("endless hints", func(c net.Conn) int64 { return flood(c, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n") }), "due"},
		"a gigabyte with an error": {raw("a gigabyte with an error", func(c net.Conn) int64 {
			_, _ = io.WriteString(c, "HTTP/1.1 500 No\r\nContent-Length: 1073741824\r\n\r\n")
			return flood(c, strings.Repeat("x", 65536))
		}), "due"},
		"a gigabyte": {raw("a gigabyte", func(c net.Conn) int64 {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
			return flood(c, strings.Repeat("x", 65536))
		}), "delivered"},
		"endless chunks": {raw("endless chunks", func(c net.Conn) int64 {
			_, _ = io.WriteString(c, "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n")
			return flood(c, "1;"+strings.Repeat("x", 1000)+"\r\ny\r\n")
		}), "due"},
		"a bomb": {func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Encoding", "gzip")
			rw.WriteHeader(http.StatusInternalServerError)
			bomb := gzip.NewWriter(rw)
			zeros := make([]byte, 1<<20)
			for range 1024 {
				if _, err := bomb.Write(zeros); err != nil {
					return
				}
			}
		}, "due"},
		"drips its header": {raw("drips its header", func(c net.Conn) int64 { drip(c, "HTTP/1.1 200 OK\r\nX: "); return 0 }), "due"},
		"drips its body": {raw("drips its body", func(c net.Conn) int64 {
			_, _ = io.WriteString(c, "HTTP/1.1 500 No\r\nContent-Length: 100000\r\n\r\n")
			drip(c, "x")
			return 0
		}), "due"},
	}
	w := newWorld(t, 0)
	w.settings["WHATSAPPD_PAIRING_AUTO"] = "false"
	w.settings["WHATSAPPD_LOG_LEVEL"] = "info"
	urls := map[string]string{}
	for mode, m := range modes {
		server := httptest.NewServer(m.handler)
		t.Cleanup(server.Close)
		urls[mode] = server.URL + "/" + strings.ReplaceAll(mode, " ", "-")
		w.settings["WHATSAPPD_CALLBACK_ALLOW"] += "," + server.Listener.Addr().String()
	}
	w.serve()
	check := func(returnURL string) string { // nobody is logged in: the callback goes out at once
		res, body := w.raw(t, call("POST", "/ws/check/4915112345678/"+returnURL))
		require.Equal(t, http.StatusAccepted, res.StatusCode, body)
		return taskID(t, body)
	}
	for range 100 {
		w.hook.wants(check(w.hook.url("/cb")))
	}
	before, _ := w.daemon.memory()
	begun := time.Now()
	tasks := map[string]string{} // mode by task
	for mode, url := range urls {
		for range 3 {
			tasks[check(url)] = mode
		}
	}
	ended := map[string]string{} // mode by callback
	w.eventually("every attempt has ended", func() bool {
		var all httpapi.CallbacksAnswer
		w.get("/v1/callbacks?limit=500", &all)
		for _, d := range all.Callbacks {
			if mode := tasks[d.TaskID]; mode != "" && (d.LastError != "" || d.LastStatus != 0) {
				ended[d.ID] = mode
				require.Contains(t, []string{modes[mode].state, "sending"}, d.State, mode)
			}
		}
		return len(ended) == len(tasks)
	})
	took := time.Since(begun)
	now, high := w.daemon.memory()
	mu.Lock()
	defer mu.Unlock()
	t.Logf("%.1f MiB before, %.1f MiB after, %.1f MiB at most; %s; sent at most %v", float64(before)/(1<<20), float64(now)/(1<<20), float64(high)/(1<<20), took.Round(time.Millisecond), most)
	for mode, sent := range most {
		require.Less(t, sent, int64(16<<20), "%s: the system's buffers hold some", mode)
	}
	require.Less(t, high-before, int64(8<<20), "half of it on a quiet machine")
	for id, mode := range ended {
		var one httpapi.CallbackAnswer
		w.get("/v1/callbacks/"+id, &one)
		require.NotEmpty(t, one.Attempts)
		require.Less(t, one.Attempts[0].TookMS, int64(20_000), "%s: 15 s, on a busy machine", mode)
	}
	w.hook.wants(check(w.hook.url("/cb"))) // others are served
}
