package conformance

import (
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	"google.golang.org/genai"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

const skyText = "Because the air scatters blue light more than red, says Rayleigh."

// genai goes on by itself, and shows the text once if the stream broke at a checkpoint.
func TestGeminiGoesOn(t *testing.T) {
	t.Parallel()
	const model = "gemini-4-argon"
	for _, tt := range []struct {
		name    string
		replies []holdfasttest.Reply
		hops    int
		twice   string // what genai shows, if not the text once
	}{
		{"cut once", []holdfasttest.Reply{{Text: skyText, Checkpoints: 2, Fault: holdfasttest.CutFIN, After: 4}}, 2, ""},
		{"cut again and again", []holdfasttest.Reply{
			{Text: skyText, Checkpoints: 1, Fault: holdfasttest.CutFIN, After: 3},
			{Fault: holdfasttest.EndEarly, After: 2},
			{Fault: holdfasttest.ErrorInStream, After: 1},
			{Text: "Something else."},
		}, 4, ""},
		{"cut before the end", []holdfasttest.Reply{{Text: skyText, Checkpoints: 1, Fault: holdfasttest.NoTerminator}}, 2, ""},
		{"lost without progress", []holdfasttest.Reply{
			{Text: skyText, Checkpoints: 1, Fault: holdfasttest.CutFIN, After: 3},
			{Fault: holdfasttest.CloseBeforeHeaders},
		}, 3, ""},
		{"paused", []holdfasttest.Reply{{Text: skyText, PauseAfter: 3}, {PauseAfter: 3}}, 3, ""},
		{"cut behind a checkpoint", []holdfasttest.Reply{{Text: "one two three four", Checkpoints: 2, Fault: holdfasttest.CutFIN, After: 3}}, 2, "one two three three four"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := server(t, holdfasttest.Gemini, tt.replies...)
			c, err := genai.NewClient(t.Context(), &genai.ClientConfig{
				APIKey: "key", Backend: genai.BackendGeminiAPI, HTTPClient: s.Client(), HTTPOptions: genai.HTTPOptions{BaseURL: s.URL, APIVersion: "v1beta"},
			})
			if err != nil {
				t.Fatal(err)
			}
			contents, config := geminiAsk(t, question{})
			config.AutomaticContinuation = nil // on, if nothing is said
			var all []*genai.GenerateContentResponse
			for r, err := range c.Models.GenerateContentStream(t.Context(), model, contents, config) {
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, r)
			}
			want := skyText
			if tt.twice != "" {
				want = tt.twice
			}
			if got := geminiSaid(all...); got.Text != want || got.Stop != "STOP" {
				t.Errorf("got %q, stop %s, want %q", got.Text, got.Stop, want)
			}
			if got := len(s.Requests()); got != tt.hops {
				t.Errorf("got %d requests, want %d", got, tt.hops)
			}
			accepted(t, s)
		})
	}
	t.Run("whole", func(t *testing.T) {
		t.Parallel()
		s := server(t, holdfasttest.Gemini, holdfasttest.Reply{Text: skyText, PauseAfter: 3}, holdfasttest.Reply{PauseAfter: 3})
		c, read := geminiClient(t, s)
		contents, config := geminiAsk(t, question{})
		config.AutomaticContinuation = nil
		r, err := c.Models.GenerateContent(t.Context(), model, contents, config)
		if err != nil {
			t.Fatal(err)
		}
		if got := geminiSaid(r); got.Text != skyText || got.Stop != "STOP" || len(s.Requests()) != 3 {
			t.Errorf("got %q, stop %s in %d requests, want the text in 3", got.Text, got.Stop, len(s.Requests()))
		}
		read.known(t, genai.GenerateContentResponse{})
	})
}

