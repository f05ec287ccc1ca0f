package httpapi

import (
	"errors"
	"time"

	"github.com/gin-gonic/gin"

	"whatsappd/callback"
)

// CallbackAnswer is a callback without more of its return URL than the destination.
type CallbackAnswer struct {
	ID          string          `json:"id"`
	TaskID      string          `json:"task_id,omitempty"`
	Event       string          `json:"event,omitempty"` // of an account, in place of a task
	Destination string          `json:"destination"`
	State       string          `json:"state"`
	Attempt     int             `json:"attempt"`
	NextAt      *time.Time      `json:"next_at,omitempty"`
	LastStatus  int             `json:"last_status,omitempty"`
	LastError   string          `json:"last_error,omitempty"`
	Created     *time.Time      `json:"created_at"`
	Finished    *time.Time      `json:"finished_at,omitempty"`
	Attempts    []AttemptAnswer `json:"attempts,omitempty"`
}

// AttemptAnswer is one try to deliver a callback.
type AttemptAnswer struct {
	N      int        `json:"n"`
	At     *time.Time `json:"at"`
	TookMS int64      `json:"took_ms"`
	Status int        `json:"status,omitempty"`
	Error  string     `json:"error,omitempty"`
}

// CallbacksAnswer is a page of callbacks, newest first. Next is the value of "before" for the next page, empty for none.
type CallbacksAnswer struct {
	Callbacks []CallbackAnswer `json:"callbacks"`
	Next      string           `json:"next,omitempty"`
}

func callbackAnswer(d callback.Delivery) CallbackAnswer {
	answer := CallbackAnswer{
		ID: d.ID, TaskID: string(d.TaskID), Event: d.Event, Destination: callback.Destination(d.URL), State: string(d.State), Attempt: d.Attempt,
		LastStatus: d.LastStatus, LastError: d.LastError, Created: at(d.Created), Finished: at(d.Finished),
	}
	if d.State == callback.Due {
		answer.NextAt = at(d.NextAt)
	}
	return answer
}

func (a *API) listCallbacks(c *gin.Context) (any, error) {
	state := callback.State(c.Query("state"))
	switch state {
	case "", callback.Due, callback.Sending, callback.Delivered, callback.Dead:
	default:
		return nil, invalid(errors.New("state must be due, sending, delivered or dead"))
	}
	limit, err := pageLimit(c)
	if err != nil {
		return nil, err
	}
	deliveries, err := a.callbacks.Deliveries(c.Request.Context(), state, c.Query("before"), limit)
	if err != nil {
		return nil, err
	}
	answer := CallbacksAnswer{Callbacks: []CallbackAnswer{}}
	for _, d := range deliveries {
		answer.Callbacks = append(answer.Callbacks, callbackAnswer(d))
	}
	if len(deliveries) == limit {
		answer.Next = deliveries[len(deliveries)-1].ID
	}
	return answer, nil
}

// AttemptsAnswer is what was tried to deliver a callback, oldest first.
type AttemptsAnswer struct {
	ID       string          `json:"id"`
	Attempts []AttemptAnswer `json:"attempts"`
}

func (a *API) getCallback(c *gin.Context) (any, error) {
	id := unescaped(c, "id")
	attempts, err := a.callbacks.Attempts(c.Request.Context(), id)
	if err != nil {
		return nil, err
	}
	answer := AttemptsAnswer{ID: id, Attempts: []AttemptAnswer{}}
	for _, attempt := range attempts {
		answer.Attempts = append(answer.Attempts, AttemptAnswer{
			N: attempt.N, At: at(attempt.At), TookMS: attempt.Took.Milliseconds(), Status: attempt.Status, Error: attempt.Error,
		})
	}
	return answer, nil
}

// ReplayAnswer confirms that a callback is due again.
type ReplayAnswer struct {
	ID    string `json:"id"`
	State string `json:"state"`
}

func (a *API) replay(c *gin.Context) (any, error) {
	id := unescaped(c, "id")
	if err := a.callbacks.Replay(c.Request.Context(), id, a.opts.Now()); err != nil {
		return nil, err
	}
	return ReplayAnswer{ID: id, State: string(callback.Due)}, nil
}
