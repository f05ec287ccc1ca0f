package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"
	"rsc.io/qr"

	"whatsappd/session"
)

// SlackOptions says which channel and how patient.
type SlackOptions struct {
	Token   string
	Channel string // name or ID
	APIURL  string // empty for Slack's own
	Logger  *slog.Logger

	Timeout  time.Duration // of one call; default 15 s
	Again    time.Duration // pause before a failed step is tried again; default 10 s
	LongLost time.Duration // a connection lost for so long is told; default 5 min
}

// Slack keeps one thread per pairing round, with the live code as its only picture, and tells what an operator has to know.
//
// One goroutine talks to Slack. It always works towards the latest state, so that a slow Slack skips codes instead of
// showing old ones.
type Slack struct {
	opts SlackOptions
	api  *slack.Client
	log  *slog.Logger

	wake chan struct{} // holds one value: the state has changed

	mu      sync.Mutex
	round   session.PairingRound // the latest
	alerts  []string             // texts to post, oldest first
	tried   shownCode            // the last code that is out, or that could not be put out
	changed chan struct{}        // closed and replaced when tried changes
	told    session.State        // the last trouble that was told
	banned  session.Status       // the last ban
	lost    time.Time            // since when the connection is lost, zero while it is not

	thread thread // only the goroutine in Run touches it
}

type shownCode struct{ round, code int }

// thread is one round as it stands in Slack.
type thread struct {
	round   int
	channel string // ID, as Slack answered
	ts      string // of the first message
	code    int    // index of the code on show
	file    string // its picture, empty for none
	stale   []string
	said    session.PairingState // what the first message tells; empty while a code is live
}

