package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/types"
)

// queryNumbers is how many numbers one query asks about.
const queryNumbers = 50

// checks sees to it that a number is asked once at a time, and that WhatsApp is left alone after it called the checks too
// many.
type checks struct {
	mu      sync.Mutex
	flights map[Number]*flight
	cooling time.Time // no query before

	allowance allowance
}

// flight is a query about one number on its way. answer and err are set before done is closed.
type flight struct {
	done   chan struct{}
	answer Checked
	err    error
}

// Check says which of the numbers are on WhatsApp, from what is kept or by asking: up to 50 in one query, and each number
// once however many callers want it. The answers hold every number that got one; a number that WhatsApp's answer left out
// is Unknown. The error, an *Error, says why others are missing.
func (a *Account) Check(ctx context.Context, numbers []Number) (map[Number]Checked, error) {
	answers, missing := a.known(ctx, numbers)
	if len(missing) == 0 {
		return answers, nil
	}
	return answers, a.fetch(ctx, missing, answers)
}

// known returns the kept answers that are young enough, and the numbers without one.
func (a *Account) known(ctx context.Context, numbers []Number) (answers map[Number]Checked, missing []Number) {
	kept, err := a.opts.Keeper.CheckedNumbers(ctx, a.opts.Account, numbers)
	if err != nil {
		a.log.Error("kept answers about numbers were not read", "error", err)
	}
	answers = make(map[Number]Checked, len(numbers))
	now := a.opts.Now()
	seen := map[Number]bool{}
	for _, number := range numbers {
		if seen[number] {
			continue
		}
		seen[number] = true
		if answer, ok := kept[number]; ok && a.good(answer, now) {
			answer.FromCache = true
			answers[number] = answer
		} else {
			missing = append(missing, number)
		}
	}
	return answers, missing
}

// good tells whether a kept answer is young enough.
func (a *Account) good(answer Checked, now time.Time) bool {
	age := now.Sub(answer.At)
	switch answer.Verdict {
	case Registered:
		return age < a.opts.CheckCachePositive
	case NotRegistered:
		return age < a.opts.CheckCacheNegative
	default:
		return false
	}
}

