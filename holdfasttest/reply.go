package holdfasttest

import (
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// Reply is what a server answers to one request. The zero Reply is a good answer: a short text, whole and at once.
// Fields combine unless their comment says otherwise.
type Reply struct {
	// Text is what the model says, "Hello! How can I help you today?" if nothing else is said. A stream cuts it behind
	// each space. Where it begins with the request's prefill, only the rest is said, as a model does that continues; the
	// rest begins with the white space that the prefill lacks. Any other Text continues the prefill as it is.
	Text string
	// Chunks is Text as a stream cuts it; it takes Text's place. An empty one that is not nil says nothing at all.
	Chunks []string
	// Thinking comes before the text, as far as the request asks to see it.
	Thinking string
	// ToolCalls come behind the text.
	ToolCalls []ToolCall
	// Refusal makes the answer a refusal with this explanation, as the provider says it. A Text beside it came before.
	Refusal string
	// StopReason is why the answer ends; derived from the rest if empty.
	StopReason StopReason
	// Usage is estimated from the lengths if zero.
	Usage Usage
	// Model is the model that the answer names; that of the request if empty.
	Model string
	// EchoPrefill says the prefill again before what continues it, as Mistral does (unverified).
	EchoPrefill bool

	// BeforeHeaders passes before the status is sent.
	BeforeHeaders time.Duration
	// BeforeFirst passes between the headers and the first content, or the body of an answer that is not streamed.
	BeforeFirst time.Duration
	// Between passes between one piece of content and the next.
	Between time.Duration
	// KeepAlive is how often a stream shows a sign of life while it waits: a ping or a comment, as the provider does.
	// Zero means never.
	KeepAlive time.Duration

	// Error makes the answer an error, in the provider's words.
	Error Error
	// Status is the status of the answer. Alone, one of 400 and more makes an error of that status.
	Status int
	// RetryAfter is the value of the Retry-After header as it is. Gemini says it in its error's details too.
	RetryAfter string
	// Header is set on the answer last. A nil value removes a header that the provider sends.
	Header http.Header
	// Body is the body as it is, with Status and Header.
	Body string

	// Checkpoints makes a stream of Gemini 4 give a continuation token behind every that many pieces of content, in the same
	// chunk. A request with the token is answered with what comes behind it: the reply to that request says how, its Fault and
	// delays, but not what. It goes on with the checkpoints unless it sets its own. What a stream cut between two checkpoints
	// had said behind the first comes again.
	Checkpoints int
	// PauseAfter makes Gemini 4 end the answer behind that many pieces of content as CONTINUATION, with a token that stands
	// for the rest; zero means never. The others ignore it.
	PauseAfter int

	// Fault breaks the answer, in a stream after After pieces of content, at the latest before the end.
	Fault Fault
	After int
	// Size is the length of the text in a [HugeFrame]; 33 MiB if zero.
	Size int
	// Framing is how the bytes of a stream are laid out, within what the standard allows.
	Framing Framing
	// Gzip compresses the body whether or not the client asked for it.
	Gzip bool
}

// ToolCall is a call that the model makes.
type ToolCall struct {
	// ID is made up if empty, as the provider forms them. Old Gemini models give none.
	ID   string
	Name string
	// Args is a JSON object; {} if empty.
	Args string
}

// Usage counts tokens. Input includes those from and to the cache; Output includes Reasoning.
type Usage struct {
	Input, CacheRead, CacheWrite int
	Output, Reasoning            int
}

// StopReason is one of the constants below, which each provider says in its own word; any other is sent as it is.
type StopReason string

// The reasons to stop.
const (
	EndTurn         StopReason = "EndTurn"
	MaxTokens       StopReason = "MaxTokens"
	StopSequence    StopReason = "StopSequence"
	ToolUse         StopReason = "ToolUse"
	ContentFilter   StopReason = "ContentFilter"
	ContextExceeded StopReason = "ContextExceeded"
	// Paused is Claude's pause_turn. Gemini says CONTINUATION, with a token; the reply to a request with that token says its
	// own text, as nothing is left to say of this one. The others end the turn.
	Paused StopReason = "Paused"
)

// word returns the provider's word for the reason.
func (r StopReason) word(words map[StopReason]string) string {
	if w, ok := words[r]; ok {
		return w
	}
	return string(r)
}

const defaultText = "Hello! How can I help you today?"

// An answer is a reply to one request, with everything that the reply left open.
type answer struct {
	Reply
	ask    *ask
	n      int // the number of the request, from which ids are made
	now    time.Time
	chunks []string
	whole  speech // what is said in the end, in one request or more
}

func newAnswer(r Reply, a *ask, n int) *answer {
	ans := &answer{Reply: r, ask: a, n: n, now: time.Now(), chunks: r.Chunks}
	if ans.Model == "" {
		ans.Model = a.model
	}
	if a.left != nil {
		ans.takeUp(a.left)
	} else {
		ans.compose()
	}
	if r.Fault == HugeFrame && a.had == 0 {
		at := min(r.After, len(ans.chunks))
		huge := strings.Repeat("holdfast", (cmpOr(r.Size, 33<<20)+7)/8)
		ans.chunks = append(append(append([]string{}, ans.chunks[:at]...), huge), ans.chunks[at:]...)
	}
	ans.ToolCalls = append([]ToolCall{}, ans.ToolCalls...)
	for i := range ans.ToolCalls {
		if ans.ToolCalls[i].Args == "" {
			ans.ToolCalls[i].Args = "{}"
		}
	}
	if ans.StopReason == "" {
		ans.StopReason = EndTurn
		if len(ans.ToolCalls) > 0 {
			ans.StopReason = ToolUse
		}
	}
	ans.whole = ans.speech()
	if f, ok := a.form.(pausingForm); ok {
		f.pause(ans)
	}
	ans.Text = strings.Join(ans.chunks, "")
	ans.estimate()
	return ans
}

// takeUp makes an answer say what is left of another. Of a whole one it takes the numbers too.
func (a *answer) takeUp(left *answer) {
	a.say(left.speech())
	a.Model, a.Checkpoints = left.Model, cmpOr(a.Checkpoints, left.Checkpoints)
	if left.n > 0 {
		a.n, a.now, a.Usage = left.n, left.now, left.Usage
	}
}

// compose cuts what the model says into chunks, without what a prefill has said already.
func (a *answer) compose() {
	if a.Text == "" && a.Chunks == nil && a.Refusal == "" && len(a.ToolCalls) == 0 {
		a.Text = defaultText
	}
	a.chunks = a.Chunks
	if a.Chunks == nil && a.Text != "" {
		a.chunks = []string{a.Text}
	}
	if a.ask.prefill != "" {
		a.chunks = goOn(a.chunks, a.ask.prefill, a.EchoPrefill)
	}
	if a.Chunks == nil && len(a.chunks) > 0 {
		a.chunks = strings.SplitAfter(strings.Join(a.chunks, ""), " ")
	}
}

func cmpOr(n, other int) int {
	if n != 0 {
		return n
	}
	return other
}

// estimate counts a token for every four bytes, and a few for what stands around them.
func (a *answer) estimate() {
	if a.Usage != (Usage{}) {
		return
	}
	a.Usage.Input = promptTokens(a.ask)
	a.Usage.Reasoning = tokens(len(a.Thinking))
	a.Usage.Output = a.Usage.Reasoning + tokens(len(a.Text)) + tokens(len(a.Refusal))
	for _, c := range a.ToolCalls {
		a.Usage.Output += 8 + tokens(len(c.Name)+len(c.Args))
	}
}

func promptTokens(a *ask) int { return tokens(a.size) + 3 }

// sizeOf returns the size of what the model reads of a request.
func sizeOf(m map[string]any) int {
	size := 0
	for _, name := range []string{"messages", "system", "tools", "input", "instructions", "contents", "systemInstruction"} {
		if has(m, name) {
			size += len(encode(m[name]))
		}
	}
	return size
}

func tokens(bytes int) int { return (bytes + 3) / 4 }

// fragments cuts s behind every n characters.
func fragments(s string, n int) []string {
	var out []string
	for s != "" {
		end := 0
		for i := 0; i < n && end < len(s); i++ {
			_, size := utf8.DecodeRuneInString(s[end:])
			end += size
		}
		out = append(out, s[:end])
		s = s[end:]
	}
	return out
}
