package holdfasttest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// place is where a test meets a server.
type place struct {
	name string
	run  func(t *testing.T, d holdfasttest.Dialect, f func(t *testing.T, s *holdfasttest.Server, c *http.Client))
}

var places = []place{
	{"loopback", func(t *testing.T, d holdfasttest.Dialect, f func(*testing.T, *holdfasttest.Server, *http.Client)) {
		s := holdfasttest.NewServer(d)
		defer s.Close()
		f(t, s, s.Client())
	}},
	{"loopback TLS", func(t *testing.T, d holdfasttest.Dialect, f func(*testing.T, *holdfasttest.Server, *http.Client)) {
		s := holdfasttest.NewTLSServer(d)
		defer s.Close()
		f(t, s, s.Client())
	}},
	{"memory", inMemory(func(n *holdfasttest.Network, d holdfasttest.Dialect) *holdfasttest.Server {
		return n.NewServer("provider.test", d)
	})},
	{"memory TLS", inMemory(func(n *holdfasttest.Network, d holdfasttest.Dialect) *holdfasttest.Server {
		return n.NewTLSServer("provider.test", d)
	})},
}

// inMemory runs a test in a bubble, which fails it for any goroutine left behind.
func inMemory(start func(*holdfasttest.Network, holdfasttest.Dialect) *holdfasttest.Server) func(*testing.T, holdfasttest.Dialect, func(*testing.T, *holdfasttest.Server, *http.Client)) {
	return func(t *testing.T, d holdfasttest.Dialect, f func(*testing.T, *holdfasttest.Server, *http.Client)) {
		synctest.Test(t, func(t *testing.T) {
			n := holdfasttest.NewNetwork()
			defer n.Close()
			f(t, start(n, d), n.Client())
		})
	}
}

// ways is how each API is asked for an answer.
var ways = []struct {
	name         string
	dialect      holdfasttest.Dialect
	path         string // that of a stream behind a blank, if it is another
	body         string
	terminator   string
	whole        []string // where the text is in an unstreamed answer
	streamedText func(data map[string]any) string
}{
	{
		"claude", holdfasttest.Claude, "/v1/messages",
		`{"model":"claude-opus-5-5","max_tokens":100,"messages":[{"role":"user","content":"Hi"}]`, "message_stop",
		[]string{"content", "0", "text"},
		func(d map[string]any) string { return dig[string](d, "delta", "text") },
	},
	{
		"chat", holdfasttest.OpenAI, "/v1/chat/completions",
		`{"model":"gpt-6-sol","messages":[{"role":"user","content":"Hi"}]`, `"finish_reason":"stop"`,
		[]string{"choices", "0", "message", "content"},
		func(d map[string]any) string { return dig[string](d, "choices", "0", "delta", "content") },
	},
	{
		"local", holdfasttest.Local, "/v1/chat/completions",
		`{"model":"qwen3:8b","messages":[{"role":"user","content":"Hi"}]`, `"finish_reason":"stop"`,
		[]string{"choices", "0", "message", "content"},
		func(d map[string]any) string { return dig[string](d, "choices", "0", "delta", "content") },
	},
	{
		"responses", holdfasttest.OpenAI, "/v1/responses", `{"model":"gpt-6-sol","input":"Hi"`, `"type":"response.completed"`,
		[]string{"output", "0", "content", "0", "text"},
		func(d map[string]any) string {
			if d["type"] != "response.output_text.delta" {
				return ""
			}
			return dig[string](d, "delta")
		},
	},
	{
		"gemini", holdfasttest.Gemini,
		"/v1beta/models/gemini-3.8-flash:generateContent /v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse",
		`{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]`, `"finishReason":"STOP"`,
		[]string{"candidates", "0", "content", "parts", "0", "text"},
		func(d map[string]any) string {
			return dig[string](d, "candidates", "0", "content", "parts", "0", "text")
		},
	},
}

