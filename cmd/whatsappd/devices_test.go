package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/simulator"
)

func TestATaskWarnsOfDevicesThatWereNotKnown(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 1)
	w.serve()
	w.pair()
	send := func() string {
		t.Helper()
		id := w.ws("message", contact(1), "hello")
		w.hook.result(id, "True")
		return id
	}
	require.Empty(t, w.task(send()).Warnings)
	w.faults(simulator.Fault{At: "message", Do: "other-hash", Peer: contact(1), Times: 1})
	warned := w.task(send())
	require.Equal(t, []string{"device_list_changed"}, warned.Warnings)
	require.Equal(t, "done", warned.State, "WhatsApp took it all the same")

	asked := w.counters().UsyncQueries
	require.Empty(t, w.task(send()).Warnings, "a warning is of one message")
	require.Greater(t, w.counters().UsyncQueries, asked, "the devices are asked for again before the next message")
	require.Equal(t, []string{"device_list_changed"}, w.task(warned.ID).Warnings)
}
