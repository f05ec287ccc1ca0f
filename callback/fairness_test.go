package callback

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// ledger keeps deliveries in memory, in the order in which they came.
type ledger struct {
	Keeper

	mu   sync.Mutex
	kept []*Delivery
	to   []string // their destinations
	idle int      // claims that took nothing
}

// add keeps so many deliveries to a host.
func (l *ledger) add(host string, count int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range count {
		l.kept = append(l.kept, &Delivery{ID: fmt.Sprint("cb_", len(l.kept)), URL: "http://" + host + "/cb", State: Due, NextAt: time.Now()})
		l.to = append(l.to, "http://"+host+":80")
	}
}

func (l *ledger) ClaimDue(_ context.Context, now time.Time, room Room) ([]Delivery, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var claimed []Delivery
	for i, d := range l.kept {
		if len(claimed) < room.All && d.State == Due && !d.NextAt.After(now) && room.Take(l.to[i]) {
			d.State = Sending
			d.Attempt++
			claimed = append(claimed, *d)
		}
	}
	if len(claimed) == 0 {
		l.idle++
	}
	return claimed, nil
}

func (l *ledger) NextDelivery(_ context.Context, full []string) (next time.Time, some bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, d := range l.kept {
		if d.State == Due && !slices.Contains(full, l.to[i]) && (!some || d.NextAt.Before(next)) {
			next, some = d.NextAt, true
		}
	}
	return next, some, nil
}

func (l *ledger) Record(_ context.Context, d Delivery, _ Attempt) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := slices.IndexFunc(l.kept, func(kept *Delivery) bool { return kept.ID == d.ID })
	*l.kept[at] = d
	return nil
}

func (l *ledger) RecoverDeliveries(context.Context) (int, error) { return 0, nil }

// hosts plays the receivers: those whose name begins with silent never answer, those with slow after three seconds, others at
// once. It watches how many attempts each has at once.
type hosts struct {
	mu     sync.Mutex
	silent func(host string) bool
	now    map[string]int
	most   map[string]int
	told   map[string][]time.Time // when it answered
}

func newHosts() *hosts {
	return &hosts{
		silent: func(host string) bool { return strings.HasPrefix(host, "silent") },
		now:    map[string]int{}, most: map[string]int{}, told: map[string][]time.Time{},
	}
}

func (h *hosts) RoundTrip(req *http.Request) (*http.Response, error) {
	host := req.URL.Hostname()
	h.mu.Lock()
	h.now[host]++
	h.most[host] = max(h.most[host], h.now[host])
	silent := h.silent(host)
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.now[host]--
	}()
	switch {
	case silent:
		<-req.Context().Done()
		return nil, req.Context().Err()
	case strings.HasPrefix(host, "slow"):
		time.Sleep(3 * time.Second)
	default:
		time.Sleep(10 * time.Millisecond)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told[host] = append(h.told[host], time.Now())
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: req}, nil
}

// fall makes hosts silent, by what their names begin with.
func (h *hosts) fall(silent ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.silent = func(host string) bool {
		return slices.ContainsFunc(silent, func(prefix string) bool { return strings.HasPrefix(host, prefix) })
	}
}

// answered returns when a host answered since a time, in order.
func (h *hosts) answered(host string, since time.Time) (after []time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, at := range h.told[host] {
		if at.After(since) || at.Equal(since) {
			after = append(after, at.Sub(since))
		}
	}
	return after
}

// deliver runs a sender with 48 places in virtual time until the test ends. More would be too many for the race detector, which
// now and then fails by itself when it has to watch over some 250 goroutines at once.
func deliver(t *testing.T, l *ledger, h *hosts) *Sender {
	t.Helper()
	guard, err := NewGuard(nil, nil)
	require.NoError(t, err)
	s, err := NewSender(SenderOptions{Guard: guard, Workers: 48}, l)
	require.NoError(t, err)
	s.client.Transport = h
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return s
}

