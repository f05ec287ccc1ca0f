package task_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

func TestAPanicOfTheWorkerIsOneFailedAttempt(t *testing.T) {
	t.Parallel()
	var panics atomic.Bool
	panics.Store(true)
	var counted atomic.Int64
	play(t, func(o *task.Options, h *hands) {
		o.Panicked = func() { counted.Add(1) }
		h.send = func(one task.Task) task.Outcome {
			if panics.Load() && one.Number == "1" {
				panic("a mistake")
			}
			return task.Succeed(task.Yes)
		}
		h.check = func([]task.Task) []task.Outcome {
			if panics.Load() {
				panic("a mistake")
			}
			return []task.Outcome{task.Succeed(task.Yes)}
		}
	}, func(s *scene) {
		broken, fine, check := s.message("1"), s.message("2"), s.accept(task.New{Kind: task.Check, Number: "3"})
		s.pass(time.Second)
		require.Equal(t, task.Done, s.ledger.get(fine).State, "the others are worked")
		for _, id := range []task.ID{broken, check} {
			require.Equal(t, task.Queued, s.ledger.get(id).State)
			require.Equal(t, "no_outcome", s.ledger.get(id).Code)
		}
		require.EqualValues(t, 2, counted.Load())
		require.True(t, s.ledger.get(broken).MaybeSent, "nobody knows how far it came")
		panics.Store(false)
		s.pass(10 * time.Second)
		require.Equal(t, task.Done, s.ledger.get(broken).State)
		require.Equal(t, task.Done, s.ledger.get(check).State)

		panics.Store(true)
		broken = s.message("1")
		s.pass(15 * time.Minute)
		require.Equal(t, task.Failed, s.ledger.get(broken).State)
		require.Equal(t, "no_outcome", s.ledger.get(broken).Code)
	})
}
