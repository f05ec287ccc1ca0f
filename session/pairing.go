package session

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"go.mau.fi/whatsmeow/types/events"
)

// round is the present pairing round, or the last one, with what only the owner needs of it.
type round struct {
	PairingRound
	link   *link     // until it is paired, or the round ends
	codes  []string  // not shown yet
	by     time.Time // when the present step is over
	dialAt time.Time // of the next dial while no code came; zero for none
	dials  int       // in this round
	shown  bool      // a code was shown
	task   bool      // started because a task waits
	login  bool      // WhatsApp asked to log in, before the library told of the pairing
	failed string    // code of the last failed dial
	detail string    // of the same

	handedOver PairingState // the last state in which a person gave what the round waited for
}

// clear takes back all that somebody could use to link a device.
func (r *round) clear() {
	r.Code, r.codes, r.ExpiresAt = "", nil, time.Time{}
	r.PhoneCode, r.PhoneCodeFor, r.Passkey, r.PasskeyCode = "", "", "", ""
}

// maxRoundDials bounds the connections of one round: each new one brings a new series of codes.
const maxRoundDials = 4

// unanswered is why a round ends in which WhatsApp waited for a passkey in vain.
const unanswered = "nobody answered with the passkey in time"

// passkeyHaste is how much earlier than we WhatsApp may think that the time for a passkey is over: it began to count before its
// challenge was here.
const passkeyHaste = 5 * time.Second

// Pair starts a pairing round or joins the one that runs, and returns once a code is live. A person asked: rounds that may
// follow by themselves are counted anew. On a paired account it returns ErrAlreadyPaired, and tries at once to connect one
// that waits for its next dial or stays away. When the round ends without a code, the error says why.
func (a *Account) Pair(ctx context.Context) (PairingRound, error) {
	outcome := make(chan PairingRound, 1)
	if err := a.ask(ctx, func(ctx context.Context, o *owner) error { return o.pair(ctx, outcome) }); err != nil {
		return a.Pairing(), err
	}
	select {
	case round := <-outcome:
		switch round.State {
		case PairingWaiting:
			return round, nil
		case PairingPaired:
			return round, ErrAlreadyPaired
		default:
			return round, &Error{Code: round.Reason, Retry: RetryLater, Hint: round.Detail}
		}
	case <-a.stopped:
		return a.Pairing(), stopping()
	case <-ctx.Done():
		return a.Pairing(), context.Cause(ctx)
	}
}

// NeedsPairing says that a task met an account without a link. It starts a round, unless one runs or ended a few minutes
// ago, or as many as PairingRounds were started like that since a person last asked.
func (a *Account) NeedsPairing() {
	a.post(func(ctx context.Context, o *owner) { o.needsPairing(ctx) })
}

// pair is the owner's part of Pair.
func (o *owner) pair(ctx context.Context, outcome chan PairingRound) error {
	if o.link != nil && o.round.State != PairingConfirm {
		o.connectNow(ctx)
		return ErrAlreadyPaired
	}
	o.unasked, o.byTask, o.unscanned, o.paused = 0, 0, 0, false
	if !o.round.Live() {
		if o.linkedOften() {
			o.a.log.Warn("the account was linked many times within a day; a person asks for another pairing round", "links", len(o.recentLinks()))
		}
		o.startRound(ctx)
	}
	o.pairWaiters = append(o.pairWaiters, outcome)
	return nil
}

// connectNow dials at once where that is up to us: a ban is not.
func (o *owner) connectNow(ctx context.Context) {
	if o.phase == idle && !o.link.busy && o.held.state != TempBanned {
		o.dial(ctx)
	}
}

// needsPairing is the owner's part of NeedsPairing.
func (o *owner) needsPairing(ctx context.Context) {
	resting := !o.roundEnded.IsZero() && o.now().Sub(o.roundEnded) < o.t.TaskRoundPause
	if o.link != nil || o.round.Live() || o.locked || resting || o.linkedOften() || o.byTask >= o.a.opts.PairingRounds {
		return
	}
	o.startRound(ctx)
	o.round.task = true
}

// roundsAllowed tells whether a round may start by itself.
func (o *owner) roundsAllowed() bool {
	return o.a.opts.PairingAuto && o.link == nil && !o.facts.ByUs && !o.locked && !o.paused && !o.linkedOften() && o.unasked < o.a.opts.PairingRounds
}

// linksPerDay is how often an account may be linked within a day before rounds no longer start by themselves: an account that
// is linked and unlinked again and again gets deactivated. A person may still ask.
const linksPerDay = 4

// linkedOften tells whether the account was linked so often lately that only a person may start another round.
func (o *owner) linkedOften() bool { return len(o.recentLinks()) >= linksPerDay }

