package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/httpapi"
	"whatsappd/simulator"
)

// operator calls the operators' API without a body.
func (w *world) operator(method, path string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.base+path, nil)
	require.NoError(w.t, err)
	req.Header.Set("Authorization", "Bearer "+testToken)
	res, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	defer res.Body.Close()
	require.Equal(w.t, http.StatusOK, res.StatusCode, path)
}

// task returns a task as operators see it.
func (w *world) task(id string) (answer httpapi.TaskAnswer) {
	w.t.Helper()
	w.get("/v1/tasks/"+id, &answer)
	return answer
}

// writes lets a contact write to the owner, and waits until the daemon knows.
func (w *world) writes(number string) {
	w.t.Helper()
	require.NoError(w.t, w.sim.Write(w.t.Context(), number, ownerPhone, "hi"))
	w.eventually("the contact is known", func() bool {
		var known httpapi.ContactAnswer
		w.get("/v1/contacts/"+number, &known)
		return known.FirstHeard != nil && !known.Cold
	})
}

func TestTheCountsOfTheAccountAreThoseOfWhatsApp(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 5)
	w.serve()
	w.pair()
	w.writes(contact(1))
	w.operator("POST", "/v1/optout/"+contact(5))
	require.Equal(t, "opted_out", w.task(w.failed(contact(5))).Code)
	for _, i := range []int{1, 2, 3, 4, 2} {
		w.hook.result(w.ws("message", contact(i), "hello"), "True")
	}
	w.writes(contact(2))
	w.writes(contact(2))

	counts := w.status().Activity.Hour
	require.Equal(t, httpapi.ActivityCounts{NewChats: 3, Replies: 1, Failures: 1}, counts)
	require.Equal(t, counts, w.status().Activity.Day)
	reached := 0
	for i := range 5 {
		entries, err := w.sim.Inbox(t.Context(), contact(i+1))
		require.NoError(t, err)
		if len(entries) > 0 {
			reached++
		}
		if i+1 == 5 {
			require.Empty(t, entries, "who opted out is never reached")
		}
	}
	require.Equal(t, counts.NewChats+1, reached, "and the one who wrote first")

	w.operator("DELETE", "/v1/optout/"+contact(5))
	w.hook.result(w.ws("message", contact(5), "hello"), "True")
}

// failed sends a message and returns its task once it has failed.
func (w *world) failed(number string) string {
	w.t.Helper()
	id := w.ws("message", number, "hello")
	w.hook.result(id, "Whatsapp messaging failed, exception raised")
	return id
}

func TestALockHoldsBackStrangersOnlyAndIsToldOnce(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 3)
	slack := w.withSlack()
	w.serve()
	w.pair()
	w.writes(contact(1))
	until := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	for range 5 {
		require.NoError(t, w.sim.SetLimits(t.Context(), ownerPhone, simulator.Limits{LockedUntil: until, Notice: true}))
	}
	w.eventually("the lock is known", func() bool { return w.status().Reachout != nil })
	stranger := w.ws("message", contact(2), "hello")
	w.hook.result(w.ws("message", contact(1), "hello"), "True")
	w.eventually("the stranger waits", func() bool { return w.task(stranger).Reason == "reachout_locked" })
	require.Equal(t, until, *w.task(stranger).NotBefore)

	w.daemon.kill()
	w.serve()
	w.online()
	require.Equal(t, until, *w.status().Reachout, "over a restart")
	w.hook.result(w.ws("message", contact(1), "hello again"), "True")
	require.Equal(t, "queued", w.task(stranger).State)

	require.NoError(t, w.sim.SetLimits(t.Context(), ownerPhone, simulator.Limits{Notice: true}))
	w.hook.result(stranger, "True")
	w.eventually("the lock and its end are told", func() bool { return slack.count("first messages to strangers") >= 2 })
	w.hook.result(w.ws("message", contact(3), "hello"), "True")
	require.Equal(t, 2, slack.count("first messages to strangers"), "one for the lock, one for its end")
}

// count tells how many texts in the channel hold a phrase.
func (s *fakeSlack) count(phrase string) (count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range s.texts {
		if strings.Contains(text, phrase) {
			count++
		}
	}
	return count
}
