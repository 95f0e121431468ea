package holdfasttest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

func copyTo(w io.Writer, res *http.Response) (int64, error) { return io.Copy(w, res.Body) }

// A server with HTTPS over memory. In a [testing/synctest] bubble its delays cost no time.
func ExampleNetwork() {
	network := holdfasttest.NewNetwork()
	defer network.Close()
	s := network.NewTLSServer("claude.test", holdfasttest.Claude)
	s.Script(holdfasttest.Reply{Text: "Good things take time"})

	client := &http.Client{Transport: &http.Transport{
		DialContext:       network.Dial,
		TLSClientConfig:   &tls.Config{RootCAs: network.CA()},
		ForceAttemptHTTP2: true,
	}} // network.Client returns the same
	ask := `{"model":"claude-opus-5-5","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"Well?"}]}`
	req, _ := http.NewRequest(http.MethodPost, "https://claude.test/v1/messages", strings.NewReader(ask))
	req.Header.Set("X-Api-Key", "any")
	req.Header.Set("Anthropic-Version", "2023-06-01")
	res, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	fmt.Println(res.Proto, strings.Count(string(body), "text_delta"), "pieces of text")
	// Output: HTTP/2.0 4 pieces of text
}

func TestBrokenWays(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		do   func(n *holdfasttest.Network, host string)
		want func(error) bool
	}{
		{"refuse", (*holdfasttest.Network).Refuse, func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }},
		{"swallow", (*holdfasttest.Network).Swallow, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		{"unplug", (*holdfasttest.Network).Unplug, func(err error) bool { return errors.Is(err, syscall.ENETUNREACH) }},
		{"forget", (*holdfasttest.Network).Forget, func(err error) bool {
			var dns *net.DNSError
			return errors.As(err, &dns) && dns.IsNotFound
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := holdfasttest.NewNetwork()
				defer n.Close()
				s := n.NewServer("local.test", holdfasttest.Local)
				tt.do(n, "local.test")
				if m := meet(t, n.Client(), s, 2, false); !tt.want(m.err) {
					t.Errorf("got %v, want another error", m.err)
				}
				n.Restore("local.test")
				if m := meet(t, n.Client(), s, 2, false); m.status != 200 {
					t.Errorf("got %+v, want an answer", m)
				}
			})
		})
	}
}

// A server may stand behind a middleware, here one that counts.
func TestHandlerBehindMiddleware(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := holdfasttest.NewNetwork()
		defer n.Close()
		s, passed := holdfasttest.NewHandler(holdfasttest.Local), 0
		url := n.Serve("gateway.test", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			passed++
			s.ServeHTTP(w, r)
		}))
		s.URL = url
		s.Script(holdfasttest.Reply{Fault: holdfasttest.CutRST, After: 1})
		if m := meet(t, n.Client(), s, 2, true); !cut(m.cut) || passed != 1 {
			t.Errorf("got %+v through %d, want a stream that was cut", m, passed)
		}
	})
}

func TestClientThatLeaves(t *testing.T) {
	t.Parallel()
	s := holdfasttest.NewServer(holdfasttest.OpenAI)
	defer s.Close()
	s.Script(holdfasttest.Reply{Text: "one two three", Between: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	path, body := question(1, true)
	res, err := ask(ctx, s.Client(), holdfasttest.OpenAI, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	buf := make([]byte, 1)
	if _, err := res.Body.Read(buf); err != nil {
		t.Fatal(err)
	}
	cancel()
	s.Wait()
	if got := s.Requests()[0]; !got.Aborted || got.Done || got.Chunks > 1 {
		t.Errorf("got %+v, want an aborted request", got)
	}
}
