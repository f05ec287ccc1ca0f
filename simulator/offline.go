package simulator

import (
	"maps"
	"strings"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// maxInFlight is how many stanzas a client may leave unacknowledged before it gets the next. The real number is not known;
// Baileys asks for batches of 100, whatsmeow asks for none and mixes up the order of what exceeds its queue of 2,048.
const maxInFlight = 1000

// maxWaiting is how many stanzas are kept for a client, a guess. Beyond, the oldest are forgotten, and counted. The real server is
// believed to log out who stays away for two weeks.
const maxWaiting = 50_000

// post keeps a stanza for a linked client until the client acknowledged it, and sends it when its turn has come: at once when
// the client is there, else after its next login. Call with s.mu held.
func (s *Server) post(d *device, key string, n waBinary.Node) {
	if len(d.waiting) >= maxWaiting {
		d.removeWaiting(0)
		s.count(func(c *Counters) { c.Forgotten++ })
	}
	d.waiting = append(d.waiting, &waiting{key: key, node: n})
	s.sendWaiting(d)
	s.changed()
}

// sendWaiting sends what waits for a client, in order, as far as it is there and keeps up. Call with s.mu held.
func (s *Server) sendWaiting(d *device) {
	c := d.conn
	if c == nil || !c.active {
		return
	}
	for d.inFlight < min(len(d.waiting), maxInFlight) {
		n := d.waiting[d.inFlight].node
		d.inFlight++
		if c.offlineSent < c.offline {
			n.Attrs = maps.Clone(n.Attrs)
			n.Attrs["offline"] = c.offlineSent
			c.offlineSent++
		}
		c.send(n)
		if c.offlineSent == c.offline {
			s.endOffline(c)
		}
	}
}

// endOffline tells a client once that it has got all that came in while it was away. Call with s.mu held.
func (s *Server) endOffline(c *conn) {
	if !c.offlineEnded {
		c.offlineEnded = true
		c.send(fromServer(waBinary.Node{Tag: "offline", Attrs: waBinary.Attrs{"count": c.offline}}))
	}
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

// deliverWaiting begins to send a client that just became active what came in while it was away: how much there is, the
// stanzas in order with their place, and the end, which always comes. Call with s.mu held.
func (s *Server) deliverWaiting(c *conn) {
	d := c.who()
	if d == nil {
		return
	}
	d.byNumber = !c.lidAddressing
	c.offline = len(d.waiting)
	if c.offline == 0 {
		s.endOffline(c)
		return
	}
	c.send(fromServer(waBinary.Node{Tag: "offline_preview", Attrs: preview(d.waiting)}))
	s.sendWaiting(d)
}

// preview counts what waits, by kind. Source: handleIB of whatsmeow, which reads it and the end.
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

// acknowledged forgets a stanza that a client has dealt with, and sends what waits behind.
func (s *Server) acknowledged(d *device, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, w := range d.waiting[:d.inFlight] {
		if w.key == key {
			d.removeWaiting(i)
			s.sendWaiting(d)
			s.changed()
			return
		}
	}
}

// removeWaiting forgets a stanza. Clients mostly acknowledge in order: a long queue is not copied each time.
func (d *device) removeWaiting(i int) {
	copy(d.waiting[1:i+1], d.waiting[:i])
	d.waiting[0] = nil
	d.waiting = d.waiting[1:]
	if i < d.inFlight {
		d.inFlight--
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

// handleClientAck takes a client's acknowledgement of a message, receipt or notification. Source: sendAck of whatsmeow, where the
// errors have names (NackParsingError and the like).
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
