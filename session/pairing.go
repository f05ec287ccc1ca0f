package session

import (
	"context"
	"errors"
	"time"

	"go.mau.fi/whatsmeow/types/events"
)

// demand is what a caller asks of Run.
type demand int

const (
	demandRound  demand = iota // start or join a pairing round
	demandLogout               // end the link
)

// request is a caller's wish. Run answers it once.
type request struct {
	demand demand
	reply  chan error
}

func (r request) answer(err error) { r.reply <- err }

// ask hands a wish to Run and waits for the answer.
func (a *Account) ask(ctx context.Context, d demand) error {
	r := request{demand: d, reply: make(chan error, 1)}
	select {
	case a.requests <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-a.stopped:
		return errStopping
	}
	select {
	case err := <-r.reply:
		return err
	case <-a.stopped:
		return errStopping
	}
}

// Logout ends the link to the phone. It returns ErrNotPaired when there is none, and stops a round that runs; an *Error when
// WhatsApp cannot be reached.
func (a *Account) Logout(ctx context.Context) error { return a.ask(ctx, demandLogout) }

// Pair starts a pairing round for a person, or joins the one that runs, and returns once a code is live. It returns
// ErrAlreadyPaired on a linked account, and an *Error when the round ended without a code.
func (a *Account) Pair(ctx context.Context) (PairingRound, error) {
	if a.Status().Paired() {
		return PairingRound{}, ErrAlreadyPaired
	}
	before := a.Pairing()
	if err := a.ask(ctx, demandRound); err != nil {
		return PairingRound{}, err
	}
	for {
		a.mu.Lock()
		round, changed := a.round, a.changed
		a.mu.Unlock()
		switch {
		case round.State == PairingWaiting:
			return round, nil
		case round.State == PairingConfirm, round.State == PairingPaired:
			return round, ErrAlreadyPaired
		case round.Round > before.Round && !round.Live(), before.Live() && round.Round == before.Round && !round.Live():
			return round, &Error{Code: round.Reason, Retry: RetryLater, Hint: round.Detail}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return round, ctx.Err()
		case <-a.stopped:
			return round, errStopping
		}
	}
}

// NeedsPairing says that work met an account without a link: a round starts, unless one runs or ended a moment ago.
func (a *Account) NeedsPairing() {
	select {
	case a.needed <- struct{}{}:
	default:
	}
}

// publish changes the pairing round and tells the observer and whoever waits in Pair.
func (a *Account) publish(change func(*PairingRound)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.round)
	if a.round.State != PairingWaiting {
		a.round.Code, a.round.ExpiresAt = "", time.Time{}
	}
	a.events.add(PairingChanged{a.round})
	close(a.changed)
	a.changed = make(chan struct{})
}

// unpaired runs pairing rounds until the account is paired or the context ends: first those that start by themselves, with
// growing pauses, then whenever a person or a task asks.
func (a *Account) unpaired(ctx context.Context) {
	select {
	case <-a.needed: // of a time when there was a link
	default:
	}
	byItself, pause := a.roundsByItself(), time.Duration(0)
	var lastEnd time.Time
	for ctx.Err() == nil && a.paired() == nil {
		person, start := a.awaitRound(ctx, byItself > 0, pause, lastEnd)
		if !start {
			return
		}
		if person {
			byItself, pause = a.opts.PairingRounds, 0
		}
		if a.runRound(ctx) == PairingStopped {
			byItself = 0 // a person ended it
		}
		lastEnd = time.Now()
		byItself--
		pause = max(2*pause, a.opts.Timing.RoundPause)
	}
}

// roundsByItself is how many rounds may start without anybody asking: on the first run, and after WhatsApp ended the session.
func (a *Account) roundsByItself() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.status.State == Unpaired:
		return a.opts.PairingRounds
	case a.facts.ByUs, !a.opts.PairingAuto, a.status.State == Locked:
		return 0
	}
	return a.opts.PairingRounds
}

