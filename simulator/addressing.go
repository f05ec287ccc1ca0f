package simulator

import (
	"cmp"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// A client is addressed by number or by LID, as it said at its login; who hides one of them is addressed by the other.

// addressedTo is the address by which a client knows the account.
func (a *account) addressedTo(d *device) types.JID {
	if d.byNumber && a.identities != lidOnly || a.identities == numberOnly {
		return a.jid()
	}
	return a.lidJID()
}

// addressedAs returns the device's address of the same kind as another address.
func (d *device) addressedAs(kind string) types.JID {
	if kind == types.HiddenUserServer {
		return d.lidJID()
	}
	return d.jid()
}

// messageFrom is a message stanza to a linked client, addressed as the client wants it. Source of the attributes:
// parseMessageSource of whatsmeow.
func messageFrom(from, to *device, id string, enc waBinary.Node) waBinary.Node {
	n := waBinary.Node{
		Tag: "message",
		Attrs: waBinary.Attrs{
			"from": from.lidJID(), "sender_pn": from.account.jid(), "addressing_mode": "lid",
			"id": id, "t": now(), "type": "text", "notify": from.account.name,
		},
		Content: []waBinary.Node{enc},
	}
	if from.account.addressedTo(to).Server == types.DefaultUserServer {
		delete(n.Attrs, "sender_pn")
		n.Attrs["from"], n.Attrs["sender_lid"], n.Attrs["addressing_mode"] = from.jid(), from.account.lidJID(), "pn"
	}
	switch from.account.identities {
	case numberOnly:
		delete(n.Attrs, "sender_lid")
	case lidOnly:
		delete(n.Attrs, "sender_pn")
	}
	return n
}

// messageFor builds the stanza a linked client gets from another linked client. Call with s.mu held.
func messageFor(to *device, m *sending, one copyFor) waBinary.Node {
	enc := waBinary.Node{Tag: "enc", Attrs: waBinary.Attrs{"v": "2", "type": one.kind}, Content: one.ciphertext}
	if one.count > 0 {
		enc.Attrs["count"] = one.count
	}
	if one.mediaType != "" {
		enc.Attrs["mediatype"] = one.mediaType
	}
	n := messageFrom(m.from, to, m.id, enc)
	n.Attrs["type"] = cmp.Or(m.stanza, stanzaText)
	if one.kind == firstMessages {
		n.Content = append(n.GetChildren(), waBinary.Node{Tag: "device-identity", Content: m.identity})
	}
	if to.account == m.from.account && !m.peer { // what another own device sent
		addressCopy(&n, to, m.account)
	}
	return n
}

// addressCopy says on a copy for an own client whom the message was written to.
func addressCopy(n *waBinary.Node, to *device, recipient *account) {
	if to.byNumber {
		n.Attrs["recipient"] = recipient.jid()
		return
	}
	n.Attrs["recipient"], n.Attrs["peer_recipient_pn"] = recipient.lidJID(), recipient.jid()
}
