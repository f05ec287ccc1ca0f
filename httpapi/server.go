package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Server serves HTTP with limits that a slow or hostile client cannot stretch.
type Server struct{ http *http.Server }

// NewServer makes a server.
func NewServer(handler http.Handler, log *slog.Logger) *Server {
	return &Server{&http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
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
	err := s.http.Serve(listener)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
