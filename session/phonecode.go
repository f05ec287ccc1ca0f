package session

import (
	"context"
	"errors"
	"time"

	"go.mau.fi/whatsmeow"
)

// companionName is what WhatsApp is told that wants to be linked by a code. It takes the names of browsers on systems it knows
// and refuses others with 400.
const companionName = "Chrome (Linux)"

// phoneCodePause is how long nobody may ask for another code for the same number: WhatsApp refuses bursts with 429.
const phoneCodePause = time.Minute

// PairPhone has WhatsApp show a request on the phone with this number, and returns the code of eight characters that is to
// be typed there, in PairingRound.PhoneCode. It starts a round or joins the one that runs, like Pair, and the codes to scan
// stay live beside it. A number gets one code a minute.
func (a *Account) PairPhone(ctx context.Context, number Number) (PairingRound, error) {
	if round, err := a.Pair(ctx); err != nil {
		return round, err
	}
	answer := make(chan error, 1)
	if err := a.ask(ctx, func(ctx context.Context, o *owner) error { return o.askPhoneCode(ctx, number, answer) }); err != nil {
		return a.Pairing(), err
	}
	select {
	case err := <-answer:
		return a.Pairing(), err
	case <-a.stopped:
		return a.Pairing(), stopping()
	case <-ctx.Done():
		return a.Pairing(), context.Cause(ctx)
	}
}

// askPhoneCode asks WhatsApp for the code, beside the owner.
func (o *owner) askPhoneCode(ctx context.Context, number Number, answer chan error) error {
	r := &o.round
	now := o.now()
	if r.State != PairingWaiting || r.link == nil || r.link.busy {
		return &Error{Code: CodePairExpired, Retry: RetryLater, Hint: "the round ended meanwhile; ask again"}
	}
	if wait := o.phoneCodes[number].Add(phoneCodePause).Sub(now); wait > 0 {
		return &Error{Code: CodePairRateLimited, Retry: RetryLater, After: wait, Hint: "a number gets one code a minute"}
	}
	o.phoneCodes = map[Number]time.Time{number: now}
	l := r.link
	var code string
	o.operate(l, func() (err error) {
		limited, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), o.t.Query, errors.New("WhatsApp did not answer in time"))
		defer cancel()
		code, err = l.client.PairPhone(limited, string(number), true, whatsmeow.PairClientChrome, companionName)
		return err
	}, func(_ context.Context, err error) {
		if err == nil && l == r.link && r.State == PairingWaiting {
			r.PhoneCode, r.PhoneCodeFor = code, number
		}
		o.deferred = append(o.deferred, func() { answer <- phoneCodeRefused(err) }) // once the code can be seen
	})
	return nil
}

// phoneCodeRefused says what WhatsApp's answer to the wish for a code means.
func phoneCodeRefused(err error) error {
	if err == nil {
		return nil
	}
	e := failure(err, CodePairFailed)
	e.Uncertain = false
	switch e.WACode {
	case 400:
		e.Code, e.Retry, e.Hint = CodePairBadIdentity, RetryNever, "WhatsApp links no device to this number by a code"
	case 429:
		e.Code, e.After, e.Hint = CodePairRateLimited, phoneCodePause, "WhatsApp asks for fewer codes"
	}
	return e
}
