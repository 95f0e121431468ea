package holdfasttest

import (
	"fmt"
	"slices"
	"strings"
)

var inputShape = func() shape {
	parts := shape{
		"type=input_text":  words("type text prompt_cache_breakpoint"),
		"type=input_image": words("type detail file_id image_url prompt_cache_breakpoint"),
		"type=input_file":  words("type file_id file_data file_url filename detail prompt_cache_breakpoint"),
		"type=output_text": words("type text annotations logprobs"),
		"type=refusal":     words("type refusal"),
	}
	message := words("type role status phase id").with(shape{"content": parts})
	return shape{
		"type=": message, "type=message": message,
		"type=function_call":        words("type id call_id name arguments status namespace async caller"),
		"type=function_call_output": words("type id call_id status name namespace caller").with(shape{"output": parts}),
		"type=reasoning":            words("type id summary content encrypted_content status"),
		"*":                         nil,
	}
}()

var responsesShape = words(`model background instructions max_output_tokens max_tool_calls parallel_tool_calls previous_response_id
	prompt_cache_key safety_identifier store stream temperature top_logprobs top_p user context_management conversation
	include metadata moderation prompt prompt_cache_retention service_tier truncation access_programs prompt_cache_options
	tool_choice`).with(shape{
	"input":          inputShape,
	"stream_options": words("include_obfuscation"),
	"reasoning":      words("effort summary generate_summary context mode"),
	"text": {"verbosity": nil, "format": {
		"type=json_schema": words("type name description schema strict"), "type=text": words("type"), "type=json_object": words("type"),
	}},
	"tools": {
		"type=function": words("type name description parameters strict async defer_loading allowed_callers output_schema"),
		"*":             nil,
	},
})

func (o openAI) responses(m map[string]any) (*ask, *problem) {
	if path, name := responsesShape.strange(m, nil); name != "" {
		at := brackets(append(path, name))
		return nil, refused(at, "unknown_parameter", "Unknown parameter: '%s'.", at)
	}
	items := objects(m["input"])
	switch input := m["input"].(type) {
	case string:
	case []any:
		if p := responsesInput(items, m); p != nil {
			return nil, p
		}
	case nil:
		if !has(m, "prompt") && !has(m, "previous_response_id") && !has(m, "conversation") {
			return nil, refused("input", "missing_required_parameter", "Missing required parameter: 'input'.")
		}
	default:
		return nil, refused("input", "invalid_type", "Invalid type for 'input': expected one of a string or array of input items, but got %T instead.", input)
	}
	if p := responsesSettings(m); p != nil {
		return nil, p
	}
	reasoning := sub(m, "reasoning")
	include, _ := m["include"].([]any)
	return &ask{form: responsesForm{
		summary:   has(reasoning, "summary"),
		encrypted: m["store"] == false || slices.Contains(include, any("reasoning.encrypted_content")),
		phases:    openAIModelOf(text(m, "model")).gpt >= 504,
		kept:      flag(m, "background"),
	}}, nil
}

// reasoningID is the id of the reasoning that comes with answer n; reasoningOf, that of the reasoning which a call with this id
// goes back to, empty if it goes back to none.
func reasoningID(n int) string { return fmt.Sprintf("rs_%030d", n) }

func callItemID(i, n int, reasoned bool) string {
	if reasoned {
		return fmt.Sprintf("fc_%016dr%08d%06d", 0, i, n)
	}
	return fmt.Sprintf("fc_%017d%08d%06d", 0, i, n)
}

func reasoningOf(id string) string {
	var zero, i, n int
	if _, err := fmt.Sscanf(id, "fc_%16dr%8d%6d", &zero, &i, &n); err != nil {
		return ""
	}
	return reasoningID(n)
}

// responsesParts names the parts that each role may hold.
var responsesParts = map[string][]string{
	"user": {"input_text", "input_image", "input_file"}, "system": {"input_text", "input_image", "input_file"},
	"developer": {"input_text", "input_image", "input_file"}, "assistant": {"output_text", "refusal"},
}

