package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/httpapi"
	"whatsappd/simulator"
)

func TestRecipientsMayAskAgainAfterAKill(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.serve()
	w.pair()
	require.NoError(t, w.sim.SetAway(t.Context(), contact(1), true))
	id := w.ws("message", contact(1), "hello")
	w.hook.result(id, "True")
	w.daemon.kill()

	w.serve()
	w.online()
	_, err := w.sim.AddFaults(t.Context(), simulator.Fault{At: "open", Do: "fail", Peer: contact(1), Times: 5})
	require.NoError(t, err)
	require.NoError(t, w.sim.SetAway(t.Context(), contact(1), false))
	inbox := w.inbox(contact(1), 1)
	var task httpapi.TaskAnswer
	w.eventually("the message is delivered", func() bool {
		task = httpapi.TaskAnswer{}
		w.get("/v1/tasks/"+id, &task)
		return task.Delivery == "delivered"
	})
	require.Len(t, inbox, 1)
	require.Equal(t, task.MessageID, inbox[0].ID)
	if *hostileLevel == 0 { // on a bad network an ack may get lost: then the message is repeated, and shown once
		require.Zero(t, inbox[0].Duplicates)
	}
	asked := 0
	for _, step := range task.Timeline {
		if step.What == "asked_again" {
			asked++
		}
	}
	require.GreaterOrEqual(t, asked, 5, "%+v", task.Timeline) // a bad network doubles receipts
}

func TestRecipientsMayAskForTwoWeeks(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 0)
	w.account(simulator.AccountSpec{Number: contact(1), Name: "Contact", Companions: 1})
	w.account(simulator.AccountSpec{Number: contact(2), Name: "Other contact"})
	w.serve()
	w.pair()
	require.NoError(t, w.sim.SetAway(t.Context(), contact(1), true))
	for text, days := range map[string]int{"ten days old": 10, "fifteen days old": 15} {
		id := w.ws("message", contact(1), text)
		w.hook.result(id, "True")
		message := w.task(id).MessageID
		w.daemon.stop() // what it has in memory is gone with it
		w.tamper(fmt.Sprintf("UPDATE whatsmeow_retry_buffer SET timestamp = timestamp - %d * 24 * 3600 * 1000 WHERE message_id = '%s'", days, message))
		w.serve()
		w.online()
	}
	w.hook.result(w.ws("message", contact(2), "with each send old messages are forgotten"), "True")
	companion := uint16(1)
	w.faults(simulator.Fault{At: "open", Do: "fail", Peer: contact(1), Device: &companion, Times: 2})
	require.NoError(t, w.sim.SetAway(t.Context(), contact(1), false))
	onCompanion := func(atLeast int) (shown []string) {
		w.eventually("messages on the companion", func() bool {
			entries, err := w.sim.Inbox(t.Context(), contact(1))
			shown = nil
			for _, entry := range entries {
				if entry.Device == companion {
					shown = append(shown, entry.Text)
				}
			}
			return err == nil && len(shown) >= atLeast
		})
		return shown
	}
	onCompanion(1)
	w.eventually("the request for the older one is refused", func() bool {
		return strings.Contains(w.daemon.output(), "Failed to handle retry receipt")
	})
	w.hook.result(w.ws("message", contact(1), "of today"), "True")
	require.Equal(t, []string{"ten days old", "of today"}, onCompanion(2))
	w.daemon.stop()
	require.Equal(t, 3, w.rows("whatsmeow_retry_buffer"), "the older one is not kept")
}

func TestFiftyCallsUnderOneKeyAreOneMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.serve()
	w.pair()
	const calls = 50
	ids := make([]string, calls)
	var all sync.WaitGroup
	for i := range calls {
		all.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
				w.base+"/ws/message/"+contact(1)+"/hello/"+url.PathEscape(w.hook.url("/cb")), nil)
			if err != nil {
				return
			}
			req.Header.Set("Authorization", "Token token="+testToken)
			req.Header.Set("Idempotency-Key", "order-1")
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				return
			}
			defer res.Body.Close()
			if body, err := io.ReadAll(res.Body); err == nil && res.StatusCode == http.StatusAccepted {
				ids[i] = strings.TrimSpace(string(body))
			}
		})
	}
	all.Wait()
	for _, id := range ids {
		require.Equal(t, ids[0], id)
	}
	w.hook.result(taskID(t, ids[0]), "True")
	require.Len(t, w.inbox(contact(1), 1), 1)
	counters, err := w.sim.Counters(t.Context())
	require.NoError(t, err)
	require.Equal(t, counters.DuplicateIDs+1, counters.Messages) // a bad network makes the daemon repeat it, under its ID
	var tasks httpapi.TasksAnswer
	w.get("/v1/tasks", &tasks)
	count := 0
	for _, task := range tasks.Tasks {
		if task.Kind == "message" {
			count++
		}
	}
	require.Equal(t, 1, count)
}
