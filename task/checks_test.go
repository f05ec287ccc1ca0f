package task_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

func (s *scene) checks(n int) {
	for i := range n {
		s.accept(task.New{Kind: task.Check, Number: fmt.Sprint(i)})
	}
}

func TestTheFirstCheckWaitsALittleForCompany(t *testing.T) {
	t.Parallel()
	play(t, nil, func(s *scene) {
		began := time.Now()
		s.checks(1)
		s.pass(20 * time.Millisecond)
		require.Empty(t, s.hands.sizes())
		s.checks(2)
		s.pass(20 * time.Millisecond)
		sizes, at := s.hands.calls()
		require.Equal(t, []int{3}, sizes)
		require.Equal(t, 30*time.Millisecond, at[0].Sub(began))
	})
}

func TestABacklogOfChecksDoesNotWaitForCompany(t *testing.T) {
	t.Parallel()
	play(t, nil, func(s *scene) {
		s.checks(170)
		s.pass(time.Second)
		sizes, at := s.hands.calls()
		require.Equal(t, []int{50, 50, 50, 20}, sizes)
		require.Equal(t, at[0], at[3])
	})
}

func TestChecksRunBesideAMessage(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) {
		h.send = func(task.Task) task.Outcome {
			time.Sleep(time.Minute)
			return task.Succeed(task.Yes)
		}
	}, func(s *scene) {
		message := s.message("1")
		synctest.Wait()
		s.checks(1)
		s.pass(time.Second)
		require.Len(t, s.hands.sizes(), 1)
		require.Equal(t, task.Running, s.ledger.get(message).State)
	})
}

func TestOneNumberAskedTwiceIsTwoTasksOfOneCall(t *testing.T) {
	t.Parallel()
	play(t, nil, func(s *scene) {
		s.accept(task.New{Kind: task.Check, Number: "1"})
		s.accept(task.New{Kind: task.Check, Number: "1"})
		s.pass(time.Second)
		require.Equal(t, []int{2}, s.hands.sizes())
		s.ledger.once(t)
	})
}

func TestCallsAreHalvedFromTheSecondFailureOn(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) {
		h.check = func(tasks []task.Task) []task.Outcome {
			outcomes := make([]task.Outcome, len(tasks))
			for i := range outcomes {
				outcomes[i] = task.Later("wa_500", "", 0)
			}
			return outcomes
		}
	}, func(s *scene) {
		s.checks(50)
		s.pass(9 * time.Second) // the first tries, after 2 and after 5 more seconds
		require.Equal(t, []int{50, 50, 25, 12, 6, 3, 1}, s.hands.sizes()[:7])
	})
}

func TestAnAbsentAccountHalvesNoCalls(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) {
		h.check = func(tasks []task.Task) []task.Outcome {
			outcomes := make([]task.Outcome, len(tasks))
			for i := range outcomes {
				outcomes[i] = task.Offline("offline", "")
			}
			return outcomes
		}
	}, func(s *scene) {
		s.checks(50)
		s.pass(20 * time.Second)
		require.Greater(t, len(s.hands.sizes()), 3)
		for _, size := range s.hands.sizes() {
			require.Equal(t, 50, size)
		}
	})
}

func TestACheckWithoutAnOutcomeIsTriedAgain(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) {
		h.check = func(tasks []task.Task) []task.Outcome { return []task.Outcome{task.Succeed(task.Yes)} }
	}, func(s *scene) {
		s.checks(2)
		s.pass(10 * time.Second)
		require.Equal(t, []int{2, 1}, s.hands.sizes())
		s.ledger.once(t)
	})
}

func TestAnAllowanceLimitsChecks(t *testing.T) {
	t.Parallel()
	play(t, func(o *task.Options, h *hands) {
		began := time.Now()
		o.CheckAllowance = func(now time.Time, want int) (int, time.Time) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if len(h.batches) == 1 && now.Before(began.Add(time.Minute)) {
				return 0, began.Add(time.Minute)
			}
			return min(want, 10), time.Time{}
		}
	}, func(s *scene) {
		s.checks(15)
		s.pass(30 * time.Second)
		require.Equal(t, []int{10}, s.hands.sizes())
		s.pass(time.Minute)
		require.Equal(t, []int{10, 5}, s.hands.sizes())
		s.ledger.once(t)
	})
}

func TestChecksThatWaitForTheirAllowanceDoNotAge(t *testing.T) {
	t.Parallel()
	free := time.Now()
	play(t, func(_ *task.Options, h *hands) {
		free = time.Now().Add(3 * time.Hour)
		h.check = func(tasks []task.Task) []task.Outcome {
			outcomes := make([]task.Outcome, len(tasks))
			for i := range outcomes {
				outcomes[i] = task.Succeed(task.Yes)
				if wait := time.Until(free); wait > 0 {
					outcomes[i] = task.Paced("check_allowance", "later", min(wait, time.Hour))
				}
			}
			return outcomes
		}
	}, func(s *scene) {
		s.checks(60)
		s.pass(time.Minute)
		waiting := s.ledger.get("t1")
		require.Equal(t, task.Queued, waiting.State)
		require.Equal(t, "check_allowance", waiting.Reason)
		require.Zero(t, waiting.Attempt)
		s.pass(4 * time.Hour)
		require.Equal(t, map[string]int{"done": 60}, s.ledger.outcomes())
		require.Equal(t, []int{50, 10}, s.hands.sizes()[:2], "a wait says nothing about the size of a call")
		sizes := s.hands.sizes()
		require.Equal(t, []int{50, 10}, sizes[len(sizes)-2:])
	})
}
