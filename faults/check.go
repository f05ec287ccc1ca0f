package main

import (
	"cmp"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/mattn/go-sqlite3" // the ledger is read from outside

	"whatsappd/simulator"
)

// entry is a task as the ledger has it.
type entry struct {
	id, kind, number, messageID, state, verdict, code string
	callback                                          string // its state
}

// final reports whether the task has ended.
func (e entry) final() bool { return e.state == "done" || e.state == "failed" }

// data is a file of the daemon.
func (w *world) data(name string) string {
	return filepath.Join(w.settings["WHATSAPPD_DATA_DIR"], name)
}

// open opens a database of the daemon for reading.
func (w *world) open(path string) *sql.DB {
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro&_busy_timeout=20000")
	w.must(err, "open "+path)
	return db
}

// ledger returns what the daemon keeps of its tasks.
func (w *world) ledger() map[string]entry {
	db := w.open(w.data("ledger.db"))
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(w.ctx, `SELECT t.id, t.kind, t.number, t.message_id, t.state, t.verdict, t.code, ifnull(c.state, '')
		FROM task t LEFT JOIN callback c ON c.task_id = t.id`)
	w.must(err, "read the ledger")
	defer func() { _ = rows.Close() }()
	all := map[string]entry{}
	for rows.Next() {
		var e entry
		w.must(rows.Scan(&e.id, &e.kind, &e.number, &e.messageID, &e.state, &e.verdict, &e.code, &e.callback), "read the ledger")
		all[e.id] = e
	}
	w.must(rows.Err(), "read the ledger")
	return all
}

// intact checks copies of the daemon's databases, as they are after its end.
func (w *world) intact() {
	for _, name := range []string{"ledger.db", "whatsapp.db"} {
		copied := filepath.Join(w.dir, "looked-at.db")
		for _, suffix := range []string{"", "-wal"} {
			_ = os.Remove(copied + suffix)
			if err := copyFile(w.data(name)+suffix, copied+suffix); err != nil && !os.IsNotExist(err) {
				w.fail("copy %s: %v", name+suffix, err)
			}
		}
		db, err := sql.Open("sqlite3", "file:"+copied)
		w.must(err, "open the copy of "+name)
		var said string
		err = db.QueryRowContext(w.ctx, `PRAGMA integrity_check(1)`).Scan(&said)
		_ = db.Close()
		w.must(err, "check "+name)
		w.check(said == "ok", "%s is damaged: %s", name, said)
	}
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	if closed := target.Close(); err == nil {
		err = closed
	}
	return err
}

// reckon waits until everything that was accepted has been reported, and then compares the client's list with the ledger, the
// receiver's list and what the recipients were shown. Everything must have been done, unless some may have failed.
func (w *world) reckon() {
	w.tally(func(entry) bool { return false })
}

