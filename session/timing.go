package session

import (
	"math/rand/v2"
	"time"
)

// Timing is every pause and limit of a session. The zero value of each field stands for its default.
type Timing struct {
	FirstCode     time.Duration // life of a round's first code: 60 s, as WhatsApp has it
	Code          time.Duration // life of each following code: 20 s
	CodePatience  time.Duration // for the first code of a round: 30 s
	PairPause     time.Duration // after a round that a task started, before another task may start one: 3 min
	RoundPause    time.Duration // between rounds that start by themselves; doubles each time: 2 min
	LoginPatience time.Duration // from dialling until WhatsApp took the log-in: 30 s
	RestartWait   time.Duration // for the restart that WhatsApp announces after a pairing: 10 s
	Backoff       time.Duration // the first pause before dialling again; doubles: 1 s
	BackoffMost   time.Duration // the longest: 5 min
	Stable        time.Duration // online for so long, the next loss is dialled at once: 60 s
	ReplacedWait  time.Duration // before the one try after another process took over: 30 s
	Answer        time.Duration // for WhatsApp's answer to a message: 60 s; for a query half of it
	StopSend      time.Duration // for the send in flight when stopping: 5 s
	CheckPatience time.Duration // for a query about numbers: 20 s
}

func (t Timing) withDefaults() Timing {
	for _, field := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&t.FirstCode, 60 * time.Second},
		{&t.Code, 20 * time.Second},
		{&t.CodePatience, 30 * time.Second},
		{&t.PairPause, 3 * time.Minute},
		{&t.RoundPause, 2 * time.Minute},
		{&t.LoginPatience, 30 * time.Second},
		{&t.RestartWait, 10 * time.Second},
		{&t.Backoff, time.Second},
		{&t.BackoffMost, 5 * time.Minute},
		{&t.Stable, time.Minute},
		{&t.ReplacedWait, 30 * time.Second},
		{&t.Answer, time.Minute},
		{&t.StopSend, 5 * time.Second},
		{&t.CheckPatience, 20 * time.Second},
	} {
		if *field.value == 0 {
			*field.value = field.fallback
		}
	}
	return t
}

// backoff is the pause before dialling again after so many failures in a row: none before the first, so that a message in
// flight is repeated by the library itself, then doubling up to the longest, each with up to a quarter more or less so that
// many clients do not come back as one.
func (t Timing) backoff(failures int, random func() float64) time.Duration {
	if failures == 0 {
		return 0
	}
	pause := t.BackoffMost
	if shift := failures - 1; shift < 20 {
		pause = min(t.BackoffMost, t.Backoff<<shift)
	}
	return time.Duration(float64(pause) * (0.75 + random()/2))
}

func random() float64 { return rand.Float64() }
