package simulator

import (
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// maxPreKeys bounds the one-time keys kept for a client, a guess. whatsmeow uploads 812 at first, 50 later. Source of this and of
// the stanzas in this file: whatsmeow's prekeys.go.
const maxPreKeys = 2000

// handleEncrypt answers requests about prekeys: how many are left, new ones, and those of others.
func (s *Server) handleEncrypt(c *conn, d *device, iq *waBinary.Node, f Fault) {
	switch firstTag(iq) {
	case "count":
		s.mu.Lock()
		left := len(d.prekeys.oneTime)
		s.mu.Unlock()
		c.result(iq, waBinary.Node{Tag: "count", Attrs: waBinary.Attrs{"value": left}})
	case "key":
		s.handOut(c, iq, f)
	case "digest":
		s.answerDigest(c, d, iq)
	case "registration", "type", "identity", "list", "skey", "rotate":
		if err := s.keep(d, iq); err != nil {
			s.problem("prekey upload refused: %v", err)
			c.refuse(iq, errBadRequest)
			return
		}
		s.changed()
		c.result(iq)
	default:
		s.unhandled("iq encrypt " + firstTag(iq))
		c.refuse(iq, errNotImplemented)
	}
}

// answerDigest tells a client which of its keys are here, so that it can compare them with its own. Without any it uploads
// them again. Shape and hash are those that WhatsApp's own web client checks: SHA-1 over the identity, the signed prekey
// with its signature, and the one-time keys in the order listed.
func (s *Server) answerDigest(c *conn, d *device, iq *waBinary.Node) {
	s.mu.Lock()
	p := d.prekeys
	s.mu.Unlock()
	if p.registrationID == 0 {
		c.refuse(iq, errItemNotFound)
		return
	}
	hash := sha1.New()
	for _, part := range [][]byte{d.identityKey[:], p.signed.public[:], p.signature[:]} {
		hash.Write(part)
	}
	ids := []waBinary.Node{}
	for _, key := range p.oneTime {
		hash.Write(key.public[:])
		ids = append(ids, key.idNode())
	}
	b := bundle{registrationID: p.registrationID, identity: d.identityKey, signed: p.signed, signature: p.signature}
	c.result(iq, waBinary.Node{Tag: "digest", Content: append(b.nodes(),
		waBinary.Node{Tag: "list", Content: ids}, waBinary.Node{Tag: "hash", Content: hash.Sum(nil)})})
}

// keep stores the prekeys a client uploaded.
func (s *Server) keep(d *device, iq *waBinary.Node) error {
	upload := iq
	if rotate, ok := iq.GetOptionalChildByTag("rotate"); ok { // rotateSignedPreKey of Baileys renews the signed key alone
		upload = &rotate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, ok := upload.GetOptionalChildByTag("identity"); ok && !slices.Equal(content(&n), d.identityKey[:]) {
		return errors.New("identity is not the one that paired")
	}
	if n, ok := upload.GetOptionalChildByTag("type"); ok && !slices.Equal(content(&n), []byte{djbType}) {
		return fmt.Errorf("key type % x", content(&n))
	}
	if n, ok := upload.GetOptionalChildByTag("registration"); ok {
		id := content(&n)
		if len(id) != 4 {
			return fmt.Errorf("registration id of %d bytes", len(id))
		}
		d.prekeys.registrationID = binary.BigEndian.Uint32(id)
	}
	if n, ok := upload.GetOptionalChildByTag("skey"); ok {
		if err := d.prekeys.keepSigned(&n, d.identityKey[:]); err != nil {
			return err
		}
	}
	list := upload.GetChildByTag("list")
	for _, n := range list.GetChildrenByTag("key") {
		key, err := parsePreKey(&n)
		if err != nil {
			return err
		}
		d.prekeys.keepOneTime(key)
	}
	if len(d.prekeys.oneTime) > maxPreKeys {
		return fmt.Errorf("%d one-time keys", len(d.prekeys.oneTime))
	}
	return nil
}

// keepOneTime stores a one-time key. A client that lost the answer to an upload sends the same keys again: none may be handed
// out twice.
func (p *prekeys) keepOneTime(key preKey) {
	same := func(other preKey) bool { return other.id == key.id }
	if i := slices.IndexFunc(p.oneTime, same); i >= 0 {
		p.oneTime[i] = key
		return
	}
	p.oneTime = append(p.oneTime, key)
}

// keepSigned stores a signed prekey whose signature is good.
func (p *prekeys) keepSigned(n *waBinary.Node, identity []byte) error {
	key, err := parsePreKey(n)
	if err != nil {
		return err
	}
	signature := n.GetChildByTag("signature")
	if !signedBy(identity, append([]byte{djbType}, key.public[:]...), content(&signature)) {
		return errors.New("signature of the signed prekey does not match")
	}
	p.signed = key
	copy(p.signature[:], content(&signature))
	return nil
}

func parsePreKey(n *waBinary.Node) (preKey, error) {
	idNode, valueNode := n.GetChildByTag("id"), n.GetChildByTag("value")
	id, value := content(&idNode), content(&valueNode)
	if len(id) != 3 || len(value) != 32 {
		return preKey{}, fmt.Errorf("prekey with an id of %d and a value of %d bytes", len(id), len(value))
	}
	return preKey{id: binary.BigEndian.Uint32([]byte{0, id[0], id[1], id[2]}), public: [32]byte(value)}, nil
}

// handOut answers a request for the bundles of devices. Every bundle uses up a one-time key.
func (s *Server) handOut(c *conn, iq *waBinary.Node, f Fault) {
	request := iq.GetChildByTag("key")
	wanted := request.GetChildrenByTag("user")
	if len(wanted) == 0 || len(wanted) > maxUsyncUsers { // the bound is a guess
		s.problem("request for the keys of %d devices", len(wanted))
		c.refuse(iq, errBadRequest)
		return
	}
	var users []waBinary.Node
	for _, asked := range wanted {
		jid, _ := jidAttr(&asked, "jid")
		user := waBinary.Node{Tag: "user", Attrs: waBinary.Attrs{"jid": jid}}
		b, code, reason := s.bundleOf(jid)
		if !f.spares(s.numberAt(jid)) {
			switch f.Do {
			case doOmit:
				continue
			case "not-acceptable":
				code, reason = 406, "not-acceptable"
			case "no-one-time-key":
				b.oneTime = nil
			case "bad-signature":
				b.signature[0] ^= 1
			}
		}
		if code != 0 {
			user.Content = []waBinary.Node{{Tag: "error", Attrs: waBinary.Attrs{"code": code, "text": reason}}}
		} else {
			user.Attrs["t"] = now()
			user.Content = b.nodes()
		}
		users = append(users, user)
	}
	c.result(iq, waBinary.Node{Tag: "list", Content: users})
}

// bundleOf takes a bundle of a device, or says why there is none: 404 for a device that is not there, 406 for a client that has
// uploaded no keys yet. Clients go by the error, not by the number, which is a guess.
func (s *Server) bundleOf(jid types.JID) (b bundle, code int, reason string) {
	s.mu.Lock()
	d := s.directory.device(jid)
	if d == nil {
		s.mu.Unlock()
		return b, 404, "item-not-found"
	}
	signal := s.virtual(d)
	if signal == nil {
		defer s.mu.Unlock()
		if d.prekeys.registrationID == 0 {
			return b, 406, "not-acceptable"
		}
		b = d.takeBundle()
		s.tellPrekeys(d)
	} else {
		left := d.account.takePreKey()
		s.mu.Unlock()
		if b = signal.mintBundle(); !left {
			b.oneTime = nil
		}
	}
	s.count(func(counters *Counters) { counters.Bundles++ })
	s.changed()
	return b, 0, ""
}

// takeBundle takes a bundle of a linked client from what it uploaded. Call with Server.mu held.
func (d *device) takeBundle() bundle {
	p := &d.prekeys
	b := bundle{registrationID: p.registrationID, identity: d.identityKey, signed: p.signed, signature: p.signature}
	if len(p.oneTime) > 0 {
		one := p.oneTime[0]
		b.oneTime = &one
		p.oneTime = p.oneTime[1:]
	}
	return b
}

// nodes is the bundle as clients are sent it.
func (b bundle) nodes() []waBinary.Node {
	signed := b.signed.node("skey")
	signed.Content = append(signed.GetChildren(), waBinary.Node{Tag: "signature", Content: b.signature[:]})
	nodes := []waBinary.Node{
		{Tag: "registration", Content: binary.BigEndian.AppendUint32(nil, b.registrationID)},
		{Tag: "type", Content: []byte{djbType}},
		{Tag: "identity", Content: b.identity[:]},
		signed,
	}
	if b.oneTime != nil {
		nodes = append(nodes, b.oneTime.node("key"))
	}
	return nodes
}

func (k preKey) node(tag string) waBinary.Node {
	return waBinary.Node{Tag: tag, Content: []waBinary.Node{
		k.idNode(),
		{Tag: "value", Content: k.public[:]},
	}}
}

func (k preKey) idNode() waBinary.Node {
	return waBinary.Node{Tag: "id", Content: binary.BigEndian.AppendUint32(nil, k.id)[1:]}
}
