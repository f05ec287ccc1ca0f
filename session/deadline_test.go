package session_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

func TestWhatWhatsAppNeverAnswersEndsInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.CheckCachePositive, w.opts.CheckCacheNegative = time.Hour, time.Hour
	w.opts.Timing.Query, w.opts.Timing.Send = time.Second, 2*time.Second
	w.pair()
	_, err := w.send(bea, "first")
	require.NoError(t, err)
	_, err = w.sim.AddFaults(simulator.Fault{At: "iq:usync", Do: "silence"}, simulator.Fault{At: "message", Do: "silence"})
	require.NoError(t, err)

	begun := time.Now()
	_, err = w.account.Check(t.Context(), []session.Number{cem})
	requireCode(t, err, session.CodeNetworkUncertain, session.RetryLater)
	require.Less(t, time.Since(begun), time.Second+patience/5)

	begun = time.Now()
	_, err = w.send(bea, "second")
	var failed *session.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, session.CodeNetworkUncertain, failed.Code)
	require.True(t, failed.Uncertain)
	require.Less(t, time.Since(begun), 3*2*time.Second+patience/5, "the send and its repetition")

	w.waitState(session.Online)
	_, err = w.sim.AddFaults(simulator.Fault{At: "iq", Do: "silence"})
	require.NoError(t, err)
	begun = time.Now()
	err = w.account.Logout(t.Context())
	require.ErrorAs(t, err, &failed)
	require.Equal(t, session.CodeNetworkUncertain, failed.Code)
	require.Less(t, time.Since(begun), time.Second+patience/5)
	w.halt() // it returns when every goroutine of the account has
}
