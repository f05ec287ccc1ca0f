package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"whatsappd/simulator"
)

const (
	token    = "token-of-the-load-in-forty-characters---"
	owner    = "4917600000001" // whose phone is linked
	contacts = 20
)

// contact returns the number of the i-th contact, from 0.
func contact(i int) string { return fmt.Sprintf("49176100%05d", i+1) }

// world is a daemon with a simulated WhatsApp and a receiver of callbacks around it.
type world struct {
	bench    *bench
	dir      string
	sim      *simulator.Client
	control  string // address of the simulator's control API
	whatsapp *process
	hook     *receiver
	settings map[string]string
	daemon   *process
	address  string            // of the daemon
	accepted map[string]string // text by task, of what was answered with 202
	numbered int               // the number of the next text
}

// newWorld starts a simulator with a phone and some contacts, and a receiver, and a daemon that is not linked.
func newWorld(ctx context.Context, b *bench, settings map[string]string) (*world, error) {
	dir, err := os.MkdirTemp(b.dir, "world-")
	if err != nil {
		return nil, err
	}
	w := &world{bench: b, dir: dir, hook: newReceiver(), accepted: map[string]string{}}
	if err := w.surround(ctx); err != nil {
		w.close()
		return nil, err
	}
	maps.Copy(w.settings, settings)
	if _, err := w.serve(ctx); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// surround starts everything but the daemon.
func (w *world) surround(ctx context.Context) (err error) {
	if w.whatsapp, err = start("simulator", w.dir, w.bench.binary, nil, "simulator", "--addr", "127.0.0.1:0", "--control", "127.0.0.1:0", "--json", "--quiet"); err != nil {
		return err
	}
	line, err := w.whatsapp.prints(`^(\{.*"root_key".*\})$`)
	if err != nil {
		return err
	}
	var info simulator.Info
	if err := json.Unmarshal([]byte(line), &info); err != nil {
		return fmt.Errorf("the simulator's first line: %w", err)
	}
	w.sim, w.control = simulator.NewClient(info.Control), info.Control
	w.settings = map[string]string{
		"WHATSAPPD_LISTEN":              "127.0.0.1:0",
		"WHATSAPPD_TOKEN":               token,
		"WHATSAPPD_DATA_DIR":            filepath.Join(w.dir, "data"),
		"WHATSAPPD_SIMULATOR_ADDR":      info.Address,
		"WHATSAPPD_SIMULATOR_ROOT_KEY":  info.RootKey,
		"WHATSAPPD_CALLBACK_ALLOW":      w.hook.server.Listener.Addr().String(),
		"WHATSAPPD_PACE_OFF":            "true",
		"WHATSAPPD_RECONNECT_MAX_PAUSE": "1s",
		"WHATSAPPD_TASK_MAX_AGE":        "24h",
		"WHATSAPPD_LIMIT_PER_MINUTE":    "0",
		"WHATSAPPD_LIMIT_QUEUE":         "0",
		"WHATSAPPD_LOG_FORMAT":          "json",
	}
	if err := w.sim.AddAccount(ctx, simulator.AccountSpec{Number: owner, Name: "Owner"}); err != nil {
		return err
	}
	for i := range contacts {
		if err := w.sim.AddAccount(ctx, simulator.AccountSpec{Number: contact(i), Name: fmt.Sprintf("Contact %d", i+1)}); err != nil {
			return err
		}
	}
	return nil
}

// linked is newWorld with a daemon that is linked and online.
func linked(ctx context.Context, b *bench) (*world, error) {
	w, err := newWorld(ctx, b, nil)
	if err != nil {
		return nil, err
	}
	var pairing struct {
		Code string `json:"code"`
	}
	err = w.until(ctx, "a pairing code", func() bool { return w.get(ctx, "/v1/pairing", &pairing) == nil && pairing.Code != "" })
	if err == nil {
		err = w.sim.Scan(ctx, owner, pairing.Code)
	}
	if err == nil {
		err = w.online(ctx)
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// serve starts the daemon and returns how long it took until /healthz was 200.
func (w *world) serve(ctx context.Context) (took time.Duration, err error) {
	if w.daemon, err = start("the daemon", w.dir, w.bench.binary, w.settings, "serve"); err != nil {
		return 0, err
	}
	if w.address, err = w.daemon.prints(listening); err != nil {
		return 0, err
	}
	for w.get(ctx, "/healthz", nil) != nil && err == nil && w.daemon.alive() {
		err = pause(ctx, time.Millisecond)
	}
	took = time.Since(w.daemon.begun)
	if err == nil && !w.daemon.alive() {
		err = w.daemon.failed("ended")
	}
	return took, err
}

// close ends everything.
func (w *world) close() {
	w.daemon.kill()
	w.whatsapp.kill()
	w.hook.server.CloseClientConnections()
	w.hook.server.Close()
}

// get reads a JSON answer of the daemon's; nil reads nothing.
func (w *world) get(ctx context.Context, path string, answer any) error {
	body, err := w.call(ctx, http.MethodGet, "http://"+w.address+path)
	if err == nil && answer != nil {
		err = json.Unmarshal(body, answer)
	}
	return err
}

func (w *world) call(ctx context.Context, method, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, errors.New(res.Status)
	}
	return io.ReadAll(res.Body)
}

// metric reads one of the daemon's figures.
func (w *world) metric(ctx context.Context, name string) (float64, error) {
	text, err := w.call(ctx, http.MethodGet, "http://"+w.address+"/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(rest), 64)
		}
	}
	return 0, errors.New("there is no metric " + name)
}

func (w *world) state(ctx context.Context) string {
	var status struct {
		State string `json:"state"`
	}
	_ = w.get(ctx, "/v1/status", &status) // asked again
	return status.State
}

func (w *world) online(ctx context.Context) error {
	return w.until(ctx, "the account is online", func() bool { return w.state(ctx) == "online" })
}

// until waits until something holds.
func (w *world) until(ctx context.Context, what string, holds func() bool) error {
	for begun := time.Now(); !holds(); {
		if time.Since(begun) > patience {
			return w.daemon.failed("had " + patience.String() + " until " + what)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// away takes WhatsApp from the daemon, so that work is accepted and waits.
func (w *world) away(ctx context.Context) error {
	if _, err := w.sim.AddFaults(ctx, simulator.Fault{At: "connect", Do: "error", Code: http.StatusServiceUnavailable}); err != nil {
		return err
	}
	if err := w.sim.Kick(ctx, owner, "drop"); err != nil {
		return err
	}
	return w.until(ctx, "the account is offline", func() bool { return w.state(ctx) != "online" })
}

// back gives WhatsApp back.
func (w *world) back(ctx context.Context) error {
	if _, err := w.call(ctx, http.MethodDelete, w.control+"/v1/faults"); err != nil {
		return err
	}
	return w.online(ctx)
}

// messages is a drive of messages to the contacts in turn, each with a text of its own.
func (w *world) messages(rate float64) drive {
	first := w.numbered
	return drive{address: w.address, rate: rate, status: http.StatusAccepted, request: func(n int) []byte {
		return messageTo(contact(n%contacts), text(first+n), w.hook.server.URL+"/cb")
	}}
}

func text(n int) string { return fmt.Sprintf("message %d", n) }

// messageTo is the request that hands a message over.
func messageTo(number, text, returnURL string) []byte {
	return fmt.Appendf(nil, "POST /ws/message/%s/%s/%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token token=%s\r\nContent-Length: 0\r\n\r\n",
		number, url.PathEscape(text), url.PathEscape(returnURL), token)
}

// keep puts what a drive handed over on the list of what was accepted, and returns when each task was asked for.
func (w *world) keep(a answers) (begun map[string]time.Time, err error) {
	begun = map[string]time.Time{}
	last := w.numbered
	for n, body := range a.bodies {
		var answer struct {
			Data struct {
				TaskID string `json:"task_id"`
			} `json:"data"`
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			return nil, fmt.Errorf("an answer with 202 that is none: %s", body)
		}
		if _, known := w.accepted[answer.Data.TaskID]; known || answer.Data.TaskID == "" {
			return nil, fmt.Errorf("two tasks with the ID %q", answer.Data.TaskID)
		}
		w.accepted[answer.Data.TaskID] = text(w.numbered + n)
		begun[answer.Data.TaskID] = a.begun[n]
		last = max(last, w.numbered+n)
	}
	w.numbered = last + 1 + clients // behind those that got no answer
	return begun, nil
}
