package simulator

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// maxSent is how many written messages a device keeps to answer retry receipts, a guess.
const maxSent = 1000

// Write lets the phone of one account write a text to another account, and returns the message's ID once it is on its way
// to every device of the recipient.
func (s *Server) Write(ctx context.Context, from, to, text string) (id string, err error) {
	return s.Send(ctx, from, Message{To: to, Text: text})
}

// Send lets the phone of an account write a message, and returns its ID once it is on its way to every device of the
// recipient.
func (s *Server) Send(ctx context.Context, from string, m Message) (id string, err error) {
	s.mu.Lock()
	author, recipient, err := s.directory.pair(from, m.To)
	if err != nil {
		s.mu.Unlock()
		return "", err
	}
	signal, by, to := s.virtual(author.devices[0]), author.lidJID(), recipient.lidJID()
	s.mu.Unlock()
	message, out, err := s.content(m, by, to, signal)
	if err != nil {
		return "", err
	}
	if id, err = s.write(ctx, author, recipient, message, out); err == nil {
		s.note(Event{What: "message", From: from, To: m.To, ID: id, Text: m.summary()})
	}
	return id, err
}

// content makes the content of a message.
func (s *Server) content(m Message, by, to types.JID, signal *signalDevice) (*waE2E.Message, outgoing, error) {
	if m.Attachment != nil {
		return s.attach(m)
	}
	return compose(m, by, to, signal)
}

// pair finds two accounts that are on WhatsApp.
func (d directory) pair(from, to string) (author, recipient *account, err error) {
	if author, err = d.registeredAccount(from); err != nil {
		return nil, nil, err
	}
	recipient, err = d.registeredAccount(to)
	return author, recipient, err
}

// write hands a message of an account's phone to everybody it is for. It returns its ID.
func (s *Server) write(ctx context.Context, author, recipient *account, message *waE2E.Message, out outgoing) (string, error) {
	s.mu.Lock()
	phone := author.devices[0]
	signal := s.virtual(phone)
	s.meetPeople(author, recipient)
	s.mu.Unlock()
	out.ID = newMessageID()
	done := make(chan error, 1)
	// On the device's own queue, so that messages leave in the order they were written.
	s.enqueue(&signal.jobs, func(ctx context.Context) { done <- s.writeTo(ctx, phone, signal, recipient, message, out) })
	select {
	case err := <-done:
		return out.ID, err
	case <-ctx.Done():
		return out.ID, ctx.Err()
	case <-s.ctx.Done():
		return out.ID, errors.New("simulator closed")
	}
}

// newMessageID makes an ID of the shape that web clients use. Source: GenerateMessageID of whatsmeow.
func newMessageID() string {
	var b [9]byte
	_, _ = rand.Read(b[:]) // never fails
	return "3EB0" + strings.ToUpper(hex.EncodeToString(b[:]))
}

