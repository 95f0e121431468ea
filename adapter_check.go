package holdfast

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"strings"
	"unicode/utf8"
)

// check finds the first fault of a request that no provider could forgive.
func (r *ChatRequest) check() error {
	if r == nil {
		return invalid("request", "is nil")
	}
	if len(r.Messages) == 0 {
		return invalid("messages", "is empty: give at least one message, for instance Ask(question)")
	}
	if !isPlain(r.Model) {
		return invalid("model", notPlain)
	}
	for i, t := range r.System {
		if t == nil {
			return invalid(fmt.Sprintf("system[%d].text", i), "is empty")
		}
		if err := checkText(t); err != nil {
			return err.within(fmt.Sprintf("system[%d]", i))
		}
	}
	if err := r.checkMessages(); err != nil {
		return err
	}
	if err := r.checkTools(); err != nil {
		return err
	}
	return r.checkSettings()
}

func invalid(field, why string) *Error {
	return &Error{Kind: KindInvalid, Field: field, Message: why}
}

// checkMessages checks the conversation. Fields are named only once something is at fault, so that a long conversation that is sound costs no allocations.
func (r *ChatRequest) checkMessages() error {
	open := map[string]bool{} // calls of the last assistant turn that wait for their result
	for i, m := range r.Messages {
		fault := func(field, why string) error { return invalid(fmt.Sprintf("messages[%d]%s", i, field), why) }
		switch m.Role {
		case RoleUser, RoleAssistant, RoleTool, RoleDeveloper:
		default:
			return fault(".role", `must be "user", "assistant", "tool" or "developer"`)
		}
		if len(m.Parts) == 0 {
			return fault(".parts", "is empty")
		}
		if m.Role == RoleAssistant && len(open) > 0 {
			return fault("", "the tool calls before it have no result")
		}
		for j, p := range m.Parts {
			if err := checkPart(m.Role, p); err != nil {
				return err.within(fmt.Sprintf("messages[%d].parts[%d]", i, j))
			}
			switch p := p.(type) {
			case *ToolCall:
				// The id of a call that has its result may come again: some servers count from 0 in each answer.
				if open[p.ID] {
					return fault(fmt.Sprintf(".parts[%d].id", j), "is the id of an earlier call too")
				}
				open[p.ID] = true
			case *ToolResult:
				if !open[p.CallID] {
					return fault(fmt.Sprintf(".parts[%d].call_id", j), "answers no tool call that waits for a result")
				}
				delete(open, p.CallID)
			}
		}
		if m.Role == RoleUser && len(open) > 0 {
			return fault("", "the tool calls before it have no result")
		}
	}
	if len(open) > 0 {
		return invalid(fmt.Sprintf("messages[%d]", len(r.Messages)-1), "a tool call has no result: append Results(…)")
	}
	return nil
}

// within puts the path of what holds the field before it.
func (e *Error) within(path string) *Error {
	e.Field = path + e.Field
	return e
}

// allowed says which parts each role may hold. A user's message may hold results, as some providers have it.
func allowed(role Role, p Part) bool {
	switch p.(type) {
	case *Text:
		return true
	case *Image, *Document, *Audio:
		return role == RoleUser
	case *ToolResult:
		return role == RoleTool || role == RoleUser
	case *ToolCall, *Thinking, *Refusal, *Opaque:
		return role == RoleAssistant
	}
	return false
}

// checkPart names the field at fault as seen from the part: ".text", or "" for the part itself.
func checkPart(role Role, p Part) *Error {
	if isNilPart(p) {
		return invalid("", "is nil")
	}
	if !allowed(role, p) || (role == RoleTool && p.partType() != "tool_result") {
		return invalid("", fmt.Sprintf("a %s part cannot stand in a message of the role %q", p.partType(), role))
	}
	switch p := p.(type) {
	case *Text:
		return checkText(p)
	case *Refusal:
		return checkText(&Text{Text: p.Text})
	case *Thinking:
		if !utf8.ValidString(p.Text) {
			return invalid(".text", notUTF8)
		}
	case *Image:
		return checkMedia(media{p.MIME, p.Bytes, p.URL, p.File, "", p.Cache})
	case *Document:
		return checkMedia(media{p.MIME, p.Bytes, p.URL, p.File, p.Name, p.Cache})
	case *Audio:
		return checkMedia(media{p.MIME, p.Bytes, p.URL, p.File, "", ""})
	case *ToolCall:
		return checkCall(p)
	case *ToolResult:
		return checkResult(p)
	case *Opaque:
		if !json.Valid(p.Raw) {
			return invalid(".raw", "must be valid JSON, nested at most 10,000 deep")
		}
	}
	return nil
}

