package holdfast_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// A conversation with thinking, a tool loop, an image and an instruction in the middle, begun at each provider and carried on at each
// other. The fakes refuse what the real providers would: wrong order, unanswered calls, foreign signatures and ids.
func TestConversationIsPortable(t *testing.T) {
	t.Parallel()
	for _, from := range speakers {
		for _, to := range speakers {
			t.Run(from.name+" to "+to.name, func(t *testing.T) {
				t.Parallel()
				network := holdfasttest.NewNetwork()
				defer network.Close()
				conf := holdfast.Config{Dial: network.Dial}
				servers := map[string]*holdfasttest.Server{}
				for i, s := range []speaker{from, to} {
					name := []string{"from", "to"}[i]
					servers[name] = network.NewServer(name+".test", s.dialect)
					provider := s.provider
					if provider == "openai-chat" {
						provider = "openai" // tools need Responses with these models
					}
					conf.Endpoints = append(conf.Endpoints, holdfast.Endpoint{
						Name: name, Provider: provider, URL: servers[name].URL + s.path, Proxy: "direct",
						KeySource: holdfast.Literal("key-of-" + name), Models: map[string]string{name: s.model},
					})
				}
				client := newClient(t, conf)
				servers["from"].Script(holdfasttest.Reply{
					Thinking: "They want the weather.", Text: "Let me look.",
					ToolCalls: []holdfasttest.ToolCall{
						{Name: "weather", Args: `{"city":"Kiruna"}`},
						{Name: "weather", Args: `{"city":"Luleå"}`},
					},
				})
				request := &holdfast.ChatRequest{
					Model: "from", System: holdfast.System("Be brief."), Messages: holdfast.Ask("How cold is it up north?"),
					Tools:     []holdfast.Tool{{Name: "weather", Schema: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}}}`)}},
					Reasoning: holdfast.Reasoning{Summary: from.name != "local"},
				}
				first, err := client.Chat(t.Context(), request)
				if err != nil {
					t.Fatal(err)
				}
				calls := first.ToolCalls()
				if len(calls) != 2 {
					t.Fatalf("got %d tool calls, want 2", len(calls))
				}
				request.Messages = append(request.Messages, first.Message,
					holdfast.Results(holdfast.Result(calls[0], `{"celsius":-12}`), holdfast.Result(calls[1], "minus nine")))
				request.Messages = stored(t, request.Messages)
				request.Reasoning = holdfast.Reasoning{}

				// in the open tool loop
				request.Model = "to"
				servers["to"].Script(holdfasttest.Reply{Text: "Cold."})
				second, err := client.Chat(t.Context(), request)
				if err != nil {
					t.Fatalf("in the tool loop: %v", err)
				}
				// and after it
				request.Messages = append(request.Messages, second.Message, holdfast.Message{
					Role: holdfast.RoleUser,
					Parts: holdfast.Parts{
						&holdfast.Text{Text: "And here?"},
					},
				})
				request.Messages = stored(t, request.Messages)
				servers["to"].Script(holdfasttest.Reply{Text: "Warmer."})
				third, err := holdfast.Collect(client.Stream(t.Context(), request))
				if err != nil {
					t.Fatalf("after the tool loop: %v", err)
				}
				if got := second.Text() + " " + third.Text(); got != "Cold. Warmer." {
					t.Errorf("got %q", got)
				}
				for _, r := range servers["to"].Requests() {
					if to.name == from.name {
						continue
					}
					if strings.Contains(string(r.Body), "They want the weather") {
						t.Error("foreign thinking was sent")
					}
				}
				for _, want := range []string{"Kiruna", "Luleå", "-12", "minus nine", "Be brief."} {
					if body := string(servers["to"].Requests()[0].Body); !strings.Contains(body, want) {
						t.Errorf("%q was lost on the way: %s", want, body)
					}
				}
			})
		}
	}
}

// stored writes messages as JSON and reads them again, as a service does between two requests of its user.
func stored(t *testing.T, messages []holdfast.Message) []holdfast.Message {
	t.Helper()
	raw, err := json.Marshal(messages)
	if err != nil {
		t.Fatal(err)
	}
	var out []holdfast.Message
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(out); err != nil || string(again) != string(raw) {
		t.Errorf("a conversation changed by being stored: %v\n%s\n%s", err, raw, again)
	}
	return out
}
