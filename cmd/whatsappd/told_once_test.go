package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/simulator"
)

func TestABanIsToldOnceAlsoOverARestart(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 1)
	slack := w.withSlack()
	w.serve()
	w.pair()
	const ban = 30 * time.Second // longer than two restarts take
	w.faults(simulator.Fault{At: "login", Do: "failure", Code: 402, Ban: 101, Expire: simulator.Duration(ban), Times: 1})
	require.NoError(t, w.sim.Kick(t.Context(), ownerPhone, simulator.KickDrop))
	w.eventually("banned", func() bool { return w.status().State == "temp_banned" })
	slack.wantsText("banned the account for a while")
	until := w.status().Until
	require.NotNil(t, until)
	connections := w.counters().Connections

	waits := w.ws("message", contact(1), "when it is over")
	for _, end := range []func(){w.daemon.kill, func() { w.daemon.stop() }} {
		end()
		w.serve()
		w.eventually("the ban is known", func() bool { return w.status().State == "temp_banned" })
		require.WithinDuration(t, *until, *w.status().Until, time.Millisecond)
		w.eventually("the task tells what it waits for", func() bool {
			task := w.task(waits)
			return task.Reason == "temp_banned" && task.Failure != nil && task.RetryAt != nil && task.RetryAt.Sub(*until).Abs() <= time.Millisecond
		})
	}
	require.True(t, time.Now().Before(*until), "the restarts took longer than the ban")
	require.Equal(t, connections, w.counters().Connections, "no dial before its end")
	w.hook.result(waits, "True")
	slack.wantsText("back online") // what was to be told before is told
	require.Equal(t, 1, slack.count("banned the account for a while"))
	require.Equal(t, 1, slack.count("back online"))
}

func TestABanRightAfterABanIsToldToo(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 1)
	slack := w.withSlack()
	w.serve()
	w.pair()
	w.faults(
		simulator.Fault{At: "login", Do: "failure", Code: 402, Ban: 101, Expire: simulator.Duration(2 * time.Second), Times: 1},
		simulator.Fault{At: "login", Do: "failure", Code: 402, Ban: 102, Expire: simulator.Duration(time.Hour), Times: 1},
	)
	require.NoError(t, w.sim.Kick(t.Context(), ownerPhone, simulator.KickDrop))
	slack.wantsText("bans the account for now: 101")
	slack.wantsText("bans the account for now: 102")
	w.daemon.stop()
	w.serve()
	w.eventually("the ban is known", func() bool { return w.status().State == "temp_banned" })
	w.daemon.stop() // what was to be told has been told
	require.Equal(t, 2, slack.count("banned the account for a while"))
	require.Zero(t, slack.count("back online"))
}
