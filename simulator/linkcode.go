package simulator

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
)

// linkRequest is a client's wish to be linked by a code that its user types on a phone. Source of the steps and stanzas in this
// file: PairPhone and handleCodePairNotification of whatsmeow. Guarded by Server.mu.
type linkRequest struct {
	account *account
	ref     string
	wrapped [80]byte // the client's ephemeral key under the code: salt, IV, ciphertext
	at      time.Time
	attempt *linkAttempt // a code was typed, and the client has not answered to it
}

// handleLinkCode answers the steps of a pairing by code.
func (s *Server) handleLinkCode(c *conn, iq *waBinary.Node) {
	n := iq.GetChildByTag("link_code_companion_reg")
	var err error
	switch stage := text(&n, "stage"); {
	case c.pairing == nil:
		err = errors.New("the client is not waiting to be linked")
	case stage == "companion_hello":
		err = s.takeLinkHello(c, iq, &n)
	case stage == "companion_finish":
		err = s.takeLinkFinish(c, iq, &n)
	default:
		err = fmt.Errorf("unknown stage %q", stage)
	}
	if err != nil {
		s.problem("pairing by code refused: %v", err)
		c.refuse(iq, errBadRequest)
	}
}

// takeLinkHello takes a request for a code. The code itself is known to the client and its user only. An error is a request
// that no client should make; a number or a display name the server does not like is answered here.
func (s *Server) takeLinkHello(c *conn, iq, n *waBinary.Node) error {
	part := func(tag string) []byte {
		child := n.GetChildByTag(tag)
		return content(&child)
	}
	wrapped := part("link_code_pairing_wrapped_companion_ephemeral_pub")
	switch {
	case len(wrapped) != 80:
		return fmt.Errorf("wrapped key of %d bytes", len(wrapped))
	case !slices.Equal(part("companion_server_auth_key_pub"), c.static[:]):
		return errors.New("the noise key is not the one of the connection")
	case len(part("companion_platform_id")) == 0:
		return errors.New("no platform")
	}
	jid, _ := jidAttr(n, "jid")
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.directory.account(jid)
	switch {
	case !displayName(string(part("companion_platform_display"))), a == nil || !a.registered:
		c.refuse(iq, errBadRequest)
	case !s.linkRate.allow(jid.User, s.opts.LinkCodes, time.Now()):
		c.refuse(iq, errRateOverlimit)
	default:
		c.pairing.link = &linkRequest{account: a, ref: newID(), wrapped: [80]byte(wrapped), at: time.Now()}
		c.result(iq, waBinary.Node{
			Tag: "link_code_companion_reg", Attrs: waBinary.Attrs{"stage": "companion_hello"},
			Content: []waBinary.Node{{Tag: "link_code_pairing_ref", Content: []byte(c.pairing.link.ref)}},
		})
		s.note(Event{What: "code-asked", From: a.number})
	}
	return nil
}

// displayName accepts what the phone will show as the name of the new device: a browser and its system. That the server
// checks it and answers 400 stands at whatsmeow's PairPhone; which names it takes is a guess.
func displayName(name string) bool {
	return regexp.MustCompile(`^(Chrome|Edge|Firefox|IE|Opera|Safari|Brave|Chromium|Desktop) ` +
		`\((Windows|Mac OS|macOS|Linux|Ubuntu|Debian|Fedora|Android|iOS|Chrome OS)\)$`).MatchString(name)
}

// linkRateSpan is the time in which a number may be asked for [Options.LinkCodes] codes.
const linkRateSpan = time.Minute

// linkRate remembers when codes were asked for, by number. That bursts are refused with 429 people report; the bound and the time
// are a guess.
type linkRate map[string][]time.Time

// allow counts a request, unless there were too many.
func (r linkRate) allow(number string, most int, now time.Time) bool {
	recent := slices.DeleteFunc(r[number], func(at time.Time) bool { return now.Sub(at) >= linkRateSpan })
	allowed := most < 0 || len(recent) < most
	if allowed {
		recent = append(recent, now)
	}
	r[number] = recent
	return allowed
}

