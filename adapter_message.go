package holdfast

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A ChatRequest asks a model to go on with a conversation. Only Messages is required. It says the same for every provider;
// what the chosen provider or model cannot express is an [ErrUnsupported] that names the field, before anything is sent,
// unless the field is a hint. Hints (marked below) are left out where they mean nothing, and the [Trail] notes it.
//
// A ChatRequest is not changed by the client and may be used for several calls, also at the same time.
type ChatRequest struct {
	// Model is a name that the endpoints map to their provider's ([Endpoint].Models). Empty means "default".
	Model string `json:"model,omitempty"`
	// System tells the model how to behave, before the conversation. See [System].
	System []*Text `json:"system,omitempty"`
	// Messages is the conversation, oldest first. A last message of the assistant is a prefill: the answer continues it,
	// where the model can.
	Messages []Message `json:"messages"`

	// Tools are the functions the model may ask the caller to run.
	Tools []Tool `json:"tools,omitempty"`
	// ToolChoice says whether it may or must; zero means that the model decides.
	ToolChoice ToolChoice `json:"tool_choice,omitzero"`
	// ParallelTools false forbids several tool calls in one answer; nil leaves it to the provider.
	ParallelTools *bool `json:"parallel_tools,omitempty"`

	// MaxOutputTokens bounds the answer, reasoning included. 0 means the provider's default; where a provider requires a
	// bound (Claude), the model's own largest value.
	MaxOutputTokens int `json:"max_output_tokens,omitempty"`
	// Temperature and TopP set the sampling; nil means the model's default. Many newer models refuse both.
	Temperature *float64 `json:"temperature,omitempty"`
	TopP        *float64 `json:"top_p,omitempty"`
	// TopK samples from the K most likely tokens only; 0 means the model's default.
	TopK int `json:"top_k,omitempty"`
	// PresencePenalty and FrequencyPenalty, -2 to 2, discourage repetition; nil means the model's default.
	PresencePenalty  *float64 `json:"presence_penalty,omitempty"`
	FrequencyPenalty *float64 `json:"frequency_penalty,omitempty"`
	// Stop lists texts at which the model stops.
	Stop []string `json:"stop,omitempty"`
	// Seed asks for repeatable sampling.
	Seed *int64 `json:"seed,omitempty"`

	// Reasoning sets how hard the model thinks and whether it shows a summary of it.
	Reasoning Reasoning `json:"reasoning,omitzero"`
	// Output constrains the form of the answer; zero means free text.
	Output Output `json:"output,omitzero"`

	// EndUser is an opaque, stable pseudonym of the person asking, for the provider's abuse detection. Hint.
	EndUser string `json:"end_user,omitempty"`
	// Tier is the provider's service tier, in the provider's word. Hint.
	Tier string `json:"tier,omitempty"`
	// Metadata is stored with the request by providers that do so. Hint.
	Metadata map[string]string `json:"metadata,omitempty"`

	// Residency lists the regions in which this request may be processed, in addition to [Config].Residency: an endpoint must be in both.
	// Empty means any.
	Residency []string `json:"residency,omitempty"`
	// Conversation names what the request belongs to, in words of your own. Requests of one conversation prefer the endpoint that
	// served it last within five minutes, where its prompt is still cached. Empty means that it is known by its system prompt and first message.
	Conversation string `json:"conversation,omitempty"`
	// Rescue says how far to go when the answer breaks off after some of it was shown. Empty means [RetryPolicy].Rescue.
	Rescue Rescue `json:"rescue,omitempty"`
	// StreamToolArgs lets a stream show a tool call while it is written: EventToolCall and EventToolArgs, raw. Without, a call comes
	// whole and checked with its EventBlockEnd, or not at all.
	StreamToolArgs bool `json:"stream_tool_args,omitempty"`

	// Hints names further fields, as their JSON spells them without indices (such as "seed", "reasoning.effort" or
	// "tools.strict"), that may be left out where the provider does not know them, instead of failing. "reasoning" names all
	// that it holds.
	Hints []string `json:"hints,omitempty"`
	// Extra holds, by provider name, a JSON object whose members are set in the request body, objects joined member by member.
	// They win over what holdfast writes. It is sent to that provider only.
	Extra Extra `json:"extra,omitempty"`
}

