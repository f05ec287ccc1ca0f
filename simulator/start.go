package simulator

import (
	"context"
	"strings"
	"time"
)

// TB is what Start needs of a test: *testing.T and *testing.B have it.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	Logf(format string, args ...any)
}

// Start starts a server for a test and closes it at its end. It fails the test for every stanza the simulator did not know
// and for everything a client did wrong, by name, unless [Server.Expect] tolerates it.
func Start(t TB, opts ...Options) *Server {
	t.Helper()
	var o Options
	if len(opts) > 0 {
		o = opts[0]
	}
	s, err := New(o)
	if err != nil {
		t.Fatalf("make simulator: %v", err)
	}
	if err := s.Start(); err != nil {
		t.Fatalf("start simulator: %v", err)
	}
	t.Cleanup(func() {
		s.letGo(time.Second)
		if err := s.Close(); err != nil {
			t.Errorf("close simulator: %v", err)
		}
		s.check(t)
	})
	return s
}

// letGo waits a while for clients that are hanging up: some libraries race with themselves when both sides close at once.
func (s *Server) letGo(patience time.Duration) {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	_ = s.WaitGone(ctx) // who is still there is cut off
}

// WaitGone returns once no client is connected, or with the context's error.
func (s *Server) WaitGone(ctx context.Context) error {
	return s.news.wait(ctx, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.conns) == 0
	})
}

// Expect makes the final check of [Start] tolerate what contains one of these texts: the name of an unhandled stanza, the
// text of a problem, or "decrypt_failed".
func (s *Server) Expect(texts ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected = append(s.expected, texts...)
}

func (s *Server) check(t TB) {
	t.Helper()
	counters := s.Counters()
	for kind := range counters.Unhandled {
		s.complain(t, "not known to the simulator: "+kind)
	}
	for _, problem := range counters.Problems {
		s.complain(t, "client misbehaved: "+problem)
	}
	if counters.DecryptFailed > 0 {
		s.complain(t, "decrypt_failed: messages that a virtual device could not open")
	}
}

func (s *Server) complain(t TB, complaint string) {
	t.Helper()
	for _, text := range s.expected {
		if strings.Contains(complaint, text) {
			return
		}
	}
	t.Errorf("simulator: %s", complaint)
}
