package simulator

import (
	"compress/zlib"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/proto/waHistorySync"
	"go.mau.fi/whatsmeow/proto/waWeb"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

const (
	// maxMegabytes bounds the older chats of a history.
	maxMegabytes = 4096
	// pieceMegabytes is how large one file of them is. A guess.
	pieceMegabytes = 4
)

// olderChats are chats of long ago with people who are not there any more, in pieces. A piece is made of chance that can be
// repeated: once for the hashes that its message names, and again for each download. None is kept.
type olderChats struct {
	pieces int
	seed   [32]byte
	key    []byte // of all files
	at     int64
}

func newOlderChats(megabytes int) olderChats {
	return olderChats{
		pieces: (megabytes + pieceMegabytes - 1) / pieceMegabytes,
		seed:   [32]byte(randomBytes(32)), key: randomBytes(32), at: now(),
	}
}

// sendOlder sends a client one piece after the other, and lets the phone do other things in between.
func (s *Server) sendOlder(jobs *jobQueue, o olderChats, piece int, send func(context.Context, *waE2E.ProtocolMessage)) {
	if piece == o.pieces {
		return
	}
	s.enqueue(jobs, func(ctx context.Context) {
		if ctx.Err() != nil {
			return
		}
		if m, err := s.offerOlder(o, piece); err != nil {
			s.log.Error("no older chats", "error", err)
		} else {
			send(ctx, m)
		}
		s.sendOlder(jobs, o, piece+1, send)
	})
}

// offerOlder makes the message that says where a piece is.
func (s *Server) offerOlder(o olderChats, piece int) (*waE2E.ProtocolMessage, error) {
	packed := pack(o.piece(piece), zlib.HuffmanOnly)
	sealed, err := sealFile(o.key, forHistory, packed)
	if err != nil {
		return nil, err
	}
	hash, plain := sha256.Sum256(sealed), sha256.Sum256(packed)
	s.media.promise(hash, func() []byte {
		again, _ := sealFile(o.key, forHistory, pack(o.piece(piece), zlib.HuffmanOnly)) // it did not fail the first time
		return again
	})
	n := &waE2E.HistorySyncNotification{
		SyncType:   waE2E.HistorySyncType_RECENT.Enum(),
		ChunkOrder: proto.Uint32(uint32(piece + 2)), Progress: proto.Uint32(uint32(100 * (piece + 1) / o.pieces)),
	}
	sealedFile{path: directPath("md-msg-hist", hash), key: o.key, hash: hash[:], plain: plain[:], size: uint64(len(packed))}.describe(n)
	return &waE2E.ProtocolMessage{
		Type: waE2E.ProtocolMessage_HISTORY_SYNC_NOTIFICATION.Enum(), HistorySyncNotification: n,
	}, nil
}

// piece is one chat, with somebody's address and privacy token, and messages that do not compress further than text of any
// letters does: four megabytes, compressed.
func (o olderChats) piece(piece int) *waHistorySync.HistorySync {
	const messages, bytesEach = pieceMegabytes << 10, 1 << 10
	chance := rand.NewChaCha8(sha256.Sum256(binary.BigEndian.AppendUint64(o.seed[:], uint64(piece))))
	bytes := func(count int) []byte {
		some := make([]byte, count)
		_, _ = chance.Read(some) // never fails
		return some
	}
	number := types.NewJID(fmt.Sprintf("88210%07d", piece), types.DefaultUserServer).String()
	lid := types.NewJID(fmt.Sprintf("88210%09d", piece), types.HiddenUserServer).String()
	c := &waHistorySync.Conversation{
		ID: proto.String(lid), TcToken: bytes(24), TcTokenTimestamp: proto.Uint64(uint64(o.at)),
		LastMsgTimestamp: proto.Uint64(uint64(o.at)),
	}
	for i := range messages {
		c.Messages = append(c.Messages, &waHistorySync.HistorySyncMsg{
			MsgOrderID: proto.Uint64(uint64(i + 1)),
			Message: &waWeb.WebMessageInfo{
				Key: &waCommon.MessageKey{
					RemoteJID: proto.String(lid), FromMe: proto.Bool(i%2 == 1), ID: proto.String("3EB0" + hex.EncodeToString(bytes(9))),
				},
				MessageTimestamp: proto.Uint64(uint64(o.at) - uint64(60*(messages-i))),
				MessageSecret:    bytes(32),
				Message:          &waE2E.Message{Conversation: proto.String(base64.RawStdEncoding.EncodeToString(bytes(bytesEach)))},
			},
		})
	}
	return &waHistorySync.HistorySync{
		SyncType: waHistorySync.HistorySync_RECENT.Enum(), ChunkOrder: proto.Uint32(uint32(piece + 2)),
		PhoneNumberToLidMappings: []*waHistorySync.PhoneNumberToLIDMapping{{PnJID: proto.String(number), LidJID: proto.String(lid)}},
		Conversations:            []*waHistorySync.Conversation{c},
	}
}
