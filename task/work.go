package task

import (
	"context"
	"errors"
	"time"
)

// The codes this package gives to tasks that it ends itself.
const (
	codeExpired        = "expired"         // no outcome within the maximum age, and no better code
	codeAccountChanged = "account_changed" // accepted for another number than the one that is paired now
)

// unsettled is the pause before a task is tried again that failed only because the account went away.
const unsettled = 500 * time.Millisecond

// offlineControl is the pause between tries of a log-in or log-out on an account that is away.
const offlineControl = 2 * time.Second

// workControl works one log-in or log-out, whatever the account's readiness: the worker knows what it means.
func (l *Lane) workControl(ctx context.Context) (time.Time, error) {
	tasks, err := l.keeper.Claim(ctx, l.opts.Account, ClassControl, l.opts.Now(), 1)
	if err != nil {
		return time.Time{}, err
	}
	if len(tasks) == 0 {
		return l.nextDue(ctx, ClassControl)
	}
	t := tasks[0]
	if end, over := l.tooLate(t); over {
		return time.Time{}, l.settle(ctx, []Finished{end}, nil)
	}
	if t.Kind == Logout { // nothing is asked or sent meanwhile
		for _, atWork := range l.atWork {
			atWork <- struct{}{}
			defer func() { <-atWork }()
		}
	}
	outcome := l.worker.Control(context.WithoutCancel(ctx), t)
	return time.Time{}, l.conclude(ctx, []Task{t}, []Outcome{outcome}, nil)
}

// workMessages works the next message, or says when there is something to do.
func (l *Lane) workMessages(ctx context.Context) (time.Time, error) {
	ready, next, err := l.available(ctx, ClassMessage)
	if !ready || err != nil {
		return next, err
	}
	tasks, err := l.keeper.Claim(ctx, l.opts.Account, ClassMessage, l.opts.Now(), 1)
	if err != nil {
		return time.Time{}, err
	}
	if len(tasks) == 0 {
		return l.nextDue(ctx, ClassMessage)
	}
	t := tasks[0]
	if end, over := l.refused(t); over {
		return time.Time{}, l.settle(ctx, []Finished{end}, nil)
	}
	cold, err := l.cold(ctx, t)
	if err != nil {
		return time.Time{}, errors.Join(err, l.settle(ctx, nil, []Task{postponed(t, l.opts.Now(), "")}))
	}
	now := l.opts.Now()
	if at, reason := l.opts.Pace.Next(l.kept(), cold, now); at.After(now) {
		t.Waited += at.Sub(now)
		return at, l.settle(ctx, nil, []Task{postponed(t, at, reason)})
	}
	l.atWork[ClassMessage] <- struct{}{}
	outcome := l.worker.Send(context.WithoutCancel(ctx), t)
	<-l.atWork[ClassMessage]
	var pace *PaceState
	if outcome.Uncertain || outcome.Final && outcome.Verdict == Yes {
		after := l.opts.Pace.Sent(l.kept(), cold, l.opts.Now(), l.opts.Random)
		pace = &after
	}
	return time.Time{}, l.conclude(ctx, []Task{t}, []Outcome{outcome}, pace)
}

// kept returns the account's pace.
func (l *Lane) kept() PaceState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pace
}

// cold tells whether a message goes to somebody who never wrote to the account.
func (l *Lane) cold(ctx context.Context, t Task) (bool, error) {
	if l.opts.Pace.Off {
		return false, nil
	}
	_, heard, err := l.keeper.Contacted(ctx, l.opts.Account, t.Number)
	return heard.IsZero(), err
}

// workChecks works the checks that are due, together.
func (l *Lane) workChecks(ctx context.Context) (time.Time, error) {
	ready, next, err := l.available(ctx, ClassCheck)
	if !ready || err != nil {
		return next, err
	}
	if next, err := l.nextDue(ctx, ClassCheck); err != nil || next.After(l.opts.Now()) {
		return next, err
	}
	select { // company may come
	case <-time.After(l.opts.BatchWait):
	case <-ctx.Done():
		return time.Time{}, nil
	}
	l.mu.Lock()
	batch := l.batch
	l.mu.Unlock()
	claimed, err := l.keeper.Claim(ctx, l.opts.Account, ClassCheck, l.opts.Now(), batch)
	if err != nil {
		return time.Time{}, err
	}
	var ends []Finished
	var tasks []Task
	for _, t := range claimed {
		if end, over := l.refused(t); over {
			ends = append(ends, end)
			continue
		}
		tasks = append(tasks, t)
	}
	if err := l.settle(ctx, ends, nil); err != nil || len(tasks) == 0 {
		return time.Time{}, err
	}
	l.atWork[ClassCheck] <- struct{}{}
	outcomes := l.worker.Check(context.WithoutCancel(ctx), tasks)
	<-l.atWork[ClassCheck]
	l.adjustBatch(outcomes)
	return time.Time{}, l.conclude(ctx, tasks, outcomes, nil)
}

