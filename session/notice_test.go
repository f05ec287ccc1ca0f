package session

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types/events"
)

func TestAChangeThatCouldNotBeKeptIsKeptOnceItCan(t *testing.T) {
	t.Parallel()
	runBench(t, Facts{}, func(t *testing.T, b *bench) {
		b.slow()
		set := func(full bool) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.full = full
		}
		set(true)
		b.wire.says(&events.NotifyAccountReachoutTimelock{IsActive: true})
		for range 60 {
			b.pass(time.Second)
			require.NoError(t, b.a.ask(t.Context(), func(context.Context, *owner) error { return nil })) // a busy account
		}
		require.False(t, b.a.Status().Reachout.IsZero(), "it holds all the same")
		require.Equal(t, []string{NoticeLocked}, b.notices())
		require.Empty(t, b.news)
		require.InDelta(t, 5, b.refused, 1, "tried again each quarter of a minute")
		set(false)
		b.pass(20 * time.Second)
		require.Len(t, b.news, 1)
		require.Equal(t, NoticeLocked, b.news[0].Code)
		require.False(t, b.facts.ReachoutEnd.IsZero())
		b.pass(10 * time.Minute)
		require.Len(t, b.news, 1)
		require.Equal(t, []string{NoticeLocked}, b.notices())
	})
}

func TestWhatIsNewsAboutAnAccount(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_700_000_000_000).UTC()
	later := at.Add(time.Hour)
	end := func(state State, ended, until time.Time) Facts {
		return Facts{EndState: state, EndReason: "reason", EndDetail: "detail", EndedAt: ended, EndUntil: until}
	}
	quota := func(state QuotaState, used int) Facts {
		return Facts{Quota: Quota{State: state, Used: used, Total: 2, Ends: later}}
	}
	for name, c := range map[string]struct {
		before, after Facts
		want          []string
	}{
		"nothing":                             {},
		"the number is confirmed":             {after: Facts{Number: "15550100100"}},
		"a ban":                               {after: end(TempBanned, at, later), want: []string{"temp_banned"}},
		"the same ban with another end":       {before: end(TempBanned, at, later), after: end(TempBanned, at, later.Add(time.Second))},
		"a ban after a ban":                   {before: end(TempBanned, at, later), after: end(TempBanned, later, later), want: []string{"temp_banned"}},
		"its end":                             {before: end(TempBanned, at, later), want: []string{"back_online"}},
		"outdated":                            {after: end(Outdated, at, time.Time{}), want: []string{"outdated"}},
		"outdated, also after a restart":      {before: end(Outdated, at, time.Time{}), after: end(Outdated, later, time.Time{})},
		"locked after a ban":                  {before: end(TempBanned, at, later), after: end(Locked, later, time.Time{}), want: []string{"locked"}},
		"a log-out is asked for":              {after: end(LoggedOut, time.Time{}, time.Time{})},
		"it is done":                          {before: end(LoggedOut, time.Time{}, time.Time{}), after: end(LoggedOut, at, time.Time{}), want: []string{"logged_out"}},
		"it is not done":                      {before: end(LoggedOut, time.Time{}, time.Time{})},
		"a phone is linked":                   {before: Facts{ReachoutEnd: later, EndState: LoggedOut, EndedAt: at}, after: Facts{PairedAt: later, PhoneSeen: later}, want: []string{"linked"}},
		"a lock":                              {after: Facts{ReachoutEnd: later}, want: []string{"reachout_locked"}},
		"the same lock":                       {before: Facts{ReachoutEnd: later}, after: Facts{ReachoutEnd: later.Local()}},
		"a longer lock":                       {before: Facts{ReachoutEnd: at}, after: Facts{ReachoutEnd: later}, want: []string{"reachout_locked"}},
		"the end of a lock":                   {before: Facts{ReachoutEnd: later}, want: []string{"reachout_unlocked"}},
		"a quota that is free from the start": {after: quota(QuotaFree, 0)},
		"a quota that is nearly used":         {before: quota(QuotaFree, 0), after: quota(QuotaFirst, 1), want: []string{"new_chat_quota"}},
		"one more used":                       {before: quota(QuotaFirst, 1), after: quota(QuotaFirst, 2)},
		"a quota that is free again":          {before: quota(QuotaUsedUp, 2), after: quota(QuotaFree, 0), want: []string{"new_chat_quota"}},
		"a phone that was not seen":           {before: Facts{PhoneWarned: 10}, after: Facts{PhoneWarned: 12}, want: []string{"phone_unseen"}},
		"a phone that was seen again":         {before: Facts{PhoneWarned: 12}, after: Facts{PhoneSeen: later}},
		"two at once":                         {after: Facts{ReachoutEnd: later, Quota: Quota{State: QuotaFirst}}, want: []string{"reachout_locked", "new_chat_quota"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var codes []string
			for _, n := range c.after.Since(c.before) {
				require.NotEmpty(t, n.Detail)
				codes = append(codes, n.Code)
			}
			require.Equal(t, c.want, codes)
		})
	}
	require.Equal(t, []Notice{{Code: "temp_banned", Reason: "reason", Detail: "detail", Until: later}}, end(TempBanned, at, later).Since(Facts{}))
	require.Equal(t, []Notice{{Code: "reachout_locked", Detail: reachoutNotice(later).Detail, Until: later}}, Facts{ReachoutEnd: later}.Since(Facts{}))
	used := quota(QuotaUsedUp, 2).Since(Facts{})[0]
	require.Equal(t, "CAPPED", used.Reason)
	require.Equal(t, later, used.Until)
}
