package simulator_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types/events"

	"whatsappd/simulator"
)

func TestClientPairsByScannedCode(t *testing.T) {
	t.Parallel()
	server := start(t)
	c := newClient(t, server.Addr(), newStore(t).NewDevice())
	require.NoError(t, c.Connect())
	codes := wait[*events.QR](t, c)
	require.Len(t, codes.Codes, 6)

	require.NoError(t, server.Scan(t.Context(), ana, codes.Codes[0]))
	success := wait[*events.PairSuccess](t, c)
	require.Equal(t, ana, success.ID.User)
	require.EqualValues(t, 1, success.ID.Device)
	require.EqualValues(t, 1, success.LID.Device)
	wait[*events.Connected](t, c)

	counters := server.Counters()
	require.Equal(t, 1, counters.Pairings)
	require.Equal(t, 1, counters.Logins)
	require.Equal(t, 2, counters.Connections)
}

func TestCodeWithAnotherKeyIsRefused(t *testing.T) { //nolint:tparallel // its cases share two clients, one after the other
	t.Parallel()
	server := start(t)
	c := newClient(t, server.Addr(), newStore(t).NewDevice())
	other := newClient(t, server.Addr(), newStore(t).NewDevice())
	require.NoError(t, c.Connect())
	require.NoError(t, other.Connect())
	fields := codeFields(wait[*events.QR](t, c).Codes[0])
	foreign := codeFields(wait[*events.QR](t, other).Codes[0])

	for _, test := range []struct {
		name  string
		field int
		want  string
	}{
		{"ref of another connection", 0, "noise key"},
		{"noise key of another connection", 1, "noise key"},
		{"identity key of another connection", 2, "identity key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			mixed := append([]string(nil), fields...)
			mixed[test.field] = foreign[test.field]
			err := server.Scan(t.Context(), ana, strings.Join(mixed, ","))
			require.ErrorContains(t, err, test.want)
		})
	}
	t.Run("ref nobody gave out", func(t *testing.T) {
		mixed := append([]string{"2@none"}, fields[1:]...)
		require.ErrorContains(t, server.Scan(t.Context(), ana, strings.Join(mixed, ",")), "not valid")
	})
	t.Run("phone that is not on WhatsApp", func(t *testing.T) {
		require.Error(t, server.Scan(t.Context(), "5511999999999", strings.Join(fields, ",")))
	})
	require.Zero(t, server.Counters().Pairings)
}

func TestClientRefusesAForgedIdentity(t *testing.T) {
	t.Parallel()
	server := start(t)
	c := newClient(t, server.Addr(), newStore(t).NewDevice())
	c.log.tolerate()
	require.NoError(t, c.Connect())
	fields := codeFields(wait[*events.QR](t, c).Codes[0])
	fields[3] = fields[2] // a secret the client did not show

	err := server.Scan(t.Context(), ana, strings.Join(fields, ","))
	require.ErrorContains(t, err, "401 hmac-mismatch")
	wait[*events.PairError](t, c)
	require.Zero(t, server.Counters().Pairings)
}

func TestConnectionClosesWhenCodesRunOut(t *testing.T) {
	t.Parallel()
	server := start(t, simulator.Options{FirstCodeLife: time.Second, CodeLife: 20 * time.Millisecond})
	c := newClient(t, server.Addr(), newStore(t).NewDevice())
	c.log.tolerate() // it reports the close it did not ask for
	require.NoError(t, c.Connect())
	codes := wait[*events.QR](t, c)
	wait[*events.Disconnected](t, c)
	for _, code := range codes.Codes {
		require.ErrorContains(t, server.Scan(t.Context(), ana, code), "not valid")
	}
}

func TestCodeIsScannedOnce(t *testing.T) {
	t.Parallel()
	server := start(t)
	c := newClient(t, server.Addr(), newStore(t).NewDevice())
	require.NoError(t, c.Connect())
	codes := wait[*events.QR](t, c)
	require.NoError(t, server.Scan(t.Context(), ana, codes.Codes[0]))
	require.ErrorContains(t, server.Scan(t.Context(), ana, codes.Codes[1]), "not valid")
	wait[*events.Connected](t, c)
}

func TestDeviceNumbersAreNotReused(t *testing.T) {
	t.Parallel()
	server := start(t)
	first := paired(t, server)
	require.NoError(t, first.Logout(t.Context()))
	second := paired(t, server)
	require.EqualValues(t, 2, second.device.ID.Device)
}

// codeFields splits a code's text behind its link.
func codeFields(code string) []string {
	_, fragment, _ := strings.Cut(code, "#")
	return strings.Split(fragment, ",")
}
