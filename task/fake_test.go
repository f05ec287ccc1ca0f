package task_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	sent     map[string]time.Time
	optedOut map[string]time.Time
	texts    map[[32]byte]map[string]time.Time
	requeued []task.Task
	finished []task.Finished
	paces    int        // how often the pace was kept on its own
	swept    int        // how often
	looks    int        // at what waits
	failing  error      // what every write answers
	locked   task.Class // of which nothing can be claimed
	commits  int        // ends and claims that took something
	controls int        // looks for control work
	between  func()     // called after a claim that came with ends
}

func newLedger() *ledger {
	return &ledger{ends: map[task.ID]int{}, heard: map[string]time.Time{}, sent: map[string]time.Time{}, optedOut: map[string]time.Time{}, texts: map[[32]byte]map[string]time.Time{}}
}

func (l *ledger) Accept(_ context.Context, w task.New, now time.Time) (task.Accepted, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing != nil {
		return task.Accepted{}, l.failing
	}
	t := &task.Task{
		ID: task.ID(fmt.Sprint("t", len(l.tasks)+1)), Seq: int64(len(l.tasks) + 1), Account: w.Account, Kind: w.Kind, Number: w.Number, Contact: task.Identity{ID: w.Number},
		Text: w.Text, MessageID: w.MessageID, ReturnURL: w.ReturnURL, ForNumber: w.ForNumber, Patient: w.Patient, State: task.Queued, Created: now,
	}
	l.tasks = append(l.tasks, t)
	return task.Accepted{ID: t.ID}, nil
}

// stranger tells whether a message is a first contact.
func (l *ledger) stranger(t *task.Task) bool {
	return t.Kind == task.Message && l.sent[t.Number].IsZero() && l.heard[t.Number].IsZero()
}

// in tells whether a task belongs to a class.
func (l *ledger) in(t *task.Task, class task.Class) bool {
	if class == task.ClassWarm {
		return t.Kind == task.Message && !l.stranger(t)
	}
	return t.Kind.Class() == class
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
	if class == l.locked {
		return nil, errDisk
	}
	var claimed []task.Task
	for _, t := range l.tasks {
		if len(claimed) == most || !l.in(t, class) || t.NotBefore.After(now) || !l.workable(t) {
			continue
		}
		t.State = task.Running
		t.Attempt++
		t.Cold, t.OptedOut = l.stranger(t), !l.optedOut[t.Number].IsZero()
		claimed = append(claimed, *t)
	}
	if len(claimed) > 0 {
		l.commits++
	}
	return claimed, nil
}

func (l *ledger) FinishAndClaim(ctx context.Context, ends []task.Finished, account string, class task.Class, now time.Time) ([]task.Task, error) {
	if class == l.lockedNow() {
		return nil, errDisk
	}
	if err := l.Finish(ctx, ends); err != nil {
		return nil, err
	}
	claimed, err := l.Claim(ctx, account, class, now, 1)
	l.mu.Lock()
	l.commits -= len(claimed) // it came with the ends
	between := l.between
	l.mu.Unlock()
	if len(claimed) > 0 && between != nil {
		between()
	}
	return claimed, err
}

func (l *ledger) NextDue(_ context.Context, _ string, class task.Class, now time.Time) (time.Time, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if class == task.ClassControl {
		l.controls++
	}
	var next time.Time
	for _, t := range l.tasks {
		if !l.in(t, class) || !l.workable(t) {
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
		if l.find(end.Task.ID) == nil {
			return task.ErrNotFound
		}
	}
	l.commits++
	for _, end := range ends {
		t := l.find(end.Task.ID)
		l.ends[t.ID]++ // a second one shows in once
		l.finished = append(l.finished, end)
		delivery, by := max(t.Delivery, end.Task.Delivery), t.DeliveredBy
		*t = end.Task
		t.Reason, t.Delivery, t.DeliveredBy = "", delivery, by
		if t.Kind == task.Message && t.Verdict == task.Yes && l.sent[t.Number].IsZero() {
			l.sent[t.Number] = t.Finished
		}
		if end.Pace != nil {
			l.pace = *end.Pace
		}
	}
	return nil
}

// find returns a task, nil for none.
func (l *ledger) find(id task.ID) *task.Task {
	for _, t := range l.tasks {
		if t.ID == id {
			return t
		}
	}
	return nil
}

// forget drops a task, as nothing but a person with an editor could.
func (l *ledger) forget(id task.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tasks = slices.DeleteFunc(l.tasks, func(t *task.Task) bool { return t.ID == id })
}

func (l *ledger) Requeue(_ context.Context, tasks []task.Task) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing != nil {
		return l.failing
	}
	for _, back := range tasks {
		if t := l.find(back.ID); t != nil && t.State == task.Running {
			delivery, by := t.Delivery, t.DeliveredBy
			*t = back
			t.State, t.Delivery, t.DeliveredBy = task.Queued, delivery, by
		}
		l.requeued = append(l.requeued, back)
	}
	return nil
}

