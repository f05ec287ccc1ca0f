package simulator

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	waBinary "go.mau.fi/whatsmeow/binary"
)

const (
	// clientPrologue opens every connection: name, protocol version 6 and token dictionary 3, the one this codec speaks. Source:
	// WAConnHeader in whatsmeow's package socket.
	clientPrologue = "WA\x06\x03"
	// routingPrologue opens the routing block that may precede it. Source: makeNoiseHandler of Baileys; whatsmeow sends none.
	routingPrologue = "ED\x00\x01"
	// maxFrame is what a frame's three length bytes can say. Source: FrameLengthSize in whatsmeow's package socket.
	maxFrame = 1<<24 - 1
	// maxUnpacked bounds what a compressed stanza may grow to, for the simulator's own sake.
	maxUnpacked = 64 << 20
)

// readPrologue reads a client's first bytes, with or without a routing block, and returns what the handshake binds.
func readPrologue(r io.Reader) ([]byte, error) {
	var first [4]byte
	if _, err := io.ReadFull(r, first[:]); err != nil {
		return nil, err
	}
	if string(first[:]) == routingPrologue {
		if _, err := readFrame(r); err != nil { // three bytes of length and the block, as a frame has
			return nil, fmt.Errorf("routing block: %w", err)
		}
		if _, err := io.ReadFull(r, first[:]); err != nil {
			return nil, err
		}
	}
	if string(first[:]) != clientPrologue {
		return nil, fmt.Errorf("prologue % x", first)
	}
	return first[:], nil
}

// readFrame reads a frame: three bytes of length, most significant first, and as many bytes.
func readFrame(r io.Reader) ([]byte, error) {
	var header [3]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	length := int(header[0])<<16 | int(header[1])<<8 | int(header[2])
	// Not allocated at once: the length is only a claim.
	var body bytes.Buffer
	if _, err := io.CopyN(&body, r, int64(length)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return body.Bytes(), nil
}

// appendFrame appends a frame with its length.
func appendFrame(out, body []byte) ([]byte, error) {
	if len(body) > maxFrame {
		return nil, fmt.Errorf("frame of %d bytes is too long", len(body))
	}
	out = append(out, byte(len(body)>>16), byte(len(body)>>8), byte(len(body)))
	return append(out, body...), nil
}

// decodeNode reads the plaintext of a frame: a flag byte (the one worth 2: compressed) and a stanza. Source: Unpack in whatsmeow's
// package binary.
func decodeNode(plain []byte) (n *waBinary.Node, err error) {
	// The decoder was made for what a trusted server sends and panics on some malformed input.
	defer func() {
		if reason := recover(); reason != nil {
			n, err = nil, fmt.Errorf("decode stanza: %v", reason)
		}
	}()
	if len(plain) == 0 {
		return nil, errors.New("empty frame")
	}
	flags, packed := plain[0], plain[1:]
	if flags&2 != 0 {
		if packed, err = inflate(packed); err != nil {
			return nil, fmt.Errorf("unpack stanza: %w", err)
		}
	}
	if n, err = waBinary.Unmarshal(packed); err != nil {
		return nil, fmt.Errorf("decode stanza: %w", err)
	}
	return n, nil
}

func inflate(packed []byte) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxUnpacked+1))
	if err == nil && len(plain) > maxUnpacked {
		err = errors.New("too long")
	}
	return plain, err
}
