package session

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// answering answers every request with so many bytes.
type answering struct {
	size  int
	tells bool // how many in advance
}

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	res := &http.Response{Body: io.NopCloser(strings.NewReader(strings.Repeat("x", a.size))), ContentLength: -1}
	if a.tells {
		res.ContentLength = int64(a.size)
	}
	return res, nil
}

func TestNothingLargerThanItMayBeIsDownloaded(t *testing.T) {
	t.Parallel()
	download := func(a answering) (int, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://media.invalid/", nil)
		require.NoError(t, err)
		res, err := bounded{a}.RoundTrip(req)
		if err != nil {
			return 0, err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return len(body), err
	}
	for _, tells := range []bool{true, false} {
		read, err := download(answering{size: maxDownload, tells: tells})
		require.NoError(t, err)
		require.Equal(t, maxDownload, read)
		read, err = download(answering{size: maxDownload + 1, tells: tells})
		require.Error(t, err)
		require.LessOrEqual(t, read, maxDownload)
	}
}
