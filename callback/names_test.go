package callback

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// The tests of this file have a name server of their own. 127.0.0.1 and ::1 stand for what is refused, 127.0.0.2, which their
// guards allow, for an address of the internet.

// record is one line of a zone: an address, or the name that a name stands for.
type record struct{ name, leads string }

// nameServer answers from a zone that may change with every question; nil is no answer at all.
type nameServer struct {
	conn net.PacketConn

	mu    sync.Mutex
	asked map[string]int // questions for addresses of IPv4, by name
	zone  func(name string, nth int) []record
}

func newNameServer(t *testing.T, zone func(name string, nth int) []record) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	s := &nameServer{conn: conn, asked: map[string]int{}, zone: zone}
	go s.serve()
	return s
}

// resolver asks this server and nobody else.
func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

func (s *nameServer) serve() {
	buffer := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		var question dnsmessage.Message
		if question.Unpack(buffer[:n]) != nil || len(question.Questions) != 1 {
			continue
		}
		if answer := s.answer(question); answer != nil {
			_, _ = s.conn.WriteTo(answer, from)
		}
	}
}

func (s *nameServer) answer(m dnsmessage.Message) []byte {
	question := m.Questions[0]
	name := strings.TrimSuffix(question.Name.String(), ".")
	s.mu.Lock()
	if question.Type == dnsmessage.TypeA {
		s.asked[name]++
	}
	records := s.zone(name, max(s.asked[name], 1))
	s.mu.Unlock()
	if records == nil {
		return nil
	}
	m.Header = dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true, RecursionAvailable: true}
	m.Additionals = nil
	for _, r := range records {
		owner := dnsmessage.MustNewName(r.name + ".")
		header := dnsmessage.ResourceHeader{Name: owner, Class: dnsmessage.ClassINET} // to be forgotten at once
		switch addr, err := netip.ParseAddr(r.leads); {
		case err != nil:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(r.leads + ".")}})
		case addr.Is4() && question.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: addr.As4()}})
		case addr.Is6() && question.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	packed, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return packed
}

// house is a receiver on one address that counts who comes by.
type house struct {
	net.Listener
	visits atomic.Int32
}

func (h *house) Accept() (net.Conn, error) {
	conn, err := h.Listener.Accept()
	if err == nil {
		h.visits.Add(1)
	}
	return conn, err
}

// houses opens a receiver on each address, all on the same port.
func houses(t *testing.T, addresses ...string) (port string, all []*house) {
	t.Helper()
	for range 100 {
		port = "0"
		all = nil
		for _, address := range addresses {
			listener, err := net.Listen("tcp", net.JoinHostPort(address, port))
			if err != nil {
				break
			}
			t.Cleanup(func() { _ = listener.Close() })
			_, port, _ = net.SplitHostPort(listener.Addr().String())
			all = append(all, &house{Listener: listener})
		}
		if len(all) == len(addresses) {
			for _, h := range all {
				server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })}
				go func() { _ = server.Serve(h) }()
			}
			return port, all
		}
	}
	t.Fatal("no port is free on all addresses")
	return "", nil
}

// judge makes a guard that asks this server.
func judge(t *testing.T, server *nameServer, own string, allow ...string) *Guard {
	t.Helper()
	guard, err := NewGuard(allow, func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort(own)} })
	require.NoError(t, err)
	guard.resolver = server.resolver()
	return guard
}

