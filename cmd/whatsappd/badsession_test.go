package main

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/simulator"
)

// tamper changes WhatsApp's keys while no daemon runs.
func (w *world) tamper(statements ...string) {
	w.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+w.settings["WHATSAPPD_DATA_DIR"]+"/whatsapp.db?_ignore_check_constraints=1")
	require.NoError(w.t, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, statement := range statements {
		_, err := db.ExecContext(w.t.Context(), statement)
		require.NoError(w.t, err, statement)
	}
}

// queued pairs, cuts the connection, and leaves a message waiting while the daemon is down.
func (w *world) queued() (taskID string) {
	w.t.Helper()
	w.serve()
	w.pair()
	w.hook.result(w.ws("message", contact(1), "before"), "True")
	w.faults(simulator.Fault{At: "login", Do: "silence"})
	require.NoError(w.t, w.sim.Kick(w.t.Context(), ownerPhone, simulator.KickDrop))
	w.eventually("the connection is lost", func() bool { return w.status().State != "online" })
	taskID = w.ws("message", contact(1), "after")
	code, _ := w.daemon.stop()
	require.Zero(w.t, code)
	require.NoError(w.t, w.sim.ClearFaults(w.t.Context()))
	return taskID
}

func TestBadSessions(t *testing.T) {
	t.Parallel()
	t.Run("93 no device", func(t *testing.T) {
		t.Parallel()
		w := calmWorld(t, 1)
		id := w.queued()
		w.tamper("DELETE FROM whatsmeow_device")
		w.serve()
		w.eventually("the reason is told", func() bool { return w.status().Reason == "keys_missing" })
		w.pair()
		w.hook.result(id, "True") // it waited for the new link
		require.Equal(t, []string{"before", "after"}, texts(w.inbox(contact(1), 2)))
	})
	t.Run("93 keys that are none", func(t *testing.T) {
		t.Parallel()
		w := calmWorld(t, 1)
		id := w.queued()
		w.tamper("PRAGMA ignore_check_constraints = 1", "UPDATE whatsmeow_device SET platform = hex(noise_key), noise_key = x'00'")
		refusesToStart(t, exitFailed, "to log in anew, move whatsapp.db out of", w.settings, "serve")
		w.tamper("UPDATE whatsmeow_device SET noise_key = unhex(platform), platform = ''")
		w.serve()
		w.hook.result(id, "True")
		require.Equal(t, []string{"before", "after"}, texts(w.inbox(contact(1), 2)), "the queue was not touched")
	})
	t.Run("93 no sessions", func(t *testing.T) {
		t.Parallel()
		w := calmWorld(t, 1)
		id := w.queued()
		w.tamper("DELETE FROM whatsmeow_sessions", "DELETE FROM whatsmeow_identity_keys", "DELETE FROM whatsmeow_pre_keys",
			"DELETE FROM whatsmeow_app_state_sync_keys", "DELETE FROM whatsmeow_lid_map")
		w.serve()
		w.hook.result(id, "True")
		require.Equal(t, []string{"before", "after"}, texts(w.inbox(contact(1), 2)))
	})
	t.Run("94 two devices", func(t *testing.T) {
		t.Parallel()
		w := calmWorld(t, 1)
		id := w.queued()
		w.tamper( // an older one before the one that is linked
			"CREATE TABLE copy AS SELECT * FROM whatsmeow_device",
			"PRAGMA foreign_keys = 0",
			"DELETE FROM whatsmeow_device",
			"UPDATE copy SET jid = replace(jid, ':', ':9')",
			"INSERT INTO whatsmeow_device SELECT * FROM copy",
			"UPDATE copy SET jid = replace(jid, ':9', ':')",
			"INSERT INTO whatsmeow_device SELECT * FROM copy",
			"DROP TABLE copy",
		)
		for range 3 {
			w.serve()
			w.online()
			w.hook.result(id, "True")
			code, _ := w.daemon.stop()
			require.Zero(t, code)
		}
	})
}
