package task

import "time"

// retries are the pauses before the attempts that follow a failure; the last one repeats.
func retries() []time.Duration {
	return []time.Duration{
		2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute,
	}
}

// retryAt is when a task that failed for now is tried again: after its pause, give or take a fifth, and not before the
// failure itself allows. It is false when that would be too late.
func retryAt(attempt int, now time.Time, atLeast time.Duration, deadline time.Time, random func() float64) (time.Time, bool) {
	pauses := retries()
	pause := pauses[min(max(attempt, 1), len(pauses))-1]
	pause = time.Duration(float64(pause) * (0.8 + 0.4*random()))
	at := now.Add(max(pause, atLeast))
	return at, !at.After(deadline)
}

// deadline is when a task must have ended. Time spent waiting for its pace does not count.
func (t Task) deadline(maxAge time.Duration) time.Time {
	return t.Created.Add(maxAge + t.Waited)
}
