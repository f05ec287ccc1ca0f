package task_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

func TestPaceSaysWhenAndWhy(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, c := range map[string]struct {
		policy task.Policy
		state  task.PaceState
		cold   bool
		at     time.Time
		reason string
	}{
		"nothing sent yet":               {task.DefaultPolicy(), task.PaceState{}, true, now, ""},
		"off waits for nothing":          {task.Policy{Off: true}, task.PaceState{NextSendAt: now.Add(time.Hour)}, true, now, ""},
		"the gap after the last message": {task.DefaultPolicy(), task.PaceState{NextSendAt: now.Add(5 * time.Second)}, false, now.Add(5 * time.Second), "pace"},
		"strangers wait after a pairing": {task.DefaultPolicy(), task.PaceState{PairedAt: ago(time.Minute)}, true, now.Add(time.Minute), "settling"},
		"friends do not":                 {task.DefaultPolicy(), task.PaceState{PairedAt: ago(time.Minute)}, false, now, ""},
		"the minute is full":             {task.Policy{PerMinute: 2}, task.PaceState{Sends: []time.Time{ago(50 * time.Second), ago(20 * time.Second)}}, false, now.Add(10 * time.Second), "cap_minute"},
		"the day is full":                {task.Policy{PerDay: 1}, task.PaceState{Sends: []time.Time{ago(20 * time.Hour)}}, false, now.Add(4 * time.Hour), "cap_day"},
		"strangers of the day":           {task.Policy{ColdPerDay: 1}, task.PaceState{ColdSends: []time.Time{ago(20 * time.Hour)}}, true, now.Add(4 * time.Hour), "cap_cold_day"},
		"the first days are slower":      {task.Policy{PerHour: 100, Ramp: []task.RampStep{{UntilDay: 2, PerHour: 1}}}, task.PaceState{PairedAt: ago(25 * time.Hour), Sends: []time.Time{ago(time.Minute)}}, false, now.Add(59 * time.Minute), "cap_hour"},
		"later days are not":             {task.Policy{PerHour: 100, Ramp: []task.RampStep{{UntilDay: 2, PerHour: 1}}}, task.PaceState{PairedAt: ago(49 * time.Hour), Sends: []time.Time{ago(time.Minute)}}, false, now, ""},
		"quiet hours":                    {task.Policy{QuietFrom: 11 * time.Hour, QuietTo: 13 * time.Hour}, task.PaceState{}, false, now.Add(time.Hour), "quiet_hours"},
		"quiet hours over midnight":      {task.Policy{QuietFrom: 11 * time.Hour, QuietTo: 7 * time.Hour}, task.PaceState{}, false, now.Add(19 * time.Hour), "quiet_hours"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, reason := c.policy.Next(c.state, c.cold, now)
			require.Equal(t, c.at, at)
			require.Equal(t, c.reason, reason)
		})
	}
}

func TestDefaultPaceKeepsWithinItsEnvelope(t *testing.T) {
	t.Parallel()
	policy := task.DefaultPolicy()
	random := rand.New(rand.NewPCG(1, 2))
	paired := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	state, now := task.PaceState{PairedAt: paired}, paired
	var sends []time.Time
	for range 500 {
		at, _ := policy.Next(state, true, now)
		sends = append(sends, at)
		state, now = policy.Sent(state, true, at, random.Float64), at
	}
	require.False(t, sends[0].Before(paired.Add(2*time.Minute)), "strangers wait until the account has settled")
	within := func(window time.Duration, until int) (most int) {
		for i := range sends {
			for j := i; j < len(sends) && sends[j].Sub(sends[i]) < window && (until == 0 || sends[j].Before(paired.Add(time.Duration(until)*24*time.Hour))); j++ {
				most = max(most, j-i+1)
			}
		}
		return most
	}
	require.LessOrEqual(t, within(time.Minute, 0), 10)
	require.LessOrEqual(t, within(time.Hour, 2), 20, "the first two days")
	require.LessOrEqual(t, within(24*time.Hour, 2), 50, "the first two days")
	require.LessOrEqual(t, within(24*time.Hour, 0), 200, "strangers in a day")
	for i := range len(sends) - 1 {
		require.GreaterOrEqual(t, sends[i+1].Sub(sends[i]), 6*time.Second, fmt.Sprint("gap ", i))
	}
}
