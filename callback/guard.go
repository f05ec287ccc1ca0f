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
	allowed
	own      func() []netip.AddrPort
	special  *ssrf.Guardian
	resolver *net.Resolver
}

// NewGuard reads the list of what is allowed although it is private: hosts, host:port, addresses and CIDRs. own says where
// the daemon listens. The error names every entry that cannot be read.
func NewGuard(allow []string, own func() []netip.AddrPort) (*Guard, error) {
	list, err := readAllowed(allow)
	return &Guard{
		allowed: list, own: own, special: ssrf.New(ssrf.WithAnyPort()),
		// Go's own: a look-up ends with its attempt, and no library of the system reads 127.1 as an address.
		resolver: &net.Resolver{PreferGo: true},
	}, err
}

// CheckText refuses a return URL whose text already shows where it leads.
func (g *Guard) CheckText(u *url.URL) error {
	host, err := idna.Lookup.ToASCII(strings.ToLower(u.Hostname()))
	if err != nil { // names with underscores and the like: judged as they stand
		host = strings.ToLower(u.Hostname())
	}
	name := hostName(host)
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
	case local && !g.listed(host, port) && !g.prefixAllows(netip.MustParseAddr("127.0.0.1")) && !g.prefixAllows(netip.IPv6Loopback()):
		return g.refusal(net.JoinHostPort(host, port))
	case host == "metadata.google.internal" && !g.listed(host, port):
		return g.refusal(host)
	case name == "":
		return errName
	}
	return nil
}

// errName is the refusal of a host that no look-up can find.
var errName = errors.New("the host of the return URL is neither an address nor a name that a host can have")

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
	addr := to.Addr().Unmap().WithZone("")
	inner := carried(addr)
	if g.isListener(addr, to.Port()) || inner.IsValid() && g.isListener(inner, to.Port()) {
		return errOwn
	}
	switch {
	case slices.Contains(g.single, addr):
		return nil
	case metadata(addr), metadata(inner):
		return g.refusal(to.Addr().String())
	case g.listed(host, port):
		return nil
	case g.prefixAllows(addr):
		if !inner.IsValid() || g.prefixAllows(inner) || g.special.SafeAddr(inner) == nil {
			return nil
		}
	case g.special.SafeAddr(addr) == nil:
		return nil
	}
	return g.refusal(net.JoinHostPort(host, port))
}

// isListener tells whether the daemon listens there.
func (g *Guard) isListener(addr netip.Addr, port uint16) bool {
	for _, own := range g.own() {
		listener := own.Addr().Unmap().WithZone("")
		if own.Port() == port && (listener == addr || addr.IsUnspecified() || listener.IsUnspecified() && isLocal(addr)) {
			return true
		}
	}
	return false
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

// DialContext dials a receiver: names on the list are known here, and each address is judged when it is dialled, so that a
// name cannot mean one thing when it is looked at and another when it is used.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{
		Timeout:  connectTimeout,
		Resolver: g.resolver,
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
