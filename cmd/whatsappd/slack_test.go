package main

import (
	"fmt"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const slackToken = "xoxb-canary-slack-token"

// fakeSlack answers the few calls of Slack's API that the daemon makes, and remembers what stands in the channel.
type fakeSlack struct {
	t      testing.TB
	server *httptest.Server

	mu    sync.Mutex
	next  int
	files map[string]bool   // shown now
	texts map[string]string // by message
	said  []string          // all texts that were ever there
	more  chan struct{}     // closed and replaced at every change
}

// withSlack gives the world's daemon a Slack channel.
func (w *world) withSlack() *fakeSlack {
	s := &fakeSlack{t: w.t, files: map[string]bool{}, texts: map[string]string{}, more: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("/chat.postMessage", s.message)
	mux.HandleFunc("/chat.update", s.message)
	mux.HandleFunc("/files.getUploadURLExternal", s.uploadURL)
	mux.HandleFunc("/upload/", s.upload)
	mux.HandleFunc("/files.completeUploadExternal", s.complete)
	mux.HandleFunc("/files.delete", s.remove)
	s.server = httptest.NewServer(mux)
	w.t.Cleanup(s.server.Close)
	w.settings["WHATSAPPD_SLACK_TOKEN"] = slackToken
	w.settings["WHATSAPPD_SLACK_API_URL"] = s.server.URL + "/"
	w.slack = s
	return s
}

// everything returns all that was ever said.
func (s *fakeSlack) everything() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.said)
}

// TestASlackThatNeverAnswersStopsNoPairing has the daemon wait for a Slack that takes calls and says nothing.
func TestASlackThatNeverAnswersStopsNoPairing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	mute := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a request that is not read to its end tells of no disconnect
		<-r.Context().Done()
	}))
	t.Cleanup(mute.Close)
	w.settings["WHATSAPPD_SLACK_TOKEN"] = slackToken
	w.settings["WHATSAPPD_SLACK_API_URL"] = mute.URL + "/"
	w.serve()
	w.pair()
	w.hook.result(w.ws("message", contact(1), "hello"), "True")
	code, took := w.daemon.stop()
	require.Zero(t, code, "exit code")
	require.Less(t, took, 8*time.Second)
	require.NotContains(t, w.daemon.output(), slackToken, "the Slack token is in the output")
}

// answer writes Slack's answer, or refuses a call without the token.
func (s *fakeSlack) answer(w http.ResponseWriter, r *http.Request, change func() string) {
	_ = r.ParseMultipartForm(1 << 20)
	if r.Header.Get("Authorization") != "Bearer "+slackToken && r.FormValue("token") != slackToken {
		fmt.Fprint(w, `{"ok":false,"error":"invalid_auth"}`)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"ok":true%s}`, change())
	close(s.more)
	s.more = make(chan struct{})
}

func (s *fakeSlack) message(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, func() string {
		ts := r.FormValue("ts")
		if ts == "" {
			s.next++
			ts = fmt.Sprintf("1700000000.%06d", s.next)
		}
		s.texts[ts] = r.FormValue("text")
		s.said = append(s.said, r.FormValue("text"))
		return fmt.Sprintf(`,"channel":"C0000000001","ts":%q`, ts)
	})
}

func (s *fakeSlack) uploadURL(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, func() string {
		s.next++
		return fmt.Sprintf(`,"upload_url":"%s/upload/F%d","file_id":"F%d"`, s.server.URL, s.next, s.next)
	})
}

// upload takes the picture; Slack wants no token here.
func (s *fakeSlack) upload(w http.ResponseWriter, r *http.Request) {
	file, _, err := r.FormFile("filename")
	if err != nil {
		file, _, err = r.FormFile("file")
	}
	if err == nil {
		_, err = png.Decode(file)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func (s *fakeSlack) complete(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, func() string {
		_, id, _ := strings.Cut(r.FormValue("files"), `"id":"`)
		id, _, _ = strings.Cut(id, `"`)
		s.files[id] = true
		return fmt.Sprintf(`,"files":[{"id":%q,"title":"code"}]`, id)
	})
}

func (s *fakeSlack) remove(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, func() string {
		delete(s.files, r.FormValue("file"))
		return ""
	})
}

// wantsFile waits until a code stands in the channel.
func (s *fakeSlack) wantsFile() {
	s.t.Helper()
	s.until("a code in Slack", func() bool { return len(s.files) > 0 })
}

// wantsNoFile waits until no code is left in the channel.
func (s *fakeSlack) wantsNoFile() {
	s.t.Helper()
	s.until("no code left in Slack", func() bool { return len(s.files) == 0 && s.next > 0 })
}

// wantsText waits for a message that contains a text, in any case.
func (s *fakeSlack) wantsText(part string) {
	s.t.Helper()
	s.until("a message in Slack with "+part, func() bool {
		for _, text := range s.texts {
			if strings.Contains(strings.ToLower(text), strings.ToLower(part)) {
				return true
			}
		}
		return false
	})
}

func (s *fakeSlack) until(what string, holds func() bool) {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		s.mu.Lock()
		ok, more := holds(), s.more
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-more:
		case <-deadline:
			require.Fail(s.t, "Slack did not get there", "%s; messages: %v", what, s.texts)
		}
	}
}
