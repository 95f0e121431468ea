package holdfasttest

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// claude is Anthropic's Messages API, of version 2023-06-01.
type claude struct{}

func (claude) limit() int64 { return 32 << 20 }

// https://platform.claude.com/docs/en/api/errors
var claudeErrors = map[Error]problem{
	BadRequest:     {status: 400, kind: "invalid_request_error", message: "messages: Input should be a valid list"},
	ContextTooLong: {status: 400, kind: "invalid_request_error", message: "prompt is too long: 1048577 tokens > 1000000 maximum"},
	TooLarge:       {status: 413, kind: "request_too_large", message: "Request exceeds the maximum size", edge: true},
	BadKey:         {status: 401, kind: "authentication_error", message: "invalid x-api-key"},
	NoPermission:   {status: 403, kind: "permission_error", message: "Your API key does not have permission to use the specified resource."},
	RegionBlocked:  {status: 403, kind: "forbidden", message: "Request not allowed", edge: true, bare: `{"error":{"type":"forbidden","message":"Request not allowed"}}`},
	SpendLimit:     {status: 400, kind: "invalid_request_error", message: "You have reached your specified API usage limits. You will regain access on 2027-01-01 at 00:00 UTC."},
	OutOfCredit:    {status: 400, kind: "invalid_request_error", message: "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."},
	MonthlyCap: {
		status: 429, kind: "rate_limit_error", message: "This organization has reached its monthly spend limit.",
		details: object{"error_code", "enforced_spend_limit_reached"},
	},
	RateLimited: {
		status: 429, kind: "rate_limit_error", header: map[string]string{
			"Retry-After": "1", "X-Should-Retry": "true", "Anthropic-Ratelimit-Requests-Remaining": "0",
		},
		message: "This request would exceed your organization's rate limit of 4,000 requests per minute. Please reduce the request rate.",
	},
	SlowDown: {
		status: 429, kind: "rate_limit_error", header: map[string]string{"Retry-After": "1", "X-Should-Retry": "true"},
		message: "This request would exceed your organization's acceleration limit. Please scale up gradually.",
	},
	ModelMissing:  {status: 404, kind: "not_found_error", message: "model: %s"},
	PolicyBlocked: {status: 400, kind: "invalid_request_error", message: "Output blocked by content filtering policy"},
	BadSignature:  {status: 400, kind: "invalid_request_error", message: "messages.1.content.0: Invalid `signature` in `thinking` block"},
	Conflict:      {status: 409, kind: "conflict_error", message: "The resource was changed by another request.", header: retryTrue},
	TimedOut:      {status: 504, kind: "timeout_error", message: "The request timed out while processing.", header: retryTrue},
	ServerError:   {status: 500, kind: "api_error", message: "Internal server error", header: retryTrue},
	Overloaded:    {status: 529, kind: "overloaded_error", message: "Overloaded", header: retryTrue},
}

var retryTrue = map[string]string{"X-Should-Retry": "true"}

func (claude) problem(e Error, status int, model string) problem {
	p := pick(claudeErrors, e, status)
	if e == "" && status == 402 {
		p.kind = "billing_error"
	}
	p.message = strings.Replace(p.message, "%s", model, 1)
	return p
}

func (c claude) render(p *problem, n int) []byte {
	if p.bare != "" {
		return []byte(p.bare)
	}
	return encode(object{"type", "error", "error", c.inner(p), "request_id", requestID("req_", n)})
}

func (claude) inner(p *problem) object {
	o := object{"type", p.kind, "message", p.message}
	if p.details != nil {
		o = append(o, "details", p.details)
	}
	return o
}

func (claude) header(h http.Header, n int, p *problem) {
	h.Set("Server", "cloudflare")
	h.Set("Cf-Ray", fmt.Sprintf("9a1f%012x-IAD", n))
	if p != nil && p.edge {
		return
	}
	h.Set("Request-Id", requestID("req_", n))
	h.Set("Anthropic-Organization-Id", "0b1c2d3e-0000-4000-8000-00000000feed")
	h.Set("Cf-Cache-Status", "DYNAMIC")
	h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains; preload")
	h.Set("Via", "1.1 google")
	h.Set("X-Robots-Tag", "none")
	if p != nil && p.status != http.StatusTooManyRequests {
		return
	}
	reset := time.Now().Add(time.Second).UTC().Format(time.RFC3339)
	for _, l := range []struct{ name, limit, left string }{
		{"Requests", "4000", "3999"},
		{"Tokens", "2400000", "2399000"},
		{"Input-Tokens", "2000000", "1999000"},
		{"Output-Tokens", "400000", "400000"},
	} {
		h.Set("Anthropic-Ratelimit-"+l.name+"-Limit", l.limit)
		h.Set("Anthropic-Ratelimit-"+l.name+"-Remaining", l.left)
		h.Set("Anthropic-Ratelimit-"+l.name+"-Reset", reset)
	}
}

var claudeStops = map[StopReason]string{
	EndTurn: "end_turn", MaxTokens: "max_tokens", StopSequence: "stop_sequence", ToolUse: "tool_use",
	ContentFilter: "refusal", ContextExceeded: "model_context_window_exceeded", Paused: "pause_turn",
}

// claudeForm shapes answers of the Messages API.
type claudeForm struct {
	show bool // thinking is shown, not only signed
}

// block is one content block: as it starts, as it is whole, and the deltas between.
type claudeBlock struct {
	start, whole object
	deltas       []object
}

