package conformance

import (
	"testing"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// A request of holdfast's goes where the official client's goes, with the same key and version.
func TestEnvelope(t *testing.T) {
	t.Parallel()
	official := map[string]func(*testing.T, *holdfasttest.Server){
		"claude new": func(t *testing.T, s *holdfasttest.Server) {
			c := claudeClient(s)
			_, _ = c.Messages.New(t.Context(), claudeAsk(t, question{}))
			claudeStream(t, c, claudeAsk(t, question{}))
		},
		"chat old": func(t *testing.T, s *holdfasttest.Server) {
			c := openaiClient(s)
			_, _ = c.Chat.Completions.New(t.Context(), chatAsk(t, "gpt-4.1", question{}))
			chatStream(t, c, chatAsk(t, "gpt-4.1", question{}), false)
		},
		"responses new": func(t *testing.T, s *holdfasttest.Server) {
			c := openaiClient(s)
			_, _ = c.Responses.New(t.Context(), responsesAsk(t, question{}))
			responsesStream(t, c, responsesAsk(t, question{}))
		},
		"gemini new": func(t *testing.T, s *holdfasttest.Server) {
			c, _ := geminiClient(t, s)
			contents, config := geminiAsk(t, question{})
			_, _ = c.Models.GenerateContent(t.Context(), geminiModel, contents, config)
			geminiStream(t, c, contents, config)
		},
	}
	for name, ask := range official {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := places[name]
			s := server(t, p.serves)
			ask(t, s)
			for _, way := range ways {
				if _, err := way(t, holdfastClient(t, s, p), &holdfast.ChatRequest{Messages: holdfast.Ask("Hi")}); err != nil {
					t.Fatal(err)
				}
			}
			requests := s.Requests()
			for i := range ways {
				theirs, ours := requests[i], requests[len(ways)+i]
				if ours.Method != theirs.Method || ours.Path != theirs.Path || ours.Stream != theirs.Stream {
					t.Errorf("got %s %s, the client's is %s %s", ours.Method, ours.Path, theirs.Method, theirs.Path)
				}
				for _, h := range []string{"Content-Type", "Authorization", "X-Api-Key", "X-Goog-Api-Key", "Anthropic-Version", "Anthropic-Beta"} {
					if got, want := ours.Header.Get(h), theirs.Header.Get(h); got != want {
						t.Errorf("%s: got %q, the client's is %q", h, got, want)
					}
				}
			}
		})
	}
}
