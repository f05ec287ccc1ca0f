package main

import (
	"time"
)

// killAtRandom kills the daemon under load at moments that the seed chooses: some while it starts, some while it logs in, most
// in the middle of work.
func killAtRandom(t *trial) {
	w := paired(t)
	work := w.load(4, 40*time.Millisecond)
	for range t.cycles {
		t.pause(t.between(10*time.Millisecond, 900*time.Millisecond))
		w.daemon.kill()
		w.again()
		t.result.Cycles++
	}
	work.stop()
	w.reckon()
	t.check(t.result.Median <= time.Second, "it takes %s from a start to the first answer", t.result.Median)
}
