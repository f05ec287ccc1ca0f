package simulator

import (
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"google.golang.org/protobuf/proto"
)

func TestMalformedHelloIsRefused(t *testing.T) {
	t.Parallel()
	hello := func(ephemeral []byte) []byte {
		body, err := proto.Marshal(&waWa6.HandshakeMessage{ClientHello: &waWa6.HandshakeMessage_ClientHello{Ephemeral: ephemeral}})
		require.NoError(t, err)
		message, err := appendFrame([]byte(clientPrologue), body)
		require.NoError(t, err)
		return message
	}
	for name, test := range map[string]struct {
		message []byte
		want    string
	}{
		"other dictionary":      {[]byte("WA\x06\x02\x00\x00\x00"), "prologue"},
		"no protobuf":           {[]byte("WA\x06\x03\x00\x00\x01\xff"), "client hello"},
		"no ephemeral key":      {hello(nil), "ephemeral key of 0 bytes"},
		"short ephemeral key":   {hello(make([]byte, 31)), "ephemeral key of 31 bytes"},
		"low order public key":  {hello(make([]byte, 32)), "public key"},
		"second hello for last": {append(hello(filled(9)), hello(filled(9))[4:]...), "client finish"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startRaw(t)
			s.Expect("handshake refused")
			r := dialRaw(t, s)
			r.write(test.message)
			r.waitEnd()
			problems := s.Counters().Problems
			require.Len(t, problems, 1)
			require.Contains(t, problems[0], test.want)
		})
	}
}

func filled(b byte) []byte {
	key := make([]byte, 32)
	key[0] = b
	return key
}

func TestTextMessageIsRefused(t *testing.T) {
	t.Parallel()
	s := startRaw(t)
	s.Expect("handshake refused")
	r := dialRaw(t, s)
	require.NoError(t, r.ws.Write(t.Context(), websocket.MessageText, []byte("hello")))
	r.waitEnd()
	require.NoError(t, s.Close()) // waits until the server has done with it
	require.Len(t, s.Counters().Problems, 1)
}

func TestClientThatHangsUpIsNoProblem(t *testing.T) {
	t.Parallel()
	s := startRaw(t)
	r := dialRaw(t, s)
	r.write([]byte("WA"))
	require.NoError(t, r.ws.CloseNow())
	require.NoError(t, s.Close())
	require.Empty(t, s.Counters().Problems)
}

func TestMalformedRegistrationIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*waWa6.ClientPayload_DevicePairingRegistrationData){
		"registration id":    func(d *waWa6.ClientPayload_DevicePairingRegistrationData) { d.ERegid = d.ERegid[1:] },
		"key type":           func(d *waWa6.ClientPayload_DevicePairingRegistrationData) { d.EKeytype = []byte{4} },
		"identity key":       func(d *waWa6.ClientPayload_DevicePairingRegistrationData) { d.EIdent = d.EIdent[1:] },
		"signed prekey id":   func(d *waWa6.ClientPayload_DevicePairingRegistrationData) { d.ESkeyID = nil },
		"signed prekey of 1": func(d *waWa6.ClientPayload_DevicePairingRegistrationData) { d.ESkeyVal = d.ESkeyVal[:1] },
		"wrong signature":    func(d *waWa6.ClientPayload_DevicePairingRegistrationData) { d.ESkeySig[5] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startRaw(t)
			s.Expect("registration refused")
			payload := registration()
			change(payload.DevicePairingData)
			r := dialRaw(t, s)
			r.handshake(clientPrologue, payload)
			require.Equal(t, "failure", r.receive().Tag)
			r.waitEnd()
			require.Len(t, s.Counters().Problems, 1)
		})
	}
}

