package conformance

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/shared"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

func openaiClient(s *holdfasttest.Server) openai.Client {
	return openai.NewClient(option.WithBaseURL(s.URL+"/v1"), option.WithAPIKey("key"), option.WithMaxRetries(0))
}

var chatStops = map[string]string{
	"EndTurn": "stop", "ToolUse": "tool_calls", "MaxTokens": "length", "ContextExceeded": "length", "StopSequence": "stop",
	"Refusal": "stop", "ContentFilter": "content_filter", "Paused": "stop",
}

// decoded makes a client's parameters of JSON, where that says it more plainly than its types.
func decoded[T any](t *testing.T, raw string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func chatAsk(t *testing.T, model string, q question) openai.ChatCompletionNewParams {
	t.Helper()
	p := openai.ChatCompletionNewParams{
		Model: model, MaxCompletionTokens: openai.Int(1000),
		Messages: []openai.ChatCompletionMessageParamUnion{openai.DeveloperMessage("Be brief."), openai.UserMessage("Why is the sky blue?")},
	}
	if q.tools {
		p.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
			Name: "weather", Description: openai.String("The weather"), Strict: openai.Bool(true),
			Parameters: decoded[shared.FunctionParameters](t, weatherSchema),
		})}
	}
	if q.stop != nil {
		p.Stop.OfStringArray = q.stop
	}
	return p
}

func chatSaid(c openai.ChatCompletion) said {
	u := c.Usage
	out := said{Usage: holdfasttest.Usage{
		Input: int(u.PromptTokens), CacheRead: int(u.PromptTokensDetails.CachedTokens), CacheWrite: int(u.PromptTokensDetails.CacheWriteTokens),
		Output: int(u.CompletionTokens), Reasoning: int(u.CompletionTokensDetails.ReasoningTokens),
	}}
	for _, choice := range c.Choices {
		if choice.Index != 0 {
			continue
		}
		out.Text, out.Refusal, out.Stop = choice.Message.Content, choice.Message.Refusal, choice.FinishReason
		for _, use := range choice.Message.ToolCalls {
			out.Calls = append(out.Calls, call(use.Function.Name, use.Function.Arguments))
		}
	}
	return out
}

func chatStream(t *testing.T, c openai.Client, p openai.ChatCompletionNewParams, judged bool) openai.ChatCompletion {
	t.Helper()
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := c.Chat.Completions.NewStreaming(t.Context(), p)
	defer stream.Close()
	var all openai.ChatCompletionAccumulator
	var usage openai.CompletionUsage
	for stream.Next() {
		chunk := stream.Current()
		if judged {
			clean(t, "chunk", chunk)
		}
		if !all.AddChunk(chunk) {
			t.Fatalf("the client cannot join the chunk %s", chunk.RawJSON())
		}
		usage = chunk.Usage
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	all.Usage = usage // of the last chunk: the client's sum leaves out cache_write_tokens
	return all.ChatCompletion
}

func TestChatAnswers(t *testing.T) {
	t.Parallel()
	for _, q := range questions {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			s := server(t, holdfasttest.OpenAI, q.reply, q.reply)
			c, p := openaiClient(s), chatAsk(t, "gpt-4.1", q)
			whole, err := c.Chat.Completions.New(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			clean(t, "completion", *whole)
			want := q.wants(chatStops, func(_ question, w *said) { w.Thinking, w.Signed = "", false }) // not in this API
			agree(t, "unary", chatSaid(*whole), want)
			agree(t, "streamed", chatSaid(chatStream(t, c, p, true)), want)
			accepted(t, s)
		})
	}
}

// A local model speaks a little less of the API, and reasoning in a word of its own: the client is no judge of those.
func TestLocalAnswers(t *testing.T) {
	t.Parallel()
	for _, q := range questions {
		if q.want.Refusal != "" {
			continue
		}
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			s := server(t, holdfasttest.Local, q.reply, q.reply)
			c, p := openaiClient(s), chatAsk(t, "qwen3:8b", q)
			whole, err := c.Chat.Completions.New(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			want := q.wants(chatStops, func(_ question, w *said) {
				w.Thinking, w.Signed = "", false
				w.Usage = holdfasttest.Usage{Input: usual.Input, Output: usual.Output}
			})
			agree(t, "unary", chatSaid(*whole), want)
			agree(t, "streamed", chatSaid(chatStream(t, c, p, false)), want)
			accepted(t, s)
		})
	}
}

