package simulator

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waCompanionReg"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
	"google.golang.org/protobuf/proto"
)

// passkeyGate is what stands between a scanned code and a device identity for an account that has a passkey. The client
// proves the passkey, commits itself to a nonce, sees the phone's key, tells the nonce, and sends its keys and secret
// encrypted. Source of the steps and layouts: pair-passkey.go of whatsmeow. Guarded by Server.mu.
type passkeyGate struct {
	account *account
	scanned [32]byte // the secret of the scanned or typed code, which lets the client skip the comparison of codes
	request types.WebAuthnPublicKey

	ref       string                                     // named in the client's ephemeral identity
	ephemeral *waCompanionReg.CompanionEphemeralIdentity // the client's, once the passkey was proved
	identity  []byte                                     // the same, as it came
	committed []byte                                     // hash over identity and nonce
	own       *keys.KeyPair                              // the phone's
	nonce     []byte                                     // the phone's
	told      bool                                       // the client has told its nonce
}

// What a fault can do at a passkey.
const (
	passkeyRefused         = "refuse"
	passkeyNoOptions       = "no-options"
	passkeyBadContinuation = "bad-continuation"
)

// askPasskey asks the client to prove the account's passkey. Call with s.mu held.
func (s *Server) askPasskey(p *pairing, a *account, secret [32]byte) {
	key, err := a.authenticator()
	if err != nil {
		s.log.Error("no passkey", "error", err)
		return
	}
	gate := &passkeyGate{account: a, scanned: secret, request: key.request(s.opts.PasskeyTimeout)}
	p.passkey = gate
	p.late = time.AfterFunc(s.opts.PasskeyTimeout, func() {
		if s.decide(p, errors.New("the client did not prove the passkey in time"), nil) {
			p.conn.hangUp()
		}
	})
	f, _ := s.meet(moment{at: "passkey-request", account: a.number})
	n := waBinary.Node{
		Tag: "notification", Attrs: waBinary.Attrs{"from": server, "type": "passkey_prologue_request", "id": newID(), "t": now()},
	}
	if f.Do != passkeyNoOptions {
		n.Content = []waBinary.Node{gate.options()}
	}
	p.conn.send(n)
	s.note(Event{What: "passkey-asked", From: a.number})
}

// options is the question to the authenticator, as WebAuthn words it.
func (g *passkeyGate) options() waBinary.Node {
	encoded, _ := json.Marshal(g.request) // cannot fail
	return waBinary.Node{Tag: "passkey_request_options", Content: encoded}
}

// handlePasskey answers the steps of a client that is to prove a passkey. It may not ask for anything else yet.
func (s *Server) handlePasskey(c *conn, iq *waBinary.Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := c.pairing.passkey
	if gate == nil || c.pairing.decided {
		c.refuse(iq, errNotAuthorized)
		return
	}
	step := firstTag(iq)
	n := iq.GetChildByTag(step)
	var err error
	switch step {
	case "passkey_request_options":
		c.result(iq, gate.options())
	case "ref":
		gate.ref = "3@" + newID()
		c.result(iq, waBinary.Node{Tag: "ref", Content: []byte(gate.ref)})
	case "passkey_prologue":
		s.takePrologue(c, iq, &n)
	case "companion_nonce":
		if err = gate.takeNonce(content(&n)); err == nil {
			c.result(iq)
			s.note(Event{What: "passkey-code", From: gate.account.number, Text: gate.code(content(&n))})
		}
	case "encrypted_pairing_request":
		err = s.takePairingRequest(c, iq, content(&n))
	default:
		err = fmt.Errorf("unknown request %q", step)
	}
	if err != nil {
		s.problem("pairing with a passkey refused: %v", err)
		c.refuse(iq, errBadRequest)
	}
}

// takePrologue takes the answer of an authenticator. A wrong one is refused with 403, a guess, and another may follow. Call
// with s.mu held.
func (s *Server) takePrologue(c *conn, iq, n *waBinary.Node) {
	p, gate := c.pairing, c.pairing.passkey
	f, _ := s.meet(moment{at: "passkey", account: gate.account.number})
	err := gate.checkPrologue(n)
	switch {
	case f.Do == passkeyRefused:
		c.refuse(iq, errForbidden)
		p.decide(errors.New("the passkey was refused"), c.hangUpLater)
	case err != nil:
		s.note(Event{What: "passkey-refused", From: gate.account.number, Text: err.Error()})
		c.refuse(iq, errForbidden)
		return
	}
	c.result(iq)
	gate.own, gate.nonce = keys.NewKeyPair(), randomBytes(32)
	phone, _ := proto.Marshal(&waCompanionReg.PrimaryEphemeralIdentity{PublicKey: gate.own.Pub[:], Nonce: gate.nonce}) // cannot fail
	if f.Do == passkeyBadContinuation {
		phone = []byte{0xff}
	}
	c.send(waBinary.Node{
		Tag: "notification", Attrs: waBinary.Attrs{"from": server, "type": "crsc_continuation", "id": newID(), "t": now()},
		Content: []waBinary.Node{{Tag: "primary_ephemeral_identity", Content: phone}},
	})
}

