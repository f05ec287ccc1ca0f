package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types/events"
)

// The tests of this file run the owner of a linked account on a double of the connection, in virtual time with the real
// time-outs: half an hour passes in an instant.

// bench is an account's owner on a double.
type bench struct {
	t     *testing.T
	a     *Account
	wire  *doubleWire
	ahead time.Duration // of the wall clock; read by the owner, changed through ask

	live atomic.Uint32 // the live version

	mu      sync.Mutex
	facts   Facts
	news    []Notice // by the facts as they were kept
	full    bool     // nothing can be kept
	refused int      // how often
	told    []Event

	announced []uint32 // versions in place of the library's own
}

// doubleWire is a connection whose other end is the test.
type doubleWire struct {
	b     *bench
	link  *link
	meets func(dial int) // right after a dial that succeeded

	mu    sync.Mutex
	dials []time.Time
	open  bool
}

func (w *doubleWire) ConnectContext(context.Context) error {
	w.mu.Lock()
	w.dials, w.open = append(w.dials, time.Now()), true
	dial := len(w.dials)
	w.mu.Unlock()
	if w.meets != nil {
		go w.meets(dial)
	}
	return nil
}

func (w *doubleWire) Disconnect() { w.set(false) }

func (w *doubleWire) ResetConnection() { w.set(false) }

func (w *doubleWire) IsConnected() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open
}

func (w *doubleWire) set(open bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = open
}

// count returns how many dials there were.
func (w *doubleWire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.dials)
}

// ends cuts the connection from the other side.
func (w *doubleWire) ends() {
	w.set(false)
	w.says(&events.Disconnected{})
}

// says hands events of the library to the owner.
func (w *doubleWire) says(said ...any) {
	for _, event := range said {
		w.b.a.handle(w.link, event)
	}
}

// runBench runs a test on a bench. The double logs in at every dial unless the test says what it meets.
func runBench(t *testing.T, facts Facts, test func(t *testing.T, b *bench)) {
	t.Helper()
	prepareBench(t, facts, func(*bench) {}, test)
}

// prepareBench is runBench with something to be done to the account before it runs.
func prepareBench(t *testing.T, facts Facts, prepare func(b *bench), test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, facts: facts}
		b.a = &Account{
			opts: Options{
				Account: DefaultAccount, Keeper: b, Observe: b.observe, ForgetSent: func(context.Context, time.Time) error { return nil }, Timing: Timing{Silence: 1000 * time.Hour}.withDefaults(), // the double answers nothing
				Now: func() time.Time { return time.Now().Add(b.ahead) },
			},
			log: slog.New(slog.DiscardHandler), mail: make(chan order, 256), stopped: make(chan struct{}),
			sending: make(chan struct{}, 1), heart: heartbeat{born: time.Now()}, dialer: &dialer{transport: &http.Transport{}},
		}
		b.a.library = newLibraryLog(b.a.log, b.a.opts.Now)
		l := &link{number: "5511900000001", recorded: make(chan struct{}), cut: func() {}}
		b.wire = &doubleWire{b: b, link: l}
		b.wire.meets = func(int) { b.wire.says(&events.Connected{}) }
		l.wire = b.wire
		l.paired.Store(true)
		b.a.owner = newOwner(b.a, facts, l)
		b.a.owner.versions.fetch = func(context.Context) (uint32, error) { return b.live.Load(), nil }
		b.a.owner.versions.announce = b.announce
		prepare(b)
		b.a.snapshot()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.a.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			require.NoError(t, <-ended)
		})
		synctest.Wait()
		test(t, b)
	})
}

func (b *bench) observe(_ context.Context, event Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, event)
	return nil
}

// states returns every status that was told.
func (b *bench) states() []Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []Status
	for _, event := range b.told {
		if changed, ok := event.(StatusChanged); ok {
			all = append(all, changed.Status)
		}
	}
	return all
}

// notices returns the codes of what operators were told.
func (b *bench) notices() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	codes := []string{}
	for _, event := range b.told {
		if notice, ok := event.(Notice); ok {
			codes = append(codes, notice.Code)
		}
	}
	return codes
}

// pass lets time go by.
func (b *bench) pass(d time.Duration) {
	time.Sleep(d) // virtual
	synctest.Wait()
}

func (b *bench) announce(revision uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.announced = append(b.announced, revision)
}

