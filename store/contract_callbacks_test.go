package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"whatsappd/callback"
)

// due takes due deliveries, of the destinations that are not full.
func (s *scene) due(now time.Time, limit int, full ...string) []callback.Delivery {
	s.t.Helper()
	room := callback.Room{All: limit, Each: map[string]int{}}
	for _, destination := range full {
		room.Each[destination] = 0
	}
	deliveries, err := s.callbacks.ClaimDue(s.t.Context(), now, room)
	require.NoError(s.t, err)
	return deliveries
}

// record keeps an attempt that was made now.
func (s *scene) record(d callback.Delivery, a callback.Attempt) {
	s.t.Helper()
	a.DeliveryID, a.N, a.At = d.ID, d.Attempt, s.now
	require.NoError(s.t, s.callbacks.Record(s.t.Context(), d, a))
}

func testDeliver(t *testing.T, open opener) {
	t.Run("a delivery is taken once, and the attempt counts", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		made := s.delivery("http://host/cb")
		claimed := s.due(s.now, 10)
		made.State, made.Attempt = callback.Sending, 1
		require.Empty(t, cmp.Diff([]callback.Delivery{made}, claimed))
		require.Empty(t, cmp.Diff([]callback.Delivery{made}, s.deliveries()))
		require.Empty(t, s.due(s.now, 10))
	})

	t.Run("the one that is due longest goes first, and none before its time", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		first, second := s.delivery("http://one/cb"), s.delivery("http://two/cb")
		for i, d := range s.due(s.now, 2) {
			d.State, d.NextAt = callback.Due, s.later(time.Duration(2-i)*time.Minute)
			s.record(d, callback.Attempt{Status: 500, Error: "500"})
		}
		require.Empty(t, s.due(s.later(59*time.Second), 10))
		at, ok, err := s.callbacks.NextDelivery(t.Context(), nil)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, s.later(time.Minute), at)
		claimed := s.due(s.later(time.Hour), 1)
		require.Equal(t, second.ID, claimed[0].ID)
		require.Equal(t, 2, claimed[0].Attempt)
		claimed = s.due(s.later(time.Hour), 1)
		require.Equal(t, first.ID, claimed[0].ID)
		_, ok, err = s.callbacks.NextDelivery(t.Context(), nil)
		require.NoError(t, err)
		require.False(t, ok)
	})

	t.Run("each destination gets no more than it has room for", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		for range 5 {
			s.delivery("http://one/cb")
			s.delivery("http://two/cb")
			s.delivery("http://three/cb")
		}
		claimed, err := s.callbacks.ClaimDue(t.Context(), s.now, callback.Room{All: 15, Each: map[string]int{"http://one:80": 3, "http://three:80": -1}})
		require.NoError(t, err)
		got := map[string]int{}
		for _, d := range claimed {
			got[d.URL]++
		}
		require.Equal(t, map[string]int{"http://one/cb": 3, "http://two/cb": 1}, got)
		require.Len(t, s.due(s.now, 15), 3, "of each another one")
	})

	t.Run("what goes to full destinations is not waited for", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.delivery("http://full/cb")
		d := s.delivery("http://host/cb")
		s.due(s.now, 1, "http://full:80")
		d.State, d.NextAt = callback.Due, s.later(time.Minute)
		s.record(d, callback.Attempt{Status: 500, Error: "500"})
		at, ok, err := s.callbacks.NextDelivery(t.Context(), []string{"http://full:80"})
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, d.NextAt, at)
		_, ok, err = s.callbacks.NextDelivery(t.Context(), []string{"http://full:80", "http://host:80"})
		require.NoError(t, err)
		require.False(t, ok)
	})

	t.Run("full destinations are passed over", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.delivery("http://Slow.example/cb?x=1")
		s.delivery("https://slow.example/cb")
		s.delivery("http://slow.example:8080/cb")
		quick := s.delivery("http://quick.example:9000/cb")
		claimed := s.due(s.now, 10, "http://slow.example:80", "https://slow.example:443", "http://slow.example:8080")
		require.Len(t, claimed, 1)
		require.Equal(t, quick.ID, claimed[0].ID)
		require.Len(t, s.due(s.now, 10, "http://slow.example:80"), 2)
	})
}

