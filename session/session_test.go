package session_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

func TestPairCheckAndSendWithoutAComplaint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	status := w.account.Status()
	require.Equal(t, session.Number(ana), status.Number)
	require.False(t, status.Confirm)
	require.NotEmpty(t, status.LID)
	require.False(t, status.LastAnswer.IsZero())

	before := w.sim.Counters().UsyncQueries
	answers, err := w.account.Check(t.Context(), []session.Number{bea, nobody, cem, bea})
	require.NoError(t, err)
	require.Equal(t, before+1, w.sim.Counters().UsyncQueries, "one query for all")
	require.Equal(t, session.Registered, answers[bea].Verdict)
	require.Equal(t, session.Number(bea), answers[bea].Canonical)
	require.Equal(t, session.NotRegistered, answers[nobody].Verdict)
	_, err = w.account.Check(t.Context(), []session.Number{bea, nobody})
	require.NoError(t, err)
	require.Equal(t, before+1, w.sim.Counters().UsyncQueries, "kept answers are not asked for again")

	sent, err := w.send(bea, "hello")
	require.NoError(t, err)
	got := w.read(bea, 1)[0]
	require.Equal(t, "hello", got.Text)
	require.Equal(t, string(sent.ID), got.ID)
	require.Equal(t, bea, w.read(ana, 1)[0].SentTo, "the own phone has a copy")

	_, err = w.send(nobody, "hello")
	requireCode(t, err, session.CodeNotOnWhatsApp, session.RetryNever)
	require.Zero(t, w.sim.Counters().NoRecipientCopy)
	w.isCalm()
}

func TestTheStatusTellsTheLastAnswerAndItsRoundTrip(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const late = 40 * time.Millisecond
	_, err := w.sim.AddFaults(simulator.Fault{At: "iq:w:p", Do: "delay", Delay: simulator.Duration(late)})
	require.NoError(t, err)
	begun := time.Now()
	w.pair()
	require.Eventually(t, func() bool { return w.account.Status().RoundTrip > 0 }, patience, 20*time.Millisecond)
	status := w.account.Status()
	require.GreaterOrEqual(t, status.RoundTrip, late)
	require.Less(t, status.RoundTrip, w.opts.Timing.PingAnswer)
	require.True(t, status.LastAnswer.After(begun))
}

func TestChecksOfTheSameNumberAskOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.CheckCachePositive = 0
	w.pair()
	var numbers []session.Number
	for i := range 120 {
		numbers = append(numbers, session.Number(fmt.Sprintf("49152%08d", i)))
	}
	before := w.sim.Counters().UsyncUsers
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			answers, err := w.account.Check(t.Context(), numbers)
			if err != nil || len(answers) != len(numbers) {
				t.Errorf("%d answers, %v", len(answers), err)
			}
		})
	}
	all.Wait()
	require.Equal(t, before+len(numbers), w.sim.Counters().UsyncUsers)
}

func TestASendWithoutACopyForTheRecipientIsNotSent(t *testing.T) {
	t.Parallel()
	for _, known := range []bool{false, true} {
		t.Run(fmt.Sprintf("known contact %t", known), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.pair()
			if known {
				_, err := w.send(bea, "first")
				require.NoError(t, err)
			}
			answers, err := w.account.Check(t.Context(), []session.Number{bea})
			require.NoError(t, err)
			lid, _, _ := strings.Cut(answers[bea].LID, "@")
			_, err = w.db.ExecContext(t.Context(), fmt.Sprintf(`CREATE TRIGGER broken BEFORE INSERT ON whatsmeow_identity_keys
				WHEN NEW.their_id = '%s_1:0' BEGIN SELECT RAISE(ABORT, 'the test breaks this'); END`, lid))
			require.NoError(t, err)

			id := w.account.NewMessageID()
			message := session.Message{ID: id, To: bea, Text: "hello"}
			_, err = w.account.Send(t.Context(), message)
			e := requireCode(t, err, session.CodeNoRecipientCopy, session.RetryLater)
			require.True(t, e.Uncertain)

			_, err = w.db.ExecContext(t.Context(), `DROP TRIGGER broken`)
			require.NoError(t, err)
			sent, err := w.account.Send(t.Context(), message)
			require.NoError(t, err)
			require.Equal(t, id, sent.ID)
			expected := 1
			if known {
				expected = 2
			}
			entries := w.read(bea, expected)
			require.Equal(t, "hello", entries[len(entries)-1].Text)
			require.Zero(t, entries[len(entries)-1].Duplicates)
		})
	}
}

