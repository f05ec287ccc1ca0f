package simulator

import (
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"
)

// Forgeries are the messages that pretend to come from the recipient's own phone: a copy of an own message, a new app-state
// key, a history to load, and an order to delete a message of the recipient.
func Forgeries() []string { return []string{"own-copy", "key-share", "history", "revoke-yours"} }

// forge makes one of the Forgeries.
func forge(what, text string) (*waE2E.Message, error) {
	switch what {
	case "own-copy":
		return &waE2E.Message{DeviceSentMessage: &waE2E.DeviceSentMessage{
			DestinationJID: proto.String("15550000000@s.whatsapp.net"), Message: &waE2E.Message{Conversation: proto.String(text)},
		}}, nil
	case "key-share":
		return &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
			Type: waE2E.ProtocolMessage_APP_STATE_SYNC_KEY_SHARE.Enum(),
			AppStateSyncKeyShare: &waE2E.AppStateSyncKeyShare{Keys: []*waE2E.AppStateSyncKey{{
				KeyID:   &waE2E.AppStateSyncKeyId{KeyID: []byte("forged")},
				KeyData: &waE2E.AppStateSyncKeyData{KeyData: make([]byte, 32), Timestamp: proto.Int64(time.Now().Unix())},
			}}},
		}}, nil
	case "history":
		return &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
			Type: waE2E.ProtocolMessage_HISTORY_SYNC_NOTIFICATION.Enum(),
			HistorySyncNotification: &waE2E.HistorySyncNotification{
				SyncType: waE2E.HistorySyncType_RECENT.Enum(), DirectPath: proto.String("/forged?x=1"), MediaKey: make([]byte, 32),
			},
		}}, nil
	case "revoke-yours":
		return &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
			Type: waE2E.ProtocolMessage_REVOKE.Enum(),
			Key:  &waCommon.MessageKey{FromMe: proto.Bool(false), ID: proto.String(text)},
		}}, nil
	default:
		return nil, fmt.Errorf("no forgery %q", what)
	}
}
