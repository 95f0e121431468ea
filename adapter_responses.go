package holdfast

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/holdfast-ai/holdfast/internal/jsonappend"
	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// responsesAdapter speaks OpenAI's Responses API.
//
// A conversation is a list of items there: messages, tool calls, their outputs and reasoning are each of their own. It is kept
// here, not on the server: store is false unless Extra says otherwise, and reasoning travels as encrypted content.
type responsesAdapter struct{}

// openaiDialect is shared by OpenAI's two APIs, so that what one model wrote stays its own under either.
var openaiDialect = Dialect{
	Name:            "openai",
	URL:             "https://api.openai.com/v1",
	KeyHeader:       "Authorization",
	KeyPrefix:       "Bearer ",
	RequestIDHeader: "x-request-id",
}

func (responsesAdapter) Dialect() Dialect { return openaiDialect }

func (responsesAdapter) DecodeError(status int, header http.Header, body []byte) *Error {
	return decodeOpenAIError(status, header, body)
}

// Encode writes the settings first and the conversation last, each only if it says something.
func (responsesAdapter) Encode(dst []byte, req *ChatRequest, to Target) (Encoded, error) {
	e := responsesEncoder{dst: dst, req: req, to: to, model: openaiModel(to.Model), notes: req.strayNotes()}
	from := len(dst)
	if err := e.refuse(); err != nil {
		return Encoded{}, err
	}
	e.dst = append(e.dst, `{"model":`...)
	e.dst = jsonappend.String(e.dst, to.Model)
	e.dst = append(e.dst, `,"store":false`...)
	if to.Stream {
		// Obfuscation pads every event with random text, which serves nobody over TLS but costs bandwidth.
		e.dst = append(e.dst, `,"stream":true,"stream_options":{"include_obfuscation":false}`...)
	}
	e.settings()
	e.hints()
	e.tools()
	e.instructions()
	if err := e.input(); err != nil {
		return Encoded{}, err
	}
	e.dst = append(e.dst, '}')
	body, err := withExtra(e.dst, from, req, openaiDialect.Name, to.Provider)
	if err != nil {
		return Encoded{}, err
	}
	return Encoded{Path: "/responses", Body: body, Notes: e.notes}, nil
}

// responsesEncoder writes one request.
type responsesEncoder struct {
	dst   []byte
	req   *ChatRequest
	to    Target
	model openaiModelFacts
	notes []string

	// Where in the conversation we are; inner is -1 outside of a tool result.
	message, part, inner int
}

// note records that a field was left out.
func (e *responsesEncoder) note(field string) { e.notes = append(e.notes, field) }

// at names a field of the part being written.
func (e *responsesEncoder) at(field string) string {
	return e.place().String() + field
}

func (e *responsesEncoder) place() place { return place{e.message, e.part, e.inner} }

// refuse finds the first setting that the API or the model does not have and that is no hint.
func (e *responsesEncoder) refuse() error {
	r, effort := e.req, e.req.Reasoning.Effort
	if e.model.ChatOnly {
		return Unsupported("model", `OpenAI serves it on Chat Completions only: use the provider "openai" or "openai-chat"`)
	}
	const none = "the Responses API has no such setting"
	for _, f := range [...]struct {
		set        bool
		field, why string
	}{
		{len(r.Stop) > 0, "stop", none},
		{r.Seed != nil, "seed", none},
		{r.TopK > 0, "top_k", none},
		{r.PresencePenalty != nil, "presence_penalty", none},
		{r.FrequencyPenalty != nil, "frequency_penalty", none},
		{r.Reasoning.BudgetTokens > 0, "reasoning.budget_tokens", "OpenAI's models take reasoning.effort instead"},
		{!e.model.takesEffort(effort), "reasoning.effort", "the model does not have this level"},
		{r.Reasoning.Summary && !e.model.mayReason(), "reasoning.summary", "the model does not reason"},
		{r.Temperature != nil && !e.model.samples(effort), "temperature", "the model does not take it while it reasons"},
		{r.TopP != nil && !e.model.samples(effort), "top_p", "the model does not take it while it reasons"},
	} {
		switch {
		case !f.set:
		case r.hinted(f.field):
			e.note(f.field)
		default:
			return Unsupported(f.field, f.why)
		}
	}
	if last := len(r.Messages) - 1; r.Messages[last].Role == RoleAssistant {
		return Unsupported(fmt.Sprintf("messages[%d]", last), "OpenAI's models cannot continue an assistant's message: end with a user's")
	}
	return nil
}

