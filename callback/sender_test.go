package callback_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"whatsappd/callback"
	"whatsappd/task"
)

// outbox keeps deliveries in memory.
type outbox struct {
	mu         sync.Mutex
	deliveries []*callback.Delivery
	attempts   []callback.Attempt
	changed    chan struct{}
}

func newOutbox(urls ...string) *outbox {
	o := &outbox{changed: make(chan struct{})}
	for i, url := range urls {
		o.deliveries = append(o.deliveries, &callback.Delivery{
			ID: fmt.Sprint("cb_", i+1), TaskID: task.ID(fmt.Sprint("task-", i+1)), URL: url, Body: []byte(`{"task_id":"x","result":"True"}`), State: callback.Due,
		})
	}
	return o
}

func (o *outbox) ClaimDue(_ context.Context, now time.Time, room callback.Room) ([]callback.Delivery, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var claimed []callback.Delivery
	for _, d := range o.deliveries {
		if len(claimed) == room.All || d.State != callback.Due || d.NextAt.After(now) || !room.Take(callback.Destination(d.URL)) {
			continue
		}
		d.State = callback.Sending
		d.Attempt++
		claimed = append(claimed, *d)
	}
	return claimed, nil
}

func (o *outbox) NextDelivery(_ context.Context, full []string) (time.Time, bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var next time.Time
	found := false
	for _, d := range o.deliveries {
		if d.State == callback.Due && !slices.Contains(full, callback.Destination(d.URL)) && (!found || d.NextAt.Before(next)) {
			next, found = d.NextAt, true
		}
	}
	return next, found, nil
}

func (o *outbox) Record(_ context.Context, d callback.Delivery, a callback.Attempt) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, kept := range o.deliveries {
		if kept.ID == d.ID {
			*kept = d
		}
	}
	o.attempts = append(o.attempts, a)
	close(o.changed)
	o.changed = make(chan struct{})
	return nil
}

func (o *outbox) RecoverDeliveries(context.Context) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, d := range o.deliveries {
		if d.State == callback.Sending {
			d.State = callback.Due
		}
	}
	return 0, nil
}

func (o *outbox) Deliveries(context.Context, callback.State, string, int) ([]callback.Delivery, error) {
	return nil, nil
}

func (o *outbox) Attempts(context.Context, string) ([]callback.Attempt, error) { return nil, nil }

func (o *outbox) Replay(context.Context, string, time.Time) error { return nil }

func (o *outbox) DeliveryCounts(context.Context) (map[callback.State]int, error) { return nil, nil }

// wait waits until the first delivery satisfies a condition and returns it.
func (o *outbox) wait(t *testing.T, holds func(callback.Delivery) bool) callback.Delivery {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		o.mu.Lock()
		d, changed := *o.deliveries[0], o.changed
		o.mu.Unlock()
		if holds(d) {
			return d
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("the delivery is %+v", d)
		}
	}
}

