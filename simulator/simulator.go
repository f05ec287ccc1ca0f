package simulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Options says how a [Server] behaves. The zero value works.
type Options struct {
	// Addr is where to listen, host:port. The host must be a loopback address: the control API asks for no password.
	// Default 127.0.0.1:0, a free port.
	Addr string
	// StateFile keeps accounts, keys, linked clients and queues across restarts. Empty: everything is forgotten at the
	// end, so that every client that paired is logged out by the next server.
	StateFile string
	// RootPrivate is the hex of the 32-byte private key at the root of the certificate chain, for programs in which
	// several servers must share one root, as tests do: the client library trusts one root per process. Empty: the key of
	// the state file, or a new one.
	RootPrivate string
	// WebVersion is the revision of WhatsApp's own web client that the page at / tells, which clients compare with their own. 0:
	// there is no such page. [Server.SetWebVersion] changes it.
	WebVersion uint32
	// Logger receives what happens, without secrets. Default: nothing is logged.
	Logger *slog.Logger

	// Codes is how many pairing codes a client gets at once. Default 6. Source: emitQRs of whatsmeow, which counts on six.
	Codes int
	// FirstCodeLife and CodeLife say how long the first code and each following one can be scanned. Defaults 60 s and
	// 20 s, as emitQRs of whatsmeow and genPairQR of Baileys show them. After the last one the connection is closed: whatsmeow's
	// PairPhone tells so.
	FirstCodeLife, CodeLife time.Duration
	// CloseGrace is the pause between a last stanza (stream error, failure) and the end of the connection. A client may
	// lose a stanza that is followed at once by a close: whatsmeow chooses between the two at random. Default 300 ms, a guess;
	// negative: none.
	CloseGrace time.Duration
	// HandshakeTimeout ends a connection that has not finished its handshake. Default 20 s, a guess: whatsmeow's own patience
	// (NoiseHandshakeResponseTimeout).
	HandshakeTimeout time.Duration
	// PairTimeout is how long a client may take to countersign its pairing. Default 20 s, a guess.
	PairTimeout time.Duration
	// PasskeyTimeout is how long a client may take to prove a passkey. Default 10 min, as people have reported.
	PasskeyTimeout time.Duration
	// LinkCodes is how many codes to be typed clients may ask for one number within a minute; more are refused with 429.
	// Default 5, a guess; negative: no bound.
	LinkCodes int

	// Hostile, from 0 to 100, says how much goes wrong by itself: valid traffic meets delays, drops, redeliveries, other
	// orders and reconnects. Seed rolls the dice; 0 takes a new one, which [Server.Seed] tells.
	Hostile int
	Seed    uint64
}

// withDefaults fills in what was left zero.
func (o Options) withDefaults() Options {
	orDuration := func(value *time.Duration, fallback time.Duration) {
		if *value == 0 {
			*value = fallback
		}
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Codes <= 0 {
		o.Codes = 6
	}
	if o.LinkCodes == 0 {
		o.LinkCodes = 5
	}
	if o.Seed == 0 {
		o.Seed = newSeed()
	}
	orDuration(&o.FirstCodeLife, 60*time.Second)
	orDuration(&o.CodeLife, 20*time.Second)
	orDuration(&o.CloseGrace, 300*time.Millisecond)
	orDuration(&o.HandshakeTimeout, 20*time.Second)
	orDuration(&o.PairTimeout, 20*time.Second)
	orDuration(&o.PasskeyTimeout, 10*time.Minute)
	return o
}

// Server is a simulated WhatsApp. It is safe for concurrent use.
type Server struct {
	opts      Options
	log       *slog.Logger
	authority *authority
	ledger    ledger
	news      news
	faults    faults
	feed      feed
	media     mediaStore
	web       atomic.Uint32 // the revision that the page tells

	mu        sync.Mutex
	directory directory
	conns     map[*conn]struct{}
	codes     map[string]*pairing // by ref, codes that were handed out
	linkRate  linkRate
	listener  net.Listener
	http      *http.Server
	closed    bool
	expected  []string // what Start's final check tolerates

	ctx     context.Context // ends with Close; for work that no connection owns
	cancel  context.CancelFunc
	work    sync.WaitGroup // every goroutine of the server
	dirty   chan struct{}  // state changed
	closing sync.Once
	ended   error // of Close
}

// New makes a server that does not listen yet. It fails on an address that is not loopback, on a bad root key, and on a
// state file it cannot read.
func New(opts Options) (*Server, error) {
	opts = opts.withDefaults()
	if err := checkLoopback(opts.Addr); err != nil {
		return nil, err
	}
	s := &Server{
		opts:      opts,
		log:       opts.Logger,
		directory: newDirectory(),
		conns:     map[*conn]struct{}{},
		codes:     map[string]*pairing{},
		linkRate:  linkRate{},
		dirty:     make(chan struct{}, 1),
	}
	s.web.Store(opts.WebVersion)
	s.faults.dice = newDice(opts.Hostile, opts.Seed)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.load(); err != nil {
		s.cancel()
		return nil, fmt.Errorf("load simulator state: %w", err)
	}
	return s, nil
}

// checkLoopback refuses an address others could reach.
func checkLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("simulator address: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("simulator address %q is not a loopback address", host)
	}
	return nil
}

