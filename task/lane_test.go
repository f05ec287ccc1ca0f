package task_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

// scene is a lane in a bubble of its own time.
type scene struct {
	t      *testing.T
	opts   task.Options
	ledger *ledger
	hands  *hands
	lane   *task.Lane
	stop   func()
}

// play runs a test in a bubble, with a lane that works.
func play(t *testing.T, change func(*task.Options, *hands), test func(*scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{t: t, ledger: newLedger(), hands: newHands()}
		s.opts = task.Options{Account: "default", Pace: task.Policy{Off: true}, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
		if change != nil {
			change(&s.opts, s.hands)
		}
		s.run()
		test(s)
		s.stop()
		time.Sleep(time.Hour) // what outlasted the grace ends with the bubble
	})
}

// run starts a lane on what the ledger holds.
func (s *scene) run() {
	s.lane = task.NewLane(s.opts, s.ledger, s.hands)
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.lane.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(s.t, <-done)
	})
	synctest.Wait()
}

func (s *scene) accept(w task.New) task.ID {
	s.t.Helper()
	w.Account = "default"
	accepted, err := s.lane.Accept(s.t.Context(), w)
	require.NoError(s.t, err)
	return accepted.ID
}

func (s *scene) message(number string) task.ID {
	return s.accept(task.New{Kind: task.Message, Number: number, MessageID: "id of " + number})
}

// pass lets time pass and everything that is due happen.
func (s *scene) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestWorkIsDoneAtOnceAndInOrder(t *testing.T) {
	t.Parallel()
	play(t, nil, func(s *scene) {
		for i := range 5 {
			s.message(fmt.Sprint(i))
		}
		s.pass(time.Millisecond)
		for i, sent := range s.hands.tried() {
			require.Equal(t, fmt.Sprint(i), sent.Number)
			require.Equal(t, 1, sent.Attempt)
		}
		require.Len(t, s.hands.tried(), 5)
		s.ledger.once(t)
	})
}

func TestAFailingMessageHoldsOnlyItsOwnChat(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	failures := 2
	play(t, func(_ *task.Options, h *hands) {
		h.send = func(one task.Task) task.Outcome {
			mu.Lock()
			defer mu.Unlock()
			if one.Number == "1" && failures > 0 {
				failures--
				outcome := task.Later("network_uncertain", "", 0)
				outcome.Uncertain = true
				return outcome
			}
			return task.Succeed(task.Yes)
		}
	}, func(s *scene) {
		first, second, other := s.message("1"), s.message("1"), s.message("2")
		s.pass(time.Second)
		require.Equal(t, task.Done, s.ledger.get(other).State, "another chat goes on")
		require.Equal(t, task.Queued, s.ledger.get(first).State)
		require.True(t, s.ledger.get(first).MaybeSent)
		require.Equal(t, 0, s.ledger.get(second).Attempt, "order within a chat is kept")
		s.pass(time.Minute)
		require.Equal(t, task.Done, s.ledger.get(first).State)
		require.Equal(t, task.Done, s.ledger.get(second).State)
		require.True(t, s.ledger.get(first).MaybeSent, "what may have been sent stays so")
		var order []string
		for _, sent := range s.hands.tried() {
			if sent.Number == "1" {
				order = append(order, string(sent.ID))
				require.Equal(t, "id of 1", sent.MessageID, "every try has the same message ID")
			}
		}
		require.Equal(t, []string{string(first), string(first), string(first), string(second)}, order)
		s.ledger.once(t)
	})
}

func TestAnAccountThatIsNotLoggedInEndsWorkAtOnce(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) { h.readiness = task.NeverReady }, func(s *scene) {
		message := s.message("1")
		check := s.accept(task.New{Kind: task.Check, Number: "2"})
		s.pass(time.Second)
		for _, id := range []task.ID{message, check} {
			require.Equal(t, task.NotPerformed, s.ledger.get(id).Verdict)
			require.Equal(t, task.Done, s.ledger.get(id).State)
		}
		require.NotZero(t, s.hands.asked())
		require.Empty(t, s.hands.tried())
	})
}

func TestLoggingOutEndsWhatWaitsForItsPace(t *testing.T) {
	t.Parallel()
	play(t, func(o *task.Options, _ *hands) { o.Pace = task.DefaultPolicy() }, func(s *scene) {
		var ids []task.ID
		for i := range 50 {
			ids = append(ids, s.message(fmt.Sprint(i)))
		}
		s.pass(time.Second)
		s.hands.become(task.NeverReady)
		s.pass(time.Second)
		for _, id := range ids[1:] {
			require.Equal(t, task.NotPerformed, s.ledger.get(id).Verdict, id)
		}
		s.ledger.once(t)
	})
}