// versions returns what was announced in place of the library's own version.
func (b *bench) versions() []uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.announced)
}

// slow lets the owner look at the connection once a minute only, where days go by.
func (b *bench) slow() {
	b.t.Helper()
	require.NoError(b.t, b.a.ask(b.t.Context(), func(_ context.Context, o *owner) error { o.t.Tick = time.Minute; return nil }))
}

// is requires a state.
func (b *bench) is(state State) Status {
	b.t.Helper()
	status := b.a.Status()
	require.Equal(b.t, state, status.State)
	return status
}

// Facts implements Keeper.
func (b *bench) Facts(context.Context, AccountID) (Facts, error) { return b.facts, nil }

// KeepFacts implements Keeper.
func (b *bench) KeepFacts(_ context.Context, _ AccountID, facts Facts) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full {
		b.refused++
		return errors.New("the disk is full")
	}
	b.news = append(b.news, facts.Since(b.facts)...)
	b.facts = facts
	return nil
}

// CheckedNumbers implements Keeper.
func (b *bench) CheckedNumbers(context.Context, AccountID, []Number) (map[Number]Checked, error) {
	return nil, nil
}

// KeepChecked implements Keeper.
func (b *bench) KeepChecked(context.Context, AccountID, []Checked) error { return nil }

// CheckTimes implements Keeper.
func (b *bench) CheckTimes(context.Context, AccountID, time.Time) ([]time.Time, error) {
	return nil, nil
}

func TestConnectionsThatDoNotLastAreNoStorm(t *testing.T) {
	t.Parallel()
	for name, ends := range map[string]func(w *doubleWire){
		"closed right after the login":      func(w *doubleWire) { w.says(&events.Connected{}); w.ends() },
		"closed before the login":           func(w *doubleWire) { w.ends() },
		"asked to log in again, every time": func(w *doubleWire) { w.says(&events.Connected{}, &events.ManualLoginReconnect{}) },
		"closed without an event":           func(w *doubleWire) { w.says(&events.Connected{}); w.set(false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runBench(t, Facts{}, func(t *testing.T, b *bench) {
				b.pass(2 * time.Minute)
				b.is(Online)
				before := b.wire.count()
				b.wire.meets = func(int) { ends(b.wire) } // as often as there are dials; 200 would have to come
				b.wire.ends()
				b.pass(30 * time.Minute)
				dials := b.wire.count() - before
				require.LessOrEqual(t, dials, 40, "dials in half an hour")
				require.Greater(t, dials, 8, "it goes on trying")
				states := b.states()
				for i := 1; i < len(states); i++ {
					require.True(t, differs(states[i-1], states[i]), "told twice: %+v", states[i])
				}
				require.LessOrEqual(t, len(states), 4*(dials+2), "changes told")
			})
		})
	}
}

func TestPausesBeforeDials(t *testing.T) {
	t.Parallel()
	runBench(t, Facts{}, func(t *testing.T, b *bench) {
		last := func() time.Time { return b.wire.dials[len(b.wire.dials)-1] }
		b.pass(time.Minute + time.Second)
		for range 3 { // a stable connection forgets what was before, each time
			cut := time.Now()
			b.wire.ends()
			b.pass(time.Minute + time.Second)
			require.Less(t, last().Sub(cut), 10*time.Millisecond, "at once after a stable connection")
			b.is(Online)
		}
		b.wire.ends()
		b.pass(59 * time.Second) // not stable yet
		cut := time.Now()
		b.wire.ends()
		b.pass(30 * time.Second)
		pause := last().Sub(cut)
		require.GreaterOrEqual(t, pause, time.Second)
		require.LessOrEqual(t, pause, 1500*time.Millisecond)

		var pauses []time.Duration
		b.wire.meets = func(int) { b.wire.ends() }
		for b.wire.ends(); len(pauses) < 20; {
			seen, from := b.wire.count(), last()
			for b.wire.count() == seen {
				b.pass(time.Second)
			}
			pauses = append(pauses, last().Sub(from))
		}
		for _, pause := range pauses {
			require.LessOrEqual(t, pause, 5*time.Minute)
		}
		require.GreaterOrEqual(t, pauses[len(pauses)-1], 3*time.Minute, "pauses grow")
		require.NotEqual(t, pauses[len(pauses)-1], pauses[len(pauses)-2], "chance is in them")
	})
}

