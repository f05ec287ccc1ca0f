package simulator_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"whatsappd/simulator"
)

// asked returns a client that was asked for Ana's passkey, and what becomes of the scan.
func asked(t *testing.T, server *simulator.Server) (*client, *types.WebAuthnPublicKey, <-chan error) {
	t.Helper()
	require.NoError(t, server.AddAccount(simulator.AccountSpec{Number: ana, Passkey: true}))
	c, codes := waiting(t, server)
	outcome := make(chan error, 1)
	go func() { outcome <- server.Scan(t.Context(), ana, codes[0]) }()
	return c, wait[*events.PairPasskeyRequest](t, c).PublicKey, outcome
}

// codeOnPhone is what the phone shows for comparison.
func codeOnPhone(t *testing.T, server *simulator.Server) string {
	t.Helper()
	for _, e := range server.Events(0) {
		if e.What == "passkey-code" {
			return e.Text
		}
	}
	t.Fatal("the phone shows no code")
	return ""
}

func TestClientPairsWithPasskey(t *testing.T) {
	t.Parallel()
	server := start(t)
	c, request, outcome := asked(t, server)
	require.Equal(t, "required", request.UserVerification)
	require.EqualValues(t, 600_000, request.Timeout)

	answer, err := server.ProvePasskey(ana, *request)
	require.NoError(t, err)
	require.NoError(t, c.SendPasskeyResponse(t.Context(), &answer))
	confirmation := wait[*events.PairPasskeyConfirmation](t, c)
	require.True(t, confirmation.SkipHandoffUX, "it was the client whose code was scanned")
	require.Equal(t, codeOnPhone(t, server), confirmation.Code)
	require.Zero(t, server.Counters().Pairings)

	require.NoError(t, c.SendPasskeyConfirmation(t.Context()))
	wait[*events.PairSuccess](t, c)
	wait[*events.Connected](t, c)
	require.NoError(t, <-outcome)
}

func TestWrongPasskeyIsRefused(t *testing.T) { //nolint:tparallel // its cases share a client
	t.Parallel()
	server := start(t)
	c, request, _ := asked(t, server)
	require.NoError(t, server.AddAccount(simulator.AccountSpec{Number: contactNumber(0), Passkey: true}))
	_, err := server.ProvePasskey(contactNumber(0), *request)
	require.ErrorContains(t, err, "does not ask for this account's passkey")
	other := *request
	other.Challenge = append([]byte(nil), request.Challenge...)
	other.Challenge[0] ^= 1
	stale, err := server.ProvePasskey(ana, other)
	require.NoError(t, err)
	right, err := server.ProvePasskey(ana, *request)
	require.NoError(t, err)
	spoiled := right
	spoiled.Response.Signature = append([]byte(nil), right.Response.Signature...)
	spoiled.Response.Signature[8] ^= 1
	foreign := right
	foreign.RawID = []byte("somebody else's")

	for name, answer := range map[string]types.WebAuthnResponse{
		"another challenge": stale, "wrong signature": spoiled, "another passkey": foreign, "nothing": {},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, c.SendPasskeyResponse(t.Context(), &answer), whatsmeow.ErrIQForbidden)
		})
	}
	require.NoError(t, c.SendPasskeyResponse(t.Context(), &right), "a right answer may follow")
	wait[*events.PairPasskeyConfirmation](t, c)
}

func TestPasskeyThatIsNotProvedInTime(t *testing.T) {
	t.Parallel()
	server := start(t, simulator.Options{PasskeyTimeout: time.Second})
	require.NoError(t, server.AddAccount(simulator.AccountSpec{Number: ana, Passkey: true}))
	c, codes := waiting(t, server)
	c.log.tolerate() // it reports the close it did not ask for
	require.ErrorContains(t, server.Scan(t.Context(), ana, codes[0]), "did not prove the passkey in time")
	wait[*events.PairPasskeyRequest](t, c)
	wait[*events.Disconnected](t, c)
	require.Zero(t, server.Counters().Pairings)
}
