package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/callback"
	"whatsappd/httpapi"
	"whatsappd/session"
	"whatsappd/task"
)

const token = "token-of-at-least-twenty-characters"

// world is a running API over fakes that remember.
type world struct {
	t       testing.TB
	api     *httpapi.API
	address string
	log     *safeBuffer

	mu       sync.Mutex
	accepted []task.New
	refuse   error // what Accept answers
	stuck    bool
	disk     error      // of Writable
	kept     *task.Task // in place of the usual one
	status   session.Status
	round    session.PairingRound
	now      time.Time
	optedOut map[string]time.Time
}

func newWorld(t testing.TB, changes ...func(*httpapi.Options)) *world {
	t.Helper()
	w := &world{t: t, log: &safeBuffer{}, now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC), optedOut: map[string]time.Time{}}
	w.status = session.Status{Account: "default", State: session.Online, Since: w.now, Number: "4917600000001", LID: "123"}
	guard, err := callback.NewGuard([]string{"127.0.0.1:9000"}, ownAddresses)
	require.NoError(t, err)
	options := httpapi.Options{
		GuessDelay: time.Nanosecond,
		Tokens:     []string{"another-token-of-some-length", token}, Version: "v1", Account: "default", Logger: slog.New(slog.NewJSONHandler(w.log, nil)),
		Now: func() time.Time { return w.now },
	}
	for _, change := range changes {
		change(&options)
	}
	w.api, err = httpapi.New(options, w, w, w, w, guard, http.NotFoundHandler())
	require.NoError(t, err)
	server := httptest.NewServer(w.api.Handler())
	t.Cleanup(server.Close)
	w.address = server.Listener.Addr().String()
	return w
}

func (w *world) Accept(_ context.Context, n task.New) (task.Accepted, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse != nil {
		return task.Accepted{}, w.refuse
	}
	if known, err := w.earlier(n); err == nil {
		return known, nil
	}
	w.accepted = append(w.accepted, n)
	return task.Accepted{ID: "0199-id"}, nil
}

func (w *world) Earlier(_ context.Context, n task.New) (task.Accepted, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.earlier(n)
}

func (w *world) earlier(n task.New) (task.Accepted, error) {
	for _, known := range w.accepted {
		if n.IdempotencyKey != "" && known.IdempotencyKey == n.IdempotencyKey {
			return task.Accepted{ID: "0199-id", Duplicate: true}, nil
		}
	}
	return task.Accepted{}, task.ErrNotFound
}

func (w *world) Get(_ context.Context, id task.ID) (task.Task, error) {
	if id != "0199-id" {
		return task.Task{}, task.ErrNotFound
	}
	return w.task(), nil
}

func (w *world) task() task.Task {
	if w.kept != nil {
		return *w.kept
	}
	return task.Task{
		ID: "0199-id", Seq: 7, Kind: task.Message, Number: "4915112345678", Text: "canary-text", MessageID: "3EB0", State: task.Done, Verdict: task.Yes,
		Attempt: 1, ReturnURL: "http://host/cb?secret=canary-query", Created: w.now, Started: w.now, Finished: w.now,
		Contact:   task.Identity{ID: "c_1", Phone: "4915112345679", LID: "77@lid"},
		Canonical: "4915112345679", LID: "77@lid", Delivery: task.DeliveryDelivered, DeliveryAt: w.now, DeliveredBy: task.ByCompanion,
	}
}

func (w *world) Timeline(context.Context, task.ID) ([]task.Step, error) {
	return []task.Step{{At: w.now, What: task.StepQueued}, {At: w.now, What: task.StepRetried, Detail: "wa_500"}}, nil
}

func (w *world) List(context.Context, task.State, int64, int) ([]task.Task, error) {
	return []task.Task{w.task()}, nil
}

func (w *world) Contact(_ context.Context, _, number string) (task.Contact, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := task.Contact{FirstSent: w.now, OptedOut: w.optedOut[number]}
	switch number {
	case "4915112345678", "77@lid", "c_1":
		known.Identity = task.Identity{ID: "c_1", Phone: "4915112345678", LID: "77@lid"}
	case "88@lid", "c_2":
		known.Identity = task.Identity{ID: "c_2", LID: "88@lid"}
	case "99@lid", "c_3":
		return task.Contact{}, nil
	}
	return known, nil
}

func (w *world) OptOut(_ context.Context, _ string, numbers []string, at time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, number := range numbers {
		w.optedOut[number] = at
	}
	return nil
}

