package session_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

// rows counts the rows of one of the library's tables.
func (w *world) rows(table string) (count int) {
	w.t.Helper()
	require.NoError(w.t, w.db.QueryRowContext(w.t.Context(), "SELECT count(*) FROM "+table).Scan(&count))
	return count
}

func TestOfTheHistoryOnlyAddressesAndTokensAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const messages = 2000 // for each chat: more than comes inside of a message
	require.NoError(t, w.sim.AddAccount(simulator.AccountSpec{
		Number: ana, Name: "Ana", Sync: simulator.Sync{AppState: true, Chats: 3, Messages: messages},
	}))
	w.pair()
	// Only the tables tell.
	for late := time.Now().Add(patience); w.rows("whatsmeow_privacy_tokens") < 3 || w.sim.Counters().MediaDeleted == 0; w.rest(20 * time.Millisecond) {
		require.True(t, time.Now().Before(late), "the history was not read")
	}
	require.GreaterOrEqual(t, w.rows("whatsmeow_lid_map"), 3)
	require.Zero(t, w.rows("whatsmeow_message_secrets"), "there is one with each of %d messages", 3*messages)
	require.Zero(t, w.rows("whatsmeow_event_buffer WHERE plaintext IS NOT NULL"))
	require.Empty(t, told[session.MessageReceived](w), "old messages are no new ones")

	_, err := w.send(bea, "hello")
	require.NoError(t, err)
	w.read(bea, 1)
}
