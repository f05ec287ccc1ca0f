package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/simulator"
)

func TestStrangersWaitUntilAPairingHasSettledAndFriendsDoNot(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 2)
	w.settings["WHATSAPPD_PACE_OFF"] = "false" // as a real number has it
	w.account(simulator.AccountSpec{Number: ownerPhone, Name: "Owner", Sync: simulator.Sync{AppState: true, Chats: 2, Messages: 2}})
	w.faults(simulator.Fault{At: "deliver", Do: "delay", Delay: simulator.Duration(time.Hour), Account: ownerPhone, Peer: ownerPhone})
	w.serve()
	before := time.Now()
	w.pair()
	stranger := w.ws("message", contact(2), "hello")
	w.eventually("the stranger waits", func() bool { return w.task(stranger).Reason == "settling" })
	waits := w.task(stranger)
	require.Equal(t, "queued", waits.State)
	require.Zero(t, waits.Attempt)
	require.NotNil(t, waits.NotBefore)
	require.GreaterOrEqual(t, waits.NotBefore.Sub(before), 2*time.Minute)
	require.Less(t, waits.NotBefore.Sub(time.Now()), 2*time.Minute)
	w.eventually("the history is late", func() bool { return w.counters().Faults["deliver delay"] > 0 })

	w.writes(contact(1))
	w.hook.result(w.ws("message", contact(1), "hello"), "True")
	w.daemon.kill()
	w.serve()
	w.online()
	w.hook.result(w.ws("message", contact(1), "again"), "True")
	require.Equal(t, "settling", w.task(stranger).Reason, "over a restart")
	require.Equal(t, *waits.NotBefore, *w.task(stranger).NotBefore)
	entries, err := w.sim.Inbox(t.Context(), contact(2))
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestStrangersGoAsSoonAsWhatThePhoneSharesIsHere(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 3)
	w.settings["WHATSAPPD_PACE_OFF"] = "false" // as a real number has it
	w.settings["WHATSAPPD_PACE_SETTLE"] = "1h"
	w.account(simulator.AccountSpec{Number: ownerPhone, Name: "Owner", Sync: simulator.Sync{AppState: true, Chats: 2, Messages: 2}})
	require.NoError(t, w.sim.SetAway(t.Context(), ownerPhone, true)) // once it has linked us the phone has no network
	w.serve()
	w.pair()
	stranger := w.ws("message", contact(3), "hello")
	w.eventually("the stranger waits", func() bool { return w.task(stranger).Reason == "settling" })
	waits := w.task(stranger)
	require.Zero(t, waits.Attempt)
	require.Greater(t, time.Until(*waits.NotBefore), 50*time.Minute)

	require.NoError(t, w.sim.SetAway(t.Context(), ownerPhone, false))
	w.hook.result(stranger, "True")
	sent := w.task(stranger)
	require.Equal(t, "done", sent.State)
	require.Equal(t, 1, sent.Attempt)
	entries, err := w.sim.Inbox(t.Context(), contact(3))
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestTheSameTextToMoreStrangersThanSetIsToldOrRefused(t *testing.T) {
	t.Parallel()
	for block, result := range map[string]string{"false": "True", "true": messageFailed} {
		t.Run("block "+block, func(t *testing.T) {
			t.Parallel()
			const most = 2
			w := calmWorld(t, most+2)
			for key, value := range map[string]string{
				"PACE_OFF": "false", "PACE_SETTLE": "1ms", "PACE_COLD_GAP_MIN": "1ms", "PACE_COLD_GAP_MAX": "2ms",
				"PACE_SAME_TEXT": "2", "PACE_SAME_TEXT_BLOCK": block,
			} {
				w.settings["WHATSAPPD_"+key] = value
			}
			w.serve()
			w.pair()
			for i := range most {
				id := w.ws("message", contact(i+1), "an offer")
				w.hook.result(id, "True")
				require.Empty(t, w.task(id).Warnings)
			}
			over := w.ws("message", contact(most+1), "an offer")
			w.hook.result(over, result)
			require.Equal(t, []string{"same_text_to_many"}, w.task(over).Warnings)
			entries, err := w.sim.Inbox(t.Context(), contact(most+1))
			require.NoError(t, err)
			if block == "true" {
				require.Equal(t, "same_text_blocked", w.task(over).Code)
				require.Empty(t, entries)
			} else {
				require.Len(t, entries, 1)
			}
			other := w.ws("message", contact(most+2), "something else")
			w.hook.result(other, "True")
			require.NotContains(t, w.task(other).Warnings, "same_text_to_many")
		})
	}
}

func TestWhatsAppIsAskedNothingAboutWhoOptedOut(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 1)
	w.serve()
	w.pair()
	w.operator("POST", "/v1/optout/"+contact(1))
	before := w.counters()
	require.Equal(t, "opted_out", w.task(w.failed(contact(1))).Code)
	after := w.counters()
	require.Equal(t, before.Messages, after.Messages)
	require.Equal(t, before.UsyncUsers, after.UsyncUsers)
	require.Equal(t, before.Bundles, after.Bundles)
}
