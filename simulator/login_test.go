package simulator_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"go.mau.fi/whatsmeow/util/keys"

	"whatsappd/simulator"
)

func TestPairedClientLogsInAgain(t *testing.T) {
	t.Parallel()
	server := start(t)
	c := paired(t, server)
	c.Disconnect()
	require.NoError(t, c.Connect())
	wait[*events.Connected](t, c)
	require.Equal(t, 2, server.Counters().Logins)
}

func TestLoginWithAnotherNoiseKeyIsRefused(t *testing.T) {
	t.Parallel()
	server := start(t)
	server.Expect("another noise key")
	c := paired(t, server)
	c.Disconnect()
	c.device.NoiseKey = keys.NewKeyPair()
	require.NoError(t, c.Connect())
	refused := wait[*events.LoggedOut](t, c)
	require.Equal(t, events.ConnectFailureLoggedOut, refused.Reason)
	require.Equal(t, 1, server.Counters().Refused)
}

func TestRemovedDeviceCannotLogIn(t *testing.T) {
	t.Parallel()
	server := start(t)
	c := paired(t, server)
	c.Disconnect()
	require.NoError(t, server.RemoveDevice(ana, 1))
	require.ErrorContains(t, server.RemoveDevice(ana, 1), "no linked device")
	require.NoError(t, c.Connect())
	wait[*events.LoggedOut](t, c)
}

func TestSecondLoginReplacesTheFirst(t *testing.T) {
	t.Parallel()
	server := start(t)
	first := paired(t, server)
	second := newClient(t, server.Addr(), first.device)
	require.NoError(t, second.Connect())
	wait[*events.StreamReplaced](t, first)
	wait[*events.Connected](t, second)
	require.Equal(t, 2, server.Counters().Logins)
}

func TestLogoutForgetsTheDevice(t *testing.T) {
	t.Parallel()
	server := start(t)
	c := paired(t, server)
	require.NoError(t, c.Logout(t.Context()))
	require.Error(t, server.RemoveDevice(ana, 1))
}

func TestReceiptsMayCrossALogout(t *testing.T) {
	t.Parallel()
	server := start(t)
	c := paired(t, server)
	own := c.device.ID.ToNonAD()
	ask := func(space string, kind whatsmeow.DangerousInfoQueryType, child waBinary.Node) {
		_, err := c.DangerousInternals().SendIQ(t.Context(), whatsmeow.DangerousInfoQuery{
			Namespace: space, Type: kind, To: types.ServerJID, Content: []waBinary.Node{child},
		})
		require.NoError(t, err)
	}
	ask("md", "set", waBinary.Node{Tag: "remove-companion-device", Attrs: waBinary.Attrs{"jid": *c.device.ID, "reason": "user_initiated"}})
	for _, tag := range []string{"receipt", "ack"} {
		late := waBinary.Node{Tag: tag, Attrs: waBinary.Attrs{"id": "3EB0", "to": own, "class": "receipt"}}
		require.NoError(t, c.DangerousInternals().SendNode(t.Context(), late))
	}
	ask("w:p", "get", waBinary.Node{Tag: "ping"}) // answered after what was sent before it
	require.Empty(t, server.Counters().Problems)
	late := waBinary.Node{Tag: "message", Attrs: waBinary.Attrs{"id": "3EB1", "to": own}}
	require.NoError(t, c.DangerousInternals().SendNode(t.Context(), late))
	ask("w:p", "get", waBinary.Node{Tag: "ping"})
	require.Equal(t, []string{"message before login"}, server.Counters().Problems)
	server.Expect("message before login")
}

func TestUnknownKickIsRefused(t *testing.T) {
	t.Parallel()
	server := start(t)
	require.ErrorContains(t, server.Kick(ana, "gently"), "unknown mode")
	require.ErrorContains(t, server.Kick("5511999999999", simulator.KickDrop), "no such account")
}

func TestRefusedConnectsEndInOneThatWorks(t *testing.T) {
	t.Parallel()
	server := start(t)
	c := newClient(t, server.Addr(), newStore(t).NewDevice())
	require.NoError(t, server.RefuseConnects(503, 429))
	require.ErrorContains(t, c.Connect(), "503")
	require.ErrorContains(t, c.Connect(), "429")
	require.NoError(t, c.Connect())
	wait[*events.QR](t, c)
}

func TestStateSurvivesARestart(t *testing.T) {
	t.Parallel()
	opts := simulator.Options{StateFile: filepath.Join(t.TempDir(), "simulator.json")}
	first, err := simulator.New(opts)
	require.NoError(t, err)
	require.NoError(t, first.Start())
	require.NoError(t, first.Close())
	second, err := simulator.New(opts)
	require.NoError(t, err)
	require.NoError(t, second.Close())
	require.Equal(t, first.RootKey(), second.RootKey())

	opts.RootPrivate = rootPrivate
	_, err = simulator.New(opts)
	require.ErrorContains(t, err, "another root key")
}

func TestClientLogsInAfterTheServerWasRestarted(t *testing.T) {
	t.Parallel()
	opts := simulator.Options{StateFile: filepath.Join(t.TempDir(), "simulator.json")}
	server := start(t, opts)
	c := paired(t, server)
	c.Disconnect()
	require.NoError(t, server.WaitGone(t.Context()))
	require.NoError(t, server.Close())

	opts.Addr = server.Addr()
	again := start(t, opts)
	require.Equal(t, server.RootKey(), again.RootKey())
	require.NoError(t, c.Connect())
	wait[*events.Connected](t, c)
	require.Equal(t, 1, again.Counters().Logins)
	c.Disconnect() // before its server goes
}

func TestServerOnAPublicAddressIsRefused(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"0.0.0.0:0", ":0", "example.com:80", "10.0.0.1:80", "127.0.0.1"} {
		_, err := simulator.New(simulator.Options{Addr: addr})
		require.Error(t, err, addr)
	}
}

func TestNumbersAreCheckedInOneQuery(t *testing.T) {
	t.Parallel()
	server := start(t)
	c := paired(t, server)
	var asked []string
	for i := range 500 {
		number := fmt.Sprintf("55119%08d", 1000+i)
		asked = append(asked, "+"+number)
		if i%2 == 0 {
			require.NoError(t, server.AddAccount(simulator.AccountSpec{Number: number}))
		} else if i%3 == 0 {
			require.NoError(t, server.AddAccount(simulator.AccountSpec{Number: number, Unregistered: true}))
		}
	}
	answers, err := c.IsOnWhatsApp(t.Context(), asked)
	require.NoError(t, err)
	require.Len(t, answers, 500)
	for i, answer := range answers {
		require.Equal(t, asked[i], answer.Query)
		require.Equal(t, i%2 == 0, answer.IsIn, answer.Query)
		if answer.IsIn {
			require.Equal(t, asked[i][1:], answer.PhoneNumber.User)
			require.Equal(t, "lid", answer.JID.Server)
		}
	}
	counters := server.Counters()
	require.Equal(t, 500, counters.UsyncUsers)

	server.Expect("directory query of 501 users")
	_, err = c.IsOnWhatsApp(t.Context(), append(asked, "+5511900000001"))
	require.ErrorIs(t, err, whatsmeow.ErrIQBadRequest)
}
