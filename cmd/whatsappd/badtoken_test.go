package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBadTokens(t *testing.T) { //nolint:tparallel // one daemon, and a log that is read at the end
	t.Parallel()
	d := newDoor(t, 0)
	path := "/ws/check/4915112345678/" + d.back()

	// unauthorized wants the one answer that there is for missing and wrong tokens.
	unauthorized := func(t *testing.T, target string, headers ...string) {
		t.Helper()
		request, _ := d.request("POST", target, "", headers...)
		res, body := d.send(t, request)
		require.Equal(t, http.StatusUnauthorized, res.StatusCode, "%.100q", headers)
		require.Equal(t, `{"status":"failed","message":"Request rejected. Token incorrect or not provided"}`, body)
		require.Equal(t, "Token", res.Header.Get("WWW-Authenticate"))
	}
	shown := func(t *testing.T, values ...string) {
		t.Helper()
		for _, value := range values {
			unauthorized(t, path, "Authorization: "+value)
		}
	}
	accepted := func(t *testing.T, values ...string) {
		t.Helper()
		for _, value := range values {
			status, body := d.answerTo(t, "POST", path, value)
			require.Equal(t, http.StatusAccepted, status, body)
			d.accepted++
		}
	}
	t.Run("54 no token", func(t *testing.T) {
		unauthorized(t, path)
		shown(t, "", " ", "Token token=wrong-token-of-some-length")
	})
	t.Run("55 half a header", func(t *testing.T) {
		shown(t, "Token token=", `Token token=""`, "Token", "Token token", "token="+testToken, testToken)
	})
	t.Run("56 quotes and parameters", func(t *testing.T) {
		accepted(t, `Token token="`+testToken+`"`)
		shown(t, "Token token="+testToken+`, nonce="x"`, `Token token="`+testToken, `Token token='`+testToken+`'`)
	})
	t.Run("57 capitals", func(t *testing.T) {
		accepted(t, "token token="+testToken, "TOKEN token="+testToken)
		shown(t, "TOKEN TOKEN="+testToken, "Token Token="+testToken)
	})
	t.Run("58 other schemes", func(t *testing.T) {
		shown(t, "Bearer "+testToken, "Basic "+testToken, "Token "+testToken, "Digest token="+testToken)
	})
	t.Run("59 blanks around the token", func(t *testing.T) {
		accepted(t, rightToken+"  ", rightToken+"\t", " \t"+rightToken)
		shown(t, "Token  token="+testToken, "Token\ttoken="+testToken, "Token token= "+testToken, rightToken+"%20", rightToken+"\r\n x")
		d.bare(t, http.StatusBadRequest, "POST "+path+" HTTP/1.1\r\nHost: x\r\nAuthorization: "+rightToken+"\x00\r\n\r\n")
	})
	t.Run("60 two headers", func(t *testing.T) {
		const wrong = "Token token=wrong-token-of-some-length"
		for _, pair := range [][2]string{{rightToken, wrong}, {wrong, rightToken}, {rightToken, rightToken}} {
			unauthorized(t, path, "Authorization: "+pair[0], "Authorization: "+pair[1])
		}
	})
	t.Run("61 nearly the token", func(t *testing.T) {
		shown(t, rightToken[:len(rightToken)-1], rightToken+"x", "Token token="+testToken[1:], "Token token="+strings.ToUpper(testToken), "Token token="+strings.Repeat("x", 1_000_000))
	})
	t.Run("62 token in another place", func(t *testing.T) {
		unauthorized(t, path+"?token="+testToken)
		unauthorized(t, path+"?x=1", "X-Token: "+testToken, "Cookie: token="+testToken, "Proxy-Authorization: "+rightToken)
	})
	t.Run("63 many wrong tokens", func(t *testing.T) {
		var all sync.WaitGroup
		statuses := make(chan int, 300)
		for i := range 300 {
			all.Go(func() {
				res, _ := d.raw(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Token token=guess-%d\r\nConnection: close\r\n\r\n", path, i))
				statuses <- res.StatusCode
			})
		}
		accepted(t, rightToken, rightToken, rightToken)
		all.Wait()
		close(statuses)
		for status := range statuses {
			require.Equal(t, http.StatusUnauthorized, status)
		}
		require.Equal(t, 1, strings.Count(d.daemon.output(), "shows wrong tokens again and again"))
	})
	t.Run("64 unknown path", func(t *testing.T) {
		status, body := d.ask(t, "/ws/nothing")
		require.Equal(t, http.StatusNotFound, status)
		require.Equal(t, `{"status":"failed","message":"Invalid path"}`, body)
		unauthorized(t, "/ws/nothing", "Authorization: Token token=wrong-token-of-some-length")
		unauthorized(t, "/ws/nothing")
		status, body = d.answerTo(t, "POST", "/nothing", "Bearer wrong-token-of-some-length")
		require.Equal(t, http.StatusUnauthorized, status)
		require.Contains(t, body, `"code":"unauthorized"`)
	})
	d.clean(t)
}
