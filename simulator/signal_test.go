package simulator

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
)

func TestVirtualDevicesTalkToEachOther(t *testing.T) {
	t.Parallel()
	ana, bea := newSignalDevice(keys.NewKeyPair()), newSignalDevice(keys.NewKeyPair())
	toAna, toBea := types.NewJID("1", types.HiddenUserServer), types.NewJID("2", types.HiddenUserServer)
	ctx := t.Context()
	b := bea.mintBundle()

	first, kind, err := ana.encrypt(ctx, toBea, []byte("one"), &b)
	require.NoError(t, err)
	require.Equal(t, firstMessages, kind)
	got, err := bea.decrypt(ctx, toAna, kind, first)
	require.NoError(t, err)
	require.Equal(t, "one", string(got))
	require.Empty(t, bea.oneTime, "the one-time key is spent")

	_, err = bea.decrypt(ctx, toAna, firstMessages, first)
	require.ErrorIs(t, err, errReplay)

	answer, kind, err := bea.encrypt(ctx, toAna, []byte("two"), nil)
	require.NoError(t, err)
	require.Equal(t, inSession, kind)
	_, err = ana.decrypt(ctx, toBea, kind, answer)
	require.NoError(t, err)
	_, kind, err = ana.encrypt(ctx, toBea, []byte("three"), nil)
	require.NoError(t, err)
	require.Equal(t, inSession, kind, "an answered session needs no keys any more")
}

// Both begin a session at the same moment, and their messages go on to cross: each side has two states.
func TestSessionsThatCrossStayReadable(t *testing.T) {
	t.Parallel()
	ana, bea := newSignalDevice(keys.NewKeyPair()), newSignalDevice(keys.NewKeyPair())
	toAna, toBea := types.NewJID("1", types.HiddenUserServer), types.NewJID("2", types.HiddenUserServer)
	ofAna, ofBea := ana.mintBundle(), bea.mintBundle()
	withAna, withBea := &ofAna, &ofBea
	for round := range 8 {
		one, kindOne, err := ana.encrypt(t.Context(), toBea, []byte("one"), withBea)
		require.NoError(t, err)
		two, kindTwo, err := bea.encrypt(t.Context(), toAna, []byte("two"), withAna)
		require.NoError(t, err)
		withAna, withBea = nil, nil
		_, err = bea.decrypt(t.Context(), toAna, kindOne, one)
		require.NoError(t, err, "round %d", round)
		if round%2 == 1 { // only one of them answers in the new state
			extra, kind, err := bea.encrypt(t.Context(), toAna, []byte("three"), nil)
			require.NoError(t, err)
			_, err = ana.decrypt(t.Context(), toBea, kind, extra)
			require.NoError(t, err, "round %d", round)
		}
		_, err = ana.decrypt(t.Context(), toBea, kindTwo, two)
		require.NoError(t, err, "round %d", round)
	}
}

func TestAFailedDecryptionChangesNothing(t *testing.T) {
	t.Parallel()
	ana, bea := newSignalDevice(keys.NewKeyPair()), newSignalDevice(keys.NewKeyPair())
	toAna, toBea := types.NewJID("1", types.HiddenUserServer), types.NewJID("2", types.HiddenUserServer)
	b := bea.mintBundle()
	sealed, kind, err := ana.encrypt(t.Context(), toBea, []byte("one"), &b)
	require.NoError(t, err)
	broken := bytes.Clone(sealed)
	broken[len(broken)-1] ^= 1
	_, err = bea.decrypt(t.Context(), toAna, kind, broken)
	require.Error(t, err)
	require.Empty(t, bea.sessions)
	require.Len(t, bea.oneTime, 1)
	_, err = bea.decrypt(t.Context(), toAna, kind, sealed)
	require.NoError(t, err)
}

func FuzzUnpad(f *testing.F) {
	f.Add([]byte{1})
	f.Add([]byte{0})
	f.Add(pad([]byte("hello")))
	f.Fuzz(func(t *testing.T, padded []byte) {
		plain, err := unpad(padded)
		if err != nil {
			return
		}
		if count := len(padded) - len(plain); count < 1 || count > 16 {
			t.Fatalf("padding of %d bytes", count)
		}
	})
}
