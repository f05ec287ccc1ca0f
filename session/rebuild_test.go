package session_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

func TestARefusedSessionIsMadeAnewOnceForItsContactOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	for _, contact := range []string{bea, cem} {
		_, err := w.send(contact, "first")
		require.NoError(t, err)
		w.read(contact, 1)
	}
	keys := w.sim.Counters().Bundles
	_, err := w.sim.AddFaults(simulator.Fault{At: "message", Do: "error", Code: 479, Peer: bea, Times: 1})
	require.NoError(t, err)
	sent, err := w.send(bea, "second")
	require.NoError(t, err)
	require.True(t, sent.Rebuilt)
	require.Equal(t, 1, sent.Resent)
	require.Equal(t, keys+1, w.sim.Counters().Bundles, "new keys are fetched once")
	inbox := w.read(bea, 2)
	require.Len(t, inbox, 2)
	require.Equal(t, string(sent.ID), inbox[1].ID)
	require.Zero(t, inbox[1].Duplicates)

	sent, err = w.send(cem, "second")
	require.NoError(t, err)
	require.False(t, sent.Rebuilt)
	require.Equal(t, keys+1, w.sim.Counters().Bundles, "the session with others is as it was")
	require.Zero(t, w.sim.Counters().DecryptFailed)
}

func TestASessionThatIsRefusedAgainIsNotMadeAnewAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	_, err := w.sim.AddFaults(simulator.Fault{At: "message", Do: "error", Code: 479, Peer: bea})
	require.NoError(t, err)
	sent, err := w.send(bea, "hello")
	var failed *session.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, session.CodeSessionRebuild, failed.Code)
	require.Equal(t, session.RetryNever, failed.Retry)
	require.Equal(t, 1, sent.Resent)
	require.Equal(t, 2, w.sim.Counters().AckErrors)
	require.Empty(t, w.sim.Inbox(bea))
}

func TestReconnectsDoNotShowTheAccountOnlineNorReadMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	for round := range 10 {
		logins := w.sim.Counters().Logins
		require.NoError(t, w.sim.Kick(ana, simulator.KickDrop))
		w.wait("a new login", func() bool {
			return w.sim.Counters().Logins > logins && w.account.Status().State == session.Online
		})
		_, err := w.sim.Write(t.Context(), bea, ana, "are you there?")
		require.NoError(t, err)
		w.wait("the message", func() bool { return len(w.heard(bea)) == round+1 })
		_, err = w.send(bea, "yes")
		require.NoError(t, err)
	}
	w.read(bea, 10)
	receipts := 0
	for _, event := range w.sim.Events(0) {
		switch event.What {
		case "presence":
			require.Equal(t, "unavailable", event.Kind)
		case "receipt":
			if event.From == ana {
				receipts++
				require.Equal(t, "delivered", event.Kind)
			}
		}
	}
	require.NotZero(t, receipts)
	require.Zero(t, w.sim.Counters().Noted["chatstate"])
}

func TestARequestForAMessageThatComesTwiceIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	const rounds = 3
	for _, fault := range []simulator.Fault{
		{At: "receipt", Do: "twice", Account: ana}, {At: "open", Do: "fail", Peer: bea, Times: rounds},
	} {
		_, err := w.sim.AddFaults(fault)
		require.NoError(t, err)
	}
	sent, err := w.send(bea, "hello")
	require.NoError(t, err)
	w.read(bea, 1)
	w.wait("the receipt for the message", func() bool {
		return slices.ContainsFunc(confirmed(w, sent.ID), func(c session.MessageConfirmed) bool { return c.Kind == session.ConfirmDelivered })
	})
	w.isCalm()
	counters := w.sim.Counters()
	require.Zero(t, counters.DecryptFailed)
	require.Zero(t, counters.Replayed)
	require.EqualValues(t, rounds, w.account.Counts().AskedAgain)
	require.Equal(t, 1+rounds, counters.Messages)
	require.GreaterOrEqual(t, counters.Faults["receipt twice"], rounds)
}
