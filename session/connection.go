package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types/events"
)

// outcome is how a connection came to its end, which says what follows.
type outcome int

const (
	lost      outcome = iota // dial again, with a growing pause
	restart                  // WhatsApp asked to come back at once
	refusing                 // WhatsApp refuses the log-in for a reason that may pass: long pauses
	replaced                 // another process connected with the same keys
	banned                   // dial again when the ban ends
	outdated                 // stay away until a restart
	unlinked                 // the link is gone
	cancelled                // Run is to end
)

// ended is the end of one connection.
type ended struct {
	how    outcome
	reason string // stable code
	detail string
	until  time.Time     // of a ban
	online time.Duration // how long the account was online
}

// refusingFailures is where the pauses begin when WhatsApp refuses the log-in: half a minute.
const refusingFailures = 6

// live keeps a paired account connected until its link or the context ends.
func (a *Account) live(ctx context.Context, l *link) {
	failures, takeovers := 0, 0
	for ctx.Err() == nil {
		a.enter(Connecting, "", "", time.Time{})
		end := a.connect(ctx, l)
		if end.online >= a.opts.Timing.Stable {
			failures, takeovers = 0, 0
		}
		switch end.how {
		case restart:
		case refusing:
			failures = max(failures, refusingFailures)
			a.backOff(ctx, end, failures)
			failures++
		case lost:
			a.backOff(ctx, end, failures)
			failures++
		case replaced:
			takeovers++
			a.enter(Replaced, CodeSessionReplaced, end.detail, time.Time{})
			if takeovers > 1 {
				a.stay(ctx)
				return
			}
			a.wait(ctx, a.opts.Timing.ReplacedWait)
		case banned:
			a.enter(TempBanned, CodeTempBanned, end.detail, end.until)
			a.wait(ctx, time.Until(end.until))
		case outdated:
			a.enter(Outdated, CodeClientOutdated, end.detail, time.Time{})
			a.stay(ctx)
		case unlinked, cancelled:
			return
		}
	}
}

// backOff waits before the next dial and says so when the wait is worth it.
func (a *Account) backOff(ctx context.Context, end ended, failures int) {
	pause := a.opts.Timing.backoff(failures, random)
	if pause == 0 {
		return
	}
	a.enter(Backoff, end.reason, end.detail, time.Now().Add(pause))
	a.wait(ctx, pause)
}

// stay waits for the end of Run: what keeps the account away does not pass by itself.
func (a *Account) stay(ctx context.Context) {
	for ctx.Err() == nil {
		a.wait(ctx, 24*time.Hour)
	}
}

// wait lets time pass while the account is paired but away, and answers callers meanwhile.
func (a *Account) wait(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		case r := <-a.requests:
			r.answer(map[demand]error{
				demandRound:  ErrAlreadyPaired,
				demandLogout: offline(errors.New("a log-out must reach WhatsApp")),
			}[r.demand])
		}
	}
}

// connect dials, and stays until the connection ends for whatever reason.
func (a *Account) connect(ctx context.Context, l *link) (end ended) {
	if end, over := a.leftOver(l); over {
		return end
	}
	if err := l.client.Connect(); err != nil && !errors.Is(err, whatsmeow.ErrAlreadyConnected) {
		return ended{how: lost, reason: CodeOffline, detail: redact(err.Error())}
	}
	var onlineAt time.Time
	defer func() {
		if !onlineAt.IsZero() {
			end.online = time.Since(onlineAt)
		}
	}()
	login := time.NewTicker(a.opts.Timing.LoginPatience)
	defer login.Stop()
	for {
		select {
		case <-ctx.Done():
			return ended{how: cancelled}
		case s := <-a.signals:
			if s.link != l {
				continue // of a round that is over
			}
			if _, ok := s.event.(*events.Connected); ok {
				onlineAt = time.Now()
				a.cameOnline()
				continue
			}
			if end, over := a.react(l, s.event); over {
				return end
			}
		case <-login.C:
			// An answer that never came, such as the restart after a pairing, leaves a connection that looks alive.
			if onlineAt.IsZero() && !l.client.IsLoggedIn() {
				l.client.Disconnect()
				return ended{how: lost, reason: CodeNetworkUncertain, detail: "WhatsApp did not answer the log-in"}
			}
		case r := <-a.requests:
			if r.demand == demandRound {
				r.answer(ErrAlreadyPaired)
				continue
			}
			err := a.unlink(ctx, l)
			r.answer(err)
			if err == nil {
				return ended{how: unlinked}
			}
		}
	}
}

