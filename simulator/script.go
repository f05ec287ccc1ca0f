package simulator

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Behaviour is what an account's virtual devices do with the messages they get. The zero value says that they were
// delivered, and no more.
type Behaviour struct {
	// Receipts: "none", "delivered" (the default: never read) or "read".
	Receipts string `json:"receipts,omitempty"`
	// ReadAfter is the pause before a message is read and answered.
	ReadAfter Duration `json:"read_after,omitempty"`
	// Reply is a text the phone answers with. Only messages of linked clients are answered, so that two accounts cannot
	// answer each other for ever.
	Reply string `json:"reply,omitempty"`
	// Echo makes the phone answer with the text it got.
	Echo bool `json:"echo,omitempty"`
	// Keywords are answers to texts that contain a word, whatever its case. They go before Reply and Echo.
	Keywords map[string]string `json:"keywords,omitempty"`
	// Types shows typing while an answer is under way.
	Types bool `json:"types,omitempty"`
	// Blocks makes the server take messages for the account and deliver none: who is blocked is not told.
	Blocks bool `json:"blocks,omitempty"`
	// NewPhoneAfter is after how many messages the account changes its phone, and its identity with it; 0 is never.
	NewPhoneAfter int `json:"new_phone_after,omitempty"`
}

// Scripts returns behaviours by name, for contacts of a kind: "echo", "keyword" (to price and hours), "reads-later" (after
// 30 s), "never-reads", "blocks", and "new-phone" (after every third message).
func Scripts() map[string]Behaviour {
	return map[string]Behaviour{
		"echo": {Receipts: "read", Types: true, Echo: true},
		"keyword": {Receipts: "read", Types: true, Reply: "Ask me for the price, or for our hours.", Keywords: map[string]string{
			"price": "It is 5 euros.", "hours": "We are open from 9 to 5.",
		}},
		"reads-later": {Receipts: "read", ReadAfter: Duration(30 * time.Second)},
		"never-reads": {Receipts: "delivered"},
		"blocks":      {Blocks: true},
		"new-phone":   {Receipts: "read", Reply: "Got it.", NewPhoneAfter: 3},
	}
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
	if b.NewPhoneAfter < 0 {
		return fmt.Errorf("new_phone_after is not negative")
	}
	return nil
}

// answer returns what the phone answers to a text, "" for nothing.
func (b Behaviour) answer(got string) string {
	longest := ""
	for word := range b.Keywords {
		if strings.Contains(strings.ToLower(got), strings.ToLower(word)) && len(word) > len(longest) {
			longest = word
		}
	}
	if longest != "" {
		return b.Keywords[longest]
	}
	if b.Echo {
		return got
	}
	return b.Reply
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
func (s *Server) behave(d *device, a arrival, entry Entry, fresh bool) {
	s.mu.Lock()
	b := d.account.behaviour
	s.mu.Unlock()
	if a.from.account == d.account {
		return
	}
	if b.Receipts != "none" {
		s.receipt(d, a.from.account, a.id, deliveredReceipt)
	}
	if d.id != 0 { // it is read once, on the phone
		return
	}
	answer, meant := "", fresh && a.from.linked() && entry.Kind == "text"
	if meant {
		answer = b.answer(entry.Text)
	}
	s.spawn(func(ctx context.Context) {
		s.react(ctx, d, a, b, answer)
		if meant {
			s.maybeChangePhone(d.account, b.NewPhoneAfter)
		}
	})
}

// react reads a message and answers it, after the pause the behaviour wants.
func (s *Server) react(ctx context.Context, d *device, a arrival, b Behaviour, answer string) {
	from, to := d.account.number, a.from.account.number
	types := b.Types && answer != ""
	if types {
		_ = s.Type(from, to, true) // both are there: the message has just come
	}
	if !pause(ctx, time.Duration(b.ReadAfter)) {
		return
	}
	if b.Receipts == "read" {
		s.receipt(d, a.from.account, a.id, readReceipt)
	}
	if types {
		_ = s.Type(from, to, false)
	}
	if answer == "" {
		return
	}
	if _, err := s.Write(ctx, from, to, answer); err != nil && ctx.Err() == nil {
		s.problem("answer of an account: %v", err)
	}
}

// maybeChangePhone gives an account a new phone once it has read so many messages of clients.
func (s *Server) maybeChangePhone(a *account, after int) {
	if after == 0 {
		return
	}
	s.mu.Lock()
	a.read++
	due := a.read >= after
	if due {
		a.read = 0
	}
	s.mu.Unlock()
	if !due {
		return
	}
	if err := s.ChangePhone(a.number); err != nil && s.ctx.Err() == nil {
		s.problem("change of a phone: %v", err)
	}
}
