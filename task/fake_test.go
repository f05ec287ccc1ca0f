package task_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

// ledger keeps tasks in memory as the store keeps them on disk.
type ledger struct {
	task.Keeper // what these tests do not need is not there

	mu       sync.Mutex
	tasks    []*task.Task
	ends     map[task.ID]int
	pace     task.PaceState
	heard    map[string]time.Time
	requeued []task.Task
	failing  error // what every write answers
}

func newLedger() *ledger {
	return &ledger{ends: map[task.ID]int{}, heard: map[string]time.Time{}}
}

func (l *ledger) Accept(_ context.Context, w task.New, now time.Time) (task.Accepted, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing != nil {
		return task.Accepted{}, l.failing
	}
	t := &task.Task{
		ID: task.ID(fmt.Sprint("t", len(l.tasks)+1)), Seq: int64(len(l.tasks) + 1), Account: w.Account, Kind: w.Kind, Number: w.Number,
		Text: w.Text, MessageID: w.MessageID, ReturnURL: w.ReturnURL, ForNumber: w.ForNumber, State: task.Queued, Created: now,
	}
	l.tasks = append(l.tasks, t)
	return task.Accepted{ID: t.ID}, nil
}

// workable tells whether nothing but time keeps a task from being worked.
func (l *ledger) workable(t *task.Task) bool {
	if t.State != task.Queued {
		return false
	}
	class := t.Kind.Class()
	for _, other := range l.tasks {
		if other == t || other.Kind.Class() != class || class == task.ClassCheck {
			continue
		}
		if other.State == task.Running {
			return false
		}
		if class == task.ClassMessage && other.Seq < t.Seq && other.Number == t.Number && other.State == task.Queued {
			return false
		}
	}
	return true
}

func (l *ledger) Claim(_ context.Context, _ string, class task.Class, now time.Time, most int) ([]task.Task, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing != nil {
		return nil, l.failing
	}
	var claimed []task.Task
	for _, t := range l.tasks {
		if len(claimed) == most || t.Kind.Class() != class || t.NotBefore.After(now) || !l.workable(t) {
			continue
		}
		t.State = task.Running
		t.Attempt++
		claimed = append(claimed, *t)
	}
	return claimed, nil
}

func (l *ledger) NextDue(_ context.Context, _ string, class task.Class, now time.Time) (time.Time, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var next time.Time
	for _, t := range l.tasks {
		if t.Kind.Class() != class || !l.workable(t) {
			continue
		}
		at := t.NotBefore
		if at.Before(now) {
			at = now
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next, !next.IsZero(), l.failing
}

func (l *ledger) Finish(_ context.Context, ends []task.Finished) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing != nil {
		return l.failing
	}
	for _, end := range ends {
		for _, t := range l.tasks {
			if t.ID == end.Task.ID && t.State != task.Done && t.State != task.Failed {
				*t = end.Task
				l.ends[t.ID]++
				if end.Pace != nil {
					l.pace = *end.Pace
				}
			}
		}
	}
	return nil
}

func (l *ledger) Requeue(_ context.Context, tasks []task.Task) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing != nil {
		return l.failing
	}
	for _, back := range tasks {
		for _, t := range l.tasks {
			if t.ID == back.ID {
				*t = back
				t.State = task.Queued
			}
		}
		l.requeued = append(l.requeued, back)
	}
	return nil
}

func (l *ledger) Waiting(_ context.Context, _ string, most int) ([]task.Task, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var waiting []task.Task
	for _, t := range l.tasks {
		if t.State == task.Queued && len(waiting) < most {
			waiting = append(waiting, *t)
		}
	}
	return waiting, l.failing
}

func (l *ledger) Recover(context.Context) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := 0
	for _, t := range l.tasks {
		if t.State == task.Running {
			t.State = task.Queued
			t.MaybeSent = t.MaybeSent || t.Kind == task.Message
			count++
		}
	}
	return count, nil
}

func (l *ledger) Pace(context.Context, string) (task.PaceState, error) { return l.pace, nil }

func (l *ledger) KeepPace(_ context.Context, _ string, p task.PaceState) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pace = p
	return nil
}

func (l *ledger) Contacted(_ context.Context, _, number string) (time.Time, time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Time{}, l.heard[number], nil
}

func (l *ledger) Sweep(context.Context, time.Time, time.Time) (int, error) { return 0, nil }

// fail makes every write answer with an error, nil for none.
func (l *ledger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing = err
}

// get returns a task as it is kept.
func (l *ledger) get(id task.ID) task.Task {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.tasks {
		if t.ID == id {
			return *t
		}
	}
	return task.Task{}
}

// once checks that every task has ended exactly once.
func (l *ledger) once(t testing.TB) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, kept := range l.tasks {
		require.Equal(t, 1, l.ends[kept.ID], "%s (%s) is %s", kept.ID, kept.Kind, kept.State)
	}
}

// errDisk is what a ledger on a broken disk answers.
var errDisk = errors.New("disk I/O error")

// hands does the work of these tests.
type hands struct {
	mu        sync.Mutex
	readiness task.Readiness
	own       string
	changes   chan struct{}
	needed    int
	send      func(task.Task) task.Outcome
	check     func([]task.Task) []task.Outcome
	control   func(task.Task) task.Outcome
	sent      []task.Task
	batches   []int
}

func newHands() *hands {
	return &hands{
		readiness: task.Ready, own: "4917600000001", changes: make(chan struct{}, 1),
		send: func(task.Task) task.Outcome { return task.Succeed(task.Yes) },
		check: func(tasks []task.Task) []task.Outcome {
			outcomes := make([]task.Outcome, len(tasks))
			for i := range outcomes {
				outcomes[i] = task.Succeed(task.Yes)
			}
			return outcomes
		},
		control: func(task.Task) task.Outcome { return task.Succeed(task.LoggedOut) },
	}
}

func (h *hands) Ready() (task.Readiness, string, string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.readiness, string(h.readiness), h.own
}

func (h *hands) become(r task.Readiness) {
	h.mu.Lock()
	h.readiness = r
	h.mu.Unlock()
	select {
	case h.changes <- struct{}{}:
	default:
	}
}

func (h *hands) Changes() <-chan struct{} { return h.changes }

func (h *hands) Send(_ context.Context, t task.Task) task.Outcome {
	h.mu.Lock()
	h.sent = append(h.sent, t)
	send := h.send
	h.mu.Unlock()
	return send(t)
}

func (h *hands) Check(_ context.Context, tasks []task.Task) []task.Outcome {
	h.mu.Lock()
	h.batches = append(h.batches, len(tasks))
	check := h.check
	h.mu.Unlock()
	return check(tasks)
}

func (h *hands) Control(_ context.Context, t task.Task) task.Outcome { return h.control(t) }

func (h *hands) NeedsPairing() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.needed++
}
