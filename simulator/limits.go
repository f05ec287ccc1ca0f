package simulator

import (
	"fmt"
	"time"
)

// Limits are what WhatsApp holds against an account. The real rules are not public: what is modelled here is what clients
// are known to be told. The zero value limits nothing.
type Limits struct {
	// LockedUntil is the end of a reach-out lock: until then, a message to somebody who never wrote to the account is
	// refused with 463.
	LockedUntil time.Time `json:"locked_until,omitzero"`
	// Notice tells the account's clients when the lock begins and when it ends, and when the quota of new chats nears its
	// end. Without it they can only ask, or learn it by the refusals.
	Notice bool `json:"notice,omitempty"`
	// NewChats is how many strangers the account can write to before more of them are refused with 463. 0 is no bound.
	NewChats int `json:"new_chats,omitempty"`
	// CycleEnds is when the quota of new chats is over; clients are told. The zero time is never, and then none is told.
	CycleEnds time.Time `json:"cycle_ends,omitzero"`
	// Linked is how many clients the account's phone links before it refuses more. Apps allow four; 0 is no bound.
	Linked int `json:"linked,omitempty"`
	// Tokens refuses a first message to a stranger with 463 when it carries neither the privacy token of the recipient nor one
	// derived from the account's salt. A guess.
	Tokens bool `json:"tokens,omitempty"`
}

// quota is how many strangers the account can write to now; 0 is no bound.
func (l Limits) quota() int {
	if !l.CycleEnds.IsZero() && !time.Now().Before(l.CycleEnds) {
		return 0
	}
	return l.NewChats
}

// ackReachOut is the ack error for a message to a stranger that an account may not write to. Source: handleBadAck of Baileys, and
// reports.
const ackReachOut = 463

// chat is what an account knows of another.
type chat struct {
	wrote   bool // the other one has written to the account
	reached bool // the account has written to the other one
}

// SetLimits changes what is held against an account, from now on. With Notice its clients are told of a lock, at once and
// when it ends.
func (s *Server) SetLimits(number string, limits Limits) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		return fmt.Errorf("set limits: %w", err)
	}
	before := a.limits
	a.limits = limits
	left := time.Until(limits.LockedUntil)
	if limits.Notice && left > 0 {
		s.tellLock(a, a.reachOutLock())
		s.laterLocked(Duration(left), func() {
			if a.limits == limits {
				s.tellLock(a, reachOutLock{})
			}
		})
	} else if limits.Notice && time.Now().Before(before.LockedUntil) {
		s.tellLock(a, reachOutLock{})
	}
	s.changed()
	return nil
}

// mayReach says whether an account may write to another, 0, or the ack error. Call with s.mu held.
func (a *account) mayReach(to *account, withToken bool) int {
	if to == a || a.chats[to.number].wrote {
		return 0
	}
	if time.Now().Before(a.limits.LockedUntil) {
		return ackReachOut
	}
	if a.limits.Tokens && !withToken {
		return ackReachOut
	}
	if a.limits.quota() > 0 && !a.chats[to.number].reached && a.strangers() >= a.limits.quota() {
		return ackReachOut
	}
	return 0
}

// strangers counts those the account has written to who never wrote to it. Call with Server.mu held.
func (a *account) strangers() int {
	count := 0
	for _, c := range a.chats {
		if c.reached && !c.wrote {
			count++
		}
	}
	return count
}

// meetPeople remembers that one account has written to another. Call with s.mu held.
func (s *Server) meetPeople(author, recipient *account) {
	ofAuthor, ofRecipient := author.newChats().Status, recipient.newChats().Status
	author.know(recipient, func(c *chat) { c.reached = true })
	recipient.know(author, func(c *chat) { c.wrote = true }) // an answer frees a place
	s.tellNewChats(author, ofAuthor)
	if recipient != author {
		s.tellNewChats(recipient, ofRecipient)
	}
}

func (a *account) know(other *account, change func(*chat)) {
	if a.chats == nil {
		a.chats = map[string]chat{}
	}
	c := a.chats[other.number]
	change(&c)
	a.chats[other.number] = c
}
