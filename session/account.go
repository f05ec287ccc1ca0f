package session

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
)

// Options is what an account needs.
type Options struct {
	Account AccountID
	DB      *sql.DB // WhatsApp's own keys, on one connection with foreign keys on
	Keeper  Keeper
	// Observe is told every event, in order. It must be quick; only its error for MessageReceived counts: WhatsApp then
	// keeps the message and delivers it again.
	Observe func(context.Context, Event) error

	PairingAuto   bool // start rounds by itself when WhatsApp ended the session
	PairingRounds int  // how many, until a person or a task asks

	Proxy     string     // for everything that goes to WhatsApp; empty for none
	Simulator *Simulator // nil for WhatsApp itself

	CheckCachePositive, CheckCacheNegative time.Duration // how long answers about numbers hold; 0 turns the cache off

	Timing Timing
	Logger *slog.Logger
}

// Account is one account's half of WhatsApp: its link to a phone, its connection, and what is asked and sent over it.
//
// One goroutine, in Run, dials, pairs and ends; it alone changes the link. Everybody else reads what it has published.
type Account struct {
	opts      Options
	log       *slog.Logger
	container *sqlstore.Container
	counts    *logCounts
	signals   chan signal   // from the library's event handlers to Run
	requests  chan request  // from callers to Run
	needed    chan struct{} // holds one value: work met an account without a link
	stopped   chan struct{}

	checking chan struct{} // holds one value: one query for numbers at a time
	sending  chan struct{} // holds one value: one send at a time

	mu      sync.Mutex
	status  Status
	round   PairingRound
	facts   Facts
	link    *link         // nil while there is none
	changed chan struct{} // closed and replaced when the round changes
	events  eventQueue
}

// link is a device with its client: made for a pairing round or loaded from the store, gone after a log-out.
type link struct {
	client *whatsmeow.Client
	guard  *guard
	ended  chan struct{} // closed once the reason of its end is kept
	once   sync.Once
	own    []types.JID // the account's own addresses, once paired
}

// markEnded lets the library delete the device.
func (l *link) markEnded() { l.once.Do(func() { close(l.ended) }) }

// Open prepares an account: it upgrades the store of keys and loads the link, if there is one. Run connects it.
func Open(ctx context.Context, opts Options) (*Account, error) {
	opts.Timing = opts.Timing.withDefaults()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Observe == nil {
		opts.Observe = func(context.Context, Event) error { return nil }
	}
	a := &Account{
		opts: opts, log: opts.Logger.With("account", string(opts.Account)), counts: newLogCounts(),
		signals: make(chan signal, 64), requests: make(chan request), needed: make(chan struct{}, 1), stopped: make(chan struct{}),
		checking: make(chan struct{}, 1), sending: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	a.round = PairingRound{Account: opts.Account, State: PairingIdle}
	a.container = sqlstore.NewWithDB(opts.DB, "sqlite3", a.libraryLog("store"))
	if err := a.container.Upgrade(ctx); err != nil {
		return nil, fmt.Errorf("prepare the store of WhatsApp's keys: %w", err)
	}
	facts, err := opts.Keeper.Facts(ctx, opts.Account)
	if err != nil {
		return nil, fmt.Errorf("read what is known about the account: %w", err)
	}
	a.facts = facts
	device, err := a.container.GetFirstDevice(ctx)
	if err != nil {
		return nil, fmt.Errorf("load WhatsApp's keys: %w", err)
	}
	a.status = Status{Account: opts.Account, State: Unpaired, Since: time.Now()}
	if device.ID == nil {
		a.status.State, a.status.Reason, a.status.Detail = unpairedState(facts)
		return a, nil
	}
	if a.link, err = a.newLink(device); err != nil {
		return nil, err
	}
	a.status.State = Connecting
	a.describeLink(&a.status, a.link)
	return a, nil
}

// unpairedState is what an account without a link is: never paired, or logged out for a reason.
func unpairedState(facts Facts) (State, string, string) {
	if facts.EndState == "" && facts.PairedAt.IsZero() {
		return Unpaired, "", ""
	}
	reason := facts.EndReason
	if reason == "" {
		reason = CodeLoggedOut
	}
	return LoggedOut, reason, facts.EndDetail
}

func (a *Account) libraryLog(module string) libraryLog {
	return libraryLog{log: a.log.With("module", module), counts: a.counts}
}

// newLink makes a client for a device, with everything on that the library leaves off and a daemon needs.
func (a *Account) newLink(device *store.Device) (*link, error) {
	l := &link{guard: &guard{}, ended: make(chan struct{})}
	container := watchedContainer{DeviceContainer: device.Container, guard: l.guard, ended: l.ended}
	device.Container = container
	if device.ID != nil {
		container.watch(device)
	}
	client := whatsmeow.NewClient(device, a.libraryLog("client"))
	client.EnableAutoReconnect = false      // Run dials
	client.DisableLoginAutoReconnect = true // also after the restart that follows a pairing
	client.SynchronousAck = true            // WhatsApp hears "received" after we have kept it
	client.EnableDecryptedEventBuffer = true
	client.UseRetryMessageStore = true // retry requests are answered after a restart as well
	if err := a.opts.wire(client); err != nil {
		return nil, err
	}
	client.AddEventHandlerWithSuccessStatus(func(event any) bool { return a.handle(l, event) })
	l.client = client
	return l, nil
}

// describeLink fills in whose link it is.
func (a *Account) describeLink(status *Status, l *link) {
	jid := l.client.Store.GetJID()
	l.own = []types.JID{jid, l.client.Store.GetLID()}
	status.Number, status.LID = Number(jid.User), l.client.Store.GetLID().User
	status.Confirm = a.facts.Number != "" && a.facts.Number != status.Number
}

// Status returns the account's state now.
func (a *Account) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status
}

