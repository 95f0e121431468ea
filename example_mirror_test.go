package holdfast_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// A cheaper model gets a copy of every call here, of one in twenty in a service, and answers no user. After three of them it is found to be good
// enough, except that one answer is not what the user's own comparison takes for the same.
func ExampleClient_MirrorVerdict() {
	network := holdfasttest.NewNetwork()
	defer network.Close()
	claude, openai := network.NewServer("claude.test", holdfasttest.Claude), network.NewServer("openai.test", holdfasttest.OpenAI)
	claude.Always(holdfasttest.Reply{Text: "positive"})
	openai.Script(holdfasttest.Reply{Text: "positive"}, holdfasttest.Reply{Text: "Positive."}, holdfasttest.Reply{Text: "negative"})

	client, err := holdfast.New(holdfast.Config{
		Dial:      network.Dial,
		Endpoints: []holdfast.Endpoint{{Name: "claude", Provider: "claude", URL: claude.URL, KeySource: holdfast.Literal("k")}},
		Mirror: &holdfast.Mirror{
			Endpoint: holdfast.Endpoint{
				Name: "mini", Provider: "openai", URL: openai.URL + "/v1", KeySource: holdfast.Literal("k"),
				Models: map[string]string{"claude-opus-5-5": "gpt-6-mini"},
			},
			Share:   1,
			Promote: holdfast.Promotion{LeastCopies: 3, MostTime: 1000},
			Same: func(user, candidate *holdfast.ChatResponse) bool {
				return strings.EqualFold(user.Text(), strings.Trim(candidate.Text(), ". "))
			},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	ctx := context.Background()
	for _, review := range []string{"I love it.", "Great value.", "Would buy again."} {
		request := &holdfast.ChatRequest{Model: "claude-opus-5-5", Messages: holdfast.Ask("Positive or negative? " + review)}
		if _, err := client.Chat(ctx, request); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := client.AwaitMirror(ctx); err != nil { // a service only looks at the verdict now and then
		fmt.Println(err)
		return
	}
	verdict := client.MirrorVerdict()
	fmt.Println(verdict.Promote, verdict.Answered, verdict.Same)
	fmt.Println(verdict.Why)
	// Output:
	// false 3 {3 2}
	// the same by Mirror.Same in 2 of 3, at least 90% asked for
}
