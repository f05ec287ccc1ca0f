package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Behaviour is what an account's virtual devices do with the messages they get. The zero value says that they were
// delivered, and no more.
type Behaviour struct {
	// Receipts: "none", "delivered" (the default) or "read".
	Receipts string `json:"receipts,omitempty"`
	// ReadAfter is the pause before a message is read and answered.
	ReadAfter Duration `json:"read_after,omitempty"`
	// Reply is a text the phone answers with. Only messages of linked clients are answered, so that two accounts cannot
	// answer each other for ever.
	Reply string `json:"reply,omitempty"`
	// Echo makes the phone answer with the text it got.
	Echo bool `json:"echo,omitempty"`
}

// check refuses what is not a behaviour.
func (b Behaviour) check() error {
	switch b.Receipts {
	case "", "none", "delivered", "read":
	default:
		return fmt.Errorf("receipts must be none, delivered or read, not %q", b.Receipts)
	}
	if b.ReadAfter < 0 || b.ReadAfter > Duration(24*time.Hour) {
		return fmt.Errorf("read_after must lie between 0s and 24h")
	}
	return nil
}

// SetBehaviour changes what an account does from now on.
func (s *Server) SetBehaviour(number string, b Behaviour) error {
	if err := b.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		return err
	}
	a.behaviour = b
	s.changed()
	return nil
}

// behave does with a message what the account's behaviour says. One that came again is receipted again, not answered.
func (s *Server) behave(d *device, a arrival, fresh bool) {
	s.mu.Lock()
	b := d.account.behaviour
	s.mu.Unlock()
	if b.Receipts == "none" || a.from.account == d.account {
		return
	}
	s.receipt(d, a.from.account, a.id, deliveredReceipt)
	answer := b.Reply
	if d.id != 0 || !fresh || !a.from.linked() {
		answer = ""
	} else if b.Echo {
		answer = s.textOf(d, a.id)
	}
	if b.Receipts != "read" && answer == "" {
		return
	}
	s.spawn(func(ctx context.Context) {
		select {
		case <-time.After(time.Duration(b.ReadAfter)):
		case <-ctx.Done():
			return
		}
		if b.Receipts == "read" {
			s.receipt(d, a.from.account, a.id, readReceipt)
		}
		if answer == "" {
			return
		}
		if _, err := s.Write(ctx, d.account.number, a.from.account.number, answer); err != nil && ctx.Err() == nil {
			s.problem("answer of an account: %v", err)
		}
	})
}

// textOf returns what a device shows under an ID.
func (s *Server) textOf(d *device, id string) string {
	d.signal.mu.Lock()
	defer d.signal.mu.Unlock()
	for _, entry := range d.signal.inbox.entries {
		if entry.ID == id {
			return entry.Text
		}
	}
	return ""
}

// Duration is a time.Duration that JSON writes as text, such as "1.5s".
type Duration time.Duration

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("a duration is a text such as \"1.5s\": %w", err)
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return err
	}
	*d = Duration(parsed)
	return nil
}
