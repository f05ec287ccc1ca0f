package callback_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/callback"
)

// own is where the daemon of these tests listens.
func own() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8080")} }

func newGuard(t testing.TB, allow ...string) *callback.Guard {
	t.Helper()
	guard, err := callback.NewGuard(allow, own)
	require.NoError(t, err)
	return guard
}

func TestAddressesAreJudgedInEverySpelling(t *testing.T) {
	t.Parallel()
	refused := []string{
		"http://127.0.0.1/", "http://localhost/", "http://LOCALHOST./", "http://foo.localhost/",
		"http://127.1/", "http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.000.000.001/",
		"http://0.0.0.0/", "http://0/", "http://[::]/",
		"http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::127.0.0.1]/",
		"http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://metadata.google.internal/",
		"http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://[2001:0:1::]/", "http://[fe80::1]/", "http://[fe80::1%25eth0]/",
		"http://10.1.2.3/", "http://172.16.0.1/", "http://192.168.1.1/", "http://100.64.0.1/", "http://198.18.0.1/",
		"http://224.0.0.1/", "http://240.0.0.1/", "http://255.255.255.255/", "http://①②⑦.⓪.⓪.①/",
	}
	guard := newGuard(t)
	for _, text := range refused {
		u, err := url.Parse(text)
		require.NoError(t, err, text)
		require.ErrorIs(t, guard.CheckText(u), callback.ErrRefused, text)
	}
	for _, text := range []string{"http://example.com/", "https://93.184.216.34/", "http://[2606:2800:220:1::1]/", "http://app:3000/", "http://under_score.example/"} {
		u, err := url.Parse(text)
		require.NoError(t, err)
		require.NoError(t, guard.CheckText(u), text)
	}
}

func TestTheOperatorAllowsNarrowly(t *testing.T) {
	t.Parallel()
	check := func(guard *callback.Guard, text string) error {
		u, err := url.Parse(text)
		require.NoError(t, err)
		return guard.CheckText(u)
	}
	guard := newGuard(t, "127.0.0.1:9000", "10.0.0.0/8", "app.localhost:3000", "169.254.0.0/16", "::1")
	require.NoError(t, check(guard, "http://127.0.0.1:9000/cb"))
	require.ErrorContains(t, check(guard, "http://127.0.0.1:9001/cb"), "callback.allow")
	require.NoError(t, check(guard, "http://10.9.8.7/cb"))
	require.NoError(t, check(guard, "http://app.localhost:3000/cb"))
	require.Error(t, check(guard, "http://app.localhost/cb"))
	require.NoError(t, check(guard, "http://[::1]:7/cb"))
	require.Error(t, check(guard, "http://169.254.169.254/"), "a network is not enough for the keys of a cloud")
	require.NoError(t, check(newGuard(t, "169.254.169.254"), "http://169.254.169.254/"))

	everything := newGuard(t, "0.0.0.0/0", "127.0.0.1", "localhost")
	for _, text := range []string{"http://127.0.0.1:8080/ws/logout/x", "http://localhost:8080/", "http://127.1:8080/", "http://[::ffff:127.0.0.1]:8080/", "http://0.0.0.0:8080/"} {
		require.ErrorIs(t, check(everything, text), callback.ErrRefused, "the daemon itself: %s", text)
	}
	for _, entry := range []string{"10.0.0.1/8", "not a host", "!!", "host:0", "host:99999", ""} {
		_, err := callback.NewGuard([]string{entry}, own)
		require.ErrorContains(t, err, "callback.allow", entry)
	}
}

func TestWhatIsDialledIsJudgedAgain(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)

	_, err = newGuard(t).DialContext(t.Context(), "tcp", "127.0.0.1:"+port)
	require.ErrorIs(t, err, callback.ErrRefused)
	_, err = newGuard(t).DialContext(t.Context(), "tcp", "localhost:"+port) // a name that leads here
	require.ErrorIs(t, err, callback.ErrRefused)
	for _, allow := range []string{"127.0.0.1", "127.0.0.0/8", "127.0.0.1:" + port} {
		conn, err := newGuard(t, allow).DialContext(t.Context(), "tcp", "127.0.0.1:"+port)
		require.NoError(t, err, allow)
		require.NoError(t, conn.Close())
	}
	conn, err := newGuard(t, "localhost:"+port).DialContext(t.Context(), "tcp", "localhost:"+port)
	require.NoError(t, err, "a listed name may lead here")
	require.NoError(t, conn.Close())
}

func FuzzCheckText(f *testing.F) {
	for _, seed := range []string{"http://127.1/", "http://0x7f.1:80/", "http://[::ffff:1.2.3.4%25x]/", "https://bücher.example:1/"} {
		f.Add(seed)
	}
	guard := newGuard(f, "10.0.0.0/8", "app:3000")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := url.Parse(text)
		if err != nil {
			return
		}
		if err := guard.CheckText(u); err == nil && strings.EqualFold(u.Hostname(), "localhost") {
			t.Fatalf("%q was allowed", text)
		}
	})
}
