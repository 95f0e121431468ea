package holdfast

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/holdfast-ai/holdfast/internal/jsonappend"
	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// geminiAdapter speaks Gemini's generateContent, at the Gemini API and on Vertex AI (whose endpoints give their URL up to
// ".../publishers/google", and Authorization and "Bearer " for the key).
type geminiAdapter struct{}

const geminiName = "gemini"

// geminiSkipSignature is the signature that Google documents for calls which another model made. It is sent as it stands,
// though the field holds base64 otherwise.
const geminiSkipSignature = "skip_thought_signature_validator"

// Dialect returns the constants of the Gemini API. Google sends no id of the exchange.
func (geminiAdapter) Dialect() Dialect {
	return Dialect{
		Name:      geminiName,
		URL:       "https://generativelanguage.googleapis.com/v1beta",
		KeyHeader: "x-goog-api-key",
	}
}

// Encode writes a GenerateContentRequest.
func (geminiAdapter) Encode(dst []byte, req *ChatRequest, to Target) (Encoded, error) {
	path, err := geminiPath(to)
	if err != nil {
		return Encoded{}, err
	}
	from := len(dst)
	e := geminiEncoder{dst: dst, req: req, to: to, model: geminiModelOf(to.Model), notes: req.strayNotes()}
	e.dst = append(e.dst, '{')
	for _, step := range []func(*geminiEncoder) error{
		(*geminiEncoder).contents, (*geminiEncoder).system, (*geminiEncoder).tools, (*geminiEncoder).config, (*geminiEncoder).hints,
	} {
		if err := step(&e); err != nil {
			return Encoded{}, err
		}
	}
	e.dst = append(e.dst, '}')
	body, err := withExtra(e.dst, from, req, geminiName, to.Provider)
	if err != nil {
		return Encoded{}, err
	}
	return Encoded{Path: path, Body: body, Notes: e.notes}, nil
}

// geminiPath returns the path below the endpoint's URL. A model may be given as "x", "models/x", "publishers/google/models/x"
// or "tunedModels/x".
func geminiPath(to Target) (string, error) {
	kind, id := "/models/", to.Model
	if tuned, ok := strings.CutPrefix(id, "tunedModels/"); ok {
		kind, id = "/tunedModels/", tuned
	}
	id = strings.TrimPrefix(strings.TrimPrefix(id, "publishers/google/"), "models/")
	if id == "" {
		return "", invalid("model", "is empty")
	}
	if to.Stream {
		return kind + url.PathEscape(id) + ":streamGenerateContent?alt=sse", nil
	}
	return kind + url.PathEscape(id) + ":generateContent", nil
}

// Decode reads a GenerateContentResponse.
func (geminiAdapter) Decode(body []byte, out *AnswerWriter) error {
	d := geminiDecoder{}
	if err := d.frame(body, out); err != nil {
		return err
	}
	return d.whole(out)
}

// DecodeStream returns a decoder of the events of streamGenerateContent?alt=sse.
func (geminiAdapter) DecodeStream() StreamDecoder { return &geminiDecoder{} }

// DecodeError reads a google.rpc.Status, bare or in an array.
func (geminiAdapter) DecodeError(status int, _ http.Header, body []byte) *Error {
	s := jsonscan.New(body)
	if s.Kind() == jsonscan.Array && s.Array() && s.NextElem() {
		body = s.Raw()
	}
	if e := geminiMemberOf(body, "error"); e != nil {
		return geminiError(status, e)
	}
	return nil
}

// geminiEncoder writes one request.
type geminiEncoder struct {
	dst   []byte
	req   *ChatRequest
	to    Target
	model *geminiModel
	notes []string

	content geminiContent // the entry of contents that is open
	turn    int           // the message behind which calls belong to the open tool loop
	called  bool          // a call was written in the open entry
}

func (e *geminiEncoder) key(name string) { e.dst = jsonappend.Key(e.dst, name) }

func (e *geminiEncoder) str(name, value string) {
	e.key(name)
	e.dst = jsonappend.String(e.dst, value)
}

func (e *geminiEncoder) number(name string, n int) {
	e.key(name)
	e.dst = jsonappend.Int(e.dst, n)
}

func (e *geminiEncoder) float(name string, f *float64) {
	if f != nil {
		e.key(name)
		e.dst = jsonappend.Float(e.dst, *f)
	}
}

