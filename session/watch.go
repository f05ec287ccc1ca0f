package session

import (
	"cmp"
	"context"
	"time"

	"go.mau.fi/whatsmeow/types/events"
)

// seenGrain is how old the kept sight of the phone may be: it is not worth a write for every receipt.
const seenGrain = time.Hour

// phoneLimits are the days without a sight of the phone after which an operator is told. WhatsApp ends the links of a phone
// that was not used for about two weeks.
func phoneLimits() []int { return []int{10, 12} }

// phoneSeen notes that the account's phone has shown that it is there.
func (o *owner) phoneSeen(ctx context.Context, at time.Time) {
	if o.link == nil || at.Sub(o.facts.PhoneSeen) < seenGrain || at.After(o.now().Add(seenGrain)) {
		return
	}
	o.facts.PhoneSeen, o.facts.PhoneWarned = at, 0
	o.keep(ctx)
}

// phoneDue returns when the phone's absence has to be told of next; zero for never.
func (o *owner) phoneDue() time.Time {
	if o.link == nil || o.facts.PhoneSeen.IsZero() {
		return time.Time{}
	}
	for _, days := range phoneLimits() {
		if o.facts.PhoneWarned < days {
			return o.facts.PhoneSeen.Add(time.Duration(days) * 24 * time.Hour)
		}
	}
	return time.Time{}
}

// watchPhone tells an operator of a phone that was not seen for long, once for each limit.
func (o *owner) watchPhone(ctx context.Context, now time.Time) {
	for due := o.phoneDue(); !due.IsZero() && !now.Before(due); due = o.phoneDue() {
		o.facts.PhoneWarned = int(due.Sub(o.facts.PhoneSeen) / (24 * time.Hour))
		if next := o.phoneDue(); !next.IsZero() && !now.Before(next) {
			continue // one is enough
		}
		o.keep(ctx)
		o.notify(ctx, phoneNotice(o.facts.PhoneWarned))
	}
}

// reachout goes on after WhatsApp told that first messages to strangers are locked, or no longer.
func (o *owner) reachout(ctx context.Context, event *events.NotifyAccountReachoutTimelock) {
	until := time.Time{}
	if event.IsActive {
		until = event.TimeEnforcementEnds.Time
		switch {
		case until.After(o.now()):
		case o.facts.ReachoutEnd.After(o.now()): // told again
			until = o.facts.ReachoutEnd
		default:
			until = o.now().Add(o.t.LockUnknown)
		}
	}
	o.lockReachout(ctx, until, "")
}

// lockReachout keeps the end of a lock on first contacts, and tells of it once for each change; detail, if any, says it in other
// words than usual.
func (o *owner) lockReachout(ctx context.Context, until time.Time, detail string) {
	if until.Equal(o.facts.ReachoutEnd) {
		return
	}
	o.facts.ReachoutEnd = until
	o.keep(ctx)
	notice := reachoutNotice(until)
	notice.Detail = cmp.Or(detail, notice.Detail)
	o.notify(ctx, notice)
}

// reachoutDue returns when the lock on first contacts ends; zero for no lock.
func (o *owner) reachoutDue() time.Time {
	if o.link == nil {
		return time.Time{}
	}
	return o.facts.ReachoutEnd
}

// watchReachout ends a lock whose time is over, whether or not WhatsApp says so.
func (o *owner) watchReachout(ctx context.Context, now time.Time) {
	if due := o.reachoutDue(); !due.IsZero() && !now.Before(due) {
		o.lockReachout(ctx, time.Time{}, "")
	}
}
