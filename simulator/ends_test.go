package simulator_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types/events"

	"whatsappd/simulator"
)

func TestClientSurvivesHowItsConnectionEnds(t *testing.T) {
	t.Parallel()
	for mode, check := range map[string]func(*testing.T, *client){
		simulator.KickDrop:  func(t *testing.T, c *client) { wait[*events.Disconnected](t, c); wait[*events.Connected](t, c) },
		simulator.KickClose: func(t *testing.T, c *client) { wait[*events.Disconnected](t, c); wait[*events.Connected](t, c) },
		simulator.Kick503:   func(t *testing.T, c *client) { wait[*events.Disconnected](t, c); wait[*events.Connected](t, c) },
		simulator.Kick515:   func(t *testing.T, c *client) { wait[*events.Connected](t, c) },
		simulator.KickReplaced: func(t *testing.T, c *client) {
			wait[*events.StreamReplaced](t, c)
		},
		simulator.KickRemoved: func(t *testing.T, c *client) {
			require.False(t, wait[*events.LoggedOut](t, c).OnConnect)
		},
		"402": func(t *testing.T, c *client) { wait[*events.TemporaryBan](t, c) },
		"405": func(t *testing.T, c *client) { wait[*events.ClientOutdated](t, c) },
		"403": func(t *testing.T, c *client) {
			require.Equal(t, events.ConnectFailureMainDeviceGone, wait[*events.LoggedOut](t, c).Reason)
		},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			server := start(t)
			c := paired(t, server)
			c.log.tolerate() // it reports every end it did not ask for
			require.NoError(t, server.Kick(ana, mode))
			check(t, c)
		})
	}
}

func TestClientReturnsAfterAPause(t *testing.T) {
	t.Parallel()
	server := start(t)
	c := paired(t, server)
	c.log.tolerate()
	require.NoError(t, server.Restart(10*time.Millisecond))
	wait[*events.Connected](t, c)
}
