package simulator

import (
	"cmp"
	"maps"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// The kinds of receipt, as their type attribute names them. A receipt without type says that the message was delivered. Source:
// types.ReceiptType of whatsmeow.
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

// handleReceipt takes a client's receipt: the message it names has been dealt with, or could not be opened. One receipt may name
// more messages in a list. Source: MarkRead, sendMessageReceipt and sendRetryReceipt of whatsmeow.
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
	case "inactive": // delivered, to an app that is not looked at. Source: SetForceActiveDeliveryReceipts of whatsmeow
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
