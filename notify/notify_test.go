package notify_test

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/notify"
	"whatsappd/session"
)

const (
	codeText = "https://wa.me/settings/linked_devices#2@canary-code,a,b,c,1"
	token    = "xoxb-canary-token"
)

func waiting(round, code int) session.PairingChanged {
	return session.PairingChanged{Round: session.PairingRound{
		Round: round, State: session.PairingWaiting, Code: fmt.Sprint(codeText, code), CodeIndex: code, CodeCount: 6, ExpiresAt: time.Now().Add(time.Minute),
	}}
}

func ended(round int, state session.PairingState) session.PairingChanged {
	return session.PairingChanged{Round: session.PairingRound{Round: round, State: state, Reason: "pair_expired", Detail: "<!channel> & co"}}
}

func TestTerminalDrawsReplacesAndStrikesOut(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	terminal := notify.NewTerminal(&out, true, notify.Auto)
	terminal.Observe(waiting(1, 1))
	require.Contains(t, out.String(), "█")
	require.Contains(t, out.String(), "\x1b[97;40m", "white on black, whatever the terminal's colours are")
	require.NotContains(t, out.String(), "canary", "the code's text is not printed")
	require.Contains(t, out.String(), "Code 1 of 6")
	lines := strings.Count(out.String(), "\n")

	out.Reset()
	terminal.Observe(waiting(1, 1)) // the same again
	require.Empty(t, out.String())
	terminal.Observe(waiting(1, 2))
	require.True(t, strings.HasPrefix(out.String(), fmt.Sprintf("\x1b[%dA\x1b[J", lines)), "the old code is cleared")
	require.Contains(t, out.String(), "Code 2 of 6")

	out.Reset()
	terminal.Observe(ended(1, session.PairingExpired))
	require.Contains(t, out.String(), "\x1b[J")
	require.Contains(t, out.String(), "void")
	require.NotContains(t, out.String(), "█")
}

// screen is what a terminal shows of some output: lines, with the few movements of the cursor that the program makes.
func screen(output string) []string {
	var lines []string
	for output != "" {
		if up := regexp.MustCompile(`^\x1b\[(\d+)A\x1b\[J`).FindStringSubmatch(output); up != nil {
			n, _ := strconv.Atoi(up[1])
			lines = lines[:max(0, len(lines)-n)]
			output = output[len(up[0]):]
			continue
		}
		line, rest, _ := strings.Cut(output, "\n")
		lines = append(lines, regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(line, ""))
		output = rest
	}
	return lines
}

func TestTheCodeStaysBelowTheLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	terminal := notify.NewTerminal(&out, true, notify.Auto)
	log := terminal.Above(&out)
	fmt.Fprintln(log, "before")
	terminal.Observe(waiting(1, 1))
	fmt.Fprintln(log, "one line")
	fmt.Fprint(log, "two\nlines\n")
	terminal.Observe(waiting(1, 2))
	fmt.Fprintln(log, "between")

	shown := screen(out.String())
	require.Equal(t, []string{"before", "one line", "two", "lines", "between", ""}, shown[:6])
	text := strings.Join(shown[6:], "\n")
	require.Equal(t, 1, strings.Count(text, "Scan this"), text)
	require.Contains(t, text, "Code 2 of 6")

	terminal.Observe(ended(1, session.PairingPaired))
	fmt.Fprintln(log, "after")
	require.Equal(t, []string{"before", "one line", "two", "lines", "between", "The code was scanned.", "after"}, screen(out.String()))
}

func TestALogGetsEachCodeOnceAndNoEscapes(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	terminal := notify.NewTerminal(&out, false, notify.Always)
	terminal.Observe(waiting(1, 1))
	terminal.Observe(waiting(1, 2))
	terminal.Observe(ended(1, session.PairingExpired))
	fmt.Fprintln(terminal.Above(&out), "a line of the log")
	require.NotContains(t, out.String(), "\x1b")
	require.Contains(t, out.String(), "The code above is void, the next one is below.")
	require.Contains(t, out.String(), "The code above is void: nobody scanned it in time.\na line of the log\n")
	require.Equal(t, 2, strings.Count(out.String(), "Scan this"))
}