// EnterCode makes an account's phone take the code that a client shows, typed with or without the dash, and waits until the
// client is registered. A wrong code is an error, and the right one can be typed afterwards; the client hears nothing of
// the mistake. The other errors are those of [Server.Scan].
func (s *Server) EnterCode(ctx context.Context, number, code string) error {
	p, refused, err := s.typeCode(number, code)
	if err != nil {
		return fmt.Errorf("enter pairing code: %w", err)
	}
	select {
	case err := <-p.outcome:
		return err
	case err := <-refused:
		return fmt.Errorf("enter pairing code: %w", err)
	case <-ctx.Done():
		return fmt.Errorf("wait for the client to answer: %w", ctx.Err())
	}
}

// typeCode is the phone's part: it opens the client's key with the code and sends its own.
func (s *Server) typeCode(number, code string) (*pairing, <-chan error, error) {
	code = strings.ToUpper(strings.ReplaceAll(code, "-", ""))
	if len(code) != 8 || strings.Trim(code, linkAlphabet) != "" {
		return nil, nil, errors.New("a pairing code has eight letters and digits, without 0, I, O and U")
	}
	s.mu.Lock()
	p, err := s.linkWaiting(number)
	if err != nil {
		s.mu.Unlock()
		return nil, nil, err
	}
	request := p.link
	s.mu.Unlock()
	attempt, err := request.open(code) // takes a tenth of a second of computing
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.link != request || p.scanned != nil {
		return nil, nil, errors.New("the client has gone on without this code")
	}
	request.attempt = attempt
	p.conn.send(request.node())
	return p, attempt.refused, nil
}

// linkWaiting finds the client that asked last for a code for a number. Call with s.mu held.
func (s *Server) linkWaiting(number string) (*pairing, error) {
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		return nil, err
	}
	var newest *pairing
	for c := range s.conns {
		p := c.pairing
		if p == nil || p.link == nil || p.link.account != a || p.scanned != nil || c.ending.Load() {
			continue
		}
		if newest == nil || p.link.at.After(newest.link.at) {
			newest = p
		}
	}
	if newest == nil {
		return nil, errors.New("no client waits for a code to be typed on this phone")
	}
	return newest, nil
}

// node tells the client that a code was typed.
func (r *linkRequest) node() waBinary.Node {
	return waBinary.Node{
		Tag:   "notification",
		Attrs: waBinary.Attrs{"from": server, "type": "link_code_companion_reg", "id": newID(), "t": now()},
		Content: []waBinary.Node{{
			Tag: "link_code_companion_reg", Attrs: waBinary.Attrs{"stage": "primary_hello"},
			Content: []waBinary.Node{
				{Tag: "link_code_pairing_wrapped_primary_ephemeral_pub", Content: r.attempt.wrapped},
				{Tag: "primary_identity_pub", Content: r.account.key().Pub[:]},
				{Tag: "link_code_pairing_ref", Content: []byte(r.ref)},
			},
		}},
	}
}

// takeLinkFinish takes the client's answer to a typed code. The client waits for the result before anything else; then the
// phone goes on, or gives up when the code was wrong.
func (s *Server) takeLinkFinish(c *conn, iq, n *waBinary.Node) error {
	ref, bundle := n.GetChildByTag("link_code_pairing_ref"), n.GetChildByTag("link_code_pairing_wrapped_key_bundle")
	identity := n.GetChildByTag("companion_identity_public")
	s.mu.Lock()
	defer s.mu.Unlock()
	p := c.pairing
	switch {
	case p.link == nil || p.link.attempt == nil:
		return errors.New("no code was typed")
	case string(content(&ref)) != p.link.ref:
		return errors.New("another ref than the one handed out")
	case !slices.Equal(content(&identity), p.identity[:]):
		return errors.New("the identity key is not the one of the registration")
	}
	attempt := p.link.attempt
	p.link.attempt = nil
	c.result(iq)
	secret, err := p.link.secret(attempt, p.identity, content(&bundle))
	if err == nil {
		err = s.takeIn(p, p.link.account, secret)
	}
	if err != nil {
		attempt.refused <- err
	}
	return nil
}
