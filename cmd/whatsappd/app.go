package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"whatsappd/callback"
	"whatsappd/httpapi"
	"whatsappd/notify"
	"whatsappd/session"
	"whatsappd/store"
	"whatsappd/task"
)

// The stages of a stop. Together they stay below the eight seconds after which the daemon must have ended.
const (
	stopRequests = time.Second             // for requests that are being answered
	stopLanes    = 4500 * time.Millisecond // for a send in flight and its outcome
	stopSession  = time.Second
	stopNotify   = 1200 * time.Millisecond // for taking a live code out of Slack
)

// app is the daemon: everything between the listener and WhatsApp.
type app struct {
	log      *slog.Logger
	db       *store.DB
	account  *session.Account
	notifier *notify.Notifier
	lane     *task.Lane
	sender   *callback.Sender
	api      *httpapi.API
	listener net.Listener
	limits   httpapi.Limits
	panics   panics
	watch    func(session.Event) // the sandbox looks on; nil otherwise
}

// newApp builds the daemon. What was opened is closed again when a later step fails.
func newApp(ctx context.Context, cfg Config, log *slog.Logger, screen *notify.Terminal) (_ *app, err error) {
	a := &app{log: log, limits: httpapi.Limits{Connections: connectionsMost(cfg, log)}}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	if err := setUpProcess(cfg, log); err != nil {
		return nil, err
	}
	if a.db, err = store.Open(ctx, cfg.DataDir, store.Options{
		Simulated: cfg.Simulator.RootKey, Logger: log, Announce: callback.Announce(string(cfg.Notify.URL), time.Now),
	}); err != nil {
		return nil, err
	}
	if a.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", cfg.Listen, err)
	}
	a.notifier = newNotifier(cfg, log, screen)
	work := &worker{notifier: a.notifier, changes: make(chan struct{}, 1)}
	if a.account, err = a.openAccount(ctx, cfg, work); err != nil {
		return nil, err
	}
	work.account = a.account
	guard, err := newGuard(cfg, log, a.ownAddresses)
	if err != nil {
		return nil, err
	}
	if err := cfg.checkNotify(a.ownAddresses()); err != nil {
		return nil, fmt.Errorf("notify.url: %w", err)
	}
	if a.sender, err = newSender(cfg, log, guard, a.db, a.panics.callback.add); err != nil {
		return nil, err
	}
	a.lane = task.NewLane(task.Options{
		Account:              string(session.DefaultAccount),
		MaxAge:               cfg.Task.MaxAge,
		FailWhenDisconnected: cfg.Task.WhenDisconnected == "fail",
		Pace:                 cfg.Pace.policy(),
		Retention:            cfg.Task.Retention,
		MaxQueued:            cfg.Limit.Queue,
		DeliveryTimeout:      cfg.Task.DeliveryTimeout,
		Report:               callback.Report,
		Finished:             a.sender.Wake,
		Panicked:             a.panics.task.add,
		Grace:                stopLanes - 500*time.Millisecond,
		Logger:               log,
	}, a.db, work)
	a.api, err = httpapi.New(httpapi.Options{
		Tokens:      cfg.tokens(),
		PerMinute:   cfg.Limit.PerMinute,
		Version:     version,
		Logger:      log,
		Account:     session.DefaultAccount,
		MetricsOpen: loopback(a.listener.Addr()),
		Panicked:    a.panics.request.add,
	}, a.lane, a.db, a.account, a.db, guard, newMetrics(prometheus.NewRegistry(), a))
	return a, err
}

// openAccount opens the account on its keys; what happens to it goes to the operator, the lane and the ledger.
func (a *app) openAccount(ctx context.Context, cfg Config, work *worker) (*session.Account, error) {
	keys, err := a.db.WhatsApp(ctx)
	if err != nil {
		return nil, err
	}
	options := session.Options{
		Account:            session.DefaultAccount,
		DB:                 keys,
		ForgetSent:         a.db.ForgetSent,
		Keeper:             a.db,
		DeviceName:         cfg.Device.Name,
		PairingAuto:        cfg.Pairing.Auto,
		PairingRounds:      cfg.Pairing.Rounds,
		Proxy:              cfg.Proxy,
		UseLiveVersion:     cfg.Protocol.LiveVersion == "use",
		CheckCachePositive: cfg.Check.CachePositive,
		CheckCacheNegative: cfg.Check.CacheNegative,
		CheckLimits:        cfg.limits(),
		Timing:             session.Timing{BackoffMax: cfg.Reconnect.MaxPause, ReplacedRetry: cfg.Reconnect.ReplacedPause},
		Logger:             a.log,
		Observe: func(ctx context.Context, event session.Event) error {
			return a.observe(ctx, work, event)
		},
	}
	if cfg.Simulator.Addr != "" {
		options.Simulator = &session.Simulator{Addr: cfg.Simulator.Addr, RootKey: cfg.Simulator.RootKey}
	}
	account, err := session.Open(ctx, options)
	if errors.Is(err, session.ErrKeys) {
		err = fmt.Errorf("%w; to log in anew, move whatsapp.db out of %s: tasks are kept apart from it", err, cfg.DataDir)
	}
	return account, err
}

