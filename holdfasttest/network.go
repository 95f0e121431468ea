package holdfasttest

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"

	"github.com/holdfast-ai/holdfast/internal/memhttp"
)

// Network is a network in memory with servers in it, for tests in a [testing/synctest] bubble: nothing in it waits outside of
// Go, so that the bubble's clock moves on when everyone waits, and no time really passes. A host that has no server does
// not resolve. Use it within the bubble that made it, and close it there.
//
// Safe for concurrent use.
type Network struct{ net *memhttp.Network }

// NewNetwork returns an empty network.
func NewNetwork() *Network { return &Network{net: new(memhttp.Network)} }

// NewServer starts a server at http://host. It panics if the host is taken.
func (n *Network) NewServer(host string, d Dialect) *Server {
	s := NewHandler(d)
	return s.over(n.net.Serve(host, s), n.net.CA)
}

// NewTLSServer starts a server at https://host, with HTTP/1.1 and HTTP/2. Its certificate is of the network's CA.
func (n *Network) NewTLSServer(host string, d Dialect) *Server {
	s := NewHandler(d)
	return s.over(n.net.ServeTLS(host, s), n.net.CA)
}

// Serve starts any other handler at http://host, such as a gateway, and returns its URL.
func (n *Network) Serve(host string, h http.Handler) string { return n.net.Serve(host, h).URL }

// Dial connects to a server. It has the shape of http.Transport.DialContext, and fails with the errors that real networks give.
func (n *Network) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return n.net.Dial(ctx, network, addr)
}

// CA returns the authority of the TLS servers.
func (n *Network) CA() *x509.CertPool { return n.net.CA() }

// Client returns a new plain HTTP client within the network.
func (n *Network) Client() *http.Client { return &http.Client{Transport: n.net.Transport()} }

// Refuse makes new connections to the host fail as if its server were down.
func (n *Network) Refuse(host string) { n.net.SetFault(host, memhttp.Refuse) }

// Swallow makes new connections to the host wait for their context, or two minutes, as a firewall that drops packets.
func (n *Network) Swallow(host string) { n.net.SetFault(host, memhttp.Swallow) }

// Unplug makes new connections to the host fail at once as unreachable.
func (n *Network) Unplug(host string) { n.net.SetFault(host, memhttp.Unreachable) }

// Forget makes the host's name unknown.
func (n *Network) Forget(host string) { n.net.SetFault(host, memhttp.NoName) }

// Restore ends whatever is wrong with the way to the host.
func (n *Network) Restore(host string) { n.net.SetFault(host, memhttp.NoFault) }

// Close closes all servers and waits for their answers to end.
func (n *Network) Close() { n.net.Close() }