// post delivers to a name, as an attempt does.
func post(t *testing.T, guard *Guard, url string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
	require.NoError(t, err)
	require.NoError(t, guard.CheckText(req.URL), "the text shows nothing")
	client := newClient(guard, time.Minute)
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func TestNamesAreJudgedByWhatTheyLeadToAtEachAttempt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		zone    func(name string, nth int) []record
		reached []bool // by attempt
	}{
		"leads where it may": {
			zone:    func(name string, _ int) []record { return []record{{name, "127.0.0.2"}} },
			reached: []bool{true, true},
		},
		"leads to loopback": {
			zone:    func(name string, _ int) []record { return []record{{name, "127.0.0.1"}} },
			reached: []bool{false, false},
		},
		"flips after the first question": {
			zone: func(name string, nth int) []record {
				return []record{{name, []string{"127.0.0.2", "127.0.0.1"}[min(nth, 2)-1]}}
			},
			reached: []bool{true, false, false},
		},
		"flips back": {
			zone: func(name string, nth int) []record {
				return []record{{name, []string{"127.0.0.1", "127.0.0.2"}[min(nth, 2)-1]}}
			},
			reached: []bool{false, true},
		},
		"leads to both": {
			zone: func(name string, _ int) []record {
				return []record{{name, "::1"}, {name, "127.0.0.1"}, {name, "127.0.0.2"}}
			},
			reached: []bool{true, true},
		},
		"has loopback for IPv6 only": {
			zone:    func(name string, _ int) []record { return []record{{name, "::1"}} },
			reached: []bool{false},
		},
		"has a mapped address": {
			zone:    func(name string, _ int) []record { return []record{{name, "::ffff:127.0.0.1"}} },
			reached: []bool{false},
		},
		"has an address behind a translator": {
			zone: func(name string, _ int) []record {
				return []record{{name, "64:ff9b::7f00:1"}, {name, "2002:7f00:1::1"}}
			},
			reached: []bool{false},
		},
		"has the address of a cloud's keys": {
			zone:    func(name string, _ int) []record { return []record{{name, "169.254.169.254"}, {name, "fd00:ec2::254"}} },
			reached: []bool{false},
		},
		"stands for another that leads to loopback": {
			zone: func(name string, _ int) []record {
				return []record{{name, "second.example"}, {"second.example", "third.example"}, {"third.example", "127.0.0.1"}}
			},
			reached: []bool{false},
		},
		"stands for localhost": {
			zone:    func(name string, _ int) []record { return []record{{name, "localhost"}, {"localhost", "127.0.0.1"}} },
			reached: []bool{false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port, all := houses(t, "127.0.0.1", "127.0.0.2")
			guard := judge(t, newNameServer(t, c.zone), "127.0.0.9:1", "127.0.0.2")
			var visits int32
			for i, reached := range c.reached {
				err := post(t, guard, "http://receiver.example:"+port+"/cb")
				if reached {
					require.NoError(t, err, "attempt %d", i+1)
					visits++
				} else {
					require.ErrorIs(t, err, ErrRefused, "attempt %d", i+1)
				}
			}
			require.Zero(t, all[0].visits.Load(), "a refused address was visited")
			require.Equal(t, visits, all[1].visits.Load())
		})
	}
}

func TestNamesInOtherScriptsAreSentAsPunycode(t *testing.T) {
	t.Parallel()
	const ascii = "xn--bcher-kva.example"
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	require.NoError(t, err)
	hosts := make(chan string, 1)
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hosts <- r.Host })}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	guard := judge(t, newNameServer(t, func(name string, _ int) []record {
		if name != ascii {
			return nil
		}
		return []record{{name, "127.0.0.2"}}
	}), "127.0.0.9:1", "127.0.0.2")
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	for _, written := range []string{"bücher.example", ascii} {
		require.NoError(t, post(t, guard, "http://"+written+":"+port+"/cb"), written)
		require.Equal(t, ascii+":"+port, <-hosts, written)
	}
}

func TestTheDaemonIsRefusedUnderEveryNameItHas(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	require.NoError(t, err)
	server := newNameServer(t, func(name string, _ int) []record { return []record{{name, "127.0.0.1"}} })
	port, all := houses(t, "127.0.0.1")
	everything := []string{"0.0.0.0/0", "::/0", "127.0.0.1", "::1", "localhost", "host.example", "127.0.0.1:" + port, "localhost:" + port, "host.example:" + port}
	addresses, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for listen, c := range map[string]struct{ refused, others []string }{
		"127.0.0.1": {
			refused: []string{
				"127.0.0.1", "localhost", "LOCALHOST.", "any.localhost", "127.1", "2130706433", "0x7f.0.0.1", "0177.1", "0.0.0.0", "[::ffff:127.0.0.1]",
				"[::ffff:7f00:1]", "[::]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::1]", "host.example", host,
			},
			others: []string{"127.0.0.2", "[::1]"},
		},
		"0.0.0.0": {refused: []string{"127.0.0.1", "127.0.0.2", "[::1]", "localhost", "0.0.0.0", "[::]", "host.example"}},
		"::":      {refused: []string{"127.0.0.1", "[::1]", "localhost", "0.0.0.0", "[::]", "host.example"}},
		"::1":     {refused: []string{"[::1]", "localhost", "[0:0:0:0:0:0:0:1]", "[::]"}},
	} {
		guard := judge(t, server, netip.AddrPortFrom(netip.MustParseAddr(listen), mustPort(t, port)).String(), everything...)
		if netip.MustParseAddr(listen).IsUnspecified() {
			for _, address := range addresses {
				addr := netip.MustParsePrefix(address.String()).Addr()
				c.refused = append(c.refused, strings.TrimSuffix(netip.AddrPortFrom(addr.WithZone(""), 1).String(), ":1"))
			}
		}
		for _, name := range c.refused {
			conn, err := guard.dialChecked(t, name+":"+port)
			require.ErrorIs(t, err, errOwn, "listening on %s, asked for %s", listen, name)
			require.Nil(t, conn)
			if strings.HasPrefix(name, "127.") { // no other is dialled: some lead out of this machine
				_, err = guard.dialChecked(t, name+":1")
				require.NotErrorIs(t, err, errOwn, "listening on %s, asked for another port of %s", listen, name)
			}
		}
		for _, name := range c.others {
			_, err := guard.dialChecked(t, name+":"+port)
			require.NotErrorIs(t, err, errOwn, "listening on %s, asked for %s", listen, name)
		}
	}
	require.Zero(t, all[0].visits.Load(), "the daemon was visited")
}

