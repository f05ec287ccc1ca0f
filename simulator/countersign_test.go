package simulator

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
	"google.golang.org/protobuf/proto"
)

// waitingClient is a hand-made client that shows codes.
type waitingClient struct {
	*raw
	identity *keys.KeyPair
	code     string
}

func showCode(t *testing.T, s *Server) *waitingClient {
	t.Helper()
	c := &waitingClient{raw: dialRaw(t, s), identity: keys.NewKeyPair()}
	payload := registration()
	signed := keys.NewKeyPair()
	data := payload.DevicePairingData
	data.EIdent, data.ESkeyVal, data.ESkeySig = c.identity.Pub[:], signed.Pub[:], c.identity.Sign(signed)[:]
	c.handshake(clientPrologue, payload)
	codes := c.receive()
	ref := codes.GetChildByTag("pair-device", "ref")
	key := base64.StdEncoding.EncodeToString
	c.code = strings.Join([]string{string(content(&ref)), key(c.static.Pub[:]), key(c.identity.Pub[:]), key(filled(3))}, ",")
	return c
}

// offered reads the identity the phone sends.
func (c *waitingClient) offered() (id string, signed *waAdv.ADVSignedDeviceIdentity) {
	c.t.Helper()
	n := c.receive()
	sealed := n.GetChildByTag("pair-success", "device-identity")
	var outer waAdv.ADVSignedDeviceIdentityHMAC
	require.NoError(c.t, proto.Unmarshal(content(&sealed), &outer))
	signed = new(waAdv.ADVSignedDeviceIdentity)
	require.NoError(c.t, proto.Unmarshal(outer.GetDetails(), signed))
	return text(n, "id"), signed
}

func (c *waitingClient) answer(id, keyIndex string, signed *waAdv.ADVSignedDeviceIdentity) {
	c.t.Helper()
	c.write(c.seal(nil, waBinary.Node{
		Tag:   "iq",
		Attrs: waBinary.Attrs{"to": types.ServerJID, "type": "result", "id": id},
		Content: []waBinary.Node{{Tag: "pair-device-sign", Content: []waBinary.Node{
			{Tag: "device-identity", Attrs: waBinary.Attrs{"key-index": keyIndex}, Content: c.marshal(signed)},
		}}},
	}))
}

func TestCountersignatureIsChecked(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil    func(*waAdv.ADVSignedDeviceIdentity)
		keyIndex string
		want     string
	}{
		"correct":           {func(*waAdv.ADVSignedDeviceIdentity) {}, "1", ""},
		"other key index":   {func(*waAdv.ADVSignedDeviceIdentity) {}, "2", "key index"},
		"changed details":   {func(d *waAdv.ADVSignedDeviceIdentity) { d.Details = []byte{1} }, "1", "details"},
		"account signature": {func(d *waAdv.ADVSignedDeviceIdentity) { d.AccountSignature[0] ^= 1 }, "1", "account signature"},
		"device signature":  {func(d *waAdv.ADVSignedDeviceIdentity) { d.DeviceSignature[0] ^= 1 }, "1", "device signature"},
		"no signature":      {func(d *waAdv.ADVSignedDeviceIdentity) { d.DeviceSignature = nil }, "1", "device signature"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startRaw(t)
			c := showCode(t, s)
			outcome := make(chan error, 1)
			go func() { outcome <- s.Scan(t.Context(), "5511900000001", c.code) }()
			id, signed := c.offered()
			account := signed.GetAccountSignatureKey()
			signed.DeviceSignature = sign(c.identity, deviceStatement(signed.GetDetails(), c.identity.Pub[:], account))
			signed.AccountSignatureKey = nil
			test.spoil(signed)
			c.answer(id, test.keyIndex, signed)
			err := <-outcome
			if test.want == "" {
				require.NoError(t, err)
				require.Equal(t, "515", text(c.receive(), "code"))
			} else {
				s.Expect("pairing refused")
				require.ErrorContains(t, err, test.want)
				require.Zero(t, s.Counters().Pairings)
			}
			c.waitEnd()
		})
	}
}

func TestClientThatDoesNotCountersignIsNotRegistered(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{PairTimeout: 50 * time.Millisecond})
	require.NoError(t, s.AddAccount(AccountSpec{Number: "5511900000001"}))
	c := showCode(t, s)
	require.ErrorContains(t, s.Scan(t.Context(), "5511900000001", c.code), "in time")
	c.waitEnd()
	require.Zero(t, s.Counters().Pairings)
}

func TestClientThatHangsUpDuringPairingIsNotRegistered(t *testing.T) {
	t.Parallel()
	s := startRaw(t)
	c := showCode(t, s)
	outcome := make(chan error, 1)
	go func() { outcome <- s.Scan(t.Context(), "5511900000001", c.code) }()
	c.offered()
	require.NoError(t, c.ws.CloseNow())
	require.ErrorContains(t, <-outcome, "hung up")
}
