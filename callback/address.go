package callback

import (
	"net/netip"
	"strconv"
	"strings"
)

// metadata tells the addresses at which clouds hand out their keys. A network that holds them is not enough to allow them.
func metadata(addr netip.Addr) bool {
	switch addr.String() {
	case "169.254.169.254", "fd00:ec2::254", // AWS and most others
		"169.254.170.2", "169.254.170.23", "fd00:ec2::23", // containers at AWS
		"fd20:ce::254",    // Google
		"168.63.129.16",   // Azure, in a public range
		"100.100.100.200", // Alibaba
		"192.0.0.192":     // Oracle
		return true
	}
	return false
}

// carried is the IPv4 address inside an IPv6 address that a translator or a tunnel leads to; the zero value when there is none.
func carried(addr netip.Addr) netip.Addr {
	bytes := addr.As16()
	in := func(prefix string) bool { return netip.MustParsePrefix(prefix).Contains(addr) }
	switch {
	case !addr.Is6(), addr.IsLoopback(), addr.IsUnspecified():
		return netip.Addr{}
	case in("::/96"), in("64:ff9b::/96"), in("64:ff9b:1::/48"): // IPv4-compatible, NAT64 (RFC 6052, RFC 8215)
		return netip.AddrFrom4([4]byte(bytes[12:16]))
	case in("2002::/16"): // 6to4 (RFC 3056)
		return netip.AddrFrom4([4]byte(bytes[2:6]))
	case in("2001::/32"): // Teredo (RFC 4380): the client, with every bit turned
		return netip.AddrFrom4([4]byte{^bytes[12], ^bytes[13], ^bytes[14], ^bytes[15]})
	}
	return netip.Addr{}
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
