package main

import (
	"fmt"
	"net/http"
	"time"

	"whatsappd/simulator"
)

// midFrame cuts the connection in the middle of a frame, again and again, while work goes on.
func midFrame(t *trial) {
	w := newWorld(t)
	w.settings["WHATSAPPD_RECONNECT_MAX_PAUSE"] = "3s"
	w.serve()
	w.pair()
	work := w.load(2, 50*time.Millisecond)
	before := w.metric(`whatsappd_dials_total{account="default"}`)
	begun := time.Now()
	for range t.cycles {
		w.faults(simulator.Fault{At: "frame", Do: "half", Times: 1})
		hit := func() bool {
			counters, err := w.sim.Counters(t.ctx)
			return err == nil && counters.Faults["frame half"] > t.result.Cycles
		}
		t.within(time.Minute, "a frame is cut", hit)
		t.result.Cycles++
	}
	work.stop()
	dials, took := w.metric(`whatsappd_dials_total{account="default"}`)-before, time.Since(begun)
	t.note("%.0f dials in %.0f s", dials, took.Seconds())
	t.check(dials <= took.Seconds()+5, "%.0f dials in %.0f s", dials, took.Seconds())
	w.reckon()
}

// neverAnswers has WhatsApp take a message, and a look-up, and never answer. No task stays as it is: it is tried again.
func neverAnswers(t *trial) {
	w := paired(t)
	for range t.cycles {
		w.faults(simulator.Fault{At: "message", Do: "silence", Times: 1}, simulator.Fault{At: "iq:usync", Do: "silence", Times: 1})
		begun := time.Now()
		message := w.send(contact(t.result.Cycles % contacts))
		check, err := w.ask(t.ctx, w.checkOf(contact(19)))
		t.must(err, "hand over a check")
		t.within(patience, "both are tried again", func() bool {
			return len(w.hook.about(message.id)) > 0 && len(w.hook.about(check.id)) > 0
		})
		t.note("both done after %.0f s", time.Since(begun).Seconds())
		t.result.Cycles++
	}
	w.reckon()
}

// oddAcks loses acks, doubles them and has them come late.
func oddAcks(t *trial) {
	w := paired(t)
	for i := range t.cycles {
		for j, do := range []string{"no-ack", "ack-twice", "late-ack"} {
			to := contact((3*i + j) % contacts)
			w.faults(simulator.Fault{At: "message", Do: do, Peer: to, Times: 1, Delay: simulator.Duration(10 * time.Second)})
			a := w.send(to)
			t.eventually(do+": the message is reported", func() bool { return len(w.hook.about(a.id)) > 0 })
			t.check(w.hook.about(a.id)[0].result == "True", "%s: the message was reported as %q", do, w.hook.about(a.id)[0].result)
		}
		t.result.Cycles++
	}
	w.reckon()
}

// loggedOut removes the link while tasks wait, and links another number: none of them is ever sent as that one.
func loggedOut(t *trial) {
	tasks := 200
	if t.long {
		tasks = 1000
	}
	for i := range t.cycles {
		w := newWorld(t)
		w.settings["WHATSAPPD_DATA_DIR"] += fmt.Sprint(i)
		w.serve()
		w.pair()
		w.faults(simulator.Fault{At: "connect", Do: "drop"})
		w.must(w.sim.Kick(t.ctx, owner, simulator.KickDrop), "cut the connection")
		t.eventually("the connection is gone", func() bool { return w.status().State != "online" })
		for i := range tasks {
			w.send(contact(i % contacts))
		}
		account, err := w.sim.Account(t.ctx, owner)
		t.must(err, "look at the owner's account")
		for _, device := range account.Devices {
			if device.Linked {
				t.must(w.sim.RemoveDevice(t.ctx, owner, device.ID), "remove the link")
			}
		}
		w.heal()
		t.eventually("the log-out is noticed", func() bool { return w.status().Reason == "logged_out" || w.status().State == "pairing" })
		w.must(w.sim.Scan(t.ctx, other, w.code()), "link the other phone")
		t.eventually("the other number is linked", func() bool { return w.status().Number == other })
		res, err := w.call(t.ctx, http.MethodPost, "/v1/pairing/confirm", nil, "")
		t.must(err, "confirm the other number")
		_ = res.Body.Close()
		t.eventually("the other number works", func() bool { return w.status().State == "online" })
		w.tally(func(e entry) bool {
			return e.code == "logged_out" || e.code == "account_changed" || e.code == "not_paired"
		})
		t.check(w.shown() == 0, "%d messages for the first number were sent by the second", w.shown())
		reasons := map[string]int{}
		for _, e := range w.ledger() {
			reasons[e.code]++
		}
		t.note("%v", reasons)
		w.daemon.kill()
		w.whatsapp.kill()
		t.result.Cycles++
	}
}

// burst has contacts write a great many messages at once.
func burst(t *trial) {
	const writers = 16
	w := paired(t)
	begun := time.Now()
	done := make(chan error, writers)
	each := 2000 / writers
	for i := range writers {
		go func() {
			for n := range each {
				if err := w.sim.Write(t.ctx, contact(i), owner, fmt.Sprintf("%d of %d", n, i)); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range writers {
		t.must(<-done, "let contacts write")
	}
	wrote := time.Since(begun)
	all := t.within(patience, "every message is acknowledged", func() bool {
		counters, err := w.sim.Counters(t.ctx)
		return err == nil && counters.ReceiptsIn >= writers*each
	})
	for _, word := range []string{"SQLITE_BUSY", "database is locked", `"level":"ERROR"`} {
		t.check(!w.daemon.contains(word), "%s in the log:\n%s", word, w.daemon.tail())
	}
	for i := range writers {
		var known struct {
			Last string `json:"last_heard_at"`
		}
		t.check(w.get("/v1/contacts/"+contact(i), &known) && known.Last != "", "nothing is known of what %s wrote", contact(i))
	}
	t.note("%d messages written in %.1f s, all taken %.1f s later", writers*each, wrote.Seconds(), all.Seconds())
	t.result.Cycles++
	w.flawless()
}

// nonsense has WhatsApp send frames of random bytes, broken stanzas and messages that cannot be opened.
func nonsense(t *trial) {
	w := paired(t)
	before := w.status()
	work := w.load(2, 50*time.Millisecond)
	for range t.cycles {
		for _, do := range []string{"garbage", "undecodable", "truncated"} {
			w.faults(simulator.Fault{At: "frame", Do: do, Kind: "receipt", Times: 3})
		}
		w.faults(simulator.Fault{At: "deliver", Do: "broken", Times: 1})
		t.must(w.sim.Write(t.ctx, contact(0), owner, "cannot be opened"), "write a message")
		t.pause(t.between(200*time.Millisecond, 500*time.Millisecond))
		t.result.Cycles++
	}
	w.heal()
	work.stop()
	t.check(w.daemon.alive() && !w.daemon.contains("panic"), "the daemon did not take it well:\n%s", w.daemon.tail())
	w.online()
	t.check(w.status().Number == before.Number, "the account is another one")
	w.reckon()
}
