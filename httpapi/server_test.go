package httpapi_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/httpapi"
)

// serve runs a handler in a Server until stop is called; ended gives what Serve returned.
func serve(t *testing.T, handler http.Handler, grace time.Duration, limits ...httpapi.Limits) (address string, stop context.CancelFunc, ended chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	ended = make(chan error, 1)
	server := httpapi.NewServer(handler, append(limits, httpapi.Limits{})[0], slog.New(slog.NewTextHandler(t.Output(), nil)))
	go func() { ended <- server.Serve(ctx, listener, grace) }()
	return listener.Addr().String(), stop, ended
}

func TestServerFinishesTheRequestUnderWayBeforeItEnds(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan struct{}), make(chan struct{})
	address, stop, ended := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		_, _ = io.WriteString(w, "done")
	}), time.Minute)
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	<-begun
	stop()
	close(finish)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "done", string(body))
	require.NoError(t, <-ended)
}

func TestServerCutsOffWhoeverIsLeftAfterTheGrace(t *testing.T) {
	t.Parallel()
	begun, gone := make(chan struct{}), make(chan struct{})
	address, stop, ended := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		close(gone)
	}), time.Millisecond)
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	<-begun
	stop()
	require.NoError(t, <-ended)
	<-gone
}

func TestServerThatIsStoppedBeforeItBeganEnds(t *testing.T) {
	t.Parallel()
	_, stop, ended := serve(t, http.NotFoundHandler(), time.Minute)
	stop()
	require.NoError(t, <-ended)
}

func TestARequestWithARightTokenGivesWayToNobody(t *testing.T) {
	t.Parallel()
	reached, goOn := make(chan struct{}), make(chan struct{})
	w := newWorld(t, func(o *httpapi.Options) {
		o.Now = func() time.Time {
			close(reached) // asked once, by the one call
			<-goOn
			return time.Now()
		}
	})
	w.address, _, _ = serve(t, w.api.Handler(), time.Second, httpapi.Limits{Connections: 3})
	answered := make(chan int)
	go func() {
		defer close(answered) // also when there is no answer
		res, _ := w.call("POST", "/ws/check/4915112345678/http://host/", auth)
		answered <- res.StatusCode
	}()
	<-reached
	for range 20 {
		conn, err := net.Dial("tcp", w.address)
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "POST /ws/")
		require.NoError(t, err)
	}
	close(goOn)
	require.Equal(t, http.StatusAccepted, <-answered)
}

func TestNothingFollowsABodyWhoseEndIsInDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.address, _, _ = serve(t, w.api.Handler(), time.Second)
	const path = "/ws/check/4915112345678/http://host/"
	const start = "POST " + path + " HTTP/1.1\r\nHost: x\r\n" + auth + "\r\nContent-Length: 60\r\n"
	conn, err := net.Dial("tcp", w.address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, start+"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+start+"\r\n")
	require.NoError(t, err)
	answers, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(answers), "HTTP/1.1 "), "%s", answers)
	require.Equal(t, 1, w.count())

	res, body := w.raw(start + "Expect: 100-continue\r\n\r\n")
	require.Equal(t, http.StatusAccepted, res.StatusCode, "it is answered without its body: %s", body)
	require.True(t, res.Close)
}

func TestOddRequestsOnTheWireAreRefusedAndTakeNoWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.address, _, _ = serve(t, w.api.Handler(), time.Second)
	const path = "/ws/check/4915112345678/http://host/"
	for _, c := range []struct {
		name, request string
		status        int
	}{
		{"the server itself, without a token", "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 401},
		{"the server itself", "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + auth + "\r\n\r\n", 404},
		{"a tunnel, without a token", "CONNECT host:80 HTTP/1.1\r\nHost: host:80\r\nConnection: close\r\n\r\n", 401},
		{"a tunnel", "CONNECT host:80 HTTP/1.1\r\nHost: host:80\r\nConnection: close\r\n" + auth + "\r\n\r\n", 404},
		{"TRACE", "TRACE " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + auth + "\r\n\r\n", 405},
		{"no Host", "POST " + path + " HTTP/1.1\r\nConnection: close\r\n" + auth + "\r\n\r\n", 400},
		{"two Hosts", "POST " + path + " HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n" + auth + "\r\n\r\n", 400},
		{"a header name with a blank", "POST " + path + " HTTP/1.1\r\nHost: x\r\nX Y: z\r\n" + auth + "\r\n\r\n", 400},
		{"a token over two lines", "POST " + path + " HTTP/1.1\r\nHost: x\r\nAuthorization: Token\r\n token=" + token + "x\r\n\r\n", 401},
		{"a length that is no number", "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n" + auth + "\r\n\r\n", 400},
		{"a TLS hello", "\x16\x03\x01\x00\x05hello\r\n\r\n", 400},
		{"a broken escape", "POST /ws/message/4915112345678/%zz/" + path + " HTTP/1.1\r\nHost: x\r\n" + auth + "\r\n\r\n", 400},
	} {
		res, body := w.raw(c.request)
		require.Equal(t, c.status, res.StatusCode, "%s: %s", c.name, body)
		require.Empty(t, res.Header.Get("Location"), c.name)
	}
	require.Zero(t, w.count())
	res, body := w.raw("POST " + path + " HTTP/1.0\r\nX-HTTP-Method-Override: GET\r\nX-Original-URL: /healthz\r\n" + auth + "\r\n\r\n")
	require.Equal(t, http.StatusAccepted, res.StatusCode, body)
	require.True(t, strings.HasPrefix(body, `{"data":`))
}
