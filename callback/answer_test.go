package callback

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// noted keeps the last attempt that was recorded.
type noted struct {
	Keeper

	delivery Delivery
	attempt  Attempt
}

func (n *noted) Record(_ context.Context, d Delivery, a Attempt) error {
	n.delivery, n.attempt = d, a
	return nil
}

// answered is what comes of an attempt that a receiver answers with these bytes, and then hangs up.
func answered(t testing.TB, answer []byte) *noted {
	t.Helper()
	guard, err := NewGuard(nil, func() []netip.AddrPort { return nil })
	require.NoError(t, err)
	n := &noted{}
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	sender, err := NewSender(SenderOptions{Guard: guard, Timeout: 5 * time.Second, Now: func() time.Time { return now }}, n)
	require.NoError(t, err)
	sender.client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			_, _ = theirs.Read(make([]byte, 64<<10)) // the request, in one piece
			_, _ = theirs.Write(answer)
			_ = theirs.Close()
		}()
		return ours, nil
	}
	defer sender.client.CloseIdleConnections()
	sender.receivers.begin("http://receiver.example:80")
	sender.attempt(t.Context(), Delivery{ID: "cb_1", TaskID: "1", URL: "http://receiver.example/cb", Body: []byte(`{}`), State: Sending, Attempt: 1})
	require.Equal(t, "cb_1", n.delivery.ID, "every attempt is noted")
	return n
}

func TestNothingOfAnAnswerButItsStatusIsKept(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		"HTTP/1.1 500 canary\r\nX-Canary: canary\r\nContent-Length: 6\r\n\r\ncanary": "the receiver answered 500",
		"SSH-2.0-canary\r\n":                                   "the receiver's answer is not HTTP",
		"220 canary ESMTP\r\n":                                 "the receiver's answer is not HTTP",
		"HTTP/1.1 canary\r\n\r\n":                              "the receiver's answer is not HTTP",
		"HTTP/1.1 200 OK\r\ncanary\r\n\r\n":                    "the receiver's answer is not HTTP",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: canary\r\n\r\n": "the receiver's answer is not HTTP",
		"HTTP/1.1 200 OK\r\nContent-Length: canary\r\n\r\n":    "the receiver's answer is not HTTP",
		"":             "the connection was closed before the answer",
		"HTTP/1.1 200": "the connection was closed before the answer",
		"HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\ncanary":  "the receiver answered 500",
		"HTTP/1.1 302 No\r\nLocation: http://canary/\r\n\r\n":   "the receiver answered 302",
		"HTTP/1.1 101 Switching\r\nUpgrade: canary\r\n\r\n":     "the receiver answered 101",
		"HTTP/1.1 401 No\r\nWWW-Authenticate: canary\r\n\r\n":   "the receiver answered 401",
		"HTTP/1.1 200 " + strings.Repeat("canary", 20000) + " ": "the receiver's answer is not HTTP",
	} {
		n := answered(t, []byte(answer))
		require.Equal(t, want, n.delivery.LastError, "%.60q", answer)
		require.Equal(t, n.delivery.LastError, n.attempt.Error)
		require.Equal(t, Due, n.delivery.State)
	}
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\n\r\ncanary", "HTTP/1.0 204 OK\r\n\r\n", "HTTP/1.1 299 canary\r\nContent-Length: 100\r\n\r\ncanary",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 OK\r\nRetry-After: canary\r\n\r\n",
	} {
		n := answered(t, []byte(answer))
		require.Equal(t, Delivered, n.delivery.State, answer)
		require.Empty(t, n.delivery.LastError)
	}
	require.Equal(t, Dead, answered(t, []byte("HTTP/1.1 410 canary\r\n\r\n")).delivery.State)
}

// FuzzAnswer looks for an answer of a receiver that is not noted as what it is.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 503 No\r\nRetry-After: 120\r\n\r\n", "HTTP/1.1 410 Gone\r\n\r\n",
		"HTTP/1.1 429 No\r\nRetry-After: Mon, 04 May 2026 12:10:00 GMT\r\n\r\n", "HTTP/1.1 429 No\r\nRetry-After: -99999999999999999999\r\n\r\n",
		"HTTP/1.1 500 No\r\nRetry-After: 9223372036854775807\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
		"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 103 Early\r\n\r\n", "HTTP/1.1 307 No\r\nLocation: file:///\r\n\r\n", "\x16\x03\x01", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		n := answered(t, answer)
		d, now := n.delivery, time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
		good := d.LastStatus >= 200 && d.LastStatus < 300
		switch d.State {
		case Delivered:
			require.True(t, good)
			require.Empty(t, d.LastError)
		case Dead:
			require.Equal(t, http.StatusGone, d.LastStatus)
		case Due:
			require.False(t, good)
			require.NotEmpty(t, d.LastError)
			require.True(t, d.NextAt.After(now))
			require.False(t, d.NextAt.After(now.Add(longestRetryAfter)))
		default:
			t.Fatalf("the state is %q", d.State)
		}
		require.Equal(t, d.LastStatus, n.attempt.Status)
		require.Less(t, len(d.LastError), 100, d.LastError)
	})
}
