package holdfast_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

var updateFaults = flag.Bool("update-faults", false, "write testdata/faults/table.txt anew; read the diff before you believe it")

// tableSpeaker is a dialect, with a model for each way in which answers that broke off can go on, and another that may know better.
type tableSpeaker struct {
	speaker
	other string
}

var tableSpeakers = []tableSpeaker{
	{speaker{"claude", holdfasttest.Claude, "claude", "", "claude-opus-5-5"}, "claude-opus-5"},
	{speaker{"claude+prefill", holdfasttest.Claude, "claude", "", "claude-haiku-4-5-20251001"}, "claude-opus-4-5-20251101"},
	{speaker{"chat", holdfasttest.OpenAI, "openai-chat", "/v1", "gpt-6-sol"}, "gpt-6.1-sol"},
	{speaker{"responses", holdfasttest.OpenAI, "openai-responses", "/v1", "gpt-6-sol"}, "gpt-6.1-sol"},
	{speaker{"gemini", holdfasttest.Gemini, "gemini", "/v1beta", "gemini-3.6-flash"}, "gemini-3.7-flash"},
	{speaker{"gemini+prefill", holdfasttest.Gemini, "gemini", "/v1beta", "gemini-3.5-flash"}, "gemini-3-flash-preview"},
	{speaker{"gemini+resume", holdfasttest.Gemini, "gemini", "/v1beta", "gemini-4-argon"}, "gemini-3.8-flash"},
	{speaker{"local", holdfasttest.Local, "openai-compatible", "/v1", "llama3.2"}, "llama4"},
	{speaker{"local+prefill", holdfasttest.Local, "llama.cpp", "/v1", "llama3.2"}, "llama4"},
}

// sixty is an answer of sixty pieces, as the fakes cut it: behind each space.
var sixty = func() string {
	words := strings.Fields("Blåst grips grünen Fels — in any storm, 海帯 holds")
	pieces := make([]string, 60)
	for i := range pieces {
		pieces[i] = fmt.Sprintf("%s:%d", words[i%len(words)], i)
	}
	return strings.Join(pieces, " ")
}()

// toolCall is a call whose arguments take several pieces.
var toolCall = []holdfasttest.ToolCall{{ID: "call_1", Name: "weather", Args: `{"city":"Turku","days":[1,2,3],"note":"long enough for some pieces"}`}}

// script is what an endpoint answers: the last reply serves all further requests.
type script []holdfasttest.Reply

func wellDone() script { return script{{Text: sixty}} }

// breaksOff breaks the first answer.
func breaksOff(f holdfasttest.Fault, after int) script {
	return script{{Text: sixty, Fault: f, After: after, Checkpoints: 7, KeepAlive: 700 * time.Millisecond}, {Text: sixty}}
}

func refuses(e holdfasttest.Error, retryAfter string) script {
	return script{{Error: e, RetryAfter: retryAfter}}
}

func then(scripts ...script) script { return slices.Concat(scripts...) }

// faultCase is one fault at endpoint a. Without b, a is alone.
type faultCase struct {
	name    string
	a, b    script
	config  func(*holdfast.Config)
	request func(*holdfast.ChatRequest, tableSpeaker)
	larger  bool          // b asks another model
	cancel  time.Duration // when the caller gives up; 0 means never
	silent  bool          // the answer has no text
}

func rescued(r holdfast.Rescue) func(*holdfast.ChatRequest, tableSpeaker) {
	return func(req *holdfast.ChatRequest, _ tableSpeaker) { req.Rescue = r }
}

func withTools(req *holdfast.ChatRequest, s tableSpeaker) {
	if s.name == "chat" { // it takes tools only so
		req.Reasoning.Effort = holdfast.EffortOff
	}
	req.Tools = []holdfast.Tool{{Name: "weather", Schema: []byte(`{"type":"object","properties":{}}`)}}
}

func withThinking(req *holdfast.ChatRequest, s tableSpeaker) {
	req.Reasoning.Summary, req.Hints = true, []string{"reasoning"}
	if s.name == "claude+prefill" {
		req.Reasoning.BudgetTokens, req.MaxOutputTokens = 1024, 2048
	}
}

