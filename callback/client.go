package callback

import (
	"net/http"
	"time"
)

// newClient is the only HTTP client callbacks leave by: it dials through the guard, asks no proxy, follows no redirect and
// takes no more than a little of the answer.
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
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        30 * time.Second,
		},
	}
}
