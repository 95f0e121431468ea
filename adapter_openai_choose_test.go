package holdfast

import "testing"

// chatStub is a Chat Completions codec that refuses the fields it is told to.
type chatStub struct {
	AIServiceAdapter
	refuses string
}

func (c chatStub) Encode(dst []byte, _ *ChatRequest, _ Target) (Encoded, error) {
	if c.refuses != "" {
		return Encoded{}, Unsupported(c.refuses, "the model refuses it")
	}
	return Encoded{Path: "/chat/completions", Body: append(dst, "{}"...)}, nil
}

func TestOpenAIChoosesDialect(t *testing.T) {
	t.Parallel()
	seed, half := int64(7), 0.5
	audio := []Message{{Role: RoleUser, Parts: Parts{&Audio{MIME: "audio/wav", Bytes: []byte("RIFF")}}}}
	tools := []Tool{{Name: "time"}}
	for name, c := range map[string]struct {
		model   string
		req     ChatRequest
		refuses string // by the chat codec
		path    string // of the chosen one, or
		field   string // that it refuses
	}{
		"plain":             {"gpt-6-sol", ChatRequest{}, "", "/responses", ""},
		"tools":             {"gpt-6-sol", ChatRequest{Tools: tools}, "", "/responses", ""},
		"seed":              {"gpt-4.1", ChatRequest{Seed: &seed}, "", "/chat/completions", ""},
		"stop":              {"gpt-4.1", ChatRequest{Stop: []string{"END"}, Tools: tools}, "", "/chat/completions", ""},
		"presence penalty":  {"gpt-4.1", ChatRequest{PresencePenalty: &half}, "", "/chat/completions", ""},
		"frequency penalty": {"gpt-4.1", ChatRequest{FrequencyPenalty: &half}, "", "/chat/completions", ""},
		"audio":             {"my-deployment", ChatRequest{Messages: audio}, "", "/chat/completions", ""},
		"hinted seed":       {"gpt-4.1", ChatRequest{Seed: &seed, Hints: []string{"seed"}}, "", "/responses", ""},
		"chat-only model":   {"gpt-audio-mini", ChatRequest{}, "", "/chat/completions", ""},
		"Responses-only":    {"gpt-5.5-pro", ChatRequest{Stop: []string{"END"}}, "", "", "stop"},
		"stop refused":      {"gpt-6-sol", ChatRequest{Stop: []string{"END"}}, "stop", "", "stop"},
		"seed with tools":   {"gpt-6-sol", ChatRequest{Seed: &seed, Tools: tools}, "tools", "", "seed"},
		"audio refused":     {"gpt-6-sol", ChatRequest{Messages: audio}, "messages[0].parts[0]", "", "messages[0].parts[0]"},
		"no chat field":     {"gpt-6-sol", ChatRequest{TopK: 3}, "top_k", "", "top_k"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req, to := c.req, Target{Provider: "openai", Model: c.model}
			if req.Messages == nil {
				req.Messages = Ask("Hi")
			}
			a := openaiAdapter{chat: chatStub{refuses: c.refuses}}
			got, err := a.ChooseDialect(&req, to).Encode(nil, &req, to)
			field := ""
			if e, ok := err.(*Error); ok {
				field = e.Field
			}
			if got.Path != c.path || field != c.field {
				t.Errorf("got path %q and refused field %q, want %q and %q", got.Path, field, c.path, c.field)
			}
		})
	}
}
