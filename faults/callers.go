package main

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// fewHandles lets the daemon have 64 open files while 500 clients come. It does not crash, and works again when they are gone.
func fewHandles(t *trial) {
	w := paired(t)
	limit := unix.Rlimit{Cur: 64, Max: 64}
	t.must(unix.Prlimit(w.daemon.cmd.Process.Pid, unix.RLIMIT_NOFILE, &limit, nil), "limit the open files")
	var idle []net.Conn
	for range 300 { // these say nothing
		if conn, err := net.DialTimeout("tcp", w.plainAddress(), time.Second); err == nil { //nolint:noctx // on loopback, with a time limit
			idle = append(idle, conn)
		}
	}
	var group sync.WaitGroup
	for range 200 {
		a := w.message(contact(0))
		group.Go(func() { _, _ = w.ask(t.ctx, a) }) // it may be refused
	}
	group.Wait()
	for _, conn := range idle {
		_ = conn.Close()
	}
	t.check(w.daemon.alive(), "the daemon ended:\n%s", w.daemon.tail())
	recovered := t.within(30*time.Second, "work is taken again", func() bool {
		_, err := w.ask(t.ctx, w.message(contact(1)))
		return err == nil
	})
	t.note("%d of 200 calls were taken, again after %.1f s", len(w.accepted)-1, recovered.Seconds())
	t.result.Cycles++
	w.reckon()
}

func (w *world) plainAddress() string { return strings.TrimPrefix(w.address(), "http://") }

// slowCallers send their requests a byte a second. They are thrown out, and others do not notice them.
func slowCallers(t *trial) {
	const slow = 500
	w := paired(t)
	alone := w.callsTake(3 * time.Second)
	var group sync.WaitGroup
	lasted := make([]time.Duration, slow)
	for i := range slow {
		group.Go(func() {
			conn, err := net.DialTimeout("tcp", w.plainAddress(), 5*time.Second) //nolint:noctx // on loopback, with a time limit
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			begun := time.Now()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = conn.Read(make([]byte, 1024)) // an answer, or the end
				lasted[i] = time.Since(begun)
			}()
			for _, b := range []byte("POST /ws/check/" + strings.Repeat("4", 60) + " HTTP/1.1\r\n") {
				if _, err := conn.Write([]byte{b}); err != nil {
					break
				}
				select {
				case <-time.After(time.Second):
				case <-ended:
					return
				}
			}
			<-ended
		})
	}
	t.pause(time.Second)
	p99 := w.callsTake(5 * time.Second)
	group.Wait()
	_, longest := times(lasted)
	t.note("slow ones were closed within %.1f s; 99 of 100 others were answered within %d ms, without them %d ms", longest.Seconds(), p99.Milliseconds(), alone.Milliseconds())
	t.check(longest <= 11*time.Second, "a slow caller was let be for %s", longest)
	t.check(p99 <= max(100*time.Millisecond, 5*alone), "99 of 100 others were answered within %s, without slow ones within %s", p99, alone)
	t.result.Cycles = slow
	w.reckon()
}

// callsTake hands over checks one after the other and returns within what time 99 of 100 were answered.
func (w *world) callsTake(lasts time.Duration) time.Duration {
	w.answers = nil
	for begun := time.Now(); time.Since(begun) < lasts; w.pause(10 * time.Millisecond) {
		_, err := w.ask(w.ctx, w.checkOf(contact(0)))
		w.must(err, "hand over a check")
	}
	return percentile(w.answers, 99)
}

// hastyCallers are gone before they have their answer. Their task is there, whole, or it is not.
func hastyCallers(t *trial) {
	w := paired(t)
	for i := range t.cycles {
		a := w.message(contact(i % contacts))
		conn, err := net.Dial("tcp", w.plainAddress()) //nolint:noctx // on loopback
		t.must(err, "connect")
		_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token token=%s\r\n\r\n", a.path(), token)
		if i%2 == 0 {
			_ = conn.(*net.TCPConn).SetLinger(0) // RST in place of FIN
		}
		t.pause(t.between(0, 20*time.Millisecond))
		_ = conn.Close()
		t.result.Cycles++
	}
	t.eventually("every task that is there is done", func() bool {
		for _, e := range w.ledger() {
			if e.state != "done" {
				return false
			}
		}
		return true
	})
	kept := len(w.ledger())
	t.eventually("each was shown", func() bool { return w.shown() == kept })
	t.note("%d of %d were taken", kept, t.cycles)
	t.check(!w.daemon.contains("goroutine ") && !w.daemon.contains("panic"), "a stack is in the log:\n%s", w.daemon.tail())
	w.send(contact(0))
	w.reckon()
}
