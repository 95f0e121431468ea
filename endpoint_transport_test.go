package holdfast_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// A connection is used again after a whole answer, a whole stream and an error, by HTTP/1.1 and by HTTP/2.
func TestConnectionIsUsedAgain(t *testing.T) {
	t.Parallel()
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("HTTP/%d", version), func(t *testing.T) {
			t.Parallel()
			var asked, wrong atomic.Int32
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if r.ProtoMajor != version {
					wrong.Add(1)
				}
				switch asked.Add(1) % 4 {
				case 0:
					answering(`{"reply":"hi"}`)(w, r)
				case 1:
					status(200, "text/event-stream", twoPieces)(w, r)
				case 2:
					status(400, "application/json", `{"fault":"invalid request"}`)(w, r)
				case 3:
					status(502, "text/html", "<html>Bad gateway</html>")(w, r)
				}
			}))
			server.EnableHTTP2 = version == 2
			server.StartTLS()
			t.Cleanup(server.Close)
			var dials atomic.Int32
			conf := config(server.URL)
			conf.TLS, conf.Retry.MaxAttempts = trusting(server), 1
			conf.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				dials.Add(1)
				return new(net.Dialer).DialContext(ctx, network, addr)
			}
			client := newClient(t, conf)
			for i := range 12 {
				_, err := holdfast.Collect(client.Stream(t.Context(), hello))
				if failed := i%4 == 1 || i%4 == 2; (err != nil) != failed {
					t.Fatalf("request %d: got %v", i, err)
				}
			}
			if dials.Load() != 1 || wrong.Load() != 0 {
				t.Errorf("got %d connections, %d requests of another version; want 1 and 0", dials.Load(), wrong.Load())
			}
		})
	}
}

// openConns counts the connections that are open.
type openConns struct {
	net.Conn
	open *atomic.Int32
	once sync.Once
}

func (c *openConns) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

// A call under way when the client is closed goes on to its end, over new attempts too, and leaves no connection behind.
func TestCloseDuringACall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network := holdfasttest.NewNetwork()
		server := network.NewServer("a.test", holdfasttest.Claude)
		server.Script(holdfasttest.Reply{Error: holdfasttest.Overloaded}, holdfasttest.Reply{Text: blue})
		var open atomic.Int32
		client, err := holdfast.New(holdfast.Config{
			Endpoints: []holdfast.Endpoint{{Name: "a", Provider: "claude", URL: server.URL, KeySource: holdfast.Literal("k"), Proxy: "direct"}},
			Dial: func(ctx context.Context, n, addr string) (net.Conn, error) {
				conn, err := network.Dial(ctx, n, addr)
				if err == nil {
					open.Add(1)
					conn = &openConns{Conn: conn, open: &open}
				}
				return conn, err
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(10*time.Millisecond, func() { _ = client.Close() }) // while the call waits before its second attempt
		answer, err := client.Chat(t.Context(), &holdfast.ChatRequest{Model: "claude-opus-5-5", Messages: holdfast.Ask("Why?")})
		if err != nil || len(answer.Trail.Attempts) != 2 {
			t.Fatalf("got %v, %v, want an answer at the second attempt", answer, err)
		}
		synctest.Wait()
		if open.Load() != 0 {
			t.Errorf("%d connections are open after Close and the end of the last call", open.Load())
		}
		server.Close()
		network.Close()
	})
}

// Close reaches a transport that took the place of ours.
func TestCloseReachesWrappedTransports(t *testing.T) {
	t.Parallel()
	own := &closable{}
	conf := config("http://a.test")
	conf.WrapTransport = func(string, http.RoundTripper) http.RoundTripper { return own }
	if err := newClient(t, conf).Close(); err != nil || own.closed.Load() != 1 {
		t.Errorf("got %v, closed %d times; want once", err, own.closed.Load())
	}
}

type closable struct {
	http.Transport
	closed atomic.Int32
}

func (c *closable) CloseIdleConnections() { c.closed.Add(1) }
