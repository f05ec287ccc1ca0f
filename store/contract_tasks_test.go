package store

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"whatsappd/callback"
	"whatsappd/task"
)

func testAccept(t *testing.T, open opener) {
	t.Run("a task is kept as it was asked for", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		text := "Zeile eins\nline two \u202e\U0001f600 a/b%2F " + strings.Repeat("ж", 60_000)
		id := s.accept(task.New{
			Kind: task.Message, Number: "15550100101", Text: text, MessageID: "3EB0AA", ReturnURL: "http://host/cb?x=1",
			ForNumber: "15550100100", RequestID: "request", TokenID: "abc",
		})
		got := s.get(id)
		want := task.Task{
			ID: id, Seq: got.Seq, Account: account, Kind: task.Message, Number: "15550100101", Text: text, MessageID: "3EB0AA",
			ReturnURL: "http://host/cb?x=1", ForNumber: "15550100100", RequestID: "request", TokenID: "abc",
			State: task.Queued, Created: s.now, Cold: true, Contact: task.Identity{ID: got.Contact.ID, Phone: "15550100101"},
		}
		require.Regexp(t, `^c_[0-9a-f-]{36}$`, got.Contact.ID)
		require.Empty(t, cmp.Diff(want, got))
		require.Positive(t, got.Seq)
	})

	t.Run("a cancelled caller leaves nothing behind", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.tasks.Accept(ctx, task.New{Account: account, Kind: task.Check}, s.now)
		require.ErrorIs(t, err, context.Canceled)
		counts, err := s.tasks.Counts(t.Context())
		require.NoError(t, err)
		require.Empty(t, counts)
	})
}

func testIdempotency(t *testing.T, open opener) {
	t.Run("the same request under one idempotency key is one task", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		w := task.New{Account: account, Kind: task.Check, Number: "15550100101", IdempotencyKey: "key", RequestHash: "hash"}
		answers := make([]task.Accepted, 50)
		var group errgroup.Group
		for i := range answers {
			group.Go(func() (err error) {
				answers[i], err = s.tasks.Accept(t.Context(), w, s.now)
				return err
			})
		}
		require.NoError(t, group.Wait())
		fresh := 0
		for _, a := range answers {
			require.Equal(t, answers[0].ID, a.ID)
			if !a.Duplicate {
				fresh++
			}
		}
		require.Equal(t, 1, fresh)
		known, err := s.tasks.Earlier(t.Context(), w)
		require.NoError(t, err)
		require.Equal(t, task.Accepted{ID: answers[0].ID, Duplicate: true}, known)
		w.IdempotencyKey = "another"
		_, err = s.tasks.Earlier(t.Context(), w)
		require.ErrorIs(t, err, task.ErrNotFound)
		counts, err := s.tasks.Counts(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[task.State]int{task.Queued: 1}, counts)
	})

	t.Run("another request under a known idempotency key is refused", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		w := task.New{Account: account, Kind: task.Check, Number: "15550100101", IdempotencyKey: "key", RequestHash: "hash"}
		s.accept(w)
		w.RequestHash = "other"
		_, err := s.tasks.Accept(t.Context(), w, s.now)
		require.ErrorIs(t, err, task.ErrIdempotency)
		_, err = s.tasks.Earlier(t.Context(), w)
		require.ErrorIs(t, err, task.ErrIdempotency)
		w.Account = "second"
		_, err = s.tasks.Earlier(t.Context(), w)
		require.ErrorIs(t, err, task.ErrNotFound)
		s.accept(w) // keys are each account's own
	})

	t.Run("requests without an idempotency key are never the same", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		first, second := s.message("15550100101"), s.message("15550100101")
		require.NotEqual(t, first, second)
		require.Greater(t, s.get(second).Seq, s.get(first).Seq)
	})
}

