package task_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

func TestTheCodeSaysWhyWorkWasNotPerformed(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"logged_out": "logged_out", "logout_requested": "logged_out", "pairing": "not_paired", "unpaired": "not_paired",
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			play(t, nil, func(s *scene) {
				s.hands.become(task.NeverReady, code)
				id := s.message("1")
				synctest.Wait()
				require.Equal(t, task.NotPerformed, s.ledger.get(id).Verdict)
				require.Equal(t, want, s.ledger.get(id).Code)
			})
		})
	}
}

func TestOneBurstAsksForAPairingOnce(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) { h.readiness = task.Wait }, func(s *scene) {
		for i := range 300 {
			s.message(fmt.Sprint(i))
			s.accept(task.New{Kind: task.Check, Number: fmt.Sprint(i)})
		}
		s.hands.become(task.NeverReady)
		s.pass(time.Second)
		require.Equal(t, map[string]int{"done not_paired": 600}, s.ledger.outcomes())
		require.Equal(t, 1, s.hands.asked())
		s.message("1")
		s.pass(time.Second)
		require.Equal(t, 2, s.hands.asked(), "the next burst asks again")
		s.ledger.once(t)
	})
}

func TestWorkThatIsNotDueYetEndsWithALogOutToo(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) {
		h.send = func(task.Task) task.Outcome { return task.Later("rate_limited", "", 5*time.Minute) }
	}, func(s *scene) {
		id := s.message("1")
		s.pass(time.Second)
		s.hands.become(task.NeverReady)
		synctest.Wait()
		require.Equal(t, task.NotPerformed, s.ledger.get(id).Verdict)
	})
}

func TestWaitingWorkSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	play(t, nil, func(s *scene) {
		s.hands.become(task.Wait, "connection_lost")
		message, check := s.message("1"), s.accept(task.New{Kind: task.Check, Number: "2"})
		s.pass(time.Second)
		for _, id := range []task.ID{message, check} {
			require.Equal(t, task.Queued, s.ledger.get(id).State)
			require.Equal(t, "connection_lost", s.ledger.get(id).Reason)
			require.Zero(t, s.ledger.get(id).Attempt)
		}
		s.pass(5 * time.Minute)
		require.Equal(t, 2, s.ledger.returned(), "it is written once")
		s.hands.become(task.Wait, "temp_banned")
		s.pass(time.Second)
		require.Equal(t, "temp_banned", s.ledger.get(message).Reason)
		s.hands.become(task.Ready)
		s.pass(time.Second)
		require.Equal(t, map[string]int{"done": 2}, s.ledger.outcomes())
	})
}

func TestWaitingWorkEndsAtItsAgeAndSaysWhy(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) { h.readiness, h.code = task.Wait, "temp_banned" }, func(s *scene) {
		message, check := s.message("1"), s.accept(task.New{Kind: task.Check, Number: "2"})
		s.pass(10*time.Minute - time.Millisecond)
		require.Equal(t, map[string]int{"queued": 2}, s.ledger.outcomes())
		s.pass(2 * time.Millisecond)
		for _, id := range []task.ID{message, check} {
			got := s.ledger.get(id)
			require.Equal(t, task.Failure, got.Verdict)
			require.Equal(t, "expired", got.Code)
			require.Contains(t, got.Detail, "temp_banned")
		}
	})
}

func TestALongLineOfMessagesHidesNoChecks(t *testing.T) {
	t.Parallel()
	play(t, func(o *task.Options, h *hands) { h.readiness = task.Wait }, func(s *scene) {
		for i := range 450 {
			s.message(fmt.Sprint(i))
		}
		s.pass(time.Minute)
		check := s.accept(task.New{Kind: task.Check, Number: "1"})
		s.pass(10*time.Minute + time.Second)
		require.Equal(t, "expired", s.ledger.get(check).Code)
		require.Equal(t, map[string]int{"failed expired": 451}, s.ledger.outcomes())
		s.ledger.once(t)
	})
}

func TestALongLineOfAnAbsentAccountIsNotLookedAtForEachTask(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) { h.readiness = task.Wait }, func(s *scene) {
		for i := range 1000 {
			s.message(fmt.Sprint(i))
			s.pass(time.Millisecond)
		}
		s.ledger.mu.Lock()
		looks := s.ledger.looks
		s.ledger.mu.Unlock()
		require.Less(t, looks, 250, "once for each of the first 200, then a few times a second")
		s.hands.become(task.NeverReady)
		synctest.Wait()
		require.Equal(t, map[string]int{"done not_paired": 1000}, s.ledger.outcomes(), "its end is seen at once")
	})
}

func TestWorkForAnotherNumberEndsWhileTheNewOneIsNotConfirmed(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) { h.readiness, h.code = task.Wait, "number_unconfirmed" }, func(s *scene) {
		old := s.accept(task.New{Kind: task.Message, Number: "1", ForNumber: "4917600000002"})
		own := s.accept(task.New{Kind: task.Message, Number: "2", ForNumber: s.hands.own})
		s.pass(time.Second)
		require.Equal(t, "account_changed", s.ledger.get(old).Code)
		require.Equal(t, task.Failed, s.ledger.get(old).State)
		require.Equal(t, task.Queued, s.ledger.get(own).State)
	})
}

