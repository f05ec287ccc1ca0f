package simulator

import (
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// iqError is why a request is refused.
type iqError int

const (
	errBadRequest     iqError = 400
	errNotAuthorized  iqError = 401
	errForbidden      iqError = 403
	errItemNotFound   iqError = 404
	errRateOverlimit  iqError = 429
	errNotImplemented iqError = 501
)

// text is the word that clients know a refusal by. Source: the ErrIQ values of whatsmeow; the last one, for all the others, is a
// guess.
func (e iqError) text() string {
	switch e {
	case errBadRequest:
		return "bad-request"
	case errNotAuthorized:
		return "not-authorized"
	case errItemNotFound:
		return "item-not-found"
	case errForbidden:
		return "forbidden"
	case 406:
		return "not-acceptable"
	case 419:
		return "resource-limit"
	case errRateOverlimit:
		return "rate-overlimit"
	case 500:
		return "internal-server-error"
	case 503:
		return "service-unavailable"
	case 530:
		return "partial-server-error"
	default:
		return "feature-not-implemented"
	}
}

// result answers a request.
func (c *conn) result(iq *waBinary.Node, children ...waBinary.Node) {
	n := waBinary.Node{Tag: "iq", Attrs: waBinary.Attrs{"from": types.ServerJID, "type": "result", "id": text(iq, "id")}}
	if len(children) > 0 {
		n.Content = children
	}
	c.send(n)
}

// fail refuses a request.
func (c *conn) fail(iq *waBinary.Node, code int, reason string) {
	c.send(waBinary.Node{
		Tag:     "iq",
		Attrs:   waBinary.Attrs{"from": types.ServerJID, "type": "error", "id": text(iq, "id")},
		Content: []waBinary.Node{{Tag: "error", Attrs: waBinary.Attrs{"code": code, "text": reason}}},
	})
}

func (c *conn) refuse(iq *waBinary.Node, e iqError) { c.fail(iq, int(e), e.text()) }

// handleIQ answers a request, or takes the client's answer to one of the server's.
func (s *Server) handleIQ(c *conn, iq *waBinary.Node) {
	kind := text(iq, "type")
	if kind == "result" || kind == "error" {
		s.handlePairAnswer(c, iq)
		return
	}
	space := text(iq, "xmlns")
	name := space + " " + kind + " " + firstTag(iq)
	s.count(func(counters *Counters) { counters.IQs[name]++ })
	if err := checkRequestShape(iq); err != nil {
		s.problem("%v", err)
		c.refuse(iq, errBadRequest)
		return
	}
	s.handleRequest(c, iq, space, name)
}

// handleRequest answers a request, unless a fault does something else with it.
func (s *Server) handleRequest(c *conn, iq *waBinary.Node, space, name string) {
	f, met := s.meet(moment{at: "iq:" + space, account: c.number()})
	if met && f.Do == doError {
		e := iqError(f.Code)
		c.fail(iq, f.Code, e.text())
		return
	}
	act := func() {
		if d := c.who(); d != nil {
			s.answer(c, d, iq, space, name, f)
		} else {
			s.handleEarly(c, iq)
		}
	}
	if !met || !s.disturb(c, f, act) {
		act()
	}
}

// handleEarly answers a request of a client that is not logged in: pings and the steps of a pairing. That others get 401 is a guess.
func (s *Server) handleEarly(c *conn, iq *waBinary.Node) {
	switch space := text(iq, "xmlns"); {
	case space == "w:p":
		c.result(iq)
	case space == "md" && firstTag(iq) == "link_code_companion_reg":
		s.handleLinkCode(c, iq)
	case space == "md" && c.pairing != nil:
		s.handlePasskey(c, iq)
	default:
		c.refuse(iq, errNotAuthorized)
	}
}

// answer answers a request of a logged-in client; a fault may change what is in the answer. A request is known by namespace, type
// and first child. These are what whatsmeow and Baileys ask for in direct chats; where nothing else is said, the answer holds as
// little as they accept.
func (s *Server) answer(c *conn, d *device, iq *waBinary.Node, space, name string, f Fault) {
	switch name {
	case "usync get usync":
		s.handleUsync(c, iq, f)
	case "passive set active":
		s.activate(c, iq)
	case "passive set passive":
		c.result(iq)
	case "md set remove-companion-device":
		s.handleUnlink(c, d, iq)
	case "w:m set media_conn":
		c.result(iq, s.mediaConn(d.account.number))
	case "w:sync:app:state set sync":
		s.handleAppState(c, d, iq)
	case "privacy get privacy":
		c.result(iq, privacySettings())
	case "privacy set tokens":
		s.handleTokens(c, d, iq)
	case "blocklist get ", "blocklist get list":
		c.result(iq, waBinary.Node{Tag: "list", Attrs: waBinary.Attrs{"dhash": "none"}})
	case "abt get props", "w get props":
		c.result(iq, waBinary.Node{Tag: "props", Attrs: waBinary.Attrs{"protocol": "1", "hash": "0", "refresh": "86400", "refresh_id": "0"}})
	case "w:profile:picture get picture":
		c.refuse(iq, errItemNotFound)
	default:
		s.answerSpace(c, d, iq, space, name, f)
	}
}

// answerSpace answers the namespaces whose requests are all answered alike.
func (s *Server) answerSpace(c *conn, d *device, iq *waBinary.Node, space, name string, f Fault) {
	switch space {
	case "w:p":
		c.result(iq)
	case "encrypt":
		s.handleEncrypt(c, d, iq, f)
	case "w:mex":
		s.handleMex(c, d, iq)
	case "urn:xmpp:whatsapp:dirty", "urn:xmpp:whatsapp:push", "urn:xmpp:whatsapp:account", "tos", "status", "w:stats", "w:biz",
		"disappearing_mode":
		c.result(iq)
	default:
		s.unhandled("iq " + name)
		c.refuse(iq, errNotImplemented)
	}
}

// activate starts delivery. The answer goes out before the first waiting stanza.
func (s *Server) activate(c *conn, iq *waBinary.Node) {
	c.result(iq)
	s.mu.Lock()
	d := c.who()
	first := !c.active
	if first {
		c.active = true
		s.deliverWaiting(c)
	}
	s.mu.Unlock()
	if first && d != nil {
		s.synchronise(d)
	}
}

// handleUnlink removes a linked device at a client's wish: its own, as a logout, or another one of its account. Source: Logout of
// whatsmeow. That another one may be removed is believed, that a wrong one gets 400 a guess.
func (s *Server) handleUnlink(c *conn, asking *device, iq *waBinary.Node) {
	request := iq.GetChildByTag("remove-companion-device")
	jid, ok := jidAttr(&request, "jid")
	s.mu.Lock()
	var d *device
	if ok {
		d = s.directory.device(jid)
	}
	if d == nil || d.account != asking.account || !d.linked() {
		s.mu.Unlock()
		s.problem("request to remove a device that is not a linked one of the account")
		c.refuse(iq, errBadRequest)
		return
	}
	removed := s.forget(d)
	if removed == c {
		c.loggedOut.Store(true)
		c.device.Store(nil)
	} else if removed != nil {
		removed.endWith(removedNode())
	}
	s.mu.Unlock()
	c.result(iq) // after a logout the client closes the connection itself
}

// privacySettings hides nothing from anybody. Source of the names: parsePrivacySettings of whatsmeow.
func privacySettings() waBinary.Node {
	var categories []waBinary.Node
	for _, name := range []string{"groupadd", "last", "status", "profile", "readreceipts", "online", "calladd"} {
		categories = append(categories, waBinary.Node{Tag: "category", Attrs: waBinary.Attrs{"name": name, "value": "all"}})
	}
	return waBinary.Node{Tag: "privacy", Content: categories}
}
