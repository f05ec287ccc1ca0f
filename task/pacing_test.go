package task_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

func paced(o *task.Options, _ *hands) { o.Pace = task.DefaultPolicy() }

// most is the largest number of times within any window, of those that lie before a limit.
func most(times []time.Time, window time.Duration, before time.Time) (most int) {
	first := 0
	for i, at := range times {
		if !at.Before(before) {
			break
		}
		for at.Sub(times[first]) >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

func TestFiveHundredMessagesToStrangersKeepTheDefaultEnvelope(t *testing.T) {
	t.Parallel()
	play(t, paced, func(s *scene) {
		paired := time.Now()
		require.NoError(t, s.lane.Paired(s.t.Context(), paired))
		for i := range 500 {
			s.message(fmt.Sprint(1000 + i))
		}
		for range 10 * 24 {
			if len(s.hands.tried()) < 500 {
				s.pass(time.Hour)
			}
		}
		s.pass(time.Hour)
		require.Equal(t, map[string]int{"done": 500}, s.ledger.outcomes(), "waiting for its pace ends no message")
		s.ledger.once(t)

		sent, at := s.hands.messages()
		days := func(n int) time.Time { return paired.Add(time.Duration(n) * 24 * time.Hour) }
		require.Len(t, at, 500)
		require.False(t, at[0].Before(paired.Add(2*time.Minute)), "settling")
		longest := time.Duration(0)
		for i := range at[1:] {
			gap := at[i+1].Sub(at[i])
			require.GreaterOrEqual(t, gap, 6*time.Second)
			require.Equal(t, fmt.Sprint(1001+i), sent[i+1].Number, "in order")
			if gap < time.Minute {
				longest = max(longest, gap)
			}
		}
		require.LessOrEqual(t, longest, 20*time.Second+time.Millisecond, "no gap is longer than it has to be")
		require.LessOrEqual(t, most(at, time.Minute, days(10)), 10)
		require.LessOrEqual(t, most(at, time.Hour, days(2)), 20)
		require.LessOrEqual(t, most(at, 24*time.Hour, days(2)), 50)
		require.LessOrEqual(t, most(at, time.Hour, days(5)), 40)
		require.LessOrEqual(t, most(at, 24*time.Hour, days(10)), 200)
		require.Less(t, s.ledger.returned(), 510, "each wait is written once")
	})
}

// rate is what the default policy allows until a day after the pairing.
type rate struct{ untilDay, hour, day int }

// rateAt is the one that holds at some time after the pairing.
func rateAt(since time.Duration) rate {
	for _, r := range []rate{{2, 20, 50}, {5, 40, 200}, {10, 80, 500}} {
		if since < time.Duration(r.untilDay)*24*time.Hour {
			return r
		}
	}
	return rate{0, 100, 500}
}

// reasons are those that were shown for a wait.
func (l *ledger) reasons() (shown []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.requeued {
		shown = append(shown, t.Reason)
	}
	slices.Sort(shown)
	return slices.Compact(shown)
}

func TestFiveHundredMessagesToFriendsKeepTheDefaultEnvelope(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		paired  time.Duration // before the first message
		reasons []string
	}{
		"from the pairing on":   {0, []string{"cap_minute", "pace", "ramp"}},
		"from the sixth day on": {5 * 24 * time.Hour, []string{"cap_day", "cap_minute", "pace", "ramp"}},
		"after the first days":  {10 * 24 * time.Hour, []string{"cap_day", "cap_hour", "cap_minute", "pace"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const count, took = 510, 200 * time.Millisecond
			var sending atomic.Bool
			play(t, func(o *task.Options, h *hands) {
				paced(o, h)
				h.send = func(task.Task) task.Outcome {
					if !sending.CompareAndSwap(false, true) {
						return task.Never("two_at_once", "")
					}
					defer sending.Store(false)
					time.Sleep(took)
					return task.Succeed(task.Yes)
				}
			}, func(s *scene) {
				paired := time.Now().Add(-test.paired)
				require.NoError(t, s.lane.Paired(t.Context(), paired))
				for i := range count {
					number := fmt.Sprint("friend ", i)
					require.NoError(t, s.lane.Heard(t.Context(), task.Address{Number: number}, time.Now()))
					s.message(number)
				}
				for i := 0; i < 7*24 && s.ledger.outcomes()["done"] < count; i++ {
					s.pass(time.Hour)
				}
				require.Equal(t, map[string]int{"done": count}, s.ledger.outcomes())

				_, at := s.hands.messages()
				gaps := map[time.Duration]bool{}
				for i, next := range at[1:] {
					gap, since := next.Sub(at[i]), next.Sub(paired)
					before := func(window time.Duration) (sent int) {
						for j := i; j >= 0 && next.Sub(at[j]) < window; j-- {
							sent++
						}
						return sent
					}
					now, then := rateAt(since), rateAt(since-time.Nanosecond)
					require.GreaterOrEqual(t, gap, time.Second+took)
					require.Less(t, before(time.Minute), 10, "a minute, %s after the pairing", since)
					require.Less(t, before(time.Hour), now.hour, "an hour, %s after the pairing", since)
					require.Less(t, before(24*time.Hour), now.day, "a day, %s after the pairing", since)
					const sent = took + time.Millisecond
					full := before(time.Minute+sent) >= 10 || before(time.Hour+sent) >= then.hour || before(24*time.Hour+sent) >= then.day
					require.True(t, full || gap <= 3*time.Second+sent, "a wait of %s for nothing, %s after the pairing", gap, since)
					gaps[gap] = true
				}
				require.Greater(t, len(gaps), count/20, "the gaps are random")
				require.Equal(t, test.reasons, s.ledger.reasons(), "each wait says why")
			})
		})
	}
}

func TestAWaitForThePaceIsShownOnceAndCostsNoAttempt(t *testing.T) {
	t.Parallel()
	play(t, paced, func(s *scene) {
		require.NoError(t, s.lane.Paired(s.t.Context(), time.Now()))
		settled := time.Now().Add(2 * time.Minute)
		id := s.message("1")
		for range 10 {
			s.pass(10 * time.Second)
			s.message("1") // more work is no reason to write again
		}
		got := s.ledger.get(id)
		require.Equal(t, "settling", got.Reason)
		require.True(t, settled.Equal(got.NotBefore))
		require.Equal(t, 2*time.Minute, got.Waited)
		require.Zero(t, got.Attempt)
		require.Equal(t, 1, s.ledger.returned())
		s.pass(time.Minute)
		require.Equal(t, task.Done, s.ledger.get(id).State)
		require.Equal(t, 1, s.ledger.get(id).Attempt)
	})
}

func TestOnlyAFirstContactIsCold(t *testing.T) {
	t.Parallel()
	play(t, func(o *task.Options, _ *hands) {
		o.Pace = task.Policy{ColdGapMin: time.Hour, ColdGapMax: time.Hour, WarmGapMin: time.Second, WarmGapMax: time.Second}
	}, func(s *scene) {
		s.ledger.heard["1"] = time.Now()
		s.ledger.sent["2"] = time.Now()
		for _, number := range []string{"1", "2", "3", "3"} {
			s.message(number)
		}
		s.pass(2 * time.Hour)
		_, at := s.hands.messages()
		require.Equal(t, time.Second, at[1].Sub(at[0]).Round(time.Millisecond), "they wrote to us")
		require.Equal(t, time.Second, at[2].Sub(at[1]).Round(time.Millisecond), "we wrote to them before")
		require.Equal(t, time.Hour, at[3].Sub(at[2]).Round(time.Millisecond), "a stranger")
		require.Len(t, s.ledger.kept().ColdSends, 0, "there is no limit to look back for")
	})
}

func TestRefusedMessagesKeepThePaceToo(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]task.Outcome{
		"refused for good": task.Never("rejected_403", ""),
		"failed for now":   task.Later("rate_limited", "", time.Hour),
		"not on WhatsApp":  task.Succeed(task.No),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t, func(o *task.Options, h *hands) {
				paced(o, h)
				h.send = func(task.Task) task.Outcome { return outcome }
			}, func(s *scene) {
				for i := range 100 {
					s.message(fmt.Sprint(i))
				}
				s.pass(time.Minute)
				require.LessOrEqual(t, len(s.hands.tried()), 10)
				require.GreaterOrEqual(t, len(s.hands.tried()), 3)
			})
		})
	}
}