// Extra carries what only one provider understands: provider name → raw JSON.
type Extra map[string]json.RawMessage

// Ask returns the messages of a plain question.
func Ask(question string) []Message { return []Message{UserText(question)} }

// UserText returns a message of the user.
func UserText(text string) Message {
	return Message{Role: RoleUser, Parts: Parts{&Text{Text: text}}}
}

// AssistantText returns a message of the assistant.
func AssistantText(text string) Message {
	return Message{Role: RoleAssistant, Parts: Parts{&Text{Text: text}}}
}

// System returns a system prompt.
func System(text string) []*Text { return []*Text{{Text: text}} }

// Results returns the message that answers tool calls.
func Results(results ...*ToolResult) Message {
	m := Message{Role: RoleTool, Parts: make(Parts, len(results))}
	for i, r := range results {
		m.Parts[i] = r
	}
	return m
}

// Role says who speaks in a [Message].
type Role string

// The roles.
const (
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	// RoleTool gives the results of tool calls.
	RoleTool Role = "tool"
	// RoleDeveloper is an instruction of the application in the middle of a conversation. Where a model knows no such role,
	// its text goes into the user's turn.
	RoleDeveloper Role = "developer"
)

// Message is one turn of a conversation.
type Message struct {
	Role  Role  `json:"role"`
	Parts Parts `json:"parts"`
}

// Text returns the message's visible text.
func (m Message) Text() string { return m.Parts.Text() }

// Parts is the content of a message. In JSON each part is an object with a "type".
type Parts []Part

// Text joins the texts of all [Text] parts.
func (p Parts) Text() string {
	if len(p) == 1 {
		if t, ok := p[0].(*Text); ok {
			return t.Text
		}
	}
	var b strings.Builder
	for _, part := range p {
		if t, ok := part.(*Text); ok {
			b.WriteString(t.Text)
		}
	}
	return b.String()
}

// Part is a piece of a message: *[Text], *[Image], *[Document], *[Audio], *[ToolCall], *[ToolResult], *[Thinking],
// *[Refusal] or *[Opaque]. Nothing else is a Part.
type Part interface {
	partType() string
}

// Text is plain text.
type Text struct {
	Text  string    `json:"text"`
	Cache CacheHint `json:"cache,omitempty"`
	// Extra holds what the provider attached to a text it wrote, such as citations or a signature. It is returned only to
	// Origin.
	Extra  Extra   `json:"extra,omitempty"`
	Origin *Origin `json:"origin,omitempty"`
}

// Image is a picture, by exactly one of Bytes, URL and File. holdfast never fetches a URL.
type Image struct {
	// MIME is the media type, such as "image/png"; required with Bytes.
	MIME  string   `json:"mime,omitempty"`
	Bytes []byte   `json:"bytes,omitempty"`
	URL   string   `json:"url,omitempty"`
	File  *FileRef `json:"file,omitempty"`
	// Detail is how closely to look: "auto", "low", "high" or "original". Hint.
	Detail string    `json:"detail,omitempty"`
	Cache  CacheHint `json:"cache,omitempty"`
}

// Document is a file to read, such as a PDF, by exactly one of Bytes, URL and File.
type Document struct {
	// MIME is the media type, such as "application/pdf" or "text/plain"; required with Bytes.
	MIME  string   `json:"mime,omitempty"`
	Bytes []byte   `json:"bytes,omitempty"`
	URL   string   `json:"url,omitempty"`
	File  *FileRef `json:"file,omitempty"`
	// Name is the file's name or title.
	Name  string    `json:"name,omitempty"`
	Cache CacheHint `json:"cache,omitempty"`
}

