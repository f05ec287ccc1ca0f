package task

import (
	"context"
	"errors"
	"slices"
	"time"
)

// line is how messages wait: the first one for its pace, and those behind it for their turn.
type line struct {
	hold time.Time // nobody in this line goes before
	turn time.Time // until then messages waited for their pace or their turn, which does not age them
}

// wait holds the line until a time.
func (n *line) wait(until time.Time) {
	n.hold, n.turn = latest(n.hold, until), latest(n.turn, until)
}

// turn is until when a message waited for its pace or its turn.
func (l *Lane) turn(t Task) time.Time {
	if t.Cold {
		return latest(l.all.turn, l.strangers.turn)
	}
	return l.all.turn
}

// workMessages works the next message, or says when there is something to do. While first contacts wait for a reason of their
// own, the others pass them.
func (l *Lane) workMessages(ctx context.Context) (time.Time, error) {
	if l.gate.Acquire(ctx, 1) != nil {
		return time.Time{}, nil // stopping
	}
	defer l.gate.Release(1)
	seen := l.changed()
	ready, next, err := l.enter(ctx, ClassMessage)
	if ready && err == nil {
		err = l.minded(ctx)
	}
	if len(l.claimed) > 0 && (!ready || err != nil) {
		return time.Time{}, errors.Join(err, l.giveBack(ctx)) // and look again: it waits like the others now
	}
	if !ready || err != nil {
		return next, err
	}
	class, until := l.open()
	if class == "" {
		return until, l.giveBack(ctx)
	}
	tasks, err := l.take(ctx, class)
	if err != nil {
		return time.Time{}, err
	}
	if len(tasks) == 0 {
		next, err := l.nextDue(ctx, class)
		if class == ClassWarm && l.strangers.hold.Before(next) {
			next = l.strangers.hold
		}
		return next, err
	}
	t := tasks[0]
	if t.proven() {
		return time.Time{}, l.settle(ctx, record{ends: []Finished{l.ended(t, arrived())}})
	}
	if end, over := l.refused(t); over {
		return time.Time{}, l.settle(ctx, record{ends: []Finished{end}})
	}
	if ctx.Err() != nil {
		return time.Time{}, l.putBack(ctx, tasks)
	}
	if outcome, over := l.unwanted(t); over {
		return time.Time{}, l.settle(ctx, record{ends: []Finished{l.ended(t, outcome)}})
	}
	return l.sendInTime(ctx, t, seen)
}

// minded takes note of what WhatsApp has against first contacts, and of a settling time that ended early. When that has changed,
// those that wait for it are looked at again.
func (l *Lane) minded(ctx context.Context) error {
	locked, why := l.worker.StrangersHeld()
	settled := l.hasSettled()
	if l.lockKnown && locked.Equal(l.locked) && why == l.lockedFor && settled == l.settled {
		return nil
	}
	now := l.opts.Now()
	reasons := []string{ReasonLocked, ReasonQuota}
	if settled {
		reasons = append(reasons, ReasonSettling)
	}
	for _, reason := range reasons {
		if err := l.keeper.Release(context.WithoutCancel(ctx), l.opts.Account, reason, now); err != nil {
			return err
		}
	}
	l.strangers.hold = time.Time{}
	if l.strangers.turn.After(now) {
		l.strangers.turn = now
	}
	l.locked, l.lockedFor, l.lockKnown, l.settled = locked, why, true, settled
	return nil
}

// sendInTime works one message, or puts it back until its pace allows it.
func (l *Lane) sendInTime(ctx context.Context, t Task, seen uint64) (time.Time, error) {
	pace, err := l.kept(ctx)
	if err != nil || ctx.Err() != nil {
		return time.Time{}, errors.Join(err, l.putBack(ctx, []Task{t}))
	}
	now := l.opts.Now()
	policy := l.opts.Pace
	if l.hasSettled() {
		policy.Settle = 0
	}
	at, reason := policy.Next(pace, t.Cold, l.locked, now)
	if reason == ReasonLocked {
		reason = l.lockedFor
	}
	if !at.After(now) {
		return time.Time{}, l.sendNow(ctx, t, now, seen)
	}
	next := at
	if strangersOnly(reason) {
		l.strangers.wait(at)
		next = time.Time{} // the others may go
	} else {
		l.all.wait(at)
	}
	t.Waited = l.waited(t, at)
	if t.Reason != reason {
		t.step(now, StepPaced, reason)
	}
	return next, l.settle(ctx, record{again: []Task{untried(t, at, reason)}})
}

// sendNow works one message whose time has come.
func (l *Lane) sendNow(ctx context.Context, t Task, now time.Time, seen uint64) error {
	outcome, over, err := l.repeated(ctx, &t, now)
	if err != nil {
		return errors.Join(err, l.putBack(ctx, []Task{t}))
	}
	if over {
		return l.settle(ctx, record{ends: []Finished{l.ended(t, outcome)}})
	}
	t.Waited, t.NotBefore = l.waited(t, now), now
	return l.send(ctx, t, seen)
}

// send works one message. Every try sets the pace, also one that failed: WhatsApp counts those too.
func (l *Lane) send(ctx context.Context, t Task, seen uint64) error {
	tasks := []Task{t}
	outcomes := l.guarded(tasks, func() []Outcome { return []Outcome{l.worker.Send(context.WithoutCancel(ctx), t)} })
	outcomes[0] = l.lookedUp(ctx, t, outcomes[0])
	if outcomes[0].Once && l.refusedBefore(ctx, t, outcomes[0].Code) {
		outcomes[0].Final, outcomes[0].Verdict = true, Failure
	}
	outcome := outcomes[0]
	now := l.opts.Now()
	var pace *PaceState
	if tried := outcome.Final || outcome.Counts || outcome.Uncertain || outcome.Code == ReasonLocked || outcome.Code == ReasonQuota; tried {
		pace = l.advance(t.Cold, now)
	}
	if outcome.Final { // the others waited for this one, and will for its gap
		l.all.turn = latest(l.all.turn, now)
		if pace != nil {
			l.all.turn = latest(l.all.turn, pace.NextSendAt)
		}
	}
	l.noteAbsence(ClassMessage, seen, tasks, outcomes)
	return l.conclude(ctx, tasks, outcomes, pace, l.ahead(ctx))
}

// refusedBefore tells whether an earlier attempt failed with a code that is worth one more try and no third. A ledger that cannot
// say counts as yes: what WhatsApp refuses is not repeated for want of a disk.
func (l *Lane) refusedBefore(ctx context.Context, t Task, code string) bool {
	steps, err := l.keeper.Timeline(context.WithoutCancel(ctx), t.ID)
	if err != nil {
		l.log.Error("the steps of a task could not be read; it is not tried again", "task", string(t.ID), "error", err)
		return true
	}
	return slices.ContainsFunc(steps, func(s Step) bool { return s.What == StepRetried && s.Detail == code })
}
