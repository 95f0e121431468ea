package holdfasttest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// heard is what a client has of a stream.
type heard struct {
	status   int
	message  string // of an error
	text     string
	thinking string
	calls    []string
	tokens   []string // with the text that they came behind: "one two |token"
	finish   string
	last     int // sequence number
	terminal string
	cut      error
}

// geminiHear asks Gemini for a stream, from a token on unless it is empty.
func geminiHear(t *testing.T, s *holdfasttest.Server, model, token string) heard {
	t.Helper()
	more := ""
	if token != "" {
		more = `,"continuationToken":"` + token + `"`
	}
	res, err := ask(t.Context(), s.Client(), holdfasttest.Gemini, s.URL+"/v1beta/models/"+model+":streamGenerateContent?alt=sse",
		`{"contents":[{"role":"user","parts":[{"text":"Hi"}]}],"generationConfig":{"thinkingConfig":{"includeThoughts":true}}`+more+`}`)
	if err != nil {
		t.Fatal(err)
	}
	return hear(res, func(d map[string]any, h *heard) {
		for _, p := range dig[[]any](d, "candidates", "0", "content", "parts") {
			if dig[bool](p, "thought") {
				h.thinking += dig[string](p, "text")
			} else {
				h.text += dig[string](p, "text")
			}
			if name := dig[string](p, "functionCall", "name"); name != "" {
				h.calls = append(h.calls, name)
			}
		}
		if token := dig[string](d, "candidates", "0", "continuationToken"); token != "" {
			h.tokens = append(h.tokens, h.text+"|"+token)
		}
		h.finish += dig[string](d, "candidates", "0", "finishReason")
	})
}

// hear reads the events of a stream as far as it goes.
func hear(res *http.Response, event func(map[string]any, *heard)) heard {
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	h := heard{status: res.StatusCode, cut: err, last: -1}
	var failed map[string]any
	if json.Unmarshal(body, &failed) == nil {
		h.message = dig[string](failed, "error", "message")
	}
	for line := range strings.Lines(string(body)) {
		var d map[string]any
		if data, ok := strings.CutPrefix(line, "data: "); ok && json.Unmarshal([]byte(data), &d) == nil {
			event(d, &h)
		}
	}
	return h
}

func (h heard) token(t *testing.T) string {
	t.Helper()
	if len(h.tokens) == 0 {
		t.Fatalf("got no token in %+v", h)
	}
	_, token, _ := strings.Cut(h.tokens[len(h.tokens)-1], "|")
	return token
}

const numbers = "one two three four five six"

func TestGeminiCheckpoints(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		reply, second holdfasttest.Reply
		first, rest   string // of the text
		tokens        int    // in the first stream
		more          int    // in the second
	}{
		{"cut at a checkpoint", holdfasttest.Reply{Text: numbers, Checkpoints: 2, Fault: holdfasttest.CutFIN, After: 4}, holdfasttest.Reply{}, "one two three four ", "five six", 2, 1},
		{"cut behind a checkpoint", holdfasttest.Reply{Text: numbers, Checkpoints: 2, Fault: holdfasttest.EndEarly, After: 3}, holdfasttest.Reply{}, "one two three ", "three four five six", 1, 2},
		{"cut before the end", holdfasttest.Reply{Text: numbers, Checkpoints: 3, Fault: holdfasttest.NoTerminator}, holdfasttest.Reply{}, numbers, "", 2, 0},
		{"whatever the script says", holdfasttest.Reply{Text: numbers, Checkpoints: 1, Fault: holdfasttest.CutFIN, After: 1}, holdfasttest.Reply{Text: "seven", StopReason: holdfasttest.MaxTokens}, "one ", "two three four five six", 1, 5},
		{"other checkpoints", holdfasttest.Reply{Text: numbers, Checkpoints: 2, Fault: holdfasttest.CutFIN, After: 2}, holdfasttest.Reply{Checkpoints: 4}, "one two ", "three four five six", 1, 1},
		{"chunks", holdfasttest.Reply{Chunks: []string{"o", "", "ne"}, Checkpoints: 2, Fault: holdfasttest.CutFIN, After: 2}, holdfasttest.Reply{}, "o", "ne", 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := holdfasttest.NewServer(holdfasttest.Gemini)
			defer s.Close()
			s.Script(tt.reply, tt.second)
			first := geminiHear(t, s, "gemini-4-argon", "")
			if first.text != tt.first || len(first.tokens) != tt.tokens || first.finish != "" {
				t.Errorf("got %+v, want %q cut, with %d tokens", first, tt.first, tt.tokens)
			}
			rest := geminiHear(t, s, "gemini-4-argon", first.token(t))
			if rest.text != tt.rest || len(rest.tokens) != tt.more || rest.finish != "STOP" {
				t.Errorf("got %+v, want %q to the end, with %d tokens", rest, tt.rest, tt.more)
			}
		})
	}
}

