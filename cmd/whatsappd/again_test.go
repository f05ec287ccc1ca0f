package main

import (
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
