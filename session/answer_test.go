package session_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/simulator"
)

func TestAnswersToRetryReceiptsAndSendsUseNoKeyTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	_, err := w.send(bea, "first")
	require.NoError(t, err)
	w.read(bea, 1)
	const rounds, burst, asked = 8, 6, 2
	for round := range rounds {
		// Asked for again while more is sent and Bea writes. At a third time for one message its session would be made anew, and
		// what Bea wrote in the old one would have to come again.
		_, err := w.sim.AddFaults(simulator.Fault{At: "open", Do: "fail", Peer: bea, Times: asked})
		require.NoError(t, err)
		for n := range burst {
			_, err := w.send(bea, fmt.Sprint("to bea ", round, n))
			require.NoError(t, err)
			if n%2 == 0 {
				_, err = w.sim.Write(t.Context(), bea, ana, fmt.Sprint("from bea ", round, n))
				require.NoError(t, err)
			}
		}
		w.read(bea, 1+(round+1)*burst)
		w.wait("all that Bea wrote", func() bool { return len(w.heard(bea)) == (round+1)*burst/2 })
	}
	counters := w.sim.Counters()
	require.Equal(t, rounds*asked, counters.Faults["open fail"])
	require.Zero(t, counters.DecryptFailed)
	require.Zero(t, counters.Replayed)
	require.Zero(t, counters.RetryReceipts, "the account could read all at once")
	w.isCalm()
}
