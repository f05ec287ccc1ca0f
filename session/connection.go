package session

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types/events"
)

// phase is where the connection of the link stands.
type phase int

const (
	idle      phase = iota // no connection; the next dial is at dialAt, if at all
	dialling               // a dial runs
	loggingIn              // connected; WhatsApp has not said that all is well
	up                     // logged in
	closing                // a connection is being cut
)

// refusedFailures makes the pauses after a refusal that time may heal long from the first one on.
const refusedFailures = 6

// settle is how long the library may take to clear up behind a connection that ended without an event.
const settle = 100 * time.Millisecond

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// operate does work on a link's connection beside the owner, since it takes as long as the network does, and then goes on
// in the owner.
func (o *owner) operate(l *link, work func() error, then func(ctx context.Context, err error)) {
	l.busy = true
	o.a.work.start(func() {
		err := work()
		o.a.post(func(ctx context.Context, _ *owner) {
			l.busy = false
			then(ctx, err)
		})
	})
}

// connect opens a link's connection. The context lives as long as the connection: the library cuts when it ends.
func (o *owner) connect(ctx context.Context, l *link, then func(ctx context.Context, err error)) {
	l.cut()
	o.announceVersion()
	alive, cut := context.WithCancel(context.WithoutCancel(ctx))
	l.cut = cut
	o.operate(l, func() error {
		if l.wire.IsConnected() {
			l.wire.Disconnect()
		}
		l.requests.forget()
		err := l.wire.ConnectContext(alive)
		if errors.Is(err, whatsmeow.ErrAlreadyConnected) {
			return nil
		}
		return err
	}, then)
}

// retire ends a link's connection for good.
func (o *owner) retire(l *link) {
	o.operate(l, func() error {
		l.wire.Disconnect()
		l.cut()
		return nil
	}, func(context.Context, error) {})
}

// forget ends a link's connection and deletes its keys. The library does that too, but in its own time: if the daemon stopped
// before, the next one would find a device that WhatsApp does not know.
func (o *owner) forget(ctx context.Context, l *link) {
	lasting := context.WithoutCancel(ctx)
	o.operate(l, func() error {
		l.wire.Disconnect()
		l.cut()
		if l.device.IsEmpty() {
			return nil
		}
		device := l.device
		return o.a.container.DeleteDevice(lasting, &store.Device{ID: &device})
	}, func(_ context.Context, err error) {
		if err != nil {
			o.a.log.Error("the keys of the old link were not deleted", "error", err)
		}
	})
}

// disconnect ends a link's present connection.
func (o *owner) disconnect(l *link) {
	o.operate(l, func() error { l.wire.Disconnect(); return nil }, func(context.Context, error) {})
}

// hangUp ends the connections at the end of Run, when no operation is posted any more. A dial that runs is cut first, since
// it keeps the connection's lock.
func (o *owner) hangUp() {
	for _, l := range []*link{o.link, o.round.link} {
		if l == nil {
			continue
		}
		if o.phase == dialling || l == o.round.link {
			l.cut()
		}
		l.wire.Disconnect()
		l.cut()
	}
}

// linkDue returns when the link needs attention next.
func (o *owner) linkDue() time.Time {
	if o.link == nil || o.link.busy {
		return time.Time{}
	}
	switch o.phase {
	case idle:
		return o.dialAt
	case loggingIn, up:
		return o.lookAt
	default:
		return time.Time{}
	}
}

// watchLink dials when it is time, and looks after the connection.
func (o *owner) watchLink(ctx context.Context, now time.Time) {
	if due := o.linkDue(); due.IsZero() || now.Before(due) {
		return
	}
	if o.phase == idle {
		o.dial(ctx)
		return
	}
	o.lookAt = now.Add(o.t.Tick)
	switch {
	case !o.link.wire.IsConnected(): // not every end of a connection has an event
		o.lost(CodeConnectionLost, "the connection ended")
		o.dialAt = later(o.dialAt, now.Add(settle))
	case o.phase == loggingIn && now.After(o.loginBy):
		o.reset(ctx, CodeConnectionSilent, "the login was not answered")
	case o.phase == up:
		o.silent = now.Sub(o.lastSign()) > o.t.Silence
		if now.Sub(o.onlineAt) >= o.t.Stable {
			o.failures = 0
		}
	}
}

