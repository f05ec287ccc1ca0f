package simulator

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is a disturbance: at what operation it strikes, what it does, whom it concerns and how often. [FaultKinds] lists the
// operations with what can be done at each. When several match, the one that was added first strikes.
type Fault struct {
	// ID names the fault; it is given by AddFaults.
	ID int `json:"id,omitempty"`
	// At is the operation: "connect", "login", "message", "iq:usync", "iq" for every request, and so on.
	At string `json:"at"`
	// Do is what happens: "delay", "drop", "error", and so on.
	Do string `json:"do"`
	// Account limits the fault to the clients of the account with this number. A client that has not logged in yet has none.
	Account string `json:"account,omitempty"`
	// Peer limits it to one other side: the recipient of a message, the author of a receipt. At iq:usync and iq:encrypt it
	// names the user whose part of the answer is changed.
	Peer string `json:"peer,omitempty"`
	// Device limits it to one device of the peer.
	Device *uint16 `json:"device,omitempty"`
	// Kind limits it to one kind of receipt ("delivered", "read" or "retry"), or to the frames of stanzas with this tag
	// ("message", "receipt", "ack", "iq", "notification", ...).
	Kind string `json:"kind,omitempty"`
	// Code is the HTTP status, the ack, iq or stream error, or the reason of a failed login.
	Code int `json:"code,omitempty"`
	// Message is the text that goes with a failed login; Ban (101 to 106) and Expire explain a 402.
	Message string   `json:"message,omitempty"`
	Ban     int      `json:"ban,omitempty"`
	Expire  Duration `json:"expire,omitempty"`
	// Delay is how much later it happens; at "clock", how far a time is ahead, or behind when it is negative.
	Delay Duration `json:"delay,omitempty"`
	// After lets so many matching operations pass before the first strike.
	After int `json:"after,omitempty"`
	// Times is how often the fault strikes; 0 means until it is removed.
	Times int `json:"times,omitempty"`
	// Hits counts the strikes.
	Hits int `json:"hits,omitempty"`
}

// faults holds what is to go wrong. Its lock is taken under any other and takes none.
type faults struct {
	mu   sync.Mutex
	all  []*Fault
	last int
	dice *dice // nil on a server that is not hostile
}

// moment is an operation that a fault may strike.
type moment struct {
	at      string
	account string // whose client
	peer    string
	device  uint16 // of the peer
	kind    string // of a receipt, or the tag of a frame's stanza
}

// AddFaults adds faults and returns them with their IDs. It adds none when one of them is not known.
func (s *Server) AddFaults(add ...Fault) ([]Fault, error) {
	for i := range add {
		if err := add[i].check(); err != nil {
			return nil, fmt.Errorf("fault %d: %w", i, err)
		}
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for i := range add {
		s.faults.last++
		add[i].ID, add[i].Hits = s.faults.last, 0
		kept := add[i]
		s.faults.all = append(s.faults.all, &kept)
	}
	return add, nil
}

// Faults returns the faults that were added and not removed, also those that have struck as often as they should.
func (s *Server) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	list := make([]Fault, len(s.faults.all))
	for i, f := range s.faults.all {
		list[i] = *f
	}
	return list
}

// RemoveFaults removes faults by ID, all of them when none is named.
func (s *Server) RemoveFaults(ids ...int) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	if len(ids) == 0 {
		s.faults.all = nil
		return
	}
	s.faults.all = slices.DeleteFunc(s.faults.all, func(f *Fault) bool { return slices.Contains(ids, f.ID) })
}

// check refuses a fault that no operation knows, so that a misspelt one does not pass for a calm server.
func (f *Fault) check() error {
	kind, ok := faultKind(f.At, f.Do)
	switch {
	case !ok:
		return fmt.Errorf("there is no %q at %q; FaultKinds and docs/simulator.md list what there is", f.Do, f.At)
	case kind.NeedsCode && (f.Code < 100 || f.Code > 999):
		return fmt.Errorf("%q at %q needs a code of three digits", f.Do, f.At)
	case f.Do != doClock && (f.Delay < 0 || f.Delay > Duration(time.Hour)):
		return fmt.Errorf("a delay lies between 0s and 1h")
	case f.After < 0 || f.Times < 0:
		return fmt.Errorf("after and times are not negative")
	}
	return nil
}

// meet returns the fault that strikes at a moment, if there is one: an added one, else one that the dice of a hostile
// server chose. It may be called under any lock.
func (s *Server) meet(m moment) (Fault, bool) {
	f, struck := s.faults.meet(m)
	if struck {
		s.count(func(c *Counters) { c.Faults[m.at+" "+f.Do]++ })
		s.note(Event{What: "fault", From: m.account, To: m.peer, Kind: m.at + " " + f.Do})
	}
	return f, struck
}

func (all *faults) meet(m moment) (Fault, bool) {
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, f := range all.all {
		if !f.concerns(m) || f.Times > 0 && f.Hits >= f.Times {
			continue
		}
		if f.After > 0 {
			f.After--
			continue
		}
		f.Hits++
		return *f, true
	}
	if all.dice == nil {
		return Fault{}, false
	}
	return all.dice.roll(m.at)
}

// concerns says whether a fault is about a moment.
func (f *Fault) concerns(m moment) bool {
	space, isRequest := strings.CutPrefix(m.at, "iq:")
	if f.At != m.at && (!isRequest || f.At != "iq") {
		return false
	}
	if f.Account != "" && f.Account != m.account || f.Kind != "" && f.Kind != m.kind {
		return false
	}
	if space == "usync" || space == "encrypt" {
		return true // the peer says whose part of the answer is changed
	}
	return (f.Peer == "" || f.Peer == m.peer) && (f.Device == nil || *f.Device == m.device)
}

// clock is the time the fault makes the server tell.
func (f *Fault) clock() int64 { return now() + int64(time.Duration(f.Delay).Seconds()) }

// spares says that the fault leaves this user's part of an answer alone.
func (f *Fault) spares(number string) bool { return f.Peer != "" && f.Peer != number }
