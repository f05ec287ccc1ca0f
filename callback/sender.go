package callback

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// SenderOptions is what a sender needs beside its keeper.
type SenderOptions struct {
	Secrets       []string // whsec_…; two while one replaces the other; none for unsigned callbacks
	Authorization string   // fixed Authorization header for receivers that expect one; empty for none
	UserAgent     string
	Guard         *Guard
	Timeout       time.Duration // of one attempt; default 15 s
	Workers       int           // attempts at once; default 200: most of them wait for a receiver that is slow
	PerReceiver   int           // attempts at once to one destination that answers; default 4
	Panicked      func()        // called for each attempt that panicked
	Logger        *slog.Logger
	Now           func() time.Time
	Random        func() float64 // in [0, 1)
}

// Sender delivers what the keeper holds, until each callback is delivered or dead.
type Sender struct {
	opts      SenderOptions
	keeper    Keeper
	client    *http.Client
	signers   []*standardwebhooks.Webhook
	log       *slog.Logger
	wakes     chan struct{} // holds one value: look again
	receivers *receivers
}

// drained is how much of an answer is read, so that the connection can be used again.
const drained = 64 << 10

// NewSender makes a sender. It fails on a secret that is none.
func NewSender(opts SenderOptions, keeper Keeper) (*Sender, error) {
	if opts.Timeout == 0 {
		opts.Timeout = 15 * time.Second
	}
	if opts.Panicked == nil {
		opts.Panicked = func() {}
	}
	if opts.Workers == 0 {
		opts.Workers = 200
	}
	if opts.PerReceiver == 0 {
		opts.PerReceiver = 4
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Random == nil {
		opts.Random = rand.Float64
	}
	s := &Sender{
		opts: opts, keeper: keeper, client: newClient(opts.Guard, opts.Timeout), log: opts.Logger,
		wakes:     make(chan struct{}, 1),
		receivers: &receivers{places: opts.Workers, each: opts.PerReceiver, known: map[string]*receiver{}},
	}
	for i, secret := range opts.Secrets {
		signer, err := standardwebhooks.NewWebhook(secret)
		if err != nil { // the error may show the secret
			return nil, fmt.Errorf("callback.secret: number %d is not base64 with the prefix whsec_", i+1)
		}
		s.signers = append(s.signers, signer)
	}
	return s, nil
}

// Wake makes the sender look for due callbacks. It never blocks.
func (s *Sender) Wake() {
	select {
	case s.wakes <- struct{}{}:
	default:
	}
}

// failurePause is how long to leave a ledger alone that has failed so often in a row before.
func failurePause(failures int) time.Duration {
	return min(100*time.Millisecond<<min(failures, 10), 5*time.Second)
}

// safetyTick is how often the sender looks for work that nobody told it of.
const safetyTick = 30 * time.Second

// Run delivers until the context ends. Attempts on their way then are cut short and count as not made.
func (s *Sender) Run(ctx context.Context) error {
	if _, err := s.keeper.RecoverDeliveries(ctx); err != nil {
		return err
	}
	defer s.client.CloseIdleConnections()
	var attempts sync.WaitGroup
	defer attempts.Wait()
	failures := 0
	for ctx.Err() == nil {
		wait, err := s.round(ctx, &attempts)
		if err != nil && ctx.Err() == nil {
			if failures == 0 {
				s.log.Error("the ledger failed; callbacks wait", "error", err)
			}
			wait = failurePause(failures)
			failures++
		} else {
			failures = 0
		}
		timer := time.NewTimer(wait)
		select {
		case <-s.wakes:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// round starts as many due attempts as there is room for, and says how long nothing else will be due. It looks before it claims:
// a claim goes through the writer of the ledger, also one that takes nothing.
func (s *Sender) round(ctx context.Context, attempts *sync.WaitGroup) (time.Duration, error) {
	now := s.opts.Now()
	room := s.receivers.room()
	at, some, err := s.keeper.NextDelivery(ctx, room.Full())
	if err != nil || !some {
		return safetyTick, err
	}
	if at.After(now) {
		return min(at.Sub(now), safetyTick), nil
	}
	if room.All <= 0 { // the end of an attempt wakes us
		return safetyTick, nil
	}
	due, err := s.keeper.ClaimDue(ctx, now, room)
	if err != nil || len(due) == 0 {
		return safetyTick, err
	}
	for _, d := range due {
		s.receivers.begin(Destination(d.URL))
		attempts.Go(func() {
			s.attempt(ctx, d)
			s.Wake()
		})
	}
	return 0, nil // there may be more
}

// Counts tells what is on its way.
func (s *Sender) Counts() Counts { return s.receivers.counts() }

// attempt delivers once and keeps what came of it.
func (s *Sender) attempt(ctx context.Context, d Delivery) {
	begun := s.opts.Now()
	status, header, err := s.guarded(ctx, d)
	defer s.ended(ctx, Destination(d.URL), status != 0)
	if ctx.Err() != nil && status/100 != 2 {
		return // cut short by the stop: found on its way at the next start, and tried again
	}
	now := s.opts.Now()
	a := Attempt{DeliveryID: d.ID, N: d.Attempt, At: begun, Took: now.Sub(begun), Status: status}
	d.LastStatus, d.LastError = status, ""
	switch {
	case err == nil && status/100 == 2:
		d.State, d.Finished = Delivered, now
	case errors.Is(err, ErrRefused):
		d.State, d.Finished, d.LastError = Dead, now, reason(err)
	case status == http.StatusGone:
		d.State, d.Finished, d.LastError = Dead, now, "the receiver answered 410: it wants no more"
	default:
		d.LastError = fmt.Sprintf("the receiver answered %d", status)
		if err != nil {
			d.LastError = reason(err)
		}
		d.State = Due
		var again bool
		if d.NextAt, again = next(d.Attempt, now, retryAfter(header, now), s.opts.Random); !again {
			d.State, d.Finished = Dead, now
		}
	}
	a.Error = d.LastError
	s.record(ctx, d, a)
}

// ended counts an attempt that has ended, and tells when a receiver falls silent or answers again.
func (s *Sender) ended(ctx context.Context, destination string, answered bool) {
	switch changed := s.receivers.end(destination, answered); {
	case !changed || ctx.Err() != nil:
	case answered:
		s.log.Info("a receiver answers again", "destination", destination)
	default:
		s.log.Warn("a receiver does not answer; until it does it gets one callback at a time", "destination", destination)
	}
}

// record keeps an attempt. While the ledger fails, on a full disk for example, it is tried again and again, until the context
// ends: then the callback is found on its way at the next start. A callback that is gone needs no record.
func (s *Sender) record(ctx context.Context, d Delivery, a Attempt) {
	for failures := 0; ; failures++ {
		err := s.keeper.Record(context.WithoutCancel(ctx), d, a)
		if err == nil || errors.Is(err, ErrNotFound) {
			break
		}
		if failures == 0 {
			s.log.Error("an attempt could not be noted; it is tried again", "callback", d.ID, "error", err)
		}
		select {
		case <-time.After(failurePause(failures)):
		case <-ctx.Done():
			return
		}
	}
	level := slog.LevelInfo
	if d.State == Dead {
		level = slog.LevelWarn
	}
	s.log.Log(ctx, level, "callback", "callback", d.ID, "task", string(d.TaskID), "event", d.Event, "destination", Destination(d.URL),
		"state", string(d.State), "attempt", d.Attempt, "status", d.LastStatus, "reason", d.LastError)
}

// errPanicked is the reason of an attempt that met a mistake of ours.
var errPanicked = errors.New("the attempt panicked: a mistake in the daemon, the log has more")

// guarded is post, and makes a panic the failure of this attempt alone: it is a mistake in the daemon.
func (s *Sender) guarded(ctx context.Context, d Delivery) (status int, header http.Header, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			s.log.Error("an attempt panicked", "callback", d.ID, "cause", cause, "stack", string(debug.Stack()))
			s.opts.Panicked()
			err = errPanicked
		}
	}()
	return s.post(ctx, d)
}

// post sends the callback and returns the answer's status and header.
func (s *Sender) post(ctx context.Context, d Delivery) (int, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL, bytes.NewReader(d.Body))
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err := s.opts.Guard.CheckText(req.URL); err != nil { // the list may have changed since the task was accepted
		return 0, nil, err
	}
	now := s.opts.Now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", s.opts.UserAgent)
	req.Header.Set("webhook-id", d.ID)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	if s.opts.Authorization != "" {
		req.Header.Set("Authorization", s.opts.Authorization)
	}
	if signature, err := s.sign(d, now); err != nil {
		return 0, nil, err
	} else if signature != "" {
		req.Header.Set("webhook-signature", signature)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, drained)) // the status says it all, however the body ends
	return res.StatusCode, res.Header, nil
}

// sign makes the signatures of an attempt, one for each secret.
func (s *Sender) sign(d Delivery, now time.Time) (string, error) {
	var signatures []string
	for _, signer := range s.signers {
		signature, err := signer.Sign(d.ID, now, d.Body)
		if err != nil {
			return "", fmt.Errorf("sign: %w", err)
		}
		signatures = append(signatures, signature)
	}
	return strings.Join(signatures, " "), nil
}

// reason says why an attempt failed, without the return URL, whose path and query may hold secrets, and without a word of the
// answer: a caller must not learn through us what stands behind an address.
func reason(err error) string {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "the receiver did not answer in time"
	}
	dial, dialled := errors.AsType[*net.OpError](err)
	if dialled && dial.Err != nil && errors.Is(err, ErrRefused) {
		return dial.Err.Error()
	}
	_, name := errors.AsType[*net.DNSError](err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case dialled, name, certificate, errors.Is(err, errPanicked), errors.Is(err, ErrRefused), errors.Is(err, http.ErrSchemeMismatch):
		return err.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return "the connection was closed before the answer"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the receiver's answer is not TLS"
	}
	return "the receiver's answer is not HTTP"
}
