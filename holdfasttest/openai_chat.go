package holdfasttest

import (
	"fmt"
	"slices"
	"strings"
)

var chatContentShape = shape{
	"type=text":        words("type text prompt_cache_breakpoint"),
	"type=refusal":     words("type refusal"),
	"type=image_url":   {"type": nil, "image_url": words("url detail"), "prompt_cache_breakpoint": nil},
	"type=input_audio": {"type": nil, "input_audio": words("data format"), "prompt_cache_breakpoint": nil},
	"type=file":        {"type": nil, "file": words("file_data file_id filename"), "prompt_cache_breakpoint": nil},
}

var chatShape = words(`model frequency_penalty logprobs max_completion_tokens max_tokens n presence_penalty prompt_cache_key
	safety_identifier seed store stream temperature top_logprobs top_p parallel_tool_calls user audio logit_bias metadata
	modalities moderation prompt_cache_retention reasoning_effort service_tier stop verbosity function_call functions
	prediction prompt_cache_options tool_choice web_search_options`).with(shape{
	"messages": words("role name refusal tool_call_id function_call audio").with(shape{
		"content":    chatContentShape,
		"tool_calls": {"type": nil, "id": nil, "function": words("name arguments"), "custom": words("name input")},
	}),
	"stream_options":  words("include_usage include_obfuscation"),
	"response_format": {"type": nil, "json_schema": words("name description schema strict")},
	"tools": {
		"type=function": {"type": nil, "function": words("name description parameters strict")},
		"type=custom":   nil,
	},
})

func (o openAI) chat(m map[string]any) (*ask, *problem) {
	messages := objects(m["messages"])
	if !o.local {
		if path, name := chatShape.strange(m, nil); name != "" && len(path) == 0 {
			return nil, refused("", "", "Unrecognized request argument supplied: %s", name)
		} else if name != "" {
			at := brackets(append(path, name))
			return nil, refused(at, "unknown_parameter", "Unknown parameter: '%s'.", at)
		}
	}
	if !has(m, "messages") {
		return nil, refused("messages", "missing_required_parameter", "Missing required parameter: 'messages'.")
	}
	if len(messages) == 0 {
		return nil, refused("messages", "empty_array", "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.")
	}
	if p := o.chatMessages(messages); p != nil {
		return nil, p
	}
	a := &ask{form: chatForm{local: o.local, usage: flag(sub(m, "stream_options"), "include_usage")}}
	if !o.local {
		return a, chatSettings(m, messages)
	}
	var p *problem
	a.prefill, p = localPrefill(m)
	return a, p
}

func (o openAI) chatMessages(messages []map[string]any) *problem {
	open := map[string]bool{}
	unanswered := func(i int) *problem {
		return refused(fmt.Sprintf("messages.[%d].role", i), "", "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: %s", strings.Join(ids(open), ", "))
	}
	for i, msg := range messages {
		at := fmt.Sprintf("messages[%d]", i)
		role := text(msg, "role")
		if role == "tool" && !o.local {
			if id := text(msg, "tool_call_id"); !open[id] {
				return refused(fmt.Sprintf("messages.[%d].role", i), "", "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.") //nolint:misspell // as the provider spells it
			}
		}
		if role != "tool" && len(open) > 0 && !o.local {
			return unanswered(i)
		}
		calls := objects(msg["tool_calls"])
		switch role {
		case "system", "developer", "user":
		case "assistant":
			if len(calls) > 0 && !has(msg, "content") {
				break
			}
			if !has(msg, "content") && !has(msg, "refusal") && !has(msg, "function_call") && !has(msg, "audio") {
				return refused(at+".content", "", "Invalid value for 'content': expected a string, got null.")
			}
		case "tool":
			delete(open, text(msg, "tool_call_id"))
		default:
			return refused(at+".role", "invalid_value", "Invalid value: '%s'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.", role)
		}
		if p := o.chatContent(msg, at); p != nil {
			return p
		}
		if p := chatCalls(calls, at, open); p != nil {
			return p
		}
	}
	if len(open) > 0 && !o.local {
		return unanswered(len(messages) - 1)
	}
	return nil
}

func chatCalls(calls []map[string]any, at string, open map[string]bool) *problem {
	for j, c := range calls {
		_, isText := sub(c, "function")["arguments"].(string)
		if text(c, "type") == "function" && !isText {
			return refused(fmt.Sprintf("%s.tool_calls[%d].function.arguments", at, j), "invalid_type", "Invalid type for '%s.tool_calls[%d].function.arguments': expected a string, but got an object instead.", at, j)
		}
		if text(c, "id") == "" {
			return refused(fmt.Sprintf("%s.tool_calls[%d].id", at, j), "missing_required_parameter", "Missing required parameter: '%s.tool_calls[%d].id'.", at, j)
		}
		open[text(c, "id")] = true
	}
	return nil
}

