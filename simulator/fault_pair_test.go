package simulator_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"whatsappd/simulator"
)

// pairRows is what a client sees that is being linked, and what the phone says.
var pairRows = map[string]func(*scene){
	"pair refuse": func(s *scene) {
		codes := s.showCodes()
		s.strike()
		require.ErrorContains(s.t, s.server.Scan(s.t.Context(), ana, codes[0]), "the phone refused")
		_, heard := take[*events.PairError](s.client)
		require.False(s.t, heard)
		require.NoError(s.t, s.server.Scan(s.t.Context(), ana, codes[0]), "the code can be scanned again")
	},
	"pair old-app": func(s *scene) {
		codes := s.showCodes()
		s.strike()
		require.ErrorContains(s.t, s.server.Scan(s.t.Context(), ana, codes[0]), "too old")
		wait[*events.QRScannedWithoutMultidevice](s.t, s.client)
	},
	"pair wrong-hmac":      func(s *scene) { s.clientRefuses("401 hmac-mismatch", whatsmeow.ErrPairInvalidDeviceIdentityHMAC) },
	"pair wrong-signature": func(s *scene) { s.clientRefuses("401 signature-mismatch", whatsmeow.ErrPairInvalidDeviceSignature) },
	"pair garbage":         func(s *scene) { s.clientRefuses("500 internal-error", nil) },
	"pair silence": func(s *scene) {
		codes := s.showCodes()
		s.strike()
		go func() { _ = s.server.Scan(s.t.Context(), ana, codes[0]) }() // ends with the test
		s.struckSoon()
		require.ErrorContains(s.t, s.server.Scan(s.t.Context(), ana, codes[1]), "not valid")
		_, heard := take[*events.PairSuccess](s.client)
		require.False(s.t, heard)
	},
	"passkey-request no-options": func(s *scene) {
		s.strike()
		require.Len(s.t, s.askPasskey().Challenge, 32, "the client asks for the options")
	},
	"passkey refuse": func(s *scene) {
		request := s.askPasskey()
		s.strike()
		require.ErrorIs(s.t, s.provePasskey(request), whatsmeow.ErrIQForbidden)
		wait[*events.Disconnected](s.t, s.client)
		require.Zero(s.t, s.server.Counters().Pairings)
	},
	"passkey bad-continuation": func(s *scene) {
		request := s.askPasskey()
		s.strike()
		require.NoError(s.t, s.provePasskey(request))
		require.True(s.t, wait[*events.PairPasskeyError](s.t, s.client).Continuation)
	},
}

// showCodes connects the unpaired client and returns its codes.
func (s *scene) showCodes() []string {
	s.t.Helper()
	require.NoError(s.t, s.client.Connect())
	return wait[*events.QR](s.t, s.client).Codes
}

// clientRefuses lets the phone send what the client must refuse.
func (s *scene) clientRefuses(told string, reason error) {
	s.t.Helper()
	codes := s.showCodes()
	s.strike()
	require.ErrorContains(s.t, s.server.Scan(s.t.Context(), ana, codes[0]), told)
	failed := wait[*events.PairError](s.t, s.client)
	if reason != nil {
		require.ErrorIs(s.t, failed.Error, reason)
	}
	require.Zero(s.t, s.server.Counters().Pairings)
}

// struckSoon waits until the fault was met.
func (s *scene) struckSoon() {
	s.t.Helper()
	events, err := s.server.WaitEvents(s.t.Context(), 0)
	for err == nil && s.server.Faults()[0].Hits == 0 {
		events, err = s.server.WaitEvents(s.t.Context(), events[len(events)-1].Seq)
	}
	require.NoError(s.t, err)
}

// askPasskey lets Ana's phone scan the client's code and returns the request for her passkey.
func (s *scene) askPasskey() types.WebAuthnPublicKey {
	s.t.Helper()
	require.NoError(s.t, s.server.AddAccount(simulator.AccountSpec{Number: ana, Passkey: true}))
	codes := s.showCodes()
	go func() { _ = s.server.Scan(s.t.Context(), ana, codes[0]) }() // ends with the test
	return *wait[*events.PairPasskeyRequest](s.t, s.client).PublicKey
}

func (s *scene) provePasskey(request types.WebAuthnPublicKey) error {
	s.t.Helper()
	answer, err := s.server.ProvePasskey(ana, request)
	require.NoError(s.t, err)
	return s.client.SendPasskeyResponse(s.t.Context(), &answer)
}

func TestClientPairsByTypedCodeWithPasskey(t *testing.T) {
	t.Parallel()
	server := start(t)
	require.NoError(t, server.AddAccount(simulator.AccountSpec{Number: ana, Passkey: true}))
	c, _ := waiting(t, server)
	code := askCode(t, c, ana)
	outcome := make(chan error, 1)
	go func() { outcome <- server.EnterCode(t.Context(), ana, code) }()
	request := wait[*events.PairPasskeyRequest](t, c)
	answer, err := server.ProvePasskey(ana, *request.PublicKey)
	require.NoError(t, err)
	require.NoError(t, c.SendPasskeyResponse(t.Context(), &answer))
	wait[*events.PairPasskeyConfirmation](t, c)
	require.NoError(t, c.SendPasskeyConfirmation(t.Context()))
	wait[*events.Connected](t, c)
	require.NoError(t, <-outcome)
}
