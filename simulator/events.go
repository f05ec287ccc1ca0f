package simulator

import (
	"context"
	"sync"
	"time"
)

// maxEvents is how many events are kept; the oldest are forgotten.
const maxEvents = 20_000

// Event is something that happened, as somebody who looks over everybody's shoulder sees it.
type Event struct {
	Seq int       `json:"seq"` // 1 for the first
	At  time.Time `json:"at"`
	// What is "code-asked", "passkey-asked", "passkey-refused", "passkey-code" (Text is the code) or "paired"; "login", "gone" or
	// "removed"; "message", "receipt" or "given-up"; "presence", "typing" or "notice"; or "fault".
	What   string `json:"what"`
	From   string `json:"from,omitempty"` // number
	To     string `json:"to,omitempty"`   // number
	Device uint16 `json:"device,omitempty"`
	ID     string `json:"id,omitempty"`   // of the message
	Kind   string `json:"kind,omitempty"` // of the receipt, presence, typing, notice or fault
	Text   string `json:"text,omitempty"`
}

// feed keeps the events. Its lock is taken under any other and takes none.
type feed struct {
	mu     sync.Mutex
	events []Event
	last   int
}

// note records an event. It may be called under any lock.
func (s *Server) note(e Event) {
	s.feed.mu.Lock()
	s.feed.last++
	e.Seq, e.At = s.feed.last, time.Now()
	s.feed.events = append(s.feed.events, e)
	if len(s.feed.events) > maxEvents {
		s.feed.events = append([]Event(nil), s.feed.events[maxEvents/2:]...)
	}
	s.feed.mu.Unlock()
	s.news.tell()
}

// Events returns what happened after the event with a number; 0 for everything that is kept.
func (s *Server) Events(after int) []Event {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	events := []Event{}
	for _, e := range s.feed.events {
		if e.Seq > after {
			events = append(events, e)
		}
	}
	return events
}

// WaitEvents returns what happened after the event with a number, as soon as there is something, or the context's error.
func (s *Server) WaitEvents(ctx context.Context, after int) ([]Event, error) {
	err := s.news.wait(ctx, func() bool {
		s.feed.mu.Lock()
		defer s.feed.mu.Unlock()
		return s.feed.last > after
	})
	return s.Events(after), err
}
