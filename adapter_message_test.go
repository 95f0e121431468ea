package holdfast

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// everyPart holds each type of part with every field set.
func everyPart() Parts {
	origin := &Origin{Provider: "claude", Platform: "api.anthropic.com", Account: "a1", Model: "claude-opus-5-5"}
	extra := func() Extra { return Extra{"claude": json.RawMessage(`{"citations":[1,null]}`)} }
	return Parts{
		&Text{Text: "Hi \"there\" <&> é😀\u2028", Cache: CacheShort, Extra: extra(), Origin: origin},
		&Image{MIME: "image/png", Bytes: []byte{0, 1, 0xFF}, Detail: "low", Cache: CacheLong},
		&Image{URL: "https://example.com/a.png"},
		&Document{MIME: "application/pdf", File: &FileRef{Provider: "claude", ID: "file_1"}, Name: "report.pdf", Cache: CacheShort},
		&Document{MIME: "text/plain", Bytes: []byte("plain")},
		&Audio{MIME: "audio/wav", Bytes: []byte("RIFF")},
		&ToolCall{ID: "call_1", Name: "weather", Args: json.RawMessage(`{"city":"Turku","days":[1,2]}`), Extra: extra(), Origin: origin},
		&ToolCall{ID: "call_2", Name: "weather", Incomplete: true},
		&ToolResult{
			CallID: "call_1", Name: "weather", IsError: true, Cache: CacheLong,
			Parts: Parts{&Text{Text: "rain"}, &Image{URL: "https://example.com/a.png"}, &Document{URL: "https://example.com/a.pdf"}},
		},
		&Thinking{Text: "hm", Opaque: []byte("signature"), Kind: "redacted", Origin: origin},
		&Refusal{Text: "no"},
		&Opaque{Raw: json.RawMessage(`{"type":"web_search","n":1}`), Origin: origin},
	}
}

func TestConversationRoundTrip(t *testing.T) {
	t.Parallel()
	yes, half, seed := true, 0.5, int64(-7)
	want := ChatRequest{
		Model: "smart", System: []*Text{{Text: "Be kind.", Cache: CacheLong}},
		Messages: []Message{{Role: RoleUser, Parts: everyPart()}, AssistantText("Hi"), Results(&ToolResult{CallID: "1", Parts: Parts{}})},
		Tools: []Tool{{
			Name: "weather", Description: "The weather.", Schema: json.RawMessage(`{"type":"object"}`), Strict: true, Cache: CacheShort,
		}},
		ToolChoice: ToolChoice{Mode: ToolNamed, Name: "weather"}, ParallelTools: &yes, MaxOutputTokens: 100,
		Temperature: &half, TopP: &half, TopK: 3, PresencePenalty: &half, FrequencyPenalty: &half, Stop: []string{"END"}, Seed: &seed,
		Reasoning: Reasoning{Effort: EffortHigh, BudgetTokens: 1024, Summary: true},
		Output:    Output{Format: OutputSchema, Name: "answer", Schema: json.RawMessage(`{"type":"object"}`), Strict: true},
		EndUser:   "u1", Tier: "flex", Metadata: map[string]string{"k": "v"}, Hints: []string{"seed"},
		Residency: []string{"eu"}, Conversation: "c1", Rescue: RescueReset, StreamToolArgs: true,
		Extra: Extra{"openai": json.RawMessage(`{"store":false}`)},
	}
	raw, err := json.Marshal(&want)
	if err != nil {
		t.Fatal(err)
	}
	var got ChatRequest
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		again, _ := json.Marshal(&got)
		t.Errorf("got\n%s\nwant\n%s", again, raw)
	}
	everyFieldSet(t, reflect.ValueOf(want), "request")
}

// everyFieldSet finds fields that a new version added and the round trip above does not show.
func everyFieldSet(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	for i := range v.NumField() {
		f, name := v.Field(i), path+"."+v.Type().Field(i).Name
		if f.IsZero() {
			t.Errorf("%s is not part of the round trip", name)
		} else if f.Kind() == reflect.Struct {
			everyFieldSet(t, f, name)
		}
	}
}

func TestEveryPartTypeIsKnown(t *testing.T) {
	t.Parallel()
	for _, p := range everyPart() {
		made := newPart(p.partType())
		if reflect.TypeOf(made) != reflect.TypeOf(p) {
			t.Errorf("%s: got a %T, want a %T", p.partType(), made, p)
		}
		if isNilPart(made) || !isNilPart(reflect.Zero(reflect.TypeOf(p)).Interface().(Part)) {
			t.Errorf("%s: nil is not told from what is not", p.partType())
		}
	}
	if !isNilPart(nil) || newPart("") != nil || newPart("Text") != nil {
		t.Error("nil, or an unknown type, is taken for a part")
	}
}

