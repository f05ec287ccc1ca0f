package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"
)

// attempt is one try to deliver a callback, as the ledger has it.
type attempt struct {
	took   time.Duration
	status int
	reason string
}

// firstAttempt waits for the first try to deliver a task's callback.
func (w *world) firstAttempt(task string) (first attempt) {
	w.eventually("a callback is tried", func() bool {
		db := w.open(w.data("ledger.db"))
		defer func() { _ = db.Close() }()
		var ms int64
		err := db.QueryRowContext(w.ctx, `SELECT a.took_ms, a.status, a.error FROM callback_attempt a JOIN callback c ON c.id = a.callback_id
			WHERE c.task_id = ? ORDER BY a.n LIMIT 1`, task).Scan(&ms, &first.status, &first.reason)
		first.took = time.Duration(ms) * time.Millisecond
		return err == nil
	})
	return first
}

// listen opens a port on which each connection is handed to a function.
func (t *trial) listen(address string, serve func(net.Conn)) (at string, count *atomic.Int64) {
	l, err := net.Listen("tcp", address) //nolint:noctx // it lives as long as the trial
	t.must(err, "listen on "+address)
	t.cleanup(func() { _ = l.Close() })
	count = &atomic.Int64{}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			count.Add(1)
			go func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			}()
		}
	}()
	return l.Addr().String(), count
}

// hostileReceivers are receivers that refuse, fall silent, or answer without an end. Each costs one attempt of at most 15 s and
// little memory.
func hostileReceivers(t *trial) {
	w := newWorld(t)
	at := map[string]string{} // return URLs by what is wrong with them
	raw := func(what string, serve func(net.Conn)) {
		address, _ := t.listen("127.0.0.1:0", func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 4096)) // the request
			serve(conn)
		})
		at[what] = "http://" + address + "/cb"
	}
	closed, _ := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	at["refused"] = "http://" + closed.Addr().String() + "/cb"
	_ = closed.Close()
	raw("reset", func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) })
	raw("never answers", func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	raw("one byte a second", func(conn net.Conn) {
		for _, err := conn.Write([]byte("HTTP/1.1 200 OK\r\nX: ")); err == nil; _, err = conn.Write([]byte("x")) {
			time.Sleep(time.Second)
		}
	})
	raw("a body of 1 GiB", func(conn net.Conn) {
		_, err := fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 1<<30)
		for ; err == nil; _, err = conn.Write(make([]byte, 1<<16)) {
		}
	})
	raw("headers without an end", func(conn net.Conn) {
		_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		for ; err == nil; _, err = fmt.Fprintf(conn, "X-%d: %01000d\r\n", time.Now().UnixNano(), 0) {
		}
	})
	bomb := gzipped(t)
	raw("a gzip bomb", func(conn net.Conn) {
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", len(bomb))
		_, _ = conn.Write(bomb)
	})
	foreign := httptest.NewTLSServer(http.NotFoundHandler())
	t.cleanup(foreign.Close)
	at["a foreign certificate"] = foreign.URL + "/cb"
	at["a name that is not there"] = "http://nowhere.invalid/cb"
	w.settings["WHATSAPPD_CALLBACK_ALLOW"] = w.hook.address() + ",127.0.0.1,nowhere.invalid"
	w.serve()
	w.pair()
	for range 20 {
		w.send(contact(0))
	}
	t.pause(time.Second)
	before := w.daemon.memory("VmRSS")
	tasks := map[string]string{}
	for what, url := range at {
		a := w.message(contact(1))
		a.returnURL, a.elsewhere = url, true
		a, err := w.ask(t.ctx, a)
		t.must(err, "hand over a message")
		tasks[what] = a.id
	}
	most := 0.0
	for what, task := range tasks {
		first := w.firstAttempt(task)
		t.check(first.took <= 15500*time.Millisecond, "%s: the attempt took %s", what, first.took)
		t.check(first.status/100 == 2 || first.reason != "", "%s: no reason is kept", what)
		most = max(most, w.daemon.memory("VmRSS")-before)
		t.result.Cycles++
	}
	t.note("memory grew by %.1f MiB", most)
	t.check(most <= 8, "memory grew by %.1f MiB", most)
	w.send(contact(2)) // the others are not held up
	w.reckon()
}

