package simulator

import (
	"context"
	"sync"
)

// news tells waiters that something happened to inboxes or work: they look again.
type news struct {
	mu      sync.Mutex
	pending int           // jobs that have not ended
	changed chan struct{} // closed and replaced at every change
}

// next returns a channel that is closed at the next change.
func (n *news) next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.changed == nil {
		n.changed = make(chan struct{})
	}
	return n.changed
}

func (n *news) begin() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pending++
}

func (n *news) end() {
	n.mu.Lock()
	n.pending--
	n.mu.Unlock()
	n.tell()
}

// quiet tells whether no job is left.
func (n *news) quiet() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pending == 0
}

// tell wakes all waiters.
func (n *news) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.changed != nil {
		close(n.changed)
		n.changed = nil
	}
}

// wait returns once a condition holds, or with the context's error. The condition is asked again after every change.
func (n *news) wait(ctx context.Context, holds func() bool) error {
	for {
		changed := n.next()
		if holds() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// WaitQuiet returns once virtual devices have dealt with everything they were sent.
func (s *Server) WaitQuiet(ctx context.Context) error { return s.news.wait(ctx, s.news.quiet) }
