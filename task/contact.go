package task

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"
)

// Address is how WhatsApp names a person: by number, by LID, or both. What is not known is empty.
type Address struct {
	Number string // digits
	LID    string // such as 123456789012345@lid
}

// Identity is who somebody is: our own name, and WhatsApp's addresses as far as they are known.
type Identity struct {
	ID    string // never changes, but for a contact that turns out to be another one: see docs/storage.md
	Phone string // digits, as WhatsApp writes them once it was asked
	LID   string
}

// Contact is what is known of a person. Times are zero for never.
type Contact struct {
	Identity

	FirstSent  time.Time // when the account first wrote to it
	FirstHeard time.Time // when the account first heard of it: later than it was written, if the account was away
	LastHeard  time.Time
	OptedOut   time.Time // since when it wants no messages
}

// Cold tells whether a message would be a first contact.
func (c Contact) Cold() bool { return c.FirstSent.IsZero() && c.LastHeard.IsZero() }

// Activity counts what an account did within some time, and what came back: what WhatsApp is said to judge a number by.
type Activity struct {
	NewChats int // people who were written to first, whether or not they answered
	Replies  int // people who answered a first contact
	Failures int // messages that failed for good
}

// unwanted ends a message to somebody who wants none.
func (l *Lane) unwanted(t Task) (Outcome, bool) {
	return Never(codeOptedOut, "the recipient is on the opt-out list"), t.OptedOut
}

// repeated warns of a text that many strangers got within a day, or ends its message when the policy says so. WhatsApp is said
// to look for identical texts.
func (l *Lane) repeated(ctx context.Context, t *Task, now time.Time) (Outcome, bool, error) {
	p := l.opts.Pace
	if p.Off || p.SameText <= 0 || !t.Cold {
		return Outcome{}, false, nil
	}
	hash := sha256.Sum256([]byte(t.Text))
	others, err := l.keeper.TextRecipients(ctx, l.opts.Account, hash, t.Contact.ID, now.Add(-day))
	if err != nil {
		return Outcome{}, false, err
	}
	if others >= p.SameText {
		t.warn(WarnSameText)
		if p.SameTextBlock {
			return Never(codeSameText, fmt.Sprintf("%d strangers got the same text within a day", others)), true, nil
		}
	}
	return Outcome{}, false, l.keeper.KeepText(context.WithoutCancel(ctx), l.opts.Account, hash, t.Contact.ID, now)
}
