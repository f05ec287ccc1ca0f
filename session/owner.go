package session

import (
	"context"
	"math/rand/v2"
	"time"

	"go.mau.fi/whatsmeow/types/events"
)

// owner holds an account's state. It lives in one goroutine, which takes orders from the account's mail; nobody else reads
// or changes what is in it. Everybody else sees the snapshots it publishes.
type owner struct {
	a     *Account
	t     Timing
	now   func() time.Time
	ran   func() time.Duration // of this process, by the clock that stands still while the machine sleeps
	fresh func() *link         // makes a device that is not paired

	facts  Facts     // as kept
	keepAt time.Time // when to try again to keep them, after a failure; zero for none
	locked bool      // WhatsApp locked or banned the account since the start

	// The link and its connection; see connection.go.
	link      *link
	phase     phase
	failures  int       // dials, and connections that did not last, in a row
	dialAt    time.Time // of the next dial in phase idle; zero for none
	dialled   time.Time // when the last dial began
	loginBy   time.Time // when a login takes too long, in phase loggingIn
	onlineAt  time.Time // start of phase up
	lookAt    time.Time // when to look at the connection again
	early     bool      // logged in before the dial was reported
	unpinged  bool      // a ping had no answer
	silent    bool      // no answer of any kind for long
	held      ending    // WhatsApp does not want this connection; empty state: it does
	sameBan   bool      // the ban that holds was told of before
	trouble   ending    // why there is no connection at the moment; reason and detail only
	replaced  time.Time // when another process last took over
	lastClock time.Time
	lastRan   time.Duration
	versions  versions

	// Pairing; see pairing.go.
	round       round
	roundEnded  time.Time
	nextRound   time.Time // of the next round by itself; zero for none
	unasked     int       // rounds since a person asked or the account was paired
	byTask      int       // of those, started because a task waited
	unscanned   int       // rounds without success in a row
	paused      bool      // a log-out ended the series
	pairWaiters []chan PairingRound
	phoneCodes  map[Number]time.Time // when a code to type was last asked for

	settled  *link    // what the phone shares with it is here, and that is not told yet
	deferred []func() // to be done once the present state can be seen

	told      Status
	toldRound PairingRound
	since     time.Time
	sinceOf   State
}

func newOwner(a *Account, facts Facts, l *link) *owner {
	o := &owner{
		a: a, t: a.opts.Timing, now: a.opts.Now, ran: func() time.Duration { return time.Since(a.heart.born) },
		fresh: a.freshLink, facts: facts, link: l,
	}
	if l != nil && facts.PhoneSeen.IsZero() {
		o.facts.PhoneSeen = o.now()
	}
	if l != nil && facts.Number == "" { // nothing says that another number was meant
		o.facts.Number = l.number
	}
	if l == nil && facts.Number != "" && facts.EndState == "" { // nobody ended the link: from the first moment on tasks wait
		o.end(ending{state: LoggedOut, reason: CodeKeysMissing,
			detail: "the keys of the linked device are not there: a backup was restored, or whatsapp.db is gone; link the phone again, tasks wait for it"})
	}
	o.versions = a.newVersions(o.now())
	o.round.PairingRound = PairingRound{Account: a.opts.Account, State: PairingIdle}
	o.since, o.sinceOf = o.now(), o.state()
	return o
}

// run takes orders until the context ends.
func (o *owner) run(ctx context.Context) {
	o.begin(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		o.a.heart.beat()
		o.advance(ctx)
		o.publish(ctx)
		timer.Reset(o.pause())
		select {
		case <-ctx.Done():
			o.endRound(ctx, PairingStopped, CodeStopping, "the daemon is being stopped")
			o.publish(context.WithoutCancel(ctx))
			return
		case do := <-o.a.mail:
			do(ctx, o)
		case <-timer.C:
		}
	}
}

// begin decides what a fresh start does.
func (o *owner) begin(ctx context.Context) {
	now := o.now()
	o.lastClock, o.lastRan = now, o.ran()
	if o.link == nil && o.facts.EndState != "" && o.facts.EndedAt.IsZero() { // the log-out was done, and nobody lived to note it
		o.facts.EndedAt = now
		o.keep(ctx)
	}
	if o.facts.EndReason == CodeKeysMissing {
		o.keep(ctx)
	}
	switch {
	case o.link != nil:
		o.dialAt = now
		if o.facts.EndState == TempBanned && o.facts.EndUntil.After(now) {
			o.held = ending{TempBanned, o.facts.EndReason, o.facts.EndDetail, o.facts.EndUntil}
			o.dialAt = o.facts.EndUntil
		}
	case o.facts.Number == "" && o.facts.EndState == "": // never paired
		o.startRound(ctx)
	case o.roundsAllowed():
		o.nextRound = now
	}
}

