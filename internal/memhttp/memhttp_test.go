package memhttp_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast/internal/memhttp"
)

func hello(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "hello over %s", r.Proto) }

func ExampleNewServer() {
	s := memhttp.NewServer(http.HandlerFunc(hello))
	defer s.Close()
	res, err := s.Client().Get(s.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	fmt.Println(string(body))
	// Output: hello over HTTP/1.1
}

func TestProtocols(t *testing.T) {
	t.Parallel()
	h2c := new(http.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	h1 := new(http.Protocols)
	h1.SetHTTP1(true)
	tests := []struct {
		name   string
		secure bool
		speak  *http.Protocols
		want   string
	}{
		{"plain", false, nil, "HTTP/1.1"},
		{"plain, HTTP/2", false, h2c, "HTTP/2.0"},
		{"TLS", true, nil, "HTTP/2.0"},
		{"TLS, HTTP/1.1", true, h1, "HTTP/1.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var n memhttp.Network
				defer n.Close()
				start := n.Serve
				if tt.secure {
					start = n.ServeTLS
				}
				s := start("a.test", http.HandlerFunc(hello))
				tr := n.Transport()
				tr.Protocols = tt.speak
				res, err := (&http.Client{Transport: tr}).Get(s.URL)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				body, err := io.ReadAll(res.Body)
				if got, want := string(body), "hello over "+tt.want; got != want || err != nil {
					t.Errorf("got %q, %v, want %q", got, err, want)
				}
			})
		})
	}
}

func TestWaysFail(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		host  string
		fault memhttp.Fault
		want  func(error) bool
	}{
		{"unknown name", "b.test:80", memhttp.NoFault, noName},
		{"name taken away", "a.test:80", memhttp.NoName, noName},
		{"other port", "a.test:81", memhttp.NoFault, is(syscall.ECONNREFUSED)},
		{"refused", "a.test:80", memhttp.Refuse, is(syscall.ECONNREFUSED)},
		{"unreachable", "a.test:80", memhttp.Unreachable, is(syscall.ENETUNREACH)},
		{"swallowed", "a.test:80", memhttp.Swallow, is(context.DeadlineExceeded)},
		{"swallowed for long", "slow.test:80", memhttp.Swallow, is(syscall.ETIMEDOUT)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var n memhttp.Network
				defer n.Close()
				n.Serve("a.test", http.HandlerFunc(hello))
				n.SetFault("a.test", tt.fault)
				n.SetFault("slow.test", tt.fault)
				wait := time.Minute
				if tt.host == "slow.test:80" {
					wait = time.Hour
				}
				ctx, cancel := context.WithTimeout(t.Context(), wait)
				defer cancel()
				c, err := n.Dial(ctx, "tcp", tt.host)
				if err == nil {
					c.Close()
				}
				var op *net.OpError
				if !tt.want(err) || !errors.As(err, &op) {
					t.Errorf("got %v, want another error", err)
				}
			})
		})
	}
}

func noName(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

func is(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }

func TestStrangersAreNotTrusted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n memhttp.Network
		defer n.Close()
		s := n.ServeTLS("a.test", http.HandlerFunc(hello))
		tr := n.Transport()
		tr.TLSClientConfig.RootCAs = x509.NewCertPool()
		_, err := (&http.Client{Transport: tr}).Get(s.URL)
		var unknown x509.UnknownAuthorityError
		if !errors.As(err, &unknown) {
			t.Errorf("got %v, want an unknown authority", err)
		}
	})
}

// TestCloseEndsHandlers fails by a deadlock or a goroutine left in the bubble.
func TestCloseEndsHandlers(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var n memhttp.Network
			start := n.Serve
			if secure {
				start = n.ServeTLS
			}
			s := start("a.test", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "begun")
				http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}))
			res, err := s.Client().Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			s.Close()
			if _, err := io.ReadAll(res.Body); err == nil {
				t.Error("got a whole body from a server that was closed")
			}
			s.Close()
		})
	}
}

func TestClientLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		left := false
		s := memhttp.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			left = true
		}))
		defer s.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
		if _, err := s.Client().Do(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		if got, want := time.Since(start), time.Hour; got != want {
			t.Errorf("waited %v, want %v", got, want)
		}
		synctest.Wait()
		if !left {
			t.Error("the handler does not know that the client left")
		}
	})
}

func connect(t *testing.T) (client, server net.Conn) {
	var n memhttp.Network
	l, err := n.Listen("a.test:1")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan net.Conn)
	go func() {
		c, _ := l.Accept()
		done <- c
	}()
	client, err = n.Dial(t.Context(), "tcp", "a.test:1")
	if err != nil {
		t.Fatal(err)
	}
	return client, <-done
}

func TestConn(t *testing.T) {
	t.Parallel()
	buf := make([]byte, 16)
	tests := []struct {
		name string
		do   func(client, server net.Conn) error
		want func(error) bool
	}{
		{"read deadline", func(c, _ net.Conn) error {
			c.SetReadDeadline(time.Now().Add(time.Minute))
			_, err := c.Read(buf)
			return err
		}, is(os.ErrDeadlineExceeded)},
		{"write deadline", func(c, _ net.Conn) error {
			c.SetWriteDeadline(time.Now().Add(time.Minute))
			_, err := c.Write(make([]byte, 1<<20))
			return err
		}, is(os.ErrDeadlineExceeded)},
		{"deadline moved while reading", func(c, _ net.Conn) error {
			time.AfterFunc(time.Second, func() { c.SetDeadline(time.Unix(1, 0)) })
			_, err := c.Read(buf)
			return err
		}, is(os.ErrDeadlineExceeded)},
		{"closed while reading", func(c, _ net.Conn) error {
			time.AfterFunc(time.Second, func() { c.Close() })
			_, err := c.Read(buf)
			return err
		}, is(net.ErrClosed)},
		{"reset", func(c, s net.Conn) error {
			s.(interface{ SetLinger(int) error }).SetLinger(0)
			s.Close()
			_, err := c.Read(buf)
			return err
		}, is(syscall.ECONNRESET)},
		{"write to one who left", func(c, s net.Conn) error {
			s.Close()
			_, err := c.Write(buf)
			return err
		}, is(syscall.EPIPE)},
		{"write after close", func(c, _ net.Conn) error {
			c.Close()
			_, err := c.Write(buf)
			return err
		}, is(net.ErrClosed)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := connect(t)
				defer client.Close()
				defer server.Close()
				if err := tt.do(client, server); !tt.want(err) {
					t.Errorf("got %v, want another error", err)
				}
			})
		})
	}
}

func TestWhatWasSentStaysReadable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := connect(t)
		defer client.Close()
		want := strings.Repeat("abcdefg", 50_000) // more than a window
		go func() {
			io.WriteString(server, want)
			server.Close()
		}()
		got, err := io.ReadAll(client)
		if string(got) != want || err != nil {
			t.Errorf("got %d bytes, %v, want %d", len(got), err, len(want))
		}
	})
}