func (e *geminiEncoder) raw(name string, json []byte) {
	e.key(name)
	e.dst = append(e.dst, bytes.TrimSpace(json)...)
}

func (e *geminiEncoder) note(format string, args ...any) {
	e.notes = append(e.notes, fmt.Sprintf(format, args...))
}

// refuse returns the error for a field that cannot be expressed, or notes that it was left out if the caller allows that.
func (e *geminiEncoder) refuse(field, why string) error {
	if e.req.hinted(field) {
		e.notes = append(e.notes, field)
		return nil
	}
	return Unsupported(field, why)
}

func (e *geminiEncoder) vertex() bool { return strings.Contains(e.to.Platform, "aiplatform") }

func (e *geminiEncoder) system() error {
	if len(e.req.System) == 0 {
		return nil
	}
	e.key("systemInstruction")
	e.dst = append(e.dst, `{"parts":[`...)
	for i, t := range e.req.System {
		e.dst = append(jsonappend.Comma(e.dst), '{')
		e.str("text", t.Text)
		e.dst = append(e.dst, '}')
		if t.Cache != "" {
			e.note("system[%d].cache", i)
		}
	}
	e.dst = append(e.dst, "]}"...)
	return nil
}

func (e *geminiEncoder) tools() error {
	if p := e.req.ParallelTools; p != nil && !*p {
		if err := e.refuse("parallel_tools", "Gemini cannot be held to one tool call"); err != nil {
			return err
		}
	}
	if len(e.req.Tools) == 0 {
		return nil
	}
	e.key("tools")
	e.dst = append(e.dst, `[{"functionDeclarations":[`...)
	strict := false
	for i := range e.req.Tools {
		t := &e.req.Tools[i]
		strict = strict || t.Strict
		e.dst = append(jsonappend.Comma(e.dst), '{')
		e.str("name", t.Name)
		if t.Description != "" {
			e.str("description", t.Description)
		}
		if len(t.Schema) > 0 {
			e.raw("parametersJsonSchema", t.Schema)
		}
		e.dst = append(e.dst, '}')
		if t.Cache != "" {
			e.note("tools[%d].cache", i)
		}
	}
	e.dst = append(e.dst, "]}]"...)
	e.toolChoice(strict)
	return nil
}

// toolChoice writes toolConfig. The mode VALIDATED is AUTO with arguments held to their schema, as ANY does too.
func (e *geminiEncoder) toolChoice(strict bool) {
	mode := ""
	switch e.req.ToolChoice.Mode {
	case "", ToolAuto:
		if strict {
			mode = "VALIDATED"
		}
	case ToolNone:
		mode = "NONE"
	case ToolRequired, ToolNamed:
		mode = "ANY"
	}
	if mode == "" {
		return
	}
	e.key("toolConfig")
	e.dst = append(e.dst, `{"functionCallingConfig":{`...)
	e.str("mode", mode)
	if name := e.req.ToolChoice.Name; name != "" {
		e.key("allowedFunctionNames")
		e.dst = append(jsonappend.String(append(e.dst, '['), name), ']')
	}
	e.dst = append(e.dst, "}}"...)
}

// config writes generationConfig, if there is anything to write in it.
func (e *geminiEncoder) config() error {
	before := len(e.dst)
	e.key("generationConfig")
	e.dst = append(e.dst, '{')
	opened := len(e.dst)
	e.sampling()
	for _, step := range []func(*geminiEncoder) error{(*geminiEncoder).limits, (*geminiEncoder).output, (*geminiEncoder).thinking} {
		if err := step(e); err != nil {
			return err
		}
	}
	if len(e.dst) == opened {
		e.dst = e.dst[:before]
		return nil
	}
	e.dst = append(e.dst, '}')
	return nil
}

func (e *geminiEncoder) sampling() {
	r := e.req
	e.float("temperature", r.Temperature)
	e.float("topP", r.TopP)
	if r.TopK > 0 {
		e.number("topK", r.TopK)
	}
	e.float("presencePenalty", r.PresencePenalty)
	e.float("frequencyPenalty", r.FrequencyPenalty)
	if len(r.Stop) > 0 {
		e.key("stopSequences")
		e.dst = append(e.dst, '[')
		for _, s := range r.Stop {
			e.dst = jsonappend.String(jsonappend.Comma(e.dst), s)
		}
		e.dst = append(e.dst, ']')
	}
}

