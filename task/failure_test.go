package task_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

// journal collects what is logged.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) count(what string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), what)
}

func TestAFailingLedgerIsToldOnceForEachStreak(t *testing.T) {
	t.Parallel()
	var log journal
	play(t, func(o *task.Options, _ *hands) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) }, func(s *scene) {
		for streak := 1; streak <= 2; streak++ {
			id := s.message("1")
			synctest.Wait()
			require.Equal(t, task.Done, s.ledger.get(id).State)
			s.ledger.fail(errDisk)
			s.hands.become(task.Ready) // all queues look
			s.pass(time.Minute)
			s.ledger.fail(nil)
			s.pass(10 * time.Second)
			require.Equal(t, 3*streak, log.count("the ledger failed"), "once for each queue")
			require.Equal(t, 3*streak, log.count("the ledger works again"))
		}
	})
}

func TestAnOutcomeThatCannotBeKeptIsFoundAtTheNextStart(t *testing.T) {
	t.Parallel()
	var s *scene
	play(t, func(_ *task.Options, h *hands) {
		h.send = func(one task.Task) task.Outcome {
			if !one.MaybeSent {
				s.ledger.fail(errDisk)
			}
			return task.Succeed(task.Yes)
		}
	}, func(playing *scene) {
		s = playing
		id := s.message("1")
		s.pass(time.Minute)
		began := time.Now()
		s.stop()
		require.Less(t, time.Since(began), time.Second, "a stop does not wait for the disk")
		require.Equal(t, task.Running, s.ledger.get(id).State)
		s.ledger.fail(nil)
		s.run()
		s.pass(time.Second)
		require.Equal(t, task.Done, s.ledger.get(id).State)
		require.True(t, s.ledger.get(id).MaybeSent)
		require.Len(t, s.hands.tried(), 2)
		require.Equal(t, s.hands.tried()[0].MessageID, s.hands.tried()[1].MessageID)
		s.ledger.once(t)
	})
}

func TestATaskThatIsGoneTakesNoOthersWithIt(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) {
		h.check = func(tasks []task.Task) []task.Outcome {
			time.Sleep(time.Second)
			outcomes := make([]task.Outcome, len(tasks))
			for i := range outcomes {
				outcomes[i] = task.Succeed(task.No)
			}
			return outcomes
		}
	}, func(s *scene) {
		s.checks(3)
		s.pass(500 * time.Millisecond)
		s.ledger.forget("t2")
		s.pass(time.Minute)
		require.Equal(t, map[string]int{"done": 2}, s.ledger.outcomes())
		s.ledger.once(t)
	})
}

func TestAStopDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	var release chan struct{}
	play(t, func(o *task.Options, h *hands) {
		release = make(chan struct{}) // of the bubble
		o.Grace = 4 * time.Second
		h.send = func(task.Task) task.Outcome {
			<-release
			return task.Succeed(task.Yes)
		}
	}, func(s *scene) {
		first, second := s.message("1"), s.message("2")
		s.pass(time.Second)
		began := time.Now()
		s.stop()
		require.Equal(t, 4*time.Second, time.Since(began))
		require.Equal(t, task.Running, s.ledger.get(first).State)
		require.Equal(t, task.Queued, s.ledger.get(second).State)
		close(release)
		synctest.Wait()
		require.Len(t, s.hands.tried(), 1)
	})
}

func TestAnAttemptIsNotCancelledByTheStop(t *testing.T) {
	t.Parallel()
	play(t, nil, func(s *scene) {
		seen := make(chan error, 1)
		s.stop()
		lane := task.NewLane(s.opts, s.ledger, &sender{hands: s.hands, send: func(ctx context.Context) task.Outcome {
			time.Sleep(2 * time.Second)
			seen <- ctx.Err()
			return task.Succeed(task.Yes)
		}})
		ctx, cancel := context.WithCancel(s.t.Context())
		done := make(chan error, 1)
		go func() { done <- lane.Run(ctx) }()
		s.message("1")
		_, err := lane.Accept(s.t.Context(), task.New{Account: "default", Kind: task.Message, Number: "2"})
		require.NoError(t, err)
		s.pass(time.Second)
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, <-seen)
	})
}

// sender is hands that look at the context of a send.
type sender struct {
	*hands
	send func(context.Context) task.Outcome
}

func (s *sender) Send(ctx context.Context, _ task.Task) task.Outcome { return s.send(ctx) }

func TestALedgerThatCannotBeReadEndsTheRun(t *testing.T) {
	t.Parallel()
	kept := newLedger()
	lane := task.NewLane(task.Options{Account: "default", Pace: task.DefaultPolicy()}, kept, newHands())
	kept.fail(errDisk)
	require.ErrorIs(t, lane.Run(t.Context()), errDisk)
}

func TestTheCallbackIsCommittedWithTheEndAndItsSenderWoken(t *testing.T) {
	t.Parallel()
	woken := 0
	play(t, func(o *task.Options, _ *hands) {
		o.Report = func(t task.Task) *task.Callback {
			return &task.Callback{URL: "http://host/" + string(t.ID), Body: []byte(t.Verdict)}
		}
		o.Finished = func() { woken++ }
	}, func(s *scene) {
		id := s.message("1")
		synctest.Wait()
		require.Len(t, s.ledger.finished, 1)
		require.Equal(t, &task.Callback{URL: "http://host/" + string(id), Body: []byte("yes")}, s.ledger.finished[0].Callback)
		require.Equal(t, 1, woken)
	})
}

func TestOldTasksAreSweptEveryHour(t *testing.T) {
	t.Parallel()
	play(t, nil, func(s *scene) {
		s.pass(150 * time.Minute)
		require.Equal(t, 3, s.ledger.swept)
	})
}

func TestIdleWaitsUntilThereIsNothingToDoNow(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) {
		h.send = func(one task.Task) task.Outcome {
			time.Sleep(10 * time.Second)
			if one.Number == "later" {
				return task.Later("rate_limited", "", time.Minute)
			}
			return task.Succeed(task.Yes)
		}
	}, func(s *scene) {
		began := time.Now()
		require.NoError(t, s.lane.Idle(s.t.Context()))
		require.Equal(t, began, time.Now())
		s.message("1")
		later := s.message("later")
		require.NoError(t, s.lane.Idle(s.t.Context()))
		require.Equal(t, 20*time.Second, time.Since(began))
		require.Equal(t, task.Queued, s.ledger.get(later).State, "what waits for a time is no work now")

		s.message("2")
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, s.lane.Idle(ctx), context.DeadlineExceeded)
		require.NoError(t, s.lane.Idle(s.t.Context()))
	})
}

func TestATaskWhoseRecordIsDamagedEndsUntried(t *testing.T) {
	t.Parallel()
	play(t, nil, func(s *scene) {
		id := s.ledger.put(task.Task{Kind: task.Message, State: task.Queued, Number: "1", Damaged: "its record is not as it was accepted"})
		next := s.message("1")
		synctest.Wait()
		require.Equal(t, "damaged_record", s.ledger.get(id).Code)
		require.Equal(t, task.Failed, s.ledger.get(id).State)
		require.Equal(t, task.Done, s.ledger.get(next).State)
		require.Len(t, s.hands.tried(), 1)
	})
}
