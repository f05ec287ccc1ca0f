package session

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// oneToken is a store of one contact's privacy token.
type oneToken struct {
	store.PrivacyTokenStore
	of    types.JID
	token store.PrivacyToken
}

func (s *oneToken) GetPrivacyToken(_ context.Context, user types.JID) (*store.PrivacyToken, error) {
	if user != s.of {
		return nil, nil //nolint:nilnil // as the library's own
	}
	token := s.token
	return &token, nil
}

func (s *oneToken) PutPrivacyTokens(_ context.Context, tokens ...store.PrivacyToken) error {
	s.token = tokens[0]
	return nil
}

func TestARefusedTokenIsHeldBackUntilTheSendEnds(t *testing.T) {
	t.Parallel()
	bea, cem := types.NewJID("1", types.HiddenUserServer), types.NewJID("2", types.HiddenUserServer)
	given := time.Unix(1_800_000_000, 0)
	kept := &oneToken{of: bea, token: store.PrivacyToken{User: bea, Token: []byte("old"), SenderTimestamp: given}}
	held := &tokens{PrivacyTokenStore: kept}
	get := func(of types.JID) string {
		token, err := held.GetPrivacyToken(t.Context(), of)
		require.NoError(t, err)
		if token == nil {
			return "none"
		}
		return string(token.Token)
	}

	held.begin(cem)
	require.Equal(t, "none", get(cem))
	require.False(t, held.refuse(), "there was none")
	require.Equal(t, "old", get(bea), "another's")
	held.end()

	held.begin(bea)
	require.Equal(t, "old", get(bea))
	require.True(t, held.refuse())
	require.Empty(t, get(bea))
	kept.token.Token = []byte("new") // it comes in
	require.Equal(t, "new", get(bea))
	require.NoError(t, held.drop(t.Context()))
	require.Equal(t, "new", string(kept.token.Token), "only what was refused is dropped")
	kept.token.Token = []byte("old")
	held.end()
	require.Equal(t, "old", get(bea))

	held.begin(bea)
	require.Equal(t, "old", get(bea))
	require.True(t, held.refuse())
	require.NoError(t, held.drop(t.Context()))
	require.Empty(t, kept.token.Token)
	require.NotNil(t, kept.token.Token, "the library's table takes no null")
	require.Equal(t, given, kept.token.SenderTimestamp, "when ours was given is known")
	held.end()
	require.Empty(t, get(bea))
}
