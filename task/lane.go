package task

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// Options is what a lane needs beside its keeper and worker.
type Options struct {
	Account              string
	MaxAge               time.Duration // how long a task may take, waiting for its pace apart; default 10 min
	FailWhenDisconnected bool          // end tasks at once when the account is away, instead of waiting
	Pace                 Policy
	Retention            time.Duration // finished tasks are kept so long; default 168 h
	BlankAfter           time.Duration // the text of finished messages is kept so long; default 24 h

	Report   func(Task) *Callback // what a finished task tells its caller; nil for nothing
	Finished func()               // called after every commit that may hold callbacks

	BatchSize int           // checks in one call of the worker; default 50
	BatchWait time.Duration // how long the first check waits for company; default 30 ms
	Grace     time.Duration // for work in flight when Run is to end; default 6 s

	Logger *slog.Logger
	Now    func() time.Time
	Random func() float64 // in [0, 1)
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

// Lane works one account's tasks: control tasks first and alone, messages one at a time in the order of acceptance and
// paced, checks beside them, many in one call. What it holds in memory can be lost at any moment: all that matters is kept.
type Lane struct {
	opts   Options
	keeper Keeper
	worker Worker
	log    *slog.Logger
	wakes  map[Class]chan struct{} // each holds one value: look again

	atWork map[Class]chan struct{} // each holds one value while its queue works; a log-out takes them both
	ending chan struct{}           // holds one value while work that cannot be done is ended

	mu    sync.Mutex
	pace  PaceState
	batch int // checks in the next call: halved after failures, so that one poisonous number cannot hold the rest
}

// NewLane makes a lane. Run works it.
func NewLane(opts Options, keeper Keeper, worker Worker) *Lane {
	opts = opts.withDefaults()
	return &Lane{
		opts: opts, keeper: keeper, worker: worker,
		log:    opts.Logger.With("account", opts.Account),
		batch:  opts.BatchSize,
		atWork: map[Class]chan struct{}{ClassMessage: make(chan struct{}, 1), ClassCheck: make(chan struct{}, 1)},
		ending: make(chan struct{}, 1),
		wakes: map[Class]chan struct{}{
			ClassControl: make(chan struct{}, 1), ClassMessage: make(chan struct{}, 1), ClassCheck: make(chan struct{}, 1),
		},
	}
}

// Accept keeps new work and wakes the queue that works it. The answer is given after the commit.
func (l *Lane) Accept(ctx context.Context, w New) (Accepted, error) {
	accepted, err := l.keeper.Accept(ctx, w, l.opts.Now())
	if err == nil && !accepted.Duplicate {
		l.wake(w.Kind.Class())
	}
	return accepted, err
}

// Paired notes when the account was linked to a phone: the pace of the first days counts from it.
func (l *Lane) Paired(ctx context.Context, at time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	pace := l.pace
	pace.PairedAt = at
	if err := l.keeper.KeepPace(ctx, l.opts.Account, pace); err != nil {
		return err
	}
	l.pace = pace
	return nil
}

// safetyTick is how often queues look for work that nobody told them of.
const safetyTick = 30 * time.Second

// Run works the account's tasks until the context ends and the work in flight has ended too, or Options.Grace has passed:
// work that is still in flight then is picked up at the next start.
func (l *Lane) Run(ctx context.Context) error {
	recovered, err := l.keeper.Recover(ctx)
	if err != nil {
		return err
	}
	if recovered > 0 {
		l.log.Info("tasks of an earlier run are picked up again", "count", recovered)
	}
	l.mu.Lock()
	l.pace, err = l.keeper.Pace(ctx, l.opts.Account)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	var queues sync.WaitGroup
	queues.Go(func() { l.queue(ctx, ClassControl, l.workControl) })
	queues.Go(func() { l.queue(ctx, ClassMessage, l.workMessages) })
	queues.Go(func() { l.queue(ctx, ClassCheck, l.workChecks) })
	queues.Go(func() { l.follow(ctx) })
	queues.Go(func() { l.sweep(ctx) })
	done := make(chan struct{})
	go func() {
		queues.Wait()
		close(done)
	}()
	<-ctx.Done()
	select {
	case <-done:
	case <-time.After(l.opts.Grace):
		l.log.Warn("stopping while work is in flight; it is picked up at the next start")
	}
	return nil
}

// wake makes a queue look for work. It never blocks.
func (l *Lane) wake(class Class) {
	select {
	case l.wakes[class] <- struct{}{}:
	default:
	}
}

// follow wakes all queues when the account's readiness changes.
func (l *Lane) follow(ctx context.Context) {
	for {
		select {
		case <-l.worker.Changes():
			for class := range l.wakes {
				l.wake(class)
			}
		case <-ctx.Done():
			return
		}
	}
}

// queue runs one class: it works until nothing is due, then waits for a reason to look again. work says when it wants to
// look again; zero for at once.
func (l *Lane) queue(ctx context.Context, class Class, work func(context.Context) (time.Time, error)) {
	failures := 0
	for ctx.Err() == nil {
		next, err := work(ctx)
		if err != nil {
			next = l.afterKeeperFailure(class, err, failures)
			failures++
		} else {
			if failures > 0 {
				l.log.Info("the ledger works again", "queue", string(class))
			}
			failures = 0
		}
		pause := next.Sub(l.opts.Now())
		if next.IsZero() || pause <= 0 && err == nil {
			continue
		}
		timer := time.NewTimer(min(max(pause, time.Millisecond), safetyTick))
		select {
		case <-l.wakes[class]:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// afterKeeperFailure says once that the ledger fails, and when to look again.
func (l *Lane) afterKeeperFailure(class Class, err error, failures int) time.Time {
	if failures == 0 && !errors.Is(err, ErrStopping) && !errors.Is(err, context.Canceled) {
		l.log.Error("the ledger failed; trying again", "queue", string(class), "error", err)
	}
	return l.opts.Now().Add(min(100*time.Millisecond<<min(failures, 10), 5*time.Second))
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

// sweep drops what is older than it has to be kept, at the start and then every hour.
func (l *Lane) sweep(ctx context.Context) {
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	for {
		now := l.opts.Now()
		count, err := l.keeper.Sweep(ctx, now.Add(-l.opts.Retention), now.Add(-l.opts.BlankAfter))
		if err != nil && ctx.Err() == nil {
			l.log.Error("old tasks could not be dropped; trying again in an hour", "error", err)
		} else if count > 0 {
			l.log.Debug("old tasks dropped", "rows", count)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
