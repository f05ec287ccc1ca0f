package simulator

import (
	"fmt"
	"strconv"

	waBinary "go.mau.fi/whatsmeow/binary"
)

// streamErrorNode ends a connection with a code, a conflict, or both. Source: handleStreamError of whatsmeow.
func streamErrorNode(code, conflict string) waBinary.Node {
	n := waBinary.Node{Tag: "stream:error", Attrs: waBinary.Attrs{"code": code}}
	if conflict != "" {
		n.Content = []waBinary.Node{{Tag: "conflict", Attrs: waBinary.Attrs{"type": conflict}}}
	}
	return n
}

func replacedNode() waBinary.Node { return streamErrorNode("", "replaced") }

func removedNode() waBinary.Node { return streamErrorNode("401", "device_removed") }

// Ways to end a connection, with Kick or as a fault at "online".
const (
	KickDrop     = "drop"           // cut TCP with FIN: clients reconnect
	KickReset    = "reset"          // cut TCP with RST: clients reconnect
	KickClose    = "close"          // close the websocket: clients reconnect
	Kick503      = "503"            // stream error 503, then close: clients reconnect
	Kick515      = "515"            // stream error 515, then close: clients reconnect at once
	KickReplaced = "replaced"       // another connection took over: clients stay away
	KickRemoved  = "device_removed" // the phone removed the device: clients forget their keys
	KickDeaf     = "deaf"           // stay open, answer nothing: clients find out by their own pings
	KickStuck    = "stuck"          // stay open, neither read nor write
)

// Kick ends the connections of all linked clients of an account. Mode is one of the Kick constants, or a number of a
// [Refusal]: the connections are cut and the next login of each client that was connected is refused with it.
func (s *Server) Kick(number, mode string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		return fmt.Errorf("kick: %w", err)
	}
	end, err := s.kicker(a, mode)
	if err != nil {
		return fmt.Errorf("kick: %w", err)
	}
	for _, d := range a.devices {
		c := d.conn
		if mode == KickRemoved && d.linked() {
			s.forget(d)
		}
		if c != nil {
			end(c)
		}
	}
	return nil
}

// kicker returns how a mode ends one connection.
func (s *Server) kicker(a *account, mode string) (func(*conn), error) {
	switch mode {
	case Kick503, Kick515:
		return func(c *conn) { c.endWith(streamErrorNode(mode, "")) }, nil
	case KickDrop, KickReset, KickClose, KickReplaced, KickRemoved, KickDeaf, KickStuck:
		return func(c *conn) { s.end(c, mode, 0) }, nil
	}
	reason, err := strconv.Atoi(mode)
	if err != nil || reason < 400 || reason > 599 {
		return nil, fmt.Errorf("unknown mode %q", mode)
	}
	return func(c *conn) {
		_ = s.refuseLogins(a.number, Refusal{Reason: reason}) // a reason of three digits is taken
		c.drop()
	}, nil
}

// end ends a connection in one of the ways there are. Call with s.mu held.
func (s *Server) end(c *conn, how string, code int) {
	switch how {
	case KickDrop:
		c.drop()
	case KickReset:
		c.reset()
	case KickClose:
		c.hangUp()
	case KickReplaced:
		c.endWith(replacedNode())
	case KickRemoved:
		if d := c.who(); d != nil && d.account.devices[d.id] == d {
			s.forget(d)
		}
		c.endWith(removedNode())
	case "stream-error":
		c.endWith(streamErrorNode(strconv.Itoa(code), ""))
	case "stream-error-open":
		n := streamErrorNode(strconv.Itoa(code), "")
		c.ending.Store(true)
		c.enqueue(&n, stayOpen)
	case KickStuck:
		c.stuck.Store(true)
		c.fallSilent()
	case KickDeaf:
		c.fallSilent()
	}
}

// fallSilent leaves the connection open and answers nothing any more.
func (c *conn) fallSilent() {
	c.ending.Store(true)
	c.queue.stop()
}

// scheduleEnd lets a fault end a connection that has just logged in. Call with s.mu held.
func (s *Server) scheduleEnd(c *conn, d *device) {
	f, met := s.meet(moment{at: "online", account: d.account.number})
	if met {
		s.laterLocked(f.Delay, func() {
			if d.conn == c {
				s.end(c, f.Do, f.Code)
			}
		})
	}
}

// RemoveDevice makes an account's phone remove a linked client: it is told so if it is connected, and cannot log in again.
func (s *Server) RemoveDevice(number string, id uint16) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		return fmt.Errorf("remove device: %w", err)
	}
	d := a.devices[id]
	if d == nil || !d.linked() {
		return fmt.Errorf("remove device: the account has no linked device %d", id)
	}
	if c := s.forget(d); c != nil {
		c.endWith(removedNode())
	}
	return nil
}

// forget removes a linked device from its account, with everything kept for it, and returns the connection it had, which
// may be nil. Call with s.mu held.
func (s *Server) forget(d *device) *conn {
	c := d.conn
	delete(d.account.devices, d.id)
	d.conn, d.waiting, d.inFlight = nil, nil, 0
	s.tellLinked("remove", d)
	s.note(Event{What: "removed", From: d.account.number, Device: d.id})
	s.changed()
	return c
}
