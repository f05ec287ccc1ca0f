package task_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

// queued plays with messages that wait behind one that is being sent. held lets that one go.
func queued(t *testing.T, count int, test func(s *scene, ids []task.ID, held func())) {
	t.Helper()
	begun, gone := make(chan struct{}), make(chan struct{})
	play(t, func(_ *task.Options, h *hands) {
		begun, gone = make(chan struct{}), make(chan struct{}) // of the bubble
		h.send = func(one task.Task) task.Outcome {
			if one.Number == "0" {
				close(begun)
				<-gone
			}
			return task.Succeed(task.Yes)
		}
	}, func(s *scene) {
		var ids []task.ID
		for i := range count {
			ids = append(ids, s.message(fmt.Sprint(i)))
		}
		<-begun
		test(s, ids, sync.OnceFunc(func() { close(gone) }))
	})
}

func TestAMessageIsClaimedWithTheEndOfTheOneBefore(t *testing.T) {
	t.Parallel()
	queued(t, 20, func(s *scene, _ []task.ID, held func()) {
		held()
		s.pass(time.Millisecond)
		s.ledger.once(t)
		for i, sent := range s.hands.tried() {
			require.Equal(t, fmt.Sprint(i), sent.Number)
			require.Equal(t, 1, sent.Attempt)
		}
		require.Equal(t, 21, s.ledger.commits, "one for each message, and one for the first claim")
	})
}

func TestMessagesLookForNoControlWorkThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	queued(t, 20, func(s *scene, _ []task.ID, held func()) {
		before := s.ledger.controls
		held()
		s.pass(time.Millisecond)
		s.ledger.once(t)
		require.Equal(t, before, s.ledger.controls)
	})
}

func TestAPacedMessageIsNotClaimedAhead(t *testing.T) {
	t.Parallel()
	play(t, func(o *task.Options, _ *hands) {
		o.Pace = task.Policy{WarmGapMin: time.Second, WarmGapMax: time.Second, ColdGapMin: time.Second, ColdGapMax: time.Second}
	}, func(s *scene) {
		s.ledger.between = func() { t.Error("claimed ahead") }
		for i := range 3 {
			s.message(fmt.Sprint(i))
		}
		s.pass(time.Minute)
		s.ledger.once(t)
	})
}

func TestAMessageThatWasClaimedAheadGoesBackWhenItCannotGo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		happens func(*scene)
		heals   func(*scene)
	}{
		"the connection is lost": {
			func(s *scene) { s.hands.become(task.Wait, "offline") },
			func(s *scene) { s.hands.become(task.Ready) },
		},
		"a log-in is asked for": {
			func(s *scene) { s.accept(task.New{Kind: task.Login}) },
			func(*scene) {},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			queued(t, 3, func(s *scene, ids []task.ID, held func()) {
				s.ledger.between = sync.OnceFunc(func() { c.happens(s) })
				held()
				s.pass(time.Second)
				require.NotZero(t, s.ledger.returned())
				c.heals(s)
				s.pass(time.Minute)
				s.ledger.once(t)
				require.Len(t, s.hands.tried(), 3, "each is sent once")
				require.Equal(t, 1, s.hands.tried()[1].Attempt, "what was put back is no attempt")
				require.Equal(t, ids[1], s.hands.tried()[1].ID, "and keeps its place")
			})
		})
	}
}

func TestAMessageThatWasClaimedAheadGoesBackWithTheStop(t *testing.T) {
	t.Parallel()
	queued(t, 3, func(s *scene, ids []task.ID, held func()) {
		stopped := make(chan struct{})
		s.ledger.between = func() {
			go func() {
				s.stop()
				close(stopped)
			}()
			time.Sleep(time.Second) // until it is to stop
		}
		held()
		<-stopped
		require.Len(t, s.hands.tried(), 1)
		require.Equal(t, task.Done, s.ledger.get(ids[0]).State)
		for _, id := range ids[1:] {
			require.Equal(t, task.Queued, s.ledger.get(id).State)
			require.Zero(t, s.ledger.get(id).Attempt)
			require.False(t, s.ledger.get(id).MaybeSent)
		}
	})
}

func TestAnEndIsKeptWhereNothingCanBeClaimed(t *testing.T) {
	t.Parallel()
	queued(t, 2, func(s *scene, ids []task.ID, held func()) {
		s.ledger.lock(task.ClassMessage)
		held()
		s.pass(time.Second)
		require.Equal(t, task.Done, s.ledger.get(ids[0]).State)
		require.Equal(t, task.Queued, s.ledger.get(ids[1]).State)
		s.ledger.lock("")
		s.pass(time.Minute)
		s.ledger.once(t)
	})
}
