package session

import (
	"context"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
)

// signal is an event of the library that concerns Run.
type signal struct {
	link  *link
	event any
}

// handle routes an event of the library. It returns false when a message could not be kept: WhatsApp then keeps it.
func (a *Account) handle(l *link, event any) bool {
	a.answeredBy(event)
	switch event := event.(type) {
	case *events.Message:
		return a.received(event)
	case *events.LoggedOut:
		a.keepEnd(l, event) // before the library may delete the device
		a.signal(l, event)
	case *events.QR, *events.PairSuccess, *events.PairError, *events.ManualLoginReconnect,
		*events.Connected, *events.Disconnected, *events.StreamReplaced, *events.TemporaryBan, *events.ClientOutdated,
		*events.ConnectFailure, *events.StreamError, *events.KeepAliveTimeout, *events.KeepAliveRestored:
		a.signal(l, event)
	}
	return true
}

// answeredBy notes the time of an event that came from WhatsApp, not from the library's own clock.
func (a *Account) answeredBy(event any) {
	switch event.(type) {
	case *events.KeepAliveTimeout, *events.Disconnected:
	default:
		a.answered()
	}
}

// signal passes an event on to Run, unless Run has ended.
func (a *Account) signal(l *link, event any) {
	select {
	case a.signals <- signal{l, event}:
	case <-a.stopped:
	}
}

// received tells the observer of a text that somebody wrote to the account.
func (a *Account) received(message *events.Message) bool {
	info := message.Info
	if info.IsFromMe || info.IsGroup || info.Chat.Server == types.BroadcastServer {
		return true
	}
	text := message.Message.GetConversation()
	if text == "" {
		text = message.Message.GetExtendedTextMessage().GetText()
	}
	if text == "" {
		return true
	}
	event := MessageReceived{Account: a.opts.Account, ID: MessageID(info.ID), Text: text, At: info.Timestamp}
	for _, jid := range []types.JID{info.Sender, info.SenderAlt} {
		switch jid.Server {
		case types.DefaultUserServer:
			event.From = Number(jid.User)
		case types.HiddenUserServer:
			event.LID = jid.User
		}
	}
	if err := a.opts.Observe(context.Background(), event); err != nil { // the library's handlers bring no context
		a.log.Error("an incoming message could not be kept; WhatsApp delivers it again", "error", err)
		return false
	}
	return true
}

// keepEnd keeps why WhatsApp ended the link, then lets the library delete the device.
func (a *Account) keepEnd(l *link, event *events.LoggedOut) {
	defer l.markEnded()
	a.mu.Lock()
	facts := a.facts
	a.mu.Unlock()
	facts.EndState, facts.EndReason, facts.EndDetail = loggedOutAs(event)
	facts.EndedAt, facts.ByUs = time.Now(), false
	ctx, cancel := context.WithTimeout(context.Background(), endPatience) // the library's handlers bring no context
	defer cancel()
	if err := a.keepFacts(ctx, facts); err != nil {
		a.log.Error("the reason of the log-out could not be kept", "reason", facts.EndReason, "error", err)
	}
}

// loggedOutAs says what a log-out by WhatsApp means.
func loggedOutAs(event *events.LoggedOut) (State, string, string) {
	switch event.Reason {
	case events.ConnectFailureMainDeviceGone: // 403
		return Locked, CodeAccountLocked, "WhatsApp locked the account"
	case events.ConnectFailureUnknownLogout: // 406
		return Locked, CodeAccountBanned, "WhatsApp banned the account"
	}
	if event.OnConnect {
		return LoggedOut, CodeLoggedOut, "WhatsApp refused the log-in: the device is no longer linked"
	}
	return LoggedOut, CodeLoggedOut, "the phone or WhatsApp removed this device"
}

// eventQueue keeps events until the observer has heard them, in order.
type eventQueue struct {
	mu     sync.Mutex
	events []Event
	more   chan struct{}
}

func (q *eventQueue) add(event Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.events = append(q.events, event)
	if q.more != nil {
		close(q.more)
		q.more = nil
	}
}

// take returns what has gathered, or a channel that is closed when there is something.
func (q *eventQueue) take() ([]Event, <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	events := q.events
	q.events = nil
	if len(events) == 0 && q.more == nil {
		q.more = make(chan struct{})
	}
	return events, q.more
}

// tell hands the events to the observer until the context has ended and none is left.
func (a *Account) tell(ctx context.Context) {
	for {
		over := ctx.Err() != nil // what was added before the end is told nevertheless
		events, more := a.events.take()
		for _, event := range events {
			if err := a.opts.Observe(context.WithoutCancel(ctx), event); err != nil {
				a.log.Error("an event could not be dealt with", "error", err)
			}
		}
		if len(events) > 0 {
			continue
		}
		if over {
			return
		}
		select {
		case <-more:
		case <-ctx.Done():
		}
	}
}
