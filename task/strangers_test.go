package task_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

// numbers are the recipients of messages, in order.
func numbers(sent []task.Task) (numbers []string) {
	for _, t := range sent {
		numbers = append(numbers, t.Number)
	}
	return numbers
}

func TestFriendsPassStrangersWhoWaitForAReasonOfTheirOwn(t *testing.T) {
	t.Parallel()
	for reason, hold := range map[string]func(*scene){
		task.ReasonSettling: func(s *scene) { require.NoError(s.t, s.lane.Paired(s.t.Context(), time.Now())) },
		task.ReasonLocked:   func(s *scene) { s.hands.lock(time.Now().Add(2 * time.Minute)) },
		task.ReasonQuota:    func(s *scene) { s.hands.lock(time.Now().Add(2*time.Minute), task.ReasonQuota) },
		task.ReasonColdDay: func(s *scene) {
			s.message("first")
			s.pass(24*time.Hour - 2*time.Minute)
		},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			play(t, func(o *task.Options, h *hands) {
				paced(o, h)
				o.Pace.ColdPerDay = 1
			}, func(s *scene) {
				require.NoError(t, s.lane.Heard(t.Context(), task.Address{Number: "friend"}, time.Now()))
				hold(s)
				until, before := time.Now().Add(2*time.Minute), len(s.hands.tried())
				first := s.message("1")
				s.message("2")
				friend := s.message("friend")
				for range 3 {
					s.message("friend")
				}
				s.pass(time.Minute)
				require.Equal(t, []string{"friend", "friend", "friend", "friend"}, numbers(s.hands.tried()[before:]))
				require.Equal(t, task.Done, s.ledger.get(friend).State)
				waits := s.ledger.get(first)
				require.Equal(t, reason, waits.Reason)
				require.True(t, until.Equal(waits.NotBefore), waits.NotBefore)
				s.pass(90 * time.Second)
				require.Equal(t, "1", s.hands.tried()[before+4].Number, "the stranger goes when the wait is over")
			})
		})
	}
}

func TestAReasonOfTheAccountHoldsFriendsToo(t *testing.T) {
	t.Parallel()
	for reason, policy := range map[string]task.Policy{
		"pace":       {ColdGapMin: time.Minute, ColdGapMax: time.Minute},
		"cap_minute": {PerMinute: 1},
		"cap_hour":   {PerHour: 1},
		"cap_day":    {PerDay: 1},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			play(t, func(o *task.Options, _ *hands) { o.Pace = policy }, func(s *scene) {
				require.NoError(t, s.lane.Heard(t.Context(), task.Address{Number: "friend"}, time.Now()))
				s.message("0")
				s.pass(time.Second)
				held := s.message("1")
				s.message("friend")
				s.pass(30 * time.Second)
				require.Equal(t, []string{"0"}, numbers(s.hands.tried()))
				require.Equal(t, reason, s.ledger.get(held).Reason)
				s.pass(25 * time.Hour)
				require.Equal(t, "1", s.hands.tried()[1].Number, "nobody overtakes")
			})
		})
	}
}

func TestAStrangerWhoWritesIsOneNoLonger(t *testing.T) {
	t.Parallel()
	play(t, paced, func(s *scene) {
		s.hands.lock(time.Now().Add(24 * time.Hour))
		first, second := s.message("1"), s.message("1")
		other := s.message("2")
		s.pass(time.Minute)
		require.Empty(t, s.hands.tried())
		require.NoError(t, s.lane.Heard(t.Context(), task.Address{Number: "1"}, time.Now()))
		s.pass(10 * time.Second)
		require.Equal(t, []string{"1", "1"}, numbers(s.hands.tried()))
		require.Equal(t, []task.ID{first, second}, []task.ID{s.hands.tried()[0].ID, s.hands.tried()[1].ID}, "in order")
		require.LessOrEqual(t, s.ledger.get(first).Waited, 2*time.Minute, "only what it did wait")
		require.Equal(t, task.Queued, s.ledger.get(other).State)
	})
}

func TestALockThatEndsEarlyLetsStrangersGoInOrder(t *testing.T) {
	t.Parallel()
	play(t, func(o *task.Options, _ *hands) { o.Pace = task.Policy{Off: true} }, func(s *scene) {
		s.hands.lock(time.Now().Add(24 * time.Hour))
		for i := range 5 {
			s.message(fmt.Sprint(i))
		}
		s.pass(time.Hour)
		require.Empty(t, s.hands.tried(), "WhatsApp's lock holds without a pace too")
		s.hands.lock(time.Time{})
		s.pass(time.Second)
		require.Equal(t, []string{"0", "1", "2", "3", "4"}, numbers(s.hands.tried()))
	})
}