// advance does what is due.
func (o *owner) advance(ctx context.Context) {
	now := o.now()
	o.watchClock(ctx, now)
	o.watchLink(ctx, now)
	o.watchRound(ctx, now)
	o.watchPhone(ctx, now)
	o.watchReachout(ctx, now)
	o.watchVersion(ctx, now)
	o.watchKept(ctx, now)
}

// pause returns how long nothing is due.
func (o *owner) pause() time.Duration {
	now := o.now()
	pause := o.t.Stuck / 4 // the heartbeat
	for _, due := range []time.Time{o.linkDue(), o.roundDue(), o.nextRound, o.phoneDue(), o.reachoutDue(), o.versions.due, o.keepAt} {
		if !due.IsZero() {
			pause = min(pause, due.Sub(now))
		}
	}
	return max(0, pause)
}

// watchClock notices that the machine slept: the wall clock then ran further than the one that counts time. The connection
// is dead by then, most likely, and what it waited for before a dial is over: a new login shows what is true.
func (o *owner) watchClock(ctx context.Context, now time.Time) {
	const jump = 30 * time.Second
	ran := o.ran()
	jumped := now.Round(0).Sub(o.lastClock.Round(0)) - (ran - o.lastRan)
	o.lastClock, o.lastRan = now, ran
	if jumped.Abs() <= jump {
		return
	}
	o.a.log.Warn("the clock jumped; the machine slept, or its clock was set", "by", jumped.Round(time.Second))
	if o.phase == idle && o.held.state == "" && !o.dialAt.IsZero() {
		o.dialAt = now
	}
	o.reset(ctx, CodeConnectionLost, "the machine slept")
}

// handle does with an event of the library what its kind asks for. Events of a link that is history are ignored.
func (o *owner) handle(ctx context.Context, l *link, event any) {
	if l == o.round.link {
		o.handlePairing(ctx, event)
		return
	}
	if l != o.link {
		return
	}
	switch event := event.(type) {
	case *events.Connected:
		o.loggedIn(ctx)
	case *events.Disconnected:
		if !o.link.busy && !o.link.wire.IsConnected() {
			o.lost(CodeConnectionLost, "the connection ended")
		}
	case *events.ManualLoginReconnect:
		o.relogin()
	case *events.KeepAliveTimeout:
		o.unanswered(ctx, event.ErrorCount)
	case *events.KeepAliveRestored:
		o.unpinged = false
	case *events.StreamReplaced:
		o.takenOver(ctx)
	case *events.LoggedOut:
		o.unlinked(ctx, loginRefused(event.Reason))
	case *events.TemporaryBan:
		o.banned(ctx, event)
	case *events.ClientOutdated:
		o.outdated(ctx)
	case *events.ConnectFailure:
		o.refused(int(event.Reason), event.Message)
	case *events.CATRefreshError:
		o.refused(o.a.library.parting(), "")
	case *events.StreamError:
		o.streamError(ctx, event.Code)
	case *events.NotifyAccountReachoutTimelock:
		o.reachout(ctx, event)
	}
}

// state returns where the account stands.
func (o *owner) state() State {
	switch {
	case o.link == nil && o.round.Live():
		return Pairing
	case o.link == nil && o.locked:
		return Locked
	case o.link == nil && o.facts.EndState != "":
		return LoggedOut
	case o.link == nil:
		return Unpaired
	case o.held.state != "":
		return o.held.state
	case o.phase == up && (o.unpinged || o.silent):
		return Degraded
	case o.phase == up:
		return Online
	case o.phase == idle && o.dialAt.After(o.now()):
		return Backoff
	default:
		return Connecting
	}
}

