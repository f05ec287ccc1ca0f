package task_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

// setClock plays a message that fails once and waits for another try, while the clock on the wall is set; it returns how long
// after that the message was sent, in time that passed.
func setClock(t *testing.T, by time.Duration) (took time.Duration) {
	var ahead atomic.Int64
	var tries []time.Time
	play(t, func(o *task.Options, h *hands) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		h.send = func(task.Task) task.Outcome {
			if tries = append(tries, time.Now()); len(tries) == 1 {
				return task.Later("rate_limited", "", time.Minute)
			}
			return task.Succeed(task.Yes)
		}
	}, func(s *scene) {
		s.message("1")
		s.pass(time.Second)
		ahead.Store(int64(by))
		s.pass(5 * time.Minute)
		require.Len(t, tries, 2, "it is tried again within minutes")
		took = tries[1].Sub(tries[0])
	})
	return took
}

func TestAClockThatIsSetBackHoldsNothingUp(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{-24 * time.Hour, -time.Hour, -time.Minute, -10 * time.Second} {
		require.InDelta(t, time.Minute.Seconds(), setClock(t, by).Seconds(), 45, by)
	}
}

func TestAClockThatRunsOnWaitsNoLonger(t *testing.T) {
	t.Parallel()
	require.LessOrEqual(t, setClock(t, 5*time.Minute), time.Minute+15*time.Second)
}
