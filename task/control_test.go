package task_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

func TestALogInIsWorkedWhateverTheAccountsState(t *testing.T) {
	t.Parallel()
	for _, readiness := range []task.Readiness{task.Ready, task.Wait, task.NeverReady} {
		t.Run(string(readiness), func(t *testing.T) {
			t.Parallel()
			play(t, func(_ *task.Options, h *hands) {
				h.readiness = readiness
				h.control = func(task.Task) task.Outcome { return task.Succeed(task.CodeShown) }
			}, func(s *scene) {
				id := s.accept(task.New{Kind: task.Login})
				synctest.Wait()
				require.Equal(t, task.CodeShown, s.ledger.get(id).Verdict)
				require.Zero(t, s.hands.asked())
			})
		})
	}
}

func TestALogInHoldsUpNeitherMessagesNorChecks(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) {
		h.control = func(task.Task) task.Outcome {
			time.Sleep(time.Minute)
			return task.Succeed(task.AlreadyLoggedIn)
		}
	}, func(s *scene) {
		login, second := s.accept(task.New{Kind: task.Login}), s.accept(task.New{Kind: task.Login})
		message, check := s.message("1"), s.accept(task.New{Kind: task.Check, Number: "2"})
		s.pass(time.Second)
		require.Equal(t, task.Done, s.ledger.get(message).State)
		require.Equal(t, task.Done, s.ledger.get(check).State)
		require.Equal(t, task.Running, s.ledger.get(login).State)
		require.Equal(t, task.Queued, s.ledger.get(second).State, "one at a time")
		s.pass(2 * time.Minute)
		s.ledger.once(t)
	})
}

func TestALogOutThatWaitedForTheConnectionGoesBeforeMessages(t *testing.T) {
	t.Parallel()
	var order []string
	ready := false
	play(t, func(_ *task.Options, h *hands) {
		h.readiness = task.Wait
		h.control = func(task.Task) task.Outcome {
			h.mu.Lock()
			defer h.mu.Unlock()
			if !ready {
				return task.Offline("connection_lost", "")
			}
			order = append(order, "log-out")
			return task.Succeed(task.LoggedOut)
		}
		h.send = func(task.Task) task.Outcome {
			order = append(order, "message")
			return task.Succeed(task.Yes)
		}
	}, func(s *scene) {
		s.message("1")
		logout := s.accept(task.New{Kind: task.Logout})
		s.pass(time.Minute)
		require.Equal(t, "connection_lost", s.ledger.get(logout).Reason)
		require.Less(t, s.ledger.returned(), 10, "it is not tried all the time")
		s.hands.mu.Lock()
		ready = true
		s.hands.mu.Unlock()
		s.hands.become(task.Ready)
		synctest.Wait()
		require.Equal(t, []string{"log-out", "message"}, order)
	})
}

func TestALogOutThatNeverGetsThroughEndsAtItsAge(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) {
		h.readiness = task.Wait
		h.control = func(task.Task) task.Outcome { return task.Offline("connection_lost", "") }
	}, func(s *scene) {
		id := s.accept(task.New{Kind: task.Logout})
		s.pass(10*time.Minute + time.Millisecond)
		require.Equal(t, task.Failure, s.ledger.get(id).Verdict)
		require.Equal(t, "connection_lost", s.ledger.get(id).Code)
	})
}

func TestALogOutWaitsForTheMessageOnItsWay(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) {
		h.send = func(task.Task) task.Outcome {
			time.Sleep(10 * time.Second)
			return task.Succeed(task.Yes)
		}
	}, func(s *scene) {
		first, second := s.message("1"), s.message("2")
		s.pass(time.Second)
		logout := s.accept(task.New{Kind: task.Logout})
		s.pass(10 * time.Second)
		require.Equal(t, task.Done, s.ledger.get(first).State)
		require.Equal(t, task.Done, s.ledger.get(logout).State)
		require.NotEqual(t, task.Done, s.ledger.get(second).State)
		require.True(t, s.ledger.get(logout).Finished.Equal(s.ledger.get(first).Finished), "before the next message")
	})
}

func TestMessagesAndChecksLetALogOutGoFirst(t *testing.T) {
	t.Parallel()
	play(t, nil, func(s *scene) {
		s.ledger.lock(task.ClassControl) // the log-out is due and cannot be taken yet
		logout := s.accept(task.New{Kind: task.Logout})
		message, check := s.message("1"), s.accept(task.New{Kind: task.Check, Number: "2"})
		s.pass(time.Second)
		require.Empty(t, s.hands.tried())
		require.Empty(t, s.hands.sizes())
		s.ledger.lock("")
		s.pass(6 * time.Second)
		ended := s.ledger.get(logout).Finished
		for _, id := range []task.ID{message, check} {
			require.Equal(t, task.Done, s.ledger.get(id).State)
			require.False(t, s.ledger.get(id).Finished.Before(ended))
		}
	})
}

func TestALogOutForAnotherNumberIsNotDone(t *testing.T) {
	t.Parallel()
	play(t, nil, func(s *scene) {
		id := s.accept(task.New{Kind: task.Logout, ForNumber: "4917600000002"})
		synctest.Wait()
		require.Equal(t, "account_changed", s.ledger.get(id).Code)
	})
}

func TestALogOutThatHasNotBegunGoesBackAtAStop(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) {
		h.send = func(task.Task) task.Outcome {
			time.Sleep(3 * time.Second)
			return task.Succeed(task.Yes)
		}
		h.control = func(task.Task) task.Outcome { panic("the lane is stopping") }
	}, func(s *scene) {
		s.message("1")
		s.pass(time.Second)
		logout := s.accept(task.New{Kind: task.Logout})
		s.pass(time.Second)
		s.stop()
		require.Equal(t, task.Queued, s.ledger.get(logout).State)
		require.Zero(t, s.ledger.get(logout).Attempt)
	})
}