// adjustBatch halves the next call when a whole one failed, and doubles it again when one went through.
func (l *Lane) adjustBatch(outcomes []Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, outcome := range outcomes {
		if outcome.Final {
			l.batch = min(2*l.batch, l.opts.BatchSize)
			return
		}
	}
	l.batch = max(l.batch/2, 1)
}

// available tells whether work of a class can be done. When it cannot, what has waited too long is ended, and next is when
// to look again.
func (l *Lane) available(ctx context.Context, class Class) (ready bool, next time.Time, err error) {
	readiness, code, _ := l.worker.Ready()
	switch {
	case readiness == Ready:
		return true, time.Time{}, nil
	case readiness == NeverReady, l.opts.FailWhenDisconnected:
		next, err = l.turnAway(ctx, class, readiness, code)
		return false, next, err
	}
	next, err = l.endOverdue(ctx, code)
	return false, next, err
}

// waitingMost bounds how many waiting tasks are looked at in one go.
const waitingMost = 500

// turnAway ends all waiting checks and messages as not performed, also those that wait for their pace.
func (l *Lane) turnAway(ctx context.Context, class Class, readiness Readiness, code string) (time.Time, error) {
	ends, err := l.endWaiting(ctx, func(t Task) (Outcome, bool) {
		return Outcome{Final: true, Verdict: NotPerformed, Code: code, Detail: "the account is not logged in"}, t.Kind.Class() != ClassControl
	})
	if err != nil {
		return time.Time{}, err
	}
	if ends > 0 && readiness == NeverReady {
		l.worker.NeedsPairing()
	}
	return l.nextDue(ctx, class)
}

// endOverdue ends the waiting checks and messages that have reached their maximum age, and says when the next one will.
func (l *Lane) endOverdue(ctx context.Context, code string) (time.Time, error) {
	now := l.opts.Now()
	next := now.Add(safetyTick)
	_, err := l.endWaiting(ctx, func(t Task) (Outcome, bool) {
		deadline := t.deadline(l.opts.MaxAge)
		if t.Kind.Class() == ClassControl {
			return Outcome{}, false
		}
		if deadline.After(now) {
			if deadline.Before(next) {
				next = deadline
			}
			return Outcome{}, false
		}
		return Never(better(t.Code, code), "the account was away for too long: "+code), true
	})
	return next, err
}

// endWaiting ends those waiting tasks for which there is an outcome, and returns how many. Two queues may want it at once:
// the second finds nothing left.
func (l *Lane) endWaiting(ctx context.Context, outcome func(Task) (Outcome, bool)) (int, error) {
	l.ending <- struct{}{}
	defer func() { <-l.ending }()
	waiting, err := l.keeper.Waiting(ctx, l.opts.Account, waitingMost)
	if err != nil {
		return 0, err
	}
	var ends []Finished
	for _, t := range waiting {
		if o, over := outcome(t); over {
			ends = append(ends, l.ended(t, o))
		}
	}
	if err := l.settle(ctx, ends, nil); err != nil {
		return 0, err
	}
	if len(ends) > 0 && len(waiting) == waitingMost {
		for class := range l.wakes { // there may be more
			l.wake(class)
		}
	}
	return len(ends), nil
}

// better prefers the code of an earlier failure to a general one.
func better(code, fallback string) string {
	if code != "" {
		return code
	}
	if fallback != "" {
		return fallback
	}
	return codeExpired
}

// refused ends a task that must not be worked: of another account, or too late.
func (l *Lane) refused(t Task) (Finished, bool) {
	_, _, own := l.worker.Ready()
	if t.ForNumber != "" && own != "" && t.ForNumber != own {
		return l.ended(t, Never(codeAccountChanged, "the task was accepted for another number than the one that is paired now")), true
	}
	return l.tooLate(t)
}

