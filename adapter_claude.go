package holdfast

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/holdfast-ai/holdfast/internal/jsonappend"
)

// claudeAdapter speaks Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages), at Anthropic and at
// gateways before it. What differs from model to model is in claudeModels.
type claudeAdapter struct{}

var claudeDialect = Dialect{
	Name:            "claude",
	URL:             "https://api.anthropic.com",
	KeyHeader:       "x-api-key",
	Header:          http.Header{"Anthropic-Version": {"2023-06-01"}},
	RequestIDHeader: "request-id",
}

// Limits of the API.
const (
	claudeBreakpoints = 4    // cache_control marks in a request
	claudeMinBudget   = 1024 // smallest budget_tokens
	claudeIDLimit     = 64   // longest id of a tool call (unverified)
)

// Dialect implements [AIServiceAdapter].
func (claudeAdapter) Dialect() Dialect { return claudeDialect }

// Encode implements [AIServiceAdapter].
func (claudeAdapter) Encode(dst []byte, req *ChatRequest, to Target) (Encoded, error) {
	if to.Model == "" {
		return Encoded{}, &Error{Kind: KindInvalid, Field: "model", Message: "must name a model: Claude has no default"}
	}
	e := claudeEncoder{req: req, to: to, model: claudeModelOf(to.Model), out: dst, notes: req.strayNotes(), tail: nowhere}
	if err := e.encode(); err != nil {
		return Encoded{}, err
	}
	body, err := withExtra(e.out, len(dst), req, claudeDialect.Name, to.Provider)
	if err != nil {
		return Encoded{}, err
	}
	return Encoded{Path: "/v1/messages", Body: body, Notes: e.notes}, nil
}

// claudeEncoder writes one request.
type claudeEncoder struct {
	req   *ChatRequest
	to    Target
	model *claudeModel
	out   []byte
	notes []string

	maxTokens int
	thinking  claudeThinking
	effort    Effort
	// unmarked counts the cache hints that are still to be left out, so that only the last ones of the prompt are sent.
	unmarked int
	// short is set once a cache mark of the short kind is written: no long one may follow.
	short bool
	// tail is the text that ends a prefill; its message is -1 if there is none.
	tail place
}

// claudeThinking is the type of thinking to ask for; empty leaves it to the model.
type claudeThinking string

const (
	thinkingOff      claudeThinking = "disabled"
	thinkingAdaptive claudeThinking = "adaptive"
	thinkingManual   claudeThinking = "enabled"
)

func (e *claudeEncoder) encode() error {
	if err := e.plan(); err != nil {
		return err
	}
	e.out = append(e.out, '{')
	e.text("model", e.to.Model)
	e.number("max_tokens", e.maxTokens)
	if e.to.Stream {
		e.raw("stream", "true")
	}
	for _, write := range [...]func(*claudeEncoder) error{
		(*claudeEncoder).writeTools, (*claudeEncoder).writeToolChoice, (*claudeEncoder).writeSystem, (*claudeEncoder).writeMessages,
		(*claudeEncoder).writeOutput, (*claudeEncoder).writeSampling, (*claudeEncoder).writeStop, (*claudeEncoder).refuseUnknown,
	} {
		if err := write(e); err != nil {
			return err
		}
	}
	e.writeThinking()
	e.writeHints()
	e.out = append(e.out, '}')
	return nil
}

// plan settles what other fields depend on.
func (e *claudeEncoder) plan() error {
	e.unmarked = e.countCacheHints() - claudeBreakpoints
	e.maxTokens = e.req.MaxOutputTokens
	switch {
	case e.maxTokens == 0:
		e.maxTokens = e.model.maxOutput
	case e.model != &claudeUnknown && e.maxTokens > e.model.maxOutput:
		why := fmt.Sprintf("this model writes at most %d tokens", e.model.maxOutput)
		if err := e.cannot("max_output_tokens", why); err != nil {
			return err
		}
		e.maxTokens = e.model.maxOutput
	}
	return e.planThinking()
}

