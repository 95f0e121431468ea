package holdfast

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// fieldCase sets one field of a request that was sound without it. At is the field's path.
type fieldCase struct {
	at        string
	base, set func(*ChatRequest, *Origin)
	// fulfilled names the providers that do what the field asks in any case, so that it need not be said.
	fulfilled []string
}

// unsaid are the fields that say nothing to a provider, and why.
var unsaid = map[string]string{
	"ChatRequest.Model":          "each endpoint maps it: Target.Model is sent",
	"ChatRequest.Messages":       "Message and the parts have their own rows",
	"ChatRequest.Hints":          "says what may be left out",
	"ChatRequest.Residency":      "says which endpoints may be asked",
	"ChatRequest.Conversation":   "says which endpoint is preferred",
	"ChatRequest.Rescue":         "says what to do when the answer breaks off",
	"ChatRequest.StreamToolArgs": "says what the caller is shown",
	"Message.Parts":              "the parts have their own rows",
	"Text.Origin":                "says who may read Extra",
	"ToolCall.Origin":            "says who may read Extra",
	"ToolCall.Incomplete":        "such a call is refused before a codec sees it",
	"ToolResult.Name":            "the call has it",
	"Thinking.Text":              "the part is returned as a whole, or not at all",
	"Thinking.Kind":              "the part is returned as a whole, or not at all",
	"Thinking.Origin":            "says who may read the part",
	"Opaque.Origin":              "says who may read the part",
	"FileRef.ID":                 "the media have rows for files",
	"ToolChoice.Name":            "belongs to the mode named, which has a row",
	"Output.Schema":              "belongs to the format schema, which has a row",
	"ToolResult.CallID":          "links the result to its call; both are needed in any case",
	"Refusal.Text":               "the part is nothing else",
	"Thinking.Opaque":            "the part has rows for its own and for another origin",
	"ChatRequest.Reasoning":      "its fields have their own rows",
	"ChatRequest.Output":         "its fields have their own rows",
}

// fieldsBase is a conversation of every role.
func fieldsBase() *ChatRequest {
	return &ChatRequest{Messages: []Message{
		UserText("Why?"),
		{Role: RoleAssistant, Parts: Parts{
			&Text{Text: "Let me look."}, &ToolCall{ID: "call_1", Name: "look", Args: json.RawMessage(`{"a":1}`)},
		}},
		{Role: RoleTool, Parts: Parts{&ToolResult{CallID: "call_1", Parts: Parts{&Text{Text: "blue"}}}}},
		UserText("And?"),
	}}
}

// last returns the part that a row added to the last message.
func last[P Part](r *ChatRequest) P {
	parts := r.Messages[3].Parts
	return parts[len(parts)-1].(P)
}

func withPart(p func() Part) func(*ChatRequest, *Origin) {
	return func(r *ChatRequest, _ *Origin) { r.Messages[3].Parts = append(r.Messages[3].Parts, p()) }
}

func withTool(r *ChatRequest, _ *Origin) {
	r.Tools = []Tool{{Name: "look", Schema: json.RawMessage(`{"type":"object","properties":{},"additionalProperties":false}`)}}
}

func withSchema(r *ChatRequest, _ *Origin) {
	r.Output = Output{Format: OutputSchema, Schema: json.RawMessage(`{"type":"object","properties":{},"additionalProperties":false}`)}
}

func fieldResult(r *ChatRequest) *ToolResult { return r.Messages[2].Parts[0].(*ToolResult) }

func fieldSaid(r *ChatRequest) *Text { return r.Messages[1].Parts[0].(*Text) }

func fieldCall(r *ChatRequest) *ToolCall { return r.Messages[1].Parts[1].(*ToolCall) }

// fieldExtra is what each dialect itself might have attached to a text or a call.
func fieldExtra(o *Origin) Extra {
	return Extra{o.Provider: json.RawMessage(`{"citations":[{"type":"char_location"}],"phase":"commentary","thoughtSignature":"c2ln","extra_content":{"a":1},"caller":{"type":"x"}}`)}
}

