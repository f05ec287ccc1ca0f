package main

import (
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// foreignStore starts the daemon as another user than the one whose data it is: it ends at once with the path and the user.
func foreignStore(t *trial) {
	w := paired(t)
	w.daemon.kill()
	const nobody = 65534
	w.attributes = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	t.must(os.Chmod(t.dir, 0o755), "let others in up to the data") //nolint:gosec // on purpose
	for _, what := range []string{"another owner", "mode 000"} {
		if what == "mode 000" {
			t.must(os.Chown(w.settings["WHATSAPPD_DATA_DIR"], nobody, nobody), "change the owner")
			t.must(os.Chmod(w.settings["WHATSAPPD_DATA_DIR"], 0), "change the mode")
		}
		begun := time.Now()
		if err := w.tryLaunch(); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EINVAL) {
			t.skip("needs root, to start the daemon as another user")
		}
		code := w.daemon.wait(5 * time.Second)
		took := time.Since(begun)
		said := w.daemon.output()
		t.check(code != 0 && took < 2*time.Second, "%s: the daemon ended with %d after %s", what, code, took)
		t.check(strings.Contains(said, w.settings["WHATSAPPD_DATA_DIR"]) && strings.Contains(said, fmt.Sprint(nobody)),
			"%s: the message does not name path and user: %s", what, said)
		t.result.Cycles++
	}
	t.must(os.Chown(w.settings["WHATSAPPD_DATA_DIR"], 0, 0), "change the owner back")
	t.must(os.Chmod(w.settings["WHATSAPPD_DATA_DIR"], 0o700), "change the mode back") //nolint:gosec // a directory
	w.attributes = nil
	w.again()
	w.online()
	w.send(contact(0))
	w.reckon()
}

// secondInstance starts a second daemon on the same data: it ends at once, and the first one notices nothing.
func secondInstance(t *trial) {
	w := paired(t)
	work := w.load(2, 20*time.Millisecond)
	for range t.cycles {
		second := t.start("the second daemon", w.settings, "serve")
		code := second.wait(5 * time.Second)
		took := time.Since(second.begun)
		t.check(code != 0 && took < 2*time.Second, "the second daemon ended with %d after %s", code, took)
		t.check(strings.Count(second.output(), "\n") == 0 && strings.Contains(second.output(), "another whatsappd is using it"),
			"the second daemon said: %s", second.output())
		t.result.Cycles++
	}
	work.stop()
	t.check(w.refused["no answer"]+w.refused["503"] == 0, "the first daemon refused work: %v", w.refused)
	w.reckon()
}

// lockedStore holds the write lock of the ledger from another process. Calls wait for it, or are refused in the end; what
// contacts write meanwhile is not lost.
func lockedStore(t *trial) {
	w := paired(t)
	for i := range t.cycles {
		db, err := sql.Open("sqlite3", "file:"+w.data("ledger.db")+"?_txlock=immediate&_busy_timeout=10000")
		t.must(err, "open the ledger")
		lock, err := db.BeginTx(t.ctx, nil)
		t.must(err, "lock the ledger")
		work := w.load(4, 100*time.Millisecond)
		from := contact(10 + i%10)
		t.must(w.sim.Write(t.ctx, from, owner, "are you there?"), "let a contact write")
		held := 10 * time.Second
		if t.long && i == t.cycles-1 {
			held = 25 * time.Second // longer than the daemon waits
		}
		t.pause(held)
		t.check(w.health("/healthz") == http.StatusOK, "/healthz fails while the ledger is locked")
		t.must(lock.Rollback(), "unlock the ledger")
		_ = db.Close()
		t.eventually("what the contact wrote is known", func() bool {
			var known struct {
				Last string `json:"last_heard_at"`
			}
			return w.get("/v1/contacts/"+from, &known) && known.Last != ""
		})
		work.stop()
		t.result.Cycles++
	}
	_, longest := times(w.answers)
	for answer := range w.refused {
		t.check(answer == "503", "calls were refused: %v", w.refused)
	}
	t.check(longest < 30*time.Second, "a call waited %s", longest)
	t.note("a call waited up to %.1f s; refused: %v", longest.Seconds(), w.refused)
	w.reckon()
}
