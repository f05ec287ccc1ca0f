package simulator_test

import (
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"whatsappd/simulator"
)

// scriptRows is what a client sees of contacts that behave by a script.
var scriptRows = map[string]func(*talk){
	"script echo": func(k *talk) {
		k.follows("echo")
		k.says("is anybody there?")
		require.Equal(k.t, types.ChatPresenceComposing, wait[*events.ChatPresence](k.t, k.client).State)
		require.Equal(k.t, "is anybody there?", wait[*events.Message](k.t, k.client).Message.GetConversation())
	},
	"script keyword": func(k *talk) {
		k.follows("keyword")
		for text, answer := range map[string]string{
			"What is the PRICE?": "It is 5 euros.", "hours please": "We are open from 9 to 5.", "hello": "Ask me for the price, or for our hours.",
		} {
			k.says(text)
			require.Equal(k.t, answer, wait[*events.Message](k.t, k.client).Message.GetConversation())
		}
	},
	"script reads-later": func(k *talk) {
		later := k.follows("reads-later")
		later.ReadAfter = simulator.Duration(300 * time.Millisecond) // in place of 30 s
		require.NoError(k.t, k.server.SetBehaviour(bea, later))
		k.says("hello")
		require.Equal(k.t, types.ReceiptTypeDelivered, wait[*events.Receipt](k.t, k.client).Type)
		since := time.Now()
		require.Equal(k.t, types.ReceiptTypeRead, wait[*events.Receipt](k.t, k.client).Type)
		require.Greater(k.t, time.Since(since), 200*time.Millisecond)
	},
	"script never-reads": func(k *talk) {
		k.follows("never-reads")
		for range 2 {
			k.says("hello")
			require.Equal(k.t, types.ReceiptTypeDelivered, wait[*events.Receipt](k.t, k.client).Type)
		}
		require.Zero(k.t, k.count(simulator.Event{What: "receipt", From: bea, To: ana, Kind: "read"}))
	},
	"script blocks": func(k *talk) {
		k.follows("blocks")
		id := k.says("you will not see this")
		k.shownTo(ana, func(e simulator.Entry) bool { return e.ID == id }) // the own phone has its copy
		require.NoError(k.t, k.server.WaitQuiet(k.t.Context()))
		require.Empty(k.t, k.server.Inbox(bea))
		require.Zero(k.t, k.count(simulator.Event{What: "receipt", From: bea, To: ana, Kind: "delivered"}), "one tick for ever")
	},
	"script new-phone": func(k *talk) {
		k.server.Expect("decrypt_failed")
		k.client.log.tolerate()
		k.follows("new-phone")
		for range 3 {
			k.says("hello")
			require.Equal(k.t, "Got it.", wait[*events.Message](k.t, k.client).Message.GetConversation())
		}
		wait[*events.IdentityChange](k.t, k.client)
		k.reads(k.says("and now?"), "and now?")
		require.Equal(k.t, "Got it.", wait[*events.Message](k.t, k.client).Message.GetConversation())
	},
}

// follows lets Bea behave by a script.
func (k *talk) follows(name string) simulator.Behaviour {
	k.t.Helper()
	script, ok := simulator.Scripts()[name]
	require.True(k.t, ok)
	require.NoError(k.t, k.server.SetBehaviour(bea, script))
	return script
}
