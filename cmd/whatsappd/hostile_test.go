package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/simulator"
)

func TestAHostileSimulatorSaysItsSeed(t *testing.T) {
	t.Parallel()
	told := func(args ...string) (info simulator.Info) {
		args = append([]string{"simulator", "--addr", "127.0.0.1:0", "--control", "127.0.0.1:0", "--json"}, args...)
		sim := start(t, "simulator", nil, args...)
		require.NoError(t, json.Unmarshal([]byte(sim.wants(`^(\{.*"root_key".*\})$`)[1]), &info))
		return info
	}
	again := told("--hostile", "30", "--seed", "7")
	require.Equal(t, 30, again.Hostile)
	require.EqualValues(t, 7, again.Seed)
	require.NotZero(t, told("--hostile", "30").Seed)
	require.Zero(t, told().Seed, "a calm one has none")
}
