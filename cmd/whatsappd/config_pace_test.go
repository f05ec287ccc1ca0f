package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

func TestThePaceOfTheSettingsIsTheLanes(t *testing.T) {
	t.Parallel()
	require.Equal(t, task.DefaultPolicy(), defaultConfig().Pace.policy(), "nothing is lost on the way")

	cfg, err := loadConfig("", map[string]string{
		"pace.off": "true", "pace.per_day": "7", "pace.cold_per_day": "6", "pace.same_text": "0", "pace.same_text_block": "true", "pace.settle": "1h", "pace.warm_gap_max": "1m",
		"pace.quiet_from": "22:30", "pace.quiet_to": "07:00",
	}, nil, files{}.read)
	require.NoError(t, err)
	p := cfg.Pace.policy()
	require.True(t, p.Off)
	require.Equal(t, 7, p.PerDay)
	require.Equal(t, 6, p.ColdPerDay)
	require.Zero(t, p.SameText)
	require.True(t, p.SameTextBlock)
	require.Equal(t, time.Hour, p.Settle)
	require.Equal(t, time.Minute, p.WarmGapMax)
	require.Equal(t, 22*time.Hour+30*time.Minute, p.QuietFrom)
	require.Equal(t, 7*time.Hour, p.QuietTo)
	require.Equal(t, "22:30", timeOfDay(p.QuietFrom))
}
