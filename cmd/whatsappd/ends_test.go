package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/httpapi"
	"whatsappd/simulator"
)

func TestTwoDaemonsOnOneCredentialDoNotFightForIt(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 1)
	slack := w.withSlack()
	const pause = 200 * time.Millisecond
	w.settings["WHATSAPPD_RECONNECT_REPLACED_PAUSE"] = pause.String()
	w.serve()
	w.pair()
	w.daemon.stop()
	second := &world{t: t, sim: w.sim, whatsapp: w.whatsapp, hook: w.hook, settings: maps.Clone(w.settings)}
	second.settings["WHATSAPPD_DATA_DIR"] = t.TempDir() + "/copy"
	require.NoError(t, os.CopyFS(second.settings["WHATSAPPD_DATA_DIR"], os.DirFS(w.settings["WHATSAPPD_DATA_DIR"])))
	w.serve()
	w.online()
	w.eventually("the first daemon has been online for a while", func() bool { return time.Since(*w.status().Since) > 12*pause })
	logins := w.counters().Logins

	second.serve()
	second.eventually("the second one is replaced", func() bool { return second.status().State == "replaced" })
	w.online()
	status := second.status()
	require.Equal(t, "session_replaced", status.Reason)
	require.Contains(t, status.Detail, "another process uses this device's keys")
	slack.wantsText("another process uses this device's keys")
	for range 10 {
		w.hook.result(w.ws("message", contact(1), "the first one works on"), "True")
	}
	require.Equal(t, logins+2, w.counters().Logins, "the second daemon came, the first took back, and that was all")
	require.Equal(t, "replaced", second.status().State)
	require.Equal(t, http.StatusServiceUnavailable, second.health("/readyz"))
	require.Equal(t, http.StatusOK, second.health("/healthz"))
}

func TestAnOutdatedDaemonWaitsForANewerOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	slack := w.withSlack()
	w.serve()
	w.pair()
	w.faults(simulator.Fault{At: "login", Do: "failure", Code: 405, Times: 1}) // it would be let in at the next dial
	require.NoError(t, w.sim.Kick(t.Context(), ownerPhone, simulator.KickDrop))
	w.eventually("outdated", func() bool { return w.status().State == "outdated" })
	slack.wantsText("no longer accepts this version")
	require.Regexp(t, `protocol library is of 20\d\d-\d\d-\d\d`, w.status().Detail)
	require.Equal(t, "library", w.status().Scope)

	connections := w.counters().Connections
	waits := []string{w.ws("check", contact(1))}
	for n := range 10 {
		waits = append(waits, w.ws("message", contact(1), fmt.Sprint("when there is a newer version ", n)))
	}
	for _, id := range waits {
		w.eventually("the task waits", func() bool { return w.task(id).State == "queued" }) // it is taken for a moment when the reason is noted
	}
	require.Equal(t, connections, w.counters().Connections, "no further dial")
	slack.wantsText("protocol library is of 20")
	require.Equal(t, 1, slack.count("no longer accepts this version"))
	require.Empty(t, w.hook.all(), "nothing has ended")

	w.daemon.stop()
	w.serve() // the newer one
	for _, id := range waits {
		w.hook.result(id, "True")
	}
	require.Len(t, w.inbox(contact(1), 10), 10)
	require.Equal(t, 1, slack.count("no longer accepts this version"), "told once")
}

func TestALogOutByThePhoneIsToldOnceAndMakesNoCodesUnasked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	slack := w.withSlack()
	w.settings["WHATSAPPD_PAIRING_AUTO"] = "false"
	w.serve()
	w.pair()
	w.hook.result(w.ws("message", contact(1), "before"), "True")
	require.NoError(t, w.sim.Kick(t.Context(), ownerPhone, simulator.KickRemoved))
	slack.wantsText("WhatsApp is logged out")
	slack.wantsText("last deeds: a send")
	require.Equal(t, "logged_out", w.status().State)
	require.Equal(t, http.StatusServiceUnavailable, w.health("/readyz"))
	require.Equal(t, http.StatusOK, w.health("/healthz"))
	w.daemon.stop()
	w.serve()
	require.Equal(t, "logged_out", w.status().State, "it is known after a restart, too")
	require.Contains(t, w.status().Detail, "last deeds: a send")
	var pairing httpapi.PairingAnswer
	w.get("/v1/pairing", &pairing)
	require.Equal(t, "idle", pairing.State)
	require.Equal(t, 1, slack.count("WhatsApp is logged out"))
}

