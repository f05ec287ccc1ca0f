package session_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

// reconnects is 500 in make flat.
var reconnects = flag.Int("reconnects", 50, "how often the connection is lost in the test of what that leaves behind")

// held is what the process holds, account and simulator together.
type held struct{ goroutines, files, heap int }

func holds(t *testing.T) held {
	t.Helper()
	for range 2 { // the first leaves what has a finalizer
		runtime.GC()
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	files, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return held{runtime.NumGoroutine(), len(files), int(memory.HeapAlloc)}
}

// Not parallel: it counts what the whole process holds, while tests that are parallel wait for it.
func TestReconnectsLeaveNothingBehind(t *testing.T) { //nolint:paralleltest // see above
	w := newWorld(t)
	w.opts.Timing.BackoffMax = w.opts.Timing.BackoffMin
	w.pair()
	lose := func(times int) {
		for range times {
			logins := w.sim.Counters().Logins
			require.NoError(t, w.sim.Kick(ana, simulator.KickDrop))
			w.wait("a new login", func() bool {
				return w.sim.Counters().Logins > logins && w.account.Status().State == session.Online
			})
		}
		_, err := w.send(bea, "still here")
		require.NoError(t, err)
	}
	lose(10)
	before := holds(t)
	lose(*reconnects)
	after := holds(t)
	if *reconnects >= 500 {
		fmt.Printf("before %+v, after %d more reconnects %+v\n", before, *reconnects, after)
	}
	require.LessOrEqual(t, after.goroutines, before.goroutines+10)
	require.LessOrEqual(t, after.files, before.files+3)
	require.LessOrEqual(t, after.heap, before.heap+4<<20)
}
