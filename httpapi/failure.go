package httpapi

import (
	"time"

	"whatsappd/errcode"
	"whatsappd/session"
	"whatsappd/task"
)

// Failure is what follows from a code: see docs/errors.md.
type Failure struct {
	Scope     string     `json:"scope,omitempty"`    // what it concerns: account, recipient, network, request or library
	Retryable bool       `json:"retryable"`          // the same can succeed later although nobody does anything
	RetryAt   *time.Time `json:"retry_at,omitempty"` // not before, where that is known
	WACode    int        `json:"wa_code,omitempty"`  // WhatsApp's own number, where there was one
	Hint      string     `json:"hint,omitempty"`     // what to do
}

// failureOf returns what follows from a code.
func failureOf(code string) Failure {
	means := errcode.Of(code)
	return Failure{Scope: string(means.Scope), Retryable: means.Retryable, WACode: errcode.Number(code), Hint: means.Hint}
}

// taskFailure returns what follows from the code of a task that failed, or from what keeps a task waiting; nil when it is well.
func taskFailure(t task.Task, account session.Status) *Failure {
	code := t.Code
	waits := t.State == task.Queued && errcode.Known(t.Reason)
	if waits {
		code = t.Reason
	}
	if code == "" {
		return nil
	}
	failure := failureOf(code)
	if t.WACode != 0 && code == t.Code {
		failure.WACode = t.WACode
	}
	switch {
	case arrivedLate(t):
		failure.Retryable, failure.Hint = false, "do not send it again: it arrived"
	case t.State == task.Queued && t.NotBefore.After(t.Created):
		failure.RetryAt = at(t.NotBefore)
	case waits && code == account.Reason:
		failure.RetryAt = at(account.Until)
	case t.State == task.Failed:
		failure.RetryAt = at(t.RetryAt)
		failure.Retryable = failure.Retryable || !t.RetryAt.IsZero()
	}
	return &failure
}

// arrivedLate tells whether a message arrived although its task had ended otherwise.
func arrivedLate(t task.Task) bool {
	return !t.Finished.IsZero() && t.Verdict != task.Yes && t.Delivery >= task.DeliveryDelivered
}
