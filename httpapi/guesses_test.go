package httpapi

import (
	"fmt"
	"slices"
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

func TestTheTimeOfARefusalTellsNothingOfTheTokens(t *testing.T) {
	t.Parallel()
	known := hashTokens([]string{"token-of-at-least-twenty-characters", "another-token-of-that-many-letters!"})
	shown := []string{ // all of one length: how long one's own token is, one knows
		"token-of-at-least-twenty-character!", "another-token-of-that-many-letters?", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "token-of-at-least-twenty-characters",
	}
	const rounds = 20_000
	took := make([][]time.Duration, len(shown))
	for range rounds {
		for i, token := range shown { // in turn, so that a busy machine treats all alike
			begun := time.Now()
			_, ok := known.match(token)
			took[i] = append(took[i], time.Since(begun))
			require.Equal(t, i == 3, ok)
		}
	}
	middle := func(all []time.Duration) time.Duration {
		slices.Sort(all)
		return all[len(all)/2]
	}
	for i := range shown {
		require.InDelta(t, middle(took[2]), middle(took[i]), float64(5*time.Microsecond), shown[i])
	}
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
