package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBadHTTP(t *testing.T) { //nolint:tparallel // one daemon, and a log that is read at the end
	t.Parallel()
	d := newDoor(t, 0)
	check := "/ws/check/4915112345678/" + d.back()
	routes := []string{check, "/ws/message/4915112345678/hello/" + d.back(), "/ws/login/" + d.back(), "/ws/logout/" + d.back()}
	const auth = "Authorization: " + rightToken + "\r\n"

	t.Run("65 other methods", func(t *testing.T) {
		for _, route := range routes {
			for _, method := range []string{"GET", "PUT", "HEAD", "OPTIONS", "TRACE", "CONNECT", "DELETE", "PATCH", "FOO", "post"} {
				request, _ := d.request(method, route, rightToken)
				res, body := d.send(t, request)
				require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode, "%s %s: %s", method, route, body)
				require.Equal(t, "POST", res.Header.Get("Allow"))
			}
		}
	})
	t.Run("66 bodies", func(t *testing.T) {
		post := func(headers, body string) string {
			return "POST " + check + " HTTP/1.1\r\nHost: x\r\n" + auth + headers + "\r\n" + body
		}
		// taken sends on a connection that both sides could go on with, and returns all that comes back.
		taken := func(request string) string {
			conn, err := net.Dial("tcp", strings.TrimPrefix(d.base, "http://"))
			require.NoError(t, err)
			defer conn.Close()
			go func() { _, _ = io.WriteString(conn, request) }()
			answers, _ := io.ReadAll(conn) // a connection that is closed before all was read may end with a reset
			require.True(t, strings.HasPrefix(string(answers), "HTTP/1.1 202 "), "%s", answers)
			d.accepted++
			return string(answers)
		}
		// Some clients always send a body. A small one is read over; after one without a length nothing is read.
		require.Equal(t, 1, strings.Count(taken(post("Content-Length: 2\r\nConnection: close\r\n", "{}")), "HTTP/1.1"))
		endless := strings.Repeat("10000\r\n"+strings.Repeat("a", 0x10000)+"\r\n", 200) // 12 MiB, and no end
		require.Equal(t, 1, strings.Count(taken(post("Transfer-Encoding: chunked\r\n", endless)), "HTTP/1.1"))
		smuggled := post("", "")
		require.Equal(t, 1, strings.Count(taken(post("Content-Length: 9\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+smuggled)), "HTTP/1.1"))
		answers := taken(post("Content-Length: 5\r\n", "0123456789\r\n\r\n"))
		require.Contains(t, answers, "400 Bad Request", "what is longer than its length is no request")

		res, body := d.send(t, post("Content-Length: 10485760\r\n", strings.Repeat("a", 10<<20)))
		require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode, body)
		require.Contains(t, body, `"status":"failed"`)
		require.True(t, res.Close)
		res, body = d.send(t, post("Expect: 100-continue\r\nContent-Length: 9\r\n", ""))
		require.Equal(t, http.StatusAccepted, res.StatusCode, "nobody waits for the body: %s", body)
		require.True(t, res.Close)
		d.accepted++
		d.bare(t, http.StatusBadRequest, post("Content-Length: -1\r\n", ""), post("Content-Length: 1\r\nContent-Length: 2\r\n", "ab"),
			post("Content-Length: 1x\r\n", "a"), post("Content-Length: 99999999999999999999\r\n", "a"))
		res, _ = d.raw(t, post("Transfer-Encoding: gzip, chunked\r\n", ""))
		require.Equal(t, http.StatusNotImplemented, res.StatusCode, "the protocol's answer")
	})
	t.Run("67 other protocols", func(t *testing.T) {
		for _, request := range []string{
			"GET /ws/login\r\n\r\n", "POST " + check + " HTTP/1.1x\r\nHost: x\r\n\r\n",
			"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hello\r\n\r\n",
		} {
			d.bare(t, http.StatusBadRequest, request)
		}
		res, _ := d.raw(t, "POST "+check+" HTTP/3.0\r\n\r\n")
		require.Equal(t, http.StatusHTTPVersionNotSupported, res.StatusCode, "the protocol's answer")
		require.True(t, res.Close)
		res, _ = d.send(t, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		require.True(t, res.Close, "HTTP/2 without TLS is not spoken")
		require.Equal(t, http.StatusUnauthorized, res.StatusCode)
		res, body := d.send(t, "POST "+check+" HTTP/1.0\r\n"+auth+"\r\n")
		require.Equal(t, http.StatusAccepted, res.StatusCode, body)
		d.accepted++
	})
	t.Run("68 odd Host", func(t *testing.T) {
		for _, head := range []string{"\r\n", "\r\nHost: x\r\nHost: y\r\n", "\r\nHost: a b\r\n", "\r\nHost: x/y\r\n", "\r\nHost: a@b\r\n"} {
			d.bare(t, http.StatusBadRequest, "POST "+check+" HTTP/1.1"+head+auth+"\r\n")
		}
		for _, host := range []string{"evil.example", "", "127.0.0.1:1", "[::1]", "169.254.169.254"} {
			res, body := d.send(t, "POST "+check+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n"+auth+"\r\n")
			require.Equal(t, http.StatusAccepted, res.StatusCode, "%s: %s", host, body)
			require.Equal(t, "/canary", d.hook.wants(taskID(t, body)).Path)
			d.accepted++
		}
		res, body := d.send(t, "POST http://evil.example"+check+" HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n"+auth+"\r\n")
		require.Equal(t, http.StatusAccepted, res.StatusCode, body)
		require.Equal(t, "/canary", d.hook.wants(taskID(t, body)).Path)
		d.accepted++
	})
	t.Run("69 headers of proxies", func(t *testing.T) {
		for _, header := range []string{
			"X-Forwarded-For: 10.0.0.1", "X-Forwarded-Prefix: //evil.example", "X-HTTP-Method-Override: GET", "X-Original-URL: /ws/logout/x", "X-Rewrite-URL: /healthz", "Forwarded: for=10.0.0.1",
		} {
			d.hook.result(d.taken(t, check, header), notLoggedIn)
		}
		request, _ := d.request("GET", check, rightToken, "X-HTTP-Method-Override: POST")
		res, _ := d.send(t, request)
		require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode)
	})
	t.Run("70 headers", func(t *testing.T) {
		var many strings.Builder
		for i := range 200 {
			fmt.Fprintf(&many, "X-Many-%d: canary\r\n", i)
		}
		d.taken(t, check, strings.TrimSuffix(many.String(), "\r\n"))
		d.taken(t, check, "Idempotency_Key: canary", "Authorization_: canary")
		d.bare(t, http.StatusRequestHeaderFieldsTooLarge, "POST "+check+" HTTP/1.1\r\nHost: x\r\nX-Long: "+strings.Repeat("a", 1100000)+"\r\n"+auth+"\r\n")
		for _, header := range []string{"X\x01Y: z", "X Y: z", "X\x00: z", ": z", "no colon", "X-Y : z", "X-Y: a\x01b\x00"} {
			d.bare(t, http.StatusBadRequest, "POST "+check+" HTTP/1.1\r\nHost: x\r\n"+header+"\r\n"+auth+"\r\n")
		}
	})
	t.Run("71 nearly the path", func(t *testing.T) {
		for _, path := range []string{"/" + check, "/ws/" + strings.TrimPrefix(check, "/ws"), "/WS/CHECK" + strings.TrimPrefix(check, "/ws/check"), "/." + check, "/x/.." + check, "/ws%2Fcheck" + strings.TrimPrefix(check, "/ws/check"), "/%77s" + strings.TrimPrefix(check, "/ws")} {
			status, body := d.ask(t, path)
			require.Equal(t, http.StatusNotFound, status, "%s: %s", path, body)
		}
		id := d.taken(t, "/ws/check/4915112345678/"+d.hook.url("/canary")+"/")
		require.Equal(t, "/canary/", d.hook.wants(id).Path, "a slash at the end is the return URL's")
	})
	t.Run("72 several requests on a connection", func(t *testing.T) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(d.base, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		var all strings.Builder
		for i := range 20 {
			fmt.Fprintf(&all, "POST /ws/check/49151123456%02d/%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: 5\r\n\r\nhello", i, d.back(), auth)
			fmt.Fprintf(&all, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", check, auth)
		}
		go func() { _, _ = io.WriteString(conn, all.String()) }()
		answers := bufio.NewReader(conn)
		read := func() (int, string) {
			res, err := http.ReadResponse(answers, nil)
			require.NoError(t, err)
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			return res.StatusCode, string(body)
		}
		for i := range 20 {
			status, body := read()
			require.Equal(t, http.StatusAccepted, status, body)
			d.accepted++
			require.Equal(t, fmt.Sprintf("49151123456%02d", i), d.task(taskID(t, body)).Number)
			status, _ = read()
			require.Equal(t, http.StatusMethodNotAllowed, status)
		}
	})
	d.clean(t)
}
