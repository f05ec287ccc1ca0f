package session_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

// hostileWorld is a world on a bad network, with an account that is linked to Ana's phone.
func hostileWorld(t *testing.T, level int) *world {
	t.Helper()
	seed := uint64(rand.Uint32())
	w := newWorld(t, simulator.Options{Hostile: level, Seed: seed, CloseGrace: -1, Logger: slog.New(slog.NewTextHandler(outputOf(t), nil))})
	t.Logf("hostile: level %d, seed %d", level, seed)
	t.Cleanup(func() { t.Logf("struck: %v", w.sim.Counters().Faults) })
	w.opts.Timing.Query, w.opts.Timing.PairStart, w.opts.Timing.Login = 3*time.Second, 10*time.Second, 5*time.Second
	w.opts.Timing.PingAnswer = time.Second
	w.opts.PairingAuto, w.opts.PairingRounds = true, 1000
	w.run()
	linked := func() bool { return w.account.Status().Number != "" }
	for last := ""; !linked(); { // a scan fails when the connection ends too early, as on a phone
		w.wait("linked, or another code", func() bool { code := w.account.Pairing().Code; return linked() || code != "" && code != last })
		if last = w.account.Pairing().Code; last != "" {
			_ = w.sim.Scan(t.Context(), ana, last) // the next code tells
		}
	}
	return w
}

// deliver sends a text as a lane does: under one ID, until it is sent or refused for good.
func (w *world) deliver(to, text string) session.MessageID {
	w.t.Helper()
	m := session.Message{ID: w.account.NewMessageID(), To: session.Number(to), Text: text}
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*patience)
	defer cancel()
	for {
		_, err := w.account.Send(ctx, m)
		if err == nil {
			return m.ID
		}
		var e *session.Error
		require.ErrorAs(w.t, err, &e, text)
		require.NotEqual(w.t, session.RetryNever, e.Retry, "%s: %v", text, err)
		if e.Retry == session.RetryOnline {
			w.waitState(session.Online)
			continue
		}
		w.rest(20 * time.Millisecond)
	}
}

func TestABadNetworkLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	for round := range 3 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			const count = 15
			w := hostileWorld(t, 30)
			contacts := []string{bea, cem}
			sent := map[string][]string{}
			var texts []string
			for i := range count {
				texts = append(texts, fmt.Sprint("message ", i))
				for _, contact := range contacts {
					_, err := w.sim.Write(t.Context(), contact, ana, texts[i])
					require.NoError(t, err)
					sent[contact] = append(sent[contact], string(w.deliver(contact, texts[i])))
				}
			}
			for _, contact := range contacts {
				var ids, shown []string
				for _, entry := range w.read(contact, count) {
					ids, shown = append(ids, entry.ID), append(shown, entry.Text)
				}
				require.Equal(t, sent[contact], ids, "sent to %s", contact)
				require.Equal(t, texts, shown, "readable for %s", contact)
			}
			for _, contact := range contacts {
				w.wait("all that "+contact+" wrote", func() bool { return len(w.heard(contact)) >= count })
				require.Equal(t, texts, slices.Compact(w.heard(contact)), "told of %s in order; a repetition comes at once", contact)
			}
			counters := w.sim.Counters()
			require.Zero(t, counters.BadDeviceIdentity)
			require.Equal(t, 1, counters.Pairings)
		})
	}
}