// recentLinks returns when links were made within the last day.
func (o *owner) recentLinks() []time.Time {
	now := o.now()
	return slices.DeleteFunc(slices.Clone(o.facts.Pairings), func(at time.Time) bool { return now.Sub(at) >= 24*time.Hour })
}

// startRound starts a round on a new device. There must be no link and no live round.
func (o *owner) startRound(ctx context.Context) {
	now := o.now()
	o.nextRound = time.Time{}
	o.round = round{
		PairingRound: PairingRound{
			Account: o.a.opts.Account, Round: o.round.Round + 1, State: PairingStarting, StartedAt: now,
		},
		by: now.Add(o.t.PairStart),
	}
	o.round.link = o.fresh()
	o.dialRound(ctx)
}

// dialRound connects the device of the round, to be given codes.
func (o *owner) dialRound(ctx context.Context) {
	r := &o.round
	r.dialAt = time.Time{}
	r.dials++
	l := r.link
	o.connect(ctx, l, func(_ context.Context, err error) {
		if l != r.link || r.State != PairingStarting || err == nil {
			return
		}
		r.failed, r.detail = dialFailed(err), redact(err.Error())
		r.dialAt = o.now().Add(reconnectAfter(r.dials, chance(), o.t.BackoffMin, o.t.BackoffMax))
	})
}

// roundDue returns when the round needs attention next.
func (o *owner) roundDue() time.Time {
	r := &o.round
	switch {
	case !r.Live():
		return time.Time{}
	case !r.dialAt.IsZero() && r.dialAt.Before(r.by):
		return r.dialAt
	default:
		return r.by
	}
}

// watchRound does what the round, or the next one, is due for.
func (o *owner) watchRound(ctx context.Context, now time.Time) {
	if !o.nextRound.IsZero() && !now.Before(o.nextRound) {
		o.nextRound = time.Time{}
		if o.link == nil && !o.round.Live() {
			o.startRound(ctx)
		}
	}
	r := &o.round
	if due := o.roundDue(); due.IsZero() || now.Before(due) {
		return
	}
	switch {
	case r.State == PairingConfirm: // the link holds, only its first login is late
		o.paired(ctx)
	case r.State == PairingWaiting:
		o.nextCode(ctx)
	case r.State == PairingPasskey, r.State == PairingPasskeyCode:
		o.endRound(ctx, PairingExpired, CodePairExpired, unanswered)
	case now.Before(r.by):
		o.dialRound(ctx)
	default:
		o.endRound(ctx, PairingRefused, cmp.Or(r.failed, CodeConnectFailed), "WhatsApp could not be reached: "+r.detail)
	}
}

// handlePairing does with an event of the round's device what its kind asks for.
func (o *owner) handlePairing(ctx context.Context, event any) {
	switch event := event.(type) {
	case *events.QR:
		o.offer(ctx, event.Codes)
	case *events.PairSuccess:
		o.scanned(ctx, event)
	case *events.PairError:
		o.endRound(ctx, PairingRefused, pairRefused(event.Error), redact(event.Error.Error()))
	case *events.PairPasskeyRequest:
		o.passkeyWanted(ctx, event)
	case *events.PairPasskeyConfirmation:
		o.passkeyTaken(ctx, event)
	case *events.PairPasskeyError:
		o.endRound(ctx, PairingRefused, CodePasskeyRefused, redact(event.Error.Error()))
	case *events.QRScannedWithoutMultidevice:
		o.a.log.Warn("the phone that scanned the code cannot link devices; switch that on and scan again")
	case *events.ManualLoginReconnect:
		o.round.login = true
	case *events.Disconnected:
		o.roundCut(ctx)
	case *events.ClientOutdated:
		o.paused = true
		o.endRound(ctx, PairingRefused, CodeOutdated, "WhatsApp wants a newer version of this program")
	case *events.TemporaryBan:
		o.paused = true
		o.endRound(ctx, PairingRefused, CodeTempBanned, event.Code.String())
	case *events.LoggedOut:
		o.endRound(ctx, PairingRefused, loginRefused(event.Reason).reason, "WhatsApp refused the device")
	case *events.ConnectFailure:
		o.endRound(ctx, PairingRefused, fmt.Sprint(codeConnectRefused, int(event.Reason)), "WhatsApp refused the device")
	}
}

// offer takes a series of codes and shows the first.
func (o *owner) offer(ctx context.Context, codes []string) {
	r := &o.round
	if r.State != PairingStarting && r.State != PairingWaiting || len(codes) == 0 {
		return
	}
	r.State, r.codes = PairingWaiting, codes
	r.CodeIndex, r.CodeCount = 0, len(codes)
	if !r.shown {
		r.shown = true
		o.unasked++
		if r.task {
			o.byTask++
		}
	}
	o.nextCode(ctx)
}

