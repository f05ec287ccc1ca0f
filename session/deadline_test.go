package session_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

func TestWhatWhatsAppNeverAnswersEndsInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.CheckCachePositive, w.opts.CheckCacheNegative = time.Hour, time.Hour
	w.opts.Timing.Query, w.opts.Timing.Send = time.Second, 2*time.Second
	w.pair()
	_, err := w.send(bea, "first")
	require.NoError(t, err)
	_, err = w.sim.AddFaults(simulator.Fault{At: "iq:usync", Do: "silence"}, simulator.Fault{At: "message", Do: "silence"})
	require.NoError(t, err)

	begun := time.Now()
	_, err = w.account.Check(t.Context(), []session.Number{cem})
	requireCode(t, err, session.CodeNetworkUncertain, session.RetryLater)
	require.Less(t, time.Since(begun), time.Second+patience/5)

	begun = time.Now()
	_, err = w.send(bea, "second")
	var failed *session.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, session.CodeNetworkUncertain, failed.Code)
	require.True(t, failed.Uncertain)
	require.Less(t, time.Since(begun), 3*2*time.Second+patience/5, "the send and its repetition")

	_, err = w.sim.AddFaults(simulator.Fault{At: "iq:md", Do: "silence"})
	require.NoError(t, err)
	for failed.Code = session.CodeOffline; failed.Code == session.CodeOffline; { // the connection of the repetition is being left
		w.waitState(session.Online)
		begun = time.Now()
		require.ErrorAs(t, w.account.Logout(t.Context()), &failed)
	}
	require.Equal(t, session.CodeNetworkUncertain, failed.Code)
	require.Less(t, time.Since(begun), time.Second+patience/5)
	w.halt() // it returns when every goroutine of the account has
}

func TestAPairingWithoutAnAnswerEndsInTime(t *testing.T) {
	t.Parallel()
	silent := func(w *world) {
		_, err := w.sim.AddFaults(simulator.Fault{At: "iq", Do: "silence"})
		require.NoError(t, err)
	}
	t.Run("a code to type", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.opts.Timing.Query = time.Second
		w.run()
		w.waitCode(1)
		silent(w)
		begun := time.Now()
		_, err := w.account.PairPhone(t.Context(), ana)
		requireCode(t, err, session.CodeNetworkUncertain, session.RetryLater)
		require.Less(t, time.Since(begun), time.Second+patience/5)
		require.NotEmpty(t, w.account.Pairing().Code, "the codes to scan stay live")
	})
	t.Run("a passkey", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.opts.Timing.Query = time.Second
		challenge := passkeyRound(t, w)
		right, err := w.sim.ProvePasskey(ana, challenge)
		require.NoError(t, err)
		text, err := json.Marshal(right)
		require.NoError(t, err)
		silent(w)
		begun := time.Now()
		requireCode(t, w.account.AnswerPasskey(t.Context(), text), session.CodeNetworkUncertain, session.RetryLater)
		require.Less(t, time.Since(begun), time.Second+patience/5)
		w.sim.RemoveFaults()
		require.NoError(t, w.account.AnswerPasskey(t.Context(), text), "it was not taken, so it may be given again")
		w.wait("paired", func() bool { return w.account.Pairing().State == session.PairingPaired })
	})
	t.Run("nothing at all", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.opts.Timing.Dial = time.Second
		w.opts.PairingAuto = false
		_, err := w.sim.AddFaults(simulator.Fault{At: "connect", Do: "silence"})
		require.NoError(t, err)
		w.run()
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err = w.account.Pair(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Less(t, time.Since(begun), 2*time.Second+patience/5)
	})
}

// Not parallel: it counts the goroutines of the whole process.
func TestWhatWhatsAppNeverAnswersLeavesNothingBehind(t *testing.T) { //nolint:paralleltest // see above
	w := newWorld(t)
	w.pair()
	_, err := w.send(bea, "first")
	require.NoError(t, err)
	w.halt()
	w.opts.Timing.Query, w.opts.Timing.Send = 50*time.Millisecond, 100*time.Millisecond // whatever is slow: nothing is answered
	w.opts.Timing.BackoffMax = w.opts.Timing.BackoffMin
	_, err = w.sim.AddFaults(simulator.Fault{At: "iq:usync", Do: "silence"}, simulator.Fault{At: "message", Do: "silence"})
	require.NoError(t, err)
	w.run()
	w.waitState(session.Online)
	unanswered := func(times int) {
		for i := range times {
			_, checked := w.account.Check(t.Context(), []session.Number{cem})
			_, sent := w.send(bea, "nobody takes it")
			for _, err := range []error{checked, sent} { // on a slow machine the connection may be a new one already
				var failed *session.Error
				require.ErrorAs(t, err, &failed, "call %d", i)
				require.Contains(t, []string{session.CodeNetworkUncertain, session.CodeOffline}, failed.Code)
			}
			w.waitState(session.Online)
		}
	}
	unanswered(3)
	before := holds(t)
	unanswered(20)
	after := holds(t)
	require.LessOrEqual(t, after.goroutines, before.goroutines+10)
	require.LessOrEqual(t, after.files, before.files+3)
}
