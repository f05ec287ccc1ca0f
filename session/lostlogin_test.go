//go:build !race

// The protocol library races with itself when the other side closes a connection in the very instant in which it is closed
// here: its Disconnect clears a callback that the reader of the socket is about to call. Nothing of ours is part of it, so
// this scenario, which is made of such closes, runs without the race detector.

package session_test

import (
	"fmt"
	"testing"

	"whatsappd/simulator"
)

func TestALostRequestToLogInIsMadeUpFor(t *testing.T) {
	t.Parallel()
	for i := range 6 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Options{CloseGrace: -1})
			w.pair()
		})
	}
}
