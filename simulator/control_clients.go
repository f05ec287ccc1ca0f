package simulator

import "net/http"

// scanRequest holds the text of a pairing code.
type scanRequest struct {
	Code string `json:"code"`
}

func (c *Control) scan(r *http.Request, in scanRequest) (done, error) {
	return ok(c.Server.Scan(r.Context(), number(r), in.Code))
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