// gzipped is 1 GiB of zeros.
func gzipped(t *trial) []byte {
	var out bytes.Buffer
	writer := gzip.NewWriter(&out)
	zeros := make([]byte, 1<<20)
	for range 1 << 10 {
		_, err := writer.Write(zeros)
		t.must(err, "compress zeros")
	}
	t.must(writer.Close(), "compress zeros")
	return out.Bytes()
}

// redirects are receivers that send callbacks elsewhere: to themselves, to loopback, to the address at which clouds keep
// secrets. No callback goes there.
func redirects(t *trial) {
	w := newWorld(t)
	trap, trapped := t.listen("127.0.0.1:0", func(net.Conn) {})
	targets := map[string]int{"http://" + trap + "/": http.StatusTemporaryRedirect, "http://" + trap + "/permanent": http.StatusPermanentRedirect}
	if t.own && t.command("ip", "addr", "add", "169.254.169.254/32", "dev", "lo") == nil {
		_, metadata := t.listen("169.254.169.254:80", func(net.Conn) {})
		targets["http://169.254.169.254/latest/meta-data/"] = http.StatusMovedPermanently
		defer func() { t.check(metadata.Load() == 0, "%d connections to the metadata address", metadata.Load()) }()
	}
	var loops atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/loop", func(rw http.ResponseWriter, r *http.Request) {
		loops.Add(1)
		http.Redirect(rw, r, "/loop", http.StatusFound)
	})
	mux.HandleFunc("/to", func(rw http.ResponseWriter, r *http.Request) {
		to := r.FormValue("url")
		http.Redirect(rw, r, to, targets[to])
	})
	server := httptest.NewServer(mux)
	t.cleanup(server.Close)
	w.settings["WHATSAPPD_CALLBACK_ALLOW"] = w.hook.address() + "," + server.Listener.Addr().String()
	w.serve()
	w.pair()
	urls := []string{server.URL + "/loop"}
	for target := range targets {
		urls = append(urls, server.URL+"/to?url="+target)
	}
	for _, url := range urls {
		a := w.message(contact(0))
		a.returnURL, a.elsewhere = url, true
		a, err := w.ask(t.ctx, a)
		t.must(err, "hand over a message")
		first := w.firstAttempt(a.id)
		t.check(first.status/100 == 3, "%s: the attempt ended with %d %s", url, first.status, first.reason)
		t.result.Cycles++
	}
	t.check(loops.Load() == 1, "the redirect to itself was followed %d times", loops.Load()-1)
	t.check(trapped.Load() == 0, "%d connections to loopback", trapped.Load())
	w.reckon()
}

// rebinding has names that lead to an allowed address when they are judged, and to this machine when they are dialled.
func rebinding(t *trial) {
	t.needsTool("ip", "iproute2")
	const public = "198.51.0.7" // made ours in here; in no special range
	var asked atomic.Int64
	t.newNames(func(name string, aaaa bool) []net.IP {
		switch {
		case name == "mixed.test" && aaaa:
			return []net.IP{net.IPv6loopback}
		case aaaa:
			return nil
		case name == "mixed.test":
			return []net.IP{net.ParseIP(public), net.IPv4(127, 0, 0, 1)}
		case asked.Add(1) == 1:
			return []net.IP{net.ParseIP(public)}
		default:
			return []net.IP{net.IPv4(127, 0, 0, 1)}
		}
	})
	t.must(t.command("ip", "addr", "add", public+"/32", "dev", "lo"), "take an address")
	fails := func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	}
	open, _ := t.listen(public+":0", fails)
	_, local := t.listen("127.0.0.1:"+port(open), fails)
	_, local6 := t.listen("[::1]:"+port(open), fails)
	w := paired(t)
	for _, name := range []string{"rebind.test", "mixed.test"} {
		a := w.message(contact(0))
		a.returnURL, a.elsewhere = "http://"+name+":"+port(open)+"/cb", true
		a, err := w.ask(t.ctx, a)
		t.must(err, "hand over a message")
		first := w.firstAttempt(a.id)
		t.note("%s: %d %s", name, first.status, first.reason)
		if name == "rebind.test" {
			t.check(first.status == http.StatusInternalServerError, "the first attempt did not reach the public address: %s", first.reason)
			t.eventually("the second attempt is refused", func() bool { return w.ledger()[a.id].callback == "dead" })
		}
		t.result.Cycles++
	}
	t.check(local.Load() == 0 && local6.Load() == 0, "%d connections to this machine", local.Load()+local6.Load())
	w.flawless()
}