// observe hands one event of the account to everybody concerned.
func (a *app) observe(ctx context.Context, work *worker, event session.Event) error {
	switch event := event.(type) {
	case session.StatusChanged:
		work.changed()
		a.sender.Wake() // what is news about the account is queued by now
	case session.Notice:
		a.sender.Wake()
	case session.PairingChanged:
		if event.Round.State == session.PairingPaired {
			if err := a.lane.Paired(ctx, time.Now()); err != nil {
				a.log.Error("the pairing could not be noted for the pace", "error", err)
			}
		}
	case session.Settled:
		if err := a.lane.Settled(ctx); err != nil {
			a.log.Error("first messages to strangers wait longer than they need to", "error", err)
		}
	case session.MessageReceived:
		from := task.Address{Number: string(event.From), LID: event.LID}
		if err := a.lane.Heard(ctx, from, event.At); err != nil {
			return err
		}
		if err := a.lane.Confirm(ctx, reply(event)); err != nil {
			return err
		}
	case session.MessageConfirmed:
		if err := a.lane.Confirm(ctx, confirmation(event)); err != nil {
			return err
		}
	}
	a.notifier.Observe(event)
	if a.watch != nil {
		a.watch(event)
	}
	return nil
}

// Run works until the context ends, then stops in order: no new requests, the work in flight to its end, callbacks, the
// connection, and the operators' messages last.
func (a *app) Run(ctx context.Context) error {
	defer a.close()
	server := httpapi.NewServer(a.api.Handler(), a.limits, a.log)
	a.log.Info("listening", "address", a.listener.Addr().String())

	parts := newParts(ctx)
	notifier := parts.start("notify", a.notifier.Run)
	account := parts.start("session", a.account.Run)
	sender := parts.start("callback", a.sender.Run)
	lane := parts.start("task", a.lane.Run)
	check := parts.start("ledger", a.db.Check)
	http := parts.start("http", func(ctx context.Context) error {
		return server.Serve(ctx, a.listener, stopRequests)
	})

	<-parts.failed.Done() // the process is told to stop, or a part gave up
	a.log.Info("stopping")
	a.api.Stop()
	check.stop(stopRequests)
	http.stop(stopRequests)
	lane.stop(stopLanes)
	sender.stop(stopRequests)
	account.stop(stopSession)
	notifier.stop(stopNotify)
	err := parts.err()
	if err == nil {
		a.log.Info("stopped")
	}
	return err
}

// close gives back what newApp opened. It can be called twice.
func (a *app) close() {
	if a.listener != nil {
		_ = a.listener.Close() // already closed after a run
	}
	if a.db != nil {
		if err := a.db.Close(); err != nil {
			a.log.Error("closing the ledger failed", "error", err)
		}
	}
}

// ownAddresses says where the daemon listens: no callback may ever go there.
func (a *app) ownAddresses() []netip.AddrPort {
	address, err := netip.ParseAddrPort(a.listener.Addr().String())
	if err != nil {
		return nil
	}
	return []netip.AddrPort{address}
}

func loopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// parts are the daemon's long-running halves. Each has a context of its own, so that they end in order; when one ends by
// itself with an error, all are asked to stop.
type parts struct {
	failed context.Context
	fail   context.CancelCauseFunc
	base   context.Context

	mu   sync.Mutex
	errs []error
}

// part is one of them.
type part struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func newParts(ctx context.Context) *parts {
	failed, fail := context.WithCancelCause(ctx)
	return &parts{failed: failed, fail: fail, base: context.WithoutCancel(ctx)}
}

func (p *parts) start(name string, run func(context.Context) error) *part {
	ctx, cancel := context.WithCancel(p.base)
	one := &part{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(one.done)
		if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			err = fmt.Errorf("%s: %w", name, err)
			p.mu.Lock()
			p.errs = append(p.errs, err)
			p.mu.Unlock()
			p.fail(err)
		}
	}()
	return one
}

// stop asks a part to end and waits for it, but not for ever: what is durable does not depend on a clean end.
func (p *part) stop(limit time.Duration) {
	p.cancel()
	select {
	case <-p.done:
	case <-time.After(limit):
	}
}

func (p *parts) err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.errs...)
}