func (e *claudeEncoder) planThinking() error {
	r, m := e.req.Reasoning, e.model
	switch {
	case r.Effort == EffortOff && m.always:
		if err := e.cannot("reasoning.effort", "this model always thinks"); err != nil {
			return err
		}
	case r.Effort == EffortOff && r.BudgetTokens > 0:
		return Unsupported("reasoning.budget_tokens", "goes only with thinking switched on")
	case r.Effort == EffortOff:
		if m.adaptive || m.budget {
			e.thinking = thinkingOff
		}
		return nil
	case r.Effort != "" && !slices.Contains(m.efforts, r.Effort):
		if err := e.cannot("reasoning.effort", "this model takes "+effortNames(m.efforts)); err != nil {
			return err
		}
	default:
		e.effort = r.Effort
	}
	switch {
	case r.BudgetTokens > 0:
		return e.planBudget()
	case m.adaptive && (e.effort != "" || r.Summary && m.unasked):
		e.thinking = thinkingAdaptive
	case r.Summary:
		e.note("reasoning.summary: this model does not think without reasoning.effort or reasoning.budget_tokens")
	}
	return nil
}

func effortNames(efforts []Effort) string {
	if len(efforts) == 0 {
		return "no effort"
	}
	names := make([]string, len(efforts))
	for i, f := range efforts {
		names[i] = string(f)
	}
	return strings.Join(names, ", ")
}

func (e *claudeEncoder) planBudget() error {
	n := e.req.Reasoning.BudgetTokens
	why := ""
	switch {
	case !e.model.budget:
		why = "this model takes reasoning.effort instead"
	case n < claudeMinBudget:
		why = "must be at least 1024"
	case n >= e.maxTokens:
		why = "must be smaller than max_output_tokens"
	}
	if why != "" {
		return e.cannot("reasoning.budget_tokens", why)
	}
	if !e.model.adaptive && e.loopLacksThinking() {
		// Such a model demands that the turn which called the tools begins with its thinking.
		e.note("reasoning.budget_tokens: the open tool calls came without thinking of this model")
		return nil
	}
	e.thinking = thinkingManual
	return nil
}

// loopLacksThinking reports whether the conversation ends in tool results whose calls do not follow thinking that can be returned.
func (e *claudeEncoder) loopLacksThinking() bool {
	msgs := e.req.Messages
	i := len(msgs) - 1
	for results := false; i >= 0; i-- {
		if msgs[i].Role == RoleAssistant {
			if !results {
				return false
			}
			break
		}
		results = results || slices.ContainsFunc(msgs[i].Parts, func(p Part) bool { return p.partType() == "tool_result" })
	}
	for i > 0 && msgs[i-1].Role == RoleAssistant {
		i--
	}
	if i < 0 {
		return false
	}
	t, ok := msgs[i].Parts[0].(*Thinking)
	return !ok || !e.returns(t)
}

// returns reports whether thinking can go back: it is whole and was made by the very model that is asked.
func (e *claudeEncoder) returns(t *Thinking) bool {
	return len(t.Opaque) > 0 && e.to.made(claudeDialect.Name, t.Origin)
}

func (e *claudeEncoder) writeThinking() {
	if e.thinking == "" {
		return
	}
	e.key("thinking")
	e.out = append(e.out, '{')
	e.text("type", string(e.thinking))
	if e.thinking == thinkingManual {
		e.number("budget_tokens", e.req.Reasoning.BudgetTokens)
	}
	if e.req.Reasoning.Summary && e.thinking != thinkingOff {
		e.text("display", "summarized")
	}
	e.out = append(e.out, '}')
}

func (e *claudeEncoder) writeOutput() error {
	schema := false
	switch e.req.Output.Format {
	case OutputJSON:
		if err := e.cannot("output.format", "Claude takes a schema, not any JSON"); err != nil {
			return err
		}
	case OutputSchema:
		field, why := "output", ""
		switch {
		case !e.model.schemas:
			field, why = "output.format", "this model takes no output schema"
		case e.tail.message >= 0:
			why = "does not go with a last message of the assistant"
		}
		if why != "" {
			if err := e.cannot(field, why); err != nil {
				return err
			}
			break
		}
		if err := closedSchema("output.schema", e.req.Output.Schema); err != nil {
			return err
		}
		schema = true
	}
	if !schema && e.effort == "" {
		return nil
	}
	e.key("output_config")
	e.out = append(e.out, '{')
	if e.effort != "" {
		e.text("effort", string(e.effort))
	}
	if schema {
		e.key("format")
		e.out = append(e.out, `{"type":"json_schema","schema":`...)
		e.out = append(append(e.out, e.req.Output.Schema...), '}')
		if e.req.Output.Name != "" {
			e.note("output.name: Claude's schemas have no name")
		}
	}
	e.out = append(e.out, '}')
	return nil
}

