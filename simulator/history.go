package simulator

import (
	"bytes"
	"compress/zlib"
	"context"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/proto/waHistorySync"
	"go.mau.fi/whatsmeow/proto/waWeb"
	"google.golang.org/protobuf/proto"
)

// Sync is what an account's phone sends each client once, when it is first online after pairing. The zero value sends nothing.
type Sync struct {
	// AppState shares the key of the app state, in which clients find the account's name, the names of those it chats with,
	// and the salt for derived privacy tokens. Clients without a name of their own cannot say that they are online.
	AppState bool `json:"app_state,omitempty"`
	// Chats is how many chats the history has: with the first registered accounts of the directory, by number. Each comes
	// with the other's LID, name and privacy token.
	Chats int `json:"chats,omitempty"`
	// Messages is how many messages each chat has.
	Messages int `json:"messages,omitempty"`
	// Megabytes is how much of older chats follows, in files of four megabytes, each with a chat of its own. They are made when
	// a client wants them.
	Megabytes int `json:"megabytes,omitempty"`
}

// maxSync bounds the messages of a history, so that nobody asks for more than fits into memory.
const maxSync = 1_000_000

func (y Sync) check() error {
	if y.Chats < 0 || y.Messages < 0 || y.Chats > maxSync || y.Chats*y.Messages > maxSync {
		return fmt.Errorf("a history has up to %d chats and messages", maxSync)
	}
	if y.Megabytes < 0 || y.Megabytes > maxMegabytes {
		return fmt.Errorf("older chats have up to %d megabytes", maxMegabytes)
	}
	return nil
}

// maxInline is how long a compressed history may be to come inside its message; a longer one comes as a file. A guess.
const maxInline = 16 << 10

// synchronise lets an account's phone send a client what it sends once, now or when it has network again. Source of the messages:
// handleAppStateSyncKeyShare and DownloadHistorySync of whatsmeow. Their order is a guess.
func (s *Server) synchronise(d *device) {
	s.mu.Lock()
	if d.synced || d.account.away || d.account.sync == (Sync{}) {
		s.mu.Unlock()
		return
	}
	messages, older := s.syncMessages(d), newOlderChats(d.account.sync.Megabytes)
	phone := d.account.devices[0]
	signal := s.virtual(phone)
	s.mu.Unlock()
	send := func(ctx context.Context, m *waE2E.ProtocolMessage) {
		if err := s.sendPeer(ctx, phone, signal, d, m); err != nil {
			s.log.Error("client not synchronised", "number", lastDigits(d.account.number), "error", err)
		}
	}
	s.enqueue(&signal.jobs, func(ctx context.Context) {
		for _, m := range messages {
			send(ctx, m)
		}
		s.sendOlder(&signal.jobs, older, 0, send)
	})
}

// syncMessages makes what a phone sends a client first. Call with s.mu held.
func (s *Server) syncMessages(d *device) []*waE2E.ProtocolMessage {
	a := d.account
	d.synced = true
	s.changed()
	chats := s.chatsOf(a)
	var messages []*waE2E.ProtocolMessage
	if a.sync.AppState {
		if err := a.fillAppState(chats); err != nil {
			s.log.Error("no app state", "error", err)
			return nil
		}
		messages = append(messages, a.appState.share())
	}
	if len(chats) > 0 {
		messages = append(messages, s.historyMessage(a.history(chats)), s.historyMessage(pushNames(chats)))
		if a.sync.Megabytes == 0 {
			messages = append(messages, s.historyMessage(a.recentHistory(chats)))
		}
	}
	return messages
}

// sendPeer sends one client what is for its ears only.
func (s *Server) sendPeer(ctx context.Context, phone *device, signal *signalDevice, to *device, m *waE2E.ProtocolMessage) error {
	plaintext, err := proto.Marshal(&waE2E.Message{ProtocolMessage: m})
	if err != nil {
		return err
	}
	out := outgoing{ID: newMessageID(), To: to.account.number, Peer: true, Plaintext: plaintext}
	signal.keepSent(out)
	return s.deliver(ctx, phone, signal, to, out, nil, 0)
}

// chatsOf returns whom the history of an account has chats with. Call with s.mu held.
func (s *Server) chatsOf(a *account) []*account {
	var others []*account
	for _, other := range s.directory.sorted() {
		if len(others) == a.sync.Chats {
			break
		}
		if other != a && other.registered && other.identities == "" {
			others = append(others, other)
		}
	}
	return others
}

// share is the message by which a phone gives away the key of the app state.
func (st *appState) share() *waE2E.ProtocolMessage {
	return &waE2E.ProtocolMessage{
		Type: waE2E.ProtocolMessage_APP_STATE_SYNC_KEY_SHARE.Enum(),
		AppStateSyncKeyShare: &waE2E.AppStateSyncKeyShare{Keys: []*waE2E.AppStateSyncKey{{
			KeyID: &waE2E.AppStateSyncKeyId{KeyID: st.keyID},
			KeyData: &waE2E.AppStateSyncKeyData{
				KeyData: st.key, Timestamp: proto.Int64(time.Now().UnixMilli()),
				Fingerprint: &waE2E.AppStateSyncKeyFingerprint{RawID: proto.Uint32(1), CurrentIndex: proto.Uint32(0), DeviceIndexes: []uint32{0}},
			},
		}}},
	}
}

