package simulator

import (
	"maps"
	"slices"
	"strings"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// server is the address the server speaks from.
var server = types.ServerJID

// now is the time as stanzas carry it.
func now() int64 { return time.Now().Unix() }

// post sends a stanza to a linked client and keeps it until the client acknowledged it: at once when the client is there,
// else at its next login. Call with s.mu held.
func (s *Server) post(d *device, key string, n waBinary.Node) {
	w := &waiting{key: key, node: n}
	d.waiting = append(d.waiting, w)
	if d.conn != nil && d.conn.active {
		w.sent = true
		d.conn.send(n)
	}
	s.changed()
}

// postMessage is post for a message, unless a fault does something else with it. Call with s.mu held.
func (s *Server) postMessage(to, from *device, id string, n waBinary.Node) {
	key := messageKey(id)
	f, _ := s.meet(moment{at: "deliver", account: to.account.number, peer: from.account.number, device: from.id})
	switch f.Do {
	case doOmit:
		return
	case doDelay:
		s.laterLocked(f.Delay, func() { s.post(to, key, n) })
		return
	case doTwice:
		s.post(to, key, n)
	case doClock:
		n.Attrs = maps.Clone(n.Attrs)
		n.Attrs["t"] = f.clock()
	case "broken":
		n = damaged(n)
	}
	s.post(to, key, n)
}

// damaged returns a copy of a message stanza with one bit of each ciphertext turned.
func damaged(n waBinary.Node) waBinary.Node {
	children := slices.Clone(n.GetChildren())
	for i := range children {
		if children[i].Tag == "enc" {
			ciphertext := slices.Clone(content(&children[i]))
			ciphertext[len(ciphertext)-1] ^= 1 // in the authentication code: the ratchet does not move
			children[i].Content = ciphertext
		}
	}
	n.Content = children
	return n
}

// deliverWaiting sends a client that just became active what came in while it was away: how much there is, the stanzas in
// order with their place, and the end, which always comes.
func (s *Server) deliverWaiting(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := c.who()
	if d == nil {
		return
	}
	d.byNumber = !c.lidAddressing
	if len(d.waiting) > 0 {
		c.send(fromServer(waBinary.Node{Tag: "offline_preview", Attrs: preview(d.waiting)}))
	}
	for place, w := range d.waiting {
		n := w.node
		n.Attrs = maps.Clone(n.Attrs)
		n.Attrs["offline"] = place
		w.sent = true
		c.send(n)
	}
	c.send(fromServer(waBinary.Node{Tag: "offline", Attrs: waBinary.Attrs{"count": len(d.waiting)}}))
}

func fromServer(child waBinary.Node) waBinary.Node {
	return waBinary.Node{Tag: "ib", Attrs: waBinary.Attrs{"from": server}, Content: []waBinary.Node{child}}
}

// preview counts what waits, by kind.
func preview(all []*waiting) waBinary.Attrs {
	counts := map[string]int{}
	for _, w := range all {
		counts[w.node.Tag]++
	}
	return waBinary.Attrs{
		"count": len(all), "message": counts["message"], "receipt": counts["receipt"],
		"notification": counts["notification"], "appdata": 0,
	}
}

// clientGone marks what a client has not acknowledged as not sent: it comes again at the next login.
func (s *Server) clientGone(d *device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range d.waiting {
		w.sent = false
	}
}

// acknowledged forgets a stanza that a client has dealt with.
func (s *Server) acknowledged(d *device, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, w := range d.waiting {
		if w.key == key {
			if i == 0 { // clients mostly acknowledge in order: a long queue is not copied each time
				d.waiting[0] = nil
				d.waiting = d.waiting[1:]
			} else {
				d.waiting = append(d.waiting[:i:i], d.waiting[i+1:]...)
			}
			s.changed()
			return
		}
	}
}

// Waiting returns how many stanzas the linked clients of an account have not acknowledged.
func (s *Server) Waiting(number string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := 0
	if a := s.directory.byNumber[number]; a != nil {
		for _, d := range a.devices {
			count += len(d.waiting)
		}
	}
	return count
}

// messageKey and receiptKey name stanzas as their acknowledgements do.
func messageKey(id string) string { return "message " + id }

func notificationKey(id string) string { return "notification " + id }

func receiptKey(id, kind string, from types.JID) string {
	return strings.Join([]string{"receipt", id, kind, from.String()}, " ")
}

// handleClientAck takes a client's acknowledgement of a message or receipt.
func (s *Server) handleClientAck(d *device, n *waBinary.Node) {
	id := text(n, "id")
	if code := text(n, "error"); code != "" { // the client could not use the stanza, and does not want it again
		s.count(func(counters *Counters) { counters.Noted["ack error "+code]++ })
	}
	switch text(n, "class") {
	case "message":
		s.acknowledged(d, messageKey(id))
	case "receipt":
		to, _ := jidAttr(n, "to")
		s.acknowledged(d, receiptKey(id, text(n, "type"), to))
	case "notification":
		s.acknowledged(d, notificationKey(id))
	default:
		s.unhandled("ack " + text(n, "class"))
	}
}