// TestPartsJSON gives parts as they are written; zero values do not show.
func TestPartsJSON(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]Parts{
		`[]`: {},
		`[{"type":"text","text":""},{"type":"text","text":"a"}]`:                {&Text{}, &Text{Text: "a"}},
		`[{"type":"image"},{"type":"document"},{"type":"audio"}]`:               {&Image{}, &Document{}, &Audio{}},
		`[{"type":"tool_call","id":"","name":""}]`:                              {&ToolCall{}},
		`[{"type":"tool_result","call_id":"","parts":[]}]`:                      {&ToolResult{Parts: Parts{}}},
		`[{"type":"thinking"},{"type":"refusal","text":""}]`:                    {&Thinking{}, &Refusal{}},
		`[{"type":"opaque","raw":null}]`:                                        {&Opaque{Raw: json.RawMessage("null")}},
		`[{"type":"image","bytes":"AAH/"}]`:                                     {&Image{Bytes: []byte{0, 1, 255}}},
		`[{"type":"image","file":{"provider":"claude","id":"f"}}]`:              {&Image{File: &FileRef{"claude", "f"}}},
		`[{"type":"thinking","origin":{"provider":"gemini","model":"gemini"}}]`: {&Thinking{Origin: &Origin{Provider: "gemini", Model: "gemini"}}},
	} {
		raw, err := json.Marshal(p)
		if err != nil || string(raw) != want {
			t.Errorf("got %s, %v; want %s", raw, err, want)
		}
		var back Parts
		if err := json.Unmarshal(raw, &back); err != nil || !reflect.DeepEqual(back, p) {
			t.Errorf("%s: got %v, %v back", want, back, err)
		}
	}
	if raw, err := json.Marshal(Parts(nil)); err != nil || string(raw) != "[]" {
		t.Errorf("got %s, %v; want an empty list of nil parts", raw, err)
	}
}

func TestZeroValuesAreOmitted(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]any{
		`{"messages":null}`: ChatRequest{},
		`{"messages":[{"role":"user","parts":[{"type":"text","text":"Hi"}]}]}`:                   ChatRequest{Messages: Ask("Hi")},
		`{"message":{"role":"","parts":[]},"stop":{"reason":""},"usage":{"input":0,"output":0}}`: ChatResponse{},
		`{"name":"f"}`:           Tool{Name: "f"},
		`{"provider":"x"}`:       Origin{Provider: "x"},
		`{}`:                     ToolChoice{},
		`{"input":1,"output":2}`: Usage{Input: 1, Output: 2},
	} {
		if raw, err := json.Marshal(v); err != nil || string(raw) != want {
			t.Errorf("%T: got %s, %v; want %s", v, raw, err, want)
		}
	}
}

func TestPartsErrors(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`[{"type":"video"}]`:             `parts[0].type: "video" is not a type of part`,
		`[{"type":"text"},{"text":"x"}]`: `parts[1].type: "" is not a type of part`,
		`[null]`:                         `parts[0].type`,
		`["text"]`:                       `parts[0]`,
		`[{"type":1}]`:                   `parts[0]`,
		`[{"type":"text","text":1}]`:     `parts[0]`,
		`{"type":"text"}`:                `cannot unmarshal object`,
		`[{"type":"image","bytes":"?"}]`: `parts[0]`,
		`[{"type":"tool_result","parts":[{"type":"text"},{"type":"tool_call"}]}]`:                          `parts[0]: holdfast: parts[1].type: "tool_call"`,
		`[{"type":"tool_result","parts":[{"type":"tool_result","parts":[]}]}]`:                             `parts[0]: holdfast: parts[0].type: "tool_result"`,
		`[{"type":"` + strings.Repeat("x", 10_000) + `"}]`:                                                 `parts[0].type: "` + strings.Repeat("x", 40) + `" is`,
		strings.Repeat(`[`, 10_001) + strings.Repeat(`]`, 10_001):                                          `depth`,
		strings.Repeat(`[{"type":"tool_result","parts":`, 4_900) + `[` + strings.Repeat(`]}`, 4_900) + `]`: ``,
	} {
		var p Parts
		if err := json.Unmarshal([]byte(in), &p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %v, want an error with %q", in, err, want)
		} else if len(err.Error()) > 400 {
			t.Errorf("%.60s: got an error of %d bytes", in, len(err.Error()))
		}
		if p != nil {
			t.Errorf("%.60s: got %v beside the error", in, p)
		}
	}
	for name, p := range map[string]Parts{
		"nil":        {&Text{}, nil},
		"typed nil":  {&Text{}, (*ToolCall)(nil)},
		"broken raw": {&Text{}, &Opaque{Raw: json.RawMessage("{")}},
		"nil inside": {&Text{}, &ToolResult{Parts: Parts{nil}}},
	} {
		if raw, err := json.Marshal(p); err == nil || !strings.Contains(err.Error(), "parts[1]") {
			t.Errorf("%s: got %s, %v; want an error of parts[1]", name, raw, err)
		}
	}
}