func TestFramesBehindARoutingBlockAreAnswered(t *testing.T) {
	t.Parallel()
	s := startRaw(t)
	r := dialRaw(t, s)
	r.handshake("ED\x00\x01\x00\x00\x05route"+clientPrologue, registration())
	require.Equal(t, "iq", r.receive().Tag)

	// Two frames in one message, then one spread over two.
	first := r.seal(nil, request("a", "w:p", "get"))
	r.write(r.seal(first, request("b", "w:p", "get", waBinary.Node{Tag: "ping"})))
	third := r.seal(nil, request("c", "w:p", "get"))
	r.write(third[:2])
	r.write(third[2:])
	for _, id := range []string{"a", "b", "c"} {
		answer := r.receive()
		require.Equal(t, id, answer.Attrs["id"])
		require.Equal(t, "result", answer.Attrs["type"])
	}
}

func TestBeforeLoginOnlyPairingIsAnswered(t *testing.T) {
	t.Parallel()
	s := startRaw(t)
	s.Expect("message before login")
	r := dialRaw(t, s)
	r.handshake(clientPrologue, registration())
	require.Equal(t, "iq", r.receive().Tag)
	r.write(r.seal(nil, waBinary.Node{Tag: "message", Attrs: waBinary.Attrs{"id": "m"}}))
	for _, space := range []string{"encrypt", "usync", "passive", "w:m"} {
		r.write(r.seal(nil, request(space, space, "get", waBinary.Node{Tag: "x"})))
		answer := r.receive()
		require.Equal(t, space, answer.Attrs["id"])
		e := answer.GetChildByTag("error")
		require.Equal(t, "401", e.Attrs["code"])
	}
	require.Equal(t, []string{"message before login"}, s.Counters().Problems)
}

func TestADisplayNameMayComeBeforeLogin(t *testing.T) {
	t.Parallel()
	s := startRaw(t)
	s.Expect("presence before login")
	r := dialRaw(t, s)
	r.handshake(clientPrologue, registration())
	require.Equal(t, "iq", r.receive().Tag)
	for _, attrs := range []waBinary.Attrs{{}, {"name": "~"}, {"name": "~", "type": "available"}} {
		r.write(r.seal(nil, waBinary.Node{Tag: "presence", Attrs: attrs}))
	}
	r.write(r.seal(nil, request("p", "w:p", "get")))
	require.Equal(t, "p", r.receive().Attrs["id"])
	require.Equal(t, []string{"presence before login"}, s.Counters().Problems, "of the last")
}

func TestLoginOfAnUnknownDeviceFails(t *testing.T) {
	t.Parallel()
	for name, payload := range map[string]*waWa6.ClientPayload{
		"unknown number": {Username: proto.Uint64(5511999999999), Device: proto.Uint32(1)},
		"unknown device": {Username: proto.Uint64(5511900000001), Device: proto.Uint32(1)},
		"the phone":      {Username: proto.Uint64(5511900000001), Device: proto.Uint32(0)},
		"high device":    {Username: proto.Uint64(5511900000001), Device: proto.Uint32(1 << 16)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startRaw(t)
			r := dialRaw(t, s)
			r.handshake(clientPrologue, payload)
			failure := r.receive()
			require.Equal(t, "failure", failure.Tag)
			require.Equal(t, "401", failure.Attrs["reason"])
			r.waitEnd()
		})
	}
}

func TestFrameThatDoesNotDecryptEndsTheConnection(t *testing.T) {
	t.Parallel()
	s := startRaw(t)
	s.Expect("does not decrypt")
	r := dialRaw(t, s)
	r.handshake(clientPrologue, registration())
	require.Equal(t, "iq", r.receive().Tag)
	r.write(r.frame(nil, []byte("garbage of a frame that is long enough")))
	r.waitEnd()
	require.Len(t, s.Counters().Problems, 1)
}

func TestUnknownStanzaIsCountedByName(t *testing.T) {
	t.Parallel()
	s := startRaw(t)
	s.Expect("stanza riddle")
	r := dialRaw(t, s)
	r.handshake(clientPrologue, registration())
	require.Equal(t, "iq", r.receive().Tag)
	r.write(r.seal(nil, waBinary.Node{Tag: "riddle"}))
	r.write(r.seal(nil, request("p", "w:p", "get")))
	require.Equal(t, "p", r.receive().Attrs["id"])
	require.Equal(t, map[string]int{"stanza riddle": 1}, s.Counters().Unhandled)
}
