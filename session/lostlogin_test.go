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
