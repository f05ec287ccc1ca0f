package session

import (
	"context"
	"time"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// sentKept is how long a message can be sent again to a device that could not open it. WhatsApp keeps what a device did not
// fetch for about 14 days, and only what was fetched can be asked for again. The library's own store forgets after 7.
const sentKept = 14 * 24 * time.Hour

// forgetSent deletes the sent messages that nobody can ask for any more.
func (a *Account) forgetSent(ctx context.Context) error {
	return a.opts.ForgetSent(ctx, a.opts.Now().Add(-sentKept))
}

// sentBuffer makes the library's store of sent messages keep them as long as they can be asked for, and no longer.
type sentBuffer struct {
	store.EventBuffer
	forget func(context.Context) error
}

// DeleteOldOutgoingEvents implements store.EventBuffer. The library calls it with sends.
func (b sentBuffer) DeleteOldOutgoingEvents(ctx context.Context) error { return b.forget(ctx) }

// GetOutgoingEvent implements store.EventBuffer. The library calls it for a message that is not in its memory any more.
func (b sentBuffer) GetOutgoingEvent(ctx context.Context, chat, other types.JID, id types.MessageID) (format string, message []byte, err error) {
	if err := b.forget(ctx); err != nil {
		return "", nil, err
	}
	return b.EventBuffer.GetOutgoingEvent(ctx, chat, other, id)
}
