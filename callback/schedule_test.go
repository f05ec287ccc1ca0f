package callback

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTenAttemptsOverAboutADay(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	now := begin
	for attempt := 1; attempt < attempts; attempt++ {
		for jitter, factor := range map[float64]float64{0: 0.8, 0.5: 1, 1: 1.2} {
			at, again := next(attempt, now, 0, func() float64 { return jitter })
			require.True(t, again)
			require.InDelta(t, factor*pauses()[attempt-1].Seconds(), at.Sub(now).Seconds(), 0.001)
		}
		now, _ = next(attempt, now, 0, func() float64 { return 0.5 })
	}
	_, again := next(attempts, now, 0, func() float64 { return 0 })
	require.False(t, again)
	require.InDelta(t, 28, now.Sub(begin).Hours(), 1)
}

func TestReceiversCanAskForTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                              0,
		"120":                           2 * time.Minute,
		"-5":                            0,
		"soon":                          0,
		"Mon, 04 May 2026 12:10:00 GMT": 10 * time.Minute,
		"Mon, 04 May 2026 11:00:00 GMT": 0,
	} {
		require.Equal(t, want, retryAfter(http.Header{"Retry-After": {text}}, now), text)
	}
	at, _ := next(1, now, 2*time.Minute, func() float64 { return 0 })
	require.Equal(t, now.Add(2*time.Minute), at)
	at, _ = next(1, now, 100*time.Hour, func() float64 { return 0 })
	require.Equal(t, now.Add(6*time.Hour), at, "not for ever")
}
