package simulator_test

import (
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"

	"whatsappd/simulator"
)

// ciphertext is a well-formed ciphertext, changed by attributes.
func ciphertext(change waBinary.Attrs) waBinary.Node {
	n := waBinary.Node{Tag: "enc", Attrs: waBinary.Attrs{"v": "2", "type": "msg"}, Content: []byte("sealed")}
	maps.Copy(n.Attrs, change)
	return n
}

// copyTo is a message's copy for a device.
func copyTo(jid types.JID, content ...waBinary.Node) waBinary.Node {
	return waBinary.Node{Tag: "to", Attrs: waBinary.Attrs{"jid": jid}, Content: content}
}

func participants(copies ...waBinary.Node) []waBinary.Node {
	return []waBinary.Node{{Tag: "participants", Content: copies}}
}

// answerTo sends a stanza that no library would, and returns what comes back under its ID.
func answerTo(t *testing.T, c *client, id string, n waBinary.Node) *waBinary.Node {
	t.Helper()
	answer := c.DangerousInternals().WaitResponse(id)
	require.NoError(t, c.DangerousInternals().SendNode(t.Context(), n))
	select {
	case got := <-answer:
		return got
	case <-time.After(patience):
		t.Fatal("no answer")
		return nil
	}
}

func TestMessagesOfAWrongShapeAreRefused(t *testing.T) {
	t.Parallel()
	contact := types.NewJID(contactNumber(0), types.DefaultUserServer)
	stranger := types.NewJID(contactNumber(1), types.DefaultUserServer)
	nobody := types.NewJID("15559999999", types.DefaultUserServer)
	unknownDevice := contact
	unknownDevice.Device = 9
	own := types.NewJID(ana, types.DefaultUserServer)
	own.Device = 1
	forged := append(participants(copyTo(contact, ciphertext(waBinary.Attrs{"type": "pkmsg"}))),
		waBinary.Node{Tag: "device-identity", Content: []byte("forged")})
	for name, row := range map[string]struct {
		change  waBinary.Attrs
		content []waBinary.Node
		code    string
		problem string // "" when it is no fault of the client's
	}{
		"no type":             {waBinary.Attrs{"type": ""}, participants(copyTo(contact, ciphertext(nil))), "479", "without type"},
		"no content":          {nil, nil, "479", "without participants"},
		"other participants":  {nil, participants(waBinary.Node{Tag: "user"}), "479", "among its participants"},
		"no ciphertext":       {nil, participants(copyTo(contact)), "479", "no ciphertext"},
		"old version":         {nil, participants(copyTo(contact, ciphertext(waBinary.Attrs{"v": "1"}))), "479", "of version"},
		"other cipher":        {nil, participants(copyTo(contact, ciphertext(waBinary.Attrs{"type": "rot13"}))), "479", "of type"},
		"empty ciphertext":    {nil, participants(copyTo(contact, waBinary.Node{Tag: "enc", Attrs: ciphertext(nil).Attrs})), "479", "is empty"},
		"direct and empty":    {nil, []waBinary.Node{{Tag: "enc", Attrs: ciphertext(nil).Attrs}}, "479", "is empty"},
		"one device twice":    {nil, participants(copyTo(contact, ciphertext(nil)), copyTo(contact, ciphertext(nil))), "479", "two copies"},
		"unknown device":      {nil, participants(copyTo(unknownDevice, ciphertext(nil))), "400", "not the recipient's"},
		"another's device":    {nil, participants(copyTo(stranger, ciphertext(nil))), "400", "not the recipient's"},
		"its own device":      {nil, participants(copyTo(own, ciphertext(nil))), "400", "device that sent it"},
		"no device identity":  {nil, participants(copyTo(contact, ciphertext(waBinary.Attrs{"type": "pkmsg"}))), "400", "without a device identity"},
		"bad device identity": {nil, forged, "400", "device identity"},
		"unknown recipient":   {waBinary.Attrs{"to": nobody}, participants(), "404", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t)
			addContacts(t, server, 2, simulator.Behaviour{})
			c := paired(t, server)
			if row.problem != "" {
				server.Expect(row.problem)
			}
			id := c.GenerateMessageID()
			n := waBinary.Node{Tag: "message", Attrs: waBinary.Attrs{"id": id, "to": contact, "type": "text"}, Content: row.content}
			maps.Copy(n.Attrs, row.change)
			ack := answerTo(t, c, id, n)
			require.Equal(t, "ack", ack.Tag)
			require.Equal(t, row.code, ack.AttrGetter().String("error"))
			problems := server.Counters().Problems
			if row.problem == "" {
				require.Empty(t, problems)
			} else {
				require.Len(t, problems, 1)
				require.Contains(t, problems[0], row.problem)
			}
			require.Empty(t, server.Inbox(contactNumber(0)))
		})
	}
}

