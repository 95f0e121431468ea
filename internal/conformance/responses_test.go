package conformance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

var responsesStops = map[string]string{
	"EndTurn": "completed", "ToolUse": "completed", "MaxTokens": "incomplete max_output_tokens",
	"ContextExceeded": "incomplete max_output_tokens", "StopSequence": "completed", "Refusal": "completed",
	"ContentFilter": "incomplete content_filter", "Paused": "completed",
}

func responsesAsk(t *testing.T, q question) responses.ResponseNewParams {
	t.Helper()
	p := responses.ResponseNewParams{
		Model: "gpt-6-sol", MaxOutputTokens: openai.Int(1000), Instructions: openai.String("Be brief."), Store: openai.Bool(false),
		Include: []responses.ResponseIncludable{"reasoning.encrypted_content"},
		Input: responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{
			responses.ResponseInputItemParamOfMessage("Why is the sky blue?", "user"),
		}},
	}
	if q.tools {
		p.Tools = []responses.ToolUnionParam{responses.ToolParamOfFunction("weather", decoded[map[string]any](t, weatherSchema), true)}
	}
	if q.think {
		p.Reasoning = shared.ReasoningParam{Effort: "high", Summary: "auto"}
	}
	return p
}

func responsesSaid(r *responses.Response) said {
	u := r.Usage
	out := said{Stop: string(r.Status), Usage: holdfasttest.Usage{
		Input: int(u.InputTokens), CacheRead: int(u.InputTokensDetails.CachedTokens), CacheWrite: int(u.InputTokensDetails.CacheWriteTokens),
		Output: int(u.OutputTokens), Reasoning: int(u.OutputTokensDetails.ReasoningTokens),
	}}
	if r.IncompleteDetails.Reason != "" {
		out.Stop += " " + r.IncompleteDetails.Reason
	}
	for _, item := range r.Output {
		switch item := item.AsAny().(type) {
		case responses.ResponseOutputMessage:
			for _, part := range item.Content {
				out.Text += part.Text
				out.Refusal += part.Refusal
			}
		case responses.ResponseReasoningItem:
			for _, part := range item.Summary {
				out.Thinking += part.Text
			}
			out.Signed = item.EncryptedContent != ""
		case responses.ResponseFunctionToolCall:
			out.Calls = append(out.Calls, call(item.Name, item.Arguments))
		}
	}
	return out
}

// obfuscated is what the client must note against a delta: its types do not have the padding that its comment on
// include_obfuscation tells of.
func obfuscated(event responses.ResponseStreamEventUnion, p responses.ResponseNewParams) []string {
	if !strings.HasSuffix(event.Type, ".delta") || !p.StreamOptions.IncludeObfuscation.Or(true) {
		return nil
	}
	return []string{fmt.Sprintf("obfuscation: unknown to %T", event.AsAny())}
}

// responsesStream returns what the deltas of a stream say, and the response at its end.
func responsesStream(t *testing.T, c openai.Client, p responses.ResponseNewParams) (deltas said, last *responses.Response) {
	t.Helper()
	stream := c.Responses.NewStreaming(t.Context(), p)
	defer stream.Close()
	var args map[int64]string
	number := int64(0)
	for ; stream.Next(); number++ {
		event := stream.Current()
		clean(t, event.Type, event, obfuscated(event, p)...)
		if event.SequenceNumber != number {
			t.Errorf("%s has number %d, want %d", event.Type, event.SequenceNumber, number)
		}
		switch event := event.AsAny().(type) {
		case responses.ResponseTextDeltaEvent:
			deltas.Text += event.Delta
		case responses.ResponseRefusalDeltaEvent:
			deltas.Refusal += event.Delta
		case responses.ResponseReasoningSummaryTextDeltaEvent:
			deltas.Thinking += event.Delta
		case responses.ResponseFunctionCallArgumentsDeltaEvent:
			if args == nil {
				args = map[int64]string{}
			}
			args[event.OutputIndex] += event.Delta
		case responses.ResponseOutputItemDoneEvent:
			if event.Item.Type == "function_call" {
				deltas.Calls = append(deltas.Calls, call(event.Item.Name, args[event.OutputIndex]))
			}
		case responses.ResponseCompletedEvent:
			last = &event.Response
		case responses.ResponseIncompleteEvent:
			last = &event.Response
		}
	}
	if err := stream.Err(); err != nil || last == nil {
		t.Fatalf("stream: %v, its end seen: %v", err, last != nil)
	}
	return deltas, last
}

func TestResponsesAnswers(t *testing.T) {
	t.Parallel()
	for _, q := range questions {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			s := server(t, holdfasttest.OpenAI, q.reply, q.reply)
			c, p := openaiClient(s), responsesAsk(t, q)
			r, err := c.Responses.New(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			clean(t, "response", *r)
			want := q.wants(responsesStops, nil)
			agree(t, "unary", responsesSaid(r), want)
			deltas, last := responsesStream(t, c, p)
			agree(t, "streamed", responsesSaid(last), want)
			deltas.Signed, deltas.Stop, deltas.Usage = want.Signed, want.Stop, want.Usage
			agree(t, "deltas", deltas, want)
			accepted(t, s)
		})
	}
}

