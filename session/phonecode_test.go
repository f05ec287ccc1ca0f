package session_test

import (
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types"

	"whatsappd/session"
	"whatsappd/simulator"
)

func TestPairByATypedCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ahead atomic.Int64
	w.opts.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	w.run()
	w.waitCode(1)
	_, err := w.sim.AddFaults(simulator.Fault{At: "iq:md", Do: "delay"}) // by no time: it counts the requests for a code
	require.NoError(t, err)
	round, err := w.account.PairPhone(t.Context(), ana)
	require.NoError(t, err)
	require.Regexp(t, `^[1-9A-HJ-NP-TV-Z]{4}-[1-9A-HJ-NP-TV-Z]{4}$`, round.PhoneCode)
	require.Equal(t, session.Number(ana), round.PhoneCodeFor)
	require.NotEmpty(t, round.Code, "the codes to scan stay live")

	_, err = w.account.PairPhone(t.Context(), ana)
	limited := requireCode(t, err, session.CodePairRateLimited, session.RetryLater)
	require.InDelta(t, time.Minute, limited.After, float64(patience), "a minute after the first")
	require.LessOrEqual(t, limited.After, time.Minute)
	require.Equal(t, round.PhoneCode, w.account.Pairing().PhoneCode, "the first code works on")
	require.Equal(t, 1, w.sim.Faults()[0].Hits, "WhatsApp was asked once")
	ahead.Store(int64(time.Minute))
	round, err = w.account.PairPhone(t.Context(), ana)
	require.NoError(t, err, "a minute later")
	require.Equal(t, 2, w.sim.Faults()[0].Hits)

	require.NoError(t, w.sim.EnterCode(t.Context(), ana, round.PhoneCode))
	w.wait("paired and online", func() bool {
		return w.account.Status().State == session.Online && w.account.Pairing().State == session.PairingPaired
	})
	require.Empty(t, w.account.Pairing().PhoneCode)
	require.Equal(t, session.Number(ana), w.account.Status().Number)
	_, err = w.account.PairPhone(t.Context(), ana)
	require.ErrorIs(t, err, session.ErrAlreadyPaired)
	_, err = w.send(bea, "hello")
	require.NoError(t, err)
	w.isCalm()
}

func TestWhatsAppRefusesATypedCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	w.waitCode(1)
	_, err := w.account.PairPhone(t.Context(), nobody)
	requireCode(t, err, session.CodePairBadIdentity, session.RetryNever)
	_, err = w.sim.AddFaults(simulator.Fault{At: "iq:md", Do: "error", Code: 429, Times: 1})
	require.NoError(t, err)
	_, err = w.account.PairPhone(t.Context(), ana)
	limited := requireCode(t, err, session.CodePairRateLimited, session.RetryLater)
	require.Equal(t, 429, limited.WACode)
	require.Equal(t, time.Minute, limited.After)
	require.Equal(t, session.PairingWaiting, w.account.Pairing().State, "the codes to scan stay live")
}

// passkeyRound scans a code of an account with a passkey, and returns WhatsApp's challenge.
func passkeyRound(t *testing.T, w *world) types.WebAuthnPublicKey {
	t.Helper()
	require.NoError(t, w.sim.AddAccount(simulator.AccountSpec{Number: ana, Name: "Ana", Passkey: true}))
	w.run()
	code := w.waitCode(1)
	go func() { _ = w.sim.Scan(t.Context(), ana, code) }() // its outcome shows at the account
	w.wait("the passkey is wanted", func() bool { return w.account.Pairing().State == session.PairingPasskey })
	round := w.account.Pairing()
	require.Empty(t, round.Code)
	require.True(t, round.ExpiresAt.After(time.Now()))
	require.Equal(t, session.Pairing, w.account.Status().State)
	var challenge types.WebAuthnPublicKey
	require.NoError(t, json.Unmarshal([]byte(round.Passkey), &challenge))
	return challenge
}

func TestPairWithAPasskey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	challenge := passkeyRound(t, w)
	right, err := w.sim.ProvePasskey(ana, challenge)
	require.NoError(t, err)
	wrong := right
	wrong.Response.Signature = append([]byte(nil), right.Response.Signature...)
	wrong.Response.Signature[8] ^= 1
	answer := func(credential types.WebAuthnResponse) error {
		text, err := json.Marshal(credential)
		require.NoError(t, err)
		return w.account.AnswerPasskey(t.Context(), text)
	}
	requireCode(t, w.account.AnswerPasskey(t.Context(), []byte(`{"id":"x"}`)), session.CodePasskeyInvalid, session.RetryNever)
	requireCode(t, answer(wrong), session.CodePasskeyRefused, session.RetryLater)
	require.NoError(t, answer(right))
	require.ErrorIs(t, answer(right), session.ErrNoPasskey, "it is taken once")
	w.wait("paired and online", func() bool {
		return w.account.Status().State == session.Online && w.account.Pairing().State == session.PairingPaired
	})
	require.Empty(t, w.account.Pairing().Passkey)
}
