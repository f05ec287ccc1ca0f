// Package task is work that survives a restart: every check, message, login and logout is a task, accepted durably, worked
// in order on its account's lane, and finished in one commit with the callback that reports it.
//
// It knows kinds, attempts, and when each task is due. What a kind does is its Worker's business; where tasks are kept is
// its Keeper's.
package task

import (
	"context"
	"errors"
	"time"
)

// ID names a task to callers: a UUIDv7.
type ID string

// Kind is what a task asks for.
type Kind string

// The kinds of task.
const (
	Check   Kind = "check"
	Message Kind = "message"
	Login   Kind = "login"
	Logout  Kind = "logout"
)

// Class is the queue of a lane that works a kind.
type Class string

// The classes. Control is worked before everything else of the account, one at a time; messages one at a time, in order and
// paced; checks beside them, many at once.
const (
	ClassControl Class = "control"
	ClassMessage Class = "message"
	ClassCheck   Class = "check"
)

// ClassWarm is a part of ClassMessage for [Keeper.Claim] and [Keeper.NextDue]: the messages that are no first contact. They
// pass the strangers who wait for a reason of their own.
const ClassWarm Class = "warm"

// Class returns the queue that works this kind.
func (k Kind) Class() Class {
	switch k {
	case Check:
		return ClassCheck
	case Message:
		return ClassMessage
	default:
		return ClassControl
	}
}

// State is where a task stands.
type State string

// The states of a task. Done and Failed are final. See docs/tasks.md for the picture.
const (
	Queued  State = "queued"
	Running State = "running"
	Done    State = "done"
	Failed  State = "failed"
)

// Verdict is how a finished task ended, in words of the trade. What a caller is told for each is callback's business.
type Verdict string

// The verdicts.
const (
	Yes             Verdict = "yes"               // the number is on WhatsApp; the server took the message
	No              Verdict = "no"                // the number is not on WhatsApp
	CodeShown       Verdict = "code_shown"        // login: a live pairing code is out
	AlreadyLoggedIn Verdict = "already_logged_in" // login
	LoggedOut       Verdict = "logged_out"        // logout: done
	NotLoggedIn     Verdict = "not_logged_in"     // logout: there was nothing to end
	NotPerformed    Verdict = "not_performed"     // check, message: the account is not logged in
	Failure         Verdict = "failure"           // went wrong for good; Task.Code says why
)

// New is work to accept.
type New struct {
	Account        string
	Kind           Kind
	Number         string // digits; the recipient or the number to check
	LID            string // of a message without Number: the recipient's LID
	Text           string // the message, byte for byte
	MessageID      string // WhatsApp's ID for the message, fixed before the first try
	ReturnURL      string // where the outcome goes; empty for none
	ForNumber      string // the account's own number at this moment; empty when not paired
	Patient        bool   // waits for a new link when the account is logged out; the others end at once then
	IdempotencyKey string // optional, unique per account
	RequestHash    string // of the whole request; tells a repeat from another use of the same key
	RequestID      string // of the HTTP request, for the log
	TokenID        string // which token asked (a short hash), for the audit
}

// Accepted is the answer to New, given after the commit.
type Accepted struct {
	ID        ID
	Duplicate bool // the idempotency key was known: ID is the earlier task's
}

// Task is one piece of work as it is kept.
type Task struct {
	ID        ID
	Seq       int64 // order of acceptance, never reused
	Account   string
	Kind      Kind
	Number    string   // as asked; empty for a message to a LID
	Contact   Identity // of a check or message: whose number it is, by what is known now
	Text      string   // blanked 24 h after the end
	MessageID string
	ReturnURL string
	ForNumber string
	Patient   bool // waits for a new link when the account is logged out
	RequestID string
	TokenID   string

	State     State
	Attempt   int           // attempts that were begun
	MaybeSent bool          // an attempt may have reached WhatsApp: the next one repeats the same MessageID
	NotBefore time.Time     // not worked before; zero for at once
	Reason    string        // why it waits: "pace", "settling", "offline", a code of an earlier failure
	Waited    time.Duration // time spent waiting for its pace, which does not count against the maximum age
	Cold      bool          // of a message: a first contact as things stand: neither side ever wrote to the other
	OptedOut  bool          // of a message: its recipient wants none, as things stand

	Canonical   string      // of a message: the number WhatsApp delivers to; empty until it was looked up
	LID         string      // of a message: the address WhatsApp was given; empty until one was found
	Delivery    Delivery    // of a message: how far it got
	DeliveredBy ConfirmedBy // of a message: the best device that confirmed it
	DeliveryAt  time.Time   // when Delivery last grew
	Warnings    []string    // stable codes: what may be wrong although the task succeeded

	Damaged string // of an unfinished task: its record must not be believed, and why; empty for sound

	// Steps are written with the next change of the task, and empty in a task that was read: see Keeper.Timeline.
	Steps []Step

	Verdict  Verdict   // set when final
	Code     string    // stable error code, empty on success
	WACode   int       // WhatsApp's last number about it; 0 for none
	RetryAt  time.Time // of a failed task: worth asking again from then on; zero for no opinion
	Detail   string    // what happened, for a person; without secrets
	Created  time.Time
	Started  time.Time // the first attempt
	Finished time.Time
}