// dig follows a path through decoded JSON. It returns the zero value if there is nothing of the type.
func dig[T any](v any, path ...string) T {
	for _, p := range path {
		switch x := v.(type) {
		case map[string]any:
			v = x[p]
		case []any:
			v = nil
			if i := int(p[0] - '0'); i < len(x) {
				v = x[i]
			}
		}
	}
	t, _ := v.(T)
	return t
}

// ask sends a request with the headers that each provider wants.
func ask(ctx context.Context, c *http.Client, d holdfasttest.Dialect, url, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	switch d {
	case holdfasttest.Claude:
		req.Header.Set("X-Api-Key", "key")
		req.Header.Set("Anthropic-Version", "2023-06-01")
	case holdfasttest.OpenAI:
		req.Header.Set("Authorization", "Bearer key")
	case holdfasttest.Gemini:
		req.Header.Set("X-Goog-Api-Key", "key")
	}
	return c.Do(req)
}

// question returns the URL and the body that ask for an answer.
func question(i int, stream bool) (path, body string) {
	w := ways[i]
	path, streamed, two := strings.Cut(w.path, " ")
	body = w.body + "}"
	if stream && two {
		path = streamed
	} else if stream {
		body = w.body + `,"stream":true}`
	}
	return path, body
}

// said reads the text out of a stream as a lenient client does, and whether the answer is whole.
func said(i int, stream string) (text string, whole bool) {
	stream = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\ufeff", "").Replace(stream)
	for line := range strings.Lines(stream) {
		data, ok := strings.CutPrefix(line, "data:")
		var d map[string]any
		if !ok || json.Unmarshal([]byte(data), &d) != nil {
			continue
		}
		text += ways[i].streamedText(d)
	}
	return text, strings.Contains(stream, ways[i].terminator)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	const want = "Grüß dich, Welt! 🌍 Alles gut?"
	for i, w := range ways {
		for _, p := range places {
			t.Run(w.name+"/"+p.name, func(t *testing.T) {
				t.Parallel()
				p.run(t, w.dialect, func(t *testing.T, s *holdfasttest.Server, c *http.Client) {
					s.Always(holdfasttest.Reply{Text: want})
					path, body := question(i, false)
					got := decode(t, c, w.dialect, s.URL+path, body)
					if text := dig[string](got, w.whole...); text != want {
						t.Errorf("got %q, want %q in %v", text, want, got)
					}
					path, body = question(i, true)
					res, err := ask(t.Context(), c, w.dialect, s.URL+path, body)
					if err != nil {
						t.Fatal(err)
					}
					defer res.Body.Close()
					stream, err := io.ReadAll(res.Body)
					if err != nil {
						t.Fatal(err)
					}
					if text, whole := said(i, string(stream)); text != want || !whole {
						t.Errorf("got %q, whole %v, want %q in\n%s", text, whole, want, stream)
					}
					s.Wait()
					last := s.Requests()[1]
					if !last.Stream || !last.Done || last.Aborted || last.Chunks != 6 || last.Status != 200 || last.Refused != "" {
						t.Errorf("got %+v, want a stream of 6 chunks that was answered to its end", last)
					}
				})
			})
		}
	}
}

// decode asks and reads the answer as JSON.
func decode(t *testing.T, c *http.Client, d holdfasttest.Dialect, url, body string) map[string]any {
	t.Helper()
	res, err := ask(t.Context(), c, d, url, body)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got map[string]any
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got == nil {
		got = map[string]any{}
	}
	got["status"] = res.StatusCode
	return got
}

func TestScriptIsUsedInOrder(t *testing.T) {
	t.Parallel()
	s := holdfasttest.NewServer(holdfasttest.Local)
	defer s.Close()
	s.Script(holdfasttest.Reply{Text: "one"}, holdfasttest.Reply{Text: "two"})
	s.Always(holdfasttest.Reply{Text: "more"})
	for _, want := range []string{"one", "two", "more", "more"} {
		path, body := question(2, false)
		got := dig[string](decode(t, s.Client(), holdfasttest.Local, s.URL+path, body), ways[2].whole...)
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := s.Left(); got != 0 {
		t.Errorf("got %d replies left, want none", got)
	}
}
