package callback

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
	"golang.org/x/net/idna"
)

// ErrRefused is returned for a destination that the operator has not allowed.
var ErrRefused = errors.New("the address is not allowed as a return URL")

// connectTimeout bounds the dialling of a receiver.
const connectTimeout = 5 * time.Second

// Guard decides where callbacks may go. Addresses on the machine itself, in private networks and in other special ranges are
// refused unless the operator lists them; the daemon's own listener always is, because a callback could drive it.
//
// What counts is the address that is dialled, after every look-up of a name. The text is judged as well, so that a caller
// hears at once what can never work.
type Guard struct {
	prefixes []netip.Prefix  // allowed networks and addresses
	single   []netip.Addr    // of them, the ones listed on their own
	hosts    map[string]bool // allowed names, "host" or "host:port", in lower case
	own      func() []netip.AddrPort
	special  *ssrf.Guardian
}

// metadata are the addresses at which clouds hand out their keys. A network that holds them is not enough to allow them.
func metadata() []netip.Addr {
	return []netip.Addr{netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("fd00:ec2::254")}
}

// NewGuard reads the list of what is allowed although it is private: hosts, host:port, addresses and CIDRs. own says where
// the daemon listens.
func NewGuard(allow []string, own func() []netip.AddrPort) (*Guard, error) {
	g := &Guard{hosts: map[string]bool{}, own: own, special: ssrf.New(ssrf.WithAnyPort())}
	var errs []error
	for _, entry := range allow {
		if err := g.allow(strings.ToLower(strings.TrimSpace(entry))); err != nil {
			errs = append(errs, fmt.Errorf("callback.allow: %q: %w", entry, err))
		}
	}
	return g, errors.Join(errs...)
}

func (g *Guard) allow(entry string) error {
	if prefix, err := netip.ParsePrefix(entry); err == nil {
		if prefix.Masked() != prefix {
			return fmt.Errorf("the network is %s; write that, or the address alone", prefix.Masked())
		}
		g.prefixes = append(g.prefixes, prefix)
		return nil
	}
	if addr, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil {
		g.single = append(g.single, addr.Unmap())
		return nil
	}
	host, port, err := net.SplitHostPort(entry)
	if err != nil {
		host, port = entry, ""
	}
	if !plausibleHost(host) || port != "" && !plausiblePort(port) {
		return errors.New("write a host, host:port, an address or a network such as 10.0.0.0/8")
	}
	g.hosts[entry] = true
	return nil
}

func plausiblePort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// plausibleHost tells a name that can stand in a URL from anything else.
func plausibleHost(host string) bool {
	if host == "" || len(host) > 253 {
		return false
	}
	for _, char := range host {
		letter := char >= 'a' && char <= 'z' || char >= '0' && char <= '9'
		if !letter && char != '-' && char != '.' && char != '_' && char != ':' {
			return false
		}
	}
	return true
}

// CheckText refuses a return URL whose text already shows where it leads.
func (g *Guard) CheckText(u *url.URL) error {
	host, err := idna.Lookup.ToASCII(strings.ToLower(u.Hostname()))
	if err != nil { // names with underscores and the like: judged as they stand
		host = strings.ToLower(u.Hostname())
	}
	host = strings.TrimSuffix(host, ".")
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	addr, isAddress := parseAddress(host)
	local := host == "localhost" || strings.HasSuffix(host, ".localhost")
	switch {
	case strings.Contains(host, "%"):
		return fmt.Errorf("%w: it names a network interface", ErrRefused)
	case isAddress:
		number, _ := strconv.ParseUint(port, 10, 16)
		return g.check(host, port, netip.AddrPortFrom(addr, uint16(number)))
	case local && g.isOwn(port):
		return errOwn
	case local && !g.listed(host, port) && !g.prefixAllows(netip.MustParseAddr("127.0.0.1")):
		return g.refusal(net.JoinHostPort(host, port))
	case host == "metadata.google.internal" && !g.listed(host, port):
		return g.refusal(host)
	}
	return nil
}

