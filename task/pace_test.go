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
		"nothing sent yet":                                      {task.DefaultPolicy(), task.PaceState{}, true, now, ""},
		"off waits for nothing":                                 {task.Policy{Off: true}, task.PaceState{NextSendAt: now.Add(time.Hour)}, true, now, ""},
		"the gap after the last message":                        {task.DefaultPolicy(), task.PaceState{NextSendAt: now.Add(5 * time.Second)}, false, now.Add(5 * time.Second), "pace"},
		"strangers wait after a pairing":                        {task.DefaultPolicy(), task.PaceState{PairedAt: ago(time.Minute)}, true, now.Add(time.Minute), "settling"},
		"friends do not":                                        {task.DefaultPolicy(), task.PaceState{PairedAt: ago(time.Minute)}, false, now, ""},
		"the minute is full":                                    {task.Policy{PerMinute: 2}, task.PaceState{Sends: []time.Time{ago(50 * time.Second), ago(20 * time.Second)}}, false, now.Add(10 * time.Second), "cap_minute"},
		"the day is full":                                       {task.Policy{PerDay: 1}, task.PaceState{Sends: []time.Time{ago(20 * time.Hour)}}, false, now.Add(4 * time.Hour), "cap_day"},
		"strangers of the day":                                  {task.Policy{ColdPerDay: 1}, task.PaceState{ColdSends: []time.Time{ago(20 * time.Hour)}}, true, now.Add(4 * time.Hour), "cap_cold_day"},
		"the first days are slower":                             {task.Policy{PerHour: 100, Ramp: []task.RampStep{{UntilDay: 2, PerHour: 1}}}, task.PaceState{PairedAt: ago(25 * time.Hour), Sends: []time.Time{ago(time.Minute)}}, false, now.Add(59 * time.Minute), "ramp"},
		"a day of the ramp ends before its limit frees a place": {task.Policy{Ramp: []task.RampStep{{UntilDay: 2, PerDay: 1}}}, task.PaceState{PairedAt: ago(47 * time.Hour), Sends: []time.Time{ago(time.Minute)}}, false, now.Add(time.Hour), "ramp"},
		"a ramp never allows more than the policy":              {task.Policy{PerHour: 1, Ramp: []task.RampStep{{UntilDay: 2, PerHour: 5}}}, task.PaceState{PairedAt: ago(time.Hour), Sends: []time.Time{ago(time.Minute)}}, false, now.Add(59 * time.Minute), "cap_hour"},
		"an old account has no ramp":                            {task.DefaultPolicy(), task.PaceState{Sends: times(now, 60)}, false, now, ""},
		"the longest wait is the reason":                        {task.Policy{PerHour: 1}, task.PaceState{NextSendAt: now.Add(time.Minute), Sends: []time.Time{ago(time.Minute)}}, false, now.Add(59 * time.Minute), "cap_hour"},
		"a wait that ends in the quiet hours goes on":           {task.Policy{QuietFrom: 13 * time.Hour, QuietTo: 15 * time.Hour}, task.PaceState{NextSendAt: now.Add(2 * time.Hour)}, false, now.Add(3 * time.Hour), "quiet_hours"},
		"later days are not":                                    {task.Policy{PerHour: 100, Ramp: []task.RampStep{{UntilDay: 2, PerHour: 1}}}, task.PaceState{PairedAt: ago(49 * time.Hour), Sends: []time.Time{ago(time.Minute)}}, false, now, ""},
		"quiet hours":                                           {task.Policy{QuietFrom: 11 * time.Hour, QuietTo: 13 * time.Hour}, task.PaceState{}, false, now.Add(time.Hour), "quiet_hours"},
		"quiet hours over midnight":                             {task.Policy{QuietFrom: 11 * time.Hour, QuietTo: 7 * time.Hour}, task.PaceState{}, false, now.Add(19 * time.Hour), "quiet_hours"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, reason := c.policy.Next(c.state, c.cold, time.Time{}, now)
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
		at, _ := policy.Next(state, true, time.Time{}, now)
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

// times are so many moments before now, a quarter of an hour apart, oldest first.
func times(now time.Time, n int) (times []time.Time) {
	for i := range n {
		times = append(times, now.Add(-time.Duration(n-i)*15*time.Minute))
	}
	return times
}

func TestQuietHoursGoByTheClockOnTheWall(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	policy := task.Policy{QuietFrom: 22 * time.Hour, QuietTo: 7 * time.Hour}
	for name, day := range map[string]int{"a day of 23 hours": 29, "a day of 24 hours": 30} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			end := time.Date(2026, 3, day, 7, 0, 0, 0, berlin)
			for _, now := range []time.Time{time.Date(2026, 3, day-1, 22, 0, 0, 0, berlin), time.Date(2026, 3, day, 6, 59, 0, 0, berlin)} {
				at, reason := policy.Next(task.PaceState{}, false, time.Time{}, now)
				require.True(t, end.Equal(at), at)
				require.Equal(t, "quiet_hours", reason)
			}
			at, _ := policy.Next(task.PaceState{}, false, time.Time{}, end)
			require.True(t, end.Equal(at))
		})
	}
}

func TestPaceRemembersOnlyWhatALimitLooksAt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	policy := task.Policy{PerMinute: 2, PerHour: 3, ColdPerDay: 1}
	half := func() float64 { return 0.5 }
	before := task.PaceState{}
	for i := range 10 {
		kept := len(before.Sends)
		after := policy.Sent(before, true, now.Add(time.Duration(i)*time.Second), half)
		require.Len(t, before.Sends, kept, "the state before is left as it is")
		before = after
	}
	require.Len(t, before.Sends, 3)
	require.Equal(t, now.Add(9*time.Second), before.Sends[2])
	require.Len(t, before.ColdSends, 1)
	before = policy.Sent(before, false, now.Add(48*time.Hour), half)
	require.Len(t, before.Sends, 1, "a day is as far as any limit looks")
	require.Empty(t, task.Policy{}.Sent(task.PaceState{}, true, now, half).Sends, "without limits there is nothing to remember")
	require.Equal(t, task.PaceState{NextSendAt: now}, task.Policy{Off: true}.Sent(task.PaceState{}, true, now, half))
}
