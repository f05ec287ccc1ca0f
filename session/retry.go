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
	// maxRequests bounds what is remembered of the requests of one connection. A repetition follows soon, or never.
	maxRequests = 1000
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

// requests remembers which requests for a message the present connection brought.
type requests struct {
	mu   sync.Mutex
	seen map[request]bool
}

// request is one round of a device asking for a message.
type request struct {
	device  types.JID
	message types.MessageID
	round   int
}

// fresh is false for a request that came before. The network may deliver one twice; its keys serve for one answer only, so
// that the recipient could not open the second.
func (r *requests) fresh(one request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[one] {
		return false
	}
	if r.seen == nil || len(r.seen) >= maxRequests {
		r.seen = map[request]bool{}
	}
	r.seen[one] = true
	return true
}

// forget comes with each new connection: what is delivered again there may be a request whose answer was lost with the old
// one.
func (r *requests) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = nil
}

// beforeRetry comes before a message is sent again to a device that could not open it, and says whether it shall be. A device
// that asks and asks has lost what the session stands on: then the session with this one device is dropped, so that the
// library makes a new one from fresh keys.
func (a *Account) beforeRetry(l *link, receipt *events.Receipt, message types.MessageID, count int) bool {
	if !l.requests.fresh(request{receipt.Sender, message, count}) {
		return false
	}
	a.tally.count(func(c *Counts) { c.AskedAgain++ })
	if count >= rebuildAfter && !receipt.IsFromMe {
		a.rebuild(l, receipt, count)
	}
	return true
}

// rebuild drops the session with the device that sent a receipt, unless that was done lately.
func (a *Account) rebuild(l *link, receipt *events.Receipt, count int) {
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