func TestNothingIsDrawnWhereNobodyLooks(t *testing.T) {
	t.Parallel()
	for mode, tty := range map[notify.Mode]bool{notify.Auto: false, notify.Never: true} {
		var out bytes.Buffer
		terminal := notify.NewTerminal(&out, tty, mode)
		terminal.Observe(waiting(1, 1))
		terminal.Observe(ended(1, session.PairingExpired))
		require.Empty(t, out.String(), mode)
	}
}

// fakeSlack remembers the calls in order and what stands in the channel.
type fakeSlack struct {
	t      *testing.T
	server *httptest.Server

	mu      sync.Mutex
	calls   []string
	files   map[string]bool
	texts   map[string]string
	next    int
	scopes  string                   // what the app may do, separated by spaces
	answer  func(call string) string // an answer other than success, empty for success
	slow    chan struct{}            // calls wait until it is closed; nil for none
	changed chan struct{}
}

func newFakeSlack(t *testing.T) *fakeSlack {
	s := &fakeSlack{t: t, scopes: "chat:write files:write", files: map[string]bool{}, texts: map[string]string{}, changed: make(chan struct{})}
	s.server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.server.Close)
	return s
}

func (s *fakeSlack) serve(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseMultipartForm(1 << 20)
	call := strings.TrimPrefix(r.URL.Path, "/")
	if s.slow != nil {
		select {
		case <-s.slow:
		case <-r.Context().Done():
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		close(s.changed)
		s.changed = make(chan struct{})
	}()
	s.calls = append(s.calls, strings.TrimRight(call, "0123456789"))
	w.Header().Set("Content-Type", "application/json")
	if s.answer != nil {
		if answer := s.answer(call); answer != "" {
			if answer == "429" {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			fmt.Fprint(w, answer)
			return
		}
	}
	if !strings.HasPrefix(call, "upload/") && r.Header.Get("Authorization") != "Bearer "+token && r.FormValue("token") != token {
		fmt.Fprint(w, `{"ok":false,"error":"invalid_auth"}`)
		return
	}
	needed := map[string]string{"chat": "chat:write", "files": "files:write"}[strings.Split(call, ".")[0]]
	if !strings.Contains(s.scopes, needed) {
		fmt.Fprintf(w, `{"ok":false,"error":"missing_scope","needed":%q,"provided":%q}`, needed, s.scopes)
		return
	}
	switch {
	case call == "chat.postMessage":
		s.next++
		ts := fmt.Sprintf("17.%06d", s.next)
		s.texts[ts] = r.FormValue("text")
		fmt.Fprintf(w, `{"ok":true,"channel":"C1","ts":%q}`, ts)
	case call == "chat.update":
		s.texts[r.FormValue("ts")] = r.FormValue("text")
		fmt.Fprintf(w, `{"ok":true,"channel":"C1","ts":%q}`, r.FormValue("ts"))
	case call == "files.getUploadURLExternal":
		s.next++
		fmt.Fprintf(w, `{"ok":true,"upload_url":"%s/upload/%d","file_id":"F%d"}`, s.server.URL, s.next, s.next)
	case strings.HasPrefix(call, "upload/"):
		for _, headers := range r.MultipartForm.File {
			file, err := headers[0].Open()
			if err == nil {
				_, err = png.Decode(file)
			}
			if err != nil {
				s.t.Errorf("upload: %v", err)
			}
		}
	case call == "files.completeUploadExternal":
		_, id, _ := strings.Cut(r.FormValue("files"), `"id":"`)
		id, _, _ = strings.Cut(id, `"`)
		s.files[id] = true
		fmt.Fprintf(w, `{"ok":true,"files":[{"id":%q,"title":"x"}]}`, id)
	case call == "files.delete":
		delete(s.files, r.FormValue("file"))
		fmt.Fprint(w, `{"ok":true}`)
	default:
		s.t.Errorf("unexpected call %s", call)
	}
}

// until waits for a condition, which is asked after every call.
func (s *fakeSlack) until(what string, holds func() bool) {
	s.t.Helper()
	late := time.After(30 * time.Second)
	for {
		s.mu.Lock()
		ok, changed := holds(), s.changed
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-late:
			s.t.Fatalf("not reached: %s; calls %v", what, s.calls)
		}
	}
}

func (s *fakeSlack) told(part string) func() bool {
	return func() bool {
		for _, text := range s.texts {
			if strings.Contains(text, part) {
				return true
			}
		}
		return false
	}
}

// start runs a notifier with Slack and returns it with its log and a way to stop it.
func start(t *testing.T, s *fakeSlack) (n *notify.Notifier, log *safeBuffer, stop func()) {
	t.Helper()
	log = &safeBuffer{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	slack := notify.NewSlack(notify.SlackOptions{
		Token: token, Channel: "whatsapp_services", APIURL: s.server.URL, Logger: logger, Timeout: 500 * time.Millisecond, Again: 10 * time.Millisecond,
	})
	n = notify.New(notify.NewTerminal(&bytes.Buffer{}, false, notify.Never), slack, logger)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := n.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(func() {
		stop()
		require.NotContains(t, log.String(), "canary", "a token or a code is in the log")
	})
	return n, log, stop
}

// safeBuffer is a buffer that several goroutines may write.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestSlackShowsOneCodeAtATimeAndCleansUp(t *testing.T) {
	t.Parallel()
	s := newFakeSlack(t)
	n, _, _ := start(t, s)
	n.Observe(waiting(1, 1))
	require.NoError(t, n.Shown(t.Context(), 1, 1))
	s.mu.Lock()
	require.Equal(t, []string{"chat.postMessage", "files.getUploadURLExternal", "upload/", "files.completeUploadExternal"}, s.calls)
	require.Len(t, s.files, 1)
	s.mu.Unlock()

	n.Observe(waiting(1, 2))
	require.NoError(t, n.Shown(t.Context(), 1, 2))
	s.until("the first code is gone", func() bool { return len(s.files) == 1 && s.calls[len(s.calls)-1] == "files.delete" })

	n.Observe(ended(1, session.PairingExpired))
	s.until("no code is left", func() bool { return len(s.files) == 0 })
	s.until("the thread says so", s.told("expired"))
}

func TestSlackMarksEachEnd(t *testing.T) {
	t.Parallel()
	for state, want := range map[session.PairingState]string{
		session.PairingPaired:  "is linked",
		session.PairingExpired: "expired unscanned",
		session.PairingRefused: "&lt;!channel&gt; &amp; co",
		session.PairingStopped: "ended",
	} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			s := newFakeSlack(t)
			n, _, _ := start(t, s)
			n.Observe(waiting(1, 1))
			require.NoError(t, n.Shown(t.Context(), 1, 1))
			n.Observe(ended(1, state))
			s.until("no code is left", func() bool { return len(s.files) == 0 })
			s.until("the end is told", s.told(want))
		})
	}
}

