package session

import (
	"context"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waCompanionReg"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// maxHistory is how large a piece of the history may be, compressed, to be read: it is held as a whole. Pieces of the kinds we
// read are mostly far below.
const maxHistory = 8 << 20

// maxDownload is how large anything may be that is downloaded, whatever was said of it: a piece of the history or of the app
// state, encrypted.
const maxDownload = maxHistory + 1<<10

// leastHistory is what we ask the phone for when it links us: the phone sends some of its chats whatever is asked. What we
// need of them are the LIDs and privacy tokens of those it chats with, not the messages.
func leastHistory() *waCompanionReg.DeviceProps_HistorySyncConfig {
	return &waCompanionReg.DeviceProps_HistorySyncConfig{
		FullSyncDaysLimit: proto.Uint32(1), FullSyncSizeMbLimit: proto.Uint32(1), StorageQuotaMb: proto.Uint32(1),
		RecentSyncDaysLimit: proto.Uint32(1), ThumbnailSyncDaysLimit: proto.Uint32(0), InitialSyncMaxMessagesPerChat: proto.Uint32(1),
		InlineInitialPayloadInE2EeMsg: proto.Bool(true),
	}
}

// readHistory reads a piece of the history that the account's own phone offers, if it may hold what we need. The library
// keeps LIDs, names and tokens of it; the messages are taken out before. Pieces are read one at a time, beside everything else.
func (a *Account) readHistory(l *link, offer *waE2E.HistorySyncNotification) {
	log := a.log.With("kind", offer.GetSyncType().String(), "bytes", offer.GetFileLength())
	wanted := worthReading(offer)
	if l.settling.offered(offer, wanted) {
		a.settled(l)
	}
	if !wanted {
		log.Info("a piece of the history is not read")
		return
	}
	a.work.start(func() {
		a.history.Lock()
		defer a.history.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), a.opts.Timing.Query)
		defer cancel()
		err := l.keepHistory(ctx, offer)
		if l.settling.read(err) {
			a.settled(l)
		}
		if err != nil {
			log.Warn("a piece of the history was not read", "error", redact(err.Error()))
			return
		}
		if offer.GetDirectPath() == "" {
			return // it came inside the message
		}
		err = l.client.DeleteMedia(ctx, whatsmeow.MediaHistory, offer.GetDirectPath(), offer.GetFileEncSHA256(), offer.GetEncHandle())
		if err != nil {
			log.Warn("a piece of the history that was read was not deleted", "error", redact(err.Error()))
		}
	})
}

// keepHistory gives the library what we need of a piece of the history. The library itself would hold all of it, unpacked.
func (l *link) keepHistory(ctx context.Context, offer *waE2E.HistorySyncNotification) error {
	packed := offer.GetInitialHistBootstrapInlinePayload()
	if packed == nil {
		var err error
		if packed, err = l.client.Download(ctx, offer); err != nil {
			return err
		}
	}
	sifted, err := sift(packed, maxUnpacked)
	if err != nil {
		return err
	}
	_, err = l.client.DownloadHistorySync(ctx, &waE2E.HistorySyncNotification{InitialHistBootstrapInlinePayload: sifted}, true)
	return err
}

// worthReading tells whether a piece of the history may hold what we need, and fits into memory.
func worthReading(offer *waE2E.HistorySyncNotification) bool {
	switch offer.GetSyncType() {
	case waE2E.HistorySyncType_FULL, waE2E.HistorySyncType_ON_DEMAND, waE2E.HistorySyncType_INITIAL_STATUS_V3:
		return false // older messages, and status posts
	default:
		return offer.GetFileLength() <= maxHistory && len(offer.GetInitialHistBootstrapInlinePayload()) <= maxHistory
	}
}

// noSecrets keeps none of the secrets by which a message's votes and comments are read: we read none, and there is one for
// every message, also for each of the history.
type noSecrets struct{ store.MsgSecretStore }

// PutMessageSecrets implements store.MsgSecretStore.
func (noSecrets) PutMessageSecrets(context.Context, []store.MessageSecretInsert) error { return nil }

// PutMessageSecret implements store.MsgSecretStore.
func (noSecrets) PutMessageSecret(context.Context, types.JID, types.JID, types.MessageID, []byte) error {
	return nil
}