// awaitRound waits until a round is to start. It is false when Run is to end.
func (a *Account) awaitRound(ctx context.Context, byItself bool, pause time.Duration, lastEnd time.Time) (person, start bool) {
	var timer <-chan time.Time
	if byItself {
		timer = time.After(pause)
	}
	for {
		select {
		case <-ctx.Done():
			return false, false
		case <-timer:
			return false, true
		case <-a.needed:
			if a.Status().State == Locked {
				continue // a person has to look at it
			}
			if lastEnd.IsZero() || time.Since(lastEnd) >= a.opts.Timing.PairPause {
				return false, true
			}
		case <-a.signals: // of a link that is gone
		case r := <-a.requests:
			if r.demand == demandLogout {
				r.answer(ErrNotPaired)
				continue
			}
			a.publish(func(p *PairingRound) {
				*p = PairingRound{Account: a.opts.Account, Round: p.Round + 1, State: PairingStarting, StartedAt: time.Now()}
			})
			r.answer(nil)
			return true, true
		}
	}
}

// runRound shows one series of codes and returns how it ended. When it succeeds, the account has a link.
func (a *Account) runRound(ctx context.Context) PairingState {
	before := a.Status()
	if a.Pairing().State != PairingStarting {
		a.publish(func(p *PairingRound) {
			*p = PairingRound{Account: a.opts.Account, Round: p.Round + 1, State: PairingStarting, StartedAt: time.Now()}
		})
	}
	a.enter(Pairing, before.Reason, before.Detail, time.Time{})
	state, reason, detail := a.offerCodes(ctx)
	if state == PairingConfirm {
		return state
	}
	a.update(func(s *Status) { s.State, s.Reason, s.Detail = before.State, before.Reason, before.Detail })
	a.publish(func(p *PairingRound) { p.State, p.Reason, p.Detail = state, reason, detail })
	return state
}

// offerCodes connects as a new device and offers code after code until a phone scanned one or none is left.
func (a *Account) offerCodes(ctx context.Context) (PairingState, string, string) {
	l, err := a.newLink(a.container.NewDevice())
	if err != nil {
		return PairingRefused, CodePairUnreachable, err.Error()
	}
	if err := l.client.Connect(); err != nil {
		return PairingRefused, CodePairUnreachable, "WhatsApp cannot be reached: " + redact(err.Error())
	}
	r := &offering{account: a, link: l, timer: time.NewTimer(a.opts.Timing.CodePatience)}
	defer r.timer.Stop()
	for r.state == "" {
		select {
		case <-ctx.Done():
			r.end(PairingStopped, "stopped", "the daemon stopped")
		case <-r.timer.C:
			if r.over {
				r.state = r.doomed
				continue
			}
			r.next()
		case s := <-a.signals:
			if s.link == l {
				r.react(ctx, s.event)
			}
		case q := <-a.requests:
			if q.demand == demandRound {
				q.answer(nil) // joins
				continue
			}
			r.end(PairingStopped, "logout", "a log-out ended the round")
			q.answer(ErrNotPaired)
		}
	}
	if r.state != PairingConfirm {
		l.client.Disconnect() // WhatsApp may well go on waiting for a scan
	}
	return r.state, r.reason, r.detail
}

// offering is a round while it runs.
type offering struct {
	account *Account
	link    *link
	timer   *time.Timer // for the present code, or for the first
	codes   []string
	shown   int // codes that were shown

	state          PairingState // how it ended, empty before
	reason, detail string

	over   bool         // the connection has ended, but news of a successful pairing may still be on its way
	doomed PairingState // how the round ends if it is not
}

// lateNews is how long the library may take to tell that a phone took the device in, once the connection has ended: it
// tells the two in any order.
const lateNews = 3 * time.Second

// connectionOver waits a moment for late news, then ends the round.
func (r *offering) connectionOver(state PairingState, reason, detail string) {
	if r.over {
		return
	}
	r.over, r.doomed, r.reason, r.detail = true, state, reason, detail
	r.timer.Reset(lateNews)
}

