package session

import (
	"context"
	"sync"
	"time"
)

// CheckLimits bound how many numbers WhatsApp is asked about: bulk checks get numbers banned. 0 is no bound. Nobody has
// published WhatsApp's own limits.
type CheckLimits struct{ PerMinute, PerHour, PerDay int }

// shrinkMost is how often WhatsApp's complaints halve the limits, and shrinkFor how long each halving lasts.
const (
	shrinkMost = 4
	shrinkFor  = time.Hour
)

// allowance counts the numbers that WhatsApp was asked about, over sliding windows.
type allowance struct {
	limits CheckLimits

	mu     sync.Mutex
	asked  []time.Time // within the last day, oldest first
	halved int         // how often the limits are halved at present
	since  time.Time   // of the last halving
}

// take returns how many of the wanted numbers may be asked about now, and charges for them. When it is none, again says
// when one may.
func (a *allowance) take(now time.Time, want int) (may int, again time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.asked) > 0 && now.Sub(a.asked[0]) >= 24*time.Hour {
		a.asked = a.asked[1:]
	}
	for a.halved > 0 && now.Sub(a.since) >= shrinkFor {
		a.halved--
		a.since = a.since.Add(shrinkFor)
	}
	may = want
	for _, window := range []struct {
		most int
		span time.Duration
	}{{a.limits.PerMinute, time.Minute}, {a.limits.PerHour, time.Hour}, {a.limits.PerDay, 24 * time.Hour}} {
		if window.most <= 0 {
			continue
		}
		most := max(1, window.most>>a.halved)
		used := 0
		for i := len(a.asked) - 1; i >= 0 && now.Sub(a.asked[i]) < window.span; i-- {
			used++
		}
		if free := most - used; free < may {
			may = max(free, 0)
		}
		if used >= most {
			if at := a.asked[len(a.asked)-most].Add(window.span); at.After(again) {
				again = at
			}
		}
	}
	for range may {
		a.asked = append(a.asked, now)
	}
	return may, again
}

// shrink halves the limits after WhatsApp called the checks too many.
func (a *allowance) shrink(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.halved, a.since = min(a.halved+1, shrinkMost), now
}

// recall counts what was asked before a restart, as far as the answers were kept.
func (a *allowance) recall(ctx context.Context, keeper Keeper, account AccountID, now time.Time) error {
	times, err := keeper.CheckTimes(ctx, account, now.Add(-24*time.Hour))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = times
	return err
}
