package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/simulator"
)

func TestARepeatedMessageKeepsItsIDAndIsShownOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault string // what WhatsApp does in place of its answer, once it has the message
		kill  bool   // the daemon is killed before it gives up waiting
	}{
		"the connection is cut in place of the answer": {fault: "drop-after"},
		"the daemon is killed before the answer":       {fault: "no-ack", kill: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := calmWorld(t, 1)
			w.serve()
			w.pair()
			require.NoError(t, w.sim.SetBehaviour(t.Context(), contact(1), simulator.Behaviour{Receipts: "none"})) // which would end the task
			w.faults(simulator.Fault{At: "message", Do: c.fault, Peer: contact(1), Times: 1})
			id := w.ws("message", contact(1), "hello")
			before := w.inbox(contact(1), 1)[0].ID
			if c.kill {
				require.Equal(t, before, w.task(id).MessageID, "the ID is kept before the first try")
				w.daemon.kill()
				w.serve()
			}
			w.hook.result(id, "True")
			require.Equal(t, before, w.task(id).MessageID)
			inbox := w.inbox(contact(1), 1)
			require.Len(t, inbox, 1)
			require.Equal(t, before, inbox[0].ID)
			require.Equal(t, 2, w.counters().Messages)
			require.Equal(t, 1, w.counters().DuplicateIDs, "the same ID again")
		})
	}
}

func TestAReceiptAfterAKillResolvesWhatNobodyAcked(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 1)
	w.serve()
	w.pair()
	require.NoError(t, w.sim.SetAway(t.Context(), contact(1), true))
	w.faults(simulator.Fault{At: "message", Do: "no-ack", Peer: contact(1)})
	id := w.ws("message", contact(1), "hello")
	w.eventually("WhatsApp has the message", func() bool { return w.counters().Messages == 1 })
	// What keeps the daemon from repeating it at once after the start: to WhatsApp it may be a first contact still.
	require.NoError(t, w.sim.SetLimits(t.Context(), ownerPhone, simulator.Limits{LockedUntil: time.Now().Add(time.Hour), Notice: true}))
	w.eventually("the lock is known", func() bool { return w.status().Reachout != nil })
	w.daemon.kill()

	w.serve()
	w.online()
	w.eventually("the message waits, and nobody knows whether it left", func() bool {
		waits := w.task(id)
		return waits.State == "queued" && waits.Reason == "reachout_locked" && waits.Delivery == "uncertain"
	})
	require.NoError(t, w.sim.SetAway(t.Context(), contact(1), false))
	w.hook.result(id, "True")
	end := w.task(id)
	require.Equal(t, "yes", end.Verdict)
	require.Equal(t, "delivered", end.Delivery)
	require.Equal(t, "phone", end.DeliveredBy)
	require.Nil(t, end.Failure)
	require.Len(t, w.inbox(contact(1), 1), 1)

	w.hook.result(w.ws("check", contact(1)), "True") // the lane has gone on
	require.Equal(t, 1, int(w.counters().Messages), "it was not sent again")
}

func TestAReceiptAfterAFailureIsTold(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 1)
	w.settings["WHATSAPPD_TASK_MAX_AGE"] = "3s"
	w.serve()
	w.pair()
	w.hook.result(w.ws("check", contact(1)), "True") // so that only the message is left to do
	require.NoError(t, w.sim.SetAway(t.Context(), contact(1), true))
	w.faults(simulator.Fault{At: "message", Do: "no-ack", Peer: contact(1)})
	id := w.ws("message", contact(1), "hello")
	w.eventually("WhatsApp has the message", func() bool { return w.counters().Messages == 1 })
	w.daemon.kill()
	w.faults(simulator.Fault{At: "connect", Do: "error", Code: 503, Times: 5}) // longer than the task may take
	w.serve()
	w.hook.result(id, messageFailed)
	failed := w.task(id)
	require.Equal(t, "uncertain", failed.Delivery)
	require.True(t, failed.Retryable)

	require.NoError(t, w.sim.SetAway(t.Context(), contact(1), false))
	w.eventually("the receipt is told", func() bool { return w.task(id).Delivery == "delivered" })
	late := w.task(id)
	require.Equal(t, []string{"delivered_after_failure"}, late.Warnings)
	require.Equal(t, "failed", late.State, "what the caller was told stays")
	require.False(t, late.Retryable)
	require.Equal(t, 1, int(w.counters().Messages))
	require.Equal(t, 1, len(w.hook.all())-1, "one callback for the check, one for the message")
}
