package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/simulator"
)

// The end-to-end tests run on a bad network with -hostile 30, say, or any level up to 100; with -count 20 each round takes
// the next seed. Every failure says its seed: -seed with it does the same to the first connection, the second message and so
// on of that test.
var (
	hostileLevel = flag.Int("hostile", 0, "how bad the network of the end-to-end tests is, 0 to 100")
	hostileSeed  = flag.Uint64("seed", 0, "of the first round of a hostile run; 0 takes a new one")
)

// mischief is what struck the rounds of a hostile run.
var mischief struct {
	sync.Mutex
	begun  map[string]uint64 // rounds by test
	rounds []*round
}

// round is a run of the tests with one seed.
type round struct {
	seed       uint64
	worlds     int
	begun, end time.Time
	struck     map[string]int // by operation and what was done
}

// beHostile prepares for a bad network, if one was asked for.
func beHostile() {
	if *hostileLevel == 0 {
		return
	}
	if *hostileSeed == 0 {
		*hostileSeed = uint64(rand.Uint32()) + 1
	}
	patience = 5 * time.Minute // pauses before dials and tries add up
	mischief.begun = map[string]uint64{}
	fmt.Printf("hostile: level %d, first seed %d\n", *hostileLevel, *hostileSeed)
}

// tellMischief says what struck, at the end of a hostile run.
func tellMischief() {
	for _, r := range mischief.rounds {
		fmt.Printf("hostile: seed %d: %d worlds, %s:", r.seed, r.worlds, r.end.Sub(r.begun).Round(time.Second))
		for _, kind := range slices.Sorted(maps.Keys(r.struck)) {
			fmt.Printf(" %s %d,", kind, r.struck[kind])
		}
		fmt.Println()
	}
}

// beginRound returns the round that a test is in, when it is run for the first or another time.
func beginRound(test string) *round {
	mischief.Lock()
	defer mischief.Unlock()
	place := int(mischief.begun[test])
	mischief.begun[test]++
	for len(mischief.rounds) <= place {
		seed := *hostileSeed + uint64(len(mischief.rounds))
		mischief.rounds = append(mischief.rounds, &round{seed: seed, begun: time.Now(), struck: map[string]int{}})
	}
	return mischief.rounds[place]
}

// hostility makes a test's simulator as hostile as the run. Each test has a seed of its own, made of the round's.
func (w *world) hostility() (args []string) {
	if *hostileLevel == 0 {
		return nil
	}
	w.round = beginRound(w.t.Name())
	w.t.Logf("once more with -run '^%s$' -hostile %d -seed %d", w.t.Name(), *hostileLevel, w.round.seed)
	name := fnv.New64a()
	_, _ = name.Write([]byte(w.t.Name())) // never fails
	return []string{"--hostile", strconv.Itoa(*hostileLevel), "--seed", strconv.FormatUint(w.round.seed^name.Sum64(), 10)}
}

// note adds what struck a world. There is no round on a good network.
func (r *round) note(counters simulator.Counters) {
	if r == nil {
		return
	}
	mischief.Lock()
	defer mischief.Unlock()
	r.worlds++
	r.end = time.Now()
	for kind, count := range counters.Faults {
		r.struck[kind] += count
	}
}

// told is a message task as the ledger has it at the end of a test.
type told struct{ id, number, messageID, state, verdict string }

// honest checks, once the daemon has ended, that what it reported is true: each message that was reported as sent is on its
// recipient's phone exactly once, readable, and no recipient has a message that belongs to no task.
func (w *world) honest() {
	w.t.Helper()
	ctx := context.WithoutCancel(w.t.Context()) // a test's context ends before its cleanup
	known := map[string]told{}
	recipients := map[string]bool{}
	for _, message := range w.ledger(ctx) {
		known[message.messageID] = message
		recipients[message.number] = true
		if callback, ok := w.hook.of(message.id); ok {
			require.Contains(w.t, []string{"done", "failed"}, message.state, "task %s was reported before it ended", message.id)
			require.Equal(w.t, message.verdict == "yes", callback.Result == "True", "task %s ended with another result than it reported", message.id)
		}
	}
	w.arrive(ctx, known)
	for number := range recipients {
		shown := map[string]int{}
		if entries, err := w.sim.Inbox(ctx, number); err == nil { // else nobody has this number
			for _, entry := range entries {
				elsewhere := entry.SentTo != "" && entry.SentTo != number // a copy of what went to somebody else
				if !slices.Contains(w.owners, entry.From) || entry.Device != 0 || elsewhere {
					continue
				}
				require.Equal(w.t, number, known[entry.ID].number, "the message %s of %s belongs to no task", entry.ID, number)
				require.NotEmpty(w.t, entry.Text, "message %s", entry.ID)
				shown[entry.ID]++
			}
		}
		for id, message := range known {
			if message.number != number {
				continue
			}
			if message.verdict == "yes" {
				require.Equal(w.t, 1, shown[id], "copies of message %s of task %s", id, message.id)
			}
			require.LessOrEqual(w.t, shown[id], 1, "copies of message %s", id)
		}
	}
}

// arrive waits until the recipients have what was reported as sent: WhatsApp's server takes a message before its devices have it.
func (w *world) arrive(ctx context.Context, known map[string]told) {
	w.t.Helper()
	sent := map[string][]string{} // by recipient
	for id, message := range known {
		if message.verdict == "yes" {
			sent[message.number] = append(sent[message.number], id)
		}
	}
	w.eventually("what was reported as sent is with its recipients", func() bool {
		for number, ids := range sent {
			entries, err := w.sim.Inbox(ctx, number)
			if err != nil {
				return false
			}
			there := map[string]bool{}
			for _, entry := range entries {
				there[entry.ID] = there[entry.ID] || entry.Device == 0
			}
			if slices.ContainsFunc(ids, func(id string) bool { return !there[id] }) {
				return false
			}
		}
		return true
	})
}

// ledger returns the message tasks that the daemon kept.
func (w *world) ledger(ctx context.Context) []told {
	w.t.Helper()
	if w.daemon == nil {
		return nil
	}
	db, err := sql.Open("sqlite3", "file:"+w.settings["WHATSAPPD_DATA_DIR"]+"/ledger.db")
	require.NoError(w.t, err)
	defer db.Close()
	rows, err := db.QueryContext(ctx, `SELECT id,
		coalesce(nullif(canonical, ''), nullif(number, ''), (SELECT phone FROM contact AS c WHERE c.id = task.contact), ''), message_id, state, verdict
		FROM task WHERE kind = 'message'`)
	require.NoError(w.t, err)
	defer rows.Close()
	var all []told
	for rows.Next() {
		var one told
		require.NoError(w.t, rows.Scan(&one.id, &one.number, &one.messageID, &one.state, &one.verdict))
		all = append(all, one)
	}
	require.NoError(w.t, rows.Err())
	return all
}

func TestAHostileSimulatorSaysItsSeed(t *testing.T) {
	t.Parallel()
	told := func(args ...string) (info simulator.Info) {
		args = append([]string{"simulator", "--addr", "127.0.0.1:0", "--control", "127.0.0.1:0", "--json"}, args...)
		sim := start(t, "simulator", nil, args...)
		require.NoError(t, json.Unmarshal([]byte(sim.wants(`^(\{.*"root_key".*\})$`)[1]), &info))
		return info
	}
	again := told("--hostile", "30", "--seed", "7")
	require.Equal(t, 30, again.Hostile)
	require.EqualValues(t, 7, again.Seed)
	require.NotZero(t, told("--hostile", "30").Seed)
	require.Zero(t, told().Seed, "a calm one has none")
}
