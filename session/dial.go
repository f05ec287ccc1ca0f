package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"go.mau.fi/whatsmeow"
)

// dialer gives clients their way to the other end: the real WhatsApp or a simulator, perhaps through a proxy. One transport
// is the way of everything: the connection itself, the page before the login, and media.
type dialer struct {
	opts      Options
	transport *http.Transport
}

func newDialer(opts Options) (*dialer, error) {
	d := &dialer{opts: opts}
	if opts.Simulator != nil {
		return d, d.simulate(opts.Simulator.Addr)
	}
	d.transport = http.DefaultTransport.(*http.Transport).Clone()
	if opts.Proxy == "" {
		return d, nil
	}
	dial, err := throughProxy(opts.Proxy, new(net.Dialer).DialContext)
	if err != nil {
		return nil, err
	}
	d.transport.Proxy, d.transport.DialContext = nil, dial
	return d, nil
}

// simulate makes a simulator the other end. With a proxy, that one must be on this machine as well: the address of the
// simulator would mean another machine anywhere else.
func (d *dialer) simulate(addr string) error {
	if err := checkLoopback(addr); err != nil {
		return fmt.Errorf("simulator address: %w", err)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return dialLoopback(ctx, addr) }
	if d.opts.Proxy != "" {
		toProxy := func(ctx context.Context, _, proxy string) (net.Conn, error) { return dialLoopback(ctx, proxy) }
		proxied, err := throughProxy(d.opts.Proxy, toProxy)
		if err != nil {
			return err
		}
		at, err := url.Parse(d.opts.Proxy)
		if err != nil || checkLoopback(net.JoinHostPort(at.Hostname(), "1")) != nil {
			return errors.New("with a simulator the proxy must be on this machine too, at a loopback address")
		}
		dial = func(ctx context.Context, network, _ string) (net.Conn, error) { return proxied(ctx, network, addr) }
	}
	// Both, since the library asks for a TLS connection: a simulator listens without.
	d.transport = &http.Transport{DialContext: dial, DialTLSContext: dial}
	return nil
}

// equip gives a client its connections. Call it before the client's first dial.
func (d *dialer) equip(client *whatsmeow.Client) {
	web := &http.Client{Timeout: d.opts.Timing.Dial, Transport: d.transport}
	client.SetWebsocketHTTPClient(web)
	client.SetPreLoginHTTPClient(web)
	client.SetMediaHTTPClient(&http.Client{Transport: bounded{d.transport}})
}

// bounded is a way on which no answer is longer than maxDownload: the library holds what it downloads as a whole.
type bounded struct{ way http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.way.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if res.ContentLength > maxDownload {
		_ = res.Body.Close() // nothing of it is read
		return nil, fmt.Errorf("a file of %d bytes is too large to be downloaded", res.ContentLength)
	}
	res.Body = http.MaxBytesReader(nil, res.Body, maxDownload)
	return res, nil
}

// close ends idle connections.
func (d *dialer) close() { d.transport.CloseIdleConnections() }

// dialLoopback connects to what listens on this machine, and to nothing else: a name may resolve differently than it did at
// the start.
func dialLoopback(ctx context.Context, addr string) (net.Conn, error) {
	var plain net.Dialer
	conn, err := plain.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		_ = conn.Close() // never used
		return nil, fmt.Errorf("dial %s: the address led away from this machine", addr)
	}
	return conn, nil
}

// checkLoopback refuses an address that others could reach.
func checkLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%q is not a loopback address", host)
	}
	return nil
}

// dialFailed returns the code of a dial that failed.
func dialFailed(err error) string {
	if errors.Is(err, errProxy) {
		return CodeProxyUnreachable
	}
	return CodeConnectFailed
}
