package holdfast_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/internal/memhttp"
)

// endless serves a stream of the given beginning and then the given event for ever, "%d" in it counted up.
func endless(t *testing.T, beginning, event string) string {
	t.Helper()
	counted := strings.Contains(event, "%d")
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		out := bufio.NewWriterSize(w, 64<<10)
		_, err := out.WriteString(beginning)
		for n := 0; err == nil && r.Context().Err() == nil; n++ {
			if counted {
				_, err = fmt.Fprintf(out, event, n)
			} else {
				_, err = out.WriteString(event)
			}
		}
	}).URL
}

const (
	claudeStart = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\"}}\n\n"
	claudeBlock = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":%s}\n\n"
	claudeDelta = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":%s}\n\n"
	claudeStop  = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
)

// A streamed answer that goes on for ever, in each way in which it could fill the memory, ends as too large.
func TestAnswerWithoutEnd(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1000)
	chat := func(delta string) string { return `data: {"choices":[{"index":0,"delta":` + delta + "}]}\n\n" }
	for _, c := range []struct{ name, provider, beginning, event string }{
		{"text", "claude", claudeStart + fmt.Sprintf(claudeBlock, `{"type":"text","text":""}`), fmt.Sprintf(claudeDelta, `{"type":"text_delta","text":"`+long+`"}`)},
		{"thinking before content", "claude", claudeStart + fmt.Sprintf(claudeBlock, `{"type":"thinking","thinking":""}`), fmt.Sprintf(claudeDelta, `{"type":"thinking_delta","thinking":"`+long+`"}`)},
		{"signatures", "claude", claudeStart, fmt.Sprintf(claudeBlock, `{"type":"thinking","thinking":""}`) + fmt.Sprintf(claudeDelta, `{"type":"signature_delta","signature":"`+long+`"}`) + claudeStop},
		{"tiny blocks", "claude", claudeStart, fmt.Sprintf(claudeBlock, `{"type":"text","text":"x"}`) + claudeStop},
		{"citations", "claude", claudeStart + fmt.Sprintf(claudeBlock, `{"type":"text","text":"x"}`), fmt.Sprintf(claudeDelta, `{"type":"citations_delta","citation":{"a":"`+long+`"}}`)},
		{"unknown blocks", "claude", claudeStart + fmt.Sprintf(claudeBlock, `{"type":"novel"}`), fmt.Sprintf(claudeDelta, `{"type":"novel_delta","piece":"`+long+`"}`)},
		{"tool arguments", "claude", claudeStart + fmt.Sprintf(claudeBlock, `{"type":"tool_use","id":"t","name":"f","input":{}}`), fmt.Sprintf(claudeDelta, `{"type":"input_json_delta","partial_json":"`+long+`"}`)},
		{"tool calls", "openai-chat", "", chat(`{"tool_calls":[{"index":%d,"id":"c%[1]d","function":{"name":"f","arguments":"{}"}}]}`)},
		{"a tool's name", "openai-chat", chat(`{"tool_calls":[{"index":0,"id":"c","function":{"name":"f"}}]}`), chat(`{"tool_calls":[{"index":0,"function":{"name":"x%d"}}]}`)},
		{"reasoning details", "openai-chat", "", chat(`{"reasoning_details":[{"data":"` + long + `"}]}`)},
		{"annotations", "openai-chat", "", chat(`{"annotations":[{"url":"` + long + `"}]}`)},
		{"responses text", "openai-responses", "", `data: {"type":"response.output_text.delta","output_index":%d,"content_index":0,"delta":"x"}` + "\n\n"},
		{"gemini text", "gemini", "", `data: {"candidates":[{"index":0,"content":{"parts":[{"text":"` + long + `"}]}}]}` + "\n\n"},
		{"one event", "gemini", "data: {\"", "xxxxxxxxxxxxxxxx"},
		{"an event of many lines", "gemini", "", "data: xxxxxxxxxxxxxxxx\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, holdfast.Config{MaxAnswerBytes: 1 << 20, Timeout: 20 * time.Second, Endpoints: []holdfast.Endpoint{
				{Name: "endless", Provider: c.provider, URL: endless(t, c.beginning, c.event), KeySource: holdfast.Literal("k")},
			}})
			_, err := holdfast.Collect(client.Stream(t.Context(), hello))
			if !errors.Is(err, holdfast.KindAnswerTooLarge) {
				t.Errorf("got %v, want %v", err, holdfast.KindAnswerTooLarge)
			}
		})
	}
}

