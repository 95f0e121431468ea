package holdfast

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// muteAdapter has a dialect and speaks it to nobody.
type muteAdapter struct{}

func (muteAdapter) Dialect() Dialect { return Dialect{Name: "mute"} }
func (muteAdapter) Encode([]byte, *ChatRequest, Target) (Encoded, error) {
	return Encoded{}, nil
}
func (muteAdapter) Decode([]byte, *AnswerWriter) error          { return nil }
func (muteAdapter) DecodeStream() StreamDecoder                 { return nil }
func (muteAdapter) DecodeError(int, http.Header, []byte) *Error { return nil }

func newWriter(stream bool) *AnswerWriter {
	return NewAnswerWriter(muteAdapter{}, Target{Provider: "mute", Model: "m", Platform: "p", Account: "a", Stream: stream})
}

// told gives events in words: "text 0 hello", "block_end 1 tool_call".
func told(events []Event) []string {
	var lines []string
	for _, e := range events {
		line := e.Type.String()
		if e.Type != EventUsage && e.Type != EventReset {
			line += fmt.Sprintf(" %d", e.Block)
		}
		if e.Delta != "" {
			line += " " + e.Delta
		}
		switch p := e.Part.(type) {
		case nil:
		case *ToolCall:
			line += fmt.Sprintf(" %s/%s", p.ID, p.Name)
			if e.Type == EventBlockEnd {
				line += fmt.Sprintf(" %s %v", p.Args, p.Incomplete)
			}
		default:
			line += " " + p.partType()
		}
		if e.Usage != nil {
			line += fmt.Sprintf(" %d", e.Usage.Output)
		}
		lines = append(lines, line)
	}
	return lines
}

