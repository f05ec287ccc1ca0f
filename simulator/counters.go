package simulator

import (
	"fmt"
	"maps"
	"sync"
)

// maxProblems bounds the texts kept in [Counters.Problems]; later ones are logged only.
const maxProblems = 200

// Counters says what happened since the server was made. Tests assert on it: in a calm scenario Unhandled and Problems are
// empty and the failures are 0.
type Counters struct {
	Connections int `json:"connections"` // finished handshakes
	Logins      int `json:"logins"`
	Refused     int `json:"refused"` // logins answered with a failure
	Pairings    int `json:"pairings"`

	Messages          int `json:"messages"`      // accepted from clients
	DuplicateIDs      int `json:"duplicate_ids"` // an id seen twice from one device
	Acks              int `json:"acks"`          // of messages, to clients
	AckErrors         int `json:"ack_errors"`
	Decrypted         int `json:"decrypted"` // by virtual devices
	DecryptFailed     int `json:"decrypt_failed"`
	UnopenedRepeats   int `json:"unopened_repeats"` // copies that could not be opened, of messages that are shown
	Replayed          int `json:"replayed"`         // a spent counter: dropped, as apps do
	OwnCopies         int `json:"own_copies"`       // copies of a client's message for its own account
	PreKeyMessages    int `json:"pkmsg"`
	SessionMessages   int `json:"msg"`
	MissingDevices    int `json:"missing_devices"`   // devices of the recipient a message had no copy for
	NoRecipientCopy   int `json:"no_recipient_copy"` // messages without any copy for the recipient
	BadDeviceIdentity int `json:"bad_device_identity"`
	ReceiptsIn        int `json:"receipts_in"` // from clients
	ReceiptsOut       int `json:"receipts_out"`
	RetryReceipts     int `json:"retry_receipts"` // from clients

	Forgotten    int `json:"forgotten"` // stanzas for a client that was away for too long
	Uploads      int `json:"uploads"`   // of files, by clients
	Downloads    int `json:"downloads"`
	MediaDeleted int `json:"media_deleted"`

	Bundles      int `json:"bundles"` // prekey bundles handed out
	UsyncQueries int `json:"usync_queries"`
	UsyncUsers   int `json:"usync_users"`

	Faults    map[string]int `json:"faults"`    // strikes, by operation and what was done
	IQs       map[string]int `json:"iqs"`       // requests by namespace, type and child
	Noted     map[string]int `json:"noted"`     // stanzas taken without an answer: ib, presence, chatstate, notification
	Unhandled map[string]int `json:"unhandled"` // requests and stanzas the simulator does not know
	Problems  []string       `json:"problems"`  // what a client did that the real server would not accept
}

// ledger holds the counters under their own lock.
type ledger struct {
	mu sync.Mutex
	c  Counters
}

// count changes the counters. It may be called under any other lock.
func (s *Server) count(change func(*Counters)) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	c := &s.ledger.c
	if c.IQs == nil {
		c.IQs, c.Noted, c.Unhandled, c.Faults = map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	}
	change(c)
}

// problem records something a client did that the real server would not accept. No secrets and no message text in it.
func (s *Server) problem(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.log.Warn("client misbehaved", "problem", text)
	s.count(func(c *Counters) {
		if len(c.Problems) < maxProblems {
			c.Problems = append(c.Problems, text)
		}
	})
}

// unhandled records a stanza the simulator does not know, by name.
func (s *Server) unhandled(kind string) {
	s.log.Warn("stanza not known", "kind", kind)
	s.count(func(c *Counters) { c.Unhandled[kind]++ })
}

// Counters returns a copy of the counters.
func (s *Server) Counters() Counters {
	var copied Counters
	s.count(func(c *Counters) {
		copied = *c
		copied.IQs, copied.Noted = maps.Clone(c.IQs), maps.Clone(c.Noted)
		copied.Unhandled, copied.Faults = maps.Clone(c.Unhandled), maps.Clone(c.Faults)
		copied.Problems = append([]string{}, c.Problems...)
	})
	return copied
}
