package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/simulator"
)

func TestANewerWebClientIsToldOfUsedAndGivenUpWhenItIsRefused(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 1)
	slack := w.withSlack()
	w.settings["WHATSAPPD_PROTOCOL_LIVE_VERSION"] = "use"
	w.serve()
	w.pair()
	own := w.announced()
	require.NotContains(t, w.metrics(), "whatsappd_protocol_version_behind{", "no page tells")
	w.daemon.stop()

	var first, second, revision uint32
	_, err := fmt.Sscanf(own, "%d.%d.%d", &first, &second, &revision)
	require.NoError(t, err)
	require.NoError(t, w.sim.SetWebVersion(t.Context(), revision+77))
	live := fmt.Sprintf("%d.%d.%d", first, second, revision+77)
	w.serve()
	w.eventually("the difference is measured", func() bool {
		return strings.Contains(w.metrics(), `whatsappd_protocol_version_behind{account="default"} 77`)
	})
	slack.wantsText("77 revisions ahead")
	w.relogin()
	require.Equal(t, live, w.announced())

	w.faults(simulator.Fault{At: "login", Do: "failure", Code: 405, Times: 1})
	w.relogin()
	require.Equal(t, own, w.announced())
	slack.wantsText("the library's own version is used again")
	w.relogin()
	require.Equal(t, own, w.announced(), "what was refused is not tried again")
	require.Equal(t, 1, slack.count("77 revisions ahead"))
	w.hook.result(w.ws("message", contact(1), "hello"), "True")
}

// announced returns which version of the protocol the daemon announced at its last login.
func (w *world) announced() string {
	w.t.Helper()
	owner, err := w.sim.Account(w.t.Context(), ownerPhone)
	require.NoError(w.t, err)
	for _, device := range owner.Devices {
		if device.Linked {
			return device.Version
		}
	}
	require.Fail(w.t, "no client is linked")
	return ""
}

// relogin cuts the daemon's connection and waits until it is online again.
func (w *world) relogin() {
	w.t.Helper()
	w.online()
	logins := w.counters().Logins
	require.NoError(w.t, w.sim.Kick(w.t.Context(), ownerPhone, simulator.KickDrop))
	w.eventually("it logged in again", func() bool { return w.counters().Logins > logins })
	w.online()
}
