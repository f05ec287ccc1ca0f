package simulator

import (
	"fmt"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
)

// Reasons of failed logins. Source: events.ConnectFailureReason of whatsmeow. That a bad registration is 400 is a guess.
const (
	failureBadRequest = 400
	failureLoggedOut  = 401
)

// Refusal is how a login is refused.
type Refusal struct {
	// Reason is the failure's number, of which clients know: 400 generic, 401 logged out, 402 temporary ban, 403 logged
	// out by the main device, 405 client outdated, 406 unknown user, 409 bad user agent, 500 and 503 try again.
	Reason int `json:"reason"`
	// Message is a text clients may log.
	Message string `json:"message,omitempty"`
	// BanCode (101 to 106) and BanSeconds explain a 402.
	BanCode    int `json:"ban_code,omitempty"`
	BanSeconds int `json:"ban_seconds,omitempty"`
}

// node is the stanza that refuses a login. Source: handleConnectFailure of whatsmeow.
func (r *Refusal) node() waBinary.Node {
	attrs := waBinary.Attrs{"reason": r.Reason, "location": location, "message": r.Message}
	if r.BanCode != 0 {
		attrs["code"], attrs["expire"] = r.BanCode, r.BanSeconds
	}
	return waBinary.Node{Tag: "failure", Attrs: attrs}
}

// RefuseLogins makes the next logins of an account fail, one for each refusal, in order.
func (s *Server) RefuseLogins(number string, refusals ...Refusal) error {
	s.mu.Lock()
	_, err := s.directory.registeredAccount(number)
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("refuse logins: %w", err)
	}
	return s.refuseLogins(number, refusals...)
}

func (s *Server) refuseLogins(number string, refusals ...Refusal) error {
	for _, r := range refusals {
		if _, err := s.AddFaults(Fault{
			At: "login", Do: "failure", Account: number, Times: 1,
			Code: r.Reason, Message: r.Message, Ban: r.BanCode, Expire: Duration(time.Duration(r.BanSeconds) * time.Second),
		}); err != nil {
			return fmt.Errorf("refuse logins: %w", err)
		}
	}
	return nil
}

// RefuseConnects answers the next connects with an HTTP status instead of a websocket, one for each status, in order.
func (s *Server) RefuseConnects(statuses ...int) error {
	for _, status := range statuses {
		if _, err := s.AddFaults(Fault{At: "connect", Do: "error", Code: status, Times: 1}); err != nil {
			return fmt.Errorf("refuse connects: %w", err)
		}
	}
	return nil
}
