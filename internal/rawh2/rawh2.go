// Package rawh2 is an HTTP/2 server that a test scripts frame by frame (RFC 9113), so that it can break where no well-behaved server
// does. Requests are not decoded, and answers are as short as a client's windows allow.
package rawh2

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/holdfast-ai/holdfast/internal/memhttp"
)

// Server speaks HTTP/2 over TLS at a host of a [memhttp.Network]. Safe for concurrent use.
type Server struct {
	// URL is the server's base URL, without a slash at its end.
	URL string

	listener net.Listener
	script   func(*Stream)
	running  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	conns   []*Conn
	streams []*Stream
}

// Serve starts a server at https://host. The script runs for each stream, on a goroutine of its own, as soon as the request's headers
// are there. A stream that it does not end stays open. Serve panics if the host is taken.
func Serve(n *memhttp.Network, host string, script func(*Stream)) *Server {
	l, err := n.ListenTLS(net.JoinHostPort(host, "443"), "h2")
	if err != nil {
		panic(err)
	}
	s := &Server{URL: "https://" + host, listener: l, script: script}
	s.running.Go(s.accept)
	return s
}

// Conns returns the connections accepted so far.
func (s *Server) Conns() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.conns)
}

// Streams returns the streams opened so far, in the order of their headers.
func (s *Server) Streams() []*Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.streams)
}

// Close closes every connection and waits for all scripts to return. It may be called more than once.
func (s *Server) Close() {
	_ = s.listener.Close()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, c := range s.Conns() {
		c.Close()
	}
	s.running.Wait()
}

func (s *Server) accept() {
	for {
		raw, err := s.listener.Accept()
		if err != nil {
			return
		}
		c := &Conn{server: s, conn: raw.(*tls.Conn), done: make(chan struct{}), streams: map[uint32]*Stream{}}
		s.mu.Lock()
		s.conns = append(s.conns, c)
		closed := s.closed
		s.mu.Unlock()
		if closed {
			c.Close()
		}
		s.running.Go(c.serve)
	}
}

func (s *Server) opened(st *Stream) {
	s.mu.Lock()
	s.streams = append(s.streams, st)
	s.mu.Unlock()
	s.running.Go(func() { s.script(st) })
}

// Conn is one connection. Safe for concurrent use.
type Conn struct {
	server *Server
	conn   *tls.Conn
	once   sync.Once
	done   chan struct{} // closed by Close and Break
	silent atomic.Bool
	pings  atomic.Int32

	writing sync.Mutex
	streams map[uint32]*Stream // used by the reading goroutine only
}

// GoAway announces that no stream behind last is or will be processed. The connection stays open.
func (c *Conn) GoAway(last uint32, code Code) { c.write(goAway(last, code)) }

// Silence stops reading and writing and keeps the connection, as a machine that lost its power or its link. What is written from then
// on is lost.
func (c *Conn) Silence() {
	c.silent.Store(true)
	_ = c.conn.NetConn().SetReadDeadline(past)
}

// Close closes the connection in order.
func (c *Conn) Close() {
	c.once.Do(func() {
		close(c.done)
		_ = c.conn.Close()
	})
}

// Break breaks the connection off, as a server that crashes.
func (c *Conn) Break() {
	_ = c.conn.NetConn().(interface{ SetLinger(int) error }).SetLinger(0)
	c.once.Do(func() {
		close(c.done)
		_ = c.conn.NetConn().Close()
	})
}

// Pings returns how many pings came from the client.
func (c *Conn) Pings() int { return int(c.pings.Load()) }

// serve reads until either side leaves.
func (c *Conn) serve() {
	c.read()
	if c.silent.Load() {
		<-c.done
	}
	c.Close()
	for _, s := range c.streams {
		s.arrived()
		s.left()
	}
}

func (c *Conn) read() {
	r := bufio.NewReader(c.conn)
	if _, err := io.CopyN(io.Discard, r, int64(len(preface))); err != nil {
		return
	}
	c.write(frame{kind: settings})
	for {
		f, err := readFrame(r)
		if err != nil {
			return
		}
		c.take(f)
	}
}

// take does what the protocol asks of every server, and tells the streams what concerns them.
func (c *Conn) take(f frame) {
	switch {
	case f.kind == settings && f.flags&ack == 0:
		c.write(frame{kind: settings, flags: ack})
	case f.kind == ping && f.flags&ack == 0:
		c.pings.Add(1)
		c.write(frame{kind: ping, flags: ack, payload: f.payload})
	case f.kind == headers && c.streams[f.stream] == nil:
		s := &Stream{ID: f.stream, Conn: c, whole: make(chan struct{}), gone: make(chan struct{})}
		c.streams[f.stream] = s
		c.server.opened(s)
	case f.kind == data && len(f.payload) > 0:
		c.write(windowUpdate(0, len(f.payload)))
		c.write(windowUpdate(f.stream, len(f.payload)))
	}
	s := c.streams[f.stream]
	if s == nil {
		return
	}
	switch {
	case f.kind == data:
		s.body = append(s.body, f.payload...)
	case f.kind == resetStream && len(f.payload) == 4:
		s.reset(codeOf(f.payload))
		s.arrived()
		s.left()
	}
	if f.flags&endStream != 0 && (f.kind == headers || f.kind == data) {
		s.arrived()
	}
}

// write sends one frame. An error is the peer's leaving, which the reader sees too.
func (c *Conn) write(f frame) {
	if c.silent.Load() {
		return
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	_, _ = c.conn.Write(f.bytes())
}

// Stream is one request and its answer. Its methods may be called from any goroutine.
type Stream struct {
	// ID is odd and grows from stream to stream of a connection.
	ID   uint32
	Conn *Conn

	body  []byte // complete when whole is closed
	whole chan struct{}
	gone  chan struct{}
	begun sync.Once
	ended sync.Once
	code  atomic.Pointer[Code]
}

// Body waits until the request has arrived and returns its body, or what arrived before the client left.
func (s *Stream) Body() string {
	<-s.whole
	return string(s.body)
}

// Head sends the headers of an answer.
func (s *Stream) Head(status int, contentType string) {
	s.Conn.write(responseHeaders(s.ID, status, contentType))
}

// Send sends a piece of the answer's body.
func (s *Stream) Send(text string) {
	for len(text) > maxFrame {
		s.Conn.write(frame{kind: data, stream: s.ID, payload: []byte(text[:maxFrame])})
		text = text[maxFrame:]
	}
	s.Conn.write(frame{kind: data, stream: s.ID, payload: []byte(text)})
}

// End ends the answer in order.
func (s *Stream) End() { s.Conn.write(frame{kind: data, flags: endStream, stream: s.ID}) }

// Reset breaks the stream off, and leaves the connection as it is.
func (s *Stream) Reset(code Code) { s.Conn.write(rstStream(s.ID, code)) }

// Gone is closed when the client reset the stream or its connection has ended.
func (s *Stream) Gone() <-chan struct{} { return s.gone }

// ResetBy returns the code by which the client reset the stream, and whether it did.
func (s *Stream) ResetBy() (Code, bool) {
	c := s.code.Load()
	if c == nil {
		return 0, false
	}
	return *c, true
}

func (s *Stream) reset(c Code) { s.code.CompareAndSwap(nil, &c) }
func (s *Stream) arrived()     { s.begun.Do(func() { close(s.whole) }) }
func (s *Stream) left()        { s.ended.Do(func() { close(s.gone) }) }
