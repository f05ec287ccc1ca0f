package httpapi

import (
	"errors"
	"fmt"
	"net/http"

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
}

func (p *problem) Error() string { return p.detail }

var (
	errUnauthorized = &problem{http.StatusUnauthorized, "unauthorized", "Request rejected. Token incorrect or not provided"}
	errNoPath       = &problem{http.StatusNotFound, "not_found", "Invalid path"}
	errMethod       = &problem{http.StatusMethodNotAllowed, "method_not_allowed", "Method not allowed, use the one in the Allow header"}
	errStopping     = &problem{http.StatusServiceUnavailable, "stopping", "The service is stopping, try again soon"}
	errInternal     = &problem{http.StatusInternalServerError, "internal", "Something went wrong here; the log has the details under the request id"}
)

func invalid(err error) *problem {
	return &problem{http.StatusBadRequest, "invalid", err.Error()}
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
		{task.ErrIdempotency, &problem{http.StatusConflict, "idempotency_conflict", "The idempotency key was used for another request; use a new key"}},
		{task.ErrFull, &problem{full, "disk_full", "The disk is full: nothing was accepted. Free some space"}},
		{task.ErrStopping, errStopping},
		{task.ErrNotFound, &problem{http.StatusNotFound, "no_such_task", "There is no such task"}},
		{callback.ErrNotFound, &problem{http.StatusNotFound, "no_such_callback", "There is no such callback"}},
		{callback.ErrNotDead, &problem{http.StatusConflict, "callback_not_dead", "Only a dead callback can be replayed"}},
		{session.ErrAlreadyPaired, &problem{http.StatusConflict, "already_paired", "The account is linked already"}},
		{session.ErrNoPasskey, &problem{http.StatusConflict, "no_passkey_wanted", "No pairing waits for a passkey; an answer is taken once"}},
		{session.ErrNotPaired, &problem{http.StatusConflict, "not_paired", "The account is not linked to a phone"}},
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
		return &problem{status, failure.Code, failure.Error()}
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
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	RequestID string `json:"request_id,omitempty"`
}

// refuse answers with a failure, in the shape of the endpoint.
func (a *API) refuse(c *gin.Context, err error) {
	ws := inWS(c.Request.URL.RawPath)
	var p *problem
	if !errors.As(err, &p) {
		p = answers(err, ws)
	}
	if p == errInternal {
		a.log.Error("request failed", "request_id", c.GetString(keyRequest), "error", err)
	}
	switch p.status {
	case http.StatusServiceUnavailable, http.StatusInsufficientStorage:
		c.Header("Retry-After", "10")
	case http.StatusTooManyRequests:
		if c.Writer.Header().Get("Retry-After") == "" {
			c.Header("Retry-After", "60")
		}
	}
	if ws {
		c.JSON(p.status, wsFailure{Status: "failed", Message: p.detail})
		return
	}
	c.Header("Content-Type", "application/problem+json")
	c.JSON(p.status, Problem{
		Title: http.StatusText(p.status), Status: p.status, Detail: p.detail, Code: p.code, RequestID: c.GetString(keyRequest),
	})
}

func notAllowed(c *gin.Context, methods string) *problem {
	c.Header("Allow", methods)
	return errMethod
}

func missing(what string) *problem {
	return invalid(fmt.Errorf("%s is missing", what))
}