func TestTasksOfOperatorsWaitOutALogOut(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 3)
	w.serve()
	w.pair()
	operator := func(kind, to string) string {
		var accepted httpapi.TaskAccepted
		body := fmt.Sprintf(`{"kind":%q,"to":%q,"text":"after the log-out","return_url":%q}`, kind, to, w.hook.url("/cb"))
		require.Equal(t, http.StatusAccepted, w.request(http.MethodPost, "/v1/tasks", body, &accepted))
		return accepted.TaskID
	}
	require.NoError(t, w.sim.Kick(t.Context(), ownerPhone, simulator.KickRemoved))
	w.eventually("logged out", func() bool { return w.status().Reason == "logged_out" })
	waits := []string{operator("message", contact(1)), operator("check", contact(2))}
	w.hook.result(w.ws("message", contact(1), "of a caller"), notLoggedIn)
	w.hook.result(w.ws("check", contact(2)), notLoggedIn)
	output, code := w.command("send", contact(3), "asked for by a person")
	require.Equal(t, exitFailed, code)
	require.Contains(t, output, "waits for a new link")
	w.daemon.kill()
	w.serve()
	for _, id := range waits {
		w.eventually("the task tells what it waits for", func() bool {
			task := w.task(id)
			return task.State == "queued" && task.Reason == "logged_out" && task.Failure != nil && !task.Retryable
		})
	}
	w.pair()
	for _, id := range waits {
		w.hook.result(id, "True")
	}
	require.Equal(t, []string{"after the log-out"}, texts(w.inbox(contact(1), 1)))
	require.Equal(t, []string{"asked for by a person"}, texts(w.inbox(contact(3), 1)))
}

func TestTasksOfOperatorsNeverGoOutUnderAnotherNumber(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 2)
	w.serve()
	w.pair()
	require.NoError(t, w.sim.Kick(t.Context(), ownerPhone, simulator.KickRemoved))
	w.eventually("logged out", func() bool { return w.status().Reason == "logged_out" })
	var waits httpapi.TaskAccepted // accepted while there is no number
	body := fmt.Sprintf(`{"kind":"message","to":%q,"text":"of the first number","return_url":%q}`, contact(1), w.hook.url("/cb"))
	require.Equal(t, http.StatusAccepted, w.request(http.MethodPost, "/v1/tasks", body, &waits))
	w.eventually("it waits", func() bool { return w.task(waits.TaskID).Reason == "logged_out" })
	w.owners = append(w.owners, contact(2))
	w.scan(contact(2))
	w.hook.result(waits.TaskID, messageFailed)
	require.Equal(t, "account_changed", w.task(waits.TaskID).Code)
	output, code := w.command("login", "--confirm")
	require.Zero(t, code, output)
	w.hook.result(w.ws("check", contact(1)), "True")
	require.Empty(t, w.inbox(contact(1), 0))
}

func TestMetricsTellWhatWentWrong(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 2)
	w.serve()
	w.pair()
	w.hook.result(w.ws("message", contact(1), "first"), "True")
	w.faults(simulator.Fault{At: "open", Do: "fail", Peer: contact(1), Times: 1})
	w.hook.result(w.ws("message", contact(1), "for a device that cannot open it"), "True")
	w.faults(simulator.Fault{At: "message", Do: "error", Code: 463, Peer: contact(2)})
	w.hook.result(w.ws("message", contact(2), "to a stranger"), messageFailed)
	require.NoError(t, w.sim.Kick(t.Context(), ownerPhone, simulator.Kick503))
	w.eventually("the restart is counted", func() bool {
		return strings.Contains(w.metrics(), `whatsappd_connection_ends_total{account="default",reason="server_restart"} 1`)
	})
	w.online()
	w.eventually("the retry receipt is counted", func() bool {
		return strings.Contains(w.metrics(), `whatsappd_retry_receipts_total{account="default"} 1`)
	})
	text := w.metrics()
	for _, line := range []string{
		`whatsappd_messages_refused_total{account="default",wa_code="463"} 2`,
		`whatsappd_account_state{account="default",state="online"} 1`,
		`whatsappd_pings_missed_total{account="default"} 0`,
		`whatsappd_account_alive{account="default"} 1`,
	} {
		require.Contains(t, text, line)
	}
	require.Regexp(t, `whatsappd_library_age_seconds [0-9.e+]+`, text)
	for _, label := range regexp.MustCompile(`="([^"]*)"`).FindAllStringSubmatch(text, -1) {
		require.NotRegexp(t, `[0-9]{7}|@`, label[1], "a number or an address in a label")
	}
}

// faults adds faults to the simulator.
func (w *world) faults(add ...simulator.Fault) {
	w.t.Helper()
	_, err := w.sim.AddFaults(w.t.Context(), add...)
	require.NoError(w.t, err)
}

// counters returns what the simulator counted.
func (w *world) counters() simulator.Counters {
	w.t.Helper()
	counters, err := w.sim.Counters(w.t.Context())
	require.NoError(w.t, err)
	return counters
}

// health returns the status of a health endpoint.
func (w *world) health(path string) int {
	w.t.Helper()
	res := w.open(path)
	defer res.Body.Close()
	return res.StatusCode
}

// metrics returns the daemon's figures.
func (w *world) metrics() string {
	w.t.Helper()
	res := w.open("/metrics")
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	return string(text)
}

// open calls an endpoint that needs no token.
func (w *world) open(path string) *http.Response {
	w.t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(w.t.Context()), http.MethodGet, w.base+path, nil)
	require.NoError(w.t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	return res
}
