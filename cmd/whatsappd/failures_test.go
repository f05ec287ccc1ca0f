package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/httpapi"
	"whatsappd/simulator"
)

func TestATaskTellsWhatWhatsAppSaidAndWhatFollows(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 3)
	w.serve()
	w.pair()
	w.faults(
		simulator.Fault{At: "message", Do: "error", Code: 403, Peer: contact(1), Times: 1},
		simulator.Fault{At: "message", Do: "error", Code: 499, Peer: contact(2), Times: 1},
		simulator.Fault{At: "message", Do: "error", Code: 420, Peer: contact(3), Times: 1},
	)
	later := w.task(w.failed(contact(1)))
	require.Equal(t, "rejected_403", later.Code)
	require.NotNil(t, later.RetryAt)
	require.WithinDuration(t, later.Finished.Add(time.Hour), *later.RetryAt, time.Second)
	later.RetryAt = nil
	require.Equal(t, &httpapi.Failure{Scope: "recipient", Retryable: true, WACode: 403, Hint: "repeat it once at retry_at; without one, not at all"}, later.Failure)

	never := w.task(w.failed(contact(3)))
	require.Equal(t, &httpapi.Failure{Scope: "recipient", WACode: 420, Hint: "do not repeat it"}, never.Failure)

	id := w.ws("message", contact(2), "hello")
	w.eventually("the unknown number is told while the task waits", func() bool {
		waits := w.task(id)
		return waits.Reason == "wa_499" && waits.Failure != nil && waits.WACode == 499 && waits.RetryAt != nil && waits.Retryable
	})
	w.hook.result(id, "True")
	require.Nil(t, w.task(id).Failure)
	require.Len(t, w.inbox(contact(2), 1), 1)
}
