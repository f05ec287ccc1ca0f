package session

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types/events"
)

// tellsQuota is WhatsApp's notification of a used-up quota, with the end of the cycle as it is written.
func tellsQuota(end string) *waBinary.Node {
	text := fmt.Sprintf(`{"data":{"xwa2_notify_new_chat_messages_capping_info_update":{"total_quota":5,"used_quota":5,"capping_status":"CAPPED"%s}}}`, end)
	return &waBinary.Node{
		Tag: "notification", Attrs: waBinary.Attrs{"type": "mex"},
		Content: []waBinary.Node{{Tag: "update", Content: []byte(text)}},
	}
}

func TestTheEndOfACycleIsReadInAnyForm(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]int64{
		`,"cycle_end_timestamp":"1900000000"`: 1900000000, `,"cycle_end_timestamp":1900000000`: 1900000000,
		``: 0, `,"cycle_end_timestamp":null`: 0, `,"cycle_end_timestamp":"0"`: 0, `,"cycle_end_timestamp":"soon"`: 0, `,"cycle_end_timestamp":{}`: 0,
	} {
		q, ok := quotaOf(tellsQuota(written))
		require.True(t, ok, written)
		require.Equal(t, want == 0, q.Ends.IsZero(), written)
		if want != 0 {
			require.Equal(t, want, q.Ends.Unix())
		}
	}
}

func TestAQuotaWithoutAnEndHoldsForAnHourAndIsToldOnce(t *testing.T) {
	t.Parallel()
	runBench(t, Facts{}, func(t *testing.T, b *bench) {
		b.pass(time.Minute)
		capped := Quota{State: QuotaUsedUp, Used: 5, Total: 5}
		for range 5 {
			b.a.sawQuota(capped)
			b.pass(10 * time.Minute)
		}
		until, code := b.a.Status().StrangersHeld()
		require.Equal(t, CodeNewChatQuota, code)
		require.InDelta(t, 10*time.Minute, time.Until(until), float64(time.Second), "an hour from the first notice")
		b.pass(11 * time.Minute)
		left, _ := b.a.held(Message{Stranger: true})
		require.Zero(t, left)
		b.a.sawQuota(Quota{State: QuotaFirst, Used: 3, Total: 5})
		b.pass(time.Second)
		until, code = b.a.Status().StrangersHeld()
		require.Zero(t, until)
		require.Empty(t, code)
		require.Equal(t, []string{NoticeQuota, NoticeQuota}, b.notices())
	})
}

func TestALockWithoutAnEndHoldsForAnHourAndIsToldOnce(t *testing.T) {
	t.Parallel()
	runBench(t, Facts{}, func(t *testing.T, b *bench) {
		b.pass(time.Minute)
		for range 5 {
			b.wire.says(&events.NotifyAccountReachoutTimelock{IsActive: true})
			b.pass(10 * time.Minute)
		}
		require.InDelta(t, 10*time.Minute, time.Until(b.a.Status().Reachout), float64(time.Second), "an hour from the first notice")
		require.Equal(t, []string{NoticeLocked}, b.notices())
		b.wire.says(&events.NotifyAccountReachoutTimelock{})
		b.pass(time.Second)
		require.Equal(t, []string{NoticeLocked, NoticeUnlocked}, b.notices())
		b.wire.says(&events.NotifyAccountReachoutTimelock{IsActive: true})
		b.pass(2 * time.Hour)
		require.Zero(t, b.a.Status().Reachout, "it ends by its time")
		require.Equal(t, []string{NoticeLocked, NoticeUnlocked, NoticeLocked, NoticeUnlocked}, b.notices())
	})
}
