package simulator

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"google.golang.org/protobuf/proto"
)

// djbType stands before a Curve25519 public key where Signal names the kind of key: DjbType in libsignal's package ecc.
const djbType = 5

// The two bytes before what is signed are AdvAccountSignaturePrefix and AdvDeviceSignaturePrefix of whatsmeow's pair.go, which is
// the source of this file. Hosted devices, with other bytes, are not simulated.

// accountStatement is what an account key signs to take a device in.
func accountStatement(details, identity []byte) []byte {
	return slices.Concat([]byte{6, 0}, details, identity)
}

// deviceStatement is what a device's identity key signs to belong to an account.
func deviceStatement(details, identity, account []byte) []byte {
	return slices.Concat([]byte{6, 1}, details, identity, account)
}

// checkDeviceIdentity verifies both signatures of a device identity against the device's identity key.
func checkDeviceIdentity(signed *waAdv.ADVSignedDeviceIdentity, identity []byte) error {
	account := signed.GetAccountSignatureKey()
	if !signedBy(account, accountStatement(signed.GetDetails(), identity), signed.GetAccountSignature()) {
		return errors.New("account signature does not match")
	}
	if !signedBy(identity, deviceStatement(signed.GetDetails(), identity, account), signed.GetDeviceSignature()) {
		return errors.New("device signature does not match")
	}
	return nil
}

// handlePairAnswer takes the client's answer to pair-success. It is false for an answer to anything else.
func (s *Server) handlePairAnswer(c *conn, iq *waBinary.Node) bool {
	s.mu.Lock()
	var o *offer
	if c.pairing != nil {
		o = c.pairing.scanned
	}
	s.mu.Unlock()
	if o == nil || text(iq, "id") != o.id {
		return false
	}
	if text(iq, "type") == "error" {
		e := iq.GetChildByTag("error")
		s.decide(c.pairing, fmt.Errorf("the client refused the pairing: %s %s", text(&e, "code"), text(&e, "text")), nil)
		return true
	}
	d, err := c.pairing.countersigned(o, iq)
	if err != nil {
		s.problem("pairing refused: %v", err)
		s.decide(c.pairing, fmt.Errorf("the client's signature was refused: %w", err), nil)
		c.hangUp()
		return true
	}
	s.register(c, d)
	return true
}

// countersigned makes a linked device of a correctly signed answer.
func (p *pairing) countersigned(o *offer, iq *waBinary.Node) (*device, error) {
	n, ok := iq.GetOptionalChildByTag("pair-device-sign", "device-identity")
	if !ok {
		return nil, errors.New("answer without device identity")
	}
	signed := new(waAdv.ADVSignedDeviceIdentity)
	if err := proto.Unmarshal(content(&n), signed); err != nil {
		return nil, fmt.Errorf("parse device identity: %w", err)
	}
	if !bytes.Equal(signed.GetDetails(), o.signed.GetDetails()) {
		return nil, errors.New("details were changed")
	}
	if text(&n, "key-index") != fmt.Sprint(o.keyIndex) {
		return nil, errors.New("wrong key index")
	}
	signed.AccountSignatureKey = o.signed.GetAccountSignatureKey() // clients leave it out
	if err := checkDeviceIdentity(signed, p.identity[:]); err != nil {
		return nil, err
	}
	marshalled, err := proto.Marshal(signed)
	if err != nil {
		return nil, fmt.Errorf("marshal device identity: %w", err)
	}
	return &device{
		account:        o.account,
		id:             o.device,
		noiseKey:       p.conn.static,
		identityKey:    p.identity,
		keyIndex:       o.keyIndex,
		identitySigned: marshalled,
		linkedAt:       time.Now(),
		prekeys:        p.prekeys,
	}, nil
}

// register keeps a new linked device and sends the client away to log in: both clients reconnect on stream error 515.
func (s *Server) register(c *conn, d *device) {
	registered := s.decide(c.pairing, nil, func() {
		d.account.devices[d.id] = d
		s.tellLinked("add", d)
		s.note(Event{What: "paired", From: d.account.number, Device: d.id})
		if f, met := s.meet(moment{at: "paired", account: d.account.number}); met {
			s.end(c, f.Do, f.Code)
			return
		}
		c.endWith(streamErrorNode("515", ""))
	})
	if !registered {
		return
	}
	s.changed()
	s.count(func(counters *Counters) { counters.Pairings++ })
	s.log.Info("client paired", "number", lastDigits(d.account.number), "device", d.id)
}