// writeTo encrypts a message for every device of the recipient and for the author's linked clients.
func (s *Server) writeTo(ctx context.Context, phone *device, signal *signalDevice, recipient *account, message *waE2E.Message, out outgoing) error {
	phone, signal = s.current(phone, signal)
	var err error
	if out.Plaintext, err = proto.Marshal(message); err != nil {
		return err
	}
	out.To = recipient.number
	copied, err := s.ownCopy(out)
	if err != nil {
		return err
	}
	signal.keepSent(out)
	for _, to := range s.devicesOf(recipient) {
		if to == phone {
			continue
		}
		if err := s.deliver(ctx, phone, signal, to, out, nil, 0); err != nil {
			return err
		}
	}
	if recipient == phone.account {
		return nil
	}
	for _, to := range s.devicesOf(phone.account) {
		if to == phone {
			continue
		}
		if err := s.deliver(ctx, phone, signal, to, copied, nil, 0); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) devicesOf(a *account) []*device {
	s.mu.Lock()
	defer s.mu.Unlock()
	devices := make([]*device, 0, len(a.devices))
	for id := range a.nextDevice {
		if d := a.devices[id]; d != nil {
			devices = append(devices, d)
		}
	}
	return devices
}

// deliver encrypts for one device, in a new session when there is a bundle or no session yet, and passes it on. A client
// that has not uploaded keys yet is left out, as it cannot be reached.
func (s *Server) deliver(ctx context.Context, from *device, signal *signalDevice, to *device, out outgoing, with *bundle, retry int) error {
	if with == nil && !signal.hasSession(to.lidJID()) {
		b, code, reason := s.bundleOf(to.lidJID())
		if code == 404 || code == 406 {
			s.log.Info("device without keys left out", "device", to.id, "reason", reason)
			return nil
		}
		with = &b
	}
	ciphertext, kind, err := signal.encrypt(ctx, to.lidJID(), slices.Clone(out.Plaintext), with)
	if err != nil {
		return fmt.Errorf("encrypt for device %d: %w", to.id, err)
	}
	s.mu.Lock()
	other := s.virtual(to)
	if other == nil {
		enc := waBinary.Node{Tag: "enc", Attrs: waBinary.Attrs{"v": "2", "type": kind}, Content: ciphertext}
		if retry > 0 {
			enc.Attrs["count"] = retry
		}
		if out.MediaType != "" {
			enc.Attrs["mediatype"] = out.MediaType
		}
		n := messageFrom(from, to, out.ID, enc)
		n.Attrs["type"] = cmp.Or(out.Stanza, stanzaText)
		if out.Edit != "" {
			n.Attrs["edit"] = out.Edit
		}
		switch {
		case out.Peer:
			n.Attrs["category"] = "peer"
		case to.account == from.account:
			addressCopy(&n, to, s.directory.byNumber[out.To])
		}
		s.postMessage(to, from, out.ID, n)
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	s.reach(to, other, arrival{id: out.ID, from: from, kind: kind, ciphertext: ciphertext, retries: retry})
	return nil
}

// ownCopy wraps a message for the author's other devices, which are told whom it was written to. Source: marshalMessage of
// whatsmeow.
func (s *Server) ownCopy(out outgoing) (outgoing, error) {
	message := new(waE2E.Message)
	if err := proto.Unmarshal(out.Plaintext, message); err != nil {
		return out, err
	}
	s.mu.Lock()
	destination := s.directory.byNumber[out.To].lidJID().String()
	s.mu.Unlock()
	var err error
	out.Plaintext, err = proto.Marshal(&waE2E.Message{DeviceSentMessage: &waE2E.DeviceSentMessage{
		DestinationJID: proto.String(destination), Message: message,
	}})
	return out, err
}

// keepSent remembers a written message for retry receipts; the oldest are forgotten.
func (d *signalDevice) keepSent(out outgoing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out.Plaintext = slices.Clone(out.Plaintext)
	d.written = append(d.written, out)
	if len(d.written) > maxSent {
		d.written = d.written[len(d.written)-maxSent:]
	}
}

// sent returns what was written under an ID.
func (d *signalDevice) sent(id string) (outgoing, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.written {
		if m.ID == id {
			m.Plaintext = slices.Clone(m.Plaintext)
			return m, true
		}
	}
	return outgoing{}, false
}

// wrote says whether a message was written by this device.
func (d *signalDevice) wrote(id string) bool {
	_, ok := d.sent(id)
	return ok
}

// textOf returns the text that a message of the device's chats has, written or read; "" when it is not known.
func (d *signalDevice) textOf(id string) string {
	if out, ok := d.sent(id); ok {
		message := new(waE2E.Message)
		if proto.Unmarshal(out.Plaintext, message) == nil {
			return summaryOf(message)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, entry := range d.inbox.entries {
		if entry.ID == id {
			return entry.Text
		}
	}
	return ""
}
