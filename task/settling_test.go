package task_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

func TestAPairingThatSettlesEarlyLetsStrangersGoInOrder(t *testing.T) {
	t.Parallel()
	play(t, paced, func(s *scene) {
		paired := time.Now()
		require.NoError(t, s.lane.Paired(t.Context(), paired))
		first := s.message("1")
		s.message("2")
		s.message("3")
		s.pass(30 * time.Second)
		require.Empty(t, s.hands.tried())
		require.Equal(t, task.ReasonSettling, s.ledger.get(first).Reason)
		require.True(t, s.ledger.get(first).NotBefore.Equal(paired.Add(2*time.Minute)))

		require.NoError(t, s.lane.Settled(t.Context()))
		s.pass(time.Second)
		require.Equal(t, []string{"1"}, numbers(s.hands.tried()), "at once")
		require.LessOrEqual(t, s.ledger.get(first).Waited, 31*time.Second, "only what it did wait")
		s.pass(45 * time.Second)
		require.Equal(t, []string{"1", "2", "3"}, numbers(s.hands.tried()), "at the pace of first contacts")
		require.True(t, time.Now().Before(paired.Add(2*time.Minute)))
	})
}

func TestAPairingThatNeverSettlesHoldsStrangersForItsTimeOnly(t *testing.T) {
	t.Parallel()
	play(t, paced, func(s *scene) {
		require.NoError(t, s.lane.Paired(t.Context(), time.Now()))
		s.message("1")
		s.pass(2*time.Minute - time.Second)
		require.Empty(t, s.hands.tried())
		s.pass(2 * time.Second)
		require.Len(t, s.hands.tried(), 1)
		require.NoError(t, s.lane.Settled(t.Context()), "late")
		s.pass(time.Minute)
		require.Len(t, s.hands.tried(), 1)
	})
}

func TestOnlyThePairingThatSettledLetsStrangersGo(t *testing.T) {
	t.Parallel()
	play(t, paced, func(s *scene) {
		require.NoError(t, s.lane.Paired(t.Context(), time.Now()))
		require.NoError(t, s.lane.Settled(t.Context()))
		s.message("1")
		s.pass(time.Minute)
		require.Len(t, s.hands.tried(), 1)

		require.NoError(t, s.lane.Paired(t.Context(), time.Now())) // again
		s.message("2")
		s.pass(time.Minute)
		require.Len(t, s.hands.tried(), 1, "the next one has to settle too")
		s.stop()
		s.run()
		s.pass(50 * time.Second)
		require.Len(t, s.hands.tried(), 1, "over a restart as well")
		s.pass(11 * time.Second)
		require.Equal(t, []string{"1", "2"}, numbers(s.hands.tried()))
	})
}

func TestAfterARestartStrangersWaitForWhatIsLeftOfTheSettlingTime(t *testing.T) {
	t.Parallel()
	play(t, paced, func(s *scene) {
		paired := time.Now()
		require.NoError(t, s.lane.Paired(t.Context(), paired))
		require.NoError(t, s.lane.Settled(t.Context()))
		s.pass(time.Second)
		s.stop()
		s.run()
		id := s.message("1")
		s.pass(time.Minute)
		require.Equal(t, task.ReasonSettling, s.ledger.get(id).Reason)
		require.True(t, s.ledger.get(id).NotBefore.Equal(paired.Add(2*time.Minute)))
		s.pass(time.Minute)
		require.Equal(t, task.Done, s.ledger.get(id).State)
	})
}

func TestAPairingThatSettlesEndsNoOtherWaitOfStrangers(t *testing.T) {
	t.Parallel()
	play(t, paced, func(s *scene) {
		require.NoError(t, s.lane.Paired(t.Context(), time.Now()))
		s.hands.lock(time.Now().Add(time.Hour))
		id := s.message("1")
		s.pass(time.Second)
		require.NoError(t, s.lane.Settled(t.Context()))
		s.pass(30 * time.Minute)
		require.Empty(t, s.hands.tried())
		require.Equal(t, task.ReasonLocked, s.ledger.get(id).Reason)
		s.pass(31 * time.Minute)
		require.Equal(t, task.Done, s.ledger.get(id).State)
	})
}
