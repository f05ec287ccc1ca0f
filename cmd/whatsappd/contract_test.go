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
	return w.rawFrom(t, "127.0.0.1", request)
}

// rawFrom is raw from another address of this machine.
func (w *world) rawFrom(t *testing.T, source, request string) (*http.Response, string) {
	t.Helper()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	conn, err := from.Dial("tcp", strings.TrimPrefix(w.base, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, request) }() // a refused request may not be read to its end
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method}) // an answer to HEAD has no body
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	w.heard(res.StatusCode, string(body))
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

func TestPingNeedsNoToken(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 0)
	w.serve()
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