// NewSlack makes the Slack side of a notifier.
func NewSlack(opts SlackOptions) *Slack {
	if opts.Timeout == 0 {
		opts.Timeout = 15 * time.Second
	}
	if opts.Again == 0 {
		opts.Again = 10 * time.Second
	}
	if opts.LongLost == 0 {
		opts.LongLost = 5 * time.Minute
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	settings := []slack.Option{slack.OptionHTTPClient(&http.Client{Timeout: opts.Timeout}), slack.OptionRetry(2)}
	if opts.APIURL != "" {
		settings = append(settings, slack.OptionAPIURL(strings.TrimSuffix(opts.APIURL, "/")+"/"))
	}
	return &Slack{
		opts: opts, api: slack.New(opts.Token, settings...), log: opts.Logger,
		wake: make(chan struct{}, 1), changed: make(chan struct{}),
	}
}

// Observe takes an event. It never blocks.
func (s *Slack) Observe(event session.Event) {
	s.mu.Lock()
	switch event := event.(type) {
	case session.PairingChanged:
		s.round = event.Round
	case session.StatusChanged:
		s.note(event.Status, event.Again)
	case session.Notice:
		s.alerts = append(s.alerts, notice(event))
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// note decides what a change of state is worth telling; again says that it was told before. Call with s.mu
// held.
func (s *Slack) note(status session.Status, again bool) {
	switch status.State {
	case session.Online:
		s.lost = time.Time{}
		if s.told != "" {
			s.alerts = append(s.alerts, "✅ WhatsApp is back online.")
			s.told = ""
		}
	case session.LoggedOut, session.Locked, session.Replaced, session.TempBanned, session.Outdated:
		s.lost = time.Time{}
		if !again && (s.told != status.State || s.anotherBan(status)) {
			s.alerts = append(s.alerts, trouble(status))
		}
		s.told = status.State
		if status.State == session.TempBanned {
			s.banned = status
		}
	case session.Backoff, session.Degraded, session.Connecting:
		if s.lost.IsZero() {
			s.lost = time.Now()
		}
		if strings.HasPrefix(status.Reason, "connect_refused_") && s.told == "" {
			s.alerts = append(s.alerts, "⚠️ WhatsApp refuses the login ("+escape(status.Reason)+"). The daemon tries again, with long pauses.")
			s.told = session.Backoff
		}
	}
}

// anotherBan tells whether a status is a ban other than the last one: they may follow one another without a moment online.
// Call with s.mu held.
func (s *Slack) anotherBan(status session.Status) bool {
	return status.State == session.TempBanned && (status.Detail != s.banned.Detail || !status.Until.Equal(s.banned.Until))
}

// trouble says what has happened and what to do.
func trouble(status session.Status) string {
	text := map[session.State]string{
		session.LoggedOut:  "🚪 WhatsApp is logged out",
		session.Locked:     "🔒 WhatsApp has locked the account",
		session.Replaced:   "👥 Another process took the WhatsApp connection over",
		session.TempBanned: "⛔ WhatsApp has banned the account for a while",
		session.Outdated:   "📦 WhatsApp no longer accepts this version",
	}[status.State]
	if status.Detail != "" {
		text += ": " + escape(status.Detail)
	}
	if !status.Until.IsZero() {
		text += " (until " + status.Until.UTC().Format(time.RFC1123) + ")"
	}
	return text + "."
}

// notice says what an operator should hear.
func notice(n session.Notice) string {
	text := "⚠️ " + escape(n.Detail)
	if !n.Until.IsZero() {
		text += " (until " + n.Until.UTC().Format(time.RFC1123) + ")"
	}
	return text + "."
}

// escape keeps text from others from being read as Slack's markup.
func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// wait returns true once a code, or a later one, is out or could not be put out; false when the context ends first.
func (s *Slack) wait(ctx context.Context, round, code int) bool {
	for {
		s.mu.Lock()
		tried, changed := s.tried, s.changed
		s.mu.Unlock()
		if tried.round > round || tried.round == round && tried.code >= code {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// Run brings Slack to the latest state, again and again, until the context ends; then it takes a live code away.
func (s *Slack) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		pause := s.step(ctx)
		timer := time.NewTimer(pause)
		select {
		case <-s.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.Timeout)
	defer cancel()
	s.mu.Lock()
	round := s.round
	s.mu.Unlock()
	if round.Live() {
		round.State, round.Detail = session.PairingStopped, "the daemon stopped"
	}
	s.bring(leave, round)
	return nil
}

// step does what there is to do and says when to look again.
func (s *Slack) step(ctx context.Context) time.Duration {
	s.mu.Lock()
	round := s.round
	s.tellLongLoss()
	alerts := s.alerts
	s.mu.Unlock()
	done := s.bring(ctx, round)
	for _, text := range alerts {
		if _, _, err := s.api.PostMessageContext(ctx, s.opts.Channel, slack.MsgOptionText(text, false)); err != nil {
			s.failed("tell an alert", err)
			done = false
			break
		}
		s.mu.Lock()
		s.alerts = s.alerts[1:]
		s.mu.Unlock()
	}
	if !done {
		return s.opts.Again
	}
	return min(s.opts.LongLost, time.Minute)
}

// tellLongLoss tells of a connection that is lost for long, once. Call with s.mu held.
func (s *Slack) tellLongLoss() {
	if s.lost.IsZero() || s.told != "" || time.Since(s.lost) < s.opts.LongLost {
		return
	}
	s.told = session.Backoff
	s.alerts = append(s.alerts, fmt.Sprintf("📴 WhatsApp cannot be reached since %s. Tasks wait; it goes on by itself.", s.lost.UTC().Format(time.RFC1123)))
}

// bring makes Slack show a round as it stands. It is false when something is left to do.
func (s *Slack) bring(ctx context.Context, round session.PairingRound) bool {
	if round.Round != s.thread.round {
		s.thread.stale = append(s.thread.stale, s.thread.picture()...)
		s.thread = thread{round: round.Round, stale: s.thread.stale}
	}
	done := true
	switch {
	case round.State == session.PairingWaiting:
		if s.thread.code != round.CodeIndex && time.Now().Before(round.ExpiresAt) {
			done = s.putOut(ctx, round)
			s.markTried(round)
		}
	case round.Round > 0 && round.State != session.PairingStarting:
		done = s.finish(ctx, round)
	}
	return s.removeStale(ctx) && done
}

// picture is the picture on show, as a list of none or one.
func (t thread) picture() []string {
	if t.file == "" {
		return nil
	}
	return []string{t.file}
}

func (s *Slack) markTried(round session.PairingRound) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried = shownCode{round.Round, round.CodeIndex}
	close(s.changed)
	s.changed = make(chan struct{})
}

// putOut uploads a code into the round's thread, then takes the one before away.
func (s *Slack) putOut(ctx context.Context, round session.PairingRound) bool {
	if s.thread.ts == "" {
		channel, ts, err := s.api.PostMessageContext(ctx, s.opts.Channel,
			slack.MsgOptionText("📱 WhatsApp wants to be linked: scan the code in this thread (WhatsApp, Linked devices, Link a device).", false))
		if err != nil {
			s.failed("open a thread for the pairing code", err)
			return false
		}
		s.thread.channel, s.thread.ts = channel, ts
	}
	picture, err := encode(round.Code)
	if err != nil {
		s.failed("draw the pairing code", err)
		return true // no try will be better
	}
	file, err := s.api.UploadFileContext(ctx, slack.UploadFileParameters{
		Reader: bytes.NewReader(picture), FileSize: len(picture), Filename: "pairing-code.png",
		Title:   fmt.Sprintf("Code %d of %d, works until %s UTC", round.CodeIndex, round.CodeCount, round.ExpiresAt.UTC().Format(time.TimeOnly)),
		AltTxt:  "WhatsApp pairing code",
		Channel: s.thread.channel, ThreadTimestamp: s.thread.ts,
	})
	if err != nil {
		s.failed("upload the pairing code", err)
		return false
	}
	s.thread.stale = append(s.thread.stale, s.thread.picture()...)
	s.thread.file, s.thread.code = file.ID, round.CodeIndex
	return true
}

// encode draws a code as a picture, with the error correction that leaves it smallest.
func encode(code string) ([]byte, error) {
	drawn, err := qr.Encode(code, qr.L)
	if err != nil {
		return nil, err
	}
	drawn.Scale = 6
	return drawn.PNG(), nil
}

// finish takes the last code away and says in the thread's first message how the round ended.
func (s *Slack) finish(ctx context.Context, round session.PairingRound) bool {
	s.thread.stale = append(s.thread.stale, s.thread.picture()...)
	s.thread.file = ""
	if s.thread.ts == "" || s.thread.said == round.State {
		return true
	}
	text := map[session.PairingState]string{
		session.PairingPasskey:     "🔑 The code was scanned, and WhatsApp wants the account's passkey: `whatsappd login` on the daemon's machine says how.",
		session.PairingPasskeyCode: "🔑 WhatsApp took the passkey.",
		session.PairingConfirm:     "📱 The WhatsApp code was scanned.",
		session.PairingPaired:      "✅ WhatsApp is linked.",
		session.PairingExpired:     "~📱 WhatsApp wants to be linked~ The codes expired unscanned. `/ws/login` or `whatsappd login` makes new ones.",
	}[round.State]
	if text == "" {
		text = "~📱 WhatsApp wants to be linked~ The round ended: " + escape(strings.TrimSpace(round.Detail+" "+round.Reason)) + "."
	}
	if _, _, _, err := s.api.UpdateMessageContext(ctx, s.thread.channel, s.thread.ts, slack.MsgOptionText(text, false)); err != nil {
		s.failed("mark the end of the pairing", err)
		return false
	}
	s.thread.said = round.State
	return true
}

// removeStale deletes pictures of codes that are of no use any more.
func (s *Slack) removeStale(ctx context.Context) bool {
	for len(s.thread.stale) > 0 {
		err := s.api.DeleteFileContext(ctx, s.thread.stale[0])
		var answer slack.SlackErrorResponse
		gone := errors.As(err, &answer) && (answer.Err == "file_not_found" || answer.Err == "file_deleted")
		if err != nil && !gone {
			s.failed("delete a pairing code", err)
			return false
		}
		s.thread.stale = s.thread.stale[1:]
	}
	return true
}

// failed logs what Slack did not do. Errors of the client library may hold the token in a URL; only Slack's own code, or
// the kind of failure, is told.
func (s *Slack) failed(step string, err error) {
	var answer slack.SlackErrorResponse
	var limited *slack.RateLimitedError
	why := "Slack cannot be reached"
	switch {
	case errors.As(err, &answer):
		why = answer.Err
	case errors.As(err, &limited):
		why = "Slack asks to wait " + limited.RetryAfter.String()
	case errors.Is(err, context.Canceled):
		return
	default:
		if text := err.Error(); !strings.Contains(text, s.opts.Token) && !strings.Contains(text, "://") {
			why = text
		}
	}
	s.log.Warn("Slack: a step failed; the terminal and the API still show pairing codes", "step", step, "reason", why)
}
