package session_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

// walked returns the states of the pairing rounds that were told, in order, each once.
func walked(w *world) []session.PairingState {
	var states []session.PairingState
	for _, event := range told[session.PairingChanged](w) {
		states = append(states, event.Round.State)
	}
	return slices.Compact(states)
}

func TestAPairingWalksEachPath(t *testing.T) {
	t.Parallel()
	const starting, waiting, confirm = session.PairingStarting, session.PairingWaiting, session.PairingConfirm
	scan := func(w *world) { _ = w.sim.Scan(w.t.Context(), ana, w.waitCode(1)) } // its outcome shows at the account
	strange := func(do string) func(*world) {
		return func(w *world) {
			w.sim.Expect("pair")
			_, err := w.sim.AddFaults(simulator.Fault{At: "pair", Do: do, Times: 1})
			require.NoError(w.t, err)
			scan(w)
		}
	}
	short := func(w *world) {
		w.opts.Timing.FirstCode, w.opts.Timing.NextCode = 60*time.Millisecond, 20*time.Millisecond
	}
	for _, c := range []struct {
		name   string
		sim    simulator.Options
		before func(*world)
		do     func(*world)
		want   []session.PairingState
		reason string
	}{
		{"scanned", simulator.Options{}, nil, scan, []session.PairingState{starting, waiting, confirm, session.PairingPaired}, ""},
		{"scanned by nobody", simulator.Options{}, short, nil, []session.PairingState{starting, waiting, session.PairingExpired}, session.CodePairExpired},
		{"WhatsApp gives up first", simulator.Options{Codes: 1, FirstCodeLife: 50 * time.Millisecond}, nil, nil, []session.PairingState{starting, waiting, session.PairingExpired}, session.CodePairExpired},
		{"a wrong signature", simulator.Options{}, nil, strange("wrong-signature"), []session.PairingState{starting, waiting, session.PairingRefused}, session.CodePairBadIdentity},
		{"a wrong HMAC", simulator.Options{}, nil, strange("wrong-hmac"), []session.PairingState{starting, waiting, session.PairingRefused}, session.CodePairBadIdentity},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.sim)
			w.opts.PairingRounds = 1
			if c.before != nil {
				c.before(w)
			}
			w.run()
			if c.do != nil {
				c.do(w)
			}
			end := c.want[len(c.want)-1]
			w.wait(string(end), func() bool { return w.account.Pairing().State == end })
			require.Equal(t, c.want, walked(w))
			require.Equal(t, c.reason, w.account.Pairing().Reason)
			codes := 0
			for _, event := range told[session.PairingChanged](w) {
				round := event.Round
				if round.State != waiting {
					require.Empty(t, round.Code, "a code of a round that is %s", round.State)
					continue
				}
				codes++
				require.NotEmpty(t, round.Code)
				require.Equal(t, codes, round.CodeIndex)
				require.False(t, round.ExpiresAt.IsZero())
			}
			if c.name == "scanned by nobody" {
				require.Equal(t, 6, codes)
				require.Equal(t, 6, w.account.Pairing().CodeCount)
			}
		})
	}
}

func TestAPasskeyOpensTheLastDoorOfAPairing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	challenge := passkeyRound(t, w)
	left := time.Until(w.account.Pairing().ExpiresAt)
	require.LessOrEqual(t, left, 10*time.Minute, "as long as WhatsApp waits")
	require.Greater(t, left, 9*time.Minute)
	right, err := w.sim.ProvePasskey(ana, challenge)
	require.NoError(t, err)
	text, err := json.Marshal(right)
	require.NoError(t, err)
	require.NoError(t, w.account.AnswerPasskey(t.Context(), text))
	require.ErrorIs(t, w.account.AnswerPasskey(t.Context(), text), session.ErrNoPasskey, "a second answer")
	w.wait("paired", func() bool { return w.account.Pairing().State == session.PairingPaired })
	require.Equal(t, []session.PairingState{
		session.PairingStarting, session.PairingWaiting, session.PairingPasskey, session.PairingPasskeyCode, session.PairingConfirm, session.PairingPaired,
	}, walked(w))
}
