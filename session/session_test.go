package session_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

func TestPairsChecksAndSendsWithoutAWarning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.run()
	w.pair()
	require.Equal(t, session.Number(owner), w.account.Status().Number)
	require.Equal(t, session.PairingPaired, w.account.Pairing().State)
	require.Empty(t, w.account.Pairing().Code, "a used code is not shown any more")

	answers, err := w.account.Check(t.Context(), []session.Number{session.Number(contact(1)), stranger, session.Number(contact(1))})
	require.NoError(t, err)
	require.Equal(t, session.Registered, answers[session.Number(contact(1))].Verdict)
	require.NotEmpty(t, answers[session.Number(contact(1))].LID)
	require.Equal(t, session.NotRegistered, answers[stranger].Verdict)

	require.NoError(t, w.send(contact(1), "hello"))
	require.Equal(t, "hello", w.inbox(contact(1), 1)[0].Text)
	require.Equal(t, contact(1), w.inbox(owner, 1)[0].SentTo)
	var e *session.Error
	require.ErrorAs(t, w.send(stranger, "hello"), &e)
	require.Equal(t, session.CodeNotOnWhatsApp, e.Code)
	require.Zero(t, w.sim.Counters().NoRecipientCopy)
	w.calm()
}

func TestFreshAnswersAreNotAskedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.run()
	w.pair()
	before := w.sim.Counters().UsyncQueries
	for range 3 {
		_, err := w.account.Check(t.Context(), []session.Number{session.Number(contact(1)), stranger})
		require.NoError(t, err)
	}
	require.Equal(t, before+1, w.sim.Counters().UsyncQueries)
}

func TestManyNumbersGoInBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60)
	w.run()
	w.pair()
	var numbers []session.Number
	for i := range 120 {
		numbers = append(numbers, session.Number(contact(i+1)))
	}
	before := w.sim.Counters().UsyncQueries
	answers, err := w.account.Check(t.Context(), numbers)
	require.NoError(t, err)
	require.Equal(t, before+3, w.sim.Counters().UsyncQueries)
	for i, number := range numbers {
		want := session.Registered
		if i >= 60 {
			want = session.NotRegistered
		}
		require.Equal(t, want, answers[number].Verdict, number)
	}
}

func TestARestartNeedsNoPairing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.run()
	w.pair()
	require.NoError(t, w.send(contact(1), "before"))
	w.stop()
	w.run()
	w.state(session.Online)
	require.NoError(t, w.send(contact(1), "after"))
	require.Len(t, w.inbox(contact(1), 2), 2)
	require.Equal(t, 1, w.sim.Counters().Pairings)
	w.calm()
}

func TestLostConnectionsComeBack(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"drop", "close", "503", "515"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			w.run()
			w.pair()
			logins := w.sim.Counters().Logins
			require.NoError(t, w.sim.Kick(owner, how))
			w.until("another log-in", func() bool {
				return w.sim.Counters().Logins > logins && w.account.Status().State == session.Online
			})
			require.NoError(t, w.send(contact(1), "hello"))
			w.inbox(contact(1), 1)
		})
	}
}

func TestALostRestartAfterPairingIsSurvived(t *testing.T) {
	t.Parallel()
	for round := range 5 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0, simulator.Options{CloseGrace: -1})
			w.run()
			w.pair()
		})
	}
}

func TestThePhoneRemovingUsIsKeptAndStartsARound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.run()
	w.pair()
	require.NoError(t, w.sim.Kick(owner, "device_removed"))
	w.until("another code", func() bool { return w.account.Pairing().Round == 2 && w.account.Pairing().Code != "" })
	facts, err := w.keeper.Facts(t.Context(), session.DefaultAccount)
	require.NoError(t, err)
	require.Equal(t, session.CodeLoggedOut, facts.EndReason)
	require.False(t, facts.ByUs)
	require.Equal(t, session.Number(owner), facts.Number, "whose it was stays known")
	w.pair()
	w.until("paired", func() bool { return w.account.Status().Paired() })
	require.False(t, w.account.Status().Confirm, "the same number needs no confirmation")
}