// faultCases are the faults that users report of LLM calls. It is called within the bubble, whose time it uses.
func faultCases() []faultCase {
	const hour = time.Hour
	in5s := time.Now().Add(5 * time.Second).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
	late := func(r holdfasttest.Reply) script { r.Text = sixty; return script{r} }
	return []faultCase{
		{name: "all is well", a: wellDone(), b: wellDone()},
		{name: "429 without Retry-After", a: refuses(holdfasttest.RateLimited, ""), b: wellDone()},
		{name: "429 without Retry-After once, alone", a: then(refuses(holdfasttest.RateLimited, ""), wellDone())},
		{name: "429, Retry-After 2 s, alone", a: then(refuses(holdfasttest.RateLimited, "2"), wellDone())},
		{name: "429, Retry-After an hour", a: refuses(holdfasttest.RateLimited, "3600"), b: wellDone()},
		{name: "429, Retry-After an hour, alone", a: refuses(holdfasttest.RateLimited, "3600")},
		{name: "429, Retry-After a date in 5 s, alone", a: then(refuses(holdfasttest.RateLimited, in5s), wellDone())},
		{name: "429, Retry-After nonsense, alone", a: then(refuses(holdfasttest.RateLimited, "soon"), wellDone())},
		{name: "500 once, alone", a: then(refuses(holdfasttest.ServerError, ""), wellDone())},
		{name: "503 or 529 always", a: refuses(holdfasttest.Overloaded, ""), b: wellDone()},
		{
			name: "503 or 529 always, both", a: refuses(holdfasttest.Overloaded, ""), b: refuses(holdfasttest.Overloaded, ""),
			config: func(c *holdfast.Config) { c.Retry.MaxAttempts = 4 },
		},
		{name: "reset before headers", a: breaksOff(holdfasttest.ResetBeforeHeaders, 0), b: wellDone()},
		{name: "no response at all", a: late(holdfasttest.Reply{BeforeHeaders: hour}), b: wellDone()},
		{
			name: "no response at all, NoHedge, Timeouts.Headers 3 s", a: late(holdfasttest.Reply{BeforeHeaders: hour}), b: wellDone(),
			config: func(c *holdfast.Config) { c.Retry.NoHedge, c.Timeouts.Headers = true, 3*time.Second },
		},
		{name: "headers at once, first content after 20 s", a: late(holdfasttest.Reply{BeforeFirst: 20 * time.Second}), b: wellDone()},
		{name: "headers at once, first content after 20 s, alone", a: late(holdfasttest.Reply{BeforeFirst: 20 * time.Second})},
		{name: "first content after 4 s, in reserve after 10 s", a: late(holdfasttest.Reply{BeforeFirst: 4 * time.Second}), b: late(holdfasttest.Reply{BeforeFirst: 10 * time.Second})},
		{name: "first content after 20 s, the reserve fails", a: late(holdfasttest.Reply{BeforeFirst: 20 * time.Second}), b: refuses(holdfasttest.ServerError, "")},
		{
			name: "first content after 20 s, the reserve is of the next tier", a: late(holdfasttest.Reply{BeforeFirst: 20 * time.Second}), b: wellDone(),
			config: func(c *holdfast.Config) { c.Endpoints[1].Tier = 1 },
		},
		{
			name: "first content after 20 s of pings, NoHedge, Timeouts.FirstContent 4 s", b: wellDone(),
			a:      late(holdfasttest.Reply{BeforeFirst: 20 * time.Second, KeepAlive: 700 * time.Millisecond}),
			config: func(c *holdfast.Config) { c.Retry.NoHedge, c.Timeouts.FirstContent = true, 4*time.Second },
		},
		{
			name: "a minute of content, Timeouts.Total 5.5 s", a: late(holdfasttest.Reply{Between: time.Second}), b: wellDone(),
			config: func(c *holdfast.Config) { c.Timeouts.Total = 5500 * time.Millisecond },
		},
		{name: "cut after 40 tokens", a: breaksOff(holdfasttest.CutFIN, 40), b: wellDone()},
		{name: "cut by a reset after 40 tokens, alone", a: breaksOff(holdfasttest.CutRST, 40)},
		{name: "cut after 40 tokens, Rescue reset", a: breaksOff(holdfasttest.CutFIN, 40), b: wellDone(), request: rescued(holdfast.RescueReset)},
		{name: "cut after 40 tokens, Rescue off", a: breaksOff(holdfasttest.CutFIN, 40), b: wellDone(), request: rescued(holdfast.RescueOff)},
		{name: "ended in order after 40 tokens", a: breaksOff(holdfasttest.EndEarly, 40), b: wellDone()},
		{name: "silence after 20 tokens", a: breaksOff(holdfasttest.Stall, 20), b: wellDone()},
		{name: "silence after 20 tokens, filled with pings", a: breaksOff(holdfasttest.KeepAlivesOnly, 20), b: wellDone()},
		{
			name: "silence after 20 tokens, Timeouts.BetweenContent 7 s", a: breaksOff(holdfasttest.Stall, 20), b: wellDone(),
			config: func(c *holdfast.Config) { c.Timeouts.BetweenContent = 7 * time.Second },
		},
		{name: "a malformed event after 30 tokens", a: breaksOff(holdfasttest.MalformedEvent, 30), b: wellDone()},
		{name: "no terminator", a: breaksOff(holdfasttest.NoTerminator, 0), b: wellDone()},
		{name: "no [DONE]", a: breaksOff(holdfasttest.NoDone, 0), b: wellDone()},
		{name: "no [DONE], and the stream stays open", a: breaksOff(holdfasttest.StayOpen, 0), b: wellDone()},
		{name: "in-band error before content", a: breaksOff(holdfasttest.ErrorInStream, 0), b: wellDone()},
		{name: "in-band error after 30 tokens", a: breaksOff(holdfasttest.ErrorInStream, 30), b: wellDone()},
		{name: "context too long, the same model in reserve", a: refuses(holdfasttest.ContextTooLong, ""), b: wellDone()},
		{name: "context too long, another model in reserve", a: refuses(holdfasttest.ContextTooLong, ""), b: wellDone(), larger: true},
		{name: "policy rejection", a: refuses(holdfasttest.PolicyBlocked, ""), b: wellDone(), larger: true},
		{
			name: "policy rejection, PolicyElsewhere", a: refuses(holdfasttest.PolicyBlocked, ""), b: wellDone(), larger: true,
			config: func(c *holdfast.Config) { c.Retry.PolicyElsewhere = true },
		},
		{name: "cut after 40 tokens, the others refuse to go on", a: then(breaksOff(holdfasttest.CutRST, 40)[:1], refuses(holdfasttest.BadRequest, "")), b: refuses(holdfasttest.BadRequest, "")},
		{
			name: "cut after 40 tokens, the others refuse to go on, Rescue reset", request: rescued(holdfast.RescueReset),
			a: then(breaksOff(holdfasttest.CutRST, 40)[:1], refuses(holdfasttest.BadRequest, ""), wellDone()), b: then(refuses(holdfasttest.BadRequest, ""), wellDone()),
		},
		{
			name: "cut inside tool arguments", request: withTools, silent: true,
			a: script{{ToolCalls: toolCall, Fault: holdfasttest.CutRST, After: 1}}, b: script{{ToolCalls: toolCall}},
		},
		{
			name: "cut inside tool arguments behind text", request: withTools,
			a: script{{Text: sixty, ToolCalls: toolCall, Fault: holdfasttest.CutRST, After: 61}}, b: script{{Text: sixty, ToolCalls: toolCall}},
		},
		{name: "cut early, thinking not asked for", a: script{{Thinking: sixty, Text: sixty, Fault: holdfasttest.CutRST, After: 2}}, b: wellDone()},
		{name: "cut inside thinking that is shown", a: script{{Thinking: sixty, Text: sixty, Fault: holdfasttest.CutRST, After: 2}}, b: wellDone(), request: withThinking},
		{
			name: "the second hop breaks too", b: breaksOff(holdfasttest.CutRST, 10),
			a: then(breaksOff(holdfasttest.CutRST, 40)[:1], script{{Text: sixty, Fault: holdfasttest.CutRST, After: 5}}, wellDone()),
		},
		{name: "the caller cancels after 5.5 s", a: late(holdfasttest.Reply{Between: time.Second}), b: wellDone(), cancel: 5500 * time.Millisecond},
	}
}

