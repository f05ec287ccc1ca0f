package session

import (
	"context"
	"errors"
	"time"

	"go.mau.fi/whatsmeow"
)

// Logout ends the link: WhatsApp forgets the device, and its keys are deleted. Without a link it returns ErrNotPaired and
// ends a pairing round that runs. Paired but offline is an *Error to be tried again once online. No pairing round follows by
// itself.
func (a *Account) Logout(ctx context.Context) error {
	lasting := context.WithoutCancel(ctx) // once begun, a log-out is carried through
	var l *link
	err := a.ask(lasting, func(ctx context.Context, o *owner) (err error) {
		l, err = o.beginLogout(ctx)
		return err
	})
	if err != nil {
		return err
	}
	select {
	case a.sending <- struct{}{}: // the send in flight first
		defer func() { <-a.sending }()
	case <-a.stopped:
		return stopping()
	}
	limited, cancel := context.WithTimeoutCause(lasting, a.opts.Timing.Query, errors.New("WhatsApp did not answer the log-out in time"))
	defer cancel()
	err = l.client.Logout(limited)
	return a.ask(lasting, func(ctx context.Context, o *owner) error { return o.endLogout(ctx, l, err) })
}

// beginLogout is the part before WhatsApp is asked. That the end is ours is kept first: it must be known even if this
// process dies before WhatsApp's answer.
func (o *owner) beginLogout(ctx context.Context) (*link, error) {
	if o.link == nil {
		o.endRound(ctx, PairingStopped, CodeLogoutRequested, "a log-out ended the round")
		o.paused, o.nextRound = true, time.Time{}
		return nil, ErrNotPaired
	}
	if o.phase != up {
		return nil, &Error{Code: CodeOffline, Retry: RetryOnline, Hint: "the account is " + string(o.state())}
	}
	facts := o.facts
	facts.EndState, facts.EndReason, facts.EndDetail = LoggedOut, CodeLogoutRequested, "logged out on request"
	facts.EndedAt, facts.ByUs = time.Time{}, true // it has not ended yet
	if err := o.a.opts.Keeper.KeepFacts(ctx, o.a.opts.Account, facts); err != nil {
		return nil, &Error{Code: CodeStoreFailed, Retry: RetryLater, Err: err}
	}
	o.facts = facts
	o.link.byUs.Store(true)
	return o.link, nil
}

// endLogout is the part after WhatsApp was asked.
func (o *owner) endLogout(ctx context.Context, l *link, err error) error {
	if o.link != l { // WhatsApp told of the end before it answered
		return nil
	}
	if err != nil && !removed(err) {
		if e := failure(err, CodeLogoutFailed); e.Code != CodeLogoutFailed {
			l.byUs.Store(false)
			if e.Retry != RetryOnline { // else WhatsApp may have done it: the next login shows it, and the end is ours then
				o.clearEnd()
				o.keep(ctx)
			}
			return e
		}
		o.a.log.Error("WhatsApp forgot the device, but its keys were not deleted", "error", err)
	}
	o.unlinked(ctx, ending{state: LoggedOut, reason: CodeLogoutRequested})
	return nil
}

// removed tells whether a log-out was interrupted by its own success.
func removed(err error) bool {
	var cut *whatsmeow.DisconnectedError
	return errors.As(err, &cut) && cut.Node != nil && cut.Node.Tag == "stream:error" && cut.Node.Attrs["code"] == "401"
}
