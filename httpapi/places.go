package httpapi

import (
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// shortMost is how much of a request anybody may send, in bytes: line and headers of nearly all there are.
	shortMost = 8 << 10
	// placesMost is how many longer ones come in at once. net/http holds up to four times the 1 MiB that each may have.
	placesMost = 8
	// silenceMost is how long one may send nothing while another waits for a place: more than most round trips take, and the
	// time after which TCP sends a lost packet anew.
	silenceMost = 250 * time.Millisecond
)

// places bounds how many long requests come in at once. The others wait, and the system holds what they sent.
//
// Where somebody waits, the request gives way of which nothing came for longest, and who came last is the next: so whoever
// sends without a break gets through beside any number of those who do not finish, and those cost no more memory than there
// are places.
type places struct {
	patience time.Duration // of who waits

	mu       sync.Mutex
	taken    map[*connection]*place
	waiting  []*waiter
	pressing bool // press runs, or will
}

// place is held until all of a request with a right token is here, another one is answered, or its reader has ended.
type place struct {
	heard   time.Time // when its reader came for more
	leaving bool      // it is closed, and its reader about to end
}

// waiter is a request that waits for a place.
type waiter struct {
	*connection
	placed chan struct{} // closed when it has one
}

func newPlaces(patience time.Duration) *places {
	return &places{patience: patience, taken: map[*connection]*place{}}
}

// noPlace ends a read that waited for a place for too long. To net/http it is one that took too long.
type noPlace struct{}

var _ net.Error = noPlace{}

func (noPlace) Error() string   { return "too many long requests come in at once" }
func (noPlace) Timeout() bool   { return true }
func (noPlace) Temporary() bool { return true }

// take waits for a place, or notes that more is to come of what has one. The error is noPlace, or os.ErrClosed for a connection
// that gave way meanwhile.
func (p *places) take(c *connection) error {
	w := p.ask(c)
	if w == nil {
		return nil
	}
	timer := time.NewTimer(p.patience)
	defer timer.Stop()
	var err error = noPlace{}
	select {
	case <-w.placed:
		return nil
	case <-c.gone:
		err = os.ErrClosed
	case <-timer.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = slices.DeleteFunc(p.waiting, func(other *waiter) bool { return other == w })
	return err
}

// ask returns nil for a connection that has a place now, and else how it waits for one.
func (p *places) ask(c *connection) *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if held := p.taken[c]; held != nil {
		held.heard = time.Now()
		return nil
	}
	if len(p.taken) < placesMost {
		p.taken[c] = &place{heard: time.Now()}
		return nil
	}
	w := &waiter{connection: c, placed: make(chan struct{})}
	p.waiting = append(p.waiting, w)
	if !p.pressing {
		p.pressing = true
		time.AfterFunc(0, p.press)
	}
	return w
}

// press has the most silent request give way, and comes again as long as somebody waits. Its place is free once its reader has
// ended, and holds nothing any more.
func (p *places) press() {
	p.mu.Lock()
	if p.pressing = len(p.waiting) > 0; !p.pressing {
		p.mu.Unlock()
		return
	}
	time.AfterFunc(silenceMost/(2*placesMost), p.press)
	var leaves *connection
	for c, held := range p.taken {
		if !held.leaving && time.Since(held.heard) >= silenceMost && (leaves == nil || held.heard.Before(p.taken[leaves].heard)) {
			leaves = c
		}
	}
	if leaves != nil {
		p.taken[leaves].leaving = true
	}
	p.mu.Unlock()
	if leaves != nil {
		leaves.giveWay()
	}
}

// leave gives the place of a connection, if it has one, to who came last of those that wait.
func (p *places) leave(c *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken[c] == nil {
		return
	}
	delete(p.taken, c)
	if last := len(p.waiting) - 1; last >= 0 {
		w := p.waiting[last]
		p.waiting = p.waiting[:last]
		p.taken[w.connection] = &place{heard: time.Now()}
		close(w.placed)
	}
}
