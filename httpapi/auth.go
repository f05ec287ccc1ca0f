package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// tokens are the hashes of what callers must show.
type tokens [][sha256.Size]byte

func hashTokens(plain []string) tokens {
	hashes := make(tokens, len(plain))
	for i, token := range plain {
		hashes[i] = sha256.Sum256([]byte(token))
	}
	return hashes
}

// match compares with every token, so that the time tells nothing, and returns a short name for the one that was shown.
func (t tokens) match(shown string) (id string, ok bool) {
	hash := sha256.Sum256([]byte(shown))
	found := 0
	for i := range t {
		found |= subtle.ConstantTimeCompare(hash[:], t[i][:])
	}
	return hex.EncodeToString(hash[:4]), found == 1
}

// SetTokens replaces what callers must show, from the next request on.
func (a *API) SetTokens(plain []string) {
	hashes := hashTokens(plain)
	a.tokens.Store(&hashes)
}

// shownToken reads the token of a request: "Token token=x" or "Token token="x"", and "Bearer x" where that is allowed.
func shownToken(header http.Header, bearer bool) string {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return ""
	}
	scheme, rest, found := strings.Cut(values[0], " ")
	if !found {
		return ""
	}
	if strings.EqualFold(scheme, "Bearer") && bearer {
		return rest
	}
	value, isToken := strings.CutPrefix(rest, "token=")
	if !strings.EqualFold(scheme, "Token") || !isToken {
		return ""
	}
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	return value
}

// open tells the paths that need no token.
func (a *API) open(path string) bool {
	switch path {
	case "/internal/ping", "/healthz", "/readyz":
		return true
	case "/metrics":
		return a.opts.MetricsOpen
	}
	return false
}

// authorize refuses requests without a right token before anything else is looked at, on unknown paths too.
func (a *API) authorize(c *gin.Context) {
	path := c.Request.URL.RawPath
	if a.open(path) {
		return
	}
	id, ok := a.tokens.Load().match(shownToken(c.Request.Header, !inWS(path)))
	if !ok {
		a.slowGuess(c.Request.Context(), c.Request.RemoteAddr)
		c.Header("WWW-Authenticate", "Token")
		a.refuse(c, errUnauthorized)
		c.Abort()
		return
	}
	keepConnection(c.Request.Context())
	c.Set(keyToken, id)
}

// inWS tells the old endpoints, which have their own shape of errors.
func inWS(path string) bool { return path == "/ws" || strings.HasPrefix(path, "/ws/") }
