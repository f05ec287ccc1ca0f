package main

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/httpapi"
	"whatsappd/simulator"
)

func TestAQueueNeverGoesOutUnderAnotherNumber(t *testing.T) {
	t.Parallel()
	const queued, callers = 1000, 10
	w := calmWorld(t, 3)
	w.serve()
	w.pair()
	// The queue stands still on a message that gets no answer, until the phone removes the device.
	w.faults(simulator.Fault{At: "message", Do: "silence", Account: ownerPhone})
	ids := make([]string, queued)
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for n := c; n < queued; n += callers {
				id, err := w.try(t.Context(), "message", contact(1), fmt.Sprint("of the first number ", n))
				if err != nil {
					t.Errorf("message %d was not accepted: %v", n, err)
					return
				}
				ids[n] = id
			}
		})
	}
	all.Wait()
	require.False(t, t.Failed())
	require.Empty(t, w.hook.all(), "all of them wait")
	require.NoError(t, w.sim.Kick(t.Context(), ownerPhone, simulator.KickRemoved))
	w.owners = append(w.owners, contact(2))
	w.scan(contact(2))
	w.eventually("the new number waits for its confirmation", func() bool { return w.status().Confirm })
	waits := w.ws("message", contact(3), "of the second number")
	w.eventually("the task tells what it waits for", func() bool {
		task := w.task(waits)
		return task.Reason == "number_unconfirmed" && task.Failure != nil && !task.Retryable
	})
	w.daemon.kill()
	w.serve()
	w.eventually("the new number waits after a restart too", func() bool { return w.status().State == "online" && w.status().Confirm })
	require.Equal(t, "queued", w.task(waits).State)

	output, code := w.command("login", "--confirm")
	require.Zero(t, code, output)
	w.hook.until("every task ends", func(got []received) bool { return len(got) >= queued+1 })
	for _, id := range ids {
		result := w.hook.wants(id).Result
		require.Contains(t, []string{notLoggedIn, messageFailed}, result)
	}
	var sent httpapi.TasksAnswer
	w.get("/v1/tasks?state=done&limit=1", &sent)
	require.Equal(t, waits, sent.Tasks[0].ID)
	require.Equal(t, "yes", sent.Tasks[0].Verdict)
	require.Empty(t, w.inbox(contact(1), 0), "nothing of the first number's is sent under the second one")
}
