package session

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// tokens is the store of the privacy tokens that contacts gave. It knows with which one a send went out, and holds it back when
// WhatsApp refused it: the library then derives one from the account's salt, as it does for contacts who gave none. Sends must
// be one at a time, as they are in the library.
type tokens struct {
	store.PrivacyTokenStore

	mu      sync.Mutex
	to      types.JID // the recipient of the present send; empty between sends
	given   []byte    // the token that the send got; nil for none
	refused bool      // it is held back until the send ends
}

// begin notes whom a send is for.
func (t *tokens) begin(to types.JID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.to, t.given, t.refused = to.ToNonAD(), nil, false
}

// end ends the send.
func (t *tokens) end() { t.begin(types.EmptyJID) }

// refuse holds back the token that the send went with, and tells whether there was one. One that comes in later is another.
func (t *tokens) refuse() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused = t.given != nil
	return t.refused
}

// drop forgets the token that was held back: the send passed without it.
func (t *tokens) drop(ctx context.Context) error {
	t.mu.Lock()
	to, refused := t.to, t.given
	t.mu.Unlock()
	kept, err := t.PrivacyTokenStore.GetPrivacyToken(ctx, to)
	if err != nil || kept == nil || !bytes.Equal(kept.Token, refused) {
		return err
	}
	kept.Token = []byte{} // as good as none, and the library still knows when the contact got ours
	if err := t.PutPrivacyTokens(ctx, *kept); err != nil {
		return fmt.Errorf("drop a privacy token: %w", err)
	}
	return nil
}

// GetPrivacyToken implements store.PrivacyTokenStore.
func (t *tokens) GetPrivacyToken(ctx context.Context, user types.JID) (*store.PrivacyToken, error) {
	token, err := t.PrivacyTokenStore.GetPrivacyToken(ctx, user)
	if err != nil || token == nil || len(token.Token) == 0 {
		return token, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case user.ToNonAD() != t.to:
	case t.given == nil:
		t.given = token.Token
	case t.refused && bytes.Equal(t.given, token.Token):
		token.Token = nil
	}
	return token, nil
}
