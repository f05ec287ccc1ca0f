package session_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

// failureCase is something that goes wrong with a connection, and what the account must show then.
type failureCase struct {
	name   string
	kick   string          // how the simulator ends the connection; then the next one is made at once
	fault  simulator.Fault // what the next connection meets; none when At is empty
	state  session.State
	reason string
}

func TestEveryFailureHasItsState(t *testing.T) {
	t.Parallel()
	const lost, silent, failed, restart = session.CodeConnectionLost, session.CodeConnectionSilent, session.CodeConnectFailed, session.CodeServerRestart
	fault := func(at, do string) simulator.Fault { return simulator.Fault{At: at, Do: do, Times: 1} }
	refused := func(reason int) simulator.Fault {
		return simulator.Fault{At: "login", Do: "failure", Code: reason, Times: 1}
	}
	stream := func(code int) simulator.Fault {
		return simulator.Fault{At: "online", Do: "stream-error", Code: code, Times: 1}
	}
	for _, c := range []failureCase{
		{"cut", simulator.KickDrop, simulator.Fault{}, session.Backoff, lost},
		{"reset", simulator.KickReset, simulator.Fault{}, session.Backoff, lost},
		{"closed", simulator.KickClose, simulator.Fault{}, session.Backoff, lost},
		{"restart 503", simulator.Kick503, simulator.Fault{}, session.Backoff, restart},
		{"replaced", simulator.KickReplaced, simulator.Fault{}, session.Replaced, session.CodeReplaced},
		{"removed by the phone", simulator.KickRemoved, simulator.Fault{}, session.LoggedOut, session.CodeLoggedOut},

		{"HTTP 500", "", simulator.Fault{At: "connect", Do: "error", Code: 500, Times: 1}, session.Backoff, failed},
		{"HTTP 403", "", simulator.Fault{At: "connect", Do: "error", Code: 403, Times: 1}, session.Backoff, failed},
		{"HTTP cut", "", fault("connect", "drop"), session.Backoff, failed},
		{"HTTP reset", "", fault("connect", "reset"), session.Backoff, failed},
		{"HTTP silence", "", fault("connect", "silence"), session.Backoff, failed},
		{"foreign certificate", "", fault("handshake", "wrong-root"), session.Backoff, failed},
		{"expired certificate", "", fault("handshake", "expired"), session.Backoff, failed},
		{"garbage hello", "", fault("handshake", "garbage"), session.Backoff, failed},
		{"half a hello", "", fault("handshake", "half"), session.Backoff, failed},
		{"login cut", "", fault("login", "drop"), session.Backoff, lost},
		{"login silence", "", fault("login", "silence"), session.Backoff, silent},

		{"login 400", "", refused(400), session.Backoff, "connect_refused_400"},
		{"login 401", "", refused(401), session.LoggedOut, session.CodeLoggedOut},
		{"login 402", "", refused(402), session.TempBanned, session.CodeTempBanned},
		{"login 403", "", refused(403), session.Locked, session.CodeAccountLocked},
		{"login 405", "", refused(405), session.Outdated, session.CodeOutdated},
		{"login 406", "", refused(406), session.Locked, session.CodeAccountBanned},
		{"login 409", "", refused(409), session.Backoff, "connect_refused_409"},
		{"login 413", "", refused(413), session.Backoff, "connect_refused_413"},
		{"login 414", "", refused(414), session.Backoff, "connect_refused_414"},
		{"login 415", "", refused(415), session.Backoff, "connect_refused_415"},
		{"login 418", "", refused(418), session.Backoff, "connect_refused_418"},
		{"login 499", "", refused(499), session.Backoff, "connect_refused_499"},
		{"login 500", "", refused(500), session.Backoff, restart},
		{"login 501", "", refused(501), session.Backoff, restart},
		{"login 503", "", refused(503), session.Backoff, restart},

		{"stream 515", "", stream(515), session.Backoff, restart},
		{"stream 500", "", stream(500), session.Backoff, restart},
		{"stream 418", "", stream(418), session.Backoff, "wa_418"},
		{"stream 429, left open", "", simulator.Fault{At: "online", Do: "stream-error-open", Code: 429, Times: 1}, session.Backoff, "wa_429"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			meetFailure(t, c)
		})
	}
}

// meetFailure lets a linked account meet a failure and looks at what it shows.
func meetFailure(t *testing.T, c failureCase) {
	w := newWorld(t)
	w.sim.Expect("handshake refused")
	w.opts.Timing.BackoffMin, w.opts.Timing.BackoffMax = time.Minute, time.Hour // it stays as it is
	w.opts.Timing.ReplacedRetry = time.Hour
	w.pair()
	if c.fault.At != "" {
		w.halt()
		if c.fault.Do == "silence" {
			w.opts.Timing.Dial, w.opts.Timing.Login = 2*time.Second, 2*time.Second
		}
		_, err := w.sim.AddFaults(c.fault)
		require.NoError(t, err)
		w.run()
	} else {
		require.NoError(t, w.sim.Kick(ana, c.kick))
	}
	matches := func(s session.Status) bool { return s.State == c.state && s.Reason == c.reason }
	w.wait(string(c.state)+" "+c.reason, func() bool {
		return slices.ContainsFunc(told[session.StatusChanged](w), func(e session.StatusChanged) bool { return matches(e.Status) })
	})
	status := w.account.Status()
	require.True(t, matches(status), "it stays so: %+v", status)
	require.NotEmpty(t, status.Detail)
	require.False(t, status.Since.IsZero())
	require.Positive(t, w.account.Counts().Ends[c.reason])
	dials := w.account.Counts().Dials
	_ = w.account.ConfirmNumber(t.Context()) // answered after what the account was about to do
	require.Equal(t, dials, w.account.Counts().Dials)
	if c.state == session.LoggedOut || c.state == session.Locked {
		facts, err := w.keeper.Facts(t.Context(), "")
		require.NoError(t, err)
		require.Equal(t, c.reason, facts.EndReason)
		require.Contains(t, facts.EndDetail, "online", "what came before is kept")
		require.False(t, w.account.Pairing().Live(), "no round by itself")
	}
}

func TestASilentConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{simulator.KickDeaf, simulator.KickStuck} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.pair()
			logins := w.sim.Counters().Logins
			begun := time.Now()
			require.NoError(t, w.sim.Kick(ana, mode))
			w.waitState(session.Degraded)
			require.Equal(t, session.CodeConnectionSilent, w.account.Status().Reason)
			require.Less(t, time.Since(begun), 5*time.Second+patience/10, "one interval and one answer, at most")
			w.wait("another login", func() bool {
				return w.sim.Counters().Logins > logins && w.account.Status().State == session.Online
			})
			// Closing a websocket takes the library up to 5 s more when nobody reads.
			require.Less(t, time.Since(begun), 15*time.Second+patience/10, "two of each, at most")
			require.GreaterOrEqual(t, w.account.Counts().PingsMissed, 2)
			_, err := w.send(bea, "over the new one")
			require.NoError(t, err)
		})
	}
}

func TestAConnectionOnWhichNothingWouldComeIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.sim.AddFaults(simulator.Fault{At: "iq:passive", Do: "error", Code: 503, Account: ana, Times: 2})
	require.NoError(t, err)
	w.pair() // waits for the state online
	require.Equal(t, 2, w.sim.Counters().Faults["iq:passive error"])
	_, err = w.sim.Write(t.Context(), bea, ana, "can you hear me?")
	require.NoError(t, err)
	w.wait("the message", func() bool { return len(w.heard(bea)) == 1 })
}
