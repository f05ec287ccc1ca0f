package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

const slackToken = "xoxb-canary-of-the-faults"

// slackInTrouble pairs while Slack is down, asks for time, refuses, or never answers. The code is on the other channels all the
// same, and the token is in no log.
func slackInTrouble(t *trial) {
	const asksFor = 2 * time.Second
	var mu sync.Mutex
	var calls []time.Time
	server := func(answer func(w http.ResponseWriter, r *http.Request)) string {
		s := httptest.NewServer(http.HandlerFunc(answer))
		t.cleanup(s.CloseClientConnections)
		return s.URL + "/"
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	t.must(err, "take a port")
	_ = closed.Close()
	for what, url := range map[string]string{
		"down": "http://" + closed.Addr().String() + "/",
		"429": server(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, time.Now())
			w.Header().Set("Retry-After", fmt.Sprint(asksFor.Seconds()))
			w.WriteHeader(http.StatusTooManyRequests)
		}),
		"ok:false": server(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"ok":false,"error":"channel_not_found"}`)
		}),
		"silent": server(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}),
	} {
		w := newWorld(t)
		w.settings["WHATSAPPD_DATA_DIR"] += "-" + strings.ReplaceAll(what, ":", "-")
		w.settings["WHATSAPPD_SLACK_TOKEN"] = slackToken
		w.settings["WHATSAPPD_SLACK_API_URL"] = url
		w.serve()
		if what == "429" {
			t.within(30*time.Second, "Slack is asked again", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(calls) >= 2
			})
		}
		took := t.within(30*time.Second, "a code is live though Slack is "+what, func() bool { return w.code() != "" })
		w.pair()
		w.send(contact(0))
		w.reckon()
		code, stopped := w.daemon.stop()
		t.check(code == 0 && stopped < 10*time.Second, "Slack %s: the daemon ended with %d after %s", what, code, stopped)
		t.check(!w.daemon.contains(slackToken), "Slack %s: its token is in the log", what)
		t.check(took < 5*time.Second, "Slack %s: the code was live after %s", what, took)
		w.whatsapp.kill()
		t.result.Cycles++
	}
	mu.Lock()
	defer mu.Unlock()
	for i := range len(calls) - 1 {
		pause := calls[i+1].Sub(calls[i])
		t.check(pause >= asksFor-100*time.Millisecond, "Slack asked for %s and was called again after %s", asksFor, pause)
	}
}
