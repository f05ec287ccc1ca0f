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
	return !ok || a.offer(l, message)
}

// confirmed tells of a receipt for messages of ours, in the same way. Receipts of our own devices are none.
func (a *Account) confirmed(l *link, event *events.Receipt) bool {
	confirmation, ok := a.readReceipt(event)
	return !ok || a.offer(l, confirmation)
}

// offer tells of something that WhatsApp must not be told we have before it is kept.
func (a *Account) offer(l *link, what Event) bool {
	pause := a.opts.Timing.Observe
	for try := 1; ; try++ {
		err := a.observe(context.Background(), what) // the library has no context for its handlers
		if err == nil {
			return true
		}
		if try == observeTries || !a.rest(pause) {
			a.log.Error("what came in was not taken; it is left for the next connection", "error", err)
			break
		}
		pause *= 2
	}
	a.post(func(ctx context.Context, o *owner) {
		if o.link == l {
			o.reset(ctx, CodeStoreFailed, "what came in was not taken")
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
	message = MessageReceived{
		Account: a.opts.Account, ID: MessageID(info.ID), Text: text, At: a.cameAt(info.Timestamp), Device: info.Sender.Device,
		ReplyTo: MessageID(event.Message.GetExtendedTextMessage().GetContextInfo().GetStanzaID()),
	}
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

// cameAt is the time of something that WhatsApp told of in whole seconds: the end of the second, so that no receipt or answer
// seems older than its message.
func (a *Account) cameAt(told time.Time) time.Time {
	at := told.Add(time.Second - time.Millisecond)
	if now := a.opts.Now(); at.After(now) {
		return now
	}
	return at
}

// readReceipt returns a receipt of a contact's device in our words. ok is false for any other.
func (a *Account) readReceipt(event *events.Receipt) (confirmation MessageConfirmed, ok bool) {
	if event.IsFromMe || event.IsGroup {
		return confirmation, false
	}
	confirmation = MessageConfirmed{Account: a.opts.Account, Device: event.Sender.Device}
	confirmation.At = a.cameAt(event.Timestamp)
	switch event.Type {
	case types.ReceiptTypeDelivered:
		confirmation.Kind = ConfirmDelivered
	case types.ReceiptTypeRead, types.ReceiptTypePlayed:
		confirmation.Kind = ConfirmRead
	case types.ReceiptTypeRetry:
		confirmation.Kind = ConfirmAskAgain
	default:
		return confirmation, false
	}
	for _, id := range event.MessageIDs {
		confirmation.IDs = append(confirmation.IDs, MessageID(id))
	}
	return confirmation, true
}
