package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// inputTokens is what every answer says of its request.
const inputTokens = 42

// stopWord is how a provider says that the model was done.
func stopWord(d dialect) string {
	if d == claude {
		return "end_turn"
	}
	return "stop"
}

func quoted(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s) //nolint:errcheck // a string always encodes
	return string(bytes.TrimSpace(b.Bytes()))
}

// unaryBody is a whole answer.
func unaryBody(d dialect) []byte {
	if d == claude {
		return fmt.Appendf(nil, `{"model":"claude-opus-5-5","id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","content":[{"type":"text","text":%s}],`+
			`"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":%d,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,`+
			`"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":%d,"service_tier":"standard"}}`,
			quoted(text(unaryTokens)), inputTokens, unaryTokens)
	}
	return fmt.Appendf(nil, `{
  "id": "chatcmpl-BxQ0l3cUJ2iYw3nJcKq1f6XkZr0vT",
  "object": "chat.completion",
  "created": 1790000000,
  "model": "gpt-6-sol-2026-05-01",
  "choices": [
    {
      "index": 0,
      "message": {
        "role": "assistant",
        "content": %s,
        "refusal": null,
        "annotations": []
      },
      "logprobs": null,
      "finish_reason": "stop"
    }
  ],
  "usage": %s,
  "service_tier": "default",
  "system_fingerprint": "fp_51db84afab"
}
`, quoted(text(unaryTokens)), chatUsage(unaryTokens))
}

func chatUsage(output int) string {
	return fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},`+
		`"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`,
		inputTokens, output, inputTokens+output)
}

// burst is the number of events that arrive in one write unless the scenario flushes each.
const burst = 50

// streamWrites is a streamed answer, cut into the pieces that are written at a time.
func streamWrites(s scenario, d dialect) [][]byte {
	events := claudeEvents(s.chunks)
	if d == chat {
		events = chatEvents(s.chunks)
	}
	if s.flush {
		return events
	}
	var writes [][]byte
	for i := 0; i < len(events); i += burst {
		writes = append(writes, bytes.Join(events[i:min(i+burst, len(events))], nil))
	}
	return writes
}

func claudeEvents(n int) [][]byte {
	event := func(name, format string, args ...any) []byte {
		return fmt.Appendf(nil, "event: %s\ndata: {\"type\":%q%s}\n\n", name, name, fmt.Sprintf(format, args...))
	}
	events := [][]byte{
		event("message_start", `,"message":{"model":"claude-opus-5-5","id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","content":[],`+
			`"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":%d,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,`+
			`"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":1,"service_tier":"standard"}}`, inputTokens),
		event("content_block_start", `,"index":0,"content_block":{"type":"text","text":""}`),
		event("ping", ""),
	}
	for i := range n {
		events = append(events, event("content_block_delta", `,"index":0,"delta":{"type":"text_delta","text":%s}`, quoted(token(i))))
	}
	return append(events,
		event("content_block_stop", `,"index":0`),
		event("message_delta", `,"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":%d,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":%d}`, inputTokens, n),
		event("message_stop", ""),
	)
}

func chatEvents(n int) [][]byte {
	event := func(choices, rest string) []byte {
		return fmt.Appendf(nil, `data: {"id":"chatcmpl-BxQ0l3cUJ2iYw3nJcKq1f6XkZr0vT","object":"chat.completion.chunk","created":1790000000,"model":"gpt-6-sol-2026-05-01",`+
			`"service_tier":"default","system_fingerprint":"fp_51db84afab","choices":[%s]%s}`+"\n\n", choices, rest)
	}
	events := [][]byte{
		event(`{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}`, `,"usage":null,"obfuscation":"kT9x"`),
	}
	for i := range n {
		events = append(events, event(
			fmt.Sprintf(`{"index":0,"delta":{"content":%s},"logprobs":null,"finish_reason":null}`, quoted(token(i))),
			fmt.Sprintf(`,"usage":null,"obfuscation":%q`, "Zk3vQ9pLw2"[:2+i%9])))
	}
	return append(events,
		event(`{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}`, `,"usage":null,"obfuscation":"q"`),
		event("", `,"usage":`+chatUsage(n)+`,"obfuscation":"9aZ"`),
		[]byte("data: [DONE]\n\n"),
	)
}

// responseHeaders are about those that the providers send; net/http adds Date, Content-Type and Content-Length or
// Transfer-Encoding.
func responseHeaders(d dialect) [][2]string {
	if d == claude {
		return claudeHeaders
	}
	return chatHeaders
}

var (
	claudeHeaders = [][2]string{
		{"Anthropic-Organization-Id", "0f6e1d2c-7a54-4f6b-9f5f-3e2d1c0b9a87"},
		{"Anthropic-Ratelimit-Input-Tokens-Limit", "2000000"},
		{"Anthropic-Ratelimit-Input-Tokens-Remaining", "1999000"},
		{"Anthropic-Ratelimit-Input-Tokens-Reset", "2026-10-01T12:00:00Z"},
		{"Anthropic-Ratelimit-Output-Tokens-Limit", "400000"},
		{"Anthropic-Ratelimit-Output-Tokens-Remaining", "399000"},
		{"Anthropic-Ratelimit-Output-Tokens-Reset", "2026-10-01T12:00:00Z"},
		{"Anthropic-Ratelimit-Requests-Limit", "4000"},
		{"Anthropic-Ratelimit-Requests-Remaining", "3999"},
		{"Anthropic-Ratelimit-Requests-Reset", "2026-10-01T12:00:00Z"},
		{"Cache-Control", "no-cache"},
		{"Cf-Cache-Status", "DYNAMIC"},
		{"Cf-Ray", "9a1b2c3d4e5f6a7b-ARN"},
		{"Request-Id", "req_011CSHoEeqs5C35K2UUqR7Fy"},
		{"Server", "cloudflare"},
		{"Strict-Transport-Security", "max-age=31536000; includeSubDomains; preload"},
		{"Via", "1.1 google"},
		{"X-Robots-Tag", "none"},
	}
	chatHeaders = [][2]string{
		{"Access-Control-Expose-Headers", "X-Request-ID"},
		{"Alt-Svc", `h3=":443"; ma=86400`},
		{"Cf-Cache-Status", "DYNAMIC"},
		{"Cf-Ray", "9a1b2c3d4e5f6a7b-ARN"},
		{"Openai-Organization", "holdfast-bench"},
		{"Openai-Processing-Ms", "812"},
		{"Openai-Project", "proj_Qm3yX0oVd5a8sR2b"},
		{"Openai-Version", "2020-10-01"},
		{"Server", "cloudflare"},
		{"Set-Cookie", "__cf_bm=0123456789abcdef0123456789abcdef; path=/; expires=Thu, 01-Oct-26 12:30:00 GMT; domain=.api.openai.com; HttpOnly; Secure"},
		{"Strict-Transport-Security", "max-age=31536000; includeSubDomains; preload"},
		{"X-Content-Type-Options", "nosniff"},
		{"X-Ratelimit-Limit-Requests", "10000"},
		{"X-Ratelimit-Limit-Tokens", "30000000"},
		{"X-Ratelimit-Remaining-Requests", "9999"},
		{"X-Ratelimit-Remaining-Tokens", "29999000"},
		{"X-Ratelimit-Reset-Requests", "6ms"},
		{"X-Ratelimit-Reset-Tokens", "2ms"},
		{"X-Request-Id", "req_5f1c7e9b3d2a4c6e8f0a1b2c3d4e5f60"},
	}
)
