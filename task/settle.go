package task

import (
	"context"
	"errors"
	"time"
)

// record is what is written after an attempt.
type record struct {
	ends  []Finished
	again []Task     // to be put back
	pace  *PaceState // to be kept on its own, when no end carries it
	next  Class      // of which a task is claimed in the commit of the ends; empty for none
}

func (r record) empty() bool { return len(r.ends) == 0 && len(r.again) == 0 && r.pace == nil }

// conclude turns outcomes into ends and new tries. A pace that changed is committed with the end; with a new try before it,
// so that a crash between the two cannot burst. When all have ended, a task of the class next is claimed with that.
func (l *Lane) conclude(ctx context.Context, tasks []Task, outcomes []Outcome, pace *PaceState, next Class) error {
	var r record
	jitter := l.opts.Random() // one for all: checks that failed together are tried together
	for i, outcome := range outcomes {
		end, again := l.decide(tasks[i], outcome, jitter)
		if end == nil {
			r.again = append(r.again, again)
			continue
		}
		end.Pace = pace
		r.ends = append(r.ends, *end)
	}
	if len(r.ends) == 0 {
		r.pace = pace
	}
	if len(r.again) == 0 {
		r.next = next
	}
	if err := l.settle(ctx, r); err != nil {
		return err
	}
	if pace == nil {
		return nil
	}
	l.mu.Lock()
	newest := l.pace
	l.mu.Unlock()
	if newest.PairedAt.Equal(pace.PairedAt) {
		return nil
	}
	return l.settle(ctx, record{pace: &newest}) // a pairing came between
}

// decide says whether a task has ended or is tried again, and when.
func (l *Lane) decide(t Task, outcome Outcome, jitter float64) (*Finished, Task) {
	t.MaybeSent = t.MaybeSent || outcome.Uncertain
	if outcome.WACode != 0 {
		t.WACode = outcome.WACode
	}
	t.learn(outcome.Trace)
	if outcome.Final {
		end := l.ended(t, outcome)
		return &end, t
	}
	now := l.opts.Now()
	deadline := l.deadline(t)
	if outcome.Paced {
		until := now.Add(max(outcome.After, 0))
		t.Waited += until.Sub(latest(t.Created, t.NotBefore))
		if t.Reason != outcome.Code {
			t.step(now, StepPaced, outcome.Code)
		}
		return nil, untried(t, until, outcome.Code)
	}
	t.Code, t.Detail = outcome.Code, outcome.Detail
	if !outcome.Counts {
		return nil, untried(t, now, outcome.Code)
	}
	at, inTime := retryAt(t.Attempt, now, outcome.After, deadline, jitter)
	if !inTime {
		code := outcome.Code
		if code == "" {
			code = codeExpired
		}
		if outcome.After > 0 {
			t.RetryAt = now.Add(outcome.After)
		}
		end := l.ended(t, Never(code, outcome.Detail))
		return &end, t
	}
	t.NotBefore, t.Reason = at, outcome.Code
	t.step(now, StepRetried, outcome.Code)
	return nil, t
}

// untried is a task that goes back although its attempt does not count.
func untried(t Task, until time.Time, reason string) Task {
	t.Attempt = max(t.Attempt-1, 0)
	t.NotBefore, t.Reason = until, reason
	return t
}

// putBack returns tasks that were claimed but not begun.
func (l *Lane) putBack(ctx context.Context, tasks []Task) error {
	back := make([]Task, len(tasks))
	for i, t := range tasks {
		back[i] = untried(t, t.NotBefore, t.Reason)
	}
	return l.settle(ctx, record{again: back})
}

// ended is a task's end with the callback that reports it.
func (l *Lane) ended(t Task, outcome Outcome) Finished {
	t.State = Done
	if outcome.Verdict == Failure {
		t.State = Failed
	}
	t.Verdict, t.Code, t.Detail, t.Finished = outcome.Verdict, outcome.Code, outcome.Detail, l.opts.Now()
	if t.Kind == Message && t.Verdict == Yes {
		t.Delivery, t.DeliveryAt = DeliveryServerAck, t.Finished
	}
	t.step(t.Finished, StepFinished, string(t.Verdict))
	return Finished{Task: t, Callback: l.opts.Report(t)}
}