func TestAConnectionThatEndsComesBack(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{simulator.KickDrop, simulator.KickClose, simulator.Kick503, simulator.Kick515, "500"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.pair()
			logins := w.sim.Counters().Logins
			require.NoError(t, w.sim.Kick(ana, mode))
			w.wait("another login", func() bool {
				return w.sim.Counters().Logins > logins && w.account.Status().State == session.Online
			})
			_, err := w.send(bea, "back again")
			require.NoError(t, err)
			w.read(bea, 1)
		})
	}
}

func TestALogOutByThePhoneIsKeptAndStartsARound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.PairingAuto = true
	var ahead atomic.Int64 // of the account's clock
	w.opts.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	w.pair()
	_, err := w.send(bea, "before")
	require.NoError(t, err)
	var devices []int // of the library, whenever the end is kept
	w.keeper.onKeep(func(facts session.Facts) {
		if facts.EndReason == session.CodeLoggedOut {
			devices = append(devices, w.rows("whatsmeow_device"))
		}
	})
	ahead.Store(int64(12 * time.Second))
	require.NoError(t, w.sim.Kick(ana, simulator.KickRemoved))
	w.waitCode(2)
	facts, err := w.keeper.Facts(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, session.LoggedOut, facts.EndState)
	require.Equal(t, session.CodeLoggedOut, facts.EndReason)
	require.Regexp(t, `^the phone or WhatsApp removed this device; it was online for 1[2-9]s; last deeds: .*a send 1[2-9]s before`, facts.EndDetail)
	require.WithinDuration(t, w.opts.Now(), facts.EndedAt, patience)
	require.NotEmpty(t, devices)
	require.Equal(t, 1, devices[0], "the reason is kept before the library deletes the device")
	require.Equal(t, session.Number(ana), facts.Number)
	require.False(t, facts.ByUs)
	w.scan(ana)
	require.False(t, w.account.Status().Confirm)
}

func TestWithoutAutoALogOutStartsNoRoundButATaskDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Timing.TaskRoundPause = time.Nanosecond
	w.pair()
	require.NoError(t, w.sim.Kick(ana, simulator.KickRemoved))
	w.waitState(session.LoggedOut)
	require.Equal(t, session.CodeLoggedOut, w.account.Status().Reason)
	require.Equal(t, 1, w.account.Pairing().Round)
	w.wait("a round for a task", func() bool { w.account.NeedsPairing(); return w.account.Pairing().Code != "" })
}

func TestAnotherNumberWaitsForItsConfirmation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.PairingAuto = true
	w.pair()
	require.NoError(t, w.sim.Kick(ana, simulator.KickRemoved))
	w.waitCode(2)
	w.scan(another)
	require.True(t, w.account.Status().Confirm)
	w.halt()
	w.run()
	w.waitState(session.Online)
	require.True(t, w.account.Status().Confirm, "a restart confirms nothing")
	require.NoError(t, w.account.ConfirmNumber(t.Context()))
	w.wait("confirmed", func() bool { return !w.account.Status().Confirm })
}

func TestLogOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.PairingAuto = true
	w.run()
	w.waitCode(1)
	require.ErrorIs(t, w.account.Logout(t.Context()), session.ErrNotPaired)
	w.wait("the round ends", func() bool { return w.account.Pairing().State == session.PairingStopped })
	w.waitState(session.Unpaired)

	round, err := w.account.Pair(t.Context())
	require.NoError(t, err)
	joined, err := w.account.Pair(t.Context())
	require.NoError(t, err)
	require.Equal(t, round.Round, joined.Round)
	w.scan(ana)
	_, err = w.account.Pair(t.Context())
	require.ErrorIs(t, err, session.ErrAlreadyPaired)

	require.NoError(t, w.account.Logout(t.Context()))
	w.waitState(session.LoggedOut)
	require.Equal(t, session.CodeLogoutRequested, w.account.Status().Reason)
	require.False(t, w.account.Status().Paired())
	require.False(t, w.account.Pairing().Live())
	_, err = w.send(bea, "no")
	requireCode(t, err, session.CodeNotPaired, session.RetryOnline)
	w.staysLoggedOut()
	require.Equal(t, []string{session.NoticeLinked, "logged_out"}, w.keeper.codes())
}

// staysLoggedOut restarts, after which there is no round by itself: the log-out was ours.
func (w *world) staysLoggedOut() {
	w.t.Helper()
	w.halt()
	w.run()
	w.waitState(session.LoggedOut)
	require.Equal(w.t, session.PairingIdle, w.account.Pairing().State)
}

func TestALogOutWhoseAnswerIsLostIsOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.PairingAuto = true
	w.pair()
	_, err := w.sim.AddFaults(simulator.Fault{At: "iq:md", Do: "drop-after", Times: 1})
	require.NoError(t, err)
	if err = w.account.Logout(t.Context()); err != nil { // the next login, which tells, may come before the library gives up
		requireCode(t, err, session.CodeNetworkUncertain, session.RetryOnline)
	}
	w.waitState(session.LoggedOut)
	require.Equal(t, session.CodeLogoutRequested, w.account.Status().Reason)
	require.ErrorIs(t, w.account.Logout(t.Context()), session.ErrNotPaired)
	w.staysLoggedOut()
	require.Equal(t, []string{session.NoticeLinked, "logged_out"}, w.keeper.codes())
}

func TestALogOutThatDidNotReachWhatsAppIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.PairingAuto = true
	w.pair()
	_, err := w.sim.AddFaults(simulator.Fault{At: "iq:md", Do: "silence", Times: 1})
	require.NoError(t, err)
	requireCode(t, w.account.Logout(t.Context()), session.CodeNetworkUncertain, session.RetryLater)
	w.waitState(session.Online)
	_, err = w.send(bea, "still here")
	require.NoError(t, err)
	require.Equal(t, []string{session.NoticeLinked}, w.keeper.codes(), "it never ended")
	require.NoError(t, w.sim.Kick(ana, simulator.KickRemoved))
	w.wait("a round starts, for the phone ended it", func() bool { return w.account.Pairing().Live() })
	require.NotEqual(t, session.CodeLogoutRequested, w.account.Status().Reason)
}

func TestARestartNeedsNoPairing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	_, err := w.send(bea, "before")
	require.NoError(t, err)
	w.halt()
	w.run()
	w.waitState(session.Online)
	_, err = w.send(bea, "after")
	require.NoError(t, err)
	require.Len(t, w.read(bea, 2), 2)
	require.Equal(t, 1, w.sim.Counters().Pairings)
	w.isCalm()
}

