package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// powerCutExt4 and powerCutXFS cut the power in the middle of work. Every accepted task must be there afterwards, and the
// account still linked.
func powerCutExt4(t *trial) { powerCuts(t, "ext4") }

func powerCutXFS(t *trial) { powerCuts(t, "xfs") }

func powerCuts(t *trial, kind string) {
	v := t.newImage(kind, "320M")
	w := newWorld(t)
	w.settings["WHATSAPPD_DATA_DIR"] = filepath.Join(v.at, "data")
	w.serve()
	w.pair()
	work := w.load(4, 20*time.Millisecond)
	for range t.cycles {
		t.pause(t.between(100*time.Millisecond, time.Second))
		v.cut()
		w.daemon.kill()
		v.remount()
		w.again()
		w.online()
		t.result.Cycles++
	}
	work.stop()
	w.reckon()
	counters, err := w.sim.Counters(t.ctx)
	t.must(err, "read the simulator's counters")
	t.check(counters.Pairings == 1, "the phone was linked %d times", counters.Pairings)
}

// powerCutMigration cuts the power while the daemon changes the ledger's schema. Afterwards it is the old or a newer one, whole,
// the next start ends the change, and the copy from before is kept.
func powerCutMigration(t *trial) {
	v := t.newImage("ext4", "64M")
	w := newWorld(t)
	w.settings["WHATSAPPD_DATA_DIR"] = filepath.Join(v.at, "data")
	const tasks = 5000
	old := oldLedger(w, 1, tasks)
	w.serve() // so that the directory belongs to this simulator
	w.daemon.kill()
	newest := schema(w)
	cutAt := map[int]int{}
	takes := 0 * time.Second // from a start with the old ledger to the first answer
	for i := range t.cycles + 1 {
		ledgers, err := filepath.Glob(w.data("ledger.db*"))
		t.must(err, "look for the ledger")
		for _, name := range ledgers {
			t.must(os.Remove(name), "remove the ledger")
		}
		t.must(copyFile(old, w.data("ledger.db")), "copy the old ledger")
		t.must(t.command("sync", "-f", v.at), "write the old ledger to the disk")
		if i == 0 {
			w.serve()
			w.daemon.kill()
			takes = w.serving[len(w.serving)-1]
			continue
		}
		w.launch()
		t.pause(t.between(time.Millisecond, takes))
		v.cut()
		w.daemon.kill()
		v.remount()
		cutAt[schema(w)]++
		w.again()
		t.check(schema(w) == newest, "the schema is %d after the next start, not %d", schema(w), newest)
		copies, err := filepath.Glob(w.data("ledger.db.schema-*"))
		t.check(err == nil && slices.Contains(copies, w.data("ledger.db.schema-1")), "the copy from before is not kept: %v", copies)
		t.check(len(w.ledger()) == tasks, "%d of %d tasks are left", len(w.ledger()), tasks)
		w.daemon.kill()
		t.result.Cycles++
	}
	w.result.Median, w.result.Serving = times(w.serving)
	t.note("cut at schema %v", cutAt)
}

// schema is the version of the ledger's schema.
func schema(w *world) (version int) {
	db := w.open(w.data("ledger.db"))
	defer func() { _ = db.Close() }()
	w.must(db.QueryRowContext(w.ctx, `PRAGMA user_version`).Scan(&version), "read the schema's version")
	return version
}

// oldLedger makes a ledger as the first release left it, with this many finished tasks, and returns its name.
func oldLedger(w *world, steps, tasks int) string {
	path := filepath.Join(w.dir, "old-ledger.db")
	db, err := sql.Open("sqlite3", "file:"+path)
	w.must(err, "make an old ledger")
	defer func() { _ = db.Close() }()
	names, err := filepath.Glob("store/migrations/*.sql") // sorted
	w.check(err == nil && len(names) >= steps, "the migrations are read from the root of the repository: %v", err)
	for i, name := range names[:steps] {
		step, err := os.ReadFile(name)
		w.must(err, "read a migration")
		_, err = db.ExecContext(w.ctx, fmt.Sprintf("BEGIN; %s\n; PRAGMA user_version = %d; COMMIT", step, i+1))
		w.must(err, "run "+name)
	}
	_, err = db.ExecContext(w.ctx, `PRAGMA journal_mode = WAL; INSERT INTO account (id) VALUES ('default')`)
	w.must(err, "make an old ledger")
	_, err = db.ExecContext(w.ctx, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO task (id, account, kind, class, number, text, message_id, return_url, for_number, request_hash, request_id, token_id, created)
		SELECT printf('0199b1f4-0000-7000-8000-%012d', i), 'default', 'message', 'message', ?, 'old ' || i, printf('3EB0%016X', i), ?, '', '', '', '', ?
		FROM n`, tasks, contact(0), w.hook.url(), time.Now().UnixMilli())
	w.must(err, "put tasks into an old ledger")
	return path
}

// powerCutPairing cuts the power right after the phone scanned. Afterwards the account is linked, or it is cleanly not, and
// then the next scan links it.
func powerCutPairing(t *trial) {
	v := t.newImage("ext4", "64M")
	ways := map[string]int{}
	w := newWorld(t)
	for i := range t.cycles {
		w.settings["WHATSAPPD_DATA_DIR"] = filepath.Join(v.at, fmt.Sprint("data", i))
		w.serve()
		code := w.code()
		scanned := make(chan error, 1)
		go func() { scanned <- w.sim.Scan(t.ctx, owner, code) }()
		t.pause(t.between(time.Millisecond, 200*time.Millisecond))
		v.cut()
		w.daemon.kill()
		<-scanned // it may have met the cut
		v.remount()
		w.again()
		var pairing struct {
			Code string `json:"code"`
		}
		t.eventually("the account is online, or asks to be scanned", func() bool {
			return w.status().State == "online" || w.get("/v1/pairing", &pairing) && pairing.Code != ""
		})
		if pairing.Code != "" {
			ways["not linked"]++
			w.pair()
		} else {
			ways["linked"]++
		}
		a := w.send(contact(i % contacts))
		t.eventually("a message is sent", func() bool { return len(w.hook.about(a.id)) > 0 })
		w.daemon.kill()
		t.check(w.hook.about(a.id)[0].result == "True", "the message was reported as %q", w.hook.about(a.id)[0].result)
		t.result.Cycles++
		t.result.Accepted++
		t.result.Done++
	}
	w.result.Median, w.result.Serving = times(w.serving)
	t.note("%d linked, %d not", ways["linked"], ways["not linked"])
}
