package simulator

import (
	"context"
	"errors"
	"fmt"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/util/keys"
)

// ChangePhone gives an account a new phone: another identity, no sessions, no virtual companions. Whoever chatted with it is
// told that its identity changed (handleEncryptNotification of whatsmeow). Clients linked to the account are removed, as a new phone knows none. What is on its way
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
// gets 404. When this happens and what is told is a guess.
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
