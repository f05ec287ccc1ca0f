package simulator

import (
	"net/http"
	"time"
)

func (c *Control) info(*http.Request) (Info, error) { return c.Server.Info(), nil }

func (c *Control) counters(*http.Request) (Counters, error) { return c.Server.Counters(), nil }

// events answers with events, at once or as soon as there are some to tell.
func (c *Control) events(r *http.Request) ([]Event, error) {
	after, err := countOf(r, "after")
	if err != nil {
		return nil, err
	}
	ctx, cancel, err := waitContext(r)
	if err != nil {
		return nil, err
	}
	defer cancel()
	id := r.FormValue("id")
	told := func() []Event {
		events := []Event{}
		for _, e := range c.Server.Events(after) {
			if id == "" || e.ID == id {
				events = append(events, e)
			}
		}
		return events
	}
	_ = c.Server.news.wait(ctx, func() bool { return len(told()) > 0 }) // none in time is an answer as well
	return told(), nil
}

// quietness says whether virtual devices have nothing left to do.
type quietness struct {
	Quiet bool `json:"quiet"`
}

func (c *Control) quiet(r *http.Request) (quietness, error) {
	ctx, cancel, err := waitContext(r)
	if err != nil {
		return quietness{}, err
	}
	defer cancel()
	return quietness{c.Server.WaitQuiet(ctx) == nil}, nil
}

// webVersionRequest says which web client is the newest.
type webVersionRequest struct {
	// Revision is the last part of its version, such as 1035000000; 0 takes the page away that tells it.
	Revision uint32 `json:"revision"`
}

func (c *Control) setWebVersion(_ *http.Request, in webVersionRequest) (done, error) {
	c.Server.SetWebVersion(in.Revision)
	return ok(nil)
}

// restartRequest says how long the server is away.
type restartRequest struct {
	// Pause is how long new connections are refused, up to 30s.
	Pause Duration `json:"pause,omitempty"`
}

func (c *Control) restart(_ *http.Request, in restartRequest) (done, error) {
	return ok(c.Server.Restart(min(time.Duration(in.Pause), maxControlWait)))
}
