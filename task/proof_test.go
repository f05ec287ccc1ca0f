package task_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

// unsure makes every attempt end without a word from WhatsApp.
func unsure(h *hands) {
	h.send = func(task.Task) task.Outcome {
		o := task.Later("network_uncertain", "no answer", time.Minute)
		o.Uncertain = true
		return o
	}
}

// receipt lets a device of the recipient confirm the message to a number.
func (s *scene) receipt(number string, device uint16) {
	s.t.Helper()
	require.NoError(s.t, s.lane.Confirm(s.t.Context(), task.Confirmation{
		Account: "default", MessageIDs: []string{"id of " + number}, Kind: task.ConfirmDelivered, Device: device, At: time.Now(),
	}))
}

// arrived requires that a task ended well, and once.
func (s *scene) arrived(id task.ID) {
	s.t.Helper()
	end := s.ledger.get(id)
	require.Equal(s.t, task.Done, end.State, "%s", end.Code)
	require.Equal(s.t, task.Yes, end.Verdict)
	require.Empty(s.t, end.Code)
	require.Equal(s.t, task.DeliveryDelivered, end.Delivery)
	require.Equal(s.t, 1, s.ledger.ends[id])
}

func TestAReceiptEndsATaskWhoseOutcomeWasUnknown(t *testing.T) {
	t.Parallel()
	for _, device := range []uint16{0, 57} {
		play(t, func(_ *task.Options, h *hands) { unsure(h) }, func(s *scene) {
			id := s.message("1")
			s.pass(time.Second)
			require.Equal(t, task.Queued, s.ledger.get(id).State)
			s.receipt("1", device)
			s.arrived(id)
			s.pass(time.Hour)
			require.Len(t, s.hands.tried(), 1, "it is not sent again")
			s.receipt("1", device)
			s.arrived(id)
		})
	}
}

func TestAReceiptThatComesDuringAnAttemptCounts(t *testing.T) {
	t.Parallel()
	var s *scene
	play(t, func(o *task.Options, h *hands) {
		o.MaxAge = time.Minute // no second attempt
		h.send = func(one task.Task) task.Outcome {
			s.receipt(one.Number, 0)
			o := task.Later("network_uncertain", "no answer", 2*time.Minute)
			o.Uncertain, o.Trace.Canonical = true, "written"
			return o
		}
	}, func(playing *scene) {
		s = playing
		id := s.message("1")
		s.pass(time.Second)
		s.arrived(id)
		require.Equal(t, "written", s.ledger.get(id).Canonical, "what the attempt found out is kept")
	})
}

func TestAReceiptThatWasKeptBeforeAKillCountsAtTheNextStart(t *testing.T) {
	t.Parallel()
	for name, readiness := range map[string]task.Readiness{"online": task.Ready, "away": task.Wait, "logged out": task.NeverReady} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t, nil, func(s *scene) {
				s.stop()
				s.hands.become(readiness)
				id := s.ledger.put(task.Task{
					Kind: task.Message, Number: "1", MessageID: "id of 1", State: task.Running, Created: time.Now().Add(-time.Hour),
					Delivery: task.DeliveryDelivered, DeliveredBy: task.ByPhone,
				})
				s.run()
				s.pass(time.Second)
				require.Empty(t, s.hands.tried())
				s.arrived(id)
			})
		})
	}
}

func TestACompanionSaysNothingOfAPhoneThatWasLeftOut(t *testing.T) {
	t.Parallel()
	play(t, func(_ *task.Options, h *hands) {
		h.send = func(task.Task) task.Outcome {
			o := task.Later("no_recipient_copy", "left out", time.Minute)
			o.Uncertain = true
			return o
		}
	}, func(s *scene) {
		id := s.message("1")
		s.pass(time.Second)
		s.receipt("1", 57)
		require.Equal(t, task.Queued, s.ledger.get(id).State)
		s.pass(90 * time.Second)
		require.Len(t, s.hands.tried(), 2)
		s.receipt("1", 0)
		s.arrived(id)
	})
}