func testFinish(t *testing.T, open opener) {
	t.Run("the end, its callback and the pace are one commit", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		id := s.message("15550100101")
		claimed := s.claimOne()
		s.now = s.later(time.Second)
		end := s.end(claimed, task.Yes)
		end.Pace = &task.PaceState{NextSendAt: s.later(time.Minute), Sends: []time.Time{s.now}}
		require.NoError(t, s.tasks.Finish(t.Context(), []task.Finished{end}))

		end.Task.Cold = false // it was the first contact
		require.Empty(t, cmp.Diff(end.Task, s.get(id)))
		deliveries := s.deliveries()
		require.Len(t, deliveries, 1)
		require.Regexp(t, `^cb_[0-9a-f-]{36}$`, deliveries[0].ID)
		require.Empty(t, cmp.Diff(callback.Delivery{
			ID: deliveries[0].ID, TaskID: id, URL: end.Callback.URL, Body: end.Callback.Body,
			State: callback.Due, NextAt: s.now, Created: s.now,
		}, deliveries[0]))
		pace, err := s.tasks.Pace(t.Context(), account)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(*end.Pace, pace))
		known, err := s.people.Contact(t.Context(), account, "15550100101")
		require.NoError(t, err)
		require.Equal(t, s.now, known.FirstSent)
	})

	t.Run("a failure is kept with what it came with", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		id := s.message("15550100101")
		claimed := s.claimOne()
		back := claimed
		back.Code, back.WACode, back.Detail, back.Reason = "wa_499", 499, "WhatsApp said 499", "wa_499"
		require.NoError(t, s.tasks.Requeue(t.Context(), []task.Task{back}))
		back.State = task.Queued
		require.Empty(t, cmp.Diff(back, s.get(id)))
		end := s.end(s.claimOne(), task.Failure)
		require.NoError(t, s.tasks.Finish(t.Context(), []task.Finished{end}))
		end.Task.Reason = ""
		require.Empty(t, cmp.Diff(end.Task, s.get(id)))
	})

	t.Run("a final task stays as it is and reports once", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		id := s.message("15550100101")
		claimed := s.claimOne()
		s.finish(claimed, task.Yes)
		before := s.get(id)
		s.now = s.later(time.Minute)
		again := s.end(claimed, task.Failure)
		again.Pace = &task.PaceState{NextSendAt: s.later(time.Hour)}
		require.NoError(t, s.tasks.Finish(t.Context(), []task.Finished{again}))
		require.Empty(t, cmp.Diff(before, s.get(id)))
		require.Len(t, s.deliveries(), 1)
		pace, err := s.tasks.Pace(t.Context(), account)
		require.NoError(t, err)
		require.Empty(t, pace)
	})

	t.Run("a task without a return URL has no callback", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		id := s.accept(task.New{Kind: task.Check, Number: "15550100101"})
		s.finish(s.claim(task.ClassCheck, 1)[0], task.No)
		require.Equal(t, task.No, s.get(id).Verdict)
		require.Empty(t, s.deliveries())
	})

	t.Run("a queued task can end without an attempt", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		id := s.message("15550100101")
		s.finish(s.get(id), task.NotPerformed)
		got := s.get(id)
		require.Equal(t, task.Done, got.State)
		require.Zero(t, got.Attempt)
		require.Empty(t, s.claim(task.ClassMessage, 1))
	})
}

func testFinishContacts(t *testing.T, open opener) {
	t.Run("only a message that was taken makes a contact", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.message("15550100101")
		s.finish(s.claimOne(), task.Failure)
		s.accept(task.New{Kind: task.Check, Number: "15550100101"})
		s.finish(s.claim(task.ClassCheck, 1)[0], task.Yes)
		known, err := s.people.Contact(t.Context(), account, "15550100101")
		require.NoError(t, err)
		require.Zero(t, known.FirstSent)
	})

	t.Run("the first message to a contact stays the first", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		start := s.now
		for range 2 {
			s.message("15550100101")
			s.finish(s.claimOne(), task.Yes)
			s.now = s.later(time.Hour)
		}
		known, err := s.people.Contact(t.Context(), account, "15550100101")
		require.NoError(t, err)
		require.Equal(t, start, known.FirstSent)
	})

	t.Run("ends of one call come together or not at all", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		id := s.message("15550100101")
		good := s.end(s.claimOne(), task.Yes)
		unknown := s.end(task.Task{ID: "unknown"}, task.Yes)
		require.ErrorIs(t, s.tasks.Finish(t.Context(), []task.Finished{good, unknown}), task.ErrNotFound)
		require.Equal(t, task.Running, s.get(id).State)
		require.Empty(t, s.deliveries())
		unfinished := task.Finished{Task: s.get(id)}
		require.Error(t, s.tasks.Finish(t.Context(), []task.Finished{unfinished}))
		require.NoError(t, s.tasks.Finish(t.Context(), []task.Finished{good}))
		require.NoError(t, s.tasks.Finish(t.Context(), nil))
	})
}

