package httpapi

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// returnURLMost is the longest return URL, in bytes.
const returnURLMost = 2048

var errReturnURL = errors.New("the return URL is missing or not absolute; write http://host/path or https://host/path, percent-escaped once")

// parseReturnURL reads the return URL at the end of a path, in any of the spellings that callers and the proxies between
// produce: as it stands, with its slashes merged, or escaped once, wholly or in part. raw is the path's end as it was sent,
// query the request's own query, which belongs to the return URL.
func parseReturnURL(raw, query string) (*url.URL, error) {
	text := strings.TrimPrefix(raw, "/")
	u, err := asItStands(text)
	if err != nil {
		unescaped, unescapeErr := url.PathUnescape(text)
		if unescapeErr != nil {
			return nil, errReturnURL
		}
		if u, err = asItStands(unescaped); err != nil {
			return nil, err
		}
	}
	if query != "" {
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += query
		if strings.ContainsFunc(query, forbidden) {
			return nil, errors.New("the query of the return URL holds a space or a control character; percent-escape it")
		}
	}
	if len(u.String()) > returnURLMost {
		return nil, errors.New("the return URL is longer than 2048 bytes")
	}
	return u, nil
}

// asItStands parses a return URL that needs no unescaping.
func asItStands(text string) (*url.URL, error) {
	scheme, rest, found := strings.Cut(text, ":")
	scheme = strings.ToLower(scheme)
	if !found || scheme != "http" && scheme != "https" || !strings.HasPrefix(rest, "/") {
		return nil, errReturnURL
	}
	if !strings.HasPrefix(rest, "//") { // a proxy merged the slashes
		rest = "/" + rest
	}
	if strings.ContainsFunc(rest, forbidden) || strings.Contains(rest, `\`) {
		return nil, errors.New("the return URL holds a space, a backslash or a control character; percent-escape it")
	}
	u, err := url.Parse(scheme + ":" + rest)
	switch {
	case err != nil, u.Hostname() == "":
		return nil, errReturnURL
	case u.User != nil:
		return nil, errors.New("the return URL holds a user or password; leave it out")
	case u.Fragment != "" || strings.Contains(rest, "#"):
		return nil, errors.New("the return URL has a fragment; leave out # and what follows")
	case strings.HasSuffix(u.Host, ":"), strings.Contains(u.Host, "%"):
		return nil, errors.New("the host of the return URL is not valid")
	}
	if err := toASCII(u); err != nil {
		return nil, err
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errors.New("the port of the return URL must lie between 1 and 65535")
		}
	}
	return u, nil
}

// toASCII writes a host of other scripts as it is looked up. The HTTP client would do so too, but without folding capitals and
// letters of other widths, so that it would look up another name than the one that was judged.
func toASCII(u *url.URL) error {
	if !strings.ContainsFunc(u.Host, func(char rune) bool { return char > '~' }) {
		return nil
	}
	host, err := idna.Lookup.ToASCII(u.Hostname())
	if err != nil {
		return errors.New("the host of the return URL is not a name that a host can have")
	}
	if port := u.Port(); port != "" {
		host = net.JoinHostPort(host, port)
	}
	u.Host = host
	return nil
}

// forbidden tells characters that must not stand in a URL as they are.
func forbidden(char rune) bool { return char <= ' ' || char == 0x7f || char == 0xfffd }
