package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"whatsappd/simulator"
)

// upgrade starts the daemon on a ledger of the first release with many messages that wait: all are sent. Then the ledger
// is made one of a newer release: the start is refused in one line, and nothing is changed.
func upgrade(t *trial) {
	tasks := 300
	if t.long {
		tasks = 1000
	}
	w := paired(t)
	w.daemon.kill()
	old := oldLedger(w, 1, tasks)
	w.alter(old, `UPDATE account SET number = ?, paired_at = ?`, owner, time.Now().UnixMilli())
	w.alter(old, `UPDATE task SET for_number = ?`, owner)
	newest := schema(w)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(w.data("ledger.db" + suffix)) // not all of them are always there
	}
	t.must(copyFile(old, w.data("ledger.db")), "put the old ledger in place")
	w.serve()
	t.check(schema(w) == newest, "the schema is %d, not %d", schema(w), newest)
	t.within(3*time.Minute, "all old messages are sent", func() bool { return w.shown() == tasks })
	w.daemon.stop()
	w.result.Accepted = tasks
	for _, e := range w.ledger() {
		if e.state == "done" {
			w.result.Done++
		}
	}
	t.check(w.result.Done == tasks, "%d of %d old messages are done", w.result.Done, tasks)

	w.alter(w.data("ledger.db"), `PRAGMA user_version = 999`)
	before := fingerprint(t, w.data("ledger.db"))
	w.launch()
	code := w.daemon.wait(5 * time.Second)
	said := w.daemon.output()
	t.check(code != 0 && strings.Contains(said, "newer whatsappd") && !strings.Contains(said, "\n"), "a newer ledger: the daemon ended with %d:\n%s", code, said)
	t.check(fingerprint(t, w.data("ledger.db")) == before, "a newer ledger was changed")
	w.result.Median, w.result.Serving = times(w.serving)
	t.result.Cycles++
}

// alter changes a ledger that no daemon uses.
func (w *world) alter(path, statement string, args ...any) {
	db, err := sql.Open("sqlite3", "file:"+path)
	w.must(err, "open "+path)
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(w.ctx, statement, args...)
	w.must(err, statement)
}

func fingerprint(t *trial, path string) [32]byte {
	content, err := os.ReadFile(path)
	t.must(err, "read "+path)
	return sha256.Sum256(content)
}

// restore takes a copy of the ledger in the middle of work, and later puts it in place of the ledger: first beside the keys of
// the link, then without them, after which the phone is linked again. What had not ended in the copy is sent again under its ID,
// or not at all; nothing is shown twice, and nothing that had ended is done again.
func restore(t *trial) {
	w := paired(t)
	for i := range 20 {
		w.send(contact(i % contacts))
	}
	t.eventually("these are done", func() bool { return w.shown() == 20 && w.ledger()[w.accepted[19].id].final() })
	w.faults(simulator.Fault{At: "message", Do: "no-ack"}, simulator.Fault{At: "receipt", Do: "omit"})
	running, waiting := w.send(contact(0)), w.send(contact(1))
	t.eventually("one is running, the other waits", func() bool {
		kept := w.ledger()
		return kept[running.id].state == "running" && kept[waiting.id].state == "queued" && w.shown() == 21
	})
	before := w.ledger()
	copied := filepath.Join(t.dir, "backup.db")
	w.alter(w.data("ledger.db"), `VACUUM INTO ?`, copied)
	w.heal()
	w.must(w.sim.Kick(t.ctx, owner, simulator.KickDrop), "cut the connection")
	both := func() bool { return len(w.hook.about(running.id)) > 0 && len(w.hook.about(waiting.id)) > 0 }
	t.eventually("both are done", both)
	for _, keys := range []bool{true, false} {
		w.daemon.stop()
		remove := []string{"ledger.db", "ledger.db-wal", "ledger.db-shm"}
		if !keys {
			remove = append(remove, "whatsapp.db", "whatsapp.db-wal", "whatsapp.db-shm")
		}
		for _, name := range remove {
			_ = os.Remove(w.data(name)) // not all of them are always there
		}
		t.must(copyFile(copied, w.data("ledger.db")), "restore the ledger")
		w.hook.forget(running.id, waiting.id)
		w.serve()
		if !keys {
			w.pair()
		}
		t.eventually("what had not ended is reported", both)
		kept := w.ledger()
		for _, id := range []string{running.id, waiting.id} {
			t.check(kept[id].messageID == before[id].messageID, "a message has another ID than before")
			t.check(!keys || kept[id].verdict == "yes", "with its keys the account did not send again: %+v", kept[id])
		}
		t.note("keys there: %v: running %s %s, waiting %s %s", keys, kept[running.id].verdict, kept[running.id].code, kept[waiting.id].verdict, kept[waiting.id].code)
		w.tally(func(entry) bool { return false })
		t.check(w.shown() == 22, "%d messages are on the phones, not 22", w.shown())
		t.result.Cycles++
	}
}