// nextCode shows the next code, or ends the round after the last one.
func (o *owner) nextCode(ctx context.Context) {
	r := &o.round
	if len(r.codes) == 0 {
		o.endRound(ctx, PairingExpired, CodePairExpired, "no phone scanned a code in time")
		return
	}
	life := o.t.NextCode
	if r.CodeIndex == 0 {
		life = o.t.FirstCode
	}
	r.Code, r.codes = r.codes[0], r.codes[1:]
	r.CodeIndex++
	r.by = o.now().Add(life)
	r.ExpiresAt = r.by
}

// roundCut goes on after the round's connection ended: WhatsApp ends it after the last code. Earlier, the round dials again.
func (o *owner) roundCut(ctx context.Context) {
	r := &o.round
	switch {
	case r.State == PairingWaiting && len(r.codes) == 0:
		o.endRound(ctx, PairingExpired, CodePairExpired, "no phone scanned a code in time")
	case r.State == PairingPasskey && !o.now().Before(r.by.Add(-passkeyHaste)):
		o.endRound(ctx, PairingExpired, CodePairExpired, unanswered)
	case r.State == PairingPasskey || r.State == PairingPasskeyCode:
		o.endRound(ctx, PairingRefused, CodePasskeyRefused, "WhatsApp ended the connection while it waited for the passkey")
	case r.dials >= maxRoundDials:
		o.endRound(ctx, PairingRefused, CodeConnectionLost, "the connection ended again and again")
	default:
		now := o.now()
		r.State = PairingStarting
		r.clear()
		r.by = now.Add(o.t.PairStart)
		r.dialAt = now.Add(reconnectAfter(r.dials, chance(), o.t.BackoffMin, o.t.BackoffMax))
	}
}

// scanned goes on after a phone scanned a code and the library saved the device: from now on there is a link, which has to
// log in. WhatsApp asks for that on the old connection and ends it; if the request gets lost, the end is noticed.
func (o *owner) scanned(ctx context.Context, event *events.PairSuccess) {
	r := &o.round
	if !r.Live() {
		return
	}
	now := o.now()
	l := r.link
	r.link, r.State = nil, PairingConfirm
	r.clear()
	r.by = now.Add(o.t.PairConfirm)
	l.number, l.lid, l.device = Number(event.ID.User), event.LID.ToNonAD(), event.ID
	l.paired.Store(true)

	o.link, o.held, o.trouble, o.locked = l, ending{}, ending{}, false
	o.phase, o.failures = loggingIn, 0
	o.loginBy, o.lookAt = now.Add(o.t.Relogin), now.Add(o.t.Tick)
	o.unasked, o.byTask, o.unscanned, o.paused, o.nextRound = 0, 0, 0, false, time.Time{}
	if o.facts.Number == "" {
		o.facts.Number = l.number
	}
	o.facts.PairedAt, o.facts.Pairings = now, append(o.recentLinks(), now)
	o.facts.PhoneSeen, o.facts.PhoneWarned, o.facts.ReachoutEnd, o.facts.Quota = now, 0, time.Time{}, Quota{}
	o.clearEnd()
	o.keep(ctx)
	if r.login {
		o.relogin()
	}
}

// paired ends the round in success.
func (o *owner) paired(ctx context.Context) {
	o.round.State, o.round.Number = PairingPaired, o.link.number
	o.roundEnded = o.now()
}

// endRound ends a live round without success, and plans the next one if one may start by itself.
func (o *owner) endRound(ctx context.Context, state PairingState, reason, detail string) {
	r := &o.round
	if !r.Live() {
		return
	}
	if state == PairingStopped && o.link != nil {
		o.paired(ctx)
		return
	}
	now := o.now()
	l := r.link
	r.link, r.State = nil, state
	r.clear()
	r.Reason, r.Detail = reason, detail
	o.roundEnded = now
	if l != nil {
		o.retire(l)
	}
	if state == PairingStopped {
		return
	}
	o.unscanned++
	if o.roundsAllowed() {
		o.nextRound = now.Add(nextRoundAfter(o.unscanned, o.t.RoundPause, o.t.RoundPauseMax))
	}
}

// answerWaiters answers calls of Pair, once a code is live or the round has ended.
func (o *owner) answerWaiters() {
	switch o.round.State {
	case PairingStarting, PairingPasskey, PairingPasskeyCode, PairingConfirm:
		return
	}
	for _, waiter := range o.pairWaiters {
		waiter <- o.round.PairingRound
	}
	o.pairWaiters = nil
}
