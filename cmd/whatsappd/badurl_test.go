package main

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// spellings are the paths of all four endpoints with a return URL as it stands and escaped once. What a client cannot put
// into a request as it stands is only escaped.
func spellings(back string) []string {
	escaped := url.PathEscape(back)
	paths := []string{"/ws/check/4915112345678/" + escaped, "/ws/message/4915112345678/hello/" + escaped, "/ws/login/" + escaped, "/ws/logout/" + escaped}
	if !strings.ContainsFunc(back, func(char rune) bool { return char <= ' ' || char == '?' || char == '#' || char == '%' || char == 0x7f }) {
		paths = append(paths, "/ws/check/4915112345678/"+back, "/ws/login/"+back)
	}
	return paths
}

func TestBadReturnURLs(t *testing.T) { //nolint:tparallel // one daemon, and a log that is read at the end
	t.Parallel()
	d := newDoor(t, 0)
	host, port := d.hook.address(), d.trap.port()
	refused := func(t *testing.T, says string, backs ...string) {
		t.Helper()
		for _, back := range backs {
			d.refused(t, says, spellings(back)...)
		}
	}
	// notAllowed are addresses that an operator could allow: the answer names the setting.
	notAllowed := func(t *testing.T, hosts ...string) {
		t.Helper()
		for _, host := range hosts {
			refused(t, "callback.allow", "http://"+host+"/canary", "http://"+host+":"+port+"/canary")
		}
	}
	t.Run("33 no return URL", func(t *testing.T) {
		d.refused(t, "return URL is missing",
			"/ws/check/4915112345678/", "/ws/check/4915112345678", "/ws/message/4915112345678/hello", "/ws/message/4915112345678/hello/",
			"/ws/login", "/ws/login/", "/ws/logout", "/ws/logout/")
	})
	t.Run("34 other schemes", func(t *testing.T) {
		refused(t, "not absolute", "ftp://host/canary", "file:///etc/passwd", "gopher://host/canary", "javascript:alert(1)", "data:text/plain,canary",
			"unix:/run/canary.sock", "//host/canary", "host/canary", "httpx://host/canary", "http", "http:", "http:host/canary")
		for _, before := range []string{"/ws/check/4915112345678/", "/ws/login/"} {
			d.hook.wants(d.taken(t, before+"HTTP://"+host+"/canary"))
		}
	})
	t.Run("35 no host", func(t *testing.T) {
		refused(t, "return URL", "http:///canary", "http://", "http://:80/", "http://?x", "http:////host/canary", "http:///")
	})
	t.Run("36 user and password", func(t *testing.T) {
		refused(t, "user or password", "http://user:pw@host/", "http://host@evil/", "http://@host/", "http://127.0.0.1:80@host/")
	})
	t.Run("37 bad ports", func(t *testing.T) {
		refused(t, "return URL", "http://host:0/", "http://host:65536/", "http://host:-1/", "http://host:80abc/", "http://host:%38%30/", "http://host:/", "http://host:99999999999999999999/")
	})
	t.Run("38 this machine by name", func(t *testing.T) {
		notAllowed(t, "127.0.0.1", "localhost", "LOCALHOST.", "foo.localhost", "LocalHost", "127.0.0.1.", "127.1.2.3")
	})
	t.Run("39 this machine in other numbers", func(t *testing.T) {
		notAllowed(t, "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.000.000.001", "0x7f000001", "017700000001", "127.0.1", "0X7F.1", "00000177.1")
	})
	t.Run("40 no address", func(t *testing.T) { notAllowed(t, "0.0.0.0", "0", "[::]", "0.1") })
	t.Run("41 this machine in IPv6", func(t *testing.T) {
		notAllowed(t, "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[0:0:0:0:0:0:0:1]", "[::ffff:0:127.0.0.1]")
	})
	t.Run("42 keys of a cloud", func(t *testing.T) {
		notAllowed(t, "169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal", "[::ffff:169.254.169.254]", "2852039166", "METADATA.google.internal.")
	})
	t.Run("43 IPv4 within IPv6", func(t *testing.T) {
		notAllowed(t, "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:1::]", "[64:ff9b:1::1]")
	})
	t.Run("44 one link only", func(t *testing.T) {
		notAllowed(t, "[fe80::1]")
		refused(t, "return URL", "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/")
	})
	t.Run("45 private and special networks", func(t *testing.T) {
		notAllowed(t, "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "100.127.255.255", "198.18.0.1", "198.19.255.255",
			"224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "198.51.100.1", "203.0.113.1",
			"[100::1]", "[2001:db8::1]", "[3fff::1]", "[5f00::1]", "[fc00::1]", "[fec0::1]", "[ff02::1]")
	})
	t.Run("48 letters that become others", func(t *testing.T) {
		notAllowed(t, "①②⑦.⓪.⓪.①", "ⓛocalhost", "ｌｏｃａｌｈｏｓｔ", "127。0。0。1", "１２７.0.0.1", "localhost。")
		refused(t, "host of the return URL", "http://xn--/", "http://\u200d.example/", "http://a\u2260b.example/")
	})
	t.Run("49 names that no host has", func(t *testing.T) {
		label := strings.Repeat("a", 63)
		refused(t, "host of the return URL", "http://"+strings.Repeat("a.", 126)+"aa/", "http://"+label+"a/", "http://host../", "http://./", "http://.host/", "http://a..b/",
			"http://*/", "http://*.example/", "http://ho$t/", "http://ho,st/", "http://ho!st/")
		refused(t, "return URL", "http://[::1/", "http://[nonsense]/", "http://[127.0.0.1]/")
	})
	t.Run("50 blanks and line breaks", func(t *testing.T) {
		refused(t, "return URL", "http://host/\r\nX-Evil: 1", "http://host/\t", "http://host/a b", "http://host\\@evil/", "http://host/\\", "http://ho st/", "http://host/\x7f",
			" http://host/", "http://host/?a b", "http://host\r\n/")
		d.bare(t, http.StatusBadRequest, bareCall("/ws/login/http://host/a b"), bareCall("/ws/login/http://host/\ta"))
	})
	t.Run("51 length", func(t *testing.T) {
		start := "http://" + host + "/canary?"
		long := start + strings.Repeat("a", 2048-len(start))
		for _, written := range []string{long, url.PathEscape(long)} {
			id := d.taken(t, "/ws/check/4915112345678/"+written)
			require.Len(t, d.hook.wants(id).Query, len(long)-len(start))
			require.Equal(t, "/canary", d.hook.wants(id).Path)
		}
		d.refused(t, "2048 bytes", "/ws/check/4915112345678/"+long+"a", "/ws/login/"+url.PathEscape(long+"a"))
	})
	t.Run("52 escaped line breaks", func(t *testing.T) {
		id := d.taken(t, "/ws/check/4915112345678/http://"+host+"/%0d%0aX-Evil:1")
		require.Equal(t, "/\r\nX-Evil:1", d.hook.wants(id).Path, "it is sent as it was, still escaped")
		require.NotContains(t, d.hook.wants(id).Header, "X-Evil")
		id = d.taken(t, "/ws/check/4915112345678/http://"+host+"/%00?x=%0d%0a")
		require.Equal(t, "x=%0d%0a", d.hook.wants(id).Query)
		d.refused(t, "control character", "/ws/login/http%3A%2F%2Fhost%2F%00", "/ws/login/http%3A%2F%2Fhost%2F%0d%0aX-Evil:1", "/ws/login/http:%2F%2Fhost%2F%0a")
		refused(t, "return URL", "http://host%00/", "http://host%0d%0a/")
	})
	d.clean(t)
}

