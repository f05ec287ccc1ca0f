//go:build !race

// Ten thousand messages take minutes under the race detector; whatsmeow_test.go and traffic_test.go cover the same code with it.

package simulator_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types/events"

	"whatsappd/simulator"
)

func TestTenThousandMessagesWaitAndComeAgainUntilTheyAreAcknowledged(t *testing.T) {
	t.Parallel()
	const all, before = 10_000, 2_500
	server := start(t)
	addContacts(t, server, 1, simulator.Behaviour{})
	c := paired(t, server)
	c.log.tolerate()
	c.Disconnect()
	require.NoError(t, server.WaitGone(t.Context()))
	c.EnableDecryptedEventBuffer, c.SynchronousAck = true, true // without them a cut can cost a message
	messages := make(chan int, 2*all)
	c.AddEventHandler(func(event any) {
		if message, ok := event.(*events.Message); ok {
			got, err := strconv.Atoi(message.Message.GetConversation())
			assert.NoError(t, err)
			messages <- got
		}
	})
	for i := range all {
		_, err := server.Write(t.Context(), contactNumber(0), ana, strconv.Itoa(i))
		require.NoError(t, err)
	}
	require.Equal(t, all, server.Waiting(ana))

	require.NoError(t, c.Connect())
	require.Equal(t, all, wait[*events.OfflineSyncPreview](t, c).Messages)
	next := 0
	readUntil := func(end int) {
		late := time.After(4 * patience)
		for next < end {
			select {
			case got := <-messages:
				if got < next { // shown before the cut, but not acknowledged
					continue
				}
				require.Equal(t, next, got)
				next++
			case <-late:
				t.Fatalf("%d of %d messages", next, end)
			}
		}
	}
	readUntil(before)
	c.Disconnect()
	require.NoError(t, server.WaitGone(t.Context()))
	left := server.Waiting(ana)
	require.Positive(t, left)
	require.Less(t, left, all, "some were acknowledged")

	require.NoError(t, c.Connect())
	require.Equal(t, left, wait[*events.OfflineSyncPreview](t, c).Messages, "what was not acknowledged comes again")
	readUntil(all)
	require.Equal(t, left, wait[*events.OfflineSyncCompleted](t, c).Count)
	require.Eventually(t, func() bool { return server.Waiting(ana) == 0 }, patience, 10*time.Millisecond)
}
