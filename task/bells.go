package task

import (
	"context"
	"sync"
)

// bells wake the queues of a lane, and know which of them rest.
type bells struct {
	rung map[Class]chan struct{} // each holds one value: look again

	mu     sync.Mutex
	awake  map[Class]bool // rung, or at work
	quiet  chan struct{}  // closed while all rest
	asked  bool           // a pairing was asked for since checks and messages rested together
	atRest bool
}

// newBells makes a bell for each class. All queues count as awake until they have looked for work once.
func newBells(classes ...Class) *bells {
	b := &bells{rung: map[Class]chan struct{}{}, awake: map[Class]bool{}, quiet: make(chan struct{})}
	for _, class := range classes {
		b.rung[class] = make(chan struct{}, 1)
		b.awake[class] = true
	}
	return b
}

// ring makes queues look for work. It never blocks.
func (b *bells) ring(classes ...Class) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, class := range classes {
		b.rouse(class)
		select {
		case b.rung[class] <- struct{}{}:
		default:
		}
	}
}

// woke notes that a queue looks for work without having been rung.
func (b *bells) woke(class Class) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rouse(class)
}

func (b *bells) rouse(class Class) {
	b.awake[class] = true
	if b.atRest {
		b.atRest = false
		b.quiet = make(chan struct{})
	}
}

// rest notes that a queue found nothing to do, unless its bell has been rung since.
func (b *bells) rest(class Class) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.rung[class]) > 0 {
		return
	}
	b.awake[class] = false
	if !b.awake[ClassMessage] && !b.awake[ClassCheck] {
		b.asked = false
	}
	for _, awake := range b.awake {
		if awake {
			return
		}
	}
	if !b.atRest {
		b.atRest = true
		close(b.quiet)
	}
}

// rests tells whether a queue found nothing to do and was not rung since.
func (b *bells) rests(class Class) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.awake[class]
}

// firstToAsk is true once until checks and messages have rested together: many tasks that meet an account without a phone ask
// for a pairing once.
func (b *bells) firstToAsk() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := !b.asked
	b.asked = true
	return first
}

// idle waits until all queues rest.
func (b *bells) idle(ctx context.Context) error {
	b.mu.Lock()
	quiet := b.quiet
	b.mu.Unlock()
	select {
	case <-quiet:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