func TestBadReturnURLsThoughEverythingIsAllowed(t *testing.T) { //nolint:tparallel // one daemon, and a log that is read at the end
	t.Parallel()
	d := newDoor(t, 0)
	d.daemon.stop()
	d.settings["WHATSAPPD_CALLBACK_ALLOW"] = "0.0.0.0/0, ::/0, localhost, app.localhost"
	d.settings["WHATSAPPD_LISTEN"] = "[::]:0"
	d.serve()
	_, own, err := net.SplitHostPort(strings.TrimPrefix(d.base, "http://"))
	require.NoError(t, err)
	d.base = "http://127.0.0.1:" + own
	d.hook.wants(d.taken(t, "/ws/check/4915112345678/"+d.back()))
	d.hook.wants(d.taken(t, "/ws/check/4915112345678/"+url.PathEscape("http://localhost:"+strings.TrimPrefix(d.hook.address(), "127.0.0.1:")+"/canary")))

	t.Run("42 keys of a cloud", func(t *testing.T) {
		for _, host := range []string{"169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal", "2852039166", "[::ffff:169.254.169.254]"} {
			d.refused(t, "callback.allow", spellings("http://"+host+"/latest/canary")...)
		}
	})
	t.Run("47 the daemon itself", func(t *testing.T) {
		hosts := []string{"127.0.0.1", "localhost", "LOCALHOST.", "app.localhost", "127.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "0", "[::]", "127.9.9.9"}
		addresses, err := net.InterfaceAddrs()
		require.NoError(t, err)
		for _, address := range addresses {
			if ip := address.(*net.IPNet).IP; !ip.IsLinkLocalUnicast() {
				host, _, _ := net.SplitHostPort(net.JoinHostPort(ip.String(), "0"))
				if ip.To4() == nil {
					host = "[" + host + "]"
				}
				hosts = append(hosts, host)
			}
		}
		for _, host := range hosts {
			d.refused(t, "the daemon itself", spellings("http://"+host+":"+own+"/ws/logout/canary")...)
		}
	})
	d.clean(t)
}