func TestAnotherNumberNeedsAConfirmation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.run()
	w.pair()
	require.NoError(t, w.sim.Kick(owner, "device_removed"))
	w.until("another code", func() bool { return w.account.Pairing().Round == 2 && w.account.Pairing().Code != "" })
	require.NoError(t, w.sim.Scan(t.Context(), contact(1), w.account.Pairing().Code))
	w.state(session.Online)
	require.True(t, w.account.Status().Confirm)
	w.stop()
	w.run()
	w.state(session.Online)
	require.True(t, w.account.Status().Confirm, "a restart confirms nothing")
	require.NoError(t, w.account.ConfirmNumber(t.Context()))
	require.False(t, w.account.Status().Confirm)
}

func TestLogOutEndsTheLinkAndStartsNoRound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.run()
	w.code()
	require.ErrorIs(t, w.account.Logout(t.Context()), session.ErrNotPaired)
	w.state(session.Unpaired) // the log-out ended the first round
	round, err := w.account.Pair(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, round.Code)
	again, err := w.account.Pair(t.Context())
	require.NoError(t, err)
	require.Equal(t, round.Round, again.Round, "a second call joins the round")
	w.pair()
	_, err = w.account.Pair(t.Context())
	require.ErrorIs(t, err, session.ErrAlreadyPaired)
	require.NoError(t, w.account.Logout(t.Context()))
	require.Equal(t, session.LoggedOut, w.account.Status().State)
	require.False(t, w.account.Pairing().Live(), "nobody asked for a round")
	require.ErrorIs(t, w.account.Logout(t.Context()), session.ErrNotPaired)
	w.account.NeedsPairing()
	w.code()
	require.Error(t, w.send(contact(1), "x"))
}

func TestCodesRunOutAndRoundsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, simulator.Options{FirstCodeLife: time.Minute, CodeLife: time.Minute})
	w.options.Timing.FirstCode, w.options.Timing.Code = 20*time.Millisecond, 10*time.Millisecond
	w.run()
	w.until("two rounds end", func() bool {
		p := w.account.Pairing()
		return p.Round == 2 && p.State == session.PairingExpired
	})
	require.Equal(t, session.CodePairExpired, w.account.Pairing().Reason)
	require.Equal(t, session.Unpaired, w.account.Status().State)
}

func TestATakeoverIsAnsweredOnceAndThenLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.run()
	w.pair()
	require.NoError(t, w.sim.Kick(owner, "replaced"))
	w.state(session.Replaced)
	w.state(session.Online)
	require.NoError(t, w.sim.Kick(owner, "replaced"))
	w.state(session.Replaced)
	require.ErrorIs(t, func() error { _, err := w.account.Pair(t.Context()); return err }(), session.ErrAlreadyPaired)
	require.Equal(t, session.Replaced, w.account.Status().State)
}

func TestRefusedLoginsHaveTheirOwnStates(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]session.State{
		"402": session.TempBanned,
		"403": session.Locked,
		"405": session.Outdated,
		"406": session.Locked,
		"409": session.Backoff,
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			w.options.Timing.Backoff, w.options.Timing.BackoffMost = time.Minute, time.Minute
			w.run()
			w.pair()
			require.NoError(t, w.sim.Kick(owner, mode))
			if mode == "402" {
				w.until("the ban is over", func() bool { return w.saw(session.TempBanned) && w.account.Status().State == session.Online })
				return
			}
			w.state(want)
			require.NotEmpty(t, w.account.Status().Reason)
			require.NotEmpty(t, w.account.Status().Detail)
		})
	}
}

func TestTwoWayTrafficLosesNothing(t *testing.T) {
	t.Parallel()
	const each = 100
	w := newWorld(t, 1)
	w.run()
	w.pair()
	require.NoError(t, w.send(contact(1), "first"))
	w.inbox(contact(1), 1)
	_, err := w.sim.Write(t.Context(), contact(1), owner, "first")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range each {
			if _, err := w.sim.Write(t.Context(), contact(1), owner, fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range each {
		require.NoError(t, w.send(contact(1), fmt.Sprint(i)))
	}
	wg.Wait()
	w.until("all incoming messages", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.messages) == each+1
	})
	require.Len(t, w.inbox(contact(1), each+1), each+1)
	require.Zero(t, w.sim.Counters().Replayed)
}

func TestAnOfflineAccountSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.run()
	_, err := w.account.Check(t.Context(), []session.Number{session.Number(contact(1))})
	var e *session.Error
	require.True(t, errors.As(err, &e))
	require.Equal(t, session.CodeNotPaired, e.Code)
	require.Equal(t, session.RetryOnline, e.Retry)
}
