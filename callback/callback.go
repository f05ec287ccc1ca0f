// Package callback tells callers how their tasks ended: one POST per task to its return URL, at least once, signed, retried
// on a schedule that survives restarts, and never to an address the operator has not allowed. In the same way it tells the
// operator's own receiver what has happened to an account.
//
// It knows what a result is called in the contract, what an event looks like, how a delivery is signed and when it is tried
// again. How tasks come to their end is package task's business, what is news about an account is session's, tables are the
// store's.
package callback

import (
	"context"
	"errors"
	"time"

	"whatsappd/task"
)

// State is where a delivery stands.
type State string

// The states of a delivery. Delivered and Dead are final, but a dead one can be replayed.
const (
	Due       State = "due"       // waits for Delivery.NextAt
	Sending   State = "sending"   // an attempt is on its way
	Delivered State = "delivered" // the receiver answered 2xx
	Dead      State = "dead"      // given up: schedule exhausted, 410, or an address that is refused
)

// Delivery is one callback as it is kept.
type Delivery struct {
	ID         string  // the webhook-id: the same on every attempt
	TaskID     task.ID // empty for an event of an account
	Event      string  // its code; empty for a task
	URL        string
	Body       []byte
	State      State
	Attempt    int       // attempts that were begun
	NextAt     time.Time // when Due
	LastStatus int       // HTTP status of the last attempt, 0 when there was no answer
	LastError  string    // why the last attempt failed; no secrets, no query string
	Created    time.Time
	Finished   time.Time // when Delivered or Dead
}

// Attempt is one try as it is kept for the operator.
type Attempt struct {
	DeliveryID string
	N          int // 1 for the first
	At         time.Time
	Took       time.Duration
	Status     int    // 0 when there was no answer
	Error      string // empty on success
}

// ErrNotFound is returned when there is no such delivery.
var ErrNotFound = errors.New("no such callback")

// ErrNotDead is returned when a delivery that is not dead is to be replayed.
var ErrNotDead = errors.New("only a dead callback can be replayed")

// Keeper keeps deliveries durably. The store implements it; rows come into being with the end of their task, or
// with the change of an account.
type Keeper interface {
	// ClaimDue takes due deliveries for which there is room, oldest due first, marks them sending and counts the attempt. When
	// it takes none, there are none.
	ClaimDue(ctx context.Context, now time.Time, room Room) ([]Delivery, error)
	// NextDelivery returns when the earliest due delivery is due that goes to none of the full destinations; false when there
	// is none.
	NextDelivery(ctx context.Context, full []string) (time.Time, bool, error)
	// Record keeps an attempt and the delivery's new State, NextAt, LastStatus, LastError and Finished, in one commit.
	Record(ctx context.Context, d Delivery, a Attempt) error
	// RecoverDeliveries puts deliveries found sending back to due: called once at start.
	RecoverDeliveries(ctx context.Context) (int, error)
	// Deliveries lists, newest first; empty state means all; before is an ID to page on, empty for the newest.
	Deliveries(ctx context.Context, state State, before string, max int) ([]Delivery, error)
	// Attempts lists a delivery's attempts, oldest first.
	Attempts(ctx context.Context, id string) ([]Attempt, error)
	// Replay makes a dead delivery due now with a fresh schedule; ErrNotFound and ErrNotDead are told apart.
	Replay(ctx context.Context, id string, now time.Time) error
	// DeliveryCounts returns how many deliveries stand in each state, for metrics.
	DeliveryCounts(ctx context.Context) (map[State]int, error)
}
