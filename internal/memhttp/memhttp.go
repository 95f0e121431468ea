// Package memhttp is a network in memory: hosts that listen, connections that behave like TCP's, HTTP servers on top, TLS with
// certificates of its own authority. Nothing in it waits outside of Go, so that tests in a testing/synctest bubble may use
// it: every wait is a durable one, and time passes only when all sides wait.
package memhttp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

// Network is a set of hosts. A name nobody listens on does not resolve. The zero value is an empty network.
// Safe for concurrent use; all of it belongs to the bubble that first used it.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener // by host:port
	hosts     map[string]bool      // every host that ever listened: it resolves
	faults    map[string]Fault
	servers   []*Server
	dials     int
	authority *authority
	closed    chan struct{}
}

// Fault is what is wrong with the way to a host.
type Fault int

// The faults of a way. They meet new connections; those that exist live on.
const (
	NoFault Fault = iota
	// Refuse refuses every connection, as a host whose server is down.
	Refuse
	// Swallow never answers, as a firewall that drops packets: a dial waits for its context, at most as long as Linux does,
	// and fails when the network is closed. The dials of net/http outlive the request that began them.
	Swallow
	// Unreachable fails at once, as a machine whose link is down.
	Unreachable
	// NoName makes the name unknown.
	NoName
)

// SetFault puts a fault on the way to a host, NoFault takes it away.
func (n *Network) SetFault(host string, f Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.faults == nil {
		n.faults = map[string]Fault{}
	}
	n.faults[host] = f
}

// Listen listens on host:port.
func (n *Network) Listen(addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr] != nil {
		return nil, &net.OpError{Op: "listen", Net: "memory", Addr: address(addr), Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	if n.listeners == nil {
		n.listeners, n.hosts = map[string]*listener{}, map[string]bool{}
	}
	l := &listener{network: n, addr: address(addr), conns: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[addr] = l
	n.hosts[host] = true
	return l, nil
}

// ListenTLS is like Listen for connections over TLS, with a certificate of the network's authority and the protocols that ALPN may
// choose from, such as "h2".
func (n *Network) ListenTLS(addr string, protocols ...string) (net.Listener, error) {
	l, err := n.Listen(addr)
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{GetCertificate: n.trust().certificate, MinVersion: tls.VersionTLS12, NextProtos: protocols}
	return tls.NewListener(l, conf), nil
}

// Dial connects to host:port. It has the shape of http.Transport.DialContext and fails with the errors of the net package.
func (n *Network) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	l, fault, known := n.listeners[addr], n.faults[host], n.hosts[host]
	n.dials++
	from := address(fmt.Sprintf("192.0.2.1:%d", 1024+n.dials%60000))
	n.mu.Unlock()
	failed := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: address(addr), Err: err}
	}
	switch {
	case fault == Swallow:
		return failed(n.swallow(ctx))
	case fault == Unreachable:
		return failed(os.NewSyscallError("connect", syscall.ENETUNREACH))
	case fault == NoName || !known:
		return failed(&net.DNSError{Err: "no such host", Name: host, IsNotFound: true})
	case fault == Refuse || l == nil:
		return failed(os.NewSyscallError("connect", syscall.ECONNREFUSED))
	}
	client, server := pipe(from, l.addr)
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return failed(os.NewSyscallError("connect", syscall.ECONNREFUSED))
	case <-ctx.Done():
		return failed(ctx.Err())
	}
}

// patience is how long Linux repeats a SYN by default.
const patience = 127 * time.Second

func (n *Network) swallow(ctx context.Context) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return os.NewSyscallError("connect", syscall.ETIMEDOUT)
	case <-n.done():
		return net.ErrClosed
	}
}

// done is closed by Close.
func (n *Network) done() chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed == nil {
		n.closed = make(chan struct{})
	}
	return n.closed
}

// CA returns the pool that trusts the network's TLS servers.
func (n *Network) CA() *x509.CertPool { return n.trust().pool }

// Transport returns a new transport that dials the network and trusts its servers. It speaks HTTP/1.1, and HTTP/2 where TLS
// offers it. The caller may change it before use.
func (n *Network) Transport() *http.Transport {
	return &http.Transport{
		DialContext:       n.Dial,
		TLSClientConfig:   &tls.Config{RootCAs: n.CA(), MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
	}
}

// Close closes every server of the network and waits for their handlers. It may be called more than once.
func (n *Network) Close() {
	done := n.done()
	n.mu.Lock()
	servers := n.servers
	n.servers = nil
	select {
	case <-done:
	default:
		close(done)
	}
	n.mu.Unlock()
	for _, s := range servers {
		s.Close()
	}
}

func (n *Network) trust() *authority {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.authority == nil {
		n.authority = newAuthority()
	}
	return n.authority
}

type listener struct {
	network *Network
	addr    address
	conns   chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "memory", Addr: l.addr, Err: net.ErrClosed}
	}
}

// Close frees the address; connections that were accepted live on.
func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.network.mu.Lock()
		delete(l.network.listeners, string(l.addr))
		l.network.mu.Unlock()
	})
	return nil
}

// Addr returns the address listened on.
func (l *listener) Addr() net.Addr { return l.addr }

// address is host:port in a memory network.
type address string

// Network returns "memory".
func (address) Network() string { return "memory" }

func (a address) String() string { return string(a) }
