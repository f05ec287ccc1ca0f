package store

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

// sent makes a message that WhatsApp's server has taken, and returns its task.
func (s *scene) sent(number string) task.ID {
	s.t.Helper()
	id := s.message(number)
	end := s.end(s.claimOne(), task.Yes)
	end.Task.Delivery, end.Task.DeliveryAt = task.DeliveryServerAck, s.now
	require.NoError(s.t, s.tasks.Finish(s.t.Context(), []task.Finished{end}))
	return id
}

// confirm lets a device of the recipient say something of the message to a number, and returns what waits in vain by that.
func (s *scene) confirm(number string, kind task.ConfirmationKind, device uint16) []task.Task {
	s.t.Helper()
	s.now = s.later(time.Second)
	count, queued, err := s.tasks.Confirm(s.t.Context(), task.Confirmation{
		Account: account, MessageIDs: []string{"3EB0" + number}, Kind: kind, Device: device, At: s.now,
	})
	require.NoError(s.t, err)
	require.Equal(s.t, 1, count)
	return queued
}

func testConfirm(t *testing.T, open opener) {
	t.Run("a delivery only grows", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		id := s.sent("15550100101")
		require.Equal(t, task.DeliveryServerAck, s.get(id).Delivery)
		s.confirm("15550100101", task.ConfirmRead, 0)
		read := s.now
		s.confirm("15550100101", task.ConfirmDelivered, 0)
		got := s.get(id)
		require.Equal(t, task.DeliveryRead, got.Delivery)
		require.Equal(t, read, got.DeliveryAt)
		require.Equal(t, task.ByPhone, got.DeliveredBy)
	})

	t.Run("a receipt that comes before the end is written is not lost", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		id := s.message("15550100101")
		claimed := s.claimOne()
		s.confirm("15550100101", task.ConfirmDelivered, 0)
		end := s.end(claimed, task.Yes)
		end.Task.Delivery, end.Task.DeliveryAt = task.DeliveryServerAck, s.now
		require.NoError(t, s.tasks.Finish(t.Context(), []task.Finished{end}))
		require.Equal(t, task.DeliveryDelivered, s.get(id).Delivery)
	})

	t.Run("a message that arrived counts as sent to its recipient, however its task stands", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		known := func(number string) time.Time {
			c, err := s.people.Contact(t.Context(), account, number)
			require.NoError(t, err)
			return c.FirstSent
		}
		waits := s.message("15550100101")
		back := s.claimOne()
		require.Empty(t, s.confirm("15550100101", task.ConfirmDelivered, 0), "an attempt that runs comes to its own end")
		back.MaybeSent = true
		require.NoError(t, s.tasks.Requeue(t.Context(), []task.Task{back}))
		require.Empty(t, s.confirm("15550100101", task.ConfirmAskAgain, 0))
		require.Zero(t, known("15550100101"))
		queued := s.confirm("15550100101", task.ConfirmRead, 0)
		require.Equal(t, []task.ID{waits}, ids(queued))
		require.Equal(t, task.DeliveryRead, queued[0].Delivery)
		require.Equal(t, s.now, known("15550100101"))

		s.message("15550100102")
		s.finish(s.get(s.message("15550100103")), task.Failure)
		require.Empty(t, s.confirm("15550100103", task.ConfirmDelivered, 3))
		require.Equal(t, s.now, known("15550100103"))
		require.Zero(t, known("15550100102"))
	})

	t.Run("the phone's word counts more than a companion's", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		id := s.sent("15550100101")
		s.confirm("15550100101", task.ConfirmDelivered, 57)
		require.Equal(t, task.ByCompanion, s.get(id).DeliveredBy)
		s.confirm("15550100101", task.ConfirmDelivered, 0)
		require.Equal(t, task.ByPhone, s.get(id).DeliveredBy)
		s.confirm("15550100101", task.ConfirmRead, 57)
		require.Equal(t, task.ByPhone, s.get(id).DeliveredBy)
	})

	t.Run("an answer is a step, and says nothing of the delivery", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		id := s.sent("15550100101")
		for range 2 {
			s.confirm("15550100101", task.ConfirmAnswered, 0)
		}
		got := s.get(id)
		require.Equal(t, task.DeliveryServerAck, got.Delivery)
		require.Equal(t, task.ByNobody, got.DeliveredBy)
		steps, err := s.tasks.Timeline(t.Context(), id)
		require.NoError(t, err)
		last := steps[len(steps)-1]
		require.Equal(t, task.StepAnswered, last.What)
		require.NotEqual(t, task.StepAnswered, steps[len(steps)-2].What, "once for each device")
	})

	t.Run("a device that asks too often could not read it, until one could", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		id := s.sent("15550100101")
		for range task.AsksMost - 1 {
			s.confirm("15550100101", task.ConfirmAskAgain, 0)
			s.confirm("15550100101", task.ConfirmAskAgain, 3)
		}
		require.Equal(t, task.DeliveryServerAck, s.get(id).Delivery)
		s.confirm("15550100101", task.ConfirmAskAgain, 0)
		require.Equal(t, task.DeliveryUnreadable, s.get(id).Delivery)
		s.confirm("15550100101", task.ConfirmDelivered, 0)
		require.Equal(t, task.DeliveryDelivered, s.get(id).Delivery)
	})

	t.Run("a receipt of somebody else's message concerns no task", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.sent("15550100101")
		for _, c := range []task.Confirmation{
			{Account: account, MessageIDs: []string{"3EB0OTHER", ""}, Kind: task.ConfirmRead},
			{Account: "second", MessageIDs: []string{"3EB015550100101"}, Kind: task.ConfirmRead},
		} {
			count, queued, err := s.tasks.Confirm(t.Context(), c)
			require.Empty(t, queued)
			require.NoError(t, err)
			require.Zero(t, count)
		}
	})
}

