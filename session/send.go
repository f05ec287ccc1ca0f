package session

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// Send sends a text under its message ID, after making sure that the number has an account. It returns nil only when
// WhatsApp's server took the message with a copy for the recipient's phone in it; every other error is an *Error. Sends of
// one account go one after the other; a send in flight does not end with the context.
func (a *Account) Send(ctx context.Context, m Message) (Sent, error) {
	to, err := a.checkOne(ctx, m.To)
	if err != nil {
		return Sent{}, asError(err)
	}
	select {
	case a.sending <- struct{}{}:
		defer func() { <-a.sending }()
	case <-a.stopped:
		return Sent{}, offline(errStopping)
	case <-ctx.Done():
		return Sent{}, offline(ctx.Err())
	}
	l, err := a.online()
	if err != nil {
		return Sent{}, err
	}
	sent, err := a.transmit(ctx, l, m, to)
	if err != nil {
		return Sent{}, a.afterFailure(ctx, l, to, err)
	}
	return sent, nil
}

// asError makes an *Error of any failure of a query.
func asError(err error) error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	return queryFailure(err)
}

// transmit sends under watch and judges the outcome.
func (a *Account) transmit(ctx context.Context, l *link, m Message, to Checked) (Sent, error) {
	recipient := types.NewJID(string(to.Canonical), types.DefaultUserServer)
	lid := types.EmptyJID
	if to.LID != "" {
		lid = types.NewJID(to.LID, types.HiddenUserServer)
	} else if known, err := l.client.Store.LIDs.GetLIDForPN(ctx, recipient); err == nil {
		lid = known
	}
	l.guard.begin()
	begun := time.Now()
	response, err := a.sendAndWatch(ctx, l, recipient, m)
	copied, failure := l.guard.end(phoneAddresses(lid, recipient))
	if err != nil {
		return Sent{}, sendFailure(err)
	}
	if !copied {
		if failure == nil {
			failure = errors.New("the message went out without a copy for the recipient's phone")
		}
		return Sent{}, &Error{
			Code: CodeNoRecipientCopy, Retry: RetryLater, Uncertain: true, Err: failure,
			Hint: "it is repeated under the same message ID",
		}
	}
	a.measured(time.Since(begun))
	return Sent{ID: m.ID, To: to.Canonical, LID: lid.User, At: response.Timestamp}, nil
}

// sendAndWatch calls the library and keeps it from waiting for ever.
//
// The library must not be given a timeout or a context that ends: an answer that comes in at that very moment makes it
// panic in a goroutine of its own. A send that hangs is freed by resetting the connection: the library then repeats the
// same frame on the next one, which the recipient shows once.
func (a *Account) sendAndWatch(ctx context.Context, l *link, to types.JID, m Message) (whatsmeow.SendResponse, error) {
	type result struct {
		response whatsmeow.SendResponse
		err      error
	}
	done := make(chan result, 1)
	go func() {
		response, err := l.client.SendMessage(context.WithoutCancel(ctx), to,
			&waE2E.Message{Conversation: proto.String(m.Text)},
			whatsmeow.SendRequestExtra{ID: types.MessageID(m.ID), Timeout: -1})
		done <- result{response, err}
	}()
	overdue := time.NewTicker(a.opts.Timing.Answer)
	defer overdue.Stop()
	for {
		select {
		case r := <-done:
			return r.response, r.err
		case <-overdue.C:
			a.log.Warn("WhatsApp does not answer a message; the connection is reset", "message", string(m.ID))
			l.client.ResetConnection()
		}
	}
}

// afterFailure does what helps the next try.
func (a *Account) afterFailure(ctx context.Context, l *link, to Checked, err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeSessionRebuild {
		return err
	}
	for _, address := range phoneAddresses(types.NewJID(to.LID, types.HiddenUserServer), types.NewJID(string(to.Canonical), types.DefaultUserServer)) {
		user := strings.TrimSuffix(address, ":0")
		if dropErr := l.client.Store.Sessions.DeleteAllSessions(ctx, user); dropErr != nil {
			return errors.Join(e, dropErr)
		}
	}
	return err
}
