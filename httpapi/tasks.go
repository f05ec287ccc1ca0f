package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"whatsappd/callback"
	"whatsappd/session"
	"whatsappd/task"
)

// TaskAnswer is a task without the message's text and without more of the return URL than its destination.
type TaskAnswer struct {
	ID     string `json:"id"`
	Kind   string `json:"kind"`
	Number string `json:"number,omitempty"` // as asked
	IdentityAnswer
	AddressedAs *string    `json:"addressed_as"` // "phone" or "lid": what WhatsApp was given; null for a login or logout
	MessageID   string     `json:"message_id,omitempty"`
	Destination string     `json:"destination,omitempty"`
	State       string     `json:"state"`
	Verdict     string     `json:"verdict,omitempty"`
	Code        string     `json:"code,omitempty"`
	Detail      string     `json:"detail,omitempty"`
	*Failure               // of a task that failed or waits
	Attempt     int        `json:"attempt"`
	MaybeSent   bool       `json:"maybe_sent,omitempty"`
	Canonical   string     `json:"canonical,omitempty"`    // the number as WhatsApp writes it: messages go there
	Delivery    string     `json:"delivery,omitempty"`     // of a message: how far it got; see docs/tasks.md
	DeliveryAt  *time.Time `json:"delivery_at,omitempty"`  // when it got there
	DeliveredBy string     `json:"delivered_by,omitempty"` // "phone", or "companion" while the phone has not confirmed it
	Warnings    []string   `json:"warnings,omitempty"`     // stable codes: what may be wrong although the task succeeded
	NotBefore   *time.Time `json:"not_before,omitempty"`
	Reason      string     `json:"reason,omitempty"`
	Created     *time.Time `json:"created_at"`
	Started     *time.Time `json:"started_at,omitempty"`
	Finished    *time.Time `json:"finished_at,omitempty"`
	Timeline    []Step     `json:"timeline,omitempty"` // only in the answer about one task
}

// Step is something that happened to a task.
type Step struct {
	At     time.Time `json:"at"`
	What   string    `json:"what"`
	Detail string    `json:"detail,omitempty"`
}

// TasksAnswer is a page of tasks, newest first. Next is the value of "before" for the next page, 0 for none.
type TasksAnswer struct {
	Tasks []TaskAnswer `json:"tasks"`
	Next  int64        `json:"next,omitempty"`
}

// TaskRequest asks for a check, message, login or logout.
type TaskRequest struct {
	Kind      string `json:"kind"`
	To        string `json:"to,omitempty"`         // check, message: an international number; message: or a LID (…@lid)
	Text      string `json:"text,omitempty"`       // message
	ReturnURL string `json:"return_url,omitempty"` // where the outcome goes; may be left out
}

// TaskAccepted names the task that was accepted.
type TaskAccepted struct {
	TaskID string `json:"task_id"`
	State  string `json:"state"`
}

// taskAnswer describes a task of an account that stands as it does.
func taskAnswer(t task.Task, account session.Status) TaskAnswer {
	answer := TaskAnswer{
		ID: string(t.ID), Kind: string(t.Kind), Number: t.Number, MessageID: t.MessageID, Destination: callback.Destination(t.ReturnURL),
		State: string(t.State), Verdict: string(t.Verdict), Code: t.Code, Detail: t.Detail, Attempt: t.Attempt,
		Failure: taskFailure(t, account), MaybeSent: t.MaybeSent, Created: at(t.Created), Started: at(t.Started), Finished: at(t.Finished),
	}
	if t.State == task.Queued {
		answer.NotBefore, answer.Reason = at(t.NotBefore), t.Reason
	}
	answer.Canonical, answer.IdentityAnswer, answer.AddressedAs = t.Canonical, identityAnswer(t.Contact), addressedAs(t)
	if t.Kind == task.Message {
		answer.Delivery, answer.DeliveryAt, answer.DeliveredBy = t.Delivery.String(), at(t.DeliveryAt), string(t.DeliveredBy)
		if t.Delivery == task.DeliveryAccepted && t.MaybeSent {
			answer.Delivery = "uncertain"
		}
		answer.Warnings = t.Warnings
		if t.DeliveredBy == task.ByCompanion {
			answer.Warnings = append(slices.Clip(answer.Warnings), task.WarnCompanionOnly)
		}
		if arrivedLate(t) {
			answer.Warnings = append(slices.Clip(answer.Warnings), task.WarnArrivedLate)
		}
	}
	return answer
}