func TestADeadSocketIsReplacedInTime(t *testing.T) {
	t.Parallel()
	timing := Timing{}.withDefaults()
	require.LessOrEqual(t, timing.PingMax+timing.PingAnswer, 45*time.Second, "until the first ping is missed")
	require.LessOrEqual(t, 2*(timing.PingMax+timing.PingAnswer), 75*time.Second, "until the second is")
	runBench(t, Facts{}, func(t *testing.T, b *bench) {
		b.pass(2 * time.Minute)
		dials := b.wire.count()
		b.wire.says(&events.KeepAliveTimeout{ErrorCount: 1})
		b.pass(0)
		require.Equal(t, CodeConnectionSilent, b.is(Degraded).Reason)
		b.wire.says(&events.KeepAliveRestored{})
		b.pass(0)
		require.Equal(t, dials, b.wire.count(), "one missed ping costs no connection")
		b.wire.says(&events.KeepAliveTimeout{ErrorCount: 1}, &events.KeepAliveTimeout{ErrorCount: 2})
		b.pass(10 * time.Millisecond)
		require.Equal(t, dials+1, b.wire.count(), "a new socket at once")
		b.is(Online)
		require.Equal(t, 3, b.a.Counts().PingsMissed)
		require.Equal(t, 1, b.a.Counts().Ends[CodeConnectionSilent])
	})
}

func TestOnlineNeedsAnAnswerWithinAMinute(t *testing.T) {
	t.Parallel()
	runBench(t, Facts{}, func(t *testing.T, b *bench) {
		require.NoError(t, b.a.ask(t.Context(), func(_ context.Context, o *owner) error { o.t.Silence = Timing{}.withDefaults().Silence; return nil }))
		b.pass(59 * time.Second)
		b.is(Online)
		b.pass(3 * time.Second)
		b.is(Degraded)
		b.a.library.lastAnswer.Store(time.Now().UnixNano())
		b.pass(2 * time.Second)
		b.is(Online)
	})
}

func TestAClockThatJumpsBringsANewLogin(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		jump  time.Duration
		dials int
	}{
		"the machine slept":          {time.Hour, 1},
		"the clock was set back":     {-time.Hour, 1},
		"a second more or less":      {time.Second, 0},
		"corrected by half a minute": {30 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runBench(t, Facts{}, func(t *testing.T, b *bench) {
				b.pass(2 * time.Minute)
				dials := b.wire.count()
				require.NoError(t, b.a.ask(t.Context(), func(context.Context, *owner) error { b.ahead = test.jump; return nil }))
				b.pass(time.Second + 10*time.Millisecond)
				require.Equal(t, test.dials, b.wire.count()-dials)
				b.is(Online)
			})
		})
	}
	runBench(t, Facts{}, func(t *testing.T, b *bench) {
		b.wire.meets = func(int) { b.wire.ends() }
		b.wire.ends()
		b.pass(20 * time.Minute)
		b.is(Backoff)
		b.wire.meets = func(int) { b.wire.says(&events.Connected{}) }
		require.NoError(t, b.a.ask(t.Context(), func(context.Context, *owner) error { b.ahead = time.Hour; return nil }))
		b.pass(10 * time.Millisecond)
		b.is(Online)
	})
}

func TestABanIsSatOut(t *testing.T) {
	t.Parallel()
	runBench(t, Facts{}, func(t *testing.T, b *bench) {
		b.wire.meets = func(int) {
			b.wire.says(&events.TemporaryBan{Code: events.TempBanBlockedByUsers, Expire: 24 * time.Hour})
		}
		b.wire.ends()
		b.pass(10 * time.Second)
		status := b.is(TempBanned)
		require.Contains(t, status.Detail, "102")
		require.Contains(t, status.Detail, events.TempBanBlockedByUsers.String()[5:])
		require.WithinDuration(t, time.Now().Add(24*time.Hour), status.Until, 11*time.Second)
		dials := b.wire.count()
		b.wire.meets = func(int) { b.wire.says(&events.Connected{}) }
		_, err := b.a.Pair(t.Context())
		require.ErrorIs(t, err, ErrAlreadyPaired)
		b.pass(24*time.Hour - 20*time.Second)
		require.Equal(t, dials, b.wire.count(), "dials before the end, also when a person asks")
		b.pass(20 * time.Second)
		require.Equal(t, dials+1, b.wire.count())
		b.is(Online)
		require.Empty(t, b.facts.EndState)
	})
}

