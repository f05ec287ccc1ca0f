package session_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/simulator"
)

func TestMessagesThatCrossStayReadable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	for round := range 8 {
		faults, err := w.sim.AddFaults(simulator.Fault{At: "deliver", Do: "delay", Peer: bea, Delay: simulator.Duration(150 * time.Millisecond)})
		require.NoError(t, err)
		_, err = w.sim.Write(t.Context(), bea, ana, fmt.Sprint("from bea ", round))
		require.NoError(t, err)
		_, err = w.send(bea, fmt.Sprint("to bea ", round))
		require.NoError(t, err)
		w.read(bea, round+1)
		w.sim.RemoveFaults(faults[0].ID)
		if round%2 == 1 { // the answer overtakes what is still on its way
			_, err = w.sim.Write(t.Context(), bea, ana, fmt.Sprint("answer ", round))
			require.NoError(t, err)
		}
		w.wait("all that Bea wrote", func() bool { return len(w.heard(bea)) == round+1+(round+1)/2 })
	}
	counters := w.sim.Counters()
	require.Zero(t, counters.DecryptFailed)
	require.Zero(t, counters.RetryReceipts, "the account could read all at once")
	w.isCalm()
}