func TestRequestsOfAWrongShapeAreRefused(t *testing.T) {
	t.Parallel()
	server := start(t)
	c := paired(t, server)
	user := types.NewJID(ana, types.DefaultUserServer)
	query := func(attrs waBinary.Attrs, users ...waBinary.Node) waBinary.Node {
		return waBinary.Node{Tag: "usync", Attrs: attrs, Content: []waBinary.Node{
			{Tag: "query", Content: []waBinary.Node{{Tag: "devices", Attrs: waBinary.Attrs{"version": "2"}}}},
			{Tag: "list", Content: users},
		}}
	}
	session := waBinary.Attrs{"sid": "1", "mode": "query", "context": "message", "index": "0", "last": "true"}
	upload := waBinary.Node{Tag: "type", Content: []byte{6}}
	for name, row := range map[string]struct {
		change  waBinary.Attrs
		content waBinary.Node
		problem string
	}{
		"to a user":          {waBinary.Attrs{"to": user}, waBinary.Node{Tag: "count"}, "request to"},
		"no namespace":       {waBinary.Attrs{"xmlns": ""}, waBinary.Node{Tag: "count"}, "without namespace"},
		"other type":         {waBinary.Attrs{"type": "put"}, waBinary.Node{Tag: "count"}, "of type"},
		"no session":         {waBinary.Attrs{"xmlns": "usync"}, query(nil, waBinary.Node{Tag: "user", Attrs: waBinary.Attrs{"jid": user}}), "without session"},
		"no users":           {waBinary.Attrs{"xmlns": "usync"}, query(session), "of 0 users"},
		"a user without who": {waBinary.Attrs{"xmlns": "usync"}, query(session, waBinary.Node{Tag: "user"}), "without address"},
		"keys of nobody":     {nil, waBinary.Node{Tag: "key"}, "keys of 0 devices"},
		"other key type":     {waBinary.Attrs{"type": "set"}, upload, "key type"},
	} {
		server.Expect(row.problem)
		id := c.GenerateMessageID()
		n := waBinary.Node{
			Tag:     "iq",
			Attrs:   waBinary.Attrs{"id": id, "to": types.ServerJID, "type": "get", "xmlns": "encrypt"},
			Content: []waBinary.Node{row.content},
		}
		maps.Copy(n.Attrs, row.change)
		answer := answerTo(t, c, id, n)
		refusal := answer.GetChildByTag("error")
		require.Equal(t, 400, refusal.AttrGetter().Int("code"), name)
		problems := server.Counters().Problems
		require.Contains(t, problems[len(problems)-1], row.problem, name)
	}
}

func TestUnknownKindsAreNamed(t *testing.T) {
	t.Parallel()
	server := start(t)
	addContacts(t, server, 1, simulator.Behaviour{})
	c := paired(t, server)
	contact := types.NewJID(contactNumber(0), types.DefaultUserServer)
	server.Expect("message type riddle", "receipt type riddle", "receipt without")
	id := c.GenerateMessageID()
	ack := answerTo(t, c, id, waBinary.Node{
		Tag: "message", Attrs: waBinary.Attrs{"id": id, "to": contact, "type": "riddle"}, Content: participants(),
	})
	require.Empty(t, ack.AttrGetter().OptionalString("error"), "what is not known is counted, not refused")
	for _, attrs := range []waBinary.Attrs{{"id": "1", "to": contact, "type": "riddle"}, {"to": contact}, {"id": "2"}} {
		require.NoError(t, c.DangerousInternals().SendNode(t.Context(), waBinary.Node{Tag: "receipt", Attrs: attrs}))
	}
	_, err := c.DangerousInternals().SendIQ(t.Context(), whatsmeow.DangerousInfoQuery{ // answered behind them
		Namespace: "w:p", Type: "get", To: types.ServerJID,
	})
	require.NoError(t, err)
	counters := server.Counters()
	require.Equal(t, map[string]int{"message type riddle": 1, "receipt type riddle": 1}, counters.Unhandled)
	require.Len(t, counters.Problems, 2)
}

// A client that lost the answer to an upload sends the same keys again.
func TestKeysThatAreUploadedTwiceAreKeptOnce(t *testing.T) {
	t.Parallel()
	server := start(t)
	c := paired(t, server)
	before, err := c.DangerousInternals().GetServerPreKeyCount(t.Context())
	require.NoError(t, err)
	var keys []waBinary.Node
	for i := range byte(5) {
		keys = append(keys, waBinary.Node{Tag: "key", Content: []waBinary.Node{
			{Tag: "id", Content: []byte{0xf0, 0, i}}, {Tag: "value", Content: make([]byte, 32)},
		}})
	}
	for range 2 {
		_, err = c.DangerousInternals().SendIQ(t.Context(), whatsmeow.DangerousInfoQuery{
			Namespace: "encrypt", Type: "set", To: types.ServerJID, Content: []waBinary.Node{{Tag: "list", Content: keys}},
		})
		require.NoError(t, err)
	}
	after, err := c.DangerousInternals().GetServerPreKeyCount(t.Context())
	require.NoError(t, err)
	require.Equal(t, before+5, after)
}
