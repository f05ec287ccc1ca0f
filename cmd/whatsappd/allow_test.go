package main

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatReturnURLsMayReachIsSaidAtTheStart(t *testing.T) {
	t.Parallel()
	said := func(allow ...string) string {
		var out bytes.Buffer
		_, err := newGuard(Config{Callback: callbackConfig{Allow: allow}}, slog.New(slog.NewTextHandler(&out, nil)), nil)
		require.NoError(t, err)
		return out.String()
	}
	require.Empty(t, said())
	require.Contains(t, said("app", "10.0.0.0/8"), `allow="[app 10.0.0.0/8]"`)
	require.NotContains(t, said("app", "10.0.0.0/8"), "DANGER")
	for _, wide := range []string{"0.0.0.0/0", "::/0", "128.0.0.0/1"} {
		require.Contains(t, said("app", wide), `level=WARN msg="DANGER: callback.allow`)
		require.Contains(t, said("app", wide), "networks=["+wide+"]")
	}
}
