package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/simulator"
)

// TestABackupUnderLoadIsRestoredAndPairedAgain is the drill of docs/storage.md.
func TestABackupUnderLoadIsRestoredAndPairedAgain(t *testing.T) { //nolint:tparallel // the steps of the drill follow each other
	t.Parallel()
	w := calmWorld(t, 9)
	w.serve()
	w.pair()
	finished := []string{w.ws("message", contact(2), "finished"), w.ws("message", contact(3), "finished too")}
	for _, id := range finished {
		w.hook.result(id, "True")
	}
	load := w.load(20)
	load.more(20)
	require.NoError(t, w.sim.SetAway(t.Context(), contact(1), true)) // no receipt tells that it arrived
	w.faults(simulator.Fault{At: "message", Do: "no-ack", Peer: contact(1), Times: 1})
	running := w.ws("message", contact(1), "running")
	w.eventually("WhatsApp has the message", func() bool { return w.counters().Messages == 3 })
	var queued []string
	for i := 4; i <= 8; i++ {
		queued = append(queued, w.ws("message", contact(i), "queued"))
	}
	file := filepath.Join(t.TempDir(), "ledger.backup")
	data, target := w.settings["WHATSAPPD_DATA_DIR"], filepath.Join(t.TempDir(), "restored")
	t.Run("95 backup while tasks run", func(t *testing.T) {
		said, code := whatsappd(t, w.settings, "backup", file)
		require.Zero(t, code, said)
		require.NotContains(t, said, testToken)
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NotContains(t, string(content), testToken)
		said, code = whatsappd(t, w.settings, "backup", file)
		require.Equal(t, exitFailed, code)
		require.Contains(t, said, "no file is overwritten")
	})
	load.more(20)
	load.stop()
	w.daemon.kill()

	t.Run("95 restore into an empty directory only", func(t *testing.T) {
		said, code := whatsappd(t, w.settings, "restore", file)
		require.Equal(t, exitFailed, code)
		require.Contains(t, said, data)
		require.Contains(t, said, "it is not empty")
		w.settings["WHATSAPPD_DATA_DIR"] = target
		said, code = whatsappd(t, w.settings, "restore", file)
		require.Zero(t, code, said)
		require.Contains(t, said, "link the phone again")
		settings, err := os.ReadFile(filepath.Join(target, settingsFile))
		require.NoError(t, err)
		require.Contains(t, string(settings), "data_dir: "+data)
		require.NoFileExists(t, filepath.Join(target, "whatsapp.db"))
	})
	account, err := w.sim.Account(t.Context(), ownerPhone)
	require.NoError(t, err)
	for _, device := range account.Devices {
		if device.Linked {
			require.NoError(t, w.sim.RemoveDevice(t.Context(), ownerPhone, device.ID))
		}
	}
	require.NoError(t, w.sim.SetAway(t.Context(), contact(1), false))

	w.serve()
	w.eventually("the reason is told", func() bool { return w.status().Reason == "keys_missing" })
	for _, id := range append(queued, running) {
		w.eventually("it waits for the link", func() bool { return w.task(id).State == "queued" })
	}
	w.pair()
	t.Run("95 finished tasks are never sent again", func(t *testing.T) {
		for i, id := range finished {
			inbox := w.inbox(contact(i+2), 1)
			require.Len(t, inbox, 1)
			require.Zero(t, inbox[0].Duplicates)
			require.Equal(t, "done", w.task(id).State)
		}
	})
	t.Run("95 the running one is sent again under its ID", func(t *testing.T) {
		w.hook.result(running, "True")
		inbox := w.inbox(contact(1), 1)
		require.Len(t, inbox, 1)
		require.Equal(t, w.task(running).MessageID, inbox[0].ID)
		require.Positive(t, inbox[0].Duplicates)
	})
	t.Run("95 queued ones run as usual", func(t *testing.T) {
		for i, id := range queued {
			w.hook.result(id, "True")
			for _, entry := range w.inbox(contact(i+4), 1) { // one for each device
				require.Equal(t, w.task(id).MessageID, entry.ID)
			}
		}
	})
}

// load is a caller that goes on asking.
type load struct {
	w      *world
	asked  atomic.Int64
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // once ended is closed
}

// load checks so many numbers a second until it is stopped.
func (w *world) load(perSecond int) *load {
	ctx, cancel := context.WithCancel(w.t.Context())
	l := &load{w: w, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if _, err := w.try(w.t.Context(), "check", contact(n%9+1)); err != nil {
				l.err = fmt.Errorf("call %d: %w", n, err)
				return
			}
			l.asked.Add(1)
		}
	}()
	return l
}

// more waits for so many more accepted calls.
func (l *load) more(calls int64) {
	l.w.t.Helper()
	until := l.asked.Load() + calls
	l.w.eventually("callers are answered", func() bool { return l.asked.Load() >= until })
}

// stop ends the load; every call of it must have been accepted.
func (l *load) stop() {
	l.w.t.Helper()
	l.cancel()
	<-l.ended
	require.NoError(l.w.t, l.err)
}