func TestNullPartsChangeNothing(t *testing.T) {
	t.Parallel()
	var m Message
	if err := json.Unmarshal([]byte(`{"role":"user","parts":null}`), &m); err != nil || m.Parts != nil {
		t.Errorf("got %v, %v; want no parts", m.Parts, err)
	}
	r := ToolResult{Parts: Parts{&Text{Text: "old"}}}
	if err := json.Unmarshal([]byte(`{"call_id":"1"}`), &r); err != nil || r.CallID != "1" || len(r.Parts) != 0 {
		t.Errorf("got %+v, %v; want the result read anew", r, err)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]Parts{
		"":   nil,
		"a":  {&Text{Text: "a"}},
		"ab": {&Thinking{Text: "x"}, &Text{Text: "a"}, &Refusal{Text: "y"}, &ToolCall{}, &Text{Text: "b"}, nil},
	} {
		m := Message{Parts: p}
		r := &ChatResponse{Message: m}
		if p.Text() != want || m.Text() != want || r.Text() != want {
			t.Errorf("got %q, %q and %q, want %q", p.Text(), m.Text(), r.Text(), want)
		}
	}
}

func TestShortWays(t *testing.T) {
	t.Parallel()
	call := &ToolCall{ID: "1", Name: "f"}
	whole := &ChatResponse{Message: Message{Parts: Parts{&Text{}, call, &ToolCall{Incomplete: true}}}}
	if got := whole.ToolCalls(); len(got) != 1 || got[0] != call {
		t.Errorf("got %v, want the one whole call", got)
	}
	want := []Message{
		{Role: RoleUser, Parts: Parts{&Text{Text: "q"}}},
		{Role: RoleAssistant, Parts: Parts{&Text{Text: "a"}}},
		{Role: RoleTool, Parts: Parts{&ToolResult{CallID: "1", Name: "f", Parts: Parts{&Text{Text: "r"}}}}},
	}
	if got := append(Ask("q"), AssistantText("a"), Results(Result(call, "r"))); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := System("s"); len(got) != 1 || got[0].Text != "s" {
		t.Errorf("got %v, want one text", got)
	}
}

func TestEventTypeString(t *testing.T) {
	t.Parallel()
	for e, want := range map[EventType]string{
		0: "EventType(0)", EventStart: "start", EventText: "text", EventThinking: "thinking", EventRefusal: "refusal", EventToolCall: "tool_call",
		EventToolArgs: "tool_args", EventBlockEnd: "block_end", EventUsage: "usage", EventReset: "reset", EventHop: "hop", EventEnd: "end", EventEnd + 1: "EventType(12)", 255: "EventType(255)",
	} {
		if got := e.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if (Event{Type: EventThinking, Delta: "x"}).Text() != "" || (Event{Type: EventText, Delta: "x"}).Text() != "x" {
		t.Error("only a text event carries visible text")
	}
}

// FuzzParts demands that what can be read can be written, and reads the same again.
func FuzzParts(f *testing.F) {
	for _, p := range everyPart() {
		raw, err := json.Marshal(Parts{p})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`[{"type":"tool_call","id":"\ud800","args":null,"extra":{"":1}},{"TYPE":"text","type":"image"}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var first, second Parts
		if json.Unmarshal(data, &first) != nil {
			return
		}
		_ = first.Text()
		raw, err := json.Marshal(first)
		if err != nil {
			t.Fatalf("cannot be written: %v", err)
		}
		if err := json.Unmarshal(raw, &second); err != nil {
			t.Fatalf("%s: cannot be read again: %v", raw, err)
		}
		again, err := json.Marshal(second)
		if err != nil || !bytes.Equal(again, raw) {
			t.Errorf("got %s, %v; want %s", again, err, raw)
		}
		for _, m := range []Role{RoleUser, RoleAssistant, RoleTool, RoleDeveloper} {
			_ = (&ChatRequest{Messages: []Message{{Role: m, Parts: first}}}).check()
		}
	})
}