func checkText(t *Text) *Error {
	switch {
	case t.Text == "":
		return invalid(".text", "is empty")
	case !utf8.ValidString(t.Text):
		return invalid(".text", notUTF8)
	case !isCache(t.Cache):
		return invalid(".cache", notCache)
	}
	return checkAttached(t.Extra)
}

// checkAttached checks what a provider attached to a part.
func checkAttached(extra Extra) *Error {
	for name, raw := range extra {
		if !json.Valid(raw) {
			return invalid(".extra."+name, "must be valid JSON")
		}
	}
	return nil
}

func checkCall(c *ToolCall) *Error {
	switch {
	case c.Incomplete:
		return invalid("", "is an incomplete tool call, which is never sent: remove it")
	case c.ID == "":
		return invalid(".id", "is empty")
	case !isPlain(c.ID):
		return invalid(".id", notPlain)
	case c.Name == "":
		return invalid(".name", "is empty")
	case !isPlain(c.Name):
		return invalid(".name", notPlain)
	case len(c.Args) > 0 && !isObject(c.Args):
		return invalid(".args", "must be a JSON object, nested at most 10,000 deep")
	}
	return checkAttached(c.Extra)
}

func checkResult(r *ToolResult) *Error {
	switch {
	case r.CallID == "":
		return invalid(".call_id", "is empty")
	case !isPlain(r.Name):
		return invalid(".name", notPlain)
	case !isCache(r.Cache):
		return invalid(".cache", notCache)
	}
	for i, p := range r.Parts {
		var err *Error
		switch p := p.(type) {
		case *Text:
			if p != nil && p.Text == "" {
				continue // a tool may return an empty text
			}
			err = checkPart(RoleUser, p)
		case *Image, *Document:
			err = checkPart(RoleUser, p)
		default:
			err = invalid("", "must be text, an image or a document")
		}
		if err != nil {
			return err.within(fmt.Sprintf(".parts[%d]", i))
		}
	}
	return nil
}

// media is what images, documents and audio have in common.
type media struct {
	mime  string
	data  []byte
	url   string
	file  *FileRef
	name  string
	cache CacheHint
}

func checkMedia(m media) *Error {
	given := 0
	for _, is := range []bool{len(m.data) > 0, m.url != "", m.file != nil} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return invalid("", "needs exactly one of bytes, url and file")
	case len(m.data) > 0 && m.mime == "":
		return invalid(".mime", "is required with bytes")
	case m.mime != "" && !isMIME(m.mime):
		return invalid(".mime", `must be a media type such as "image/png"`)
	case m.url != "" && !isURL(m.url):
		return invalid(".url", "must be an absolute URL")
	case m.file != nil && (m.file.Provider == "" || m.file.ID == ""):
		return invalid(".file", "needs provider and id")
	case m.file != nil && !isPlain(m.file.ID):
		return invalid(".file.id", notPlain)
	case !isPlain(m.name):
		return invalid(".name", notPlain)
	case !isCache(m.cache):
		return invalid(".cache", notCache)
	}
	return nil
}

const (
	notUTF8  = "is not valid UTF-8"
	notPlain = "must be valid UTF-8 without control characters"
	notCache = `must be "short" or "long"`
	notCount = "must lie between 0 and 2147483647"
)

// isPlain reports whether a name or id, which may be empty, can be told in one line.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7F {
			return false
		}
	}
	return utf8.ValidString(s)
}

func isCache(c CacheHint) bool { return c == "" || c == CacheShort || c == CacheLong }

func isMIME(s string) bool {
	kind, rest, ok := strings.Cut(s, "/")
	return ok && kind != "" && rest != "" && rest[0] != ';' && strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme != "" && isPlain(s) && !strings.Contains(s, " ")
}

func isObject(raw json.RawMessage) bool {
	for _, c := range raw {
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return c == '{' && json.Valid(raw)
	}
	return false
}