func testRecord(t *testing.T, open opener) {
	t.Run("an attempt is kept together with where the delivery stands", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.delivery("http://host/cb")
		d := s.due(s.now, 1)[0]
		d.State, d.NextAt, d.LastStatus, d.LastError = callback.Due, s.later(5*time.Second), 503, "the receiver answered 503"
		s.record(d, callback.Attempt{Took: 1500 * time.Millisecond, Status: 503, Error: d.LastError})
		require.Empty(t, cmp.Diff([]callback.Delivery{d}, s.deliveries()))
		s.now = s.later(5 * time.Second)
		d = s.due(s.now, 1)[0]
		d.State, d.LastStatus, d.LastError, d.Finished = callback.Delivered, 204, "", s.now
		s.record(d, callback.Attempt{Took: 20 * time.Millisecond, Status: 204})
		require.Empty(t, cmp.Diff([]callback.Delivery{d}, s.deliveries()))
		attempts, err := s.callbacks.Attempts(t.Context(), d.ID)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff([]callback.Attempt{
			{
				DeliveryID: d.ID, N: 1, At: s.now.Add(-5 * time.Second), Took: 1500 * time.Millisecond,
				Status: 503, Error: "the receiver answered 503",
			},
			{DeliveryID: d.ID, N: 2, At: s.now, Took: 20 * time.Millisecond, Status: 204},
		}, attempts))
	})

	t.Run("an attempt of an unknown delivery is an error", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		err := s.callbacks.Record(t.Context(), callback.Delivery{ID: "cb_x", State: callback.Dead}, callback.Attempt{DeliveryID: "cb_x"})
		require.ErrorIs(t, err, callback.ErrNotFound)
	})

	t.Run("after a crash deliveries on their way are due again", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.delivery("http://host/cb")
		s.delivery("http://host/cb")
		taken := s.due(s.now, 1)[0]
		count, err := s.callbacks.RecoverDeliveries(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, count)
		again := s.due(s.now, 1)[0]
		require.Equal(t, taken.ID, again.ID)
		require.Equal(t, 2, again.Attempt)
	})
}

func testReplay(t *testing.T, open opener) {
	t.Run("only a dead delivery can be replayed, and starts afresh", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		d := s.delivery("http://host/cb")
		require.ErrorIs(t, s.callbacks.Replay(t.Context(), "cb_unknown", s.now), callback.ErrNotFound)
		require.ErrorIs(t, s.callbacks.Replay(t.Context(), d.ID, s.now), callback.ErrNotDead)
		d = s.due(s.now, 1)[0]
		require.ErrorIs(t, s.callbacks.Replay(t.Context(), d.ID, s.now), callback.ErrNotDead)
		d.State, d.Finished, d.LastStatus, d.LastError = callback.Dead, s.now, 410, "gone"
		s.record(d, callback.Attempt{Status: 410, Error: "gone"})

		s.now = s.later(time.Hour)
		require.NoError(t, s.callbacks.Replay(t.Context(), d.ID, s.now))
		again := s.due(s.now, 1)[0]
		require.Equal(t, d.ID, again.ID)
		require.Equal(t, 1, again.Attempt)
		require.Equal(t, s.now, again.NextAt)
		require.Zero(t, again.Finished)
		again.State, again.Finished = callback.Delivered, s.now
		s.record(again, callback.Attempt{Status: 200})
		attempts, err := s.callbacks.Attempts(t.Context(), d.ID)
		require.NoError(t, err)
		require.Len(t, attempts, 2)
		require.Equal(t, []int{410, 200}, []int{attempts[0].Status, attempts[1].Status})
		require.ErrorIs(t, s.callbacks.Replay(t.Context(), d.ID, s.now), callback.ErrNotDead)
	})
}

func testListCallbacks(t *testing.T, open opener) {
	t.Run("lists page from the newest to the oldest", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		var want []string
		for range 5 {
			want = append([]string{s.delivery("http://host/cb").ID}, want...)
		}
		var got []string
		before := ""
		for {
			page, err := s.callbacks.Deliveries(t.Context(), callback.Due, before, 2)
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			for _, d := range page {
				got = append(got, d.ID)
			}
			before = got[len(got)-1]
		}
		require.Equal(t, want, got)
	})

	t.Run("lists and counts tell states apart", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		sending, due := s.delivery("http://host/cb"), s.delivery("http://host/cb")
		_, err := s.callbacks.ClaimDue(t.Context(), s.now, callback.Room{All: 1})
		require.NoError(t, err)
		for state, want := range map[callback.State]string{callback.Sending: sending.ID, callback.Due: due.ID} {
			page, err := s.callbacks.Deliveries(t.Context(), state, "", 10)
			require.NoError(t, err)
			require.Len(t, page, 1)
			require.Equal(t, want, page[0].ID)
		}
		page, err := s.callbacks.Deliveries(t.Context(), callback.Dead, "", 10)
		require.NoError(t, err)
		require.Empty(t, page)
		counts, err := s.callbacks.DeliveryCounts(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[callback.State]int{callback.Due: 1, callback.Sending: 1}, counts)
	})
}
