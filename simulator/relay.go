package simulator

import (
	"errors"
	"fmt"
	"slices"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// sending is a client's message on its way through the server.
type sending struct {
	id       string
	from     *device // the client
	to       types.JID
	chat     types.JID // whom it was first written to, when an own device gets its copy again; else the recipient
	account  *account  // the recipient
	resend   bool      // the answer to a retry receipt
	token    bool      // it came with a privacy token that counts
	peer     bool      // for the own phone's ears only
	copies   []copyFor
	identity []byte // the sender's device identity, when it came along
	stanza   string // what kind of message it says it is
}

// copyFor is the ciphertext for one device.
type copyFor struct {
	device     *device
	kind       string
	mediaType  string
	ciphertext []byte
	count      int // which retry it answers, 0 for none
}

// errRefused carries the code of an ack error.
type errRefused int

func (e errRefused) Error() string { return fmt.Sprintf("refused with %d", int(e)) }

// handleMessage takes a client's message, unless a fault does something else with it.
func (s *Server) handleMessage(c *conn, from *device, n *waBinary.Node) {
	to, _ := jidAttr(n, "to")
	f, met := s.meet(moment{at: "message", account: from.account.number, peer: s.numberAt(to)})
	if met && f.Do == doError {
		s.refuseMessage(c, n, f.Code)
		return
	}
	act := func() { s.takeMessage(c, from, n, f) }
	if !met || !s.disturb(c, f, act) {
		act()
	}
}

// takeMessage checks a message, answers it, and only then hands out the copies. Source of the ack: SendMessage of whatsmeow, which
// reads its time, error and participant hash.
func (s *Server) takeMessage(c *conn, from *device, n *waBinary.Node, f Fault) {
	m, err := s.parseMessage(from, n)
	if refused, ok := errors.AsType[errRefused](err); ok {
		s.refuseMessage(c, n, int(refused))
		return
	}
	ack := messageAck(n)
	if hash := s.taken(m); hash != "" {
		ack.Attrs["phash"] = hash
	}
	switch f.Do {
	case "no-ack":
	case "late-ack":
		s.later(f.Delay, func() { c.send(ack) })
	case "ack-twice":
		c.send(ack)
		c.send(ack)
	case doClock:
		ack.Attrs["t"] = f.clock()
		c.send(ack)
	case "other-hash":
		ack.Attrs["phash"] = participantHash(nil)
		c.send(ack)
	default:
		c.send(ack)
	}
	for _, one := range m.copies {
		s.handOver(m, one)
	}
}

// refuseMessage answers a message with an ack error: nobody gets it.
func (s *Server) refuseMessage(c *conn, n *waBinary.Node, code int) {
	s.count(func(counters *Counters) { counters.AckErrors++ })
	ack := messageAck(n)
	ack.Attrs["error"] = code
	c.send(ack)
}

// messageAck is the answer to a message.
func messageAck(n *waBinary.Node) waBinary.Node {
	return waBinary.Node{Tag: "ack", Attrs: waBinary.Attrs{
		"class": "message", "id": text(n, "id"), "from": n.Attrs["to"], "t": now(),
	}}
}

// parseMessage reads a message and checks what the real server is believed to check. Source of the shape: sendDM and
// prepareMessageNode of whatsmeow, relayMessage of Baileys. That nobody there is 404 is a guess.
func (s *Server) parseMessage(from *device, n *waBinary.Node) (*sending, error) {
	m := &sending{id: text(n, "id"), from: from, peer: text(n, "category") == "peer", stanza: text(n, "type")}
	m.to, _ = jidAttr(n, "to")
	if err := checkMessageShape(n); err != nil {
		s.problem("%v", err)
		return nil, errRefused(ackInvalid)
	}
	s.nameMessage(n)
	m.chat = m.to.ToNonAD()
	if chat, ok := jidAttr(n, "recipient"); ok {
		m.chat = chat
	}
	if err := s.refuseGroup(m.to); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m.account = s.directory.account(m.to)
	if m.account == nil || !m.account.registered {
		return nil, errRefused(404)
	}
	m.token = withToken(n, from.account, m.account)
	if code := from.account.mayReach(m.account, m.token); code != 0 && !m.peer {
		return nil, errRefused(code)
	}
	if identity, ok := n.GetOptionalChildByTag("device-identity"); ok {
		m.identity = content(&identity)
	}
	for _, child := range n.GetChildren() {
		switch child.Tag {
		case "participants":
			for _, to := range child.GetChildrenByTag("to") {
				jid, _ := jidAttr(&to, "jid")
				if err := s.addCopies(m, jid, &to); err != nil {
					return nil, err
				}
			}
		case "enc":
			if err := s.addCopies(m, m.to, n); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// addCopies reads the ciphertexts under a node, all for one device. The numbers of the refusals are a guess. Call with s.mu held.
func (s *Server) addCopies(m *sending, jid types.JID, n *waBinary.Node) error {
	d := s.directory.device(jid)
	if d == nil || d.account != m.account && d.account != m.from.account {
		s.problem("message with a copy for a device that is not the recipient's")
		return errRefused(400)
	}
	if d == m.from {
		s.problem("message with a copy for the device that sent it")
		return errRefused(400)
	}
	if slices.ContainsFunc(m.copies, func(other copyFor) bool { return other.device == d }) {
		if m.account == m.from.account {
			return nil // a note to oneself: whatsmeow writes it for the recipient's and the sender's devices, which are the same
		}
		s.problem("message with two copies for one device")
		return errRefused(ackInvalid)
	}
	for _, enc := range n.GetChildrenByTag("enc") {
		one := copyFor{device: d, kind: text(&enc, "type"), mediaType: text(&enc, "mediatype"), ciphertext: content(&enc)}
		if count := text(&enc, "count"); count != "" {
			m.resend = true
			_, _ = fmt.Sscan(count, &one.count)
		}
		if one.kind == firstMessages {
			if err := m.checkIdentity(); err != nil {
				s.problem("message refused: %v", err)
				s.count(func(counters *Counters) { counters.BadDeviceIdentity++ })
				return errRefused(400)
			}
		}
		m.copies = append(m.copies, one)
	}
	return nil
}

// checkIdentity verifies that the sender's device belongs to its account. Apps are believed to check it with every first message,
// and both clients send it for that (makeDeviceIdentityNode of whatsmeow).
func (m *sending) checkIdentity() error {
	signed := new(waAdv.ADVSignedDeviceIdentity)
	if len(m.identity) == 0 || proto.Unmarshal(m.identity, signed) != nil {
		return errors.New("first message without a device identity")
	}
	if len(signed.GetAccountSignatureKey()) == 0 { // some clients leave it out; recipients know it
		signed.AccountSignatureKey = m.from.account.key().Pub[:]
	}
	return checkDeviceIdentity(signed, m.from.identityKey[:])
}

// taken counts a message that was taken, and returns the hash of the devices it should have been for when the sender
// does not know them all.
func (s *Server) taken(m *sending) (hash string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reached := map[*device]bool{m.from: true}
	forRecipient := false
	if !m.peer {
		s.meetPeople(m.from.account, m.account)
	}
	for _, one := range m.copies {
		reached[one.device] = true
		forRecipient = forRecipient || one.device.account == m.account
	}
	repeated := !m.resend && m.from.seen(m.id)
	missing := 0
	var everybody []types.JID
	if !m.resend && !m.peer {
		for _, a := range slices.Compact([]*account{m.account, m.from.account}) {
			for _, d := range a.devices {
				everybody = append(everybody, d.addressedAs(m.to.Server))
				if !reached[d] {
					missing++
				}
			}
		}
	}
	s.count(func(c *Counters) {
		c.Messages++
		c.Acks++
		if repeated {
			c.DuplicateIDs++
		}
		c.MissingDevices += missing
		if !forRecipient {
			c.NoRecipientCopy++
		}
		for _, one := range m.copies {
			if one.kind == firstMessages {
				c.PreKeyMessages++
			} else {
				c.SessionMessages++
			}
		}
	})
	if missing == 0 {
		return ""
	}
	return participantHash(everybody)
}

// seen tells whether the client sent a message under this ID before. Call with Server.mu held.
func (d *device) seen(id string) bool {
	if d.sentIDs == nil {
		d.sentIDs = map[string]struct{}{}
	}
	_, before := d.sentIDs[id]
	d.sentIDs[id] = struct{}{}
	return before
}

// handOver gives a copy to its device: a virtual one decrypts it in its own time, a linked client gets the stanza.
func (s *Server) handOver(m *sending, one copyFor) {
	s.mu.Lock()
	signal := s.virtual(one.device)
	s.changed()
	if signal == nil {
		s.postMessage(one.device, m.from, m.id, messageFor(one.device, m, one))
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	s.reach(one.device, signal, arrival{
		id: m.id, from: m.from, chat: m.chat, kind: one.kind, ciphertext: one.ciphertext, retries: one.count,
	})
}
