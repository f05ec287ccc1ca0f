package callback

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
)

func TestEventsOfAnAccount(t *testing.T) {
	t.Parallel()
	const url = "https://ops.example/hook?key=1"
	at := time.UnixMilli(1_777_890_000_123).UTC()
	report := Announce(url, func() time.Time { return at.Add(time.Microsecond).Local() })
	until := at.Add(time.Hour).Truncate(time.Second)
	ban := session.Facts{
		Number: "15550100100", EndState: session.TempBanned, EndReason: "temp_banned", EndDetail: "WhatsApp bans the account for now: 101",
		EndedAt: at, EndUntil: until.Local(),
	}
	for want, events := range map[string][]Event{
		`{"event":"temp_banned","account":"default","at":"2026-05-04T10:20:00.123Z","until":"2026-05-04T11:20:00Z","reason":"temp_banned","detail":"WhatsApp bans the account for now: 101"}`: report("default", session.Facts{Number: "15550100100"}, ban),
		`{"event":"back_online","account":"default","at":"2026-05-04T10:20:00.123Z","detail":"WhatsApp is back online"}`:                                                                      report("default", ban, session.Facts{}),
		`{"event":"reachout_locked","account":"second","at":"2026-05-04T10:20:00.123Z","detail":"WhatsApp takes no first messages to strangers for now; answers go on"}`:                      report("second", session.Facts{}, session.Facts{ReachoutEnd: time.Unix(1<<50, 0)}),
	} {
		require.Len(t, events, 1, want)
		require.Equal(t, want, string(events[0].Body))
		require.Equal(t, url, events[0].URL)
		require.Equal(t, at, events[0].At)
		require.Contains(t, want, `"event":"`+events[0].Code+`"`)
	}
	require.Empty(t, report("default", ban, ban))
	require.Nil(t, Announce("", time.Now), "no receiver, no events")
}
