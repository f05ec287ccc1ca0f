package task

import (
	"time"
)

// Policy is how fast an account may write. WhatsApp prices first contact, not throughput: most of it is about contacts who
// never wrote to the account, called cold. See docs/pacing.md for where the defaults come from.
type Policy struct {
	Off bool // no waiting at all, for tests and the sandbox

	ColdGapMin, ColdGapMax time.Duration // random pause after a message to a cold contact
	WarmGapMin, WarmGapMax time.Duration // and after one to a contact who knows the account

	PerMinute, PerHour, PerDay int // messages, sliding; 0 for no limit
	ColdPerDay                 int // of these, to cold contacts

	Settle time.Duration // after a pairing no cold contact is written to for so long
	Ramp   []RampStep    // lower limits in the first days after a pairing, by day

	QuietFrom, QuietTo time.Duration // since local midnight; no message between them; equal for none
}

// RampStep limits the days after a pairing up to and including UntilDay, counted from 1.
type RampStep struct {
	UntilDay        int
	PerHour, PerDay int
}

// DefaultPolicy keeps a real number healthy.
func DefaultPolicy() Policy {
	return Policy{
		ColdGapMin: 6 * time.Second, ColdGapMax: 20 * time.Second,
		WarmGapMin: time.Second, WarmGapMax: 3 * time.Second,
		PerMinute: 10, PerHour: 100, PerDay: 500, ColdPerDay: 200,
		Settle: 2 * time.Minute,
		Ramp:   []RampStep{{UntilDay: 2, PerHour: 20, PerDay: 50}, {UntilDay: 5, PerHour: 40, PerDay: 200}, {UntilDay: 10, PerHour: 80, PerDay: 500}},
	}
}

// The reasons for which a message waits for its pace.
const (
	reasonPace      = "pace"
	reasonSettling  = "settling"
	reasonMinute    = "cap_minute"
	reasonHour      = "cap_hour"
	reasonDay       = "cap_day"
	reasonColdDay   = "cap_cold_day"
	reasonQuietTime = "quiet_hours"
)

// PaceState is what pacing remembers of an account; it is kept with the account so that a restart cannot burst.
type PaceState struct {
	PairedAt   time.Time   // when the present link was made: the ramp and the settling time count from it
	NextSendAt time.Time   // no message before
	Sends      []time.Time // sends within the last 24 hours, oldest first
	ColdSends  []time.Time // of these, the ones to contacts who never wrote to us
}

// Next says when the next message may go, and what it waits for when that is not now.
func (p Policy) Next(s PaceState, cold bool, now time.Time) (at time.Time, reason string) {
	if p.Off {
		return now, ""
	}
	at = now
	later := func(t time.Time, why string) {
		if t.After(at) {
			at, reason = t, why
		}
	}
	later(s.NextSendAt, reasonPace)
	if cold && !s.PairedAt.IsZero() {
		later(s.PairedAt.Add(p.Settle), reasonSettling)
	}
	hour, day := p.limits(s, now)
	later(freeAt(s.Sends, p.PerMinute, time.Minute, now), reasonMinute)
	later(freeAt(s.Sends, hour, time.Hour, now), reasonHour)
	later(freeAt(s.Sends, day, 24*time.Hour, now), reasonDay)
	if cold {
		later(freeAt(s.ColdSends, p.ColdPerDay, 24*time.Hour, now), reasonColdDay)
	}
	later(p.afterQuiet(at), reasonQuietTime)
	return at, reason
}

// limits returns the hour's and the day's limit, lower in the first days after a pairing.
func (p Policy) limits(s PaceState, now time.Time) (hour, day int) {
	hour, day = p.PerHour, p.PerDay
	if s.PairedAt.IsZero() {
		return hour, day
	}
	today := int(now.Sub(s.PairedAt)/(24*time.Hour)) + 1
	for _, step := range p.Ramp {
		if today <= step.UntilDay {
			return lower(hour, step.PerHour), lower(day, step.PerDay)
		}
	}
	return hour, day
}

// lower is the lower of two limits, of which 0 is none.
func lower(a, b int) int {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// freeAt is when another send keeps a limit within a sliding window.
func freeAt(sends []time.Time, limit int, window time.Duration, now time.Time) time.Time {
	if limit == 0 || len(sends) < limit {
		return now
	}
	return sends[len(sends)-limit].Add(window)
}

// afterQuiet moves a time out of the quiet hours.
func (p Policy) afterQuiet(at time.Time) time.Time {
	if p.QuietFrom == p.QuietTo {
		return at
	}
	midnight := time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, at.Location())
	since := at.Sub(midnight)
	if p.QuietFrom < p.QuietTo {
		if since >= p.QuietFrom && since < p.QuietTo {
			return midnight.Add(p.QuietTo)
		}
		return at
	}
	switch { // over midnight
	case since >= p.QuietFrom:
		return midnight.AddDate(0, 0, 1).Add(p.QuietTo)
	case since < p.QuietTo:
		return midnight.Add(p.QuietTo)
	}
	return at
}

// Sent is the state after a message went out. The gap to the next is random, between the two bounds.
func (p Policy) Sent(s PaceState, cold bool, now time.Time, random func() float64) PaceState {
	if p.Off {
		return s
	}
	least, most := p.WarmGapMin, p.WarmGapMax
	if cold {
		least, most = p.ColdGapMin, p.ColdGapMax
		s.ColdSends = append(recent(s.ColdSends, now), now)
	}
	s.NextSendAt = now.Add(least + time.Duration(random()*float64(most-least)))
	s.Sends = append(recent(s.Sends, now), now)
	return s
}

// recent drops what is older than any limit looks back.
func recent(sends []time.Time, now time.Time) []time.Time {
	for len(sends) > 0 && now.Sub(sends[0]) >= 24*time.Hour {
		sends = sends[1:]
	}
	return append([]time.Time(nil), sends...)
}