func responsesInput(items []map[string]any, m map[string]any) *problem {
	stored := has(m, "previous_response_id") || has(m, "conversation")
	open, reasoned := map[string]bool{}, map[string]bool{}
	for i, it := range items {
		at := fmt.Sprintf("input[%d]", i)
		switch kind := text(it, "type"); kind {
		case "", "message":
			if p := responsesMessage(it, at); p != nil {
				return p
			}
		case "function_call":
			if text(it, "call_id") == "" {
				return refused(at+".call_id", "missing_required_parameter", "Missing required parameter: '%s.call_id'.", at)
			}
			if _, ok := it["arguments"].(string); !ok {
				return refused(at+".arguments", "invalid_type", "Invalid type for '%s.arguments': expected a string.", at)
			}
			if id := text(it, "id"); reasoningOf(id) != "" && !reasoned[reasoningOf(id)] && !stored {
				return refused("input", "", "Item '%s' of type 'function_call' was provided without its required 'reasoning' item.", id)
			}
			open[text(it, "call_id")] = true
		case "function_call_output":
			id := text(it, "call_id")
			if !open[id] && !stored {
				return refused("input", "", "No tool call found for function call output with call_id %s.", id)
			}
			if !has(it, "output") {
				return refused(at+".output", "missing_required_parameter", "Missing required parameter: '%s.output'.", at)
			}
			delete(open, id)
		case "reasoning":
			if p := responsesReasoning(it, items[i+1:], text(m, "model")); p != nil {
				return p
			}
			reasoned[text(it, "id")] = true
		}
	}
	if len(open) > 0 {
		return refused("input", "", "No tool output found for function call %s.", ids(open)[0])
	}
	return nil
}

func responsesMessage(it map[string]any, at string) *problem {
	role := text(it, "role")
	allowed, ok := responsesParts[role]
	if !ok {
		return refused(at+".role", "invalid_value", "Invalid value: '%s'. Supported values are: 'assistant', 'system', 'developer', and 'user'.", role)
	}
	if !has(it, "content") {
		return refused(at+".content", "missing_required_parameter", "Missing required parameter: '%s.content'.", at)
	}
	for j, part := range objects(it["content"]) {
		if kind := text(part, "type"); !slices.Contains(allowed, kind) {
			return refused(fmt.Sprintf("%s.content[%d]", at, j), "invalid_value", "Invalid value: '%s'. Supported values are: '%s'.", kind, strings.Join(allowed, "', '"))
		}
	}
	return nil
}

func responsesReasoning(it map[string]any, behind []map[string]any, model string) *problem {
	id := text(it, "id")
	if _, ok := it["summary"].([]any); !ok {
		return refused("input", "missing_required_parameter", "Missing required parameter: 'input[].summary'.")
	}
	if sealed := text(it, "encrypted_content"); sealed != "" {
		if by, ok := signed(OpenAI, sealed); !ok || by != model {
			p := openAI{}.problem(BadSignature, 0, "")
			return &p
		}
	}
	if len(behind) == 0 {
		return refused("input", "", "Item '%s' of type 'reasoning' was provided without its required following item.", id)
	}
	return nil
}

func responsesSettings(m map[string]any) *problem {
	facts, effort := openAIModelOf(text(m, "model")), text(sub(m, "reasoning"), "effort")
	for i, t := range objects(m["tools"]) {
		if text(t, "type") != "function" {
			continue
		}
		at := fmt.Sprintf("tools[%d]", i)
		if !toolName.MatchString(text(t, "name")) {
			return refused(at+".name", "invalid_value", "Invalid '%s.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.", at)
		}
		if flag(t, "strict") {
			if p := strictSchema(sub(t, "parameters"), at+".parameters", "function '"+text(t, "name")+"'"); p != nil {
				return p
			}
		}
	}
	if flag(m, "background") && m["store"] == false { // (unverified)
		return refused("background", "", "Background mode requires 'store' to be true.")
	}
	// The minimum of 16 is (unverified).
	if n, ok := number(m, "max_output_tokens"); ok && n < 16 {
		return refused("max_output_tokens", "integer_below_min_value", "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got %v instead.", n)
	}
	format := sub(sub(m, "text"), "format")
	switch text(format, "type") {
	case "json_object":
		if !strings.Contains(strings.ToLower(string(encode(m["input"]))+text(m, "instructions")), "json") {
			return refused("input", "", "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.")
		}
	case "json_schema":
		if text(format, "name") == "" {
			return refused("text.format.name", "missing_required_parameter", "Missing required parameter: 'text.format.name'.")
		}
		if flag(format, "strict") {
			if p := strictSchema(sub(format, "schema"), "text.format.schema", "response_format '"+text(format, "name")+"'"); p != nil {
				return p
			}
		}
	}
	if has(m, "reasoning") && effort != "none" && facts.gpt > 0 && !facts.reasons() {
		return refused("reasoning.effort", "unsupported_parameter", "Unsupported parameter: 'reasoning.effort' is not supported with this model.")
	}
	return openAISampling(m, facts, effort)
}
