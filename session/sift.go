package session

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"go.mau.fi/whatsmeow/proto/waHistorySync"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	// maxUnpacked is how much of a piece of the history is looked at.
	maxUnpacked = 512 << 20
	// maxSifted is how much of it is kept: a hundred bytes for each chat.
	maxSifted = 4 << 20
)

// errTooMuch ends the reading of a piece of the history that holds more than anybody's chats do.
var errTooMuch = errors.New("it holds more than is kept of a history")

// kept is what is kept of a message of protobuf: fields by number, and of some of them only a part.
type kept map[protowire.Number]kept

// keptOfHistory is what is kept of a piece of the history: everything but chats as a whole, of chats only whose they are and
// the privacy token. What else there is, the library has no use for without the messages.
func keptOfHistory() kept {
	return fieldsOf(&waHistorySync.HistorySync{},
		"syncType", "chunkOrder", "progress", "pushnames", "globalSettings", "phoneNumberToLidMappings", "companionMetaNonce", "nctSalt",
	).with(&waHistorySync.HistorySync{}, "conversations",
		fieldsOf(&waHistorySync.Conversation{}, "ID", "tcToken", "tcTokenTimestamp", "tcTokenSenderTimestamp"))
}

// fieldsOf are the numbers of fields.
func fieldsOf(of proto.Message, names ...protoreflect.Name) kept {
	k := kept{}
	for _, name := range names {
		k.with(of, name, nil)
	}
	return k
}

func (k kept) with(of proto.Message, name protoreflect.Name, part kept) kept {
	k[of.ProtoReflect().Descriptor().Fields().ByName(name).Number()] = part
	return k
}

// sift takes the messages out of a piece of the history without ever holding it as a whole: a few megabytes may unpack to
// hundreds, and no more than most are looked at. Both are compressed, as pieces are.
func sift(packed []byte, most int64) ([]byte, error) {
	unpacked, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	in := &part{in: bufio.NewReader(io.LimitReader(unpacked, most)), left: math.MaxInt64}
	sifted, err := in.sift(keptOfHistory(), maxSifted)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	writer := zlib.NewWriter(&out)
	_, _ = writer.Write(sifted) // into memory
	_ = writer.Close()
	return out.Bytes(), nil
}

// part is so much of what follows in a stream.
type part struct {
	in   *bufio.Reader
	left int64
}

// ReadByte implements io.ByteReader.
func (p *part) ReadByte() (byte, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	p.left--
	return p.in.ReadByte()
}

// Read implements io.Reader.
func (p *part) Read(into []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n, err := p.in.Read(into[:min(int64(len(into)), p.left)])
	p.left -= int64(n)
	return n, err
}

// sift reads a message of protobuf and returns what is kept of it, no more than so many bytes.
func (p *part) sift(keep kept, room int) ([]byte, error) {
	var out []byte
	for {
		tag, err := binary.ReadUvarint(p)
		if errors.Is(err, io.EOF) { // between two fields; inside of one it is io.ErrUnexpectedEOF
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		field, kind := protowire.DecodeTag(tag)
		inside, wanted := keep[field]
		value, err := p.value(kind, wanted, inside, room-len(out))
		if err != nil {
			return nil, fmt.Errorf("field %d: %w", field, err)
		}
		if wanted {
			out = append(protowire.AppendTag(out, field, kind), value...)
		}
		if len(out) > room {
			return nil, errTooMuch
		}
	}
}

// value reads a field's value as it stands, without what is not kept; none when it is not wanted.
func (p *part) value(kind protowire.Type, wanted bool, inside kept, room int) ([]byte, error) {
	switch kind {
	case protowire.VarintType:
		value, err := binary.ReadUvarint(p)
		return protowire.AppendVarint(nil, value), noEnd(err)
	case protowire.Fixed32Type, protowire.Fixed64Type:
		value := make([]byte, map[protowire.Type]int{protowire.Fixed32Type: 4, protowire.Fixed64Type: 8}[kind])
		_, err := io.ReadFull(p, value)
		return value, noEnd(err)
	case protowire.BytesType:
		return p.bytes(wanted, inside, room)
	default:
		return nil, fmt.Errorf("wire type %d is not of a history", kind)
	}
}

// bytes reads a value with a length.
func (p *part) bytes(wanted bool, inside kept, room int) ([]byte, error) {
	length, err := binary.ReadUvarint(p)
	if err != nil {
		return nil, noEnd(err)
	}
	if length > uint64(p.left) {
		return nil, io.ErrUnexpectedEOF
	}
	if !wanted {
		_, err = io.CopyN(io.Discard, p, int64(length))
		return nil, noEnd(err)
	}
	if inside != nil {
		within := &part{in: p.in, left: int64(length)}
		p.left -= int64(length)
		value, err := within.sift(inside, room)
		if err == nil && within.left > 0 {
			err = io.ErrUnexpectedEOF
		}
		return protowire.AppendBytes(nil, value), err
	}
	if length > uint64(max(0, room)) {
		return nil, errTooMuch
	}
	value := make([]byte, length)
	_, err = io.ReadFull(p, value)
	return protowire.AppendBytes(nil, value), noEnd(err)
}

// noEnd is an error of what must not end here.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
