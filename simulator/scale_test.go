package simulator_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"whatsappd/simulator"
)

// BenchmarkScale has 200 clients at once, each linked to a phone of its own, in a directory of 50,000 numbers. Each looks up
// 500 numbers and writes 20 messages, to contacts of its own that answer. It tells the most memory that clients and simulator,
// in one process, ever held.
func BenchmarkScale(b *testing.B) {
	const clients, numbers, looked, written = 200, 50_000, 500, 20
	b.ReportAllocs()
	for b.Loop() {
		server := start(b)
		var contacts []string
		for part := range 5 {
			added, err := server.AddAccounts(simulator.AccountSpec{
				Number: fmt.Sprintf("49151%d", part), Behaviour: simulator.Behaviour{Receipts: "read", Reply: "thanks"},
			}, numbers/5)
			require.NoError(b, err)
			contacts = append(contacts, added...)
		}
		directory := resident(b, "VmRSS")
		container, all := newStore(b), make([]*client, clients)
		for i := range all {
			phone := contacts[i]
			all[i] = newClient(b, server.Addr(), container.NewDevice())
			all[i].log.tolerate()
			require.NoError(b, all[i].Connect())
			require.NoError(b, server.Scan(b.Context(), phone, wait[*events.QR](b, all[i]).Codes[0]))
			wait[*events.Connected](b, all[i])
		}
		began := time.Now()
		var wg sync.WaitGroup
		for i, c := range all {
			wg.Go(func() { c.talk(b, contacts[clients+i*written:][:looked], written) })
		}
		wg.Wait()
		b.ReportMetric(float64(clients*written)/time.Since(began).Seconds(), "messages/s")
		b.ReportMetric(directory, "MiB-directory")
		b.ReportMetric(resident(b, "VmHWM"), "MiB-peak")
		counters := server.Counters()
		require.Equal(b, clients*written, counters.Messages)
		require.Zero(b, counters.NoRecipientCopy)
	}
}

// talk looks numbers up, writes to the first of them, and waits for their answers.
func (c *client) talk(b *testing.B, numbers []string, written int) {
	asked := make([]string, len(numbers))
	for i, number := range numbers {
		asked[i] = "+" + number
	}
	found, err := c.IsOnWhatsApp(b.Context(), asked)
	if err != nil || len(found) != len(asked) {
		b.Errorf("%d of %d numbers: %v", len(found), len(asked), err)
		return
	}
	answered := make(chan struct{}, written)
	c.AddEventHandler(func(event any) {
		if message, ok := event.(*events.Message); ok && !message.Info.IsFromMe {
			answered <- struct{}{}
		}
	})
	for _, number := range numbers[:written] {
		if _, err := c.SendMessage(b.Context(), types.NewJID(number, types.DefaultUserServer),
			&waE2E.Message{Conversation: proto.String("hello")}); err != nil {
			b.Error(err)
			return
		}
	}
	late := time.After(5 * time.Minute)
	for i := range written {
		select {
		case <-answered:
		case <-late:
			b.Errorf("%d of %d answers", i, written)
			return
		}
	}
}

// resident reads how much memory this process holds, in MiB.
func resident(b *testing.B, what string) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(b, err)
	_, rest, found := strings.Cut(string(status), what+":")
	require.True(b, found)
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	require.NoError(b, err)
	return kib / 1024
}
