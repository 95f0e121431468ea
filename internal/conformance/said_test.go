package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// said is what an answer says, as far as every official client can tell.
type said struct {
	Text, Thinking, Refusal string
	// Signed is set if thinking came with what only its producer can read.
	Signed bool
	// Calls are the tool calls as name and arguments.
	Calls []string
	// Stop is the provider's word.
	Stop  string
	Usage holdfasttest.Usage
}

func call(name, args string) string {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(args)); err != nil {
		return name + " " + err.Error()
	}
	return name + " " + b.String()
}

// agree fails the test unless an answer says what was scripted.
func agree(t *testing.T, what string, got, want said) {
	t.Helper()
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func server(t *testing.T, d holdfasttest.Dialect, replies ...holdfasttest.Reply) *holdfasttest.Server {
	t.Helper()
	s := holdfasttest.NewServer(d)
	t.Cleanup(s.Close)
	s.Script(replies...)
	return s
}

// accepted fails the test if the server refused a request.
func accepted(t *testing.T, s *holdfasttest.Server) {
	t.Helper()
	for i, r := range s.Requests() {
		if r.Refused != "" {
			t.Errorf("request %d was refused: %s", i, r.Refused)
		}
	}
}

// bodies keeps what a client was answered, beside what it makes of it.
type bodies struct {
	base http.RoundTripper
	all  [][]byte
}

func (b *bodies) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer
	_, err = body.ReadFrom(res.Body)
	res.Body.Close()
	b.all = append(b.all, body.Bytes())
	res.Body = struct {
		*bytes.Reader
		closer
	}{Reader: bytes.NewReader(body.Bytes())}
	return res, err
}

type closer struct{}

func (closer) Close() error { return nil }

// usual is the usage that the scripts give, different in every number.
var usual = holdfasttest.Usage{Input: 1000, CacheRead: 300, CacheWrite: 50, Output: 70, Reasoning: 20}

const weatherArgs = `{"city":"Köln","days":[1,2],"deep":{"a":null}}`

const weatherSchema = `{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"array","items":{"type":"integer"}}},"required":["city","days"],"additionalProperties":false}`

// A question is what each client asks, in its own words, unary and streamed.
type question struct {
	name  string
	reply holdfasttest.Reply
	// tools offers the tool "weather"; think asks for thinking that can be seen.
	tools, think bool
	stop         []string
	want         said
}

// questions are asked of every provider. The stops are Claude's; each client's test has its own words for them.
var questions = []question{
	{
		name: "text", reply: holdfasttest.Reply{Chunks: []string{"Grüße, ", "", "世界", " 🌊\n"}, Usage: usual},
		want: said{Text: "Grüße, 世界 🌊\n", Stop: "EndTurn", Usage: usual},
	},
	{
		name: "calls", tools: true, reply: holdfasttest.Reply{Text: "Let me see.", Usage: usual, ToolCalls: []holdfasttest.ToolCall{
			{Name: "weather", Args: weatherArgs}, {Name: "weather"},
		}},
		want: said{Text: "Let me see.", Calls: []string{call("weather", weatherArgs), "weather {}"}, Stop: "ToolUse", Usage: usual},
	},
	{
		name: "thinking", think: true, reply: holdfasttest.Reply{Thinking: "Hm, why? Because of Rayleigh.", Text: "Rayleigh.", Usage: usual},
		want: said{Text: "Rayleigh.", Thinking: "Hm, why? Because of Rayleigh.", Signed: true, Stop: "EndTurn", Usage: usual},
	},
	{
		name: "thinking unseen", reply: holdfasttest.Reply{Thinking: "Hm, why?", Text: "Rayleigh.", Usage: usual},
		want: said{Text: "Rayleigh.", Signed: true, Stop: "EndTurn", Usage: usual},
	},
	{
		name: "thinking and calls", think: true, tools: true,
		reply: holdfasttest.Reply{Thinking: "Ask.", ToolCalls: []holdfasttest.ToolCall{{Name: "weather", Args: weatherArgs}}, Usage: usual},
		want:  said{Thinking: "Ask.", Signed: true, Calls: []string{call("weather", weatherArgs)}, Stop: "ToolUse", Usage: usual},
	},
	{
		name: "cut", reply: holdfasttest.Reply{Text: "One two", StopReason: holdfasttest.MaxTokens, Usage: usual},
		want: said{Text: "One two", Stop: "MaxTokens", Usage: usual},
	},
	{
		name: "context", reply: holdfasttest.Reply{Text: "One two", StopReason: holdfasttest.ContextExceeded, Usage: usual},
		want: said{Text: "One two", Stop: "ContextExceeded", Usage: usual},
	},
	{
		name: "stop sequence", stop: []string{"END"}, reply: holdfasttest.Reply{Text: "One two", StopReason: holdfasttest.StopSequence, Usage: usual},
		want: said{Text: "One two", Stop: "StopSequence", Usage: usual},
	},
	{
		name: "refusal", reply: holdfasttest.Reply{Refusal: "I will not help with that.", Usage: usual},
		want: said{Refusal: "I will not help with that.", Stop: "Refusal", Usage: usual},
	},
	{
		name: "filtered", reply: holdfasttest.Reply{Text: "One two", StopReason: holdfasttest.ContentFilter, Usage: usual},
		want: said{Text: "One two", Stop: "ContentFilter", Usage: usual},
	},
	{
		name: "paused", reply: holdfasttest.Reply{Text: "One two", StopReason: holdfasttest.Paused, Usage: usual},
		want: said{Text: "One two", Stop: "Paused", Usage: usual},
	},
	{
		name: "nothing", reply: holdfasttest.Reply{Chunks: []string{}, Usage: usual},
		want: said{Stop: "EndTurn", Usage: usual},
	},
}

// wants returns what a provider is to say, in its own words for the reasons to stop.
func (q question) wants(stops map[string]string, adjust func(question, *said)) said {
	w := q.want
	if word, ok := stops[w.Stop]; ok {
		w.Stop = word
	}
	if adjust != nil {
		adjust(q, &w)
	}
	return w
}
