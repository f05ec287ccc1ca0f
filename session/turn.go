package session

import (
	"context"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/store"
)

// turn lets one step of a Signal session happen at a time. A step loads a session, moves its ratchet and saves it: two that
// begin with the same session use one message key twice, and the recipient drops the second message in silence.
//
// The library locks sends against each other, and decrypts in transactions. But it answers each retry receipt in a goroutine
// of its own, without a lock or a transaction: a load and a save that only follow one another. Such a step, and one with what
// is sent to the own phone alone, has the turn from the load to the save, or to the failure between the two; nothing in
// between waits for the network. Decryption has it for a transaction. Sends have it while they save, and begin again when a
// session moved after they had loaded it.
type turn struct {
	taken chan struct{} // holds one value while somebody has the turn

	mu      sync.Mutex
	address string // of a step that no transaction joins; empty for another
}

// turnPatience is how long the turn is waited for. A step takes milliseconds; one that ended in a way that was not seen must
// not stop the account.
const turnPatience = 5 * time.Second

func newTurn() *turn { return &turn{taken: make(chan struct{}, 1)} }

// take waits for the turn. The address is that of the session whose save ends it, empty for a transaction.
func (t *turn) take(ctx context.Context, address string) error {
	late := time.NewTimer(turnPatience)
	defer late.Stop()
	select {
	case t.taken <- struct{}{}:
	case <-late.C: // whoever had it has ended
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.address = address
	return nil
}

// give ends the turn.
func (t *turn) give() {
	t.mu.Lock()
	t.address = ""
	t.mu.Unlock()
	select {
	case <-t.taken:
	default:
	}
}

// ended ends the turn if it is that of a step with this session.
func (t *turn) ended(address string) {
	t.mu.Lock()
	ours := t.address == address
	t.mu.Unlock()
	if ours {
		t.give()
	}
}

// joined marks the context of a step in one transaction.
type joined struct{}

// isJoined tells whether a call of the key store belongs to a step that has the turn as a whole.
func isJoined(ctx context.Context) bool { return ctx.Value(joined{}) != nil }

// guardedBuffer gives the transactions in which the library decrypts the turn.
type guardedBuffer struct {
	store.EventBuffer
	turn *turn
}

// DoDecryptionTxn implements store.EventBuffer.
func (b guardedBuffer) DoDecryptionTxn(ctx context.Context, do func(context.Context) error) error {
	if isJoined(ctx) {
		return b.EventBuffer.DoDecryptionTxn(ctx, do)
	}
	if err := b.turn.take(ctx, ""); err != nil {
		return err
	}
	defer b.turn.give()
	return b.EventBuffer.DoDecryptionTxn(context.WithValue(ctx, joined{}, true), do)
}