// leftOver deals with what an earlier connection still had to say: only an end of the link matters.
func (a *Account) leftOver(l *link) (ended, bool) {
	for {
		select {
		case s := <-a.signals:
			if event, ok := s.event.(*events.LoggedOut); ok && s.link == l {
				return a.react(l, event)
			}
		default:
			return ended{}, false
		}
	}
}

// cameOnline says that WhatsApp took the log-in; after a pairing that is its happy end.
func (a *Account) cameOnline() {
	a.enter(Online, "", "", time.Time{})
	if round := a.Pairing(); round.State == PairingConfirm {
		number := a.Status().Number
		a.publish(func(p *PairingRound) { p.State, p.Number = PairingPaired, number })
	}
}

// react says what an event means for the connection.
func (a *Account) react(l *link, event any) (ended, bool) {
	switch event := event.(type) {
	case *events.Disconnected:
		return ended{how: lost, reason: CodeOffline, detail: "the connection was lost"}, true
	case *events.StreamError:
		l.hangUp()
		return ended{how: lost, reason: "stream_error_" + event.Code, detail: "WhatsApp ended the stream"}, true
	case *events.ManualLoginReconnect:
		l.client.Disconnect()
		return ended{how: restart, reason: CodeServerRestart}, true
	case *events.KeepAliveTimeout:
		if event.ErrorCount > 1 {
			l.client.Disconnect()
			return ended{how: lost, reason: CodeNetworkUncertain, detail: "WhatsApp stopped answering"}, true
		}
		a.enter(Degraded, CodeNetworkUncertain, "an answer of WhatsApp is overdue", time.Time{})
	case *events.KeepAliveRestored:
		a.enter(Online, "", "", time.Time{})
	case *events.StreamReplaced:
		l.hangUp()
		return ended{how: replaced, detail: "another process connected with this device's keys; is a second daemon running on a copy of the data?"}, true
	case *events.TemporaryBan:
		l.hangUp()
		return ended{how: banned, detail: event.String(), until: time.Now().Add(event.Expire)}, true
	case *events.ClientOutdated:
		l.hangUp()
		return ended{how: outdated, detail: "WhatsApp does not accept this version any more: update whatsappd"}, true
	case *events.ConnectFailure:
		l.hangUp()
		return ended{how: refusing, reason: fmt.Sprintf("connect_refused_%d", int(event.Reason)), detail: "WhatsApp refused the log-in"}, true
	case *events.LoggedOut:
		l.hangUp()
		a.dropLink()
		return ended{how: unlinked}, true
	}
	return ended{}, false
}

// hangUpPatience is how long the other side is given to close a connection it has ended.
const hangUpPatience = time.Second

// hangUp makes sure that a connection is closed. WhatsApp closes a connection after its last words; closing it from here in
// the same instant is a race inside the library.
func (l *link) hangUp() {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(hangUpPatience); l.client.IsConnected(); {
		select {
		case <-tick.C:
			continue
		case <-late:
		}
		break
	}
	<-tick.C
	l.client.Disconnect()
}

// unlink logs out of WhatsApp on a person's wish.
func (a *Account) unlink(ctx context.Context, l *link) error {
	a.mu.Lock()
	before := a.facts
	a.mu.Unlock()
	facts := before
	facts.EndState, facts.EndReason, facts.EndDetail = LoggedOut, CodeLoggedOut, "logged out here"
	facts.EndedAt, facts.ByUs = time.Now(), true
	if err := a.keepFacts(ctx, facts); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, a.opts.Timing.Answer/2)
	defer cancel()
	l.markEnded()
	if err := l.client.Logout(ctx); err != nil {
		return errors.Join(queryFailure(err), a.keepFacts(context.WithoutCancel(ctx), before))
	}
	a.dropLink()
	return nil
}

// dropLink forgets a link that has ended. The reason is in the facts.
func (a *Account) dropLink() {
	a.mu.Lock()
	a.link = nil
	facts := a.facts
	a.mu.Unlock()
	a.update(func(s *Status) {
		s.State, s.Reason, s.Detail, s.Until = facts.EndState, facts.EndReason, facts.EndDetail, time.Time{}
		s.Number, s.LID, s.Confirm = "", "", false
	})
	if round := a.Pairing(); round.State == PairingConfirm {
		a.publish(func(p *PairingRound) { p.State, p.Reason = PairingRefused, facts.EndReason })
	}
}
