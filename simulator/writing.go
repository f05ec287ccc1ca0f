package simulator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"
)

// maxSent is how many written messages a device keeps to answer retry receipts.
const maxSent = 1000

// Write lets the phone of one account write a text to another account, and returns the message's ID once it is on its way
// to every device of the recipient.
func (s *Server) Write(ctx context.Context, from, to, text string) (id string, err error) {
	s.mu.Lock()
	author, err := s.directory.registeredAccount(from)
	if err != nil {
		s.mu.Unlock()
		return "", err
	}
	recipient, err := s.directory.registeredAccount(to)
	if err != nil {
		s.mu.Unlock()
		return "", err
	}
	phone := author.devices[0]
	signal := s.virtual(phone)
	s.mu.Unlock()
	id = newMessageID()
	done := make(chan error, 1)
	// On the device's own queue, so that messages leave in the order they were written.
	s.enqueue(&signal.jobs, func(ctx context.Context) { done <- s.writeTo(ctx, phone, signal, recipient, id, text) })
	select {
	case err := <-done:
		return id, err
	case <-ctx.Done():
		return id, ctx.Err()
	case <-s.ctx.Done():
		return id, fmt.Errorf("simulator closed")
	}
}

// newMessageID makes an ID of the shape that apps use.
func newMessageID() string {
	var b [9]byte
	_, _ = rand.Read(b[:]) // never fails
	return "3EB0" + strings.ToUpper(hex.EncodeToString(b[:]))
}

// writeTo encrypts a text for every device of the recipient and for the author's linked clients.
func (s *Server) writeTo(ctx context.Context, phone *device, signal *signalDevice, recipient *account, id, text string) error {
	message := &waE2E.Message{Conversation: proto.String(text)}
	plain, err := proto.Marshal(message)
	if err != nil {
		return err
	}
	own, err := proto.Marshal(&waE2E.Message{DeviceSentMessage: &waE2E.DeviceSentMessage{
		DestinationJID: proto.String(recipient.lidJID().String()), Message: message,
	}})
	if err != nil {
		return err
	}
	signal.keepSent(id, plain)
	for _, to := range s.devicesOf(recipient) {
		if to == phone {
			continue
		}
		if err := s.deliver(ctx, phone, signal, to, id, plain, nil, 0); err != nil {
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
		if err := s.deliver(ctx, phone, signal, to, id, own, nil, 0); err != nil {
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
func (s *Server) deliver(ctx context.Context, from *device, signal *signalDevice, to *device, id string, plaintext []byte, with *bundle, retry int) error {
	if with == nil && !signal.hasSession(to.lidJID()) {
		b, code, reason := s.bundleOf(to.lidJID())
		if code == 404 || code == 406 {
			s.log.Info("device without keys left out", "device", to.id, "reason", reason)
			return nil
		}
		with = &b
	}
	ciphertext, kind, err := signal.encrypt(ctx, to.lidJID(), plaintext, with)
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
		n := messageFrom(from, to, id, enc)
		if to.account == from.account {
			s.addressCopy(&n, to, plaintext)
		}
		s.postMessage(to, from, id, n)
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	s.enqueueDecryption(to, other, arrival{id: id, from: from, kind: kind, ciphertext: ciphertext, retries: retry})
	return nil
}

// addressCopy says on a copy for an own client whom the message was written to. Call with s.mu held.
func (s *Server) addressCopy(n *waBinary.Node, to *device, plaintext []byte) {
	message := new(waE2E.Message)
	if proto.Unmarshal(plaintext, message) != nil || message.GetDeviceSentMessage() == nil {
		return
	}
	for _, a := range s.directory.byLID {
		if a.lidJID().String() == message.GetDeviceSentMessage().GetDestinationJID() {
			n.Attrs["recipient"], n.Attrs["peer_recipient_pn"] = a.lidJID(), a.jid()
			if to.byNumber {
				n.Attrs["recipient"] = a.jid()
				delete(n.Attrs, "peer_recipient_pn")
			}
		}
	}
}

// keepSent remembers a written message for retry receipts; the oldest are forgotten.
func (d *signalDevice) keepSent(id string, plaintext []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.written = append(d.written, writtenMessage{ID: id, Plaintext: append([]byte(nil), plaintext...)})
	if len(d.written) > maxSent {
		d.written = d.written[len(d.written)-maxSent:]
	}
}

// sent returns what was written under an ID, nil when it is not known.
func (d *signalDevice) sent(id string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.written {
		if m.ID == id {
			return append([]byte(nil), m.Plaintext...)
		}
	}
	return nil
}

// writtenMessage is a message that was sent, as it was before encryption.
type writtenMessage struct {
	ID        string `json:"id"`
	Plaintext []byte `json:"plaintext"`
}
