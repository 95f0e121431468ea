package holdfast

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestChatProfiles(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i := range chatProfiles {
		p := &chatProfiles[i]
		if seen[p.provider] {
			t.Errorf("%s is there twice", p.provider)
		}
		seen[p.provider] = true
		if p.maxTokens == "" {
			t.Errorf("%s has no word for the bound on the answer", p.provider)
		}
		if strings.HasSuffix(p.url, "/") {
			t.Errorf("%s: %s ends in a slash", p.provider, p.url)
		}
		if passes := p.passBack == passCalls || p.passBack == passMust; passes != (p.thinking != "") {
			t.Errorf("%s: got thinking member %q, want one exactly if thinking goes back in one", p.provider, p.thinking)
		}
		if (p.passBack == passMust || p.prefill == prefillPlain) && p.off == "" {
			t.Errorf("%s must switch thinking off at times, but cannot", p.provider)
		}
		if p.off != "" && !json.Valid([]byte("{"+p.off+"}")) {
			t.Errorf("%s: %s is not a member", p.provider, p.off)
		}
		a := builtinAdapter(p.provider)
		if a == nil {
			t.Errorf("%s is not registered", p.provider)
			continue
		}
		d := a.Dialect()
		if d.KeyHeader != "Authorization" || d.KeyPrefix != "Bearer " || d.URL != p.url {
			t.Errorf("%s: got dialect %+v", p.provider, d)
		}
	}
	for provider, want := range map[string]string{"openai-chat": "openai", "deepseek": "deepseek", "openai-compatible": "openai-compatible"} {
		if got := builtinAdapter(provider).Dialect().Name; got != want {
			t.Errorf("%s: got dialect %q, want %q", provider, got, want)
		}
	}
}

func TestChatToolIDs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ provider, id, want string }{
		{"openai-chat", "call_1-x", "call_1-x"},
		{"openai-chat", strings.Repeat("a", 64), strings.Repeat("a", 64)},
		{"moonshot", "functions.now:0", "functions.now:0"},
		{"mistral", "abcDEF123", "abcDEF123"},
	} {
		if got := chatProfileOf(c.provider).id(c.id); got != c.want {
			t.Errorf("%s: got %q, want %q", c.provider, got, c.want)
		}
	}
	for _, c := range []struct {
		provider, id string
		length       int
	}{
		{"openai-chat", strings.Repeat("a", 65), 24},
		{"openai-chat", "a b", 24},
		{"mistral", "short", 9},
		{"mistral", "call_12345", 9},
		{"mistral", "abc_ef123", 9},
	} {
		p := chatProfileOf(c.provider)
		got := p.id(c.id)
		if got == c.id || len(got) != c.length || got != p.id(c.id) || foldID(got, "", 24) != got {
			t.Errorf("%s %q: got %q, want %d letters and digits, the same each time", c.provider, c.id, got, c.length)
		}
	}
}

// TestChatMintsIDs shows that calls without ids get ids of their own, the same from the same answer and other ones from another.
func TestChatMintsIDs(t *testing.T) {
	t.Parallel()
	ids := func(answer string) []string {
		body := `{"id":"` + answer + `","choices":[{"message":{"tool_calls":[{"function":{"name":"x"}},{"function":{"name":"x"}}]},"finish_reason":"tool_calls"}]}`
		a := chatAdapterOf("openai-compatible")
		w := NewAnswerWriter(a, Target{})
		if err := a.Decode([]byte(body), w); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range w.Response().ToolCalls() {
			got = append(got, c.ID)
		}
		return got
	}
	one, again, two := ids("one"), ids("one"), ids("two")
	if len(one) != 2 || one[0] == "" || one[0] == one[1] {
		t.Fatalf("got %q, want two ids", one)
	}
	if !reflect.DeepEqual(one, again) {
		t.Errorf("got %q and %q from the same answer", one, again)
	}
	if one[0] == two[0] {
		t.Errorf("got %q from two answers", one[0])
	}
}

