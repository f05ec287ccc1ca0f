package task

import "time"

// Policy is how fast an account may write. WhatsApp prices first contact, not throughput: most of it is about contacts who
// never wrote to the account and whom it never wrote to, called cold. See docs/pacing.md for where the defaults come from.
type Policy struct {
	Off bool // no waiting at all, for tests and the sandbox

	ColdGapMin, ColdGapMax time.Duration // random pause after a message to a cold contact
	WarmGapMin, WarmGapMax time.Duration // and after one to any other

	PerMinute, PerHour, PerDay int // messages, sliding; 0 for no limit
	ColdPerDay                 int // of these, to cold contacts

	SameText      int  // strangers who get the same text within a day before it is a warning; 0 for no limit
	SameTextBlock bool // and then such messages fail

	Settle time.Duration // after a pairing no cold contact is written to for so long, unless Lane.Settled ends it
	Ramp   []RampStep    // lower limits in the first days after a pairing, earliest first

	QuietFrom, QuietTo time.Duration // since local midnight; no message between them; equal for none
}

// RampStep limits the days after a pairing up to and including UntilDay, counted from 1; a day is 24 hours. 0 is no limit.
type RampStep struct {
	UntilDay        int
	PerHour, PerDay int
}

// DefaultPolicy keeps a real number healthy.
func DefaultPolicy() Policy {
	return Policy{
		ColdGapMin: 6 * time.Second, ColdGapMax: 20 * time.Second,
		WarmGapMin: time.Second, WarmGapMax: 3 * time.Second,
		PerMinute: 10, PerHour: 100, PerDay: 500, ColdPerDay: 200, SameText: 20,
		Settle: 2 * time.Minute,
		Ramp: []RampStep{
			{UntilDay: 2, PerHour: 20, PerDay: 50},
			{UntilDay: 5, PerHour: 40, PerDay: 200},
			{UntilDay: 10, PerHour: 80, PerDay: 500},
		},
	}
}

// The reasons for which a message waits for its pace.
const (
	reasonPace      = "pace"       // the gap after the message before
	reasonMinute    = "cap_minute" // limits of the policy
	reasonHour      = "cap_hour"   //
	reasonDay       = "cap_day"    //
	reasonRamp      = "ramp"       // a limit of the first days
	reasonQuietTime = "quiet_hours"
)

// The reasons for which only first contacts wait.
const (
	ReasonSettling = "settling"        // the account was just paired
	ReasonColdDay  = "cap_cold_day"    // the policy's limit of first contacts in a day
	ReasonLocked   = "reachout_locked" // WhatsApp takes no first contacts for now
	ReasonQuota    = "new_chat_quota"  // WhatsApp's own limit of first contacts in one of its cycles
)

// strangersOnly tells whether a reason holds back first contacts and nobody else.
func strangersOnly(reason string) bool {
	return reason == ReasonSettling || reason == ReasonColdDay || reason == ReasonLocked || reason == ReasonQuota
}

// pacing tells whether a message waits for its pace rather than for anything else.
func pacing(reason string) bool {
	switch reason {
	case reasonPace, reasonMinute, reasonHour, reasonDay, reasonRamp, reasonQuietTime:
		return true
	}
	return strangersOnly(reason)
}

// PaceState is what pacing remembers of an account; it is kept with the account so that a restart cannot burst.
type PaceState struct {
	PairedAt   time.Time   // when the present link was made: the ramp and the settling time count from it; zero for unknown
	NextSendAt time.Time   // no message before
	Sends      []time.Time // messages tried within the last 24 hours, oldest first, as many as a limit looks back
	ColdSends  []time.Time // of these, the ones to cold contacts
}

// held is a time before which no message may go, and why.
type held struct {
	until  time.Time
	reason string
}

// later moves it to a later time; an earlier one changes nothing.
func (h *held) later(until time.Time, reason string) {
	if until.After(h.until) {
		h.until, h.reason = until, reason
	}
}

const day = 24 * time.Hour

// limit allows so many messages in a sliding window.
type limit struct {
	count  int // 0 for no limit
	window time.Duration
	reason string
	ends   time.Time // the limit is gone then; zero for never
}

// freeAt is when one more message keeps the limit.
func (l limit) freeAt(sends []time.Time) time.Time {
	if l.count <= 0 || len(sends) < l.count {
		return time.Time{}
	}
	at := sends[len(sends)-l.count].Add(l.window)
	if !l.ends.IsZero() && l.ends.Before(at) {
		return l.ends
	}
	return at
}

