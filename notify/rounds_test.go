package notify_test

import (
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/require"

	"whatsappd/notify"
	"whatsappd/session"
	"whatsappd/simulator"
)

// rootPrivate is the root key of the simulator of these tests: a process trusts one root.
const rootPrivate = "5a17000000000000000000000000000000000000000000000000000000000011"

// memory keeps an account's facts in memory.
type memory struct {
	session.Keeper
	mu    sync.Mutex
	facts session.Facts
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

func (m *memory) CheckTimes(context.Context, session.AccountID, time.Time) ([]time.Time, error) {
	return nil, nil
}

func TestCodesThatRunOutAreStruckOutWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	sim := simulator.Start(t, simulator.Options{RootPrivate: rootPrivate})
	require.NoError(t, session.UseRootKey(sim.RootKey()))
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(t.TempDir(), "whatsapp.db")+"?_foreign_keys=on&_txlock=immediate")
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { require.NoError(t, db.Close()) })

	s := newFakeSlack(t)
	n, _, stop := start(t, s)
	var out safeBuffer
	terminal := notify.NewTerminal(&out, true, notify.Always)
	over := make(chan time.Time, 1) // when the round ended
	var clock sync.Mutex
	ahead := time.Duration(0)
	account, err := session.Open(t.Context(), session.Options{
		DB: db, ForgetSent: func(context.Context, time.Time) error { return nil }, Keeper: &memory{}, PairingRounds: 1, Logger: slog.New(slog.DiscardHandler),
		Simulator: &session.Simulator{Addr: sim.Addr(), RootKey: sim.RootKey()},
		Now: func() time.Time {
			clock.Lock()
			defer clock.Unlock()
			return time.Now().Add(ahead)
		},
		Observe: func(_ context.Context, event session.Event) error {
			if changed, ok := event.(session.PairingChanged); ok && !changed.Round.Live() {
				over <- time.Now()
			}
			terminal.Observe(event)
			n.Observe(event)
			return nil
		},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- account.Run(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-ended)
		stop()
	}()

	const codes = 6
	for code := 1; code <= codes; code++ {
		require.NoError(t, n.Shown(t.Context(), 1, code))
		s.until("one picture", func() bool { return len(s.files) == 1 })
		require.Equal(t, code, account.Pairing().CodeIndex)
		clock.Lock()
		ahead = time.Until(account.Pairing().ExpiresAt) + time.Millisecond
		clock.Unlock()
		_ = account.ConfirmNumber(t.Context()) // lets the account look at its clock
	}
	begun := <-over
	s.until("no picture is left", func() bool { return len(s.files) == 0 })
	s.until("the thread says so", s.told("~📱 WhatsApp wants to be linked~ The codes expired"))
	require.Less(t, time.Since(begun), 2*time.Second)
	require.Equal(t, session.PairingExpired, account.Pairing().State)
	s.mu.Lock()
	defer s.mu.Unlock()
	uploads := strings.Count(strings.Join(s.calls, " "), "files.completeUploadExternal")
	require.Equal(t, codes, uploads, "each code was shown once")
	require.Equal(t, 1, strings.Count(strings.Join(s.calls, " "), "chat.postMessage"), "in one thread")
	shown := strings.Join(screen(out.String()), "\n")
	require.Contains(t, shown, "void")
	require.NotContains(t, shown, "█")
}
