package httpapi

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"whatsappd/task"
)

// loginsPerDay bounds the calls of /ws/login: link churn gets numbers banned.
const loginsPerDay = 10

// logins counts the log-ins of the last day. The count does not outlive the process.
type logins struct {
	mu sync.Mutex
	at []time.Time
}

// take counts a log-in and returns 0, or counts nothing and returns how long until one is allowed again.
func (l *logins) take(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.at) > 0 && now.Sub(l.at[0]) >= 24*time.Hour {
		l.at = l.at[1:]
	}
	if len(l.at) >= loginsPerDay {
		return l.at[0].Add(24 * time.Hour).Sub(now)
	}
	l.at = append(l.at, now)
	return 0
}

// giveBack takes the newest log-in out of the count.
func (l *logins) giveBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.at) > 0 {
		l.at = l.at[:len(l.at)-1]
	}
}

// acceptLogin keeps a log-in unless there were too many. Only one that was taken counts, and a repeat of it is answered as then.
func (a *API) acceptLogin(ctx context.Context, w task.New) (task.Accepted, error) {
	if wait := a.logins.take(a.opts.Now()); wait > 0 {
		return a.earlierLogin(ctx, w, wait)
	}
	accepted, err := a.tasks.Accept(ctx, w)
	if err != nil || accepted.Duplicate {
		a.logins.giveBack()
	}
	return accepted, err
}

// earlierLogin answers a repeat of a log-in that was taken, and refuses others.
func (a *API) earlierLogin(ctx context.Context, w task.New, wait time.Duration) (task.Accepted, error) {
	if w.IdempotencyKey != "" {
		known, err := a.tasks.Earlier(ctx, w)
		if !errors.Is(err, task.ErrNotFound) {
			return known, err
		}
	}
	return task.Accepted{}, tooManyLogins(wait)
}

func tooManyLogins(after time.Duration) *problem {
	p := refusal(http.StatusTooManyRequests, "too_many_logins", "Too many log-ins today: every one of them makes WhatsApp look closer at the number. Try again tomorrow")
	p.after = after
	return p
}