var elsewhereOrigin = &Origin{Provider: "far", Model: "away"}

// fieldCases has at least one row for every field of a request that a provider could be told.
var fieldCases = map[string][]fieldCase{
	"ChatRequest.System":        {{at: "system", set: func(r *ChatRequest, _ *Origin) { r.System = System("Be brief.") }}},
	"ChatRequest.Tools":         {{at: "tools", set: withTool}},
	"ChatRequest.ParallelTools": {{at: "parallel_tools", base: withTool, set: func(r *ChatRequest, _ *Origin) { r.ParallelTools = new(false) }}},
	"ChatRequest.MaxOutputTokens": {
		{at: "max_output_tokens", set: func(r *ChatRequest, _ *Origin) { r.MaxOutputTokens = 100 }},
		{at: "max_output_tokens", set: func(r *ChatRequest, _ *Origin) { r.MaxOutputTokens = 10_000_000 }},
	},
	"ChatRequest.Temperature":      {{at: "temperature", set: func(r *ChatRequest, _ *Origin) { r.Temperature = new(0.5) }}},
	"ChatRequest.TopP":             {{at: "top_p", set: func(r *ChatRequest, _ *Origin) { r.TopP = new(0.5) }}},
	"ChatRequest.TopK":             {{at: "top_k", set: func(r *ChatRequest, _ *Origin) { r.TopK = 5 }}},
	"ChatRequest.PresencePenalty":  {{at: "presence_penalty", set: func(r *ChatRequest, _ *Origin) { r.PresencePenalty = new(0.5) }}},
	"ChatRequest.FrequencyPenalty": {{at: "frequency_penalty", set: func(r *ChatRequest, _ *Origin) { r.FrequencyPenalty = new(0.5) }}},
	"ChatRequest.Stop": {
		{at: "stop", set: func(r *ChatRequest, _ *Origin) { r.Stop = []string{"END"} }},
		{at: "stop[0]", set: func(r *ChatRequest, _ *Origin) { r.Stop = []string{" "} }},
	},
	"ChatRequest.Seed": {
		{at: "seed", set: func(r *ChatRequest, _ *Origin) { r.Seed = new(int64(7)) }},
		{at: "seed", set: func(r *ChatRequest, _ *Origin) { r.Seed = new(int64(1 << 40)) }},
	},
	"ChatRequest.EndUser": {
		{at: "end_user", set: func(r *ChatRequest, _ *Origin) { r.EndUser = "u-1" }},
		{at: "end_user", set: func(r *ChatRequest, _ *Origin) { r.EndUser = strings.Repeat("u", 300) }},
	},
	"ChatRequest.Tier": {
		{at: "tier", set: func(r *ChatRequest, _ *Origin) { r.Tier = "flex" }},
		{at: "tier", set: func(r *ChatRequest, _ *Origin) { r.Tier = "standard_only" }},
	},
	"ChatRequest.Metadata": {{at: "metadata", set: func(r *ChatRequest, _ *Origin) { r.Metadata = map[string]string{"a": "b"} }}},
	"ChatRequest.Extra": {{at: "extra", set: func(r *ChatRequest, own *Origin) {
		r.Extra = Extra{own.Provider: json.RawMessage(`{"new_member":1}`)}
	}}},
	"ChatRequest.ToolChoice": {
		{at: "tool_choice", base: withTool, set: func(r *ChatRequest, _ *Origin) { r.ToolChoice.Mode = ToolRequired }},
	},
	"ToolChoice.Mode": {
		{at: "tool_choice", base: withTool, set: func(r *ChatRequest, _ *Origin) { r.ToolChoice.Mode = ToolNone }},
		{at: "tool_choice", base: withTool, set: func(r *ChatRequest, _ *Origin) { r.ToolChoice = ToolChoice{ToolNamed, "look"} }},
	},
	"Message.Role":           {{at: "messages[3]", set: func(r *ChatRequest, _ *Origin) { r.Messages[3] = AssistantText("And") }}},
	"Reasoning.Effort":       effortCases(),
	"Reasoning.BudgetTokens": {{at: "reasoning.budget_tokens", set: func(r *ChatRequest, _ *Origin) { r.Reasoning.BudgetTokens = 2048 }}},
	"Reasoning.Summary":      {{at: "reasoning.summary", set: func(r *ChatRequest, _ *Origin) { r.Reasoning.Summary = true }}},
	"Output.Format": {
		{at: "output.format", set: func(r *ChatRequest, _ *Origin) { r.Output.Format = OutputJSON }},
		{at: "output.format", set: withSchema},
		{at: "output.format", base: withTool, set: withSchema},
	},
	"Output.Name":   {{at: "output.name", base: withSchema, set: func(r *ChatRequest, _ *Origin) { r.Output.Name = "colour" }}},
	"Output.Strict": {{at: "output.strict", base: withSchema, fulfilled: []string{"claude", "gemini"}, set: func(r *ChatRequest, _ *Origin) { r.Output.Strict = true }}},

	"Tool.Name":        {{at: "tools[0].name", base: withTool, set: func(r *ChatRequest, _ *Origin) { r.Tools[0].Name = "see" }}},
	"Tool.Description": {{at: "tools[0].description", base: withTool, set: func(r *ChatRequest, _ *Origin) { r.Tools[0].Description = "Looks." }}},
	"Tool.Schema":      {{at: "tools[0].schema", base: withTool, set: func(r *ChatRequest, _ *Origin) { r.Tools[0].Schema = json.RawMessage(`{"type":"object","x":1}`) }}},
	"Tool.Strict":      {{at: "tools[0].strict", base: withTool, set: func(r *ChatRequest, _ *Origin) { r.Tools[0].Strict = true }}},
	"Tool.Cache":       {{at: "tools[0].cache", base: withTool, set: func(r *ChatRequest, _ *Origin) { r.Tools[0].Cache = CacheShort }}},

	"Text.Text": {{at: "messages[3].parts[1]", set: withPart(func() Part { return &Text{Text: "What?"} })}},
	"Text.Cache": {
		{at: "system[0].cache", base: func(r *ChatRequest, _ *Origin) { r.System = System("x") }, set: func(r *ChatRequest, _ *Origin) { r.System[0].Cache = CacheLong }},
		{at: "messages[1].parts[0].cache", set: func(r *ChatRequest, _ *Origin) { fieldSaid(r).Cache = CacheShort }},
		{at: "messages[3].parts[0].cache", set: func(r *ChatRequest, _ *Origin) { last[*Text](r).Cache = CacheShort }},
		{
			at: "messages[3].parts[1].cache", base: withPart(func() Part { return &Text{Text: "What?"} }),
			set: func(r *ChatRequest, _ *Origin) { last[*Text](r).Cache = CacheLong },
		},
		{at: "messages[2].parts[0].parts[0].cache", set: func(r *ChatRequest, _ *Origin) { fieldResult(r).Parts[0].(*Text).Cache = CacheShort }},
		{
			at: "messages[2].parts[0].parts[1].cache", base: func(r *ChatRequest, _ *Origin) { fieldResult(r).Parts = append(fieldResult(r).Parts, &Text{Text: "b"}) },
			set: func(r *ChatRequest, _ *Origin) { fieldResult(r).Parts[1].(*Text).Cache = CacheShort },
		},
	},
	"Text.Extra": {
		{at: "messages[1].parts[0].extra", set: func(r *ChatRequest, own *Origin) { fieldSaid(r).Extra, fieldSaid(r).Origin = fieldExtra(own), own }},
		{at: "messages[1].parts[0].extra", set: func(r *ChatRequest, _ *Origin) {
			fieldSaid(r).Extra, fieldSaid(r).Origin = fieldExtra(elsewhereOrigin), elsewhereOrigin
		}},
		{at: "messages[3].parts[0].extra", set: func(r *ChatRequest, _ *Origin) { last[*Text](r).Extra = fieldExtra(elsewhereOrigin) }},
		{
			at: "messages[3].parts[1].extra", base: withPart(func() Part { return &Text{Text: "What?"} }),
			set: func(r *ChatRequest, _ *Origin) { last[*Text](r).Extra = fieldExtra(elsewhereOrigin) },
		},
		{at: "messages[2].parts[0].parts[0].extra", set: func(r *ChatRequest, _ *Origin) { fieldResult(r).Parts[0].(*Text).Extra = fieldExtra(elsewhereOrigin) }},
		{at: "system[0].extra", base: func(r *ChatRequest, _ *Origin) { r.System = System("x") }, set: func(r *ChatRequest, _ *Origin) { r.System[0].Extra = fieldExtra(elsewhereOrigin) }},
	},

	"Image.Bytes": {
		{at: "messages[3].parts[1]", set: withPart(fieldImage)},
		{at: "messages[2].parts[0].parts[1]", set: func(r *ChatRequest, _ *Origin) { fieldResult(r).Parts = append(fieldResult(r).Parts, fieldImage()) }},
	},
	"Image.MIME": {
		{at: "messages[3].parts[1].mime", base: withPart(fieldImage), set: func(r *ChatRequest, _ *Origin) { last[*Image](r).MIME = "image/jpeg" }},
		{at: "messages[3].parts[1].mime", base: withPart(fieldImage), set: func(r *ChatRequest, _ *Origin) { last[*Image](r).MIME = "image/x-photo" }},
	},
	"Image.URL":    {{at: "messages[3].parts[1].url", set: withPart(func() Part { return &Image{URL: "https://example.com/a.png", MIME: "image/png"} })}},
	"Image.File":   {{at: "messages[3].parts[1].file", set: withOwnFile(func(f *FileRef) Part { return &Image{File: f, MIME: "image/png"} })}},
	"Image.Detail": {{at: "messages[3].parts[1].detail", base: withPart(fieldImage), set: func(r *ChatRequest, _ *Origin) { last[*Image](r).Detail = "low" }}},
	"Image.Cache": {
		{at: "messages[3].parts[1].cache", base: withPart(fieldImage), set: func(r *ChatRequest, _ *Origin) { last[*Image](r).Cache = CacheShort }},
		{
			at: "messages[2].parts[0].parts[1].cache", base: func(r *ChatRequest, _ *Origin) { fieldResult(r).Parts = append(fieldResult(r).Parts, fieldImage()) },
			set: func(r *ChatRequest, _ *Origin) { fieldResult(r).Parts[1].(*Image).Cache = CacheShort },
		},
	},
	"Document.Bytes": {
		{at: "messages[3].parts[1]", set: withPart(fieldDocument)},
		{at: "messages[2].parts[0].parts[1]", set: func(r *ChatRequest, _ *Origin) { fieldResult(r).Parts = append(fieldResult(r).Parts, fieldDocument()) }},
	},
	"Document.MIME": {{at: "messages[3].parts[1].mime", base: withPart(fieldDocument), set: func(r *ChatRequest, _ *Origin) { last[*Document](r).MIME = "text/plain" }}},
	"Document.URL":  {{at: "messages[3].parts[1].url", set: withPart(func() Part { return &Document{URL: "https://example.com/a.pdf"} })}},
	"Document.File": {{at: "messages[3].parts[1].file", set: withOwnFile(func(f *FileRef) Part { return &Document{File: f} })}},
	"Document.Name": {
		{at: "messages[3].parts[1].name", base: withPart(fieldDocument), set: func(r *ChatRequest, _ *Origin) { last[*Document](r).Name = "a.pdf" }},
		{
			at: "messages[3].parts[1].name", base: withOwnFile(func(f *FileRef) Part { return &Document{File: f, MIME: "application/pdf"} }),
			set: func(r *ChatRequest, _ *Origin) { last[*Document](r).Name = "a.pdf" },
		},
		{
			at: "messages[3].parts[1].name", base: withPart(func() Part { return &Document{URL: "https://example.com/a.pdf"} }),
			set: func(r *ChatRequest, _ *Origin) { last[*Document](r).Name = "a.pdf" },
		},
	},
	"Document.Cache": {{at: "messages[3].parts[1].cache", base: withPart(fieldDocument), set: func(r *ChatRequest, _ *Origin) { last[*Document](r).Cache = CacheShort }}},
	"Audio.Bytes":    {{at: "messages[3].parts[1]", set: withPart(fieldAudio)}},
	"Audio.MIME":     {{at: "messages[3].parts[1].mime", base: withPart(fieldAudio), set: func(r *ChatRequest, _ *Origin) { last[*Audio](r).MIME = "audio/mpeg" }}},
	"Audio.URL":      {{at: "messages[3].parts[1].url", set: withPart(func() Part { return &Audio{URL: "https://example.com/a.wav", MIME: "audio/wav"} })}},
	"Audio.File":     {{at: "messages[3].parts[1].file", set: withOwnFile(func(f *FileRef) Part { return &Audio{File: f, MIME: "audio/wav"} })}},
	"Audio.Cache":    {{at: "messages[3].parts[1].cache", base: withPart(fieldAudio), set: func(r *ChatRequest, _ *Origin) { last[*Audio](r).Cache = CacheShort }}},
	"FileRef.Provider": {
		{at: "messages[3].parts[1].file", set: withPart(func() Part { return &Image{File: &FileRef{"far", "f1"}, MIME: "image/png"} })},
		{at: "messages[3].parts[1].file", set: withPart(func() Part { return &Document{File: &FileRef{"far", "f1"}} })},
		{at: "messages[3].parts[1].file", set: withPart(func() Part { return &Audio{File: &FileRef{"far", "f1"}, MIME: "audio/wav"} })},
	},

	"ToolCall.ID":   {{at: "messages[1].parts[1].id", set: func(r *ChatRequest, _ *Origin) { fieldCall(r).ID, fieldResult(r).CallID = "call_2", "call_2" }}},
	"ToolCall.Name": {{at: "messages[1].parts[1].name", set: func(r *ChatRequest, _ *Origin) { fieldCall(r).Name = "see" }}},
	"ToolCall.Args": {{at: "messages[1].parts[1].args", set: func(r *ChatRequest, _ *Origin) { fieldCall(r).Args = json.RawMessage(`{"a":2}`) }}},
	"ToolCall.Extra": {
		{at: "messages[1].parts[1].extra", set: func(r *ChatRequest, own *Origin) { fieldCall(r).Extra, fieldCall(r).Origin = fieldExtra(own), own }},
		{at: "messages[1].parts[1].extra", set: func(r *ChatRequest, _ *Origin) {
			fieldCall(r).Extra, fieldCall(r).Origin = fieldExtra(elsewhereOrigin), elsewhereOrigin
		}},
	},
	"ToolResult.Parts": {
		{at: "messages[2].parts[0]", set: func(r *ChatRequest, _ *Origin) { fieldResult(r).Parts[0] = &Text{Text: "red"} }},
		{at: "messages[2].parts[0]", set: func(r *ChatRequest, _ *Origin) {
			fieldResult(r).Parts = append(fieldResult(r).Parts, &Text{Text: "red"})
		}},
		{at: "messages[2].parts[0]", set: func(r *ChatRequest, _ *Origin) { fieldResult(r).Parts = nil }},
	},
	"ToolResult.IsError": {
		{at: "messages[2].parts[0].is_error", set: func(r *ChatRequest, _ *Origin) { fieldResult(r).IsError = true }},
		{
			at: "messages[2].parts[0].is_error", base: func(r *ChatRequest, _ *Origin) { fieldResult(r).Parts = nil },
			set: func(r *ChatRequest, _ *Origin) { fieldResult(r).IsError = true },
		},
		{
			at: "messages[2].parts[0].is_error", base: func(r *ChatRequest, _ *Origin) { fieldResult(r).Parts = append(fieldResult(r).Parts, fieldImage()) },
			set: func(r *ChatRequest, _ *Origin) { fieldResult(r).IsError = true },
		},
	},
	"ToolResult.Cache": {{at: "messages[2].parts[0].cache", set: func(r *ChatRequest, _ *Origin) { fieldResult(r).Cache = CacheShort }}},

	"Thinking.": {
		{at: "messages[1].parts[0]", set: withThought(func(own *Origin) Part { return &Thinking{Text: "hm", Opaque: []byte("sig"), Origin: own} })},
		{at: "messages[1].parts[0]", set: withThought(func(own *Origin) Part { return &Thinking{Text: "hm", Origin: own} })},
		{at: "messages[1].parts[0]", set: withThought(func(*Origin) Part { return &Thinking{Text: "hm", Opaque: []byte("sig"), Origin: elsewhereOrigin} })},
		{at: "messages[1].parts[0]", set: withThought(func(*Origin) Part { return &Thinking{Text: "hm"} })},
	},
	"Refusal.": {{at: "messages[1].parts[0]", set: withThought(func(*Origin) Part { return &Refusal{Text: "No."} })}},
	"Opaque.Raw": {
		{at: "messages[1].parts[0]", set: withThought(func(own *Origin) Part { return &Opaque{Raw: json.RawMessage(`{"type":"x"}`), Origin: own} })},
		{at: "messages[1].parts[0]", set: withThought(func(own *Origin) Part { return &Opaque{Raw: json.RawMessage(`[1]`), Origin: own} })},
		{at: "messages[1].parts[0]", set: withThought(func(*Origin) Part { return &Opaque{Raw: json.RawMessage(`{"type":"x"}`), Origin: elsewhereOrigin} })},
	},
}

