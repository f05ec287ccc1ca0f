package session

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"
)

// Options says what an account is given. DB, ForgetSent, Keeper and Observe are required.
type Options struct {
	// Account names the account. Default: DefaultAccount.
	Account AccountID
	// DB holds the keys of the linked device, in whatsmeow's own tables: SQLite with foreign keys on, synchronous=FULL and
	// one connection. With more connections the library meets locks, and a locked store loses messages silently.
	DB *sql.DB
	// ForgetSent deletes from DB the sent messages of before a time. They are kept there for 14 days, so that a recipient's
	// device that could not open one gets it again. It is called with each login, send and request for a message.
	ForgetSent func(ctx context.Context, before time.Time) error
	// Keeper keeps facts and answers.
	Keeper Keeper
	// Observe is told every event, one at a time: the changes of status and pairing in order, the messages in order. It must
	// be quick and must not call the account's methods that wait (Status and Pairing are fine). For a MessageReceived an
	// error means that the message is not acknowledged: it comes again. For other events an error is logged. The context
	// ends when Run is told to end.
	Observe func(ctx context.Context, event Event) error

	// DeviceName is shown in the phone's list of linked devices. One per process: the first account's. Default: whatsappd.
	DeviceName string
	// PairingAuto lets pairing rounds start by themselves, after WhatsApp ended the session or nobody scanned.
	PairingAuto bool
	// PairingRounds is how many rounds may run in a row without a person asking. The very first one, on an account that was
	// never paired, runs in any case.
	PairingRounds int
	// Proxy is an http, https or socks5 URL for everything that goes to WhatsApp. With a simulator its host must be a loopback
	// address too.
	Proxy string
	// UseLiveVersion announces the version of WhatsApp's own web client instead of the library's, from the second connection
	// on, until WhatsApp refuses it once. It may help for a while after WhatsApp retired the library's version, and may break
	// what a newer version does otherwise.
	UseLiveVersion bool
	// Simulator makes the account talk to a simulator instead of WhatsApp. Nil: the real WhatsApp.
	Simulator *Simulator
	// CheckCachePositive and CheckCacheNegative say how long an answer about a number is good. 0 turns a cache off.
	CheckCachePositive, CheckCacheNegative time.Duration

	// CheckLimits bound how many numbers WhatsApp is asked about. Default: no bound.
	CheckLimits CheckLimits

	// Logger receives what happens. Default: nothing is logged.
	Logger *slog.Logger
	// Now tells the time. Default: time.Now.
	Now func() time.Time
	// Timing holds every time-out and pause; what is left zero gets its default.
	Timing Timing
}

// Simulator says where a simulated WhatsApp listens, and which root key vouches for it. UseRootKey must have been called
// with the same key.
type Simulator struct {
	Addr    string // host:port; the host must be a loopback address
	RootKey string // hex of 32 bytes
}

// Timing holds the time-outs and pauses of an account. Tests shorten them; a program leaves them at their defaults.
type Timing struct {
	FirstCode time.Duration // how long the first pairing code of a round can be scanned; 60 s, as web clients show it
	NextCode  time.Duration // the same for each following code; 20 s

	PairStart      time.Duration // from the start of a round to its first code; 60 s
	PairConfirm    time.Duration // from the scan to the first login; then the round counts as paired anyway; 60 s
	Relogin        time.Duration // from the scan to WhatsApp's request to log in, which can get lost; 10 s
	RoundPause     time.Duration // after the first unscanned round; doubles with each further one; 2 min
	RoundPauseMax  time.Duration // 1 h
	TaskRoundPause time.Duration // after a round, before a waiting task starts another one; 3 min

	Dial          time.Duration // for the network connection of one dial; 30 s
	Login         time.Duration // from the connection to the end of the login, with its slow requests; 160 s
	BackoffMin    time.Duration // after the first failure; doubles with each further one; 1 s
	BackoffMax    time.Duration // 5 min
	Stable        time.Duration // a connection that lasted so long forgets earlier failures; 60 s
	ReplacedRetry time.Duration // before the one try after another process took over; 30 s
	ReplacedAgain time.Duration // replaced twice within this time: no further try; 1 h
	ReplacedYoung time.Duration // a connection replaced so soon after its dial: the other was there first, no try; ten ReplacedRetry
	BanUnknown    time.Duration // before the dial after a ban without an end; 1 h
	LockUnknown   time.Duration // of a lock on first contacts without an end; 1 h

	Silence time.Duration // without any answer for so long the connection counts as degraded; 60 s
	Tick    time.Duration // how often the connection is looked at; 1 s
	Stuck   time.Duration // a loop that did not turn for so long is stuck; 60 s

	Send         time.Duration // without an outcome for so long a send gets a new connection; 30 s
	Query        time.Duration // for a number check or a log-out; 30 s
	CheckCooling time.Duration // no checks for so long after WhatsApp called them too many; 1 min
	Observe      time.Duration // pause before a message that could not be kept is offered again; doubles twice; 200 ms
	Stop         time.Duration // for the send in flight when the account is told to stop; 5 s

	// The library pings WhatsApp at a random interval between these two and waits so long for the answer; 15 s, 25 s, 10 s.
	// One setting per process: the first account's.
	PingMin, PingMax, PingAnswer time.Duration
}

// withDefaults fills in what was left zero.
func (t Timing) withDefaults() Timing {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&t.FirstCode, 60 * time.Second},
		{&t.NextCode, 20 * time.Second},
		{&t.PairStart, 60 * time.Second},
		{&t.PairConfirm, 60 * time.Second},
		{&t.Relogin, 10 * time.Second},
		{&t.RoundPause, 2 * time.Minute},
		{&t.RoundPauseMax, time.Hour},
		{&t.TaskRoundPause, 3 * time.Minute},
		{&t.Dial, 30 * time.Second},
		{&t.Login, 160 * time.Second},
		{&t.BackoffMin, time.Second},
		{&t.BackoffMax, 5 * time.Minute},
		{&t.Stable, 60 * time.Second},
		{&t.ReplacedRetry, 30 * time.Second},
		{&t.ReplacedAgain, time.Hour},
		{&t.BanUnknown, time.Hour},
		{&t.LockUnknown, time.Hour},
		{&t.Silence, 60 * time.Second},
		{&t.Tick, time.Second},
		{&t.Stuck, 60 * time.Second},
		{&t.Send, 30 * time.Second},
		{&t.Query, 30 * time.Second},
		{&t.CheckCooling, time.Minute},
		{&t.Observe, 200 * time.Millisecond},
		{&t.Stop, 5 * time.Second},
		{&t.PingMin, 15 * time.Second},
		{&t.PingMax, 25 * time.Second},
		{&t.PingAnswer, 10 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	if t.ReplacedYoung == 0 {
		t.ReplacedYoung = 10 * t.ReplacedRetry
	}
	return t
}

// complete checks the options and fills in defaults.
func (o Options) complete() (Options, error) {
	if o.DB == nil || o.ForgetSent == nil || o.Keeper == nil || o.Observe == nil {
		return o, errors.New("an account needs DB, ForgetSent, Keeper and Observe")
	}
	if o.Account == "" {
		o.Account = DefaultAccount
	}
	if o.DeviceName == "" {
		o.DeviceName = "whatsappd"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Timing = o.Timing.withDefaults()
	return o, nil
}