func (w *world) OptIn(_ context.Context, _, number string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.optedOut, number)
	return nil
}

func (w *world) Activity(_ context.Context, _ string, since time.Time) (task.Activity, error) {
	return task.Activity{NewChats: int(w.now.Sub(since) / time.Hour), Replies: 2, Failures: 3}, nil
}

func (w *world) Writable(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.disk
}

func (w *world) Deliveries(context.Context, callback.State, string, int) ([]callback.Delivery, error) {
	return []callback.Delivery{{ID: "cb_1", TaskID: "0199-id", URL: "http://host/cb?secret=canary-query", State: callback.Dead, Attempt: 10, LastStatus: 500, Created: w.now}}, nil
}

func (w *world) Attempts(context.Context, string) ([]callback.Attempt, error) {
	return nil, callback.ErrNotFound
}

func (w *world) Replay(_ context.Context, id string, _ time.Time) error {
	if id == "cb_1" {
		return nil
	}
	return callback.ErrNotDead
}

func (w *world) Status() session.Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

func (w *world) Alive() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.stuck
}

func (w *world) Pairing() session.PairingRound { return w.round }

func (w *world) Pair(context.Context) (session.PairingRound, error) {
	return session.PairingRound{}, session.ErrAlreadyPaired
}

func (w *world) PairPhone(_ context.Context, number session.Number) (session.PairingRound, error) {
	if number == "4915112345670" {
		return session.PairingRound{}, &session.Error{Code: session.CodePairRateLimited, After: time.Minute}
	}
	return session.PairingRound{State: session.PairingWaiting, PhoneCode: "ABCD-1234", PhoneCodeFor: number}, nil
}

func (w *world) AnswerPasskey(_ context.Context, answer json.RawMessage) error {
	if string(answer) != `{"id":"x"}` {
		return &session.Error{Code: session.CodePasskeyInvalid}
	}
	return nil
}

func (w *world) ConfirmPasskey(context.Context) error { return session.ErrNoPasskey }

func (w *world) ConfirmNumber(context.Context) error { return session.ErrNotPaired }

func (w *world) HoldsToken(_ context.Context, lid string) (bool, error) { return lid == "77@lid", nil }

func (w *world) NewMessageID() session.MessageID { return "3EB0FIXED" }

// last returns the work that was accepted last.
func (w *world) last() task.New {
	w.mu.Lock()
	defer w.mu.Unlock()
	require.NotEmpty(w.t, w.accepted)
	return w.accepted[len(w.accepted)-1]
}

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.accepted)
}

// raw sends a request exactly as written.
func (w *world) raw(request string) (*http.Response, string) {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.address)
	require.NoError(w.t, err)
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, request) }() // a refused request may not be read to its end
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	require.NoError(w.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	return res, string(body)
}

// call sends a request of a path as it stands, with headers.
func (w *world) call(method, path string, headers ...string) (*http.Response, string) {
	w.t.Helper()
	return w.raw(method + " " + path + " HTTP/1.1\r\nHost: whatsappd\r\nContent-Length: 0\r\nConnection: close\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\n")
}

const auth = "Authorization: Token token=" + token

func TestPathsAreReadAsTheyWereSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const back = "http%3A%2F%2Fhost%2Fcb"
	for _, c := range []struct {
		path, number, text, url string
	}{
		{"/ws/check/4915112345678/" + back, "4915112345678", "", "http://host/cb"},
		{"/ws/check/+4915112345678/" + back, "4915112345678", "", "http://host/cb"},
		{"/ws/check/%2B4915112345678/" + back, "4915112345678", "", "http://host/cb"},
		{"/ws/check/+49%20(151)%20123-45.678/" + back, "4915112345678", "", "http://host/cb"},
		{"/ws/check/(49)15112345678/" + back, "4915112345678", "", "http://host/cb"},
		{"/ws/check/4915112345678/http://host:9000/cb?x=1", "4915112345678", "", "http://host:9000/cb?x=1"},
		{"/ws/check/4915112345678/http:/host:9000/cb?x=1", "4915112345678", "", "http://host:9000/cb?x=1"},
		{"/ws/check/4915112345678/http%3A%2F%2Fhost%3A9000%2Fcb%3Fx%3D1", "4915112345678", "", "http://host:9000/cb?x=1"},
		{"/ws/check/4915112345678/http%3A//host%3A9000/cb%3Fx%3D1", "4915112345678", "", "http://host:9000/cb?x=1"},
		{"/ws/check/4915112345678/http:%2F%2Fhost:9000%2Fcb%3Fx%3D1", "4915112345678", "", "http://host:9000/cb?x=1"},
		{"/ws/check/4915112345678/http%3A%2F%2Fhost%2Fcb%3Fx%3D1?y=2", "4915112345678", "", "http://host/cb?x=1&y=2"},
		{"/ws/check/4915112345678/http://host/a%2Fb%20c", "4915112345678", "", "http://host/a%2Fb%20c"},
		{"/ws/check/4915112345678/http://host/cb/", "4915112345678", "", "http://host/cb/"},
		{"/ws/check/4915112345678/http://BÜCHER.example:9000/cb", "4915112345678", "", "http://xn--bcher-kva.example:9000/cb"},
		{"/ws/check/4915112345678/http%3A%2F%2F%EF%BD%82u%CC%88cher%E3%80%82example%2Fcb", "4915112345678", "", "http://xn--bcher-kva.example/cb"},
		{"/ws/check/4915112345678/HTTP://host/cb", "4915112345678", "", "http://host/cb"},
		{"/ws/check/4915112345678/http://127.0.0.1:9000/cb", "4915112345678", "", "http://127.0.0.1:9000/cb"},
		{"/ws/message/4915112345678/a%2Fb/" + back, "4915112345678", "a/b", "http://host/cb"},
		{"/ws/message/4915112345678/a%2Fhttp:%2F%2Fevil%2F|/" + back, "4915112345678", "a/http://evil/|", "http://host/cb"},
		{"/ws/message/4915112345678/%252F/" + back, "4915112345678", "%2F", "http://host/cb"},
		{"/ws/message/4915112345678/a%20b+c/" + back, "4915112345678", "a b+c", "http://host/cb"},
		{"/ws/message/4915112345678/../" + back, "4915112345678", "..", "http://host/cb"},
		{"/ws/message/4915112345678/%2e%2e/" + back, "4915112345678", "..", "http://host/cb"},
		{"/ws/message/4915112345678/what%3F%23/" + back, "4915112345678", "what?#", "http://host/cb"},
		{"/ws/message/4915112345678/\"raw|ümlaut\"/" + back, "4915112345678", "\"raw|ümlaut\"", "http://host/cb"},
		{"/ws/message/4915112345678/a%0D%0Ab%1B[31m/" + back, "4915112345678", "a\r\nb\x1b[31m", "http://host/cb"},
		{"/ws/login/" + back, "", "", "http://host/cb"},
		{"/ws/logout/http:/host/cb", "", "", "http://host/cb"},
	} {
		res, body := w.call("POST", c.path, auth)
		require.Equal(t, http.StatusAccepted, res.StatusCode, "%s: %s", c.path, body)
		name, _, _ := strings.Cut(strings.TrimPrefix(c.path, "/ws/"), "/")
		require.Equal(t, fmt.Sprintf(`{"data":{"task_id":"0199-id","task_name":"whatsapp %s"},"status":"success"}`, name), body)
		got := w.last()
		require.Equal(t, c.number, got.Number, c.path)
		require.Equal(t, c.text, got.Text, c.path)
		require.Equal(t, c.url, got.ReturnURL, c.path)
		require.Equal(t, "4917600000001", got.ForNumber)
		require.NotEmpty(t, got.RequestHash)
		require.Len(t, got.TokenID, 8)
		if got.Kind == task.Message {
			require.Equal(t, "3EB0FIXED", got.MessageID)
		}
	}
}

func TestBadPathsAreRefusedWithAReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const back = "http%3A%2F%2Fhost%2Fcb"
	long := strings.Repeat("a", 2048-len("http://host/"))
	for _, path := range []string{
		"/ws/check/4915112345678", "/ws/check/4915112345678/", "/ws/check//" + back, "/ws/login", "/ws/login/", "/ws/logout/",
		"/ws/message/4915112345678/hello", "/ws/message/4915112345678/hello/", "/ws/message/4915112345678", "/ws/message/4915112345678//" + back,
		"/ws/message/4915112345678/%20%20/" + back, "/ws/message/4915112345678/a/b/" + back, "/ws/message/4915112345678/what?/" + back,
		"/ws/message/4915112345678/a#b/" + back, "/ws/message/4915112345678/#/" + back,
		"/ws/message/4915112345678/%00x/" + back, "/ws/message/4915112345678/%ff%fe/" + back, "/ws/message/4915112345678/%ED%A0%80/" + back,
		"/ws/message/4915112345678/" + strings.Repeat("a", 65537) + "/" + back,
		"/ws/check/0/" + back, "/ws/check/00491511234567/" + back, "/ws/check/015112345678/" + back, "/ws/check/123456/" + back, "/ws/check/1234567890123456/" + back,
		"/ws/check/%D9%A1%D9%A2%D9%A31234567/" + back, "/ws/check/123456789@g.us/" + back, "/ws/check/49151:4@s.whatsapp.net/" + back, "/ws/check/1e10000000/" + back,
		"/ws/check/0x491511234/" + back, "/ws/check/-4915112345678/" + back, "/ws/check/++4915112345678/" + back, "/ws/check/1%2F2/" + back,
		"/ws/login/ftp%3A%2F%2Fhost%2F", "/ws/login/file:///etc/passwd", "/ws/login/javascript:alert(1)", "/ws/login/host/cb", "/ws/login//host/cb",
		"/ws/login/http:///cb", "/ws/login/http://", "/ws/login/http://:80/", "/ws/login/http%3A%2F%2F%3Fx", "/ws/login/http://a:b@host/", "/ws/login/http://host@evil/",
		"/ws/login/http://host:0/", "/ws/login/http://host:65536/", "/ws/login/http://host:80abc/", "/ws/login/http://host:/",
		"/ws/login/http%3A%2F%2Fhost%2F%23frag", "/ws/login/http%3A%2F%2Fhost%2Fa%20b", "/ws/login/http%3A%2F%2Fhost%5C@evil%2F", "/ws/login/http%3A%2F%2Fhost%2F%0d%0aX:1",
		"/ws/login/http://127.0.0.1/", "/ws/login/http://localhost:9000/", "/ws/login/http://2130706433/", "/ws/login/http%3A%2F%2F[::1]%2F", "/ws/login/http://10.0.0.1/",
		"/ws/login/http://host/" + long + "a",
	} {
		res, body := w.call("POST", path, auth)
		require.Equal(t, http.StatusBadRequest, res.StatusCode, "%.80s: %s", path, body)
		require.Contains(t, body, `{"status":"failed","message":"`, path)
	}
	require.Zero(t, w.count(), "nothing was accepted")
	res, _ := w.call("POST", "/ws/login/http://host/"+long, auth)
	require.Equal(t, http.StatusAccepted, res.StatusCode, "2,048 bytes are allowed")
	res, _ = w.call("POST", "/ws/message/4915112345678/"+strings.Repeat("%F0%9F%98%80", 65536)+"/"+back, auth)
	require.Equal(t, http.StatusAccepted, res.StatusCode, "65,536 characters are allowed")
	require.Equal(t, strings.Repeat("😀", 65536), w.last().Text)
	res, _ = w.call("POST", "/ws/message/4915112345678/"+strings.Repeat("a", 1200000)+"/"+back, auth)
	require.Contains(t, []int{http.StatusRequestHeaderFieldsTooLarge, http.StatusRequestURITooLong}, res.StatusCode)
}

func TestTokensAreAskedForBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const unauthorized = `{"status":"failed","message":"Request rejected. Token incorrect or not provided"}`
	for _, headers := range [][]string{
		{}, {"Authorization: Token token="}, {"Authorization: Token"}, {"Authorization: Token token"}, {"Authorization: token=" + token},
		{"Authorization: Token token=wrong"}, {auth + "x"}, {"Authorization: Token token=" + token[1:]}, {"Authorization: Token TOKEN=" + token},
		{"Authorization: Bearer " + token}, {"Authorization: Basic " + token}, {"Authorization: Token " + token}, {auth + `, nonce="x"`},
		{auth, auth}, {auth, "Authorization: Token token=wrong"}, {"Authorization: Token token=" + strings.ToUpper(token)},
	} {
		for _, path := range []string{"/ws/login/x", "/ws/nothing", "/ws/check/1"} {
			for _, method := range []string{"POST", "GET", "DELETE"} {
				res, body := w.call(method, path+"?token="+token, headers...)
				require.Equal(t, http.StatusUnauthorized, res.StatusCode, "%s %v", path, headers)
				require.Equal(t, unauthorized, body)
				require.Equal(t, "Token", res.Header.Get("WWW-Authenticate"))
			}
		}
	}
	for _, path := range []string{"/v1/status", "/nothing", "/internal%2Fping", "/metrics"} {
		res, body := w.call("GET", path)
		require.Equal(t, http.StatusUnauthorized, res.StatusCode, path)
		require.Contains(t, body, `"code":"unauthorized"`)
		require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
	}
	for _, header := range []string{auth, `Authorization: Token token="` + token + `"`, "Authorization: TOKEN token=" + token, "Authorization: token token=another-token-of-some-length"} {
		res, body := w.call("POST", "/ws/login/http://host/", header)
		require.Equal(t, http.StatusAccepted, res.StatusCode, "%s: %s", header, body)
	}
	res, _ := w.call("GET", "/v1/status", "Authorization: Bearer "+token)
	require.Equal(t, http.StatusOK, res.StatusCode)
	for path, status := range map[string]int{"/internal/ping": 200, "/healthz": 200, "/readyz": 200} {
		res, _ := w.call("GET", path)
		require.Equal(t, status, res.StatusCode, path)
	}
}

