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

// sentMessage is a message for the library's store of sent messages.
type sentMessage struct {
	chat      types.JID
	id        types.MessageID
	format    string
	plaintext []byte
}

// sentBuffer is the library's store of sent messages. It keeps them as long as they can be asked for, and no longer, and writes
// each in the commit that saves the sessions of its send. That comes after the library's call and before the stanza leaves, so
// that what anybody can ask for is there, and a send waits for the disk once.
type sentBuffer struct {
	store.EventBuffer
	guard *guard
}

// AddOutgoingEvent implements store.EventBuffer. Only sends call it.
func (b sentBuffer) AddOutgoingEvent(ctx context.Context, chat types.JID, id types.MessageID, format string, plaintext []byte) error {
	if b.guard.holdSent(&sentMessage{chat, id, format, plaintext}) {
		return nil
	}
	return b.EventBuffer.AddOutgoingEvent(ctx, chat, id, format, plaintext)
}

// holdSent keeps a message until saveSent. It is false when no send is watched.
func (g *guard) holdSent(message *sentMessage) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.address == "" {
		return false
	}
	g.unsaved = message
	return true
}

// saveSent writes the message of the present send, in the transaction of the context. A send that begins anew brings it again.
func (g *guard) saveSent(ctx context.Context) error {
	g.mu.Lock()
	message := g.unsaved
	g.mu.Unlock()
	if message == nil {
		return nil
	}
	return g.events.AddOutgoingEvent(ctx, message.chat, message.id, message.format, message.plaintext)
}

// DeleteOldOutgoingEvents implements store.EventBuffer. The library calls it with sends.
func (b sentBuffer) DeleteOldOutgoingEvents(ctx context.Context) error {
	if b.guard.forget == nil {
		return b.EventBuffer.DeleteOldOutgoingEvents(ctx)
	}
	return b.guard.forget(ctx)
}

// GetOutgoingEvent implements store.EventBuffer. The library calls it for a message that is not in its memory any more.
func (b sentBuffer) GetOutgoingEvent(ctx context.Context, chat, other types.JID, id types.MessageID) (format string, message []byte, err error) {
	if b.guard.forget != nil {
		if err := b.guard.forget(ctx); err != nil {
			return "", nil, err
		}
	}
	return b.EventBuffer.GetOutgoingEvent(ctx, chat, other, id)
}
