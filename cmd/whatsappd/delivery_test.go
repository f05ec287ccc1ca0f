package main

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/httpapi"
	"whatsappd/simulator"
)

// steps returns the names of a task's steps, in order.
func steps(t httpapi.TaskAnswer) (names []string) {
	for _, step := range t.Timeline {
		names = append(names, step.What)
	}
	return names
}

// at returns when a step of a task came.
func at(t *testing.T, answer httpapi.TaskAnswer, what string) time.Time {
	t.Helper()
	i := slices.IndexFunc(answer.Timeline, func(s httpapi.Step) bool { return s.What == what })
	require.GreaterOrEqual(t, i, 0, "%s in %v", what, steps(answer))
	return answer.Timeline[i].At
}

func TestAMessageThatNoDeviceConfirmsIsMarkedInTime(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	w := calmWorld(t, 1)
	w.settings["WHATSAPPD_TASK_DELIVERY_TIMEOUT"] = timeout.String()
	w.serve()
	w.pair()
	w.faults(simulator.Fault{At: "receipt", Do: "omit", Peer: contact(1)})
	id := w.ws("message", contact(1), "hello")
	w.hook.result(id, "True")
	require.Contains(t, []string{"server_ack", "undelivered_timeout"}, w.task(id).Delivery)
	w.eventually("the message is marked", func() bool { return w.task(id).Delivery == "undelivered_timeout" })
	marked := w.task(id)
	require.Empty(t, marked.DeliveredBy)
	require.Equal(t, "yes", marked.Verdict, "WhatsApp's server took it: what the caller was told stays")
	took := at(t, marked, "undelivered_timeout").Sub(at(t, marked, "finished"))
	require.GreaterOrEqual(t, took, timeout)
	require.Less(t, took, timeout+timeout/2, "it is looked for twenty times in that time")
	require.Len(t, w.inbox(contact(1), 1), 1, "the phone has it and says nothing")
	require.Len(t, w.hook.about(id), 1)
}

func TestAMessageThatOnlyACompanionConfirmsSaysSo(t *testing.T) {
	t.Parallel()
	const two = "49176100900001"
	w := calmWorld(t, 0)
	w.account(simulator.AccountSpec{Number: two, Name: "Two devices", Companions: 1})
	w.serve()
	w.pair()
	phone := uint16(0)
	w.faults(simulator.Fault{At: "receipt", Do: "omit", Peer: two, Device: &phone, Times: 1})
	id := w.ws("message", two, "hello")
	w.hook.result(id, "True")
	w.eventually("the companion has it", func() bool { return w.task(id).Delivery == "delivered" })
	require.Equal(t, "companion", w.task(id).DeliveredBy)
	require.Equal(t, []string{"delivered_companion_only"}, w.task(id).Warnings)

	require.NoError(t, w.sim.SetBehaviour(t.Context(), two, simulator.Behaviour{Receipts: "read"}))
	second := w.ws("message", two, "again")
	w.hook.result(second, "True")
	w.eventually("the phone has read it", func() bool { return w.task(second).Delivery == "read" })
	require.Equal(t, "phone", w.task(second).DeliveredBy)
	require.Empty(t, w.task(second).Warnings)
	require.Equal(t, "companion", w.task(id).DeliveredBy, "of the first one the phone has said nothing")
}

func TestOtherDevicesThanWeKnewAreAWarningAndAskedForAgain(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 1)
	w.serve()
	w.pair()
	w.hook.result(w.ws("message", contact(1), "first"), "True")
	known := w.counters().UsyncQueries
	w.hook.result(w.ws("message", contact(1), "second"), "True")
	require.Equal(t, known, w.counters().UsyncQueries, "devices that are known are not asked for")

	w.faults(simulator.Fault{At: "message", Do: "other-hash", Peer: contact(1), Times: 1})
	warned := w.ws("message", contact(1), "third")
	w.hook.result(warned, "True")
	require.Equal(t, []string{"device_list_changed"}, w.task(warned).Warnings)
	known = w.counters().UsyncQueries
	after := w.ws("message", contact(1), "fourth")
	w.hook.result(after, "True")
	require.Empty(t, w.task(after).Warnings)
	require.Greater(t, w.counters().UsyncQueries, known, "devices are asked for again")
	require.Equal(t, []string{"first", "second", "third", "fourth"}, texts(w.inbox(contact(1), 4)))
}