// What the model said goes back item by item as it came, reasoning included.
func TestResponsesToolLoop(t *testing.T) {
	t.Parallel()
	for _, streamed := range []bool{false, true} {
		s := server(t, holdfasttest.OpenAI, holdfasttest.Reply{
			Thinking: "Ask.", Text: "Let me see.", ToolCalls: []holdfasttest.ToolCall{{Name: "weather", Args: weatherArgs}, {Name: "weather"}},
		}, holdfasttest.Reply{Text: "It rains."})
		c, p := openaiClient(s), responsesAsk(t, question{tools: true, think: true})
		var r *responses.Response
		if streamed {
			_, r = responsesStream(t, c, p)
		} else {
			var err error
			if r, err = c.Responses.New(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		for _, item := range r.Output {
			p.Input.OfInputItemList = append(p.Input.OfInputItemList, decoded[responses.ResponseInputItemUnionParam](t, item.RawJSON()))
		}
		for _, item := range r.Output {
			if use, ok := item.AsAny().(responses.ResponseFunctionToolCall); ok {
				result := responses.ResponseInputItemParamOfFunctionCallOutput("rain")
				result.OfFunctionCallOutput.CallID = openai.String(use.CallID)
				p.Input.OfInputItemList = append(p.Input.OfInputItemList, result)
			}
		}
		r, err := c.Responses.New(t.Context(), p)
		if err != nil {
			t.Fatalf("streamed %v: %v", streamed, err)
		}
		if got := r.OutputText(); got != "It rains." {
			t.Errorf("got %q, want the second answer", got)
		}
	}
}

func TestResponsesTakes(t *testing.T) {
	t.Parallel()
	s := server(t, holdfasttest.OpenAI)
	c := openaiClient(s)
	p := responsesAsk(t, question{tools: true, think: true})
	p.Input.OfInputItemList = append(p.Input.OfInputItemList, decoded[responses.ResponseInputItemUnionParam](t, `{"type":"message","role":"user","content":[
		{"type":"input_image","image_url":"https://example.com/a.png","detail":"high"},
		{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgo=","detail":"auto"},
		{"type":"input_file","file_data":"data:application/pdf;base64,JVBERi0=","filename":"a.pdf"},
		{"type":"input_file","file_url":"https://example.com/a.pdf"},
		{"type":"input_text","text":"Compare."}]}`))
	p.Text = decoded[responses.ResponseTextConfigParam](t, `{"verbosity":"low","format":{"type":"json_schema","name":"w","strict":true,"schema":`+weatherSchema+`}}`)
	p.ToolChoice.OfFunctionTool = &responses.ToolChoiceFunctionParam{Name: "weather"}
	p.StreamOptions.IncludeObfuscation = openai.Bool(false)
	p.ParallelToolCalls, p.Metadata, p.SafetyIdentifier = openai.Bool(false), shared.Metadata{"a": "b"}, openai.String("u")
	r, err := c.Responses.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	clean(t, "response", *r)
	responsesStream(t, c, p)
	count, err := c.Responses.InputTokens.Count(t.Context(), responses.InputTokenCountParams{
		Model: openai.String(p.Model), Tools: p.Tools,
		Input: responses.InputTokenCountParamsInputUnion{OfResponseInputItemArray: p.Input.OfInputItemList},
	})
	if err != nil || count.InputTokens == 0 {
		t.Errorf("count of tokens: got %v, %v", count, err)
	} else {
		clean(t, "count", *count)
	}
}

func TestResponsesErrors(t *testing.T) {
	t.Parallel()
	for _, f := range openaiFailures {
		t.Run(string(f.give), func(t *testing.T) {
			t.Parallel()
			reply := holdfasttest.Reply{Error: f.give, RetryAfter: "17"}
			s := server(t, holdfasttest.OpenAI, reply, reply)
			c, p := openaiClient(s), responsesAsk(t, question{})
			_, err := c.Responses.New(t.Context(), p)
			f.check(t, err)
			stream := c.Responses.NewStreaming(t.Context(), p)
			if stream.Next() {
				t.Error("the stream began")
			}
			f.check(t, stream.Err())
		})
	}
}

// An answer that fails on its way says so in an event, or by its status.
func TestResponsesFail(t *testing.T) {
	t.Parallel()
	for _, give := range []holdfasttest.Error{holdfasttest.RateLimited, holdfasttest.ServerError} {
		for _, fault := range []holdfasttest.Fault{holdfasttest.ErrorInStream, holdfasttest.Failed} {
			reply := holdfasttest.Reply{Fault: fault, Error: give, After: 1}
			s := server(t, holdfasttest.OpenAI, reply)
			c := openaiClient(s)
			p := responsesAsk(t, question{})
			stream := c.Responses.NewStreaming(t.Context(), p)
			var last responses.ResponseStreamEventUnion
			for stream.Next() {
				last = stream.Current()
				clean(t, last.Type, last, obfuscated(last, p)...)
			}
			if err := stream.Err(); err != nil {
				t.Errorf("%s: %v", fault, err)
			}
			code := string(last.AsResponseFailed().Response.Error.Code)
			if fault == holdfasttest.ErrorInStream {
				code = last.AsError().Code
			}
			want := map[holdfasttest.Error]string{holdfasttest.RateLimited: "rate_limit_exceeded", holdfasttest.ServerError: "server_error"}[give]
			if code != want {
				t.Errorf("%s: got %s %q, want %q", fault, last.Type, code, want)
			}
		}
	}
	s := server(t, holdfasttest.OpenAI, holdfasttest.Reply{Fault: holdfasttest.Failed, Error: holdfasttest.RateLimited})
	c := openaiClient(s)
	r, err := c.Responses.New(t.Context(), responsesAsk(t, question{}))
	if err != nil || r.Status != "failed" || r.Error.Code != "rate_limit_exceeded" {
		t.Fatalf("got %v, %v, want a response that failed", r, err)
	}
	clean(t, "response", *r)
}
