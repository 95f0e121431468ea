package conformance

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

const claudeModel = "claude-opus-5-5"

func claudeClient(s *holdfasttest.Server) anthropic.Client {
	return anthropic.NewClient(
		option.WithoutEnvironmentDefaults(), option.WithBaseURL(s.URL), option.WithAPIKey("key"), option.WithMaxRetries(0),
	)
}

var claudeStops = map[string]string{
	"EndTurn": "end_turn", "ToolUse": "tool_use", "MaxTokens": "max_tokens", "ContextExceeded": "model_context_window_exceeded",
	"StopSequence": "stop_sequence", "Refusal": "refusal", "ContentFilter": "refusal", "Paused": "pause_turn",
}

func claudeTools(t *testing.T) []anthropic.ToolUnionParam {
	t.Helper()
	var schema anthropic.ToolInputSchemaParam
	if err := json.Unmarshal([]byte(weatherSchema), &schema); err != nil {
		t.Fatal(err)
	}
	return []anthropic.ToolUnionParam{{OfTool: &anthropic.ToolParam{
		Name: "weather", Description: anthropic.String("The weather"), InputSchema: schema, Strict: anthropic.Bool(true),
	}}}
}

func claudeAsk(t *testing.T, q question) anthropic.MessageNewParams {
	t.Helper()
	p := anthropic.MessageNewParams{
		Model: claudeModel, MaxTokens: 1000, StopSequences: q.stop,
		System:   []anthropic.TextBlockParam{{Text: "Be brief."}},
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Why is the sky blue?"))},
	}
	if q.tools {
		p.Tools = claudeTools(t)
	}
	if q.think {
		p.Thinking.OfAdaptive = &anthropic.ThinkingConfigAdaptiveParam{Display: anthropic.ThinkingConfigAdaptiveDisplaySummarized}
	}
	return p
}

// claudeSaid reads a message as its users do.
func claudeSaid(m *anthropic.Message) said {
	u := m.Usage
	out := said{Stop: string(m.StopReason), Refusal: m.StopDetails.Explanation, Usage: holdfasttest.Usage{
		Input:     int(u.InputTokens + u.CacheReadInputTokens + u.CacheCreationInputTokens),
		CacheRead: int(u.CacheReadInputTokens), CacheWrite: int(u.CacheCreationInputTokens),
		Output: int(u.OutputTokens), Reasoning: int(u.OutputTokensDetails.ThinkingTokens),
	}}
	for _, b := range m.Content {
		switch b := b.AsAny().(type) {
		case anthropic.TextBlock:
			out.Text += b.Text
		case anthropic.ThinkingBlock:
			out.Thinking += b.Thinking
			out.Signed = out.Signed || b.Signature != ""
		case anthropic.ToolUseBlock:
			out.Calls = append(out.Calls, call(b.Name, string(b.Input)))
		}
	}
	return out
}

// claudeStream reads a stream to its end and joins it.
func claudeStream(t *testing.T, c anthropic.Client, p anthropic.MessageNewParams) *anthropic.Message {
	t.Helper()
	stream := c.Messages.NewStreaming(t.Context(), p)
	defer stream.Close()
	var m anthropic.Message
	ended := false
	for stream.Next() {
		event := stream.Current()
		clean(t, event.Type, event)
		if err := m.Accumulate(event); err != nil {
			t.Fatal(err)
		}
		ended = event.Type == "message_stop"
	}
	if err := stream.Err(); err != nil || !ended {
		t.Fatalf("stream: %v, message_stop seen: %v", err, ended)
	}
	return &m
}

func TestClaudeAnswers(t *testing.T) {
	t.Parallel()
	for _, q := range questions {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			s := server(t, holdfasttest.Claude, q.reply, q.reply)
			c, p := claudeClient(s), claudeAsk(t, q)
			m, err := c.Messages.New(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			clean(t, "message", *m)
			streamed := claudeStream(t, c, p)
			want := q.wants(claudeStops, nil)
			agree(t, "unary", claudeSaid(m), want)
			agree(t, "streamed", claudeSaid(streamed), want)
			if q.stop != nil && (m.StopSequence != q.stop[0] || streamed.StopSequence != q.stop[0]) {
				t.Errorf("stop sequence: got %q and %q, want %q", m.StopSequence, streamed.StopSequence, q.stop[0])
			}
			accepted(t, s)
		})
	}
}

