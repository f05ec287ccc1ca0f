package callback

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// allowed is what the operator listed although it is private.
type allowed struct {
	prefixes []netip.Prefix
	single   []netip.Addr    // addresses listed on their own
	hosts    map[string]bool // names, "host" or "host:port", and addresses with a port, in the form that URLs are brought to
}

// readAllowed reads the setting callback.allow. Its errors complete the sentence "callback.allow …".
func readAllowed(entries []string) (allowed, error) {
	list := allowed{hosts: map[string]bool{}}
	var errs []error
	for _, entry := range entries {
		if err := list.add(strings.ToLower(strings.TrimSpace(entry))); err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", entry, err))
		}
	}
	return list, errors.Join(errs...)
}

func (l *allowed) add(entry string) error {
	if prefix, err := netip.ParsePrefix(entry); err == nil {
		if prefix.Masked() != prefix {
			return fmt.Errorf("the network is %s; write that, or the address alone", prefix.Masked())
		}
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 { // addresses are unmapped before they are looked up
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		l.prefixes = append(l.prefixes, prefix)
		return nil
	}
	if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(entry, "["), "]")); err == nil && addr.Zone() == "" {
		l.single = append(l.single, addr.Unmap())
		return nil
	}
	if !strings.Contains(entry, ":") {
		if entry = hostName(entry); entry == "" {
			return errAllowed
		}
		l.hosts[entry] = true
		return nil
	}
	host, port, err := net.SplitHostPort(entry)
	number, notNumber := strconv.ParseUint(port, 10, 16)
	if err != nil || notNumber != nil || number == 0 {
		return errAllowed
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.Zone() == "" {
		host = addr.Unmap().String()
	} else if host = hostName(host); host == "" {
		return errAllowed
	}
	l.hosts[net.JoinHostPort(host, strconv.FormatUint(number, 10))] = true
	return nil
}

var errAllowed = errors.New("write a host, host:port, an address or a network such as 10.0.0.0/8")

// hostName brings a name to the form in which it is looked up; empty for what can be no name of a host.
func hostName(host string) string {
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	}
	host = strings.TrimSuffix(host, ".")
	if len(host) > 253 {
		return ""
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		odd := strings.ContainsFunc(label, func(char rune) bool {
			return (char < 'a' || char > 'z') && (char < '0' || char > '9') && char != '-' && char != '_'
		})
		if label == "" || len(label) > 63 || odd || strings.HasPrefix(label, "-") {
			return ""
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" { // an address that is none
		return ""
	}
	return host
}

// listed tells whether the operator listed a name, with or without its port, or an address with its port.
func (l *allowed) listed(host, port string) bool {
	return l.hosts[host] || l.hosts[net.JoinHostPort(host, port)]
}

// prefixAllows tells whether an address is listed, or its network.
func (l *allowed) prefixAllows(addr netip.Addr) bool {
	for _, prefix := range l.prefixes {
		if prefix.Contains(addr) {
			return true
		}
	}
	return slices.Contains(l.single, addr)
}

// Wide returns the allowed networks that are wider than any private one, 10.0.0.0/8 and fc00::/7: with them, callers reach
// nearly everything that this machine reaches.
func (l *allowed) Wide() []string {
	var wide []string
	for _, prefix := range l.prefixes {
		if prefix.Addr().Is4() && prefix.Bits() < 8 || prefix.Addr().Is6() && prefix.Bits() < 7 {
			wide = append(wide, prefix.String())
		}
	}
	return wide
}
