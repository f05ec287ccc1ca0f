package session

import (
	"sync/atomic"
	"time"
)

// heartbeat tells whether the account's loop still turns. It measures by the monotonic clock, so that a machine that slept
// is not taken for a loop that hangs.
type heartbeat struct {
	born time.Time
	last atomic.Int64 // nanoseconds from born to the last beat; 0 before the first
}

// beat notes that the loop turned.
func (h *heartbeat) beat() { h.last.Store(max(1, int64(time.Since(h.born)))) }

// silent returns for how long there was no beat, zero before the first.
func (h *heartbeat) silent() time.Duration {
	last := h.last.Load()
	if last == 0 {
		return 0
	}
	return time.Since(h.born) - time.Duration(last)
}

// Alive is false when the account is stuck: its loop has not turned for a minute (Timing.Stuck), so that only a new process
// can help. It says nothing about the connection: an account that is logged out is alive.
func (a *Account) Alive() bool {
	select {
	case <-a.stopped:
		return true
	default:
		return a.heart.silent() <= a.opts.Timing.Stuck
	}
}
