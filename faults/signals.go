package main

import (
	"syscall"
	"time"
)

// stopUnderLoad stops the daemon politely in the middle of work: it ends with 0 within ten seconds, and nothing is lost.
func stopUnderLoad(t *trial) {
	w := paired(t)
	work := w.load(8, 10*time.Millisecond)
	var all []time.Duration
	for range t.cycles {
		t.pause(t.between(50*time.Millisecond, 800*time.Millisecond))
		code, took := w.daemon.stop()
		t.check(code == 0 && took <= 10*time.Second, "the daemon ended with %d after %s:\n%s", code, took, w.daemon.tail())
		all = append(all, took)
		w.again()
		t.result.Cycles++
	}
	work.stop()
	median, longest := times(all)
	t.note("ends within %.1f s, at most %.1f s", median.Seconds(), longest.Seconds())
	w.reckon()
}

// frozen stops the daemon's process and lets it go on, as a machine that sleeps does.
func frozen(t *trial) {
	w := paired(t)
	work := w.load(4, 50*time.Millisecond)
	for range t.cycles {
		t.pause(t.between(time.Second, 2*time.Second))
		w.daemon.signal(syscall.SIGSTOP)
		if t.long {
			t.pause(2 * time.Minute)
		} else {
			t.pause(40 * time.Second)
		}
		w.daemon.signal(syscall.SIGCONT)
		w.online()
		t.result.Cycles++
	}
	t.pause(2 * time.Second)
	work.stop()
	w.reckon()
}