// TestAnswerWriter gives what a codec writes, the events of it, and the answer's parts as JSON. Done is called at the end.
func TestAnswerWriter(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		write  func(w *AnswerWriter)
		events []string
		parts  string
		stop   StopReason
	}{
		"nothing": {
			write: func(*AnswerWriter) {}, parts: `[]`, stop: StopUnknown,
		},
		"text in pieces": {
			write:  func(w *AnswerWriter) { w.Text([]byte("Hel")); w.Text([]byte("lo")); w.Stop(Stop{Reason: StopEndTurn}) },
			events: []string{"text 0 Hel", "text 0 lo", "block_end 0 text"},
			parts:  `[{"type":"text","text":"Hello"}]`, stop: StopEndTurn,
		},
		"another kind closes the block": {
			write: func(w *AnswerWriter) {
				w.Thinking([]byte("hm"))
				w.Text([]byte("yes"))
				w.Refusal([]byte("no"))
				w.Text([]byte("well"))
			},
			events: []string{
				"thinking 0 hm", "block_end 0 thinking", "text 1 yes", "block_end 1 text",
				"refusal 2 no", "block_end 2 refusal", "text 3 well", "block_end 3 text",
			},
			parts: `[{"type":"thinking","text":"hm"},{"type":"text","text":"yes"},{"type":"refusal","text":"no"},{"type":"text","text":"well"}]`,
			stop:  StopUnknown,
		},
		"adjacent blocks of one kind": {
			write: func(w *AnswerWriter) {
				w.Open(&Text{Text: "a"})
				w.Text([]byte("b"))
				w.Open(&Text{})
				w.Text([]byte("c"))
				w.End()
				w.Text([]byte("d"))
			},
			events: []string{"text 0 a", "text 0 b", "block_end 0 text", "text 1 c", "block_end 1 text", "text 2 d", "block_end 2 text"},
			parts:  `[{"type":"text","text":"ab"},{"type":"text","text":"c"},{"type":"text","text":"d"}]`, stop: StopUnknown,
		},
		"empty pieces split nothing": {
			write: func(w *AnswerWriter) {
				w.Thinking(nil)
				w.Text([]byte{})
				w.Thinking([]byte("a"))
				w.Text(nil)
				w.Refusal(nil)
				w.Thinking([]byte("b"))
			},
			events: []string{"thinking 0 a", "thinking 0 b", "block_end 0 thinking"},
			parts:  `[{"type":"thinking","text":"ab"}]`, stop: StopUnknown,
		},
		"empty blocks take no index": {
			write: func(w *AnswerWriter) {
				w.Open(new(Text))
				w.Open(new(Thinking))
				w.Open(new(Refusal))
				w.Whole(new(Text))
				w.Whole(nil)
				w.Whole((*Image)(nil))
				w.Text([]byte("a"))
			},
			events: []string{"text 0 a", "block_end 0 text"},
			parts:  `[{"type":"text","text":"a"}]`, stop: StopUnknown,
		},
		"empty but for what the codec attached": {
			write: func(w *AnswerWriter) {
				w.Open(new(Thinking))
				w.Part().(*Thinking).Opaque = []byte("sig")
				w.Open(new(Text))
				w.Part().(*Text).Extra = Extra{"mute": json.RawMessage(`1`)}
			},
			events: []string{"block_end 0 thinking", "block_end 1 text"},
			parts:  `[{"type":"thinking","opaque":"c2ln"},{"type":"text","text":"","extra":{"mute":1}}]`, stop: StopUnknown,
		},
		"tool call": {
			write: func(w *AnswerWriter) {
				w.Text([]byte("let me see"))
				w.ToolCall(7, "id1", "look")
				w.ToolArgs(7, []byte(`{"a"`))
				w.ToolArgs(7, []byte(`:1} `))
				w.Stop(Stop{Reason: StopEndTurn})
			},
			events: []string{
				"text 0 let me see", "block_end 0 text", "tool_call 1 id1/look", `tool_args 1 {"a"`, "tool_args 1 :1} ",
				`block_end 1 id1/look {"a":1} false`,
			},
			parts: `[{"type":"text","text":"let me see"},{"type":"tool_call","id":"id1","name":"look","args":{"a":1}}]`, stop: StopToolUse,
		},
		"tool calls interleaved": {
			write: func(w *AnswerWriter) {
				w.ToolCall(0, "x", "one")
				w.ToolCall(1, "y", "two")
				w.ToolArgs(1, []byte(`{"b":`))
				w.ToolArgs(0, []byte(`{`))
				w.Text([]byte("meanwhile"))
				w.ToolArgs(1, []byte(`2}`))
				w.ToolArgs(0, []byte(`}`))
				w.EndToolCall(1)
				w.EndToolCall(1)
				w.ToolArgs(1, []byte("late"))
				w.EndToolCall(9)
			},
			events: []string{
				"tool_call 0 x/one", "tool_call 1 y/two", `tool_args 1 {"b":`, "tool_args 0 {", "text 2 meanwhile", "tool_args 1 2}",
				"tool_args 0 }", `block_end 1 y/two {"b":2} false`, "block_end 2 text", "block_end 0 x/one {} false",
			},
			parts: `[{"type":"tool_call","id":"x","name":"one","args":{}},{"type":"tool_call","id":"y","name":"two","args":{"b":2}},{"type":"text","text":"meanwhile"}]`,
			stop:  StopToolUse,
		},
		"a key used again": {
			write: func(w *AnswerWriter) {
				w.ToolCall(0, "x", "one")
				w.EndToolCall(0)
				w.ToolCall(0, "y", "two")
				w.ToolArgs(0, []byte("{}"))
			},
			events: []string{"tool_call 0 x/one", "block_end 0 x/one {} false", "tool_call 1 y/two", "tool_args 1 {}", "block_end 1 y/two {} false"},
			parts:  `[{"type":"tool_call","id":"x","name":"one","args":{}},{"type":"tool_call","id":"y","name":"two","args":{}}]`, stop: StopToolUse,
		},
		"id and name come later": {
			write: func(w *AnswerWriter) {
				w.ToolCall(0, "", "one")
				w.ToolCall(0, "x", "")
				w.ToolCall(0, "other", "other")
				w.ToolCall(1, "", "two")
				w.ToolArgs(1, []byte("{}"))
				w.ToolCall(1, "y", "")
				w.ToolCall(2, "", "")
			},
			events: []string{
				"tool_call 0 x/one", "tool_call 1 /two", "tool_args 1 {}", "block_end 0 x/one {} false", "block_end 1 y/two {} false",
				"tool_call 2 /", "block_end 2 / {} false",
			},
			parts: `[{"type":"tool_call","id":"x","name":"one","args":{}},{"type":"tool_call","id":"y","name":"two","args":{}},{"type":"tool_call","id":"","name":"","args":{}}]`,
			stop:  StopToolUse,
		},
		"arguments that are no whole object": {
			write: func(w *AnswerWriter) {
				for i, args := range []string{`{"a":`, `[1]`, `"x"`, `{}{}`, "null", " \n"} {
					w.ToolCall(i, fmt.Sprint(i), "f")
					w.ToolArgs(i, []byte(args))
				}
				w.Stop(Stop{Reason: StopMaxTokens})
			},
			events: []string{
				"tool_call 0 0/f", `tool_args 0 {"a":`, "tool_call 1 1/f", "tool_args 1 [1]", "tool_call 2 2/f", `tool_args 2 "x"`,
				"tool_call 3 3/f", "tool_args 3 {}{}", "tool_call 4 4/f", "tool_args 4 null", "tool_call 5 5/f", "tool_args 5  \n",
				"block_end 0 0/f  true", "block_end 1 1/f  true", "block_end 2 2/f  true", "block_end 3 3/f  true",
				"block_end 4 4/f {} false", "block_end 5 5/f {} false",
			},
			parts: `[{"type":"tool_call","id":"0","name":"f","incomplete":true},{"type":"tool_call","id":"1","name":"f","incomplete":true},` +
				`{"type":"tool_call","id":"2","name":"f","incomplete":true},{"type":"tool_call","id":"3","name":"f","incomplete":true},` +
				`{"type":"tool_call","id":"4","name":"f","args":{}},{"type":"tool_call","id":"5","name":"f","args":{}}]`,
			stop: StopMaxTokens,
		},
		"cut before its arguments": {
			write: func(w *AnswerWriter) {
				w.ToolCall(0, "x", "f")
				w.EndToolCall(0)
				w.ToolCall(1, "y", "f")
				w.Stop(Stop{Reason: StopMaxTokens})
			},
			events: []string{"tool_call 0 x/f", "block_end 0 x/f {} false", "tool_call 1 y/f", "block_end 1 y/f  true"},
			parts:  `[{"type":"tool_call","id":"x","name":"f","args":{}},{"type":"tool_call","id":"y","name":"f","incomplete":true}]`, stop: StopMaxTokens,
		},
		"only incomplete calls are no tool use": {
			write: func(w *AnswerWriter) {
				w.ToolCall(0, "x", "f")
				w.ToolArgs(0, []byte("{}"))
				w.CutToolCall(0)
				w.Stop(Stop{Reason: StopEndTurn})
			},
			events: []string{"tool_call 0 x/f", "tool_args 0 {}", "block_end 0 x/f  true"},
			parts:  `[{"type":"tool_call","id":"x","name":"f","incomplete":true}]`, stop: StopEndTurn,
		},
		"arguments repeated whole": {
			write: func(w *AnswerWriter) {
				for i, pieces := range []string{`{"a":1}`, `{"a":`, ``, `{"b":2}`} {
					w.ToolCall(i, fmt.Sprint(i), "f")
					w.ToolArgs(i, []byte(pieces))
					w.ReplaceToolArgs(i, []byte(`{"a":1}`))
					w.EndToolCall(i)
				}
				w.ReplaceToolArgs(9, []byte("{}"))
			},
			events: []string{
				"tool_call 0 0/f", `tool_args 0 {"a":1}`, `block_end 0 0/f {"a":1} false`,
				"tool_call 1 1/f", `tool_args 1 {"a":`, "tool_args 1 1}", `block_end 1 1/f {"a":1} false`,
				"tool_call 2 2/f", `tool_args 2 {"a":1}`, `block_end 2 2/f {"a":1} false`,
				"tool_call 3 3/f", `tool_args 3 {"b":2}`, `block_end 3 3/f {"a":1} false`,
			},
			parts: `[{"type":"tool_call","id":"0","name":"f","args":{"a":1}},{"type":"tool_call","id":"1","name":"f","args":{"a":1}},` +
				`{"type":"tool_call","id":"2","name":"f","args":{"a":1}},{"type":"tool_call","id":"3","name":"f","args":{"a":1}}]`,
			stop: StopToolUse,
		},
		"whole parts": {
			write: func(w *AnswerWriter) {
				w.Whole(&Text{Text: "t"})
				w.Whole(&Thinking{Text: "h", Opaque: []byte("s")})
				w.Whole(&Thinking{Opaque: []byte("s"), Kind: "redacted"})
				w.Whole(&Refusal{Text: "r"})
				w.Whole(&ToolCall{ID: "x", Name: "f", Args: json.RawMessage(` {"a":1}`)})
				w.Whole(&ToolCall{ID: "y", Name: "f"})
				w.Whole(&ToolCall{ID: "z", Name: "f", Args: json.RawMessage(`{"a`)})
				w.Whole(&ToolCall{ID: "u", Name: "f", Args: json.RawMessage(`{}`), Incomplete: true})
				w.Whole(&Opaque{Raw: json.RawMessage(`{"o":1}`)})
				w.Whole(&Opaque{Raw: json.RawMessage(`{"o`)})
				w.Whole(&Image{URL: "https://x/y"})
				w.Text([]byte("end"))
			},
			events: []string{
				"text 0 t", "block_end 0 text", "thinking 1 h", "block_end 1 thinking", "block_end 2 thinking", "refusal 3 r", "block_end 3 refusal",
				"tool_call 4 x/f", `tool_args 4 {"a":1}`, `block_end 4 x/f {"a":1} false`, "tool_call 5 y/f", "tool_args 5 {}", "block_end 5 y/f {} false",
				"tool_call 6 z/f", "block_end 6 z/f  true", "tool_call 7 u/f", "block_end 7 u/f  true",
				"block_end 8 opaque", "block_end 9 image", "text 10 end", "block_end 10 text",
			},
			parts: `[{"type":"text","text":"t"},{"type":"thinking","text":"h","opaque":"cw=="},{"type":"thinking","opaque":"cw==","kind":"redacted"},` +
				`{"type":"refusal","text":"r"},{"type":"tool_call","id":"x","name":"f","args":{"a":1}},{"type":"tool_call","id":"y","name":"f","args":{}},` +
				`{"type":"tool_call","id":"z","name":"f","incomplete":true},{"type":"tool_call","id":"u","name":"f","incomplete":true},` +
				`{"type":"opaque","raw":{"o":1}},{"type":"image","url":"https://x/y"},{"type":"text","text":"end"}]`,
			stop: StopToolUse,
		},
		"withdrawn": {
			write: func(w *AnswerWriter) {
				w.Text([]byte("no"))
				w.ToolCall(0, "x", "f")
				w.Discard()
				w.Discard()
				w.ToolArgs(0, []byte("{}"))
				w.Text([]byte("yes"))
				w.Stop(Stop{Reason: StopEndTurn})
			},
			events: []string{"text 0 no", "block_end 0 text", "tool_call 1 x/f", "reset", "text 2 yes", "block_end 2 text"},
			parts:  `[{"type":"text","text":"yes"}]`, stop: StopEndTurn,
		},
		"usage": {
			write:  func(w *AnswerWriter) { w.Usage(Usage{Output: 1}); w.Text([]byte("a")); w.Usage(Usage{Output: 2}) },
			events: []string{"usage 1", "text 0 a", "usage 2", "block_end 0 text"},
			parts:  `[{"type":"text","text":"a"}]`, stop: StopUnknown,
		},
		"stop without a reason keeps the one before": {
			write: func(w *AnswerWriter) { w.Stop(Stop{Reason: StopFilter, Raw: "f"}); w.Stop(Stop{Raw: "x"}) },
			parts: `[]`, stop: StopFilter,
		},
		"a character split between pieces": {
			write: func(w *AnswerWriter) {
				for _, c := range []byte("é😀") {
					w.Text([]byte{c})
				}
				w.Text([]byte("\xf0\x9f"))
				w.Thinking([]byte("a\xc3"))
			},
			events: []string{"text 0 é", "text 0 😀", "text 0 \uFFFD\uFFFD", "block_end 0 text", "thinking 1 a", "thinking 1 \uFFFD", "block_end 1 thinking"},
			parts:  `[{"type":"text","text":"é😀��"},{"type":"thinking","text":"a�"}]`, stop: StopUnknown,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, stream := range []bool{true, false} {
				w := newWriter(stream)
				c.write(w)
				w.Done()
				got, want := told(w.Events()), c.events
				if !stream {
					want = nil
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("stream %v: got events\n%s\nwant\n%s", stream, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				r := w.Response()
				if parts, err := json.Marshal(r.Message.Parts); err != nil || string(parts) != c.parts {
					t.Errorf("stream %v: got parts\n%s (%v)\nwant\n%s", stream, parts, err, c.parts)
				}
				if r.Stop.Reason != c.stop {
					t.Errorf("stream %v: got stop %q, want %q", stream, r.Stop.Reason, c.stop)
				}
				if r.Message.Role != RoleAssistant || r.Provider != "mute" {
					t.Errorf("got role %q of %q, want an assistant of mute", r.Message.Role, r.Provider)
				}
			}
		})
	}
}