// lastSign is when WhatsApp was last heard on this connection.
func (o *owner) lastSign() time.Time {
	if at := o.a.library.answered(); at.After(o.onlineAt) {
		return at
	}
	return o.onlineAt
}

// dial opens the connection of the link.
func (o *owner) dial(ctx context.Context) {
	o.phase, o.dialAt, o.early, o.held = dialling, time.Time{}, false, ending{}
	o.dialled = o.now()
	o.failures++
	o.a.library.parting() // what was said on the last connection
	o.a.library.deaf()
	o.a.tally.count(func(c *Counts) { c.Dials++ })
	o.connect(ctx, o.link, o.afterDial(o.link))
}

// afterDial goes on after a dial of a link.
func (o *owner) afterDial(l *link) func(context.Context, error) {
	return func(ctx context.Context, err error) {
		if l != o.link || o.phase != dialling {
			return
		}
		switch {
		case errors.Is(err, store.ErrDeviceDeleted):
			o.unlinked(ctx, loginRefused(0))
		case err != nil:
			o.wait(dialFailed(err), redact(err.Error()))
		default:
			o.phase = loggingIn
			now := o.now()
			o.loginBy, o.lookAt = now.Add(o.t.Login), now.Add(o.t.Tick)
			if o.early {
				o.loggedIn(ctx)
			}
		}
	}
}

// loggedIn notes that WhatsApp said all is well.
func (o *owner) loggedIn(ctx context.Context) {
	switch {
	case o.phase == dialling: // of this connection, whose dial is about to be reported, or late news of the last one
		o.early = true
		return
	case o.phase != loggingIn || !o.link.wire.IsConnected():
		return
	case o.a.library.deaf():
		o.reset(ctx, CodeConnectionSilent, "WhatsApp did not agree to send messages on this connection")
		return
	}
	o.phase, o.trouble = up, ending{}
	o.unpinged, o.silent = false, false
	o.onlineAt = o.now()
	if o.facts.EndState != "" || o.facts.ByUs {
		o.clearEnd()
		o.keep(ctx)
	}
	o.a.online.Store(o.link)
	o.a.work.start(func() { // with the next send at the latest; an account may send nothing for long
		if err := o.a.forgetSent(context.WithoutCancel(ctx)); err != nil {
			o.a.log.Error("old sent messages were not deleted", "error", err)
		}
	})
	if o.round.State == PairingConfirm {
		o.paired(ctx)
	}
}

// lost goes on after a connection that ended for a reason that passes. WhatsApp may have said that it restarts; the library
// tells nobody.
func (o *owner) lost(reason, detail string) {
	if o.phase == up || o.phase == loggingIn || o.phase == closing {
		if said := o.a.library.parting(); said >= 500 && said <= 599 {
			reason, detail = CodeServerRestart, "WhatsApp ended the connection for a restart of its own"
		}
		o.wait(reason, detail)
	}
}

// wait goes idle until the next dial.
func (o *owner) wait(reason, detail string) {
	now := o.now()
	o.ended(reason)
	if o.phase == up && now.Sub(o.onlineAt) >= o.t.Stable {
		o.failures = 0
	}
	o.down()
	o.trouble = ending{reason: reason, detail: detail}
	o.dialAt = now.Add(reconnectAfter(o.failures, chance(), o.t.BackoffMin, o.t.BackoffMax))
}

// ended counts the end of a connection, or of a dial.
func (o *owner) ended(reason string) { o.a.tally.count(func(c *Counts) { c.Ends[reason]++ }) }

// down notes that there is no connection.
func (o *owner) down() {
	o.phase, o.dialAt = idle, time.Time{}
	o.unpinged, o.silent = false, false
	o.a.online.Store(nil)
}

