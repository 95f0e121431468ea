package bench

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// A scenario is one kind of work. Its name is the first element of the path that the upstream serves it under.
type scenario struct {
	name     string
	messages int  // in the request; about 1,280 bytes each if there are several
	chunks   int  // of a streamed answer; 0 asks for it in one piece
	flush    bool // the upstream writes every event on its own instead of 50 at a time
	parallel int  // goroutines that share one client; 0 means one
	cold     bool // each operation opens a client of its own
}

// The scenarios that are timed.
var scenarios = []scenario{
	{name: "unary_small", messages: 1},
	{name: "unary_large", messages: 51},
	{name: "stream500", messages: 1, chunks: 500},
	{name: "stream5000", messages: 1, chunks: 5000},
	{name: "stream500flush", messages: 1, chunks: 500, flush: true},
	{name: "par64", messages: 1, parallel: 64},
	{name: "par64_stream500", messages: 1, chunks: 500, parallel: 64},
	{name: "cold", messages: 1, cold: true},
}

// Those that only the laws are tested on.
var (
	stream50000 = scenario{name: "stream50000", messages: 1, chunks: 50_000}
	unary501    = scenario{name: "unary501", messages: 501}
)

func findScenario(name string) (scenario, bool) {
	for _, s := range append(scenarios, stream50000, unary501) {
		if s.name == name {
			return s, true
		}
	}
	return scenario{}, false
}

const unaryTokens = 200

// tokens is the number of pieces of the answer's text.
func (s scenario) tokens() int {
	if s.chunks > 0 {
		return s.chunks
	}
	return unaryTokens
}

// vocabulary has what makes decoders work: line ends, quotes, a backslash and characters beyond ASCII.
var vocabulary = strings.Split("The| hold|fast| of| a| kelp|,| says| \"|An|ton|\",| grips| the| rock| in| any| storm|.\n\n|It| is| not| a| root|:"+
	"| it| takes| no| food|;| na|ïve| readers| –| and| \\| some| botan|ists| –| think| so|.\n|So| the| blade| may| tear|,| and| grow| again|.", "|")

// token returns the i-th piece of every answer.
func token(i int) string { return vocabulary[i%len(vocabulary)] }

// text returns the whole answer.
var text = func() func(tokens int) string {
	var cache sync.Map
	return func(tokens int) string {
		if s, ok := cache.Load(tokens); ok {
			return s.(string)
		}
		var b strings.Builder
		for i := range tokens {
			b.WriteString(token(i))
		}
		cache.Store(tokens, b.String())
		return b.String()
	}
}()

// turns returns the conversation of the scenario, with the user's turn last.
func (s scenario) turns() []turn {
	if s.messages == 1 {
		return []turn{{"user", "Why does kelp hold fast to its rock in a storm? Answer in about 150 words."}}
	}
	turns := make([]turn, s.messages)
	for i := range turns {
		turns[i] = turn{"user", text(300 + i%3)}
		if i%2 == 1 {
			turns[i].role = "assistant"
		}
	}
	return turns
}

// open returns an asker of the contender for the scenario.
func (s scenario) open(c contender, d dialect) (asker, error) {
	return c.open(setup{dialect: d, url: upstreamURL + "/" + s.name, turns: s.turns()})
}

// once performs one operation and checks that the answer was understood in full.
func (s scenario) once(ctx context.Context, a asker, d dialect) error {
	var got answer
	var err error
	pieces := 0
	if s.chunks > 0 {
		got, err = a.stream(ctx, func(string) { pieces++ })
	} else {
		got, err = a.chat(ctx)
	}
	switch {
	case err != nil:
		return err
	case got.text != text(s.tokens()):
		return fmt.Errorf("got an answer of %d bytes, want the %d bytes that were sent", len(got.text), len(text(s.tokens())))
	case pieces != s.chunks:
		return fmt.Errorf("got %d pieces, want %d", pieces, s.chunks)
	case got.stop != stopWord(d) || got.input != inputTokens || got.output != s.tokens():
		return fmt.Errorf("got stop %q and tokens %d, %d; want %q and %d, %d", got.stop, got.input, got.output, stopWord(d), inputTokens, s.tokens())
	}
	return nil
}

// run performs ops operations, in the scenario's number of goroutines.
func (s scenario) run(ctx context.Context, c contender, d dialect, a asker, ops int) error {
	if s.parallel > 0 {
		return s.runParallel(ctx, d, a, ops)
	}
	for range ops {
		asked := a
		if s.cold {
			var err error
			if asked, err = s.open(c, d); err != nil {
				return err
			}
		}
		if err := s.once(ctx, asked, d); err != nil {
			return err
		}
		if s.cold {
			asked.close()
		}
	}
	return nil
}

func (s scenario) runParallel(ctx context.Context, d dialect, a asker, ops int) error {
	errs := make([]error, s.parallel)
	var wg sync.WaitGroup
	for g := range s.parallel {
		wg.Go(func() {
			for i := g; i < ops && errs[g] == nil; i += s.parallel {
				errs[g] = s.once(ctx, a, d)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
