package simulator_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/appstate"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/proto/waHistorySync"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"whatsappd/simulator"
)

// synced starts a server whose phone synchronises its clients, with contacts, and links one.
func synced(t *testing.T, sync simulator.Sync, contacts int, opts ...simulator.Options) (*simulator.Server, *client) {
	t.Helper()
	server := start(t, opts...)
	for i := range contacts {
		require.NoError(t, server.AddAccount(simulator.AccountSpec{Number: contactNumber(i), Name: contactName(i)}))
	}
	require.NoError(t, server.AddAccount(simulator.AccountSpec{Number: ana, Name: "Ana", Sync: sync}))
	return server, paired(t, server)
}

func contactName(i int) string { return "Contact " + contactNumber(i) }

// waitState returns once the client has a collection of the app state.
func waitState(t *testing.T, c *client, name appstate.WAPatchName) *events.AppStateSyncComplete {
	t.Helper()
	for {
		if done := wait[*events.AppStateSyncComplete](t, c); done.Name == name {
			return done
		}
	}
}

func lidOf(t *testing.T, server *simulator.Server, number string) types.JID {
	t.Helper()
	account, err := server.Account(number)
	require.NoError(t, err)
	return types.NewJID(account.LID, types.HiddenUserServer)
}

func TestClientLearnsItsNameAndContactsFromTheAppState(t *testing.T) {
	t.Parallel()
	_, c := synced(t, simulator.Sync{AppState: true, Chats: 3}, 3)
	require.EqualValues(t, 1, waitState(t, c, appstate.WAPatchCriticalBlock).Version)
	require.EqualValues(t, 1, waitState(t, c, appstate.WAPatchCriticalUnblockLow).Version)
	require.EqualValues(t, 1, waitState(t, c, appstate.WAPatchRegularHigh).Version)
	require.EqualValues(t, 0, waitState(t, c, appstate.WAPatchRegularLow).Version, "nothing was ever set there")

	require.Equal(t, "Ana", c.device.PushName)
	require.NoError(t, c.SendPresence(t.Context(), types.PresenceAvailable))
	for i := range 3 {
		contact, err := c.device.Contacts.GetContact(t.Context(), types.NewJID(contactNumber(i), types.DefaultUserServer))
		require.NoError(t, err)
		require.Equal(t, contactName(i), contact.FullName)
	}
	salt, err := c.device.NCTSalt.GetNCTSalt(t.Context())
	require.NoError(t, err)
	require.Len(t, salt, 32)
}

func TestPhoneThatSharesNothingLeavesTheClientWithoutAName(t *testing.T) {
	t.Parallel()
	_, c := synced(t, simulator.Sync{}, 1)
	require.ErrorIs(t, c.SendPresence(t.Context(), types.PresenceAvailable), whatsmeow.ErrNoPushName)
}

func TestChangesOfTheAppStateReachEveryClient(t *testing.T) {
	t.Parallel()
	sync := simulator.Sync{AppState: true}
	server, first := synced(t, sync, 1)
	waitState(t, first, appstate.WAPatchRegularLow)
	second := paired(t, server)
	waitState(t, second, appstate.WAPatchRegularLow)

	require.NoError(t, server.AddAccount(simulator.AccountSpec{Number: ana, Name: "Ana Maria", Sync: sync}))
	for _, c := range []*client{first, second} {
		renamed := wait[*events.PushNameSetting](t, c)
		require.Equal(t, "Ana Maria", renamed.Action.GetName())
		require.False(t, renamed.FromFullSync)
	}
	muted := types.NewJID(contactNumber(0), types.DefaultUserServer)
	for range 2 { // the second change is over the first
		require.NoError(t, first.SendAppState(t.Context(), appstate.BuildMute(muted, true, time.Hour)))
		seen := wait[*events.Mute](t, second)
		require.Equal(t, muted, seen.JID)
		require.True(t, seen.Action.GetMuted())
	}
}

func TestHistoryBringsChatsTokensAndLIDs(t *testing.T) {
	t.Parallel()
	for name, sync := range map[string]simulator.Sync{
		"small, inside the message": {Chats: 3, Messages: 2},
		"large, as a file":          {Chats: 40, Messages: 50},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, c := synced(t, sync, sync.Chats)
			first := wait[*events.HistorySync](t, c)
			require.Equal(t, waHistorySync.HistorySync_INITIAL_BOOTSTRAP, first.Data.GetSyncType())
			require.Equal(t, sync.Chats == 40, first.Notification.GetDirectPath() != "")
			require.Len(t, first.Data.GetConversations(), sync.Chats)
			require.Len(t, first.Data.GetConversations()[0].GetMessages(), sync.Messages)
			require.Len(t, first.Data.GetNctSalt(), 32)
			names := wait[*events.HistorySync](t, c)
			require.Equal(t, waHistorySync.HistorySync_PUSH_NAME, names.Data.GetSyncType())

			number := types.NewJID(contactNumber(1), types.DefaultUserServer)
			lid := lidOf(t, server, contactNumber(1))
			require.Eventually(t, func() bool { // the library stores it behind the event
				known, err := c.device.LIDs.GetLIDForPN(t.Context(), number)
				token, tokenErr := c.device.PrivacyTokens.GetPrivacyToken(t.Context(), lid)
				contact, contactErr := c.device.Contacts.GetContact(t.Context(), lid)
				return err == nil && tokenErr == nil && contactErr == nil &&
					known == lid && token != nil && contact.PushName == contactName(1)
			}, patience, time.Millisecond)
		})
	}
}