func effortCases() []fieldCase {
	var cases []fieldCase
	for _, effort := range []Effort{EffortOff, EffortMinimal, EffortLow, EffortMedium, EffortHigh, EffortXHigh, EffortMax} {
		// A model that never thinks is off already, and DeepSeek is switched off behind calls of another maker.
		c := fieldCase{at: "reasoning.effort", set: func(r *ChatRequest, _ *Origin) { r.Reasoning.Effort = effort }}
		if effort == EffortOff {
			c.fulfilled = []string{"openai-chat gpt-4.1", "openai-responses gpt-4.1", "openai gpt-4.1", "claude claude-3-5-haiku", "gemini gemini-2.0-flash", "deepseek our-own"}
		}
		cases = append(cases, c)
	}
	return cases
}

func fieldImage() Part { return &Image{MIME: "image/png", Bytes: []byte("x")} }

func fieldDocument() Part { return &Document{MIME: "application/pdf", Bytes: []byte("x")} }

func fieldAudio() Part { return &Audio{MIME: "audio/wav", Bytes: []byte("x")} }

func withOwnFile(p func(*FileRef) Part) func(*ChatRequest, *Origin) {
	return func(r *ChatRequest, own *Origin) {
		r.Messages[3].Parts = append(r.Messages[3].Parts, p(&FileRef{own.Provider, "files/f1"}))
	}
}

