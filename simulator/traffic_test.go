package simulator_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"whatsappd/simulator"
)

// contactNumber returns the number of the i-th contact of a test.
func contactNumber(i int) string { return fmt.Sprintf("4915100000%03d", i) }

func addContacts(t *testing.T, server *simulator.Server, count int, b simulator.Behaviour) {
	t.Helper()
	for i := range count {
		require.NoError(t, server.AddAccount(simulator.AccountSpec{
			Number: contactNumber(i), Name: fmt.Sprintf("Contact %d", i), Behaviour: b,
		}))
	}
}

func send(t *testing.T, c *client, number, text string) string {
	t.Helper()
	res, err := c.SendMessage(t.Context(), types.NewJID(number, types.DefaultUserServer), &waE2E.Message{Conversation: proto.String(text)})
	require.NoError(t, err)
	return res.ID
}

func inbox(t *testing.T, server *simulator.Server, number string, count int) []simulator.Entry {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := server.WaitInbox(ctx, number, func(entries []simulator.Entry) bool { return len(entries) >= count })
	entries := server.Inbox(number)
	require.NoError(t, err, "%d of %d messages", len(entries), count)
	return entries
}

func TestMessagesReachEveryDeviceAndTheOwnPhone(t *testing.T) {
	t.Parallel()
	server := start(t)
	require.NoError(t, server.AddAccount(simulator.AccountSpec{Number: contactNumber(0), Name: "Bea", Companions: 1}))
	c := paired(t, server)

	id := send(t, c, contactNumber(0), "hello")
	got := inbox(t, server, contactNumber(0), 2)
	require.Len(t, got, 2)
	for device, entry := range got {
		require.Equal(t, "hello", entry.Text)
		require.Equal(t, id, entry.ID)
		require.Equal(t, ana, entry.From)
		require.EqualValues(t, device, entry.Device)
		require.Empty(t, entry.SentTo)
	}
	own := inbox(t, server, ana, 1)
	require.Equal(t, "hello", own[0].Text)
	require.Equal(t, contactNumber(0), own[0].SentTo)
	counters := server.Counters()
	require.Equal(t, 3, counters.PreKeyMessages)
	require.Zero(t, counters.MissingDevices)
	require.Zero(t, counters.NoRecipientCopy)
}

func TestAnsweredSessionsNeedNoKeysInEveryMessage(t *testing.T) {
	t.Parallel()
	server := start(t)
	addContacts(t, server, 1, simulator.Behaviour{Receipts: "read", Reply: "thanks"})
	c := paired(t, server)
	send(t, c, contactNumber(0), "one")
	answer := wait[*events.Message](t, c)
	require.Equal(t, "thanks", answer.Message.GetConversation())
	require.Equal(t, contactNumber(0), answer.Info.SenderAlt.User)

	before := server.Counters()
	send(t, c, contactNumber(0), "two")
	inbox(t, server, contactNumber(0), 2)
	require.Equal(t, before.SessionMessages+1, server.Counters().SessionMessages, "the answered session sends msg")
}

func TestReceiptsSayDeliveredThenRead(t *testing.T) {
	t.Parallel()
	server := start(t)
	addContacts(t, server, 1, simulator.Behaviour{Receipts: "read"})
	c := paired(t, server)
	id := send(t, c, contactNumber(0), "hello")
	for _, kind := range []types.ReceiptType{types.ReceiptTypeDelivered, types.ReceiptTypeRead} {
		receipt := wait[*events.Receipt](t, c)
		require.Equal(t, kind, receipt.Type)
		require.Equal(t, []types.MessageID{id}, receipt.MessageIDs)
	}
}

func TestStrangersWriteFirst(t *testing.T) {
	t.Parallel()
	server := start(t)
	addContacts(t, server, 1, simulator.Behaviour{})
	c := paired(t, server)
	for i := range 3 {
		id, err := server.Write(t.Context(), contactNumber(0), ana, fmt.Sprintf("hello %d", i))
		require.NoError(t, err)
		got := wait[*events.Message](t, c)
		require.Equal(t, id, got.Info.ID)
		require.Equal(t, fmt.Sprintf("hello %d", i), got.Message.GetConversation())
	}
	require.Len(t, inbox(t, server, ana, 3), 3, "the phone reads them too")
}

