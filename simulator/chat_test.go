package simulator_test

import (
	"context"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"whatsappd/simulator"
)

// talk is a client of Ana's that chats with Bea.
type talk struct {
	t      *testing.T
	server *simulator.Server
	client *client
}

// bea is the contact of these tests.
var bea = contactNumber(0)

// TestWhatAClientSeesOfDirectChats walks every behaviour there is, with an unmodified client, and states what it saw. Each
// behaviour has its line in docs/simulator.md.
func TestWhatAClientSeesOfDirectChats(t *testing.T) {
	t.Parallel()
	rows := map[string]func(*talk){}
	for _, some := range []map[string]func(*talk){contentRows, signRows, retryRows, keyRows, addressRows, limitRows, deviceRows, scriptRows} {
		maps.Copy(rows, some)
	}
	page, err := os.ReadFile("../docs/simulator.md")
	require.NoError(t, err)
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, string(page), "| "+name+" |", "docs/simulator.md says nothing of it")
			server := start(t)
			addContacts(t, server, 1, simulator.Behaviour{})
			row(&talk{t: t, server: server, client: paired(t, server)})
		})
	}
}

// send lets the client write to Bea and returns the message's ID.
func (k *talk) send(message *waE2E.Message) string {
	k.t.Helper()
	id, err := k.try(message)
	require.NoError(k.t, err)
	return id
}

func (k *talk) try(message *waE2E.Message) (string, error) {
	sent, err := k.client.SendMessage(k.t.Context(), jidOf(bea), message)
	return sent.ID, err
}

// says lets the client write a text to Bea.
func (k *talk) says(text string) string {
	k.t.Helper()
	return k.send(&waE2E.Message{Conversation: proto.String(text)})
}

// hears lets Bea write to Ana, and returns what the client saw.
func (k *talk) hears(m simulator.Message) *events.Message {
	k.t.Helper()
	id := k.writes(m)
	got := wait[*events.Message](k.t, k.client)
	require.Equal(k.t, id, got.Info.ID)
	return got
}

// writes lets Bea write to Ana.
func (k *talk) writes(m simulator.Message) string {
	k.t.Helper()
	m.To = ana
	id, err := k.server.Send(k.t.Context(), bea, m)
	require.NoError(k.t, err)
	return id
}

// shown waits until an entry of Bea's inbox is as it should be.
func (k *talk) shown(right func(simulator.Entry) bool) {
	k.t.Helper()
	k.shownTo(bea, right)
}

func (k *talk) shownTo(number string, right func(simulator.Entry) bool) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	err := k.server.WaitInbox(ctx, number, func(entries []simulator.Entry) bool {
		return slices.ContainsFunc(entries, right)
	})
	require.NoError(k.t, err, "%+v", k.server.Inbox(number))
}

// reads waits until Bea shows a text under an ID.
func (k *talk) reads(id, text string) {
	k.t.Helper()
	k.shown(func(e simulator.Entry) bool { return e.ID == id && e.Text == text })
}

// noted waits for an event that has what the wanted one has, and returns how many there are then.
func (k *talk) noted(wanted simulator.Event) int {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	for last := 0; ; {
		fresh, err := k.server.WaitEvents(ctx, last)
		require.NoError(k.t, err, "no event like %+v", wanted)
		last = fresh[len(fresh)-1].Seq
		if count := k.count(wanted); count > 0 {
			return count
		}
	}
}

// count returns how many events there were like a wanted one.
func (k *talk) count(wanted simulator.Event) int {
	count := 0
	for _, e := range k.server.Events(0) {
		e.Seq, e.At, e.Device, e.Text = 0, time.Time{}, wanted.Device, wanted.Text
		if wanted.ID == "" {
			e.ID = ""
		}
		if e == wanted {
			count++
		}
	}
	return count
}

// strike adds a fault to the traffic between Ana and Bea.
func (k *talk) strike(at, do string, times int) {
	k.t.Helper()
	_, err := k.server.AddFaults(simulator.Fault{At: at, Do: do, Account: ana, Peer: bea, Times: times})
	require.NoError(k.t, err)
}

func (k *talk) eventually(holds func() bool) {
	k.t.Helper()
	require.Eventually(k.t, holds, patience, 10*time.Millisecond)
}

func jidOf(number string) types.JID { return types.NewJID(number, types.DefaultUserServer) }

// lidOf returns the address by which the client knows an account now.
func (k *talk) lidOf(number string) types.JID {
	k.t.Helper()
	account, err := k.server.Account(number)
	require.NoError(k.t, err)
	return types.NewJID(account.LID, types.HiddenUserServer)
}

// clientOf links one more client to somebody's phone.
func (k *talk) clientOf(number string) *client {
	k.t.Helper()
	c := newClient(k.t, k.server.Addr(), newStore(k.t).NewDevice())
	require.NoError(k.t, c.Connect())
	require.NoError(k.t, k.server.Scan(k.t.Context(), number, wait[*events.QR](k.t, c).Codes[0]))
	wait[*events.Connected](k.t, c)
	return c
}
