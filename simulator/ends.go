package simulator

import (
	"fmt"
	"strconv"

	waBinary "go.mau.fi/whatsmeow/binary"
)

// Reasons of failed logins.
const (
	failureBadRequest = 400
	failureLoggedOut  = 401
)

// Refusal is how a login is refused.
type Refusal struct {
	// Reason is the failure's number, of which clients know: 400 generic, 401 logged out, 402 temporary ban, 403 logged
	// out by the main device, 405 client outdated, 406 unknown user, 409 bad user agent, 500 and 503 try again.
	Reason int `json:"reason"`
	// Message is a text clients may log.
	Message string `json:"message,omitempty"`
	// BanCode (101 to 106) and BanSeconds explain a 402.
	BanCode    int `json:"ban_code,omitempty"`
	BanSeconds int `json:"ban_seconds,omitempty"`
}

// node is the stanza that refuses a login.
func (r *Refusal) node() waBinary.Node {
	attrs := waBinary.Attrs{"reason": r.Reason, "location": location, "message": r.Message}
	if r.BanCode != 0 {
		attrs["code"], attrs["expire"] = r.BanCode, r.BanSeconds
	}
	return waBinary.Node{Tag: "failure", Attrs: attrs}
}

// streamErrorNode ends a connection with a code, a conflict, or both.
func streamErrorNode(code, conflict string) waBinary.Node {
	n := waBinary.Node{Tag: "stream:error", Attrs: waBinary.Attrs{"code": code}}
	if conflict != "" {
		n.Content = []waBinary.Node{{Tag: "conflict", Attrs: waBinary.Attrs{"type": conflict}}}
	}
	return n
}

func replacedNode() waBinary.Node { return streamErrorNode("", "replaced") }

func removedNode() waBinary.Node { return streamErrorNode("401", "device_removed") }

// Ways to end a connection with Kick.
const (
	KickDrop     = "drop"           // cut TCP: clients reconnect
	KickClose    = "close"          // close the websocket: clients reconnect
	Kick503      = "503"            // stream error 503, then close: clients reconnect
	Kick515      = "515"            // stream error 515, then close: clients reconnect at once
	KickReplaced = "replaced"       // another connection took over: clients stay away
	KickRemoved  = "device_removed" // the phone removed the device: clients forget their keys
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
	end, err := kicker(a, mode)
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
func kicker(a *account, mode string) (func(*conn), error) {
	switch mode {
	case KickDrop:
		return (*conn).drop, nil
	case KickClose:
		return (*conn).hangUp, nil
	case Kick503, Kick515:
		return func(c *conn) { c.endWith(streamErrorNode(mode, "")) }, nil
	case KickReplaced:
		return func(c *conn) { c.endWith(replacedNode()) }, nil
	case KickRemoved:
		return func(c *conn) { c.endWith(removedNode()) }, nil
	}
	reason, err := strconv.Atoi(mode)
	if err != nil || reason < 400 || reason > 599 {
		return nil, fmt.Errorf("unknown mode %q", mode)
	}
	return func(c *conn) {
		a.refusals = append(a.refusals, Refusal{Reason: reason})
		c.drop()
	}, nil
}

// RefuseLogins makes the next logins of an account fail, one for each refusal, in order.
func (s *Server) RefuseLogins(number string, refusals ...Refusal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		return fmt.Errorf("refuse logins: %w", err)
	}
	a.refusals = append(a.refusals, refusals...)
	return nil
}

// RefuseConnects answers the next connects with an HTTP status instead of a websocket, one for each status, in order.
func (s *Server) RefuseConnects(statuses ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusing = append(s.refusing, statuses...)
}

// takeConnectRefusal returns the HTTP status that answers this connect, 0 to let it in.
func (s *Server) takeConnectRefusal() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refusing) == 0 {
		return 0
	}
	status := s.refusing[0]
	s.refusing = s.refusing[1:]
	return status
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
	d.conn, d.waiting = nil, nil
	s.changed()
	return c
}
