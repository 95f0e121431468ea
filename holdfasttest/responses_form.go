package holdfasttest

import "fmt"

// responsesForm shapes answers of the Responses API.
type responsesForm struct {
	summary   bool // reasoning is summarized
	encrypted bool // reasoning is given sealed
	phases    bool // messages say what they are for
	kept      bool // answers are made in the background
}

// responsesItem is one item of the output, with the events between its beginning and its end.
type responsesItem struct {
	added, done object
	inner       func(st *sequence, index int)
}

// sequence collects the events of a stream and numbers them.
type sequence struct {
	events  []event
	padding bool
}

func (st *sequence) add(p part, kind string, members ...any) {
	o := append(object{"type", kind, "sequence_number", len(st.events)}, members...)
	if st.padding && p == content {
		o = append(o, "obfuscation", "kQ8vT2")
	}
	st.events = append(st.events, newEvent(p, kind, o))
}

func (f responsesForm) items(a *answer) []responsesItem {
	var out []responsesItem
	if a.Thinking != "" {
		out = append(out, f.reasoning(a))
	}
	if len(a.chunks) > 0 || a.Refusal != "" {
		out = append(out, f.message(a))
	}
	for i, c := range a.ToolCalls {
		out = append(out, f.call(a, i, c))
	}
	return out
}

func (f responsesForm) reasoning(a *answer) responsesItem {
	id := reasoningID(a.n)
	item := func(summary list, sealed string) object {
		o := object{"id", id, "type", "reasoning", "summary", summary}
		if f.encrypted {
			o = append(o, "encrypted_content", sealed)
		}
		return o
	}
	sealed := sign(OpenAI, a.ask.model, a.n)
	if !f.summary {
		return responsesItem{item(list{}, sealed[:8]), item(list{}, sealed), func(*sequence, int) {}}
	}
	part := func(text string) object { return object{"type", "summary_text", "text", text} }
	return responsesItem{item(list{}, sealed[:8]), item(list{part(a.Thinking)}, sealed), func(st *sequence, index int) {
		where := []any{"item_id", id, "output_index", index, "summary_index", 0}
		with := func(name string, value any) []any { return append(append([]any{}, where...), name, value) }
		st.add(frame, "response.reasoning_summary_part.added", with("part", part(""))...)
		for _, t := range fragments(a.Thinking, 24) {
			st.add(content, "response.reasoning_summary_text.delta", with("delta", t)...)
		}
		st.add(frame, "response.reasoning_summary_text.done", with("text", a.Thinking)...)
		st.add(frame, "response.reasoning_summary_part.done", with("part", part(a.Thinking))...)
	}}
}

func (f responsesForm) message(a *answer) responsesItem {
	id := fmt.Sprintf("msg_%030d", a.n)
	item := func(status string, content list) object {
		o := object{"id", id, "type", "message", "status", status, "content", content, "role", "assistant"}
		if f.phases {
			phase := "final_answer"
			if len(a.ToolCalls) > 0 {
				phase = "commentary"
			}
			o = append(o, "phase", phase)
		}
		return o
	}
	said := func(text string) object {
		return object{"type", "output_text", "annotations", list{}, "logprobs", list{}, "text", text}
	}
	declined := func(text string) object { return object{"type", "refusal", "refusal", text} }
	parts := list{}
	if len(a.chunks) > 0 {
		parts = append(parts, said(a.Text))
	}
	if a.Refusal != "" {
		parts = append(parts, declined(a.Refusal))
	}
	status := "completed"
	if reason := f.incomplete(a); reason != "" && len(a.ToolCalls) == 0 {
		status = "incomplete"
	}
	return responsesItem{item("in_progress", list{}), item(status, parts), func(st *sequence, index int) {
		at := 0
		send := func(kind string, pieces []string, whole string, part func(string) object) {
			where := []any{"item_id", id, "output_index", index, "content_index", at}
			with := func(more ...any) []any { return append(append([]any{}, where...), more...) }
			st.add(frame, "response.content_part.added", with("part", part(""))...)
			name := "refusal"
			var logprobs []any
			if kind == "output_text" {
				name, logprobs = "text", []any{"logprobs", list{}}
			}
			for _, t := range pieces {
				st.add(content, "response."+kind+".delta", with(append([]any{"delta", t}, logprobs...)...)...)
			}
			st.add(frame, "response."+kind+".done", with(append([]any{name, whole}, logprobs...)...)...)
			st.add(frame, "response.content_part.done", with("part", part(whole))...)
			at++
		}
		if len(a.chunks) > 0 {
			send("output_text", a.chunks, a.Text, said)
		}
		if a.Refusal != "" {
			send("refusal", fragments(a.Refusal, 12), a.Refusal, declined)
		}
	}}
}

func (f responsesForm) call(a *answer, i int, c ToolCall) responsesItem {
	id := callItemID(i, a.n, a.Thinking != "")
	if c.ID == "" {
		c.ID = fmt.Sprintf("call_%020d%04d", a.n, i)
	}
	item := func(status, args string) object {
		return object{"id", id, "type", "function_call", "status", status, "arguments", args, "call_id", c.ID, "name", c.Name}
	}
	return responsesItem{item("in_progress", ""), item("completed", c.Args), func(st *sequence, index int) {
		for _, t := range fragments(c.Args, 12) {
			st.add(content, "response.function_call_arguments.delta", "item_id", id, "output_index", index, "delta", t)
		}
		st.add(frame, "response.function_call_arguments.done", "item_id", id, "output_index", index, "arguments", c.Args)
	}}
}