func TestAnswerWriterIgnoresWhatComesAfterDone(t *testing.T) {
	t.Parallel()
	w := newWriter(true)
	w.Start("id", "")
	w.Start("other", "model")
	w.Text([]byte("a"))
	w.Stop(Stop{Reason: StopEndTurn})
	w.Done()
	w.Done()
	w.Events()
	want, _ := json.Marshal(w.Response())

	w.Start("later", "later")
	w.Text([]byte("late"))
	w.Thinking([]byte("late"))
	w.Refusal([]byte("late"))
	w.Open(&Text{Text: "late"})
	w.Part().(*Text).Extra = Extra{}
	w.End()
	w.ToolCall(0, "late", "late")
	w.ToolArgs(0, []byte("{}"))
	w.ReplaceToolArgs(0, []byte("{}"))
	w.EndToolCall(0)
	w.Whole(&Text{Text: "late"})
	w.Stop(Stop{Reason: StopFilter})
	w.Discard()
	w.Done()
	if got := w.Events(); len(got) > 0 {
		t.Errorf("got events %v, want none", told(got))
	}
	if got, _ := json.Marshal(w.Response()); string(got) != string(want) {
		t.Errorf("got %s, want %s", got, want)
	}

	w.Usage(Usage{Output: 5})
	w.Extra(json.RawMessage(`{"k":1}`))
	r := w.Response()
	if got := w.Events(); len(got) > 0 || r.Usage.Output != 5 || string(r.Extra["mute"]) != `{"k":1}` {
		t.Errorf("got usage %d, extra %s, events %v; want 5 and the extra, without events", r.Usage.Output, r.Extra, told(got))
	}
	if r.ID != "id" || r.Model != "model" || !w.Started() || !w.IsDone() {
		t.Errorf("got id %q and model %q, want the first of each that was given", r.ID, r.Model)
	}
}

