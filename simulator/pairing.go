package simulator

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/types"
)

// maxDevice is the highest device number a stanza can carry: an address has one byte for it. Source: writeJID in whatsmeow's
// package binary.
const maxDevice = 255

// pairing is a connection that wants to become a linked device.
type pairing struct {
	conn     *conn
	identity [32]byte // the client's identity key
	prekeys  prekeys  // registration id and signed prekey; the one-time prekeys come after login

	// Guarded by Server.mu.
	codes   map[string]time.Time // when each ref stops being scannable
	link    *linkRequest         // the client has asked for a code to be typed, and may do so again
	passkey *passkeyGate         // a phone has taken the client in if it proves a passkey
	scanned *offer               // a phone has promised a device identity
	late    *time.Timer          // ends the wait for the client's next step
	decided bool

	outcome chan error // holds one: what became of the scan
}

// taken says that a phone has decided to take the client in. Call with Server.mu held.
func (p *pairing) taken() bool { return p.passkey != nil || p.scanned != nil }

// decide settles what became of a scan, once: commit runs under s.mu only if nothing was decided before.
func (s *Server) decide(p *pairing, err error, commit func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.decide(err, commit)
}

// decide is [Server.decide] for callers that hold Server.mu.
func (p *pairing) decide(err error, commit func()) bool {
	if p.decided {
		return false
	}
	p.decided = true
	if p.late != nil {
		p.late.Stop()
	}
	if commit != nil {
		commit()
	}
	p.outcome <- err
	return true
}

// startPairing checks a registration and hands out codes, which can be scanned one after the other. Source of the stanza:
// handlePairDevice of whatsmeow.
func (s *Server) startPairing(c *conn, data *waWa6.ClientPayload_DevicePairingRegistrationData) {
	p, err := newPairing(c, data)
	if err != nil {
		s.problem("registration refused: %v", err)
		c.endWith((&Refusal{Reason: failureBadRequest}).node())
		return
	}
	s.mu.Lock()
	c.pairing = p
	refs := s.addCodes(p, time.Now())
	s.mu.Unlock()
	all := s.opts.FirstCodeLife + time.Duration(s.opts.Codes-1)*s.opts.CodeLife
	s.spawn(func(ctx context.Context) { p.expire(ctx, all) })
	c.send(waBinary.Node{
		Tag:     "iq",
		Attrs:   waBinary.Attrs{"from": types.ServerJID, "type": "set", "id": newID(), "xmlns": "md"},
		Content: []waBinary.Node{{Tag: "pair-device", Content: refs}},
	})
}

// newPairing checks the lengths and the signature of a registration. Source: getRegistrationPayload in whatsmeow's package store.
// That the server checks them is believed.
func newPairing(c *conn, data *waWa6.ClientPayload_DevicePairingRegistrationData) (*pairing, error) {
	switch {
	case len(data.GetERegid()) != 4:
		return nil, fmt.Errorf("registration id of %d bytes", len(data.GetERegid()))
	case len(data.GetEKeytype()) != 1 || data.GetEKeytype()[0] != djbType:
		return nil, fmt.Errorf("key type % x", data.GetEKeytype())
	case len(data.GetEIdent()) != 32:
		return nil, fmt.Errorf("identity key of %d bytes", len(data.GetEIdent()))
	case len(data.GetESkeyID()) != 3:
		return nil, fmt.Errorf("signed prekey id of %d bytes", len(data.GetESkeyID()))
	case len(data.GetESkeyVal()) != 32:
		return nil, fmt.Errorf("signed prekey of %d bytes", len(data.GetESkeyVal()))
	case !signedBy(data.GetEIdent(), append([]byte{djbType}, data.GetESkeyVal()...), data.GetESkeySig()):
		return nil, errors.New("signed prekey has a wrong signature")
	}
	return &pairing{
		conn:     c,
		identity: [32]byte(data.GetEIdent()),
		prekeys: prekeys{
			registrationID: uint32(bigEndian(data.GetERegid())),
			signed:         preKey{id: uint32(bigEndian(data.GetESkeyID())), public: [32]byte(data.GetESkeyVal())},
			signature:      [64]byte(data.GetESkeySig()),
		},
		codes:   map[string]time.Time{},
		outcome: make(chan error, 1),
	}, nil
}

// addCodes makes the refs of a pairing. Clients pass a ref on as it is; the one rule is that it holds no comma. Call with s.mu held.
func (s *Server) addCodes(p *pairing, now time.Time) []waBinary.Node {
	refs := make([]waBinary.Node, s.opts.Codes)
	until := now.Add(s.opts.FirstCodeLife)
	for i := range refs {
		ref := "2@" + base64.StdEncoding.EncodeToString(randomBytes(36))
		p.codes[ref] = until
		s.codes[ref] = p
		refs[i] = waBinary.Node{Tag: "ref", Content: []byte(ref)}
		until = until.Add(s.opts.CodeLife)
	}
	return refs
}

// dropCodes makes the codes of a pairing unusable. Call with s.mu held.
func (s *Server) dropCodes(p *pairing) {
	for ref := range p.codes {
		delete(s.codes, ref)
	}
	clear(p.codes)
}

// expire closes the connection when no code was scanned in time.
func (p *pairing) expire(ctx context.Context, after time.Duration) {
	s := p.conn.s
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.conn.done:
		return
	case <-ctx.Done():
		return
	}
	s.mu.Lock()
	unused := !p.taken()
	s.dropCodes(p)
	s.mu.Unlock()
	if unused {
		s.log.Info("pairing codes ran out")
		p.conn.hangUp()
	}
}

// Scan makes an account's phone scan a pairing code's text and waits until the client is registered. An error says why
// nothing was registered: the phone refused the code, the client refused the pairing or did not countersign it, or ctx ended
// (then the pairing may still succeed).
func (s *Server) Scan(ctx context.Context, number, codeText string) error {
	code, err := parsePairingCode(codeText)
	if err != nil {
		return fmt.Errorf("scan pairing code: %w", err)
	}
	s.mu.Lock()
	p, err := s.scan(number, code)
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("scan pairing code: %w", err)
	}
	select {
	case err := <-p.outcome:
		return err
	case <-ctx.Done():
		return fmt.Errorf("wait for the client to countersign: %w", ctx.Err())
	}
}

// scan is the phone's part: it checks the code and takes the client in. Call with s.mu held.
func (s *Server) scan(number string, code pairingCode) (*pairing, error) {
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		return nil, err
	}
	p := s.codes[code.ref]
	switch {
	case p == nil || time.Now().After(p.codes[code.ref]):
		return nil, errors.New("the code is not valid any more")
	case p.taken():
		return nil, errors.New("the code was scanned already")
	case code.noise != p.conn.static:
		return nil, errors.New("the code's noise key is not the one of the connection")
	case code.identity != p.identity:
		return nil, errors.New("the code's identity key is not the one of the registration")
	}
	return p, s.takeIn(p, a, code.secret)
}
