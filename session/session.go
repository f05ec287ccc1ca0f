// Package session is what we do with WhatsApp: one account's pairing, its connection, number checks and messages. It is the
// only package that uses whatsmeow's client; its exported names speak this program's words, never the library's types.
//
// It leaves to others what is durable (tasks, callbacks), how callers ask (HTTP), and what operators see. It does not know
// whether the other end is WhatsApp or the simulator: that is decided by what it is given to dial.
package session

import (
	"context"
	"fmt"
	"time"
)

// AccountID names one of the daemon's accounts. Everything durable is keyed by it.
type AccountID string

// DefaultAccount is the only account there is today.
const DefaultAccount AccountID = "default"

// Number is an international telephone number: ASCII digits only, no plus, no leading zero.
type Number string

// MessageID is WhatsApp's identifier of a message. It is made before the first try and reused by every retry, so that a
// recipient who gets a message twice shows it once.
type MessageID string

// State is where an account's connection stands. There is exactly one at any time.
type State string

// The states of an account.
const (
	Unpaired   State = "unpaired"    // no phone has linked this device yet
	Pairing    State = "pairing"     // a round of pairing codes is running
	Connecting State = "connecting"  // dialling or logging in
	Online     State = "online"      // logged in, and WhatsApp answered lately
	Degraded   State = "degraded"    // logged in, but an answer is overdue
	Backoff    State = "backoff"     // connection lost; the next dial waits
	Replaced   State = "replaced"    // another process connected with this device's keys
	Outdated   State = "outdated"    // WhatsApp refuses this version of the client
	TempBanned State = "temp_banned" // WhatsApp bans the account until Status.Until
	Locked     State = "locked"      // WhatsApp locked or banned the account
	LoggedOut  State = "logged_out"  // WhatsApp, the phone or an operator ended the link
)

// Status is one account's state, since when, and why.
type Status struct {
	Account    AccountID
	State      State
	Since      time.Time
	Reason     string        // stable code, such as "logged_out" or "session_replaced"; empty when there is nothing to say
	Detail     string        // the reason as a sentence for a person
	Until      time.Time     // end of a temporary ban, or of a backoff; zero when unknown
	Number     Number        // the paired account's own number; empty when not paired
	LID        string        // the paired account's LID; empty when unknown
	Last       Number        // the number that was paired or confirmed last, also after a log-out; empty when there was none
	Confirm    bool          // another number than before was paired, and no operator has confirmed it yet
	LastAnswer time.Time     // when WhatsApp last answered anything
	RoundTrip  time.Duration // the last measured round trip; zero before the first
	PhoneSeen  time.Time     // when the account's phone last showed that it is there; zero for unknown
	Reachout   time.Time     // WhatsApp takes no first messages to strangers before; zero for no lock
	Quota      Quota         // of chats with strangers, as WhatsApp told last
}

// Paired reports whether the account holds a link to a phone, online or not.
func (s Status) Paired() bool { return s.Number != "" }

// PairingState is where a pairing round stands.
type PairingState string

// The states of a pairing round.
const (
	PairingIdle        PairingState = "idle"             // no round has run since the start
	PairingStarting    PairingState = "starting"         // dialling; no code yet
	PairingWaiting     PairingState = "waiting_scan"     // a code is live until PairingRound.ExpiresAt
	PairingPasskey     PairingState = "passkey_required" // a phone scanned the code, and WhatsApp wants the account's passkey
	PairingPasskeyCode PairingState = "passkey_confirm"  // WhatsApp took the passkey; PasskeyCode is to be compared with the phone's
	PairingConfirm     PairingState = "confirming"       // a phone scanned the code; the first login is on its way
	PairingPaired      PairingState = "paired"           // done
	PairingExpired     PairingState = "expired"          // all codes ran out unscanned
	PairingRefused     PairingState = "refused"          // WhatsApp or our own checks refused; see Reason
	PairingStopped     PairingState = "stopped"          // ended by a log-out or by the daemon's stop
)

