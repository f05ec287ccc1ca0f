package task

import (
	"context"
	"runtime/debug"
	"time"
)

// workControl works one log-in or log-out, whatever the account's readiness: the worker knows what it means.
func (l *Lane) workControl(ctx context.Context) (time.Time, error) {
	if until, absent := l.absent(ClassControl); absent {
		return until, nil
	}
	seen := l.changed()
	tasks, err := l.claim(ctx, ClassControl, 1)
	if err != nil {
		return time.Time{}, err
	}
	if len(tasks) == 0 {
		return l.nextDue(ctx, ClassControl)
	}
	defer l.bells.ring(ClassMessage, ClassCheck) // they let it go first
	t := tasks[0]
	if end, over := l.refused(t); over {
		return time.Time{}, l.settle(ctx, record{ends: []Finished{end}})
	}
	if t.Kind == Logout { // nothing is asked or sent meanwhile
		if l.gate.Acquire(ctx, 2) != nil {
			return time.Time{}, l.putBack(ctx, tasks)
		}
		defer l.gate.Release(2)
	} else {
		l.bells.ring(ClassMessage, ClassCheck)
	}
	if ctx.Err() != nil {
		return time.Time{}, l.putBack(ctx, tasks)
	}
	outcomes := l.guarded(tasks, func() []Outcome { return []Outcome{l.worker.Control(context.WithoutCancel(ctx), t)} })
	l.noteAbsence(ClassControl, seen, tasks, outcomes)
	return time.Time{}, l.conclude(ctx, tasks, outcomes, nil, "")
}

// workChecks works the checks that are due, together.
func (l *Lane) workChecks(ctx context.Context) (time.Time, error) {
	if l.gate.Acquire(ctx, 1) != nil {
		return time.Time{}, nil // stopping
	}
	defer l.gate.Release(1)
	seen := l.changed()
	if ready, next, err := l.enter(ctx, ClassCheck); !ready || err != nil {
		return next, err
	}
	if next, err := l.nextDue(ctx, ClassCheck); err != nil || next.After(l.opts.Now()) {
		l.backlog = false
		return next, err
	}
	if !l.backlog && !l.awaitCompany(ctx) {
		return time.Time{}, nil // stopping
	}
	now := l.opts.Now()
	size, again := l.opts.CheckAllowance(now, l.batch.size)
	if size <= 0 && again.After(now) {
		return again, nil
	}
	if size <= 0 {
		return now.Add(safetyTick), nil
	}
	claimed, err := l.claim(ctx, ClassCheck, size)
	if err != nil {
		return time.Time{}, err
	}
	l.backlog = len(claimed) == size
	tasks, err := l.weedOut(ctx, claimed)
	if err != nil || len(tasks) == 0 {
		return time.Time{}, err
	}
	if ctx.Err() != nil {
		return time.Time{}, l.putBack(ctx, tasks)
	}
	outcomes := l.guarded(tasks, func() []Outcome { return complete(l.worker.Check(context.WithoutCancel(ctx), tasks), len(tasks)) })
	l.batch.learn(outcomes)
	l.noteAbsence(ClassCheck, seen, tasks, outcomes)
	return time.Time{}, l.conclude(ctx, tasks, outcomes, nil, "")
}

// awaitCompany gives others the time to join the first check. It is false when the lane is to stop.
func (l *Lane) awaitCompany(ctx context.Context) bool {
	timer := time.NewTimer(l.opts.BatchWait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// weedOut ends those claimed tasks that must not be worked and returns the others.
func (l *Lane) weedOut(ctx context.Context, claimed []Task) (tasks []Task, err error) {
	var ends []Finished
	for _, t := range claimed {
		if end, over := l.refused(t); over {
			ends = append(ends, end)
			continue
		}
		tasks = append(tasks, t)
	}
	return tasks, l.settle(ctx, record{ends: ends})
}

// guarded makes a panic of the worker the failure of this attempt alone: it is a mistake in the daemon, and nobody knows how far
// the attempt came.
func (l *Lane) guarded(tasks []Task, attempt func() []Outcome) (outcomes []Outcome) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		l.log.Error("an attempt panicked", "tasks", len(tasks), "first", string(tasks[0].ID), "cause", cause, "stack", string(debug.Stack()))
		l.opts.Panicked()
		outcomes = nil
		for range tasks {
			outcome := Later(codeNoOutcome, "the attempt panicked: a mistake in the daemon, the log has more", 0)
			outcome.Uncertain = true
			outcomes = append(outcomes, outcome)
		}
	}()
	return attempt()
}

// complete makes as many outcomes as there are tasks: no task is forgotten because the worker said nothing about it.
func complete(outcomes []Outcome, tasks int) []Outcome {
	for len(outcomes) < tasks {
		outcomes = append(outcomes, Later(codeNoOutcome, "the worker gave no outcome", 0))
	}
	return outcomes[:tasks]
}
