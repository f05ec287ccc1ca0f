package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	waBinary "go.mau.fi/whatsmeow/binary"
)

// handleTokens takes a client's wish to give others privacy tokens. The server makes them and tells who got one. Source:
// issuePrivacyToken of whatsmeow.
func (s *Server) handleTokens(c *conn, d *device, iq *waBinary.Node) {
	tokens := iq.GetChildByTag("tokens")
	for _, wanted := range tokens.GetChildrenByTag("token") {
		to, _ := jidAttr(&wanted, "jid")
		if kind := text(&wanted, "type"); kind != trustedContact {
			s.unhandled("privacy token " + kind)
			continue
		}
		if _, err := s.GiveToken(d.account.number, s.numberAt(to)); err != nil {
			s.log.Info("privacy token for nobody", "error", err)
		}
	}
	c.result(iq)
}

// trustedContact is the only type of privacy token that clients know. Source: handlePrivacyTokenNotification of whatsmeow.
const trustedContact = "trusted_contact"

// GiveToken lets an account give another its privacy token, which opens the way to a first message. It returns the token, whose
// length is a guess: clients hand it back as it is.
func (s *Server) GiveToken(from, to string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, other, err := s.directory.pair(from, to)
	if err != nil {
		return nil, fmt.Errorf("give token: %w", err)
	}
	token := randomBytes(24)
	a.know(other, func(*chat) {})
	if a.tokens == nil {
		a.tokens = map[string][]byte{}
	}
	a.tokens[to] = token
	s.notify(other, waBinary.Attrs{"from": a.jid(), "sender_lid": a.lidJID(), "type": "privacy_token"},
		waBinary.Node{Tag: "tokens", Content: []waBinary.Node{{
			Tag: "token", Attrs: waBinary.Attrs{"type": trustedContact, "t": now()}, Content: token,
		}}})
	s.changed()
	return token, nil
}

// withToken tells whether a message carries a privacy token that counts: the one that its recipient gave, or, in a message without
// such a one, that which the author derives from the account's salt. Source of the derived one: generateCsToken of whatsmeow.
func withToken(message *waBinary.Node, author, recipient *account) bool {
	if given, ok := message.GetOptionalChildByTag("tctoken"); ok {
		token := recipient.tokens[author.number]
		return token != nil && hmac.Equal(content(&given), token)
	}
	derived, ok := message.GetOptionalChildByTag("cstoken")
	if !ok || author.appState == nil {
		return false
	}
	mac := hmac.New(sha256.New, author.appState.salt)
	_, _ = mac.Write([]byte(recipient.lidJID().String())) // never fails
	return hmac.Equal(content(&derived), mac.Sum(nil))
}
