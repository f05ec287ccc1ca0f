package simulator_test

import (
	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"whatsappd/simulator"
)

// contentRows is what a client sees of messages and of changes of them, and what others see of its own.
var contentRows = map[string]func(*talk){
	"edit received": func(k *talk) {
		first := k.hears(simulator.Message{Text: "helo"})
		edit := k.hears(simulator.Message{Edit: first.Info.ID, Text: "hello"})
		require.True(k.t, edit.IsEdit)
		require.Equal(k.t, types.EditAttributeMessageEdit, edit.Info.Edit)
		change := edit.Message.GetProtocolMessage()
		require.Equal(k.t, waE2E.ProtocolMessage_MESSAGE_EDIT, change.GetType())
		require.Equal(k.t, first.Info.ID, change.GetKey().GetID())
		require.Equal(k.t, "hello", change.GetEditedMessage().GetConversation())
		k.shownTo(ana, func(e simulator.Entry) bool { return e.ID == first.Info.ID && e.Edited && e.Text == "hello" })
	},
	"edit sent": func(k *talk) {
		id := k.says("helo")
		k.send(k.client.BuildEdit(jidOf(bea), id, &waE2E.Message{Conversation: proto.String("hello")}))
		k.shown(func(e simulator.Entry) bool { return e.ID == id && e.Edited && e.Text == "hello" })
	},
	"revoke received": func(k *talk) {
		first := k.hears(simulator.Message{Text: "a secret"})
		revoke := k.hears(simulator.Message{Revoke: first.Info.ID})
		require.Equal(k.t, types.EditAttributeSenderRevoke, revoke.Info.Edit)
		require.Equal(k.t, waE2E.ProtocolMessage_REVOKE, revoke.Message.GetProtocolMessage().GetType())
		require.Equal(k.t, first.Info.ID, revoke.Message.GetProtocolMessage().GetKey().GetID())
		k.shownTo(ana, func(e simulator.Entry) bool { return e.ID == first.Info.ID && e.Revoked && e.Text == "" })
	},
	"revoke sent": func(k *talk) {
		id := k.says("a secret")
		k.send(k.client.BuildRevoke(jidOf(bea), types.EmptyJID, id))
		k.shown(func(e simulator.Entry) bool { return e.ID == id && e.Revoked && e.Text == "" })
	},
	"change of somebody else's message": func(k *talk) {
		id := k.says("mine")
		k.reads(id, "mine")
		_, err := k.server.Send(k.t.Context(), bea, simulator.Message{To: ana, Edit: id, Text: "yours"})
		require.ErrorContains(k.t, err, "did not write", "the phone refuses")
		theirs := k.hears(simulator.Message{Text: "theirs"}).Info.ID
		k.send(k.client.BuildEdit(jidOf(bea), theirs, &waE2E.Message{Conversation: proto.String("ours")}))
		k.shown(func(e simulator.Entry) bool { return e.Kind == "edit" && e.ReplyTo == theirs })
		k.shownTo(ana, func(e simulator.Entry) bool { return e.ID == theirs && e.Text == "theirs" && !e.Edited })
	},
	"reaction received": func(k *talk) {
		id := k.says("good news")
		k.reads(id, "good news")
		for _, emoji := range []string{"👍", ""} { // and taken back
			got := k.hears(simulator.Message{React: id, Text: emoji})
			require.Equal(k.t, "reaction", got.Info.Type)
			require.Equal(k.t, id, got.Message.GetReactionMessage().GetKey().GetID())
			require.Equal(k.t, emoji, got.Message.GetReactionMessage().GetText())
			require.Equal(k.t, emoji == "", got.Info.Edit == types.EditAttributeSenderRevoke)
		}
	},
	"reaction sent": func(k *talk) {
		id := k.says("I like this")
		k.send(k.client.BuildReaction(jidOf(bea), types.EmptyJID, id, "👍"))
		k.shown(func(e simulator.Entry) bool { return e.ID == id && e.Reactions[ana] == "👍" })
		k.send(k.client.BuildReaction(jidOf(bea), types.EmptyJID, id, ""))
		k.shown(func(e simulator.Entry) bool { return e.ID == id && len(e.Reactions) == 0 })
		theirs := k.hears(simulator.Message{Text: "and this?"})
		k.send(k.client.BuildReaction(jidOf(bea), theirs.Info.Sender, theirs.Info.ID, "🎉"))
		k.shown(func(e simulator.Entry) bool {
			return e.Kind == "reaction" && e.ReplyTo == theirs.Info.ID && e.Text == "🎉"
		})
	},
	"reply received": func(k *talk) {
		id := k.says("how are you?")
		k.reads(id, "how are you?")
		reply := k.hears(simulator.Message{ReplyTo: id, Text: "well"}).Message.GetExtendedTextMessage()
		require.Equal(k.t, "well", reply.GetText())
		require.Equal(k.t, id, reply.GetContextInfo().GetStanzaID())
		require.Equal(k.t, "how are you?", reply.GetContextInfo().GetQuotedMessage().GetConversation())
		require.Equal(k.t, k.lidOf(ana).String(), reply.GetContextInfo().GetParticipant())
	},
	"reply sent": func(k *talk) {
		theirs := k.hears(simulator.Message{Text: "how are you?"}).Info.ID
		k.send(&waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{
			Text: proto.String("well"), ContextInfo: &waE2E.ContextInfo{StanzaID: proto.String(theirs)},
		}})
		k.shown(func(e simulator.Entry) bool { return e.Text == "well" && e.ReplyTo == theirs })
	},
	"copy of what the own phone wrote": func(k *talk) {
		id, err := k.server.Write(k.t.Context(), ana, bea, "from my phone")
		require.NoError(k.t, err)
		got := wait[*events.Message](k.t, k.client)
		require.Equal(k.t, id, got.Info.ID)
		require.True(k.t, got.Info.IsFromMe)
		require.Equal(k.t, k.lidOf(bea), got.Info.Chat)
		require.Equal(k.t, jidOf(bea), got.Info.RecipientAlt)
		require.Equal(k.t, "from my phone", got.Message.GetConversation())
		k.reads(id, "from my phone")
	},
	"message to a group": func(k *talk) {
		k.server.Expect("message to a group", "w:g2")
		k.client.log.tolerate()
		_, err := k.client.SendMessage(k.t.Context(), types.NewJID("120363000000000001", types.GroupServer),
			&waE2E.Message{Conversation: proto.String("hello all")})
		require.Error(k.t, err)
		require.NotEmpty(k.t, k.server.Counters().Unhandled)
	},
}