func (l *ledger) Timeline(_ context.Context, id task.ID) (steps []task.Step, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, back := range l.requeued {
		if back.ID == id {
			steps = append(steps, back.Steps...)
		}
	}
	return steps, l.failing
}

func (l *ledger) Get(_ context.Context, id task.ID) (task.Task, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.find(id); t != nil && l.failing == nil {
		return *t, nil
	}
	return task.Task{}, cmp.Or(l.failing, task.ErrNotFound)
}

func (l *ledger) Confirm(_ context.Context, c task.Confirmation) (count int, queued []task.Task, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.tasks {
		if !slices.Contains(c.MessageIDs, t.MessageID) || l.failing != nil {
			continue
		}
		t.Delivery, t.DeliveredBy = task.DeliveryDelivered, task.ByPhone
		if c.Device != 0 {
			t.DeliveredBy = task.ByCompanion
		}
		if count++; t.State == task.Queued {
			queued = append(queued, *t)
		}
	}
	return count, queued, l.failing
}

func (l *ledger) Waiting(_ context.Context, _ string, class task.Class, most int) ([]task.Task, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looks++
	var waiting []task.Task
	for _, t := range l.tasks {
		t.Cold = l.stranger(t)
		if t.State == task.Queued && t.Kind.Class() == class && len(waiting) < most {
			waiting = append(waiting, *t)
		}
	}
	return waiting, l.failing
}

func (l *ledger) Impatient(ctx context.Context, account string, class task.Class, most int) ([]task.Task, error) {
	waiting, err := l.Waiting(ctx, account, class, 1<<30)
	waiting = slices.DeleteFunc(waiting, func(t task.Task) bool { return t.Patient })
	return waiting[:min(len(waiting), most)], err
}

func (l *ledger) Release(_ context.Context, _, reason string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing != nil {
		return l.failing
	}
	l.release(now, func(t *task.Task) bool { return t.Reason == reason })
	return nil
}

func (l *ledger) release(now time.Time, which func(*task.Task) bool) {
	for _, t := range l.tasks {
		if t.State == task.Queued && t.NotBefore.After(now) && which(t) {
			t.Waited = max(0, t.Waited-t.NotBefore.Sub(now))
			t.NotBefore = now
		}
	}
}

func (l *ledger) Heard(_ context.Context, _ string, from task.Address, at, now time.Time) error {
	number := from.Number
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard[number] = at
	l.release(now, func(t *task.Task) bool {
		return t.Number == number && slices.Contains([]string{task.ReasonSettling, task.ReasonColdDay, task.ReasonLocked, task.ReasonQuota}, t.Reason)
	})
	return nil
}

func (l *ledger) Recover(context.Context) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := 0
	for _, t := range l.tasks {
		if t.State == task.Running {
			t.State = task.Queued
			t.MaybeSent = t.MaybeSent || t.Kind == task.Message || t.Kind == task.Logout
			count++
		}
	}
	return count, nil
}

func (l *ledger) SetBack(_ context.Context, _ string, by time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.tasks {
		if t.State == task.Queued || t.State == task.Running {
			t.Created = t.Created.Add(-by)
			if !t.NotBefore.IsZero() {
				t.NotBefore = t.NotBefore.Add(-by)
			}
		}
	}
	return nil
}

func (l *ledger) Pace(context.Context, string) (task.PaceState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pace, l.failing
}

func (l *ledger) KeepPace(_ context.Context, _ string, p task.PaceState) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing != nil {
		return l.failing
	}
	l.pace = p
	l.paces++
	return nil
}

// optOut puts a number on the list of those that want no messages.
func (l *ledger) optOut(number string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.optedOut[number] = time.Now()
}

