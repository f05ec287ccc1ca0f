package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store/sqlstore"
)

// Account is one account of the daemon: its link to a phone, its connection, and what is done over it. All methods may be
// called at once by many goroutines. What changes is told to Options.Observe; there is no other notice of changes.
type Account struct {
	opts      Options
	log       *slog.Logger
	library   *libraryLog
	container *sqlstore.Container
	dialer    *dialer
	owner     *owner // used by Run's goroutine only

	mail    chan order
	running atomic.Bool
	stopped chan struct{} // closed when the owner takes no more orders
	work    work

	status atomic.Pointer[Status]
	round  atomic.Pointer[PairingRound]
	online atomic.Pointer[link] // what sends and checks use; nil while not logged in

	sending   chan struct{} // holds one value while a send or a log-out uses the connection
	checks    checks
	rebuilds  rebuilds
	refusals  refusals
	tally     tally
	heart     heartbeat
	behind    atomic.Int64 // revisions behind the live version; negative while that is not known
	history   sync.Mutex   // one piece of it is read at a time
	observing sync.Mutex   // Observe is called by one goroutine at a time
}

// order is something the owner does in its own goroutine.
type order func(ctx context.Context, o *owner)

// Open prepares an account: it loads its device and what is kept about it, and connects nothing. Run does.
func Open(ctx context.Context, opts Options) (*Account, error) {
	opts, err := opts.complete()
	if err != nil {
		return nil, err
	}
	if err := checkRoot(opts.Simulator); err != nil {
		return nil, err
	}
	dialer, err := newDialer(opts)
	if err != nil {
		return nil, err
	}
	setDevice(opts.DeviceName, opts.Timing)
	a := &Account{
		opts:    opts,
		log:     opts.Logger.With("account", opts.Account),
		dialer:  dialer,
		mail:    make(chan order, 256),
		stopped: make(chan struct{}),
		sending: make(chan struct{}, 1),
		heart:   heartbeat{born: time.Now()},
		checks:  checks{flights: map[Number]*flight{}, allowance: allowance{limits: opts.CheckLimits}},
	}
	a.library = newLibraryLog(a.log, opts.Now)
	a.library.quota = a.sawQuota
	a.container = sqlstore.NewWithDB(opts.DB, "sqlite3", module{a.library, "Database"})
	if err := a.container.Upgrade(ctx); err != nil {
		return nil, fmt.Errorf("prepare whatsmeow's tables: %w", err)
	}
	facts, err := opts.Keeper.Facts(ctx, opts.Account)
	if err != nil {
		return nil, fmt.Errorf("open account %s: %w", opts.Account, err)
	}
	if err := a.checks.allowance.recall(ctx, opts.Keeper, opts.Account, opts.Now()); err != nil {
		return nil, fmt.Errorf("open account %s: %w", opts.Account, err)
	}
	link, err := a.loadLink(ctx, facts.Number)
	if err != nil {
		return nil, fmt.Errorf("open account %s: %w", opts.Account, err)
	}
	a.behind.Store(-1)
	a.owner = newOwner(a, facts, link)
	a.snapshot()
	return a, nil
}

// Run connects the account when it is paired, starts a pairing round when it never was, and keeps it so until the context
// ends. Then it takes no more work, waits for the send in flight up to a limit, disconnects, and returns nil once
// everything it started has ended. It can run once.
func (a *Account) Run(ctx context.Context) error {
	if a.running.Swap(true) {
		return errors.New("an account runs once")
	}
	a.owner.run(ctx)
	a.stop(context.WithoutCancel(ctx))
	return nil
}

// stop ends what is left after the owner's loop.
func (a *Account) stop(ctx context.Context) {
	close(a.stopped)
	patience := time.NewTimer(a.opts.Timing.Stop)
	defer patience.Stop()
	select {
	case a.sending <- struct{}{}: // kept: nothing is sent any more
	case <-patience.C:
		a.log.Warn("stopping while a message is on its way; its outcome is unknown")
	}
	a.online.Store(nil)
	a.owner.hangUp()
	a.work.wait()
	a.dialer.close()
}