// settings writes what refuse let through.
func (e *responsesEncoder) settings() {
	r, samples := e.req, e.model.samples(e.req.Reasoning.Effort)
	if r.MaxOutputTokens > 0 {
		e.dst = append(e.dst, `,"max_output_tokens":`...)
		e.dst = jsonappend.Int(e.dst, r.MaxOutputTokens)
	}
	if samples && r.Temperature != nil {
		e.dst = append(e.dst, `,"temperature":`...)
		e.dst = jsonappend.Float(e.dst, *r.Temperature)
	}
	if samples && r.TopP != nil {
		e.dst = append(e.dst, `,"top_p":`...)
		e.dst = jsonappend.Float(e.dst, *r.TopP)
	}
	e.reasoning()
	e.output()
}

// reasoning asks for the effort, the summary, and the encrypted reasoning that the next turn has to return. A model that does
// not reason refuses the last, so it is not asked of one that nothing is known of.
func (e *responsesEncoder) reasoning() {
	r := e.req.Reasoning
	effort, asked := e.model.effortWord(r.Effort), false
	if effort != "" {
		e.dst = append(e.dst, `,"reasoning":{"effort":`...)
		e.dst = jsonappend.String(e.dst, effort)
		asked = true
	}
	if r.Summary && e.model.mayReason() {
		if !asked {
			e.dst = append(e.dst, `,"reasoning":{`...)
		}
		e.dst = append(jsonappend.Comma(e.dst), `"summary":"auto"`...)
		asked = true
	}
	if asked {
		e.dst = append(e.dst, '}')
	}
	if e.model.Reasons || asked && effort != "none" {
		e.dst = append(e.dst, `,"include":["reasoning.encrypted_content"]`...)
	}
}

func (e *responsesEncoder) output() {
	switch o := e.req.Output; o.Format {
	case OutputJSON:
		e.dst = append(e.dst, `,"text":{"format":{"type":"json_object"}}`...)
	case OutputSchema:
		e.dst = append(e.dst, `,"text":{"format":{"type":"json_schema","name":`...)
		if o.Name == "" {
			o.Name = "answer" // required there
		}
		e.dst = jsonappend.String(e.dst, o.Name)
		e.dst = append(e.dst, `,"strict":`...)
		e.dst = jsonappend.Bool(e.dst, o.Strict)
		e.dst = append(e.dst, `,"schema":`...)
		e.dst = append(e.dst, o.Schema...)
		e.dst = append(e.dst, "}}"...)
	}
}

// hints writes what may be left out where OpenAI would refuse it.
func (e *responsesEncoder) hints() {
	r := e.req
	switch r.Tier {
	case "":
	case "auto", "default", "flex", "scale", "priority", "fast", "ultrafast":
		e.dst = append(e.dst, `,"service_tier":`...)
		e.dst = jsonappend.String(e.dst, r.Tier)
	default: // another provider's word, which would be a 400
		e.note("tier")
	}
	if n := len(r.EndUser); n > 128 {
		e.note("end_user")
	} else if n > 0 {
		e.dst = append(e.dst, `,"safety_identifier":`...)
		e.dst = jsonappend.String(e.dst, r.EndUser)
	}
	if len(r.Metadata) > 16 {
		e.note("metadata")
	} else if len(r.Metadata) > 0 {
		e.dst = append(e.dst, `,"metadata":{`...)
		for _, k := range slices.Sorted(maps.Keys(r.Metadata)) {
			e.dst = jsonappend.Key(e.dst, k)
			e.dst = jsonappend.String(e.dst, r.Metadata[k])
		}
		e.dst = append(e.dst, '}')
	}
}