func TestTokensOfTheHistoryOpenTheWayToStrangers(t *testing.T) {
	t.Parallel()
	server, c := synced(t, simulator.Sync{Chats: 1}, 2)
	require.NoError(t, server.SetLimits(ana, simulator.Limits{Tokens: true}))
	lid := lidOf(t, server, contactNumber(0))
	wait[*events.HistorySync](t, c)
	require.Eventually(t, func() bool {
		token, err := c.device.PrivacyTokens.GetPrivacyToken(t.Context(), lid)
		return err == nil && token != nil
	}, patience, time.Millisecond)
	send(t, c, contactNumber(0), "with its token")
	require.Len(t, inbox(t, server, contactNumber(0), 1), 1)
}

func TestATokenDerivedFromTheSaltOpensTheWayToo(t *testing.T) {
	t.Parallel()
	server, c := synced(t, simulator.Sync{AppState: true}, 1)
	require.NoError(t, server.SetLimits(ana, simulator.Limits{Tokens: true}))
	require.Eventually(t, func() bool {
		salt, err := c.device.NCTSalt.GetNCTSalt(t.Context())
		return err == nil && len(salt) > 0
	}, patience, time.Millisecond)
	send(t, c, contactNumber(0), "with a derived one")
	require.Len(t, inbox(t, server, contactNumber(0), 1), 1)

	require.NoError(t, c.device.NCTSalt.PutNCTSalt(t.Context(), []byte("another")))
	_, err := c.SendMessage(t.Context(), jidOf(contactNumber(0)), &waE2E.Message{Conversation: proto.String("with a wrong one")})
	require.ErrorContains(t, err, "463")
}

func TestAHistoryIsSentWhenThePhoneHasNetworkAndSaysWhenItEnds(t *testing.T) {
	t.Parallel()
	server := start(t)
	require.NoError(t, server.AddAccount(simulator.AccountSpec{Number: contactNumber(0), Name: contactName(0)}))
	require.NoError(t, server.AddAccount(simulator.AccountSpec{Number: ana, Name: "Ana", Sync: simulator.Sync{Chats: 1}}))
	require.NoError(t, server.SetAway(ana, true))
	c := paired(t, server)
	require.Zero(t, server.Waiting(ana))
	for range 2 { // it is sent once
		require.NoError(t, server.SetAway(ana, false))
	}
	type piece struct {
		kind waHistorySync.HistorySync_HistorySyncType
		last bool
	}
	var pieces []piece
	for range 3 {
		data := wait[*events.HistorySync](t, c).Data
		pieces = append(pieces, piece{data.GetSyncType(), data.GetProgress() == 100})
	}
	require.Equal(t, []piece{
		{waHistorySync.HistorySync_INITIAL_BOOTSTRAP, false}, {waHistorySync.HistorySync_PUSH_NAME, true}, {waHistorySync.HistorySync_RECENT, true},
	}, pieces)
	require.Eventually(t, func() bool { return server.Waiting(ana) == 0 }, patience, time.Millisecond)
	_, again := take[*events.HistorySync](c)
	require.False(t, again)
}

func TestSyncIsSentOnceAndOutlivesARestart(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/simulator.json"
	server, c := synced(t, simulator.Sync{AppState: true, Chats: 1}, 1, simulator.Options{StateFile: file})
	wait[*events.HistorySync](t, c)
	wait[*events.HistorySync](t, c)
	require.Eventually(t, func() bool {
		key, err := c.device.AppStateKeys.GetLatestAppStateSyncKeyID(t.Context())
		return err == nil && key != nil && server.Waiting(ana) == 0
	}, patience, time.Millisecond)
	c.log.tolerate() // it is cut off, maybe within a request
	c.Disconnect()
	require.NoError(t, server.WaitGone(t.Context()))
	require.NoError(t, server.Close())

	again := simulator.Start(t, simulator.Options{StateFile: file, RootPrivate: rootPrivate})
	back := newClient(t, again.Addr(), c.device)
	require.NoError(t, back.Connect())
	wait[*events.Connected](t, back)
	require.NoError(t, back.FetchAppState(t.Context(), appstate.WAPatchCriticalBlock, true, false), "all patches are there")
	require.EqualValues(t, 1, waitState(t, back, appstate.WAPatchCriticalBlock).Version)
	require.Zero(t, again.Waiting(ana))
	_, repeated := take[*events.HistorySync](back)
	require.False(t, repeated)
}
