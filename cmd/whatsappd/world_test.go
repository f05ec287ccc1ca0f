package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/httpapi"
	"whatsappd/simulator"
)

const (
	testSigningKey = "whsec_Y2FuYXJ5LXNpZ25pbmcta2V5LW9mLXNvbWUtbGVuZ3Ro"
	testToken      = "test-token-of-at-least-twenty-characters"
	ownerPhone     = "4917600000001" // the phone that pairs
	strangerNot    = "4917600000999" // a number that is not on WhatsApp
)

// companions is how many devices the i-th contact has beside its phone: none for the first ones, up to two for the others.
func companions(i int) int {
	if i <= 3 {
		return 0
	}
	return i % 3
}

// contact returns the number of the i-th contact of a world, from 1.
func contact(i int) string { return fmt.Sprintf("49176100%05d", i) }

// world is everything around one daemon: the simulated WhatsApp as a process of its own, a receiver for callbacks, and the
// settings the daemon is started with.
type world struct {
	t        *testing.T
	sim      *simulator.Client
	whatsapp *process // the simulator
	hook     *receiver
	settings map[string]string
	daemon   *process
	base     string   // the daemon's address
	round    *round   // of a hostile run
	owners   []string // whose phone the daemon was linked to in turn

	daemons     []*process         // all that were started
	slack       *fakeSlack         // nil without one
	events      *operatorsReceiver // nil without one
	figuresSeen []string           // at the end of each daemon that lived so long

	mu     sync.Mutex
	errors []string // that callers saw
}

// newWorld starts a simulator with an owner's phone and some contacts who read what they get. In a hostile run it is hostile.
func newWorld(t *testing.T, contacts int) *world {
	t.Helper()
	return makeWorld(t, contacts, true)
}

// calmWorld is newWorld on a good network also in a hostile run, for scenarios that count what happens.
func calmWorld(t *testing.T, contacts int) *world {
	t.Helper()
	return makeWorld(t, contacts, false)
}

func makeWorld(t *testing.T, contacts int, hostile bool) *world {
	t.Helper()
	args := []string{"simulator", "--addr", "127.0.0.1:0", "--control", "127.0.0.1:0", "--json"}
	w := &world{t: t, hook: newReceiver(t), owners: []string{ownerPhone}}
	if hostile {
		args = append(args, w.hostility()...)
	}
	sim := start(t, "simulator", nil, args...)
	var info simulator.Info
	require.NoError(t, json.Unmarshal([]byte(sim.wants(`^(\{.*"root_key".*\})$`)[1]), &info))
	w.sim, w.whatsapp = simulator.NewClient(info.Control), sim
	w.settings = map[string]string{
		"WHATSAPPD_LISTEN":              "127.0.0.1:0",
		"WHATSAPPD_TOKEN":               testToken,
		"WHATSAPPD_DATA_DIR":            t.TempDir() + "/data",
		"WHATSAPPD_SIMULATOR_ADDR":      info.Address,
		"WHATSAPPD_SIMULATOR_ROOT_KEY":  info.RootKey,
		"WHATSAPPD_CALLBACK_ALLOW":      w.hook.address(),
		"WHATSAPPD_PACE_OFF":            "true",
		"WHATSAPPD_RECONNECT_MAX_PAUSE": "3s",
		"WHATSAPPD_CALLBACK_SECRET":     testSigningKey,
		"WHATSAPPD_LOG_FORMAT":          "json",
		"WHATSAPPD_LOG_LEVEL":           "debug",
	}
	t.Cleanup(func() {
		if counters, err := w.sim.Counters(context.WithoutCancel(t.Context())); err == nil {
			w.round.note(counters)
		}
		if !t.Failed() {
			w.flawless() // in every scenario: what goes wrong here is never part of one
			w.honest()
			w.discreet()
		}
	})
	w.account(simulator.AccountSpec{Number: ownerPhone, Name: "Owner"})
	w.account(simulator.AccountSpec{Number: strangerNot, Unregistered: true})
	for i := range contacts {
		w.account(simulator.AccountSpec{Number: contact(i + 1), Name: fmt.Sprintf("Contact %d", i+1), Companions: companions(i + 1)})
	}
	return w
}

func (w *world) account(spec simulator.AccountSpec) {
	w.t.Helper()
	require.NoError(w.t, w.sim.AddAccount(w.t.Context(), spec))
}

// serve starts the daemon and waits until it listens.
func (w *world) serve() *process {
	w.t.Helper()
	path, err := binary()
	require.NoError(w.t, err)
	return w.run(exec.Command(path, "serve"))
}

// run is serve by a command that runs the program in its own way.
func (w *world) run(command *exec.Cmd) *process {
	w.t.Helper()
	settings := maps.Clone(w.settings)
	daemon := launch(w.t, "serve", settings, command)
	w.daemon, w.daemons = daemon, append(w.daemons, daemon)
	w.t.Cleanup(func() { w.readFigures(daemon) })                                      // before it is ended
	w.base = "http://" + w.daemon.wants(`listening"?,? ?"?address"?[:=]"?([^" ]+)`)[1] // as JSON or as text
	return w.daemon
}

// command runs a client command against the daemon.
func (w *world) command(args ...string) (string, int) {
	w.t.Helper()
	return whatsappd(w.t, map[string]string{
		"WHATSAPPD_LISTEN": strings.TrimPrefix(w.base, "http://"),
		"WHATSAPPD_TOKEN":  testToken,
	}, args...)
}

