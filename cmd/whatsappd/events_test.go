package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"whatsappd/httpapi"
	"whatsappd/simulator"
)

// operatorsReceiver is where the operator hears of what happens to the account.
type operatorsReceiver struct{ *receiver }

// withEvents gives the world's daemon a receiver of events.
func (w *world) withEvents() *operatorsReceiver {
	w.events = &operatorsReceiver{newReceiver(w.t)}
	w.settings["WHATSAPPD_NOTIFY_URL"] = w.events.url("/events?key=canary-of-the-operator")
	w.settings["WHATSAPPD_CALLBACK_ALLOW"] += "," + w.events.address()
	return w.events
}

// event is an event as its receiver reads it.
type event struct {
	Event, Account, Reason, Detail string
	At                             time.Time
	Until                          *time.Time
	id                             string // the webhook-id
}

// read reads an event, and checks that it came as any callback does.
func (r *operatorsReceiver) read(got received) (e event) {
	r.t.Helper()
	require.NoError(r.t, json.Unmarshal([]byte(got.Body), &e), got.Body)
	require.Equal(r.t, "/events?key=canary-of-the-operator", got.Path+"?"+got.Query)
	signer, err := standardwebhooks.NewWebhook(testSigningKey)
	require.NoError(r.t, err)
	require.NoError(r.t, signer.Verify([]byte(got.Body), got.Header))
	require.Equal(r.t, "default", e.Account)
	require.WithinDuration(r.t, time.Now(), e.At, 10*patience)
	require.NotEmpty(r.t, e.Detail)
	e.id = got.Header.Get("webhook-id")
	return e
}

// seen returns the events that arrived, in the order they happened: posts may overtake one another. One comes again when the daemon is killed before it has noted the answer; that is
// the same post, and a receiver drops it.
func (r *operatorsReceiver) seen() (events []event) {
	r.t.Helper()
	known := map[string]event{}
	for _, got := range r.all() {
		e := r.read(got)
		if before, again := known[e.id]; again {
			require.Equal(r.t, before, e, "each attempt is the same post")
			continue
		}
		known[e.id] = e
		events = append(events, e)
	}
	slices.SortFunc(events, func(a, b event) int { return strings.Compare(a.id, b.id) })
	return events
}

// codes returns the codes of the events that arrived, in order.
func (r *operatorsReceiver) codes() []string {
	r.t.Helper()
	codes := []string{}
	for _, e := range r.seen() {
		codes = append(codes, e.Event)
	}
	return codes
}

// about returns the events with a code.
func (r *operatorsReceiver) about(code string) (events []event) {
	r.t.Helper()
	for _, e := range r.seen() {
		if e.Event == code {
			events = append(events, e)
		}
	}
	return events
}

// wants waits for so many events with a code, and returns the last one.
func (r *operatorsReceiver) wants(code string, count int) event {
	r.t.Helper()
	r.until("an event "+code, func([]received) bool { return len(r.about(code)) >= count })
	events := r.about(code)
	require.Len(r.t, events, count, code)
	return events[count-1]
}

func TestALockIsPushedOnceAndItsEndOnceMoreThoughSlackIsDown(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 2)
	events := w.withEvents()
	w.settings["WHATSAPPD_SLACK_TOKEN"] = slackToken
	w.settings["WHATSAPPD_SLACK_API_URL"] = "http://" + closedAddress(t) + "/"
	w.serve()
	w.pair()
	events.wants("linked", 1)
	until := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	for range 5 {
		require.NoError(t, w.sim.SetLimits(t.Context(), ownerPhone, simulator.Limits{LockedUntil: until, Notice: true}))
	}
	locked := events.wants("reachout_locked", 1)
	require.Equal(t, until, *locked.Until)
	w.writes(contact(1)) // what WhatsApp said before has been heard
	w.hook.result(w.ws("message", contact(1), "hello"), "True")

	w.daemon.kill()
	w.serve()
	w.online()
	require.NoError(t, w.sim.SetLimits(t.Context(), ownerPhone, simulator.Limits{Notice: true}))
	events.wants("reachout_unlocked", 1)
	w.hook.result(w.ws("message", contact(2), "hello"), "True")
	require.Equal(t, []string{"linked", "reachout_locked", "reachout_unlocked"}, events.codes())

	list, code := w.command("callbacks")
	require.Zero(t, code)
	require.Regexp(t, `(?m)^`+locked.id+` +reachout_locked +http://127\.0\.0\.1:\d+ +delivered +1`, list)
	require.NotContains(t, list, "canary")
}

