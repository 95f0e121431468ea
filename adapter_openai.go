package holdfast

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/holdfast-ai/holdfast/internal/jsonappend"
)

// chatAdapter speaks OpenAI's Chat Completions API, at OpenAI, at Azure and at the many servers that took it over. What differs
// between them is data: see chatProfiles and, for OpenAI's own models, openaiModels.
type chatAdapter struct{ profile *chatProfile }

// Dialect implements [AIServiceAdapter].
func (a chatAdapter) Dialect() Dialect {
	return Dialect{
		Name: a.profile.name(), URL: a.profile.url, KeyHeader: "Authorization", KeyPrefix: "Bearer ",
		RequestIDHeader: a.profile.requestID,
	}
}

// DecodeError implements [AIServiceAdapter].
func (a chatAdapter) DecodeError(status int, _ http.Header, body []byte) *Error {
	return a.profile.decodeError(status, body)
}

// Encode implements [AIServiceAdapter]: the settings first, the conversation last.
func (a chatAdapter) Encode(dst []byte, req *ChatRequest, to Target) (Encoded, error) {
	e := chatEncoder{dst: dst, req: req, to: to, profile: a.profile, notes: req.strayNotes()}
	if e.profile.has(isOpenAI) {
		e.model = openaiModel(to.Model)
	}
	if err := e.encode(); err != nil {
		return Encoded{}, err
	}
	body, err := withExtra(e.dst, len(dst), req, a.profile.name(), to.Provider)
	if err != nil {
		return Encoded{}, err
	}
	path := "/chat/completions"
	if e.prefilled && e.profile.prefill == prefillBeta {
		path = "/beta/chat/completions"
	}
	return Encoded{Path: path, Body: body, Notes: e.notes}, nil
}

// chatEncoder writes one request.
type chatEncoder struct {
	dst     []byte
	req     *ChatRequest
	to      Target
	profile *chatProfile
	model   openaiModelFacts
	notes   []string

	// prefilled: the last message is the assistant's, to be continued.
	prefilled bool
	// muted: thinking is switched off for this call, since the conversation leaves no other way.
	muted bool
	// surplus counts the cache hints to be left out where they can be said: OpenAI takes only so many.
	surplus int
}

const chatMaxBreakpoints = 4

func (e *chatEncoder) encode() error {
	for _, plan := range [...]func(*chatEncoder) error{
		(*chatEncoder).planPrefill, (*chatEncoder).planThinking, (*chatEncoder).refuse, (*chatEncoder).refuseStrict,
	} {
		if err := plan(e); err != nil {
			return err
		}
	}
	e.dst = append(e.dst, `{"model":`...)
	e.dst = jsonappend.String(e.dst, e.to.Model)
	e.stream()
	e.sampling()
	e.reasoning()
	e.output()
	e.hints()
	e.tools()
	if e.prefilled && e.profile.prefill == prefillContinue {
		e.dst = append(e.dst, `,"continue_final_message":true,"add_generation_prompt":false`...)
	}
	if err := e.messages(); err != nil {
		return err
	}
	e.dst = append(e.dst, '}')
	return nil
}

func (e *chatEncoder) note(field string) { e.notes = append(e.notes, field) }

// planPrefill looks whether the answer is to continue the last message.
func (e *chatEncoder) planPrefill() error {
	last := len(e.req.Messages) - 1
	m := &e.req.Messages[last]
	if m.Role != RoleAssistant || !slices.ContainsFunc(m.Parts, isSaid) {
		return nil
	}
	e.prefilled = true
	switch {
	case e.profile.prefill == prefillNever:
		return Unsupported(fmt.Sprintf("messages[%d]", last), "this provider does not continue an assistant's message: end with a user's")
	case e.req.Output.Format != "":
		return Unsupported("output", "an assistant's message cannot be continued in a set form")
	}
	return nil
}

// isSaid reports whether a part is something that the assistant said aloud.
func isSaid(p Part) bool {
	switch p.(type) {
	case *Text, *Refusal:
		return true
	}
	return false
}

