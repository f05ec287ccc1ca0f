package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/simulator"
)

func TestComplaintsNameWhatIsWrong(t *testing.T) {
	t.Parallel()
	require.Empty(t, complaints(simulator.Counters{Messages: 3, Decrypted: 6, RetryReceipts: 1}))
	require.ElementsMatch(t, []string{"not known: iq made-up, 2 times", "problem: receipt before login", "decrypt_failed: 1", "no_recipient_copy: 4"},
		complaints(simulator.Counters{
			Unhandled:     map[string]int{"iq made-up": 2},
			Problems:      []string{"receipt before login"},
			DecryptFailed: 1, NoRecipientCopy: 4,
		}))
}