// Audio is a recording, by exactly one of Bytes, URL and File.
type Audio struct {
	// MIME is the media type, such as "audio/wav" or "audio/mpeg"; required with Bytes.
	MIME  string    `json:"mime,omitempty"`
	Bytes []byte    `json:"bytes,omitempty"`
	URL   string    `json:"url,omitempty"`
	File  *FileRef  `json:"file,omitempty"`
	Cache CacheHint `json:"cache,omitempty"`
}

// FileRef names a file that was uploaded to a provider. Only that provider knows it.
type FileRef struct {
	Provider string `json:"provider"`
	ID       string `json:"id"`
}

// ToolCall is the model's wish to have a tool run.
type ToolCall struct {
	// ID links the call to its [ToolResult].
	ID   string `json:"id"`
	Name string `json:"name"`
	// Args is a JSON object. It is never cut: a call whose arguments did not arrive whole has Incomplete set, no Args, and
	// must not be run; it is never sent.
	Args       json.RawMessage `json:"args,omitempty"`
	Incomplete bool            `json:"incomplete,omitempty"`
	Extra      Extra           `json:"extra,omitempty"`
	Origin     *Origin         `json:"origin,omitempty"`
}

// ToolResult is what a tool returned.
type ToolResult struct {
	CallID string `json:"call_id"`
	// Name is the tool's name. It may be left empty: it is then taken from the call.
	Name    string    `json:"name,omitempty"`
	Parts   Parts     `json:"parts"`
	IsError bool      `json:"is_error,omitempty"`
	Cache   CacheHint `json:"cache,omitempty"`
}

// Result returns a text result for call.
func Result(call *ToolCall, text string) *ToolResult {
	return &ToolResult{CallID: call.ID, Name: call.Name, Parts: Parts{&Text{Text: text}}}
}

// Thinking is reasoning of the model. It is returned only to its Origin, which may require it; elsewhere it is left out, and
// the Trail notes it.
type Thinking struct {
	// Text is the readable summary; often empty.
	Text string `json:"text,omitempty"`
	// Opaque is what only the producer can read: a signature, encrypted reasoning or redacted data.
	Opaque []byte `json:"opaque,omitempty"`
	// Kind tells the producer's forms apart; "" is its ordinary one.
	Kind   string  `json:"kind,omitempty"`
	Origin *Origin `json:"origin,omitempty"`
}

// Refusal is the model's statement that it will not answer.
type Refusal struct {
	Text string `json:"text"`
}

// Opaque is a block that holdfast does not interpret, such as a provider's own search result. It is returned only to its Origin.
type Opaque struct {
	Raw    json.RawMessage `json:"raw"`
	Origin *Origin         `json:"origin,omitempty"`
}

func (*Text) partType() string       { return "text" }
func (*Image) partType() string      { return "image" }
func (*Document) partType() string   { return "document" }
func (*Audio) partType() string      { return "audio" }
func (*ToolCall) partType() string   { return "tool_call" }
func (*ToolResult) partType() string { return "tool_result" }
func (*Thinking) partType() string   { return "thinking" }
func (*Refusal) partType() string    { return "refusal" }
func (*Opaque) partType() string     { return "opaque" }

func newPart(kind string) Part {
	switch kind {
	case "text":
		return new(Text)
	case "image":
		return new(Image)
	case "document":
		return new(Document)
	case "audio":
		return new(Audio)
	case "tool_call":
		return new(ToolCall)
	case "tool_result":
		return new(ToolResult)
	case "thinking":
		return new(Thinking)
	case "refusal":
		return new(Refusal)
	case "opaque":
		return new(Opaque)
	}
	return nil
}

