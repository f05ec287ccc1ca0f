package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"whatsappd/callback"
	"whatsappd/task"
)

// wsAccepted is the answer of the old endpoints.
type wsAccepted struct {
	Data   wsTask `json:"data"`
	Status string `json:"status"`
}

type wsTask struct {
	TaskID   task.ID `json:"task_id"`
	TaskName string  `json:"task_name"`
}

var errReturnURLMissing = invalid(errors.New("the return URL is missing; write /ws/…/RETURN_URL"))

// ws is one of the old endpoints: it reads the path's segments into work, which is accepted durably before the answer.
func (a *API) ws(read func(c *gin.Context, segments string) (task.New, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		w, err := read(c, strings.TrimPrefix(c.Param("rest"), "/"))
		if err != nil {
			a.refuse(c, err)
			return
		}
		accepted, err := a.accept(c, w)
		if err != nil {
			a.refuse(c, err)
			return
		}
		c.JSON(http.StatusAccepted, wsAccepted{
			Data: wsTask{TaskID: accepted.ID, TaskName: callback.TaskName(w.Kind)}, Status: "success",
		})
	}
}

// wsCheck reads PHONE/RETURN_URL.
func (a *API) wsCheck(c *gin.Context, segments string) (task.New, error) {
	phone, rest, found := strings.Cut(segments, "/")
	w := task.New{Kind: task.Check}
	if err := readPhone(&w, phone); err != nil {
		return w, err
	}
	if !found {
		return w, errReturnURLMissing
	}
	return a.withReturnURL(c, w, rest)
}

// wsMessage reads PHONE/MESSAGE/RETURN_URL.
func (a *API) wsMessage(c *gin.Context, segments string) (task.New, error) {
	phone, rest, _ := strings.Cut(segments, "/")
	w := task.New{Kind: task.Message}
	if err := readPhone(&w, phone); err != nil {
		return w, err
	}
	message, rest, found := strings.Cut(rest, "/")
	text, err := url.PathUnescape(message)
	if err != nil {
		return w, invalid(errors.New("the message holds a broken percent-escape"))
	}
	if strings.Contains(message, "#") { // where a URL ends, for everything on the way here
		return w, invalid(errors.New("the message holds a # as it stands; write %23"))
	}
	if err := checkMessage(text); err != nil {
		return w, invalid(err)
	}
	w.Text = text
	if !found {
		return w, errReturnURLMissing
	}
	return a.withReturnURL(c, w, rest)
}

// wsLogin reads RETURN_URL.
func (a *API) wsLogin(c *gin.Context, segments string) (task.New, error) {
	return a.withReturnURL(c, task.New{Kind: task.Login}, segments)
}

// wsLogout reads RETURN_URL.
func (a *API) wsLogout(c *gin.Context, segments string) (task.New, error) {
	return a.withReturnURL(c, task.New{Kind: task.Logout}, segments)
}

func readPhone(w *task.New, segment string) error {
	text, err := url.PathUnescape(segment)
	if err != nil {
		return invalid(errors.New("the phone number holds a broken percent-escape"))
	}
	number, err := parsePhone(text)
	if err != nil {
		return invalid(err)
	}
	w.Number = string(number)
	return nil
}

func (a *API) withReturnURL(c *gin.Context, w task.New, raw string) (task.New, error) {
	if raw == "" {
		return w, errReturnURLMissing
	}
	u, err := parseReturnURL(raw, c.Request.URL.RawQuery)
	if err != nil {
		return w, invalid(err)
	}
	if err := a.policy.CheckText(u); err != nil {
		return w, invalid(err)
	}
	w.ReturnURL = u.String()
	return w, nil
}

// accept completes work and keeps it. The answer comes after the commit.
func (a *API) accept(c *gin.Context, w task.New) (task.Accepted, error) {
	if a.stopping.Load() {
		c.Header("Connection", "close")
		return task.Accepted{}, errStopping
	}
	key := c.GetHeader("Idempotency-Key")
	if !printable(key) {
		return task.Accepted{}, invalid(errors.New("the Idempotency-Key must be up to 255 printable ASCII characters"))
	}
	if wait := a.rates.wait(c.GetString(keyToken), a.opts.Now()); wait > 0 {
		return task.Accepted{}, tooManyTasks(wait)
	}
	w.Account = string(a.opts.Account)
	status := a.account.Status()
	w.ForNumber = string(status.Number)
	if w.Patient && w.ForNumber == "" { // a new link may be another number's
		w.ForNumber = string(status.Last)
	}
	w.IdempotencyKey, w.RequestHash = key, requestHash(w)
	w.RequestID, w.TokenID = c.GetString(keyRequest), c.GetString(keyToken)
	if w.Kind == task.Message {
		w.MessageID = string(a.account.NewMessageID())
	}
	if w.Kind == task.Login {
		return a.acceptLogin(c.Request.Context(), w)
	}
	return a.tasks.Accept(c.Request.Context(), w)
}

func printable(key string) bool {
	if len(key) > 255 {
		return false
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}

// requestHash tells a repeated request from another one under the same idempotency key.
func requestHash(w task.New) string {
	hash := sha256.New()
	for _, part := range []string{string(w.Kind), w.Number, w.Text, w.ReturnURL} {
		length := sha256.Sum256([]byte(part)) // parts cannot run into each other
		hash.Write(length[:])
	}
	return hex.EncodeToString(hash.Sum(nil))
}
