package task_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

// text accepts a message with a text.
func (s *scene) text(number, text string) task.ID {
	return s.accept(task.New{Kind: task.Message, Number: number, Text: text, MessageID: "id of " + number})
}

func TestTheSameTextToManyStrangersIsAWarning(t *testing.T) {
	t.Parallel()
	play(t, func(o *task.Options, _ *hands) { o.Pace = task.Policy{SameText: 3} }, func(s *scene) {
		warned := func(id task.ID) bool { return len(s.ledger.get(id).Warnings) > 0 }
		require.NoError(t, s.lane.Heard(t.Context(), task.Address{Number: "friend"}, time.Now()))
		for i := range 3 {
			id := s.text(fmt.Sprint(i), "offer")
			s.pass(time.Second)
			require.False(t, warned(id), i)
		}
		friend, again, other, fourth := s.text("friend", "offer"), s.text("0", "offer"), s.text("5", "another"), s.text("4", "offer")
		s.pass(time.Second)
		require.False(t, warned(friend), "a friend is no stranger")
		require.False(t, warned(again), "nor is one we wrote to")
		require.False(t, warned(other), "another text")
		require.Equal(t, []string{task.WarnSameText}, s.ledger.get(fourth).Warnings)
		require.Equal(t, task.Yes, s.ledger.get(fourth).Verdict, "it is a warning only")
		s.pass(25 * time.Hour)
		late := s.text("6", "offer")
		s.pass(time.Second)
		require.False(t, warned(late), "a day later it begins anew")
	})
}

func TestTheSameTextToManyStrangersCanBeRefused(t *testing.T) {
	t.Parallel()
	play(t, func(o *task.Options, _ *hands) { o.Pace = task.Policy{SameText: 3, SameTextBlock: true} }, func(s *scene) {
		for i := range 5 {
			s.text(fmt.Sprint(i), "offer")
		}
		s.pass(time.Second)
		require.Equal(t, map[string]int{"done": 3, "failed same_text_blocked": 2}, s.ledger.outcomes())
		require.Len(t, s.hands.tried(), 3)
		s.pass(25 * time.Hour)
		s.text("6", "offer")
		s.pass(time.Second)
		require.Len(t, s.hands.tried(), 4, "what was refused does not count")
	})
}

func TestNobodyWhoOptedOutGetsAMessage(t *testing.T) {
	t.Parallel()
	play(t, paced, func(s *scene) {
		require.NoError(t, s.lane.Heard(t.Context(), task.Address{Number: "1"}, time.Now()))
		require.NoError(t, s.lane.Paired(t.Context(), time.Now()))
		s.ledger.optOut("1")
		out, waits := s.message("1"), s.message("2")
		s.pass(time.Minute)
		require.Equal(t, "opted_out", s.ledger.get(out).Code)
		require.Equal(t, task.Failed, s.ledger.get(out).State)
		require.Equal(t, "settling", s.ledger.get(waits).Reason)
		s.ledger.optOut("2") // while it waits
		s.pass(2 * time.Minute)
		require.Equal(t, "opted_out", s.ledger.get(waits).Code)
		require.Empty(t, s.hands.tried())
		require.Empty(t, s.ledger.kept().Sends, "what is not sent takes no place")
	})
}