func withThought(p func(own *Origin) Part) func(*ChatRequest, *Origin) {
	return func(r *ChatRequest, own *Origin) { r.Messages[1].Parts = slices.Insert(r.Messages[1].Parts, 0, p(own)) }
}

// TestEveryFieldHasACase fails for a field that was added to the vocabulary and that no codec is asked about.
func TestEveryFieldHasACase(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, v := range []any{
		ChatRequest{},
		Message{},
		Text{},
		Image{},
		Document{},
		Audio{},
		FileRef{},
		ToolCall{},
		ToolResult{},
		Thinking{},
		Refusal{},
		Opaque{},
		Tool{},
		ToolChoice{},
		Reasoning{},
		Output{},
	} {
		kind := reflect.TypeOf(v)
		known[kind.Name()+"."] = true
		for i := range kind.NumField() {
			name := kind.Name() + "." + kind.Field(i).Name
			known[name] = true
			if _, said := fieldCases[name]; !said && unsaid[name] == "" {
				t.Errorf("%s: has neither a case nor a reason why no provider is told", name)
			}
		}
	}
	for name := range fieldCases {
		if !known[name] || unsaid[name] != "" {
			t.Errorf("%s: is no field, or one that is said to be unsaid", name)
		}
	}
	for name := range unsaid {
		if !known[name] {
			t.Errorf("%s: is no field", name)
		}
	}
}