// oldKeys puts a copy of WhatsApp's keys back that was made before a stop, or before a start. The daemon refuses it in one line,
// and goes on with the newest one. A kill between does not make the newest keys look old.
func oldKeys(t *trial) {
	w := paired(t)
	files := []string{"whatsapp.db", "whatsapp.db-wal", "whatsapp.db-shm"}
	move := func(from, to func(string) string) {
		for _, name := range files {
			_ = os.Remove(to(name)) // not all of them are always there
			if _, err := os.Stat(from(name)); err == nil {
				t.must(copyFile(from(name), to(name)), "copy "+name)
			}
		}
	}
	in := func(folder string) func(string) string {
		folder = filepath.Join(t.dir, folder)
		t.must(os.MkdirAll(folder, 0o700), "make "+folder)
		return func(name string) string { return filepath.Join(folder, name) }
	}
	old, newest := in("old-keys"), in("newest-keys")
	send := func() {
		task := w.send(contact(0))
		t.eventually("it is sent", func() bool { return w.ledger()[task.id].final() })
	}
	send()
	for n := range 2 * t.cycles {
		if n%2 == 0 {
			w.daemon.kill() // the copy is of the run before
			move(w.data, old)
			w.serve()
			w.online()
			send()
		} else {
			move(w.data, old) // under way, as a snapshot of the volume is
		}
		send()
		w.daemon.stop()
		move(w.data, newest)
		move(old, w.data)
		w.launch()
		code := w.daemon.wait(5 * time.Second)
		said := w.daemon.output()
		t.check(code > 0 && strings.Contains(said, "an older copy"), "old keys: the daemon ended with %d:\n%s", code, said)
		move(newest, w.data)
		w.serve()
		w.online()
		send()
		t.result.Cycles++
	}
	w.reckon()
}

// stopAnywhere stops the daemon politely while it changes the schema, while it pairs and while it logs in. The next start goes
// on.
func stopAnywhere(t *trial) {
	w := newWorld(t)
	stop := func(what string) {
		w.daemon.signal(syscall.SIGTERM)
		begun := time.Now()
		code := w.daemon.wait(patience)
		t.check(time.Since(begun) <= 10*time.Second, "%s: the daemon took %s to end", what, time.Since(begun))
		t.check(code <= 0, "%s: the daemon ended with %d:\n%s", what, code, w.daemon.tail()) // below 0: it was not yet listening to signals
		t.result.Cycles++
	}
	for range t.cycles { // pairing
		w.serve()
		code := w.code()
		scanned := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.ctx, 10*time.Second)
		go func() { scanned <- w.sim.Scan(ctx, owner, code) }()
		t.pause(t.between(time.Millisecond, 200*time.Millisecond))
		stop("pairing")
		<-scanned // it may have met the stop
		cancel()
		w.again()
		var pairing struct {
			Code string `json:"code"`
		}
		t.eventually("the account is online, or asks to be scanned", func() bool {
			return w.status().State == "online" || w.get("/v1/pairing", &pairing) && pairing.Code != ""
		})
		if pairing.Code != "" {
			w.pair()
		}
		w.daemon.kill()
		t.must(os.RemoveAll(w.settings["WHATSAPPD_DATA_DIR"]), "remove the data")
	}
	w.serve()
	w.pair()
	for range t.cycles { // login
		w.daemon.kill()
		w.launch()
		t.pause(t.between(time.Millisecond, 300*time.Millisecond))
		stop("login")
		w.again()
		w.online()
		w.send(contact(0))
	}
	w.reckon()
	w.daemon.kill()
	old := oldLedger(w, 1, 5000)
	for range t.cycles { // the schema changes
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(w.data("ledger.db" + suffix)) // not all of them are always there
		}
		t.must(copyFile(old, w.data("ledger.db")), "put the old ledger in place")
		w.launch()
		t.pause(t.between(time.Millisecond, 300*time.Millisecond))
		stop("schema")
		w.again()
		t.check(len(w.ledger()) == 5000, "%d of 5000 tasks are left", len(w.ledger()))
		w.daemon.kill()
	}
}
