package simulator

import (
	"strings"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// maxUsyncUsers bounds one query. The real limit is not known; a longer list is refused.
const maxUsyncUsers = 500

// handleUsync answers a directory query: which numbers are registered, and what the LIDs and devices of users are. Source of
// questions and answers: usync, IsOnWhatsApp and GetUserDevices in whatsmeow's user.go, and the USync protocols of Baileys.
func (s *Server) handleUsync(c *conn, iq *waBinary.Node, f Fault) {
	query := iq.GetChildByTag("usync")
	list := query.GetChildByTag("list")
	asked := list.GetChildrenByTag("user")
	wanted := query.GetChildByTag("query")
	protocols := wanted.GetChildren()
	if err := checkUsyncShape(&query, protocols, asked); err != nil {
		s.problem("%v", err)
		c.refuse(iq, errBadRequest)
		return
	}
	s.count(func(counters *Counters) {
		counters.UsyncQueries++
		counters.UsyncUsers += len(asked)
	})
	results := make([]waBinary.Node, len(protocols))
	for i := range protocols {
		if !knownProtocol(protocols[i].Tag) {
			s.unhandled("usync " + protocols[i].Tag)
		}
		results[i].Tag = protocols[i].Tag
	}
	users := make([]waBinary.Node, 0, len(asked))
	s.mu.Lock()
	for i := range asked {
		user, number := s.directory.answer(protocols, &asked[i])
		if !f.spares(number) {
			if f.Do == doOmit {
				continue
			}
			f.changeUser(&user)
		}
		users = append(users, user)
	}
	s.mu.Unlock()
	c.result(iq, waBinary.Node{
		Tag: "usync",
		Attrs: waBinary.Attrs{
			"sid": text(&query, "sid"), "mode": text(&query, "mode"), "context": text(&query, "context"),
			"index": "0", "last": "true",
		},
		Content: []waBinary.Node{{Tag: "result", Content: results}, {Tag: "list", Content: users}},
	})
}

// knownProtocol says whether the simulator knows what a query asks about a user. Business, picture, username and bot are
// known and left out of answers: no account has them.
func knownProtocol(tag string) bool {
	switch tag {
	case "contact", "lid", "devices", "status", "disappearing_mode", "business", "picture", "username", "bot":
		return true
	}
	return false
}

// answer describes one user. A user asked for by contact is described under the address the query's mode wants, one asked
// for by address under that address: clients look their query up by it. A user who is not there has no description.
func (d directory) answer(protocols []waBinary.Node, asked *waBinary.Node) (user waBinary.Node, number string) {
	user = waBinary.Node{Tag: "user", Attrs: waBinary.Attrs{}}
	var a *account
	contact, byContact := asked.GetOptionalChildByTag("contact")
	if byContact {
		number = contactNumber(string(content(&contact)))
		if a = d.byNumber[number]; a == nil {
			a = d.byAlias[number]
		}
		user.Attrs["jid"] = types.NewJID(number, types.DefaultUserServer)
	} else if jid, ok := jidAttr(asked, "jid"); ok {
		a = d.account(jid)
		user.Attrs["jid"] = jid
	}
	if a != nil {
		number = a.number
	}
	if a != nil && !a.registered {
		a = nil
	}
	var described []waBinary.Node
	for i := range protocols {
		protocol := &protocols[i]
		if protocol.Tag == "contact" {
			if byContact {
				described = append(described, contactAnswer(&user, a, protocol, &contact))
			}
		} else if n, ok := a.describe(protocol.Tag); ok {
			described = append(described, n)
		}
	}
	if described != nil {
		user.Content = described
	}
	return user, number
}

// contactAnswer says whether a number is registered. Clients match it to their question by the text they asked with.
func contactAnswer(user *waBinary.Node, a *account, protocol, asked *waBinary.Node) waBinary.Node {
	answer := waBinary.Node{Tag: "contact", Attrs: waBinary.Attrs{"type": "out"}, Content: content(asked)}
	if a != nil {
		answer.Attrs["type"] = "in"
		user.Attrs["jid"] = a.jid()
		if text(protocol, "addressing_mode") == "lid" && a.identities != numberOnly {
			user.Attrs["jid"], user.Attrs["pn_jid"] = a.lidJID(), a.jid()
		}
	}
	return answer
}

// contactNumber takes the digits out of +DIGITS and +DIGITS@c.us.
func contactNumber(asked string) string {
	number, _, _ := strings.Cut(asked, "@")
	return strings.TrimPrefix(number, "+")
}

// describe answers one protocol of a query about a registered account; nil has nothing to tell.
func (a *account) describe(protocol string) (waBinary.Node, bool) {
	if a == nil {
		return waBinary.Node{}, false
	}
	switch protocol {
	case "lid":
		if a.identities == numberOnly {
			return waBinary.Node{}, false
		}
		return waBinary.Node{Tag: "lid", Attrs: waBinary.Attrs{"val": a.lidJID()}}, true
	case "devices":
		return waBinary.Node{Tag: "devices", Content: []waBinary.Node{a.deviceList()}}, true
	case "status":
		return waBinary.Node{Tag: "status", Content: []byte(a.about)}, true
	case "disappearing_mode":
		return waBinary.Node{Tag: "disappearing_mode", Attrs: waBinary.Attrs{"duration": "0", "t": "0"}}, true
	default:
		return waBinary.Node{}, false
	}
}

// deviceList lists the phone and every linked device with its key index, without which Baileys ignores the device
// (USyncDeviceProtocol).
func (a *account) deviceList() waBinary.Node {
	var devices []waBinary.Node
	for id := range uint16(a.nextDevice) {
		d := a.devices[id]
		if d == nil {
			continue
		}
		attrs := waBinary.Attrs{"id": int(id)}
		if id != 0 {
			attrs["key-index"] = d.keyIndex
		}
		devices = append(devices, waBinary.Node{Tag: "device", Attrs: attrs})
	}
	return waBinary.Node{Tag: "device-list", Content: devices}
}
