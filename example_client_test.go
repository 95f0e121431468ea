package holdfast_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// twoProviders starts a Claude and an OpenAI in memory, and a client of both. In a program of yours the endpoints need no URL and no Dial.
func twoProviders() (client *holdfast.Client, claude, openai *holdfasttest.Server, stop func()) {
	network := holdfasttest.NewNetwork()
	claude = network.NewServer("claude.test", holdfasttest.Claude)
	openai = network.NewServer("openai.test", holdfasttest.OpenAI)
	client, err := holdfast.New(holdfast.Config{
		Dial: network.Dial,
		Endpoints: []holdfast.Endpoint{
			{
				Name: "claude", Provider: "claude", URL: claude.URL, KeySource: holdfast.Literal("a-key"),
				Models: map[string]string{"smart": "claude-opus-5-5"},
			},
			{
				Name: "openai", Provider: "openai", URL: openai.URL + "/v1", KeySource: holdfast.Literal("another-key"), Tier: 1,
				Models: map[string]string{"smart": "gpt-6-sol"},
			},
		},
	})
	if err != nil {
		panic(err)
	}
	return client, claude, openai, func() {
		_ = client.Close()
		network.Close()
	}
}

// Claude has no credit left, which it says with a 400. The question goes to OpenAI.
func ExampleClient_Chat() {
	client, claude, openai, stop := twoProviders()
	defer stop()
	claude.Script(holdfasttest.Reply{Error: holdfasttest.SpendLimit})
	openai.Script(holdfasttest.Reply{Text: "Because air scatters blue light most."})

	answer, err := client.Chat(context.Background(), &holdfast.ChatRequest{
		Model:    "smart",
		Messages: holdfast.Ask("Why is the sky blue?"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(answer.Text())
	for _, a := range answer.Trail.Attempts {
		fmt.Println(a.Endpoint, a.Status, a.Kind)
	}
	// Output:
	// Because air scatters blue light most.
	// claude 400 out of credit
	// openai 200
}

func ExampleClient_Stream() {
	client, claude, _, stop := twoProviders()
	defer stop()
	claude.Script(holdfasttest.Reply{Text: "Because air scatters blue light most."})

	request := &holdfast.ChatRequest{Model: "smart", Messages: holdfast.Ask("Why is the sky blue?")}
	for event, err := range client.Stream(context.Background(), request) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(event.Text())
		if event.Type == holdfast.EventEnd {
			fmt.Printf("\n%s\n", event.Response.Stop.Reason)
		}
	}
	// Output:
	// Because air scatters blue light most.
	// end_turn
}

// A stream that is cut is an error, never a short answer. What arrived is in it.
func ExampleError() {
	client, claude, _, stop := twoProviders()
	defer stop()
	claude.Script(holdfasttest.Reply{Text: "Because air scatters blue light most.", Fault: holdfasttest.CutFIN, After: 3})

	request := &holdfast.ChatRequest{Model: "smart", Messages: holdfast.Ask("Why is the sky blue?")}
	_, err := holdfast.Collect(client.Stream(context.Background(), request))
	var e *holdfast.Error
	if errors.As(err, &e) && errors.Is(err, holdfast.ErrTruncated) {
		fmt.Println(e.Endpoint, "broke off", e.Phase)
		fmt.Printf("%q\n", e.Partial.Text())
	}
	// Output:
	// claude broke off mid-stream
	// "Because air scatters "
}

// A tool: the model asks for it, the program runs it, the model goes on.
func ExampleTool() {
	client, claude, _, stop := twoProviders()
	defer stop()
	claude.Script(
		holdfasttest.Reply{ToolCalls: []holdfasttest.ToolCall{{Name: "weather", Args: `{"city":"Kiruna"}`}}},
		holdfasttest.Reply{Text: "It is -12 °C in Kiruna."},
	)

	request := &holdfast.ChatRequest{
		Model:    "smart",
		Messages: holdfast.Ask("How cold is it in Kiruna?"),
		Tools: []holdfast.Tool{{
			Name: "weather", Description: "The weather in a city",
			Schema: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`),
		}},
	}
	for {
		answer, err := client.Chat(context.Background(), request)
		if err != nil {
			fmt.Println(err)
			return
		}
		request.Messages = append(request.Messages, answer.Message)
		calls := answer.ToolCalls()
		if len(calls) == 0 {
			fmt.Println(answer.Text())
			return
		}
		results := make([]*holdfast.ToolResult, len(calls))
		for i, call := range calls {
			fmt.Println(call.Name, string(call.Args))
			results[i] = holdfast.Result(call, `{"celsius":-12}`)
		}
		request.Messages = append(request.Messages, holdfast.Results(results...))
	}
	// Output:
	// weather {"city":"Kiruna"}
	// It is -12 °C in Kiruna.
}

// What no endpoint can express is refused before anything is sent, by the name of the field.
func ExampleClient_Supports() {
	client, _, _, stop := twoProviders()
	defer stop()
	err := client.Supports(context.Background(), &holdfast.ChatRequest{
		Model:    "smart",
		Messages: holdfast.Ask("Why is the sky blue?"),
		TopK:     40,
	})
	var e *holdfast.Error
	fmt.Println(errors.Is(err, holdfast.ErrUnsupported), errors.As(err, &e) && e.Field == "top_k")
	// Output:
	// true true
}

// Clients in CN go through the regional gateway, everyone else directly, and the gateway comes first when the country is unknown.
func ExampleWithClientCountry() {
	network := holdfasttest.NewNetwork()
	defer network.Close()
	gateway, direct := network.NewServer("gateway.test", holdfasttest.Claude), network.NewServer("direct.test", holdfasttest.Claude)
	client, err := holdfast.New(holdfast.Config{
		Dial:     network.Dial,
		Fallback: "gateway",
		Endpoints: []holdfast.Endpoint{
			{Name: "gateway", Provider: "claude", URL: gateway.URL, KeySource: holdfast.Literal("k"), Countries: []string{"CN"}},
			{Name: "direct", Provider: "claude", URL: direct.URL, KeySource: holdfast.Literal("k"), ExceptCountries: []string{"CN"}},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	request := &holdfast.ChatRequest{Model: "claude-opus-5-5", Messages: holdfast.Ask("Where am I?")}
	for _, country := range []string{"CN", "SE", ""} {
		answer, err := client.Chat(holdfast.WithClientCountry(context.Background(), country), request)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%q: %s, %s\n", country, answer.Endpoint, answer.Trail.Attempts[0].Why)
	}
	// Output:
	// "CN": gateway, names CN; tier 0
	// "SE": direct, serves every country but CN; tier 0
	// "": gateway, fallback for an unknown country; tier 0
}

// Claude is overloaded. What is known of each endpoint, and why a call went where it went, is there to be read.
func ExampleClient_Status() {
	client, claude, _, stop := twoProviders()
	defer stop()
	claude.Always(holdfasttest.Reply{Error: holdfasttest.Overloaded})
	request := &holdfast.ChatRequest{Model: "smart", Messages: holdfast.Ask("Why is the sky blue?")}
	for range 2 {
		if _, err := client.Chat(context.Background(), request); err != nil {
			fmt.Println(err)
			return
		}
	}
	for _, e := range client.Status().Endpoints {
		fmt.Printf("%s: %s, last failure %v\n", e.Name, e.Health.Breaker, lastFailure(e))
	}
	answer, err := client.Chat(context.Background(), request)
	if err != nil {
		fmt.Println(err)
		return
	}
	reasons := answer.Trail.Choices[0].Reasons()
	fmt.Println(answer.Endpoint, "since claude is", strings.SplitN(reasons[0].Why, ",", 2)[0])
	// Output:
	// claude: open, last failure overloaded
	// openai: closed, last failure none
	// openai since claude is open after 3 failures in a row
}

func lastFailure(e holdfast.EndpointStatus) holdfast.Kind {
	if len(e.Failures) == 0 {
		return "none"
	}
	return e.Failures[0].Kind
}

// Claude breaks off in the middle of its answer, and has no credit for another. The reader below can take back what it has shown, and says so
// with Rescue; so the answer begins anew at OpenAI. Without, the loop would end with the error and what arrived.
func ExampleRescue() {
	client, claude, openai, stop := twoProviders()
	defer stop()
	claude.Script(holdfasttest.Reply{Text: "Because air scatters blue light most.", Fault: holdfasttest.CutRST, After: 3})
	claude.Always(holdfasttest.Reply{Error: holdfasttest.SpendLimit})
	openai.Script(holdfasttest.Reply{Text: "Air scatters blue light most."})

	shown := ""
	for event, err := range client.Stream(context.Background(), &holdfast.ChatRequest{
		Model:    "smart",
		Messages: holdfast.Ask("Why is the sky blue?"),
		Rescue:   holdfast.RescueReset,
	}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		switch event.Type {
		case holdfast.EventText:
			shown += event.Delta
		case holdfast.EventReset:
			fmt.Printf("%q is taken back; %s begins anew\n", shown, event.Response.Endpoint)
			shown = ""
		case holdfast.EventHop:
			fmt.Printf("%s goes on\n", event.Response.Endpoint)
		}
	}
	fmt.Println(shown)
	// Output:
	// "Because air scatters " is taken back; openai begins anew
	// Air scatters blue light most.
}
