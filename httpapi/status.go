package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"rsc.io/qr"

	"whatsappd/session"
)

// health is the answer of the two health endpoints.
type health struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

// readyz answers 200 while the account is online.
func (a *API) readyz(c *gin.Context) {
	status := a.account.Status()
	code := http.StatusServiceUnavailable
	if status.State == session.Online {
		code = http.StatusOK
	}
	c.JSON(code, health{Status: string(status.State), Reason: status.Reason})
}

// StatusAnswer is the account's state.
type StatusAnswer struct {
	Account     string     `json:"account"`
	State       string     `json:"state"`
	Since       *time.Time `json:"since"`
	Reason      string     `json:"reason,omitempty"`
	Detail      string     `json:"detail,omitempty"`
	Until       *time.Time `json:"until,omitempty"`
	Number      string     `json:"number,omitempty"`
	LID         string     `json:"lid,omitempty"`
	Confirm     bool       `json:"confirm,omitempty"`
	LastAnswer  *time.Time `json:"last_answer_at,omitempty"`
	RoundTripMS int64      `json:"last_roundtrip_ms,omitempty"`
	Version     string     `json:"version"`
}

func (a *API) status(*gin.Context) (any, error) {
	s := a.account.Status()
	return StatusAnswer{
		Account: string(s.Account), State: string(s.State), Since: at(s.Since), Reason: s.Reason, Detail: s.Detail,
		Until: at(s.Until), Number: string(s.Number), LID: s.LID, Confirm: s.Confirm, LastAnswer: at(s.LastAnswer),
		RoundTripMS: s.RoundTrip.Milliseconds(), Version: a.opts.Version,
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

// PairingAnswer is the present pairing round, or the last one.
type PairingAnswer struct {
	State     string     `json:"state"`
	Code      string     `json:"code,omitempty"` // only while it can be scanned
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	CodeIndex int        `json:"code_index,omitempty"`
	CodeCount int        `json:"code_count,omitempty"`
	Round     int        `json:"round"`
	Reason    string     `json:"reason,omitempty"`
	Detail    string     `json:"detail,omitempty"`
	Number    string     `json:"number,omitempty"`
}

func pairingAnswer(p session.PairingRound) PairingAnswer {
	return PairingAnswer{
		State: string(p.State), Code: p.Code, ExpiresAt: at(p.ExpiresAt), CodeIndex: p.CodeIndex, CodeCount: p.CodeCount,
		Round: p.Round, Reason: p.Reason, Detail: p.Detail, Number: string(p.Number),
	}
}

// pairing shows the round as JSON, or its live code as a picture.
func (a *API) pairing(c *gin.Context) {
	round := a.account.Pairing()
	if round.Code == "" || !strings.Contains(c.GetHeader("Accept"), "image/png") {
		c.JSON(http.StatusOK, pairingAnswer(round))
		return
	}
	code, err := qr.Encode(round.Code, qr.L)
	if err != nil {
		a.refuse(c, err)
		return
	}
	code.Scale = 6
	c.Data(http.StatusOK, "image/png", code.PNG())
}

// pairPatience is how long a caller waits for a first code.
const pairPatience = 30 * time.Second

// pair starts a round for a person, or joins the one that runs.
func (a *API) pair(c *gin.Context) (any, error) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), pairPatience)
	defer cancel()
	round, err := a.account.Pair(ctx)
	if err != nil {
		return nil, err
	}
	return pairingAnswer(round), nil
}

func (a *API) confirm(c *gin.Context) (any, error) {
	if err := a.account.ConfirmNumber(c.Request.Context()); err != nil {
		return nil, err
	}
	return a.status(c)
}