// TestABanIsPushedOnceOverAKillThoughItsReceiverIsDown has a receiver that takes nothing before the daemon has been killed.
func TestABanIsPushedOnceOverAKillThoughItsReceiverIsDown(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 0)
	slack, events := w.withSlack(), w.withEvents()
	w.serve()
	w.pair()
	events.wants("linked", 1)
	restore := events.answer(http.StatusServiceUnavailable)
	const ban = 30 * time.Second // longer than two restarts take
	w.faults(simulator.Fault{At: "login", Do: "failure", Code: 402, Ban: 101, Expire: simulator.Duration(ban), Times: 1})
	require.NoError(t, w.sim.Kick(t.Context(), ownerPhone, simulator.KickDrop))
	first := events.wants("temp_banned", 1)
	slack.wantsText("banned the account for a while") // whatever the receiver does
	status := w.status()
	require.Equal(t, "temp_banned", status.State)
	require.WithinDuration(t, *status.Until, *first.Until, time.Millisecond)
	require.Equal(t, status.Detail, first.Detail)
	require.Equal(t, "temp_banned", first.Reason)

	w.daemon.kill()
	restore()
	w.serve()
	w.eventually("it is delivered", func() bool {
		var list httpapi.CallbacksAnswer
		w.get("/v1/callbacks?state=delivered", &list)
		return len(list.Callbacks) == 2 && list.Callbacks[0].ID == first.id && list.Callbacks[0].Event == "temp_banned"
	})
	w.daemon.stop()
	w.serve()
	events.wants("back_online", 1)
	slack.wantsText("back online")
	require.Equal(t, []string{"linked", "temp_banned", "back_online"}, events.codes())
	require.Greater(t, len(events.all()), 3, "the ban was tried more than once")
	require.Equal(t, 1, slack.count("banned the account for a while"))
}

func TestEachStateOfTheQuotaIsPushedOnce(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 3)
	events := w.withEvents()
	w.serve()
	w.pair()
	require.NoError(t, w.sim.SetLimits(t.Context(), ownerPhone, simulator.Limits{NewChats: 2, Notice: true}))
	w.hook.result(w.ws("message", contact(1), "hello"), "True")
	require.Equal(t, "FIRST_WARNING", events.wants("new_chat_quota", 1).Reason)
	w.hook.result(w.ws("message", contact(1), "hello again"), "True")
	w.daemon.kill()
	w.serve()
	w.online()
	w.hook.result(w.ws("message", contact(2), "hello"), "True")
	used := events.wants("new_chat_quota", 2)
	require.Equal(t, "CAPPED", used.Reason)
	require.NotNil(t, used.Until)
	waits := w.ws("message", contact(3), "hello")
	w.eventually("the stranger waits", func() bool { return w.task(waits).Reason == "new_chat_quota" })
	require.NoError(t, w.sim.Write(t.Context(), contact(1), ownerPhone, "an answer frees a place"))
	w.hook.result(waits, "True")
	events.wants("new_chat_quota", 4)
	var states []string
	for _, e := range events.about("new_chat_quota") {
		states = append(states, e.Reason)
	}
	require.Equal(t, []string{"FIRST_WARNING", "CAPPED", "FIRST_WARNING", "CAPPED"}, states, "the place was free, and is used")
}

func TestALogOutIsPushedAndTheNextLink(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 0)
	events := w.withEvents()
	w.serve()
	w.pair()
	require.NoError(t, w.sim.Kick(t.Context(), ownerPhone, simulator.KickRemoved))
	require.Equal(t, "logged_out", events.wants("logged_out", 1).Reason)
	w.daemon.kill()
	w.serve()
	w.pair()
	events.wants("linked", 2)
	w.hook.result(w.ws("logout"), "Log out successful")
	require.Equal(t, "logout_requested", events.wants("logged_out", 2).Reason)
	require.Equal(t, []string{"linked", "logged_out", "linked", "logged_out"}, events.codes())
}

func TestEventsNeverGoToTheDaemonItself(t *testing.T) {
	t.Parallel()
	address := closedAddress(t)
	output, code := whatsappd(t, map[string]string{
		"WHATSAPPD_LISTEN": address, "WHATSAPPD_TOKEN": testToken, "WHATSAPPD_DATA_DIR": t.TempDir() + "/data",
		"WHATSAPPD_NOTIFY_URL": "http://" + address + "/canary", "WHATSAPPD_CALLBACK_ALLOW": "127.0.0.1",
	}, "serve")
	require.Equal(t, 1, code, output)
	require.Contains(t, output, "notify.url: ")
	require.Contains(t, output, "it is the daemon itself")
	require.NotContains(t, output, "canary")
}
