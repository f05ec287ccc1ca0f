package task

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRetries(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		attempt int
		atLeast time.Duration
		random  float64
		left    time.Duration
		pause   time.Duration
		ok      bool
	}{
		"the first pause is short":                  {1, 0, 0.5, time.Hour, 2 * time.Second, true},
		"pauses grow":                               {3, 0, 0.5, time.Hour, 15 * time.Second, true},
		"but not for ever":                          {40, 0, 0.5, time.Hour, 2 * time.Minute, true},
		"an attempt that was not counted is first":  {0, 0, 0.5, time.Hour, 2 * time.Second, true},
		"a pause is up to a fifth shorter":          {2, 0, 0, time.Hour, 4 * time.Second, true},
		"or longer":                                 {2, 0, 1, time.Hour, 6 * time.Second, true},
		"the failure may ask for more":              {1, time.Minute, 0.5, time.Hour, time.Minute, true},
		"the failure cannot ask for less":           {4, time.Second, 0.5, time.Hour, 30 * time.Second, true},
		"nothing is tried at the end of the age":    {1, 0, 0.5, 2 * time.Second, 2 * time.Second, false},
		"nor after it, whoever wants the long wait": {1, time.Hour, 0.5, time.Minute, time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, ok := retryAt(c.attempt, now, c.atLeast, now.Add(c.left), c.random)
			require.InDelta(t, c.pause, at.Sub(now), float64(time.Microsecond))
			require.Equal(t, c.ok, ok)
		})
	}
}

func TestBatchesShrinkWithFailuresAndGrowAgainSlowly(t *testing.T) {
	t.Parallel()
	b := batch{size: 40, most: 40}
	good, bad, away := []Outcome{Later("x", "", 0), Succeed(Yes)}, []Outcome{Later("x", "", 0)}, []Outcome{Offline("x", "")}
	b.learn(bad)
	require.Equal(t, 40, b.size, "one failure is nothing")
	b.learn(good)
	b.learn(bad)
	require.Equal(t, 40, b.size, "nor are two that are not in a row")
	b.learn(bad)
	require.Equal(t, 20, b.size)
	b.learn(away)
	require.Equal(t, 20, b.size, "an absent account says nothing about numbers")
	b.learn(good)
	b.learn(bad)
	require.Equal(t, 10, b.size, "a smaller call that fails is halved at once")
	for range 10 {
		b.learn(bad)
	}
	require.Equal(t, 1, b.size)
	for range 7 {
		b.learn(good)
	}
	require.Equal(t, 1, b.size)
	b.learn(good)
	require.Equal(t, 2, b.size)
	for range 100 {
		b.learn(good)
	}
	require.Equal(t, 40, b.size)
}

func TestAbsencePausesGrowUpToTheSafetyTick(t *testing.T) {
	t.Parallel()
	for times, want := range []time.Duration{1, 1, 2, 4, 8, 16, 30, 30} {
		require.Equal(t, want*time.Second, absencePause(times))
	}
}
