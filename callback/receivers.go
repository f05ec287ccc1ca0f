package callback

import (
	"maps"
	"slices"
	"sync"
)

// remembered is how many receivers are remembered while nothing is on its way to them.
const remembered = 1000

// Room is how many more deliveries may be taken.
type Room struct {
	All  int            // together
	Each map[string]int // to each destination, as Destination returns it; one to a destination that is not named
}

// Full lists the destinations for which there is no room.
func (r Room) Full() []string {
	full := []string{}
	for _, destination := range slices.Sorted(maps.Keys(r.Each)) {
		if r.Each[destination] <= 0 {
			full = append(full, destination)
		}
	}
	return full
}

// Take says whether there is room for one more delivery to a destination, and takes it.
func (r *Room) Take(destination string) bool {
	if r.Each == nil {
		r.Each = map[string]int{}
	}
	left, named := r.Each[destination]
	if !named {
		left = 1
	}
	if left <= 0 {
		return false
	}
	r.Each[destination] = left - 1
	return true
}

// receivers shares the attempts among the destinations, so that those who answer wait for none of those who do not: a
// destination has its few at once while it answers, and one while it is silent or not known yet. The silent ones together have
// half of all places.
type receivers struct {
	places int // attempts at once
	each   int // of them to one destination that answers

	mu    sync.Mutex
	known map[string]*receiver
	busy  int // attempts on their way
}

// receiver is what is known of a destination. Before its first attempt has ended it neither answers nor is silent.
type receiver struct {
	busy    int  // attempts on their way
	answers bool // the last attempt that ended got an answer, of whatever status
	silent  bool // it got none
}

// room says how many attempts may start now.
func (r *receivers) room() Room {
	r.mu.Lock()
	defer r.mu.Unlock()
	room := Room{All: r.places - r.busy, Each: map[string]int{}}
	trials := r.places / 2
	for _, one := range r.known {
		if one.silent {
			trials -= one.busy
		}
	}
	for destination, one := range r.known { // in no order: where there are too many silent ones, chance takes turns
		switch {
		case one.answers:
			room.Each[destination] = r.each - one.busy
		case !one.silent:
			room.Each[destination] = 1 - one.busy
		case one.busy == 0 && trials > 0:
			room.Each[destination] = 1
			trials--
		default:
			room.Each[destination] = 0
		}
	}
	return room
}

// begin counts an attempt that starts.
func (r *receivers) begin(destination string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[destination] == nil {
		r.known[destination] = &receiver{}
	}
	r.known[destination].busy++
	r.busy++
}

// end counts an attempt that has ended, and says whether its receiver fell silent with it, or answers again.
func (r *receivers) end(destination string, answered bool) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy--
	one := r.known[destination]
	changed = one.silent == answered
	one.busy, one.answers, one.silent = one.busy-1, answered, !answered
	if one.busy == 0 && len(r.known) > remembered {
		delete(r.known, destination) // it is not known then, which costs it little
	}
	return changed
}

// Counts is what is on its way, and to whom.
type Counts struct {
	Attempts int // on their way
	Silent   int // receivers whose last attempt got no answer
}

func (r *receivers) counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := Counts{Attempts: r.busy}
	for _, one := range r.known {
		if one.silent {
			counts.Silent++
		}
	}
	return counts
}