func TestAnAttemptThatMetAnAbsentAccountWaitsForItsReturn(t *testing.T) {
	t.Parallel()
	away := true
	play(t, func(_ *task.Options, h *hands) {
		h.send = func(task.Task) task.Outcome {
			if away {
				outcome := task.Offline("offline", "")
				outcome.Uncertain = true
				return outcome
			}
			return task.Succeed(task.Yes)
		}
	}, func(s *scene) {
		id := s.message("1")
		s.pass(20 * time.Second)
		require.Less(t, len(s.hands.tried()), 7, "it is not tried all the time")
		require.Equal(t, "offline", s.ledger.get(id).Reason)
		s.hands.mu.Lock()
		away = false
		s.hands.mu.Unlock()
		s.hands.become(task.Ready)
		synctest.Wait()
		got := s.ledger.get(id)
		require.Equal(t, task.Done, got.State, "the change alone wakes it")
		require.Equal(t, 1, got.Attempt)
		require.True(t, got.MaybeSent)
	})
}

func TestPatientWorkWaitsOutALogOut(t *testing.T) {
	t.Parallel()
	accept := func(s *scene) []task.ID {
		return []task.ID{
			s.accept(task.New{Kind: task.Message, Number: "1", ForNumber: s.hands.own, Patient: true}),
			s.accept(task.New{Kind: task.Check, Number: "2", ForNumber: s.hands.own, Patient: true}),
		}
	}
	for _, code := range []string{"logged_out", "logout_requested"} {
		t.Run(code+" until it is linked again", func(t *testing.T) {
			t.Parallel()
			play(t, nil, func(s *scene) {
				s.hands.become(task.NeverReady, code)
				ids := accept(s)
				s.pass(time.Second)
				require.Equal(t, 1, s.hands.asked(), "it asks for a pairing")
				s.pass(9 * time.Minute)
				for _, id := range ids {
					require.Equal(t, task.Queued, s.ledger.get(id).State)
					require.Equal(t, code, s.ledger.get(id).Reason)
				}
				require.Equal(t, 1, s.hands.asked(), "once")
				s.hands.become(task.Ready)
				s.pass(time.Second)
				require.Equal(t, map[string]int{"done": 2}, s.ledger.outcomes())
				s.ledger.once(t)
			})
		})
		t.Run(code+" until its age", func(t *testing.T) {
			t.Parallel()
			play(t, nil, func(s *scene) {
				s.hands.become(task.NeverReady, code)
				ids := accept(s)
				s.pass(10*time.Minute - time.Millisecond)
				require.Equal(t, map[string]int{"queued": 2}, s.ledger.outcomes())
				s.pass(2 * time.Millisecond)
				for _, id := range ids {
					require.Equal(t, "logged_out", s.ledger.get(id).Code)
					require.Equal(t, task.NotPerformed, s.ledger.get(id).Verdict)
				}
				require.Equal(t, 1, s.hands.asked())
			})
		})
	}
	t.Run("and is never done under another number", func(t *testing.T) {
		t.Parallel()
		play(t, nil, func(s *scene) {
			s.hands.become(task.NeverReady, "logged_out")
			accept(s)
			s.pass(time.Second)
			s.hands.mu.Lock()
			s.hands.own = "4917600000002"
			s.hands.mu.Unlock()
			s.hands.become(task.Ready)
			s.pass(time.Second)
			require.Equal(t, map[string]int{"failed account_changed": 2}, s.ledger.outcomes())
			require.Empty(t, s.hands.tried())
		})
	})
	t.Run("not on an account that never had a link", func(t *testing.T) {
		t.Parallel()
		play(t, nil, func(s *scene) {
			s.hands.become(task.NeverReady, "offline")
			accept(s)
			s.pass(time.Second)
			require.Equal(t, map[string]int{"done not_paired": 2}, s.ledger.outcomes())
		})
	})
	t.Run("not where nothing waits", func(t *testing.T) {
		t.Parallel()
		play(t, func(o *task.Options, _ *hands) { o.FailWhenDisconnected = true }, func(s *scene) {
			s.hands.become(task.NeverReady, "logged_out")
			accept(s)
			s.pass(time.Second)
			require.Equal(t, map[string]int{"done logged_out": 2}, s.ledger.outcomes())
		})
	})
	t.Run("and holds up nobody who does not wait", func(t *testing.T) {
		t.Parallel()
		play(t, nil, func(s *scene) {
			s.hands.become(task.NeverReady, "logged_out")
			for range 450 {
				accept(s)
			}
			s.pass(time.Second)
			for i := range 250 {
				s.message(fmt.Sprint(i))
			}
			s.pass(time.Second)
			require.Equal(t, map[string]int{"queued": 900, "done logged_out": 250}, s.ledger.outcomes())
			s.pass(10 * time.Minute)
			require.Equal(t, map[string]int{"done logged_out": 1150}, s.ledger.outcomes())
			s.ledger.once(t)
		})
	})
}
