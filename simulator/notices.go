package simulator

import (
	"fmt"
	"maps"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
)

// notify sends a notification to every client linked to an account. Call with s.mu held.
func (s *Server) notify(a *account, attrs waBinary.Attrs, children ...waBinary.Node) {
	for _, d := range a.devices {
		if d.linked() {
			s.notifyDevice(d, attrs, children...)
		}
	}
}

// notifyDevice sends a notification to one client, which acknowledges it. Call with s.mu held.
func (s *Server) notifyDevice(d *device, attrs waBinary.Attrs, children ...waBinary.Node) {
	attrs = maps.Clone(attrs)
	id := newID()
	attrs["id"], attrs["t"] = id, now()
	s.post(d, notificationKey(id), waBinary.Node{Tag: "notification", Attrs: attrs, Content: children})
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

// ChangePhone gives an account a new phone: another identity, no sessions, no virtual companions. Whoever chatted with it is
// told that its identity changed. Clients linked to the account are removed, as a new phone knows none.
func (s *Server) ChangePhone(number string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		return fmt.Errorf("change phone: %w", err)
	}
	for id, d := range a.devices {
		if id == 0 {
			continue
		}
		if d.linked() {
			if c := s.forget(d); c != nil {
				c.endWith(removedNode())
			}
			continue
		}
		delete(a.devices, id)
	}
	a.identity = keys.NewKeyPair()
	shown := newInbox() // a new phone restores its messages
	if old := a.devices[0].signal; old != nil {
		old.mu.Lock()
		shown = old.inbox
		old.mu.Unlock()
	}
	a.devices[0] = &device{account: a}
	s.virtual(a.devices[0]).inbox = shown
	for _, other := range s.acquaintances(a) {
		s.notify(other, waBinary.Attrs{"from": a.jid(), "type": "encrypt"}, waBinary.Node{Tag: "identity"})
	}
	s.changed()
	return nil
}

// ChangeLID gives an account another LID, as happens when a number is taken over. Nobody is told: who writes to the old one
// gets 404.
func (s *Server) ChangeLID(number string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		return fmt.Errorf("change LID: %w", err)
	}
	lid := s.directory.freeLID(number)
	delete(s.directory.byLID, a.lid)
	a.lid = lid
	s.directory.byLID[lid] = a
	s.changed()
	return nil
}

// AddCompanion gives an account one more virtual device and tells whoever chatted with it.
func (s *Server) AddCompanion(number string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		return fmt.Errorf("add companion: %w", err)
	}
	if a.nextDevice > maxDevice {
		return fmt.Errorf("add companion: the account has used up its device numbers")
	}
	a.keyIndex++
	d := &device{account: a, id: a.nextDevice, keyIndex: a.keyIndex}
	a.devices[d.id] = d
	a.nextDevice++
	s.tellDevice("add", d)
	s.changed()
	return nil
}

// RemoveCompanion takes a virtual device from an account and tells whoever chatted with it.
func (s *Server) RemoveCompanion(number string, id uint16) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		return fmt.Errorf("remove companion: %w", err)
	}
	d := a.devices[id]
	if d == nil || id == 0 || d.linked() {
		return fmt.Errorf("remove companion: the account has no virtual device %d", id)
	}
	delete(a.devices, id)
	s.tellDevice("remove", d)
	s.changed()
	return nil
}

// tellDevice tells acquaintances that an account has one device more or less. The hashes are of all its devices, by number
// and by LID. Source: handleDeviceNotification of whatsmeow. Call with s.mu held.
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
		s.notify(other, waBinary.Attrs{"from": a.jid(), "lid": a.lidJID(), "type": "devices"}, n)
	}
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

// prekeysLow is how many one-time keys a client has left when it is told. whatsmeow uploads more below 5.
const prekeysLow = 4

// tellPrekeys tells a client that it runs out of one-time keys. Call with s.mu held.
func (s *Server) tellPrekeys(d *device) {
	if left := len(d.prekeys.oneTime); left <= prekeysLow {
		s.notifyDevice(d, waBinary.Attrs{"from": server, "type": "encrypt"},
			waBinary.Node{Tag: "count", Attrs: waBinary.Attrs{"value": left}})
	}
}

// GiveToken lets an account give another its privacy token, which opens the way to a first message. It returns the token.
func (s *Server) GiveToken(from, to string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, other, err := s.directory.pair(from, to)
	if err != nil {
		return nil, fmt.Errorf("give token: %w", err)
	}
	token := randomBytes(24)
	a.know(other, func(*chat) {})
	if a.tokens == nil {
		a.tokens = map[string][]byte{}
	}
	a.tokens[to] = token
	s.notify(other, waBinary.Attrs{"from": a.jid(), "sender_lid": a.lidJID(), "type": "privacy_token"},
		waBinary.Node{Tag: "tokens", Content: []waBinary.Node{{
			Tag: "token", Attrs: waBinary.Attrs{"type": "trusted_contact", "t": now()}, Content: token,
		}}})
	s.changed()
	return token, nil
}
