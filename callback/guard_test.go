package callback_test

import (
	"fmt"
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
		require.ErrorIs(t, check(t, guard, text), callback.ErrRefused, text)
	}
	for _, text := range []string{"http://example.com/", "https://93.184.216.34/", "http://[2606:2800:220:1::1]/", "http://app:3000/", "http://under_score.example/"} {
		require.NoError(t, check(t, guard, text), text)
	}
}

// TestEverySpecialRangeIsRefused knows the first and the last address of each range, and what lies just beside it where that is
// public.
func TestEverySpecialRangeIsRefused(t *testing.T) {
	t.Parallel()
	guard, open := newGuard(t), newGuard(t, "0.0.0.0/0", "::/0")
	judge := func(guard *callback.Guard, addr netip.Addr) error {
		return guard.CheckText(&url.URL{Scheme: "http", Host: netip.AddrPortFrom(addr, 80).String(), Path: "/"})
	}
	for _, text := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
		"::/128", "::1/128", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:db8::/32", "2002::/16", "3fff::/20",
		"5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	} {
		prefix := netip.MustParsePrefix(text)
		for _, addr := range []netip.Addr{prefix.Addr(), last(prefix)} {
			require.ErrorIs(t, judge(guard, addr), callback.ErrRefused, "%s of %s", addr, prefix)
			if addr.Is4() {
				require.ErrorIs(t, judge(guard, netip.AddrFrom16(addr.As16())), callback.ErrRefused, "%s mapped into IPv6", addr)
			}
		}
	}
	for _, text := range []string{
		"1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0",
		"172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
		"2000::1", "2001:200::1", "2003::1", "2a00:1450:4001::1", "3ffe::1",
	} {
		require.NoError(t, judge(guard, netip.MustParseAddr(text)), text)
	}
	// Where everything is allowed, the keys of clouds are not, and neither is what a translator or a tunnel leads to.
	for _, text := range []string{
		"169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "2001:0:101:101::5601:5601", "::169.254.169.254",
		"fd00:ec2::254", "168.63.129.16", "100.100.100.200", "169.254.170.2", "192.0.0.192", "fd20:ce::254",
	} {
		require.ErrorIs(t, judge(open, netip.MustParseAddr(text)), callback.ErrRefused, text)
		require.NoError(t, judge(newGuard(t, text), netip.MustParseAddr(text)), "%s listed on its own", text)
	}
	for _, text := range []string{"64:ff9b::7f00:1", "2002:7f00:1::1", "2001:0:101:101::80ff:fffe"} {
		require.ErrorIs(t, judge(newGuard(t, "::/0"), netip.MustParseAddr(text)), callback.ErrRefused, "%s leads to loopback", text)
		require.NoError(t, judge(open, netip.MustParseAddr(text)), "%s, and loopback is allowed too", text)
	}
	require.NoError(t, judge(newGuard(t, "64:ff9b::/96"), netip.MustParseAddr("64:ff9b::5db8:d822")), "a public address behind NAT64")
}

// last is the last address of a network.
func last(prefix netip.Prefix) netip.Addr {
	bytes := prefix.Addr().AsSlice()
	for bit := prefix.Bits(); bit < 8*len(bytes); bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}

// check judges the text of a URL.
func check(t *testing.T, guard *callback.Guard, text string) error {
	t.Helper()
	u, err := url.Parse(text)
	require.NoError(t, err, text)
	return guard.CheckText(u)
}

func TestNamesThatNoHostHasAreRefused(t *testing.T) {
	t.Parallel()
	guard := newGuard(t)
	label := strings.Repeat("a", 63)
	for host, fine := range map[string]bool{
		"host": true, "a.b-c.example": true, "under_score.example": true, "bücher.example": true, label + ".example": true, "host.": true,
		label + "a.example": false, strings.Repeat("a.", 127) + "a": false, "*": false, "*.example": false, "ho$t": false, "a..b": false, ".host": false, "host..": false, ".": false,
	} {
		err := guard.CheckText(&url.URL{Scheme: "http", Host: host, Path: "/"})
		require.Equal(t, fine, err == nil, "%s: %v", host, err)
	}
}