func (r *offering) end(state PairingState, reason, detail string) {
	r.state, r.reason, r.detail = state, reason, detail
}

// next shows the next code, or ends the round when there is none.
func (r *offering) next() {
	if r.shown >= len(r.codes) {
		if r.shown == 0 {
			r.end(PairingRefused, CodePairUnreachable, "WhatsApp sent no pairing code")
			return
		}
		r.end(PairingExpired, CodePairExpired, "nobody scanned a code in time")
		return
	}
	life := r.account.opts.Timing.Code
	if r.shown == 0 {
		life = r.account.opts.Timing.FirstCode
	}
	r.timer.Reset(life)
	code := r.codes[r.shown]
	r.shown++
	r.account.publish(func(p *PairingRound) {
		p.State, p.Code, p.ExpiresAt = PairingWaiting, code, time.Now().Add(life)
		p.CodeIndex, p.CodeCount = r.shown, len(r.codes)
	})
}

// react deals with an event during the round.
func (r *offering) react(ctx context.Context, event any) {
	switch event := event.(type) {
	case *events.QR:
		r.codes = event.Codes
		r.next()
	case *events.PairSuccess:
		r.account.adopt(ctx, r.link, r.over)
		r.end(PairingConfirm, "", "")
	case *events.PairError:
		r.end(PairingRefused, CodePairBadIdentity, "the pairing was refused: "+redact(event.Error.Error()))
	case *events.ClientOutdated:
		r.end(PairingRefused, CodeClientOutdated, "WhatsApp does not accept this version any more: update whatsappd")
	case *events.ConnectFailure, *events.TemporaryBan, *events.StreamError:
		r.end(PairingRefused, CodePairUnreachable, "WhatsApp ended the pairing")
	case *events.ManualLoginReconnect:
		r.connectionOver(PairingRefused, CodePairUnreachable, "WhatsApp ended the pairing")
	case *events.Disconnected:
		if r.shown > 0 && r.shown == len(r.codes) {
			r.connectionOver(PairingExpired, CodePairExpired, "nobody scanned a code in time")
			return
		}
		r.connectionOver(PairingRefused, CodePairUnreachable, "the connection was lost while a code was shown")
	}
}

// adopt makes a link that a phone has just taken in the account's own, keeps whose it is, and waits for the restart that
// WhatsApp announces, unless it has come already: the log-in happens on a connection of its own.
func (a *Account) adopt(ctx context.Context, l *link, restarted bool) {
	a.mu.Lock()
	a.link = l
	status := a.status
	a.describeLink(&status, l)
	facts := Facts{Number: a.facts.Number, PairedAt: time.Now()}
	a.mu.Unlock()
	if facts.Number == "" {
		facts.Number = status.Number
	}
	if err := a.keepFacts(ctx, facts); err != nil {
		a.log.Error("the pairing could not be noted", "error", err)
	}
	a.publish(func(p *PairingRound) { p.State = PairingConfirm })
	a.update(func(s *Status) {
		s.State, s.Reason, s.Detail = Connecting, "", ""
		s.Number, s.LID, s.Confirm = status.Number, status.LID, status.Confirm
	})
	if !restarted {
		a.awaitRestart(ctx, l)
	}
	l.client.Disconnect()
}

// awaitRestart waits for WhatsApp's restart after a pairing. It can get lost, so it is not waited for long.
func (a *Account) awaitRestart(ctx context.Context, l *link) {
	timer := time.NewTimer(a.opts.Timing.RestartWait)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		case s := <-a.signals:
			switch s.event.(type) {
			case *events.ManualLoginReconnect, *events.Disconnected:
				if s.link == l {
					return
				}
			}
		case r := <-a.requests:
			if r.demand == demandRound {
				r.answer(ErrAlreadyPaired)
				continue
			}
			r.answer(offline(errors.New("the pairing is not complete yet")))
		}
	}
}