// TestUnbroken puts every fault on every dialect, asked in every way. What became of it stands in testdata/faults/table.txt, a line
// for each outcome: the text that the caller saw, which requests arrived where and when, how long it took, and the Trail. Whatever
// the table says, no text is doubled or has a hole, and nothing is left running: the bubble would not end.
func TestUnbroken(t *testing.T) {
	t.Parallel()
	var names []string
	synctest.Test(t, func(*testing.T) {
		for _, c := range faultCases() {
			names = append(names, c.name)
		}
	})
	table := newTable(names)
	t.Run("each", func(t *testing.T) {
		for i := range names {
			for _, s := range tableSpeakers {
				for _, w := range ways {
					t.Run(fmt.Sprintf("%s/%s/%s", names[i], s.name, w), func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) { table.add(i, w, s.name, newScene(t, faultCases()[i], s).play(t, w)) })
					})
				}
			}
		}
	})
	table.compare(t, filepath.Join("testdata", "faults", "table.txt"))
}

// scene is one fault in one dialect.
type scene struct {
	faultCase
	speaker tableSpeaker
	network *holdfasttest.Network
	servers []*holdfasttest.Server
	client  *holdfast.Client
	begun   time.Time
}

func newScene(t *testing.T, c faultCase, s tableSpeaker) *scene {
	t.Helper()
	sc := &scene{faultCase: c, speaker: s, network: holdfasttest.NewNetwork(), begun: time.Now()}
	conf := holdfast.Config{Dial: sc.network.Dial}
	for i, replies := range []script{c.a, c.b} {
		if replies == nil {
			continue
		}
		name, model := []string{"a", "b"}[i], s.model
		if i == 1 && c.larger {
			model = s.other
		}
		server := sc.network.NewServer(name+".test", s.dialect)
		server.Script(replies[:len(replies)-1]...)
		server.Always(replies[len(replies)-1])
		sc.servers = append(sc.servers, server)
		conf.Endpoints = append(conf.Endpoints, holdfast.Endpoint{
			Name: name, Provider: s.provider, URL: server.URL + s.path, Proxy: "direct", KeySource: holdfast.Literal("key-of-" + name),
			Models: map[string]string{"default": model},
		})
	}
	if c.config != nil {
		c.config(&conf)
	}
	sc.client = newClient(t, conf)
	return sc
}