// planThinking finds out whether the conversation forbids thinking: a server that wants its thinking back with every tool call
// cannot go on thinking where the calls were made elsewhere, and llama.cpp does not continue a message while thinking.
func (e *chatEncoder) planThinking() error {
	effort := e.req.Reasoning.Effort
	switch {
	case effort == EffortOff:
		return nil
	case e.prefilled && e.profile.prefill == prefillPlain:
	case e.profile.passBack == passMust && e.foreignCalls():
	default:
		return nil
	}
	if effort != "" && !e.req.hinted("reasoning.effort") {
		return Unsupported("reasoning.effort", "this provider cannot think behind such a conversation: it lacks the thinking that led to the tool calls, or continues a message")
	}
	e.muted = true
	e.note("reasoning.effort: thinking is switched off behind such a conversation")
	return nil
}

// foreignCalls reports whether a turn with tool calls lacks the thinking that the target itself put before them.
func (e *chatEncoder) foreignCalls() bool {
	for i := range e.req.Messages {
		calls, own := false, false
		for _, p := range e.req.Messages[i].Parts {
			switch p := p.(type) {
			case *ToolCall:
				calls = true
			case *Thinking:
				own = own || e.to.made(e.profile.name(), p.Origin)
			}
		}
		if calls && !own {
			return true
		}
	}
	return false
}

// refuse finds the first setting that the server or the model does not have and that is no hint.
func (e *chatEncoder) refuse() error {
	r, p := e.req, e.profile
	const none = "this provider has no such setting"
	samples := e.model.samples(r.Reasoning.Effort)
	quiet := p.provider == "xai" && xaiReasons(e.to.Model)
	for _, f := range [...]struct {
		refused    bool
		field, why string
	}{
		{e.model.ResponsesOnly, "model", `OpenAI serves it on the Responses API only: use the provider "openai"`},
		{len(r.Tools) > 0 && e.model.ToolsOnResponses && r.Reasoning.Effort != EffortOff, "tools", `the model takes tools on Chat Completions only with the effort "off": set it, or use the provider "openai"`},
		{r.Temperature != nil && !samples, "temperature", "the model does not take it while it reasons"},
		{r.TopP != nil && !samples, "top_p", "the model does not take it while it reasons"},
		{r.PresencePenalty != nil && (!samples || quiet || !p.has(takesPenalties)), "presence_penalty", "the model or provider does not take it"},
		{r.FrequencyPenalty != nil && (!samples || quiet || !p.has(takesPenalties)), "frequency_penalty", "the model or provider does not take it"},
		{r.TopK > 0 && !p.has(takesTopK), "top_k", none},
		{len(r.Stop) > 0 && (e.model.NoStop || quiet), "stop", "the model does not take it"},
		{len(r.Stop) > 4 && p.has(isOpenAI), "stop", "OpenAI takes at most four"},
		{r.Seed != nil && p.seed == "", "seed", none},
		{!e.takesEffort(), "reasoning.effort", "the model or provider does not have this level"},
		{r.Reasoning.BudgetTokens > 0 && p.budget == "", "reasoning.budget_tokens", none},
		{r.Reasoning.Summary && p.has(thinksSummaryOnly), "reasoning.summary", `OpenAI shows its thinking on the Responses API only: use the provider "openai"`},
		{r.Output.Format == OutputJSON && !p.has(takesJSON), "output.format", `this provider has no "json" without a schema`},
		{r.Output.Format == OutputSchema && !p.has(takesSchema), "output.format", `this provider has no "schema": use "json" and say the schema in the prompt`},
		{e.mustCall() && !p.has(takesToolChoice), "tool_choice", "this provider cannot be made to call a tool"},
		{len(r.Tools) > 0 && r.ParallelTools != nil && !*r.ParallelTools && !p.has(takesParallel), "parallel_tools", none},
	} {
		switch {
		case !f.refused:
		case r.hinted(f.field) && f.field != "model" && f.field != "tools":
			e.note(f.field)
		default:
			return Unsupported(f.field, f.why)
		}
	}
	return nil
}

// refuseStrict finds a strict tool where the server cannot hold to a schema.
func (e *chatEncoder) refuseStrict() error {
	if e.profile.has(takesStrict) {
		return nil
	}
	for i := range e.req.Tools {
		if !e.req.Tools[i].Strict {
			continue
		}
		field := fmt.Sprintf("tools[%d].strict", i)
		if !e.req.hinted(field) {
			return Unsupported(field, "this provider does not hold arguments to a schema")
		}
		e.note(field)
	}
	return nil
}

func (e *chatEncoder) mustCall() bool {
	return e.req.ToolChoice.Mode == ToolRequired || e.req.ToolChoice.Mode == ToolNamed
}

