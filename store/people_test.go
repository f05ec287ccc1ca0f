package store

import (
	"context"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/task"
)

func TestActivityCountsWhoWasWrittenToFirstAndWhoAnswered(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	s := &scene{keepers: keepers{db, db, db, db}, t: t, now: time.UnixMilli(1_700_000_000_000).UTC()}
	const answers, silent, friend, refused = "15550100101", "15550100102", "15550100103", "15550100104"
	hears := func(number string) {
		require.NoError(t, db.Heard(t.Context(), account, task.Address{Number: number}, s.now, s.now))
	}
	hears(friend)
	s.now = s.later(time.Minute + 300*time.Millisecond)
	start := s.now
	for _, number := range []string{answers, silent, friend} {
		s.message(number)
		s.finish(s.claimOne(), task.Yes)
	}
	s.message(refused)
	s.finish(s.claimOne(), task.Failure)
	require.NoError(t, db.Heard(t.Context(), account, task.Address{Number: answers}, s.now.Truncate(time.Second), s.now)) // WhatsApp tells whole seconds
	s.now = s.later(time.Minute)
	hears(friend)
	s.now = s.later(time.Minute)
	hears(answers) // a second answer is no second reply

	got, err := db.Activity(t.Context(), account, start.Truncate(time.Second))
	require.NoError(t, err)
	require.Equal(t, task.Activity{NewChats: 2, Replies: 1, Failures: 1}, got)
	got, err = db.Activity(t.Context(), account, start.Add(time.Second))
	require.NoError(t, err)
	require.Zero(t, got)
}

func TestAnOptOutHoldsForAllFormsOfANumber(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	now := time.UnixMilli(1_700_000_000_000).UTC()
	const one, other, canonical = "5511912345678", "551112345678", "551112345679"
	require.NoError(t, db.KeepChecked(t.Context(), session.DefaultAccount, []session.Checked{
		{Number: one, Verdict: session.Registered, Canonical: canonical, At: now},
		{Number: other, Verdict: session.Registered, Canonical: canonical, At: now},
		{Number: "15550100101", Verdict: session.NotRegistered, At: now}, // without a canonical form, and nobody else's
		{Number: "15550100102", Verdict: session.NotRegistered, At: now},
	}))
	since := func(number string) time.Time {
		known, err := db.Contact(t.Context(), account, number)
		require.NoError(t, err)
		return known.OptedOut
	}
	require.NoError(t, db.OptOut(t.Context(), account, []string{one, "15550100101"}, now))
	require.NoError(t, db.OptOut(t.Context(), account, []string{one}, now.Add(time.Hour)))
	for _, number := range []string{one, other, canonical, "15550100101"} {
		require.Equal(t, now, since(number), number)
	}
	require.Zero(t, since("15550100102"))
	require.NoError(t, db.OptIn(t.Context(), account, other))
	require.Zero(t, since(one))
	require.Equal(t, now, since("15550100101"))
}

func TestWhoGotATextIsCountedForADayAndForgotten(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	now := time.UnixMilli(1_700_000_000_000).UTC()
	hash := sha256.Sum256([]byte("hello"))
	who := func(number string) string {
		_, err := db.Accept(t.Context(), task.New{Account: account, Kind: task.Message, Number: number}, now)
		require.NoError(t, err)
		known, err := db.Contact(t.Context(), account, number)
		require.NoError(t, err)
		return known.ID
	}
	for i, number := range []string{"1", "2", "2", "3"} {
		require.NoError(t, db.KeepText(t.Context(), account, hash, who(number), now.Add(time.Duration(i)*time.Hour)))
	}
	count := func(number string, since time.Time) int {
		got, err := db.TextRecipients(t.Context(), account, hash, who(number), since)
		require.NoError(t, err)
		return got
	}
	require.Equal(t, 3, count("4", now.Add(-time.Hour)))
	require.Equal(t, 2, count("3", now.Add(-time.Hour)), "another try to the same one is none")
	require.Equal(t, 1, count("4", now.Add(150*time.Minute)))
	_, err := db.Sweep(t.Context(), now.Add(-time.Hour), now.Add(150*time.Minute))
	require.NoError(t, err)
	require.Equal(t, 1, count("4", now.Add(-time.Hour)))
	require.NoError(t, db.writer.do(t.Context(), func(ctx context.Context, q queries) error {
		var rows int
		require.NoError(t, q.QueryRowContext(ctx, `SELECT count(*) FROM text_sent`).Scan(&rows))
		require.Equal(t, 1, rows)
		return nil
	}))
}
