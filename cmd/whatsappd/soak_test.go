package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A long run: -soak 1h -soak-rate 20 -soak-kill 5m, with -hostile 30 on a bad network. Without flags it is short.
var (
	soakFor  = flag.Duration("soak", 6*time.Second, "how long tasks are handed to the daemon in the test under load")
	soakRate = flag.Int("soak-rate", 20, "tasks a second in that test")
	soakKill = flag.Duration("soak-kill", 2*time.Second, "between kills of the daemon in that test")
)

// soak is a client that hands work to a daemon that is killed again and again.
type soak struct {
	*world
	random *rand.Rand

	mu       sync.Mutex // guards what follows, and the daemon's address
	messages []string   // accepted, by task
	checks   map[string]bool
	refused  int // not accepted: the daemon was not there
	kills    int
}

// TestEveryTaskEndsOnceThoughTheDaemonIsKilledAgainAndAgain hands the daemon messages and checks at a steady rate, kills it at
// intervals, and compares the list of what was accepted with what the receiver was told, with the ledger and with what the
// recipients read.
func TestEveryTaskEndsOnceThoughTheDaemonIsKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	const contacts = 20
	seed := *hostileSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	s := &soak{world: newWorld(t, contacts), random: rand.New(rand.NewPCG(seed, 1)), checks: map[string]bool{}}
	s.settings["WHATSAPPD_RECONNECT_MAX_PAUSE"] = "1s" // connections end every few seconds: else most of the run is pauses
	s.say("seed %d", seed)
	s.serve()
	s.pair()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), *soakFor)
	defer cancel()
	var working sync.WaitGroup
	working.Go(func() { s.killing(ctx) })
	s.asking(ctx, contacts)
	working.Wait()

	accepted := len(s.messages) + len(s.checks)
	s.say("%d accepted, %d refused while the daemon was away, %d kills", accepted, s.refused, s.kills)
	s.hook.until("the callback of every accepted task", func([]received) bool { return s.hook.tasks() >= accepted })
	results := map[string]int{}
	for _, id := range s.messages {
		results["message "+s.result(id)]++
	}
	for id, registered := range s.checks {
		result := s.result(id)
		results["check "+result]++
		require.NotEqual(t, map[bool]string{true: "False", false: "True"}[registered], result, "task %s", id)
	}
	s.say("all ended once after %s; results %v; codes of failures %v", time.Since(begun).Round(time.Second), results, s.codes())
}

// codes counts the failed tasks by their code, as the ledger has them.
func (s *soak) codes() map[string]int {
	s.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(s.settings["WHATSAPPD_DATA_DIR"], "ledger.db")+"?mode=ro")
	require.NoError(s.t, err)
	defer db.Close()
	rows, err := db.QueryContext(s.t.Context(), `SELECT code, count(*) FROM task WHERE state = 'failed' GROUP BY code`)
	require.NoError(s.t, err)
	defer rows.Close()
	codes := map[string]int{}
	for rows.Next() {
		var code string
		var count int
		require.NoError(s.t, rows.Scan(&code, &count))
		codes[code] = count
	}
	require.NoError(s.t, rows.Err())
	return codes
}

// say tells the test's log; a long run says it at once.
func (s *soak) say(format string, args ...any) {
	s.t.Logf(format, args...)
	if *soakFor >= time.Minute {
		fmt.Printf("soak: "+format+"\n", args...)
	}
}

// result is what the receiver was told of a task, the same however often.
func (s *soak) result(id string) string {
	s.t.Helper()
	all := s.hook.about(id)
	require.NotEmpty(s.t, all, "no callback of task %s", id)
	for _, again := range all {
		require.Equal(s.t, all[0].Result, again.Result, "task %s was told with two results", id)
	}
	return all[0].Result
}

// asking hands over tasks at a steady rate, three messages for two checks.
func (s *soak) asking(ctx context.Context, contacts int) {
	ticker := time.NewTicker(time.Second / time.Duration(*soakRate))
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		s.mu.Lock()
		to := contact(1 + s.random.IntN(contacts))
		endpoint, segments := "message", []string{to, fmt.Sprintf("message %d", n)}
		registered := s.random.IntN(2) == 0
		if s.random.IntN(5) < 2 {
			endpoint, segments = "check", []string{to}
			if !registered {
				segments = []string{strangerNot}
			}
		}
		id, err := s.try(context.WithoutCancel(ctx), endpoint, segments...)
		switch {
		case err != nil:
			s.refused++
		case endpoint == "check":
			s.checks[id] = registered
		default:
			s.messages = append(s.messages, id)
		}
		s.mu.Unlock()
	}
}

// killing ends the daemon as a crash does, again and again, and starts it anew.
func (s *soak) killing(ctx context.Context) {
	for {
		select {
		case <-time.After(*soakKill):
		case <-ctx.Done():
			return
		}
		s.mu.Lock()
		s.daemon.kill()
		s.serve()
		s.kills++
		s.mu.Unlock()
	}
}