func TestWorkWaitsForALostConnectionUpToItsAge(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) { h.readiness = task.Wait }, func(s *scene) {
		early := s.message("1")
		s.pass(9 * time.Minute)
		late := s.message("2")
		require.Equal(t, task.Queued, s.ledger.get(early).State)
		s.pass(2 * time.Minute)
		require.Equal(t, task.Failure, s.ledger.get(early).Verdict)
		require.Equal(t, task.Failed, s.ledger.get(early).State)
		require.NotEmpty(t, s.ledger.get(early).Code)
		require.Equal(t, task.Queued, s.ledger.get(late).State)
		s.hands.become(task.Ready)
		s.pass(time.Second)
		require.Equal(t, task.Done, s.ledger.get(late).State)
		s.ledger.once(t)
	})
}

func TestWorkCanFailAtOnceWhileDisconnected(t *testing.T) {
	t.Parallel()
	play(t, func(o *task.Options, h *hands) {
		o.FailWhenDisconnected = true
		h.readiness = task.Wait
	}, func(s *scene) {
		id := s.message("1")
		s.pass(time.Second)
		require.Equal(t, task.NotPerformed, s.ledger.get(id).Verdict)
		require.Zero(t, s.hands.asked(), "there is a link: nothing to pair")
	})
}

func TestWorkForAnotherNumberIsNeverDone(t *testing.T) {
	t.Parallel()
	play(t, nil, func(s *scene) {
		id := s.accept(task.New{Kind: task.Message, Number: "1", ForNumber: "4917600000002"})
		s.pass(time.Second)
		require.Equal(t, "account_changed", s.ledger.get(id).Code)
		require.Empty(t, s.hands.tried())
	})
}

func TestOfflineOutcomesDoNotCount(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	away := true
	play(t, func(_ *task.Options, h *hands) {
		h.send = func(task.Task) task.Outcome {
			mu.Lock()
			defer mu.Unlock()
			if away {
				return task.Offline("offline", "")
			}
			return task.Succeed(task.Yes)
		}
	}, func(s *scene) {
		id := s.message("1")
		s.pass(30 * time.Second)
		mu.Lock()
		away = false
		mu.Unlock()
		s.pass(time.Second)
		require.Equal(t, task.Done, s.ledger.get(id).State)
		require.Equal(t, 1, s.ledger.get(id).Attempt)
	})
}

func TestTriesEndWithTheAge(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) {
		h.send = func(task.Task) task.Outcome { return task.Later("rate_limited", "slow down", 0) }
	}, func(s *scene) {
		id := s.message("1")
		s.pass(11 * time.Minute)
		got := s.ledger.get(id)
		require.Equal(t, task.Failed, got.State)
		require.Equal(t, "rate_limited", got.Code)
		require.Less(t, got.Attempt, 20)
		require.Greater(t, got.Attempt, 5)
		s.ledger.once(t)
	})
}

func TestChecksGoTogether(t *testing.T) {
	t.Parallel()
	play(t, nil, func(s *scene) {
		for i := range 70 {
			s.accept(task.New{Kind: task.Check, Number: fmt.Sprint(i)})
		}
		s.pass(time.Second)
		require.Equal(t, []int{50, 20}, s.hands.sizes())
		s.ledger.once(t)
	})
}

func TestFailingChecksGoInSmallerCalls(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) {
		h.check = func(tasks []task.Task) []task.Outcome { // one number spoils every call it is in
			outcomes := make([]task.Outcome, len(tasks))
			spoilt := false
			for _, one := range tasks {
				spoilt = spoilt || one.Number == "0"
			}
			for i := range outcomes {
				outcomes[i] = task.Succeed(task.Yes)
				if spoilt {
					outcomes[i] = task.Later("wa_500", "", 0)
				}
			}
			return outcomes
		}
	}, func(s *scene) {
		for i := range 50 {
			s.accept(task.New{Kind: task.Check, Number: fmt.Sprint(i)})
		}
		s.pass(20 * time.Minute)
		require.Equal(t, task.Failed, s.ledger.get("t1").State)
		done := 0
		for i := range 50 {
			if s.ledger.get(task.ID(fmt.Sprint("t", i+1))).State == task.Done {
				done++
			}
		}
		require.Equal(t, 49, done, "the others got through")
		s.ledger.once(t)
	})
}

