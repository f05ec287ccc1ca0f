package simulator

import (
	"fmt"

	waBinary "go.mau.fi/whatsmeow/binary"
)

// prekeysLow is how many one-time keys a client has left when it is told, a guess. whatsmeow uploads more below 5 (MinPreKeyCount).
const prekeysLow = 4

// tellPrekeys tells a client that it runs out of one-time keys. Source: handleEncryptNotification of whatsmeow. Call with s.mu held.
func (s *Server) tellPrekeys(d *device) {
	if left := len(d.prekeys.oneTime); left <= prekeysLow {
		s.notifyDevice(d, waBinary.Attrs{"from": server, "type": "encrypt"},
			waBinary.Node{Tag: "count", Attrs: waBinary.Attrs{"value": left}})
	}
}

// SetPreKeys says how many one-time keys an account has left for those who start a session with it: each client linked to
// it, which is told when they are few, and its virtual devices together. Without one left, bundles come without. A negative
// number gives the virtual devices as many as anybody wants again; clients upload more themselves.
func (s *Server) SetPreKeys(number string, left int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		return fmt.Errorf("set prekeys: %w", err)
	}
	a.preKeysLeft = nil
	if left >= 0 {
		a.preKeysLeft = &left
		for _, d := range a.devices {
			if d.linked() && len(d.prekeys.oneTime) > left {
				d.prekeys.oneTime = d.prekeys.oneTime[len(d.prekeys.oneTime)-left:]
				s.tellPrekeys(d)
			}
		}
	}
	s.changed()
	return nil
}

// takePreKey uses up a one-time key of an account's virtual devices. It is false when none is left. Call with Server.mu
// held.
func (a *account) takePreKey() bool {
	if a.preKeysLeft == nil {
		return true
	}
	if *a.preKeysLeft == 0 {
		return false
	}
	*a.preKeysLeft--
	return true
}
