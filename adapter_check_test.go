package holdfast

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// TestCheckNamesTheField spoils a sound request in one place, and gives the field that must be named, "" for none.
func TestCheckNamesTheField(t *testing.T) {
	t.Parallel()
	text := &Text{Text: "x"}
	call := &ToolCall{ID: "1", Name: "f"}
	user := func(parts ...Part) Message { return Message{Role: RoleUser, Parts: parts} }
	assistant := func(parts ...Part) Message { return Message{Role: RoleAssistant, Parts: parts} }
	talk := func(messages ...Message) func(*ChatRequest) { return func(r *ChatRequest) { r.Messages = messages } }
	said := func(p Part) func(*ChatRequest) { return talk(user(p)) }
	answered := func(p Part) func(*ChatRequest) { return talk(user(text), assistant(p), user(text)) }
	called := func(c *ToolCall) func(*ChatRequest) {
		return talk(user(text), assistant(c), Results(&ToolResult{CallID: c.ID}))
	}
	returned := func(r *ToolResult) func(*ChatRequest) { return talk(user(text), assistant(call), Results(r)) }
	float := func(field **float64, v float64) { *field = &v }
	deep := json.RawMessage(strings.Repeat(`{"a":`, 10_001) + "1" + strings.Repeat("}", 10_001))
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	cases := []struct {
		name  string
		spoil func(r *ChatRequest)
		want  string
	}{
		{"sound", func(*ChatRequest) {}, ""},
		{"model", func(r *ChatRequest) { r.Model = "a\nb" }, "model"},
		{"no messages", talk(), "messages"},

		{"system nil", func(r *ChatRequest) { r.System = []*Text{text, nil} }, "system[1].text"},
		{"system empty", func(r *ChatRequest) { r.System = System("") }, "system[0].text"},
		{"system not UTF-8", func(r *ChatRequest) { r.System = System("\xff") }, "system[0].text"},
		{"system cache", func(r *ChatRequest) { r.System = []*Text{{Text: "x", Cache: "long"}, {Text: "x", Cache: "hour"}} }, "system[1].cache"},

		{"role unknown", talk(Message{Role: "system", Parts: Parts{text}}), "messages[0].role"},
		{"role missing", talk(Message{Parts: Parts{text}}), "messages[0].role"},
		{"no parts", talk(user(text), assistant()), "messages[1].parts"},
		{"part nil", talk(user(text, nil)), "messages[0].parts[1]"},
		{"part typed nil", talk(user(text, (*Image)(nil))), "messages[0].parts[1]"},
		{"call of the user", said(call), "messages[0].parts[0]"},
		{"thinking of the user", said(&Thinking{Text: "x"}), "messages[0].parts[0]"},
		{"refusal of the user", said(&Refusal{Text: "x"}), "messages[0].parts[0]"},
		{"opaque of the user", said(&Opaque{Raw: raw("1")}), "messages[0].parts[0]"},
		{"image of the assistant", answered(&Image{URL: "https://x/y"}), "messages[1].parts[0]"},
		{"result of the assistant", answered(&ToolResult{CallID: "1"}), "messages[1].parts[0]"},
		{"image of the developer", talk(Message{Role: RoleDeveloper, Parts: Parts{&Image{URL: "https://x/y"}}}), "messages[0].parts[0]"},
		{"text of the tool", talk(user(text), assistant(call), Message{Role: RoleTool, Parts: Parts{text}}), "messages[2].parts[0]"},
		{"developer", talk(user(text), Message{Role: RoleDeveloper, Parts: Parts{text}}), ""},
		{"prefill", talk(user(text), assistant(text)), ""},

		{"text empty", said(&Text{}), "messages[0].parts[0].text"},
		{"text not UTF-8", said(&Text{Text: "a\xc3"}), "messages[0].parts[0].text"},
		{"text with control characters", said(&Text{Text: "a\x00\n\x1b[0m"}), ""},
		{"text cache", said(&Text{Text: "x", Cache: "1h"}), "messages[0].parts[0].cache"},
		{"text extra", said(&Text{Text: "x", Extra: Extra{"claude": raw("{")}}), "messages[0].parts[0].extra.claude"},
		{"refusal empty", answered(&Refusal{}), "messages[1].parts[0].text"},
		{"refusal", answered(&Refusal{Text: "no"}), ""},
		{"thinking empty", answered(&Thinking{}), ""},
		{"thinking not UTF-8", answered(&Thinking{Text: "\xff"}), "messages[1].parts[0].text"},
		{"opaque broken", answered(&Opaque{Raw: raw("{")}), "messages[1].parts[0].raw"},
		{"opaque empty", answered(&Opaque{}), "messages[1].parts[0].raw"},
		{"opaque too deep", answered(&Opaque{Raw: deep}), "messages[1].parts[0].raw"},

		{"image without source", said(&Image{MIME: "image/png"}), "messages[0].parts[0]"},
		{"image with two sources", said(&Image{MIME: "image/png", Bytes: []byte{1}, URL: "https://x/y"}), "messages[0].parts[0]"},
		{"document without type", said(&Document{Bytes: []byte{1}}), "messages[0].parts[0].mime"},
		{"audio without type", said(&Audio{Bytes: []byte{1}}), "messages[0].parts[0].mime"},
		{"type without slash", said(&Image{MIME: "png", Bytes: []byte{1}}), "messages[0].parts[0].mime"},
		{"type without end", said(&Image{MIME: "image/", URL: "https://x/y"}), "messages[0].parts[0].mime"},
		{"type with a line end", said(&Image{MIME: "image/png\r\nX: y", Bytes: []byte{1}}), "messages[0].parts[0].mime"},
		{"type with a parameter", said(&Document{MIME: "text/plain; charset=utf-8", Bytes: []byte{1}}), ""},
		{"URL without scheme", said(&Image{URL: "x/y.png"}), "messages[0].parts[0].url"},
		{"URL with a line end", said(&Image{URL: "https://x/\ny"}), "messages[0].parts[0].url"},
		{"URL with a space", said(&Image{URL: "https://x/a b"}), "messages[0].parts[0].url"},
		{"URL broken", said(&Image{URL: "https://[x"}), "messages[0].parts[0].url"},
		{"URL of a bucket", said(&Document{URL: "gs://bucket/a.pdf"}), ""},
		{"URL with data", said(&Image{URL: "data:image/png;base64,AA=="}), ""},
		{"file without id", said(&Image{File: &FileRef{Provider: "claude"}}), "messages[0].parts[0].file"},
		{"file without provider", said(&Document{File: &FileRef{ID: "f"}}), "messages[0].parts[0].file"},
		{"file id", said(&Document{File: &FileRef{Provider: "claude", ID: "\x00"}}), "messages[0].parts[0].file.id"},
		{"document name", said(&Document{URL: "https://x/y", Name: "a\nb"}), "messages[0].parts[0].name"},
		{"document cache", said(&Document{URL: "https://x/y", Cache: "x"}), "messages[0].parts[0].cache"},
		{"image cache", said(&Image{URL: "https://x/y", Cache: "x"}), "messages[0].parts[0].cache"},

		{"call", called(call), ""},
		{"call incomplete", called(&ToolCall{ID: "1", Name: "f", Incomplete: true}), "messages[1].parts[0]"},
		{"call without id", called(&ToolCall{Name: "f"}), "messages[1].parts[0].id"},
		{"call id", called(&ToolCall{ID: "a\x00", Name: "f"}), "messages[1].parts[0].id"},
		{"call without name", called(&ToolCall{ID: "1"}), "messages[1].parts[0].name"},
		{"call name", called(&ToolCall{ID: "1", Name: "f\x7f"}), "messages[1].parts[0].name"},
		{"call args a list", called(&ToolCall{ID: "1", Name: "f", Args: raw("[]")}), "messages[1].parts[0].args"},
		{"call args cut", called(&ToolCall{ID: "1", Name: "f", Args: raw(`{"a`)}), "messages[1].parts[0].args"},
		{"call args blank", called(&ToolCall{ID: "1", Name: "f", Args: raw(" ")}), "messages[1].parts[0].args"},
		{"call args too deep", called(&ToolCall{ID: "1", Name: "f", Args: deep}), "messages[1].parts[0].args"},
		{"call args behind a space", called(&ToolCall{ID: "1", Name: "f", Args: raw(" \n{}")}), ""},
		{"call extra", called(&ToolCall{ID: "1", Name: "f", Extra: Extra{"gemini": nil}}), "messages[1].parts[0].extra.gemini"},
		{"two calls of one id", talk(user(text), assistant(call, call)), "messages[1].parts[1].id"},
		{"an id again", talk(user(text), assistant(call), Results(Result(call, "")), assistant(call), Results(Result(call, ""))), ""},
		{"call without result", talk(user(text), assistant(call)), "messages[1]"},
		{"call before the user", talk(user(text), assistant(call), user(text)), "messages[2]"},
		{"call before the assistant", talk(user(text), assistant(call), assistant(text)), "messages[2]"},
		{"one of two results", talk(user(text), assistant(call, &ToolCall{ID: "2", Name: "f"}), Results(Result(call, ""))), "messages[2]"},
		{"results apart", talk(user(text), assistant(call, &ToolCall{ID: "2", Name: "f"}), Results(Result(call, "")), Results(&ToolResult{CallID: "2"})), ""},
		{"result of the user", talk(user(text), assistant(call), user(Result(call, "x"), text)), ""},

		{"result of no call", returned(&ToolResult{CallID: "2"}), "messages[2].parts[0].call_id"},
		{"result without call", returned(&ToolResult{}), "messages[2].parts[0].call_id"},
		{"result twice", talk(user(text), assistant(call), Results(Result(call, ""), Result(call, ""))), "messages[2].parts[1].call_id"},
		{"result name", returned(&ToolResult{CallID: "1", Name: "\n"}), "messages[2].parts[0].name"},
		{"result cache", returned(&ToolResult{CallID: "1", Cache: "x"}), "messages[2].parts[0].cache"},
		{"result holds a call", returned(&ToolResult{CallID: "1", Parts: Parts{call}}), "messages[2].parts[0].parts[0]"},
		{"result holds nil", returned(&ToolResult{CallID: "1", Parts: Parts{text, nil}}), "messages[2].parts[0].parts[1]"},
		{"result holds typed nil", returned(&ToolResult{CallID: "1", Parts: Parts{(*Text)(nil)}}), "messages[2].parts[0].parts[0]"},
		{"result holds a wrong image", returned(&ToolResult{CallID: "1", Parts: Parts{text, &Image{Bytes: []byte{1}}}}), "messages[2].parts[0].parts[1].mime"},
		{"result not UTF-8", returned(&ToolResult{CallID: "1", Parts: Parts{&Text{Text: "\xff"}}}), "messages[2].parts[0].parts[0].text"},
		{"result empty text", returned(&ToolResult{CallID: "1", Parts: Parts{&Text{}}}), ""},

		{"tool without name", func(r *ChatRequest) { r.Tools = []Tool{{Name: "f"}, {}} }, "tools[1].name"},
		{"tool name", func(r *ChatRequest) { r.Tools = []Tool{{Name: "get weather"}} }, "tools[0].name"},
		{"tool name long", func(r *ChatRequest) { r.Tools = []Tool{{Name: strings.Repeat("a", 65)}} }, "tools[0].name"},
		{"tool name just fits", func(r *ChatRequest) { r.Tools = []Tool{{Name: strings.Repeat("Z", 62) + "_-"}} }, ""},
		{"tool twice", func(r *ChatRequest) { r.Tools = []Tool{{Name: "f"}, {Name: "f"}} }, "tools[1].name"},
		{"tool description", func(r *ChatRequest) { r.Tools = []Tool{{Name: "f", Description: "\xff"}} }, "tools[0].description"},
		{"tool schema", func(r *ChatRequest) { r.Tools = []Tool{{Name: "f", Schema: raw("true")}} }, "tools[0].schema"},
		{"tool schema broken", func(r *ChatRequest) { r.Tools = []Tool{{Name: "f", Schema: raw("{")}} }, "tools[0].schema"},
		{"tool schema deep", func(r *ChatRequest) { r.Tools = []Tool{{Name: "f", Schema: deep}} }, "tools[0].schema"},
		{"tool cache", func(r *ChatRequest) { r.Tools = []Tool{{Name: "f", Cache: "x"}} }, "tools[0].cache"},
		{"choice mode", func(r *ChatRequest) { r.ToolChoice.Mode = "any" }, "tool_choice.mode"},
		{"choice without tools", func(r *ChatRequest) { r.ToolChoice.Mode = ToolRequired }, "tool_choice"},
		{"choice of no tool", func(r *ChatRequest) { r.ToolChoice = ToolChoice{Mode: ToolNamed, Name: "g"} }, "tool_choice.name"},
		{"choice named nothing", func(r *ChatRequest) { r.ToolChoice.Mode = ToolNamed }, "tool_choice.name"},
		{"choice name without mode", func(r *ChatRequest) { r.ToolChoice.Name = "f" }, "tool_choice.name"},
		{"choice", func(r *ChatRequest) {
			r.Tools, r.ToolChoice = []Tool{{Name: "f"}}, ToolChoice{Mode: ToolNamed, Name: "f"}
		}, ""},

		{"temperature high", func(r *ChatRequest) { float(&r.Temperature, 2.1) }, "temperature"},
		{"temperature NaN", func(r *ChatRequest) { float(&r.Temperature, math.NaN()) }, "temperature"},
		{"temperature infinite", func(r *ChatRequest) { float(&r.Temperature, math.Inf(1)) }, "temperature"},
		{"top_p", func(r *ChatRequest) { float(&r.TopP, -0.1) }, "top_p"},
		{"top_p NaN", func(r *ChatRequest) { float(&r.TopP, math.NaN()) }, "top_p"},
		{"presence_penalty", func(r *ChatRequest) { float(&r.PresencePenalty, -3) }, "presence_penalty"},
		{"frequency_penalty", func(r *ChatRequest) { float(&r.FrequencyPenalty, 3) }, "frequency_penalty"},
		{"bounds", func(r *ChatRequest) { float(&r.Temperature, 2); float(&r.TopP, 0); float(&r.PresencePenalty, -2) }, ""},
		{"max_output_tokens", func(r *ChatRequest) { r.MaxOutputTokens = -1 }, "max_output_tokens"},
		{"max_output_tokens huge", func(r *ChatRequest) { r.MaxOutputTokens = math.MaxInt }, tooLargeHere("max_output_tokens")},
		{"top_k", func(r *ChatRequest) { r.TopK = -1 }, "top_k"},
		{"top_k huge", func(r *ChatRequest) { r.TopK = math.MaxInt }, tooLargeHere("top_k")},
		{"budget", func(r *ChatRequest) { r.Reasoning.BudgetTokens = -1 }, "reasoning.budget_tokens"},
		{"budget of no thinking", func(r *ChatRequest) { r.Reasoning = Reasoning{Effort: EffortOff, BudgetTokens: 1} }, "reasoning.budget_tokens"},
		{"effort", func(r *ChatRequest) { r.Reasoning.Effort = "huge" }, "reasoning.effort"},
		{"stop empty", func(r *ChatRequest) { r.Stop = []string{"a", ""} }, "stop[1]"},
		{"stop not UTF-8", func(r *ChatRequest) { r.Stop = []string{"\xff"} }, "stop[0]"},
		{"stop of line ends", func(r *ChatRequest) { r.Stop = []string{"\n\n"} }, ""},

		{"format", func(r *ChatRequest) { r.Output.Format = "xml" }, "output.format"},
		{"schema without format", func(r *ChatRequest) { r.Output.Schema = raw("{}") }, "output.schema"},
		{"schema with json", func(r *ChatRequest) { r.Output = Output{Format: OutputJSON, Schema: raw("{}")} }, "output.schema"},
		{"name without format", func(r *ChatRequest) { r.Output.Name = "x" }, "output.name"},
		{"strict without format", func(r *ChatRequest) { r.Output.Strict = true }, "output.strict"},
		{"schema missing", func(r *ChatRequest) { r.Output.Format = OutputSchema }, "output.schema"},
		{"schema deep", func(r *ChatRequest) { r.Output = Output{Format: OutputSchema, Schema: deep} }, "output.schema"},
		{"schema name", func(r *ChatRequest) { r.Output = Output{Format: OutputSchema, Schema: raw("{}"), Name: "a b"} }, "output.name"},
		{"schema", func(r *ChatRequest) { r.Output = Output{Format: OutputSchema, Schema: raw("{}"), Strict: true} }, ""},

		{"end_user", func(r *ChatRequest) { r.EndUser = "a\nb" }, "end_user"},
		{"tier", func(r *ChatRequest) { r.Tier = "\x00" }, "tier"},
		{"metadata", func(r *ChatRequest) { r.Metadata = map[string]string{"a": "\xff"} }, "metadata"},
		{"extra", func(r *ChatRequest) { r.Extra = Extra{"claude": raw("[]")} }, "extra.claude"},
		{"extra broken", func(r *ChatRequest) { r.Extra = Extra{"claude": raw(`{"a":}`)} }, "extra.claude"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := &ChatRequest{Messages: Ask("x")}
			c.spoil(r)
			err := r.check()
			if c.want == "" {
				if err != nil {
					t.Errorf("got %v, want no fault", err)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || e.Kind != KindInvalid || e.Field != c.want || e.Message == "" {
				t.Errorf("got %v, want a fault of %s", err, c.want)
			}
		})
	}
}

// tooLargeHere returns the field unless an int cannot be too large on this machine.
func tooLargeHere(field string) string {
	if math.MaxInt == math.MaxInt32 {
		return ""
	}
	return field
}

func TestCheckOfNil(t *testing.T) {
	t.Parallel()
	if err := (*ChatRequest)(nil).check(); KindOf(err) != KindInvalid {
		t.Errorf("got %v, want an invalid request", err)
	}
}

// No fault may quote what was said.
func TestCheckQuotesNothing(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for i, r := range []*ChatRequest{
		{Messages: Ask(secret + "\xff")},
		{Messages: []Message{{Role: secret, Parts: Parts{&Text{Text: "x"}}}}},
		{Messages: []Message{{Role: RoleUser, Parts: Parts{&Image{URL: "https://[" + secret}}}}},
		{Messages: Ask("x"), Stop: []string{secret + "\xff"}},
		{Messages: Ask("x"), Extra: Extra{"claude": json.RawMessage(secret)}},
		{Messages: Ask("x"), EndUser: secret + "\n"},
	} {
		if err := r.check(); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("request %d: got %v, want an error that quotes nothing", i, err)
		}
	}
}

