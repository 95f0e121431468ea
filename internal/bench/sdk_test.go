package bench

import (
	"context"
	"net/http"
	"strings"

	"github.com/anthropics/anthropic-sdk-go"
	claudeoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	chatoption "github.com/openai/openai-go/v3/option"
)

// The official clients, with the same transport as floor and without retries, used in the cheapest way they offer: fields
// of the event instead of AsAny, which reads its JSON again, and a strings.Builder instead of their own accumulators.
var (
	anthropicSDK = contender{name: "anthropic-sdk-go", dialects: []dialect{claude}, open: openAnthropic}
	openaiSDK    = contender{name: "openai-go", dialects: []dialect{chat}, open: openOpenAI}
)

func sdkTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 128
	return t
}

type anthropicClient struct {
	client    anthropic.Client
	params    anthropic.MessageNewParams
	transport *http.Transport
}

func openAnthropic(s setup) (asker, error) {
	a := &anthropicClient{transport: sdkTransport()}
	a.client = anthropic.NewClient(
		claudeoption.WithBaseURL(s.url), claudeoption.WithAPIKey(apiKey), claudeoption.WithMaxRetries(0),
		claudeoption.WithHTTPClient(&http.Client{Transport: a.transport}),
	)
	a.params = anthropic.MessageNewParams{Model: anthropic.Model(s.dialect.model()), MaxTokens: maxTokens}
	for _, t := range s.turns {
		message := anthropic.NewUserMessage(anthropic.NewTextBlock(t.text))
		if t.role == "assistant" {
			message = anthropic.NewAssistantMessage(anthropic.NewTextBlock(t.text))
		}
		a.params.Messages = append(a.params.Messages, message)
	}
	return a, nil
}

func (a *anthropicClient) close() { a.transport.CloseIdleConnections() }

func (a *anthropicClient) chat(ctx context.Context) (answer, error) {
	m, err := a.client.Messages.New(ctx, a.params)
	if err != nil {
		return answer{}, err
	}
	got := answer{stop: string(m.StopReason), input: int(m.Usage.InputTokens), output: int(m.Usage.OutputTokens)}
	for _, block := range m.Content {
		got.text += block.Text
	}
	return got, nil
}

func (a *anthropicClient) stream(ctx context.Context, show func(string)) (answer, error) {
	stream := a.client.Messages.NewStreaming(ctx, a.params)
	defer stream.Close()
	var got answer
	var text strings.Builder
	for stream.Next() {
		switch event := stream.Current(); event.Type {
		case "message_start":
			got.input = int(event.Message.Usage.InputTokens)
		case "content_block_delta":
			if piece := event.Delta.Text; piece != "" {
				text.WriteString(piece)
				show(piece)
			}
		case "message_delta":
			got.stop = string(event.Delta.StopReason)
			got.output = int(event.Usage.OutputTokens)
		}
	}
	got.text = text.String()
	return got, stream.Err()
}

type openaiClient struct {
	client    openai.Client
	params    openai.ChatCompletionNewParams
	transport *http.Transport
}

func openOpenAI(s setup) (asker, error) {
	o := &openaiClient{transport: sdkTransport()}
	o.client = openai.NewClient(
		chatoption.WithBaseURL(s.url+"/v1"), chatoption.WithAPIKey(apiKey), chatoption.WithMaxRetries(0),
		chatoption.WithHTTPClient(&http.Client{Transport: o.transport}),
	)
	o.params = openai.ChatCompletionNewParams{Model: s.dialect.model()}
	for _, t := range s.turns {
		message := openai.UserMessage(t.text)
		if t.role == "assistant" {
			message = openai.AssistantMessage(t.text)
		}
		o.params.Messages = append(o.params.Messages, message)
	}
	return o, nil
}

func (o *openaiClient) close() { o.transport.CloseIdleConnections() }

func (o *openaiClient) chat(ctx context.Context) (answer, error) {
	c, err := o.client.Chat.Completions.New(ctx, o.params)
	if err != nil {
		return answer{}, err
	}
	got := answer{input: int(c.Usage.PromptTokens), output: int(c.Usage.CompletionTokens)}
	for _, choice := range c.Choices {
		got.text, got.stop = choice.Message.Content, choice.FinishReason
	}
	return got, nil
}

func (o *openaiClient) stream(ctx context.Context, show func(string)) (answer, error) {
	params := o.params
	params.StreamOptions = openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}
	stream := o.client.Chat.Completions.NewStreaming(ctx, params)
	defer stream.Close()
	var got answer
	var text strings.Builder
	for stream.Next() {
		chunk := stream.Current()
		if chunk.Usage.TotalTokens > 0 {
			got.input, got.output = int(chunk.Usage.PromptTokens), int(chunk.Usage.CompletionTokens)
		}
		for _, choice := range chunk.Choices {
			if choice.FinishReason != "" {
				got.stop = choice.FinishReason
			}
			if piece := choice.Delta.Content; piece != "" {
				text.WriteString(piece)
				show(piece)
			}
		}
	}
	got.text = text.String()
	return got, stream.Err()
}
