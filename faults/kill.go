package main

import (
	"fmt"
	"net"
	"sync"
	"time"

	"whatsappd/simulator"
)

// killAtRandom kills the daemon under load at moments that the seed chooses: some while it starts, some while it logs in, most
// in the middle of work.
func killAtRandom(t *trial) {
	w := paired(t)
	work := w.load(4, 40*time.Millisecond)
	for range t.cycles {
		t.pause(t.between(10*time.Millisecond, 700*time.Millisecond))
		w.daemon.kill()
		w.again()
		t.result.Cycles++
	}
	work.stop()
	w.reckon()
	t.check(t.result.Median <= time.Second, "it takes %s from a start to the first answer", t.result.Median)
}

// killBeforeAnswer kills the daemon after it kept a task and before its client has the answer: at the answer's first byte. Half
// of the clients ask again under the same key, and must get the same task; the others do not, and it is done all the same.
func killBeforeAnswer(t *trial) {
	w := paired(t)
	for i := range t.cycles {
		a := w.message(contact(i % contacts))
		conn, err := net.Dial("tcp", w.address()[len("http://"):]) //nolint:noctx // on loopback; the daemon is killed in a moment
		t.must(err, "connect")
		_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token token=%s\r\nIdempotency-Key: %s\r\n\r\n", a.path(), token, a.key)
		t.must(err, "ask")
		_, err = conn.Read(make([]byte, 1))
		t.must(err, "read the answer's first byte")
		w.daemon.kill()
		_ = conn.Close()
		w.again()
		t.check(len(w.ledger()) == i+1, "%d tasks after %d calls", len(w.ledger()), i+1)
		if i%2 == 0 {
			_, err = w.ask(t.ctx, a)
			t.must(err, "ask again under the same key")
			t.check(len(w.ledger()) == i+1, "asking again under the same key made another task")
		}
		t.result.Cycles++
	}
	t.eventually("every task is done, also those that nobody asked about again", func() bool {
		done := 0
		for _, e := range w.ledger() {
			if e.state == "done" {
				done++
			}
		}
		return done == t.cycles
	})
	w.reckon()
	t.check(w.shown() == t.cycles, "%d of %d messages were shown", w.shown(), t.cycles)
}

// shown counts the messages on all contacts' phones.
func (w *world) shown() (n int) {
	for i := range contacts {
		entries, err := w.sim.Inbox(w.ctx, contact(i))
		w.must(err, "read an inbox")
		for _, times := range texts(entries) {
			n += times
		}
	}
	return n
}

// killBeforeAck kills the daemon when the recipient has the message and WhatsApp's ack has not come. The next start sends it
// again under the same ID, unless a receipt of the recipient shows that it arrived; half of these get lost as well.
func killBeforeAck(t *trial) {
	w := paired(t)
	for i := range t.cycles {
		w.faults(simulator.Fault{At: "message", Do: "no-ack"})
		if i%2 == 0 {
			w.faults(simulator.Fault{At: "receipt", Do: "omit"})
		}
		a := w.send(contact(i % contacts))
		t.eventually("the recipient has the message", func() bool {
			entries, err := w.sim.Inbox(t.ctx, a.number)
			return err == nil && texts(entries)[a.text] > 0
		})
		kept := w.ledger()[a.id]
		t.check(kept.state == "running", "the task is %s while the ack is missing", kept.state)
		w.daemon.kill()
		w.heal()
		w.again()
		t.eventually("the message is reported", func() bool { return len(w.hook.about(a.id)) > 0 })
		t.check(w.ledger()[a.id].messageID == kept.messageID, "the message has another ID than before")
		t.result.Cycles++
	}
	w.reckon()
	counters, err := w.sim.Counters(t.ctx)
	t.must(err, "read the simulator's counters")
	t.check(counters.DuplicateIDs >= t.cycles/2, "%d messages were sent again under their ID, not %d", counters.DuplicateIDs, t.cycles/2)
	t.note("%d were sent again", counters.DuplicateIDs)
}

// killAfterCallback kills the daemon when a receiver has answered a callback with 2xx and before that is kept. The callback may
// come once more, under the same ID.
func killAfterCallback(t *trial) {
	w := paired(t)
	again := 0
	for i := range t.cycles {
		daemon := w.daemon
		var once sync.Once
		w.hook.afterwards(func(delivery) { once.Do(func() { _ = daemon.cmd.Process.Kill() }) })
		a := w.send(contact(i % contacts))
		select {
		case <-daemon.exited:
		case <-time.After(patience):
			t.fail("no callback")
		}
		w.hook.afterwards(nil)
		w.again()
		t.eventually("the callback is known to be delivered", func() bool { return w.ledger()[a.id].callback == "delivered" })
		all := w.hook.about(a.id)
		t.check(len(all) <= 2, "the callback came %d times", len(all))
		again += len(all) - 1
		t.result.Cycles++
	}
	w.reckon()
	t.note("%d came twice, under the same ID", again)
}
