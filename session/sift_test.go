package session

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/proto/waHistorySync"
	"go.mau.fi/whatsmeow/proto/waWeb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// packed is bytes compressed as pieces of the history are.
func packed(t testing.TB, raw ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	writer := zlib.NewWriter(&out)
	for _, some := range raw {
		_, err := writer.Write(some)
		require.NoError(t, err)
	}
	require.NoError(t, writer.Close())
	return out.Bytes()
}

func unpacked(t testing.TB, piece []byte) *waHistorySync.HistorySync {
	t.Helper()
	reader, err := zlib.NewReader(bytes.NewReader(piece))
	require.NoError(t, err)
	raw, err := io.ReadAll(reader)
	require.NoError(t, err)
	history := new(waHistorySync.HistorySync)
	require.NoError(t, proto.Unmarshal(raw, history))
	return history
}

// chats is a history with messages, and what is to be left of it.
func chats() (whole, left *waHistorySync.HistorySync) {
	make := func(messages int) *waHistorySync.HistorySync {
		h := &waHistorySync.HistorySync{
			SyncType: waHistorySync.HistorySync_RECENT.Enum(), ChunkOrder: proto.Uint32(3), Progress: proto.Uint32(50),
			NctSalt: []byte("salt"), CompanionMetaNonce: proto.String("nonce"),
			GlobalSettings:           &waHistorySync.GlobalSettings{ChatDbLidMigrationTimestamp: proto.Int64(7)},
			Pushnames:                []*waHistorySync.Pushname{{ID: proto.String("1@lid"), Pushname: proto.String("Bea")}},
			PhoneNumberToLidMappings: []*waHistorySync.PhoneNumberToLIDMapping{{PnJID: proto.String("2@s.whatsapp.net"), LidJID: proto.String("1@lid")}},
		}
		for i := range 3 {
			c := &waHistorySync.Conversation{
				ID: proto.String(fmt.Sprint(i, "@lid")), TcToken: []byte{1, 2, byte(i)}, TcTokenTimestamp: proto.Uint64(9), TcTokenSenderTimestamp: proto.Uint64(8),
			}
			for n := range messages {
				c.Messages = append(c.Messages, &waHistorySync.HistorySyncMsg{Message: &waWeb.WebMessageInfo{
					Key: new(waCommon.MessageKey), Message: &waE2E.Message{Conversation: proto.String(fmt.Sprint("canary ", n))}, MessageSecret: bytes.Repeat([]byte{5}, 32),
				}})
			}
			h.Conversations = append(h.Conversations, c)
		}
		return h
	}
	whole = make(40)
	whole.StatusV3Messages = []*waWeb.WebMessageInfo{{Key: new(waCommon.MessageKey), Message: &waE2E.Message{Conversation: proto.String("canary")}}}
	whole.Conversations[1].Name = proto.String("canary")
	return whole, make(0)
}

func TestAHistoryIsKeptWithoutItsMessages(t *testing.T) {
	t.Parallel()
	whole, left := chats()
	raw, err := proto.Marshal(whole)
	require.NoError(t, err)
	sifted, err := sift(packed(t, raw), maxUnpacked)
	require.NoError(t, err)
	require.Empty(t, unpackedDiff(left, unpacked(t, sifted)))
}

// unpackedDiff says how two histories differ.
func unpackedDiff(want, got *waHistorySync.HistorySync) string {
	if proto.Equal(want, got) {
		return ""
	}
	return fmt.Sprintf("want %v, got %v", want, got)
}

// Not parallel: it counts what the whole process allocates.
func TestAHistoryThatUnpacksToMuchTakesLittleMemory(t *testing.T) { //nolint:paralleltest // see above
	const megabytes = 100
	piece := longMessage(t, megabytes)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	sifted, err := sift(piece, maxUnpacked)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Equal(t, "1@lid", unpacked(t, sifted).GetConversations()[0].GetID())
	require.Empty(t, unpacked(t, sifted).GetConversations()[0].GetMessages())
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20), "of %d MB", megabytes)
}

// longMessage is a history of one chat with one message of so many megabytes.
func longMessage(t *testing.T, megabytes int) []byte {
	t.Helper()
	long := make([]byte, megabytes<<20)
	message := protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.BytesType), uint64(len(long)))
	id := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "1@lid")
	history := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 3)
	history = protowire.AppendTag(history, 2, protowire.BytesType)
	history = protowire.AppendVarint(history, uint64(len(id)+len(message)+len(long)))
	return packed(t, history, id, message, long)
}

func TestAHistoryThatIsNoneOrTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	whole, _ := chats()
	raw, err := proto.Marshal(whole)
	require.NoError(t, err)
	for name, piece := range map[string][]byte{
		"not compressed":  raw,
		"cut off":         packed(t, raw)[:100],
		"ends in a field": packed(t, raw[:len(raw)-1]),
		"groups":          packed(t, []byte{0x0b}),
		"unpacks to more": longMessage(t, 2),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := sift(piece, 1<<20+1<<19)
			require.Error(t, err)
		})
	}
}

func TestOfAHistoryOnlySoMuchIsKept(t *testing.T) {
	t.Parallel()
	many := &waHistorySync.HistorySync{SyncType: waHistorySync.HistorySync_RECENT.Enum()}
	for range maxSifted>>20 + 1 {
		many.Pushnames = append(many.Pushnames, &waHistorySync.Pushname{ID: proto.String(string(make([]byte, 1<<20)))})
	}
	raw, err := proto.Marshal(many)
	require.NoError(t, err)
	_, err = sift(packed(t, raw), maxUnpacked)
	require.ErrorIs(t, err, errTooMuch)
}

func FuzzSift(f *testing.F) {
	whole, left := chats() // what is left has every kind of field, and is small: a large one is slow to unpack
	left.Conversations[0].Messages = whole.Conversations[0].Messages[:1]
	raw, err := proto.Marshal(left)
	require.NoError(f, err)
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		sifted, err := sift(packed(t, raw), maxUnpacked)
		if err == nil && proto.Unmarshal(raw, new(waHistorySync.HistorySync)) == nil {
			unpacked(t, sifted)
		}
	})
}