// TestNoFieldIsDroppedSilently sets each field for each provider: the body changes, or the field is refused by its name, or a note
// names it.
func TestNoFieldIsDroppedSilently(t *testing.T) {
	t.Parallel()
	models := map[string][]string{
		"claude":           {"claude-opus-5-5", "claude-opus-4-5", "claude-3-5-haiku", "our-own"},
		"openai":           {"gpt-6-sol", "gpt-4.1", "our-own"},
		"openai-chat":      {"gpt-6-sol", "gpt-4.1", "our-own"},
		"openai-responses": {"gpt-6-sol", "gpt-4.1", "our-own"},
		"gemini":           {"gemini-3.8-flash", "gemini-2.5-flash", "gemini-2.0-flash", "our-own"},
	}
	for _, provider := range providerNames() {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			names := models[provider]
			if names == nil {
				names = []string{"our-own"}
			}
			for _, model := range names {
				to := Target{Provider: provider, Model: model, Platform: "host", Account: "a"}
				for field, cases := range fieldCases {
					for i, c := range cases {
						if !slices.Contains(c.fulfilled, provider) && !slices.Contains(c.fulfilled, provider+" "+model) {
							c.check(t, to, field, i)
						}
					}
				}
			}
		})
	}
}

func (c fieldCase) check(t *testing.T, to Target, field string, row int) {
	t.Helper()
	own := &Origin{Provider: builtinAdapter(to.Provider).Dialect().Name, Platform: to.Platform, Account: to.Account, Model: to.Model}
	without, with := fieldsBase(), fieldsBase()
	if c.base != nil {
		c.base(without, own)
		c.base(with, own)
	}
	c.set(with, own)
	if err := with.check(); err != nil {
		t.Fatalf("%s[%d]: %v", field, row, err)
	}
	before, err := encodeFor(without, to)
	if c.base != nil && KindOf(err) == KindUnsupported {
		return // what holds the field has a row of its own
	}
	if err != nil {
		t.Errorf("%s: %s[%d]: without it: %v", to.Model, field, row, err)
		return
	}
	got, err := encodeFor(with, to)
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || e.Kind != KindUnsupported || !names(e.Field, c.at) {
			t.Errorf("%s: %s[%d]: got %v, want unsupported: %s", to.Model, field, row, err, c.at)
		}
		return
	}
	if !json.Valid(got.Body) {
		t.Errorf("%s: %s[%d]: got %s, want JSON", to.Model, field, row, got.Body)
	}
	noted := slices.ContainsFunc(got.Notes, func(note string) bool {
		note, _, _ = strings.Cut(note, ": ")
		return names(note, c.at)
	})
	if bytes.Equal(got.Body, before.Body) && !noted {
		t.Errorf("%s: %s[%d]: %s is dropped silently: got notes %q and %s", to.Model, field, row, c.at, got.Notes, got.Body)
	}
	for _, note := range got.Notes {
		if path, _, _ := strings.Cut(note, ": "); strings.ContainsAny(path, " ") {
			t.Errorf("%s: %s[%d]: got the note %q, want the field's path first", to.Model, field, row, note)
		}
	}
}

func encodeFor(req *ChatRequest, to Target) (Encoded, error) {
	a := builtinAdapter(to.Provider)
	if c, ok := a.(DialectChooser); ok {
		a = c.ChooseDialect(req, to)
	}
	return a.Encode(nil, req, to)
}

// names reports whether a path is the field's, or that of what holds it.
func names(path, field string) bool {
	rest, ok := strings.CutPrefix(field, path)
	return ok && path != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
