package task

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// counted is a keeper that only accepts and counts.
type counted struct {
	Keeper

	open      int
	err       error
	duplicate bool
	counts    int // how often it was asked
}

func (k *counted) Accept(context.Context, New, time.Time) (Accepted, error) {
	if k.err == nil && !k.duplicate {
		k.open++
	}
	return Accepted{Duplicate: k.duplicate}, k.err
}

func (k *counted) Counts(context.Context) (map[State]int, error) {
	k.counts++
	return map[State]int{Queued: k.open - 1, Running: 1, Done: 1000, Failed: 1000}, nil
}

func TestAFullQueueTakesNothingButLogInsAndLogOuts(t *testing.T) {
	t.Parallel()
	keeper := &counted{open: 7} // of an earlier run
	now := time.Now()
	l := NewLane(Options{MaxQueued: 10, Now: func() time.Time { return now }}, keeper, nil)
	accept := func(kind Kind) error {
		_, err := l.Accept(t.Context(), New{Kind: kind})
		return err
	}
	for range 3 {
		require.NoError(t, accept(Message))
	}
	for range 1000 {
		require.ErrorIs(t, accept(Message), ErrQueueFull)
		require.ErrorIs(t, accept(Check), ErrQueueFull)
	}
	require.Equal(t, 10, keeper.open)
	require.Equal(t, 1, keeper.counts, "a full queue is not counted at every call")
	require.NoError(t, accept(Logout))
	require.NoError(t, accept(Login))

	keeper.open = 4 // the others have ended
	require.ErrorIs(t, accept(Check), ErrQueueFull, "just counted")
	now = now.Add(recount)
	for range 6 {
		require.NoError(t, accept(Check))
	}
	require.ErrorIs(t, accept(Check), ErrQueueFull)

	now = now.Add(recount)
	for range controlRoom {
		require.NoError(t, accept(Logout))
	}
	require.ErrorIs(t, accept(Logout), ErrQueueFull, "not without end")
}

// remembered is a keeper that knows one idempotency key.
type remembered struct {
	counted

	conflict bool
	broken   error
}

func (k *remembered) Earlier(_ context.Context, w New) (Accepted, error) {
	switch {
	case k.broken != nil:
		return Accepted{}, k.broken
	case w.IdempotencyKey != "known":
		return Accepted{}, ErrNotFound
	case k.conflict:
		return Accepted{}, ErrIdempotency
	}
	return Accepted{ID: "first", Duplicate: true}, nil
}

func TestARepeatIsAnsweredAlthoughNothingNewIsTaken(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]struct {
		refused error
		keeper  counted
	}{
		"full queue":       {ErrQueueFull, counted{open: 10}},
		"full disk":        {ErrFull, counted{err: ErrFull}},
		"unwritable disk":  {ErrUnwritable, counted{err: ErrUnwritable}},
		"something broken": {errors.ErrUnsupported, counted{err: errors.ErrUnsupported}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keeper := &remembered{counted: prepare.keeper}
			l := NewLane(Options{MaxQueued: 10}, keeper, nil)
			accept := func(key string) (Accepted, error) {
				return l.Accept(t.Context(), New{Kind: Check, IdempotencyKey: key})
			}
			got, err := accept("known")
			if name == "something broken" {
				require.ErrorIs(t, err, prepare.refused)
				return
			}
			require.NoError(t, err)
			require.Equal(t, Accepted{ID: "first", Duplicate: true}, got)
			for _, key := range []string{"", "another"} {
				_, err = accept(key)
				require.ErrorIs(t, err, prepare.refused)
			}
			keeper.conflict = true
			_, err = accept("known")
			require.ErrorIs(t, err, ErrIdempotency)
			keeper.broken = errors.New("no")
			_, err = accept("known")
			require.ErrorIs(t, err, prepare.refused, "the first cause is told")
		})
	}
}

func TestWhatWasNotAcceptedTakesNoRoom(t *testing.T) {
	t.Parallel()
	keeper := &counted{open: 1}
	now := time.Now()
	l := NewLane(Options{MaxQueued: 3, Now: func() time.Time { return now }}, keeper, nil)
	keeper.err = errors.New("no")
	for range 10 {
		_, err := l.Accept(t.Context(), New{Kind: Check})
		require.ErrorIs(t, err, keeper.err)
	}
	keeper.err, keeper.duplicate = nil, true
	for range 10 {
		_, err := l.Accept(t.Context(), New{Kind: Check})
		require.NoError(t, err)
	}
	keeper.duplicate = false
	for range 2 {
		_, err := l.Accept(t.Context(), New{Kind: Check})
		require.NoError(t, err)
	}
	_, err := l.Accept(t.Context(), New{Kind: Check})
	require.ErrorIs(t, err, ErrQueueFull)
	require.Equal(t, 1, keeper.counts)

	l = NewLane(Options{}, keeper, nil)
	_, err = l.Accept(t.Context(), New{Kind: Check})
	require.NoError(t, err, "no limit")
}
