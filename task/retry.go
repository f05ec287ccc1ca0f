package task

import "time"

// retries are the pauses before the attempts that follow a failure; the last one repeats.
func retries() []time.Duration {
	return []time.Duration{
		2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute,
	}
}

// retryAt is when a task that failed for now is tried again: after its pause, give or take a fifth, and not before the
// failure itself allows. It is false when that would be too late. attempt counts from 1; random is in [0, 1).
func retryAt(attempt int, now time.Time, atLeast time.Duration, deadline time.Time, random float64) (time.Time, bool) {
	pauses := retries()
	pause := pauses[min(max(attempt, 1), len(pauses))-1]
	pause = time.Duration(float64(pause) * (0.8 + 0.4*random))
	at := now.Add(max(pause, atLeast))
	return at, at.Before(deadline)
}

// batch is how many checks go into the next call. It is halved when calls fail, so that one poisonous number cannot hold the
// rest, and grows again slowly, so that the halves which passed do not bring the poison back into company.
type batch struct {
	size, most          int
	failures, successes int // in a row
}

const (
	batchPatience = 2 // failed calls in a row before the next one is smaller; a smaller one is halved at once
	batchRestore  = 8 // good calls in a row before the next one is larger
)

// learn notes how a call went. A call that met an absent account says nothing about its numbers.
func (b *batch) learn(outcomes []Outcome) {
	passed, counted := false, false
	for _, outcome := range outcomes {
		passed = passed || outcome.Final
		counted = counted || outcome.Counts
	}
	switch {
	case passed:
		b.failures = 0
		if b.successes++; b.successes >= batchRestore {
			b.successes = 0
			b.size = min(2*b.size, b.most)
		}
	case counted:
		b.successes = 0
		if b.failures++; b.failures >= batchPatience || b.size < b.most {
			b.size = max(b.size/2, 1)
		}
	}
}

// absencePause is the pause after an attempt that met an absent account although it seemed ready: once for each in a row. A
// change of readiness ends it early.
func absencePause(times int) time.Duration {
	return min(time.Second<<min(max(times-1, 0), 5), safetyTick)
}