func TestGeminiResumesEveryKindOfContent(t *testing.T) {
	t.Parallel()
	rich := rich
	rich.Checkpoints, rich.Fault = 1, holdfasttest.CutFIN
	const pieces = 2 + 3 + 2
	for after := 1; after <= pieces; after++ {
		s := holdfasttest.NewServer(holdfasttest.Gemini)
		defer s.Close()
		rich.After = after
		s.Script(rich)
		first := geminiHear(t, s, "gemini-4-argon", "")
		rest := geminiHear(t, s, "gemini-4-argon", first.token(t))
		text, thinking, calls := first.text+rest.text, first.thinking+rest.thinking, slices.Concat(first.calls, rest.calls)
		if text != rich.Text || thinking != rich.Thinking || fmt.Sprint(calls) != "[weather time]" || len(first.tokens)+len(rest.tokens) != pieces {
			t.Errorf("cut behind %d: got %q, %q, %v", after, thinking, text, calls)
		}
	}
}

func TestGeminiCheckpointsAreOfGemini4(t *testing.T) {
	t.Parallel()
	s := holdfasttest.NewServer(holdfasttest.Gemini)
	defer s.Close()
	s.Always(holdfasttest.Reply{Text: numbers, Checkpoints: 1, PauseAfter: 2})
	if got := geminiHear(t, s, "gemini-3.8-flash", ""); got.text != numbers || len(got.tokens) != 0 || got.finish != "STOP" {
		t.Errorf("got %+v, want the whole text without tokens", got)
	}
}

// A resumption that fails can be tried again with the same token, and breaks as any answer does.
func TestGeminiResumptionBreaks(t *testing.T) {
	t.Parallel()
	s := holdfasttest.NewServer(holdfasttest.Gemini)
	defer s.Close()
	s.Script(
		holdfasttest.Reply{Text: numbers, Checkpoints: 1, Fault: holdfasttest.CutFIN, After: 2},
		holdfasttest.Reply{Error: holdfasttest.Overloaded},
		holdfasttest.Reply{Fault: holdfasttest.CutFIN, After: 1},
	)
	first := geminiHear(t, s, "gemini-4-argon", "")
	if got := geminiHear(t, s, "gemini-4-argon", first.token(t)); got.status != http.StatusServiceUnavailable {
		t.Errorf("got %+v, want an error", got)
	}
	second := geminiHear(t, s, "gemini-4-argon", first.token(t))
	third := geminiHear(t, s, "gemini-4-argon", second.token(t))
	if got := first.text + "|" + second.text + "|" + third.text; got != "one two |three |four five six" || second.cut == nil || third.finish != "STOP" {
		t.Errorf("got %q, %+v, want the text in three streams", got, third)
	}
}

func TestGeminiRefusesTokens(t *testing.T) {
	t.Parallel()
	s, other := holdfasttest.NewServer(holdfasttest.Gemini), holdfasttest.NewServer(holdfasttest.Gemini)
	defer s.Close()
	defer other.Close()
	s.Always(holdfasttest.Reply{Text: numbers, Checkpoints: 1})
	other.Always(holdfasttest.Reply{Text: numbers, Checkpoints: 1})
	foreign := geminiHear(t, other, "gemini-4-argon", "").token(t)
	own := geminiHear(t, s, "gemini-4-argon", "").token(t)
	for _, tt := range []struct{ name, model, token, want string }{
		{"unknown", "gemini-4-argon", "b25l", "continuation token is invalid"},
		{"no base64", "gemini-4-argon", "!", "Base64 decoding failed"},
		{"of another server", "gemini-4-argon", foreign, "continuation token is invalid"},
		{"of another model", "gemini-4-neon", own, "continuation token is invalid"},
	} {
		got := geminiHear(t, s, tt.model, tt.token)
		if got.status != http.StatusBadRequest || !strings.Contains(got.message, tt.want) {
			t.Errorf("%s: got %d %q, want 400 %q", tt.name, got.status, got.message, tt.want)
		}
	}
}