// tools writes the tools flat. strict is always said: without it, the API tries the strict mode by itself.
func (e *responsesEncoder) tools() {
	r := e.req
	if len(r.Tools) == 0 {
		return
	}
	e.dst = append(e.dst, `,"tools":[`...)
	for i := range r.Tools {
		t := &r.Tools[i]
		e.dst = append(jsonappend.Comma(e.dst), `{"type":"function","name":`...)
		e.dst = jsonappend.String(e.dst, t.Name)
		if t.Description != "" {
			e.dst = append(e.dst, `,"description":`...)
			e.dst = jsonappend.String(e.dst, t.Description)
		}
		e.dst = append(e.dst, `,"strict":`...)
		e.dst = jsonappend.Bool(e.dst, t.Strict)
		e.dst = append(e.dst, `,"parameters":`...)
		if len(t.Schema) > 0 {
			e.dst = append(e.dst, t.Schema...)
		} else {
			e.dst = append(e.dst, `{"type":"object","properties":{},"required":[],"additionalProperties":false}`...)
		}
		e.dst = append(e.dst, '}')
		if t.Cache != "" {
			e.note(fmt.Sprintf("tools[%d].cache", i))
		}
	}
	e.dst = append(e.dst, ']')
	switch c := r.ToolChoice; c.Mode {
	case ToolAuto, ToolNone, ToolRequired:
		e.dst = append(e.dst, `,"tool_choice":`...)
		e.dst = jsonappend.String(e.dst, string(c.Mode))
	case ToolNamed:
		e.dst = append(e.dst, `,"tool_choice":{"type":"function","name":`...)
		e.dst = jsonappend.String(e.dst, c.Name)
		e.dst = append(e.dst, '}')
	}
	if r.ParallelTools != nil {
		e.dst = append(e.dst, `,"parallel_tool_calls":`...)
		e.dst = jsonappend.Bool(e.dst, *r.ParallelTools)
	}
}

// instructions writes the system texts as one, a blank line between them, unless one is marked for the cache: then they are an
// item of the developer's, which can say so.
func (e *responsesEncoder) instructions() {
	if len(e.req.System) == 0 || e.systemItem() {
		return
	}
	e.dst = append(e.dst, `,"instructions":"`...)
	for i, t := range e.req.System {
		if i > 0 {
			e.dst = append(e.dst, `\n\n`...)
		}
		e.dst = jsonappend.Fragment(e.dst, t.Text)
		if t.Cache != "" {
			e.note(fmt.Sprintf("system[%d].cache", i))
		}
	}
	e.dst = append(e.dst, '"')
}

// systemItem reports whether the system texts go into the input.
func (e *responsesEncoder) systemItem() bool {
	return slices.ContainsFunc(e.req.System, func(t *Text) bool { return e.marks(t.Cache) })
}

func (e *responsesEncoder) input() error {
	e.dst = append(e.dst, `,"input":[`...)
	if e.systemItem() {
		e.item(RoleDeveloper)
		e.dst = append(e.dst, '[')
		for _, t := range e.req.System {
			e.text("", t, t.Cache)
		}
		e.dst = append(e.dst, "]}"...)
	}
	empty := len(e.dst)
	for i := range e.req.Messages {
		e.message, e.inner = i, -1
		m := &e.req.Messages[i]
		write := e.turn
		if m.Role == RoleAssistant {
			write = e.assistant
		}
		if err := write(m); err != nil {
			return err
		}
	}
	if len(e.dst) == empty {
		return errNothingLeft()
	}
	e.dst = append(e.dst, ']')
	return nil
}

// responsesExtra is what holdfast keeps of a text that a model wrote, in [Text.Extra].
type responsesExtra struct {
	phase       string // whether a message is commentary or the final answer
	annotations []byte // a JSON array
}

func readResponsesExtra(t *Text) responsesExtra {
	var x responsesExtra
	s := jsonscan.New(t.Extra[openaiDialect.Name])
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "phase":
			x.phase = s.String()
		case "annotations":
			if s.Kind() == jsonscan.Array {
				x.annotations = s.Valid()
			} else {
				s.Skip()
			}
		default:
			s.Skip()
		}
	}
	return x
}

func (x responsesExtra) encode() []byte {
	dst := []byte{'{'}
	if x.phase != "" {
		dst = jsonappend.String(jsonappend.Key(dst, "phase"), x.phase)
	}
	if x.annotations != nil {
		dst = append(jsonappend.Key(dst, "annotations"), x.annotations...)
	}
	return append(dst, '}')
}

// isReasoningItem reports whether raw is a reasoning item that says something to its maker.
func isReasoningItem(raw []byte) bool {
	kind, content := "", false
	s := jsonscan.New(raw)
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "type":
			kind = s.String()
		case "encrypted_content":
			b, _ := s.Bytes()
			content = content || len(b) > 0
		case "content":
			content = content || s.Kind() == jsonscan.Array
			s.Skip()
		default:
			s.Skip()
		}
	}
	return kind == "reasoning" && content && isObject(raw)
}

// hasScheme reports whether a URL has one of the schemes, each with its colon.
func hasScheme(url string, schemes ...string) bool {
	for _, scheme := range schemes {
		if len(url) > len(scheme) && strings.EqualFold(url[:len(scheme)], scheme) {
			return true
		}
	}
	return false
}
