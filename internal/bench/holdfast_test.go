package bench

import (
	"context"

	"github.com/holdfast-ai/holdfast"
)

// holdfastClient is holdfast as a service would configure it. Everything that stands by (attempts, verdicts, the Trail) stands by.
var holdfastClient = contender{name: "holdfast", dialects: dialects, open: func(s setup) (asker, error) {
	endpoint := holdfast.Endpoint{
		Name: "upstream", Provider: "claude", URL: s.url, KeySource: holdfast.Literal(apiKey),
		Models: map[string]string{"default": s.dialect.model()},
	}
	if s.dialect == chat {
		endpoint.Provider, endpoint.URL = "openai-chat", s.url+"/v1"
	}
	client, err := holdfast.New(holdfast.Config{Unary: true, Endpoints: []holdfast.Endpoint{endpoint}}) // as the others are asked
	if err != nil {
		return nil, err
	}
	h := &holdfastAsker{client: client, request: &holdfast.ChatRequest{MaxOutputTokens: maxTokens}}
	for _, t := range s.turns {
		message := holdfast.UserText(t.text)
		if t.role == "assistant" {
			message = holdfast.AssistantText(t.text)
		}
		h.request.Messages = append(h.request.Messages, message)
	}
	return h, nil
}}

type holdfastAsker struct {
	client  *holdfast.Client
	request *holdfast.ChatRequest
}

func (h *holdfastAsker) close() { h.client.Close() } //nolint:errcheck // it returns nil

func (h *holdfastAsker) chat(ctx context.Context) (answer, error) {
	response, err := h.client.Chat(ctx, h.request)
	if err != nil {
		return answer{}, err
	}
	return holdfastAnswer(response), nil
}

func (h *holdfastAsker) stream(ctx context.Context, show func(string)) (got answer, err error) {
	for event, err := range h.client.Stream(ctx, h.request) {
		switch {
		case err != nil:
			return answer{}, err
		case event.Type == holdfast.EventText:
			show(event.Delta)
		case event.Type == holdfast.EventEnd:
			got = holdfastAnswer(event.Response)
		}
	}
	return got, nil
}

func holdfastAnswer(r *holdfast.ChatResponse) answer {
	return answer{r.Text(), r.Stop.Raw, r.Usage.Input, r.Usage.Output}
}