func (f claudeForm) blocks(a *answer) []claudeBlock {
	var out []claudeBlock
	if a.Thinking != "" {
		shown := ""
		b := claudeBlock{start: object{"type", "thinking", "thinking", "", "signature", ""}}
		if f.show {
			shown = a.Thinking
			for _, t := range fragments(shown, 24) {
				b.deltas = append(b.deltas, object{"type", "thinking_delta", "thinking", t})
			}
		}
		signature := sign(Claude, a.Model, a.n)
		b.deltas = append(b.deltas, object{"type", "signature_delta", "signature", signature})
		b.whole = object{"type", "thinking", "thinking", shown, "signature", signature}
		out = append(out, b)
	}
	if len(a.chunks) > 0 {
		b := claudeBlock{
			start: object{"type", "text", "text", "", "citations", nil},
			whole: object{"type", "text", "text", a.Text, "citations", nil},
		}
		for _, t := range a.chunks {
			b.deltas = append(b.deltas, object{"type", "text_delta", "text", t})
		}
		out = append(out, b)
	}
	for i, c := range a.ToolCalls {
		if c.ID == "" {
			c.ID = fmt.Sprintf("toolu_%020d%02d", a.n, i)
		}
		call := func(input any) object {
			return object{"type", "tool_use", "id", c.ID, "name", c.Name, "input", input, "caller", object{"type", "direct"}}
		}
		b := claudeBlock{start: call(object{}), whole: call(raw(c.Args))}
		b.deltas = append(b.deltas, object{"type", "input_json_delta", "partial_json", ""})
		for _, t := range fragments(c.Args, 12) {
			b.deltas = append(b.deltas, object{"type", "input_json_delta", "partial_json", t})
		}
		out = append(out, b)
	}
	return out
}

func (f claudeForm) message(a *answer, content list, stop, sequence, details any, usage object) object {
	return object{
		"model", a.Model, "id", requestID("msg_", a.n), "type", "message", "role", "assistant", "content", content,
		"stop_reason", stop, "stop_sequence", sequence, "stop_details", details, "container", nil, "diagnostics", nil,
		"usage", usage,
	}
}

// stop returns stop_reason, stop_sequence and stop_details.
func (claudeForm) stop(a *answer) (reason string, sequence, details any) {
	reason = a.StopReason.word(claudeStops)
	if a.Refusal != "" {
		reason = "refusal"
	}
	if reason == "refusal" {
		explanation := any(nil)
		if a.Refusal != "" {
			explanation = a.Refusal
		}
		details = object{"type", "refusal", "category", nil, "explanation", explanation}
	}
	if stops, _ := a.ask.fields["stop_sequences"].([]any); reason == "stop_sequence" && len(stops) > 0 {
		sequence = stops[0]
	}
	return reason, sequence, details
}

func (f claudeForm) whole(a *answer) any {
	content := list{}
	for _, b := range f.blocks(a) {
		content = append(content, b.whole)
	}
	reason, sequence, details := f.stop(a)
	return f.message(a, content, reason, sequence, details, f.usage(a, a.Usage.Output))
}

func (claudeForm) usage(a *answer, output int) object {
	u := a.Usage
	return object{
		"input_tokens", u.Input - u.CacheRead - u.CacheWrite,
		"cache_creation_input_tokens", u.CacheWrite,
		"cache_read_input_tokens", u.CacheRead,
		"cache_creation",
		object{"ephemeral_5m_input_tokens", u.CacheWrite, "ephemeral_1h_input_tokens", 0},
		"output_tokens", output,
		"output_tokens_details",
		object{"thinking_tokens", min(u.Reasoning, output)},
		"server_tool_use",
		object{"web_search_requests", 0, "web_fetch_requests", 0},
		"service_tier", "standard", "inference_geo", "global", "speed", "standard",
	}
}

func (f claudeForm) events(a *answer) []event {
	first := f.message(a, list{}, nil, nil, nil, f.usage(a, 1))
	out := []event{
		newEvent(frame, "message_start", object{"type", "message_start", "message", first}),
	}
	for i, b := range f.blocks(a) {
		out = append(out, newEvent(frame, "content_block_start", object{"type", "content_block_start", "index", i, "content_block", b.start}))
		if i == 0 {
			out = append(out, f.ping())
		}
		for _, d := range b.deltas {
			p := content
			if d[1] == "signature_delta" || d[len(d)-1] == "" {
				p = frame
			}
			out = append(out, newEvent(p, "content_block_delta", object{"type", "content_block_delta", "index", i, "delta", d}))
		}
		out = append(out, newEvent(frame, "content_block_stop", object{"type", "content_block_stop", "index", i}))
	}
	reason, sequence, details := f.stop(a)
	u := a.Usage
	delta := object{"stop_reason", reason, "stop_sequence", sequence, "stop_details", details, "container", nil}
	usage := object{
		"input_tokens", u.Input - u.CacheRead - u.CacheWrite, "cache_creation_input_tokens", u.CacheWrite,
		"cache_read_input_tokens", u.CacheRead, "output_tokens", u.Output,
		"output_tokens_details",
		object{"thinking_tokens", u.Reasoning},
		"server_tool_use",
		object{"web_search_requests", 0, "web_fetch_requests", 0},
	}
	return append(out,
		newEvent(closing, "message_delta", object{"type", "message_delta", "delta", delta, "usage", usage}),
		newEvent(terminator, "message_stop", object{"type", "message_stop"}))
}

func (claudeForm) failure(p *problem, n, _ int) event {
	return newEvent(frame, "error", object{"type", "error", "error", claude{}.inner(p), "request_id", requestID("req_", n)})
}

func (claudeForm) ping() event { return newEvent(frame, "ping", object{"type", "ping"}) }
