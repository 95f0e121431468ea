package bench

import (
	"context"
	"slices"
)

// A contender is a client that can be measured. To add one, write open and put it into contenders.
type contender struct {
	name string
	// dialects are the wires it speaks.
	dialects []dialect
	// open returns an asker for one scenario, with its own connections.
	open func(s setup) (asker, error)
}

// setup is what an asker is opened with. What can be prepared once (a client, the conversation in the contender's own types)
// is prepared in open; what a program would do for each request happens in chat and stream.
type setup struct {
	dialect dialect
	url     string // base URL without the version: /v1/messages or /v1/chat/completions follows
	turns   []turn
}

// turn is one message of the conversation.
type turn struct {
	role, text string
}

// An asker asks one question as often as it is told to. It is safe for concurrent use.
type asker interface {
	// chat asks for the answer in one piece.
	chat(ctx context.Context) (answer, error)
	// stream asks for it in pieces, shows each piece of text as it comes and returns the whole.
	stream(ctx context.Context, show func(piece string)) (answer, error)
	// close drops the idle connections.
	close()
}

// answer is what every contender has to understand of an answer.
type answer struct {
	text          string
	stop          string // the provider's word
	input, output int    // tokens
}

// contenders are measured against floor.
var contenders = []contender{holdfastClient, anthropicSDK, openaiSDK}

func (c contender) speaks(d dialect) bool { return slices.Contains(c.dialects, d) }

// dialect is a wire format.
type dialect string

const (
	claude dialect = "claude" // Anthropic Messages
	chat   dialect = "chat"   // OpenAI Chat Completions
)

var dialects = []dialect{claude, chat}

// model returns the model to ask for.
func (d dialect) model() string {
	if d == claude {
		return "claude-opus-5-5"
	}
	return "gpt-6-sol"
}

const (
	apiKey    = "sk-bench-0123456789abcdef"
	maxTokens = 8192
)
