package simulator_test

import (
	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"whatsappd/simulator"
)

// addressRows is what a client sees of numbers and LIDs.
var addressRows = map[string]func(*talk){
	"number with another canonical form": func(k *talk) {
		for asked, number := range map[string]string{
			"5511987654321": "551187654321",  // Brazil: an old account without the ninth digit
			"525512345678":  "5215512345678", // Mexico: an old account with the 1
			"541123456789":  "5491123456789", // Argentina: mobiles have the 9
		} {
			require.NoError(k.t, k.server.AddAccount(simulator.AccountSpec{Number: number, Aliases: []string{asked}}))
			for _, form := range []string{asked, number} {
				answer := k.ask(form)
				require.True(k.t, answer.IsIn)
				require.Equal(k.t, "+"+form, answer.Query)
				require.Equal(k.t, jidOf(number), answer.PhoneNumber)
				require.Equal(k.t, k.lidOf(number), answer.JID)
			}
			sent, err := k.client.SendMessage(k.t.Context(), k.ask(asked).JID, &waE2E.Message{Conversation: proto.String("hello")})
			require.NoError(k.t, err)
			k.shownTo(number, func(e simulator.Entry) bool { return e.ID == sent.ID })
		}
	},
	"number that is not registered": func(k *talk) {
		k.client.log.tolerate()
		require.False(k.t, k.ask("4915199999999").IsIn)
		_, err := k.client.SendMessage(k.t.Context(), jidOf("4915199999999"), &waE2E.Message{Conversation: proto.String("hello")})
		require.ErrorContains(k.t, err, "no LID found")
	},
	"number without LID": func(k *talk) {
		k.client.log.tolerate()
		require.NoError(k.t, k.server.SetIdentities(bea, "number"))
		answer := k.ask(bea)
		require.True(k.t, answer.IsIn)
		require.Equal(k.t, jidOf(bea), answer.JID)
		_, err := k.try(&waE2E.Message{Conversation: proto.String("hello")})
		require.ErrorContains(k.t, err, "no LID found")
		got := k.hears(simulator.Message{Text: "hello"})
		require.Equal(k.t, jidOf(bea), got.Info.Sender)
		require.True(k.t, got.Info.SenderAlt.IsEmpty())
	},
	"LID without number": func(k *talk) {
		require.NoError(k.t, k.server.SetIdentities(bea, "lid"))
		got := k.hears(simulator.Message{Text: "guess who"})
		require.Equal(k.t, k.lidOf(bea), got.Info.Sender)
		require.True(k.t, got.Info.SenderAlt.IsEmpty())
		sent, err := k.client.SendMessage(k.t.Context(), got.Info.Chat, &waE2E.Message{Conversation: proto.String("who?")})
		require.NoError(k.t, err)
		k.reads(sent.ID, "who?")
	},
	"number learned in mid-chat": func(k *talk) {
		require.NoError(k.t, k.server.SetIdentities(bea, "lid"))
		k.hears(simulator.Message{Text: "guess who"})
		known, err := k.client.Store.LIDs.GetPNForLID(k.t.Context(), k.lidOf(bea))
		require.NoError(k.t, err)
		require.True(k.t, known.IsEmpty())
		require.NoError(k.t, k.server.SetIdentities(bea, ""))
		require.Equal(k.t, jidOf(bea), k.hears(simulator.Message{Text: "it is me"}).Info.SenderAlt)
		known, err = k.client.Store.LIDs.GetPNForLID(k.t.Context(), k.lidOf(bea))
		require.NoError(k.t, err)
		require.Equal(k.t, jidOf(bea), known)
	},
	"LID learned in mid-chat": func(k *talk) {
		k.client.log.tolerate()
		require.NoError(k.t, k.server.SetIdentities(bea, "number"))
		require.Equal(k.t, types.DefaultUserServer, k.hears(simulator.Message{Text: "one"}).Info.Sender.Server)
		require.NoError(k.t, k.server.SetIdentities(bea, ""))
		got := k.hears(simulator.Message{Text: "two"})
		require.Equal(k.t, k.lidOf(bea), got.Info.Sender)
		require.Equal(k.t, jidOf(bea), got.Info.SenderAlt)
		k.reads(k.says("three"), "three")
	},
	"LID that changes in mid-chat": func(k *talk) {
		k.client.log.tolerate() // the client has no session with the new address
		k.says("before")
		old := k.lidOf(bea)
		require.NoError(k.t, k.server.ChangeLID(bea))
		require.NotEqual(k.t, old, k.lidOf(bea))
		_, err := k.try(&waE2E.Message{Conversation: proto.String("to the old one")})
		require.ErrorContains(k.t, err, "404")
		got := k.hears(simulator.Message{Text: "from the new one"})
		require.Equal(k.t, k.lidOf(bea), got.Info.Sender)
		require.Equal(k.t, jidOf(bea), got.Info.SenderAlt)
		k.reads(k.says("to the new one"), "to the new one")
	},
	"account that is deleted in mid-chat": func(k *talk) {
		k.says("before")
		require.NoError(k.t, k.server.AddAccount(simulator.AccountSpec{Number: bea, Unregistered: true}))
		_, err := k.try(&waE2E.Message{Conversation: proto.String("after")})
		require.ErrorContains(k.t, err, "404")
		require.False(k.t, k.ask(bea).IsIn)
	},
}

// ask looks up one number.
func (k *talk) ask(number string) types.IsOnWhatsAppResponse {
	k.t.Helper()
	answers, err := k.client.IsOnWhatsApp(k.t.Context(), []string{"+" + number})
	require.NoError(k.t, err)
	require.Len(k.t, answers, 1)
	return answers[0]
}