func TestResponseBeforeDoneIsASnapshot(t *testing.T) {
	t.Parallel()
	w := newWriter(true)
	w.Thinking([]byte("hm"))
	w.Text([]byte("a"))
	w.ToolCall(0, "x", "f")
	w.ToolArgs(0, []byte("{}"))
	w.Text([]byte("b\xc3"))
	w.Usage(Usage{Output: 1})
	events := w.Events()
	usage := events[len(events)-1].Usage
	w.Extra(json.RawMessage(`1`))
	early := w.Response()
	want, err := json.Marshal(early)
	if err != nil {
		t.Fatal(err)
	}
	w.Text([]byte("\xa9c"))
	w.ToolCall(0, "x", "f")
	w.Usage(Usage{Output: 2})
	w.Extra(json.RawMessage(`2`))
	w.Done()
	if got, _ := json.Marshal(early); string(got) != string(want) {
		t.Errorf("got %s, want it to stay %s", got, want)
	}
	if usage.Output != 1 {
		t.Errorf("got a count of %d in an earlier event, want it to stay 1", usage.Output)
	}
	if early.Text() != "ab" || len(early.ToolCalls()) != 0 || len(early.Message.Parts) != 4 {
		t.Errorf("got %s, want the text so far and the call incomplete", want)
	}
	if late := w.Response(); late.Text() != "abéc" || len(late.ToolCalls()) != 1 || late.Usage.Output != 2 || string(late.Extra["mute"]) != "2" {
		t.Errorf("got %+v, want the whole answer", late)
	}
}

