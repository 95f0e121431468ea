package memhttp

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// Server is an HTTP server in a [Network].
type Server struct {
	// URL is the server's base URL, without a slash at its end.
	URL string

	network *Network
	http    *http.Server
	cancel  context.CancelFunc
	serving sync.WaitGroup

	mu       sync.Mutex
	idle     *sync.Cond
	handling int
}

// NewServer starts a server for plain HTTP at a host of a network of its own. Close it after use.
func NewServer(h http.Handler) *Server { return new(Network).Serve("memory.test", h) }

// Serve starts a server for plain HTTP at host:80. It speaks HTTP/1.1, and HTTP/2 to clients that know it will.
// It panics if the host is taken.
func (n *Network) Serve(host string, h http.Handler) *Server { return n.serve(host, "80", h, false) }

// ServeTLS is like Serve for HTTPS at host:443, with HTTP/1.1 and HTTP/2 as the client chooses.
func (n *Network) ServeTLS(host string, h http.Handler) *Server { return n.serve(host, "443", h, true) }

func (n *Network) serve(host, port string, h http.Handler, secure bool) *Server {
	l, err := n.Listen(net.JoinHostPort(host, port))
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{URL: "http://" + host, network: n, cancel: cancel}
	s.idle = sync.NewCond(&s.mu)
	s.http = &http.Server{
		Handler:     s.counted(h),
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: WithConn,
		Protocols:   Protocols(),
	}
	run := func() error { return s.http.Serve(l) }
	if secure {
		s.URL = "https://" + host
		s.http.TLSConfig = &tls.Config{GetCertificate: n.trust().certificate, MinVersion: tls.VersionTLS12}
		run = func() error { return s.http.ServeTLS(l, "", "") }
	}
	s.serving.Go(func() { _ = run() }) // it ends with http.ErrServerClosed
	n.mu.Lock()
	n.servers = append(n.servers, s)
	n.mu.Unlock()
	return s
}

// Client returns a new client for the server's network.
func (s *Server) Client() *http.Client { return &http.Client{Transport: s.network.Transport()} }

// Close closes every connection, ends the context of every request and waits until all handlers have returned. It may be called
// more than once.
func (s *Server) Close() {
	_ = s.http.Close()
	s.cancel()
	s.serving.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.handling > 0 {
		s.idle.Wait()
	}
}

func (s *Server) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.handling++
		s.mu.Unlock()
		defer func() {
			s.mu.Lock()
			s.handling--
			s.idle.Broadcast()
			s.mu.Unlock()
		}()
		h.ServeHTTP(w, r)
	})
}

// Protocols returns HTTP/1.1 and HTTP/2, with and without TLS.
func Protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return p
}

type connKey struct{}

// WithConn keeps the connection in the context of its requests. It has the shape of http.Server.ConnContext.
func WithConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// Conn returns the connection that a request came by, that below TLS if there is any. It is nil on a server without WithConn.
func Conn(r *http.Request) net.Conn {
	c, _ := r.Context().Value(connKey{}).(net.Conn)
	if t, ok := c.(*tls.Conn); ok {
		return t.NetConn()
	}
	return c
}