// Start listens and serves in the background until Close.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.listener != nil {
		return errors.New("simulator already started")
	}
	if err := s.listen(s.opts.Addr); err != nil {
		return err
	}
	s.work.Go(s.saveChanges)
	return nil
}

// listen opens the listener and serves it. Call with s.mu held.
func (s *Server) listen(addr string) error {
	listener, err := (&net.ListenConfig{}).Listen(s.ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen for the simulator: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws/chat", s.serveChat) // URL in whatsmeow's package socket
	mux.HandleFunc("GET /{$}", s.servePage)
	s.handleMedia(mux)
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ConnContext:       func(ctx context.Context, tcp net.Conn) context.Context { return context.WithValue(ctx, tcpKey{}, tcp) },
	}
	s.listener, s.http = listener, server
	s.work.Go(func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("simulator stopped serving", "error", err)
		}
	})
	s.log.Info("simulator listens; it is not WhatsApp", "addr", listener.Addr().String(), "root_key", s.RootKey())
	return nil
}

// Addr returns the address the server listens on, host:port, and "" before Start.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Seed returns what rolls the dice of a hostile server: given back in [Options.Seed], it rolls the same sequence.
func (s *Server) Seed() uint64 { return s.opts.Seed }

// RootKey returns the hex of the 32-byte public key at the root of the certificate chain: what clients must trust.
func (s *Server) RootKey() string { return s.authority.rootKey() }

// Restart cuts every connection, refuses new ones during the pause, and listens again on the same port.
func (s *Server) Restart(pause time.Duration) error {
	addr := s.Addr()
	if addr == "" {
		return errors.New("simulator is not started")
	}
	s.hangUp()
	select {
	case <-time.After(pause):
	case <-s.ctx.Done():
		return errors.New("simulator closed")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("simulator closed")
	}
	return s.listen(addr)
}

// hangUp stops listening and cuts every connection.
func (s *Server) hangUp() {
	s.mu.Lock()
	server := s.http
	for c := range s.conns {
		c.drop()
	}
	s.mu.Unlock()
	if server != nil {
		_ = server.Close() // its listener is gone either way
	}
}

// Close cuts every connection, waits until all work has ended and saves the state. It may be called more than once and
// returns the same answer each time.
func (s *Server) Close() error {
	s.closing.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.cancel()
		s.hangUp()
		s.work.Wait()
		if err := s.save(); err != nil {
			s.ended = fmt.Errorf("save simulator state: %w", err)
		}
	})
	return s.ended
}

// spawn runs f in a goroutine that Close waits for; its context ends with Close. It returns false after Close.
func (s *Server) spawn(f func(ctx context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spawnLocked(f)
}

// spawnLocked is spawn for callers that hold s.mu.
func (s *Server) spawnLocked(f func(ctx context.Context)) bool {
	if s.closed {
		return false
	}
	s.work.Go(func() { f(s.ctx) })
	return true
}
