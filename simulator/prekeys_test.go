package simulator_test

import (
	"crypto/sha1"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

func TestDigestMatchesTheKeysOfTheClient(t *testing.T) {
	t.Parallel()
	c := paired(t, start(t))
	answer, err := c.DangerousInternals().SendIQ(t.Context(), whatsmeow.DangerousInfoQuery{
		Namespace: "encrypt", Type: "get", To: types.ServerJID, Content: []waBinary.Node{{Tag: "digest"}},
	})
	require.NoError(t, err)
	digest := answer.GetChildByTag("digest")
	part := func(path ...string) []byte {
		n := digest.GetChildByTag(path...)
		return n.Content.([]byte)
	}
	signed := c.device.SignedPreKey
	require.Equal(t, c.device.RegistrationID, binary.BigEndian.Uint32(part("registration")))
	require.Equal(t, c.device.IdentityKey.Pub[:], part("identity"))
	require.Equal(t, signed.Pub[:], part("skey", "value"))
	require.Equal(t, signed.Signature[:], part("skey", "signature"))

	hash := sha1.New()
	hash.Write(c.device.IdentityKey.Pub[:])
	hash.Write(signed.Pub[:])
	hash.Write(signed.Signature[:])
	list := digest.GetChildByTag("list")
	require.NotEmpty(t, list.GetChildren())
	for _, n := range list.GetChildren() {
		key, err := c.device.PreKeys.GetPreKey(t.Context(), binary.BigEndian.Uint32(append([]byte{0}, n.Content.([]byte)...)))
		require.NoError(t, err)
		hash.Write(key.Pub[:])
	}
	require.Equal(t, hash.Sum(nil), part("hash"))
}