// incomplete returns why an answer is not complete; empty if it is.
func (responsesForm) incomplete(a *answer) string {
	switch a.StopReason {
	case EndTurn, StopSequence, ToolUse, Paused:
		return ""
	case MaxTokens, ContextExceeded:
		return "max_output_tokens"
	case ContentFilter:
		return "content_filter"
	}
	return string(a.StopReason)
}

// id is the id of a response. No two servers give the same.
func (responsesForm) id(a *answer) string { return fmt.Sprintf("resp_%07d%015d", a.ask.server, a.n) }

// key is the id of a stream that is made in the background.
func (f responsesForm) key(a *answer) string {
	if f.kept && a.ask.stream {
		return f.id(a)
	}
	return ""
}

// response returns the response object; output and usage are nil while it is in progress.
func (f responsesForm) response(a *answer, status string, output list, failure any) object {
	m := a.ask.fields
	or := func(name string, otherwise any) any {
		if has(m, name) {
			return m[name]
		}
		return otherwise
	}
	var completed, incomplete, usage any
	switch status {
	case "completed", "failed":
		completed = created(a)
	case "incomplete":
		incomplete = object{"reason", f.incomplete(a)}
	}
	if status == "completed" || status == "incomplete" {
		usage = f.usage(a)
	}
	return object{
		"id", f.id(a), "object", "response", "created_at", created(a), "status", status,
		"background", f.kept, "completed_at", completed, "error", failure, "incomplete_details", incomplete,
		"instructions", or("instructions", nil), "max_output_tokens", or("max_output_tokens", nil),
		"max_tool_calls", or("max_tool_calls", nil), "model", a.Model, "output", output,
		"parallel_tool_calls", or("parallel_tool_calls", true), "previous_response_id", or("previous_response_id", nil),
		"prompt_cache_key", or("prompt_cache_key", nil), "prompt_cache_retention", nil,
		"prompt_cache_options",
		object{"mode", "implicit", "ttl", "30m", "comparison_response_id", nil},
		"reasoning", or("reasoning", object{"effort", nil, "summary", nil}), "safety_identifier", or("safety_identifier", nil),
		"service_tier", "default", "temperature", or("temperature", 1), "text",
		or("text", object{"format", object{"type", "text"}, "verbosity", "medium"}), "tool_choice", or("tool_choice", "auto"),
		"tools", or("tools", list{}), "top_logprobs", 0, "top_p", or("top_p", 1), "truncation", or("truncation", "disabled"),
		"usage", usage, "user", or("user", nil), "metadata", or("metadata", object{}), "access_programs",
		object{"cyber", "standard"},
	}
}

func (responsesForm) usage(a *answer) object {
	u := a.Usage
	return object{
		"input_tokens", u.Input, "input_tokens_details",
		object{"cached_tokens", u.CacheRead, "cache_write_tokens", u.CacheWrite},
		"output_tokens", u.Output, "output_tokens_details",
		object{"reasoning_tokens", u.Reasoning},
		"total_tokens", u.Input + u.Output,
	}
}

// last returns the final state of the response.
func (f responsesForm) last(a *answer) (status string, response object) {
	output := list{}
	for _, it := range f.items(a) {
		output = append(output, it.done)
	}
	status = "completed"
	if f.incomplete(a) != "" {
		status = "incomplete"
	}
	return status, f.response(a, status, output, nil)
}

func (f responsesForm) whole(a *answer) any {
	_, r := f.last(a)
	return r
}

func (f responsesForm) events(a *answer) []event {
	st := &sequence{padding: sub(a.ask.fields, "stream_options")["include_obfuscation"] != false}
	begun := f.response(a, "in_progress", list{}, nil)
	if f.kept {
		queued := f.response(a, "queued", list{}, nil)
		st.add(frame, "response.created", "response", queued)
		st.add(frame, "response.queued", "response", queued)
	} else {
		st.add(frame, "response.created", "response", begun)
	}
	st.add(frame, "response.in_progress", "response", begun)
	for i, it := range f.items(a) {
		st.add(frame, "response.output_item.added", "output_index", i, "item", it.added)
		it.inner(st, i)
		st.add(frame, "response.output_item.done", "output_index", i, "item", it.done)
	}
	status, r := f.last(a)
	st.add(terminator, "response."+status, "response", r)
	return st.events
}

// failure is the flat form that the API gives to an error in a stream.
func (responsesForm) failure(p *problem, _, number int) event {
	return newEvent(frame, "error", object{
		"type", "error", "code", p.failureCode(), "message", p.message, "param", orNull(p.param), "sequence_number", number,
	})
}

// failed is the response that failed.
func (f responsesForm) failed(a *answer, p *problem) object {
	failure := object{"code", p.failureCode(), "message", p.message}
	return f.response(a, "failed", list{}, failure)
}

// failureCode is a code as it stands in a response, where every error has one.
func (p *problem) failureCode() string {
	if p.code != "" {
		return p.code
	}
	return p.kind
}

func (responsesForm) ping() event { return event{} }