// settle writes a record. What happened cannot be made undone, so it is tried until the ledger takes it or the lane is to
// stop: what was never taken is found running at the next start and repeated under the same message ID.
func (l *Lane) settle(ctx context.Context, r record) error {
	if r.empty() {
		return nil
	}
	keep := context.WithoutCancel(ctx) // the outcome outlives the wish to stop
	for failures := 0; ; failures++ {
		err := l.keep(keep, &r)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrStopping), ctx.Err() != nil:
			l.log.Warn("an outcome could not be kept before the stop; its task is picked up at the next start", "error", err)
			return nil
		case failures == 0:
			l.log.Error("an outcome could not be kept; trying until it is", "error", err)
		}
		l.pause(ctx, failures)
	}
}

// keep writes a record; what was written is not tried again.
func (l *Lane) keep(ctx context.Context, r *record) error {
	if len(r.ends) > 0 {
		if err := l.finishAndClaim(ctx, r); err != nil {
			return err
		}
		for _, end := range r.ends {
			l.log.Info("task ended", "task", string(end.Task.ID), "kind", string(end.Task.Kind), "verdict", string(end.Task.Verdict),
				"code", end.Task.Code, "attempt", end.Task.Attempt)
		}
		r.ends = nil
		l.opts.Finished()
	}
	if r.pace != nil {
		if err := l.keeper.KeepPace(ctx, l.opts.Account, *r.pace); err != nil {
			return err
		}
		r.pace = nil
	}
	if len(r.again) > 0 {
		if err := l.keeper.Requeue(ctx, r.again); err != nil {
			return err
		}
		r.again = nil
	}
	return nil
}

// finishAndClaim commits ends, and with them what is to be worked next. An end is kept also where nothing can be claimed.
func (l *Lane) finishAndClaim(ctx context.Context, r *record) error {
	if r.next == "" {
		return l.finish(ctx, r.ends)
	}
	claimed, err := l.keeper.FinishAndClaim(ctx, r.ends, l.opts.Account, r.next, l.opts.Now())
	if err != nil {
		return l.finish(ctx, r.ends)
	}
	l.claimed = claimed
	return nil
}

// finish commits ends. One whose task is gone must not take the others with it.
func (l *Lane) finish(ctx context.Context, ends []Finished) error {
	err := l.keeper.Finish(ctx, ends)
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	if len(ends) == 1 {
		l.log.Error("a task that ended is not in the ledger", "task", string(ends[0].Task.ID))
		return nil
	}
	for i := range ends {
		if err := l.finish(ctx, ends[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// Paired notes when the account was linked to a phone: the pace of the first days counts from it.
func (l *Lane) Paired(ctx context.Context, at time.Time) error {
	if _, err := l.kept(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	pace := l.pace
	pace.PairedAt = at
	l.pace, l.shared = pace, false
	l.mu.Unlock()
	return l.keeper.KeepPace(ctx, l.opts.Account, pace)
}

// Settled ends the settling time of the present pairing before Policy.Settle is over: what first contacts waited for is here. It
// holds until the next pairing, and is not kept: after a restart they wait for what is left of the time.
func (l *Lane) Settled(ctx context.Context) error {
	if _, err := l.kept(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	l.shared = true
	l.mu.Unlock()
	l.bells.ring(ClassMessage)
	return nil
}

// hasSettled tells whether the settling time of the present pairing ended early.
func (l *Lane) hasSettled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shared
}

// kept returns the account's pace, read once.
func (l *Lane) kept(ctx context.Context) (PaceState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paceKnown {
		return l.pace, nil
	}
	pace, err := l.keeper.Pace(ctx, l.opts.Account)
	if err != nil {
		return PaceState{}, err
	}
	l.pace, l.paceKnown = pace, true
	return pace, nil
}

// advance moves the account's pace on after a try and returns it.
func (l *Lane) advance(cold bool, now time.Time) *PaceState {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pace = l.opts.Pace.Sent(l.pace, cold, now, l.opts.Random)
	pace := l.pace
	return &pace
}
