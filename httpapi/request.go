package httpapi

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

// bodyMost is the largest request body, in bytes. The old endpoints need none.
const bodyMost = 1 << 20

// begin gives the request its id, sets the headers that every answer has, and logs the end. Paths and parameters are never
// logged: under /ws they hold numbers and messages.
func (a *API) begin(c *gin.Context) {
	begun := time.Now()
	id := c.GetHeader("X-Request-Id")
	if !sane(id) {
		id = uuid.NewString()
	}
	c.Set(keyRequest, id)
	header := c.Writer.Header()
	header.Set("X-Request-Id", id)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	c.Next()
	level := slog.LevelInfo
	if a.open(c.Request.URL.RawPath) || c.Writer.Status() == http.StatusUnauthorized {
		level = slog.LevelDebug // health checks come every few seconds, and wrong tokens are counted elsewhere
	}
	a.log.Log(c.Request.Context(), level, "request",
		"method", method(c.Request.Method), "route", c.FullPath(), "status", c.Writer.Status(), "bytes", max(c.Writer.Size(), 0),
		"took_ms", time.Since(begun).Milliseconds(), "request_id", id, "token_id", c.GetString(keyToken), "remote", remote(c.Request))
}

// bounded refuses bodies that are too large before they are sent.
func (a *API) bounded(c *gin.Context) {
	if c.Request.ContentLength > bodyMost {
		a.refuse(c, errTooLarge)
		c.Abort()
	}
}

// sane tells ids that can stand in a log from what somebody made up.
func sane(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		if !alphanumeric(id[i]) && id[i] != '-' && id[i] != '_' {
			return false
		}
	}
	return true
}

func alphanumeric(char byte) bool {
	return char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' || char >= '0' && char <= '9'
}

// method is the request's method, if it is one.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodPost, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
		return name
	}
	return "other"
}

// remote is the address the connection came from. What a proxy says about others is not believed.
func remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// recoverPanic answers a request whose handler panicked. The text of a panic may hold what the request held, so that only
// the runtime's own are logged.
func (a *API) recoverPanic(c *gin.Context) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		text := fmt.Sprintf("%T", cause)
		if failure, ok := cause.(runtime.Error); ok {
			text = failure.Error()
		}
		a.log.Error("request panicked",
			"request_id", c.GetString(keyRequest), "route", c.FullPath(), "panic", text, "stack", string(debug.Stack()))
		c.Abort()
		if !c.Writer.Written() {
			a.refuse(c, errInternal)
		}
	}()
	c.Next()
}