// chatParts names the parts that each role may hold.
var chatParts = map[string][]string{
	"system": {"text"}, "developer": {"text"}, "tool": {"text"}, "assistant": {"text", "refusal"},
	"user": {"text", "image_url", "input_audio", "file"},
}

func (o openAI) chatContent(msg map[string]any, at string) *problem {
	role := text(msg, "role")
	switch c := msg["content"].(type) {
	case string:
	case nil:
		if role != "assistant" {
			return refused(at+".content", "", "Invalid value for 'content': expected a string, got null.")
		}
	case []any:
		for j, part := range objects(c) {
			kind := text(part, "type")
			if !slices.Contains(chatParts[role], kind) {
				return refused(fmt.Sprintf("%s.content[%d].type", at, j), "invalid_value", "Invalid value: '%s'. Supported values are: '%s'.", kind, strings.Join(chatParts[role], "', '"))
			}
			url := text(sub(part, "image_url"), "url")
			if o.local && kind == "image_url" && !strings.HasPrefix(url, "data:") {
				return refused("", "", "invalid image input")
			}
		}
	default:
		return refused(at+".content", "invalid_type", "Invalid type for '%s.content': expected one of a string or array of objects.", at)
	}
	return nil
}

func chatSettings(m map[string]any, messages []map[string]any) *problem {
	facts, effort := openAIModelOf(text(m, "model")), text(m, "reasoning_effort")
	tools := objects(m["tools"])
	for i, t := range tools {
		f := sub(t, "function")
		if text(t, "type") != "function" {
			continue
		}
		at := fmt.Sprintf("tools[%d].function", i)
		if !toolName.MatchString(text(f, "name")) {
			return refused(at+".name", "invalid_value", "Invalid '%s.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.", at)
		}
		if flag(f, "strict") {
			if p := strictSchema(sub(f, "parameters"), at+".parameters", "function '"+text(f, "name")+"'"); p != nil {
				return p
			}
		}
	}
	for _, name := range []string{"parallel_tool_calls", "tool_choice"} {
		if has(m, name) && len(tools) == 0 {
			return refused(name, "", "Invalid value for '%s': '%s' is only allowed when 'tools' are specified.", name, name)
		}
	}
	switch {
	case len(tools) > 0 && facts.noTools() && effort != "none":
		return refused("reasoning_effort", "", "Function tools with reasoning_effort are not supported for %s in /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'.", text(m, "model"))
	case has(m, "max_tokens") && facts.reasons():
		return refused("max_tokens", "unsupported_parameter", "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")
	case has(m, "max_tokens") && has(m, "max_completion_tokens"):
		return refused("max_tokens", "invalid_parameter_combination", "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
	case has(m, "stop") && facts.noStop():
		return refused("stop", "unsupported_parameter", "Unsupported parameter: 'stop' is not supported with this model.")
	case has(m, "reasoning_effort") && !facts.reasons() && facts.gpt > 0:
		return refused("reasoning_effort", "unsupported_parameter", "Unsupported parameter: 'reasoning_effort' is not supported with this model.")
	case has(m, "stream_options") && !flag(m, "stream"):
		return refused("stream_options", "", "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
	}
	if stops, ok := m["stop"].([]any); ok && len(stops) > 4 {
		return refused("stop", "array_above_max_length", "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length %d instead.", len(stops))
	}
	if p := chatFormat(m, messages); p != nil {
		return p
	}
	return openAISampling(m, facts, effort)
}

func chatFormat(m map[string]any, messages []map[string]any) *problem {
	f := sub(m, "response_format")
	switch text(f, "type") {
	case "json_object":
		if !strings.Contains(strings.ToLower(string(encode(messages))), "json") {
			return refused("messages", "", "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.")
		}
	case "json_schema":
		s := sub(f, "json_schema")
		if text(s, "name") == "" {
			return refused("response_format.json_schema.name", "missing_required_parameter", "Missing required parameter: 'response_format.json_schema.name'.")
		}
		if flag(s, "strict") {
			return strictSchema(sub(s, "schema"), "response_format", "response_format '"+text(s, "name")+"'")
		}
	}
	return nil
}

var chatStops = map[StopReason]string{
	EndTurn: "stop", MaxTokens: "length", StopSequence: "stop", ToolUse: "tool_calls", ContentFilter: "content_filter",
	ContextExceeded: "length", Paused: "stop",
}

// chatForm shapes answers of Chat Completions.
type chatForm struct {
	local bool
	usage bool // a stream tells the usage
}

func (f chatForm) id(a *answer) string { return requestID("chatcmpl-", a.n) }

func (f chatForm) fingerprint() string {
	if f.local {
		return "fp_ollama"
	}
	return "fp_60d1f3a8c2"
}

func (f chatForm) calls(a *answer, stream bool) list {
	out := list{}
	for i, c := range a.ToolCalls {
		if c.ID == "" {
			c.ID = fmt.Sprintf("call_%020d%04d", a.n, i)
		}
		o := object{"id", c.ID, "type", "function", "function", object{"name", c.Name, "arguments", c.Args}}
		if stream {
			o = append(object{"index", i}, o...)
		}
		out = append(out, o)
	}
	return out
}

func (f chatForm) whole(a *answer) any {
	m := object{"role", "assistant", "content", orNull(a.Text)}
	if len(a.ToolCalls) == 0 && a.Refusal == "" {
		m = object{"role", "assistant", "content", a.Text}
	}
	if f.local && a.Thinking != "" {
		m = append(m, "reasoning", a.Thinking)
	}
	if len(a.ToolCalls) > 0 {
		m = append(m, "tool_calls", f.calls(a, false))
	}
	if !f.local {
		m = append(m, "refusal", orNull(a.Refusal), "annotations", list{})
	}
	choice := object{"index", 0, "message", m, "logprobs", nil, "finish_reason", a.StopReason.word(chatStops)}
	o := object{
		"id", f.id(a), "object", "chat.completion", "created", created(a), "model", a.Model, "choices",
		list{choice},
		"usage", f.count(a),
	}
	if !f.local {
		o = append(o, "service_tier", "default")
	}
	return append(o, "system_fingerprint", f.fingerprint())
}

func (f chatForm) count(a *answer) object {
	u := a.Usage
	o := object{"prompt_tokens", u.Input, "completion_tokens", u.Output, "total_tokens", u.Input + u.Output}
	if f.local {
		return o
	}
	return append(o,
		"prompt_tokens_details", object{"cached_tokens", u.CacheRead, "cache_write_tokens", u.CacheWrite, "audio_tokens", 0},
		"completion_tokens_details", object{
			"reasoning_tokens", u.Reasoning, "audio_tokens", 0, "accepted_prediction_tokens", 0, "rejected_prediction_tokens", 0,
		})
}

// chunk returns one chunk of a stream.
func (f chatForm) chunk(a *answer, p part, choices list, usage any) event {
	o := object{
		"id", f.id(a), "object", "chat.completion.chunk", "created", created(a), "model", a.Model,
	}
	if !f.local {
		o = append(o, "service_tier", "default")
	}
	o = append(o, "system_fingerprint", f.fingerprint(), "choices", choices)
	if f.usage && (usage != nil || !f.local) {
		o = append(o, "usage", usage)
	}
	if p == content && !f.local && sub(a.ask.fields, "stream_options")["include_obfuscation"] != false {
		o = append(o, "obfuscation", "xK3v9Q")
	}
	return newEvent(p, "", o)
}

func (f chatForm) delta(a *answer, p part, delta object, finish any) event {
	o := object{"index", 0, "delta", delta}
	if !f.local {
		o = append(o, "logprobs", nil)
	}
	return f.chunk(a, p, list{append(o, "finish_reason", finish)}, nil)
}

func (f chatForm) events(a *answer) []event {
	first := object{"role", "assistant", "content", ""}
	if !f.local {
		first = append(first, "refusal", nil)
	}
	out := []event{f.delta(a, frame, first, nil)}
	if f.local {
		for _, t := range fragments(a.Thinking, 24) {
			out = append(out, f.delta(a, content, object{"role", "assistant", "content", "", "reasoning", t}, nil))
		}
	}
	for _, t := range a.chunks {
		out = append(out, f.delta(a, content, object{"content", t}, nil))
	}
	for _, t := range fragments(a.Refusal, 12) {
		out = append(out, f.delta(a, content, object{"refusal", t}, nil))
	}
	out = append(out, f.callEvents(a)...)
	out = append(out, f.delta(a, terminator, object{}, a.StopReason.word(chatStops)))
	if f.usage {
		out = append(out, f.chunk(a, terminator, list{}, f.count(a)))
	}
	return append(out, event{data: "[DONE]", part: done})
}

// callEvents returns the chunks of the tool calls: whole ones from a local model, otherwise a head and pieces of arguments.
func (f chatForm) callEvents(a *answer) []event {
	var out []event
	for i, c := range f.calls(a, true) {
		if f.local {
			out = append(out, f.delta(a, content, object{"role", "assistant", "content", "", "tool_calls", list{c}}, nil))
			continue
		}
		head := c.(object)
		head[len(head)-1] = object{"name", a.ToolCalls[i].Name, "arguments", ""}
		out = append(out, f.delta(a, frame, object{"tool_calls", list{head}}, nil))
		for _, t := range fragments(a.ToolCalls[i].Args, 12) {
			piece := object{"index", i, "function", object{"arguments", t}}
			out = append(out, f.delta(a, content, object{"tool_calls", list{piece}}, nil))
		}
	}
	return out
}

func (chatForm) failure(p *problem, _, _ int) event {
	return newEvent(frame, "", object{"error", openAIError(p)})
}

// ping is a comment, as llama.cpp and DeepSeek send it.
func (chatForm) ping() event { return event{} }
