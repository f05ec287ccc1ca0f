package httpapi

import (
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/callback"
)

// FuzzAuthorization looks for a header that is taken although it is not one of the four that are promised.
func FuzzAuthorization(f *testing.F) {
	const right = "token-of-at-least-twenty-characters"
	for _, seed := range []string{
		"Token token=" + right, `Token token="` + right + `"`, "TOKEN token=" + right, "Bearer " + right, "Token  token=" + right,
		"Token token=" + right + " ", "Token token=" + right + `, nonce="x"`, `Token token="` + right, "Token token=\x00" + right, "", " ", "Token", `Token token=""`,
	} {
		f.Add(seed, "", true)
		f.Add(seed, seed, false)
	}
	known := hashTokens([]string{"another-token-of-some-length", right})
	promised := regexp.MustCompile(`^(?i:token) token=(` + right + `|"` + right + `")$`)
	bearer := regexp.MustCompile(`^(?i:bearer) ` + right + `$`)
	f.Fuzz(func(t *testing.T, first, second string, outside bool) {
		header := http.Header{"Authorization": {first}}
		id, ok := known.match(shownToken(header, outside))
		require.Equal(t, promised.MatchString(first) || outside && bearer.MatchString(first), ok, "%q", first)
		require.Regexp(t, `^[0-9a-f]{8}$`, id)
		header.Add("Authorization", second)
		_, ok = known.match(shownToken(header, outside))
		require.False(t, ok, "two headers: %q, %q", first, second)
	})
}

// FuzzPhone looks for a text that is taken as another number than its digits, or as something that is none.
func FuzzPhone(f *testing.F) {
	for _, seed := range []string{
		"+4915112345678", "(49)151 123-45.678", "0049151", "1234567", "123456789012345", "1234567890123456", "٠١٢٣٤٥٦٧", "４９１５１１２３４５６",
		"49151@s.whatsapp.net", "1e10000000", "+(+49151)", "", "+", "()", "4915112345678\n", "4915112345678\x00",
	} {
		f.Add(seed)
	}
	written := regexp.MustCompile(`^\+?\(?[0-9][0-9 .()-]*$`)
	f.Fuzz(func(t *testing.T, text string) {
		number, err := parsePhone(text)
		digits := strings.Map(func(char rune) rune {
			if char >= '0' && char <= '9' {
				return char
			}
			return -1
		}, text)
		good := written.MatchString(text) && digits[0] != '0' && len(digits) >= phoneLeast && len(digits) <= phoneMost
		require.Equal(t, good, err == nil, "%q: %v", text, err)
		if err == nil {
			require.Equal(t, digits, string(number), "%q", text)
			return
		}
		if len(text) > 12 {
			require.NotContains(t, err.Error(), text, "what was sent is not repeated")
		}
	})
}

// FuzzReturnURL looks for a return URL that is taken and then goes elsewhere than it was judged by, or that cannot be requested.
func FuzzReturnURL(f *testing.F) {
	for _, seed := range []string{
		"http://host:9000/cb?x=1", "http:/host/cb", "http%3A%2F%2Fhost%3A9000%2Fcb%3Fx%3D1", "http:%2F%2Fhost", "HTTP://Host/", "http://a:b@host/", "http://host@evil/",
		`http://host\@evil/`, "http://host/%0d%0aX:1", "http://[::1]:80/", "http://[::ffff:127.0.0.1]/", "http://127.1/", "http://①②⑦.⓪.⓪.①/", "http://bücher.example/",
		"http://host:0/", "http://host/#x", "//host", "http:///cb", "http://host/%00", "http%253A%252F%252Fhost", "http://host/\u2028", "http://[fe80::1%25eth0]/",
	} {
		f.Add(seed, "")
		f.Add(seed, "y=2&z")
	}
	guard, err := callback.NewGuard(nil, func() []netip.AddrPort { return nil })
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, raw, query string) {
		u, err := parseReturnURL(raw, query)
		if err != nil || guard.CheckText(u) != nil {
			return
		}
		text := u.String()
		require.LessOrEqual(t, len(text), returnURLMost)
		require.False(t, strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }), "%q", text)
		require.Nil(t, u.User)
		require.Empty(t, u.Fragment)
		again, err := url.Parse(text)
		require.NoError(t, err, "%q is kept as %q, which cannot be read", raw, text)
		require.Equal(t, u.Host, again.Host, "%q", raw)
		require.Contains(t, []string{"http", "https"}, again.Scheme)
		require.NoError(t, guard.CheckText(again), "%q is allowed, %q is not", raw, text)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, text, nil)
		require.NoError(t, err, "%q", text)
		require.False(t, strings.ContainsAny(req.URL.RequestURI(), " \r\n"), "%q", text)
		if addr, err := netip.ParseAddr(u.Hostname()); err == nil {
			require.True(t, addr.Unmap().IsGlobalUnicast() && !addr.Unmap().IsPrivate(), "%q was allowed", text)
		}
		require.NotEmpty(t, callback.Destination(text))
	})
}