func TestTheOperatorAllowsNarrowly(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, "127.0.0.1:9000", "10.0.0.0/8", "app.localhost:3000", "169.254.0.0/16", "[::1]:7")
	require.NoError(t, check(t, guard, "http://127.0.0.1:9000/cb"))
	require.ErrorContains(t, check(t, guard, "http://127.0.0.1:9001/cb"), "callback.allow")
	require.NoError(t, check(t, guard, "http://10.9.8.7/cb"))
	require.NoError(t, check(t, guard, "http://app.localhost:3000/cb"))
	require.Error(t, check(t, guard, "http://app.localhost/cb"))
	require.NoError(t, check(t, guard, "http://[::1]:7/cb"))
	require.Error(t, check(t, guard, "http://169.254.169.254/"), "a network is not enough for the keys of a cloud")
	require.NoError(t, check(t, newGuard(t, "169.254.169.254"), "http://169.254.169.254/"))

	everything := newGuard(t, "0.0.0.0/0", "127.0.0.1", "localhost")
	for _, text := range []string{"http://127.0.0.1:8080/ws/logout/x", "http://localhost:8080/", "http://127.1:8080/", "http://[::ffff:127.0.0.1]:8080/", "http://0.0.0.0:8080/"} {
		require.ErrorIs(t, check(t, everything, text), callback.ErrRefused, "the daemon itself: %s", text)
	}
}

func TestTheListOfTheOperatorIsReadStrictly(t *testing.T) {
	t.Parallel()
	for entry, says := range map[string]string{
		"10.0.0.1/8": "10.0.0.0/8", "fd00::1/8": "fd00::/8", "10.0.0.0/33": "write a host", "10.0.0/8": "write a host",
		"not a host": "write a host", "!!": "write a host", "": "write a host", "*": "write a host", "*.example": "write a host",
		"host:0": "write a host", "host:99999": "write a host", "host:": "write a host", "host:http": "write a host", ":80": "write a host",
		"a:b:c": "write a host", "a..b": "write a host", ".": "write a host", "-a": "write a host", strings.Repeat("a", 64): "write a host",
		strings.Repeat("a.", 130) + "a": "write a host", "http://host": "write a host", "host/path": "write a host",
		"300.1.1.1": "write a host", "10.1": "write a host", "fe80::1%eth0": "write a host", "[fe80::1%eth0]:80": "write a host", "[host]:80:80": "write a host",
	} {
		_, err := callback.NewGuard([]string{"fine.example", entry}, own)
		require.ErrorContains(t, err, says, entry)
		require.ErrorContains(t, err, fmt.Sprintf("%q", entry))
		require.NotContains(t, err.Error(), "fine.example")
	}
	_, err := callback.NewGuard([]string{"10.0.0.1/8", "!!"}, own)
	require.ErrorContains(t, err, "10.0.0.0/8")
	require.ErrorContains(t, err, "!!", "all mistakes at once")

	// Each of these lets its URL through that is refused without it.
	for entry, text := range map[string]string{
		"10.0.0.0/8": "http://10.1.2.3/", "127.0.0.1": "http://127.0.0.1:81/", "::1": "http://[::1]:81/", "[::1]": "http://[::1]:81/",
		"[::1]:81": "http://[::1]:81/", "[0:0::1]:81": "http://[::1]:81/", "127.0.0.1:081": "http://127.0.0.1:81/", "::ffff:127.0.0.1": "http://127.0.0.1/",
		"::ffff:10.0.0.0/104": "http://10.1.2.3/", "APP.localhost.": "http://app.LOCALHOST./", " localhost ": "http://localhost/",
		"bücher.localhost:81": "http://BÜCHER.localhost:81/", "under_score.localhost": "http://under_score.localhost/",
		"127.0.0.0/8": "http://localhost/", "::1/128": "http://localhost/",
	} {
		require.ErrorIs(t, check(t, newGuard(t), text), callback.ErrRefused, entry)
		require.NoError(t, check(t, newGuard(t, entry), text), entry)
	}
}

func TestNetworksThatOpenNearlyEverythingAreTold(t *testing.T) {
	t.Parallel()
	require.Empty(t, newGuard(t, "10.0.0.0/8", "fc00::/7", "127.0.0.1", "app:80").Wide())
	require.Equal(t, []string{"0.0.0.0/0", "::/0", "0.0.0.0/1"}, newGuard(t, "0.0.0.0/0", "app", "::/0", "0.0.0.0/1").Wide())
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