func TestGeminiPauses(t *testing.T) {
	t.Parallel()
	t.Run("streamed", func(t *testing.T) {
		t.Parallel()
		s := holdfasttest.NewServer(holdfasttest.Gemini)
		defer s.Close()
		s.Always(holdfasttest.Reply{Text: numbers, PauseAfter: 4})
		first := geminiHear(t, s, "gemini-4-argon", "")
		second := geminiHear(t, s, "gemini-4-argon", first.token(t))
		if first.text != "one two three four " || first.finish != "CONTINUATION" || len(first.tokens) != 1 {
			t.Errorf("got %+v first", first)
		}
		if second.text != "five six" || second.finish != "STOP" || len(second.tokens) != 0 {
			t.Errorf("got %+v second", second)
		}
	})
	t.Run("whole", func(t *testing.T) {
		t.Parallel()
		s := holdfasttest.NewServer(holdfasttest.Gemini)
		defer s.Close()
		s.Always(holdfasttest.Reply{Text: numbers, PauseAfter: 4, StopReason: holdfasttest.MaxTokens})
		got, more := "", ""
		for _, want := range []string{"CONTINUATION", "MAX_TOKENS"} {
			whole := decode(t, s.Client(), holdfasttest.Gemini, s.URL+"/v1beta/models/gemini-4-argon:generateContent",
				`{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]`+more+`}`)
			got += dig[string](whole, ways[4].whole...) + "|"
			more = `,"continuationToken":"` + dig[string](whole, "candidates", "0", "continuationToken") + `"`
			if finish := dig[string](whole, "candidates", "0", "finishReason"); finish != want {
				t.Errorf("got %s, want %s", finish, want)
			}
		}
		if got != "one two three four |five six|" {
			t.Errorf("got %q, want the text in two answers", got)
		}
	})
	t.Run("the script goes on", func(t *testing.T) {
		t.Parallel()
		s := holdfasttest.NewServer(holdfasttest.Gemini)
		defer s.Close()
		s.Script(holdfasttest.Reply{Text: "one ", StopReason: holdfasttest.Paused}, holdfasttest.Reply{Text: "two"})
		first := geminiHear(t, s, "gemini-4-argon", "")
		second := geminiHear(t, s, "gemini-4-argon", first.token(t))
		if got := first.text + second.text; got != "one two" || first.finish != "CONTINUATION" || second.finish != "STOP" {
			t.Errorf("got %+v, %+v", first, second)
		}
	})
}

// responsesHear reads a stream of Responses.
func responsesHear(t *testing.T, c *http.Client, method, url, body string) (h heard, id string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer key")
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	h = hear(res, func(d map[string]any, h *heard) {
		h.last = int(dig[float64](d, "sequence_number"))
		kind := dig[string](d, "type")
		switch kind {
		case "response.created":
			id = dig[string](d, "response", "id")
		case "response.output_text.delta":
			h.text += dig[string](d, "delta")
		}
		h.terminal = kind
	})
	return h, id
}

const background = `{"model":"gpt-6-sol","input":"Hi","stream":true,"background":true,"store":true}`

