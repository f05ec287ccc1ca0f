package session

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/types"
)

// refusals tells the two meanings of 463 apart: WhatsApp may refuse one recipient, or lock all first contacts of the account
// without a notice. It lasts as long as the process; the lock it finds is kept.
type refusals struct {
	mu   sync.Mutex
	last string // the first contact that was refused, with none let through since
}

// refused notes a refused first contact, and tells whether another one was refused just before: then it is a lock.
func (r *refusals) refused(contact string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == "" || r.last == contact {
		r.last = contact
		return false
	}
	r.last = ""
	return true
}

// passed notes a first contact that WhatsApp took.
func (r *refusals) passed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = ""
}

// HoldsToken tells whether a contact gave the account a privacy token that still counts, which opens the way to a message. It
// is false also when the contact's LID is not known (empty), or while the account is not online.
func (a *Account) HoldsToken(ctx context.Context, address string) (bool, error) {
	l := a.online.Load()
	if l == nil || address == "" {
		return false, nil
	}
	lid, err := types.ParseJID(address)
	if err != nil {
		return false, fmt.Errorf("address of a contact: %w", err)
	}
	token, err := l.client.Store.PrivacyTokens.GetPrivacyToken(ctx, lid)
	if err != nil {
		return false, fmt.Errorf("look up a privacy token: %w", err)
	}
	return token != nil && len(token.Token) > 0 && a.opts.Now().Sub(token.Timestamp) < tokenLife, nil
}

// tokenLife is how long a privacy token counts at least: whatsmeow takes those of its present window of seven days and of the
// three before.
const tokenLife = 3 * 7 * 24 * time.Hour

// held is how long WhatsApp will not take a message for a reason of the account, and which; zero for none. A quota of chats
// with strangers holds nobody else.
func (a *Account) held(m Message) (left time.Duration, code string) {
	status := a.status.Load()
	until, code := status.Reachout, CodeReachoutLocked
	if m.Stranger {
		until, code = status.StrangersHeld()
	}
	return max(0, until.Sub(a.opts.Now())), code
}

// tellLock turns the refusal of one recipient into that of the account, when it is one: then the message waits. WhatsApp's
// meaning of 463 is from reports: see docs/pacing.md.
func (a *Account) tellLock(m Message, lid types.JID, failed *Error) *Error {
	if failed == nil && m.Stranger {
		a.refusals.passed()
	}
	if failed == nil || failed.Code != CodePriorContact {
		return failed
	}
	left, code := a.held(m)
	if m.Stranger && left == 0 && a.refusals.refused(lid.User) {
		a.supposeLock()
		left, code = a.held(m)
	}
	if left == 0 {
		return failed
	}
	return &Error{
		Code: code, Retry: RetryPace, After: left, WACode: failed.WACode,
		Hint: "WhatsApp takes no first messages to strangers for now", Err: failed.Err,
	}
}

// supposeLock begins a lock that WhatsApp did not tell of, and returns once it can be seen.
func (a *Account) supposeLock() {
	seen := make(chan struct{})
	posted := a.post(func(ctx context.Context, o *owner) {
		if o.link != nil && o.facts.ReachoutEnd.IsZero() {
			o.lockReachout(ctx, o.now().Add(o.t.LockUnknown),
				"WhatsApp refused first messages to two strangers in a row: no more of them for now; answers go on")
		}
		o.deferred = append(o.deferred, func() { close(seen) })
	})
	if !posted {
		return
	}
	select {
	case <-seen:
	case <-a.stopped:
	}
}
