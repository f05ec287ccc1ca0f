package httpapi

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// rates bounds how many tasks each token may ask for, so that a caller gone wild leaves room for the others.
type rates struct {
	perMinute int // 0 for no limit

	mu     sync.Mutex
	tokens map[string]*rate.Limiter // by the short name of a token that was right
}

func newRates(perMinute int) *rates {
	return &rates{perMinute: perMinute, tokens: map[string]*rate.Limiter{}}
}

// wait counts a task and returns 0, or counts nothing and returns how long until there is room for one.
func (r *rates) wait(token string, now time.Time) time.Duration {
	if r.perMinute == 0 {
		return 0
	}
	r.mu.Lock()
	limiter := r.tokens[token]
	if limiter == nil {
		limiter = rate.NewLimiter(rate.Every(time.Minute/time.Duration(r.perMinute)), r.perMinute)
		r.tokens[token] = limiter
	}
	r.mu.Unlock()
	reservation := limiter.ReserveN(now, 1)
	delay := reservation.DelayFrom(now)
	if delay > 0 {
		reservation.CancelAt(now)
	}
	return delay
}
