package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

func testClaim(t *testing.T, open opener) {
	t.Run("tasks are taken in order of acceptance, each once", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		var want []task.ID
		for i := range 5 {
			want = append(want, s.accept(task.New{Kind: task.Check, Number: fmt.Sprint("1555010010", i)}))
		}
		s.message("15550100101") // another class
		require.Equal(t, want[:3], ids(s.claim(task.ClassCheck, 3)))
		require.Equal(t, want[3:], ids(s.claim(task.ClassCheck, 10)))
		require.Empty(t, s.claim(task.ClassCheck, 10))
	})

	t.Run("a claim counts the attempt and keeps the first start", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		id := s.message("15550100101")
		claimed := s.claimOne()
		require.Empty(t, cmp.Diff(s.get(id), claimed))
		require.Equal(t, task.Running, claimed.State)
		require.Equal(t, 1, claimed.Attempt)
		require.Equal(t, s.now, claimed.Started)

		require.NoError(t, s.tasks.Requeue(t.Context(), []task.Task{claimed}))
		again := s.claimAt(s.later(time.Minute), task.ClassMessage, 1)
		require.Len(t, again, 1)
		require.Equal(t, 2, again[0].Attempt)
		require.Equal(t, s.now, again[0].Started)
		require.Empty(t, cmp.Diff(s.get(id), again[0]))
	})

	t.Run("a claim tells of a recipient who wants no messages", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.message("15550100101")
		s.message("15550100102")
		require.NoError(t, s.people.OptOut(t.Context(), account, []string{"15550100101"}, s.now))
		claimed := s.claimOne()
		require.True(t, claimed.OptedOut)
		next, err := s.tasks.FinishAndClaim(t.Context(), []task.Finished{s.end(claimed, task.Failure)}, account, task.ClassMessage, s.now)
		require.NoError(t, err)
		require.False(t, next[0].OptedOut)
		require.NoError(t, s.people.OptIn(t.Context(), account, "15550100101"))
		require.False(t, s.get(claimed.ID).OptedOut)
	})

	t.Run("one message runs at a time, whatever is asked for", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.message("15550100101")
		s.message("15550100102")
		first := s.claim(task.ClassMessage, 10)
		require.Len(t, first, 1)
		require.Empty(t, s.claim(task.ClassMessage, 10))
		s.finish(first[0], task.Yes)
		require.Len(t, s.claim(task.ClassMessage, 10), 1)
	})

	t.Run("one control task runs at a time", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		first, second := s.accept(task.New{Kind: task.Logout}), s.accept(task.New{Kind: task.Login})
		claimed := s.claim(task.ClassControl, 10)
		require.Equal(t, []task.ID{first}, ids(claimed))
		require.Empty(t, s.claim(task.ClassControl, 10))
		s.finish(claimed[0], task.LoggedOut)
		require.Equal(t, []task.ID{second}, ids(s.claim(task.ClassControl, 10)))
	})
}

func testClaimOrder(t *testing.T, open opener) {
	t.Run("a waiting message holds up its own number only", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		first, second, other := s.message("15550100101"), s.message("15550100101"), s.message("15550100102")
		head := s.claimOne()
		require.Equal(t, first, head.ID)
		head.NotBefore = s.later(time.Minute)
		require.NoError(t, s.tasks.Requeue(t.Context(), []task.Task{head}))

		next := s.claimOne()
		require.Equal(t, other, next.ID)
		s.finish(next, task.Yes)
		require.Empty(t, s.claim(task.ClassMessage, 1), "the second to a number must not overtake the first")

		s.now = s.later(time.Minute)
		head = s.claimOne()
		require.Equal(t, first, head.ID)
		s.finish(head, task.Failure)
		require.Equal(t, second, s.claimOne().ID)
	})

	t.Run("checks of a number do not hold up messages to it", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.accept(task.New{Kind: task.Check, Number: "15550100101"})
		id := s.message("15550100101")
		require.Equal(t, id, s.claimOne().ID)
	})

	t.Run("a task is not taken before its time", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.accept(task.New{Kind: task.Check, Number: "15550100101"})
		claimed := s.claim(task.ClassCheck, 1)
		claimed[0].NotBefore = s.later(time.Second)
		require.NoError(t, s.tasks.Requeue(t.Context(), claimed))
		require.Empty(t, s.claimAt(s.later(999*time.Millisecond), task.ClassCheck, 1))
		require.Len(t, s.claimAt(s.later(time.Second), task.ClassCheck, 1), 1)
	})

	t.Run("accounts do not see each other's tasks", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.message("15550100101")
		s.claimOne()
		id := s.accept(task.New{Account: "second", Kind: task.Message, Number: "15550100101"})
		require.Empty(t, s.claim(task.ClassMessage, 1))
		tasks, err := s.tasks.Claim(t.Context(), "second", task.ClassMessage, s.now, 1)
		require.NoError(t, err)
		require.Equal(t, []task.ID{id}, ids(tasks))
	})
}

