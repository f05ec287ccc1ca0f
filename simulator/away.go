package simulator

import "fmt"

// heldArrival is a ciphertext for a device that has no network.
type heldArrival struct {
	device  *device
	signal  *signalDevice
	arrival arrival
}

// SetAway takes the network from an account's virtual devices, or gives it back: what is sent to them meanwhile they get
// then, in order, and the phone sends clients that were linked meanwhile what it sends once.
func (s *Server) SetAway(number string, away bool) error {
	s.mu.Lock()
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		s.mu.Unlock()
		return fmt.Errorf("set away: %w", err)
	}
	a.away = away
	held := a.held
	var clients []*device
	if !away {
		a.held = nil
		for _, d := range a.devices {
			if d.conn != nil && d.conn.active {
				clients = append(clients, d)
			}
		}
	}
	s.changed()
	s.mu.Unlock()
	if away {
		return nil
	}
	for _, one := range held {
		s.enqueueDecryption(one.device, one.signal, one.arrival)
	}
	for _, d := range clients {
		s.synchronise(d)
	}
	return nil
}

// reach lets a virtual device read a message, now or when it has network again; one that blocks never gets it.
func (s *Server) reach(d *device, signal *signalDevice, a arrival) {
	s.mu.Lock()
	if d.account.behaviour.Blocks && a.from.account != d.account {
		s.mu.Unlock()
		return
	}
	if d.account.away {
		d.account.held = append(d.account.held, heldArrival{d, signal, a})
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	s.enqueueDecryption(d, signal, a)
}