func TestWhatComesWhileAwayWaitsUntilItIsAcknowledged(t *testing.T) {
	t.Parallel()
	server := start(t)
	addContacts(t, server, 1, simulator.Behaviour{})
	c := paired(t, server)
	c.log.tolerate()
	c.Disconnect()
	for i := range 20 {
		_, err := server.Write(t.Context(), contactNumber(0), ana, fmt.Sprint(i))
		require.NoError(t, err)
	}
	require.Equal(t, 20, server.Waiting(ana))
	require.NoError(t, c.Connect())
	for i := range 20 {
		require.Equal(t, fmt.Sprint(i), wait[*events.Message](t, c).Message.GetConversation())
	}
	wait[*events.OfflineSyncCompleted](t, c)
	require.Eventually(t, func() bool { return server.Waiting(ana) == 0 }, patience, 10*time.Millisecond)
}

func TestAContactThatLostItsSessionsAsksAgain(t *testing.T) {
	t.Parallel()
	server := start(t)
	server.Expect("decrypt_failed") // it cannot open the first copy
	addContacts(t, server, 1, simulator.Behaviour{Reply: "ok"})
	c := paired(t, server)
	send(t, c, contactNumber(0), "before")
	wait[*events.Message](t, c)
	c.log.tolerate()
	server.ForgetSessions(contactNumber(0))
	send(t, c, contactNumber(0), "after")
	got := inbox(t, server, contactNumber(0), 2)
	require.Equal(t, "after", got[1].Text)
}

func TestTwoWayTrafficWithManyContactsLosesNothing(t *testing.T) {
	t.Parallel()
	const contacts, each = 20, 10
	server := start(t)
	addContacts(t, server, contacts, simulator.Behaviour{})
	c := newClient(t, server.Addr(), newStore(t).NewDevice())
	c.EnableDecryptedEventBuffer, c.SynchronousAck, c.UseRetryMessageStore = true, true, true
	require.NoError(t, c.Connect())
	require.NoError(t, server.Scan(t.Context(), ana, wait[*events.QR](t, c).Codes[0]))
	wait[*events.Connected](t, c)
	for i := range contacts { // sessions first: crossing first messages are another matter
		send(t, c, contactNumber(i), "first")
		inbox(t, server, contactNumber(i), 1)
		_, err := server.Write(t.Context(), contactNumber(i), ana, "first")
		require.NoError(t, err)
		wait[*events.Message](t, c)
	}
	var wg sync.WaitGroup
	for i := range contacts {
		wg.Go(func() {
			for n := range each {
				if _, err := server.Write(t.Context(), contactNumber(i), ana, fmt.Sprint(n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for n := range each {
		for i := range contacts {
			send(t, c, contactNumber(i), fmt.Sprint(n))
		}
	}
	wg.Wait()
	for range contacts * each {
		wait[*events.Message](t, c)
	}
	for i := range contacts {
		require.Len(t, inbox(t, server, contactNumber(i), each+1), each+1)
	}
	counters := server.Counters()
	require.Zero(t, counters.NoRecipientCopy)
	require.Zero(t, counters.Replayed)
}

func TestStateKeepsSessionsAndInboxes(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/state.json"
	first := start(t, simulator.Options{StateFile: file})
	addContacts(t, first, 1, simulator.Behaviour{})
	c := paired(t, first)
	send(t, c, contactNumber(0), "before")
	inbox(t, first, contactNumber(0), 1)
	c.log.tolerate()
	c.Disconnect()
	require.NoError(t, first.WaitGone(t.Context()))
	require.NoError(t, first.Close())

	second := start(t, simulator.Options{StateFile: file, Addr: first.Addr()})
	t.Cleanup(c.Disconnect) // before the second server ends: the library races with itself when both hang up at once
	require.NoError(t, c.Connect())
	wait[*events.Connected](t, c)
	send(t, c, contactNumber(0), "after")
	got := inbox(t, second, contactNumber(0), 2)
	require.Equal(t, "before", got[0].Text)
	require.Equal(t, "after", got[1].Text)
}

func TestAMessageUnderAKnownIDIsShownOnce(t *testing.T) {
	t.Parallel()
	server := start(t)
	addContacts(t, server, 1, simulator.Behaviour{})
	c := paired(t, server)
	id := c.GenerateMessageID()
	for range 2 {
		_, err := c.SendMessage(t.Context(), types.NewJID(contactNumber(0), types.DefaultUserServer),
			&waE2E.Message{Conversation: proto.String("once")}, whatsmeow.SendRequestExtra{ID: id})
		require.NoError(t, err)
	}
	require.NoError(t, server.WaitInbox(t.Context(), contactNumber(0), func(entries []simulator.Entry) bool {
		return len(entries) == 1 && entries[0].Duplicates == 1
	}))
	require.Equal(t, 1, server.Counters().DuplicateIDs)
}