// errOwn is the refusal that no setting lifts.
var errOwn = fmt.Errorf("%w: it is the daemon itself", ErrRefused)

// isOwn tells whether the daemon listens on this port at all.
func (g *Guard) isOwn(port string) bool {
	for _, own := range g.own() {
		if strconv.Itoa(int(own.Port())) == port {
			return true
		}
	}
	return false
}

func (g *Guard) refusal(where string) error {
	return fmt.Errorf("%w: %s is on this machine or in a private network; an operator can list it in the setting callback.allow", ErrRefused, where)
}

// check judges an address that is to be dialled under a name or as itself.
func (g *Guard) check(host, port string, to netip.AddrPort) error {
	addr := to.Addr().Unmap()
	for _, own := range g.own() {
		if own.Port() == to.Port() && (own.Addr().Unmap() == addr || own.Addr().IsUnspecified() && isLocal(addr) || addr.IsUnspecified()) {
			return errOwn
		}
	}
	if slices.Contains(g.single, addr) {
		return nil
	}
	if slices.Contains(metadata(), addr) {
		return g.refusal(to.Addr().String())
	}
	if g.listed(host, port) || g.prefixAllows(addr) {
		return nil
	}
	network := "tcp4"
	if addr.Is6() {
		network = "tcp6"
	}
	if err := g.special.Safe(network, netip.AddrPortFrom(addr, max(to.Port(), 1)).String(), nil); err != nil {
		return g.refusal(net.JoinHostPort(host, port))
	}
	return nil
}

// isLocal tells whether an address belongs to this machine.
func isLocal(addr netip.Addr) bool {
	if addr.IsLoopback() || addr.IsUnspecified() {
		return true
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return true // better one callback too few than the daemon driving itself
	}
	for _, address := range addresses {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil && prefix.Addr().Unmap() == addr {
			return true
		}
	}
	return false
}

// listed tells whether the operator listed a name, with or without its port, or an address with its port.
func (g *Guard) listed(host, port string) bool {
	return g.hosts[host] || g.hosts[net.JoinHostPort(host, port)]
}

func (g *Guard) prefixAllows(addr netip.Addr) bool {
	for _, prefix := range g.prefixes {
		if prefix.Contains(addr) {
			return true
		}
	}
	return slices.Contains(g.single, addr)
}

// DialContext dials a receiver: names on the list are known here, and each address is judged when it is dialled, so that a
// name cannot mean one thing when it is looked at and another when it is used.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{
		Timeout: connectTimeout,
		Control: func(_, dialled string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(dialled)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrRefused, err)
			}
			return g.check(strings.ToLower(strings.TrimSuffix(host, ".")), port, to)
		},
	}
	return dialer.DialContext(ctx, network, address)
}

// parseAddress reads an address in every spelling that some resolver understands: also 127.1, 2130706433, 0x7f.1 and
// 0177.0.0.1.
func parseAddress(host string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap(), true
	}
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var value uint64
	for i, part := range parts {
		n, err := strconv.ParseUint(octal(part), 0, 32)
		if err != nil || strings.Contains(part, "_") {
			return netip.Addr{}, false
		}
		if i == len(parts)-1 {
			value = value<<(8*(4-i)) | n
			break
		}
		if n > 255 {
			return netip.Addr{}, false
		}
		value = value<<8 | n
	}
	if value > 0xffffffff {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), true
}

// octal lets leading zeros mean what they mean to resolvers.
func octal(part string) string {
	if trimmed := strings.TrimLeft(part, "0"); len(trimmed) < len(part) && trimmed != "" && trimmed[0] >= '0' && trimmed[0] <= '9' {
		if strings.ContainsAny(trimmed, "89") {
			return trimmed // some resolvers read 08 as eight
		}
		return "0" + trimmed
	}
	return part
}
