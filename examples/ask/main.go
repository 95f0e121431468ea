// Ask puts a question to whatever provider the environment has a key for, and streams the answer:
//
//	ANTHROPIC_API_KEY=… go run ./examples/ask "Why is the sky blue?"
//
// OPENAI_API_KEY and GEMINI_API_KEY work as well, and so does a local Ollama or LM Studio. With several, the others stand in when the
// first fails.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/holdfast-ai/holdfast"
)

func main() {
	question := strings.Join(os.Args[1:], " ")
	if question == "" {
		fmt.Fprintln(os.Stderr, `usage: ask "question"`)
		os.Exit(2)
	}
	if err := ask(question); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func ask(question string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	client, err := holdfast.New(holdfast.FromEnv())
	if err != nil {
		return err
	}
	defer client.Close()
	for event, err := range client.Stream(ctx, &holdfast.ChatRequest{Messages: holdfast.Ask(question)}) {
		if err != nil {
			return err
		}
		fmt.Print(event.Text())
		if event.Type == holdfast.EventEnd {
			fmt.Fprintf(os.Stderr, "\n\n%s\n", event.Response.Trail)
		}
	}
	return nil
}