// describe returns the account's status.
func (o *owner) describe() Status {
	s := Status{Account: o.a.opts.Account, State: o.state(), Last: o.facts.Number}
	switch s.State {
	case LoggedOut, Locked:
		s.Reason, s.Detail = o.facts.EndReason, o.facts.EndDetail
	case Pairing:
		if o.facts.EndState != "" {
			s.Reason, s.Detail = o.facts.EndReason, o.facts.EndDetail
		}
	case Replaced, Outdated, TempBanned:
		s.Reason, s.Detail, s.Until = o.held.reason, o.held.detail, o.held.until
	case Backoff:
		s.Reason, s.Detail, s.Until = o.trouble.reason, o.trouble.detail, o.dialAt
	case Connecting:
		s.Reason, s.Detail = o.trouble.reason, o.trouble.detail
	case Degraded:
		s.Reason, s.Detail = CodeConnectionSilent, "WhatsApp's answer is overdue"
	}
	if o.link != nil {
		s.PhoneSeen, s.Reachout, s.Quota = o.facts.PhoneSeen, o.facts.ReachoutEnd, o.facts.Quota
		s.Number, s.Confirm = o.link.number, o.link.number != o.facts.Number
		if !o.link.lid.IsEmpty() {
			s.LID = o.link.lid.String()
		}
	}
	if s.State != o.sinceOf {
		o.since, o.sinceOf = o.now(), s.State
	}
	s.Since = o.since
	return s
}

// snapshot lets everybody see the present state.
func (a *Account) snapshot() {
	status, round := a.owner.describe(), a.owner.round.PairingRound
	a.status.Store(&status)
	a.round.Store(&round)
}

// publish shows the present state, and tells what changed.
func (o *owner) publish(ctx context.Context) {
	o.a.snapshot()
	if round := *o.a.round.Load(); round != o.toldRound && round.State != PairingIdle {
		o.toldRound = round
		o.tell(ctx, PairingChanged{round})
	}
	status := *o.a.status.Load()
	if differs(status, o.told) {
		again := o.told.State == "" && status.State == o.facts.EndState || status.State == TempBanned && o.sameBan
		o.told = status
		o.a.log.Info("account state changed", "state", status.State, "reason", status.Reason, "number", short(status.Number))
		o.tell(ctx, StatusChanged{Status: status, Again: again})
	}
	o.tellSettled(ctx)
	o.answerWaiters()
	for _, do := range o.deferred {
		do()
	}
	o.deferred = nil
}

// differs tells whether a status is worth telling after another.
func differs(a, b Status) bool {
	return a.State != b.State || a.Reason != b.Reason || a.Number != b.Number || a.Confirm != b.Confirm || !a.Reachout.Equal(b.Reachout) ||
		a.Quota != b.Quota
}

func (o *owner) tell(ctx context.Context, event Event) {
	if err := o.a.observe(ctx, event); err != nil {
		o.a.log.Error("an event was not taken", "error", err)
	}
}

// notify tells an operator something.
func (o *owner) notify(ctx context.Context, n Notice) {
	n.Account = o.a.opts.Account
	o.tell(ctx, n)
}

// keep writes down what is known about the account. After a failure the state in memory holds, and it is tried again from time
// to time.
func (o *owner) keep(ctx context.Context) {
	err := o.a.opts.Keeper.KeepFacts(context.WithoutCancel(ctx), o.a.opts.Account, o.facts)
	if err == nil {
		o.keepAt = time.Time{}
		return
	}
	if o.keepAt.IsZero() {
		o.a.log.Error("facts of the account were not kept; it is tried again", "error", err)
	}
	o.keepAt = o.now().Add(o.t.Stuck / 4)
}

// watchKept keeps what could not be kept before.
func (o *owner) watchKept(ctx context.Context, now time.Time) {
	if !o.keepAt.IsZero() && !now.Before(o.keepAt) {
		o.keep(ctx)
	}
}

// confirm accepts the number that is paired.
func (o *owner) confirm(ctx context.Context) error {
	if o.link == nil {
		return ErrNotPaired
	}
	if o.facts.Number == o.link.number {
		return nil
	}
	before := o.facts
	o.facts.Number = o.link.number
	if err := o.a.opts.Keeper.KeepFacts(ctx, o.a.opts.Account, o.facts); err != nil {
		o.facts = before
		return &Error{Code: CodeStoreFailed, Retry: RetryLater, Err: err}
	}
	return nil
}

// chance returns a number between 0 and 1.
func chance() float64 { return rand.Float64() } //nolint:gosec // spreads pauses, hides nothing
