package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits bounds what clients can make a server hold. See [connections] and [places].
type Limits struct {
	Connections int           // at once; default 1,000
	Header      time.Duration // for a request's line and headers to arrive; default 10 s
}

// Server serves HTTP with limits that a slow or hostile client cannot stretch.
type Server struct {
	http   *http.Server
	limits Limits
}

// NewServer makes a server.
func NewServer(handler http.Handler, limits Limits, log *slog.Logger) *Server {
	if limits.Connections == 0 {
		limits.Connections = 1000
	}
	if limits.Header == 0 {
		limits.Header = 10 * time.Second
	}
	return &Server{limits: limits, http: &http.Server{
		Handler: handler,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connectionKey{}, c)
		},
		ConnState: func(c net.Conn, state http.ConnState) {
			if c, ok := c.(*connection); ok && state == http.StateIdle { // the whole answer is written
				c.answered()
			}
		},
		ReadHeaderTimeout: limits.Header,
		ReadTimeout:       time.Minute,
		WriteTimeout:      2 * time.Minute, // with what the handler takes: a client may not read its answer
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    1 << 20, // a message of 65,536 characters, escaped, must fit into the path
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		// OPTIONS * asks for a token like everything else.
		DisableGeneralOptionsHandler: true,
	}}
}

// Serve answers on a listener until the context ends; then requests under way get the grace to end.
func (s *Server) Serve(ctx context.Context, listener net.Listener, grace time.Duration) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if s.http.Shutdown(last) != nil {
			_ = s.http.Close() // whoever is left is cut off
		}
	})
	err := s.http.Serve(newConnections(listener, s.limits))
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
