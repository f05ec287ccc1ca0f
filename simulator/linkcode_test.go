package simulator_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types/events"

	"whatsappd/simulator"
)

const browser = "Chrome (Linux)"

// waiting returns a client that shows codes.
func waiting(t *testing.T, server *simulator.Server) (*client, []string) {
	t.Helper()
	c := newClient(t, server.Addr(), newStore(t).NewDevice())
	require.NoError(t, c.Connect())
	return c, wait[*events.QR](t, c).Codes
}

func askCode(t *testing.T, c *client, number string) string {
	t.Helper()
	code, err := c.PairPhone(t.Context(), number, true, whatsmeow.PairClientChrome, browser)
	require.NoError(t, err)
	return code
}

func TestClientPairsByTypedCode(t *testing.T) {
	t.Parallel()
	server := start(t)
	c, _ := waiting(t, server)
	code := askCode(t, c, "+"+ana)
	require.Regexp(t, `^[1-9A-Z]{4}-[1-9A-Z]{4}$`, code)

	require.NoError(t, server.EnterCode(t.Context(), ana, strings.ToLower(code)))
	success := wait[*events.PairSuccess](t, c)
	require.Equal(t, ana, success.ID.User)
	wait[*events.Connected](t, c)
	require.Equal(t, 1, server.Counters().Pairings)
	require.ErrorContains(t, server.EnterCode(t.Context(), ana, code), "no client waits")
}

func TestWrongTypedCodeIsRefusedAndTheRightOneStillWorks(t *testing.T) {
	t.Parallel()
	server := start(t)
	c, _ := waiting(t, server)
	code := askCode(t, c, ana)
	wrong := "2222-2222"
	for range 2 {
		require.ErrorContains(t, server.EnterCode(t.Context(), ana, wrong), "the code is wrong")
	}
	require.ErrorContains(t, server.EnterCode(t.Context(), ana, "0000-0000"), "eight letters and digits")
	require.Zero(t, server.Counters().Pairings)
	_, heard := take[*events.PairError](c)
	require.False(t, heard, "the client is told nothing of a wrong code")

	require.NoError(t, server.EnterCode(t.Context(), ana, code))
	wait[*events.Connected](t, c)
}

func TestCodeIsOfTheClientThatAskedLast(t *testing.T) {
	t.Parallel()
	server := start(t)
	first, _ := waiting(t, server)
	old := askCode(t, first, ana)
	second, _ := waiting(t, server)
	newer := askCode(t, second, ana)
	require.ErrorContains(t, server.EnterCode(t.Context(), ana, old), "the code is wrong")
	require.NoError(t, server.EnterCode(t.Context(), ana, newer))
	wait[*events.Connected](t, second)
}

func TestCodeRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	server := start(t, simulator.Options{LinkCodes: 2})
	require.NoError(t, server.AddAccount(simulator.AccountSpec{Number: "5511900000009", Unregistered: true}))
	c, _ := waiting(t, server)
	ask := func(number, name string) error {
		_, err := c.PairPhone(t.Context(), number, true, whatsmeow.PairClientChrome, name)
		return err
	}
	for _, name := range []string{"whatsappd", "Chrome", "Chrome (Amiga)", "Netscape (Linux)", "Chrome (Linux) "} {
		require.ErrorIs(t, ask(ana, name), whatsmeow.ErrIQBadRequest, name)
	}
	require.ErrorIs(t, ask("5511999999999", browser), whatsmeow.ErrIQBadRequest)
	require.ErrorIs(t, ask("5511900000009", browser), whatsmeow.ErrIQBadRequest)
	require.ErrorIs(t, ask("055119", browser), whatsmeow.ErrPhoneNumberTooShort)

	require.NoError(t, ask(ana, browser))
	require.NoError(t, ask(ana, browser))
	require.ErrorIs(t, ask(ana, browser), whatsmeow.ErrIQRateOverLimit)
	require.NoError(t, server.AddAccount(simulator.AccountSpec{Number: contactNumber(0)}))
	require.NoError(t, ask(contactNumber(0), browser), "the bound is for each number")
}

func TestTypedCodeOfAClientThatIsGone(t *testing.T) {
	t.Parallel()
	server := start(t)
	c, _ := waiting(t, server)
	code := askCode(t, c, ana)
	c.Disconnect()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, server.WaitGone(ctx))
	require.ErrorContains(t, server.EnterCode(t.Context(), ana, code), "no client waits")
}

func TestScanInPlaceOfTheTypedCodeWorks(t *testing.T) {
	t.Parallel()
	server := start(t)
	c, codes := waiting(t, server)
	askCode(t, c, ana)
	// A code asked for and never typed leaves the scannable ones as they were.
	require.NoError(t, server.Scan(t.Context(), ana, codes[0]))
	wait[*events.Connected](t, c)
}
