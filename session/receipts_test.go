package session_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

// confirmed returns what was told of a message, in order.
func confirmed(w *world, id session.MessageID) []session.MessageConfirmed {
	var about []session.MessageConfirmed
	for _, c := range told[session.MessageConfirmed](w) {
		if slices.Contains(c.IDs, id) {
			about = append(about, c)
		}
	}
	return about
}

func TestReceiptsAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.AddAccount(simulator.AccountSpec{
		Number: bea, Name: "Bea", Companions: 1, Behaviour: simulator.Behaviour{Receipts: "read"},
	}))
	w.pair()
	sent, err := w.send(bea, "hello")
	require.NoError(t, err)
	seen := func(kind session.ConfirmationKind, phone bool) bool {
		return slices.ContainsFunc(confirmed(w, sent.ID), func(c session.MessageConfirmed) bool {
			return c.Kind == kind && (c.Device == 0) == phone
		})
	}
	w.wait("read by the phone", func() bool { return seen(session.ConfirmRead, true) })
	w.wait("delivered to both", func() bool { return seen(session.ConfirmDelivered, true) && seen(session.ConfirmDelivered, false) })
	w.isCalm()
}

func TestASendTellsHowFarItGot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	sent, err := w.send(bea, "hello")
	require.NoError(t, err)
	require.Equal(t, session.Number(bea), sent.To)
	require.NotEmpty(t, sent.LID)
	require.False(t, sent.FromCache)
	for _, step := range []time.Time{sent.Checked, sent.Encrypted, sent.Written, sent.Acked, sent.At} {
		require.False(t, step.IsZero(), "%+v", sent)
	}
	require.False(t, sent.Encrypted.Before(sent.Checked) || sent.Written.Before(sent.Encrypted) || sent.Acked.Before(sent.Written), "%+v", sent)
	require.False(t, sent.OtherDevices)

	sent, err = w.send(bea, "again")
	require.NoError(t, err)
	require.True(t, sent.FromCache)

	_, err = w.sim.AddFaults(simulator.Fault{At: "message", Do: "other-hash", Times: 1})
	require.NoError(t, err)
	sent, err = w.send(bea, "third")
	require.NoError(t, err)
	require.True(t, sent.OtherDevices)
	queries := w.sim.Counters().UsyncQueries
	sent, err = w.send(bea, "fourth")
	require.NoError(t, err)
	require.False(t, sent.OtherDevices)
	require.Greater(t, w.sim.Counters().UsyncQueries, queries, "the devices are asked for again")

	failed, err := w.send(nobody, "nobody")
	require.Error(t, err)
	require.True(t, failed.Written.IsZero() && failed.At.IsZero())
}

func TestADeviceThatAsksAgainAndAgainCanReadInTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	_, err := w.send(bea, "first")
	require.NoError(t, err)
	w.read(bea, 1)
	_, err = w.sim.AddFaults(simulator.Fault{At: "open", Do: "fail", Peer: bea, Times: 4})
	require.NoError(t, err)
	sent, err := w.send(bea, "second")
	require.NoError(t, err)
	require.Len(t, w.read(bea, 2), 2)
	asked := 0
	for _, c := range confirmed(w, sent.ID) {
		if c.Kind == session.ConfirmAskAgain {
			asked++
		}
	}
	require.Equal(t, 4, asked)
	require.Equal(t, sent.ID, session.MessageID(w.sim.Inbox(bea)[1].ID))
	require.Equal(t, 1, w.sim.Counters().Pairings)
}
