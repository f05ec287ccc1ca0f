package simulator

import (
	"fmt"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// handlePresence takes what a client says of itself, or its wish to hear of somebody. Source: SendPresence and SubscribePresence of
// whatsmeow.
func (s *Server) handlePresence(c *conn, n *waBinary.Node) {
	kind, name := text(n, "type"), text(n, "name")
	if kind == "" {
		return // it tells a display name, or none. Source: creds.update in Baileys, which does so even before login
	}
	d := c.who()
	if d == nil {
		s.problem("presence before login")
		return
	}
	switch kind {
	case "available", "unavailable":
		if name == "" {
			s.problem("presence without a name")
		}
		s.mu.Lock()
		d.available = kind == "available"
		s.mu.Unlock()
		s.note(Event{What: "presence", From: d.account.number, Device: d.id, Kind: kind})
	case "subscribe", "unsubscribe":
		to, _ := jidAttr(n, "to")
		s.watch(d, to, kind == "subscribe")
	default:
		s.unhandled("presence " + kind)
	}
}

// watch lets a client hear of an account's presence from now on, or no longer. It hears the present one at once.
func (s *Server) watch(d *device, jid types.JID, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.directory.account(jid)
	if a == nil || !a.registered {
		s.problem("presence of somebody who is not there")
		return
	}
	if d.watching == nil {
		d.watching = map[*account]struct{}{}
	}
	if !on {
		delete(d.watching, a)
		return
	}
	d.watching[a] = struct{}{}
	s.tellPresence(d, a)
}

// tellPresence tells a client whether an account is online. Source: handlePresence of whatsmeow. That presence is not kept for
// clients that are away is a guess. Call with s.mu held.
func (s *Server) tellPresence(d *device, a *account) {
	if d.conn == nil {
		return
	}
	n := waBinary.Node{Tag: "presence", Attrs: waBinary.Attrs{"from": a.addressedTo(d)}}
	if !a.online {
		n.Attrs["type"], n.Attrs["last"] = "unavailable", "deny"
		if !a.lastSeen.IsZero() {
			n.Attrs["last"] = a.lastSeen.Unix()
		}
	}
	d.conn.send(n)
}

// SetOnline makes an account's phone look used or put away; clients that asked are told.
func (s *Server) SetOnline(number string, online bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		return fmt.Errorf("set online: %w", err)
	}
	if a.online && !online {
		a.lastSeen = time.Now()
	}
	a.online = online
	for c := range s.conns {
		if d := c.who(); d != nil {
			if _, watching := d.watching[a]; watching {
				s.tellPresence(d, a)
			}
		}
	}
	return nil
}

// handleChatState takes a client's typing. Source: SendChatPresence of whatsmeow.
func (s *Server) handleChatState(c *conn, n *waBinary.Node) {
	d := c.who()
	to, ok := jidAttr(n, "to")
	if d == nil || !ok || len(n.GetChildren()) != 1 {
		s.problem("chat state that names no chat or not one state")
		return
	}
	state := n.GetChildren()[0]
	kind := state.Tag
	if kind == "composing" && text(&state, "media") == "audio" {
		kind = "recording"
	}
	s.note(Event{What: "typing", From: d.account.number, To: s.numberAt(to), Device: d.id, Kind: kind})
}

// Type shows the clients of an account that another one types, or has stopped. Typing is not kept for clients that are away.
func (s *Server) Type(from, to string, typing bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, recipient, err := s.directory.pair(from, to)
	if err != nil {
		return fmt.Errorf("type: %w", err)
	}
	state := "paused"
	if typing {
		state = "composing"
	}
	for _, d := range recipient.devices {
		if d.conn != nil && d.conn.active {
			d.conn.send(waBinary.Node{
				Tag: "chatstate", Attrs: waBinary.Attrs{"from": a.addressedTo(d)}, Content: []waBinary.Node{{Tag: state}},
			})
		}
	}
	s.note(Event{What: "typing", From: from, To: to, Kind: state})
	return nil
}