// Next says when the next message may go, and what it waits for when that is not now. The longest wait names the reason; for
// a first contact it is one of its own (see ReasonSettling) only when everybody else could go earlier. locked is until when
// WhatsApp itself takes no first contacts (ReasonLocked), which holds also when the policy is off.
func (p Policy) Next(s PaceState, cold bool, locked, now time.Time) (at time.Time, reason string) {
	all := held{until: now}
	if !p.Off {
		all = p.everybody(s, now)
	}
	if !cold {
		return all.until, all.reason
	}
	own := all
	own.later(locked, ReasonLocked)
	if p.Off {
		return own.until, own.reason
	}
	if !s.PairedAt.IsZero() {
		own.later(s.PairedAt.Add(p.Settle), ReasonSettling)
	}
	own.later(limit{count: p.ColdPerDay, window: day}.freeAt(s.ColdSends), ReasonColdDay)
	return p.afterQuiet(own.until), own.reason
}

// everybody says what holds back all messages.
func (p Policy) everybody(s PaceState, now time.Time) held {
	all := held{until: now}
	all.later(s.NextSendAt, reasonPace)
	for _, l := range p.limits(s.PairedAt, now) {
		all.later(l.freeAt(s.Sends), l.reason)
	}
	all.later(p.afterQuiet(all.until), reasonQuietTime)
	return all
}

// limits returns the limits for all messages at one moment.
func (p Policy) limits(paired, now time.Time) []limit {
	all := []limit{
		{count: p.PerMinute, window: time.Minute, reason: reasonMinute},
		{count: p.PerHour, window: time.Hour, reason: reasonHour},
		{count: p.PerDay, window: day, reason: reasonDay},
	}
	if paired.IsZero() {
		return all
	}
	for _, step := range p.Ramp {
		ends := paired.Add(time.Duration(step.UntilDay) * day)
		if now.Before(ends) {
			return append(all,
				limit{count: step.PerHour, window: time.Hour, reason: reasonRamp, ends: ends},
				limit{count: step.PerDay, window: day, reason: reasonRamp, ends: ends})
		}
	}
	return all
}

// afterQuiet moves a time out of the quiet hours. It goes by the clock on the wall, also on days of 23 or 25 hours.
func (p Policy) afterQuiet(at time.Time) time.Time {
	hour, minute, second := at.Clock()
	clock := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second
	end := func(days int) time.Time {
		year, month, today := at.Date()
		return time.Date(year, month, today+days, 0, 0, int(p.QuietTo/time.Second), 0, at.Location())
	}
	switch overMidnight := p.QuietFrom > p.QuietTo; {
	case p.QuietFrom == p.QuietTo:
		return at
	case overMidnight && clock >= p.QuietFrom:
		return end(1)
	case overMidnight && clock < p.QuietTo, clock >= p.QuietFrom && clock < p.QuietTo:
		return end(0)
	}
	return at
}

// Sent is the state after a message was tried. The gap to the next is random, between the two bounds; random is in [0, 1).
func (p Policy) Sent(s PaceState, cold bool, now time.Time, random func() float64) PaceState {
	if p.Off {
		s.NextSendAt = now // the others waited until now for their turn, which is to be known after a restart too
		return s
	}
	least, most := p.WarmGapMin, p.WarmGapMax
	if cold {
		least, most = p.ColdGapMin, p.ColdGapMax
		s.ColdSends = remember(s.ColdSends, now, p.ColdPerDay)
	}
	s.NextSendAt = now.Add(least + time.Duration(random()*float64(max(most-least, 0))))
	s.Sends = remember(s.Sends, now, p.longest())
	return s
}

// longest is how many messages back the widest limit looks.
func (p Policy) longest() int {
	most := max(p.PerMinute, p.PerHour, p.PerDay)
	for _, step := range p.Ramp {
		most = max(most, step.PerHour, step.PerDay)
	}
	return most
}

// remember adds a time and drops what no limit looks at any more. The slice it is given stays as it is.
func remember(sends []time.Time, now time.Time, most int) []time.Time {
	for len(sends) > 0 && (now.Sub(sends[0]) >= day || len(sends) >= most) {
		sends = sends[1:]
	}
	if most <= 0 {
		return nil
	}
	return append(append(make([]time.Time, 0, len(sends)+1), sends...), now)
}
