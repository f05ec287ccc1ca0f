package httpapi

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"whatsappd/callback"
	"whatsappd/session"
	"whatsappd/task"
)

// problem is a failure as callers hear it.
type problem struct {
	status int
	code   string // stable: clients branch on it
	detail string
	after  time.Duration // when to try again; zero when there is no opinion
}

// Error implements error.
func (p *problem) Error() string { return p.detail }

// retrySoon is when callers are asked to come back after a failure that is expected to pass.
const retrySoon = 10 * time.Second

var (
	errUnauthorized = &problem{http.StatusUnauthorized, "unauthorized", "Request rejected. Token incorrect or not provided", 0}
	errNoPath       = &problem{http.StatusNotFound, "not_found", "Invalid path", 0}
	errMethod       = &problem{http.StatusMethodNotAllowed, "method_not_allowed", "Method not allowed, use the one in the Allow header", 0}
	errTooLarge     = &problem{http.StatusRequestEntityTooLarge, "too_large", "The body is larger than 1 MiB", 0}
	errUnreadable   = &problem{http.StatusBadRequest, "invalid_body", "The body must be one JSON object with the fields kind, to, text and return_url", 0}
	errStopping     = &problem{http.StatusServiceUnavailable, "stopping", "The service is stopping, try again soon", retrySoon}
	errTimeout      = &problem{http.StatusServiceUnavailable, "timeout", "There was no answer in time, try again", retrySoon}
	errCanceled     = &problem{http.StatusServiceUnavailable, "canceled", "The request was given up before its answer", retrySoon}
	errInternal     = &problem{http.StatusInternalServerError, "internal", "Something went wrong here; the log has the details under the request id", 0}
)

// invalid refuses one argument of a request. The old endpoints answer it with 400.
func invalid(argument string, err error) *problem {
	return &problem{http.StatusUnprocessableEntity, "invalid_" + argument, err.Error(), 0}
}

// answers is how failures of the packages below are told. What is not in it is internal.
func answers(err error) *problem {
	for _, known := range []struct {
		err    error
		answer *problem
	}{
		{task.ErrIdempotency, &problem{http.StatusConflict, "idempotency_conflict", "The idempotency key was used for another request; use a new key", 0}},
		{task.ErrFull, &problem{http.StatusInsufficientStorage, "disk_full", "The disk is full: nothing was accepted. Free some space", retrySoon}},
		{task.ErrStopping, errStopping},
		{task.ErrNotFound, &problem{http.StatusNotFound, "no_such_task", "There is no such task", 0}},
		{callback.ErrNotFound, &problem{http.StatusNotFound, "no_such_callback", "There is no such callback", 0}},
		{callback.ErrNotDead, &problem{http.StatusConflict, "callback_not_dead", "Only a dead callback can be replayed", 0}},
		{session.ErrAlreadyPaired, &problem{http.StatusConflict, "already_paired", "The account is linked already", 0}},
		{session.ErrNotPaired, &problem{http.StatusConflict, "not_paired", "The account is not linked to a phone", 0}},
		{context.DeadlineExceeded, errTimeout},
		{context.Canceled, errCanceled},
	} {
		if errors.Is(err, known.err) {
			return known.answer
		}
	}
	if failure, ok := errors.AsType[*session.Error](err); ok {
		hint := cmp.Or(failure.Hint, "WhatsApp or the account cannot do this now")
		return &problem{http.StatusServiceUnavailable, cmp.Or(failure.Code, "unavailable"), hint, max(failure.After, retrySoon)}
	}
	return errInternal
}

// oldFailure is an error of the old endpoints.
type oldFailure struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// Problem is an error of all other endpoints, as RFC 9457 has it, with a stable code.
type Problem struct {
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	RequestID string `json:"request_id,omitempty"`
}

// refuse answers with a failure, in the shape of the endpoint.
func (a *API) refuse(c *gin.Context, err error) {
	var p *problem
	if !errors.As(err, &p) {
		p = answers(err)
		a.logFailure(c, p, err)
	}
	if p.after > 0 {
		c.Header("Retry-After", strconv.Itoa(int(p.after.Seconds())))
	}
	if p == errStopping || p == errTooLarge {
		c.Header("Connection", "close")
	}
	if oldShape(c.Request.URL.RawPath, p) {
		c.JSON(oldStatus(p.status), oldFailure{Status: "failed", Message: p.detail})
		return
	}
	c.Header("Content-Type", "application/problem+json")
	c.JSON(p.status, Problem{
		Title: http.StatusText(p.status), Status: p.status, Detail: p.detail, Code: p.code, RequestID: c.GetString(keyRequest),
	})
}

// logFailure keeps the cause, which callers are not told.
func (a *API) logFailure(c *gin.Context, p *problem, err error) {
	level := slog.LevelWarn
	switch {
	case p == errInternal:
		level = slog.LevelError
	case p == errCanceled, p.status < http.StatusInternalServerError:
		level = slog.LevelDebug
	}
	a.log.Log(c.Request.Context(), level, "request failed", "request_id", c.GetString(keyRequest), "code", p.code, "error", err)
}

// oldShape tells failures that are told as the older service told them: all of its own endpoints, and unknown paths.
func oldShape(path string, p *problem) bool {
	return inWS(path) || p == errNoPath && !strings.HasPrefix(path, "/v1/")
}

// oldStatus is the status of a failure on the old endpoints, whose callers know fewer of them.
func oldStatus(status int) int {
	switch status {
	case http.StatusUnprocessableEntity:
		return http.StatusBadRequest
	case http.StatusInsufficientStorage:
		return http.StatusServiceUnavailable
	}
	return status
}