// PairingRound is the resource that terminal, Slack and API show: one series of codes, from its first to its end.
type PairingRound struct {
	Account      AccountID
	Round        int // counts up from 1 within this process; 0 before the first
	State        PairingState
	Code         string    // the text a phone scans; only while State is PairingWaiting. A login credential: never log it
	ExpiresAt    time.Time // when Code stops working
	PhoneCode    string    // the code to type on the phone, while State is PairingWaiting and somebody asked. A credential too
	PhoneCodeFor Number    // the phone it is for
	Passkey      string    // WhatsApp's challenge as JSON (PublicKeyCredentialRequestOptions), while State is PairingPasskey
	PasskeyCode  string    // to be compared with what the phone shows, while State is PairingPasskeyCode; empty: nothing to do
	CodeIndex    int       // 1 for the first code of the round
	CodeCount    int       // how many codes the round has
	Reason       string    // stable code of why it ended, such as "pair_expired" or "pair_bad_identity"
	Detail       string    // the reason as a sentence
	StartedAt    time.Time
	Number       Number // the number that was paired, when State is PairingPaired
}

// Live reports whether the round has neither succeeded nor ended.
func (p PairingRound) Live() bool {
	switch p.State {
	case PairingStarting, PairingWaiting, PairingPasskey, PairingPasskeyCode, PairingConfirm:
		return true
	}
	return false
}

// Event is something the account has to tell: StatusChanged, PairingChanged, Settled, MessageReceived, MessageConfirmed or
// Notice.
type Event interface{ event() }

// StatusChanged comes once for every real change of an account's state, reason or number.
type StatusChanged struct {
	Status Status
	Again  bool // it was told before: by an earlier run of the daemon, or it is a ban that was met once more
}

// PairingChanged comes for every step of a pairing round: start, each code, scan, end.
type PairingChanged struct{ Round PairingRound }

// Settled comes after a pairing, once, when all that the phone shares with a device it just linked is here: the history as far as
// it is read, and the app state. It does not come when something of it was lost, or when the daemon was restarted meanwhile.
type Settled struct{ Account AccountID }

// MessageReceived comes for each text a contact wrote to the account. The message is acknowledged to WhatsApp only after
// the observer returned nil.
type MessageReceived struct {
	Account AccountID
	ID      MessageID
	ReplyTo MessageID // the message that it quotes; empty for none
	From    Number    // empty when WhatsApp told only the LID
	LID     string    // empty when WhatsApp told only the number
	Device  uint16    // 0 is the contact's phone
	Text    string
	At      time.Time
}

// MessageConfirmed comes for each receipt of a contact's device for messages of ours. It is acknowledged to WhatsApp only
// after the observer returned nil.
type MessageConfirmed struct {
	Account AccountID
	IDs     []MessageID
	Kind    ConfirmationKind
	Device  uint16 // 0 is the contact's phone
	At      time.Time
}

// ConfirmationKind is what a contact's device says of a message.
type ConfirmationKind string

// The kinds of confirmation.
const (
	ConfirmDelivered ConfirmationKind = "delivered"   // the device has it
	ConfirmRead      ConfirmationKind = "read"        // it was read or played
	ConfirmAskAgain  ConfirmationKind = "asked_again" // the device could not open it and was sent it again
)

func (Settled) event()          {}
func (MessageConfirmed) event() {}
func (StatusChanged) event()    {}
func (PairingChanged) event()   {}
func (MessageReceived) event()  {}

// Verdict is what WhatsApp said about a number.
type Verdict string

// The verdicts on a number. Unknown is never to be told as "not registered".
const (
	Registered    Verdict = "registered"
	NotRegistered Verdict = "not_registered"
	Unknown       Verdict = "unknown" // no answer, or none about this number
)

// Checked is the answer about one number.
type Checked struct {
	Number    Number // as asked
	Verdict   Verdict
	Canonical Number // the account's number as WhatsApp writes it; may differ from Number by a digit
	LID       string // empty when WhatsApp told none
	At        time.Time
	FromCache bool // the answer was kept from an earlier query
}

// Message is a text for one recipient, who is named by number or by LID.
type Message struct {
	ID   MessageID
	To   Number
	LID  string // counts when To is empty: such as that of a contact who wrote without a number
	Text string

	Stranger bool // neither side ever wrote to the other: see CodeReachoutLocked
}