func TestABanHoldsOverARestart(t *testing.T) {
	t.Parallel()
	until := time.Date(2000, 1, 1, 6, 0, 0, 0, time.UTC) // the clock of a bubble begins six hours earlier
	facts := Facts{Number: "5511900000001", EndState: TempBanned, EndReason: CodeTempBanned, EndDetail: "banned", EndUntil: until}
	runBench(t, facts, func(t *testing.T, b *bench) {
		status := b.is(TempBanned)
		require.Equal(t, "banned", status.Detail)
		require.True(t, status.Until.Equal(until))
		b.pass(6*time.Hour - time.Second)
		require.Zero(t, b.wire.count(), "dials before the end")
		b.pass(2 * time.Second)
		require.Equal(t, 1, b.wire.count())
		b.is(Online)
	})
}

// bans returns of each change into a ban whether it was told as one that is known.
func (b *bench) bans() (again []bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, event := range b.told {
		if changed, ok := event.(StatusChanged); ok && changed.Status.State == TempBanned {
			again = append(again, changed.Again)
		}
	}
	return again
}

// count returns how often a state was news by what was kept.
func (b *bench) count(state State) (count int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range b.news {
		if n.Code == string(state) {
			count++
		}
	}
	return count
}

func TestEachBanIsToldAndTheSameOneOnce(t *testing.T) {
	t.Parallel()
	ban := func(code events.TempBanReason, expire time.Duration) *events.TemporaryBan {
		return &events.TemporaryBan{Code: code, Expire: expire}
	}
	kept := func(ban *events.TemporaryBan, ahead time.Duration) Facts {
		begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of a bubble's clock
		return Facts{EndState: TempBanned, EndReason: CodeTempBanned, EndDetail: banDetail(ban), EndedAt: begin, EndUntil: begin.Add(ahead)}
	}
	const code, other = events.TempBanBlockedByUsers, events.TempBanSentToTooManyPeople
	for name, c := range map[string]struct {
		facts Facts
		met   []any // at the first dials; an online connection is cut after hours
		again []bool
	}{
		"another end":               {met: []any{ban(code, time.Hour), ban(code, 2*time.Hour)}, again: []bool{false, false}},
		"another reason":            {met: []any{ban(code, time.Hour), ban(other, time.Second)}, again: []bool{false, false}},
		"another, both without end": {met: []any{ban(code, 0), ban(other, 0)}, again: []bool{false, false}},
		"an end for one without":    {met: []any{ban(code, 0), ban(code, time.Second)}, again: []bool{false, false}},
		"after it was online":       {met: []any{ban(code, 0), &events.Connected{}, ban(code, 0)}, again: []bool{false, false}},
		"the same, a bit longer":    {met: []any{ban(code, time.Hour), ban(code, time.Second)}, again: []bool{false, true}},
		"the same without end":      {met: []any{ban(code, 0), ban(code, 0), ban(code, 0)}, again: []bool{false, true, true}},
		"another after a restart":   {facts: kept(ban(code, time.Hour), time.Hour), met: []any{ban(code, time.Hour)}, again: []bool{true, false}},
		"the same after a restart":  {facts: kept(ban(code, 0), time.Hour), met: []any{ban(code, 0)}, again: []bool{true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.facts.Number = "5511900000001"
			runBench(t, c.facts, func(t *testing.T, b *bench) {
				b.slow()
				var met atomic.Int32
				meets := func(int) {
					n := int(met.Add(1))
					if n > len(c.met) {
						b.wire.says(&events.Connected{})
						return
					}
					b.wire.says(c.met[n-1])
				}
				require.NoError(t, b.a.ask(t.Context(), func(context.Context, *owner) error { b.wire.meets = meets; return nil })) // it may dial by itself
				b.pass(time.Second)
				for int(met.Load()) < len(c.met) {
					if b.a.Status().State == Online {
						b.wire.ends()
					}
					b.pass(3 * time.Hour)
				}
				b.pass(3 * time.Hour)
				b.is(Online)
				require.Equal(t, c.again, b.bans())
				require.Equal(t, len(slices.DeleteFunc(c.again, func(again bool) bool { return again })), b.count(TempBanned), "the same by what was kept")
			})
		})
	}
}

