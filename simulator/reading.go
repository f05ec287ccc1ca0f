package simulator

import (
	"context"
	"errors"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// arrival is a ciphertext that a virtual device is to decrypt.
type arrival struct {
	id         string
	from       *device
	kind       string
	ciphertext []byte
	retries    int // which retry it answers, 0 for none
}

// maxRetries is how often a device asks again for a message it cannot open. Web clients answer up to five rounds.
const maxRetries = 5

// enqueueDecryption lets a virtual device read a message after those that came before.
func (s *Server) enqueueDecryption(d *device, signal *signalDevice, a arrival) {
	s.enqueue(&signal.jobs, func(ctx context.Context) { s.read(ctx, d, signal, a) })
}

// read decrypts a message, shows it in the inbox, and does with it what the account's behaviour says.
func (s *Server) read(ctx context.Context, d *device, signal *signalDevice, a arrival) {
	f, _ := s.meet(moment{at: "open", account: a.from.account.number, peer: d.account.number, device: d.id})
	if f.Do == "fail" && a.retries < maxRetries {
		s.askAgain(d, signal, a)
		return
	}
	plaintext, err := signal.decrypt(ctx, a.from.lidJID(), a.kind, a.ciphertext)
	switch {
	case errors.Is(err, errReplay):
		s.count(func(c *Counters) { c.Replayed++ })
		return
	case err != nil:
		s.log.Warn("message not decrypted", "number", lastDigits(d.account.number), "device", d.id, "error", err)
		s.count(func(c *Counters) { c.DecryptFailed++ })
		if a.retries < maxRetries {
			s.askAgain(d, signal, a)
		}
		return
	}
	message := new(waE2E.Message)
	if err := proto.Unmarshal(plaintext, message); err != nil {
		s.problem("message is not a protobuf: %v", err)
		return
	}
	s.count(func(c *Counters) { c.Decrypted++ })
	entry, ok := s.entry(d, a, message)
	if !ok {
		return
	}
	signal.mu.Lock()
	fresh := signal.inbox.add(entry)
	signal.mu.Unlock()
	s.changed()
	s.news.tell()
	if entry.SentTo == "" {
		s.behave(d, a, fresh)
	}
}

// entry makes an inbox entry of a decrypted message. It is false for what apps do not show.
func (s *Server) entry(d *device, a arrival, message *waE2E.Message) (Entry, bool) {
	entry := Entry{
		ID: a.id, From: a.from.account.number, FromDevice: a.from.id, Device: d.id, Kind: "text", At: time.Now(),
	}
	if sent := message.GetDeviceSentMessage(); sent != nil {
		if a.from.account != d.account {
			s.problem("a stranger's message claims to be a copy of an own one")
			return entry, false
		}
		s.count(func(c *Counters) { c.OwnCopies++ })
		entry.SentTo = s.numberOf(sent.GetDestinationJID())
		message = sent.GetMessage()
	}
	if message.GetProtocolMessage() != nil {
		return entry, false // talk between devices
	}
	entry.Text = message.GetConversation()
	if entry.Text == "" {
		entry.Text = message.GetExtendedTextMessage().GetText()
	}
	if entry.Text == "" {
		entry.Kind = "other"
	}
	return entry, true
}

// numberOf returns the number an address stands for, or the address when nobody has it.
func (s *Server) numberOf(address string) string {
	jid, err := types.ParseJID(address)
	if err != nil {
		return address
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.directory.account(jid); a != nil {
		return a.number
	}
	return address
}