// A checkpoint is a member that the client knows, in a chunk that it reads whole.
func TestGeminiGivesCheckpoints(t *testing.T) {
	t.Parallel()
	s := server(t, holdfasttest.Gemini, holdfasttest.Reply{Text: "one two three", Checkpoints: 2})
	c, read := geminiClient(t, s)
	contents, config := geminiAsk(t, question{})
	var given []bool
	for r, err := range c.Models.GenerateContentStream(t.Context(), "gemini-4-argon", contents, config) {
		if err != nil {
			t.Fatal(err)
		}
		given = append(given, len(r.Candidates[0].ContinuationToken) > 0)
	}
	if want := []bool{false, true, false, false}; !slices.Equal(given, want) {
		t.Errorf("got tokens in the chunks %v, want %v", given, want)
	}
	read.known(t, genai.GenerateContentResponse{})
}

func TestClaudeContinuesPrefill(t *testing.T) {
	t.Parallel()
	const said = "Because the air"
	reply := holdfasttest.Reply{Text: skyText}
	s := server(t, holdfasttest.Claude, reply, reply)
	c, p := claudeClient(s), claudeAsk(t, question{})
	p.Model = "claude-haiku-4-5"
	p.Messages = append(p.Messages, anthropic.NewAssistantMessage(anthropic.NewTextBlock(said)))
	m, err := c.Messages.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*anthropic.Message{m, claudeStream(t, c, p)} {
		if got := said + claudeSaid(m).Text; got != skyText {
			t.Errorf("got %q, want %q", got, skyText)
		}
	}
	p.Model = claudeModel
	var e *anthropic.Error
	if _, err := c.Messages.New(t.Context(), p); !errors.As(err, &e) || e.StatusCode != http.StatusBadRequest {
		t.Errorf("%s: got %v, want it refused", claudeModel, err)
	}
}

// The client's GetStreaming says in the body of its GET that it wants a stream, the API reads it from the query.
func TestResponsesGoOn(t *testing.T) {
	t.Parallel()
	s := server(t, holdfasttest.OpenAI, holdfasttest.Reply{Text: skyText, Fault: holdfasttest.CutFIN, After: 3})
	c, p := openaiClient(s), responsesAsk(t, question{})
	p.Background, p.Store = openai.Bool(true), openai.Bool(true)
	first := c.Responses.NewStreaming(t.Context(), p)
	defer first.Close()
	text, id, last := "", "", int64(0)
	for first.Next() {
		event := first.Current()
		clean(t, event.Type, event, obfuscated(event, p)...)
		if event.Type == "response.created" {
			id = event.Response.ID
		}
		if event.Type == "response.output_text.delta" {
			text += event.Delta
		}
		last = event.SequenceNumber
	}
	if first.Err() == nil || text != "Because the air " {
		t.Errorf("got %q, %v, want a broken stream", text, first.Err())
	}
	rest := c.Responses.GetStreaming(t.Context(), id, responses.ResponseGetParams{StartingAfter: openai.Int(last)}, option.WithQuery("stream", "true"))
	defer rest.Close()
	status := responses.ResponseStatus("")
	for rest.Next() {
		event := rest.Current()
		clean(t, event.Type, event, obfuscated(event, p)...)
		if last++; event.SequenceNumber != last {
			t.Errorf("%s has number %d, want %d", event.Type, event.SequenceNumber, last)
		}
		if event.Type == "response.output_text.delta" {
			text += event.Delta
		}
		status = event.Response.Status
	}
	if rest.Err() != nil || text != skyText || status != responses.ResponseStatusCompleted {
		t.Errorf("got %q, %s, %v, want the text once", text, status, rest.Err())
	}
	whole, err := c.Responses.Get(t.Context(), id, responses.ResponseGetParams{})
	if err != nil || whole.OutputText() != skyText {
		t.Errorf("got %v, %v, want the whole response", whole, err)
	}
	accepted(t, s)
	if sent := s.Requests()[1]; string(sent.Body) != `{"stream":true}` {
		t.Errorf("the client sent %q: does it ask in the query now?", sent.Body)
	}
}
