package task

import (
	"context"
	"errors"
	"time"
)

// safetyTick is how often queues look for work that nobody told them of.
const safetyTick = 30 * time.Second

// queue runs one class: it works until nothing is due, then waits for a reason to look again. work says when it wants to
// look again; zero for at once.
func (l *Lane) queue(ctx context.Context, class Class, work func(context.Context) (time.Time, error)) {
	for failures := 0; ctx.Err() == nil; {
		next, err := work(ctx)
		if err != nil {
			l.afterFailure(ctx, class, err, failures)
			failures++
			continue
		}
		if failures > 0 {
			l.log.Info("the ledger works again", "queue", string(class))
			failures = 0
		}
		pause := next.Sub(l.opts.Now())
		if next.IsZero() || pause <= 0 {
			continue
		}
		l.bells.rest(class)
		timer := time.NewTimer(min(pause, safetyTick))
		select {
		case <-l.bells.rung[class]:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		l.bells.woke(class)
	}
}

// afterFailure says once that the ledger fails, and waits before it is asked again.
func (l *Lane) afterFailure(ctx context.Context, class Class, err error, failures int) {
	if failures == 0 && !errors.Is(err, ErrStopping) && ctx.Err() == nil {
		l.log.Error("the ledger failed; trying again", "queue", string(class), "error", err)
	}
	l.pause(ctx, failures)
}

// pause waits between calls of a ledger that fails, longer each time.
func (l *Lane) pause(ctx context.Context, failures int) {
	timer := time.NewTimer(min(50*time.Millisecond<<min(failures, 7), 5*time.Second))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// follow wakes all queues when the account's readiness changes.
func (l *Lane) follow(ctx context.Context) {
	for {
		select {
		case <-l.worker.Changes():
			l.mu.Lock()
			l.changes++
			l.mu.Unlock()
			l.bells.ring(ClassControl, ClassMessage, ClassCheck)
		case <-ctx.Done():
			return
		}
	}
}

// nextDue is when a class has work, or the next safety tick.
func (l *Lane) nextDue(ctx context.Context, class Class) (time.Time, error) {
	now := l.opts.Now()
	at, some, err := l.keeper.NextDue(ctx, l.opts.Account, class, now)
	if err != nil || !some {
		return now.Add(safetyTick), err
	}
	return at, nil
}

// claim takes due tasks. A claim that was committed is always heard of, also while stopping.
func (l *Lane) claim(ctx context.Context, class Class, most int) ([]Task, error) {
	return l.keeper.Claim(context.WithoutCancel(ctx), l.opts.Account, class, l.opts.Now(), most)
}

// enter tells whether checks or messages can be worked now. When they cannot, next is when to look again, unless something
// changes before: tasks that need not wait longer have been ended then.
func (l *Lane) enter(ctx context.Context, class Class) (ready bool, next time.Time, err error) {
	readiness, code, own := l.worker.Ready()
	if readiness != Ready {
		next, err = l.away(ctx, class, readiness, code, own)
		return false, next, err
	}
	if until, absent := l.absent(class); absent {
		return false, until, nil
	}
	now := l.opts.Now()
	if _, absent := l.absent(ClassControl); !absent && !l.bells.rests(ClassControl) { // control goes first: it wakes the others when it has begun
		due, some, err := l.keeper.NextDue(ctx, l.opts.Account, ClassControl, now)
		if err != nil || some && !due.After(now) {
			return false, now.Add(safetyTick), err
		}
	}
	return true, time.Time{}, nil
}

// absence is what a class learnt from an attempt that met an absent account although it seemed ready.
type absence struct {
	seen  uint64    // the changes of readiness before the attempt: another one ends the absence
	until time.Time // tried again then in any case
	times int       // in a row
}

// changed returns how often the account's readiness has changed.
func (l *Lane) changed() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changes
}

// absent tells until when a class waits for the account to come back.
func (l *Lane) absent(class Class) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.absences[class]
	return a.until, a.seen == l.changes && l.opts.Now().Before(a.until)
}

// noteAbsence notes whether an attempt met an absent account. seen is the count of changes before the attempt began. No task
// is left to wait past its deadline.
func (l *Lane) noteAbsence(class Class, seen uint64, tasks []Task, outcomes []Outcome) {
	now := l.opts.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	met := absence{seen: seen, times: l.absences[class].times + 1}
	met.until = now.Add(absencePause(met.times))
	gone := false
	for i, outcome := range outcomes {
		if outcome.Final || outcome.Counts || outcome.Paced {
			continue
		}
		gone = true
		if deadline := l.deadline(tasks[i]); deadline.Before(met.until) {
			met.until = deadline
		}
	}
	if gone {
		l.absences[class] = met
		return
	}
	delete(l.absences, class)
}