// What says nothing is not kept: signs of life before the content cost no memory, however many there are.
func TestSignsOfLifeKeepNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, provider, sign, end string }{
		{"comments", "openai-chat", ": still here\n", "\n"},
		{"empty lines", "openai-chat", "\n", ""},
		{"pings", "claude", "event: ping\ndata: {\"type\":\"ping\"}\n\n", ""},
		{"counts of tokens", "claude", "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":1}}\n\n", ""},
		{"empty deltas", "openai-chat", "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"}}]}\n\n", ""},
		{"empty blocks", "claude", fmt.Sprintf(claudeBlock, `{"type":"text","text":""}`) + claudeStop, ""},
		{"reasoning summaries without text", "openai-responses", "data: {\"type\":\"response.reasoning_summary_part.added\",\"output_index\":0}\n\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			sent := 0
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				batch := strings.Repeat(c.sign, 64<<10/len(c.sign)) + c.end
				for sent < 40<<20 {
					n, err := io.WriteString(w, batch)
					if sent += n; err != nil {
						return
					}
				}
				cancel()
			}).URL
			client := newClient(t, holdfast.Config{MaxAnswerBytes: 1 << 20, Endpoints: []holdfast.Endpoint{
				{Name: "lively", Provider: c.provider, URL: url, KeySource: holdfast.Literal("k")},
			}})
			_, err := holdfast.Collect(client.Stream(ctx, hello))
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v after %d bytes, want the call to live on until it is cancelled", err, sent)
			}
		})
	}
}

// Heads that never end: of the answer, before the answer, behind it.
func TestHeadsWithoutEnd(t *testing.T) {
	t.Parallel()
	repeat := func(beginning, piece string) func(net.Conn) {
		return func(c net.Conn) {
			readRequest(c)
			_, err := io.WriteString(c, beginning)
			many := strings.Repeat(piece, 100)
			for err == nil {
				_, err = io.WriteString(c, many)
			}
		}
	}
	for _, c := range []struct {
		name  string
		speak func(net.Conn)
		kind  holdfast.Kind
	}{
		{"status line", repeat("HTTP/1.1 200 ", "x"), holdfast.KindMalformed},
		{"headers", repeat("HTTP/1.1 200 OK\r\n", "X-Filler: xxxxxxxxxxxxxxxx\r\n"), holdfast.KindMalformed},
		{"one header", repeat("HTTP/1.1 200 OK\r\nX-Filler: ", "xxxxxxxxxxx"), holdfast.KindMalformed},
		{"interim answers", repeat("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), holdfast.KindMalformed},
		{"continue", repeat("", "HTTP/1.1 100 Continue\r\n\r\n"), holdfast.KindMalformed},
		{"trailers", repeat("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X-Filler: xxxxxxxxxxxxxxxx\r\n"), holdfast.KindTruncated},
		{"chunk extension", repeat("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1;a=", "xxxxx"), holdfast.KindTruncated},
		{"switching protocols", repeat("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "x"), holdfast.KindMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conf := rawServer(c.speak)(t)
			conf.Timeout, conf.Retry.MaxAttempts = 20*time.Second, 1
			_, err := newClient(t, conf).Chat(t.Context(), hello)
			if !errors.Is(err, c.kind) {
				t.Errorf("got %v, want %v", err, c.kind)
			}
			if len(err.Error()) > 2000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

// The body of a failure is only worth a short wait: one that drips or never ends delays the next endpoint by two seconds at most.
func TestSlowErrorBody(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{
		"an error":          "503 Sorry\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked",
		"a page":            "200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked",
		"a redirect":        "302 Found\r\nLocation: /\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked",
		"a compressed one":  "503 Sorry\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked",
		"another protocol":  "101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade",
		"a compressed page": "200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked",
	} {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/stream=%v", name, stream), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					network := new(memhttp.Network)
					defer network.Close()
					l, err := network.Listen("slow.test:80")
					if err != nil {
						t.Fatal(err)
					}
					var served sync.WaitGroup
					defer served.Wait()
					defer l.Close()
					served.Go(func() { dripping(l, "HTTP/1.1 "+head+"\r\n\r\n") })
					conf := config("http://slow.test")
					conf.Dial, conf.Retry.MaxAttempts = network.Dial, 1
					client := newClient(t, conf)
					begun := time.Now()
					_, err = ask(t.Context(), client, stream)
					if took := time.Since(begun); took > 3*time.Second || err == nil {
						t.Errorf("got %v after %s, want it after 2 s", err, took)
					}
				})
			})
		}
	}
}

// dripping answers with a head, and then sends a byte every second, as a chunk.
func dripping(l net.Listener, head string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		readRequest(c)
		for _, err = io.WriteString(c, head); err == nil; _, err = io.WriteString(c, "1\r\n\x1f\r\n") {
			<-time.After(time.Second)
		}
		_ = c.Close()
	}
}

// ask asks by Chat, or by Stream to its end.
func ask(ctx context.Context, client *holdfast.Client, stream bool) (*holdfast.ChatResponse, error) {
	if stream {
		return holdfast.Collect(client.Stream(ctx, hello))
	}
	return client.Chat(ctx, hello)
}
