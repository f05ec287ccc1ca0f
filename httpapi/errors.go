package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"whatsappd/callback"
	"whatsappd/session"
	"whatsappd/task"
)

// problem is a failure as callers hear it: an HTTP status, a stable code and a sentence.
type problem struct {
	status int
	code   string
	detail string

	after  time.Duration // worth another try from then on; 0 for no opinion
	waCode int           // WhatsApp's own number; 0 for none
}

func (p *problem) Error() string { return p.detail }

func refusal(status int, code, detail string) *problem {
	return &problem{status: status, code: code, detail: detail}
}

var (
	errUnauthorized = refusal(http.StatusUnauthorized, "unauthorized", "Request rejected. Token incorrect or not provided")
	errNoPath       = refusal(http.StatusNotFound, "not_found", "Invalid path")
	errMethod       = refusal(http.StatusMethodNotAllowed, "method_not_allowed", "Method not allowed, use the one in the Allow header")
	errTooLarge     = refusal(http.StatusRequestEntityTooLarge, "too_large", "The body is larger than 1 MiB")
	errStopping     = refusal(http.StatusServiceUnavailable, "stopping", "The service is stopping, try again soon")
	errBusy         = refusal(http.StatusServiceUnavailable, "busy", "Too many long requests come in at once: nothing was accepted. Try again soon")
	errUnwritable   = refusal(http.StatusServiceUnavailable, "store_failed", "The disk takes nothing now, try again later; the log has the details under the request id")
	errNoAnswer     = refusal(http.StatusGatewayTimeout, session.CodeNetworkUncertain, "WhatsApp did not answer in time, try again")
	errInternal     = refusal(http.StatusInternalServerError, "internal", "Something went wrong here; the log has the details under the request id")
)

func invalid(err error) *problem {
	return refusal(http.StatusBadRequest, "invalid", err.Error())
}

func tooManyTasks(after time.Duration) *problem {
	p := refusal(http.StatusTooManyRequests, "too_many_tasks", "Too many tasks with this token: nothing was accepted. Try again later; an operator sets the limit with limit.per_minute")
	p.after = after
	return p
}

// answers is how failures of the packages below are told. What is not in it is internal.
func answers(err error, ws bool) *problem {
	full := http.StatusInsufficientStorage
	if ws {
		full = http.StatusServiceUnavailable
	}
	for _, known := range []struct {
		err    error
		answer *problem
	}{
		{task.ErrIdempotency, refusal(http.StatusConflict, "idempotency_conflict", "The idempotency key was used for another request; use a new key")},
		{task.ErrFull, refusal(full, "disk_full", "The disk is full: nothing was accepted. Free some space")},
		{task.ErrUnwritable, errUnwritable},
		{task.ErrStopping, errStopping},
		{task.ErrQueueFull, refusal(http.StatusServiceUnavailable, "queue_full", "Too many tasks wait already: nothing was accepted. Try again later; an operator sets the limit with limit.queue")},
		{task.ErrNotFound, refusal(http.StatusNotFound, "no_such_task", "There is no such task")},
		{task.ErrNoContact, refusal(http.StatusNotFound, "no_such_contact", "There is no such contact")},
		{callback.ErrNotFound, refusal(http.StatusNotFound, "no_such_callback", "There is no such callback")},
		{callback.ErrNotDead, refusal(http.StatusConflict, "callback_not_dead", "Only a dead callback can be replayed")},
		{session.ErrAlreadyPaired, refusal(http.StatusConflict, "already_paired", "The account is linked already")},
		{session.ErrNoPasskey, refusal(http.StatusConflict, "no_passkey_wanted", "No pairing waits for a passkey; an answer is taken once")},
		{session.ErrNotPaired, refusal(http.StatusConflict, "not_paired", "The account is not linked to a phone")},
	} {
		if errors.Is(err, known.err) {
			return known.answer
		}
	}
	if failure, ok := errors.AsType[*session.Error](err); ok {
		status := http.StatusServiceUnavailable
		switch failure.Code {
		case session.CodePairRateLimited:
			status = http.StatusTooManyRequests
		case session.CodePairBadIdentity, session.CodePasskeyInvalid:
			status = http.StatusBadRequest
		}
		return &problem{status: status, code: failure.Code, detail: failure.Error(), after: failure.After, waCode: failure.WACode}
	}
	if errors.Is(err, context.DeadlineExceeded) { // of pairPatience: what asks less has a failure of its own
		return errNoAnswer
	}
	return errInternal
}

// wsFailure is an error of the old endpoints.
type wsFailure struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// Problem is an error of all other endpoints, as RFC 9457 has it, with a stable code.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
	Failure
	RequestID string `json:"request_id,omitempty"`
}

// refuse answers with a failure, in the shape of the endpoint.
func (a *API) refuse(c *gin.Context, err error) {
	ws := inWS(c.Request.URL.RawPath)
	var p *problem
	if !errors.As(err, &p) {
		p = answers(err, ws)
	}
	if p == errInternal || p == errUnwritable {
		a.log.Error("request failed", "request_id", c.GetString(keyRequest), "error", err)
	}
	after := p.retryAfter()
	if after > 0 && c.Writer.Header().Get("Retry-After") == "" {
		c.Header("Retry-After", strconv.Itoa(int(after.Seconds())))
	}
	if ws {
		c.JSON(p.status, wsFailure{Status: "failed", Message: p.detail})
		return
	}
	c.Header("Content-Type", "application/problem+json")
	failure := failureOf(p.code)
	if p.waCode != 0 {
		failure.WACode = p.waCode
	}
	if after > 0 {
		failure.RetryAt = at(a.opts.Now().Add(after))
	}
	c.JSON(p.status, Problem{
		Title: http.StatusText(p.status), Status: p.status, Detail: p.detail, Code: p.code, Failure: failure, RequestID: c.GetString(keyRequest),
	})
}

// retryAfter is how long a caller should wait before the same call; 0 for no opinion. It is whole seconds.
func (p *problem) retryAfter() time.Duration {
	switch {
	case p.after > 0:
		return (p.after + time.Second - 1).Truncate(time.Second)
	case p.status == http.StatusServiceUnavailable, p.status == http.StatusInsufficientStorage:
		return 10 * time.Second
	case p.status == http.StatusTooManyRequests:
		return time.Minute
	}
	return 0
}

func notAllowed(c *gin.Context, methods string) *problem {
	c.Header("Allow", methods)
	return errMethod
}

func missing(what string) *problem {
	return invalid(fmt.Errorf("%s is missing", what))
}
