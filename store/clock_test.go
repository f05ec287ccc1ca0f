package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/callback"
	"whatsappd/task"
)

func TestWhatWaitsMovesWithAClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	ctx, now := t.Context(), time.UnixMilli(1_700_000_000_000).UTC()
	accept := func(w task.New) task.ID {
		w.Account = account
		accepted, err := db.Accept(ctx, w, now)
		require.NoError(t, err)
		return accepted.ID
	}
	one := func(class task.Class, at time.Time) task.Task {
		claimed, err := db.Claim(ctx, account, class, at, 1)
		require.NoError(t, err)
		require.Len(t, claimed, 1)
		return claimed[0]
	}
	const day = 24 * time.Hour
	before := now.Add(-day)

	accept(task.New{Kind: task.Check, Number: "15550100102", ReturnURL: "http://host/cb"})
	ended := one(task.ClassCheck, now)
	ended.State, ended.Verdict, ended.Finished = task.Done, task.Yes, now
	require.NoError(t, db.Finish(ctx, []task.Finished{{Task: ended, Callback: &task.Callback{URL: ended.ReturnURL}}}))
	due, err := db.ClaimDue(ctx, now, callback.Room{All: 1})
	require.NoError(t, err)
	due[0].State, due[0].NextAt = callback.Due, now.Add(5*time.Second)
	require.NoError(t, db.Record(ctx, due[0], callback.Attempt{DeliveryID: due[0].ID, N: 1, At: now}))
	id := accept(task.New{Kind: task.Message, Number: "15550100101", MessageID: "1"})
	message := one(task.ClassMessage, now)
	message.State, message.NotBefore = task.Queued, now.Add(time.Minute)
	require.NoError(t, db.Requeue(ctx, []task.Task{message}))
	pace := task.PaceState{PairedAt: now.Add(-time.Hour), NextSendAt: now.Add(30 * time.Second), Sends: []time.Time{now.Add(-time.Minute), now}}
	require.NoError(t, db.KeepPace(ctx, account, pace))

	require.NoError(t, db.SetBack(ctx, account, day))
	at, some, err := db.NextDelivery(ctx, nil)
	require.NoError(t, err)
	require.True(t, some)
	require.WithinDuration(t, before.Add(5*time.Second), at, 0)
	at, some, err = db.NextDue(ctx, account, task.ClassMessage, before)
	require.NoError(t, err)
	require.True(t, some)
	require.WithinDuration(t, before.Add(time.Minute), at, 0)
	kept, err := db.Get(ctx, id)
	require.NoError(t, err)
	require.WithinDuration(t, before, kept.Created, 0, "its age goes on")
	kept, err = db.Get(ctx, ended.ID)
	require.NoError(t, err)
	require.WithinDuration(t, now, kept.Created, 0, "what has ended is history")
	moved, err := db.Pace(ctx, account)
	require.NoError(t, err)
	require.WithinDuration(t, pace.NextSendAt.Add(-day), moved.NextSendAt, 0)
	require.WithinDuration(t, pace.PairedAt.Add(-day), moved.PairedAt, 0)
	require.Len(t, moved.Sends, 2)
	require.WithinDuration(t, before, moved.Sends[1], 0)
	require.Empty(t, moved.ColdSends)
}
