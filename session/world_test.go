package session_test

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

// The people of these tests.
const (
	ana     = "5511900000001" // whose account it is
	bea     = "4915100000001"
	cem     = "4915100000002"
	nobody  = "4915100000009" // not on WhatsApp
	another = "5511900000002" // another owner
)

// patience is how long tests wait for what must happen.
const patience = 30 * time.Second

// world is one test's simulator, the account under test, and what it told.
type world struct {
	t       *testing.T
	sim     *simulator.Server
	db      *sql.DB
	keeper  *keeper
	opts    session.Options
	account *session.Account
	halt    func()

	mu     sync.Mutex
	events []session.Event
	more   chan struct{} // closed and replaced with every event
	refuse int           // so many messages are not taken
}

func newWorld(t *testing.T, opts ...simulator.Options) *world {
	t.Helper()
	var o simulator.Options
	if len(opts) > 0 {
		o = opts[0]
	}
	o.RootPrivate = rootPrivate
	w := &world{t: t, sim: simulator.Start(t, o), keeper: newKeeper(), more: make(chan struct{})}
	for _, spec := range []simulator.AccountSpec{
		{Number: ana, Name: "Ana"}, {Number: bea, Name: "Bea"}, {Number: cem, Name: "Cem"},
		{Number: another, Name: "Another"}, {Number: nobody, Unregistered: true},
	} {
		require.NoError(t, w.sim.AddAccount(spec))
	}
	path := filepath.Join(t.TempDir(), "whatsapp.db")
	db, err := sql.Open("sqlite3", "file:"+path+"?_foreign_keys=on&_journal_mode=WAL&_synchronous=NORMAL&_busy_timeout=20000&_txlock=immediate")
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	w.db = db
	w.opts = session.Options{
		DB: db, ForgetSent: func(context.Context, time.Time) error { return nil }, Keeper: w.keeper, Observe: w.observe, PairingRounds: 3,
		CheckCachePositive: time.Hour, CheckCacheNegative: time.Hour,
		Simulator: &session.Simulator{Addr: w.sim.Addr(), RootKey: w.sim.RootKey()},
		Logger:    slog.New(slog.NewTextHandler(outputOf(t), nil)),
		Timing: session.Timing{
			BackoffMin: 20 * time.Millisecond, BackoffMax: 200 * time.Millisecond, Tick: 50 * time.Millisecond,
			ReplacedRetry: 50 * time.Millisecond, ReplacedYoung: time.Nanosecond, RoundPause: 50 * time.Millisecond, TaskRoundPause: 50 * time.Millisecond,
			Relogin: 3 * time.Second, Send: 3 * time.Second, Observe: 10 * time.Millisecond,
			PingMin: time.Second, PingMax: 2 * time.Second, PingAnswer: 3 * time.Second,
		},
	}
	return w
}

// output writes to a test's log until the test ends: a goroutine of the library may say something after that.
type output struct {
	mu sync.Mutex
	to io.Writer
}

func outputOf(t *testing.T) io.Writer {
	o := &output{to: t.Output()}
	t.Cleanup(func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.to = io.Discard
	})
	return o
}

func (o *output) Write(line []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.to.Write(line)
}

// run opens the account and runs it until the test ends or halt is called.
func (w *world) run() {
	w.t.Helper()
	account, err := session.Open(w.t.Context(), w.opts)
	require.NoError(w.t, err)
	w.account = account
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- account.Run(ctx) }()
	w.halt = sync.OnceFunc(func() {
		cancel()
		require.NoError(w.t, <-ended)
	})
	w.t.Cleanup(w.halt)
}

func (w *world) observe(_ context.Context, event session.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, isMessage := event.(session.MessageReceived); isMessage && w.refuse > 0 {
		w.refuse--
		return errors.New("the test takes no message")
	}
	w.events = append(w.events, event)
	close(w.more)
	w.more = make(chan struct{})
	return nil
}

// wait returns once a condition holds; it is asked after every event.
func (w *world) wait(what string, holds func() bool) {
	w.t.Helper()
	late := time.After(patience)
	for {
		w.mu.Lock()
		more := w.more
		w.mu.Unlock()
		if holds() {
			return
		}
		select {
		case <-more:
		case <-late:
			round := w.account.Pairing()
			round.Code = ""
			w.t.Fatalf("did not happen: %s; %+v, %+v", what, w.account.Status(), round)
		}
	}
}

