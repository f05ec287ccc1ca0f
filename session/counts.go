package session

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Counts says how often things happened on an account since it was opened. It holds no number and no address.
type Counts struct {
	Dials       int            // of the linked device
	Ends        map[string]int // of connections and dials of the linked device, by reason: a code of docs/errors.md
	PingsMissed int            // pings WhatsApp did not answer in time
	AskedAgain  int            // messages that a recipient's device could not open and asked for again
	Refused     map[int]int    // messages that WhatsApp refused, by its number, such as 463
}

// Counts returns how often things happened since the account was opened.
func (a *Account) Counts() Counts {
	a.tally.mu.Lock()
	defer a.tally.mu.Unlock()
	c := a.tally.counts
	c.Ends, c.Refused = maps.Clone(c.Ends), maps.Clone(c.Refused)
	return c
}

// deedsKept is how many of the latest deeds are told with the end of a link.
const deedsKept = 5

// tally counts what happens, and remembers the latest deeds: they are the first question after WhatsApp ended a link.
type tally struct {
	mu     sync.Mutex
	counts Counts
	deeds  []deed
}

// deed is something that was asked of WhatsApp.
type deed struct {
	what string
	at   time.Time
}

// count changes the counts.
func (t *tally) count(change func(*Counts)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts.Ends == nil {
		t.counts.Ends, t.counts.Refused = map[string]int{}, map[int]int{}
	}
	change(&t.counts)
}

// did notes a deed. It must hold no number.
func (t *tally) did(what string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deeds = append(t.deeds, deed{what, at})
	t.deeds = t.deeds[max(0, len(t.deeds)-deedsKept):]
}

// lately tells the latest deeds, the last first.
func (t *tally) lately(now time.Time) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.deeds) == 0 {
		return "nothing was asked of WhatsApp before"
	}
	var told []string
	for _, d := range slices.Backward(t.deeds) {
		told = append(told, fmt.Sprintf("%s %s before", d.what, now.Sub(d.at).Round(time.Second)))
	}
	return "last deeds: " + strings.Join(told, ", ")
}
