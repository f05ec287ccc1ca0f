package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"whatsappd/simulator"
)

// channel is a Slack that takes everything and keeps the texts.
type channel struct {
	mu    sync.Mutex
	texts []string
}

// withChannel gives the daemon a Slack.
func (w *world) withChannel() *channel {
	c := &channel{}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		if strings.HasPrefix(r.URL.Path, "/chat.") {
			c.texts = append(c.texts, r.FormValue("text"))
		}
		c.mu.Unlock()
		rw.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(rw).Encode(map[string]any{ // the daemon may be gone
			"ok": true, "channel": "C0000000001", "ts": "1700000000.000001",
			"upload_url": "http://" + r.Host + "/upload", "file_id": "F1", "files": []map[string]string{{"id": "F1"}},
		})
	}))
	w.cleanup(server.CloseClientConnections)
	w.settings["WHATSAPPD_SLACK_TOKEN"] = slackToken
	w.settings["WHATSAPPD_SLACK_API_URL"] = server.URL + "/"
	return c
}

// told counts the messages with a text in them.
func (c *channel) told(part string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range c.texts {
		if strings.Contains(text, part) {
			n++
		}
	}
	return n
}

// end is a way in which WhatsApp ends a connection, and how the daemon must tell it.
type end struct {
	kick          string
	login         *simulator.Fault // what the next login meets
	state, reason string           // empty state: it comes back by itself
	slack         string           // told once; empty for nothing
	task          string           // why a message waits or was not performed
}

// ends are all of them.
func ends() []end {
	refused := func(code int) *simulator.Fault {
		return &simulator.Fault{At: "login", Do: "failure", Code: code, Ban: 101, Expire: simulator.Duration(time.Hour)}
	}
	return []end{
		{kick: simulator.Kick503, reason: "server_restart"},
		{kick: "515", reason: "server_restart"},
		{login: refused(405), state: "outdated", reason: "client_outdated", slack: "no longer accepts this version", task: "client_outdated"},
		{login: refused(402), state: "temp_banned", reason: "temp_banned", slack: "banned the account", task: "temp_banned"},
		{login: refused(403), state: "locked", reason: "account_locked", slack: "locked the account", task: "account_locked"},
		{kick: simulator.KickRemoved, state: "logged_out", reason: "logged_out", slack: "WhatsApp is logged out", task: "logged_out"},
		{kick: "replaced", state: "replaced", reason: "session_replaced", slack: "Another process took the WhatsApp connection over", task: "session_replaced"},
	}
}

// endsOfTheLink has WhatsApp end the connection in each of its ways. Health, log, Slack and tasks tell them apart, and the daemon
// does not dial all the time.
func endsOfTheLink(t *trial) {
	for _, e := range ends() {
		w := newWorld(t)
		slack := w.withChannel()
		w.settings["WHATSAPPD_DATA_DIR"] += "-" + e.kick + e.state
		w.settings["WHATSAPPD_PAIRING_AUTO"] = "false"
		w.serve()
		w.pair()
		before, begun := w.metric(`whatsappd_dials_total{account="default"}`), time.Now()
		if e.login != nil {
			w.faults(*e.login)
			e.kick = simulator.KickDrop
		}
		t.must(w.sim.Kick(t.ctx, owner, e.kick), "end the connection")
		if e.state == "" {
			t.eventually(e.kick+": the end is counted", func() bool {
				return w.daemon.contains(e.reason) && w.metric(`whatsappd_connection_ends_total{account="default",reason="`+e.reason+`"}`) > 0
			})
			w.online()
			w.send(contact(0))
			w.reckon()
		} else {
			w.tell(e, slack)
		}
		t.pause(3 * time.Second)
		dials, took := w.metric(`whatsappd_dials_total{account="default"}`)-before, time.Since(begun).Seconds()
		t.check(dials <= took+2, "%s%s: %.0f dials in %.0f s", e.kick, e.state, dials, took)
		w.daemon.kill()
		w.whatsapp.kill()
		t.result.Cycles++
	}
}

// tell checks where an end is told that needs somebody.
func (w *world) tell(e end, slack *channel) {
	w.eventually("the state is "+e.state, func() bool { return w.status().State == e.state })
	w.check(w.status().Reason == e.reason, "%s: the reason is %q", e.state, w.status().Reason)
	w.check(w.health("/readyz") == http.StatusServiceUnavailable && w.health("/healthz") == http.StatusOK, "%s: /readyz or /healthz is wrong", e.state)
	w.eventually(e.state+": Slack is told", func() bool { return slack.told(e.slack) > 0 })
	w.check(w.daemon.contains(e.reason), "%s: the log does not name %s", e.state, e.reason)
	a := w.send(contact(0))
	var kept struct {
		Reason string `json:"reason"`
		Code   string `json:"code"`
	}
	w.eventually(e.state+": the task says why", func() bool {
		return w.get("/v1/tasks/"+a.id, &kept) && (kept.Reason == e.task || kept.Code == e.task)
	})
	w.check(slack.told(e.slack) == 1, "%s: Slack is told %d times", e.state, slack.told(e.slack))
}