func TestHealthIsOfTheLoopAndReadinessOfTheConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, state := range []session.State{
		session.Unpaired, session.Pairing, session.Connecting, session.Degraded, session.Backoff, session.Replaced,
		session.Outdated, session.TempBanned, session.Locked, session.LoggedOut,
	} {
		w.mu.Lock()
		w.status = session.Status{State: state, Reason: "why"}
		w.mu.Unlock()
		res, body := w.call("GET", "/readyz")
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, state)
		require.Equal(t, `{"status":"`+string(state)+`","reason":"why"}`, body)
		res, _ = w.call("GET", "/healthz")
		require.Equal(t, http.StatusOK, res.StatusCode, state)
	}
	w.mu.Lock()
	w.stuck = true
	w.mu.Unlock()
	res, body := w.call("GET", "/healthz")
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.Contains(t, body, `"status":"stuck"`)
}

func TestADiskThatKeepsNothingIsNotReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for reason, disk := range map[string]error{"disk_full": fmt.Errorf("try: %w", task.ErrFull), "store_failed": errors.New("read-only")} {
		w.mu.Lock()
		w.disk = disk
		w.mu.Unlock()
		res, body := w.call("GET", "/readyz")
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
		require.Equal(t, `{"status":"online","reason":"`+reason+`"}`, body)
		res, _ = w.call("GET", "/healthz")
		require.Equal(t, http.StatusOK, res.StatusCode, "a new process makes no space")
	}
}

func TestOtherPathsAndMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/ws/nothing", "/ws", "/ws/", "/ws/checks/1/2"} {
		res, body := w.call("POST", path, auth)
		require.Equal(t, http.StatusNotFound, res.StatusCode, path)
		require.Equal(t, `{"status":"failed","message":"Invalid path"}`, body)
	}
	for _, path := range []string{"//ws/check/4915112345678/http://host/", "/ws//check/4915112345678/http://host/", "/WS/CHECK/4915112345678/http://host/", "/./ws/login/http://host/"} {
		res, _ := w.call("POST", path, auth)
		require.Equal(t, http.StatusNotFound, res.StatusCode, path)
		require.Empty(t, res.Header.Get("Location"))
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "FOO"} {
		for _, path := range []string{"/ws/check/4915112345678/http://host/", "/ws/login/http://host/", "/ws/logout/http://host/"} {
			res, _ := w.call(method, path, auth)
			require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode, "%s %s", method, path)
			require.Equal(t, "POST", res.Header.Get("Allow"))
		}
	}
	require.Zero(t, w.count())
	res, body := w.call("GET", "/internal/ping")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "<html><body>pong</body></html>", body)
}

func TestFailuresBelowHaveTheirAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		ws, v1 int
		retry  bool
	}{
		{task.ErrIdempotency, 409, 409, false},
		{task.ErrFull, 503, 507, true},
		{fmt.Errorf("accept: %w", task.ErrUnwritable), 503, 503, true},
		{task.ErrStopping, 503, 503, true},
		{task.ErrQueueFull, 503, 503, true},
		{io.ErrUnexpectedEOF, 500, 500, false},
	} {
		w := newWorld(t)
		w.refuse = c.err
		res, body := w.call("POST", "/ws/check/4915112345678/http://host/", auth)
		require.Equal(t, c.ws, res.StatusCode, body)
		require.Contains(t, body, `"status":"failed"`)
		require.Equal(t, c.retry, res.Header.Get("Retry-After") != "")
		require.NotContains(t, body, "EOF", "causes stay in the log")
		res, body = w.post(`{"kind":"check","to":"4915112345678"}`)
		require.Equal(t, c.v1, res.StatusCode, body)
		require.Contains(t, body, `"code":`)
	}
}