func TestStoppingLeavesNoCodeBehind(t *testing.T) {
	t.Parallel()
	s := newFakeSlack(t)
	n, _, stop := start(t, s)
	n.Observe(waiting(1, 1))
	require.NoError(t, n.Shown(t.Context(), 1, 1))
	stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Empty(t, s.files)
}

func TestATroubledSlackHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"refuses":         `{"ok":false,"error":"missing_scope","needed":"files:write"}`,
		"talks nonsense":  `<html>`,
		"asks to wait":    "429",
		"wrong workspace": `{"ok":false,"error":"account_inactive"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFakeSlack(t)
			s.answer = func(string) string { return answer }
			n, log, _ := start(t, s)
			n.Observe(waiting(1, 1))
			require.NoError(t, n.Shown(t.Context(), 1, 1), "somebody who waits is not kept waiting")
			require.Contains(t, log.String(), "Slack")
			s.mu.Lock()
			s.answer = nil // it recovers
			s.mu.Unlock()
			s.until("the code is out after all", func() bool { return len(s.files) == 1 })
		})
	}
}

func TestASlackThatIsSlowHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	s := newFakeSlack(t)
	s.slow = make(chan struct{})
	n, log, _ := start(t, s)
	n.Observe(waiting(1, 1))
	require.NoError(t, n.Shown(t.Context(), 1, 1), "somebody who waits is not kept waiting")
	require.Contains(t, log.String(), "Slack")
	close(s.slow)
	s.until("the code is out after all", func() bool { return len(s.files) == 1 })
	n.Observe(ended(1, session.PairingPaired))
	s.until("no code is left", func() bool { return len(s.files) == 0 })
}

func TestAMissingScopeIsNamedInTheLog(t *testing.T) {
	t.Parallel()
	s := newFakeSlack(t)
	s.scopes = "chat:write"
	n, log, _ := start(t, s)
	n.Observe(waiting(1, 1))
	require.NoError(t, n.Shown(t.Context(), 1, 1))
	require.Contains(t, log.String(), "missing_scope")
	require.Contains(t, log.String(), "upload the pairing code")
}

func TestASlackThatIsDownHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	s := newFakeSlack(t)
	n, _, stop := start(t, s)
	s.server.Close()
	n.Observe(waiting(1, 1))
	require.NoError(t, n.Shown(t.Context(), 1, 1))
	n.Observe(ended(1, session.PairingPaired))
	stop()
}

func TestAlertsAreToldOnce(t *testing.T) {
	t.Parallel()
	s := newFakeSlack(t)
	n, _, _ := start(t, s)
	until := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for _, status := range []session.Status{
		{State: session.Online},
		{State: session.LoggedOut, Detail: "the phone <removed> it"},
		{State: session.LoggedOut, Reason: "again"},
		{State: session.Online},
		{State: session.TempBanned, Until: until},
		{State: session.Replaced},
		{State: session.Outdated},
		{State: session.Locked},
	} {
		n.Observe(session.StatusChanged{Status: status})
	}
	for _, part := range []string{"logged out: the phone &lt;removed&gt; it", "back online", "banned", "Mon, 04 May 2026", "took the WhatsApp connection over", "no longer accepts", "locked"} {
		s.until(part, s.told(part))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(t, s.texts, 6)
}

func TestEachBanIsTold(t *testing.T) {
	t.Parallel()
	s := newFakeSlack(t)
	n, _, _ := start(t, s)
	until := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	banned := func(detail string, hours int) session.StatusChanged {
		return session.StatusChanged{Status: session.Status{State: session.TempBanned, Detail: detail, Until: until.Add(time.Duration(hours) * time.Hour)}}
	}
	known := banned("told by an earlier run", 0)
	known.Again = true
	longer := banned("second", 2) // the same, met once more
	longer.Again = true
	n.Observe(known)
	for _, event := range []session.StatusChanged{banned("first", 0), banned("first", 0), banned("first", 1), banned("second", 1), longer, banned("third", 3)} {
		n.Observe(session.StatusChanged{Status: session.Status{State: session.Connecting}})
		n.Observe(event)
	}
	s.until("the last one", s.told("third"))
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(t, s.texts, 4, "%v", s.texts)
}

func TestARestartTellsNothingAnew(t *testing.T) {
	t.Parallel()
	s := newFakeSlack(t)
	n, _, _ := start(t, s)
	n.Observe(session.StatusChanged{Status: session.Status{State: session.LoggedOut}, Again: true})
	n.Observe(session.StatusChanged{Status: session.Status{State: session.Online}})
	n.Observe(session.StatusChanged{Status: session.Status{State: session.Backoff, Reason: "connect_refused_409"}})
	n.Observe(session.StatusChanged{Status: session.Status{State: session.Connecting, Reason: "connect_refused_409"}})
	n.Observe(session.StatusChanged{Status: session.Status{State: session.Backoff, Reason: "connect_refused_409"}})
	for _, part := range []string{"back online", "connect_refused_409"} {
		s.until(part, s.told(part))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(t, s.texts, 2)
}
