package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAStartWaitsForAClockThatIsSet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // its clock starts at the beginning of 2000
		var said bytes.Buffer
		log := slog.New(slog.NewTextHandler(&said, nil))
		start := time.Now()
		require.NoError(t, awaitClock(t.Context(), log, start.Add(-time.Second)))
		require.Zero(t, time.Since(start))
		require.Empty(t, said.String())

		require.NoError(t, awaitClock(t.Context(), log, start.Add(150*time.Second)))
		require.Equal(t, 150*time.Second, time.Since(start))
		require.Equal(t, 3, strings.Count(said.String(), "clock=2000-01-01T00:0"), "once a minute: %s", &said)
		require.Contains(t, said.String(), "made=2000-01-01T00:02:30Z")

		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		require.ErrorIs(t, awaitClock(ctx, log, start.Add(time.Hour)), context.DeadlineExceeded, "a stop ends it")
	})
}