func TestWhoIsReplacedTriesOnceAtMost(t *testing.T) {
	t.Parallel()
	replaced := func(b *bench) { b.wire.set(false); b.wire.says(&events.StreamReplaced{}); b.pass(0) }
	t.Run("the older one, when it was up for long", func(t *testing.T) {
		t.Parallel()
		runBench(t, Facts{}, func(t *testing.T, b *bench) {
			b.pass(10 * time.Minute)
			replaced(b)
			require.Equal(t, CodeReplaced, b.is(Replaced).Reason)
			b.pass(29 * time.Second)
			require.Equal(t, 1, b.wire.count())
			b.pass(2 * time.Second)
			require.Equal(t, 2, b.wire.count(), "one try after half a minute")
			b.pass(6 * time.Minute)
			b.is(Online)
			replaced(b)
			b.pass(48 * time.Hour)
			require.Equal(t, 2, b.wire.count(), "no second one")
			require.Contains(t, b.is(Replaced).Detail, "end one of the two")
			_, err := b.a.Pair(t.Context())
			require.ErrorIs(t, err, ErrAlreadyPaired)
			b.pass(time.Second)
			require.Equal(t, 3, b.wire.count(), "a person may")
		})
	})
	t.Run("not the newer one", func(t *testing.T) {
		t.Parallel()
		runBench(t, Facts{}, func(t *testing.T, b *bench) {
			b.pass(4 * time.Minute)
			replaced(b)
			b.pass(48 * time.Hour)
			require.Equal(t, 1, b.wire.count())
			b.is(Replaced)
		})
	})
}

func TestALogOutMakesABoundedSeriesOfRounds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		auto   bool
		rounds int
	}{"with pairing.auto": {true, 3}, "without": {false, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runBench(t, Facts{}, func(t *testing.T, b *bench) {
				devices := 0
				var made []time.Time
				require.NoError(t, b.a.ask(t.Context(), func(_ context.Context, o *owner) error {
					b.a.opts.PairingAuto, b.a.opts.PairingRounds = test.auto, 3
					o.fresh = func() *link {
						devices++
						made = append(made, time.Now())
						return b.offering()
					}
					return nil
				}))
				b.pass(12 * time.Second)
				b.a.tally.did("a send", time.Now())
				b.wire.set(false)
				b.wire.says(&events.LoggedOut{Reason: events.ConnectFailureLoggedOut})
				b.pass(60 * time.Hour)
				require.Equal(t, test.rounds, devices, "rounds over a week-end")
				ended, codes := 0, map[string]bool{}
				for _, event := range b.told {
					switch event := event.(type) {
					case StatusChanged:
						if event.Status.State == LoggedOut && event.Status.Reason == CodeLoggedOut {
							ended++
						}
					case PairingChanged:
						codes[event.Round.Code] = true
					}
				}
				require.LessOrEqual(t, len(codes), 1+6*test.rounds)
				require.Equal(t, 1+test.rounds, ended, "once at first, and after each round")
				require.Equal(t, LoggedOut, b.facts.EndState)
				require.Contains(t, b.facts.EndDetail, "it was online for 12s; last deeds: a send 0s before")
				require.Equal(t, 1, b.wire.count(), "dials of the device that was removed")
				const scannable = 160 * time.Second // that is how long the six of a round can be scanned
				for i := range max(0, len(made)-1) {
					require.InDelta(t, scannable+2*time.Minute<<i, made[i+1].Sub(made[i]), float64(2*time.Second), "growing pauses between rounds")
				}
				round, err := b.a.Pair(t.Context())
				require.NoError(t, err)
				require.NotEmpty(t, round.Code, "a person gets a code at once")
				require.Equal(t, test.rounds+1, devices)
			})
		})
	}
}

// offering returns a device to be paired that is offered six codes.
func (b *bench) offering() *link {
	l := &link{recorded: make(chan struct{}), cut: func() {}}
	wire := &doubleWire{b: b, link: l}
	wire.meets = func(dial int) {
		codes := &events.QR{}
		for i := range 6 {
			codes.Codes = append(codes.Codes, fmt.Sprint(dial, "-", i))
		}
		wire.says(codes)
	}
	l.wire = wire
	return l
}

