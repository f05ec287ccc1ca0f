package session

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"golang.org/x/net/proxy"
)

// dialFunc opens a network connection.
type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// errProxy marks a dial that ended at the proxy: it cannot be reached, or does not let us in.
var errProxy = errors.New("the proxy cannot be used")

// throughProxy returns a dial that goes through a proxy and never around it. What it is to reach, the proxy resolves.
func throughProxy(address string, direct dialFunc) (dialFunc, error) {
	mistake := errors.New("the proxy must be an http, https or socks5 URL") // what is wrong with it might show its password
	at, err := url.Parse(address)
	if err != nil || at.Hostname() == "" {
		return nil, mistake
	}
	toProxy := toProxyFunc(func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := direct(ctx, network, addr)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errProxy, err)
		}
		return conn, nil
	})
	switch at.Scheme {
	case "http", "https":
		return connector{at, toProxy}.dial, nil
	case "socks5":
		socks, err := proxy.FromURL(at, toProxy)
		if err != nil {
			return nil, mistake
		}
		return socks.(proxy.ContextDialer).DialContext, nil
	default:
		return nil, mistake
	}
}

// toProxyFunc is a dialFunc in the form that the SOCKS library wants.
type toProxyFunc dialFunc

// Dial implements proxy.Dialer.
func (f toProxyFunc) Dial(network, addr string) (net.Conn, error) {
	return f(context.Background(), network, addr)
}

// DialContext implements proxy.ContextDialer.
func (f toProxyFunc) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return f(ctx, network, addr)
}

// connector asks an HTTP proxy for tunnels, by the method CONNECT of RFC 9110.
type connector struct {
	at      *url.URL
	toProxy toProxyFunc
}

func (c connector) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	port := c.at.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[c.at.Scheme]
	}
	conn, err := c.toProxy(ctx, network, net.JoinHostPort(c.at.Hostname(), port))
	if err != nil {
		return nil, err
	}
	cut := context.AfterFunc(ctx, func() { _ = conn.Close() }) // what is on its way fails then
	tunnel, err := c.tunnel(ctx, conn, addr)
	if !cut() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = conn.Close() // never used
		return nil, err
	}
	return tunnel, nil
}

// tunnel makes a connection with the proxy one with addr.
func (c connector) tunnel(ctx context.Context, conn net.Conn, addr string) (net.Conn, error) {
	if c.at.Scheme == "https" {
		secured := tls.Client(conn, &tls.Config{ServerName: c.at.Hostname(), MinVersion: tls.VersionTLS12})
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("%w: %w", errProxy, err)
		}
		conn = secured
	}
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{}}
	if user := c.at.User; user != nil {
		password, _ := user.Password()
		request.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	if err := request.Write(conn); err != nil {
		return nil, fmt.Errorf("%w: %w", errProxy, err)
	}
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, request) //nolint:bodyclose // what follows is the tunnel
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errProxy, err)
	case answer.StatusCode == http.StatusProxyAuthRequired:
		return nil, fmt.Errorf("%w: it asks for a user and a password, or other ones", errProxy)
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the proxy does not reach %s: it answered %s", addr, answer.Status)
	case reader.Buffered() > 0:
		return nil, fmt.Errorf("%w: it spoke before %s was reached", errProxy, addr)
	}
	return conn, nil
}
