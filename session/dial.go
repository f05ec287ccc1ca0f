package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.mau.fi/whatsmeow"
)

// Simulator names a simulated WhatsApp on this machine.
type Simulator struct {
	Addr string // host:port, loopback
}

// wire makes a client dial where this account's WhatsApp is: the simulator, whatever host the library asks for, or the real
// one, through the proxy if there is one.
func (o Options) wire(client *whatsmeow.Client) error {
	if o.Simulator == nil {
		if o.Proxy == "" {
			return nil
		}
		if err := client.SetProxyAddress(o.Proxy); err != nil {
			return fmt.Errorf("proxy: %w", err)
		}
		return nil
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return dialLoopback(ctx, o.Simulator.Addr) }
	web := &http.Client{Transport: &http.Transport{DialContext: dial, DialTLSContext: dial, Proxy: nil}}
	client.SetWebsocketHTTPClient(web)
	client.SetPreLoginHTTPClient(web)
	client.SetMediaHTTPClient(web)
	return nil
}

// dialLoopback dials an address that must turn out to be on this machine: a name may have come to mean another since the
// settings were read.
func dialLoopback(ctx context.Context, addr string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if remote, ok := conn.RemoteAddr().(*net.TCPAddr); !ok || !remote.IP.IsLoopback() {
		_ = conn.Close()
		return nil, errors.New("the simulator's address is not on this machine")
	}
	return conn, nil
}
