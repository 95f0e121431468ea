package holdfast_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
	"github.com/holdfast-ai/holdfast/internal/memhttp"
)

// reuse is a client of one server over memory, which notes on which connection each request came.
type reuse struct {
	client *holdfast.Client

	mu       sync.Mutex
	requests int
	conns    map[net.Conn]bool
	left     int // requests whose client left before they were answered
}

// overMemory runs f over HTTP/1.1 and over HTTP/2, in a bubble: what is left running behind it fails the test.
func overMemory(t *testing.T, s speaker, h http.Handler, f func(t *testing.T, r *reuse, proto int)) {
	t.Helper()
	for proto := 1; proto <= 2; proto++ {
		t.Run(fmt.Sprintf("HTTP/%d", proto), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var n memhttp.Network
				defer n.Close()
				r := &reuse{conns: map[net.Conn]bool{}}
				start := n.Serve
				if proto == 2 {
					start = n.ServeTLS
				}
				client, err := holdfast.New(holdfast.Config{
					Adapters: map[string]holdfast.AIServiceAdapter{"acme": acme{}},
					Dial:     n.Dial, TLS: &tls.Config{RootCAs: n.CA(), MinVersion: tls.VersionTLS12},
					Retry: holdfast.RetryPolicy{MaxAttempts: 1},
					Endpoints: []holdfast.Endpoint{{
						Name: "a", Provider: s.provider, URL: start("a.test", r.noting(t, proto, h)).URL + s.path, Proxy: "direct",
						KeySource: holdfast.Literal("k"), Models: map[string]string{"default": s.model},
					}},
				})
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				r.client = client
				f(t, r, proto)
			})
		})
	}
}

func (r *reuse) noting(t *testing.T, proto int, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.ProtoMajor != proto {
			t.Errorf("got %s, want HTTP/%d", req.Proto, proto)
		}
		r.mu.Lock()
		r.requests++
		r.conns[memhttp.Conn(req)] = true
		r.mu.Unlock()
		defer func() {
			if req.Context().Err() != nil {
				r.mu.Lock()
				r.left++
				r.mu.Unlock()
			}
		}()
		h.ServeHTTP(w, req)
	})
}

// seen returns how many requests came, and on how many connections.
func (r *reuse) seen() (requests, conns int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests, len(r.conns)
}

// ask asks once by Chat, for an answer in one piece, or by Stream.
func (r *reuse) ask(t *testing.T, stream bool) error {
	request := &holdfast.ChatRequest{Messages: holdfast.Ask("Why is the sky blue?"), MaxOutputTokens: 100}
	var err error
	if stream {
		_, err = holdfast.Collect(r.client.Stream(t.Context(), request))
	} else {
		_, err = r.client.Chat(t.Context(), request)
	}
	return err
}

func provider(d holdfasttest.Dialect, reply holdfasttest.Reply) http.Handler {
	s := holdfasttest.NewHandler(d)
	s.Always(reply)
	return s
}

// Whatever came, an answer or an error, its connection serves the next call too.
func TestReuse(t *testing.T) {
	t.Parallel()
	own := speaker{provider: "acme", model: "m"}
	page := "<html>" + strings.Repeat("Bad gateway. ", 2000) + "</html>"
	type answerer struct {
		name    string
		speaker speaker
		handler http.Handler
		fails   bool
	}
	answerers := []answerer{
		{"429", own, status(429, "application/json", `{"fault":"slow down"}`), true},
		{"500", own, status(500, "application/json", `{"fault":"broken"}`), true},
		{"529", own, status(529, "application/json", `{"fault":"busy"}`), true},
		{"an error without a body", own, status(503, "application/json", ""), true},
		{"a redirect", own, status(307, "text/html", "<html>elsewhere</html>"), true},
		{"a page with 502", own, status(502, "text/html", page), true},
		{"a page with 200", own, status(200, "text/html", page), true},
		{"not the protocol", own, status(200, "application/json", `[]`), true},
	}
	for _, s := range speakers {
		answerers = append(
			answerers,
			answerer{s.name, s, provider(s.dialect, holdfasttest.Reply{Text: blue}), false},
			answerer{s.name + ", slowly", s, provider(s.dialect, holdfasttest.Reply{Text: blue, Between: time.Second, KeepAlive: 300 * time.Millisecond}), false},
			answerer{s.name + ", gzip", s, provider(s.dialect, holdfasttest.Reply{Text: blue, Gzip: true}), false},
			answerer{s.name + ", overloaded", s, provider(s.dialect, holdfasttest.Reply{Error: holdfasttest.Overloaded}), true},
		)
	}
	for _, a := range answerers {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/stream=%v", a.name, stream), func(t *testing.T) {
				t.Parallel()
				overMemory(t, a.speaker, a.handler, func(t *testing.T, r *reuse, _ int) {
					n := 10
					if a.fails {
						n = 2 // after three, nobody is asked
					}
					for range n {
						if err := r.ask(t, stream); (err != nil) != a.fails {
							t.Fatalf("got %v, want an error %v", err, a.fails)
						}
					}
					if requests, conns := r.seen(); requests != n || conns != 1 {
						t.Errorf("got %d requests on %d connections, want %d on 1", requests, conns, n)
					}
				})
			})
		}
	}
}