func (w *world) waitState(state session.State) {
	w.t.Helper()
	w.wait("state "+string(state), func() bool { return w.account.Status().State == state })
}

// waitCode returns the code of a round once one is live.
func (w *world) waitCode(round int) string {
	w.t.Helper()
	w.wait("a code", func() bool { p := w.account.Pairing(); return p.Round >= round && p.Code != "" })
	return w.account.Pairing().Code
}

// scan lets a phone scan the code that is live, and waits until the account is online.
func (w *world) scan(number string) {
	w.t.Helper()
	require.NoError(w.t, w.sim.Scan(w.t.Context(), number, w.waitCode(1)))
	w.wait("paired and online", func() bool {
		return w.account.Status().State == session.Online && w.account.Pairing().State == session.PairingPaired
	})
}

// pair runs the account and links it to Ana's phone.
func (w *world) pair() {
	w.t.Helper()
	w.run()
	w.scan(ana)
}

func (w *world) send(to, text string) (session.Sent, error) {
	return w.account.Send(w.t.Context(), session.Message{ID: w.account.NewMessageID(), To: session.Number(to), Text: text})
}

// read returns an inbox once it holds so many messages.
func (w *world) read(number string, count int) []simulator.Entry {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	err := w.sim.WaitInbox(ctx, number, func(entries []simulator.Entry) bool { return len(entries) >= count })
	require.NoError(w.t, err, "messages at %s: %d of %d", number, len(w.sim.Inbox(number)), count)
	return w.sim.Inbox(number)
}

// told returns the events of one kind so far.
func told[E session.Event](w *world) []E {
	w.mu.Lock()
	defer w.mu.Unlock()
	var events []E
	for _, event := range w.events {
		if e, ok := event.(E); ok {
			events = append(events, e)
		}
	}
	return events
}

// heard returns the texts of a contact that the account was told, in order.
func (w *world) heard(from string) (texts []string) {
	for _, m := range told[session.MessageReceived](w) {
		if string(m.From) == from {
			texts = append(texts, m.Text)
		}
	}
	return texts
}

// rest is a pause between two tries.
func (w *world) rest(pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.t.Context().Done():
	}
}

// isCalm fails the test if the library complained.
func (w *world) isCalm() {
	w.t.Helper()
	counts := w.account.LogCounts()
	require.Zero(w.t, counts["warn"]+counts["error"], "complaints of the library: %v", counts)
}

// keeper keeps in memory what an account needs kept.
type keeper struct {
	mu      sync.Mutex
	facts   session.Facts
	news    []session.Notice    // by the facts as they were kept
	keeps   func(session.Facts) // told of facts before they are kept; nil for nobody
	answers map[session.Number]session.Checked
}

func newKeeper() *keeper { return &keeper{answers: map[session.Number]session.Checked{}} }

func (k *keeper) CheckedNumbers(_ context.Context, _ session.AccountID, numbers []session.Number) (map[session.Number]session.Checked, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	found := maps.Clone(k.answers)
	maps.DeleteFunc(found, func(number session.Number, _ session.Checked) bool {
		return !slices.Contains(numbers, number)
	})
	return found, nil
}

func (k *keeper) CheckTimes(_ context.Context, _ session.AccountID, since time.Time) ([]time.Time, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var times []time.Time
	for _, answer := range k.answers {
		if !answer.At.Before(since) {
			times = append(times, answer.At)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times, nil
}

func (k *keeper) KeepChecked(_ context.Context, _ session.AccountID, answers []session.Checked) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, answer := range answers {
		k.answers[answer.Number] = answer
	}
	return nil
}

func (k *keeper) Facts(context.Context, session.AccountID) (session.Facts, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.facts, nil
}

func (k *keeper) KeepFacts(_ context.Context, _ session.AccountID, facts session.Facts) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keeps != nil {
		k.keeps(facts)
	}
	k.news = append(k.news, facts.Since(k.facts)...)
	k.facts = facts
	return nil
}

// codes returns what operators should have heard of by what was kept.
func (k *keeper) codes() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	codes := []string{}
	for _, n := range k.news {
		codes = append(codes, n.Code)
	}
	return codes
}

// onKeep has somebody told of facts before they are kept.
func (k *keeper) onKeep(keeps func(session.Facts)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keeps = keeps
}