// play asks, checks what must hold of every outcome, and says what it was.
func (sc *scene) play(t *testing.T, w way) string {
	t.Helper()
	req := &holdfast.ChatRequest{Messages: holdfast.Ask("What grips the rock?")}
	if sc.request != nil {
		sc.request(req, sc.speaker)
	}
	if w == unary {
		req.MaxOutputTokens = 1024
	}
	ctx, cancel := context.WithCancel(t.Context())
	if sc.cancel > 0 {
		time.AfterFunc(sc.cancel, cancel)
	}
	saw := sc.ask(ctx, w, req)
	took := time.Since(sc.begun)
	cancel()
	_ = sc.client.Close()
	for _, s := range sc.servers {
		s.Close()
	}
	sc.network.Close()
	want := sixty
	if sc.silent {
		want = ""
	}
	saw.check(t, want, w)
	return strings.Join([]string{saw.text(want), sc.arrivals(), inSeconds(took), trailInWords(saw.trail())}, " | ")
}

// sight is what a caller saw.
type sight struct {
	shown  string // since the last reset
	joints []string
	calls  int // tool calls that came whole
	answer *holdfast.ChatResponse
	err    error
}

func (sc *scene) ask(ctx context.Context, w way, req *holdfast.ChatRequest) (s sight) {
	if w != stream {
		if s.answer, s.err = sc.client.Chat(ctx, req); s.err == nil {
			s.shown, s.calls = s.answer.Text(), len(s.answer.ToolCalls())
		}
		return s
	}
	for event, err := range sc.client.Stream(ctx, req) {
		s.shown += event.Text()
		switch event.Type {
		case holdfast.EventReset, holdfast.EventHop:
			s.joints = append(s.joints, event.Type.String())
			if event.Type == holdfast.EventReset {
				s.shown, s.calls = "", 0
			}
		case holdfast.EventBlockEnd:
			if call, is := event.Part.(*holdfast.ToolCall); is && !call.Incomplete {
				s.calls++
			}
		case holdfast.EventEnd:
			s.answer = event.Response
		}
		s.err = err
	}
	return s
}

func (s sight) trail() holdfast.Trail { return trailOf(s.answer, s.err) }

