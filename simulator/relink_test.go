package simulator_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"whatsappd/simulator"
)

func TestCodesLiveOneAfterTheOther(t *testing.T) {
	t.Parallel()
	// The first code is short here and the others long: it ends alone, and the connection stays.
	server := start(t, simulator.Options{FirstCodeLife: time.Nanosecond, CodeLife: time.Hour})
	c, codes := waiting(t, server)
	require.Len(t, codes, 6)
	require.ErrorContains(t, server.Scan(t.Context(), ana, codes[0]), "not valid any more")
	require.NoError(t, server.Scan(t.Context(), ana, codes[1]))
	wait[*events.Connected](t, c)
}

func TestQRChannelOfTheLibraryTellsTheEndOfTheCodes(t *testing.T) {
	t.Parallel()
	server := start(t, simulator.Options{FirstCodeLife: 20 * time.Millisecond, CodeLife: 10 * time.Millisecond})
	c := newClient(t, server.Addr(), newStore(t).NewDevice())
	c.log.tolerate() // it reports the close it did not ask for
	items, err := c.GetQRChannel(t.Context())
	require.NoError(t, err)
	require.NoError(t, c.Connect())
	first := <-items
	require.Equal(t, whatsmeow.QRChannelEventCode, first.Event)
	require.Equal(t, time.Minute, first.Timeout, "clients show the first code for a minute, whatever the server does")
	require.Equal(t, whatsmeow.QRChannelTimeout, <-items)
}

func TestClientMayRefuseThePhone(t *testing.T) {
	t.Parallel()
	server := start(t)
	c, codes := waiting(t, server)
	c.log.tolerate()
	c.PrePairCallback = func(types.JID, string, string) bool { return false }
	require.ErrorContains(t, server.Scan(t.Context(), ana, codes[0]), "the client refused the pairing: 500 internal-error")
	require.ErrorIs(t, wait[*events.PairError](t, c).Error, whatsmeow.ErrPairRejectedLocally)
	account, err := server.Account(ana)
	require.NoError(t, err)
	require.Empty(t, account.Linked())
}

func TestSecondCompanionIsLinkedBesideTheFirst(t *testing.T) {
	t.Parallel()
	server := start(t)
	require.NoError(t, server.AddAccount(simulator.AccountSpec{Number: contactNumber(0)}))
	first := paired(t, server)
	second := paired(t, server)
	account, err := server.Account(ana)
	require.NoError(t, err)
	require.Equal(t, []uint16{1, 2}, account.Linked())

	send(t, second, contactNumber(0), "from the second")
	require.Equal(t, "from the second", wait[*events.Message](t, first).Message.GetConversation())
	_, err = server.Write(t.Context(), contactNumber(0), ana, "to both")
	require.NoError(t, err)
	require.Equal(t, "to both", wait[*events.Message](t, first).Message.GetConversation())
	require.Equal(t, "to both", wait[*events.Message](t, second).Message.GetConversation())
}

func TestPhoneLinksOnlySoManyClients(t *testing.T) {
	t.Parallel()
	server := start(t)
	require.NoError(t, server.SetLimits(ana, simulator.Limits{Linked: 1}))
	first := paired(t, server)
	first.log.tolerate() // it will be closed
	c, codes := waiting(t, server)
	require.ErrorContains(t, server.Scan(t.Context(), ana, codes[0]), "linked to 1 clients already")
	require.NoError(t, server.RemoveDevice(ana, first.device.ID.Device))
	wait[*events.LoggedOut](t, first)
	require.NoError(t, server.Scan(t.Context(), ana, codes[0]), "the code is as good as before")
	wait[*events.Connected](t, c)
}

func TestRemovedClientIsLinkedAgain(t *testing.T) {
	t.Parallel()
	for name, number := range map[string]string{"to the same number": ana, "to another number": contactNumber(0)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t)
			addContacts(t, server, 2, simulator.Behaviour{})
			container := newStore(t)
			c := newClient(t, server.Addr(), container.NewDevice())
			c.log.tolerate() // it will be closed
			require.NoError(t, c.Connect())
			require.NoError(t, server.Scan(t.Context(), ana, wait[*events.QR](t, c).Codes[0]))
			wait[*events.Connected](t, c)
			require.NoError(t, server.RemoveDevice(ana, 1))
			require.Equal(t, events.ConnectFailureLoggedOut, wait[*events.LoggedOut](t, c).Reason)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			require.NoError(t, server.WaitGone(ctx))

			again := newClient(t, server.Addr(), container.NewDevice())
			require.NoError(t, again.Connect())
			require.NoError(t, server.Scan(t.Context(), number, wait[*events.QR](t, again).Codes[0]))
			wait[*events.Connected](t, again)
			require.Equal(t, number, again.device.ID.User)
			if number == ana {
				require.EqualValues(t, 2, again.device.ID.Device, "device numbers are not given out again")
			}
			send(t, again, contactNumber(1), "hello again")
			entries := inbox(t, server, contactNumber(1), 1)
			require.Equal(t, number, entries[0].From)
			require.Zero(t, server.Counters().BadDeviceIdentity)
		})
	}
}

func TestPasskeyOutlivesARestart(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/simulator.json"
	before := start(t, simulator.Options{StateFile: file})
	require.NoError(t, before.AddAccount(simulator.AccountSpec{Number: ana, Passkey: true}))
	require.NoError(t, before.Close())

	server := simulator.Start(t, simulator.Options{StateFile: file, RootPrivate: rootPrivate})
	c, codes := waiting(t, server)
	go func() { _ = server.Scan(t.Context(), ana, codes[0]) }() // ends with the test
	request := wait[*events.PairPasskeyRequest](t, c)
	_, err := server.ProvePasskey(ana, *request.PublicKey)
	require.NoError(t, err)
}
