package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// raw sends a request exactly as written and returns the answer.
func (w *world) raw(t *testing.T, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.base, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method}) // an answer to HEAD has no body
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(body)
}

// call is a request of a path as it stands, with the right token.
func call(method, path string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: whatsappd\r\nAuthorization: Token token=" + testToken + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
}

func TestReturnURLsInEverySpellingReachTheSamePlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.serve()
	w.pair()
	host := w.hook.address()
	escapedHost := strings.ReplaceAll(host, ":", "%3A")
	for name, path := range map[string]string{
		"as it stands":                     "http://" + host + "/cb?x=1",
		"a proxy merged the slashes":       "http:/" + host + "/cb?x=1",
		"escaped once":                     "http%3A%2F%2F" + escapedHost + "%2Fcb%3Fx%3D1",
		"escaped but for its slashes":      "http%3A//" + escapedHost + "/cb%3Fx%3D1",
		"only the slashes escaped":         "http:%2F%2F" + host + "%2Fcb%3Fx%3D1",
		"escaped, query on the request":    "http%3A%2F%2F" + escapedHost + "%2Fcb?x=1",
		"lower-case escapes":               "http%3a%2f%2f" + escapedHost + "%2fcb%3fx%3d1",
		"as it stands, scheme in capitals": "HTTP://" + host + "/cb?x=1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res, body := w.raw(t, call("POST", "/ws/check/"+contact(1)+"/"+path))
			require.Equal(t, http.StatusAccepted, res.StatusCode, body)
			got := w.hook.wants(taskID(t, body))
			require.Equal(t, "/cb", got.Path)
			require.Equal(t, "x=1", got.Query)
			require.Equal(t, "application/json", got.Header.Get("Content-Type"))
			require.Equal(t, "application/json", got.Header.Get("Accept"))
			require.NotEmpty(t, got.Header.Get("Webhook-Id"))
			require.NotEmpty(t, got.Header.Get("Webhook-Timestamp"))
			require.True(t, strings.HasPrefix(got.Header.Get("User-Agent"), "whatsappd/"))
			require.Empty(t, got.Header.Get("Authorization"), "the token must never reach a return URL")
			require.JSONEq(t, `{"task_id":"`+got.TaskID+`","result":"True"}`, got.Body)
		})
	}
}

func TestMessageTextsArriveByteForByte(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.serve()
	w.pair()
	back := "http%3A%2F%2F" + w.hook.address() + "%2Fcb"
	cases := []struct{ segment, text string }{
		{"a%2Fb", "a/b"},
		{"a%2Fhttp:%2F%2Fevil%2F|", "a/http://evil/|"},
		{"a%2Fhttp%3A%2F%2Fevil", "a/http://evil"},
		{"%252F", "%2F"},
		{"a%20b+c", "a b+c"},
		{"%2e%2e", ".."},
		{"line%0Atwo", "line\ntwo"},
		{"%F0%9F%91%A9%E2%80%8D%F0%9F%91%A7", "👩‍👧"},
		{"raw-ümlaut", "raw-ümlaut"},
		{"{\"a\":'%25s'}", "{\"a\":'%s'}"},
		{"%E2%80%AEright-to-left", "\u202eright-to-left"},
	}
	for i, c := range cases {
		res, body := w.raw(t, call("POST", "/ws/message/"+contact(1)+"/"+c.segment+"/"+back))
		require.Equal(t, http.StatusAccepted, res.StatusCode, "%s: %s", c.segment, body)
		w.hook.result(taskID(t, body), "True")
		require.Equal(t, c.text, w.inbox(contact(1), i+1)[i].Text, c.segment)
	}
	long := strings.Repeat("😀", 65536)
	res, body := w.raw(t, call("POST", "/ws/message/"+contact(1)+"/"+url.PathEscape(long)+"/"+back))
	require.Equal(t, http.StatusAccepted, res.StatusCode, body)
	w.hook.result(taskID(t, body), "True")
	require.Equal(t, long, w.inbox(contact(1), len(cases)+1)[len(cases)].Text)
	w.flawless()
}