func TestALockedOrBannedAccountIsLeftAlone(t *testing.T) {
	t.Parallel()
	for reason, code := range map[events.ConnectFailureReason]string{
		events.ConnectFailureMainDeviceGone: CodeAccountLocked, events.ConnectFailureUnknownLogout: CodeAccountBanned,
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			runBench(t, Facts{}, func(t *testing.T, b *bench) {
				devices := 0
				require.NoError(t, b.a.ask(t.Context(), func(_ context.Context, o *owner) error {
					b.a.opts.PairingAuto, b.a.opts.PairingRounds = true, 3
					o.fresh = func() *link {
						devices++
						return b.offering()
					}
					return nil
				}))
				b.pass(time.Minute)
				b.wire.set(false)
				b.wire.says(&events.LoggedOut{OnConnect: true, Reason: reason})
				for range 30 {
					b.pass(24 * time.Hour)
					b.a.NeedsPairing() // a task waits
				}
				require.Equal(t, code, b.is(Locked).Reason)
				require.Equal(t, 1, b.wire.count(), "no dial in a month")
				require.Zero(t, devices, "and no pairing round")
			})
		})
	}
}

func TestAnOutdatedClientStopsDialling(t *testing.T) {
	t.Parallel()
	runBench(t, Facts{}, func(t *testing.T, b *bench) {
		b.wire.meets = func(int) { b.wire.says(&events.ClientOutdated{}) }
		b.wire.ends()
		b.pass(5 * time.Second)
		dials, told := b.wire.count(), len(b.states())
		b.pass(48 * time.Hour)
		require.Contains(t, b.is(Outdated).Detail, "newer version")
		require.Equal(t, dials, b.wire.count())
		require.Len(t, b.states(), told)
		require.Equal(t, Outdated, b.facts.EndState)
	})
}

func TestAStuckLoopIsNoticed(t *testing.T) {
	t.Parallel()
	runBench(t, Facts{}, func(t *testing.T, b *bench) {
		b.pass(24 * time.Hour)
		require.True(t, b.a.Alive(), "a quiet account is alive")
		free := make(chan struct{})
		b.a.post(func(context.Context, *owner) { <-free })
		b.pass(59 * time.Second)
		require.True(t, b.a.Alive())
		b.pass(2 * time.Second)
		require.False(t, b.a.Alive())
		close(free)
		b.pass(0)
		require.True(t, b.a.Alive())
	})
}

func TestTheLiveVersionIsComparedDailyAndToldOfOnce(t *testing.T) {
	t.Parallel()
	runBench(t, Facts{}, func(t *testing.T, b *bench) {
		behind := func() int { n, known := b.a.VersionBehind(); require.True(t, known); return n }
		b.slow()
		require.Zero(t, behind(), "an older page is no reason to worry")
		own := b.a.owner.versions.own
		for day := range 5 {
			b.live.Store(own + 1000*uint32(day+1))
			b.pass(24 * time.Hour)
			require.Equal(t, 1000*(day+1), behind())
		}
		notices := 0
		for _, event := range b.told {
			if n, ok := event.(Notice); ok && n.Code == NoticeBehind {
				notices++
				require.Contains(t, n.Detail, "1000 revisions ahead")
			}
		}
		require.Equal(t, 1, notices)
		b.wire.ends()
		b.pass(time.Minute)
		require.Empty(t, b.versions(), "it is only looked at")
	})
}

func TestTheLiveVersionIsUsedUntilItIsRefused(t *testing.T) {
	t.Parallel()
	runBench(t, Facts{}, func(t *testing.T, b *bench) {
		own := b.a.owner.versions.own
		b.live.Store(own + 1)
		require.NoError(t, b.a.ask(t.Context(), func(context.Context, *owner) error { b.a.opts.UseLiveVersion = true; return nil }))
		b.slow()
		b.pass(25 * time.Hour)
		b.wire.ends()
		b.pass(time.Minute)
		b.is(Online)
		require.Equal(t, []uint32{own + 1}, b.versions())
		b.wire.meets = func(int) {
			if all := b.versions(); all[len(all)-1] == own {
				b.wire.says(&events.Connected{})
			} else {
				b.wire.says(&events.ClientOutdated{})
			}
		}
		b.wire.ends()
		b.pass(time.Minute)
		b.is(Online)
		require.Equal(t, []uint32{own + 1, own}, b.versions())
		b.live.Store(own + 2)
		b.pass(48 * time.Hour)
		b.wire.ends()
		b.pass(time.Minute)
		b.is(Online)
		require.Equal(t, []uint32{own + 1, own}, b.versions(), "not another time")
		for _, status := range b.states() {
			require.NotEqual(t, Outdated, status.State)
		}
	})
}
