package httpapi

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

	"github.com/gin-gonic/gin"
	"rsc.io/qr"

	"whatsappd/session"
)

// PairingAnswer is the present pairing round, or the last one.
type PairingAnswer struct {
	State       string          `json:"state"`
	Code        string          `json:"code,omitempty"` // only while it can be scanned
	ExpiresAt   *time.Time      `json:"expires_at,omitempty"`
	CodeIndex   int             `json:"code_index,omitempty"`
	CodeCount   int             `json:"code_count,omitempty"`
	PhoneCode   string          `json:"phone_code,omitempty"` // to type on the phone, only while it works
	Phone       string          `json:"phone,omitempty"`      // the phone it is for
	Passkey     json.RawMessage `json:"passkey,omitempty"`    // WhatsApp's challenge, while it waits for the answer; on this machine only
	PasskeyCode string          `json:"passkey_code,omitempty"`
	Round       int             `json:"round"`
	Reason      string          `json:"reason,omitempty"`
	Detail      string          `json:"detail,omitempty"`
	Number      string          `json:"number,omitempty"`
}

// PairingRequest asks for a pairing round. With Phone, WhatsApp shows a request on that phone, and the answer has the code to
// type there.
type PairingRequest struct {
	Phone string `json:"phone,omitempty"` // an international number
}

func pairingAnswer(p session.PairingRound, here bool) PairingAnswer {
	answer := PairingAnswer{
		State: string(p.State), Code: p.Code, ExpiresAt: at(p.ExpiresAt), CodeIndex: p.CodeIndex, CodeCount: p.CodeCount,
		PhoneCode: p.PhoneCode, Phone: string(p.PhoneCodeFor), PasskeyCode: p.PasskeyCode,
		Round: p.Round, Reason: p.Reason, Detail: p.Detail, Number: string(p.Number),
	}
	if here && p.Passkey != "" {
		answer.Passkey = json.RawMessage(p.Passkey)
	}
	return answer
}

// pairing shows the round as JSON, or its live code as a picture.
func (a *API) pairing(c *gin.Context) {
	round := a.account.Pairing()
	if round.Code == "" || !strings.Contains(c.GetHeader("Accept"), "image/png") {
		c.JSON(http.StatusOK, pairingAnswer(round, here(c)))
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
	var in PairingRequest
	if err := decode(c.Request.Body, &in, "phone"); err != nil && !errors.Is(err, errNoBody) {
		return nil, badBody(err)
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), pairPatience)
	defer cancel()
	if in.Phone == "" {
		round, err := a.account.Pair(ctx)
		return pairingAnswer(round, here(c)), err
	}
	number, err := parsePhone(in.Phone)
	if err != nil {
		return nil, invalid(fmt.Errorf("phone: %w", err))
	}
	round, err := a.account.PairPhone(ctx, number)
	return pairingAnswer(round, here(c)), err
}

func (a *API) confirm(c *gin.Context) (any, error) {
	if err := a.account.ConfirmNumber(c.Request.Context()); err != nil {
		return nil, err
	}
	return a.status(c)
}

// here says whether a request comes from this machine. A passkey's challenge and its answer are taken no further: whoever has
// both can link a device. What comes from a proxy on this machine comes from elsewhere: proxies say so in a header.
func here(c *gin.Context) bool {
	for _, header := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"} {
		if c.GetHeader(header) != "" {
			return false
		}
	}
	host, _, err := net.SplitHostPort(c.Request.RemoteAddr)
	return err == nil && net.ParseIP(host).IsLoopback()
}

var errNotHere = refusal(http.StatusForbidden, "not_from_here",
	"A passkey is taken from the daemon's own machine only: run \"whatsappd login\" there, or use a tunnel to it")

// passkey takes the answer of a person's authenticator, once.
func (a *API) passkey(c *gin.Context) (any, error) {
	if !here(c) {
		return nil, errNotHere
	}
	answer, err := io.ReadAll(c.Request.Body)
	if errors.Is(err, noPlace{}) {
		return nil, errBusy
	}
	if err != nil {
		return nil, invalid(errors.New("the body could not be read"))
	}
	if err := a.account.AnswerPasskey(c.Request.Context(), answer); err != nil {
		return nil, err
	}
	return pairingAnswer(a.account.Pairing(), true), nil
}

// confirmPasskey says that a person compared the code.
func (a *API) confirmPasskey(c *gin.Context) (any, error) {
	if !here(c) {
		return nil, errNotHere
	}
	if err := a.account.ConfirmPasskey(c.Request.Context()); err != nil {
		return nil, err
	}
	return pairingAnswer(a.account.Pairing(), true), nil
}