// TestChatCuts cuts every streamed vector at every byte: no piece of an answer passes for the whole.
func TestChatCuts(t *testing.T) {
	t.Parallel()
	for _, v := range chatVectors(t, "stream.sse") {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			a := chatAdapterOf(v.provider)
			full, _, err := decodeStream(a, Target{}, bytes.NewReader(v.data))
			if err != nil {
				t.Skip("not a whole answer")
			}
			want := visible(full.Response())
			for cut := range v.data {
				w, _, err := decodeStream(a, Target{}, bytes.NewReader(v.data[:cut]))
				if err == nil && visible(w.Response()) != want {
					t.Fatalf("cut at byte %d of %d: got %q as the whole of %q", cut, len(v.data), visible(w.Response()), want)
				}
			}
		})
	}
}

// TestChatBodyCuts does the same for whole bodies.
func TestChatBodyCuts(t *testing.T) {
	t.Parallel()
	for _, v := range chatVectors(t, "response.json") {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			a := chatAdapterOf(v.provider)
			body := bytes.TrimSpace(v.data)
			if a.Decode(body, NewAnswerWriter(a, Target{})) != nil {
				t.Skip("not a whole answer")
			}
			for cut := range body {
				w := NewAnswerWriter(a, Target{})
				if err := a.Decode(body[:cut], w); err == nil || w.IsDone() {
					t.Fatalf("cut at byte %d of %d: got %v, done %v", cut, len(body), err, w.IsDone())
				} else if k := KindOf(err); k != KindTruncated && cut > 0 {
					t.Fatalf("cut at byte %d of %d: got %q, want truncated", cut, len(body), k)
				}
			}
		})
	}
}

// TestChatRoundTrip sends each decoded answer back to the place that gave it.
func TestChatRoundTrip(t *testing.T) {
	t.Parallel()
	for _, v := range chatVectors(t, "response.json") {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			a := chatAdapterOf(v.provider)
			to := Target{Provider: v.provider, Model: "some-model", Platform: "p", Account: "a"}
			w := NewAnswerWriter(a, to)
			if a.Decode(v.data, w) != nil || len(w.Response().Message.Parts) == 0 {
				t.Skip("no answer")
			}
			answer := w.Response().Message
			req := &ChatRequest{Messages: []Message{UserText("Hi"), answer}}
			var results []*ToolResult
			for _, p := range answer.Parts {
				c, ok := p.(*ToolCall)
				if ok && c.Incomplete {
					t.Skip("never sent")
				}
				if ok {
					results = append(results, Result(c, "ok"))
				}
			}
			if len(results) > 0 {
				req.Messages = append(req.Messages, Results(results...))
			} else {
				req.Messages = append(req.Messages, UserText("Go on"))
			}
			if err := req.check(); err != nil {
				t.Fatal(err)
			}
			enc, err := a.Encode(nil, req, to)
			if err != nil {
				t.Fatal(err)
			}
			if !json.Valid(enc.Body) {
				t.Fatalf("got %s, want JSON", enc.Body)
			}
			var sent struct {
				Messages []struct {
					Content json.RawMessage
					Refusal string
				}
			}
			if err := json.Unmarshal(enc.Body, &sent); err != nil {
				t.Fatal(err)
			}
			if text := answer.Text(); text != "" && !bytes.Contains(enc.Body, bytes.Trim(appendJSON(t, text), `"`)) {
				t.Errorf("got %s, want the text %q in it", enc.Body, text)
			}
		})
	}
}

