package httpapi

import (
	"time"

	"github.com/gin-gonic/gin"

	"whatsappd/task"
)

// ContactAnswer is what is known of a person.
type ContactAnswer struct {
	Number string `json:"number,omitempty"` // as asked
	IdentityAnswer
	Cold       bool       `json:"cold"` // a message would be a first contact
	FirstSent  *time.Time `json:"first_sent_at,omitempty"`
	FirstHeard *time.Time `json:"first_heard_at,omitempty"`
	LastHeard  *time.Time `json:"last_heard_at,omitempty"`
	Token      bool       `json:"token,omitempty"`        // it gave the account a privacy token; told while online only
	OptedOut   *time.Time `json:"opted_out_at,omitempty"` // no message is sent
}

// contact shows what is known of a person.
func (a *API) contact(c *gin.Context) (any, error) {
	number, who, err := addresses(c)
	if err != nil {
		return nil, err
	}
	known, err := a.ledger.Contact(c.Request.Context(), string(a.opts.Account), who[0])
	if err != nil {
		return nil, err
	}
	if number == "" && known.ID == "" {
		return nil, task.ErrNoContact
	}
	answer := ContactAnswer{
		Number: string(number), IdentityAnswer: identityAnswer(known.Identity), Cold: known.Cold(), FirstSent: at(known.FirstSent),
		FirstHeard: at(known.FirstHeard), LastHeard: at(known.LastHeard), OptedOut: at(known.OptedOut),
	}
	answer.Token, err = a.account.HoldsToken(c.Request.Context(), known.LID)
	return answer, err
}

// optOut puts a person on the list of those that want no messages.
func (a *API) optOut(c *gin.Context) (any, error) {
	_, who, err := addresses(c)
	if err != nil {
		return nil, err
	}
	if err := a.ledger.OptOut(c.Request.Context(), string(a.opts.Account), who, a.opts.Now()); err != nil {
		return nil, err
	}
	return a.contact(c)
}

// optIn takes a person off that list.
func (a *API) optIn(c *gin.Context) (any, error) {
	_, who, err := addresses(c)
	if err != nil {
		return nil, err
	}
	for _, address := range who {
		if err := a.ledger.OptIn(c.Request.Context(), string(a.opts.Account), address); err != nil {
			return nil, err
		}
	}
	return a.contact(c)
}

// ActivityAnswer counts what the account did and what came back.
type ActivityAnswer struct {
	Hour ActivityCounts `json:"hour"`
	Day  ActivityCounts `json:"day"`
}

// ActivityCounts are the counts of one sliding window.
type ActivityCounts struct {
	NewChats int `json:"new_chats"` // people who were written to first
	Replies  int `json:"replies"`   // people who answered a first contact
	Failures int `json:"failures"`  // messages that failed for good
}

func (a *API) activity(c *gin.Context) (answer ActivityAnswer, err error) {
	for _, window := range []struct {
		span time.Duration
		into *ActivityCounts
	}{{time.Hour, &answer.Hour}, {24 * time.Hour, &answer.Day}} {
		var counts task.Activity
		counts, err = a.ledger.Activity(c.Request.Context(), string(a.opts.Account), a.opts.Now().Add(-window.span))
		if err != nil {
			return answer, err
		}
		*window.into = ActivityCounts(counts)
	}
	return answer, nil
}
