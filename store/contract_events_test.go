package store

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"whatsappd/callback"
	"whatsappd/session"
)

// keep keeps facts about the account.
func (s *scene) keep(facts session.Facts) {
	s.t.Helper()
	require.NoError(s.t, s.accounts.KeepFacts(s.t.Context(), session.DefaultAccount, facts))
}

// events returns the codes of the events that are kept, oldest first.
func (s *scene) events() []string {
	s.t.Helper()
	codes := []string{}
	for _, d := range s.deliveries() {
		require.Empty(s.t, d.TaskID)
		codes = append([]string{d.Event}, codes...)
	}
	return codes
}

func testEvents(t *testing.T, open opener) {
	t.Run("a change is told once, and its end once more", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		locked := session.Facts{Number: "15550100100", ReachoutEnd: s.later(time.Hour + time.Microsecond)}
		s.keep(session.Facts{Number: "15550100100"})
		require.Empty(t, s.events())
		for range 5 {
			s.keep(locked)
		}
		require.Equal(t, []string{"reachout_locked"}, s.events())
		d := s.deliveries()[0]
		require.Regexp(t, `^cb_[0-9a-f-]{36}$`, d.ID)
		require.Empty(t, cmp.Diff(callback.Delivery{
			ID: d.ID, Event: "reachout_locked", URL: "http://operator/hook", State: callback.Due, NextAt: s.now, Created: s.now, Body: d.Body,
		}, d))
		require.JSONEq(t, `{"event":"reachout_locked","account":"default","at":"2023-11-14T22:13:20Z","until":"2023-11-14T23:13:20Z",
			"detail":"WhatsApp takes no first messages to strangers for now; answers go on"}`, string(d.Body))
		for range 5 {
			s.keep(session.Facts{Number: "15550100100"})
		}
		require.Equal(t, []string{"reachout_locked", "reachout_unlocked"}, s.events())
	})

	t.Run("events are delivered as reports of tasks are, beside them", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.keep(session.Facts{ReachoutEnd: s.later(time.Hour)})
		event := s.deliveries()[0]
		report := s.delivery("http://host/cb")
		require.Empty(t, report.Event)
		claimed := s.due(s.now, 10)
		require.ElementsMatch(t, []string{event.ID, report.ID}, []string{claimed[0].ID, claimed[1].ID})
		event.Attempt, event.State, event.Finished = 1, callback.Dead, s.now
		s.record(event, callback.Attempt{Status: 500, Error: "the receiver answered 500"})
		attempts, err := s.callbacks.Attempts(t.Context(), event.ID)
		require.NoError(t, err)
		require.Len(t, attempts, 1)
		require.NoError(t, s.callbacks.Replay(t.Context(), event.ID, s.later(time.Hour)))
		claimed = s.due(s.later(time.Hour), 10)
		require.Len(t, claimed, 1)
		require.Equal(t, event.ID, claimed[0].ID, "the same event, not another one")
		require.Equal(t, event.Body, claimed[0].Body)
	})

	t.Run("final ones are deleted with tasks of their age", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		for hour := range 3 {
			s.keep(session.Facts{ReachoutEnd: s.later(time.Duration(1+hour) * time.Hour)})
		}
		final := s.due(s.now, 10)
		require.Len(t, final, 1, "one at a time to a receiver that is not known")
		for i, state := range []callback.State{callback.Delivered, callback.Dead} {
			d := s.deliveries()[2-i]
			d.State, d.Attempt, d.Finished = state, 1, s.later(time.Duration(i)*time.Hour)
			s.record(d, callback.Attempt{Status: 200})
		}
		count, err := s.tasks.Sweep(t.Context(), s.later(time.Minute), s.later(time.Minute))
		require.NoError(t, err)
		require.Zero(t, count, "tasks are counted")
		left := s.deliveries()
		require.Len(t, left, 2)
		require.Equal(t, callback.Due, left[0].State)
		require.Equal(t, callback.Dead, left[1].State)
		attempts, err := s.callbacks.Attempts(t.Context(), final[0].ID)
		require.NoError(t, err)
		require.Empty(t, attempts)
		_, err = s.tasks.Sweep(t.Context(), s.later(48*time.Hour), s.later(48*time.Hour))
		require.NoError(t, err)
		require.Len(t, s.deliveries(), 1, "who is still to hear of it does")
	})
}

func TestAChangeAndItsEventAreOneCommit(t *testing.T) {
	t.Parallel()
	db := openAnnouncing(t, t.TempDir())
	s := &scene{keepers: keepers{db, db, db, db}, t: t, now: time.UnixMilli(1_700_000_000_000).UTC()}
	do := func(statement string) {
		require.NoError(t, db.writer.do(t.Context(), func(ctx context.Context, q queries) error {
			_, err := q.ExecContext(ctx, statement)
			return err
		}))
	}
	do(`CREATE TRIGGER refuse BEFORE INSERT ON callback BEGIN SELECT RAISE(ABORT, 'no more events'); END`)
	locked := session.Facts{ReachoutEnd: s.later(time.Hour)}
	require.ErrorContains(t, db.KeepFacts(t.Context(), session.DefaultAccount, locked), "no more events")
	kept, err := db.Facts(t.Context(), session.DefaultAccount)
	require.NoError(t, err)
	require.Zero(t, kept)
	do(`DROP TRIGGER refuse`)
	s.keep(locked)
	require.Equal(t, []string{"reachout_locked"}, s.events())
}

func TestARestoredLedgerTellsNoOldEvents(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openAnnouncing(t, dir)
	s := &scene{keepers: keepers{db, db, db, db}, t: t, now: time.UnixMilli(1_700_000_000_000).UTC()}
	facts := session.Facts{Number: "15550100100", ReachoutEnd: s.later(time.Hour)}
	s.keep(facts)
	report := s.delivery("http://host/cb")

	copied, _ := restored(t, dir, Options{Announce: db.announce})
	s.keepers = keepers{copied, copied, copied, copied}
	s.keep(facts)
	all := s.deliveries()
	require.Len(t, all, 2)
	require.Equal(t, report, all[0], "who waits for the end of a task still does")
	require.Equal(t, callback.Dead, all[1].State)
	require.Equal(t, "a backup was restored that still had it to deliver", all[1].LastError)
	require.False(t, all[1].Finished.IsZero())
	require.NoError(t, copied.Replay(t.Context(), all[1].ID, s.now), "who wants it may have it")
}
