package session_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
)

// reopened is an account that was linked and stopped, whose keys were then changed behind its back.
func reopened(t *testing.T, statements ...string) *world {
	t.Helper()
	w := newWorld(t)
	w.pair()
	_, err := w.send(bea, "before")
	require.NoError(t, err)
	w.read(bea, 1)
	w.halt()
	for _, statement := range statements {
		_, err := w.db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	return w
}

func TestKeysThatAreGone(t *testing.T) {
	t.Parallel()
	t.Run("93 linked device gone: says so, pairs again, and is itself again", func(t *testing.T) {
		t.Parallel()
		w := reopened(t, `DELETE FROM whatsmeow_device`)
		w.opts.PairingAuto = true
		w.run()
		w.wait("the reason, told and kept", func() bool {
			facts, err := w.keeper.Facts(t.Context(), session.DefaultAccount)
			require.NoError(t, err)
			require.Equal(t, session.Number(ana), facts.Number, "tasks belong to it")
			return w.account.Status().Reason == session.CodeKeysMissing && facts.EndState == session.LoggedOut
		})
		w.scan(ana)
		require.Empty(t, w.account.Status().Reason)
		require.False(t, w.account.Status().Confirm)
		_, err := w.send(bea, "after")
		require.NoError(t, err)
		w.read(bea, 2)
	})
	for name, statements := range map[string][]string{
		"93 pre-keys gone":  {`DELETE FROM whatsmeow_pre_keys`},
		"93 app state gone": {`DELETE FROM whatsmeow_app_state_sync_keys`, `DELETE FROM whatsmeow_app_state_version`},
		"93 sessions gone":  {`DELETE FROM whatsmeow_sessions`, `DELETE FROM whatsmeow_identity_keys`},
	} {
		t.Run(name+": the link lives", func(t *testing.T) {
			t.Parallel()
			w := reopened(t, statements...)
			w.run()
			w.waitState(session.Online)
			sent, err := w.send(bea, "after")
			require.NoError(t, err)
			inbox := w.read(bea, 2)
			require.Equal(t, string(sent.ID), inbox[1].ID)
			require.Equal(t, "after", inbox[1].Text)
		})
	}
	t.Run("93 sessions of nonsense: never told as sent", func(t *testing.T) {
		t.Parallel()
		w := reopened(t, `UPDATE whatsmeow_sessions SET session = x'ffffffff'`)
		w.run()
		w.waitState(session.Online)
		_, err := w.send(bea, "after")
		var failure *session.Error
		require.ErrorAs(t, err, &failure)
		require.Equal(t, session.CodeNoRecipientCopy, failure.Code)
		require.True(t, failure.Uncertain, "only under the same ID again")
	})
	t.Run("93 linked device that cannot be read", func(t *testing.T) {
		t.Parallel()
		w := reopened(t, `PRAGMA ignore_check_constraints = ON`, `UPDATE whatsmeow_device SET noise_key = x'00'`)
		_, err := session.Open(t.Context(), w.opts)
		require.ErrorIs(t, err, session.ErrKeys)
	})
}

// withDevice adds a second device row, as from another link.
func withDevice(jid string) string {
	return `INSERT INTO whatsmeow_device SELECT '` + jid + `', lid, facebook_uuid, registration_id, randomblob(32), randomblob(32), randomblob(32),
		signed_pre_key_id, signed_pre_key_sig, adv_key, adv_details, adv_account_sig, adv_account_sig_key, adv_device_sig,
		platform, business_name, push_name, lid_migration_ts, companion_meta_nonce FROM whatsmeow_device LIMIT 1`
}

func TestKeysOfTwoDevices(t *testing.T) {
	t.Parallel()
	for name, jid := range map[string]string{
		"94 another number, first in order": "4910000000001:90@s.whatsapp.net",
		"94 another number, last in order":  "9910000000001:90@s.whatsapp.net",
	} {
		t.Run(name+": the latest link of the number is used", func(t *testing.T) {
			t.Parallel()
			w := reopened(t, withDevice(jid))
			w.run()
			w.waitState(session.Online)
			require.Equal(t, session.Number(ana), w.account.Status().Number)
		})
	}
	t.Run("94 none of the number", func(t *testing.T) {
		t.Parallel()
		w := reopened(t, withDevice("4910000000001:3@s.whatsapp.net"), withDevice("4910000000002:3@s.whatsapp.net"),
			`DELETE FROM whatsmeow_device WHERE jid LIKE '`+ana+`%'`)
		_, err := session.Open(t.Context(), w.opts)
		require.ErrorIs(t, err, session.ErrKeys)
		require.ErrorContains(t, err, "2 linked devices")
	})
}
