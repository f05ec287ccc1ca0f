package httpapi

import (
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"whatsappd/errcode"
	"whatsappd/session"
	"whatsappd/task"
)

// health is the answer of the two health endpoints.
type health struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

// healthz answers 200 unless the account's loop is stuck: then only a new process helps. It does not look at the connection,
// so that nobody restarts the daemon over and over because a phone logged it out.
func (a *API) healthz(c *gin.Context) {
	if !a.account.Alive() {
		c.JSON(http.StatusServiceUnavailable, health{Status: "stuck", Reason: "the account's loop has not turned for a minute"})
		return
	}
	c.JSON(http.StatusOK, health{Status: "alive"})
}

// readyz answers 200 while the account is online and work can be kept.
func (a *API) readyz(c *gin.Context) {
	status := a.account.Status()
	code, reason := http.StatusServiceUnavailable, status.Reason
	if status.State == session.Online {
		switch err := a.ledger.Writable(c.Request.Context()); {
		case errors.Is(err, task.ErrFull):
			reason = "disk_full"
		case err != nil:
			reason = "store_failed"
		default:
			code = http.StatusOK
		}
	}
	c.JSON(code, health{Status: string(status.State), Reason: reason})
}

// StatusAnswer is the account's state.
type StatusAnswer struct {
	Account     string     `json:"account"`
	State       string     `json:"state"`
	Since       *time.Time `json:"since"`
	Reason      string     `json:"reason,omitempty"`
	Scope       string     `json:"scope,omitempty"` // what the reason concerns
	Hint        string     `json:"hint,omitempty"`  // what to do about it
	Detail      string     `json:"detail,omitempty"`
	Until       *time.Time `json:"until,omitempty"`
	Number      string     `json:"number,omitempty"`
	LID         string     `json:"lid,omitempty"`
	Confirm     bool       `json:"confirm,omitempty"`
	LastAnswer  *time.Time `json:"last_answer_at,omitempty"`
	RoundTripMS int64      `json:"last_roundtrip_ms,omitempty"`
	PhoneSeen   *time.Time `json:"phone_seen_at,omitempty"`         // when the account's phone last showed that it is there
	Reachout    *time.Time `json:"reachout_locked_until,omitempty"` // no first messages to strangers before
	Quota       *Quota     `json:"new_chat_quota,omitempty"`        // as WhatsApp told last
	Version     string     `json:"version"`

	Activity ActivityAnswer `json:"activity"`
}

// Quota is how many chats with strangers WhatsApp lets the account begin. State is WhatsApp's word: NONE, FIRST_WARNING,
// SECOND_WARNING or CAPPED.
type Quota struct {
	State string     `json:"state"`
	Used  int        `json:"used"`
	Total int        `json:"total"`
	Ends  *time.Time `json:"ends,omitempty"` // of WhatsApp's cycle; CAPPED holds first messages to strangers back until then
}

func (a *API) status(c *gin.Context) (any, error) {
	var quota *Quota
	if q := a.account.Status().Quota; q.State != "" {
		quota = &Quota{State: string(q.State), Used: q.Used, Total: q.Total, Ends: at(q.Ends)}
	}
	activity, err := a.activity(c)
	if err != nil {
		return nil, err
	}
	s := a.account.Status()
	var means errcode.Meaning
	if s.Reason != "" {
		means = errcode.Of(s.Reason)
	}
	return StatusAnswer{
		Account: string(s.Account), State: string(s.State), Since: at(s.Since), Reason: s.Reason, Scope: string(means.Scope), Hint: means.Hint, Detail: s.Detail,
		Until: at(s.Until), Number: string(s.Number), LID: s.LID, Confirm: s.Confirm, LastAnswer: at(s.LastAnswer),
		RoundTripMS: s.RoundTrip.Milliseconds(), PhoneSeen: at(s.PhoneSeen), Reachout: at(s.Reachout), Quota: quota, Version: a.opts.Version,
		Activity: activity,
	}, nil
}

// at is a time for JSON, nil for none.
func at(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