func TestResponsesResume(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		first       holdfasttest.Reply
		manner      holdfasttest.Reply // of the second stream
		have, rest  string
		lastOfFirst int
		terminal    string
		ended       bool
	}{
		{"cut", holdfasttest.Reply{Text: numbers, Fault: holdfasttest.CutFIN, After: 2}, holdfasttest.Reply{Text: "seven"}, "one two ", "three four five six", 6, "response.completed", true},
		{"cut twice", holdfasttest.Reply{Text: numbers, Fault: holdfasttest.EndEarly, After: 2}, holdfasttest.Reply{Fault: holdfasttest.CutFIN, After: 1}, "one two ", "three ", 6, "response.output_text.delta", false},
		{"error in the second", holdfasttest.Reply{Text: numbers, Fault: holdfasttest.EndEarly, After: 2}, holdfasttest.Reply{Fault: holdfasttest.ErrorInStream, After: 1}, "one two ", "three ", 6, "error", true},
		{"failed in the second", holdfasttest.Reply{Text: numbers, Fault: holdfasttest.EndEarly, After: 2}, holdfasttest.Reply{Fault: holdfasttest.Failed}, "one two ", "", 6, "response.failed", true},
		{"incomplete", holdfasttest.Reply{Text: numbers, StopReason: holdfasttest.MaxTokens, Fault: holdfasttest.NoTerminator}, holdfasttest.Reply{}, numbers, "", 13, "response.incomplete", true},
		{"nothing was missed", holdfasttest.Reply{Text: "one"}, holdfasttest.Reply{}, "one", "", 9, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := holdfasttest.NewServer(holdfasttest.OpenAI)
			defer s.Close()
			s.Script(tt.first, tt.manner)
			first, id := responsesHear(t, s.Client(), http.MethodPost, s.URL+"/v1/responses", background)
			if first.text != tt.have || first.last != tt.lastOfFirst {
				t.Errorf("got %+v, want %q up to event %d", first, tt.have, tt.lastOfFirst)
			}
			rest, _ := responsesHear(t, s.Client(), http.MethodGet, fmt.Sprintf("%s/v1/responses/%s?stream=true&starting_after=%d", s.URL, id, first.last), "")
			if rest.text != tt.rest || rest.terminal != tt.terminal || (rest.cut == nil) != tt.ended || rest.terminal != "" && rest.last <= first.last {
				t.Errorf("got %+v, want %q and %q", rest, tt.rest, tt.terminal)
			}
			all, again := responsesHear(t, s.Client(), http.MethodGet, s.URL+"/v1/responses/"+id+"?stream=true", "")
			if want := tt.first.Text; all.text != want || again != id {
				t.Errorf("got %q of %s, want the whole %q of %s", all.text, again, want, id)
			}
			s.Wait()
			if log := s.Requests()[1]; !log.Stream || log.Model != "gpt-6-sol" || s.Left() != 0 {
				t.Errorf("got %+v, %d replies left, want a stream of the model", log, s.Left())
			}
		})
	}
}

func TestResponsesAreKept(t *testing.T) {
	t.Parallel()
	s, other := holdfasttest.NewServer(holdfasttest.OpenAI), holdfasttest.NewServer(holdfasttest.OpenAI)
	defer s.Close()
	defer other.Close()
	_, kept := responsesHear(t, s.Client(), http.MethodPost, s.URL+"/v1/responses", background)
	_, ofOther := responsesHear(t, other.Client(), http.MethodPost, other.URL+"/v1/responses", background)
	_, plain := responsesHear(t, s.Client(), http.MethodPost, s.URL+"/v1/responses", strings.Replace(background, `"background":true,`, "", 1))
	for _, tt := range []struct {
		name, path string
		status     int
		message    string
	}{
		{"kept", kept + "?stream=true&starting_after=0", http.StatusOK, ""},
		{"whole", kept, http.StatusOK, ""},
		{"bad number", kept + "?stream=true&starting_after=x", http.StatusBadRequest, "starting_after"},
		{"unknown", "resp_1?stream=true", http.StatusNotFound, "Response with id 'resp_1' not found."},
		{"of another server", ofOther + "?stream=true", http.StatusNotFound, "not found"},
		{"not in the background", plain + "?stream=true", http.StatusNotFound, "not found"},
	} {
		got, _ := responsesHear(t, s.Client(), http.MethodGet, s.URL+"/v1/responses/"+tt.path, "")
		if got.status != tt.status || !strings.Contains(got.message, tt.message) {
			t.Errorf("%s: got %d %q, want %d %q", tt.name, got.status, got.message, tt.status, tt.message)
		}
	}
	got, _ := responsesHear(t, s.Client(), http.MethodPost, s.URL+"/v1/responses", strings.Replace(background, `"store":true`, `"store":false`, 1))
	if got.status != http.StatusBadRequest || !strings.Contains(got.message, "store") {
		t.Errorf("background without store: got %d %q, want 400", got.status, got.message)
	}
}

func TestResponsesGrowOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := holdfasttest.NewNetwork()
		defer n.Close()
		s := n.NewServer("provider.test", holdfasttest.OpenAI)
		_, id := responsesHear(t, n.Client(), http.MethodPost, s.URL+"/v1/responses", background)
		for _, want := range []int{http.StatusOK, http.StatusBadRequest} {
			got, _ := responsesHear(t, n.Client(), http.MethodGet, s.URL+"/v1/responses/"+id+"?stream=true", "")
			if got.status != want {
				t.Errorf("got %d %q, want %d", got.status, got.message, want)
			}
			time.Sleep(6 * time.Minute)
		}
	})
}
