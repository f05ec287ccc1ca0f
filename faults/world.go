package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"whatsappd/simulator"
)

const (
	token    = "token-of-the-faults-in-forty-characters-"
	owner    = "4917600000001" // whose phone is linked
	other    = "4917600000002" // another phone that can be
	stranger = "4917600000999" // a number that is not on WhatsApp
	contacts = 20
)

// contact returns the number of the i-th contact, from 0.
func contact(i int) string { return fmt.Sprintf("49176100%05d", i+1) }

// world is everything around one daemon: the simulated WhatsApp as a process of its own, a receiver of callbacks, the settings
// the daemon is started with, and the list of what it accepted.
type world struct {
	*trial
	sim        *simulator.Client
	whatsapp   *process // the simulator
	info       simulator.Info
	hook       *receiver
	settings   map[string]string
	attributes *syscall.SysProcAttr // of the daemon's process; nil mostly
	daemon     *process
	http       *http.Client
	patience   time.Duration // for the last callback; 0 for the usual one

	mu       sync.Mutex // guards what follows
	base     string     // the daemon's address
	accepted []asked
	refused  map[string]int // by answer
	slowest  time.Duration  // of the answers with 202
	answers  []time.Duration
	serving  []time.Duration // from each start to the first answer
	number   int             // of the next text
}

// newWorld starts a simulator with two phones and some contacts, and a receiver.
func newWorld(t *trial, args ...string) *world {
	w := &world{trial: t, hook: newReceiver(t), refused: map[string]int{}}
	w.http = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	args = append([]string{"simulator", "--addr", "127.0.0.1:0", "--control", "127.0.0.1:0", "--json", "--quiet"}, args...)
	w.whatsapp = t.start("simulator", nil, args...)
	t.must(json.Unmarshal([]byte(w.whatsapp.wants(`^(\{.*"root_key".*\})$`)[1]), &w.info), "the simulator's first line")
	w.sim = simulator.NewClient(w.info.Control)
	w.settings = map[string]string{
		"WHATSAPPD_LISTEN":              "127.0.0.1:0",
		"WHATSAPPD_TOKEN":               token,
		"WHATSAPPD_DATA_DIR":            filepath.Join(t.dir, "data"),
		"WHATSAPPD_SIMULATOR_ADDR":      w.info.Address,
		"WHATSAPPD_SIMULATOR_ROOT_KEY":  w.info.RootKey,
		"WHATSAPPD_CALLBACK_ALLOW":      w.hook.address(),
		"WHATSAPPD_CALLBACK_SECRET":     secret(),
		"WHATSAPPD_PACE_OFF":            "true",
		"WHATSAPPD_RECONNECT_MAX_PAUSE": "1s",
		"WHATSAPPD_LOG_FORMAT":          "json",
	}
	w.account(simulator.AccountSpec{Number: owner, Name: "Owner"})
	w.account(simulator.AccountSpec{Number: other, Name: "Other"})
	w.account(simulator.AccountSpec{Number: stranger, Unregistered: true})
	for i := range contacts {
		w.account(simulator.AccountSpec{Number: contact(i), Name: fmt.Sprintf("Contact %d", i+1), Companions: i % 2})
	}
	return w
}

// paired is newWorld with a daemon that is linked and online.
func paired(t *trial, args ...string) *world {
	w := newWorld(t, args...)
	w.serve()
	w.pair()
	return w
}

func (w *world) account(spec simulator.AccountSpec) {
	w.must(w.sim.AddAccount(w.ctx, spec), "add an account")
}

// faults makes the simulator misbehave.
func (w *world) faults(add ...simulator.Fault) {
	_, err := w.sim.AddFaults(w.ctx, add...)
	w.must(err, "add faults")
}

// heal removes all of the simulator's faults.
func (w *world) heal() {
	w.must(w.control(http.MethodDelete, "/v1/faults"), "remove the faults")
}

// control calls the simulator's control API where its client has no method.
func (w *world) control(method, path string) error {
	req, err := http.NewRequestWithContext(w.ctx, method, w.info.Control+path, nil)
	if err != nil {
		return err
	}
	res, err := w.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

// serve starts the daemon and waits until it answers.
func (w *world) serve() {
	w.launch()
	w.base = "" // until it is known
	w.setBase("http://" + w.daemon.wants(`"msg":"listening","address":"([^"]+)"`)[1])
	w.eventually("the daemon answers", func() bool { return w.health("/healthz") == http.StatusOK })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serving = append(w.serving, time.Since(w.daemon.begun))
}

// launch starts the daemon and waits for nothing.
func (w *world) launch() { w.must(w.tryLaunch(), "start the daemon") }

// tryLaunch is launch where the machine may refuse to start it.
func (w *world) tryLaunch() (err error) {
	attributes := &syscall.SysProcAttr{}
	if w.attributes != nil {
		*attributes = *w.attributes
	}
	w.daemon, err = w.startAs(attributes, "the daemon", maps.Clone(w.settings), "serve")
	return err
}

func (w *world) setBase(base string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.base = base
}

func (w *world) address() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.base
}

// health returns the status of an endpoint that needs no token, 0 without an answer.
func (w *world) health(path string) int {
	res, err := w.call(w.ctx, http.MethodGet, path, nil, "")
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// call sends a request with the token.
func (w *world) call(ctx context.Context, method, path string, body io.Reader, key string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, w.address()+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Token token="+token)
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	return w.http.Do(req)
}

// get reads a JSON answer of the operators' API; false without one.
func (w *world) get(path string, answer any) bool {
	res, err := w.call(w.ctx, http.MethodGet, path, nil, "")
	if err != nil {
		return false
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode == http.StatusOK && json.NewDecoder(res.Body).Decode(answer) == nil
}

// metric reads one of the daemon's figures.
func (w *world) metric(name string) float64 {
	res, err := w.call(w.ctx, http.MethodGet, "/metrics", nil, "")
	w.must(err, "read the metrics")
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	w.must(err, "read the metrics")
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			var value float64
			_, err := fmt.Sscan(rest, &value)
			w.must(err, "read the metric "+name)
			return value
		}
	}
	w.fail("there is no metric %s", name)
	return 0
}

// status is the account's state as the daemon tells it.
type status struct {
	State  string `json:"state"`
	Reason string `json:"reason"`
	Number string `json:"number"`
}

// status returns the account's state; empty without an answer.
func (w *world) status() (s status) {
	w.get("/v1/status", &s)
	return s
}

// online waits until the account is online and returns how long that took.
func (w *world) online() time.Duration {
	return w.within(patience, "the account is online", func() bool { return w.status().State == "online" })
}

// pair lets the owner's phone scan the daemon's code and waits until the account is online.
func (w *world) pair() {
	w.must(w.sim.Scan(w.ctx, owner, w.code()), "scan the code")
	w.online()
}

// code waits for a live pairing code.
func (w *world) code() string {
	var pairing struct {
		Code string `json:"code"`
	}
	w.eventually("a pairing code is live", func() bool { return w.get("/v1/pairing", &pairing) && pairing.Code != "" })
	return pairing.Code
}

// again starts the daemon anew after its end, with its files looked at in between.
func (w *world) again() {
	w.intact()
	w.serve()
}

// times returns the median and the longest of some times.
func times(all []time.Duration) (median, longest time.Duration) {
	if len(all) == 0 {
		return 0, 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2], sorted[len(sorted)-1]
}

// percentile returns the time that so many of 100 do not exceed.
func percentile(all []time.Duration, of int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, len(sorted)*of/100)]
}
