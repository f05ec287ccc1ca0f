package session_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

func TestAPasskeyNobodyGivesEndsTheRound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{PasskeyTimeout: 50 * time.Millisecond})
	w.opts.PairingAuto = false
	passkeyRound(t, w)
	w.wait("the round ends", func() bool { return !w.account.Pairing().Live() })
	require.Equal(t, session.PairingExpired, w.account.Pairing().State, "also when WhatsApp ends the connection in that moment")
	require.Equal(t, session.CodePairExpired, w.account.Pairing().Reason)
	require.Equal(t, []session.PairingState{session.PairingStarting, session.PairingWaiting, session.PairingPasskey, session.PairingExpired}, walked(w))
	require.Empty(t, w.account.Pairing().Passkey)
	require.ErrorIs(t, w.account.ConfirmPasskey(t.Context()), session.ErrNoPasskey)
}
