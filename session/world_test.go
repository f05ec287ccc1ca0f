package session_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
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

const (
	owner    = "4917600000001"
	stranger = "4917600000999" // not on WhatsApp
	patience = 30 * time.Second
)

func contact(i int) string { return fmt.Sprintf("49176100%05d", i) }

// world is a simulator, the account under test, and what it told.
type world struct {
	t       *testing.T
	sim     *simulator.Server
	dir     string
	keeper  *memory
	options session.Options
	account *session.Account
	stop    func()

	mu       sync.Mutex
	states   []session.State
	messages []session.MessageReceived
	changed  chan struct{}
}

func newWorld(t *testing.T, contacts int, opts ...simulator.Options) *world {
	t.Helper()
	var o simulator.Options
	if len(opts) > 0 {
		o = opts[0]
	}
	o.RootPrivate = rootPrivate
	w := &world{t: t, sim: simulator.Start(t, o), dir: t.TempDir(), keeper: newMemory(), changed: make(chan struct{})}
	require.NoError(t, w.sim.AddAccount(simulator.AccountSpec{Number: owner, Name: "Owner"}))
	require.NoError(t, w.sim.AddAccount(simulator.AccountSpec{Number: stranger, Unregistered: true}))
	for i := range contacts {
		require.NoError(t, w.sim.AddAccount(simulator.AccountSpec{Number: contact(i + 1), Name: fmt.Sprintf("Contact %d", i+1)}))
	}
	w.options = session.Options{
		Account: session.DefaultAccount, Keeper: w.keeper, PairingAuto: true, PairingRounds: 2,
		CheckCachePositive: time.Hour, CheckCacheNegative: time.Hour,
		Simulator: &session.Simulator{Addr: w.sim.Addr()},
		Logger:    slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo})),
		Timing: session.Timing{
			LoginPatience: 2 * time.Second, RestartWait: 2 * time.Second, Backoff: 20 * time.Millisecond, BackoffMost: time.Second,
			ReplacedWait: 50 * time.Millisecond, RoundPause: 50 * time.Millisecond, PairPause: 50 * time.Millisecond, Answer: 2 * time.Second,
		},
	}
	return w
}

// run opens the account on the world's files and runs it until the test ends or stop is called.
func (w *world) run() {
	w.t.Helper()
	path := filepath.Join(w.dir, "whatsapp.db")
	db, err := sql.Open("sqlite3", "file:"+path+"?_foreign_keys=on&_journal_mode=WAL&_synchronous=NORMAL&_txlock=immediate&_busy_timeout=20000")
	require.NoError(w.t, err)
	db.SetMaxOpenConns(1)
	options := w.options
	options.DB, options.Observe = db, w.observe
	account, err := session.Open(w.t.Context(), options)
	require.NoError(w.t, err)
	w.account = account
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := account.Run(ctx); err != nil {
			w.t.Errorf("run: %v", err)
		}
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		<-done
		require.NoError(w.t, db.Close())
	})
	w.t.Cleanup(w.stop)
}

func (w *world) observe(_ context.Context, event session.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch event := event.(type) {
	case session.StatusChanged:
		w.states = append(w.states, event.Status.State)
	case session.MessageReceived:
		w.messages = append(w.messages, event)
	}
	close(w.changed)
	w.changed = make(chan struct{})
	return nil
}

// until waits for a condition, which is asked after every event.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	late := time.After(patience)
	for {
		w.mu.Lock()
		changed := w.changed
		w.mu.Unlock()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-late:
			w.t.Fatalf("not reached: %s; state %+v, round %s", what, w.account.Status(), w.account.Pairing().State)
		}
	}
}

func (w *world) state(want session.State) {
	w.t.Helper()
	w.until("state "+string(want), func() bool { return w.account.Status().State == want })
}

// saw tells whether the account was in a state.
func (w *world) saw(state session.State) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.states, state)
}

// code waits for a live pairing code.
func (w *world) code() string {
	w.t.Helper()
	w.until("a code is live", func() bool { return w.account.Pairing().Code != "" })
	return w.account.Pairing().Code
}

// pair lets the owner's phone scan the code and waits until the account is online.
func (w *world) pair() {
	w.t.Helper()
	require.NoError(w.t, w.sim.Scan(w.t.Context(), owner, w.code()))
	w.state(session.Online)
}

func (w *world) send(to, text string) error {
	_, err := w.account.Send(w.t.Context(), session.Message{ID: w.account.NewMessageID(), To: session.Number(to), Text: text})
	return err
}

func (w *world) inbox(number string, count int) []simulator.Entry {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	err := w.sim.WaitInbox(ctx, number, func(entries []simulator.Entry) bool { return len(entries) >= count })
	require.NoError(w.t, err)
	return w.sim.Inbox(number)
}

func (w *world) calm() {
	w.t.Helper()
	require.Zero(w.t, w.account.LogCounts()["warn"], "warnings of the protocol library")
	require.Zero(w.t, w.account.LogCounts()["error"], "errors of the protocol library")
}

// memory keeps what an account needs kept.
type memory struct {
	mu      sync.Mutex
	numbers map[session.Number]session.Checked
	facts   session.Facts
}

func newMemory() *memory { return &memory{numbers: map[session.Number]session.Checked{}} }

func (m *memory) CheckedNumbers(_ context.Context, _ session.AccountID, numbers []session.Number) (map[session.Number]session.Checked, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[session.Number]session.Checked{}
	for _, number := range numbers {
		if answer, ok := m.numbers[number]; ok {
			found[number] = answer
		}
	}
	return found, nil
}

func (m *memory) KeepChecked(_ context.Context, _ session.AccountID, answers []session.Checked) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, answer := range answers {
		m.numbers[answer.Number] = answer
	}
	return nil
}

func (m *memory) Facts(context.Context, session.AccountID) (session.Facts, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.facts, nil
}

func (m *memory) KeepFacts(_ context.Context, _ session.AccountID, facts session.Facts) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.facts = facts
	return nil
}
