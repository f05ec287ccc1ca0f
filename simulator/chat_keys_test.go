package simulator_test

import (
	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types/events"

	"whatsappd/simulator"
)

// keyRows is what a client sees when keys change or run out.
var keyRows = map[string]func(*talk){
	"contact changes its phone": func(k *talk) {
		k.server.Expect("decrypt_failed") // the new phone cannot open what is encrypted for the old one
		k.client.log.tolerate()
		k.says("before")
		k.hears(simulator.Message{Text: "answered"})
		require.NoError(k.t, k.server.ChangePhone(bea))
		changed := wait[*events.IdentityChange](k.t, k.client)
		require.Equal(k.t, jidOf(bea), changed.JID)
		require.False(k.t, changed.Implicit, "the server said so")
		k.reads(k.says("after"), "after")
		require.Equal(k.t, "and back", k.hears(simulator.Message{Text: "and back"}).Message.GetConversation())
	},
	"contact with a new phone writes first": func(k *talk) {
		k.client.log.tolerate()
		k.says("before")
		k.hears(simulator.Message{Text: "answered"})
		require.NoError(k.t, k.server.ChangePhone(bea))
		require.Equal(k.t, "me again", k.hears(simulator.Message{Text: "me again"}).Message.GetConversation())
		k.reads(k.says("hello again"), "hello again")
	},
	"client runs out of one-time keys": func(k *talk) {
		const upload = "encrypt set registration"
		before := k.server.Counters().IQs[upload]
		require.NoError(k.t, k.server.SetPreKeys(ana, 4))
		k.eventually(func() bool { return k.server.Counters().IQs[upload] > before })
		require.NoError(k.t, k.server.SetPreKeys(ana, 5), "which is enough: the client is not told")
		require.Equal(k.t, "hello", k.hears(simulator.Message{Text: "hello"}).Message.GetConversation())
	},
	"client without one-time keys": func(k *talk) {
		k.client.log.tolerate() // it is cut off in the middle of things
		k.client.Disconnect()
		require.NoError(k.t, k.server.WaitGone(k.t.Context()))
		require.NoError(k.t, k.server.SetPreKeys(ana, 0))
		k.writes(simulator.Message{Text: "hello"})
		require.NoError(k.t, k.client.Connect())
		require.Equal(k.t, "hello", wait[*events.Message](k.t, k.client).Message.GetConversation())
	},
	"contact without one-time keys": func(k *talk) {
		addContacts(k.t, k.server, 2, simulator.Behaviour{})
		require.NoError(k.t, k.server.SetPreKeys(bea, 0))
		k.reads(k.says("hello"), "hello")
		require.Equal(k.t, "hello yourself", k.hears(simulator.Message{Text: "hello yourself"}).Message.GetConversation())
	},
}
