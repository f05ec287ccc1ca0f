package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// Options is what a lane needs beside its keeper and worker.
type Options struct {
	Account              string
	MaxAge               time.Duration // how long a task may take, waiting for its pace or turn apart; default 10 min
	FailWhenDisconnected bool          // end tasks at once when the account is away, instead of waiting
	Pace                 Policy
	Retention            time.Duration // finished tasks are kept so long; default 168 h
	BlankAfter           time.Duration // the text of finished messages is kept so long; default 24 h
	DeliveryTimeout      time.Duration // a message that no device confirmed for so long is marked; default 10 min
	MaxQueued            int           // tasks that are not finished, beyond which ErrQueueFull is told; 0 is no limit

	Report   func(Task) *Callback // what a finished task tells its caller; nil for nothing
	Finished func()               // called after every commit that may hold callbacks
	Panicked func()               // called for each attempt that panicked

	BatchSize int           // checks in one call of the worker; default 50
	BatchWait time.Duration // how long the first check waits for company; default 30 ms
	Grace     time.Duration // for work in flight when Run is to end; default 6 s

	// CheckAllowance is asked before each call for checks how many of the wanted ones may go now, and when to ask again if
	// none may. It charges nothing: the caller counts what reaches the worker. Nil allows all.
	CheckAllowance func(now time.Time, want int) (may int, again time.Time)

	Logger *slog.Logger
	Now    func() time.Time
	Random func() float64 // in [0, 1); called by several goroutines
}