// history is the first history a client gets, which is never the last: its progress is not 100. Source: mautrix/whatsapp#469.
// Call with Server.mu held.
func (a *account) history(chats []*account) *waHistorySync.HistorySync {
	h := &waHistorySync.HistorySync{
		SyncType: waHistorySync.HistorySync_INITIAL_BOOTSTRAP.Enum(), ChunkOrder: proto.Uint32(1), Progress: proto.Uint32(firstProgress),
		NctSalt:        a.state().salt,
		GlobalSettings: &waHistorySync.GlobalSettings{ChatDbLidMigrationTimestamp: proto.Int64(now())},
	}
	for _, other := range chats {
		if a.sync.Messages > 0 {
			a.know(other, func(c *chat) { c.wrote, c.reached = true, true })
			other.know(a, func(c *chat) { c.wrote, c.reached = true, true })
		}
		h.PhoneNumberToLidMappings = append(h.PhoneNumberToLidMappings, &waHistorySync.PhoneNumberToLIDMapping{
			PnJID: proto.String(other.jid().String()), LidJID: proto.String(other.lidJID().String()),
		})
		h.Conversations = append(h.Conversations, a.conversation(other))
	}
	return h
}

// firstProgress is how much of a history a client has after its first piece. A guess.
const firstProgress = 10

// recentHistory is the last piece of a history without older chats: nothing more about the same ones. Call with Server.mu held.
func (a *account) recentHistory(chats []*account) *waHistorySync.HistorySync {
	h := &waHistorySync.HistorySync{
		SyncType: waHistorySync.HistorySync_RECENT.Enum(), ChunkOrder: proto.Uint32(2), Progress: proto.Uint32(100),
	}
	for _, other := range chats {
		h.Conversations = append(h.Conversations, &waHistorySync.Conversation{
			ID: proto.String(other.lidJID().String()), TcToken: other.tokenFor(a), TcTokenTimestamp: proto.Uint64(uint64(now())),
		})
	}
	return h
}

// conversation is one chat of a history: messages of both sides in turn, a minute apart, and the other's privacy token.
func (a *account) conversation(other *account) *waHistorySync.Conversation {
	jid := other.lidJID().String()
	at := uint64(now()) - 60*uint64(a.sync.Messages)
	c := &waHistorySync.Conversation{
		ID: proto.String(jid), Name: proto.String(other.name),
		TcToken: other.tokenFor(a), TcTokenTimestamp: proto.Uint64(uint64(now())),
	}
	for i := range a.sync.Messages {
		at += 60
		c.Messages = append(c.Messages, &waHistorySync.HistorySyncMsg{
			MsgOrderID: proto.Uint64(uint64(i + 1)),
			Message: &waWeb.WebMessageInfo{
				Key:              &waCommon.MessageKey{RemoteJID: proto.String(jid), FromMe: proto.Bool(i%2 == 1), ID: proto.String(newMessageID())},
				MessageTimestamp: proto.Uint64(at),
				MessageSecret:    randomBytes(32),
				Message:          &waE2E.Message{Conversation: proto.String(fmt.Sprintf("message %d", i+1))},
			},
		})
	}
	c.LastMsgTimestamp = proto.Uint64(at)
	return c
}

// tokenFor returns the privacy token that an account gave another, made when there is none. Call with Server.mu held.
func (a *account) tokenFor(other *account) []byte {
	if a.tokens == nil {
		a.tokens = map[string][]byte{}
	}
	if a.tokens[other.number] == nil {
		a.tokens[other.number] = randomBytes(24)
	}
	return a.tokens[other.number]
}

// pushNames is the part of a history that tells what others call themselves.
func pushNames(chats []*account) *waHistorySync.HistorySync {
	h := &waHistorySync.HistorySync{
		SyncType: waHistorySync.HistorySync_PUSH_NAME.Enum(), ChunkOrder: proto.Uint32(1), Progress: proto.Uint32(100),
	}
	for _, other := range chats {
		if other.name != "" {
			h.Pushnames = append(h.Pushnames, &waHistorySync.Pushname{
				ID: proto.String(other.lidJID().String()), Pushname: proto.String(other.name),
			})
		}
	}
	return h
}

// historyMessage is the message that brings a history, or says where it is.
func (s *Server) historyMessage(h *waHistorySync.HistorySync) *waE2E.ProtocolMessage {
	packed := pack(h, zlib.DefaultCompression)
	n := &waE2E.HistorySyncNotification{
		SyncType:   waE2E.HistorySyncType(h.GetSyncType()).Enum(),
		ChunkOrder: h.ChunkOrder, Progress: h.Progress,
	}
	if len(packed) <= maxInline {
		n.InitialHistBootstrapInlinePayload = packed
	} else if f, err := s.putFile("md-msg-hist", forHistory, packed); err != nil {
		s.log.Error("no history", "error", err)
	} else {
		f.describe(n)
	}
	return &waE2E.ProtocolMessage{
		Type: waE2E.ProtocolMessage_HISTORY_SYNC_NOTIFICATION.Enum(), HistorySyncNotification: n,
	}
}

// describe says in a notification where a history is.
func (f sealedFile) describe(n *waE2E.HistorySyncNotification) {
	n.DirectPath, n.MediaKey, n.FileSHA256, n.FileEncSHA256 = proto.String(f.path), f.key, f.plain, f.hash
	n.FileLength = proto.Uint64(f.size)
}

// pack is a history as it is sent: compressed.
func pack(h *waHistorySync.HistorySync, level int) []byte {
	encoded, _ := proto.Marshal(h) // cannot fail: what must be there is there
	var packed bytes.Buffer
	writer, _ := zlib.NewWriterLevel(&packed, level)
	_, _ = writer.Write(encoded) // into memory
	_ = writer.Close()
	return packed.Bytes()
}
