package session

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
)

// passkeyLife is how long a challenge is good when WhatsApp does not say.
const passkeyLife = 10 * time.Minute

// ErrNoPasskey is returned for an answer that no pairing waits for, such as a second one.
var ErrNoPasskey = errors.New("no pairing waits for a passkey")

// AnswerPasskey gives WhatsApp the answer of a person's authenticator to PairingRound.Passkey: a PublicKeyCredential as
// browsers write it in JSON. It is taken once. Without a pairing that waits for it, it returns ErrNoPasskey.
func (a *Account) AnswerPasskey(ctx context.Context, answer json.RawMessage) error {
	var credential types.WebAuthnResponse
	if err := json.Unmarshal(answer, &credential); err != nil || len(credential.RawID) == 0 || len(credential.Response.Signature) == 0 {
		return &Error{Code: CodePasskeyInvalid, Retry: RetryNever, Hint: "give the PublicKeyCredential as JSON, with rawId and response"}
	}
	return a.handOver(ctx, PairingPasskey, func(ctx context.Context, l *link) error {
		return l.client.SendPasskeyResponse(ctx, &credential)
	})
}

// ConfirmPasskey says that the person saw PairingRound.PasskeyCode on the phone too. Without a pairing that waits for it, it
// returns ErrNoPasskey.
func (a *Account) ConfirmPasskey(ctx context.Context) error {
	return a.handOver(ctx, PairingPasskeyCode, func(ctx context.Context, l *link) error {
		return l.client.SendPasskeyConfirmation(ctx)
	})
}

// handOver sends what a round in a state waits for, once, and waits for WhatsApp's answer.
func (a *Account) handOver(ctx context.Context, state PairingState, send func(context.Context, *link) error) error {
	answer := make(chan error, 1)
	err := a.ask(ctx, func(ctx context.Context, o *owner) error {
		r := &o.round
		if r.State != state || r.link == nil || r.link.busy || r.handedOver == state {
			return ErrNoPasskey
		}
		r.handedOver = state
		o.handPasskeyOver(ctx, send, answer)
		return nil
	})
	if err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-a.stopped:
		return stopping()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// handPasskeyOver sends beside the owner. After a refusal another answer may be given, until WhatsApp ends the round.
func (o *owner) handPasskeyOver(ctx context.Context, send func(context.Context, *link) error, answer chan<- error) {
	l := o.round.link
	o.operate(l, func() error {
		limited, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), o.t.Query, errors.New("WhatsApp did not answer in time"))
		defer cancel()
		return send(limited, l)
	}, func(_ context.Context, err error) {
		if err != nil {
			o.a.log.Warn("WhatsApp did not take what stands for the passkey", "error", redact(err.Error()))
			err = passkeyRefused(err)
			if l == o.round.link {
				o.round.handedOver = ""
			}
		}
		o.deferred = append(o.deferred, func() { answer <- err }) // once what followed can be seen
	})
}

// passkeyRefused says why WhatsApp did not take what stands for the passkey: it refused it, or gave no answer in time.
func passkeyRefused(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &Error{Code: CodeNetworkUncertain, Retry: RetryLater, Hint: "WhatsApp did not answer in time; try once more", Err: err}
	}
	return &Error{Code: CodePasskeyRefused, Retry: RetryLater, Hint: "WhatsApp did not take it; try once more", Err: err}
}

// passkeyWanted goes on after a scan for which WhatsApp wants the account's passkey.
func (o *owner) passkeyWanted(ctx context.Context, event *events.PairPasskeyRequest) {
	r := &o.round
	challenge, err := json.Marshal(event.PublicKey)
	if err != nil || event.PublicKey == nil {
		o.endRound(ctx, PairingRefused, CodePasskeyRefused, "WhatsApp's challenge cannot be read")
		return
	}
	life := passkeyLife
	if ms := event.PublicKey.Timeout; ms > 0 {
		life = min(life, time.Duration(ms)*time.Millisecond)
	}
	r.State, r.Passkey = PairingPasskey, string(challenge)
	r.Code, r.codes, r.PhoneCode = "", nil, ""
	r.by = o.now().Add(life)
	r.ExpiresAt = r.by
}

// passkeyTaken goes on after WhatsApp took the passkey. Usually nothing is left to do for a person.
func (o *owner) passkeyTaken(ctx context.Context, event *events.PairPasskeyConfirmation) {
	r := &o.round
	if r.State != PairingPasskey {
		return
	}
	r.State, r.Passkey = PairingPasskeyCode, ""
	if !event.SkipHandoffUX {
		r.PasskeyCode = event.Code
		return
	}
	r.handedOver = PairingPasskeyCode
	o.handPasskeyOver(ctx, func(ctx context.Context, l *link) error { return l.client.SendPasskeyConfirmation(ctx) }, make(chan error, 1))
}
