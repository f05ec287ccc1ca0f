package simulator

import (
	"bufio"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
	"google.golang.org/protobuf/proto"
)

// startRaw starts a server for hand-made clients.
func startRaw(t *testing.T) *Server {
	t.Helper()
	s := Start(t, Options{CloseGrace: -1, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	require.NoError(t, s.AddAccount(AccountSpec{Number: "5511900000001"}))
	return s
}

// raw is a client made by hand, to say what no library would.
type raw struct {
	t      *testing.T
	ws     *websocket.Conn
	stream *bufio.Reader
	static *keys.KeyPair
	crypt  *transport
}

func dialRaw(t *testing.T, s *Server) *raw {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), "ws://"+s.Addr()+"/ws/chat", nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = ws.CloseNow() })
	stream := bufio.NewReader(websocket.NetConn(t.Context(), ws, websocket.MessageBinary))
	return &raw{t: t, ws: ws, stream: stream, static: keys.NewKeyPair()}
}

func (r *raw) write(message []byte) {
	r.t.Helper()
	require.NoError(r.t, r.ws.Write(r.t.Context(), websocket.MessageBinary, message))
}

func (r *raw) frame(out []byte, body []byte) []byte {
	r.t.Helper()
	out, err := appendFrame(out, body)
	require.NoError(r.t, err)
	return out
}

// handshake runs the initiator's half of the handshake, behind a prologue and maybe a routing block.
func (r *raw) handshake(prefix string, payload *waWa6.ClientPayload) {
	r.t.Helper()
	h, err := newHandshake([]byte(clientPrologue))
	require.NoError(r.t, err)
	ephemeral := keys.NewKeyPair()
	h.mixHash(ephemeral.Pub[:])
	r.write(r.frame([]byte(prefix), r.marshal(&waWa6.HandshakeMessage{
		ClientHello: &waWa6.HandshakeMessage_ClientHello{Ephemeral: ephemeral.Pub[:]},
	})))
	body, err := readFrame(r.stream)
	require.NoError(r.t, err)
	var message waWa6.HandshakeMessage
	require.NoError(r.t, proto.Unmarshal(body, &message))
	hello := message.GetServerHello()
	h.mixHash(hello.GetEphemeral())
	require.NoError(r.t, h.mixKey(ephemeral, hello.GetEphemeral()))
	static, err := h.open(hello.GetStatic())
	require.NoError(r.t, err)
	require.NoError(r.t, h.mixKey(ephemeral, static))
	_, err = h.open(hello.GetPayload())
	require.NoError(r.t, err)
	sealed := h.seal(r.static.Pub[:])
	require.NoError(r.t, h.mixKey(r.static, hello.GetEphemeral()))
	r.write(r.frame(nil, r.marshal(&waWa6.HandshakeMessage{
		ClientFinish: &waWa6.HandshakeMessage_ClientFinish{Static: sealed, Payload: h.seal(r.marshal(payload))},
	})))
	toServer, fromServer, err := h.split()
	require.NoError(r.t, err)
	r.crypt = &transport{read: fromServer, write: toServer}
}

func (r *raw) marshal(m proto.Message) []byte {
	r.t.Helper()
	data, err := proto.Marshal(m)
	require.NoError(r.t, err)
	return data
}

// seal encrypts a stanza into a frame.
func (r *raw) seal(out []byte, n waBinary.Node) []byte {
	r.t.Helper()
	plain, err := waBinary.Marshal(n)
	require.NoError(r.t, err)
	return r.frame(out, r.crypt.seal(plain))
}

func (r *raw) receive() *waBinary.Node {
	r.t.Helper()
	body, err := readFrame(r.stream)
	require.NoError(r.t, err)
	plain, err := r.crypt.open(body)
	require.NoError(r.t, err)
	n, err := decodeNode(plain)
	require.NoError(r.t, err)
	return n
}

// waitEnd waits until the server has ended the connection.
func (r *raw) waitEnd() {
	r.t.Helper()
	timer := time.AfterFunc(20*time.Second, func() { _ = r.ws.CloseNow() })
	_, err := io.Copy(io.Discard, r.stream)
	require.True(r.t, timer.Stop(), "the server did not end the connection")
	_ = err // the server may cut it
}

// registration is a correct registration payload.
func registration() *waWa6.ClientPayload {
	identity, signed := keys.NewKeyPair(), keys.NewKeyPair()
	return &waWa6.ClientPayload{DevicePairingData: &waWa6.ClientPayload_DevicePairingRegistrationData{
		ERegid:   []byte{0, 0, 1, 2},
		EKeytype: []byte{djbType},
		EIdent:   identity.Pub[:],
		ESkeyID:  []byte{0, 0, 1},
		ESkeyVal: signed.Pub[:],
		ESkeySig: identity.Sign(signed)[:],
	}}
}

func request(id, xmlns, kind string, children ...waBinary.Node) waBinary.Node {
	n := waBinary.Node{Tag: "iq", Attrs: waBinary.Attrs{"to": types.ServerJID, "id": id, "xmlns": xmlns, "type": kind}}
	if children != nil {
		n.Content = children
	}
	return n
}