func TestExtraMustBeJSON(t *testing.T) {
	t.Parallel()
	w := newWriter(false)
	raw := json.RawMessage(`{"a":1}`)
	w.Extra(raw)
	raw[2] = 'X'
	w.Extra(json.RawMessage(`{"a`))
	w.Extra(nil)
	if got := string(w.Response().Extra["mute"]); got != `{"a":1}` {
		t.Errorf("got %s, want a copy of the valid one", got)
	}
}

func TestVisible(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		write func(w *AnswerWriter)
		want  bool
	}{
		"nothing":      {func(*AnswerWriter) {}, false},
		"thinking":     {func(w *AnswerWriter) { w.Thinking([]byte("a")); w.Whole(&Thinking{Text: "b"}); w.End() }, false},
		"empty text":   {func(w *AnswerWriter) { w.Open(new(Text)); w.Whole(new(Text)) }, false},
		"text":         {func(w *AnswerWriter) { w.Text([]byte("a")) }, true},
		"refusal":      {func(w *AnswerWriter) { w.Refusal([]byte("a")) }, true},
		"call":         {func(w *AnswerWriter) { w.ToolCall(0, "", "") }, true},
		"whole":        {func(w *AnswerWriter) { w.Whole(&Opaque{Raw: json.RawMessage("1")}) }, true},
		"half a rune":  {func(w *AnswerWriter) { w.Text([]byte("\xc3")) }, false},
		"broken rune":  {func(w *AnswerWriter) { w.Text([]byte("\xc3")); w.End() }, true},
		"opened image": {func(w *AnswerWriter) { w.Open(&Image{URL: "u"}); w.End() }, true},
	}
	for name, c := range cases {
		w := newWriter(true)
		if c.write(w); w.visible != c.want {
			t.Errorf("%s: got visible %v, want %v", name, w.visible, c.want)
		}
	}
}

