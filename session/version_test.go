package session_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/store"

	"whatsappd/session"
	"whatsappd/simulator"
)

func TestTheLiveVersionIsReadFromThePage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{WebVersion: store.GetWAVersion()[2] + 4321})
	w.pair()
	w.wait("told that it is behind", func() bool { return len(notices(w)) == 1 })
	require.Equal(t, []string{session.NoticeBehind}, notices(w))
	behind, known := w.account.VersionBehind()
	require.True(t, known)
	require.Equal(t, 4321, behind)
	w.isCalm()
}
