package simulator

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// maxRetries is how often a device asks again for a message it cannot open. People report five receipts and then silence, and
// Baileys asks and answers as often (maxMsgRetryCount); whatsmeow asks four times and answers nine.
const maxRetries = 5

// unreadable asks for a message again that could not be opened, or gives it up after so many rounds.
func (s *Server) unreadable(d *device, signal *signalDevice, a arrival) {
	if a.retries < maxRetries {
		s.askAgain(d, signal, a)
		return
	}
	s.note(Event{What: "given-up", From: a.from.account.number, To: d.account.number, Device: d.id, ID: a.id})
}

// askAgain tells the sender that a message could not be opened, with keys for a new session. Source: handleRetryReceipt of
// whatsmeow. That the first round brings keys is a guess.
func (s *Server) askAgain(d *device, signal *signalDevice, a arrival) {
	b := signal.mintBundle()
	nodes := b.nodes()
	registration, keys := nodes[0], nodes[1:]
	s.mu.Lock()
	defer s.mu.Unlock()
	if !a.from.linked() {
		return // another virtual device: it does not listen for receipts
	}
	s.noteReceipt(d, a.from.account, a.id, retryReceipt)
	asking := waBinary.Node{Content: []waBinary.Node{
		{Tag: "retry", Attrs: waBinary.Attrs{"count": a.retries + 1, "id": a.id, "t": now(), "v": 1}},
		registration,
		{Tag: "keys", Content: keys},
	}}
	if d.account == a.from.account {
		asking.Attrs = waBinary.Attrs{"recipient": a.chat}
	}
	s.postReceipt(d, a.from, a.id, retryReceipt, asking)
}

// resend answers a client's retry receipt as apps do: the same message under the same ID, in a new session. When another client
// wrote the message, that one answers.
func (s *Server) resend(client *device, author types.JID, n *waBinary.Node) {
	s.mu.Lock()
	d := s.directory.device(author)
	if d == nil {
		s.mu.Unlock()
		s.problem("retry receipt for a device that is not there")
		return
	}
	s.noteReceipt(client, d.account, text(n, "id"), retryReceipt)
	signal := s.virtual(d)
	if signal == nil {
		s.passRetryOn(client, d, n)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	with, err := bundleIn(n)
	if err != nil {
		s.problem("retry receipt with bad keys: %v", err)
		return
	}
	if with == nil {
		b, code, _ := s.bundleOf(client.lidJID())
		if code != 0 {
			s.problem("no bundle to answer a retry receipt with: %d", code)
			return
		}
		with = &b
	}
	id, round := text(n, "id"), roundOf(n)
	s.enqueue(&signal.jobs, func(ctx context.Context) {
		if err := s.writeAgain(ctx, d, signal, client, id, with, round); err != nil {
			s.problem("answer a retry receipt: %v", err)
		}
	})
}

// passRetryOn hands a retry receipt on to the client that wrote the message. Call with s.mu held.
func (s *Server) passRetryOn(from, author *device, n *waBinary.Node) {
	forwarded := waBinary.Node{Content: n.GetChildren()}
	if chat, ok := jidAttr(n, "recipient"); ok {
		forwarded.Attrs = waBinary.Attrs{"recipient": chat} // of a message to somebody else that an own device could not open
	}
	s.postReceipt(from, author, text(n, "id"), retryReceipt, forwarded)
}

// roundOf is which round of asking a retry receipt is, from 1 on. Clients always say it.
func roundOf(n *waBinary.Node) int {
	round := 1
	retry := n.GetChildByTag("retry")
	_, _ = fmt.Sscan(text(&retry, "count"), &round)
	return round
}

// writeAgain sends a client a message of a virtual device once more.
func (s *Server) writeAgain(ctx context.Context, d *device, signal *signalDevice, to *device, id string, with *bundle, round int) error {
	out, ok := signal.sent(id)
	if !ok {
		return errors.New("the message was never written")
	}
	if to.account == d.account && !out.Peer {
		var err error
		if out, err = s.ownCopy(out); err != nil {
			return err
		}
	}
	return s.deliver(ctx, d, signal, to, out, with, round)
}

// bundleIn reads the keys that come with a retry receipt from its second round on, nil when there are none. Source:
// sendRetryReceipt of whatsmeow.
func bundleIn(n *waBinary.Node) (*bundle, error) {
	keys, ok := n.GetOptionalChildByTag("keys")
	if !ok {
		return nil, nil
	}
	registration, identity := n.GetChildByTag("registration"), keys.GetChildByTag("identity")
	if len(content(&registration)) != 4 || len(content(&identity)) != 32 {
		return nil, fmt.Errorf("registration of %d and identity of %d bytes", len(content(&registration)), len(content(&identity)))
	}
	b := &bundle{
		registrationID: binary.BigEndian.Uint32(content(&registration)),
		identity:       [32]byte(content(&identity)),
	}
	signed := keys.GetChildByTag("skey")
	var p prekeys
	if err := p.keepSigned(&signed, b.identity[:]); err != nil {
		return nil, err
	}
	b.signed, b.signature = p.signed, p.signature
	if one, ok := keys.GetOptionalChildByTag("key"); ok {
		key, err := parsePreKey(&one)
		if err != nil {
			return nil, err
		}
		b.oneTime = &key
	}
	return b, nil
}
