package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"

	"go.mau.fi/whatsmeow/types"
)

// scanRequest holds the text of a pairing code.
type scanRequest struct {
	Code string `json:"code"`
}

func (c *Control) scan(r *http.Request, in scanRequest) (done, error) {
	return ok(c.Server.Scan(r.Context(), number(r), in.Code))
}

// codeRequest holds a code as its user types it, with or without the dash.
type codeRequest struct {
	Code string `json:"code"`
}

func (c *Control) enterCode(r *http.Request, in codeRequest) (done, error) {
	return ok(c.Server.EnterCode(r.Context(), number(r), in.Code))
}

// passkeyRequest is what a client got to hand to an authenticator.
type passkeyRequest struct {
	// Request is the request's JSON, as WebAuthn words it.
	Request json.RawMessage `json:"request"`
}

// passkeyAnswer is what the authenticator gives back.
type passkeyAnswer struct {
	// Response is the answer's JSON, as WebAuthn words it.
	Response json.RawMessage `json:"response"`
}

func (c *Control) provePasskey(r *http.Request, in passkeyRequest) (passkeyAnswer, error) {
	var request types.WebAuthnPublicKey
	if err := json.Unmarshal(in.Request, &request); err != nil {
		return passkeyAnswer{}, fmt.Errorf("request: %w", err)
	}
	response, err := c.Server.ProvePasskey(number(r), request)
	if err != nil {
		return passkeyAnswer{}, err
	}
	encoded, err := json.Marshal(response)
	return passkeyAnswer{encoded}, err
}

// kickRequest says how the connections of an account's clients end.
type kickRequest struct {
	// Mode is drop, reset, close, 503, 515, replaced, device_removed, deaf or stuck; or a number from 400 to 599: then the
	// connection is cut and the next login refused with it.
	Mode string `json:"mode"`
}

func (c *Control) kick(r *http.Request, in kickRequest) (done, error) {
	return ok(c.Server.Kick(number(r), in.Mode))
}
