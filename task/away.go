package task

import (
	"context"
	"time"
)

// The codes this package gives to tasks that it ends itself.
const (
	codeExpired        = "expired"         // the maximum age has passed, and there is no better code
	codeAccountChanged = "account_changed" // accepted for another number than the one that is paired now
	codeNotPaired      = "not_paired"
	codeLoggedOut      = "logged_out"
	codeOptedOut       = "opted_out"         // the recipient wants no messages
	codeSameText       = "same_text_blocked" // too many strangers got the same text
	codeDamaged        = "damaged_record"    // what is kept of the task must not be believed
	codeNoOutcome      = "no_outcome"        // the worker said nothing about the task
)

// waitingMost is how many waiting tasks of a class are looked at in one go.
const waitingMost = 200

// lookPause lies between two looks at a long line of an absent account: each task that is accepted asks for one, and stands behind
// those that are looked at.
const lookPause = 250 * time.Millisecond

// looked tells until when there is no use in another look at what waits.
func (l *Lane) looked(class Class) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	until := l.looks[class]
	pause := until.Sub(l.opts.Now())
	return until, pause > 0 && pause <= lookPause // longer after the clock was set back
}

// away ends the queued tasks of a class that an absent account leaves no hope for, notes on the first of the others why they
// wait, and says when the next one has waited long enough.
func (l *Lane) away(ctx context.Context, class Class, readiness Readiness, code, own string) (time.Time, error) {
	if until, soon := l.looked(class); soon && readiness == Wait {
		return until, nil
	}
	waiting, err := l.waiting(ctx, class, readiness)
	if err != nil {
		return time.Time{}, err
	}
	next := l.opts.Now().Add(safetyTick)
	var ends []Finished
	var left []Task
	for _, t := range waiting {
		if outcome, over := l.hopeless(t, readiness, code, own); over {
			ends = append(ends, l.ended(t, outcome))
			continue
		}
		left = append(left, t)
		if deadline := l.deadline(t); deadline.Before(next) {
			next = deadline
		}
	}
	if readiness == NeverReady && l.meets(class, waiting) && l.bells.firstToAsk() {
		l.worker.NeedsPairing()
	}
	if err := l.settle(ctx, record{ends: ends}); err != nil {
		return time.Time{}, err
	}
	if len(ends) > 0 && (len(waiting) == waitingMost || readiness == NeverReady) { // there may be more
		return time.Time{}, nil
	}
	if len(waiting) == waitingMost {
		l.mu.Lock()
		l.looks[class] = l.opts.Now().Add(lookPause)
		l.mu.Unlock()
	}
	return next, l.annotate(ctx, class, left, code)
}

// waiting returns the tasks to look at: without a link first those that need not wait for one, however many others were
// accepted before them.
func (l *Lane) waiting(ctx context.Context, class Class, readiness Readiness) ([]Task, error) {
	if readiness == NeverReady {
		if tasks, err := l.keeper.Impatient(ctx, l.opts.Account, class, waitingMost); err != nil || len(tasks) > 0 {
			return tasks, err
		}
	}
	return l.keeper.Waiting(ctx, l.opts.Account, class, waitingMost)
}

// meets tells whether one of the tasks meets an account without a link for the first time: those that wait for a link ask for
// a pairing once.
func (l *Lane) meets(class Class, tasks []Task) bool {
	if len(tasks) == 0 {
		return false
	}
	newest := tasks[len(tasks)-1].Seq
	l.mu.Lock()
	defer l.mu.Unlock()
	first := newest > l.met[class]
	l.met[class] = max(l.met[class], newest)
	return first
}