// MarshalJSON writes each part as an object with its "type" first.
func (p Parts) MarshalJSON() ([]byte, error) {
	out := []byte{'['}
	for i, part := range p {
		if isNilPart(part) {
			return nil, fmt.Errorf("holdfast: parts[%d] is nil", i)
		}
		body, err := json.Marshal(part)
		if err != nil {
			return nil, fmt.Errorf("holdfast: parts[%d]: %w", i, err)
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, `{"type":"`...)
		out = append(out, part.partType()...)
		out = append(out, '"')
		if len(body) > len("{}") {
			out = append(out, ',')
		}
		out = append(out, body[1:]...)
	}
	return append(out, ']'), nil
}

// UnmarshalJSON reads what MarshalJSON writes. An unknown type is an error.
func (p *Parts) UnmarshalJSON(data []byte) error { return p.read(data, newPart) }

// read reads parts of the types that make knows.
func (p *Parts) read(data []byte, make func(kind string) Part) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil || raw == nil {
		return err // null changes nothing
	}
	parts := Parts{}
	for i, r := range raw {
		var head struct {
			Type string `json:"type"`
		}
		if err := json.Unmarshal(r, &head); err != nil {
			return fmt.Errorf("holdfast: parts[%d]: %w", i, err)
		}
		part := make(head.Type)
		if part == nil {
			return fmt.Errorf("holdfast: parts[%d].type: %.40q is not a type of part that can stand here", i, head.Type)
		}
		if err := json.Unmarshal(r, part); err != nil {
			return fmt.Errorf("holdfast: parts[%d]: %w", i, err)
		}
		parts = append(parts, part)
	}
	*p = parts
	return nil
}

// UnmarshalJSON reads a result, which may hold no further result: nesting would be read again and again.
func (r *ToolResult) UnmarshalJSON(data []byte) error {
	type plain ToolResult
	in := struct {
		*plain
		Parts resultParts `json:"parts"`
	}{plain: (*plain)(r)}
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	r.Parts = Parts(in.Parts)
	return nil
}

// resultParts are the parts of a tool's result.
type resultParts Parts

func (p *resultParts) UnmarshalJSON(data []byte) error {
	return (*Parts)(p).read(data, func(kind string) Part {
		switch kind {
		case "text", "image", "document":
			return newPart(kind)
		}
		return nil
	})
}

func isNilPart(p Part) bool {
	switch p := p.(type) {
	case nil:
		return true
	case *Text:
		return p == nil
	case *Image:
		return p == nil
	case *Document:
		return p == nil
	case *Audio:
		return p == nil
	case *ToolCall:
		return p == nil
	case *ToolResult:
		return p == nil
	case *Thinking:
		return p == nil
	case *Refusal:
		return p == nil
	case *Opaque:
		return p == nil
	}
	return false
}

// Origin says who produced something that only its producer can read.
type Origin struct {
	// Provider is the dialect that was spoken, such as "claude".
	Provider string `json:"provider"`
	// Platform is the host that answered.
	Platform string `json:"platform,omitempty"`
	// Account is a hash of the key's account, never the key.
	Account string `json:"account,omitempty"`
	// Model is the model's name at the provider.
	Model string `json:"model,omitempty"`
}

// CacheHint asks the provider to keep the prompt up to and including this part for reuse. Hint.
type CacheHint string

// How long to keep it; the provider decides what that means (Claude: 5 minutes and 1 hour).
const (
	CacheShort CacheHint = "short"
	CacheLong  CacheHint = "long"
)

// Tool describes a function of the caller's.
type Tool struct {
	// Name must match ^[a-zA-Z0-9_-]{1,64}$, which every provider takes.
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Schema is the JSON Schema of the arguments, an object schema; empty means no arguments.
	Schema json.RawMessage `json:"schema,omitempty"`
	// Strict asks the provider to hold the arguments to the schema exactly.
	Strict bool      `json:"strict,omitempty"`
	Cache  CacheHint `json:"cache,omitempty"`
}

// ToolChoice says whether the model may, must or must not call a tool. The zero value lets it decide.
type ToolChoice struct {
	Mode ToolMode `json:"mode,omitempty"`
	// Name is the one tool to call; only with ToolNamed.
	Name string `json:"name,omitempty"`
}

