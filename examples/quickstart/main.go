// Quickstart shows holdfast's main job without a key and without a network: it starts three providers inside this process, asks, streams
// the answer, breaks the first provider, and asks again. The tables tell where each attempt went, why, and how long it took.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

const answer = "Sunlight is a mix of colours. Air scatters the short, blue waves far more than the long, red ones, so from every side of the sky it is blue that reaches the eye."

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	// Three providers that speak as the real ones do. A program of yours leaves these lines out.
	claude, openai, local := provider(holdfasttest.Claude), provider(holdfasttest.OpenAI), provider(holdfasttest.Local)
	defer claude.Close()
	defer openai.Close()
	defer local.Close()

	// Where a question may go: Claude first, then OpenAI, and at last a model on this machine.
	client, err := holdfast.New(holdfast.Config{
		Endpoints: []holdfast.Endpoint{
			{
				Name: "claude", Provider: "claude", URL: claude.URL, KeySource: holdfast.Literal("a-key"),
				Models: map[string]string{"smart": "claude-opus-5-5"},
			},
			{
				Name: "openai", Provider: "openai", URL: openai.URL + "/v1", KeySource: holdfast.Literal("another-key"), Tier: 1,
				Models: map[string]string{"smart": "gpt-6-sol"},
			},
			{
				Name: "local", Provider: "ollama", URL: local.URL + "/v1", Local: true,
				Models: map[string]string{"smart": "llama3.2"},
			},
		},
	})
	if err != nil {
		return err
	}
	defer client.Close()

	fmt.Println("All is well:")
	if err := ask(ctx, client); err != nil {
		return err
	}
	claude.Always(holdfasttest.Reply{Error: holdfasttest.Overloaded})
	fmt.Println("\nClaude is overloaded (529):")
	if err := ask(ctx, client); err != nil {
		return err
	}
	openai.Always(holdfasttest.Reply{Fault: holdfasttest.ResetBeforeHeaders})
	fmt.Println("\nOpenAI resets its connections too:")
	return ask(ctx, client)
}

// provider starts a provider that takes its time, as models do.
func provider(d holdfasttest.Dialect) *holdfasttest.Server {
	s := holdfasttest.NewServer(d)
	s.Always(holdfasttest.Reply{Text: answer, BeforeFirst: 150 * time.Millisecond, Between: 25 * time.Millisecond})
	return s
}

func ask(ctx context.Context, client *holdfast.Client) error {
	request := &holdfast.ChatRequest{Model: "smart", Messages: holdfast.Ask("Why is the sky blue?")}
	for event, err := range client.Stream(ctx, request) {
		if err != nil {
			return err
		}
		fmt.Print(event.Text())
		if event.Type == holdfast.EventEnd {
			fmt.Printf("\n\n%s\n", event.Response.Trail)
		}
	}
	return nil
}