// tooLate ends a task past its maximum age.
func (l *Lane) tooLate(t Task) (Finished, bool) {
	if l.opts.Now().Before(t.deadline(l.opts.MaxAge)) {
		return Finished{}, false
	}
	return l.ended(t, Never(better(t.Code, codeExpired), "no outcome within the maximum age")), true
}

// conclude turns outcomes into ends and new tries. A pace that changed is kept with the end, or on its own.
func (l *Lane) conclude(ctx context.Context, tasks []Task, outcomes []Outcome, pace *PaceState) error {
	var ends []Finished
	var again []Task
	for i, outcome := range outcomes {
		end, retry := l.decide(tasks[i], outcome)
		if end != nil {
			end.Pace = pace
			ends = append(ends, *end)
		} else {
			again = append(again, retry)
		}
	}
	if pace != nil {
		l.mu.Lock()
		l.pace = *pace
		l.mu.Unlock()
	}
	err := l.settle(ctx, ends, again)
	if err == nil && pace != nil && len(ends) == 0 {
		err = l.keeper.KeepPace(context.WithoutCancel(ctx), l.opts.Account, *pace)
	}
	return err
}

// decide says whether a task has ended or is tried again, and when.
func (l *Lane) decide(t Task, outcome Outcome) (*Finished, Task) {
	t.MaybeSent = t.MaybeSent || outcome.Uncertain
	if outcome.Final {
		end := l.ended(t, outcome)
		return &end, t
	}
	now := l.opts.Now()
	deadline := t.deadline(l.opts.MaxAge)
	t.Code, t.Detail = outcome.Code, outcome.Detail
	if !outcome.Counts {
		pause := unsettled
		if t.Kind.Class() == ClassControl {
			pause = offlineControl
		}
		return nil, postponed(t, now.Add(pause), outcome.Code)
	}
	at, ok := retryAt(t.Attempt, now, outcome.After, deadline, l.opts.Random)
	if !ok {
		end := l.ended(t, Never(better(outcome.Code, codeExpired), outcome.Detail))
		return &end, t
	}
	t.NotBefore, t.Reason = at, outcome.Code
	return nil, t
}

// postponed is a task that goes back although nothing was tried.
func postponed(t Task, until time.Time, reason string) Task {
	t.Attempt = max(t.Attempt-1, 0)
	t.NotBefore, t.Reason = until, reason
	return t
}

// ended is a task's end with the callback that reports it.
func (l *Lane) ended(t Task, outcome Outcome) Finished {
	t.State = Done
	if outcome.Verdict == Failure {
		t.State = Failed
	}
	t.Verdict, t.Code, t.Detail, t.Finished = outcome.Verdict, outcome.Code, outcome.Detail, l.opts.Now()
	return Finished{Task: t, Callback: l.opts.Report(t)}
}

// settle keeps ends and new tries. What happened cannot be made undone, so it is tried until the ledger takes it or stops;
// what it never took is found running at the next start and repeated under the same message ID.
func (l *Lane) settle(ctx context.Context, ends []Finished, again []Task) error {
	if len(ends) == 0 && len(again) == 0 {
		return nil
	}
	keep := context.WithoutCancel(ctx) // the outcome outlives the wish to stop
	for failures := 0; ; failures++ {
		err := l.keep(keep, &ends, &again)
		if err == nil {
			l.opts.Finished()
			return nil
		}
		if errors.Is(err, ErrStopping) || errors.Is(err, ErrNotFound) {
			return err
		}
		if failures == 0 {
			l.log.Error("an outcome could not be kept; trying until it is", "error", err)
		}
		time.Sleep(min(50*time.Millisecond<<min(failures, 7), 5*time.Second))
	}
}

// keep keeps ends, then new tries; what was kept is not tried again.
func (l *Lane) keep(ctx context.Context, ends *[]Finished, again *[]Task) error {
	if len(*ends) > 0 {
		if err := l.keeper.Finish(ctx, *ends); err != nil {
			return err
		}
		for _, end := range *ends {
			l.log.Info("task ended", "task", string(end.Task.ID), "kind", string(end.Task.Kind), "verdict", string(end.Task.Verdict), "code", end.Task.Code, "attempt", end.Task.Attempt)
		}
		*ends = nil
	}
	if len(*again) > 0 {
		if err := l.keeper.Requeue(ctx, *again); err != nil {
			return err
		}
		*again = nil
	}
	return nil
}