// Pairing returns the present pairing round, or the last one.
func (a *Account) Pairing() PairingRound {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.round
}

// LogCounts returns how many lines the protocol library has logged, by level.
func (a *Account) LogCounts() map[string]int { return a.counts.snapshot() }

// NewMessageID makes an ID for a message, in the shape that WhatsApp's clients use. It needs no connection.
func (a *Account) NewMessageID() MessageID {
	return MessageID((&whatsmeow.Client{Store: &store.Device{}}).GenerateMessageID())
}

// ConfirmNumber lets the account work although another number was paired than before.
func (a *Account) ConfirmNumber(ctx context.Context) error {
	a.mu.Lock()
	if a.link == nil || !a.status.Paired() {
		a.mu.Unlock()
		return ErrNotPaired
	}
	facts := a.facts
	facts.Number = a.status.Number
	a.mu.Unlock()
	if err := a.keepFacts(ctx, facts); err != nil {
		return err
	}
	a.update(func(s *Status) { s.Confirm = false })
	return nil
}

// keepFacts keeps facts on disk, then in memory.
func (a *Account) keepFacts(ctx context.Context, facts Facts) error {
	if err := a.opts.Keeper.KeepFacts(ctx, a.opts.Account, facts); err != nil {
		return fmt.Errorf("keep what is known about the account: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.facts = facts
	return nil
}

// update changes the status and tells the observer when anything a person would notice has changed.
func (a *Account) update(change func(*Status)) {
	a.mu.Lock()
	before := a.status
	change(&a.status)
	after := a.status
	if after.State != before.State {
		after.Since = time.Now()
		a.status.Since = after.Since
	}
	told := before.State != after.State || before.Reason != after.Reason || before.Number != after.Number || before.Confirm != after.Confirm
	if told {
		a.events.add(StatusChanged{after})
	}
	a.mu.Unlock()
	if told {
		a.log.Info("state", "state", string(after.State), "reason", after.Reason)
	}
}

// enter puts the account into a state. Number and LID stay.
func (a *Account) enter(state State, reason, detail string, until time.Time) {
	a.update(func(s *Status) { s.State, s.Reason, s.Detail, s.Until = state, reason, detail, until })
}

// answered notes that WhatsApp has just said something.
func (a *Account) answered() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status.LastAnswer = time.Now()
}

// online returns the link to work with, or why there is none.
func (a *Account) online() (*link, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.link == nil || !a.status.Paired():
		return nil, notPaired()
	case a.status.State != Online && a.status.State != Degraded:
		return nil, offline(fmt.Errorf("the account is %s", a.status.State))
	}
	return a.link, nil
}

// Run connects the account and keeps it connected, or pairs it, until the context ends. It returns after the send in flight
// has ended, or after Timing.StopSend, and after the observer has heard everything.
func (a *Account) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	telling, toldAll := context.WithCancel(context.WithoutCancel(ctx))
	wg.Go(func() { a.tell(telling) })
	for ctx.Err() == nil {
		if l := a.paired(); l != nil {
			a.live(ctx, l)
		} else {
			a.unpaired(ctx)
		}
	}
	close(a.stopped)
	a.finishSend()
	if l := a.paired(); l != nil {
		l.client.Disconnect()
	}
	toldAll()
	wg.Wait()
	return nil
}

// paired returns the link of a paired account, nil for any other.
func (a *Account) paired() *link {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.link == nil || !a.status.Paired() {
		return nil
	}
	return a.link
}

// finishSend waits for the send in flight: cutting it off could crash the library, and would leave its outcome unknown.
func (a *Account) finishSend() {
	select {
	case a.sending <- struct{}{}:
	case <-time.After(a.opts.Timing.StopSend):
		a.log.Warn("stopping while a message is on its way; it is repeated under the same ID at the next start")
	}
}

// errStopping is what callers get from an account that has stopped.
var errStopping = errors.New("the account is stopping")