// Outcome is what one attempt came to. Make it with Done, Never, Later or Offline.
type Outcome struct {
	Final     bool
	Verdict   Verdict // when Final
	Code      string
	Detail    string
	WACode    int           // WhatsApp's own number; 0 for none
	After     time.Duration // when not Final: wait at least so long
	Counts    bool          // when not Final: the attempt counts and the task's own backoff applies
	Paced     bool          // when not Final: neither the attempt nor the wait counts
	Once      bool          // when not Final: a second time it is
	Uncertain bool          // the message may have reached WhatsApp
	Trace     Trace         // what the attempt found out
}

// Succeed ends a task with a verdict.
func Succeed(v Verdict) Outcome { return Outcome{Final: true, Verdict: v} }

// Never ends a task as a failure for good.
func Never(code, detail string) Outcome {
	return Outcome{Final: true, Verdict: Failure, Code: code, Detail: detail}
}

// Later asks for another attempt, at the earliest after the given time; it counts as an attempt.
func Later(code, detail string, after time.Duration) Outcome {
	return Outcome{Code: code, Detail: detail, After: after, Counts: true}
}

// Offline asks for another attempt once the account is ready again; it does not count as an attempt.
func Offline(code, detail string) Outcome { return Outcome{Code: code, Detail: detail} }

// Paced asks for another attempt after the given time, which belongs to how fast the account may work: neither the attempt nor
// the wait counts.
func Paced(code, detail string, after time.Duration) Outcome {
	return Outcome{Code: code, Detail: detail, After: after, Paced: true}
}

// Callback is what a finished task reports, and where to.
type Callback struct {
	URL  string
	Body []byte
}

// Finished is a task's end as it is committed: state, outcome and callback in one transaction, with the account's pace.
type Finished struct {
	Task     Task       // with State, Verdict, Code, Detail and Finished set
	Callback *Callback  // nil when the task has no return URL
	Pace     *PaceState // nil when it did not change
}

// ErrIdempotency is returned by Keeper.Accept when an idempotency key is known with another request.
var ErrIdempotency = errors.New("the idempotency key was used for another request")

// ErrNotFound is returned when there is no such task.
var ErrNotFound = errors.New("no such task")

// ErrNoContact is returned for the ID of a contact that nobody has.
var ErrNoContact = errors.New("no such contact")

// ErrFull is returned when the disk is full: nothing was accepted.
var ErrFull = errors.New("the disk is full")

// ErrQueueFull is returned when too many tasks wait: nothing was accepted.
var ErrQueueFull = errors.New("too many tasks wait")

// ErrUnwritable is returned when the ledger's file takes no changes: the disk is broken or read-only, or another process holds
// the file. The work may be repeated under its idempotency key.
var ErrUnwritable = errors.New("the ledger takes no changes now")

// ErrStopping is returned when the ledger no longer takes work.
var ErrStopping = errors.New("stopping")

