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
	chat       types.JID // of the copy of a message that an own client sent
	kind       string
	ciphertext []byte
	retries    int // which retry it answers, 0 for none
}

// enqueueDecryption lets a virtual device read a message after those that came before.
func (s *Server) enqueueDecryption(d *device, signal *signalDevice, a arrival) {
	s.enqueue(&signal.jobs, func(ctx context.Context) { s.read(ctx, d, signal, a) })
}

// read decrypts a message, shows it in the inbox, and does with it what the account's behaviour says.
func (s *Server) read(ctx context.Context, d *device, signal *signalDevice, a arrival) {
	d, signal = s.current(d, signal)
	f, _ := s.meet(moment{at: "open", account: a.from.account.number, peer: d.account.number, device: d.id})
	if f.Do == "fail" {
		s.unreadable(d, signal, a)
		return
	}
	plaintext, err := signal.decrypt(ctx, a.from.lidJID(), a.kind, a.ciphertext)
	switch {
	case errors.Is(err, errReplay):
		s.count(func(c *Counters) { c.Replayed++ })
		return
	case err != nil && signal.shows(a):
		s.count(func(c *Counters) { c.UnopenedRepeats++ })
		return
	case err != nil:
		s.log.Warn("message not decrypted", "number", lastDigits(d.account.number), "device", d.id, "error", err)
		s.count(func(c *Counters) { c.DecryptFailed++ })
		s.unreadable(d, signal, a)
		return
	}
	message := new(waE2E.Message)
	if err := proto.Unmarshal(plaintext, message); err != nil {
		s.problem("message is not a protobuf: %v", err)
		return
	}
	s.count(func(c *Counters) { c.Decrypted++ })
	entry, message, ok := s.entry(d, a, message)
	if !ok {
		return
	}
	fresh := s.show(signal, &entry, message)
	if fresh && d.id == 0 && entry.SentTo == "" && a.from.linked() {
		s.note(Event{What: "message", From: entry.From, To: d.account.number, Device: entry.FromDevice, ID: a.id, Text: summaryOf(message)})
	}
	s.changed()
	s.news.tell()
	if entry.SentTo == "" {
		s.behave(d, a, entry, fresh)
	}
}

// shows tells whether a copy belongs to a message that the device shows. When it cannot open such a copy it does without: the
// author may answer one request for a message twice, when the network delivered the request twice, and the keys that came
// with the request open one answer. That apps do not ask for it again is a guess.
func (d *signalDevice) shows(a arrival) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.inbox.shows(a.from.account.number, a.id)
}

// entry begins an inbox entry of a decrypted message, and takes the message out of what it is wrapped in. It is false for
// talk between devices.
func (s *Server) entry(d *device, a arrival, message *waE2E.Message) (Entry, *waE2E.Message, bool) {
	entry := Entry{ID: a.id, From: a.from.account.number, FromDevice: a.from.id, Device: d.id, At: time.Now()}
	if sent := message.GetDeviceSentMessage(); sent != nil {
		if a.from.account != d.account {
			s.problem("a stranger's message claims to be a copy of an own one")
			return entry, nil, false
		}
		s.count(func(c *Counters) { c.OwnCopies++ })
		entry.SentTo = s.numberOf(sent.GetDestinationJID())
		message = sent.GetMessage()
	}
	for _, wrapped := range []*waE2E.FutureProofMessage{message.GetEditedMessage(), message.GetDocumentWithCaptionMessage()} {
		if inner := wrapped.GetMessage(); inner != nil {
			message = inner
		}
	}
	switch p := message.GetProtocolMessage(); {
	case p == nil:
		return entry, message, true
	case p.GetType() == waE2E.ProtocolMessage_REVOKE && p.GetKey() != nil, p.GetType() == waE2E.ProtocolMessage_MESSAGE_EDIT:
		return entry, message, true
	default:
		return entry, nil, false
	}
}

// show puts a message into an inbox: as an entry of its own, or as a change of the one it names. It is false for a
// repetition.
func (s *Server) show(signal *signalDevice, entry *Entry, message *waE2E.Message) bool {
	s.describe(entry, message)
	signal.mu.Lock()
	defer signal.mu.Unlock()
	if change, target := changeOf(*entry, message); change != nil {
		return signal.inbox.change(*entry, target, change)
	}
	return signal.inbox.add(*entry)
}

// describe says in an entry what a message holds.
func (s *Server) describe(entry *Entry, message *waE2E.Message) {
	entry.Kind, entry.Text = "text", message.GetConversation()
	if extended := message.GetExtendedTextMessage(); extended != nil {
		entry.Text = extended.GetText()
		entry.ReplyTo = extended.GetContextInfo().GetStanzaID()
	}
	if file, kind, caption := attachmentOf(message); file != nil {
		entry.Kind, entry.Text, entry.File = kind, caption, file
		if _, err := s.openContent(file.sealed); err != nil {
			file.Problem = err.Error()
			s.problem("a file that cannot be opened: %v", err)
		}
		return
	}
	p := message.GetProtocolMessage()
	switch {
	case message.GetReactionMessage() != nil:
		entry.Kind, entry.Text = "reaction", message.GetReactionMessage().GetText()
	case p.GetType() == waE2E.ProtocolMessage_MESSAGE_EDIT:
		entry.Kind, entry.Text = "edit", editedText(p)
	case p != nil:
		entry.Kind = "revoke"
	case entry.Text == "":
		entry.Kind = "other"
	}
}

// summaryOf is a message as one line.
func summaryOf(message *waE2E.Message) string {
	p := message.GetProtocolMessage()
	switch {
	case message.GetReactionMessage() != nil:
		return "(reacted) " + message.GetReactionMessage().GetText()
	case p.GetType() == waE2E.ProtocolMessage_MESSAGE_EDIT:
		return "(edited) " + editedText(p)
	case p != nil:
		return "(deleted a message)"
	}
	if file, kind, caption := attachmentOf(message); file != nil {
		return "(" + kind + ") " + caption
	}
	return message.GetConversation() + message.GetExtendedTextMessage().GetText()
}

// editedText is the new text of a message.
func editedText(p *waE2E.ProtocolMessage) string {
	return p.GetEditedMessage().GetConversation() + p.GetEditedMessage().GetExtendedTextMessage().GetText()
}

// changeOf returns what a message does to an older one, and which; nil for a message that stands for itself.
func changeOf(entry Entry, message *waE2E.Message) (change func(*Entry), target string) {
	if reaction := message.GetReactionMessage(); reaction != nil {
		return func(e *Entry) { e.react(entry.From, reaction.GetText()) }, reaction.GetKey().GetID()
	}
	p := message.GetProtocolMessage()
	if p == nil {
		return nil, ""
	}
	if p.GetType() == waE2E.ProtocolMessage_REVOKE {
		return func(e *Entry) {
			if e.From == entry.From { // nobody deletes what somebody else wrote
				e.Text, e.Revoked = "", true
			}
		}, p.GetKey().GetID()
	}
	text := editedText(p)
	return func(e *Entry) {
		if e.From == entry.From {
			e.Text, e.Edited = text, true
		}
	}, p.GetKey().GetID()
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
