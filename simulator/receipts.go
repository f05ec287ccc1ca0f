package simulator

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"maps"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// The kinds of receipt, as their type attribute names them. A receipt without type says that the message was delivered.
const (
	deliveredReceipt = ""
	readReceipt      = "read"
	playedReceipt    = "played"
	retryReceipt     = "retry"
)

// receipt sends a receipt of a virtual device to every client linked to the account that sent the message.
func (s *Server) receipt(from *device, to *account, id, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteReceipt(from, to, id, kind)
	for _, d := range to.devices {
		if d.linked() {
			s.postReceipt(from, d, id, kind, waBinary.Node{})
		}
	}
}

// postReceipt sends one receipt to one client; more holds what it has beside the usual attributes. Call with s.mu held.
func (s *Server) postReceipt(from, to *device, id, kind string, more waBinary.Node) {
	address := from.addressedAs(from.account.addressedTo(to).Server)
	n := waBinary.Node{Tag: "receipt", Attrs: waBinary.Attrs{"from": address, "id": id, "t": now()}, Content: more.Content}
	maps.Copy(n.Attrs, more.Attrs)
	if kind != deliveredReceipt {
		n.Attrs["type"] = kind
	}
	key := receiptKey(id, kind, address)
	f, _ := s.meet(moment{
		at: "receipt", account: to.account.number, peer: from.account.number, device: from.id, kind: cmp.Or(kind, "delivered"),
	})
	switch f.Do {
	case doOmit:
		return
	case doDelay:
		s.laterLocked(f.Delay, func() { s.post(to, key, n) })
	case doTwice:
		s.post(to, key, n)
		s.post(to, key, n)
	default:
		s.post(to, key, n)
	}
	s.count(func(c *Counters) { c.ReceiptsOut++ })
}

// noteReceipt records that a device sent a receipt for a message of an account. Call with s.mu held.
func (s *Server) noteReceipt(from *device, to *account, id, kind string) {
	s.note(Event{What: "receipt", From: from.account.number, To: to.number, Device: from.id, ID: id, Kind: cmp.Or(kind, "delivered")})
}

// askAgain tells the sender that a message could not be opened, with keys for a new session.
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

// handleReceipt takes a client's receipt: the message it names has been dealt with, or could not be opened.
func (s *Server) handleReceipt(c *conn, d *device, n *waBinary.Node) {
	kind := text(n, "type")
	ids := []string{text(n, "id")}
	list := n.GetChildByTag("list")
	for _, item := range list.GetChildrenByTag("item") {
		ids = append(ids, text(&item, "id"))
	}
	s.count(func(counters *Counters) { counters.ReceiptsIn++ })
	to, hasTo := jidAttr(n, "to")
	if ids[0] == "" || !hasTo {
		s.problem("receipt without id or to nobody")
		return
	}
	s.nameReceipt(kind)
	ack := waBinary.Node{Tag: "ack", Attrs: waBinary.Attrs{"class": "receipt", "id": ids[0], "from": n.Attrs["to"]}}
	if kind != "" {
		ack.Attrs["type"] = kind
	}
	c.send(ack)
	if kind == retryReceipt {
		s.count(func(counters *Counters) { counters.RetryReceipts++ })
		s.resend(d, to, n)
		return
	}
	for _, id := range ids {
		s.acknowledged(d, messageKey(id))
		s.forward(d, to, id, kind)
	}
}

// forward passes a receipt on to the clients linked to the account that wrote the message.
func (s *Server) forward(from *device, to types.JID, id, kind string) {
	switch kind {
	case "inactive": // delivered, to an app that is not looked at
		kind = deliveredReceipt
	case deliveredReceipt, readReceipt, playedReceipt:
	default:
		return // between own devices
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.directory.account(to)
	if a == nil || a == from.account {
		return
	}
	s.noteReceipt(from, a, id, kind)
	for _, d := range a.devices {
		if d.linked() {
			s.postReceipt(from, d, id, kind, waBinary.Node{})
		}
	}
}

// resend answers a client's retry receipt as apps do: the same message under the same ID, in a new session when the
// client sent keys for one.
func (s *Server) resend(client *device, author types.JID, n *waBinary.Node) {
	id := text(n, "id")
	retry := n.GetChildByTag("retry")
	count := 1
	_, _ = fmt.Sscan(text(&retry, "count"), &count) // whatsmeow always sends one
	s.mu.Lock()
	d := s.directory.device(author)
	if d == nil {
		s.mu.Unlock()
		s.problem("retry receipt for a device that is not there")
		return
	}
	s.noteReceipt(client, d.account, id, retryReceipt)
	signal := s.virtual(d)
	if signal == nil { // another client wrote it: that one answers
		forwarded := waBinary.Node{Content: n.GetChildren()}
		if chat, ok := jidAttr(n, "recipient"); ok {
			forwarded.Attrs = waBinary.Attrs{"recipient": chat} // of a message to somebody else that an own device could not open
		}
		s.postReceipt(client, d, id, retryReceipt, forwarded)
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
	s.enqueue(&signal.jobs, func(ctx context.Context) {
		out, ok := signal.sent(id)
		if !ok {
			s.problem("retry receipt for a message that was never written")
			return
		}
		if client.account == d.account && !out.Peer {
			var err error
			if out, err = s.ownCopy(out); err != nil {
				s.problem("answer a retry receipt: %v", err)
				return
			}
		}
		if err := s.deliver(ctx, d, signal, client, out, with, count); err != nil {
			s.problem("answer a retry receipt: %v", err)
		}
	})
}

// bundleIn reads the keys that come with a retry receipt from its second round on, nil when there are none.
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