func (a *API) getTask(c *gin.Context) (any, error) {
	id := task.ID(c.Param("id"))
	t, err := a.ledger.Get(c.Request.Context(), id)
	if err != nil {
		return nil, err
	}
	steps, err := a.ledger.Timeline(c.Request.Context(), id)
	if err != nil {
		return nil, err
	}
	answer := taskAnswer(t, a.account.Status())
	for _, step := range steps {
		answer.Timeline = append(answer.Timeline, Step{At: step.At.UTC(), What: string(step.What), Detail: step.Detail})
	}
	return answer, nil
}

// pageMost is the longest page of a list, and pageDefault the usual one.
const (
	pageMost    = 500
	pageDefault = 50
)

func (a *API) listTasks(c *gin.Context) (any, error) {
	state := task.State(c.Query("state"))
	switch state {
	case "", task.Queued, task.Running, task.Done, task.Failed:
	default:
		return nil, invalid(errors.New("state must be queued, running, done or failed"))
	}
	limit, err := pageLimit(c)
	if err != nil {
		return nil, err
	}
	var before int64
	if text := c.Query("before"); text != "" {
		if before, err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, invalid(errors.New("before must be the number that the last page gave as next"))
		}
	}
	tasks, err := a.ledger.List(c.Request.Context(), state, before, limit)
	if err != nil {
		return nil, err
	}
	answer := TasksAnswer{Tasks: []TaskAnswer{}}
	status := a.account.Status()
	for _, t := range tasks {
		answer.Tasks = append(answer.Tasks, taskAnswer(t, status))
	}
	if len(tasks) == limit {
		answer.Next = tasks[len(tasks)-1].Seq
	}
	return answer, nil
}

func pageLimit(c *gin.Context) (int, error) {
	text := c.Query("limit")
	if text == "" {
		return pageDefault, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > pageMost {
		return 0, invalid(fmt.Errorf("limit must be a number between 1 and %d", pageMost))
	}
	return limit, nil
}

// acceptTask takes work as JSON, for the command line and for operators.
func (a *API) acceptTask(c *gin.Context) {
	if a.refusedWhileStopping(c) {
		return
	}
	w, err := a.readTask(c)
	if err == nil {
		var accepted task.Accepted
		if accepted, err = a.accept(c, w); err == nil {
			c.JSON(http.StatusAccepted, TaskAccepted{TaskID: string(accepted.ID), State: string(task.Queued)})
			return
		}
	}
	a.refuse(c, err)
}

func (a *API) readTask(c *gin.Context) (task.New, error) {
	var in TaskRequest
	if err := decode(c.Request.Body, &in, "kind, to, text and return_url"); err != nil {
		return task.New{}, badBody(err)
	}
	w := task.New{Kind: task.Kind(in.Kind)}
	switch w.Kind {
	case task.Check, task.Message:
		w.Patient = true
		if w.Kind == task.Message && isLID(in.To) {
			w.LID = in.To
			break
		}
		number, err := parsePhone(in.To)
		if err != nil {
			return w, invalid(fmt.Errorf("to: %w", err))
		}
		w.Number = string(number)
	case task.Login, task.Logout:
	default:
		return w, invalid(errors.New("kind must be check, message, login or logout"))
	}
	if w.Kind == task.Message {
		if err := checkMessage(in.Text); err != nil {
			return w, invalid(fmt.Errorf("text: %w", err))
		}
		w.Text = in.Text
	}
	if in.ReturnURL == "" {
		return w, nil
	}
	u, err := asItStands(in.ReturnURL)
	if err == nil && len(in.ReturnURL) > returnURLMost {
		err = errors.New("it is longer than 2048 bytes")
	}
	if err == nil {
		err = a.policy.CheckText(u)
	}
	if err != nil {
		return w, invalid(fmt.Errorf("return_url: %w", err))
	}
	w.ReturnURL = u.String()
	return w, nil
}

// errNoBody is returned by decode for a body without anything in it.
var errNoBody = errors.New("the body is empty")

// decode reads exactly one JSON object without unknown fields; fields names those there are. Its errors do not repeat what was
// sent.
func decode(body io.Reader, value any, fields string) error {
	var raw bytes.Buffer
	if _, err := raw.ReadFrom(body); err != nil {
		if errors.Is(err, noPlace{}) {
			return errBusy
		}
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return errors.New("the body is larger than 1 MiB")
		}
		return errors.New("the body could not be read")
	}
	if raw.Len() == 0 {
		return errNoBody
	}
	decoder := json.NewDecoder(&raw)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(value); err != nil || decoder.More() {
		return errors.New("the body must be one JSON object with no other fields than " + fields)
	}
	return nil
}

// badBody is how the errors of decode are told.
func badBody(err error) error {
	if errors.Is(err, errBusy) {
		return err
	}
	return invalid(err)
}

// unescaped is a path parameter as text.
func unescaped(c *gin.Context, name string) string {
	text, err := url.PathUnescape(c.Param(name))
	if err != nil {
		return c.Param(name)
	}
	return text
}
