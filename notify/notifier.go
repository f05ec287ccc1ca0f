package notify

import (
	"context"
	"log/slog"
	"time"

	"whatsappd/session"
)

// shownPatience bounds how long anybody waits for a code to be out everywhere.
const shownPatience = 20 * time.Second

// Notifier hands events to every place where operators look.
type Notifier struct {
	terminal *Terminal
	slack    *Slack // nil without one
	log      *slog.Logger
}

// New makes a notifier; slack may be nil.
func New(terminal *Terminal, slack *Slack, log *slog.Logger) *Notifier {
	return &Notifier{terminal: terminal, slack: slack, log: log}
}

// Observe takes an event. It never waits for a network.
func (n *Notifier) Observe(event session.Event) {
	n.terminal.Observe(event)
	if n.slack != nil {
		n.slack.Observe(event)
	}
}

// Run works until the context ends, and takes a live code out of Slack before it returns.
func (n *Notifier) Run(ctx context.Context) error {
	if n.slack == nil {
		<-ctx.Done()
		return nil
	}
	return n.slack.Run(ctx)
}

// Shown returns once a code of a round is out in every place, or a place has tried and failed: an unreachable Slack keeps
// nobody from pairing. It returns the context's error, and nothing else.
func (n *Notifier) Shown(ctx context.Context, round, code int) error {
	if n.slack == nil {
		return nil
	}
	limit, cancel := context.WithTimeout(ctx, shownPatience)
	defer cancel()
	if !n.slack.wait(limit, round, code) && ctx.Err() == nil {
		n.log.Warn("the pairing code is not in Slack yet; the terminal and the API show it")
	}
	return ctx.Err()
}