// reset cuts a connection that is good for nothing, and dials again.
func (o *owner) reset(ctx context.Context, reason, detail string) {
	if o.phase != up && o.phase != loggingIn || o.link.busy {
		return
	}
	l := o.link
	stable := o.phase == up && o.now().Sub(o.onlineAt) >= o.t.Stable
	o.down()
	o.phase, o.trouble = closing, ending{reason: reason, detail: detail}
	if stable {
		o.failures = 0
	}
	o.operate(l, func() error { l.wire.ResetConnection(); return nil }, func(context.Context, error) {
		if l == o.link {
			o.lost(reason, detail)
		}
	})
}

// relogin goes on after WhatsApp asked for another login, after a pairing and at times later. WhatsApp is about to end the
// connection, so it is left first. One that has ended already is only given time: the library is clearing up behind it.
// The first login after a pairing follows at once; who is asked again and again waits as after any other end.
func (o *owner) relogin() {
	if o.phase != up && o.phase != loggingIn {
		return
	}
	l := o.link
	if o.phase == up && o.now().Sub(o.onlineAt) >= o.t.Stable {
		o.failures = 0
	}
	o.down()
	o.phase = closing
	if o.round.State != PairingConfirm { // there it is the way of every pairing
		o.ended(CodeServerRestart)
		o.trouble = ending{reason: CodeServerRestart, detail: "WhatsApp asked to log in again"}
	}
	o.operate(l, func() error {
		if l.wire.IsConnected() {
			l.wire.Disconnect()
		}
		return nil
	}, func(context.Context, error) {
		if l == o.link && o.phase == closing {
			pause := reconnectAfter(o.failures, chance(), o.t.BackoffMin, o.t.BackoffMax)
			o.phase, o.dialAt = idle, o.now().Add(max(settle, pause))
		}
	})
}

// unanswered counts pings without an answer: after the first the connection is in doubt, after the second it is given up.
func (o *owner) unanswered(ctx context.Context, count int) {
	if o.phase != up && o.phase != loggingIn {
		return
	}
	o.a.tally.count(func(c *Counts) { c.PingsMissed++ })
	o.unpinged = true
	if count >= 2 {
		o.reset(ctx, CodeConnectionSilent, "WhatsApp did not answer two pings")
	}
}

// takenOver goes on after another process connected with this device's keys. One try later, in case that was an accident;
// two processes that both insist would throw each other out for ever. Who has just come is the intruder, and stays away.
func (o *owner) takenOver(ctx context.Context) {
	now := o.now()
	again := !o.replaced.IsZero() && now.Sub(o.replaced) < o.t.ReplacedAgain
	young := now.Sub(o.dialled) < o.t.ReplacedYoung
	o.replaced = now
	why := ending{state: Replaced, reason: CodeReplaced, detail: "another process connected with this device's keys; one try to come back follows"}
	next := now.Add(o.t.ReplacedRetry)
	if again || young {
		why.detail = "another process uses this device's keys and keeps the connection; end one of the two, then log in here"
		next = time.Time{}
	}
	o.hold(ctx, why, next)
}

// outdated goes on after WhatsApp refused this version of the library: nothing helps but another one.
func (o *owner) outdated(ctx context.Context) {
	if o.rollBack(ctx) {
		return
	}
	o.hold(ctx, ending{state: Outdated, reason: CodeOutdated, detail: "WhatsApp wants a newer version of this program; " + libraryAge()}, time.Time{})
}

// streamError goes on after WhatsApp complained in a way the library does not know. The connection may stay open, and is of
// no use.
func (o *owner) streamError(ctx context.Context, code string) {
	reason := CodeConnectionLost
	if number, err := strconv.Atoi(code); err == nil {
		reason = codeOther + strconv.Itoa(number)
	}
	o.reset(ctx, reason, "WhatsApp ended the connection with an error that we do not know")
}