// What the model said goes back as the client makes it, with the result of its call.
func TestClaudeToolLoop(t *testing.T) {
	t.Parallel()
	for _, streamed := range []bool{false, true} {
		s := server(t, holdfasttest.Claude, holdfasttest.Reply{
			Thinking: "Ask.", Text: "Let me see.", ToolCalls: []holdfasttest.ToolCall{{Name: "weather", Args: weatherArgs}, {Name: "weather"}},
		}, holdfasttest.Reply{Text: "It rains."})
		c, p := claudeClient(s), claudeAsk(t, question{tools: true, think: true})
		var m *anthropic.Message
		if streamed {
			m = claudeStream(t, c, p)
		} else {
			var err error
			if m, err = c.Messages.New(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		p.Messages = append(p.Messages, m.ToParam())
		var results []anthropic.ContentBlockParamUnion
		for _, b := range m.Content {
			if use, ok := b.AsAny().(anthropic.ToolUseBlock); ok {
				results = append(results, anthropic.NewToolResultBlock(use.ID, "rain", len(results) == 1))
			}
		}
		p.Messages = append(p.Messages, anthropic.NewUserMessage(results...))
		m, err := c.Messages.New(t.Context(), p)
		if err != nil {
			t.Fatalf("streamed %v: %v", streamed, err)
		}
		if got := claudeSaid(m).Text; got != "It rains." {
			t.Errorf("got %q, want the second answer", got)
		}
	}
}

func TestClaudeTakes(t *testing.T) {
	t.Parallel()
	s := server(t, holdfasttest.Claude)
	c := claudeClient(s)
	p := claudeAsk(t, question{tools: true})
	p.Messages = []anthropic.MessageParam{anthropic.NewUserMessage(
		anthropic.NewImageBlockBase64("image/png", "iVBORw0KGgo="),
		anthropic.NewImageBlock(anthropic.URLImageSourceParam{URL: "https://example.com/a.png"}),
		anthropic.NewImageBlock(anthropic.FileImageSourceParam{FileID: "file_1"}),
		anthropic.NewDocumentBlock(anthropic.Base64PDFSourceParam{Data: "JVBERi0="}),
		anthropic.NewDocumentBlock(anthropic.PlainTextSourceParam{Data: "Plain."}),
		anthropic.NewDocumentBlock(anthropic.URLPDFSourceParam{URL: "https://example.com/a.pdf"}),
		anthropic.ContentBlockParamUnion{OfText: &anthropic.TextBlockParam{Text: "Compare.", CacheControl: anthropic.CacheControlEphemeralParam{TTL: "1h"}}},
	)}
	p.OutputConfig = anthropic.OutputConfigParam{Effort: "max", Format: anthropic.JSONOutputFormatParam{Schema: map[string]any{"type": "object"}}}
	p.Metadata.UserID = anthropic.String("u")
	p.ServiceTier = "auto"
	p.ToolChoice.OfAuto = &anthropic.ToolChoiceAutoParam{DisableParallelToolUse: anthropic.Bool(true)}
	if _, err := c.Messages.New(t.Context(), p); err != nil {
		t.Error(err)
	}
	claudeStream(t, c, p)
	count, err := c.Messages.CountTokens(t.Context(), anthropic.MessageCountTokensParams{Model: claudeModel, Messages: p.Messages})
	if err != nil || count.InputTokens == 0 {
		t.Errorf("count of tokens: got %v, %v", count, err)
	} else {
		clean(t, "count", *count)
	}
	list := c.Models.ListAutoPaging(t.Context(), anthropic.ModelListParams{})
	n := 0
	for ; list.Next(); n++ {
		clean(t, "model", list.Current())
	}
	if list.Err() != nil || n == 0 {
		t.Errorf("models: got %d, %v", n, list.Err())
	}
	if m, err := c.Models.Get(t.Context(), claudeModel, anthropic.ModelGetParams{}); err != nil || m.ID != claudeModel {
		t.Errorf("model: got %v, %v", m, err)
	} else {
		clean(t, "model", *m)
	}
}

func TestClaudeErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		give   holdfasttest.Error
		status int
		kind   anthropic.ErrorType
	}{
		{holdfasttest.BadRequest, 400, "invalid_request_error"},
		{holdfasttest.ContextTooLong, 400, "invalid_request_error"},
		{holdfasttest.TooLarge, 413, "request_too_large"},
		{holdfasttest.BadKey, 401, "authentication_error"},
		{holdfasttest.NoPermission, 403, "permission_error"},
		{holdfasttest.RegionBlocked, 403, "forbidden"},
		{holdfasttest.SpendLimit, 400, "invalid_request_error"},
		{holdfasttest.OutOfCredit, 400, "invalid_request_error"},
		{holdfasttest.MonthlyCap, 429, "rate_limit_error"},
		{holdfasttest.RateLimited, 429, "rate_limit_error"},
		{holdfasttest.DailyQuota, 429, "rate_limit_error"},
		{holdfasttest.SlowDown, 429, "rate_limit_error"},
		{holdfasttest.ModelMissing, 404, "not_found_error"},
		{holdfasttest.PolicyBlocked, 400, "invalid_request_error"},
		{holdfasttest.BadSignature, 400, "invalid_request_error"},
		{holdfasttest.Conflict, 409, "conflict_error"},
		{holdfasttest.TimedOut, 504, "timeout_error"},
		{holdfasttest.ServerError, 500, "api_error"},
		{holdfasttest.Overloaded, 529, "overloaded_error"},
	} {
		t.Run(string(tt.give), func(t *testing.T) {
			t.Parallel()
			reply := holdfasttest.Reply{Error: tt.give, RetryAfter: "17"}
			s := server(t, holdfasttest.Claude, reply, reply)
			c, p := claudeClient(s), claudeAsk(t, question{})
			_, unary := c.Messages.New(t.Context(), p)
			stream := c.Messages.NewStreaming(t.Context(), p)
			if stream.Next() {
				t.Error("the stream began")
			}
			for _, err := range []error{unary, stream.Err()} {
				var e *anthropic.Error
				if !errors.As(err, &e) {
					t.Fatalf("got %v, want an API error", err)
				}
				if e.StatusCode != tt.status || e.Type() != tt.kind || e.Response.Header.Get("Retry-After") != "17" {
					t.Errorf("got %d %s, retry after %q", e.StatusCode, e.Type(), e.Response.Header.Get("Retry-After"))
				}
				if tt.give != holdfasttest.RegionBlocked { // its body is the edge's, without the outer type
					claudeErrorBody(t, e.RawJSON(), claudeNews[tt.give]...)
				}
			}
		})
	}
	t.Run("in the stream", func(t *testing.T) {
		t.Parallel()
		s := server(t, holdfasttest.Claude, holdfasttest.Reply{Fault: holdfasttest.ErrorInStream, After: 1})
		c := claudeClient(s)
		stream := c.Messages.NewStreaming(t.Context(), claudeAsk(t, question{}))
		n := 0
		for ; stream.Next(); n++ {
		}
		var e *anthropic.Error
		if !errors.As(stream.Err(), &e) || e.Type() != "overloaded_error" || n == 0 {
			t.Errorf("got %v behind %d events, want overloaded_error behind some", stream.Err(), n)
		} else {
			claudeErrorBody(t, e.RawJSON())
		}
	})
}

// claudeNews is what the API's pages say of errors and the client's types do not know yet.
var claudeNews = map[holdfasttest.Error][]string{
	holdfasttest.TooLarge:   {"error: no variant of shared.ErrorObjectUnion"},
	holdfasttest.Conflict:   {"error: no variant of shared.ErrorObjectUnion"},
	holdfasttest.MonthlyCap: {"error.details: unknown to shared.RateLimitError"},
}

func claudeErrorBody(t *testing.T, body string, news ...string) {
	t.Helper()
	var e anthropic.ErrorResponse
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatal(err)
	}
	clean(t, "error "+body, e, news...)
}