// checkPrologue verifies the authenticator's answer, and reads what the client commits itself to.
func (g *passkeyGate) checkPrologue(n *waBinary.Node) error {
	part := func(tag string) []byte {
		child := n.GetChildByTag(tag)
		return content(&child)
	}
	key, err := g.account.authenticator()
	if err != nil {
		return err
	}
	if err := key.check(part("webauthn_assertion"), part("credential_id"), g.request); err != nil {
		return err
	}
	payload := part("prologue_payload")
	var prologue waCompanionReg.ProloguePayload
	var ephemeral waCompanionReg.CompanionEphemeralIdentity
	if err := errors.Join(proto.Unmarshal(payload, &prologue),
		proto.Unmarshal(prologue.GetCompanionEphemeralIdentity(), &ephemeral)); err != nil {
		return fmt.Errorf("parse prologue: %w", err)
	}
	if len(ephemeral.GetPublicKey()) != 32 || ephemeral.GetRef() != g.ref || g.ref == "" {
		return errors.New("the prologue names no key, or another ref than the one handed out")
	}
	if proof := part("pairing_handoff_proof"); len(proof) > 0 && !g.handedOff(payload, proof) {
		return errors.New("the hand-off proof is not of the client whose code was scanned")
	}
	g.ephemeral, g.identity, g.committed = &ephemeral, prologue.GetCompanionEphemeralIdentity(), prologue.GetCommitment().GetHash()
	return nil
}

// handedOff checks that the client knows the secret of the scanned code.
func (g *passkeyGate) handedOff(payload, proof []byte) bool {
	key, err := hkdf.Key(sha256.New, g.scanned[:], nil, "shortcake-passkey-handoff-v1", 32)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(payload)
	return hmac.Equal(mac.Sum(nil), proof)
}

// takeNonce takes the nonce the client committed itself to before it saw the phone's.
func (g *passkeyGate) takeNonce(nonce []byte) error {
	if g.own == nil {
		return errors.New("nonce before the passkey was proved")
	}
	if sum := sha256.Sum256(append(append([]byte(nil), g.identity...), nonce...)); !hmac.Equal(sum[:], g.committed) {
		return errors.New("another nonce than the client committed itself to")
	}
	g.told = true
	return nil
}

// code is what phone and client show for comparison.
func (g *passkeyGate) code(nonce []byte) string {
	digest := sha256.Sum256(append(append([]byte(nil), nonce...), g.own.Pub[:]...))
	raw := make([]byte, 5)
	for i := range raw {
		raw[i] = g.nonce[i] ^ digest[i]
	}
	code := base32.NewEncoding(linkAlphabet).EncodeToString(raw)
	return code[:4] + "-" + code[4:]
}

// takePairingRequest takes the keys and the secret of a client whose user has compared the codes. Call with s.mu held.
func (s *Server) takePairingRequest(c *conn, iq *waBinary.Node, sealed []byte) error {
	p, gate := c.pairing, c.pairing.passkey
	if !gate.told || p.scanned != nil {
		return errors.New("the pairing request came out of turn")
	}
	request, err := gate.open(sealed)
	switch {
	case err != nil:
		return err
	case string(request.GetCompanionPublicKey()) != string(c.static[:]):
		return errors.New("the noise key is not the one of the connection")
	case string(request.GetCompanionIdentityKey()) != string(p.identity[:]):
		return errors.New("the identity key is not the one of the registration")
	case len(request.GetAdvSecret()) != 32:
		return fmt.Errorf("secret of %d bytes", len(request.GetAdvSecret()))
	}
	c.result(iq)
	return s.promise(p, gate.account, [32]byte(request.GetAdvSecret()), "")
}

// open decrypts a pairing request.
func (g *passkeyGate) open(sealed []byte) (*waCompanionReg.PairingRequest, error) {
	var envelope waCompanionReg.EncryptedPairingRequest
	if err := proto.Unmarshal(sealed, &envelope); err != nil {
		return nil, fmt.Errorf("parse pairing request: %w", err)
	}
	shared, err := sharedSecret(g.own, g.ephemeral.GetPublicKey())
	if err != nil {
		return nil, err
	}
	salt := fmt.Sprintf("Companion Pairing %d with ref %s", g.ephemeral.GetDeviceType(), g.ref)
	key, err := hkdf.Key(sha256.New, shared, []byte(salt), "Pairing Information Encryption Key", 32)
	if err != nil {
		return nil, err
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	if len(envelope.GetIV()) != aead.NonceSize() {
		return nil, fmt.Errorf("IV of %d bytes", len(envelope.GetIV()))
	}
	plain, err := aead.Open(nil, envelope.GetIV(), envelope.GetEncryptedPayload(), nil)
	if err != nil {
		return nil, fmt.Errorf("open pairing request: %w", err)
	}
	var request waCompanionReg.PairingRequest
	return &request, proto.Unmarshal(plain, &request)
}