// Many messages, parts, calls and tools must not take more than linear time.
func TestCheckOfHugeCounts(t *testing.T) {
	t.Parallel()
	const n = 50_000
	r := &ChatRequest{Messages: Ask("x")}
	var calls Parts
	var results []*ToolResult
	for i := range n {
		id := fmt.Sprint(i)
		r.Tools = append(r.Tools, Tool{Name: "f" + id})
		r.Stop = append(r.Stop, id)
		r.Messages = append(r.Messages, AssistantText("y"), UserText("x"))
		calls = append(calls, &ToolCall{ID: id, Name: "f"})
		results = append(results, &ToolResult{CallID: id})
	}
	r.Messages = append(r.Messages, Message{Role: RoleAssistant, Parts: calls}, Results(results...))
	if err := r.check(); err != nil {
		t.Errorf("got %v, want no fault", err)
	}
	r.Messages = append(r.Messages, UserText(""))
	var e *Error
	if err := r.check(); !errors.As(err, &e) || e.Field != fmt.Sprintf("messages[%d].parts[0].text", 2*n+3) {
		t.Errorf("got %v, want the last message named", err)
	}
}

// A sound conversation costs no allocation, however long it is.
func TestCheckAllocatesNothing(t *testing.T) {
	var req ChatRequest
	for range 100 {
		req.Messages = append(req.Messages, UserText("x"), AssistantText("y"))
	}
	if got := testing.AllocsPerRun(100, func() {
		if err := req.check(); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