func TestAPlaceThatIsFreedLetsAStrangerGoAtOnce(t *testing.T) {
	t.Parallel()
	play(t, func(o *task.Options, _ *hands) { o.Pace = task.Policy{Off: true} }, func(s *scene) {
		s.hands.lock(time.Now().Add(20*24*time.Hour), task.ReasonQuota)
		id := s.message("1")
		s.pass(24 * time.Hour)
		require.Equal(t, task.ReasonQuota, s.ledger.get(id).Reason)
		s.hands.lock(time.Now().Add(time.Hour)) // a lock in its place
		s.pass(time.Second)
		require.Equal(t, task.ReasonLocked, s.ledger.get(id).Reason)
		s.hands.lock(time.Time{})
		s.pass(time.Second)
		require.Equal(t, task.Done, s.ledger.get(id).State)
	})
}

func TestALockOutlivesARestartAndAgesNobody(t *testing.T) {
	t.Parallel()
	play(t, paced, func(s *scene) {
		require.NoError(t, s.lane.Heard(t.Context(), task.Address{Number: "friend"}, time.Now()))
		s.hands.lock(time.Now().Add(48 * time.Hour))
		for i := range 3 {
			s.message(fmt.Sprint(i))
		}
		for range 10 {
			s.pass(2 * time.Hour)
			s.stop()
			s.pass(time.Minute)
			s.run()
			s.message("friend")
		}
		s.pass(time.Minute)
		require.Len(t, s.hands.tried(), 10)
		require.NotContains(t, numbers(s.hands.tried()), "0")
		s.pass(48 * time.Hour)
		require.Equal(t, map[string]int{"done": 13}, s.ledger.outcomes())
		require.Equal(t, []string{"0", "1", "2"}, numbers(s.hands.tried()[10:]))
	})
}

func TestAFriendWhoseMessageFailsAgesWhileStrangersWait(t *testing.T) {
	t.Parallel()
	play(t, func(o *task.Options, h *hands) {
		paced(o, h)
		h.send = func(task.Task) task.Outcome { return task.Later("network_uncertain", "no answer", 0) }
	}, func(s *scene) {
		require.NoError(t, s.lane.Heard(t.Context(), task.Address{Number: "friend"}, time.Now()))
		s.hands.lock(time.Now().Add(48 * time.Hour))
		s.message("1")
		bad := s.message("friend")
		s.pass(15 * time.Minute)
		require.Equal(t, "network_uncertain", s.ledger.get(bad).Code)
		require.Equal(t, task.Failed, s.ledger.get(bad).State)
	})
}

func TestStrangersThatWaitCostOneWriteForEachReason(t *testing.T) {
	t.Parallel()
	play(t, paced, func(s *scene) {
		s.hands.lock(time.Now().Add(24 * time.Hour))
		for i := range 200 {
			s.message(fmt.Sprint(i))
		}
		s.pass(time.Hour)
		require.Equal(t, 1, s.ledger.returned())
	})
}

func TestAMessageThatTheLockRefusedWaitsForItsEnd(t *testing.T) {
	t.Parallel()
	play(t, func(o *task.Options, h *hands) {
		paced(o, h)
		h.send = func(one task.Task) task.Outcome {
			until, _ := h.StrangersHeld()
			if left := until.Sub(time.Now()); left > 0 && one.Number == "silent" {
				return task.Paced(task.ReasonLocked, "", left)
			}
			return task.Succeed(task.Yes)
		}
	}, func(s *scene) {
		s.ledger.sent["silent"] = time.Now() // we wrote, no answer came: no first contact, and yet under the lock
		until := time.Now().Add(24 * time.Hour)
		s.hands.lock(until)
		id := s.message("silent")
		s.pass(12 * time.Hour)
		require.Len(t, s.hands.tried(), 1, "it is tried once")
		got := s.ledger.get(id)
		require.Equal(t, task.ReasonLocked, got.Reason)
		require.True(t, until.Equal(got.NotBefore))
		require.Zero(t, got.Attempt)
		require.Len(t, s.ledger.kept().Sends, 1, "a refused try counts for the pace")
		s.hands.lock(time.Time{})
		s.pass(time.Minute)
		require.Equal(t, task.Done, s.ledger.get(id).State)
	})
}
