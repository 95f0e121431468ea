package holdfast

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
)

// Why no client address can be told. They say nothing of the request's content.
var (
	errNoPeer   = errors.New("holdfast: client address: the connection has no IP address")
	errHidden   = errors.New("holdfast: client address: a trusted proxy forwarded something that is no address")
	errDisagree = errors.New("holdfast: client address: the forwarding headers name different clients")
)

// ClientIP returns the address of the client that sent an HTTP request, for [WithClientIP].
//
// That is the peer of the connection, unless the peer lies within trusted, the ranges of your own proxies. Only then do
// the headers X-Forwarded-For, Forwarded (RFC 7239) and X-Real-IP count: lists are walked from the right, past trusted
// addresses, and the first other address is the client's; what stands to its left may have been made up by the client and
// is not looked at. If all are trusted, the leftmost is the client. Without any of these headers a trusted peer is itself
// the client.
//
// Nothing is guessed. The error is not nil, and the country is best left unknown by passing on the zero Addr, if
//   - the connection has no IP address, as over a Unix socket,
//   - the walk meets something that is no address ("unknown", an obfuscated name, a malformed entry or header), or
//   - several of the headers are there and name different clients: a proxy that sets one and lets the others through would
//     otherwise let clients choose their address. An X-Real-IP that is itself trusted names no client.
//
// A trusted proxy must set or remove at least one of the headers; ClientIP cannot tell if it merely passes them on.
// The address comes without zone, and as IPv4 if it was IPv4-mapped. Ports are dropped; IPv6 may stand in brackets.
func ClientIP(r *http.Request, trusted ...netip.Prefix) (netip.Addr, error) {
	peer, ok := parseAddr(r.RemoteAddr)
	if !ok {
		return netip.Addr{}, errNoPeer
	}
	within := proxies(trusted)
	if !within.contain(peer) {
		return peer, nil
	}
	var client netip.Addr
	for _, walk := range [...]func(http.Header) (netip.Addr, error){
		within.xForwardedFor, within.forwarded, within.xRealIP,
	} {
		addr, err := walk(r.Header)
		switch {
		case err != nil:
			return netip.Addr{}, err
		case client.IsValid() && addr.IsValid() && addr != client:
			return netip.Addr{}, errDisagree
		case addr.IsValid():
			client = addr
		}
	}
	if !client.IsValid() {
		return peer, nil
	}
	return client, nil
}

// proxies are the ranges of trusted proxies. Their methods read one header each: the client, or the zero Addr if the header
// is absent or names none.
type proxies []netip.Prefix

func (p proxies) contain(addr netip.Addr) bool {
	for _, prefix := range p {
		// A range may be written as IPv4-mapped: ::ffff:10.0.0.0/104 is 10.0.0.0/8.
		if a := prefix.Addr(); a.Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(a.Unmap(), prefix.Bits()-96)
		}
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

func (p proxies) xForwardedFor(h http.Header) (client netip.Addr, err error) {
	lines := h["X-Forwarded-For"]
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var entry string
			comma := strings.LastIndexByte(rest, ',')
			rest, entry, more = rest[:max(comma, 0)], rest[comma+1:], comma >= 0
			entry = strings.Trim(entry, " \t")
			if entry == "" {
				continue // RFC 9110, section 5.6.1: empty elements of a list are ignored
			}
			addr, ok := parseAddr(entry)
			if !ok {
				return netip.Addr{}, errHidden
			}
			client = addr
			if !p.contain(addr) {
				return client, nil
			}
		}
	}
	return client, nil
}

func (p proxies) forwarded(h http.Header) (client netip.Addr, err error) {
	lines := h["Forwarded"]
	for i := len(lines) - 1; i >= 0; i-- {
		hops, ok := forwardedFor(lines[i])
		if !ok {
			return netip.Addr{}, errHidden
		}
		for j := len(hops) - 1; j >= 0; j-- {
			addr, ok := parseAddr(hops[j])
			if !ok {
				return netip.Addr{}, errHidden
			}
			client = addr
			if !p.contain(addr) {
				return client, nil
			}
		}
	}
	return client, nil
}

func (p proxies) xRealIP(h http.Header) (netip.Addr, error) {
	lines := h["X-Real-Ip"]
	value := strings.Trim(strings.Join(lines, ","), " \t")
	if value == "" {
		return netip.Addr{}, nil
	}
	addr, ok := parseAddr(value)
	if !ok {
		return netip.Addr{}, errHidden
	}
	if p.contain(addr) {
		return netip.Addr{}, nil
	}
	return addr, nil
}

// parseAddr reads an address with or without port: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80,
// each IPv6 address with or without zone. A port may be obfuscated as RFC 7239 allows ("_x"): it is dropped anyway.
func parseAddr(s string) (netip.Addr, bool) {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		host, port, closed := strings.Cut(inner, "]")
		if !closed || (port != "" && !isPort(port)) || !strings.Contains(host, ":") {
			return netip.Addr{}, false
		}
		s = host
	} else if host, _, ok := strings.Cut(s, ":"); ok && strings.Count(s, ":") == 1 {
		if !isPort(s[len(host):]) {
			return netip.Addr{}, false
		}
		s = host
	}
	addr, err := netip.ParseAddr(s)
	return addr.WithZone("").Unmap(), err == nil
}

const obfuscatedChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

// isPort reports whether s is a colon and a port, obfuscated or not (RFC 7239, section 6).
func isPort(s string) bool {
	port, ok := strings.CutPrefix(s, ":")
	if obfuscated, is := strings.CutPrefix(port, "_"); is {
		return ok && obfuscated != "" && strings.Trim(obfuscated, obfuscatedChars) == ""
	}
	return ok && port != "" && len(port) <= 5 && strings.Trim(port, "0123456789") == ""
}
