package simulator

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"time"
)

// controlCall is one call of the control API. Its route is registered, and the OpenAPI document is made, from this.
type controlCall struct {
	route    string // method and path
	summary  string
	params   []param      // of the query
	request  reflect.Type // of the JSON body, nil when there is none
	response reflect.Type
	answer   func(*http.Request) (any, error)
}

// param is a query parameter.
type param struct{ name, kind, means string }

// ask makes a call without a body.
func ask[Out any](route, summary string, answer func(*http.Request) (Out, error), params ...param) controlCall {
	return controlCall{
		route: route, summary: summary, params: params, response: reflect.TypeFor[Out](),
		answer: func(r *http.Request) (any, error) { return answer(r) },
	}
}

// act makes a call with a JSON body.
func act[In, Out any](route, summary string, answer func(*http.Request, In) (Out, error)) controlCall {
	return controlCall{
		route: route, summary: summary, request: reflect.TypeFor[In](), response: reflect.TypeFor[Out](),
		answer: func(r *http.Request) (any, error) {
			in, err := decode[In](r.Body)
			if err != nil {
				return nil, err
			}
			return answer(r, in)
		},
	}
}

// done is the answer of what has nothing to tell.
type done struct {
	OK bool `json:"ok"`
}

// ok is the answer of what has nothing to tell but its error.
func ok(err error) (done, error) { return done{true}, err }

// number is the account a request is about.
func number(r *http.Request) string { return r.PathValue("number") }

// deviceID is the device a request is about.
func deviceID(r *http.Request) (uint16, error) {
	id, err := strconv.ParseUint(r.PathValue("device"), 10, 16)
	if err != nil {
		return 0, fmt.Errorf("device: %w", err)
	}
	return uint16(id), nil
}

// waitParam is the parameter that waitContext reads.
func waitParam(means string) param { return param{"wait", "duration", means + ", up to 30s"} }

// waitContext ends when the caller does not want to wait any longer for what it asks for: at once, when it names no wait.
func waitContext(r *http.Request) (context.Context, context.CancelFunc, error) {
	var wait time.Duration
	if text := r.FormValue("wait"); text != "" {
		var err error
		if wait, err = time.ParseDuration(text); err != nil || wait < 0 || wait > maxControlWait {
			return nil, nil, fmt.Errorf("wait must be a duration of up to %s, such as 10s", maxControlWait)
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	return ctx, cancel, nil
}

// countOf reads a number from the query, 0 when it is not there.
func countOf(r *http.Request, name string) (int, error) {
	text := r.FormValue(name)
	if text == "" {
		return 0, nil
	}
	count, err := strconv.Atoi(text)
	if err != nil || count < 0 {
		return 0, fmt.Errorf("%s must be a number from 0 on", name)
	}
	return count, nil
}
