package httpapi

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestManyWrongTokensAreSlowedAndToldOnce(t *testing.T) {
	t.Parallel()
	var g guesses
	now := time.Now()
	for range guessesFree {
		late, first := g.note("192.0.2.7:1000", now)
		require.False(t, late)
		require.False(t, first)
	}
	for i := range 3 {
		late, first := g.note(fmt.Sprintf("192.0.2.7:%d", 2000+i), now)
		require.True(t, late)
		require.Equal(t, i == 0, first)
	}
	late, _ := g.note("192.0.2.8:1000", now)
	require.False(t, late, "another address")
	late, _ = g.note("192.0.2.7:1000", now.Add(guessSpan))
	require.False(t, late, "it is forgotten in time")
}

func TestOneAddressIsWhatOneCallerHas(t *testing.T) {
	t.Parallel()
	require.Equal(t, source("192.0.2.7:1"), source("[::ffff:192.0.2.7]:2"))
	require.Equal(t, source("[2001:db8::1]:1"), source("[2001:db8::ffff]:1"))
	require.NotEqual(t, source("[2001:db8::1]:1"), source("[2001:db8:0:1::1]:1"))
	require.Equal(t, source("nonsense"), source(""))
}

func TestGuessersDoNotFillTheMemory(t *testing.T) {
	t.Parallel()
	var g guesses
	now := time.Now()
	for i := range 3 * guessersMost {
		g.note(fmt.Sprintf("[2001:db8:%x:%x::1]:1", i>>16, i&0xffff), now)
		require.LessOrEqual(t, len(g.wrong), guessersMost)
	}
}