func testOverdue(t *testing.T, open opener) {
	t.Run("what nobody confirmed in time is marked, once", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		silent, confirmed := s.sent("15550100101"), s.sent("15550100102")
		s.confirm("15550100102", task.ConfirmDelivered, 0)
		acked := s.get(silent).DeliveryAt
		count, err := s.tasks.Overdue(t.Context(), account, acked, s.now)
		require.NoError(t, err)
		require.Zero(t, count, "not yet")
		s.now = s.later(time.Minute)
		for _, want := range []int{1, 0} {
			count, err = s.tasks.Overdue(t.Context(), account, acked.Add(time.Millisecond), s.now)
			require.NoError(t, err)
			require.Equal(t, want, count)
		}
		require.Equal(t, task.DeliveryTimeout, s.get(silent).Delivery)
		require.Equal(t, task.DeliveryDelivered, s.get(confirmed).Delivery)
		s.confirm("15550100101", task.ConfirmRead, 0)
		require.Equal(t, task.DeliveryRead, s.get(silent).Delivery, "a late receipt counts")
	})
}

func testTimeline(t *testing.T, open opener) {
	t.Run("the steps of every write come in order of time", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		id := s.message("15550100101")
		claimed := s.claimOne()
		claimed.Canonical, claimed.LID, claimed.Warnings = "15550100109", "77@lid", []string{task.WarnDeviceList}
		claimed.Steps = []task.Step{{At: s.later(time.Second), What: task.StepRetried, Detail: "wa_500"}}
		require.NoError(t, s.tasks.Requeue(t.Context(), []task.Task{claimed}))
		s.now = s.later(10 * time.Second)
		s.confirm("15550100101", task.ConfirmDelivered, 2)
		s.confirm("15550100101", task.ConfirmDelivered, 2) // the server repeats receipts
		claimed = s.claimOne()
		require.Equal(t, "15550100109", claimed.Canonical)
		require.Empty(t, claimed.Steps)
		s.now = s.later(-5 * time.Second)
		end := s.end(claimed, task.Yes)
		end.Task.Steps = []task.Step{{At: s.now, What: task.StepAcked}}
		require.NoError(t, s.tasks.Finish(t.Context(), []task.Finished{end}))

		steps, err := s.tasks.Timeline(t.Context(), id)
		require.NoError(t, err)
		names := make([]task.StepName, len(steps))
		for i, step := range steps {
			names[i] = step.What
		}
		require.Equal(t, []task.StepName{task.StepQueued, task.StepRetried, task.StepAcked, task.StepDelivered}, names)
		require.Equal(t, "wa_500", steps[1].Detail)
		require.Equal(t, "device 2", steps[3].Detail)
		require.True(t, slices.IsSortedFunc(steps, func(a, b task.Step) int { return a.At.Compare(b.At) }))
		got := s.get(id)
		require.Equal(t, "77@lid", got.LID)
		require.Equal(t, []string{task.WarnDeviceList}, got.Warnings)
	})

	t.Run("a task that is tried for ever does not fill the disk", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		id := s.message("15550100101")
		claimed := s.claimOne()
		claimed.Steps = slices.Repeat([]task.Step{{At: s.now, What: task.StepRetried}}, 10*stepsMost)
		require.NoError(t, s.tasks.Requeue(t.Context(), []task.Task{claimed}))
		steps, err := s.tasks.Timeline(t.Context(), id)
		require.NoError(t, err)
		require.Len(t, steps, stepsMost+1)
	})

	t.Run("of a task that is not there", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		_, err := s.tasks.Timeline(t.Context(), "unknown")
		require.ErrorIs(t, err, task.ErrNotFound)
	})
}
