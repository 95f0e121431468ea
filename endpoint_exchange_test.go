package holdfast_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/holdfast-ai/holdfast"
)

const smallAnswer = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5-5","content":[{"type":"text","text":"hi"}],` +
	`"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}`

// countingConn counts writes.
type countingConn struct {
	net.Conn
	writes *atomic.Int32
}

func (c countingConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// Headers and body of a request leave together: in one system call, and over TLS in one record.
func TestRequestIsOneWrite(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, smallAnswer)
	}))
	defer server.Close()
	var writes atomic.Int32
	client := newClient(t, holdfast.Config{
		Endpoints: []holdfast.Endpoint{{Name: "a", Provider: "claude", URL: server.URL, KeySource: holdfast.Literal("k")}},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return countingConn{conn, &writes}, err
		},
	})
	for range 3 {
		if _, err := client.Chat(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("hello"), Model: "claude-opus-5-5"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := writes.Load(); got != 3 {
		t.Errorf("got %d writes for 3 requests, want 3", got)
	}
}
