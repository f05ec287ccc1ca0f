package session

import (
	"context"
	"errors"
	"time"

	"go.mau.fi/whatsmeow/types"
)

// checkBatch is how many numbers go into one query. The real limit is not known.
const checkBatch = 50

// Check asks WhatsApp which numbers have an account. Fresh answers are taken from the cache, each number is asked once, up
// to 50 in one query. A number WhatsApp did not answer for is Unknown. With an error the answers that were got are returned
// too.
func (a *Account) Check(ctx context.Context, numbers []Number) (map[Number]Checked, error) {
	answers, missing, err := a.fresh(ctx, numbers)
	if err != nil || len(missing) == 0 {
		return answers, err
	}
	select { // one query at a time: who waits here finds the answer in the cache
	case a.checking <- struct{}{}:
		defer func() { <-a.checking }()
	case <-ctx.Done():
		return answers, ctx.Err()
	}
	cached, missing, err := a.fresh(ctx, missing)
	if err != nil {
		return answers, err
	}
	for number, answer := range cached {
		answers[number] = answer
	}
	for len(missing) > 0 {
		batch := missing[:min(checkBatch, len(missing))]
		missing = missing[len(batch):]
		asked, err := a.query(ctx, batch)
		if err != nil {
			return answers, err
		}
		for number, answer := range asked {
			answers[number] = answer
		}
	}
	return answers, nil
}

// fresh looks numbers up in the cache and returns those it has no fresh answer for, each once.
func (a *Account) fresh(ctx context.Context, numbers []Number) (map[Number]Checked, []Number, error) {
	kept, err := a.opts.Keeper.CheckedNumbers(ctx, a.opts.Account, numbers)
	if err != nil {
		return nil, nil, err
	}
	answers := map[Number]Checked{}
	seen := map[Number]bool{}
	var missing []Number
	for _, number := range numbers {
		if seen[number] {
			continue
		}
		seen[number] = true
		answer, known := kept[number]
		life := a.opts.CheckCachePositive
		if answer.Verdict == NotRegistered {
			life = a.opts.CheckCacheNegative
		}
		if known && time.Since(answer.At) < life {
			answers[number] = answer
			continue
		}
		missing = append(missing, number)
	}
	return answers, missing, nil
}

// query asks WhatsApp for one batch and keeps the answers.
func (a *Account) query(ctx context.Context, batch []Number) (map[Number]Checked, error) {
	l, err := a.online()
	if err != nil {
		return nil, err
	}
	phones := make([]string, len(batch))
	for i, number := range batch {
		phones[i] = "+" + string(number)
	}
	ctx, cancel := context.WithTimeout(ctx, a.opts.Timing.CheckPatience)
	defer cancel()
	begun := time.Now()
	found, err := l.client.IsOnWhatsApp(ctx, phones)
	if err != nil {
		return nil, queryFailure(err)
	}
	a.measured(time.Since(begun))
	answers := map[Number]Checked{}
	for _, number := range batch { // what the answer leaves out is not known, and never "not registered"
		answers[number] = Checked{Number: number, Verdict: Unknown, At: time.Now()}
	}
	var keep []Checked
	for _, one := range found {
		number := Number(trimPlus(one.Query))
		answer, asked := answers[number]
		if !asked {
			continue
		}
		answer.Verdict, answer.Canonical = NotRegistered, number
		if one.IsIn {
			answer.Verdict = Registered
			answer.Canonical, answer.LID = identities(number, one)
		}
		answers[number] = answer
		keep = append(keep, answer)
	}
	if err := a.opts.Keeper.KeepChecked(ctx, a.opts.Account, keep); err != nil {
		return answers, err
	}
	return answers, nil
}

// identities reads a number's own spelling and its LID from an answer, in which either may stand first.
func identities(asked Number, answer types.IsOnWhatsAppResponse) (canonical Number, lid string) {
	canonical = asked
	for _, jid := range []types.JID{answer.JID, answer.PhoneNumber} {
		switch jid.Server {
		case types.DefaultUserServer:
			canonical = Number(jid.User)
		case types.HiddenUserServer:
			lid = jid.User
		}
	}
	return canonical, lid
}

func trimPlus(query string) string {
	if len(query) > 0 && query[0] == '+' {
		return query[1:]
	}
	return query
}

// checkOne is Check for one number whose verdict must be known.
func (a *Account) checkOne(ctx context.Context, number Number) (Checked, error) {
	answers, err := a.Check(ctx, []Number{number})
	if err != nil {
		return Checked{}, err
	}
	answer := answers[number]
	switch answer.Verdict {
	case Registered:
		return answer, nil
	case NotRegistered:
		return answer, &Error{Code: CodeNotOnWhatsApp, Retry: RetryNever, Hint: "the number has no WhatsApp account"}
	}
	return answer, &Error{Code: CodeNetworkUncertain, Retry: RetryLater, Err: errors.New("WhatsApp did not answer for this number")}
}

// measured notes a round trip.
func (a *Account) measured(took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status.RoundTrip, a.status.LastAnswer = took, time.Now()
}
