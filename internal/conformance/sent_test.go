package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genai"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// A place is a model behind one of the APIs.
type place struct {
	dialect, model, path string
	serves               holdfasttest.Dialect
}

// places are a newer and an older model of each API: what they take differs.
var places = map[string]place{
	"claude new":    {"claude", "claude-opus-5-5", "", holdfasttest.Claude},
	"claude old":    {"claude", "claude-sonnet-4-5", "", holdfasttest.Claude},
	"chat new":      {"openai-chat", "gpt-6-sol", "/v1", holdfasttest.OpenAI},
	"chat old":      {"openai-chat", "gpt-4.1", "/v1", holdfasttest.OpenAI},
	"responses new": {"openai-responses", "gpt-6-sol", "/v1", holdfasttest.OpenAI},
	"responses old": {"openai-responses", "gpt-4.1", "/v1", holdfasttest.OpenAI},
	"gemini new":    {"gemini", "gemini-3.5-flash", "/v1beta", holdfasttest.Gemini},
	"gemini old":    {"gemini", "gemini-2.5-flash", "/v1beta", holdfasttest.Gemini},
}

var (
	weatherTool = holdfast.Tool{Name: "weather", Description: "The weather", Schema: json.RawMessage(weatherSchema), Strict: true, Cache: holdfast.CacheShort}
	clockTool   = holdfast.Tool{Name: "clock"}
	looseTool   = holdfast.Tool{Name: "weather", Schema: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}}}`)}
)

func user(parts ...holdfast.Part) []holdfast.Message {
	return []holdfast.Message{{Role: holdfast.RoleUser, Parts: parts}}
}

func text(s string) *holdfast.Text { return &holdfast.Text{Text: s} }

func set[T any](v T) *T { return &v }

// afterCalls is a conversation whose calls some other provider made.
func afterCalls(results ...holdfast.Part) []holdfast.Message {
	said := holdfast.Parts{text("Let me see.")}
	answers := holdfast.Parts{}
	for i, result := range results {
		c := &holdfast.ToolCall{ID: fmt.Sprintf("call:%d/of another", i), Name: "weather", Args: json.RawMessage(weatherArgs)}
		said = append(said, c)
		answers = append(answers, &holdfast.ToolResult{CallID: c.ID, Parts: holdfast.Parts{result}, IsError: i == 1})
	}
	return append(holdfast.Ask("The weather?"), holdfast.Message{Role: holdfast.RoleAssistant, Parts: said},
		holdfast.Message{Role: holdfast.RoleTool, Parts: answers})
}

// sent are the requests, with the places that cannot take them (an API or one of its models) and the field that holdfast names then.
var sent = []struct {
	name    string
	ask     holdfast.ChatRequest
	refused map[string]string
}{
	{name: "text", ask: holdfast.ChatRequest{System: holdfast.System("Be <brief> & \"clear\"."), Messages: holdfast.Ask("Grüße 世界 🌊\n\t\u2028")}},
	{name: "turns", ask: holdfast.ChatRequest{
		System: []*holdfast.Text{{Text: "Be brief.", Cache: holdfast.CacheLong}, {Text: "Be kind."}},
		Messages: []holdfast.Message{
			holdfast.UserText("Hi"), holdfast.AssistantText("Hello."), holdfast.UserText("Go on"),
			{Role: holdfast.RoleDeveloper, Parts: holdfast.Parts{text("In verse.")}},
			{Role: holdfast.RoleAssistant, Parts: holdfast.Parts{text("So"), text(" be it.")}},
			holdfast.UserText("More"),
		},
	}},
	{
		name: "prefill", refused: map[string]string{"claude new": "messages[1]", "chat": "messages[1]", "responses": "messages[1]"},
		ask: holdfast.ChatRequest{Messages: append(holdfast.Ask("Count"), holdfast.AssistantText("One, two"))},
	},
	{
		name: "tools", refused: map[string]string{"chat new": "tools"},
		ask: holdfast.ChatRequest{Messages: holdfast.Ask("The weather?"), Tools: []holdfast.Tool{weatherTool, clockTool}},
	},
	{
		name: "tools without thinking", refused: map[string]string{"claude new": "reasoning.effort", "gemini new": "reasoning.effort"},
		ask: holdfast.ChatRequest{
			Messages: holdfast.Ask("The weather?"), Tools: []holdfast.Tool{weatherTool, clockTool}, Reasoning: holdfast.Reasoning{Effort: holdfast.EffortOff},
		},
	},
	{
		name: "no tool", refused: map[string]string{"chat new": "tools"},
		ask: holdfast.ChatRequest{
			Messages: holdfast.Ask("The weather?"), Tools: []holdfast.Tool{looseTool}, ToolChoice: holdfast.ToolChoice{Mode: holdfast.ToolNone},
		},
	},
	{
		name: "some tool", refused: map[string]string{"chat new": "tools", "claude new": "tool_choice"},
		ask: holdfast.ChatRequest{
			Messages: holdfast.Ask("The weather?"), Tools: []holdfast.Tool{looseTool}, ToolChoice: holdfast.ToolChoice{Mode: holdfast.ToolRequired},
		},
	},
	{
		name: "that tool", refused: map[string]string{"chat new": "tools", "claude new": "tool_choice"},
		ask: holdfast.ChatRequest{
			Messages: holdfast.Ask("The weather?"), Tools: []holdfast.Tool{looseTool, clockTool},
			ToolChoice: holdfast.ToolChoice{Mode: holdfast.ToolNamed, Name: "clock"},
		},
	},
	{
		name: "one call", refused: map[string]string{"chat new": "tools", "gemini": "parallel_tools"},
		ask: holdfast.ChatRequest{Messages: holdfast.Ask("The weather?"), Tools: []holdfast.Tool{looseTool}, ParallelTools: set(false)},
	},
	{
		name: "results", refused: map[string]string{"chat new": "tools"},
		ask: holdfast.ChatRequest{Messages: afterCalls(text("rain"), text("no such city")), Tools: []holdfast.Tool{looseTool}},
	},
	{
		name: "result with an image", refused: map[string]string{"chat new": "tools", "chat old": "messages[2].parts[0].parts[0]", "gemini old": "messages[2].parts[0].parts[0]"},
		ask: holdfast.ChatRequest{
			Messages: afterCalls(&holdfast.Image{MIME: "image/png", Bytes: []byte("png")}), Tools: []holdfast.Tool{looseTool},
		},
	},
	{name: "image", ask: holdfast.ChatRequest{Messages: user(text("What?"), &holdfast.Image{MIME: "image/png", Bytes: []byte("png"), Detail: "high"})}},
	{
		name: "image by URL", refused: map[string]string{"gemini": "messages[0].parts[0].url"},
		ask: holdfast.ChatRequest{Messages: user(&holdfast.Image{URL: "https://example.com/a.png", Cache: holdfast.CacheShort}, text("What?"))},
	},
	{name: "PDF", ask: holdfast.ChatRequest{Messages: user(&holdfast.Document{MIME: "application/pdf", Bytes: []byte("%PDF-"), Name: "a.pdf"}, text("What?"))}},
	{
		name: "PDF by URL", refused: map[string]string{"chat": "messages[0].parts[0].url", "gemini": "messages[0].parts[0].url"},
		ask: holdfast.ChatRequest{Messages: user(&holdfast.Document{URL: "https://example.com/a.pdf", Name: "a.pdf"}, text("What?"))},
	},
	{name: "plain document", ask: holdfast.ChatRequest{Messages: user(&holdfast.Document{MIME: "text/plain", Bytes: []byte("Plain."), Name: "a.txt"}, text("What?"))}},
	{
		name: "audio", refused: map[string]string{"claude": "messages[0].parts[0]", "responses": "messages[0].parts[0]"},
		ask: holdfast.ChatRequest{Messages: user(&holdfast.Audio{MIME: "audio/wav", Bytes: []byte("RIFF")}, text("What?"))},
	},
	{name: "schema", ask: holdfast.ChatRequest{Messages: holdfast.Ask("The weather?"), Output: holdfast.Output{
		Format: holdfast.OutputSchema, Name: "weather", Schema: json.RawMessage(weatherSchema), Strict: true,
	}}},
	{
		name: "JSON", refused: map[string]string{"claude": "output.format"},
		ask: holdfast.ChatRequest{Messages: holdfast.Ask("The weather as JSON"), Output: holdfast.Output{Format: holdfast.OutputJSON}},
	},
	{
		name: "effort", refused: map[string]string{"chat old": "reasoning.effort", "claude old": "reasoning.effort", "responses old": "reasoning.effort"},
		ask: holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), Reasoning: holdfast.Reasoning{Effort: holdfast.EffortHigh}},
	},
	{
		name: "low effort", refused: map[string]string{"chat old": "reasoning.effort", "claude old": "reasoning.effort", "responses old": "reasoning.effort"},
		ask: holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), Reasoning: holdfast.Reasoning{Effort: holdfast.EffortLow}},
	},
	{
		name: "no thinking", refused: map[string]string{"claude new": "reasoning.effort", "gemini new": "reasoning.effort"},
		ask: holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), Reasoning: holdfast.Reasoning{Effort: holdfast.EffortOff}},
	},
	{
		name: "budget", refused: map[string]string{"chat": "reasoning.budget_tokens", "claude new": "reasoning.budget_tokens", "gemini new": "reasoning.budget_tokens", "responses": "reasoning.budget_tokens"},
		ask: holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), Reasoning: holdfast.Reasoning{BudgetTokens: 2048}, MaxOutputTokens: 4096},
	},
	{
		name: "summary", refused: map[string]string{"chat new": "reasoning.summary", "chat old": "reasoning.effort", "claude old": "reasoning.effort", "responses old": "reasoning.effort"},
		ask: holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), Reasoning: holdfast.Reasoning{Effort: holdfast.EffortHigh, Summary: true}},
	},
	{
		name: "stop", refused: map[string]string{"chat new": "stop", "responses": "stop"},
		ask: holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), Stop: []string{"END", "\n\n#"}},
	},
	{
		name: "seed", refused: map[string]string{"claude": "seed", "responses": "seed"},
		ask: holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), Seed: set[int64](7)},
	},
	{
		name: "temperature", refused: map[string]string{"chat new": "temperature", "claude new": "temperature", "responses new": "temperature"},
		ask: holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), Temperature: set(0.3), MaxOutputTokens: 64},
	},
	{
		name: "top p", refused: map[string]string{"chat new": "top_p", "claude new": "top_p", "responses new": "top_p"},
		ask: holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), TopP: set(0.9)},
	},
	{
		name: "top k", refused: map[string]string{"chat": "top_k", "claude new": "top_k", "responses": "top_k"},
		ask: holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), TopK: 40},
	},
	{
		name: "penalties", refused: map[string]string{"chat new": "presence_penalty", "claude": "presence_penalty", "responses": "presence_penalty"},
		ask: holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), PresencePenalty: set(0.5), FrequencyPenalty: set(-0.5)},
	},
	{name: "hints", ask: holdfast.ChatRequest{
		Messages: user(&holdfast.Text{Text: "Why?", Cache: holdfast.CacheLong}), EndUser: "u-1", Tier: "auto", Metadata: map[string]string{"team": "kelp"},
		Seed: set[int64](7), TopK: 40, Stop: []string{"END"}, Temperature: set(0.3),
		Hints: []string{"seed", "top_k", "stop", "temperature"},
	}},
	{name: "tier of another", ask: holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), Tier: "that of another"}},
	{name: "refusal", ask: holdfast.ChatRequest{Messages: []holdfast.Message{
		holdfast.UserText("Help me"), {Role: holdfast.RoleAssistant, Parts: holdfast.Parts{&holdfast.Refusal{Text: "No."}}}, holdfast.UserText("Please"),
	}}},
}

// ways asks through holdfast, unary and streamed.
var ways = []func(*testing.T, *holdfast.Client, *holdfast.ChatRequest) (*holdfast.ChatResponse, error){
	func(t *testing.T, c *holdfast.Client, r *holdfast.ChatRequest) (*holdfast.ChatResponse, error) {
		return c.Chat(t.Context(), r)
	},
	func(t *testing.T, c *holdfast.Client, r *holdfast.ChatRequest) (*holdfast.ChatResponse, error) {
		return holdfast.Collect(c.Stream(t.Context(), r))
	},
}

func holdfastClient(t *testing.T, s *holdfasttest.Server, p place) *holdfast.Client {
	t.Helper()
	c, err := holdfast.New(holdfast.Config{Unary: true, Endpoints: []holdfast.Endpoint{{
		Name: "fake", Provider: p.dialect, URL: s.URL + p.path, KeySource: holdfast.Literal("key"), Proxy: "direct",
		Models: map[string]string{"default": p.model},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestSent(t *testing.T) {
	t.Parallel()
	for _, tt := range sent {
		for name, p := range places {
			t.Run(tt.name+" to "+name, func(t *testing.T) {
				t.Parallel()
				s := server(t, p.serves)
				c := holdfastClient(t, s, p)
				want, refused := tt.refused[name]
				if !refused {
					want, refused = tt.refused[strings.Fields(name)[0]]
				}
				for _, way := range ways {
					_, err := way(t, c, &tt.ask)
					var e *holdfast.Error
					switch {
					case refused && (!errors.Is(err, holdfast.ErrUnsupported) || !errors.As(err, &e) || e.Field != want):
						t.Errorf("got %v, want %s unsupported", err, want)
					case !refused && err != nil:
						t.Errorf("got %v", err)
					}
				}
				requests := s.Requests()
				if n := len(requests); refused != (n == 0) {
					t.Errorf("%d requests were sent", n)
				}
				judge(t, p, requests)
			})
		}
	}
}

// judge lets the official client judge what was sent to a place.
func judge(t *testing.T, p place, requests []holdfasttest.Request) {
	t.Helper()
	for _, r := range requests {
		for _, fault := range wires[p.dialect].against(r.Body) {
			t.Errorf("%s\nin %s", fault, r.Body)
		}
		if r.Refused != "" {
			t.Errorf("refused: %s\n%s", r.Refused, r.Body)
		}
		if p.dialect == "gemini" {
			geminiResend(t, p.model, r)
		}
	}
}

// geminiAdds is what genai adds: an empty object, and a role that the API does not look at.
var geminiAdds = []string{"generationConfig: added by the client", "systemInstruction.role: added by the client"}

// geminiResend has genai send what holdfast sent. It must send the same, to the same path.
func geminiResend(t *testing.T, model string, r holdfasttest.Request) {
	t.Helper()
	body := asJSON(geminiPrepare(decoded[any](t, string(r.Body))))
	request := decoded[map[string]json.RawMessage](t, string(body))
	contents := decoded[[]*genai.Content](t, string(request["contents"]))
	members := map[string]json.RawMessage{}
	if raw, ok := request["generationConfig"]; ok {
		members = decoded[map[string]json.RawMessage](t, string(raw))
	}
	delete(request, "generationConfig")
	delete(request, "contents")
	maps.Copy(members, request)
	config := decoded[genai.GenerateContentConfig](t, string(asJSON(members)))
	s := server(t, holdfasttest.Gemini)
	c, _ := geminiClient(t, s)
	if r.Stream {
		for range c.Models.GenerateContentStream(t.Context(), model, contents, &config) { // what it sends counts
		}
	} else {
		_, _ = c.Models.GenerateContent(t.Context(), model, contents, &config)
	}
	theirs := s.Requests()[0]
	if ours, _ := url.QueryUnescape(r.Path); ours != theirs.Path {
		t.Errorf("path: got %s, the client's is %s", r.Path, theirs.Path)
	}
	for _, d := range differences(decoded[any](t, string(body)), decoded[any](t, string(theirs.Body)), "") {
		if !slices.Contains(geminiAdds, d) {
			t.Errorf("%s\nin %s", d, r.Body)
		}
	}
}

// What a place made goes back to it: thinking, signatures, ids, and the results of its calls.
func TestSentBack(t *testing.T) {
	t.Parallel()
	for name, p := range places {
		if name == "chat new" {
			continue // takes no tools
		}
		for i, way := range ways {
			t.Run(fmt.Sprintf("%s %d", name, i), func(t *testing.T) {
				t.Parallel()
				s := server(t, p.serves, holdfasttest.Reply{
					Thinking: "Ask.", Text: "Let me see.", ToolCalls: []holdfasttest.ToolCall{{Name: "weather", Args: weatherArgs}, {Name: "weather", Args: weatherArgs}},
				}, holdfasttest.Reply{
					Thinking: "And again.", ToolCalls: []holdfasttest.ToolCall{{Name: "weather", Args: weatherArgs}},
				}, holdfasttest.Reply{Text: "It rains."})
				c := holdfastClient(t, s, p)
				r := &holdfast.ChatRequest{
					System: holdfast.System("Be brief."), Messages: holdfast.Ask("The weather?"), Tools: []holdfast.Tool{weatherTool},
					Reasoning: holdfast.Reasoning{Summary: slices.Contains([]string{"claude new", "responses new", "gemini new"}, name)},
				}
				last := ""
				for range 3 {
					answer, err := way(t, c, r)
					if err != nil {
						t.Fatal(err)
					}
					last = answer.Text()
					r.Messages = append(r.Messages, answer.Message)
					var results []*holdfast.ToolResult
					for _, use := range answer.ToolCalls() {
						results = append(results, holdfast.Result(use, "rain"))
					}
					if results != nil {
						r.Messages = append(r.Messages, holdfast.Results(results...))
					}
				}
				if last != "It rains." {
					t.Errorf("got %q, want the last answer", last)
				}
				judge(t, p, s.Requests())
			})
		}
	}
}
