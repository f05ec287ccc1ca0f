package session

import (
	"context"
	"errors"

	"go.mau.fi/whatsmeow/types"
)

// recipient finds out where a message goes: to a LID. A number is checked before the first send to it.
func (a *Account) recipient(ctx context.Context, m Message) (Checked, error) {
	if m.To == "" {
		return a.named(ctx, m.LID)
	}
	answers, err := a.Check(ctx, []Number{m.To})
	answer := answers[m.To]
	if err == nil && answer.Verdict == Registered && answer.LID == "" {
		answer, err = a.askLID(ctx, answer)
	}
	switch {
	case err != nil:
		return answer, err
	case answer.Verdict == NotRegistered:
		return answer, &Error{Code: CodeNotOnWhatsApp, Retry: RetryNever, Hint: "the number is not on WhatsApp"}
	case answer.Verdict != Registered:
		return answer, &Error{Code: CodeNetworkUncertain, Retry: RetryLater, Hint: "WhatsApp's answer left the number out"}
	case answer.LID == "":
		return answer, &Error{Code: CodeUnresolvable, Retry: RetryNever, Hint: "WhatsApp names no address for the number, even when asked for it"}
	}
	return answer, nil
}

// named is the recipient behind a LID, with the number if the library has met it.
func (a *Account) named(ctx context.Context, lid string) (Checked, error) {
	address, err := types.ParseJID(lid)
	if err != nil || address.Server != types.HiddenUserServer || address.User == "" {
		return Checked{}, &Error{Code: CodeUnresolvable, Retry: RetryNever, Hint: "a LID looks like 123456789012345@lid"}
	}
	to := Checked{Verdict: Registered, LID: address.ToNonAD().String()}
	number, err := a.container.LIDMap.GetPNForLID(ctx, address.ToNonAD())
	if err != nil {
		a.log.Warn("the number behind a LID was not looked up", "error", err)
	}
	to.Canonical = Number(number.User)
	return to, nil
}

// askLID asks WhatsApp for the LID of a number that a check called registered without naming one, whether that check was kept or
// new: messages need the LID, and perhaps there is one by now. It asks once, as the library does before a send to a number.
func (a *Account) askLID(ctx context.Context, answer Checked) (Checked, error) {
	l, err := a.connected()
	if err != nil {
		return answer, err
	}
	now := a.opts.Now()
	if wait := a.checks.coolingFor(now); wait > 0 {
		return answer, tooManyChecks(wait)
	}
	if may, again := a.checks.allowance.take(now, 1); may == 0 {
		return answer, allowanceUsed(again.Sub(now))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, a.opts.Timing.Query, errors.New("WhatsApp did not answer the question for a LID in time"))
	defer cancel()
	a.tally.did("a question for a LID", now)
	number := types.NewJID(string(answer.Canonical), types.DefaultUserServer)
	users, err := l.client.GetUserInfo(ctx, []types.JID{number})
	if err != nil {
		return answer, a.checkFailed(ctx, err, now)
	}
	if lid := users[number].LID; !lid.IsEmpty() {
		answer.LID, answer.At, answer.FromCache = lid.ToNonAD().String(), now, false
		a.keepAnswers(ctx, map[Number]Checked{answer.Number: answer})
	}
	return answer, nil
}