// post sends a JSON body to the tasks of the operators' API.
func (w *world) post(body string) (*http.Response, string) { return w.postTo("/v1/tasks", body) }

func (w *world) postTo(path, body string) (*http.Response, string) {
	return w.raw(fmt.Sprintf("POST "+path+" HTTP/1.1\r\nHost: whatsappd\r\n%s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", auth, len(body), body))
}

func TestStoppingTakesNoWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.api.Stop()
	for _, path := range []string{"/ws/check/4915112345678/http://host/", "/v1/pairing", "/v1/callbacks/cb_1/replay"} {
		res, body := w.call("POST", path, auth)
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, body)
		require.NotEmpty(t, res.Header.Get("Retry-After"))
		require.True(t, res.Close)
	}
	res, _ := w.call("GET", "/v1/status", auth)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Zero(t, w.count())
}

func TestTenLogInsADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 10 {
		res, _ := w.call("POST", "/ws/login/http://host/", auth)
		require.Equal(t, http.StatusAccepted, res.StatusCode)
	}
	res, body := w.call("POST", "/ws/login/http://host/", auth)
	require.Equal(t, http.StatusTooManyRequests, res.StatusCode, body)
	require.Equal(t, "86400", res.Header.Get("Retry-After"), "seconds until the first of them is a day old")
	w.now = w.now.Add(24*time.Hour - 90*time.Second)
	res, _ = w.call("POST", "/ws/login/http://host/", auth)
	require.Equal(t, "90", res.Header.Get("Retry-After"))
	w.now = w.now.Add(90 * time.Second)
	res, _ = w.call("POST", "/ws/login/http://host/", auth)
	require.Equal(t, http.StatusAccepted, res.StatusCode)
}

func TestOnlyLogInsThatWereTakenCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	login := func(key string) int {
		res, _ := w.call("POST", "/ws/login/http://host/", auth, "Idempotency-Key: "+key)
		return res.StatusCode
	}
	for range 20 {
		require.Equal(t, http.StatusAccepted, login("the same"))
	}
	w.refuse = task.ErrFull
	for range 20 {
		require.Equal(t, http.StatusServiceUnavailable, login("refused"))
	}
	w.refuse = nil
	for i := range 9 {
		require.Equal(t, http.StatusAccepted, login(fmt.Sprintf("another %d", i)))
	}
	require.Equal(t, http.StatusTooManyRequests, login("an eleventh"))
	require.Equal(t, http.StatusAccepted, login("the same"), "a repeat is answered as before, also when nothing new is taken")
	require.Equal(t, 10, w.count())
}

func TestATokenMayAskForSoManyTasksAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *httpapi.Options) { o.PerMinute = 3 })
	const path = "/ws/check/4915112345678/http://host/"
	for range 3 {
		res, _ := w.call("POST", path, auth)
		require.Equal(t, http.StatusAccepted, res.StatusCode)
	}
	res, body := w.call("POST", path, auth)
	require.Equal(t, http.StatusTooManyRequests, res.StatusCode)
	require.Equal(t, "20", res.Header.Get("Retry-After"))
	require.Contains(t, body, `{"status":"failed","message":"Too many tasks with this token: nothing was accepted.`)
	res, body = w.post(`{"kind":"check","to":"4915112345678"}`)
	require.Equal(t, http.StatusTooManyRequests, res.StatusCode)
	require.Contains(t, body, `"code":"too_many_tasks"`)
	res, _ = w.call("POST", "/ws/check/1/http://host/", auth)
	require.Equal(t, http.StatusBadRequest, res.StatusCode, "what is wrong is told first")
	res, _ = w.call("GET", "/v1/status", auth)
	require.Equal(t, http.StatusOK, res.StatusCode, "who only looks is not limited")
	require.Equal(t, 3, w.count())
	res, _ = w.call("POST", path, "Authorization: Token token=another-token-of-some-length")
	require.Equal(t, http.StatusAccepted, res.StatusCode, "another caller")
	w.now = w.now.Add(20 * time.Second)
	res, _ = w.call("POST", path, auth)
	require.Equal(t, http.StatusAccepted, res.StatusCode)
}

