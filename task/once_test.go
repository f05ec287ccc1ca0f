package task_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

// refusing makes WhatsApp refuse every message as it does with 403.
func refusing(h *hands) {
	h.send = func(task.Task) task.Outcome {
		return task.Outcome{Code: "rejected_403", Detail: "refused", WACode: 403, After: time.Hour, Counts: true, Once: true}
	}
}

func TestARefusalThatMayPassIsTriedOnceMoreAnHourLater(t *testing.T) {
	t.Parallel()
	play(t, func(o *task.Options, h *hands) {
		o.MaxAge = 3 * time.Hour
		refusing(h)
	}, func(s *scene) {
		begun := time.Now()
		id := s.message("1")
		s.pass(59 * time.Minute)
		waits := s.ledger.get(id)
		require.Len(t, s.hands.tried(), 1)
		require.Equal(t, task.Queued, waits.State)
		require.Equal(t, "rejected_403", waits.Reason)
		require.Equal(t, 403, waits.WACode)
		require.Equal(t, time.Hour, waits.NotBefore.Sub(begun))
		other := s.message("2")
		s.pass(10 * time.Second)
		require.Equal(t, []string{"1", "2"}, numbers(s.hands.tried()), "others do not wait for it")

		s.stop()
		s.run() // the first refusal is known after a restart
		s.pass(time.Minute)
		require.Equal(t, []string{"1", "2", "1"}, numbers(s.hands.tried()))
		require.Equal(t, "id of 1", s.hands.tried()[2].MessageID, "under the same ID")
		end := s.ledger.get(id)
		require.Equal(t, task.Failed, end.State, "a second refusal is final")
		require.Equal(t, "rejected_403", end.Code)
		require.Zero(t, end.RetryAt)
		s.pass(3 * time.Hour)
		require.Equal(t, []string{"1", "2", "1", "2"}, numbers(s.hands.tried()))
		require.Equal(t, 1, s.ledger.ends[id])
		require.Equal(t, 1, s.ledger.ends[other])
	})
}

func TestARefusalThatPassesTooLateEndsAtOnceAndTellsWhen(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) { refusing(h) }, func(s *scene) { // the usual maximum age: ten minutes
		begun := time.Now()
		id := s.message("1")
		s.pass(time.Second)
		end := s.ledger.get(id)
		require.Equal(t, task.Failed, end.State)
		require.Equal(t, "rejected_403", end.Code)
		require.Equal(t, 403, end.WACode)
		require.Equal(t, time.Hour, end.RetryAt.Sub(begun))
		s.pass(2 * time.Hour)
		require.Len(t, s.hands.tried(), 1)
	})
}