func TestThePaceIsCommittedWithTheEnd(t *testing.T) {
	t.Parallel()
	play(t, paced, func(s *scene) {
		s.message("1")
		s.pass(time.Second)
		require.Len(t, s.ledger.finished, 1)
		require.NotNil(t, s.ledger.finished[0].Pace)
		require.Len(t, s.ledger.finished[0].Pace.Sends, 1)
		require.True(t, s.ledger.kept().NextSendAt.After(time.Now()))
		require.Zero(t, s.ledger.paces, "not on its own")
	})
}

func TestAPairingKeepsWhatWasSentBefore(t *testing.T) {
	t.Parallel()
	play(t, paced, func(s *scene) {
		s.stop()
		s.ledger.pace = task.PaceState{Sends: []time.Time{time.Now()}}
		lane := task.NewLane(s.opts, s.ledger, s.hands) // the pairing comes before the lane has begun
		require.NoError(t, lane.Paired(s.t.Context(), time.Now()))
		require.Len(t, s.ledger.kept().Sends, 1)
		require.False(t, s.ledger.kept().PairedAt.IsZero())
	})
}

func TestAPairingDuringASendIsNotForgotten(t *testing.T) {
	t.Parallel()
	var s *scene
	play(t, func(o *task.Options, h *hands) {
		paced(o, h)
		h.send = func(task.Task) task.Outcome {
			s.ledger.fail(errDisk) // the end waits, the pairing comes, then both are kept
			return task.Succeed(task.Yes)
		}
	}, func(playing *scene) {
		s = playing
		s.message("1")
		s.pass(time.Second)
		paired := time.Now()
		require.ErrorIs(t, s.lane.Paired(s.t.Context(), paired), errDisk)
		s.ledger.fail(nil)
		s.pass(time.Minute)
		require.True(t, paired.Equal(s.ledger.kept().PairedAt))
		require.Len(t, s.ledger.kept().Sends, 1)
	})
}

