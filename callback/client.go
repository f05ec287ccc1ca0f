package callback

import (
	"net/http"
	"time"
)

// newClient is the only HTTP client callbacks leave by: it dials through the guard, asks no proxy, follows no redirect, always
// verifies certificates and takes no more than a little of the answer.
//
// It speaks HTTP/1.1 only: in HTTP/2 the receiver sends what it likes ahead of being read, and an answer that is thrown away is
// worth no bounds of that.
func newClient(guard *Guard, timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout: timeout, // to the last byte of the answer
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // an answer that leads elsewhere is a failure
		},
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy would look up names itself, past the guard
			DialContext:            guard.DialContext,
			TLSHandshakeTimeout:    connectTimeout,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        30 * time.Second,
		},
	}
}