func testRead(t *testing.T, open opener) {
	t.Run("a task nobody accepted is not found", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		_, err := s.tasks.Get(t.Context(), "0198c0de-0000-7000-8000-000000000000")
		require.ErrorIs(t, err, task.ErrNotFound)
	})

	t.Run("lists page from the newest to the oldest", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		var want []task.ID
		for range 7 {
			want = append([]task.ID{s.accept(task.New{Kind: task.Check, Number: "15550100101"})}, want...)
		}
		var got []task.ID
		before := int64(0)
		for {
			page, err := s.tasks.List(t.Context(), "", before, 3)
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			require.LessOrEqual(t, len(page), 3)
			got = append(got, ids(page)...)
			before = page[len(page)-1].Seq
		}
		require.Equal(t, want, got)
	})

	t.Run("lists and counts tell states apart", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		failed, running, queued := s.message("15550100101"), s.message("15550100102"), s.message("15550100103")
		s.finish(s.claimOne(), task.Failure)
		s.claimOne()
		for state, id := range map[task.State]task.ID{task.Failed: failed, task.Running: running, task.Queued: queued} {
			page, err := s.tasks.List(t.Context(), state, 0, 10)
			require.NoError(t, err)
			require.Equal(t, []task.ID{id}, ids(page))
		}
		counts, err := s.tasks.Counts(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[task.State]int{task.Failed: 1, task.Running: 1, task.Queued: 1}, counts)
	})

	t.Run("waiting tasks of a class come oldest first", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		running := s.message("15550100101")
		messages := []task.ID{s.message("15550100101"), s.message("15550100102")}
		check := s.accept(task.New{Kind: task.Check, Number: "15550100101"})
		login := s.accept(task.New{Kind: task.Login})
		s.accept(task.New{Account: "second", Kind: task.Check, Number: "15550100101"})
		require.Equal(t, running, s.claimOne().ID)
		for _, c := range []struct {
			class task.Class
			most  int
			want  []task.ID
		}{
			{task.ClassMessage, 10, messages},
			{task.ClassMessage, 1, messages[:1]},
			{task.ClassCheck, 1, []task.ID{check}},
			{task.ClassControl, 1, []task.ID{login}},
		} {
			got, err := s.tasks.Waiting(t.Context(), account, c.class, c.most)
			require.NoError(t, err)
			require.Equal(t, c.want, ids(got))
		}
	})
	t.Run("those that do not wait out a log-out apart", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		var impatient []task.ID
		for i := range 3 {
			patient := s.accept(task.New{Kind: task.Message, Number: "15550100101", Text: "hello", Patient: true})
			kept, err := s.tasks.Get(t.Context(), patient)
			require.NoError(t, err)
			require.True(t, kept.Patient)
			impatient = append(impatient, s.accept(task.New{Kind: task.Message, Number: "15550100102", Text: "hello"}))
			s.accept(task.New{Kind: task.Check, Number: fmt.Sprintf("1555010011%d", i)})
		}
		for most, want := range map[int][]task.ID{10: impatient, 2: impatient[:2]} {
			got, err := s.tasks.Impatient(t.Context(), account, task.ClassMessage, most)
			require.NoError(t, err)
			require.Equal(t, want, ids(got))
			require.False(t, got[0].Patient)
		}
	})
}

func testSweep(t *testing.T, open opener) {
	sweep := func(s *scene, deleteBefore, blankBefore time.Time) int {
		s.t.Helper()
		count, err := s.tasks.Sweep(s.t.Context(), deleteBefore, blankBefore)
		require.NoError(s.t, err)
		return count
	}
	t.Run("old texts are blanked and older tasks deleted", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		var all []task.ID
		for range 3 { // they end one hour after the other
			all = append(all, s.accept(task.New{Kind: task.Message, Number: "15550100101", Text: "hello"}))
			s.finish(s.claimOne(), task.Yes)
			s.now = s.later(time.Hour)
		}
		unfinished := s.message("15550100101")
		start := s.get(all[0]).Finished
		require.Equal(t, 2, sweep(s, start.Add(time.Hour), start.Add(2*time.Hour)))
		_, err := s.tasks.Get(t.Context(), all[0])
		require.ErrorIs(t, err, task.ErrNotFound)
		require.Empty(t, s.get(all[1]).Text)
		require.Equal(t, "hello", s.get(all[2]).Text)
		require.Equal(t, "hello", s.get(unfinished).Text)
		require.Zero(t, sweep(s, start.Add(time.Hour), start.Add(2*time.Hour)))
		require.Zero(t, sweep(s, time.Time{}, time.Time{}))
	})

	t.Run("a task stays until its callback is final, then both go", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		d := s.delivery("http://host/cb")
		require.Zero(t, sweep(s, s.later(time.Hour), s.later(time.Hour)))
		claimed, err := s.callbacks.ClaimDue(t.Context(), s.now, callback.Room{All: 1})
		require.NoError(t, err)
		require.Len(t, claimed, 1)
		require.Zero(t, sweep(s, s.later(time.Hour), s.later(time.Hour)))
		d.State, d.Finished = callback.Dead, s.now
		require.NoError(t, s.callbacks.Record(t.Context(), d, callback.Attempt{DeliveryID: d.ID, N: 1, At: s.now}))
		require.Equal(t, 1, sweep(s, s.later(time.Hour), s.later(time.Hour)))
		require.Empty(t, s.deliveries())
		attempts, err := s.callbacks.Attempts(t.Context(), d.ID)
		require.NoError(t, err)
		require.Empty(t, attempts)
	})

	t.Run("more than one chunk goes in one call, and numbers are not used again", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		const many = 2*sweepMost + 7
		var group errgroup.Group
		group.SetLimit(64)
		for range many {
			group.Go(func() error {
				_, err := s.tasks.Accept(t.Context(), task.New{Account: account, Kind: task.Check, Number: "15550100101"}, s.now)
				return err
			})
		}
		require.NoError(t, group.Wait())
		var ends []task.Finished
		last := int64(0)
		for _, c := range s.claim(task.ClassCheck, many) {
			ends = append(ends, s.end(c, task.No))
			last = c.Seq
		}
		require.Len(t, ends, many)
		require.NoError(t, s.tasks.Finish(t.Context(), ends))
		require.Equal(t, many, sweep(s, s.later(time.Second), time.Time{}))
		require.Greater(t, s.get(s.message("15550100101")).Seq, last)
	})
}
