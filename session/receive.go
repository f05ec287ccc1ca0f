package session

import (
	"context"
	"time"

	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
)

// observeTries is how often a message is offered to the observer before it is left for the next connection.
const observeTries = 3

// received tells of a text that a contact wrote. It returns false when nobody took it: then it is not acknowledged, and
// WhatsApp delivers it again, but only at the next login. So that is brought about.
func (a *Account) received(l *link, event *events.Message) bool {
	message, ok := a.readMessage(event)
	if !ok {
		return true
	}
	pause := a.opts.Timing.Observe
	for try := 1; ; try++ {
		err := a.observe(context.Background(), message) // the library has no context for its handlers
		if err == nil {
			return true
		}
		if try == observeTries || !a.rest(pause) {
			a.log.Error("a message was not taken; it is left for the next connection", "message", message.ID, "error", err)
			break
		}
		pause *= 2
	}
	a.post(func(ctx context.Context, o *owner) {
		if o.link == l {
			o.reset(ctx, CodeStoreFailed, "a message that came in was not taken")
		}
	})
	return false
}

// rest waits. It returns false when the account stops meanwhile.
func (a *Account) rest(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-a.stopped:
		return false
	}
}

// readMessage returns a message in our words. ok is false for what is not a text from a contact.
func (a *Account) readMessage(event *events.Message) (message MessageReceived, ok bool) {
	text := event.Message.GetConversation()
	if text == "" {
		text = event.Message.GetExtendedTextMessage().GetText()
	}
	info := event.Info
	if text == "" || info.IsFromMe || info.IsGroup || info.Chat.Server == types.BroadcastServer || info.Chat.Server == types.NewsletterServer {
		return MessageReceived{}, false
	}
	message = MessageReceived{Account: a.opts.Account, ID: MessageID(info.ID), Text: text, At: info.Timestamp}
	for _, address := range []types.JID{info.Sender, info.SenderAlt} {
		switch address.Server {
		case types.DefaultUserServer:
			message.From = Number(address.User)
		case types.HiddenUserServer:
			message.LID = address.ToNonAD().String()
		}
	}
	if message.From == "" && message.LID != "" {
		// Often known from an earlier check.
		number, err := a.container.LIDMap.GetPNForLID(context.Background(), info.Sender.ToNonAD())
		if err == nil && !number.IsEmpty() {
			message.From = Number(number.User)
		}
	}
	return message, true
}
