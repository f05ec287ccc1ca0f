package session_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

// waitRows returns once one of the library's tables holds so many rows: only the tables tell.
func (w *world) waitRows(table string, count int) {
	w.t.Helper()
	for late := time.Now().Add(patience); w.rows(table) < count; w.rest(20 * time.Millisecond) {
		require.True(w.t, time.Now().Before(late), "rows of %s", table)
	}
}

// spoil makes the privacy tokens that the account holds useless.
func (w *world) spoil() {
	w.t.Helper()
	_, err := w.db.ExecContext(w.t.Context(), "UPDATE whatsmeow_privacy_tokens SET token = x'0102'")
	require.NoError(w.t, err)
}

const (
	goodTokens    = "whatsmeow_privacy_tokens WHERE length(token) > 2"
	spoiledTokens = "whatsmeow_privacy_tokens WHERE token = x'0102'"
	givenTokens   = "whatsmeow_privacy_tokens WHERE sender_timestamp IS NOT NULL" // ours was given as well
	noTokens      = "whatsmeow_privacy_tokens WHERE length(token) = 0"
)

func TestATokenThatIsRefusedGivesWayToADerivedOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.AddAccount(simulator.AccountSpec{Number: ana, Name: "Ana", Sync: simulator.Sync{AppState: true}}))
	require.NoError(t, w.sim.SetLimits(ana, simulator.Limits{Tokens: true}))
	w.pair()
	w.waitRows("whatsmeow_nct_salt", 1)
	_, err := w.sim.GiveToken(bea, ana)
	require.NoError(t, err)
	w.waitRows(goodTokens, 1)

	sent, failed := w.cold(bea)
	require.Nil(t, failed)
	require.Zero(t, sent.Resent, "her token opens the way")
	w.waitRows(givenTokens, 1) // until then the library may write the good one back
	w.spoil()
	sent, failed = w.cold(bea)
	require.Nil(t, failed)
	require.Equal(t, 1, sent.Resent)
	require.Equal(t, 1, w.rows(noTokens), "what opens the way no longer is forgotten")
	held, err := w.account.HoldsToken(t.Context(), sent.LID)
	require.NoError(t, err)
	require.False(t, held)
	sent, failed = w.cold(bea)
	require.Nil(t, failed)
	require.Zero(t, sent.Resent, "the next message goes the way that is open")

	_, err = w.sim.GiveToken(bea, ana)
	require.NoError(t, err)
	w.waitRows(goodTokens, 1)
	sent, failed = w.cold(bea)
	require.Nil(t, failed)
	require.Zero(t, sent.Resent, "a new one counts")
	require.Len(t, w.read(bea, 4), 4)
}

func TestATokenIsKeptWhenNothingElseOpensTheWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetLimits(ana, simulator.Limits{Tokens: true}))
	w.pair()
	_, err := w.sim.GiveToken(bea, ana)
	require.NoError(t, err)
	w.waitRows(goodTokens, 1)
	w.spoil()
	sent, failed := w.cold(bea)
	require.Equal(t, session.CodePriorContact, failed.Code)
	require.Equal(t, session.RetryNever, failed.Retry)
	require.Equal(t, 1, sent.Resent)
	require.Equal(t, 1, w.rows(spoiledTokens), "it may not have been the reason")
	require.Empty(t, w.sim.Inbox(bea))
}

func TestATokenOfOursThatIsNotTakenHoldsNothingUp(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]simulator.Fault{
		"refused":        {At: "iq:privacy", Do: "error", Code: 500},
		"never answered": {At: "iq:privacy", Do: "silence"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.pair()
			_, err := w.sim.AddFaults(fault, simulator.Fault{At: "message", Do: "error", Code: 463, Peer: bea})
			require.NoError(t, err)
			begun := time.Now()
			sent, failed := w.cold(bea)
			require.Less(t, time.Since(begun), patience)
			require.Equal(t, session.CodePriorContact, failed.Code)
			require.Equal(t, session.RetryNever, failed.Retry)
			require.Equal(t, 1, sent.Resent)
			w.halt() // nothing is asked any more
			hits := map[string]int{}
			for _, f := range w.sim.Faults() {
				hits[f.At] = f.Hits
			}
			require.Equal(t, 2, hits["message"], "attempts in all")
			require.LessOrEqual(t, hits["iq:privacy"], 2, "ours is given with an attempt, and nothing else asks for it")
		})
	}
}
