package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/task"
)

func testAccount(t *testing.T, open opener) {
	t.Run("an account nobody knows has zero values", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		facts, err := s.accounts.Facts(t.Context(), session.DefaultAccount)
		require.NoError(t, err)
		require.Zero(t, facts)
		pace, err := s.tasks.Pace(t.Context(), account)
		require.NoError(t, err)
		require.Empty(t, pace)
	})

	t.Run("facts replace facts and leave the pace alone", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		pace := task.PaceState{
			PairedAt: s.now, NextSendAt: s.later(time.Minute),
			Sends: []time.Time{s.now, s.later(time.Second)}, ColdSends: []time.Time{s.later(time.Second)},
		}
		require.NoError(t, s.tasks.KeepPace(t.Context(), account, pace))
		for _, facts := range []session.Facts{
			{
				Number: "15550100100", PairedAt: s.now, EndState: session.TempBanned, EndReason: "temp_banned",
				EndDetail: "WhatsApp bans the account", EndedAt: s.later(time.Hour), EndUntil: s.later(2 * time.Hour), ByUs: true,
				PhoneSeen: s.now, PhoneWarned: 10, Pairings: []time.Time{s.now}, ReachoutEnd: s.later(time.Hour),
				Quota: session.Quota{State: session.QuotaUsedUp, Used: 2, Total: 2, Ends: s.later(24 * time.Hour)},
			},
			{Number: "15550100101"},
			{},
		} {
			require.NoError(t, s.accounts.KeepFacts(t.Context(), session.DefaultAccount, facts))
			got, err := s.accounts.Facts(t.Context(), session.DefaultAccount)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(facts, got))
		}
		got, err := s.tasks.Pace(t.Context(), account)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(pace, got))
		require.NoError(t, s.tasks.KeepPace(t.Context(), account, task.PaceState{}))
		got, err = s.tasks.Pace(t.Context(), account)
		require.NoError(t, err)
		require.Empty(t, got)
	})

	t.Run("accounts are kept apart", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		require.NoError(t, s.accounts.KeepFacts(t.Context(), "second", session.Facts{Number: "15550100100"}))
		facts, err := s.accounts.Facts(t.Context(), session.DefaultAccount)
		require.NoError(t, err)
		require.Zero(t, facts)
	})
}

func testNumbers(t *testing.T, open opener) {
	t.Run("answers are kept, except unknown ones", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		yes := session.Checked{Number: "5511987654321", Verdict: session.Registered, Canonical: "551187654321", LID: "1@lid", At: s.now}
		no := session.Checked{Number: "15550100103", Verdict: session.NotRegistered, At: s.now}
		unknown := session.Checked{Number: "15550100104", Verdict: session.Unknown, At: s.now}
		require.NoError(t, s.accounts.KeepChecked(t.Context(), session.DefaultAccount, []session.Checked{yes, no, unknown}))
		known, err := s.accounts.CheckedNumbers(t.Context(), session.DefaultAccount,
			[]session.Number{yes.Number, no.Number, unknown.Number, "15550100105"})
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(map[session.Number]session.Checked{yes.Number: yes, no.Number: no}, known))

		known, err = s.accounts.CheckedNumbers(t.Context(), "second", []session.Number{yes.Number})
		require.NoError(t, err)
		require.Empty(t, known)
		known, err = s.accounts.CheckedNumbers(t.Context(), session.DefaultAccount, nil)
		require.NoError(t, err)
		require.Empty(t, known)
	})

	t.Run("a newer answer replaces an older one, and not the reverse", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		number := session.Number("15550100101")
		for _, answer := range []session.Checked{
			{Number: number, Verdict: session.NotRegistered, At: s.now},
			{Number: number, Verdict: session.Registered, Canonical: number, At: s.later(time.Hour)},
			{Number: number, Verdict: session.NotRegistered, At: s.later(time.Minute)},
		} {
			require.NoError(t, s.accounts.KeepChecked(t.Context(), session.DefaultAccount, []session.Checked{answer}))
		}
		known, err := s.accounts.CheckedNumbers(t.Context(), session.DefaultAccount, []session.Number{number})
		require.NoError(t, err)
		require.Equal(t, session.Registered, known[number].Verdict)
	})

	t.Run("when a contact last wrote is kept", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		const number = "15550100101"
		known, err := s.people.Contact(t.Context(), account, number)
		require.NoError(t, err)
		require.Equal(t, task.Contact{}, known)
		require.True(t, known.Cold())
		for _, at := range []time.Time{s.now, s.later(time.Hour), s.later(time.Minute)} {
			require.NoError(t, s.tasks.Heard(t.Context(), account, task.Address{Number: number}, at, at))
		}
		s.message(number)
		s.finish(s.claimOne(), task.Yes)
		known, err = s.people.Contact(t.Context(), account, number)
		require.NoError(t, err)
		require.Equal(t, task.Contact{Identity: known.Identity, FirstSent: s.now, FirstHeard: s.now, LastHeard: s.later(time.Hour)}, known)
		require.False(t, known.Cold())
	})
}
