package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	maxControlBody = 16 << 20         // files come in base64
	maxControlWait = 30 * time.Second // that a caller may ask for
	controlTime    = 40 * time.Second // for any call
)

// Control is the JSON API by which tests and people act on a simulator: add accounts, scan codes, write messages, look into
// inboxes. It asks for no password; serve it on a loopback address only.
type Control struct{ Server *Server }

// Handler serves the API. Requests that name another host than a loopback one are refused, so that no web page can reach it.
func (c *Control) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, call := range c.calls() {
		mux.HandleFunc(call.route, func(w http.ResponseWriter, r *http.Request) { serveControl(w, r, call.answer) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { serveControl(w, r, noSuchCall) })
	return mux
}

func noSuchCall(r *http.Request) (any, error) {
	return nil, fmt.Errorf("%w: %s %s; GET /v1/openapi.json lists all", errNoCall, r.Method, r.URL.Path)
}

var errNoCall = errors.New("no such call")

// serveControl refuses foreign hosts, limits body and time, and writes the answer.
func serveControl(w http.ResponseWriter, r *http.Request, answer func(*http.Request) (any, error)) {
	w.Header().Set("Content-Type", "application/json")
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if ip := net.ParseIP(strings.Trim(host, "[]")); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		writeControlError(w, http.StatusForbidden, errors.New("the control API answers requests to loopback addresses only"))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), controlTime)
	defer cancel()
	r = r.WithContext(ctx)
	r.Body = http.MaxBytesReader(w, r.Body, maxControlBody)
	value, err := answer(r)
	switch {
	case errors.Is(err, errNoAccount), errors.Is(err, errNoFile), errors.Is(err, errNoCall):
		writeControlError(w, http.StatusNotFound, err)
	case err != nil:
		writeControlError(w, http.StatusBadRequest, err)
	default:
		_ = json.NewEncoder(w).Encode(value) // the client has gone
	}
}

func writeControlError(w http.ResponseWriter, status int, err error) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(controlError{err.Error()}) // the client has gone
}

// controlError is the answer to a request that failed.
type controlError struct {
	// Error says what was wrong and what to do.
	Error string `json:"error"`
}

// decode reads exactly one JSON value without unknown fields.
func decode[T any](body io.Reader) (T, error) {
	var value T
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&value); err != nil {
		return value, fmt.Errorf("the body must be JSON as docs/simulator.md shows: %w", err)
	}
	if decoder.More() {
		return value, errors.New("the body must be one JSON value")
	}
	return value, nil
}
