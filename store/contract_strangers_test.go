package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/task"
)

func testStrangers(t *testing.T, open opener) {
	const stranger, friend = "15550100101", "15550100102"
	hears := func(s *scene, number string) {
		require.NoError(s.t, s.tasks.Heard(s.t.Context(), account, task.Address{Number: number}, s.now, s.now))
	}

	t.Run("those who wrote are claimed past those who did not", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		first := s.message(stranger)
		_, some, err := s.tasks.NextDue(t.Context(), account, task.ClassWarm, s.now)
		require.NoError(t, err)
		require.False(t, some)
		second := s.message(friend)
		hears(s, friend)
		due, some, err := s.tasks.NextDue(t.Context(), account, task.ClassWarm, s.now)
		require.NoError(t, err)
		require.True(t, some)
		require.Equal(t, s.now, due)
		claimed := s.claim(task.ClassWarm, 5)
		require.Equal(t, []task.ID{second}, ids(claimed))
		require.False(t, claimed[0].Cold)
		require.Empty(t, s.claim(task.ClassWarm, 1), "one at a time")
		s.finish(claimed[0], task.Yes)
		require.Empty(t, s.claim(task.ClassWarm, 1))
		claimed = s.claim(task.ClassMessage, 1)
		require.Equal(t, []task.ID{first}, ids(claimed))
		require.True(t, claimed[0].Cold)
	})
	t.Run("the order within a chat is kept", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.message(friend)
		s.message(friend)
		hears(s, friend)
		waits := s.claimOne()
		waits.NotBefore, waits.Reason = s.later(time.Hour), "network_uncertain"
		require.NoError(t, s.tasks.Requeue(t.Context(), []task.Task{waits}))
		require.Empty(t, s.claim(task.ClassWarm, 5), "a friend waits for another try like anybody")
	})
	t.Run("who waited as a stranger does not when he writes", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		id := s.message(stranger)
		waits := s.claimOne()
		waits.NotBefore, waits.Reason = s.later(time.Hour), task.ReasonLocked
		require.NoError(t, s.tasks.Requeue(t.Context(), []task.Task{waits}))
		require.Empty(t, s.claim(task.ClassMessage, 1))
		hears(s, stranger)
		due, _, err := s.tasks.NextDue(t.Context(), account, task.ClassWarm, s.now)
		require.NoError(t, err)
		require.Equal(t, s.now, due)
		require.Equal(t, []task.ID{id}, ids(s.claim(task.ClassWarm, 1)))
	})
	t.Run("a number is known under its other form", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		const asked, written = "5511912345678", "551112345678"
		require.NoError(t, s.accounts.KeepChecked(t.Context(), session.DefaultAccount, []session.Checked{
			{Number: asked, Verdict: session.Registered, Canonical: written, At: s.now},
		}))
		s.message(asked)
		waits := s.claimOne()
		require.True(t, waits.Cold)
		waits.NotBefore, waits.Reason = s.later(time.Hour), task.ReasonSettling
		require.NoError(t, s.tasks.Requeue(t.Context(), []task.Task{waits}))
		hears(s, written)
		claimed := s.claimOne()
		require.False(t, claimed.Cold)
		known, err := s.people.Contact(t.Context(), account, asked)
		require.NoError(t, err)
		require.Equal(t, s.now, known.LastHeard)
		claimed.Canonical = written
		s.finish(claimed, task.Yes)
		known, err = s.people.Contact(t.Context(), account, asked)
		require.NoError(t, err)
		require.Equal(t, s.now, known.FirstSent)
	})
	t.Run("released messages are due, and waited only so long", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		locked, other := s.message(stranger), s.message(friend)
		for _, reason := range []string{task.ReasonLocked, "network_uncertain"} {
			waits := s.claimOne()
			waits.NotBefore, waits.Reason, waits.Waited = s.later(time.Hour), reason, time.Hour
			require.NoError(t, s.tasks.Requeue(t.Context(), []task.Task{waits}))
		}
		now := s.later(10 * time.Minute)
		require.NoError(t, s.tasks.Release(t.Context(), account, task.ReasonLocked, now))
		require.Equal(t, now, s.get(locked).NotBefore)
		require.Equal(t, 10*time.Minute, s.get(locked).Waited)
		require.Equal(t, s.later(time.Hour), s.get(other).NotBefore)
	})
}