func TestALogOutWaitsForNothingAndIsAlone(t *testing.T) {
	t.Parallel()
	var release chan struct{}
	play(t, func(_ *task.Options, h *hands) {
		release = make(chan struct{}) // of the bubble
		h.control = func(task.Task) task.Outcome {
			<-release
			return task.Succeed(task.LoggedOut)
		}
	}, func(s *scene) {
		logout := s.accept(task.New{Kind: task.Logout})
		synctest.Wait()
		s.message("1")
		s.pass(time.Second)
		require.Empty(t, s.hands.tried(), "nothing is sent while the log-out runs")
		close(release)
		s.pass(time.Second)
		require.Equal(t, task.LoggedOut, s.ledger.get(logout).Verdict)
		require.Len(t, s.hands.tried(), 1)
	})
}

func TestAnOutcomeIsKeptOnceTheLedgerWorksAgain(t *testing.T) {
	t.Parallel()
	var s *scene
	play(t, func(_ *task.Options, h *hands) {
		h.send = func(task.Task) task.Outcome {
			s.ledger.fail(errDisk)
			return task.Succeed(task.Yes)
		}
	}, func(playing *scene) {
		s = playing
		id := s.message("1")
		s.pass(time.Minute)
		require.Equal(t, task.Running, s.ledger.get(id).State)
		s.ledger.fail(nil)
		s.pass(10 * time.Second)
		require.Equal(t, task.Done, s.ledger.get(id).State)
		require.Len(t, s.hands.tried(), 1, "it was sent once")
		s.ledger.once(t)
	})
}

func TestStoppingWaitsForTheMessageOnItsWay(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) {
		h.send = func(task.Task) task.Outcome {
			time.Sleep(2 * time.Second)
			return task.Succeed(task.Yes)
		}
	}, func(s *scene) {
		first, second := s.message("1"), s.message("2")
		s.pass(time.Second)
		s.stop()
		require.Equal(t, task.Done, s.ledger.get(first).State)
		require.Equal(t, task.Queued, s.ledger.get(second).State)
		s.run()
		s.pass(3 * time.Second)
		s.ledger.once(t)
	})
}

func TestAMessageCutOffByTheStopIsRepeatedUnderItsID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kept := newLedger()
		_, err := kept.Accept(t.Context(), task.New{Kind: task.Message, Number: "1", MessageID: "fixed"}, time.Now())
		require.NoError(t, err)
		claimed, err := kept.Claim(t.Context(), "default", task.ClassMessage, time.Now(), 1) // and the process dies
		require.NoError(t, err)
		require.Len(t, claimed, 1)

		s := &scene{t: t, ledger: kept, hands: newHands(), opts: task.Options{Account: "default", Pace: task.Policy{Off: true}}}
		s.run()
		s.pass(time.Second)
		s.stop()
		require.Len(t, s.hands.tried(), 1)
		require.True(t, s.hands.tried()[0].MaybeSent)
		require.Equal(t, "fixed", s.hands.tried()[0].MessageID)
		kept.once(t)
	})
}

func TestEveryTaskEndsOnceWhateverHappens(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	var mu sync.Mutex
	pick := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n)
	}
	outcome := func() task.Outcome {
		switch pick(6) {
		case 0:
			return task.Never("rejected_400", "")
		case 1:
			later := task.Later("network_uncertain", "", time.Duration(pick(5))*time.Second)
			later.Uncertain = pick(2) == 0
			return later
		case 2:
			return task.Offline("offline", "")
		case 3:
			return task.Succeed(task.No)
		}
		return task.Succeed(task.Yes)
	}
	play(t, func(_ *task.Options, h *hands) {
		h.send = func(task.Task) task.Outcome { return outcome() }
		h.check = func(tasks []task.Task) []task.Outcome {
			outcomes := make([]task.Outcome, len(tasks))
			for i := range outcomes {
				outcomes[i] = outcome()
			}
			return outcomes
		}
		h.control = func(task.Task) task.Outcome { return outcome() }
	}, func(s *scene) {
		kinds := []task.Kind{task.Message, task.Message, task.Check, task.Login, task.Logout}
		states := []task.Readiness{task.Ready, task.Ready, task.Wait, task.NeverReady}
		for range 300 {
			s.accept(task.New{Kind: kinds[pick(len(kinds))], Number: fmt.Sprint(pick(10))})
			s.hands.become(states[pick(len(states))])
			s.pass(time.Duration(pick(2000)) * time.Millisecond)
			switch pick(40) {
			case 0: // the disk is full for a while
				s.ledger.fail(errDisk)
				s.pass(time.Duration(pick(8000)) * time.Millisecond)
				s.ledger.fail(nil)
			case 1: // a restart, perhaps on a full disk
				if pick(2) == 0 {
					s.ledger.fail(errDisk)
				}
				s.stop()
				s.ledger.fail(nil)
				s.run()
			}
		}
		s.pass(time.Hour)
		s.ledger.once(t)
	})
}