func (e *claudeEncoder) writeSampling() error {
	r := e.req
	temperature, err := e.sample("temperature", r.Temperature, r.Temperature != nil && *r.Temperature == 1)
	if err != nil {
		return err
	}
	topP, err := e.sample("top_p", r.TopP, r.TopP != nil && *r.TopP == 1)
	if err != nil {
		return err
	}
	if temperature && topP && e.model.sampling != samplingFree {
		if err := e.cannot("top_p", "this model takes temperature or top_p, not both"); err != nil {
			return err
		}
		topP = false
	}
	if temperature {
		e.key("temperature")
		e.out = jsonappend.Float(e.out, *r.Temperature)
	}
	if topP {
		e.key("top_p")
		e.out = jsonappend.Float(e.out, *r.TopP)
	}
	if r.TopK == 0 {
		return nil
	}
	if why := e.refusesSampling(); why != "" {
		return e.cannot("top_k", why)
	}
	e.number("top_k", r.TopK)
	return nil
}

// sample decides whether a sampling value is sent. A model's default need not be.
func (e *claudeEncoder) sample(field string, value *float64, isDefault bool) (bool, error) {
	if value == nil {
		return false, nil
	}
	why := e.refusesSampling()
	switch {
	case isDefault && (e.model.sampling == samplingDefaults || why != "" && e.model.sampling != samplingNone):
		return false, nil
	case *value > 1:
		why = "Claude's goes from 0 to 1"
	case field == "top_p" && *value >= 0.95 && e.model.sampling < samplingDefaults:
		why = "" // thinking leaves that much freedom
	}
	if why != "" {
		return false, e.cannot(field, why)
	}
	return true, nil
}

func (e *claudeEncoder) refusesSampling() string {
	switch {
	case e.model.sampling == samplingNone:
		return "this model takes no sampling values"
	case e.model.sampling == samplingDefaults:
		return "this model takes only the default"
	case e.thinking == thinkingAdaptive, e.thinking == thinkingManual:
		return "does not go with thinking"
	}
	return ""
}

func (e *claudeEncoder) writeStop() error {
	open := false
	for i, s := range e.req.Stop {
		if strings.TrimSpace(s) == "" {
			if err := e.cannot(fmt.Sprintf("stop[%d]", i), "must hold more than white space"); err != nil {
				return err
			}
			continue
		}
		if !open {
			open = true
			e.key("stop_sequences")
			e.out = append(e.out, '[')
		}
		e.out = jsonappend.String(jsonappend.Comma(e.out), s)
	}
	if open {
		e.out = append(e.out, ']')
	}
	return nil
}

// refuseUnknown refuses the settings that the API does not have.
func (e *claudeEncoder) refuseUnknown() error {
	for _, f := range [...]struct {
		name string
		set  bool
	}{
		{"seed", e.req.Seed != nil},
		{"presence_penalty", e.req.PresencePenalty != nil},
		{"frequency_penalty", e.req.FrequencyPenalty != nil},
	} {
		if f.set {
			if err := e.cannot(f.name, "Claude has no such setting"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *claudeEncoder) writeHints() {
	if e.req.EndUser != "" {
		e.key("metadata")
		e.out = append(e.out, '{')
		e.text("user_id", e.req.EndUser)
		e.out = append(e.out, '}')
	}
	switch e.req.Tier {
	case "":
	case "auto", "standard_only":
		e.text("service_tier", e.req.Tier)
	default:
		e.note("tier: Claude's are auto and standard_only")
	}
	if len(e.req.Metadata) > 0 {
		e.note("metadata")
	}
}

// cannot refuses a field, or notes that it is left out if the caller marked it as a hint.
func (e *claudeEncoder) cannot(field, why string) error {
	if !e.req.hinted(field) {
		return Unsupported(field, why)
	}
	e.note(field + ": " + why)
	return nil
}

func (e *claudeEncoder) note(note string) { e.notes = append(e.notes, note) }

func (e *claudeEncoder) key(name string) { e.out = jsonappend.Key(e.out, name) }

func (e *claudeEncoder) text(name, value string) {
	e.key(name)
	e.out = jsonappend.String(e.out, value)
}

func (e *claudeEncoder) number(name string, n int) {
	e.key(name)
	e.out = jsonappend.Int(e.out, n)
}

func (e *claudeEncoder) raw(name, value string) {
	e.key(name)
	e.out = append(e.out, value...)
}
