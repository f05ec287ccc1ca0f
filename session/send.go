package session

import (
	"context"
	"errors"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// Send sends a text under the message's ID and returns once WhatsApp's server took it with a copy for the recipient's phone
// in it. A number is checked first; Check's kept answers count. A LID is written to as it is. An error is an *Error that says whether and when to try
// again; every further try must use the same ID. Sends wait for each other, as they do in the library.
//
// A send that has begun is not cancelled by ctx: the library may crash when it is.
func (a *Account) Send(ctx context.Context, m Message) (Sent, error) {
	sent := Sent{ID: m.ID}
	to, err := a.recipient(ctx, m)
	sent.To, sent.LID = to.Canonical, to.LID
	if err != nil {
		return sent, err
	}
	if m.To != "" {
		sent.Checked, sent.FromCache = a.opts.Now(), to.FromCache
	}
	select {
	case a.sending <- struct{}{}:
		defer func() { <-a.sending }()
	case <-a.stopped:
		return sent, stopping()
	case <-ctx.Done():
		return sent, context.Cause(ctx)
	}
	l, err := a.connected()
	if err != nil {
		return sent, err
	}
	if failed := a.transmit(context.WithoutCancel(ctx), l, m, &sent); failed != nil {
		return sent, failed
	}
	return sent, nil
}

// transmit sends a message, and once more for the two refusals that a second try may heal.
func (a *Account) transmit(ctx context.Context, l *link, m Message, sent *Sent) *Error {
	lid, err := types.ParseJID(sent.LID)
	if err != nil {
		return &Error{Code: CodeUnresolvable, Retry: RetryNever, Err: err}
	}
	if sent.To != "" {
		a.rememberAddress(ctx, lid, sent.To)
	}
	stop := a.watchSend()
	defer stop()
	l.guard.tokens.begin(lid)
	defer l.guard.tokens.end()
	failed := a.attempt(ctx, l, m, lid, sent)
	switch {
	case failed == nil:
	case failed.Code == CodeSessionRebuild:
		if err := l.guard.sessions.DeleteAllSessions(ctx, lid.SignalAddressUser()); err != nil {
			return &Error{Code: CodeStoreFailed, Retry: RetryLater, Err: err}
		}
		sent.Rebuilt = true
		failed = a.again(ctx, l, m, lid, sent, failed)
	case failed.Code == CodePriorContact:
		if left, _ := a.held(m); left > 0 {
			break
		}
		failed = a.freshly(ctx, l, m, lid, sent, failed)
	}
	return a.tellLock(m, lid, failed)
}

// freshly is the second attempt of a message that WhatsApp refused for want of a privacy token: with one that has come in
// meanwhile, or, when the contact's own was refused, with a derived one. Nobody can ask for another of the contact's: contacts give
// it. The library gave them ours with the first attempt, and the answer to that brings nothing. See docs/pacing.md.
func (a *Account) freshly(ctx context.Context, l *link, m Message, lid types.JID, sent *Sent, failed *Error) *Error {
	stale := l.guard.tokens.refuse()
	failed = a.again(ctx, l, m, lid, sent, failed)
	if failed == nil && stale {
		a.log.Info("a contact's privacy token opens the way no longer, and is forgotten", "message", m.ID)
		if err := l.guard.tokens.drop(ctx); err != nil {
			a.log.Warn("a privacy token that is refused was not forgotten", "error", err)
		}
	}
	return failed
}

// again is the second attempt.
func (a *Account) again(ctx context.Context, l *link, m Message, lid types.JID, sent *Sent, failed *Error) *Error {
	a.log.Warn("sending once more", "message", m.ID, "reason", failed.Code)
	sent.Resent++
	return a.attempt(ctx, l, m, lid, sent)
}

// moving bounds for how long a send begins again because of messages that come in from the recipient meanwhile. Each try takes
// milliseconds, so this is far beyond what anybody writes in one go; the task is tried again after it.
const moving = 10 * time.Second

// attempt sends a message once and notes how far it got. What ends before there is a stanza begins again.
func (a *Account) attempt(ctx context.Context, l *link, m Message, lid types.JID, sent *Sent) *Error {
	for end := a.opts.Now().Add(moving); ; {
		failed := a.try(ctx, l, m, lid, sent)
		if failed == nil || !errors.Is(failed, errSessionMoved) || a.opts.Now().After(end) {
			return failed
		}
	}
}

// try is one call of the library.
func (a *Account) try(ctx context.Context, l *link, m Message, lid types.JID, sent *Sent) *Error {
	a.tally.did("a send", a.opts.Now())
	l.guard.watch(phoneAddress(lid))
	a.library.follow(m.ID)
	response, err := l.client.SendMessage(ctx, lid, &waE2E.Message{Conversation: proto.String(m.Text)},
		whatsmeow.SendRequestExtra{ID: string(m.ID), Timeout: -1}) // none of its own: watchSend has one that is safe
	copied, cause := l.guard.verdict()
	seen := a.library.passed()
	sent.Encrypted, sent.Written, sent.Acked = copied, seen.written, seen.acked
	sent.OtherDevices = sent.OtherDevices || seen.otherDevices
	switch {
	case errors.Is(err, errSessionMoved):
		return &Error{Code: CodeSendFailed, Retry: RetryLater, Err: errSessionMoved}
	case err != nil:
		failed := failure(err, CodeSendFailed)
		if failed.WACode != 0 {
			a.tally.count(func(c *Counts) { c.Refused[failed.WACode]++ })
		}
		return failed
	case copied.IsZero():
		if cause == nil {
			cause = errors.New("the library skipped the recipient's phone")
		}
		return &Error{
			Code: CodeNoRecipientCopy, Retry: RetryLater, Uncertain: true,
			Hint: "WhatsApp took the message without a copy for the recipient", Err: cause,
		}
	}
	sent.At = response.Timestamp
	return nil
}

// rememberAddress sees to it that the library knows the number behind a LID, which the stanza names. A kept answer may be
// older than the library's table.
func (a *Account) rememberAddress(ctx context.Context, lid types.JID, number Number) {
	known, err := a.container.LIDMap.GetPNForLID(ctx, lid)
	if err == nil && known.IsEmpty() {
		err = a.container.LIDMap.PutLIDMapping(ctx, lid, types.NewJID(string(number), types.DefaultUserServer))
	}
	if err != nil {
		a.log.Warn("the number behind a LID was not remembered", "error", err)
	}
}

// watchSend gives a send that gets no answer a new connection, again and again until it ends: the library then repeats the
// same stanza or gives up. Its own time-outs do not cover all cases, and one of them can crash the process.
func (a *Account) watchSend() (stop func()) {
	ended := make(chan struct{})
	a.work.start(func() {
		ticker := time.NewTicker(a.opts.Timing.Send)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				a.post(func(ctx context.Context, o *owner) {
					o.reset(ctx, CodeConnectionSilent, "a message got no answer")
				})
			case <-ended:
				return
			case <-a.stopped:
				return
			}
		}
	})
	return func() { close(ended) }
}