func TestAShortAbsenceEndsNoBacklogThatWaitedForItsPace(t *testing.T) {
	t.Parallel()
	play(t, paced, func(s *scene) {
		for i := range 300 {
			s.message(fmt.Sprint(i))
		}
		s.pass(15 * time.Minute)
		s.hands.become(task.Wait)
		s.pass(9 * time.Minute)
		require.NotContains(t, s.ledger.outcomes(), "failed expired")
		s.pass(2 * time.Minute)
		require.NotZero(t, s.ledger.outcomes()["failed expired"], "a long one does")
		s.ledger.mu.Lock()
		defer s.ledger.mu.Unlock()
		for _, kept := range s.ledger.tasks {
			require.NotEqual(t, task.Queued, kept.State)
		}
	})
}

func TestARestartEndsNoBacklogThatWaitsForItsPace(t *testing.T) {
	t.Parallel()
	play(t, paced, func(s *scene) {
		require.NoError(t, s.lane.Paired(s.t.Context(), time.Now()))
		for i := range 120 {
			s.message(fmt.Sprint(i))
		}
		for range 40 {
			s.pass(2 * time.Hour)
			s.stop()
			s.pass(time.Minute)
			s.run()
		}
		require.Equal(t, map[string]int{"done": 120}, s.ledger.outcomes())
		for i, sent := range s.hands.tried() {
			require.Equal(t, fmt.Sprint(i), sent.Number, "in order")
		}
		s.ledger.once(t)
	})
}

func TestABacklogOutlivesARestartIntoALostConnection(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]time.Duration{"between two messages": 15 * time.Minute, "in a long wait for its pace": 50 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t, paced, func(s *scene) {
				for i := range 300 {
					s.message(fmt.Sprint(i))
				}
				s.pass(wait)
				s.stop()
				s.hands.become(task.Wait, "connecting")
				s.run()
				s.pass(9 * time.Minute)
				require.NotContains(t, s.ledger.outcomes(), "failed expired")
				s.hands.become(task.Ready)
				s.pass(3 * 24 * time.Hour)
				require.Equal(t, map[string]int{"done": 300}, s.ledger.outcomes())
			})
		})
	}
}

func TestARestartEndsNoLineOfSlowMessages(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) { // without a pace: what comes out of the door is slow
		h.send = func(task.Task) task.Outcome {
			time.Sleep(20 * time.Second)
			return task.Succeed(task.Yes)
		}
	}, func(s *scene) {
		for i := range 100 {
			s.message(fmt.Sprint(i))
		}
		s.pass(25 * time.Minute)
		s.stop()
		s.pass(time.Minute)
		s.run()
		s.pass(time.Hour)
		require.Equal(t, map[string]int{"done": 100}, s.ledger.outcomes())
		s.ledger.once(t)
	})
}

func TestWaitingForItsTurnBehindSlowMessagesAgesNone(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) {
		h.send = func(task.Task) task.Outcome {
			time.Sleep(20 * time.Second)
			return task.Succeed(task.Yes)
		}
	}, func(s *scene) {
		for i := range 100 {
			s.message(fmt.Sprint(i))
		}
		s.pass(time.Hour)
		require.Equal(t, map[string]int{"done": 100}, s.ledger.outcomes())
	})
}

func TestAFailingMessageAgesWhileOthersAreSent(t *testing.T) {
	t.Parallel()
	play(t, func(o *task.Options, h *hands) {
		paced(o, h)
		h.send = func(one task.Task) task.Outcome {
			if one.Number == "bad" {
				return task.Later("network_uncertain", "no answer", 0)
			}
			return task.Succeed(task.Yes)
		}
	}, func(s *scene) {
		bad := s.message("bad")
		for i := range 200 {
			s.message(fmt.Sprint(i))
		}
		s.pass(25 * time.Minute)
		got := s.ledger.get(bad)
		require.Equal(t, task.Failed, got.State)
		require.Equal(t, "network_uncertain", got.Code)
		require.NotEqual(t, map[string]int{"done": 200, "failed network_uncertain": 1}, s.ledger.outcomes(), "the others are still going")
	})
}

func TestAMessageFromBeforeALongOutageEnds(t *testing.T) {
	t.Parallel()
	play(t, paced, func(s *scene) {
		s.message("1")
		s.pass(time.Minute)
		s.stop()
		id := s.ledger.put(task.Task{Kind: task.Message, Number: "2", State: task.Queued, Created: time.Now()})
		s.pass(11 * time.Minute)
		s.run()
		s.pass(time.Minute)
		require.Equal(t, "expired", s.ledger.get(id).Code)
		require.Len(t, s.hands.tried(), 1)
	})
}
