package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// offer is what a phone promised a client that has not countersigned yet.
type offer struct {
	id       string // of the pair-success iq
	account  *account
	device   uint16
	keyIndex uint32
	signed   *waAdv.ADVSignedDeviceIdentity
}

// What a fault can do when a phone takes a client in.
const (
	pairRefused        = "refuse"
	pairOldApp         = "old-app"
	pairWrongHMAC      = "wrong-hmac"
	pairWrongSignature = "wrong-signature"
	pairGarbage        = "garbage"
)

// takeIn is the phone's part once it knows whom a client belongs to: it sends the device identity, or asks for a passkey
// first. The secret is known to the client and the phone only. An error says why the phone refuses; the client hears nothing
// of that, and its codes stay valid. Call with s.mu held.
func (s *Server) takeIn(p *pairing, a *account, secret [32]byte) error {
	f, _ := s.meet(moment{at: "pair", account: a.number})
	linked := 0
	for _, d := range a.devices {
		if d.linked() {
			linked++
		}
	}
	switch {
	case f.Do == pairRefused:
		return errors.New("the phone refused the client")
	case f.Do == pairOldApp:
		p.conn.send(fromServer(waBinary.Node{Tag: "downgrade_webclient"}))
		return errors.New("the phone's app is too old to link clients")
	case a.limits.Linked > 0 && linked >= a.limits.Linked:
		return fmt.Errorf("the phone is linked to %d clients already", linked)
	case a.nextDevice > maxDevice:
		return errors.New("the account has used up its device numbers")
	}
	s.dropCodes(p)
	if a.passkey {
		s.askPasskey(p, a, secret)
		return nil
	}
	return s.promise(p, a, secret, f.Do)
}

// promise sends a client a device identity, rightly or as a fault wants it. Call with s.mu held.
func (s *Server) promise(p *pairing, a *account, secret [32]byte, fault string) error {
	o := &offer{id: newID(), account: a, device: a.nextDevice, keyIndex: a.keyIndex + 1}
	sealed, err := o.seal(secret, p.identity, fault)
	if err != nil {
		return err
	}
	a.nextDevice++
	a.keyIndex++
	p.scanned = o
	if p.late != nil {
		p.late.Stop()
	}
	p.late = time.AfterFunc(s.opts.PairTimeout, func() {
		if s.decide(p, errors.New("the client did not countersign in time"), nil) {
			p.conn.hangUp()
		}
	})
	s.changed()
	if fault != doSilence {
		p.conn.send(o.node(sealed))
	}
	return nil
}

// seal makes the device identity: signed with the account key and authenticated with the secret. Source: handlePair of whatsmeow,
// which checks both.
func (o *offer) seal(secret, identity [32]byte, fault string) ([]byte, error) {
	key := o.account.key()
	details, err := proto.Marshal(&waAdv.ADVDeviceIdentity{
		RawID:       proto.Uint32(uint32(bigEndian(randomBytes(4)))),
		Timestamp:   proto.Uint64(uint64(time.Now().Unix())),
		KeyIndex:    proto.Uint32(o.keyIndex),
		AccountType: waAdv.ADVEncryptionType_E2EE.Enum(),
		DeviceType:  waAdv.ADVEncryptionType_E2EE.Enum(),
	})
	if err != nil {
		return nil, fmt.Errorf("marshal device identity: %w", err)
	}
	o.signed = &waAdv.ADVSignedDeviceIdentity{
		Details:             details,
		AccountSignatureKey: key.Pub[:],
		AccountSignature:    sign(key, accountStatement(details, identity[:])),
	}
	if fault == pairWrongSignature {
		o.signed.AccountSignature[0] ^= 1
	}
	signed, err := proto.Marshal(o.signed)
	if err != nil {
		return nil, fmt.Errorf("marshal device identity: %w", err)
	}
	mac := hmac.New(sha256.New, secret[:])
	mac.Write(signed)
	sum := mac.Sum(nil)
	switch fault {
	case pairWrongHMAC:
		sum[0] ^= 1
	case pairGarbage:
		return []byte{0xff}, nil // no protobuf
	}
	return proto.Marshal(&waAdv.ADVSignedDeviceIdentityHMAC{Details: signed, HMAC: sum})
}

// node is the iq that tells the client it was taken in. Source: handlePairSuccess of whatsmeow. That the phone is an android is
// a choice.
func (o *offer) node(sealed []byte) waBinary.Node {
	d := &device{account: o.account, id: o.device}
	return waBinary.Node{
		Tag: "iq",
		Attrs: waBinary.Attrs{
			"from": types.ServerJID, "type": "set", "id": o.id, "xmlns": "md", "t": time.Now().Unix(),
		},
		Content: []waBinary.Node{{Tag: "pair-success", Content: []waBinary.Node{
			{Tag: "device-identity", Content: sealed},
			{Tag: "device", Attrs: waBinary.Attrs{"jid": d.jid(), "lid": d.lidJID()}},
			{Tag: "platform", Attrs: waBinary.Attrs{"name": "android"}},
			{Tag: "biz"},
		}}},
	}
}
