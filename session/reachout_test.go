package session_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

// cold sends a first message to a stranger.
func (w *world) cold(to string) (session.Sent, *session.Error) {
	w.t.Helper()
	m := session.Message{ID: w.account.NewMessageID(), To: session.Number(to), Text: "hello", Stranger: true}
	sent, err := w.account.Send(w.t.Context(), m)
	if err == nil {
		return sent, nil
	}
	var e *session.Error
	require.ErrorAs(w.t, err, &e)
	return sent, e
}

func TestARefusedStrangerIsTriedOnceMoreAndFinal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	_, err := w.sim.AddFaults(simulator.Fault{At: "message", Do: "error", Code: 463, Peer: bea})
	require.NoError(t, err)
	for i := range 3 {
		sent, failed := w.cold(bea)
		require.NotNil(t, failed)
		require.Equal(t, session.CodePriorContact, failed.Code)
		require.Equal(t, session.RetryNever, failed.Retry)
		require.Equal(t, 1, sent.Resent)
		require.Equal(t, 2*(i+1), w.sim.Faults()[0].Hits, "two attempts in all")
		_, failed = w.cold(cem) // WhatsApp takes another first contact: no lock
		require.Nil(t, failed)
	}
	_, err = w.sim.AddFaults(simulator.Fault{At: "message", Do: "error", Code: 463, Peer: another})
	require.NoError(t, err)
	_, failed := w.cold(another)
	require.Equal(t, session.CodePriorContact, failed.Code, "a second one, but not in a row")
	require.True(t, w.account.Status().Reachout.IsZero())
	require.Empty(t, notices(w))
}

func TestTwoStrangersRefusedInARowAreALock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ahead time.Duration
	w.opts.Now = func() time.Time { return time.Now().Add(ahead) } // changed while nothing runs
	w.pair()
	require.NoError(t, w.sim.SetLimits(ana, simulator.Limits{LockedUntil: time.Now().Add(24 * time.Hour)})) // no notice of it
	for range 2 {
		_, failed := w.cold(bea)
		require.Equal(t, session.CodePriorContact, failed.Code, "the same one again says nothing of the account")
	}
	sent, failed := w.cold(cem)
	require.Equal(t, session.CodeReachoutLocked, failed.Code)
	require.Equal(t, session.RetryPace, failed.Retry)
	require.InDelta(t, time.Hour, failed.After, float64(time.Minute))
	require.Equal(t, 1, sent.Resent)
	until := w.account.Status().Reachout
	require.WithinDuration(t, time.Now().Add(time.Hour), until, time.Minute)

	w.halt()
	w.run()
	w.waitState(session.Online)
	require.True(t, until.Equal(w.account.Status().Reachout), "over a restart")
	sent, failed = w.cold(bea)
	require.Equal(t, session.CodeReachoutLocked, failed.Code)
	require.Zero(t, sent.Resent, "a lock is not tried again")
	require.Equal(t, []string{session.NoticeLocked}, notices(w), "told once")

	w.halt()
	ahead = time.Hour + time.Minute
	w.run()
	w.waitState(session.Online)
	w.wait("the lock ends by its time", func() bool { return w.account.Status().Reachout.IsZero() })
	require.Equal(t, []string{session.NoticeLocked, session.NoticeUnlocked}, notices(w))
}

func TestALockThatIsToldOfStopsStrangersOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	_, err := w.sim.Write(t.Context(), cem, ana, "hi")
	require.NoError(t, err)
	until := time.Now().Add(2 * time.Hour).Truncate(time.Second)
	require.NoError(t, w.sim.SetLimits(ana, simulator.Limits{LockedUntil: until, Notice: true}))
	w.wait("the lock is known", func() bool { return w.account.Status().Reachout.Equal(until) })
	sent, failed := w.cold(bea)
	require.Equal(t, session.CodeReachoutLocked, failed.Code)
	require.InDelta(t, 2*time.Hour, failed.After, float64(time.Minute))
	require.Zero(t, sent.Resent)
	_, err = w.send(cem, "hello again")
	require.NoError(t, err, "who wrote gets an answer")
}

func TestATokenOfAContactIsKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	sent, failed := w.cold(bea)
	require.Nil(t, failed)
	holds := func(lid string) bool {
		token, err := w.account.HoldsToken(t.Context(), lid)
		require.NoError(t, err)
		return token
	}
	require.False(t, holds(sent.LID))
	_, err := w.sim.GiveToken(bea, ana)
	require.NoError(t, err)
	_, err = w.sim.Write(t.Context(), bea, ana, "hi") // what comes after the token
	require.NoError(t, err)
	w.wait("the token is here", func() bool { return holds(sent.LID) })
	require.False(t, holds(""), "not known")
	w.halt()
	require.False(t, holds(sent.LID), "not online")
}

func TestEachStateOfTheQuotaIsToldOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	require.NoError(t, w.sim.SetLimits(ana, simulator.Limits{NewChats: 2, Notice: true}))
	state := func(want session.QuotaState) {
		w.wait(string(want), func() bool { return w.account.Status().Quota.State == want })
	}
	_, failed := w.cold(bea)
	require.Nil(t, failed)
	state(session.QuotaFirst)
	w.halt()
	w.run()
	w.waitState(session.Online)
	require.Equal(t, session.Quota{State: session.QuotaFirst, Used: 1, Total: 2}, w.account.Status().Quota, "over a restart")
	_, failed = w.cold(bea)
	require.Nil(t, failed)
	_, failed = w.cold(cem)
	require.Nil(t, failed)
	state(session.QuotaUsedUp)
	sent, failed := w.cold(another)
	require.Equal(t, session.CodeNewChatQuota, failed.Code)
	require.Equal(t, session.RetryPace, failed.Retry)
	require.Zero(t, sent.Resent, "a quota is not tried again")
	until, reason := w.account.Status().StrangersHeld()
	require.Equal(t, session.CodeNewChatQuota, reason)
	require.WithinDuration(t, time.Now().Add(time.Hour), until, time.Minute, "WhatsApp named no end: an hour is supposed")
	require.Equal(t, []string{session.NoticeQuota, session.NoticeQuota}, notices(w))
	require.Contains(t, told[session.Notice](w)[0].Detail, "1 of 2")
	require.Contains(t, told[session.Notice](w)[1].Detail, "all 2")
	w.isCalm()
}
