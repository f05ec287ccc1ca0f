package session

import (
	"context"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
)

const (
	// rebuildAfter is how many times a contact's device asks for one message before its Signal session is made anew. The first
	// two times may be answered from the session there is.
	rebuildAfter = 3
	// rebuildPause is how long the session with a device is not made anew again: what did not help once will not help at once.
	rebuildPause = time.Hour
)

// rebuilds remembers for which devices of contacts the session was made anew lately.
type rebuilds struct {
	mu   sync.Mutex
	last map[string]time.Time // by Signal address
}

// due says whether a device's session may be made anew now, and notes that it is.
func (r *rebuilds) due(address string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for other, at := range r.last {
		if now.Sub(at) >= rebuildPause {
			delete(r.last, other)
		}
	}
	if _, lately := r.last[address]; lately {
		return false
	}
	if r.last == nil {
		r.last = map[string]time.Time{}
	}
	r.last[address] = now
	return true
}

// beforeRetry comes before a message is sent again to a device that could not open it. A device that asks and asks has
// lost what the session stands on: then the session with this one device is dropped, so that the library makes a new one
// from fresh keys.
func (a *Account) beforeRetry(l *link, receipt *events.Receipt, count int) {
	a.tally.count(func(c *Counts) { c.AskedAgain++ })
	if count < rebuildAfter || receipt.IsFromMe {
		return
	}
	ctx := context.Background() // the library has no context for its callbacks
	device := receipt.Sender
	if device.Server == types.DefaultUserServer {
		lid, err := a.container.LIDMap.GetLIDForPN(ctx, device)
		if err != nil {
			a.log.Error("the address behind a retry receipt was not looked up; its session stays", "error", err)
		}
		if err != nil || lid.IsEmpty() {
			return
		}
		device = lid
	}
	address := device.SignalAddress().String()
	if !a.rebuilds.due(address, a.opts.Now()) {
		return
	}
	a.log.Warn("a contact's device cannot open a message; its session is made anew", "message", receipt.MessageIDs[0], "asked", count)
	if err := l.guard.sessions.DeleteSession(ctx, address); err != nil {
		a.log.Error("the session with a contact's device was not dropped", "error", err)
	}
}
