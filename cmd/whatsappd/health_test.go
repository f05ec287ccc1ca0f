package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/notify"
	"whatsappd/session"
)

// TestAStuckLoopFailsTheHealthCheck runs the account of a whole daemon in virtual time, and holds its loop up from outside.
func TestAStuckLoopFailsTheHealthCheck(t *testing.T) {
	t.Parallel()
	cfg := defaultConfig()
	cfg.Listen, cfg.Token, cfg.DataDir = "127.0.0.1:0", Secret(testToken), t.TempDir()
	cfg.Simulator = simulatorConfig{Addr: closedAddress(t), RootKey: "5a17000000000000000000000000000000000000000000000000000000000010"}
	synctest.Test(t, func(t *testing.T) {
		a, err := newApp(t.Context(), cfg, slog.New(slog.DiscardHandler), notify.NewTerminal(nil, false, notify.Never))
		require.NoError(t, err)
		defer a.close()
		free := make(chan struct{})
		hold := make(chan struct{})
		a.watch = func(session.Event) {
			select {
			case <-hold:
				<-free
			default:
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.account.Run(ctx) }()
		health := func(path string) int {
			answer := httptest.NewRecorder()
			a.api.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
			return answer.Code
		}
		time.Sleep(time.Minute)
		require.Equal(t, http.StatusOK, health("/healthz"), "not paired, and WhatsApp cannot be reached")
		require.Equal(t, http.StatusServiceUnavailable, health("/readyz"))
		close(hold)
		go func() { _, _ = a.account.Pair(ctx) }() // what is told of it holds the loop up
		time.Sleep(59 * time.Second)
		require.Equal(t, http.StatusOK, health("/healthz"))
		time.Sleep(2 * time.Minute)
		require.Equal(t, http.StatusServiceUnavailable, health("/healthz"))
		close(free)
		time.Sleep(time.Second)
		require.Equal(t, http.StatusOK, health("/healthz"))
		cancel()
		require.NoError(t, <-ended)
	})
}