func (l *ledger) TextRecipients(_ context.Context, _ string, hash [32]byte, number string, since time.Time) (count int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for other, at := range l.texts[hash] {
		if other != number && at.After(since) {
			count++
		}
	}
	return count, nil
}

func (l *ledger) KeepText(_ context.Context, _ string, hash [32]byte, number string, at time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.texts[hash] == nil {
		l.texts[hash] = map[string]time.Time{}
	}
	l.texts[hash][number] = at
	return nil
}

func (l *ledger) Sweep(context.Context, time.Time, time.Time) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.swept++
	return 0, nil
}

// fail makes every write answer with an error, nil for none.
func (l *ledger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing = err
}

// lock makes every claim of a class fail, of none for the empty one.
func (l *ledger) lock(class task.Class) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.locked = class
}

func (l *ledger) lockedNow() task.Class {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.locked
}

// get returns a task as it is kept.
func (l *ledger) get(id task.ID) task.Task {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.find(id); t != nil {
		return *t
	}
	return task.Task{}
}

// returned tells how many tasks were put back so far.
func (l *ledger) returned() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.requeued)
}

// kept returns the pace.
func (l *ledger) kept() task.PaceState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pace
}

// outcomes counts tasks by state and code.
func (l *ledger) outcomes() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := map[string]int{}
	for _, t := range l.tasks {
		counts[strings.TrimSpace(string(t.State)+" "+t.Code)]++
	}
	return counts
}

// put adds a task as it stands, as an earlier run left it.
func (l *ledger) put(t task.Task) task.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Seq = int64(len(l.tasks) + 1)
	t.ID = task.ID(fmt.Sprint("t", t.Seq))
	t.Account = "default"
	l.tasks = append(l.tasks, &t)
	return t.ID
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
	code      string // why not ready; the readiness itself when empty
	own       string
	locked    time.Time // WhatsApp takes no first contacts before
	lockedFor string    // empty for a lock
	changes   chan struct{}
	needed    int
	send      func(task.Task) task.Outcome
	check     func([]task.Task) []task.Outcome
	control   func(task.Task) task.Outcome
	sent      []task.Task
	sentAt    []time.Time
	batches   []int
	checkedAt []time.Time
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
	code := h.code
	if code == "" {
		code = string(h.readiness)
	}
	return h.readiness, code, h.own
}

func (h *hands) become(r task.Readiness, code ...string) {
	h.mu.Lock()
	h.readiness, h.code = r, strings.Join(code, "")
	h.mu.Unlock()
	select {
	case h.changes <- struct{}{}:
	default:
	}
}

// lock begins a lock on first contacts, or what is named in its place, or ends it with a zero time.
func (h *hands) lock(until time.Time, reason ...string) {
	h.mu.Lock()
	h.locked, h.lockedFor = until, strings.Join(reason, "")
	h.mu.Unlock()
	select {
	case h.changes <- struct{}{}:
	default:
	}
}

func (h *hands) StrangersHeld() (time.Time, string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.locked, cmp.Or(h.lockedFor, task.ReasonLocked)
}

// messages returns the messages that were tried so far, and when.
func (h *hands) messages() ([]task.Task, []time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.sent), slices.Clone(h.sentAt)
}

// tried returns the messages that were tried so far.
func (h *hands) tried() []task.Task {
	sent, _ := h.messages()
	return sent
}

// calls returns the sizes of the calls for checks so far, and when they came.
func (h *hands) calls() ([]int, []time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.batches), slices.Clone(h.checkedAt)
}

// sizes returns the sizes of the calls for checks so far.
func (h *hands) sizes() []int {
	sizes, _ := h.calls()
	return sizes
}

// asked returns how often a pairing was asked for.
func (h *hands) asked() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.needed
}

func (h *hands) Changes() <-chan struct{} { return h.changes }

func (h *hands) Send(_ context.Context, t task.Task) task.Outcome {
	h.mu.Lock()
	h.sent = append(h.sent, t)
	h.sentAt = append(h.sentAt, time.Now())
	send := h.send
	h.mu.Unlock()
	return send(t)
}

func (h *hands) Check(_ context.Context, tasks []task.Task) []task.Outcome {
	h.mu.Lock()
	h.batches = append(h.batches, len(tasks))
	h.checkedAt = append(h.checkedAt, time.Now())
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

func (l *ledger) Overdue(context.Context, string, time.Time, time.Time) (int, error) { return 0, nil }