func TestOperatorsSeeWhatHappensAndNoSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for path, want := range map[string]string{
		"/v1/status":               `{"account":"default","state":"online","since":"2026-05-04T12:00:00Z","number":"4917600000001","lid":"123","version":"v1",` + activity + `}`,
		"/v1/pairing":              `{"state":"","round":0}`,
		"/v1/tasks/0199-id":        `{"id":"0199-id","kind":"message","number":"4915112345678","contact_id":"c_1","phone":"+4915112345679","lid":"77@lid","addressed_as":"lid","message_id":"3EB0","destination":"http://host:80","state":"done","verdict":"yes","attempt":1,"canonical":"4915112345679","delivery":"delivered","delivery_at":"2026-05-04T12:00:00Z","delivered_by":"companion","warnings":["delivered_companion_only"],"created_at":"2026-05-04T12:00:00Z","started_at":"2026-05-04T12:00:00Z","finished_at":"2026-05-04T12:00:00Z","timeline":[{"at":"2026-05-04T12:00:00Z","what":"queued"},{"at":"2026-05-04T12:00:00Z","what":"retried","detail":"wa_500"}]}`,
		"/v1/callbacks?state=dead": `{"callbacks":[{"id":"cb_1","task_id":"0199-id","destination":"http://host:80","state":"dead","attempt":10,"last_status":500,"created_at":"2026-05-04T12:00:00Z"}]}`,
		"/healthz":                 `{"status":"alive"}`,
		"/readyz":                  `{"status":"online"}`,
	} {
		res, body := w.call("GET", path, auth)
		require.Equal(t, http.StatusOK, res.StatusCode, path)
		require.Equal(t, want, body)
		require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
		require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
		require.NotEmpty(t, res.Header.Get("X-Request-Id"))
	}
	for path, status := range map[string]int{
		"/v1/tasks/unknown": 404, "/v1/tasks?state=odd": 400, "/v1/tasks?limit=0": 400, "/v1/callbacks?state=odd": 400, "/v1/callbacks/x": 404, "/v1/nothing": 404,
	} {
		res, body := w.call("GET", path, auth)
		require.Equal(t, status, res.StatusCode, "%s: %s", path, body)
		require.Contains(t, body, `"code":"`)
	}
	res, _ := w.call("POST", "/v1/pairing", auth)
	require.Equal(t, http.StatusConflict, res.StatusCode)
	res, _ = w.call("POST", "/v1/callbacks/other/replay", auth)
	require.Equal(t, http.StatusConflict, res.StatusCode)
}

func TestTheLiveCodeIsAlsoAPicture(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.round = session.PairingRound{Round: 1, State: session.PairingWaiting, Code: "2@code", CodeIndex: 1, CodeCount: 6, ExpiresAt: w.now}
	res, body := w.call("GET", "/v1/pairing", auth)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Contains(t, body, `"code":"2@code"`)
	res, body = w.call("GET", "/v1/pairing", auth, "Accept: image/png")
	require.Equal(t, "image/png", res.Header.Get("Content-Type"))
	require.True(t, strings.HasPrefix(body, "\x89PNG"))
}

func TestWrongTokensAgainAndAgainAreLoggedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 30 {
		res, _ := w.call("GET", "/v1/status", "Authorization: Bearer canary-token")
		require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	}
	res, _ := w.call("GET", "/v1/status", auth)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, 1, strings.Count(w.log.String(), "wrong tokens"))
	require.NotContains(t, w.log.String(), "canary")
}

func TestPairingByATypedCodeAndAPasskey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.round = session.PairingRound{Round: 1, State: session.PairingPasskey, Passkey: `{"challenge":"abc"}`, ExpiresAt: w.now}
	_, body := w.call("GET", "/v1/pairing", auth)
	require.Contains(t, body, `"passkey":{"challenge":"abc"}`, "the tests call from this machine")
	for _, row := range []struct {
		path, body string
		status     int
		contains   string
	}{
		{"/v1/pairing", `{"phone":"+49 151 12345678"}`, 200, `"phone_code":"ABCD-1234","phone":"4915112345678"`},
		{"/v1/pairing", `{"phone":"+49 151 12345670"}`, 429, `"code":"pair_rate_limited"`},
		{"/v1/pairing", `{"phone":"0151"}`, 400, `"code":"invalid"`},
		{"/v1/pairing", `{"fone":"1"}`, 400, `no other fields than phone`},
		{"/v1/pairing/passkey", `{"id":"x"}`, 200, `"state":"passkey_required"`},
		{"/v1/pairing/passkey", `{}`, 400, `"code":"passkey_invalid"`},
		{"/v1/pairing/passkey/confirm", ``, 409, `"code":"no_passkey_wanted"`},
	} {
		res, body := w.postTo(row.path, row.body)
		require.Equal(t, row.status, res.StatusCode, "%s %s: %s", row.path, row.body, body)
		require.Contains(t, body, row.contains)
		if row.status == http.StatusTooManyRequests {
			require.NotEmpty(t, res.Header.Get("Retry-After"))
		}
	}
}

func TestTasksCanBeGivenAsJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	res, body := w.post(`{"kind":"message","to":"+49 151 12345678","text":"hello"}`)
	require.Equal(t, http.StatusAccepted, res.StatusCode, body)
	require.Equal(t, `{"task_id":"0199-id","state":"queued"}`, body)
	require.Equal(t, "hello", w.last().Text)
	require.Empty(t, w.last().ReturnURL)
	res, body = w.post(`{"kind":"message","to":"123456789012345@lid","text":"hello"}`)
	require.Equal(t, http.StatusAccepted, res.StatusCode, body)
	require.Equal(t, "123456789012345@lid", w.last().LID)
	require.Empty(t, w.last().Number)
	for _, bad := range []string{
		``, `[]`, `{"kind":"dance"}`, `{"kind":"check"}`, `{"kind":"check","to":"77@lid"}`, `{"kind":"message","to":"77@s.whatsapp.net","text":"x"}`, `{"kind":"check","to":"4915112345678","extra":1}`, `{"kind":"message","to":"4915112345678"}`,
		`{"kind":"login","return_url":"http://127.0.0.1/"}`, `{"kind":"login"}{}`,
	} {
		res, body := w.post(bad)
		require.Equal(t, http.StatusBadRequest, res.StatusCode, "%.60s: %s", bad, body)
	}
	res, body = w.post(`{"kind":"login","return_url":"` + strings.Repeat("x", 2<<20) + `"}`)
	require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
	require.Contains(t, body, `"code":"too_large"`)
}

func TestTheLogHoldsNoPathsAndNoSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call("POST", "/ws/message/4915112345678/canary-text/http://host/canary-path?canary-query", auth, "X-Request-Id: given-id")
	w.call("POST", "/ws/check/canary-phone/http://host/", auth)
	w.call("GET", "/canary-unknown", "Authorization: Token token=canary-token")
	log := w.log.String()
	require.Contains(t, log, "given-id")
	require.Contains(t, log, "/ws/message/*rest")
	for _, secret := range []string{"canary", "4915112345678", token} {
		require.NotContains(t, log, secret)
	}
}

func TestAnswersComeInTheOrderOfTheQuestions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := "POST /ws/check/4915112345678/http://host/ HTTP/1.1\r\nHost: x\r\n" + auth + "\r\nContent-Length: 0\r\n\r\n"
	two := "GET /ws/check/4915112345678/http://host/ HTTP/1.1\r\nHost: x\r\n" + auth + "\r\nConnection: close\r\n\r\n"
	conn, err := net.Dial("tcp", w.address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, one+two)
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	for _, want := range []int{http.StatusAccepted, http.StatusMethodNotAllowed} {
		res, err := http.ReadResponse(reader, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, want, res.StatusCode)
	}
}

// FuzzPath looks for a path in which anything but the return URL's own segment chooses the host.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"a%2Fhttp:%2F%2Fevil%2F|", "%252F", "..", "http:%2F%2Fevil"} {
		f.Add(seed)
	}
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, message string) {
		if strings.ContainsAny(message, "/?# ") || strings.ContainsFunc(message, func(r rune) bool { return r < ' ' || r > '~' }) {
			return
		}
		u, err := url.ParseRequestURI("/ws/message/4915112345678/" + message + "/http%3A%2F%2Fgood%2Fcb")
		if err != nil {
			return
		}
		w.mu.Lock()
		w.accepted = nil
		w.mu.Unlock()
		req := httptest.NewRequest(http.MethodPost, "/", nil)
		req.URL = u
		req.Header.Set("Authorization", "Token token="+token)
		w.api.Handler().ServeHTTP(httptest.NewRecorder(), req)
		for _, accepted := range w.accepted {
			if accepted.ReturnURL != "http://good/cb" {
				t.Fatalf("%q chose %s", message, accepted.ReturnURL)
			}
		}
	})
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

// ownAddresses is where the daemon of these tests pretends to listen.
func ownAddresses() []netip.AddrPort {
	return []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8080")}
}
