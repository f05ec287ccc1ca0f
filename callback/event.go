package callback

import (
	"encoding/json"
	"time"

	"whatsappd/session"
)

// Event is something that has happened to an account, as it is told to the operator's own receiver. It belongs to no task.
type Event struct {
	Code string // as in the body
	At   time.Time
	URL  string
	Body []byte
}

// Announce returns what makes events of a change in the facts about an account, for the receiver at a URL; nil for no receiver.
func Announce(url string, now func() time.Time) func(account session.AccountID, before, after session.Facts) []Event {
	if url == "" {
		return nil
	}
	return func(account session.AccountID, before, after session.Facts) []Event {
		var events []Event
		at := now().UTC().Truncate(time.Millisecond)
		for _, notice := range after.Since(before) {
			events = append(events, Event{Code: notice.Code, At: at, URL: url, Body: announcement(account, notice, at)})
		}
		return events
	}
}

// eventPayload is the body of an event. It holds no number, no text and no name.
type eventPayload struct {
	Event   string    `json:"event"`
	Account string    `json:"account"`
	At      time.Time `json:"at"`
	Until   time.Time `json:"until,omitzero"`
	Reason  string    `json:"reason,omitempty"`
	Detail  string    `json:"detail"`
}

func announcement(account session.AccountID, notice session.Notice, at time.Time) []byte {
	until := notice.Until.UTC()
	if until.Year() > 9999 { // JSON has no such time
		until = time.Time{}
	}
	body, err := json.Marshal(eventPayload{
		Event: notice.Code, Account: string(account), At: at, Until: until, Reason: notice.Reason, Detail: notice.Detail,
	})
	if err != nil {
		panic(err) // strings and such times always marshal
	}
	return body
}
