package simulator_test

import (
	"fmt"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"whatsappd/simulator"
)

// maxRounds is how often a contact asks for a message; whatsmeow asks four times.
const maxRounds, clientRounds = 5, 4

// retryRows is what a client sees of messages that one side cannot open: the other one sends them again, under the same ID.
var retryRows = map[string]func(*talk){
	"retry receipts received": func(k *talk) {
		asked := 0
		for round := 1; round <= maxRounds; round++ {
			k.strike("open", "fail", round)
			id := k.says(fmt.Sprint("round ", round))
			k.reads(id, fmt.Sprint("round ", round))
			require.Equal(k.t, round, k.count(simulator.Event{What: "receipt", From: bea, To: ana, ID: id, Kind: "retry"}))
			asked += round
		}
		require.Zero(k.t, k.server.Counters().DuplicateIDs, "answers of retry receipts are no repetitions")
		require.Len(k.t, k.server.Inbox(bea), maxRounds)
		require.Equal(k.t, asked, k.server.Counters().Faults["open fail"])
	},
	"contact gives up after five rounds": func(k *talk) {
		k.strike("open", "fail", maxRounds+1)
		id := k.says("lost")
		k.noted(simulator.Event{What: "given-up", From: ana, To: bea, ID: id})
		require.Empty(k.t, k.server.Inbox(bea), "the client was told that it was sent")
	},
	"request for a message delivered twice": func(k *talk) {
		k.strike("receipt", "twice", 1)
		k.strike("open", "fail", 1)
		id := k.says("hello")
		k.reads(id, "hello")
		k.eventually(func() bool { // whatsmeow answers in two goroutines: in one session or in two, and maybe with one key
			c := k.server.Counters()
			return c.UnopenedRepeats+c.Replayed+k.server.Inbox(bea)[0].Duplicates > 0
		})
		require.Len(k.t, k.server.Inbox(bea), 1)
		require.Zero(k.t, k.server.Counters().DecryptFailed)
	},
	"contact lost its sessions": func(k *talk) {
		k.server.Expect("decrypt_failed")
		k.says("before")
		k.hears(simulator.Message{Text: "answered"})
		k.server.ForgetSessions(bea)
		id := k.says("after")
		k.reads(id, "after")
		require.Equal(k.t, 1, k.count(simulator.Event{What: "receipt", From: bea, To: ana, ID: id, Kind: "retry"}))
		k.hears(simulator.Message{Text: "heard"})
	},
	"own phone lost its sessions": func(k *talk) {
		k.server.Expect("decrypt_failed")
		k.says("before")
		_, err := k.server.Write(k.t.Context(), ana, bea, "answered") // so that the session needs no keys any more
		require.NoError(k.t, err)
		wait[*events.Message](k.t, k.client)
		k.server.ForgetSessions(ana)
		id := k.says("after")
		k.shownTo(ana, func(e simulator.Entry) bool { return e.ID == id && e.Text == "after" && e.SentTo == bea })
	},
	"retry receipts sent": func(k *talk) {
		k.client.log.tolerate()
		for round := 1; round <= clientRounds; round++ {
			k.strike("deliver", "broken", round)
			got := k.hears(simulator.Message{Text: fmt.Sprint("round ", round)})
			require.Equal(k.t, fmt.Sprint("round ", round), got.Message.GetConversation())
			require.Equal(k.t, round, k.count(simulator.Event{What: "receipt", From: ana, To: bea, ID: got.Info.ID, Kind: "retry"}))
		}
	},
	"client gives up after four rounds": func(k *talk) {
		k.client.log.tolerate()
		k.strike("deliver", "broken", clientRounds+1)
		id := k.writes(simulator.Message{Text: "lost"})
		k.eventually(func() bool {
			return k.server.Counters().Faults["deliver broken"] == clientRounds+1 && k.server.Waiting(ana) == 0
		})
		require.Equal(k.t, clientRounds, k.count(simulator.Event{What: "receipt", From: ana, To: bea, ID: id, Kind: "retry"}))
		require.Equal(k.t, "later", k.hears(simulator.Message{Text: "later"}).Message.GetConversation(), "the chat goes on")
	},
	"client lost its sessions": func(k *talk) {
		k.client.log.tolerate()
		k.says("before")
		k.hears(simulator.Message{Text: "answered"})
		k.noted(simulator.Event{What: "message", From: bea, To: ana})
		require.NoError(k.t, k.client.Store.Sessions.DeleteAllSessions(k.t.Context(), k.lidOf(bea).User+"_1"))
		require.Equal(k.t, "after", k.hears(simulator.Message{Text: "after"}).Message.GetConversation())
		k.reads(k.says("and back"), "and back")
	},
	"retry receipts between clients": func(k *talk) {
		other := k.clientOf(bea)
		k.says("first")
		wait[*events.Message](k.t, other)
		other.log.tolerate()
		k.client.log.tolerate()
		_, err := k.server.AddFaults(simulator.Fault{At: "deliver", Do: "broken", Account: bea, Peer: ana, Times: 1})
		require.NoError(k.t, err)
		sent, err := k.client.SendMessage(k.t.Context(), jidOf(bea), &waE2E.Message{Conversation: proto.String("second")})
		require.NoError(k.t, err)
		k.noted(simulator.Event{What: "receipt", From: bea, To: ana, ID: sent.ID, Kind: "retry"})
		require.Equal(k.t, "second", wait[*events.Message](k.t, other).Message.GetConversation())
	},
}
