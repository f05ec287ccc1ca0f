package main

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAStopDuringTheStartIsNoFailure(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	term := terminal{io.Discard, t.Output(), []string{"WHATSAPPD_TOKEN=" + testToken, "WHATSAPPD_LISTEN=127.0.0.1:0", "WHATSAPPD_DATA_DIR=" + t.TempDir() + "/data"}}
	require.Equal(t, exitDone, run(ctx, term, []string{"serve"}))
}