// deadReceiver gives thousands of callbacks to a receiver that never answers. The others do not wait for it.
func deadReceiver(t *trial) {
	dead, others := 1000, 100
	if t.long {
		dead, others = 10000, 500
	}
	silent, _ := t.listen("127.0.0.1:0", func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	w := newWorld(t)
	w.settings["WHATSAPPD_CALLBACK_ALLOW"] = w.hook.address() + "," + silent
	w.serve()
	w.pair()
	first, err := w.ask(t.ctx, w.checkOf(contact(0))) // later ones are answered from memory
	t.must(err, "hand over a check")
	t.eventually("the first check is done", func() bool { return len(w.hook.about(first.id)) > 0 })
	ask := func(count int) error {
		errs := make(chan error, 16)
		for i := range cap(errs) {
			go func() {
				for n := i; n < count; n += cap(errs) {
					a := w.checkOf(contact(0))
					a.returnURL, a.elsewhere = "http://"+silent+"/cb", true
					if _, err := w.ask(t.ctx, a); err != nil {
						errs <- err
						return
					}
				}
				errs <- nil
			}()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				return err
			}
		}
		return nil
	}
	t.must(ask(dead), "hand over checks for the dead receiver")
	t.eventually("all of them are due", func() bool { return w.metric(`whatsappd_tasks{state="done"}`) >= float64(dead) })
	for range others {
		_, err := w.ask(t.ctx, w.checkOf(contact(0)))
		t.must(err, "hand over a check for another receiver")
		t.pause(20 * time.Millisecond)
	}
	t.eventually("the others are told", func() bool {
		w.hook.mu.Lock()
		defer w.hook.mu.Unlock()
		return len(w.hook.byTask) >= others+1
	})
	delays := w.callbackDelays()
	p95 := percentile(delays, 95)
	t.note("95 of 100 of the others' callbacks arrived within %.2f s of the task's end", p95.Seconds())
	t.check(p95 <= 2*time.Second, "95 of 100 callbacks of the others took up to %s", p95)
	t.result.Cycles++
	w.result.Accepted = dead + others + 1
	w.result.Done = 0
	for _, e := range w.ledger() {
		if e.state == "done" {
			w.result.Done++
		}
	}
	t.eventually("every check is done", func() bool {
		w.result.Done = 0
		for _, e := range w.ledger() {
			if e.state == "done" {
				w.result.Done++
			}
		}
		return w.result.Done == w.result.Accepted
	})
}

// callbackDelays is how long after the end of its task each callback arrived.
func (w *world) callbackDelays() (all []time.Duration) {
	db := w.open(w.data("ledger.db"))
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(w.ctx, `SELECT id, finished FROM task WHERE finished > 0`)
	w.must(err, "read the ledger")
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id string
		var ms int64
		w.must(rows.Scan(&id, &ms), "read the ledger")
		if got := w.hook.about(id); len(got) > 0 {
			all = append(all, got[0].at.Sub(time.UnixMilli(ms)))
		}
	}
	w.must(rows.Err(), "read the ledger")
	return all
}
