package callback

import (
	"net/http"
	"strconv"
	"time"
)

// attempts is how often a delivery is tried: at once, and after each pause. The last attempt comes after about 28 hours.
const attempts = 10

// longestRetryAfter bounds what a receiver may ask for.
const longestRetryAfter = 6 * time.Hour

// pauses are the times between attempts.
func pauses() []time.Duration {
	return []time.Duration{
		5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
		2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour,
	}
}

// next is when a delivery is tried again after so many attempts: after its pause, give or take a fifth, and not before the
// receiver asked for. It is false when the schedule is exhausted.
func next(attempt int, now time.Time, retryAfter time.Duration, random func() float64) (time.Time, bool) {
	if attempt < 1 || attempt >= attempts {
		return time.Time{}, false
	}
	pause := time.Duration(float64(pauses()[attempt-1]) * (0.8 + 0.4*random()))
	return now.Add(max(pause, min(retryAfter, longestRetryAfter))), true
}

// retryAfter reads what a receiver asks for, in seconds or as a date; 0 for nothing that can be read.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		return max(time.Duration(seconds)*time.Second, 0)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