func (e *geminiEncoder) limits() error {
	r := e.req
	if most := e.model.output; most > 0 && r.MaxOutputTokens > most {
		return Unsupported("max_output_tokens", fmt.Sprintf("the model writes at most %d tokens", most))
	}
	if r.MaxOutputTokens > 0 {
		e.number("maxOutputTokens", r.MaxOutputTokens)
	}
	switch s := r.Seed; {
	case s == nil:
	case *s < math.MinInt32 || *s > math.MaxInt32:
		return e.refuse("seed", "Gemini takes a seed of 32 bits")
	default:
		e.number("seed", int(*s))
	}
	return nil
}

// output asks for JSON. Gemini always holds it to the schema, so Strict needs no word.
func (e *geminiEncoder) output() error {
	o := e.req.Output
	if o.Format == "" {
		return nil
	}
	if len(e.req.Tools) > 0 && !e.model.jsonWithTools {
		return Unsupported("output.format", "the model takes tools or structured output, not both")
	}
	e.str("responseMimeType", "application/json")
	if o.Format == OutputSchema {
		e.raw("responseJsonSchema", o.Schema)
		if o.Name != "" {
			e.note("output.name")
		}
	}
	return nil
}

// thinking writes thinkingConfig: a level or a budget, never both, which is a 400.
func (e *geminiEncoder) thinking() error {
	r := e.req.Reasoning
	if r == (Reasoning{}) {
		return nil
	}
	before := len(e.dst)
	e.key("thinkingConfig")
	e.dst = append(e.dst, '{')
	opened := len(e.dst)
	if err := e.effort(r); err != nil {
		return err
	}
	switch {
	case !r.Summary:
	case e.model.levels == nil && e.model.budgetMax == 0:
		if err := e.refuse("reasoning.summary", "the model does not think"); err != nil {
			return err
		}
	default:
		e.key("includeThoughts")
		e.dst = jsonappend.Bool(e.dst, true)
	}
	if len(e.dst) == opened {
		e.dst = e.dst[:before]
		return nil
	}
	e.dst = append(e.dst, '}')
	return nil
}

func (e *geminiEncoder) effort(r Reasoning) error {
	m := e.model
	switch {
	case r.BudgetTokens > 0 && r.Effort != "":
		return Unsupported("reasoning.budget_tokens", "Gemini takes an effort or a budget, not both")
	case r.BudgetTokens > 0 && m.budgetMax == 0:
		return e.refuse("reasoning.budget_tokens", "the model has no thinking budget: set an effort")
	case r.BudgetTokens > 0 && (r.BudgetTokens < m.budgetMin || r.BudgetTokens > m.budgetMax):
		return e.refuse("reasoning.budget_tokens", fmt.Sprintf("the model takes %d to %d", m.budgetMin, m.budgetMax))
	case r.BudgetTokens > 0:
		e.number("thinkingBudget", r.BudgetTokens)
	case r.Effort == "":
	case r.Effort == EffortOff && !m.canRest:
		return e.refuse("reasoning.effort", "the model cannot be kept from thinking")
	case r.Effort == EffortOff && m.budgetMax > 0:
		e.number("thinkingBudget", 0)
	case r.Effort == EffortOff: // a model that never thinks
	case slices.Contains(m.levels, r.Effort):
		e.str("thinkingLevel", strings.ToUpper(string(r.Effort)))
	case m.levels == nil && m.budgetMax > 0 && geminiBudget(r.Effort) > 0:
		e.number("thinkingBudget", geminiBudget(r.Effort))
	default:
		return e.refuse("reasoning.effort", "the model does not have this level")
	}
	return nil
}

// hints writes what is a hint and has a place; the rest is noted.
func (e *geminiEncoder) hints() error {
	switch e.req.Tier {
	case "":
	case "flex", "standard", "priority":
		e.str("serviceTier", e.req.Tier)
	default: // another provider's word
		e.note("tier")
	}
	if e.req.EndUser != "" {
		e.note("end_user")
	}
	if len(e.req.Metadata) > 0 {
		e.note("metadata")
	}
	return nil
}
