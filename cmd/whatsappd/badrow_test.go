package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBadRows(t *testing.T) {
	t.Parallel()
	t.Run("91 a kept return URL that today's settings refuse", func(t *testing.T) {
		t.Parallel()
		w := calmWorld(t, 0)
		w.serve()
		restore := w.hook.answer(http.StatusServiceUnavailable)
		id := w.ws("logout")
		w.hook.wants(id)
		w.daemon.stop()
		restore()
		tried := len(w.hook.all())
		delete(w.settings, "WHATSAPPD_CALLBACK_ALLOW")
		w.serve()
		w.eventually("the callback is given up", func() bool {
			output, code := w.command("callbacks", "--state", "dead")
			return code == exitDone && strings.Contains(output, id)
		})
		require.Len(t, w.hook.all(), tried, "nothing was sent there")
		require.Contains(t, w.daemon.output(), "callback.allow", "the log says what refused it")
	})
}