// Status returns the account's present state.
func (a *Account) Status() Status {
	status := *a.status.Load()
	status.LastAnswer = a.library.answered()
	status.RoundTrip = time.Duration(a.library.roundTrip.Load())
	return status
}

// Pairing returns the present pairing round, or the last one.
func (a *Account) Pairing() PairingRound { return *a.round.Load() }

// LogCounts returns how many lines whatsmeow wrote to its log, by level: debug, info, warn, error. A calm account has no
// warnings and no errors.
func (a *Account) LogCounts() map[string]int { return a.library.levels() }

// NewMessageID makes an ID for a message, as WhatsApp's web client makes them. It works on an unpaired account as well.
func (a *Account) NewMessageID() MessageID {
	seed := make([]byte, 8, 64)
	binary.BigEndian.PutUint64(seed, uint64(a.opts.Now().Unix()))
	if number := a.status.Load().Number; number != "" {
		seed = append(seed, number+"@c.us"...)
	}
	chance := make([]byte, 16)
	_, _ = rand.Read(chance) // never fails: the program ends instead
	sum := sha256.Sum256(append(seed, chance...))
	return MessageID(whatsmeow.WebMessageIDPrefix + strings.ToUpper(hex.EncodeToString(sum[:9])))
}

// ConfirmNumber accepts that another number than before was paired: tasks of the new one run from now on. Without a
// link it returns ErrNotPaired; when there is nothing to confirm it does nothing.
func (a *Account) ConfirmNumber(ctx context.Context) error {
	return a.ask(ctx, func(ctx context.Context, o *owner) error { return o.confirm(ctx) })
}

// post hands the owner an order. It returns false when the account has stopped.
func (a *Account) post(do order) bool {
	select {
	case <-a.stopped:
		return false
	default:
	}
	select {
	case a.mail <- do:
		return true
	case <-a.stopped:
		return false
	}
}

// ask has the owner do something and waits for its answer. When ctx ends first, it may still be done.
func (a *Account) ask(ctx context.Context, do func(ctx context.Context, o *owner) error) error {
	answer := make(chan error, 1)
	if !a.post(func(ctx context.Context, o *owner) { answer <- do(ctx, o) }) {
		return stopping()
	}
	select {
	case err := <-answer:
		return err
	case <-a.stopped:
		return stopping()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stopping is the answer of an account that has stopped.
func stopping() error {
	return &Error{Code: CodeStopping, Retry: RetryOnline, Hint: "the daemon is being stopped", Err: errStopped}
}

// connected returns the link to send over, or why there is none.
func (a *Account) connected() (*link, error) {
	select {
	case <-a.stopped:
		return nil, stopping()
	default:
	}
	if l := a.online.Load(); l != nil {
		return l, nil
	}
	status := a.status.Load()
	if !status.Paired() {
		return nil, &Error{Code: CodeNotPaired, Retry: RetryOnline, Hint: "link a phone first", Err: ErrNotPaired}
	}
	return nil, &Error{Code: CodeOffline, Retry: RetryOnline, Hint: "the account is " + string(status.State)}
}

// observe tells an event.
func (a *Account) observe(ctx context.Context, event Event) error {
	a.observing.Lock()
	defer a.observing.Unlock()
	return a.opts.Observe(ctx, event)
}

// work counts goroutines, and takes no more once somebody waits for their end.
type work struct {
	mu     sync.Mutex
	closed bool
	group  sync.WaitGroup
}

// start runs f in a goroutine that wait waits for. It returns false after wait.
func (w *work) start(f func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.group.Go(f)
	return true
}

// wait takes no more goroutines and returns when all have ended.
func (w *work) wait() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.group.Wait()
}