func testFinishAndClaim(t *testing.T, open opener) {
	t.Run("the next is the one that waited behind the end", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		first, second := s.message("15550100101"), s.message("15550100101")
		s.message("15550100102")
		next, err := s.tasks.FinishAndClaim(t.Context(), []task.Finished{s.end(s.claimOne(), task.Yes)}, account, task.ClassMessage, s.now)
		require.NoError(t, err)
		require.Equal(t, []task.ID{second}, ids(next))
		require.Empty(t, cmp.Diff(s.get(second), next[0]))
		require.Equal(t, 1, next[0].Attempt)
		require.Equal(t, task.Running, next[0].State)
		require.Equal(t, task.Done, s.get(first).State)
		require.Len(t, s.deliveries(), 1)
		require.Empty(t, s.claim(task.ClassMessage, 1), "one message runs")
	})

	t.Run("nothing may wait", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		id := s.message("15550100101")
		next, err := s.tasks.FinishAndClaim(t.Context(), []task.Finished{s.end(s.claimOne(), task.Yes)}, account, task.ClassMessage, s.now)
		require.NoError(t, err)
		require.Empty(t, next)
		require.Equal(t, task.Done, s.get(id).State)
	})

	t.Run("an error leaves both undone", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		first, second := s.message("15550100101"), s.message("15550100102")
		running := s.claimOne()
		gone := s.end(running, task.Yes)
		gone.Task.ID = "01990000-0000-7000-8000-000000000000"
		next, err := s.tasks.FinishAndClaim(t.Context(), []task.Finished{s.end(running, task.Yes), gone}, account, task.ClassMessage, s.now)
		require.ErrorIs(t, err, task.ErrNotFound)
		require.Empty(t, next)
		require.Equal(t, task.Running, s.get(first).State)
		require.Equal(t, task.Queued, s.get(second).State)
	})
}

func testNextDue(t *testing.T, open opener) {
	next := func(s *scene, class task.Class) (time.Time, bool) {
		s.t.Helper()
		at, ok, err := s.tasks.NextDue(s.t.Context(), account, class, s.now)
		require.NoError(s.t, err)
		return at, ok
	}
	t.Run("nothing queued is never due", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		_, ok := next(s, task.ClassCheck)
		require.False(t, ok)
	})
	t.Run("a fresh task is due now", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.message("15550100101")
		at, ok := next(s, task.ClassMessage)
		require.True(t, ok)
		require.Equal(t, s.now, at)
		_, ok = next(s, task.ClassCheck)
		require.False(t, ok)
	})
	t.Run("a message behind a waiting one is not due before it", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.message("15550100101")
		s.message("15550100101")
		head := s.claimOne()
		head.NotBefore = s.later(time.Minute)
		require.NoError(t, s.tasks.Requeue(t.Context(), []task.Task{head}))
		at, ok := next(s, task.ClassMessage)
		require.True(t, ok)
		require.Equal(t, s.later(time.Minute), at)
	})
	t.Run("while a message runs no other is due", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.message("15550100101")
		s.message("15550100102")
		s.claimOne()
		_, ok := next(s, task.ClassMessage)
		require.False(t, ok)
	})
	t.Run("the earliest of several waiting checks counts", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.accept(task.New{Kind: task.Check, Number: "15550100101"})
		s.accept(task.New{Kind: task.Check, Number: "15550100102"})
		claimed := s.claim(task.ClassCheck, 2)
		claimed[0].NotBefore, claimed[1].NotBefore = s.later(time.Hour), s.later(time.Minute)
		require.NoError(t, s.tasks.Requeue(t.Context(), claimed))
		at, ok := next(s, task.ClassCheck)
		require.True(t, ok)
		require.Equal(t, s.later(time.Minute), at)
	})
}

func testRequeue(t *testing.T, open opener) {
	t.Run("a task goes back with what was learnt", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.message("15550100101")
		running := s.claimOne()
		running.State = task.Queued
		running.Attempt = 0 // this one does not count
		running.MaybeSent = true
		running.NotBefore = s.later(30 * time.Second)
		running.Reason, running.Code, running.Detail = "offline", "network_uncertain", "the connection broke"
		running.Waited = 90 * time.Second
		require.NoError(t, s.tasks.Requeue(t.Context(), []task.Task{running}))
		require.Empty(t, cmp.Diff(running, s.get(running.ID)))
	})

	t.Run("a task that ended meanwhile stays ended", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.message("15550100101")
		running := s.claimOne()
		s.finish(running, task.Yes)
		require.NoError(t, s.tasks.Requeue(t.Context(), []task.Task{running}))
		require.Equal(t, task.Done, s.get(running.ID).State)
	})

	t.Run("after a crash running tasks are queued, messages as maybe sent", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		message, check := s.message("15550100101"), s.accept(task.New{Kind: task.Check, Number: "15550100101"})
		queued := s.message("15550100102")
		done := s.accept(task.New{Kind: task.Check, Number: "15550100103"})
		s.claimOne()
		s.finish(s.claim(task.ClassCheck, 2)[1], task.Yes)

		count, err := s.tasks.Recover(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, count)
		for id, maybe := range map[task.ID]bool{message: true, check: false, queued: false} {
			got := s.get(id)
			require.Equal(t, task.Queued, got.State)
			require.Equal(t, maybe, got.MaybeSent)
		}
		require.Equal(t, task.Done, s.get(done).State)
		again := s.claimOne()
		require.Equal(t, message, again.ID)
		require.Equal(t, 2, again.Attempt)
		require.Equal(t, "3EB015550100101", again.MessageID)
		count, err = s.tasks.Recover(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, count)
	})
}
