package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/simulator"
)

func TestAUsedUpQuotaHoldsBackStrangersOnlyUntilAPlaceIsFree(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 3)
	slack := w.withSlack()
	w.serve()
	w.pair()
	w.writes(contact(3))
	ends := time.Now().Add(20 * 24 * time.Hour).Truncate(time.Second).UTC()
	require.NoError(t, w.sim.SetLimits(t.Context(), ownerPhone, simulator.Limits{NewChats: 1, CycleEnds: ends, Notice: true}))
	w.hook.result(w.ws("message", contact(1), "hello"), "True")
	w.eventually("the quota is used up", func() bool { quota := w.status().Quota; return quota != nil && quota.State == "CAPPED" })
	stranger := w.ws("message", contact(2), "hello")
	w.eventually("the stranger waits for the end of the cycle", func() bool {
		waits := w.task(stranger)
		return waits.Reason == "new_chat_quota" && waits.NotBefore.Equal(ends)
	})
	w.hook.result(w.ws("message", contact(3), "an answer"), "True")

	w.daemon.kill()
	w.serve()
	w.online()
	w.hook.result(w.ws("message", contact(1), "hello again"), "True")
	waits := w.task(stranger)
	require.Equal(t, "queued", waits.State, "over a restart")
	require.Equal(t, ends, *waits.NotBefore)
	require.NotNil(t, waits.Failure)
	require.True(t, waits.Retryable)
	require.Equal(t, 1, slack.count("no new chats with strangers"), "told once")

	require.NoError(t, w.sim.Write(t.Context(), contact(1), ownerPhone, "an answer frees a place"))
	w.hook.result(stranger, "True")
}
