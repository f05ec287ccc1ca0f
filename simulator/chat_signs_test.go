package simulator_test

import (
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"whatsappd/simulator"
)

// signRows is what tells of people without a message: presence, typing and receipts, in both directions.
var signRows = map[string]func(*talk){
	"presence received": func(k *talk) {
		k.says("hello") // who it is about is known by LID from here on
		require.NoError(k.t, k.client.SubscribePresence(k.t.Context(), k.lidOf(bea)))
		first := wait[*events.Presence](k.t, k.client)
		require.True(k.t, first.Unavailable)
		require.True(k.t, first.LastSeen.IsZero(), "nobody has seen her yet")
		require.NoError(k.t, k.server.SetOnline(bea, true))
		online := wait[*events.Presence](k.t, k.client)
		require.Equal(k.t, k.lidOf(bea), online.From)
		require.False(k.t, online.Unavailable)
		require.NoError(k.t, k.server.SetOnline(bea, false))
		gone := wait[*events.Presence](k.t, k.client)
		require.True(k.t, gone.Unavailable)
		require.WithinDuration(k.t, time.Now(), gone.LastSeen, time.Minute)
	},
	"presence sent": func(k *talk) {
		k.client.Store.PushName = "Ana"
		for _, presence := range []types.Presence{types.PresenceAvailable, types.PresenceUnavailable} {
			require.NoError(k.t, k.client.SendPresence(k.t.Context(), presence))
			k.noted(simulator.Event{What: "presence", From: ana, Kind: string(presence)})
		}
	},
	"typing received": func(k *talk) {
		k.hears(simulator.Message{Text: "wait"})
		for _, typing := range []bool{true, false} {
			require.NoError(k.t, k.server.Type(bea, ana, typing))
			got := wait[*events.ChatPresence](k.t, k.client)
			require.Equal(k.t, k.lidOf(bea), got.Chat)
			require.Equal(k.t, typing, got.State == types.ChatPresenceComposing)
		}
	},
	"typing sent": func(k *talk) {
		for media, kind := range map[types.ChatPresenceMedia]string{types.ChatPresenceMediaText: "composing", types.ChatPresenceMediaAudio: "recording"} {
			require.NoError(k.t, k.client.SendChatPresence(k.t.Context(), jidOf(bea), types.ChatPresenceComposing, media))
			k.noted(simulator.Event{What: "typing", From: ana, To: bea, Kind: kind})
		}
		require.NoError(k.t, k.client.SendChatPresence(k.t.Context(), jidOf(bea), types.ChatPresencePaused, ""))
		k.noted(simulator.Event{What: "typing", From: ana, To: bea, Kind: "paused"})
	},
	"receipts received": func(k *talk) {
		require.NoError(k.t, k.server.SetBehaviour(bea, simulator.Behaviour{Receipts: "read"}))
		id := k.says("hello")
		for _, kind := range []types.ReceiptType{types.ReceiptTypeDelivered, types.ReceiptTypeRead} {
			got := wait[*events.Receipt](k.t, k.client)
			require.Equal(k.t, kind, got.Type)
			require.Equal(k.t, []types.MessageID{id}, got.MessageIDs)
			require.Equal(k.t, k.lidOf(bea), got.Chat)
		}
	},
	"receipts received late": func(k *talk) {
		k.client.log.tolerate() // it is cut off in the middle of things
		require.NoError(k.t, k.server.SetBehaviour(bea, simulator.Behaviour{Receipts: "read"}))
		require.NoError(k.t, k.server.SetAway(bea, true))
		id := k.says("are you there?")
		k.client.Disconnect()
		require.NoError(k.t, k.server.WaitGone(k.t.Context()))
		require.NoError(k.t, k.server.SetAway(bea, false))
		k.noted(simulator.Event{What: "receipt", From: bea, To: ana, ID: id, Kind: "read"})
		require.NoError(k.t, k.client.Connect())
		require.Equal(k.t, types.ReceiptTypeDelivered, wait[*events.Receipt](k.t, k.client).Type)
		require.Equal(k.t, types.ReceiptTypeRead, wait[*events.Receipt](k.t, k.client).Type)
	},
	"receipts sent": func(k *talk) {
		first, second := k.hears(simulator.Message{Text: "one"}), k.hears(simulator.Message{Text: "two"})
		ids := []types.MessageID{first.Info.ID, second.Info.ID}
		require.NoError(k.t, k.client.MarkRead(k.t.Context(), ids, time.Now(), first.Info.Chat, first.Info.Sender))
		for _, id := range ids {
			k.noted(simulator.Event{What: "receipt", From: ana, To: bea, ID: id, Kind: "delivered"})
			k.noted(simulator.Event{What: "receipt", From: ana, To: bea, ID: id, Kind: "read"})
		}
		require.NoError(k.t, k.client.MarkRead(k.t.Context(), ids[:1], time.Now(), first.Info.Chat, first.Info.Sender, types.ReceiptTypePlayed))
		k.noted(simulator.Event{What: "receipt", From: ana, To: bea, ID: ids[0], Kind: "played"})
	},
}
