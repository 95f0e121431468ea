package holdfast

import (
	"encoding/json"
	"fmt"
	"math"
)

// check finds the first fault of a request that no provider could forgive.
func (r *ChatRequest) check() error {
	if r == nil {
		return invalid("request", "is nil")
	}
	if len(r.Messages) == 0 {
		return invalid("messages", "is empty: give at least one message, for instance Ask(question)")
	}
	for i, t := range r.System {
		if t == nil || t.Text == "" {
			return invalid(fmt.Sprintf("system[%d].text", i), "is empty")
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
	known := map[string]bool{}
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
				if known[p.ID] {
					return fault(fmt.Sprintf(".parts[%d].id", j), "is the id of an earlier call too")
				}
				known[p.ID], open[p.ID] = true, true
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
		if p.Text == "" {
			return invalid(".text", "is empty")
		}
	case *Image:
		return checkSource(p.MIME, p.Bytes, p.URL, p.File)
	case *Document:
		return checkSource(p.MIME, p.Bytes, p.URL, p.File)
	case *Audio:
		return checkSource(p.MIME, p.Bytes, p.URL, p.File)
	case *ToolCall:
		switch {
		case p.Incomplete:
			return invalid("", "is an incomplete tool call, which is never sent: remove it")
		case p.ID == "":
			return invalid(".id", "is empty")
		case p.Name == "":
			return invalid(".name", "is empty")
		case len(p.Args) > 0 && !isObject(p.Args):
			return invalid(".args", "must be a JSON object, nested at most 10,000 deep")
		}
	case *ToolResult:
		if p.CallID == "" {
			return invalid(".call_id", "is empty")
		}
		for i, inner := range p.Parts {
			switch inner.(type) {
			case *Text, *Image, *Document:
			default:
				return invalid(fmt.Sprintf(".parts[%d]", i), "must be text, an image or a document")
			}
			if t, ok := inner.(*Text); ok && t != nil {
				continue // a tool may return an empty text
			}
			if err := checkPart(RoleUser, inner); err != nil {
				return err.within(fmt.Sprintf(".parts[%d]", i))
			}
		}
	case *Opaque:
		if !json.Valid(p.Raw) {
			return invalid(".raw", "must be valid JSON")
		}
	}
	return nil
}

func checkSource(mime string, data []byte, url string, file *FileRef) *Error {
	given := 0
	for _, is := range []bool{len(data) > 0, url != "", file != nil} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return invalid("", "needs exactly one of bytes, url and file")
	case len(data) > 0 && mime == "":
		return invalid(".mime", "is required with bytes")
	case file != nil && (file.Provider == "" || file.ID == ""):
		return invalid(".file", "needs provider and id")
	}
	return nil
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
		at := fmt.Sprintf("tools[%d]", i)
		switch {
		case !isToolName(t.Name):
			return invalid(at+".name", "must be 1 to 64 letters, digits, _ or -")
		case seen[t.Name]:
			return invalid(at+".name", fmt.Sprintf("%q is there twice", t.Name))
		case len(t.Schema) > 0 && !isObject(t.Schema):
			return invalid(at+".schema", "must be a JSON Schema object, nested at most 10,000 deep")
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
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

func (r *ChatRequest) checkSettings() error {
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
	switch {
	case r.MaxOutputTokens < 0:
		return invalid("max_output_tokens", "must not be negative")
	case r.TopK < 0:
		return invalid("top_k", "must not be negative")
	case r.Reasoning.BudgetTokens < 0:
		return invalid("reasoning.budget_tokens", "must not be negative")
	}
	for i, s := range r.Stop {
		if s == "" {
			return invalid(fmt.Sprintf("stop[%d]", i), "is empty")
		}
	}
	switch r.Reasoning.Effort {
	case "", EffortOff, EffortMinimal, EffortLow, EffortMedium, EffortHigh, EffortXHigh, EffortMax:
	default:
		return invalid("reasoning.effort", `must be "off", "minimal", "low", "medium", "high", "xhigh" or "max"`)
	}
	return r.checkOutput()
}

func (r *ChatRequest) checkOutput() error {
	switch o := r.Output; o.Format {
	case "", OutputJSON:
		if len(o.Schema) > 0 {
			return invalid("output.schema", `goes only with the format "schema"`)
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
