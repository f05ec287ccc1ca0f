package simulator

import (
	"context"
	"errors"
	"fmt"
	"maps"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
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

// notifyDevice sends a notification to one client, which acknowledges it. Call with s.mu held.
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

// ChangePhone gives an account a new phone: another identity, no sessions, no virtual companions. Whoever chatted with it is
// told that its identity changed. Clients linked to the account are removed, as a new phone knows none. What is on its way
// to the old phone reaches the new one, which cannot open it and asks again.
func (s *Server) ChangePhone(number string) error {
	s.mu.Lock()
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		s.mu.Unlock()
		return fmt.Errorf("change phone: %w", err)
	}
	old := s.virtual(a.devices[0])
	s.mu.Unlock()
	done := make(chan struct{})
	s.enqueue(&old.jobs, func(context.Context) { // between two messages
		defer close(done)
		s.changePhone(a)
	})
	select {
	case <-done:
		return nil
	case <-s.ctx.Done():
		return errors.New("change phone: simulator closed")
	}
}

func (s *Server) changePhone(a *account) {
	s.mu.Lock()
	defer s.mu.Unlock()
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
	old := s.virtual(a.devices[0])
	a.devices[0] = &device{account: a}
	restored := s.virtual(a.devices[0]) // with its messages, not its keys
	old.mu.Lock()
	restored.inbox, restored.written = old.inbox, old.written
	old.mu.Unlock()
	for _, other := range s.acquaintances(a) {
		s.notifyOf(a, other, "encrypt", waBinary.Node{Tag: "identity"})
	}
	s.changed()
}

// current returns the device that took the place of a virtual one, as a new phone does, or the device itself.
func (s *Server) current(d *device, signal *signalDevice) (*device, *signalDevice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := d.account.devices[d.id]; now != nil && now != d && !now.linked() {
		return now, s.virtual(now)
	}
	return d, signal
}

// SetIdentities changes by which addresses clients know an account, as [AccountSpec.Identities] says, in the middle of a
// chat too. Nobody is told: clients learn it from the next stanza that names both.
func (s *Server) SetIdentities(number, identities string) error {
	if err := checkIdentities(identities); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		return fmt.Errorf("set identities: %w", err)
	}
	a.identities = identities
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

// RefreshDevices tells whoever chatted with an account that its list of devices changed, and not how.
func (s *Server) RefreshDevices(number string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		return fmt.Errorf("refresh devices: %w", err)
	}
	s.tellDevice("update", a.devices[0])
	return nil
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