func (r *ChatRequest) checkTools() error {
	seen := map[string]bool{}
	for i, t := range r.Tools {
		fault := func(field, why string) error { return invalid(fmt.Sprintf("tools[%d]%s", i, field), why) }
		switch {
		case !isToolName(t.Name):
			return fault(".name", "must be 1 to 64 letters, digits, _ or -")
		case seen[t.Name]:
			return fault(".name", fmt.Sprintf("%q is there twice", t.Name))
		case !utf8.ValidString(t.Description):
			return fault(".description", notUTF8)
		case len(t.Schema) > 0 && !isObject(t.Schema):
			return fault(".schema", "must be a JSON Schema object, nested at most 10,000 deep")
		case !isCache(t.Cache):
			return fault(".cache", notCache)
		}
		seen[t.Name] = true
	}
	switch c := r.ToolChoice; c.Mode {
	case "", ToolAuto, ToolNone:
		if c.Name != "" {
			return invalid("tool_choice.name", `goes only with the mode "named"`)
		}
	case ToolRequired:
		if len(r.Tools) == 0 {
			return invalid("tool_choice", "there are no tools")
		}
	case ToolNamed:
		if !seen[c.Name] {
			return invalid("tool_choice.name", "is not the name of a tool of the request")
		}
	default:
		return invalid("tool_choice.mode", `must be "auto", "none", "required" or "named"`)
	}
	return nil
}

func isToolName(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if fits := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '-'; !fits {
			return false
		}
	}
	return true
}

func (r *ChatRequest) checkSettings() error {
	for i, region := range r.Residency {
		if region == "" {
			return invalid(fmt.Sprintf("residency[%d]", i), "is empty")
		}
	}
	if !r.Rescue.valid() {
		return invalid("rescue", "must be "+rescueNames)
	}
	for _, f := range []struct {
		name      string
		value     *float64
		low, high float64
	}{
		{"temperature", r.Temperature, 0, 2},
		{"top_p", r.TopP, 0, 1},
		{"presence_penalty", r.PresencePenalty, -2, 2},
		{"frequency_penalty", r.FrequencyPenalty, -2, 2},
	} {
		if f.value != nil && (math.IsNaN(*f.value) || *f.value < f.low || *f.value > f.high) {
			return invalid(f.name, fmt.Sprintf("must lie between %g and %g", f.low, f.high))
		}
	}
	for _, f := range []struct {
		name  string
		value int
	}{
		{"max_output_tokens", r.MaxOutputTokens},
		{"top_k", r.TopK},
		{"reasoning.budget_tokens", r.Reasoning.BudgetTokens},
	} {
		if f.value < 0 || f.value > math.MaxInt32 {
			return invalid(f.name, notCount)
		}
	}
	for i, s := range r.Stop {
		if s == "" || !utf8.ValidString(s) {
			return invalid(fmt.Sprintf("stop[%d]", i), "must be a text of valid UTF-8")
		}
	}
	switch r.Reasoning.Effort {
	case "", EffortOff, EffortMinimal, EffortLow, EffortMedium, EffortHigh, EffortXHigh, EffortMax:
		if r.Reasoning.Effort == EffortOff && r.Reasoning.BudgetTokens > 0 {
			return invalid("reasoning.budget_tokens", `goes not with the effort "off"`)
		}
	default:
		return invalid("reasoning.effort", `must be "off", "minimal", "low", "medium", "high", "xhigh" or "max"`)
	}
	if err := r.checkOutput(); err != nil {
		return err
	}
	return r.checkBeside()
}

// checkBeside checks what goes along with the request for the provider's books.
func (r *ChatRequest) checkBeside() error {
	if !isPlain(r.EndUser) {
		return invalid("end_user", notPlain)
	}
	if !isPlain(r.Tier) {
		return invalid("tier", notPlain)
	}
	for k, v := range r.Metadata {
		if !isPlain(k) || !utf8.ValidString(v) {
			return invalid("metadata", "keys and values must be valid UTF-8")
		}
	}
	for name, raw := range r.Extra {
		if !isObject(raw) {
			return invalid("extra."+name, "must be a JSON object, nested at most 10,000 deep")
		}
	}
	return nil
}

func (r *ChatRequest) checkOutput() error {
	switch o := r.Output; o.Format {
	case "", OutputJSON:
		if len(o.Schema) > 0 {
			return invalid("output.schema", `goes only with the format "schema"`)
		}
		if o.Name != "" {
			return invalid("output.name", `goes only with the format "schema"`)
		}
		if o.Strict {
			return invalid("output.strict", `goes only with the format "schema"`)
		}
	case OutputSchema:
		if !isObject(o.Schema) {
			return invalid("output.schema", "must be a JSON Schema object, nested at most 10,000 deep")
		}
		if o.Name != "" && !isToolName(o.Name) {
			return invalid("output.name", "must be 1 to 64 letters, digits, _ or -")
		}
	default:
		return invalid("output.format", `must be "json" or "schema"`)
	}
	return nil
}