func appendJSON(t *testing.T, s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestChatEveryProviderEncodes sends one rich conversation of foreign making everywhere: it is JSON, or refused by field.
func TestChatEveryProviderEncodes(t *testing.T) {
	t.Parallel()
	far := &Origin{Provider: "claude", Model: "claude-opus-5-5"}
	req := &ChatRequest{
		System: System("Be brief."),
		Messages: []Message{
			{Role: RoleUser, Parts: Parts{&Text{Text: "What?", Cache: CacheShort}, &Image{MIME: "image/png", Bytes: []byte("x"), Detail: "low"}}},
			{Role: RoleAssistant, Parts: Parts{
				&Thinking{Text: "hm", Opaque: []byte("sig"), Origin: far}, &Text{Text: "Let me look."},
				&ToolCall{ID: "toolu_01A", Name: "look", Args: json.RawMessage(`{"a":"\u00e9"}`), Origin: far, Extra: Extra{"claude": json.RawMessage(`{"x":1}`)}},
			}},
			{Role: RoleTool, Parts: Parts{&ToolResult{CallID: "toolu_01A", Parts: Parts{&Text{Text: "A cat"}}, IsError: true}}},
			{Role: RoleDeveloper, Parts: Parts{&Text{Text: "Speak French."}}},
			{Role: RoleAssistant, Parts: Parts{&Text{Text: "Un chat."}, &Opaque{Raw: json.RawMessage(`{"s":1}`), Origin: far}}},
			UserText("Merci"),
		},
		Tools: []Tool{{Name: "look", Description: "Looks", Cache: CacheLong}}, MaxOutputTokens: 100,
		EndUser: "u", Tier: "flex", Metadata: map[string]string{"a": "b"},
	}
	if err := req.check(); err != nil {
		t.Fatal(err)
	}
	for i := range chatProfiles {
		p := &chatProfiles[i]
		t.Run(p.provider, func(t *testing.T) {
			t.Parallel()
			enc, err := chatAdapter{p}.Encode(nil, req, Target{Provider: p.provider, Model: "some-model", Stream: true})
			if err != nil {
				t.Fatal(err)
			}
			if !json.Valid(enc.Body) {
				t.Fatalf("got %s, want JSON", enc.Body)
			}
			for _, secret := range []string{"hm", "sig", `"x":1`, `"s":1`} {
				if bytes.Contains(enc.Body, []byte(`"`+secret+`"`)) || secret[0] == '"' && bytes.Contains(enc.Body, []byte(secret)) {
					t.Errorf("what belongs to another provider was sent: %s", enc.Body)
				}
			}
			for _, field := range []string{"messages[1].parts[0]", "messages[1].parts[2].extra", "messages[4].parts[1]", "tools[0].cache"} {
				if !strings.Contains(strings.Join(enc.Notes, "\n"), field) {
					t.Errorf("got notes %q, want %s among them", enc.Notes, field)
				}
			}
		})
	}
}

func TestChatEncodeDoesNotAllocateByMessage(t *testing.T) {
	allocs := func(messages int) float64 {
		req := &ChatRequest{}
		for range messages {
			req.Messages = append(req.Messages, UserText("Why is the sky \"blue\"?"), AssistantText("Scattering."))
		}
		req.Messages = append(req.Messages, UserText("And?"))
		dst := make([]byte, 0, 1<<20)
		a := chatAdapterOf("openai-chat")
		return testing.AllocsPerRun(20, func() {
			if _, err := a.Encode(dst, req, Target{Model: "gpt-4.1"}); err != nil {
				t.Fatal(err)
			}
		})
	}
	few, many := allocs(1), allocs(500)
	if many > few {
		t.Errorf("got %v allocations for 1,000 messages and %v for 2, want as many", many, few)
	}
}

func TestChatStreamAllocations(t *testing.T) {
	const chunks = 5000
	stream := chatStreamOf(chunks)
	a := chatAdapterOf("openai-chat")
	got := testing.AllocsPerRun(5, func() {
		if _, _, err := drainChat(a, stream); err != nil {
			t.Fatal(err)
		}
	})
	if got > chunks/10 {
		t.Errorf("got %v allocations for %d chunks, want at most 1 in 10", got, chunks)
	}
}