// takesEffort reports whether the level can be asked for.
func (e *chatEncoder) takesEffort() bool {
	switch effort := e.req.Reasoning.Effort; {
	case effort == "":
		return true
	case e.profile.has(isOpenAI):
		return e.model.takesEffort(effort)
	case effort == EffortOff:
		return e.profile.off != ""
	default:
		return slices.Contains(e.profile.efforts, effort)
	}
}

// stream asks for a stream that ends with the token count. OpenAI pads every event with random text unless told not to, which
// serves nobody over TLS; Azure may not know the option (unverified).
func (e *chatEncoder) stream() {
	if !e.to.Stream {
		return
	}
	e.dst = append(e.dst, `,"stream":true`...)
	if !e.profile.has(takesUsageOption) {
		return
	}
	e.dst = append(e.dst, `,"stream_options":{"include_usage":true`...)
	if e.profile.has(isOpenAI) && !strings.HasSuffix(e.to.Platform, ".azure.com") {
		e.dst = append(e.dst, `,"include_obfuscation":false`...)
	}
	e.dst = append(e.dst, '}')
}

// sampling writes what refuse let through.
func (e *chatEncoder) sampling() {
	r, p := e.req, e.profile
	samples := e.model.samples(r.Reasoning.Effort)
	quiet := p.provider == "xai" && xaiReasons(e.to.Model)
	if r.MaxOutputTokens > 0 {
		e.dst = jsonappend.Int(jsonappend.Key(e.dst, p.maxTokens), r.MaxOutputTokens)
	}
	for _, f := range [...]struct {
		name  string
		value *float64
		taken bool
	}{
		{"temperature", r.Temperature, samples},
		{"top_p", r.TopP, samples},
		{"presence_penalty", r.PresencePenalty, samples && !quiet && p.has(takesPenalties)},
		{"frequency_penalty", r.FrequencyPenalty, samples && !quiet && p.has(takesPenalties)},
	} {
		if f.value != nil && f.taken {
			e.dst = jsonappend.Float(jsonappend.Key(e.dst, f.name), *f.value)
		}
	}
	if r.TopK > 0 && p.has(takesTopK) {
		e.dst = jsonappend.Int(jsonappend.Key(e.dst, "top_k"), r.TopK)
	}
	if r.Seed != nil && p.seed != "" {
		e.dst = jsonappend.Int(jsonappend.Key(e.dst, p.seed), int(*r.Seed))
	}
	if len(r.Stop) > 0 && !e.model.NoStop && !quiet && (len(r.Stop) <= 4 || !p.has(isOpenAI)) {
		e.dst = append(jsonappend.Key(e.dst, "stop"), '[')
		for _, s := range r.Stop {
			e.dst = jsonappend.String(jsonappend.Comma(e.dst), s)
		}
		e.dst = append(e.dst, ']')
	}
}

func (e *chatEncoder) reasoning() {
	r, p := e.req.Reasoning, e.profile
	switch {
	case e.muted:
		e.dst = append(append(e.dst, ','), p.off...)
	case r.Effort == "" || !e.takesEffort():
	case r.Effort == EffortOff:
		if !p.has(isOpenAI) || e.model.hasEffort(EffortOff) {
			e.dst = append(append(e.dst, ','), p.off...)
		}
	default:
		e.dst = jsonappend.String(jsonappend.Key(e.dst, "reasoning_effort"), string(r.Effort))
	}
	if r.Summary && !p.has(thinksSummaryOnly) {
		e.note("reasoning.summary: shown unasked where the model thinks")
	}
	if r.BudgetTokens > 0 && p.budget != "" {
		e.dst = jsonappend.Int(jsonappend.Key(e.dst, p.budget), r.BudgetTokens)
	}
}

func (e *chatEncoder) output() {
	o := e.req.Output
	switch {
	case o.Format == OutputJSON && e.profile.has(takesJSON):
		e.dst = append(e.dst, `,"response_format":{"type":"json_object"}`...)
	case o.Format == OutputSchema && e.profile.has(takesSchema):
		name := o.Name
		if name == "" {
			name = "answer"
		}
		e.dst = append(e.dst, `,"response_format":{"type":"json_schema","json_schema":{"name":`...)
		e.dst = jsonappend.String(e.dst, name)
		e.dst = append(append(e.dst, `,"schema":`...), o.Schema...)
		if o.Strict {
			e.dst = append(e.dst, `,"strict":true`...)
		}
		e.dst = append(e.dst, '}', '}')
	}
}