// A loop that is left early costs HTTP/1.1 its connection, and HTTP/2 nothing. The server learns of it at once.
func TestReuseAfterLeaving(t *testing.T) {
	t.Parallel()
	for _, s := range speakers {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			handler := provider(s.dialect, holdfasttest.Reply{Text: blue, Between: time.Minute})
			overMemory(t, s, handler, func(t *testing.T, r *reuse, proto int) {
				begun := time.Now()
				for i := range 10 {
					if firstText(r.client.Stream(t.Context(), hello)) == "" {
						t.Fatal("got no text")
					}
					synctest.Wait()
					r.mu.Lock()
					left := r.left
					r.mu.Unlock()
					if left != i+1 {
						t.Errorf("the server knows of %d clients that left, want %d", left, i+1)
					}
				}
				want := map[int]int{1: 10, 2: 1}[proto]
				if requests, conns := r.seen(); requests != 10 || conns != want {
					t.Errorf("got %d requests on %d connections, want 10 on %d", requests, conns, want)
				}
				if took := time.Since(begun); took != 0 {
					t.Errorf("leaving took %v, want nothing", took)
				}
			})
		})
	}
}

// Many calls at once leave as many idle connections as they needed, and the next ones need no more.
func TestReuseAfterManyStreams(t *testing.T) {
	t.Parallel()
	s := speakers[0]
	handler := provider(s.dialect, holdfasttest.Reply{Text: blue, BeforeFirst: time.Second})
	overMemory(t, s, handler, func(t *testing.T, r *reuse, proto int) {
		for burst := 1; burst <= 3; burst++ {
			var asking sync.WaitGroup
			for range 64 {
				asking.Go(func() {
					if err := r.ask(t, true); err != nil {
						t.Error(err)
					}
				})
			}
			asking.Wait()
			want := map[int]int{1: 64, 2: 1}[proto]
			if requests, conns := r.seen(); requests != 64*burst || conns != want {
				t.Errorf("got %d requests on %d connections, want %d on %d", requests, conns, 64*burst, want)
			}
		}
	})
}

// accepted counts a real server's connections.
type accepted struct {
	mu     sync.Mutex
	opened int
	open   map[net.Conn]bool
	none   *sync.Cond
}

func newAccepted() *accepted {
	a := &accepted{open: map[net.Conn]bool{}}
	a.none = sync.NewCond(&a.mu)
	return a
}

// note has the shape of http.Server.ConnState.
func (a *accepted) note(c net.Conn, state http.ConnState) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch state {
	case http.StateNew:
		a.opened++
		a.open[c] = true
	case http.StateClosed:
		delete(a.open, c)
		a.none.Broadcast()
	}
}

// wait waits until none is open, and returns how many were opened in all.
func (a *accepted) wait() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.open) > 0 {
		a.none.Wait()
	}
	return a.opened
}

// gathering answers when 64 requests are there, so that each needs a connection or a stream of its own.
type gathering struct {
	mu   sync.Mutex
	came int
	all  chan struct{}
}

func (g *gathering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.came++
	all := g.all
	if g.came == 64 {
		close(all)
		g.came, g.all = 0, make(chan struct{})
	}
	g.mu.Unlock()
	<-all
	answering(`{"reply":"hi"}`)(w, r)
}

// The same over real sockets. HTTP/2 connects for each of the first calls too, for none is there yet to share, and then keeps one.
// Close closes what is idle, and nothing stays open.
func TestReuseOfSockets(t *testing.T) {
	t.Parallel()
	for proto := 1; proto <= 2; proto++ {
		t.Run(fmt.Sprintf("HTTP/%d", proto), func(t *testing.T) {
			t.Parallel()
			a := newAccepted()
			server := httptest.NewUnstartedServer(&gathering{all: make(chan struct{})})
			server.Config.ConnState = a.note
			server.Config.ErrorLog = log.New(io.Discard, "", 0) // of connections that were no longer needed before they stood
			server.EnableHTTP2 = proto == 2
			if proto == 1 {
				server.Start()
			} else {
				server.StartTLS()
			}
			defer server.Close()
			conf := config(server.URL)
			conf.Endpoints[0].Proxy = "direct"
			conf.Retry.MaxAttempts = 1
			if proto == 2 {
				conf.TLS = trusting(server)
			}
			client := newClient(t, conf)
			for range 3 {
				var asking sync.WaitGroup
				for range 64 {
					asking.Go(func() {
						if _, err := client.Chat(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Hi"), MaxOutputTokens: 100}); err != nil {
							t.Error(err)
						}
					})
				}
				asking.Wait()
			}
			_ = client.Close()
			if opened := a.wait(); opened > 64 {
				t.Errorf("%d connections were opened, want those of the first 64 calls at most", opened)
			}
		})
	}
}
