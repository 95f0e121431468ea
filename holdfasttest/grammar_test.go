package holdfasttest_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// rich is an answer with everything in it.
var rich = holdfasttest.Reply{
	Text: "Let me see.", Thinking: "The user wants the weather.",
	ToolCalls: []holdfasttest.ToolCall{{Name: "weather", Args: `{"city":"Köln"}`}, {ID: "mine_2", Name: "time"}},
}

// frames asks for a stream and returns its events.
func frames(t *testing.T, d holdfasttest.Dialect, path, body string, r holdfasttest.Reply) (names []string, data []map[string]any, stream string) {
	t.Helper()
	s := holdfasttest.NewServer(d)
	defer s.Close()
	s.Script(r)
	res, err := ask(t.Context(), s.Client(), d, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b := new(strings.Builder)
	if _, err := copyTo(b, res); err != nil {
		t.Fatal(err)
	}
	for _, f := range strings.Split(strings.TrimSuffix(b.String(), "\n\n"), "\n\n") {
		name, rest, named := strings.Cut(strings.TrimPrefix(f, "event: "), "\n")
		if !named {
			name, rest = "", f
		}
		raw := strings.TrimPrefix(rest, "data: ")
		if raw == "[DONE]" {
			name = raw
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(raw), &m); err != nil && name != "[DONE]" {
			t.Fatalf("%v in %q", err, f)
		}
		names, data = append(names, name), append(data, m)
	}
	return names, data, b.String()
}

func TestClaudeGrammar(t *testing.T) {
	t.Parallel()
	names, data, stream := frames(t, holdfasttest.Claude, "/v1/messages",
		`{"model":"claude-opus-5-5","max_tokens":100,"stream":true,"thinking":{"type":"adaptive","display":"summarized"},"messages":[{"role":"user","content":"Hi"}]}`, rich)
	block := func(deltas int) []string {
		return slices.Concat([]string{"content_block_start"}, slices.Repeat([]string{"content_block_delta"}, deltas), []string{"content_block_stop"})
	}
	thinking := block(3)
	want := slices.Concat([]string{"message_start"}, thinking[:1], []string{"ping"}, thinking[1:], block(3), block(3), block(2), []string{"message_delta", "message_stop"})
	if !slices.Equal(names, want) {
		t.Errorf("got  %v\nwant %v", names, want)
	}
	var kinds []string
	for i, d := range data {
		if d["type"] != names[i] {
			t.Errorf("event %s has the type %v", names[i], d["type"])
		}
		if names[i] == "content_block_start" {
			kinds = append(kinds, dig[string](d, "content_block", "type"))
		}
	}
	if want := []string{"thinking", "text", "tool_use", "tool_use"}; !slices.Equal(kinds, want) {
		t.Errorf("got blocks %v, want %v", kinds, want)
	}
	for _, part := range []string{`"signature_delta"`, `"input":{}`, `"stop_reason":"tool_use"`, `"id":"mine_2"`, `"stop_reason":null`} {
		if !strings.Contains(stream, part) {
			t.Errorf("no %s in\n%s", part, stream)
		}
	}
}

func TestClaudeHidesThinking(t *testing.T) {
	t.Parallel()
	_, _, stream := frames(t, holdfasttest.Claude, "/v1/messages",
		`{"model":"claude-opus-5-5","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"Hi"}]}`, rich)
	if strings.Contains(stream, "thinking_delta") || !strings.Contains(stream, "signature_delta") {
		t.Errorf("got shown thinking, want a signature alone:\n%s", stream)
	}
}

func TestChatGrammar(t *testing.T) {
	t.Parallel()
	names, data, stream := frames(t, holdfasttest.OpenAI, "/v1/chat/completions",
		`{"model":"gpt-4.1","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hi"}]}`, rich)
	n := len(data)
	if got := dig[string](data[0], "choices", "0", "delta", "role"); got != "assistant" {
		t.Errorf("got role %q first, want assistant", got)
	}
	if got := dig[string](data[n-3], "choices", "0", "finish_reason"); got != "tool_calls" {
		t.Errorf("got finish reason %q, want tool_calls", got)
	}
	if choices := dig[[]any](data[n-2], "choices"); choices == nil || len(choices) != 0 || data[n-2]["usage"] == nil {
		t.Errorf("got %v, want a chunk of usage without choices", data[n-2])
	}
	if names[n-1] != "[DONE]" {
		t.Errorf("got %v last, want [DONE]", data[n-1])
	}
	for i, d := range data[:n-2] {
		if usage, ok := d["usage"]; usage != nil || !ok {
			t.Errorf("chunk %d: got usage %v, want null", i, usage)
		}
	}
	if got := strings.Count(stream, `"name":"weather"`); got != 1 {
		t.Errorf("got the name %d times, want once", got)
	}
	if strings.Contains(stream, "reasoning") && !strings.Contains(stream, "reasoning_tokens") {
		t.Error("got reasoning in the stream")
	}
}

func TestLocalGrammar(t *testing.T) {
	t.Parallel()
	names, data, stream := frames(t, holdfasttest.Local, "/v1/chat/completions",
		`{"model":"qwen3:8b","stream":true,"messages":[{"role":"user","content":"Hi"}]}`, rich)
	if names[len(names)-1] != "[DONE]" || strings.Contains(stream, "usage") {
		t.Errorf("got usage unasked, or no [DONE]:\n%s", stream)
	}
	reasoning := ""
	for _, d := range data {
		reasoning += dig[string](d, "choices", "0", "delta", "reasoning")
	}
	if reasoning != rich.Thinking {
		t.Errorf("got reasoning %q, want %q", reasoning, rich.Thinking)
	}
	if !strings.Contains(stream, `"name":"weather","arguments":"{\"city\":\"Köln\"}"`) {
		t.Errorf("want the call whole in one chunk:\n%s", stream)
	}
}

func TestResponsesGrammar(t *testing.T) {
	t.Parallel()
	names, data, stream := frames(t, holdfasttest.OpenAI, "/v1/responses",
		`{"model":"gpt-6-sol","stream":true,"store":false,"reasoning":{"summary":"auto"},"input":"Hi"}`, rich)
	for i, d := range data {
		if dig[string](d, "type") != names[i] || dig[float64](d, "sequence_number") != float64(i) {
			t.Errorf("event %d, %s: got type %v, number %v", i, names[i], d["type"], d["sequence_number"])
		}
	}
	short := slices.Compact(slices.Clone(names))
	item := func(inner ...string) []string {
		out := []string{"response.output_item.added"}
		for _, n := range inner {
			out = append(out, "response."+n)
		}
		return append(out, "response.output_item.done")
	}
	call := item("function_call_arguments.delta", "function_call_arguments.done")
	want := slices.Concat([]string{"response.created", "response.in_progress"},
		item("reasoning_summary_part.added", "reasoning_summary_text.delta", "reasoning_summary_text.done", "reasoning_summary_part.done"),
		item("content_part.added", "output_text.delta", "output_text.done", "content_part.done"), call, call,
		[]string{"response.completed"})
	if !slices.Equal(short, want) {
		t.Errorf("got  %v\nwant %v", short, want)
	}
	if strings.Contains(stream, "[DONE]") || !strings.Contains(stream, `"encrypted_content":"`) {
		t.Errorf("got [DONE] or no encrypted content:\n%s", stream)
	}
	end := dig[map[string]any](data[len(data)-1], "response")
	if got := len(dig[[]any](end, "output")); got != 4 || end["status"] != "completed" || end["usage"] == nil {
		t.Errorf("got %v, want the whole response at the end", end)
	}
}

func TestGeminiGrammar(t *testing.T) {
	t.Parallel()
	const path, body = "/v1beta/models/gemini-3.8-flash:streamGenerateContent", `{"contents":[{"parts":[{"text":"Hi"}]}],"generationConfig":{"thinkingConfig":{"includeThoughts":true}}}`
	names, data, stream := frames(t, holdfasttest.Gemini, path+"?alt=sse", body, rich)
	for i, d := range data {
		last := i == len(data)-1
		finish := dig[string](d, "candidates", "0", "finishReason")
		if names[i] != "" || (finish == "STOP") != last || d["usageMetadata"] == nil || d["responseId"] == nil {
			t.Errorf("event %d: got %q %v", i, names[i], d)
		}
	}
	if got := strings.Count(stream, "thoughtSignature"); got != 1 || !strings.Contains(stream, `"thought":true`) {
		t.Errorf("got %d signatures, want that of the first call:\n%s", got, stream)
	}

	s := holdfasttest.NewServer(holdfasttest.Gemini)
	defer s.Close()
	s.Script(rich, holdfasttest.Reply{Error: holdfasttest.Overloaded})
	for _, want := range []int{len(data), 1} {
		res, err := ask(t.Context(), s.Client(), holdfasttest.Gemini, s.URL+path, body)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var pieces []any
		if err := json.NewDecoder(res.Body).Decode(&pieces); err != nil || len(pieces) != want {
			t.Errorf("got %d pieces, %v, want %d in a JSON array", len(pieces), err, want)
		}
	}
}

func TestStopReasons(t *testing.T) {
	t.Parallel()
	where := [][]string{
		{"stop_reason"},
		{"choices", "0", "finish_reason"},
		{"choices", "0", "finish_reason"},
		{"incomplete_details", "reason"},
		{"candidates", "0", "finishReason"},
	}
	tests := []struct {
		reply holdfasttest.Reply
		want  [5]string
	}{
		{holdfasttest.Reply{}, [5]string{"end_turn", "stop", "stop", "", "STOP"}},
		{holdfasttest.Reply{StopReason: holdfasttest.MaxTokens}, [5]string{"max_tokens", "length", "length", "max_output_tokens", "MAX_TOKENS"}},
		{holdfasttest.Reply{StopReason: holdfasttest.StopSequence}, [5]string{"stop_sequence", "stop", "stop", "", "STOP"}},
		{holdfasttest.Reply{StopReason: holdfasttest.ContentFilter}, [5]string{"refusal", "content_filter", "content_filter", "content_filter", "SAFETY"}},
		{holdfasttest.Reply{StopReason: holdfasttest.ContextExceeded}, [5]string{"model_context_window_exceeded", "length", "length", "max_output_tokens", "MAX_TOKENS"}},
		{holdfasttest.Reply{StopReason: holdfasttest.Paused}, [5]string{"pause_turn", "stop", "stop", "", "CONTINUATION"}},
		{holdfasttest.Reply{StopReason: "RECITATION"}, [5]string{"RECITATION", "RECITATION", "RECITATION", "RECITATION", "RECITATION"}},
		{holdfasttest.Reply{ToolCalls: []holdfasttest.ToolCall{{Name: "f"}}}, [5]string{"tool_use", "tool_calls", "tool_calls", "", "STOP"}},
		{holdfasttest.Reply{Refusal: "No."}, [5]string{"refusal", "stop", "stop", "", ""}},
	}
	for i, w := range ways {
		s := holdfasttest.NewServer(w.dialect)
		defer s.Close()
		for _, tt := range tests {
			s.Script(tt.reply)
			path, body := question(i, false)
			got := decode(t, s.Client(), w.dialect, s.URL+path, body)
			if reason := dig[string](got, where[i]...); reason != tt.want[i] {
				t.Errorf("%s, %+v: got %q, want %q", w.name, tt.reply, reason, tt.want[i])
			}
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	u := holdfasttest.Usage{Input: 100, CacheRead: 60, CacheWrite: 10, Output: 50, Reasoning: 20}
	want := []map[string]float64{
		{"input_tokens": 30, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 10, "output_tokens": 50},
		{"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
		{"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
		{"input_tokens": 100, "output_tokens": 50, "total_tokens": 150},
		{"promptTokenCount": 100, "cachedContentTokenCount": 60, "candidatesTokenCount": 30, "thoughtsTokenCount": 20, "totalTokenCount": 150},
	}
	for i, w := range ways {
		s := holdfasttest.NewServer(w.dialect)
		defer s.Close()
		s.Script(holdfasttest.Reply{Usage: u}, holdfasttest.Reply{})
		for _, given := range []bool{true, false} {
			path, body := question(i, false)
			got := decode(t, s.Client(), w.dialect, s.URL+path, body)
			usage := dig[map[string]any](got, "usage")
			if usage == nil {
				usage = dig[map[string]any](got, "usageMetadata")
			}
			for name, n := range want[i] {
				v := dig[float64](usage, name)
				if given && v != n {
					t.Errorf("%s: got %s %v, want %v", w.name, name, v, n)
				}
				if estimated := strings.Contains(name, "otal") || strings.HasPrefix(name, "prompt"); !given && estimated && v < 5 {
					t.Errorf("%s: got %s %v, want an estimate", w.name, name, v)
				}
			}
		}
	}
}
