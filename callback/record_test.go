package callback

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// fullDisk is a keeper that keeps nothing before a time.
type fullDisk struct {
	Keeper
	until time.Time
	err   error
	kept  []Delivery
	tries int
}

func (f *fullDisk) Record(_ context.Context, d Delivery, _ Attempt) error {
	f.tries++
	if time.Now().Before(f.until) {
		return f.err
	}
	f.kept = append(f.kept, d)
	return nil
}

func TestAnAttemptIsKeptOnceTheLedgerWorksAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keeper := &fullDisk{until: time.Now().Add(10 * time.Minute), err: errors.New("the disk is full")}
		s, err := NewSender(SenderOptions{}, keeper)
		require.NoError(t, err)
		begun := time.Now()
		s.record(t.Context(), Delivery{ID: "cb_1", State: Delivered}, Attempt{})
		require.Len(t, keeper.kept, 1)
		require.Less(t, time.Since(begun), 10*time.Minute+10*time.Second)
		require.Less(t, keeper.tries, 150, "a disk that is full is not asked all the time")
	})
}

func TestAnAttemptThatCannotBeKeptHoldsUpNoStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keeper := &fullDisk{until: time.Now().Add(time.Hour), err: errors.New("the disk is full")}
		s, err := NewSender(SenderOptions{}, keeper)
		require.NoError(t, err)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		begun := time.Now()
		s.record(ctx, Delivery{ID: "cb_1"}, Attempt{})
		require.Equal(t, time.Minute, time.Since(begun))
		s.record(ctx, Delivery{ID: "cb_2"}, Attempt{})
		require.Equal(t, time.Minute, time.Since(begun), "one try, so that an attempt that ends during the stop is kept")
	})
}

func TestACallbackThatIsGoneIsNotKeptAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keeper := &fullDisk{until: time.Now().Add(time.Hour), err: ErrNotFound}
		s, err := NewSender(SenderOptions{}, keeper)
		require.NoError(t, err)
		s.record(t.Context(), Delivery{ID: "cb_1"}, Attempt{})
		require.Equal(t, 1, keeper.tries)
	})
}

// broken is a transport with a mistake in it.
type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) { panic("a mistake") }

func TestAPanicIsOneFailedAttempt(t *testing.T) {
	t.Parallel()
	keeper := &fullDisk{}
	counted := 0
	s, err := NewSender(SenderOptions{Panicked: func() { counted++ }}, keeper)
	require.NoError(t, err)
	s.client.Transport = broken{}
	s.receivers.begin("http://host:80")
	s.attempt(t.Context(), Delivery{ID: "cb_1", URL: "http://host/cb", Attempt: 1})
	require.Len(t, keeper.kept, 1)
	require.Equal(t, Due, keeper.kept[0].State)
	require.Contains(t, keeper.kept[0].LastError, "panicked")
	require.Equal(t, 1, counted)
	require.True(t, keeper.kept[0].NextAt.After(time.Now()))
}
