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

func TestAPairingThatHasSettledIsToldOnce(t *testing.T) {
	t.Parallel()
	const garbled = "but something came damaged"
	for name, sync := range map[string]simulator.Sync{
		"a short history":          {AppState: true, Chats: 3, Messages: 2},
		"a history that is a file": {AppState: true, Chats: 3, Messages: 2000},
		garbled:                    {AppState: true, Chats: 3, Messages: 2},
		"but no history":           {AppState: true},
		"but no app state":         {Chats: 3, Messages: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			require.NoError(t, w.sim.AddAccount(simulator.AccountSpec{Number: ana, Name: "Ana", Sync: sync}))
			require.NoError(t, w.sim.SetAway(ana, true)) // the phone links us, and then has no network
			w.pair()
			require.Empty(t, told[session.Settled](w), "nothing is announced yet")
			if name == garbled { // the phone sends it again when it is asked
				_, err := w.sim.AddFaults(simulator.Fault{At: "deliver", Do: "broken", Account: ana, Peer: ana, After: 2, Times: 1})
				require.NoError(t, err)
			}
			require.NoError(t, w.sim.SetAway(ana, false))
			if !sync.AppState || sync.Chats == 0 || name == garbled {
				here := func() bool {
					return w.sim.Waiting(ana) == 0 && w.rows("whatsmeow_privacy_tokens") >= sync.Chats && w.rows("whatsmeow_nct_salt") == 1
				}
				for late := time.Now().Add(patience); !here(); w.rest(20 * time.Millisecond) { // only the tables tell
					require.True(t, time.Now().Before(late), "what there is did not come")
				}
				_, err := w.sim.Write(t.Context(), bea, ana, "hi") // what comes after all that waited
				require.NoError(t, err)
				w.wait("a message", func() bool { return len(w.heard(bea)) > 0 })
				w.halt() // what was announced is read by then
				if name == garbled {
					require.Equal(t, 1, w.sim.Faults()[0].Hits)
				}
				require.Empty(t, told[session.Settled](w))
				return
			}
			w.wait("it is told", func() bool { return len(told[session.Settled](w)) > 0 })
			require.GreaterOrEqual(t, w.rows("whatsmeow_privacy_tokens"), 3, "the tokens are here")
			require.Equal(t, 1, w.rows("whatsmeow_nct_salt"), "and the salt")
			w.halt()
			w.run()
			w.waitState(session.Online)
			_, err := w.sim.Write(t.Context(), bea, ana, "hi") // what comes after all that waited
			require.NoError(t, err)
			w.wait("a message", func() bool { return len(w.heard(bea)) > 0 })
			require.Len(t, told[session.Settled](w), 1)
		})
	}
}
