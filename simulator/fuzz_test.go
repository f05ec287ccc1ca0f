package simulator

import (
	"net"
	"testing"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// FuzzClientPayload reads what a client says of itself in its handshake.
func FuzzClientPayload(f *testing.F) {
	for _, payload := range []*waWa6.ClientPayload{
		registration(), {Username: proto.Uint64(5511900000001), Device: proto.Uint32(1), LidDbMigrated: proto.Bool(true)},
	} {
		data, err := proto.Marshal(payload)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		payload := new(waWa6.ClientPayload)
		if proto.Unmarshal(data, payload) != nil {
			return
		}
		c, answers := fuzzConn(t, nil)
		c.admit(payload)
		if len(answers()) == 0 {
			t.Fatal("neither codes, nor a login, nor a refusal")
		}
	})
}

// FuzzStanzas hands any stanza to the server: from a client that pairs, and from one that has logged in.
func FuzzStanzas(f *testing.F) {
	bytesOf := func(tag string, size int) waBinary.Node { return waBinary.Node{Tag: tag, Content: make([]byte, size)} }
	ana := types.NewJID("5511900000001", types.DefaultUserServer)
	for _, n := range []waBinary.Node{
		request("1", "md", "set", waBinary.Node{
			Tag: "link_code_companion_reg", Attrs: waBinary.Attrs{"jid": ana, "stage": "companion_hello"},
			Content: []waBinary.Node{
				bytesOf("link_code_pairing_wrapped_companion_ephemeral_pub", 80), bytesOf("companion_server_auth_key_pub", 32),
				{Tag: "companion_platform_id", Content: []byte("1")}, {Tag: "companion_platform_display", Content: []byte("Chrome (Linux)")},
				bytesOf("link_code_pairing_nonce", 1),
			},
		}),
		request("2", "md", "set", waBinary.Node{
			Tag: "link_code_companion_reg", Attrs: waBinary.Attrs{"jid": ana, "stage": "companion_finish"},
			Content: []waBinary.Node{
				bytesOf("link_code_pairing_wrapped_key_bundle", 156), bytesOf("companion_identity_public", 32), bytesOf("link_code_pairing_ref", 8),
			},
		}),
		{Tag: "iq", Attrs: waBinary.Attrs{"to": types.ServerJID, "type": "result", "id": "3"}, Content: []waBinary.Node{{
			Tag:     "pair-device-sign",
			Content: []waBinary.Node{{Tag: "device-identity", Attrs: waBinary.Attrs{"key-index": "1"}, Content: []byte{10, 0, 18, 0}}},
		}}},
		request("4", "usync", "get", waBinary.Node{
			Tag: "usync", Attrs: waBinary.Attrs{"sid": "1", "mode": "query", "context": "interactive", "index": "0", "last": "true"},
			Content: []waBinary.Node{
				{Tag: "query", Content: []waBinary.Node{{Tag: "contact"}, {Tag: "devices", Attrs: waBinary.Attrs{"version": "2"}}}},
				{Tag: "list", Content: []waBinary.Node{{Tag: "user", Content: []waBinary.Node{{Tag: "contact", Content: []byte("+5511900000001")}}}}},
			},
		}),
		request("5", "encrypt", "set", bytesOf("registration", 4), bytesOf("type", 1), bytesOf("identity", 32),
			waBinary.Node{Tag: "list", Content: []waBinary.Node{{Tag: "key", Content: []waBinary.Node{bytesOf("id", 3), bytesOf("value", 32)}}}},
			waBinary.Node{Tag: "skey", Content: []waBinary.Node{bytesOf("id", 3), bytesOf("value", 32), bytesOf("signature", 64)}}),
		request("6", "encrypt", "get", waBinary.Node{Tag: "key", Content: []waBinary.Node{{Tag: "user", Attrs: waBinary.Attrs{"jid": ana}}}}),
		request("7", "passive", "set", waBinary.Node{Tag: "active"}),
		{Tag: "message", Attrs: waBinary.Attrs{"id": "8", "to": ana, "type": "text"}, Content: []waBinary.Node{
			{Tag: "participants", Content: []waBinary.Node{{Tag: "to", Attrs: waBinary.Attrs{"jid": ana}, Content: []waBinary.Node{
				{Tag: "enc", Attrs: waBinary.Attrs{"v": "2", "type": inSession}, Content: []byte{0x33, 10, 1, 1}},
			}}}},
			bytesOf("device-identity", 10), bytesOf("tctoken", 8),
		}},
		{Tag: "receipt", Attrs: waBinary.Attrs{"id": "9", "to": ana, "type": "retry"}, Content: []waBinary.Node{
			{Tag: "retry", Attrs: waBinary.Attrs{"count": "1", "id": "9", "t": "1", "v": "1"}}, bytesOf("registration", 4),
		}},
		{Tag: "ack", Attrs: waBinary.Attrs{"id": "10", "class": "receipt", "to": ana}},
		{Tag: "presence", Attrs: waBinary.Attrs{"type": "subscribe", "to": ana}},
		{Tag: "chatstate", Attrs: waBinary.Attrs{"to": ana}, Content: []waBinary.Node{{Tag: "composing"}}},
	} {
		plain, err := waBinary.Marshal(n)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(plain, true)
		f.Add(plain, false)
	}
	f.Fuzz(func(t *testing.T, plain []byte, loggedIn bool) {
		n, err := decodeNode(plain)
		if err != nil {
			return
		}
		d := &device{id: 1, keyIndex: 1, identitySigned: []byte{1}}
		if !loggedIn {
			d = nil
		}
		c, answers := fuzzConn(t, d)
		c.s.dispatch(c, n)
		if n.Tag == "iq" && text(n, "id") != "" && (text(n, "type") == "get" || text(n, "type") == "set") && len(answers()) == 0 {
			t.Fatal("a request without an answer")
		}
	})
}

// fuzzConn makes a server with one account, and a connection to it: of a linked device, or of a client that is pairing.
// answers takes what was sent to it.
func fuzzConn(t *testing.T, d *device) (c *conn, answers func() []stanza) {
	t.Helper()
	s, err := New(Options{RootPrivate: "5a17000000000000000000000000000000000000000000000000000000000001"})
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	t.Cleanup(func() {
		_ = ours.Close()
		_ = theirs.Close()
		_ = s.Close() // nothing is kept
	})
	if err := s.AddAccount(AccountSpec{Number: "5511900000001"}); err != nil {
		t.Fatal(err)
	}
	c = &conn{s: s, tcp: ours, done: make(chan struct{}), cut: make(chan struct{}), queue: newWriteQueue()}
	if d != nil {
		d.account = s.directory.byNumber["5511900000001"]
		d.account.devices[d.id] = d
		d.account.nextDevice = d.id + 1
		d.conn = c
		c.device.Store(d)
	} else if c.pairing, err = newPairing(c, registration().GetDevicePairingData()); err != nil {
		t.Fatal(err)
	}
	return c, func() []stanza {
		c.queue.mu.Lock()
		defer c.queue.mu.Unlock()
		return c.queue.nodes
	}
}