// openAITiers are the service tiers of Chat Completions at OpenAI, which refuses any other provider's word.
var openAITiers = []string{"auto", "default", "flex", "scale", "priority", "fast"}

// hints writes what may be left out, or notes that it was. OpenAI's own limits are kept to: a hint must not fail a request.
// Metadata is never sent: OpenAI takes it only together with "store":true, which would keep the conversation.
func (e *chatEncoder) hints() {
	r, p := e.req, e.profile
	const longestUser = 128
	switch {
	case r.EndUser == "":
	case p.user == "" || p.has(isOpenAI) && len(r.EndUser) > longestUser:
		e.note("end_user")
	default:
		e.dst = jsonappend.String(jsonappend.Key(e.dst, p.user), r.EndUser)
	}
	switch {
	case r.Tier == "":
	case p.has(takesTier) && (!p.has(isOpenAI) || slices.Contains(openAITiers, r.Tier)):
		e.dst = jsonappend.String(jsonappend.Key(e.dst, "service_tier"), r.Tier)
	default:
		e.note("tier")
	}
	if len(r.Metadata) > 0 && !e.stored() {
		e.note("metadata")
	} else if len(r.Metadata) > 0 {
		e.metadata()
	}
}

// tools writes the tools and what may be done with them. A server that cannot be told not to call one is shown none.
func (e *chatEncoder) tools() {
	r, p := e.req, e.profile
	if len(r.Tools) == 0 || r.ToolChoice.Mode == ToolNone && !p.has(takesToolChoice) {
		return
	}
	e.dst = append(e.dst, `,"tools":[`...)
	for i := range r.Tools {
		e.tool(i)
	}
	e.dst = append(e.dst, ']')
	if p.has(takesToolChoice) {
		e.toolChoice()
	}
	if r.ParallelTools != nil && p.has(takesParallel) {
		e.dst = jsonappend.Bool(append(e.dst, `,"parallel_tool_calls":`...), *r.ParallelTools)
	}
}

func (e *chatEncoder) tool(i int) {
	t := &e.req.Tools[i]
	e.dst = append(jsonappend.Comma(e.dst), `{"type":"function","function":{"name":`...)
	e.dst = jsonappend.String(e.dst, t.Name)
	if t.Description != "" {
		e.dst = jsonappend.String(append(e.dst, `,"description":`...), t.Description)
	}
	e.dst = append(e.dst, `,"parameters":`...)
	switch {
	case len(t.Schema) > 0:
		e.dst = append(e.dst, t.Schema...)
	case t.Strict:
		e.dst = append(e.dst, `{"type":"object","properties":{},"required":[],"additionalProperties":false}`...)
	default:
		e.dst = append(e.dst, `{"type":"object","properties":{}}`...)
	}
	if t.Strict && e.profile.has(takesStrict) {
		e.dst = append(e.dst, `,"strict":true`...)
	}
	e.dst = append(e.dst, '}', '}')
	if t.Cache != "" {
		e.note(fmt.Sprintf("tools[%d].cache", i))
	}
}

func (e *chatEncoder) toolChoice() {
	switch c := e.req.ToolChoice; c.Mode {
	case ToolAuto, ToolNone:
		e.dst = jsonappend.String(append(e.dst, `,"tool_choice":`...), string(c.Mode))
	case ToolRequired:
		word := "required"
		if e.profile.required != "" {
			word = e.profile.required
		}
		e.dst = jsonappend.String(append(e.dst, `,"tool_choice":`...), word)
	case ToolNamed:
		e.dst = append(e.dst, `,"tool_choice":{"type":"function","function":{"name":`...)
		e.dst = append(jsonappend.String(e.dst, c.Name), '}', '}')
	}
}

// stored reports whether the caller asked OpenAI to keep the conversation.
func (e *chatEncoder) stored() bool {
	if !e.profile.has(isOpenAI) {
		return false
	}
	raw, ok := e.req.Extra[e.profile.name()]
	if !ok {
		raw = e.req.Extra[e.to.Provider]
	}
	return storesConversation(raw)
}

func (e *chatEncoder) metadata() {
	e.dst = append(e.dst, `,"metadata":{`...)
	for _, k := range slices.Sorted(maps.Keys(e.req.Metadata)) {
		e.dst = jsonappend.String(jsonappend.Key(e.dst, k), e.req.Metadata[k])
	}
	e.dst = append(e.dst, '}')
}