// get reads a JSON answer of the operators' API.
func (w *world) get(path string, answer any) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.base+path, nil)
	require.NoError(w.t, err)
	req.Header.Set("Authorization", "Bearer "+testToken)
	res, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	defer res.Body.Close()
	require.Equal(w.t, http.StatusOK, res.StatusCode, path)
	require.NoError(w.t, json.NewDecoder(res.Body).Decode(answer))
}

// accepted is the answer of the /ws endpoints.
type accepted struct {
	Data struct {
		TaskID   string `json:"task_id"`
		TaskName string `json:"task_name"`
	} `json:"data"`
	Status string `json:"status"`
}

// ws calls a /ws endpoint with these path segments before the return URL and returns the task's id.
func (w *world) ws(endpoint string, segments ...string) string {
	w.t.Helper()
	id, err := w.try(w.t.Context(), endpoint, segments...)
	require.NoError(w.t, err)
	return id
}

// try is ws for calls that may meet a daemon that is not there.
func (w *world) try(ctx context.Context, endpoint string, segments ...string) (string, error) {
	path := "/ws/" + endpoint
	for _, segment := range append(segments, w.hook.url("/cb")) {
		path += "/" + url.PathEscape(segment)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.base+path, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Token token="+testToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	w.heard(res.StatusCode, string(body))
	var answer accepted
	if res.StatusCode != http.StatusAccepted || json.NewDecoder(bytes.NewReader(body)).Decode(&answer) != nil {
		return "", fmt.Errorf("%s: %s", res.Status, body)
	}
	return answer.Data.TaskID, nil
}

// eventually asks again until a condition holds: for state that only HTTP can tell, where there is no event to wait for.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	require.Eventually(w.t, holds, patience, 50*time.Millisecond, what)
}

// status returns the account's state.
func (w *world) status() httpapi.StatusAnswer {
	w.t.Helper()
	var status httpapi.StatusAnswer
	w.get("/v1/status", &status)
	return status
}

// online waits until the account is online.
func (w *world) online() {
	w.t.Helper()
	w.eventually("the account is online", func() bool { return w.status().State == "online" })
}

// code waits for a live pairing code and returns its text.
func (w *world) code() string {
	w.t.Helper()
	var pairing httpapi.PairingAnswer
	w.eventually("a pairing code is live", func() bool {
		pairing = httpapi.PairingAnswer{}
		w.get("/v1/pairing", &pairing)
		return pairing.Code != ""
	})
	return pairing.Code
}

// scan lets a phone scan the daemon's code. On a bad network the connection may be cut in the middle: then the phone's owner
// scans the next code, unless the phone was linked all the same.
func (w *world) scan(number string) {
	w.t.Helper()
	err := w.sim.Scan(w.t.Context(), number, w.code())
	for try := 0; err != nil && *hostileLevel > 0 && try < 10; try++ {
		var pairing httpapi.PairingAnswer
		w.eventually("another code, or the link", func() bool {
			pairing = httpapi.PairingAnswer{}
			w.get("/v1/pairing", &pairing)
			return pairing.Code != "" || pairing.State == "confirming" || pairing.State == "paired"
		})
		if pairing.Code == "" {
			return
		}
		err = w.sim.Scan(w.t.Context(), number, pairing.Code)
	}
	require.NoError(w.t, err)
}

// pair lets the owner's phone scan the daemon's code and waits until the account is online.
func (w *world) pair() {
	w.t.Helper()
	w.scan(ownerPhone)
	w.online()
}

// kickInto has WhatsApp end the connection, and waits for the state that follows. On a bad network it may meet a connection that
// has just been lost; then it is done again.
func (w *world) kickInto(mode, state string) {
	w.t.Helper()
	kicked := time.Time{}
	w.eventually("the account is "+state, func() bool {
		now := w.status().State
		if now == "online" && time.Since(kicked) > 5*time.Second {
			require.NoError(w.t, w.sim.Kick(w.t.Context(), ownerPhone, mode))
			kicked = time.Now()
		}
		return now == state
	})
}

// flawless checks what must hold in every scenario.
func (w *world) flawless() {
	w.t.Helper()
	counters, err := w.sim.Counters(context.WithoutCancel(w.t.Context())) // a test's context ends before its cleanup
	require.NoError(w.t, err)
	require.Empty(w.t, counters.Unhandled, "stanzas the simulator does not know")
	require.Empty(w.t, counters.Problems)
	require.Zero(w.t, counters.DecryptFailed, "messages that could not be decrypted")
	// On a bad network the copy may be missing for want of keys: then the message is not reported as sent. And a connection may
	// end before it is known that a recipient's request was answered.
	if *hostileLevel == 0 {
		require.Zero(w.t, counters.NoRecipientCopy, "sends without a copy for the recipient")
		require.Zero(w.t, counters.UnopenedRepeats, "repeats that could not be opened")
	}
	require.Zero(w.t, counters.BadDeviceIdentity)
}

// closedAddress is an address on loopback where nobody listens.
func closedAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// taskID reads the task's id from an answer of /ws, and checks that the answer is exactly the promised one.
func taskID(t testing.TB, body string) string {
	t.Helper()
	var answer accepted
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	require.Equal(t, "success", answer.Status)
	require.Equal(t, fmt.Sprintf(`{"data":{"task_id":%q,"task_name":%q},"status":"success"}`, answer.Data.TaskID, answer.Data.TaskName), strings.TrimSpace(body))
	return answer.Data.TaskID
}
