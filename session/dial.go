package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"go.mau.fi/whatsmeow"
)

// dialer gives clients their way to the other end: the real WhatsApp, perhaps through a proxy, or a simulator.
type dialer struct {
	opts      Options
	simulated *http.Transport // nil for the real WhatsApp
}

func newDialer(opts Options) (*dialer, error) {
	d := &dialer{opts: opts}
	if opts.Simulator == nil {
		return d, nil
	}
	addr := opts.Simulator.Addr
	if err := checkLoopback(addr); err != nil {
		return nil, err
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return dialLoopback(ctx, addr) }
	// Both, since the library asks for a TLS connection: a simulator listens without.
	d.simulated = &http.Transport{DialContext: dial, DialTLSContext: dial}
	return d, nil
}

// equip gives a client its connections. Call it before the client's first dial.
func (d *dialer) equip(client *whatsmeow.Client) error {
	web := &http.Client{Timeout: d.opts.Timing.Dial}
	media := &http.Client{}
	if d.simulated != nil {
		web.Transport, media.Transport = d.simulated, d.simulated
	} else {
		web.Transport = http.DefaultTransport.(*http.Transport).Clone()
		media.Transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	client.SetWebsocketHTTPClient(web)
	client.SetPreLoginHTTPClient(web)
	client.SetMediaHTTPClient(media)
	if d.opts.Proxy == "" || d.simulated != nil {
		return nil
	}
	if err := client.SetProxyAddress(d.opts.Proxy); err != nil {
		return errors.New("the proxy must be an http, https or socks5 URL") // the cause would show its password
	}
	return nil
}

// close ends idle connections.
func (d *dialer) close() {
	if d.simulated != nil {
		d.simulated.CloseIdleConnections()
	}
}

// dialLoopback connects to a simulator, and to nothing else: a name may resolve differently than it did at the start.
func dialLoopback(ctx context.Context, addr string) (net.Conn, error) {
	var plain net.Dialer
	conn, err := plain.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dial simulator: %w", err)
	}
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		_ = conn.Close() // never used
		return nil, errors.New("dial simulator: the address led away from this machine")
	}
	return conn, nil
}

// checkLoopback refuses a simulator that others could reach.
func checkLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("simulator address: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("simulator address: %q is not a loopback address", host)
	}
	return nil
}