// Sent is what a send found out. When it succeeded, WhatsApp's server took the message with a copy for the recipient's phone
// in it; when it failed, it holds what was learnt before.
type Sent struct {
	ID  MessageID
	To  Number    // the recipient's number as WhatsApp writes it; empty when it was not looked up
	LID string    // the recipient's other address; empty when unknown
	At  time.Time // the server's time; zero when it did not take the message

	Checked   time.Time // when the number was looked up
	FromCache bool      // an answer of an earlier query was good enough
	Encrypted time.Time // when the recipient's phone got its copy; zero when it did not
	Written   time.Time // when the message was handed to the connection, the last time
	Acked     time.Time // when the server's answer came

	Resent       int  // how often it was sent once more within this send
	Rebuilt      bool // the Signal session with the recipient was made anew
	OtherDevices bool // WhatsApp knew other devices of the two sides than we did: one of them may have no copy
}

// Retry says what a failure means for the work that met it.
type Retry string

// The kinds of failure.
const (
	RetryNever  Retry = "never"  // final
	RetryLater  Retry = "later"  // try again, under the same message ID; it counts as an attempt
	RetryOnce   Retry = "once"   // try again as for RetryLater, a single time
	RetryPace   Retry = "pace"   // try again after Error.After; neither the attempt nor the time until then counts
	RetryOnline Retry = "online" // try again once the account is online; it does not count as an attempt
)

// Error is a failure with a stable code, as listed in docs/errors.md.
type Error struct {
	Code      string // such as "rate_limited", "network_uncertain", "rejected_403", "wa_499"
	Retry     Retry
	After     time.Duration // wait at least so long before the next try; zero when there is no opinion
	Uncertain bool          // the message may have reached WhatsApp: repeat it only under the same ID
	WACode    int           // WhatsApp's own number, 0 when there is none
	Hint      string        // what the reader can do
	Err       error         // the cause
}

// Error implements error.
func (e *Error) Error() string {
	switch {
	case e.Err != nil && e.Hint != "":
		return fmt.Sprintf("%s: %v (%s)", e.Code, e.Err, e.Hint)
	case e.Err != nil:
		return fmt.Sprintf("%s: %v", e.Code, e.Err)
	case e.Hint != "":
		return fmt.Sprintf("%s: %s", e.Code, e.Hint)
	}
	return e.Code
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Keeper is what an account needs kept beyond WhatsApp's own keys: answers about numbers, and facts about itself. The store
// implements it.
type Keeper interface {
	// CheckedNumbers returns the kept answers about these numbers, whatever their age; a number never asked is missing.
	CheckedNumbers(ctx context.Context, account AccountID, numbers []Number) (map[Number]Checked, error)
	// KeepChecked keeps answers. Unknown is never kept.
	KeepChecked(ctx context.Context, account AccountID, answers []Checked) error
	// CheckTimes returns when the kept answers since a time were given, oldest first.
	CheckTimes(ctx context.Context, account AccountID, since time.Time) ([]time.Time, error)
	// Facts returns what is kept about the account; the zero value when nothing is.
	Facts(ctx context.Context, account AccountID) (Facts, error)
	// KeepFacts replaces what is kept about the account.
	KeepFacts(ctx context.Context, account AccountID, facts Facts) error
}

// Facts is what must be known about an account after a restart, and after whatsmeow deleted its device.
type Facts struct {
	Number    Number    // the last number an operator paired or confirmed; tasks belong to it
	PairedAt  time.Time // when the present link was made
	EndState  State     // LoggedOut, Locked, Outdated, TempBanned or Replaced when WhatsApp ended the session; empty otherwise
	EndReason string    // stable code, stored before the library deletes anything
	EndDetail string
	EndedAt   time.Time // when that was, for a ban when it was met first; zero while a log-out of our own is only asked for
	EndUntil  time.Time // end of a temporary ban
	ByUs      bool      // the end was our own log-out: no pairing round starts by itself

	PhoneSeen   time.Time   // when the phone last showed that it is there; zero for unknown
	PhoneWarned int         // how many days it was unseen when an operator was told last; 0 for not
	Pairings    []time.Time // links made within the last day, oldest first
	ReachoutEnd time.Time   // WhatsApp takes no first messages to strangers before; zero for no lock
	Quota       Quota       // as WhatsApp told last
}