func TestAnswerWriterAccessors(t *testing.T) {
	t.Parallel()
	w := newWriter(true)
	if w.Part() != nil || w.Started() || w.IsDone() || w.HasToolCall(1) || w.OpenToolCall(1) != nil {
		t.Error("a new writer holds something")
	}
	if got, want := *w.Origin(), (Origin{Provider: "mute", Platform: "p", Account: "a", Model: "m"}); got != want {
		t.Errorf("got origin %v, want %v", got, want)
	}
	if !w.From().made("mute", w.Origin()) || w.From().Model != "m" {
		t.Error("the target does not know its own origin")
	}
	w.ToolCall(1, "", "f")
	w.OpenToolCall(1).ID = "set"
	if !w.HasToolCall(1) || w.HasToolCall(2) {
		t.Error("want one open call, with the key 1")
	}
	w.EndToolCall(1)
	if w.HasToolCall(1) {
		t.Error("the ended call is still open")
	}
	if got, want := told(w.Events()), []string{"tool_call 0 set/f", "block_end 0 set/f {} false"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	w.Stop(Stop{Reason: StopSequence, Sequence: "END"})
	w.Usage(Usage{Input: 3})
	if w.Stopped().Sequence != "END" || w.CurrentUsage().Input != 3 {
		t.Error("stop and usage do not read back")
	}
}

// TestPiecesCostNoAllocation is the promise beneath the speed of streams.
func TestPiecesCostNoAllocation(t *testing.T) {
	piece := []byte(" some words of text")
	for name, write := range map[string]func(w *AnswerWriter){
		"text":      func(w *AnswerWriter) { w.Text(piece) },
		"thinking":  func(w *AnswerWriter) { w.Thinking(piece) },
		"refusal":   func(w *AnswerWriter) { w.Refusal(piece) },
		"arguments": func(w *AnswerWriter) { w.ToolArgs(0, piece) },
		"usage":     func(w *AnswerWriter) { w.Usage(Usage{Output: 1}) },
	} {
		const pieces = 5000
		got := testing.AllocsPerRun(5, func() {
			w := newWriter(true)
			if name == "arguments" {
				w.ToolCall(0, "x", "f")
			}
			for range pieces {
				write(w)
				w.Events()
			}
		})
		if want := float64(pieces) / 30; got > want {
			t.Errorf("%s: got %v allocations for %d pieces, want at most %v", name, got, pieces, want)
		}
	}
}

// FuzzAnswerText cuts a text into pieces at every place and demands that the events, joined, and the answer hold all of it.
func FuzzAnswerText(f *testing.F) {
	f.Add([]byte("plain"), uint8(2))
	f.Add([]byte("é😀 \xff\xe2\x82 x \xf0\x9f\x98"), uint8(1))
	f.Fuzz(func(t *testing.T, text []byte, size uint8) {
		w := newWriter(true)
		var told strings.Builder
		for rest := text; len(rest) > 0; {
			n := min(int(size)+1, len(rest))
			w.Text(rest[:n])
			rest = rest[n:]
			for _, e := range w.Events() {
				told.WriteString(e.Text())
			}
		}
		w.Done()
		for _, e := range w.Events() {
			told.WriteString(e.Text())
		}
		got := w.Response().Text()
		if told.String() != got {
			t.Errorf("got events %q, want the answer's %q", told.String(), got)
		}
		if !utf8.ValidString(got) || (utf8.Valid(text) && got != string(text)) {
			t.Errorf("got %q, want %q", got, text)
		}
	})
}
