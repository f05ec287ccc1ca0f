package task

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// controlRoom is the room that log-ins and log-outs still find when the queue is full of others.
	controlRoom = 100
	// recount is how often a queue that seems full is counted again.
	recount = time.Second
)

// room bounds how many tasks wait. It knows how many there are at most: what was there when they were counted and what came
// since, for ends are not reported to it. Only when that is too many they are counted again.
type room struct {
	most   int // 0 is no limit
	keeper Keeper
	now    func() time.Time

	mu      sync.Mutex
	taken   int // at most so many are not finished; at first as many as there may be
	counted time.Time
}

// take reserves a place for a task, or returns ErrQueueFull.
func (r *room) take(ctx context.Context, kind Kind) error {
	if r.most == 0 {
		return nil
	}
	most := r.most
	if kind.Class() == ClassControl {
		most += controlRoom
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.now(); r.taken >= r.most && now.Sub(r.counted) >= recount {
		counts, err := r.keeper.Counts(ctx)
		if err != nil {
			return fmt.Errorf("count the tasks that wait: %w", err)
		}
		r.taken, r.counted = counts[Queued]+counts[Running], now
	}
	if r.taken >= most {
		return ErrQueueFull
	}
	r.taken++
	return nil
}

// giveBack returns a place that was not needed after all.
func (r *room) giveBack() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken > 0 {
		r.taken--
	}
}
