package simulator

import (
	"fmt"
	"maps"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// notify sends a notification to every client linked to an account. Call with s.mu held.
func (s *Server) notify(a *account, attrs waBinary.Attrs, children ...waBinary.Node) {
	s.note(Event{What: "notice", To: a.number, Kind: fmt.Sprint(attrs["type"])})
	for _, d := range a.devices {
		if d.linked() {
			s.notifyDevice(d, attrs, children...)
		}
	}
}

// notifyDevice sends a notification to one client, which acknowledges it. Source of its kinds: handleNotification of whatsmeow. Call
// with s.mu held.
func (s *Server) notifyDevice(d *device, attrs waBinary.Attrs, children ...waBinary.Node) {
	attrs = maps.Clone(attrs)
	id := newID()
	attrs["id"], attrs["t"] = id, now()
	s.post(d, notificationKey(id), waBinary.Node{Tag: "notification", Attrs: attrs, Content: children})
}

// notifyOf tells the clients of an account something about another one. It is named by its number, as the real server names
// it as far as clients show, unless its number is hidden. Call with s.mu held.
func (s *Server) notifyOf(a, to *account, kind string, child waBinary.Node) {
	attrs := waBinary.Attrs{"from": a.jid(), "lid": a.lidJID(), "type": kind}
	switch a.identities {
	case numberOnly:
		delete(attrs, "lid")
	case lidOnly:
		attrs["from"] = a.lidJID()
	}
	s.notify(to, attrs, child)
}

// acquaintances returns the accounts that have written to an account or got something from it. Call with s.mu held.
func (s *Server) acquaintances(a *account) []*account {
	var others []*account
	for number := range a.chats {
		if other := s.directory.byNumber[number]; other != nil && other != a {
			others = append(others, other)
		}
	}
	return others
}

// tellDevice tells acquaintances that an account has one device more or less, or ("update") that they should ask. The hashes
// are of all its devices, by number and by LID. Source: handleDeviceNotification of whatsmeow. Call with s.mu held.
func (s *Server) tellDevice(change string, d *device) {
	a := d.account
	var byNumber, byLID []types.JID
	for _, other := range a.devices {
		byNumber, byLID = append(byNumber, other.jid()), append(byLID, other.lidJID())
	}
	n := waBinary.Node{
		Tag:   change,
		Attrs: waBinary.Attrs{"device_hash": participantHash(byNumber), "device_lid_hash": participantHash(byLID)},
		Content: []waBinary.Node{{Tag: "device", Attrs: waBinary.Attrs{
			"jid": d.jid(), "lid": d.lidJID(), "key-index": d.keyIndex,
		}}},
	}
	for _, other := range s.acquaintances(a) {
		s.notifyOf(a, other, "devices", n)
	}
}

// tellLinked tells everybody concerned that a client was linked to an account ("add"), or is not any more ("remove"). Call
// with s.mu held.
func (s *Server) tellLinked(change string, d *device) {
	s.tellOwnDevices(d.account, d)
	s.tellDevice(change, d)
}

// tellOwnDevices tells the clients of an account which devices it has now, all but one that knows. Source:
// handleOwnDevicesNotification of whatsmeow. Call with s.mu held.
func (s *Server) tellOwnDevices(a *account, but *device) {
	var jids []types.JID
	var devices []waBinary.Node
	for id := range a.nextDevice {
		if d := a.devices[id]; d != nil {
			jids = append(jids, d.jid())
			devices = append(devices, waBinary.Node{Tag: "device", Attrs: waBinary.Attrs{"jid": d.jid()}})
		}
	}
	list := waBinary.Node{Tag: "devices", Attrs: waBinary.Attrs{"dhash": participantHash(jids)}, Content: devices}
	for _, d := range a.devices {
		if d.linked() && d != but {
			s.notifyDevice(d, waBinary.Attrs{"from": a.jid(), "type": "account_sync"}, list)
		}
	}
}