// send runs a sender over an outbox until the test ends.
func send(t *testing.T, o *outbox, opts callback.SenderOptions) {
	t.Helper()
	opts.Guard = newGuard(t, "127.0.0.1")
	opts.UserAgent = "whatsappd/test"
	sender, err := callback.NewSender(opts, o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := sender.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func receiver(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestADeliveryIsSignedAndSaysWhatItIs(t *testing.T) {
	t.Parallel()
	secrets := []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "c2Vjb25kLXNlY3JldC1vZi0yNC1ieXRlcw=="}
	got := make(chan *http.Request, 1)
	body := make(chan []byte, 1)
	url := receiver(t, func(_ http.ResponseWriter, r *http.Request) {
		read, _ := io.ReadAll(r.Body)
		got <- r
		body <- read
	})
	o := newOutbox(url + "/cb?x=1")
	send(t, o, callback.SenderOptions{Secrets: secrets})
	r, read := <-got, <-body
	require.Equal(t, http.MethodPost, r.Method)
	require.Equal(t, "/cb?x=1", r.URL.String())
	require.Equal(t, "application/json", r.Header.Get("Content-Type"))
	require.Equal(t, "application/json", r.Header.Get("Accept"))
	require.Equal(t, "whatsappd/test", r.Header.Get("User-Agent"))
	require.Equal(t, "cb_1", r.Header.Get("webhook-id"))
	require.Empty(t, r.Header.Get("Authorization"))
	for _, secret := range secrets {
		verifier, err := standardwebhooks.NewWebhook(secret)
		require.NoError(t, err)
		require.NoError(t, verifier.Verify(read, r.Header), "old and new secret verify")
	}
	o.wait(t, func(d callback.Delivery) bool { return d.State == callback.Delivered })
}

func TestWhatIsNotTwoHundredIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 307, 400, 401, 403, 404, 408, 429, 500, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			var elsewhere atomic.Int32
			other := receiver(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
			url := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", other)
				w.WriteHeader(status)
			})
			o := newOutbox(url + "/cb?secret=canary")
			send(t, o, callback.SenderOptions{})
			d := o.wait(t, func(d callback.Delivery) bool { return d.LastStatus == status })
			require.Equal(t, callback.Due, d.State)
			require.True(t, d.NextAt.After(time.Now().Add(3*time.Second)))
			require.NotContains(t, d.LastError, "canary")
			require.Zero(t, elsewhere.Load(), "a redirect was followed")
		})
	}
}

func TestAReceiverCanEndIt(t *testing.T) {
	t.Parallel()
	o := newOutbox(receiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }))
	send(t, o, callback.SenderOptions{})
	d := o.wait(t, func(d callback.Delivery) bool { return d.State == callback.Dead })
	require.Contains(t, d.LastError, "410")
}

func TestARefusedAddressEndsIt(t *testing.T) {
	t.Parallel()
	o := newOutbox("http://10.0.0.1/cb?secret=canary")
	send(t, o, callback.SenderOptions{})
	d := o.wait(t, func(d callback.Delivery) bool { return d.State == callback.Dead })
	require.Contains(t, d.LastError, "callback.allow")
	require.NotContains(t, d.LastError, "canary")
}

func TestReceiversThatMisbehaveCostLittle(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"never answers": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client has gone
			<-r.Context().Done()
		},
		"resets": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"endless headers": func(w http.ResponseWriter, _ *http.Request) {
			for i := range 2000 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 100))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutbox(receiver(t, handler))
			send(t, o, callback.SenderOptions{Timeout: 300 * time.Millisecond})
			d := o.wait(t, func(d callback.Delivery) bool { return d.LastError != "" })
			require.Equal(t, callback.Due, d.State)
		})
	}
}

func TestADeadReceiverStarvesNobody(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var stuck atomic.Int32
	dead := receiver(t, func(http.ResponseWriter, *http.Request) {
		stuck.Add(1)
		<-release
	})
	t.Cleanup(func() { close(release) })
	alive := make(chan struct{}, 1)
	urls := []string{}
	for range 50 {
		urls = append(urls, dead)
	}
	urls = append(urls, receiver(t, func(http.ResponseWriter, *http.Request) { alive <- struct{}{} }))
	send(t, newOutbox(urls...), callback.SenderOptions{})
	<-alive
	require.LessOrEqual(t, stuck.Load(), int32(1))
}

func TestWhatWasOnItsWayIsDeliveredAfterARestart(t *testing.T) {
	t.Parallel()
	o := newOutbox(receiver(t, func(http.ResponseWriter, *http.Request) {}))
	o.deliveries[0].State = callback.Sending
	send(t, o, callback.SenderOptions{})
	o.wait(t, func(d callback.Delivery) bool { return d.State == callback.Delivered })
}

func TestABadSecretIsNotRepeated(t *testing.T) {
	t.Parallel()
	_, err := callback.NewSender(callback.SenderOptions{Secrets: []string{"whsec_canary!"}, Guard: newGuard(t)}, newOutbox())
	require.ErrorContains(t, err, "callback.secret")
	require.NotContains(t, err.Error(), "canary")
}