// check demands what holds of every outcome.
func (s sight) check(t *testing.T, want string, w way) {
	t.Helper()
	var e *holdfast.Error
	switch {
	case (s.answer == nil) == (s.err == nil):
		t.Fatalf("got the answer %v and the error %v", s.answer, s.err)
	case s.err == nil && (s.shown != want || s.answer.Text() != want):
		t.Errorf("got %q, kept %q, as a success; want %q", s.shown, s.answer.Text(), want)
	case !strings.HasPrefix(want, s.shown):
		t.Errorf("got %q, which is no beginning of %q", s.shown, want)
	case s.err != nil && errors.As(s.err, &e) && e.Partial != nil && w == stream && e.Partial.Text() != s.shown:
		t.Errorf("the error has %q, shown was %q", e.Partial.Text(), s.shown)
	}
	if s.err == nil {
		for _, call := range s.answer.ToolCalls() {
			if string(call.Args) != toolCall[0].Args {
				t.Errorf("got the arguments %s, want %s", call.Args, toolCall[0].Args)
			}
		}
	}
}

// text says what the caller saw of the answer.
func (s sight) text(want string) string {
	seen := "nothing"
	switch n := len(strings.SplitAfter(s.shown, " ")); {
	case s.shown == "":
	case s.shown == want:
		seen = "whole"
	case strings.HasSuffix(s.shown, " "):
		seen = fmt.Sprintf("%d tokens", n-1)
	case s.shown != "":
		seen = fmt.Sprintf("%q", s.shown)
	}
	if s.calls > 0 {
		seen += fmt.Sprintf(" and %d tool call", s.calls)
	}
	for _, j := range s.joints {
		seen += ", " + j
	}
	if s.err != nil {
		seen += ", " + string(holdfast.KindOf(s.err))
	}
	return seen
}

// isProbe reports whether a request is none of a call's own.
func isProbe(r holdfasttest.Request) bool { return bytes.Contains(r.Body, []byte(`"Hi"`)) }

// arrivals lists the requests by endpoint and time, without probes, whose times are random.
func (sc *scene) arrivals() string {
	var list []string
	for i, s := range sc.servers {
		for _, r := range s.Requests() {
			if !isProbe(r) {
				list = append(list, []string{"a", "b"}[i]+"@"+inSeconds(r.At.Sub(sc.begun)))
			}
		}
	}
	return strings.Join(list, " ")
}

func inSeconds(d time.Duration) string { return d.Round(time.Second).String() }

func trailInWords(trail holdfast.Trail) string {
	words := make([]string, len(trail.Attempts))
	for i, a := range trail.Attempts {
		words[i] = a.Endpoint + " " + cmp.Or(string(a.Kind), "answered")
		if how, _, found := strings.Cut(a.Why, "; tier"); found {
			if _, last, more := strings.Cut(how, "; "); more {
				how = last
			}
			if strings.HasPrefix(how, "to ") {
				words[i] = a.Endpoint + " (" + how + ") " + cmp.Or(string(a.Kind), "answered")
			}
		}
	}
	return strings.Join(words, ", ")
}

// outcomes collects what became of each fault.
type outcomes struct {
	names []string
	mu    sync.Mutex
	rows  []map[string][]string // by fault: way and outcome → dialects
}

func newTable(names []string) *outcomes {
	o := &outcomes{names: names}
	for range names {
		o.rows = append(o.rows, map[string][]string{})
	}
	return o
}

func (o *outcomes) add(fault int, w way, dialect, outcome string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := fmt.Sprintf("%d %-6s | %s", slices.Index(ways, w), w, outcome)
	o.rows[fault][key] = append(o.rows[fault][key], dialect)
}

// compare holds the table to the file, or writes it.
func (o *outcomes) compare(t *testing.T, file string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("# fault, and for each way to ask: what the caller saw | requests by endpoint and time | how long it took | the Trail | dialects\n")
	for i, name := range o.names {
		fmt.Fprintf(&b, "\n%s\n", name)
		var lines []string
		for key, dialects := range o.rows[i] {
			slices.SortFunc(dialects, func(a, b string) int { return cmp.Compare(place(a), place(b)) })
			who := strings.Join(dialects, " ")
			if len(dialects) == len(tableSpeakers) {
				who = "all"
			}
			lines = append(lines, key+" | "+who)
		}
		slices.Sort(lines)
		for _, l := range lines {
			b.WriteString("  " + l[2:] + "\n")
		}
	}
	if *updateFaults {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != string(want) {
		t.Errorf("the outcomes differ from %s; go test -run TestUnbroken -update-faults . shows how:\n%s", file, firstDifference(got, string(want)))
	}
}

func place(dialect string) int {
	return slices.IndexFunc(tableSpeakers, func(s tableSpeaker) bool { return s.name == dialect })
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d: got\n%s\nwant\n%s", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("got %d lines, want %d", len(a), len(b))
}