// banned goes on after a temporary ban: one dial when it ends.
func (o *owner) banned(ctx context.Context, event *events.TemporaryBan) {
	pause := event.Expire
	if pause <= 0 {
		pause = o.t.BanUnknown
	}
	until := o.now().Add(pause).Round(0) // by the wall clock: a ban goes on while the machine sleeps
	why := ending{TempBanned, CodeTempBanned, banDetail(event), until}
	known := o.facts.EndState == TempBanned && o.facts.EndDetail == why.detail // not online since
	o.sameBan = known && (event.Expire <= 0 || until.Sub(o.facts.EndUntil).Abs() <= banSlack)
	o.hold(ctx, why, until)
}

// banSlack is how much the end of one and the same ban may differ when WhatsApp tells of it again: it tells how long the ban
// lasts, in whole seconds, and not until when.
const banSlack = time.Minute

// banDetail says why the account is banned.
func banDetail(event *events.TemporaryBan) string {
	detail := "WhatsApp bans the account for now: " + event.Code.String()
	if event.Expire <= 0 {
		detail += "; it does not say for how long, and is asked again now and then"
	}
	return detail
}

// hold stays away from WhatsApp, until next if that is not zero.
func (o *owner) hold(ctx context.Context, why ending, next time.Time) {
	if o.link == nil {
		return
	}
	o.ended(why.reason)
	o.down()
	o.held, o.dialAt = why, next
	o.keepEnd(ctx, why)
	o.disconnect(o.link)
}

// refused goes on after a login that failed for no reason of the others: long pauses, unless WhatsApp has a trouble of its
// own.
func (o *owner) refused(number int, message string) {
	reason, detail := codeConnectRefused+strconv.Itoa(number), "WhatsApp refused the login"
	if number >= 500 && number <= 599 {
		reason, detail = CodeServerRestart, "WhatsApp could not take the login for now"
	} else {
		o.failures = max(o.failures, refusedFailures)
	}
	o.a.log.Warn("WhatsApp refused the login", "reason", reason, "number", number, "message", redact(message))
	o.wait(reason, detail)
	o.disconnect(o.link)
}

// unlinked goes on after WhatsApp ended the link: the reason is kept first, then the library may delete the device.
func (o *owner) unlinked(ctx context.Context, why ending) {
	l := o.link
	why.detail += o.before()
	o.ended(why.reason)
	o.down()
	o.link, o.held, o.trouble = nil, ending{}, ending{}
	o.locked = why.state == Locked
	if o.facts.ByUs {
		o.facts.EndedAt = o.now()
		o.keep(ctx)
	} else {
		o.keepEnd(ctx, why)
	}
	l.record()
	o.forget(ctx, l)
	level := slog.LevelWarn
	if o.facts.ByUs {
		level = slog.LevelInfo
	}
	o.a.log.Log(ctx, level, "the link to the phone ended", "reason", o.facts.EndReason)
	o.publish(ctx) // that it ended is told before a round may start
	if o.round.State == PairingConfirm {
		o.endRound(ctx, PairingRefused, o.facts.EndReason, o.facts.EndDetail)
	} else if o.roundsAllowed() {
		o.nextRound = o.now()
	}
}

// before tells what came before the end of a link.
func (o *owner) before() string {
	now := o.now()
	online := "it was not online"
	if o.phase == up {
		online = "it was online for " + now.Sub(o.onlineAt).Round(time.Second).String()
	}
	return "; " + online + "; " + o.a.tally.lately(now)
}

// keepEnd keeps why and when the session ended.
func (o *owner) keepEnd(ctx context.Context, why ending) {
	o.end(why)
	o.keep(ctx)
}

// end notes why and when the session ended.
func (o *owner) end(why ending) {
	if why.state != TempBanned || !o.sameBan {
		o.facts.EndedAt = o.now()
	}
	o.facts.EndState, o.facts.EndReason, o.facts.EndDetail = why.state, why.reason, why.detail
	o.facts.EndUntil, o.facts.ByUs = why.until, false
}

// clearEnd forgets an end that is over.
func (o *owner) clearEnd() {
	o.facts.EndState, o.facts.EndReason, o.facts.EndDetail = "", "", ""
	o.facts.EndedAt, o.facts.EndUntil, o.facts.ByUs = time.Time{}, time.Time{}, false
}