// ToolMode is the kind of a [ToolChoice].
type ToolMode string

// The modes. The empty mode is ToolAuto.
const (
	ToolAuto     ToolMode = "auto"
	ToolNone     ToolMode = "none"
	ToolRequired ToolMode = "required"
	ToolNamed    ToolMode = "named"
)

// Reasoning sets how a model thinks before it answers. The zero value leaves all to the model.
type Reasoning struct {
	Effort Effort `json:"effort,omitempty"`
	// BudgetTokens bounds thinking on models that count it in tokens; 0 means the model's default.
	BudgetTokens int `json:"budget_tokens,omitempty"`
	// Summary asks for a readable summary of the thinking.
	Summary bool `json:"summary,omitempty"`
}

// Effort is how hard to think. The empty Effort is the model's default.
type Effort string

// The efforts. A level that a model does not have is unsupported there, not rounded.
const (
	EffortOff     Effort = "off"
	EffortMinimal Effort = "minimal"
	EffortLow     Effort = "low"
	EffortMedium  Effort = "medium"
	EffortHigh    Effort = "high"
	EffortXHigh   Effort = "xhigh"
	EffortMax     Effort = "max"
)

// Output constrains the form of an answer.
type Output struct {
	Format OutputFormat `json:"format,omitempty"`
	// Name, Schema and Strict belong to OutputSchema.
	Name   string          `json:"name,omitempty"`
	Schema json.RawMessage `json:"schema,omitempty"`
	Strict bool            `json:"strict,omitempty"`
}

// OutputFormat is the kind of an [Output]. The empty format is free text.
type OutputFormat string

// The formats.
const (
	// OutputJSON is any JSON object.
	OutputJSON OutputFormat = "json"
	// OutputSchema is JSON that fits Output.Schema.
	OutputSchema OutputFormat = "schema"
)

