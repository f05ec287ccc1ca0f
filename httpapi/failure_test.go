package httpapi_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/httpapi"
	"whatsappd/session"
	"whatsappd/task"
)

func TestATaskTellsWhatFollowsFromItsFailure(t *testing.T) {
	t.Parallel()
	start := newWorld(t).now
	hour := start.Add(time.Hour)
	for name, row := range map[string]struct {
		task   task.Task
		status session.Status
		want   *httpapi.Failure
	}{
		"it is well": {task: task.Task{State: task.Done}},
		"it waits for its pace": {
			task: task.Task{State: task.Queued, Reason: "pace", NotBefore: hour},
		},
		"it waits for another try": {
			task: task.Task{State: task.Queued, Code: "wa_499", WACode: 499, Reason: "wa_499", NotBefore: hour},
			want: &httpapi.Failure{Scope: "account", Retryable: true, RetryAt: &hour, WACode: 499, Hint: "tell the maintainers"},
		},
		"it waits for the end of a ban": {
			task:   task.Task{State: task.Queued, Code: "network_uncertain", WACode: 500, Reason: "temp_banned"},
			status: session.Status{State: session.TempBanned, Reason: "temp_banned", Until: hour},
			want:   &httpapi.Failure{Scope: "account", Retryable: true, RetryAt: &hour, Hint: "wait until its end, then send less"},
		},
		"WhatsApp refused it": {
			task: task.Task{State: task.Failed, Code: "rejected_420"},
			want: &httpapi.Failure{Scope: "recipient", WACode: 420, Hint: "do not repeat it"},
		},
		"WhatsApp may take it later": {
			task: task.Task{State: task.Failed, Code: "rejected_403", WACode: 403, RetryAt: hour},
			want: &httpapi.Failure{Scope: "recipient", Retryable: true, RetryAt: &hour, WACode: 403, Hint: "repeat it once at retry_at; without one, not at all"},
		},
		"WhatsApp refused it twice": {
			task: task.Task{State: task.Failed, Code: "rejected_403", WACode: 403},
			want: &httpapi.Failure{Scope: "recipient", WACode: 403, Hint: "repeat it once at retry_at; without one, not at all"},
		},
		"it arrived after all": {
			task: task.Task{
				State: task.Failed, Verdict: task.Failure, Code: "network_uncertain", Finished: start,
				Delivery: task.DeliveryDelivered, DeliveredBy: task.ByPhone, MaybeSent: true,
			},
			want: &httpapi.Failure{Scope: "network", Hint: "do not send it again: it arrived"},
		},
		"no phone was linked": {
			task: task.Task{State: task.Done, Verdict: task.NotPerformed, Code: "not_paired"},
			want: &httpapi.Failure{Scope: "account", Hint: "pair, then ask again"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			row.task.ID, row.task.Kind, row.task.Created = "0199-id", task.Message, start
			w.kept, w.status = &row.task, row.status
			res, body := w.call("GET", "/v1/tasks/0199-id", auth)
			require.Equal(t, http.StatusOK, res.StatusCode)
			var answer httpapi.TaskAnswer
			require.NoError(t, json.Unmarshal([]byte(body), &answer))
			require.Equal(t, row.want, answer.Failure, body)
			require.Equal(t, row.task.Delivery > 0 && row.task.State == task.Failed, slices.Contains(answer.Warnings, task.WarnArrivedLate))
		})
	}
}

func TestARefusalTellsWhatFollowsFromIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	problem := func(body string) (p httpapi.Problem) {
		t.Helper()
		require.NoError(t, json.Unmarshal([]byte(body), &p))
		return p
	}
	_, body := w.call("GET", "/v1/tasks/unknown", auth)
	require.Equal(t, httpapi.Failure{Scope: "request", Hint: "look at the id; finished tasks are kept for task.retention"}, problem(body).Failure)

	res, body := w.postTo("/v1/pairing", `{"phone":"+49 151 12345670"}`)
	require.Equal(t, "60", res.Header.Get("Retry-After"))
	minute := w.now.Add(time.Minute)
	require.Equal(t, httpapi.Failure{Scope: "account", Retryable: true, RetryAt: &minute, Hint: "wait a minute"}, problem(body).Failure)

	w.refuse = task.ErrFull
	_, body = w.post(`{"kind":"check","to":"4915112345678"}`)
	soon := w.now.Add(10 * time.Second)
	require.Equal(t, httpapi.Failure{Scope: "library", Retryable: true, RetryAt: &soon, Hint: "free some space"}, problem(body).Failure)

	w.refuse = &session.Error{Code: "wa_499", WACode: 499, After: 1500 * time.Millisecond}
	res, body = w.post(`{"kind":"check","to":"4915112345678"}`)
	require.Equal(t, "2", res.Header.Get("Retry-After"), "whole seconds, never too early")
	require.Equal(t, 499, problem(body).WACode)
}