// Keeper keeps tasks durably: every method returns after the commit. The store implements it; a contract test suite in
// package store says what each method must do. Times come from the caller.
type Keeper interface {
	// Accept keeps new work. ErrIdempotency, ErrFull, ErrUnwritable and ErrStopping are told apart.
	Accept(ctx context.Context, w New, now time.Time) (Accepted, error)
	// Earlier answers a repeat of accepted work, by its idempotency key, as Accept would, and takes nothing new: then it is
	// ErrNotFound. ErrIdempotency is told apart.
	Earlier(ctx context.Context, w New) (Accepted, error)
	// Claim takes up to max due tasks of a class in order of acceptance, marks them running and counts the attempt. A message
	// is not due while an earlier one to the same contact is unfinished. At most one message runs per account.
	Claim(ctx context.Context, account string, class Class, now time.Time, max int) ([]Task, error)
	// NextDue returns when the earliest queued task of a class is due; false when there is none.
	NextDue(ctx context.Context, account string, class Class, now time.Time) (time.Time, bool, error)
	// Finish commits ends with their callbacks. A task that is already final is left as it is.
	Finish(ctx context.Context, ends []Finished) error
	// FinishAndClaim is Finish, and then Claim of one task, in one commit. An error leaves both undone.
	FinishAndClaim(ctx context.Context, ends []Finished, account string, class Class, now time.Time) ([]Task, error)
	// Requeue puts running tasks back with their Attempt, MaybeSent, NotBefore, Reason, Waited, Code and Detail.
	Requeue(ctx context.Context, tasks []Task) error
	// Release makes queued messages that wait for a reason due now. What they did not wait after all is taken off Waited.
	Release(ctx context.Context, account, reason string, now time.Time) error
	// Waiting returns the queued tasks of a class, oldest first, at most max: for ending all that cannot be performed.
	Waiting(ctx context.Context, account string, class Class, max int) ([]Task, error)
	// Impatient returns those of Waiting that are not Patient.
	Impatient(ctx context.Context, account string, class Class, max int) ([]Task, error)
	// Recover puts all running tasks back to queued with MaybeSent set for messages and log-outs: called once at start, before any lane.
	Recover(ctx context.Context) (int, error)
	// SetBack moves back, by the clock having been set back so far, when unfinished tasks were accepted and may be worked, when
	// callbacks are due, and the account's pace.
	SetBack(ctx context.Context, account string, by time.Duration) error
	// Pace returns the account's kept pace; the zero value when there is none.
	Pace(ctx context.Context, account string) (PaceState, error)
	// KeepPace replaces the account's pace.
	KeepPace(ctx context.Context, account string, p PaceState) error
	// TextRecipients counts the other contacts that got a text as a first contact since a time. hash stands for the text.
	TextRecipients(ctx context.Context, account string, hash [32]byte, contact string, since time.Time) (int, error)
	// KeepText records that a contact gets a text as a first contact. Sweep forgets it with the texts.
	KeepText(ctx context.Context, account string, hash [32]byte, contact string, at time.Time) error
	// Heard records that somebody wrote to the account, and that the addresses are one person's. Queued messages to it that waited
	// as first contacts (see ReasonSettling) are due now, as by Release.
	Heard(ctx context.Context, account string, from Address, at, now time.Time) error
	// Confirm keeps what a device of a recipient said of messages, and returns how many it concerned (receipts of messages that
	// are no task's are none) and those of them that are queued although a device has them. Task.Delivery never goes back. A
	// message that arrived counts as sent to its recipient, however its task ended.
	Confirm(ctx context.Context, c Confirmation) (count int, queued []Task, err error)
	// Overdue marks messages that the server took before a time and nobody confirmed since, and returns how many.
	Overdue(ctx context.Context, account string, ackedBefore, now time.Time) (int, error)
	// Timeline returns a task's steps in order.
	Timeline(ctx context.Context, id ID) ([]Step, error)
	// Get returns one task, or ErrNotFound.
	Get(ctx context.Context, id ID) (Task, error)
	// List returns tasks, newest first; empty state means all; before is a Seq to page on, 0 for the newest.
	List(ctx context.Context, state State, before int64, max int) ([]Task, error)
	// Counts returns how many tasks stand in each state, for metrics.
	Counts(ctx context.Context) (map[State]int, error)
	// Sweep deletes tasks that finished before the first time and blanks the text of those that finished before the second, in
	// small transactions, and returns how many rows it touched.
	Sweep(ctx context.Context, deleteBefore, blankBefore time.Time) (int, error)
}

// Readiness is whether an account can work now.
type Readiness string

// The readiness of an account.
const (
	Ready      Readiness = "ready"
	Wait       Readiness = "wait"       // connection lost, banned, replaced, outdated, not confirmed: tasks wait
	NeverReady Readiness = "not_paired" // never paired or logged out: tasks end as NotPerformed, patient ones after a log-out at their age
)

// Worker does the work. cmd builds it from the session.
type Worker interface {
	// Ready says whether the account can work, why not (a stable code), and the account's own number.
	Ready() (r Readiness, code, ownNumber string)
	// Changes receives a value after every change of Ready; it has a buffer of one and never closes.
	Changes() <-chan struct{}
	// StrangersHeld returns until when WhatsApp takes no first messages to strangers, and whether for a lock (ReasonLocked) or a
	// quota (ReasonQuota); zero for neither. Changes tells of it too.
	StrangersHeld() (until time.Time, reason string)
	// Check works check tasks together and returns their outcomes in order.
	Check(ctx context.Context, tasks []Task) []Outcome
	// Send works one message task. The context's end does not cancel a send in flight.
	Send(ctx context.Context, t Task) Outcome
	// Control works a login or logout task.
	Control(ctx context.Context, t Task) Outcome
	// NeedsPairing tells that a task met an account that is not logged in.
	NeedsPairing()
}