func TestChatToolLoop(t *testing.T) {
	t.Parallel()
	for _, d := range []holdfasttest.Dialect{holdfasttest.OpenAI, holdfasttest.Local} {
		for _, streamed := range []bool{false, true} {
			s := server(t, d, holdfasttest.Reply{
				Text: "Let me see.", ToolCalls: []holdfasttest.ToolCall{{Name: "weather", Args: weatherArgs}, {Name: "weather"}},
			}, holdfasttest.Reply{Text: "It rains."})
			c, p := openaiClient(s), chatAsk(t, "gpt-4.1", question{tools: true})
			var first openai.ChatCompletion
			if streamed {
				first = chatStream(t, c, p, d == holdfasttest.OpenAI)
			} else {
				whole, err := c.Chat.Completions.New(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				first = *whole
			}
			p.Messages = append(p.Messages, first.Choices[0].Message.ToParam())
			for _, use := range first.Choices[0].Message.ToolCalls {
				p.Messages = append(p.Messages, openai.ToolMessage("rain", use.ID))
			}
			second, err := c.Chat.Completions.New(t.Context(), p)
			if err != nil {
				t.Fatalf("%s, streamed %v: %v", d, streamed, err)
			}
			if got := chatSaid(*second).Text; got != "It rains." {
				t.Errorf("got %q, want the second answer", got)
			}
		}
	}
}

func TestChatTakes(t *testing.T) {
	t.Parallel()
	s := server(t, holdfasttest.OpenAI)
	c := openaiClient(s)
	p := chatAsk(t, "gpt-4.1", question{tools: true})
	p.Messages = append(p.Messages, openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
		openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: "https://example.com/a.png", Detail: "high"}),
		openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: "data:image/png;base64,iVBORw0KGgo="}),
		openai.InputAudioContentPart(openai.ChatCompletionContentPartInputAudioInputAudioParam{Data: "UklGRg==", Format: "wav"}),
		openai.FileContentPart(openai.ChatCompletionContentPartFileFileParam{
			FileData: openai.String("data:application/pdf;base64,JVBERi0="), Filename: openai.String("a.pdf"),
		}),
		openai.TextContentPart("Compare."),
	}))
	p.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
		Name: "weather", Strict: openai.Bool(true), Schema: decoded[map[string]any](t, weatherSchema),
	}}
	p.Temperature, p.Seed, p.ParallelToolCalls = openai.Float(0.5), openai.Int(7), openai.Bool(false)
	p.Metadata = shared.Metadata{"a": "b"}
	if _, err := c.Chat.Completions.New(t.Context(), p); err != nil {
		t.Error(err)
	}
	chatStream(t, c, p, true)
	list := c.Models.ListAutoPaging(t.Context())
	n := 0
	for ; list.Next(); n++ {
		clean(t, "model", list.Current())
	}
	if list.Err() != nil || n == 0 {
		t.Errorf("models: got %d, %v", n, list.Err())
	}
	if m, err := c.Models.Get(t.Context(), "gpt-6-sol"); err != nil || m.ID != "gpt-6-sol" {
		t.Errorf("model: got %v, %v", m, err)
	} else {
		clean(t, "model", *m)
	}
}

type openaiFailure struct {
	give       holdfasttest.Error
	status     int
	kind, code string
}

// openaiFailures are those of both APIs.
var openaiFailures = []openaiFailure{
	{holdfasttest.BadRequest, 400, "invalid_request_error", "invalid_value"},
	{holdfasttest.ContextTooLong, 400, "invalid_request_error", "context_length_exceeded"},
	{holdfasttest.TooLarge, 413, "invalid_request_error", ""},
	{holdfasttest.BadKey, 401, "invalid_request_error", "invalid_api_key"},
	{holdfasttest.NoPermission, 403, "invalid_request_error", "missing_scope"},
	{holdfasttest.RegionBlocked, 403, "request_forbidden", "unsupported_country_region_territory"},
	{holdfasttest.SpendLimit, 429, "insufficient_quota", "billing_hard_limit_reached"},
	{holdfasttest.OutOfCredit, 429, "insufficient_quota", "insufficient_quota"},
	{holdfasttest.MonthlyCap, 429, "insufficient_quota", "credit_balance_exhausted"},
	{holdfasttest.RateLimited, 429, "requests", "rate_limit_exceeded"},
	{holdfasttest.DailyQuota, 429, "requests", "rate_limit_exceeded"},
	{holdfasttest.SlowDown, 429, "rate_limit_error", "slow_down"},
	{holdfasttest.ModelMissing, 404, "invalid_request_error", "model_not_found"},
	{holdfasttest.PolicyBlocked, 400, "invalid_request_error", "invalid_prompt"},
	{holdfasttest.BadSignature, 400, "invalid_request_error", "invalid_encrypted_content"},
	{holdfasttest.Conflict, 409, "invalid_request_error", ""},
	{holdfasttest.TimedOut, 408, "server_error", ""},
	{holdfasttest.ServerError, 500, "server_error", ""},
	{holdfasttest.Overloaded, 503, "service_unavailable_error", "server_is_overloaded"},
}

func (f openaiFailure) check(t *testing.T, err error) {
	t.Helper()
	var e *openai.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an API error", err)
	}
	retry := e.Response.Header.Get("Retry-After")
	if e.StatusCode != f.status || e.Type != f.kind || e.Code != f.code || e.Message == "" || retry != "17" {
		t.Errorf("got %d %s %s %q, retry after %q; want %d %s %s", e.StatusCode, e.Type, e.Code, e.Message, retry, f.status, f.kind, f.code)
	}
	clean(t, "error", *e)
}

func TestChatErrors(t *testing.T) {
	t.Parallel()
	for _, f := range openaiFailures {
		t.Run(string(f.give), func(t *testing.T) {
			t.Parallel()
			reply := holdfasttest.Reply{Error: f.give, RetryAfter: "17"}
			s := server(t, holdfasttest.OpenAI, reply, reply)
			c, p := openaiClient(s), chatAsk(t, "gpt-6-sol", question{})
			_, err := c.Chat.Completions.New(t.Context(), p)
			f.check(t, err)
			stream := c.Chat.Completions.NewStreaming(t.Context(), p)
			if stream.Next() {
				t.Error("the stream began")
			}
			f.check(t, stream.Err())
		})
	}
	t.Run("in the stream", func(t *testing.T) {
		t.Parallel()
		s := server(t, holdfasttest.OpenAI, holdfasttest.Reply{Fault: holdfasttest.ErrorInStream, After: 1})
		c := openaiClient(s)
		stream := c.Chat.Completions.NewStreaming(t.Context(), chatAsk(t, "gpt-6-sol", question{}))
		n := 0
		for ; stream.Next(); n++ {
		}
		var e *ssestream.StreamError
		if !errors.As(stream.Err(), &e) || !strings.Contains(e.Message, "server_is_overloaded") || n == 0 {
			t.Errorf("got %v behind %d chunks, want server_is_overloaded behind some", stream.Err(), n)
		}
	})
}
