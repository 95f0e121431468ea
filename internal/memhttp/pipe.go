package memhttp

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// window is how many bytes one side may send before the other reads: as with TCP, more than HTTP/2's own first window of 64 KiB.
const window = 128 << 10

// conn is one end of a connection that behaves like TCP: what was written stays readable after an orderly close, and
// SetLinger(0) before Close makes it a reset.
type conn struct {
	in, out       *flow
	local, remote address
	linger        bool // guarded by out.mu
}

// flow carries the bytes of one direction.
type flow struct {
	mu     sync.Mutex
	moved  *sync.Cond
	buf    []byte
	ended  bool // the writer closed
	reset  bool // the writer broke off
	unread bool // the reader closed
	read   deadline
	write  deadline
}

type deadline struct {
	at    time.Time
	timer *time.Timer
}

func pipe(client, server address) (*conn, *conn) {
	up, down := &flow{}, &flow{}
	up.moved, down.moved = sync.NewCond(&up.mu), sync.NewCond(&down.mu)
	return &conn{in: down, out: up, local: client, remote: server, linger: true},
		&conn{in: up, out: down, local: server, remote: client, linger: true}
}

// Read waits for bytes, the end, the deadline or Close.
func (c *conn) Read(p []byte) (int, error) {
	f := c.in
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case f.unread:
			return 0, c.failed("read", net.ErrClosed)
		case f.read.passed():
			return 0, c.failed("read", os.ErrDeadlineExceeded)
		case len(p) == 0:
			return 0, nil
		case len(f.buf) > 0:
			n := copy(p, f.buf)
			f.buf = f.buf[:copy(f.buf, f.buf[n:])]
			f.moved.Broadcast()
			return n, nil
		case f.reset:
			return 0, c.failed("read", os.NewSyscallError("read", syscall.ECONNRESET))
		case f.ended:
			return 0, io.EOF
		}
		f.moved.Wait()
	}
}

// Write waits for room in the window.
func (c *conn) Write(p []byte) (int, error) {
	f := c.out
	f.mu.Lock()
	defer f.mu.Unlock()
	written := 0
	for {
		switch {
		case f.ended || f.reset:
			return written, c.failed("write", net.ErrClosed)
		case f.write.passed():
			return written, c.failed("write", os.ErrDeadlineExceeded)
		case f.unread:
			return written, c.failed("write", os.NewSyscallError("write", syscall.EPIPE))
		}
		n := min(len(p), window-len(f.buf))
		if n > 0 {
			f.buf = append(f.buf, p[:n]...)
			p, written = p[n:], written+n
			f.moved.Broadcast()
		}
		if len(p) == 0 {
			return written, nil
		}
		f.moved.Wait()
	}
}

// Close ends both directions. The peer reads what was sent and then the end, or a reset after SetLinger(0).
func (c *conn) Close() error {
	c.out.mu.Lock()
	if c.linger {
		c.out.ended = true
	} else {
		c.out.reset = true
	}
	c.out.write.stop()
	c.out.moved.Broadcast()
	c.out.mu.Unlock()

	c.in.mu.Lock()
	c.in.unread = true
	c.in.buf = nil
	c.in.read.stop()
	c.in.moved.Broadcast()
	c.in.mu.Unlock()
	return nil
}

// SetLinger is that of net.TCPConn: 0 makes Close a reset.
func (c *conn) SetLinger(sec int) error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.linger = sec != 0
	return nil
}

// LocalAddr returns this end's address.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the other end's address.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// SetReadDeadline ends reads at t, those that wait already included.
func (c *conn) SetReadDeadline(t time.Time) error { return c.in.limit(&c.in.read, t) }

// SetWriteDeadline ends writes at t, those that wait already included.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.out.limit(&c.out.write, t) }

func (c *conn) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: "memory", Source: c.local, Addr: c.remote, Err: err}
}

func (f *flow) limit(d *deadline, t time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	d.stop()
	d.at = t
	if wait := time.Until(t); !t.IsZero() && wait > 0 {
		d.timer = time.AfterFunc(wait, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.moved.Broadcast()
		})
	}
	f.moved.Broadcast()
	return nil
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