func (o Options) withDefaults() Options {
	orDuration := func(value *time.Duration, fallback time.Duration) {
		if *value == 0 {
			*value = fallback
		}
	}
	orDuration(&o.MaxAge, 10*time.Minute)
	orDuration(&o.Retention, 168*time.Hour)
	orDuration(&o.BlankAfter, 24*time.Hour)
	orDuration(&o.DeliveryTimeout, 10*time.Minute)
	orDuration(&o.BatchWait, 30*time.Millisecond)
	orDuration(&o.Grace, 6*time.Second)
	if o.BatchSize == 0 {
		o.BatchSize = 50
	}
	if o.Report == nil {
		o.Report = func(Task) *Callback { return nil }
	}
	if o.Finished == nil {
		o.Finished = func() {}
	}
	if o.Panicked == nil {
		o.Panicked = func() {}
	}
	if o.CheckAllowance == nil {
		o.CheckAllowance = func(_ time.Time, want int) (int, time.Time) { return want, time.Time{} }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	return o
}

// Lane works one account's tasks: control tasks first and one at a time, messages one at a time in the order of acceptance
// and paced, checks beside them, many in one call. What it holds in memory can be lost at any moment: all that matters is
// kept. See docs/tasks.md.
type Lane struct {
	opts   Options
	keeper Keeper
	worker Worker
	log    *slog.Logger

	bells *bells
	room  *room
	gate  *semaphore.Weighted // of two: messages and checks take one each while they work, a log-out takes both

	// Of the messages' goroutine alone.
	all       line      // of every message
	strangers line      // of first contacts, beside it
	claimed   []Task    // with the end of the message before
	locked    time.Time // until when WhatsApp takes no first contacts, as it was met last
	lockedFor string    // and why
	lockKnown bool
	settled   bool // the settling time ended early, as it was met last

	// Of the checks' goroutine alone.
	batch   batch
	backlog bool // the last call was full: the next need not wait for company

	mu        sync.Mutex // guards what follows; held for no call but the first read of the pace
	pace      PaceState
	paceKnown bool
	shared    bool   // what the phone shares after the present pairing is here; not kept
	changes   uint64 // of the account's readiness
	absences  map[Class]absence
	met       map[Class]int64     // the newest task of a class that met an account without a link
	looks     map[Class]time.Time // of an absent account, at a line that is long: none before
}

// NewLane makes a lane. Run works it.
func NewLane(opts Options, keeper Keeper, worker Worker) *Lane {
	opts = opts.withDefaults()
	return &Lane{
		opts: opts, keeper: keeper, worker: worker,
		log:      opts.Logger.With("account", opts.Account),
		bells:    newBells(ClassControl, ClassMessage, ClassCheck),
		room:     &room{most: opts.MaxQueued, keeper: keeper, now: opts.Now, taken: opts.MaxQueued},
		gate:     semaphore.NewWeighted(2),
		batch:    batch{size: opts.BatchSize, most: opts.BatchSize},
		absences: map[Class]absence{},
		met:      map[Class]int64{},
		looks:    map[Class]time.Time{},
	}
}

// Accept keeps new work and wakes the queue that works it. The answer is given after the commit. ErrIdempotency, ErrFull and
// ErrStopping are the keeper's; ErrQueueFull comes before the keeper is asked. While nothing new is taken, what was accepted
// before under the same idempotency key is still answered as then.
func (l *Lane) Accept(ctx context.Context, w New) (Accepted, error) {
	accepted, err := l.accept(ctx, w)
	if w.IdempotencyKey != "" && (errors.Is(err, ErrQueueFull) || errors.Is(err, ErrFull) || errors.Is(err, ErrUnwritable)) {
		known, lookErr := l.keeper.Earlier(ctx, w)
		if lookErr == nil || errors.Is(lookErr, ErrIdempotency) {
			return known, lookErr
		}
	}
	return accepted, err
}

// Earlier answers a repeat of accepted work by its idempotency key, and takes nothing new: then it is ErrNotFound. ErrIdempotency
// as for Accept.
func (l *Lane) Earlier(ctx context.Context, w New) (Accepted, error) { return l.keeper.Earlier(ctx, w) }

func (l *Lane) accept(ctx context.Context, w New) (Accepted, error) {
	if err := l.room.take(ctx, w.Kind); err != nil {
		return Accepted{}, err
	}
	accepted, err := l.keeper.Accept(ctx, w, l.opts.Now())
	if err != nil || accepted.Duplicate {
		l.room.giveBack()
	}
	if err == nil && !accepted.Duplicate {
		l.bells.ring(w.Kind.Class())
	}
	return accepted, err
}

// Heard notes that somebody wrote to the account, who is no stranger any more.
func (l *Lane) Heard(ctx context.Context, from Address, at time.Time) error {
	if err := l.keeper.Heard(ctx, l.opts.Account, from, at, l.opts.Now()); err != nil {
		return err
	}
	l.bells.ring(ClassMessage)
	return nil
}

// Idle waits until the lane has nothing to do at this moment: nothing is worked, and what is queued waits for a time or for
// the account. It returns the context's error when that ends first; a lane that does not run is never idle.
func (l *Lane) Idle(ctx context.Context) error { return l.bells.idle(ctx) }

// Run works the account's tasks until the context ends and the work in flight has ended too, or Options.Grace has passed:
// work that is still in flight then is picked up at the next start. It fails only when the ledger cannot be read at the start.
func (l *Lane) Run(ctx context.Context) error {
	if err := l.pickUp(ctx); err != nil {
		return err
	}
	var running sync.WaitGroup
	running.Go(func() { l.queue(ctx, ClassControl, l.workControl) })
	running.Go(func() {
		l.queue(ctx, ClassMessage, l.workMessages)
		l.giveBack(ctx)
	})
	running.Go(func() { l.queue(ctx, ClassCheck, l.workChecks) })
	running.Go(func() { l.follow(ctx) })
	running.Go(func() { l.every(ctx, time.Hour, "drop old tasks", l.sweep) })
	clock := newClock(l.opts.Now)
	running.Go(func() {
		l.every(ctx, clockTick, "watch the clock", func(ctx context.Context) error { return l.watchClock(ctx, clock) })
	})
	running.Go(func() {
		l.every(ctx, l.opts.DeliveryTimeout/20, "mark unconfirmed messages", l.markOverdue)
	})
	done := make(chan struct{})
	go func() {
		running.Wait()
		close(done)
	}()
	<-ctx.Done()
	grace := time.NewTimer(l.opts.Grace)
	defer grace.Stop()
	select {
	case <-done:
	case <-grace.C:
		l.log.Warn("stopping while work is in flight; it is picked up at the next start")
	}
	return nil
}

// pickUp goes on where an earlier run ended.
func (l *Lane) pickUp(ctx context.Context) error {
	recovered, err := l.keeper.Recover(ctx)
	if err != nil {
		return fmt.Errorf("pick up tasks of an earlier run: %w", err)
	}
	if recovered > 0 {
		l.log.Info("tasks of an earlier run are picked up again", "count", recovered)
	}
	pace, err := l.kept(ctx)
	if err != nil {
		return fmt.Errorf("read the pace: %w", err)
	}
	l.all.turn = latest(l.all.turn, pace.NextSendAt)
	if l.opts.Pace.Off {
		return nil
	}
	waiting, err := l.keeper.Waiting(ctx, l.opts.Account, ClassMessage, waitingMost)
	if err != nil {
		return fmt.Errorf("read what waits: %w", err)
	}
	for _, t := range waiting { // those that were first in line still are
		if strangersOnly(t.Reason) {
			l.strangers.wait(t.NotBefore)
		} else if pacing(t.Reason) {
			l.all.wait(t.NotBefore)
		}
	}
	return nil
}

// every does something at the start and then at intervals. A failure is said once until it works again.
func (l *Lane) every(ctx context.Context, interval time.Duration, name string, do func(context.Context) error) {
	ticker := time.NewTicker(max(interval, time.Second))
	defer ticker.Stop()
	failing := false
	for {
		err := do(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			l.log.Error("regular work failed; it is tried again", "work", name, "every", interval, "error", err)
		}
		failing = err != nil
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// sweep drops what is older than it has to be kept.
func (l *Lane) sweep(ctx context.Context) error {
	now := l.opts.Now()
	count, err := l.keeper.Sweep(ctx, now.Add(-l.opts.Retention), now.Add(-l.opts.BlankAfter))
	if count > 0 {
		l.log.Debug("old tasks dropped", "rows", count)
	}
	return err
}

// markOverdue marks messages that WhatsApp's server took and no device of the recipient has confirmed in time: the phone is
// off, or something is wrong. A receipt that comes later still counts.
func (l *Lane) markOverdue(ctx context.Context) error {
	now := l.opts.Now()
	count, err := l.keeper.Overdue(ctx, l.opts.Account, now.Add(-l.opts.DeliveryTimeout), now)
	if count > 0 {
		l.log.Warn("messages that no device of the recipient confirmed in time", "count", count)
	}
	return err
}

// latest is the later of two times.
func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
