package main

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/httpapi"
	"whatsappd/simulator"
)

// request calls the operators' API, reads the answer when all is well, and returns the status.
func (w *world) request(method, path, body string, answer any) int {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.base+path, strings.NewReader(body))
	require.NoError(w.t, err)
	req.Header.Set("Authorization", "Bearer "+testToken)
	res, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	defer res.Body.Close()
	if res.StatusCode < http.StatusMultipleChoices {
		require.NoError(w.t, json.NewDecoder(res.Body).Decode(answer))
	}
	return res.StatusCode
}

// lidOf returns the LID of a contact, as the simulator knows it.
func (w *world) lidOf(number string) string {
	w.t.Helper()
	info, err := w.sim.Account(w.t.Context(), number)
	require.NoError(w.t, err)
	return info.LID + "@lid"
}

// person returns what the daemon knows of somebody; false while it knows nobody by that address.
func (w *world) person(address string) (known httpapi.ContactAnswer, ok bool) {
	w.t.Helper()
	status := w.request(http.MethodGet, "/v1/contacts/"+address, "", &known)
	return known, status == http.StatusOK && known.ContactID != nil
}

func TestATaskNamesBothAddressesBeforeTheDelivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	require.NoError(t, w.sim.SetBehaviour(t.Context(), contact(1), simulator.Behaviour{Receipts: "none"}))
	w.serve()
	w.pair()
	id := w.ws("message", contact(1), "are you there?")
	w.hook.result(id, "True")
	sent := w.task(id)
	require.Equal(t, "server_ack", sent.Delivery)
	require.Regexp(t, `^c_[0-9a-f-]{36}$`, *sent.ContactID)
	require.Equal(t, "+"+contact(1), *sent.Phone)
	require.Equal(t, w.lidOf(contact(1)), *sent.LID)
	require.Equal(t, "lid", *sent.AddressedAs)
	require.NotEmpty(t, sent.MessageID)

	_, err := w.sim.WaitInbox(t.Context(), contact(1), 1)
	require.NoError(t, err)
	require.NoError(t, w.sim.Send(t.Context(), contact(1), simulator.Message{To: ownerPhone, Text: "yes", ReplyTo: sent.MessageID}))
	w.eventually("the reply is matched to its message", func() bool {
		return slices.ContainsFunc(w.task(id).Timeline, func(s httpapi.Step) bool { return s == httpapi.Step{At: s.At, What: "answered", Detail: "phone"} })
	})
}

func TestALIDThatGetsItsNumberStaysOneContact(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.account(simulator.AccountSpec{Number: contact(1), Name: "Dora", Identities: "lid"})
	lid := w.lidOf(contact(1))
	w.serve()
	w.pair()
	require.NoError(t, w.sim.Write(t.Context(), contact(1), ownerPhone, "who are you?"))
	var first httpapi.ContactAnswer
	w.eventually("somebody without a number wrote", func() (ok bool) { first, ok = w.person(lid); return ok })
	require.Nil(t, first.Phone)
	require.Equal(t, lid, *first.LID)
	require.False(t, first.Cold)
	_, known := w.person(contact(1))
	require.False(t, known)

	var accepted httpapi.TaskAccepted
	body := `{"kind":"message","to":"` + lid + `","text":"a program","return_url":"` + w.hook.url("/cb") + `"}`
	require.Equal(t, http.StatusAccepted, w.request(http.MethodPost, "/v1/tasks", body, &accepted))
	w.hook.result(accepted.TaskID, "True")
	answer := w.task(accepted.TaskID)
	require.Equal(t, *first.ContactID, *answer.ContactID)
	require.Nil(t, answer.Phone)
	require.Equal(t, "lid", *answer.AddressedAs)
	_, err := w.sim.WaitInbox(t.Context(), contact(1), 1)
	require.NoError(t, err)

	w.account(simulator.AccountSpec{Number: contact(1), Name: "Dora"})
	for range 2 {
		require.NoError(t, w.sim.Write(t.Context(), contact(1), ownerPhone, "and now?"))
	}
	id := w.ws("message", contact(1), "still a program")
	w.hook.result(id, "True")
	w.eventually("the number is hers", func() bool { now, _ := w.person(contact(1)); return now.LID != nil })
	var one httpapi.ContactAnswer
	w.eventually("both addresses are hers", func() bool { // what she writes still comes in
		one, _ = w.person(lid)
		other, _ := w.person(contact(1))
		other.Number = ""
		return reflect.DeepEqual(one, other)
	})
	require.Equal(t, *first.ContactID, *one.ContactID)
	require.Equal(t, first.FirstHeard, one.FirstHeard, "one chat")
	for _, id := range []string{accepted.TaskID, id} {
		now := w.task(id)
		require.Equal(t, *first.ContactID, *now.ContactID)
		require.Equal(t, "+"+contact(1), *now.Phone)
	}
	require.Equal(t, 1, strings.Count(w.daemon.output(), `"msg":"contact.merged"`))
}

func TestANumberWithoutALIDCannotBeWrittenTo(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 1)
	w.account(simulator.AccountSpec{Number: contact(1), Name: "Dora", Identities: "number"})
	w.serve()
	w.pair()
	queries := func() int {
		counters, err := w.sim.Counters(t.Context())
		require.NoError(t, err)
		return counters.UsyncQueries
	}
	w.hook.result(w.ws("check", contact(1)), "True")
	before := queries()
	failed := w.task(w.failed(contact(1)))
	require.Equal(t, "recipient_unresolvable", failed.Code)
	require.Equal(t, "recipient", string(failed.Scope))
	require.Equal(t, 1, failed.Attempt)
	require.Equal(t, before+1, queries(), "one question, whatever was kept")
	require.Equal(t, "+"+contact(1), *failed.Phone)
	require.Nil(t, failed.LID)
	require.Equal(t, "phone", *failed.AddressedAs)
}