// hopeless ends a task that must not wait for an absent account, or not any longer.
func (l *Lane) hopeless(t Task, readiness Readiness, code, own string) (Outcome, bool) {
	switch {
	case t.proven():
		return arrived(), true
	case readiness == NeverReady && !l.waitsForLink(t, code):
		return notPerformed(t, neverCode(code), "the account is not logged in: "+code), true
	case foreign(t, own):
		return accountChanged(), true
	case l.opts.FailWhenDisconnected:
		return notPerformed(t, code, "the account is not connected: "+code), true
	case !l.opts.Now().Before(l.deadline(t)):
		return Never(codeExpired, "the account was away for too long: "+code), true
	}
	return Outcome{}, false
}

// waitsForLink tells whether a task of an account without a link waits for a new one.
func (l *Lane) waitsForLink(t Task, code string) bool {
	return t.Patient && neverCode(code) == codeLoggedOut && !l.opts.FailWhenDisconnected && l.opts.Now().Before(l.deadline(t))
}

// neverCode is the code for a task of an account without a phone.
func neverCode(code string) string {
	if code == codeLoggedOut || code == "logout_requested" {
		return codeLoggedOut
	}
	return codeNotPaired
}

func notPerformed(t Task, code, detail string) Outcome {
	if t.MaybeSent {
		detail += "; an earlier attempt may have reached WhatsApp"
	}
	return Outcome{Final: true, Verdict: NotPerformed, Code: code, Detail: detail}
}

// foreign tells whether a task was accepted for another number than the account has now.
func foreign(t Task, own string) bool {
	return t.ForNumber != "" && own != "" && t.ForNumber != own
}

func accountChanged() Outcome {
	return Never(codeAccountChanged, "the task was accepted for another number than the one that is paired now")
}

// refused ends a claimed task that must not be worked: one whose record is damaged, one of another number, or too late.
func (l *Lane) refused(t Task) (Finished, bool) {
	if t.Damaged != "" {
		return l.ended(t, Never(codeDamaged, t.Damaged)), true
	}
	if _, _, own := l.worker.Ready(); foreign(t, own) {
		return l.ended(t, accountChanged()), true
	}
	if l.opts.Now().Before(l.deadline(t)) {
		return Finished{}, false
	}
	code, detail := t.Code, "no outcome within the maximum age"
	if code == "" {
		code = codeExpired
	}
	if t.Detail != "" {
		detail += ": " + t.Detail
	}
	return l.ended(t, Never(code, detail)), true
}

// deadline is when a task must have ended: its maximum age after it was accepted, the time apart in which it waited for its
// pace or its turn. Called for messages by their own goroutine only.
func (l *Lane) deadline(t Task) time.Time {
	waited := t.Waited
	if t.Kind == Message {
		waited = l.waited(t, l.turn(t))
	}
	return t.Created.Add(l.opts.MaxAge + waited)
}

// waited is how long a message waited for its pace or its turn until a time. What Waited holds was counted up to NotBefore.
func (l *Lane) waited(t Task, until time.Time) time.Duration {
	if turn := l.turn(t); turn.Before(until) {
		until = turn
	}
	return t.Waited + max(0, until.Sub(latest(t.Created, t.NotBefore)))
}

// annotate writes at the tasks that are next in line why they wait, once for each reason. The keeper writes reasons only
// when a task is put back, so they are taken for that.
func (l *Lane) annotate(ctx context.Context, class Class, waiting []Task, code string) error {
	most := l.opts.BatchSize
	if class == ClassMessage {
		most = 1
	}
	now := l.opts.Now()
	stale, seen := false, map[string]bool{}
	for _, t := range waiting {
		blocked := class == ClassMessage && seen[t.Number]
		seen[t.Number] = true
		if blocked || t.NotBefore.After(now) {
			continue
		}
		stale = stale || t.Reason != code
		if most--; most == 0 {
			break
		}
	}
	if !stale {
		return nil
	}
	tasks, err := l.claim(ctx, class, l.opts.BatchSize)
	if err != nil {
		return err
	}
	for i, t := range tasks {
		if t.Reason != code {
			t.step(now, StepWaits, code)
		}
		tasks[i] = untried(t, t.NotBefore, code)
	}
	return l.settle(ctx, record{again: tasks})
}