// ChatResponse is a whole answer: its protocol's own evidence of completeness was seen.
type ChatResponse struct {
	// ID is the provider's id of the answer; RequestID its id of the exchange, to quote to its support.
	ID        string `json:"id,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	// Endpoint is the name of the endpoint that answered, Provider its dialect, Model the model it says it used.
	Endpoint string `json:"endpoint,omitempty"`
	Provider string `json:"provider,omitempty"`
	Model    string `json:"model,omitempty"`
	// Message is the answer, ready to be appended to the conversation.
	Message Message `json:"message"`
	Stop    Stop    `json:"stop"`
	Usage   Usage   `json:"usage"`
	// Extra holds what the provider said beside it, by provider name.
	Extra Extra `json:"extra,omitempty"`
	// Degraded is set if a Local endpoint answered as the last resort, in the place of better ones.
	Degraded bool `json:"degraded,omitempty"`
	// Trail tells how the answer was come by.
	Trail Trail `json:"trail,omitzero"`
}

// Text returns the visible text of the answer.
func (r *ChatResponse) Text() string { return r.Message.Text() }

// ToolCalls returns the calls that are complete and may be run.
func (r *ChatResponse) ToolCalls() []*ToolCall {
	var calls []*ToolCall
	for _, part := range r.Message.Parts {
		if c, ok := part.(*ToolCall); ok && !c.Incomplete {
			calls = append(calls, c)
		}
	}
	return calls
}

// Stop says why an answer ended.
type Stop struct {
	Reason StopReason `json:"reason"`
	// Raw is the provider's own word.
	Raw string `json:"raw,omitempty"`
	// Sequence is the stop text that was met, where the provider says so.
	Sequence string `json:"sequence,omitempty"`
	// Detail is the provider's explanation, such as the category of a refusal.
	Detail string `json:"detail,omitempty"`
}

// StopReason is why an answer ended. Unknown future reasons read as StopUnknown; Stop.Raw has the word.
type StopReason string

// The reasons.
const (
	StopEndTurn   StopReason = "end_turn"
	StopMaxTokens StopReason = "max_tokens"
	StopSequence  StopReason = "stop_sequence"
	StopToolUse   StopReason = "tool_use"
	StopRefusal   StopReason = "refusal"
	StopFilter    StopReason = "content_filter"
	StopPaused    StopReason = "paused"           // send the answer back as it is to go on
	StopContext   StopReason = "context_exceeded" // the model's context filled up while answering
	StopResumable StopReason = "resumable"        // the provider can go on from a token it gave in Extra
	StopUnknown   StopReason = "unknown"
)

// Usage counts tokens. Where a provider gives totals while streaming, the last one counts.
type Usage struct {
	// Input is the whole prompt, cached tokens included, for every provider.
	Input int `json:"input"`
	// CacheRead, CacheWrite and CacheWriteLong are the parts of Input read from and written to the prompt cache.
	CacheRead      int `json:"cache_read,omitempty"`
	CacheWrite     int `json:"cache_write,omitempty"`
	CacheWriteLong int `json:"cache_write_long,omitempty"`
	// Output is the whole answer, reasoning included; Reasoning is that part of it.
	Output    int `json:"output"`
	Reasoning int `json:"reasoning,omitempty"`
	// Exact is set when the provider's final count was seen. A broken attempt may have cost more than the count shows.
	Exact bool `json:"exact,omitempty"`
	// Estimated is set when the provider had not counted what it wrote, so that Output is holdfast's estimate: 4 bytes a token. A count
	// that is neither exact nor estimated is what the provider had said by then.
	Estimated bool `json:"estimated,omitempty"`
	// Raw is the provider's own usage object.
	Raw json.RawMessage `json:"raw,omitempty"`
}

// Event is one step of a streamed answer.
type Event struct {
	Type EventType
	// Block numbers the parts in the order of the answer, from 0. It never goes back, also behind an EventReset.
	Block int
	// Delta is a piece of text, thinking, refusal or tool arguments, by Type. See [Event.Text].
	Delta string
	// Part is set on EventToolCall (ID and Name only) and EventBlockEnd (the whole part).
	Part Part
	// Usage is set on EventUsage: the count so far.
	Usage *Usage
	// Response is set on EventStart, EventHop and the EventReset of a new beginning: what is known so far, that is where it comes from, and
	// the Trail until then. On EventEnd it is the whole answer.
	Response *ChatResponse
}

// Text returns the piece of visible text that the event carries, "" for any other event.
func (e Event) Text() string {
	if e.Type == EventText {
		return e.Delta
	}
	return ""
}

// EventType is the kind of an [Event]. Loops over a stream should ignore types they do not know.
type EventType uint8

// The types of event, in the order in which an answer brings them.
const (
	// EventStart comes once, first, when an endpoint has begun to answer.
	EventStart EventType = iota + 1
	EventText
	EventThinking
	EventRefusal
	// EventToolCall begins a tool call; EventToolArgs brings its arguments raw. Both come only with [ChatRequest].StreamToolArgs. Run a
	// call only from its EventBlockEnd.
	EventToolCall
	EventToolArgs
	// EventBlockEnd brings a part whole.
	EventBlockEnd
	EventUsage
	// EventReset tells the reader to discard all it was shown since EventStart. The provider withdrew it; or the answer broke off and
	// begins anew, which happens only with [RescueReset] and [RescueAll]: Response then says where.
	EventReset
	// EventHop tells that the answer broke off and goes on from another attempt, without a gap and with nothing said twice. Response
	// says where.
	EventHop
	// EventEnd comes once, last, and only when the answer is whole.
	EventEnd
)

var eventNames = [...]string{"", "start", "text", "thinking", "refusal", "tool_call", "tool_args", "block_end", "usage", "reset", "hop", "end"}

func (t EventType) String() string {
	if int(t) < len(eventNames) && t > 0 {
		return eventNames[t]
	}
	return fmt.Sprintf("EventType(%d)", uint8(t))
}