func TestTrafficBothWaysLosesNothing(t *testing.T) {
	t.Parallel()
	const each = 100
	w := newWorld(t)
	w.pair()
	_, err := w.send(bea, "first")
	require.NoError(t, err)
	w.read(bea, 1)
	_, err = w.sim.Write(t.Context(), bea, ana, "first")
	require.NoError(t, err)
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := range each {
			if _, err := w.sim.Write(t.Context(), bea, ana, fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range each {
		_, err := w.send(bea, fmt.Sprint(i))
		require.NoError(t, err)
	}
	writing.Wait()
	w.wait("all that Bea wrote", func() bool { return len(told[session.MessageReceived](w)) == each+1 })
	require.Len(t, w.read(bea, each+1), each+1)
	require.Zero(t, w.sim.Counters().Replayed)
}

func TestAMessageNobodyTookComesAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	w.mu.Lock()
	w.refuse = 4 // more than one connection's tries
	w.mu.Unlock()
	_, err := w.sim.Write(t.Context(), bea, ana, "important")
	require.NoError(t, err)
	w.wait("the message", func() bool { return len(told[session.MessageReceived](w)) == 1 })
	got := told[session.MessageReceived](w)[0]
	require.Equal(t, "important", got.Text)
	require.Equal(t, session.Number(bea), got.From)
}

func TestATakeOverIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	require.NoError(t, w.sim.Kick(ana, simulator.KickReplaced))
	w.wait("replaced, then online", func() bool { return seen(w, session.Replaced, session.Online) })
	logins := w.sim.Counters().Logins
	require.NoError(t, w.sim.Kick(ana, simulator.KickReplaced))
	w.wait("replaced for good", func() bool { return seen(w, session.Replaced, session.Online, session.Replaced) })
	require.Equal(t, session.CodeReplaced, w.account.Status().Reason)
	require.Equal(t, logins, w.sim.Counters().Logins)
}

func TestRefusedLogins(t *testing.T) {
	t.Parallel()
	for reason, want := range map[int]session.State{
		401: session.LoggedOut, 402: session.TempBanned, 403: session.Locked,
		405: session.Outdated, 406: session.Locked, 409: session.Backoff,
	} {
		t.Run(fmt.Sprint(reason), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.opts.Timing.BackoffMax = time.Hour
			w.opts.Timing.BackoffMin = time.Minute
			w.opts.Timing.Stable = time.Nanosecond // the first dial comes at once
			w.pair()
			require.NoError(t, w.sim.Kick(ana, fmt.Sprint(reason)))
			w.waitState(want)
			status := w.account.Status()
			require.NotEmpty(t, status.Reason)
			require.NotEmpty(t, status.Detail)
			if reason == 409 {
				require.Equal(t, "connect_refused_409", status.Reason)
			}
		})
	}
}

func TestCodesRunOutAndRoundsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.PairingAuto = true
	w.opts.Timing.FirstCode, w.opts.Timing.NextCode = 20*time.Millisecond, 10*time.Millisecond
	w.run()
	w.wait("three rounds", func() bool {
		p := w.account.Pairing()
		return p.Round == 3 && p.State == session.PairingExpired
	})
	require.Equal(t, session.CodePairExpired, w.account.Pairing().Reason)
	require.Equal(t, session.Unpaired, w.account.Status().State)
	codes := map[string]bool{}
	for _, event := range told[session.PairingChanged](w) {
		if event.Round.State == session.PairingWaiting {
			codes[event.Round.Code] = true
		}
	}
	require.Len(t, codes, 3*6, "each code once")
}

func TestAnIDIsMadeWithoutALink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	require.Regexp(t, `^3EB0[0-9A-F]{18}$`, w.account.NewMessageID())
	require.NotEqual(t, w.account.NewMessageID(), w.account.NewMessageID())
}

// seen tells whether these states were told in this order, others between them.
func seen(w *world, states ...session.State) bool {
	for _, event := range told[session.StatusChanged](w)[lastPairing(w):] {
		if len(states) > 0 && event.Status.State == states[0] {
			states = states[1:]
		}
	}
	return len(states) == 0
}

// lastPairing returns how many states were told until the account was first online.
func lastPairing(w *world) int {
	for i, event := range told[session.StatusChanged](w) {
		if event.Status.State == session.Online {
			return i + 1
		}
	}
	return 0
}

func requireCode(t *testing.T, err error, code string, retry session.Retry) *session.Error {
	t.Helper()
	var e *session.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code)
	require.Equal(t, retry, e.Retry)
	return e
}