// dialChecked does what an attempt does before the first byte.
func (g *Guard) dialChecked(t *testing.T, hostPort string) (net.Conn, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+hostPort+"/", nil)
	require.NoError(t, err)
	if err := g.CheckText(req.URL); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := g.DialContext(ctx, "tcp", hostPort)
	if err != nil {
		return nil, err
	}
	return nil, conn.Close()
}

func mustPort(t *testing.T, text string) uint16 {
	t.Helper()
	return netip.MustParseAddrPort("0.0.0.0:" + text).Port()
}

// lookUps counts the goroutines that look a name up.
func lookUps() int {
	stacks := make([]byte, 16<<20)
	return bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte("net.(*Resolver)."))
}

// TestANameServerThatIsDownLeavesNothingBehind has the system's look-ups go on after their attempts, for the ten seconds that
// they take, and then no longer.
func TestANameServerThatIsDownLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	var up atomic.Bool
	server := newNameServer(t, func(name string, _ int) []record {
		if !up.Load() {
			return nil
		}
		return []record{{name, "127.0.0.2"}}
	})
	port, all := houses(t, "127.0.0.2")
	guard := judge(t, server, "127.0.0.9:1", "127.0.0.2")
	var attempts sync.WaitGroup
	for i := range 200 {
		attempts.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			conn, err := guard.DialContext(ctx, "tcp", fmt.Sprintf("receiver-%d.example:%s", i%10, port))
			if err == nil {
				_ = conn.Close()
			}
			var slow net.Error
			if !errors.As(err, &slow) || !slow.Timeout() || errors.Is(err, ErrRefused) {
				t.Errorf("a look-up without an answer ended with %v", err)
			}
		})
	}
	attempts.Wait()
	require.Eventually(t, func() bool { return lookUps() == 0 }, 30*time.Second, 50*time.Millisecond, "look-ups are left")
	up.Store(true)
	require.NoError(t, post(t, guard, "http://receiver-1.example:"+port+"/"))
	require.EqualValues(t, 1, all[0].visits.Load())
}

func TestRedirectsLeadNowhere(t *testing.T) {
	t.Parallel()
	_, targets := houses(t, "127.0.0.1")
	target := targets[0].Addr().String()
	for location, status := range map[string]int{
		"http://169.254.169.254/latest/meta-data/": http.StatusMovedPermanently,
		"/again":                 http.StatusFound,
		"http://" + target + "/": http.StatusTemporaryRedirect,
		"http://" + target:       http.StatusPermanentRedirect,
		"file:///etc/passwd":     http.StatusSeeOther,
	} {
		var asked atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			w.Header().Set("Location", location)
			w.Header().Set("Refresh", "0; url="+location)
			w.WriteHeader(status)
		}))
		guard, err := NewGuard([]string{"127.0.0.1"}, func() []netip.AddrPort { return nil })
		require.NoError(t, err)
		res, err := newClient(guard, time.Minute).Post(server.URL, "application/json", nil)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, status, res.StatusCode)
		require.EqualValues(t, 1, asked.Load(), location)
		server.Close()
	}
	require.Zero(t, targets[0].visits.Load(), "a redirect was followed")
}

func TestCertificatesAreAlwaysVerifiedAndNoProxyIsAsked(t *testing.T) {
	t.Parallel()
	guard, err := NewGuard([]string{"127.0.0.1", "localhost"}, func() []netip.AddrPort { return nil })
	require.NoError(t, err)
	client := newClient(guard, time.Minute)
	transport := client.Transport.(*http.Transport)
	transport.TLSHandshakeTimeout = time.Minute // on a busy machine
	require.Nil(t, transport.Proxy, "a proxy would look names up itself, past the guard")
	require.Nil(t, transport.DialTLSContext, "all dials go through the guard")
	require.Nil(t, client.Jar)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = nil
	server.StartTLS()
	t.Cleanup(server.Close)
	_, err = client.Post(server.URL, "application/json", nil)
	require.ErrorContains(t, err, "certificate")
}