// tally is reckon where tasks may have failed that are excused.
func (w *world) tally(excused func(entry) bool) {
	w.mu.Lock()
	accepted := append([]asked(nil), w.accepted...)
	w.mu.Unlock()
	w.result.Median, w.result.Serving = times(w.serving)
	w.result.Accepted = len(accepted)
	waited := cmp.Or(w.patience, 2*patience) // a callback that failed comes again after 5 s, then 30 s
	missing := func() int {
		n := 0
		for _, a := range accepted {
			if !a.elsewhere && len(w.hook.about(a.id)) == 0 {
				n++
			}
		}
		return n
	}
	if missing() > 0 {
		defer func() {
			if n := missing(); n > 0 {
				w.result.Lost = max(w.result.Lost, n)
			}
		}()
		w.within(waited, "every accepted task is reported", func() bool { return missing() == 0 })
	}
	ledger := w.ledger()
	w.within(waited, "the ledger knows every callback to be delivered, or given up", func() bool {
		ledger = w.ledger()
		for _, a := range accepted {
			if state := ledger[a.id].callback; !a.elsewhere && (state == "due" || state == "sending") {
				return false
			}
		}
		return true
	})
	w.result.Done = 0
	yes := map[string][]string{} // texts that were reported as sent, by recipient
	var wrong []string
	for _, a := range accepted {
		kept, known := ledger[a.id]
		switch {
		case !known || !kept.final():
			w.result.Lost++
			wrong = append(wrong, fmt.Sprintf("task %s is lost: in the ledger it is %q", a.id, kept.state))
			continue
		case kept.state == "done":
			w.result.Done++
		case !excused(kept):
			wrong = append(wrong, fmt.Sprintf("task %s failed with %s", a.id, kept.code))
		}
		wrong = append(wrong, w.reported(a, kept)...)
		if a.kind == "message" && kept.verdict == "yes" {
			yes[a.number] = append(yes[a.number], a.text)
		}
	}
	w.arrived(yes)
	w.hook.mu.Lock()
	wrong = append(wrong, w.hook.forged...)
	w.hook.mu.Unlock()
	w.check(len(wrong) == 0, "%d things are wrong: %s", len(wrong), strings.Join(wrong[:min(len(wrong), 5)], "; "))
	w.flawless()
}

// reported says what is wrong with the callbacks of a task.
func (w *world) reported(a asked, kept entry) (wrong []string) {
	all := w.hook.about(a.id)
	for _, d := range all {
		if d.webhookID != all[0].webhookID {
			w.result.Twice++
			wrong = append(wrong, fmt.Sprintf("task %s was reported with two IDs", a.id))
		}
		want := map[string]string{"yes": "True", "no": "False"}[kept.verdict]
		if want != "" && d.result != want || want == "" && (d.result == "True" || d.result == "False") {
			wrong = append(wrong, fmt.Sprintf("task %s ended with %q and was reported as %q", a.id, kept.verdict, d.result))
		}
		if a.kind == "check" && (d.result == "True" && !a.registered || d.result == "False" && a.registered) {
			wrong = append(wrong, fmt.Sprintf("the check %s of %s was answered with %q", a.id, a.number, d.result))
		}
	}
	return wrong
}

// arrived checks what the recipients were shown: everything that was reported as sent, and no text twice.
func (w *world) arrived(yes map[string][]string) {
	for i := range contacts {
		number := contact(i)
		var shown map[string]int
		missing := func() (n int) {
			entries, err := w.sim.Inbox(w.ctx, number)
			w.must(err, "read the inbox of "+number)
			shown = texts(entries)
			for _, text := range yes[number] {
				if shown[text] == 0 {
					n++
				}
			}
			return n
		}
		for tries := 0; missing() > 0 && tries < 500; tries++ { // the server takes a message before its devices have it
			w.pause(patience / 500)
		}
		w.result.Lost += missing()
		for text, times := range shown {
			if times > 1 {
				w.result.Twice++
				w.note("%s was shown %q %d times", number, text, times)
			}
		}
	}
	w.check(w.result.Lost == 0, "%d tasks or messages are lost", w.result.Lost)
	w.check(w.result.Twice == 0, "%d were shown twice", w.result.Twice)
}

// texts counts the messages of the linked accounts on a contact's phone, by text.
func texts(entries []simulator.Entry) map[string]int {
	shown := map[string]int{}
	for _, e := range entries {
		if e.Device == 0 && (e.From == owner || e.From == other) {
			shown[e.Text]++
		}
	}
	return shown
}

// flawless checks what must hold in every trial.
func (w *world) flawless() {
	counters, err := w.sim.Counters(w.ctx)
	w.must(err, "read the simulator's counters")
	w.check(len(counters.Unhandled) == 0, "stanzas the simulator does not know: %v", counters.Unhandled)
	w.check(len(counters.Problems) == 0, "the simulator complains: %v", counters.Problems)
	w.check(counters.DecryptFailed == 0, "%d messages could not be decrypted", counters.DecryptFailed)
}