func TestBadCallsAreRefusedAndNothingIsStored(t *testing.T) { //nolint:tparallel // the end looks at what the cases left behind
	t.Parallel()
	w := newWorld(t, 0)
	w.serve()
	const invalid = `{"status":"failed","message":"Invalid path"}`
	const unauthorized = `{"status":"failed","message":"Request rejected. Token incorrect or not provided"}`
	back := "http%3A%2F%2F" + w.hook.address() + "%2Fcb"
	without := func(path, authorization string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: whatsappd\r\n" + authorization + "Content-Length: 0\r\nConnection: close\r\n\r\n"
	}
	for _, c := range []struct {
		name, request string
		status        int
		body          string // exact when it begins with a brace, else a part
	}{
		{"no token", without("/ws/check/4915112345678/"+back, ""), 401, unauthorized},
		{"no token on an unknown path", without("/ws/nothing", ""), 401, unauthorized},
		{"wrong token", without("/ws/login/"+back, "Authorization: Token token=wrong-token-of-some-length\r\n"), 401, unauthorized},
		{"bearer is not for /ws", without("/ws/login/"+back, "Authorization: Bearer "+testToken+"\r\n"), 401, unauthorized},
		{"unknown path", call("POST", "/ws/nothing"), 404, invalid},
		{"unknown capitals", call("POST", "/WS/check/4915112345678/"+back), 404, "Invalid path"},
		{"GET does nothing", call("GET", "/ws/check/4915112345678/"+back), 405, `"status":"failed"`},
		{"HEAD does nothing", call("HEAD", "/ws/check/4915112345678/"+back), 405, ""},
		{"no return URL", call("POST", "/ws/check/4915112345678"), 400, `"status":"failed"`},
		{"no return URL after the message", call("POST", "/ws/message/4915112345678/hello"), 400, `"status":"failed"`},
		{"a slash in the phone", call("POST", "/ws/check/1%2F2/"+back), 400, `"status":"failed"`},
		{"a raw slash in the message", call("POST", "/ws/message/4915112345678/a/b/"+back), 400, `"status":"failed"`},
		{"a national number", call("POST", "/ws/check/015112345678/"+back), 400, `"status":"failed"`},
		{"an address", call("POST", "/ws/check/4915112345678@s.whatsapp.net/"+back), 400, `"status":"failed"`},
		{"a blank message", call("POST", "/ws/message/4915112345678/%20/"+back), 400, `"status":"failed"`},
		{"NUL in the message", call("POST", "/ws/message/4915112345678/%00/"+back), 400, `"status":"failed"`},
		{"bytes that are not UTF-8", call("POST", "/ws/message/4915112345678/%ff%fe/"+back), 400, `"status":"failed"`},
		{"another scheme", call("POST", "/ws/login/ftp%3A%2F%2Fhost%2F"), 400, `"status":"failed"`},
		{"a password in the return URL", call("POST", "/ws/login/http%3A%2F%2Fa:b@host%2F"), 400, `"status":"failed"`},
		{"loopback that is not allowed", call("POST", "/ws/login/http%3A%2F%2F127.0.0.1:1%2F"), 400, "callback.allow"},
		{"loopback as one number", call("POST", "/ws/login/http%3A%2F%2F2130706433%2F"), 400, "callback.allow"},
		{"the daemon itself", call("POST", "/ws/login/"+url.PathEscape(w.base+"/ws/logout/x")), 400, `"status":"failed"`},
		{"a broken escape", call("POST", "/ws/message/4915112345678/%zz/"+back), 400, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, body := w.raw(t, c.request)
			require.Equal(t, c.status, res.StatusCode, body)
			if strings.HasPrefix(c.body, "{") {
				require.Equal(t, c.body, strings.TrimSpace(body))
			}
			require.Contains(t, body, c.body)
			switch c.status {
			case http.StatusUnauthorized:
				require.Equal(t, "Token", res.Header.Get("WWW-Authenticate"))
			case http.StatusMethodNotAllowed:
				require.Equal(t, "POST", res.Header.Get("Allow"))
			}
		})
	}
	output, code := w.command("tasks")
	require.Zero(t, code, output)
	require.Len(t, strings.Split(strings.TrimSpace(output), "\n"), 1, "a refused call was stored:\n%s", output)

	res, body := w.raw(t, "GET /internal/ping HTTP/1.1\r\nHost: whatsappd\r\nConnection: close\r\n\r\n")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "<html><body>pong</body></html>", body)
}

func TestTheSameIdempotencyKeyIsTheSameTask(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.serve()
	post := func(number string) (int, string) {
		request := strings.Replace(call("POST", "/ws/check/"+number+"/"+url.PathEscape(w.hook.url("/cb"))), "\r\n\r\n", "\r\nIdempotency-Key: order-1\r\n\r\n", 1)
		res, body := w.raw(t, request)
		return res.StatusCode, body
	}
	status, first := post("4915112345678")
	require.Equal(t, http.StatusAccepted, status, first)
	_, second := post("4915112345678")
	require.Equal(t, taskID(t, first), taskID(t, second))
	status, body := post("4915112345679")
	require.Equal(t, http.StatusConflict, status, body)
}

func TestTokensAreReplacedWithoutARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	file := t.TempDir() + "/token"
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	delete(w.settings, "WHATSAPPD_TOKEN")
	w.settings["WHATSAPPD_TOKEN_FILE"] = file
	write(testToken)
	w.serve()
	status := func(token string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.base+"/v1/status", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		return res.StatusCode
	}
	hangUp := func(says string) {
		require.NoError(t, w.daemon.cmd.Process.Signal(syscall.SIGHUP))
		w.daemon.wants(says)
	}
	const second = "another-token-of-many-letters"
	require.Equal(t, http.StatusOK, status(testToken))
	require.Equal(t, http.StatusUnauthorized, status(second))

	write(testToken + "," + second)
	hangUp(`the tokens were read again","count":2`)
	require.Equal(t, http.StatusOK, status(testToken), "both hold while callers change over")
	require.Equal(t, http.StatusOK, status(second))

	write(second)
	hangUp(`the tokens were read again","count":1`)
	require.Equal(t, http.StatusUnauthorized, status(testToken))
	require.Equal(t, http.StatusOK, status(second))

	write("short")
	hangUp("the tokens were not read again")
	require.Equal(t, http.StatusOK, status(second), "a mistake in the file locks nobody out")
}