func TestWhoAnswersWaitsForNobodyWhoDoesNot(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{"never answered": "silent", "answered before": "fallen", "answer slowly": "slow"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, h := &ledger{}, newHosts()
				if first == "fallen" { // each had four attempts at once when it fell silent
					for i := range 10 {
						l.add(fmt.Sprint(first, i, ".example"), 1)
					}
				}
				s := deliver(t, l, h)
				synctest.Wait()
				h.fall("silent", "fallen")
				for i := range 10 {
					l.add(fmt.Sprint(first, i, ".example"), 50)
				}
				begun := time.Now()
				l.add("well.example", 200)
				s.Wake()
				for range 15 {
					time.Sleep(2 * time.Second)
					now := time.Now()
					l.add("well.example", 10)
					s.Wake()
					time.Sleep(time.Second)
					took := h.answered("well.example", now)
					require.Len(t, took, 10, "%s after the begin", now.Sub(begun))
				}
				synctest.Wait()
				require.Equal(t, 4, h.most["well.example"])
				require.Len(t, h.answered("well.example", begun), 350)
				require.Zero(t, s.Counts().Attempts-h.busy(), "each attempt is counted")
				for host, most := range h.most {
					limit := 4
					if first == "silent" && host != "well.example" {
						limit = 1
					}
					require.LessOrEqual(t, most, limit, host)
				}
				if first != "slow" {
					require.Equal(t, 10, s.Counts().Silent)
				}
			})
		})
	}
}

// busy is how many attempts the hosts have at this moment.
func (h *hosts) busy() (count int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range h.now {
		count += one
	}
	return count
}

func TestASilentReceiverIsTriedOneByOneUntilItAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, h := &ledger{}, newHosts()
		l.add("silent.example", 100)
		s := deliver(t, l, h)
		time.Sleep(10*time.Minute + time.Second)
		synctest.Wait()
		require.Equal(t, 1, h.most["silent.example"])
		require.Equal(t, Counts{Attempts: 1, Silent: 1}, s.Counts())
		attempts := 0
		for _, d := range l.kept {
			require.NotEqual(t, Dead, d.State, "nothing is given up before its schedule is through")
			attempts += d.Attempt
		}
		require.Equal(t, 41, attempts, "one every 15 seconds: none is counted that was not made")
		h.fall("nobody")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 4, h.most["silent.example"])
		require.Zero(t, s.Counts().Silent)
		time.Sleep(29 * time.Hour)
		synctest.Wait()
		for _, d := range l.kept {
			require.Equal(t, Delivered, d.State)
		}
	})
}

func TestNothingIsClaimedWhereNothingIsDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, h := &ledger{}, newHosts()
		begun := time.Now()
		s := deliver(t, l, h)
		for range 20 {
			l.add("well.example", 1)
			s.Wake()
			time.Sleep(time.Second)
		}
		time.Sleep(time.Hour)
		require.Len(t, h.answered("well.example", begun), 20)
		require.Zero(t, l.idle, "the writer of the ledger is asked for work only")
	})
}

func TestARetryIsNotLateBecauseOthersWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, h := &ledger{}, newHosts()
		l.add("silent.example", 10)
		l.add("well.example", 1)
		begun := time.Now()
		l.kept[10].NextAt = begun.Add(4 * time.Second)
		deliver(t, l, h)
		time.Sleep(10 * time.Second)
		require.Equal(t, []time.Duration{4*time.Second + 10*time.Millisecond}, h.answered("well.example", begun))
	})
}

func TestSilentReceiversTakeTurnsInHalfOfThePlaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, h := &ledger{}, newHosts()
		for i := range 60 {
			l.add(fmt.Sprint("silent", i, ".example"), 10)
		}
		s := deliver(t, l, h)
		time.Sleep(2*time.Minute + time.Second)
		require.Equal(t, Counts{Attempts: 24, Silent: 60}, s.Counts())
		now := time.Now()
		l.add("well.example", 100)
		s.Wake()
		time.Sleep(time.Second)
		require.Len(t, h.answered("well.example", now), 100)
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		tried := map[string]int{}
		for _, d := range l.kept {
			tried[d.URL] += d.Attempt
		}
		delete(tried, "http://well.example/cb")
		require.Len(t, tried, 60)
		require.GreaterOrEqual(t, slices.Min(slices.Collect(maps.Values(tried))), 2, "each had its turns, which chance hands out")
	})
}

func TestOnlySoManyReceiversAreRemembered(t *testing.T) {
	t.Parallel()
	r := &receivers{places: 1, each: 4, known: map[string]*receiver{}}
	for i := range 2 * remembered {
		r.begin(fmt.Sprint(i))
		r.end(fmt.Sprint(i), i%2 == 0)
	}
	require.Len(t, r.known, remembered)
	require.Equal(t, Counts{Silent: remembered / 2}, r.counts())
}
