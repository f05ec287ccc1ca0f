package simulator

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

func TestFramesAreReadBack(t *testing.T) {
	t.Parallel()
	var stream []byte
	bodies := [][]byte{{}, []byte("one"), bytes.Repeat([]byte{7}, 70_000)}
	for _, body := range bodies {
		var err error
		stream, err = appendFrame(stream, body)
		require.NoError(t, err)
	}
	r := bytes.NewReader(stream)
	for _, body := range bodies {
		got, err := readFrame(r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(body, got))
	}
	_, err := readFrame(r)
	require.ErrorIs(t, err, io.EOF)
}

func TestFrameThatBreaksOffIsAnError(t *testing.T) {
	t.Parallel()
	_, err := readFrame(bytes.NewReader([]byte{0, 0, 5, 'a'}))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = appendFrame(nil, make([]byte, maxFrame+1))
	require.Error(t, err)
}

func TestPrologueIsReadBehindARoutingBlock(t *testing.T) {
	t.Parallel()
	for name, stream := range map[string]string{
		"plain":         "WA\x06\x03",
		"routing block": "ED\x00\x01\x00\x00\x05routeWA\x06\x03",
	} {
		prologue, err := readPrologue(bytes.NewReader([]byte(stream)))
		require.NoError(t, err, name)
		require.Equal(t, clientPrologue, string(prologue), name)
	}
	for _, stream := range []string{"WA\x06\x02", "WA\x05\x03", "GET ", "ED\x00\x01\x00\x00\x00ED\x00\x01", "WA"} {
		_, err := readPrologue(bytes.NewReader([]byte(stream)))
		require.Error(t, err, "%q", stream)
	}
}

func TestStanzaThatPanicsTheDecoderIsAnError(t *testing.T) {
	t.Parallel()
	for _, plain := range [][]byte{nil, {0}, {0, 248, 1, 255, 128}, {2, 1, 2, 3}} {
		_, err := decodeNode(plain)
		require.Error(t, err, "% x", plain)
	}
}

func FuzzReadFrames(f *testing.F) {
	f.Add([]byte("WA\x06\x03\x00\x00\x02hi\x00\x00\x00"))
	f.Add([]byte("ED\x00\x01\x00\x00\x05routeWA\x06\x03\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bytes.NewReader(stream)
		if _, err := readPrologue(r); err != nil {
			return
		}
		for {
			before := r.Len()
			frame, err := readFrame(r)
			if err != nil {
				return
			}
			if len(frame)+3 != before-r.Len() {
				t.Fatalf("frame of %d bytes from %d", len(frame), before-r.Len())
			}
		}
	})
}

func FuzzDecodeNode(f *testing.F) {
	plain, err := waBinary.Marshal(waBinary.Node{
		Tag:     "iq",
		Attrs:   waBinary.Attrs{"to": types.ServerJID, "id": "1.2-3", "type": "get"},
		Content: []waBinary.Node{{Tag: "count", Content: []byte{1, 2}}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add([]byte{0, 248, 1, 255, 128})
	f.Add([]byte{2, 0x78, 0x9c})
	f.Fuzz(func(t *testing.T, plain []byte) {
		n, err := decodeNode(plain)
		if err == nil && n == nil {
			t.Error("neither stanza nor error")
		}
	})
}