// fetch asks about numbers and adds the answers. It returns the first failure.
func (a *Account) fetch(ctx context.Context, numbers []Number, answers map[Number]Checked) error {
	flights := a.board(ctx, numbers)
	var failed error
	for number, f := range flights {
		select {
		case <-f.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if f.err == nil {
			answers[number] = f.answer
		} else if failed == nil {
			failed = f.err
		}
	}
	return failed
}

// board returns a flight for each number: one that is under way, or a new one. The queries go on without the caller, since
// others may have joined.
func (a *Account) board(ctx context.Context, numbers []Number) map[Number]*flight {
	flights := make(map[Number]*flight, len(numbers))
	var fresh []Number
	a.checks.mu.Lock()
	for _, number := range numbers {
		f, underWay := a.checks.flights[number]
		if !underWay {
			f = &flight{done: make(chan struct{})}
			a.checks.flights[number] = f
			fresh = append(fresh, number)
		}
		flights[number] = f
	}
	a.checks.mu.Unlock()
	if len(fresh) == 0 {
		return flights
	}
	lasting := context.WithoutCancel(ctx)
	if !a.work.start(func() { a.fly(lasting, fresh) }) {
		a.land(fresh, nil, stopping())
	}
	return flights
}

// fly asks about numbers, query by query, as far as the allowance goes. An answer that came in between the look at the kept
// ones and the boarding is taken as it is.
func (a *Account) fly(ctx context.Context, numbers []Number) {
	kept, numbers := a.known(ctx, numbers)
	a.land(slices.Collect(maps.Keys(kept)), kept, nil)
	for len(numbers) > 0 {
		batch := numbers[:min(queryNumbers, len(numbers))]
		now := a.opts.Now()
		may, again := a.checks.allowance.take(now, len(batch))
		if may == 0 {
			a.land(numbers, nil, allowanceUsed(again.Sub(now)))
			return
		}
		batch, numbers = batch[:may], numbers[may:]
		answers, err := a.query(ctx, batch)
		a.land(batch, answers, err)
	}
}

// allowanceUsed is the answer while no more may be asked.
func allowanceUsed(wait time.Duration) *Error {
	return &Error{Code: CodeCheckAllowance, Retry: RetryPace, After: wait, Hint: "more checks now would endanger the number"}
}

// tooManyChecks is the answer while WhatsApp is left alone.
func tooManyChecks(wait time.Duration) *Error {
	return &Error{Code: CodeRateLimited, Retry: RetryLater, After: wait, Hint: "WhatsApp asked for fewer checks"}
}

// land ends flights.
func (a *Account) land(numbers []Number, answers map[Number]Checked, err error) {
	a.checks.mu.Lock()
	defer a.checks.mu.Unlock()
	for _, number := range numbers {
		f := a.checks.flights[number]
		f.answer, f.err = answers[number], err
		delete(a.checks.flights, number)
		close(f.done)
	}
}

// query asks WhatsApp about numbers in one query and keeps the answers.
func (a *Account) query(ctx context.Context, numbers []Number) (map[Number]Checked, error) {
	l, err := a.connected()
	if err != nil {
		return nil, err
	}
	now := a.opts.Now()
	if wait := a.checks.coolingFor(now); wait > 0 {
		return nil, tooManyChecks(wait)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, a.opts.Timing.Query, errors.New("WhatsApp did not answer the check in time"))
	defer cancel()
	var asked []string
	for _, number := range numbers {
		for _, form := range Forms(number) {
			asked = append(asked, "+"+string(form))
		}
	}
	a.tally.did(fmt.Sprintf("a check of %d", len(numbers)), now)
	found, err := l.client.IsOnWhatsApp(ctx, asked)
	if err != nil {
		return nil, a.checkFailed(ctx, err, now)
	}
	answers := readAnswers(numbers, found, now)
	a.keepAnswers(ctx, answers)
	return answers, nil
}

// readAnswers matches answers to questions: WhatsApp may leave some out, and may name another number than was asked for.
func readAnswers(numbers []Number, found []types.IsOnWhatsAppResponse, now time.Time) map[Number]Checked {
	said := make(map[Number]Checked, len(found))
	for _, one := range found {
		form := Number(strings.TrimPrefix(one.Query, "+"))
		said[form] = readAnswer(form, one, now)
	}
	answers := make(map[Number]Checked, len(numbers))
	for _, number := range numbers {
		var about []Checked
		for _, form := range Forms(number) {
			answer, ok := said[form]
			if !ok {
				answer = Checked{Number: form, Verdict: Unknown, At: now}
			}
			about = append(about, answer)
		}
		answers[number] = best(number, about)
	}
	return answers
}

// readAnswer reads the answer about one form of a number.
func readAnswer(form Number, said types.IsOnWhatsAppResponse, now time.Time) Checked {
	answer := Checked{Number: form, Verdict: NotRegistered, At: now}
	if !said.IsIn {
		return answer
	}
	answer.Verdict, answer.Canonical = Registered, form
	if said.JID.Server == types.HiddenUserServer {
		answer.LID = said.JID.ToNonAD().String()
	}
	for _, address := range []types.JID{said.PhoneNumber, said.JID} {
		if address.Server == types.DefaultUserServer {
			answer.Canonical = Number(address.User)
			break
		}
	}
	return answer
}

// keepAnswers keeps what is known now. A failure costs another query later, no more.
func (a *Account) keepAnswers(ctx context.Context, answers map[Number]Checked) {
	var known []Checked
	for _, answer := range answers {
		if answer.Verdict != Unknown {
			known = append(known, answer)
		}
	}
	if len(known) == 0 {
		return
	}
	if err := a.opts.Keeper.KeepChecked(ctx, a.opts.Account, known); err != nil {
		a.log.Error("answers about numbers were not kept", "error", err)
	}
}

// checkFailed says what the failure of a query means, and cools down after too many.
func (a *Account) checkFailed(ctx context.Context, err error, now time.Time) error {
	if ctx.Err() != nil {
		return &Error{Code: CodeNetworkUncertain, Retry: RetryLater, Hint: "WhatsApp did not answer in time", Err: context.Cause(ctx)}
	}
	e := failure(err, CodeCheckFailed)
	e.Uncertain = false // nothing was sent
	if e.Code == CodeRateLimited {
		a.checks.allowance.shrink(now)
		a.checks.cool(now.Add(a.opts.Timing.CheckCooling))
		e.After = a.opts.Timing.CheckCooling
	}
	return e
}

// cool makes queries wait.
func (c *checks) cool(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cooling = until
}

// coolingFor returns how long queries still have to wait.
func (c *checks) coolingFor(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cooling.Sub(now)
}
