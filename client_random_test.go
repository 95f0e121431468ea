package holdfast_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// FuzzStorm asks in storms: one to four endpoints of any dialect, each with its own row of replies that are late, broken, refused or good, under
// any policy, clock and way to ask. All servers mean the same text; asked for the rest of it, they say the rest. A storm follows from its seed
// but for the waits before repeats and for what happens at the same instant.
//
// Whatever happens:
//
//   - What is shown since the last EventReset is the text, whole, at an EventEnd, and a beginning of it at an error: no word twice, no hole.
//     The answer, or what the error holds of it, says the same.
//   - EventStart comes once and first; an EventReset only where the caller allows one; an EventHop only where more text follows, or none is
//     missing. The numbers of blocks never go back, and each block ends with the text that its pieces were.
//   - A Chat returns the whole text or an error. A call succeeds if one endpoint is well and nothing but the others' faults is against it.
//   - The Trail tells of every request that arrived, no more than MaxAttempts, and of no time beyond the call's. That ends in time.
//   - Neither a key nor a piece of the text stands in an error or in the Trail.
//   - No server refuses how it is asked, and nothing runs on when the call has ended.
func FuzzStorm(f *testing.F) {
	for seed := range uint64(1500) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) { newStorm(seed).pass(t) })
	})
}

// Storms that are small enough to read, each of which is hard on one thing.
func TestSmallStorms(t *testing.T) {
	t.Parallel()
	const claude, chat, llama, vllm = 0, 2, 7, 8
	endpoint := func(speaker, tier int, replies ...holdfasttest.Reply) *stormEndpoint {
		return &stormEndpoint{Speaker: speaker, Tier: tier, Replies: replies, rnd: rand.New(rand.NewPCG(0, 0))}
	}
	well := holdfasttest.Reply{}
	silent := holdfasttest.Reply{Fault: holdfasttest.Stall}
	for name, s := range map[string]*storm{
		"a reserve that cannot be asked": {
			Begin:     "qxz",
			Endpoints: []*stormEndpoint{endpoint(llama, 0, silent), endpoint(claude, 0, well), endpoint(vllm, 0, well)},
		},
		"a reserve that fails, and none left of its tier": {
			Endpoints: []*stormEndpoint{
				endpoint(chat, 0, silent), endpoint(chat, 0, holdfasttest.Reply{Fault: holdfasttest.Redirect}), endpoint(claude, 1, well),
			},
		},
		"an endpoint that is the first to speak and breaks off, time and again": {
			Rescue: holdfast.RescueReset, Config: holdfast.Config{Timeouts: holdfast.Timeouts{Hedge: time.Second}},
			Endpoints: []*stormEndpoint{
				endpoint(chat, 0, holdfasttest.Reply{BeforeHeaders: time.Minute}),
				endpoint(chat, 0, holdfasttest.Reply{Fault: holdfasttest.Stall, After: 1}), endpoint(claude, 1, well),
			},
		},
		"an endpoint that breaks off every answer": {
			Rescue:    holdfast.RescueReset,
			Endpoints: []*stormEndpoint{endpoint(chat, 0, holdfasttest.Reply{Fault: holdfasttest.CutFIN, After: 1}), endpoint(claude, 1, well)},
		},
		"a wait that is longer than an attempt may take": {
			Config:    holdfast.Config{Timeouts: holdfast.Timeouts{Total: 10 * time.Second}},
			Endpoints: []*stormEndpoint{endpoint(chat, 0, holdfasttest.Reply{Error: holdfasttest.Overloaded, RetryAfter: "15"}, well)},
		},
		"an answer that breaks off while a reserve is on its way out": {
			Rescue: holdfast.RescueAll, Config: holdfast.Config{Timeouts: holdfast.Timeouts{Hedge: time.Second}},
			Endpoints: []*stormEndpoint{
				endpoint(chat, 0, holdfasttest.Reply{BeforeHeaders: 2 * time.Second, Fault: holdfasttest.CutFIN, After: 1}),
				endpoint(chat, 0, silent), endpoint(claude, 1, well),
			},
		},
	} {
		for _, w := range ways {
			t.Run(name+"/"+string(w), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					small := *s
					small.Text, small.Way, small.Sure, small.Well = "qxz jvk wpö ßŧ日 海🌊—", w, true, len(s.Endpoints)-1
					small.Endpoints = nil
					for _, e := range s.Endpoints {
						small.Endpoints = append(small.Endpoints, endpoint(e.Speaker, e.Tier, e.Replies...))
					}
					small.pass(t)
				})
			})
		}
	}
}

// stormSpeakers are the dialects and models of storms, with whether they continue a text of their own.
var stormSpeakers = []struct {
	speaker
	continues bool
}{
	{speaker{"claude", holdfasttest.Claude, "claude", "", "claude-opus-5-5"}, false},
	{speaker{"claude prefill", holdfasttest.Claude, "claude", "", "claude-haiku-4-5-20251001"}, true},
	{speaker{"chat", holdfasttest.OpenAI, "openai-chat", "/v1", "gpt-6-sol"}, false},
	{speaker{"responses", holdfasttest.OpenAI, "openai-responses", "/v1", "gpt-6-sol"}, false},
	{speaker{"gemini prefill", holdfasttest.Gemini, "gemini", "/v1beta", "gemini-3.5-flash"}, true},
	{speaker{"gemini resume", holdfasttest.Gemini, "gemini", "/v1beta", "gemini-4-argon"}, false},
	{speaker{"ollama", holdfasttest.Local, "ollama", "/v1", "llama3.2"}, false},
	{speaker{"llama.cpp", holdfasttest.Local, "llama.cpp", "/v1", "llama3.2"}, true},
	{speaker{"vllm", holdfasttest.Local, "vllm", "/v1", "llama3.2"}, true},
	{speaker{"mistral", holdfasttest.Local, "mistral", "/v1", "mistral-large-3"}, true},
}

// storm is what happens in one call.
type storm struct {
	Seed      uint64
	Text      string // what every model means to say, begin first
	Begin     string // what the request says of it
	Endpoints []*stormEndpoint
	Config    holdfast.Config
	Way       way
	Rescue    holdfast.Rescue // the request's
	Summary   bool
	TLS       bool
	Cancel    time.Duration // when the caller gives up; 0 means never
	Leave     int           // after how many events the reader leaves; 0 means never
	Slow      time.Duration // how long the reader takes for an event
	Resumed   bool          // OpenAI's Responses keep the answer, to be resumed
	Sure      bool          // there is nothing that the call cannot weather: one endpoint is well
	Well      int           // which
}

// stormEndpoint is an endpoint with its replies, the first again behind the last.
type stormEndpoint struct {
	Speaker  int
	Tier     int
	Down     int // how connections fail: not at all at 0
	Replies  []holdfasttest.Reply
	Timeouts holdfast.Timeouts
	server   *holdfasttest.Server
	mu       sync.Mutex
	rnd      *rand.Rand
	n        int
	confused bool // some continuation could be read in two ways
}

func oneOf[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

func newStorm(seed uint64) *storm {
	r := rand.New(rand.NewPCG(seed, 1))
	s := &storm{Seed: seed, Text: stormText(r), Sure: chance(r, 50), Way: oneOf(r, stream, stream, stream, chat, unary), Summary: chance(r, 20), TLS: chance(r, 4)}
	policies := []holdfast.Rescue{holdfast.RescueExact, holdfast.RescueOff, holdfast.RescueContinue, holdfast.RescueReset, holdfast.RescueAll}
	s.Config.Retry.Rescue, s.Config.Retry.NoHedge = oneOf(r, policies...), chance(r, 25)
	if chance(r, 30) {
		s.Rescue = oneOf(r, policies...)
	}
	s.Config.MaxAnswerBytes = 64 << 10
	s.Resumed = chance(r, 50)
	if words := strings.Fields(s.Text); chance(r, 10) && len(words) > 2 {
		s.Begin = s.Text[:strings.Index(s.Text, words[1])+len(words[1])]
	}
	if s.Sure {
		s.Config.Retry.MaxAttempts = 200
		switch {
		case s.Config.Retry.NoHedge:
			s.Config.Timeouts.FirstContent = time.Duration(1+r.IntN(15)) * time.Second
		case chance(r, 50):
			s.Config.Timeouts.Hedge = time.Duration(1+r.IntN(5000)) * time.Millisecond
		}
	} else {
		s.Config.Retry.MaxAttempts = oneOf(r, 0, 0, 0, 1, 2, 3, 5)
		s.Config.Timeout = time.Duration(r.IntN(90)) * time.Second
		s.Config.Timeouts = stormTimeouts(r)
		s.Cancel = time.Duration(max(0, r.IntN(60_000)-45_000)) * time.Millisecond
		s.Leave = max(0, r.IntN(100)-80)
		s.Slow = time.Duration(max(0, r.IntN(12_000)-10_000)) * time.Millisecond
	}
	for i := range 1 + r.IntN(4) {
		e := &stormEndpoint{Speaker: oneOf(r, 0, 1, 2, 3, 3, 4, 5, 5, 5, 6, 7, 8, 9), Tier: r.IntN(3), rnd: rand.New(rand.NewPCG(seed, uint64(2+i)))}
		if chance(r, 8) {
			e.Down = 1 + r.IntN(4)
		}
		if chance(r, 20) {
			e.Timeouts = stormTimeouts(r)
		}
		for range 1 + r.IntN(6) {
			e.Replies = append(e.Replies, s.reply(r))
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	if s.Sure {
		s.Well = r.IntN(len(s.Endpoints))
		well := s.Endpoints[s.Well]
		well.Down, well.Timeouts, well.Replies = 0, holdfast.Timeouts{}, []holdfasttest.Reply{{Checkpoints: r.IntN(3)}}
	}
	return s
}

func stormTimeouts(r *rand.Rand) holdfast.Timeouts {
	some := func() time.Duration {
		return max(0, time.Duration(r.IntN(40)-20)*time.Second) + time.Duration(r.IntN(2))*time.Second
	}
	return holdfast.Timeouts{Headers: some(), Hedge: some(), FirstContent: some(), BetweenContent: some(), Total: some() * 3}
}

// stormText is a text of words that no error has, with characters of several bytes and white space of every kind.
func stormText(r *rand.Rand) string {
	letters := []rune("qxzjvkwpöéßŧ日海🌊—")
	var b strings.Builder
	if chance(r, 10) {
		b.WriteString(oneOf(r, " ", "\n", "\n\n"))
	}
	for i, n := 0, 1+r.IntN(1+r.IntN(60)); i < n; i++ {
		if i > 0 {
			b.WriteString(oneOf(r, " ", " ", " ", " ", "  ", "\n", "\n\n", " \n ", "\t", ", ", " … ", "\u00a0", ". "))
		}
		for range 2 + r.IntN(8) {
			b.WriteRune(oneOf(r, letters...))
		}
	}
	if chance(r, 20) {
		b.WriteString(oneOf(r, " ", "\n", "\n\n", ".", " \n"))
	}
	return b.String()
}

func (s *storm) reply(r *rand.Rand) holdfasttest.Reply {
	late := func(percent, most int) time.Duration {
		if !chance(r, percent) {
			return 0
		}
		return time.Duration(r.IntN(most)) * time.Millisecond
	}
	faults := []holdfasttest.Fault{
		holdfasttest.ResetBeforeHeaders, holdfasttest.CloseBeforeHeaders, holdfasttest.CutFIN, holdfasttest.CutFIN, holdfasttest.CutRST,
		holdfasttest.CutRST, holdfasttest.EndEarly, holdfasttest.EndEarly, holdfasttest.Stall, holdfasttest.KeepAlivesOnly,
		holdfasttest.MalformedEvent, holdfasttest.NoTerminator, holdfasttest.NoDone, holdfasttest.ErrorInStream, holdfasttest.Failed,
		holdfasttest.ErrorIn200, holdfasttest.HTML, holdfasttest.Redirect, holdfasttest.EmptyBody, holdfasttest.WrongLength,
	}
	failures := []holdfasttest.Error{
		holdfasttest.BadKey, holdfasttest.NoPermission, holdfasttest.RegionBlocked, holdfasttest.SpendLimit, holdfasttest.OutOfCredit,
		holdfasttest.MonthlyCap, holdfasttest.RateLimited, holdfasttest.DailyQuota, holdfasttest.SlowDown, holdfasttest.Conflict,
		holdfasttest.TimedOut, holdfasttest.ServerError, holdfasttest.Overloaded,
	}
	reply := holdfasttest.Reply{After: r.IntN(1 + r.IntN(20)), Checkpoints: max(0, r.IntN(6)-1), EchoPrefill: chance(r, 50)}
	if s.Sure {
		reply.BeforeHeaders, reply.BeforeFirst, reply.Between = late(15, 5000), late(15, 5000), late(15, 200)
	} else {
		faults = append(faults, holdfasttest.HugeFrame)
		failures = append(failures, holdfasttest.BadRequest, holdfasttest.ContextTooLong, holdfasttest.TooLarge, holdfasttest.ModelMissing,
			holdfasttest.PolicyBlocked, holdfasttest.BadSignature)
		reply.BeforeHeaders, reply.BeforeFirst, reply.Between = late(20, 30_000), late(20, 30_000), late(20, oneOf(r, 100, 3000, 30_000))
		reply.Size = 100 << 10
	}
	if chance(r, 75) {
		reply.Fault = oneOf(r, faults...)
	}
	switch reply.Fault {
	case holdfasttest.EmptyBody: // which is all there is to wait for
		reply.BeforeFirst = 0
	case holdfasttest.ErrorInStream, holdfasttest.Failed, holdfasttest.ErrorIn200:
		reply.Error = oneOf(r, append(failures, "")...)
	case holdfasttest.HTML, "":
		if chance(r, 20) {
			reply.Error = oneOf(r, failures...)
		}
		if !s.Sure && chance(r, 10) {
			reply.Status = oneOf(r, 400, 401, 403, 404, 408, 409, 413, 418, 422, 429, 500, 502, 503, 504, 524, 529)
		}
	}
	if chance(r, 10) {
		reply.RetryAfter = oneOf(r, "0", "1", "2.5", "7", "-1", "x", "15")
	}
	if chance(r, 20) {
		reply.KeepAlive = time.Duration(1+r.IntN(15)) * time.Second
	}
	if chance(r, 30) {
		reply.Thinking = strings.Repeat("hmm ", r.IntN(30))
	}
	if chance(r, 40) {
		reply.Framing = holdfasttest.Framing(r.IntN(1 << 9))
		if chance(r, 80) {
			reply.Framing &^= holdfasttest.ByteByByte
		}
	}
	reply.Gzip = chance(r, 10)
	if !s.Sure && chance(r, 10) {
		reply.PauseAfter = 1 + r.IntN(10)
	}
	return reply
}

// answer is the reply of an endpoint to a request: the text, or what comes behind what the request says of it.
func (s *storm) answer(e *stormEndpoint, asked holdfasttest.Request) holdfasttest.Reply {
	e.mu.Lock()
	defer e.mu.Unlock()
	reply := e.Replies[e.n%len(e.Replies)]
	e.n++
	if stormSpeakers[e.Speaker].name != "mistral" || s.Begin != "" {
		reply.EchoPrefill = false
	}
	text := s.Text
	switch shown, inWords := s.shown(asked); {
	case inWords:
		reply.PauseAfter = 0 // in the middle of what it says again, there is no telling what that is
		var ok bool
		if text, ok = e.goOn(shown, s.Text[len(s.Begin)+len(shown):]); !ok {
			e.confused = true
			return holdfasttest.Reply{Error: holdfasttest.Overloaded}
		}
	case strings.HasPrefix(strings.TrimPrefix(text, asked.Prefill), asked.Prefill):
		reply.EchoPrefill = s.Begin == "" && stormSpeakers[e.Speaker].name == "mistral" // else what comes would be taken for the prefill
	}
	reply.Chunks = e.cut(text)
	return reply
}

const promptBegin, promptEnd = "Your previous response was interrupted. It ends with:\n\n", "\n\nContinue from exactly where it stopped"

// shown returns what a request that asks in words for the rest says was shown.
func (s *storm) shown(asked holdfasttest.Request) (string, bool) {
	var body any
	_ = json.Unmarshal(asked.Body, &body) // the server has understood it
	prompt, ok := findText(body, promptBegin)
	if !ok {
		return "", false
	}
	end, _, _ := strings.Cut(prompt[len(promptBegin):], promptEnd)
	answer := s.Text[len(s.Begin):]
	if strings.HasPrefix(answer, end) && len(end) < 200-utf8.UTFMax {
		return end, true
	}
	at := strings.Index(answer, end)
	if at < 0 {
		panic(fmt.Sprintf("storm %d: a model is asked to go on behind %q, which is not of the text %q", s.Seed, end, answer))
	}
	return answer[:at+len(end)], true
}

func findText(v any, prefix string) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, strings.HasPrefix(v, prefix)
	case []any:
		for _, e := range v {
			if s, ok := findText(e, prefix); ok {
				return s, true
			}
		}
	case map[string]any:
		for _, e := range v {
			if s, ok := findText(e, prefix); ok {
				return s, true
			}
		}
	}
	return "", false
}

// goOn is how a model that was asked in words goes on: at once, or with the last words again, where that can be read in one way only.
func (e *stormEndpoint) goOn(shown, rest string) (said string, ok bool) {
	ways := []int{0}
	for at := max(0, len(shown)-150); at < len(shown); at++ {
		first, _ := utf8.DecodeRuneInString(shown[at:])
		before, _ := utf8.DecodeLastRuneInString(shown[:at])
		begins := utf8.RuneStart(shown[at]) && !unicode.IsSpace(first) && (at == 0 || unicode.IsSpace(before))
		if begins && (at == 0 || len(shown)-at >= 4) {
			ways = append(ways, len(shown)-at)
		}
	}
	e.rnd.Shuffle(len(ways), func(i, j int) { ways[i], ways[j] = ways[j], ways[i] })
	for _, n := range ways {
		if said = shown[len(shown)-n:] + rest; longestOverlap(shown, said) == n {
			return said, true
		}
	}
	return "", false
}

// longestOverlap reads two halves as they may be read at most: what ends the one and begins the other is said twice.
func longestOverlap(shown, said string) int {
	for n := min(len(shown), len(said)); n > 0; n-- {
		if shown[len(shown)-n:] == said[:n] {
			return n
		}
	}
	return 0
}

// cut cuts a text into pieces.
func (e *stormEndpoint) cut(text string) []string {
	most := oneOf(e.rnd, 1, 4, 12, 60, 1000)
	pieces := []string{}
	for text != "" {
		n := min(1+e.rnd.IntN(most), len(text))
		for n < len(text) && !utf8.RuneStart(text[n]) {
			n++
		}
		pieces, text = append(pieces, text[:n]), text[n:]
	}
	return pieces
}

// pass lets the storm pass over a client.
func (s *storm) pass(t *testing.T) {
	network := holdfasttest.NewNetwork()
	conf := s.Config
	conf.Dial = network.Dial
	newServer := network.NewServer
	if s.TLS {
		newServer = network.NewTLSServer
		conf.TLS = &tls.Config{RootCAs: network.CA(), MinVersion: tls.VersionTLS12}
	}
	for i, e := range s.Endpoints {
		speaks := stormSpeakers[e.Speaker]
		host := fmt.Sprintf("storm%d.test", i)
		e.server = newServer(host, speaks.dialect)
		e.server.Respond(func(asked holdfasttest.Request) holdfasttest.Reply { return s.answer(e, asked) })
		[]func(string){network.Restore, network.Refuse, network.Swallow, network.Unplug, network.Forget}[e.Down](host)
		conf.Endpoints = append(conf.Endpoints, holdfast.Endpoint{
			Name: fmt.Sprintf("%d %s", i, speaks.name), Provider: speaks.provider, URL: e.server.URL + speaks.path, Proxy: "direct", Tier: e.Tier,
			KeySource: holdfast.Literal(stormKey(i)), Models: map[string]string{"default": speaks.model}, Timeouts: e.Timeouts,
		})
	}
	client, err := holdfast.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	r := &stormReader{storm: s, begun: time.Now(), ended: map[int]bool{}, blocks: map[int]string{}, last: -1}
	r.ask(t.Context(), client)
	r.judge()
	time.Sleep(500 * time.Millisecond)
	synctest.Wait()
	r.judgeServers()
	_ = client.Close()
	network.Close()
	if len(r.faults) > 0 {
		t.Errorf("%s\n%s\nevents:\n\t%s\ntrail:\n%s\nerror: %v", strings.Join(r.faults, "\n"), s, strings.Join(r.log, "\n\t"), r.trail, r.err)
	}
}

func stormKey(i int) string { return fmt.Sprintf("key-of-endpoint-%d", i) }

// stormReader is the caller: it keeps what it was shown, and what was wrong with it.
type stormReader struct {
	*storm
	begun   time.Time
	resumed time.Time // when it last gave the loop back its turn
	over    time.Time // when the loop ended

	shown  string
	starts int
	resets int
	hop    bool // and nothing since
	last   int  // the largest number of a block
	blocks map[int]string
	ended  map[int]bool
	left   bool

	answer *holdfast.ChatResponse
	err    error
	trail  *holdfast.Trail
	faults []string
	log    []string
}

func (r *stormReader) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

func (r *stormReader) ask(ctx context.Context, client *holdfast.Client) {
	if r.Cancel > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		defer time.AfterFunc(r.Cancel, cancel).Stop()
	}
	request := &holdfast.ChatRequest{Messages: holdfast.Ask("Why is the sky blue?"), Rescue: r.Rescue}
	if r.Begin != "" {
		request.Messages = append(request.Messages, holdfast.AssistantText(r.Begin))
	}
	if r.Resumed {
		request.Extra = holdfast.Extra{"openai-responses": []byte(`{"background":true,"store":true}`)}
	}
	if r.Summary {
		request.Reasoning.Summary, request.Hints = true, []string{"reasoning"}
	}
	switch r.Way {
	case unary:
		request.MaxOutputTokens = 1024
		fallthrough
	case chat:
		r.answer, r.err = client.Chat(ctx, request)
		r.over = time.Now()
		r.shown = textOf(r.answer)
		return
	}
	events := 0
	for event, err := range client.Stream(ctx, request) {
		r.read(event, err)
		r.resumed = time.Now()
		if events++; events == r.Leave {
			r.left = true
			break
		}
		time.Sleep(r.Slow)
		r.resumed = time.Now()
	}
	r.over = time.Now()
}

func textOf(r *holdfast.ChatResponse) string {
	if r == nil {
		return ""
	}
	return r.Text()
}

// read takes one step of the loop.
func (r *stormReader) read(event holdfast.Event, err error) {
	r.log = append(r.log, fmt.Sprintf("%s %s %d %q %v", time.Since(r.begun), event.Type, event.Block, event.Delta, err))
	if r.err != nil || r.answer != nil {
		r.fault("the loop goes on behind its end")
	}
	if r.err = err; err != nil {
		r.hopped("an error")
		return
	}
	if r.starts == 0 && event.Type != holdfast.EventStart {
		r.fault("the first event is %s", event.Type)
	}
	switch event.Type {
	case holdfast.EventStart:
		r.starts++
	case holdfast.EventText, holdfast.EventThinking:
		r.piece(event)
	case holdfast.EventBlockEnd:
		r.number(event)
		r.ended[event.Block] = true
		r.part(event)
	case holdfast.EventReset:
		if r.policy() != holdfast.RescueReset && r.policy() != holdfast.RescueAll {
			r.fault("a reset, which nobody allowed")
		}
		r.resets++
		r.shown, r.blocks, r.hop = "", map[int]string{}, false
	case holdfast.EventHop:
		r.hopped("a hop")
		r.hop = true
	case holdfast.EventEnd:
		r.hopped("the end")
		r.answer = event.Response
	case holdfast.EventUsage:
	default:
		r.fault("an event %s", event.Type)
	}
}

// hopped judges a hop by what follows it.
func (r *stormReader) hopped(what string) {
	if r.hop && r.shown != r.want() {
		r.fault("%s follows a hop, with nothing in between", what)
	}
}

func (r *stormReader) piece(event holdfast.Event) {
	if r.number(event); r.ended[event.Block] {
		r.fault("a piece of block %d, which had ended", event.Block)
	}
	r.blocks[event.Block] += event.Delta
	if event.Type == holdfast.EventText {
		r.shown += event.Delta
		r.hop = false
	}
}

func (r *stormReader) number(event holdfast.Event) {
	if event.Block < r.last {
		r.fault("block %d comes behind block %d", event.Block, r.last)
	}
	if _, known := r.blocks[event.Block]; r.resets > 0 && event.Block == r.last && !known {
		r.fault("block %d comes again behind a reset", event.Block)
	}
	r.last = max(r.last, event.Block)
}

func (r *stormReader) part(event holdfast.Event) {
	switch p := event.Part.(type) {
	case *holdfast.Text:
		if p.Text != r.blocks[event.Block] {
			r.fault("block %d ends as %q, its pieces were %q", event.Block, p.Text, r.blocks[event.Block])
		}
	case *holdfast.Thinking:
		if p.Text != r.blocks[event.Block] {
			r.fault("block %d ends as %q, its pieces were %q", event.Block, p.Text, r.blocks[event.Block])
		}
	}
}

func (r *stormReader) want() string { return r.Text[len(r.Begin):] }

func (r *stormReader) policy() holdfast.Rescue {
	if r.Rescue != "" {
		return r.Rescue
	}
	return r.Config.Retry.Rescue
}

// judge judges what the caller got.
func (r *stormReader) judge() {
	if r.starts > 1 {
		r.fault("%d starts", r.starts)
	}
	paused := r.answer != nil && r.answer.Stop.Reason == holdfast.StopResumable // the provider's own word
	switch {
	case r.answer != nil && r.shown != textOf(r.answer):
		r.fault("the answer is %q, was shown %q", textOf(r.answer), r.shown)
	case r.answer != nil && !paused && r.shown != r.want():
		r.fault("got %q as the answer, want %q", r.shown, r.want())
	case r.answer == nil && r.err == nil && !r.left:
		r.fault("neither an answer nor an error")
	case !strings.HasPrefix(r.want(), r.shown):
		r.fault("was shown %q, want a beginning of %q", r.shown, r.want())
	}
	if r.answer != nil {
		r.trail = &r.answer.Trail
	}
	var e *holdfast.Error
	switch {
	case r.err == nil:
	case !errors.As(r.err, &e):
		r.fault("got %v, want a *holdfast.Error", r.err)
	default:
		r.trail = &e.Trail
		if partial := textOf(e.Partial); r.Way == stream && partial != r.shown || !strings.HasPrefix(r.want(), partial) {
			r.fault("the error holds %q of the answer, was shown %q", partial, r.shown)
		}
	}
	if r.err != nil && r.sure() {
		r.fault("got an error, though one endpoint was well")
	}
	r.judgeTime()
	r.judgeTrail()
}

// sure reports whether the call has to succeed.
func (r *stormReader) sure() bool {
	if !r.Sure {
		return false
	}
	confused := slices.ContainsFunc(r.Endpoints, func(e *stormEndpoint) bool { return e.confused })
	goesOn := stormSpeakers[r.Endpoints[r.Well].Speaker].continues
	if confused || r.Begin != "" && !goesOn { // it had nothing to say, or cannot be asked
		return false
	}
	if r.Way != stream {
		return true
	}
	switch r.policy() {
	case holdfast.RescueReset, holdfast.RescueAll:
		return true
	case holdfast.RescueContinue:
		return !r.Summary
	case holdfast.RescueExact:
		return !r.Summary && goesOn
	}
	return false
}

func (r *stormReader) judgeTime() {
	end := r.begun.Add(10 * time.Minute)
	if r.Config.Timeout > 0 {
		end = r.begun.Add(r.Config.Timeout)
	}
	if r.Cancel > 0 && r.begun.Add(r.Cancel).Before(end) {
		end = r.begun.Add(r.Cancel)
	}
	if r.left || r.resumed.After(end) {
		end = r.resumed
	}
	if late := r.over.Sub(end); late > 100*time.Millisecond {
		r.fault("the call ended %s late", late)
	}
}

func (r *stormReader) judgeTrail() {
	if r.trail == nil {
		return
	}
	total := r.over.Sub(r.begun)
	for i, a := range r.trail.Attempts {
		if a.Start < 0 || a.Duration < 0 || a.Start+a.Duration > total {
			r.fault("attempt %d took %s from %s on, the call %s", i+1, a.Duration, a.Start, total)
		}
	}
	told := r.trail.String()
	if r.err != nil {
		told += r.err.Error()
	}
	for i := range r.Endpoints {
		if strings.Contains(told, stormKey(i)) {
			r.fault("a key stands in %q", told)
		}
	}
	for at := range max(0, len(r.Text)-12) {
		if strings.Contains(told, r.Text[at:at+12]) {
			r.fault("%q of the text stands in %q", r.Text[at:at+12], told)
			break
		}
	}
}

// judgeServers judges what arrived, soon after the call.
func (r *stormReader) judgeServers() {
	most := r.Config.Retry.MaxAttempts
	if most == 0 {
		most = 8
	}
	arrived, again, sent, maybe := 0, 0, 0, 0
	for _, e := range r.Endpoints {
		for i, asked := range e.server.Requests() {
			if isProbe(asked) {
				continue
			}
			if arrived++; asked.Method == http.MethodGet {
				again++ // net/http may have sent it twice
			}
			if asked.Refused != "" {
				r.fault("endpoint %s refused request %d: %s\n%s", stormSpeakers[e.Speaker].name, i, asked.Refused, asked.Body)
			}
			if !asked.Done && !asked.Aborted {
				r.fault("endpoint %s still answers request %d", stormSpeakers[e.Speaker].name, i)
			}
		}
	}
	if arrived-again > most {
		r.fault("%d requests arrived, want at most %d", arrived, most)
	}
	if r.trail == nil {
		return
	}
	if n := len(r.trail.Attempts); n > most {
		r.fault("%d attempts, want at most %d", n, most)
	}
	for _, a := range r.trail.Attempts {
		if a.Sent {
			sent++
			if a.Status == 0 && (a.Kind == holdfast.KindLost || a.Kind == holdfast.KindCanceled || a.Kind == holdfast.KindDeadline) {
				maybe++ // it may have been ended on its way
			}
		}
	}
	if arrived-again > sent || arrived < sent-maybe {
		r.fault("%d requests arrived, %d were sent as the Trail says, %d of them perhaps", arrived, sent, maybe)
	}
}

// String tells the storm so that it can be played again by hand.
func (s *storm) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "storm %d: text %q, begin %q, by %s, rescue %q, summary %v, resumed %v, tls %v, cancel %s, leave %d, slow %s, sure %v\nconfig: %s\n",
		s.Seed, s.Text, s.Begin, s.Way, s.Rescue, s.Summary, s.Resumed, s.TLS, s.Cancel, s.Leave, s.Slow, s.Sure, fields(s.Config))
	for i, e := range s.Endpoints {
		fmt.Fprintf(&b, "endpoint %d: %s, tier %d, down %d, timeouts %s\n", i, stormSpeakers[e.Speaker].name, e.Tier, e.Down, fields(e.Timeouts))
		for _, r := range e.Replies {
			fmt.Fprintf(&b, "\t%s\n", fields(r))
		}
	}
	return b.String()
}

// fields lists the fields of a struct that are not zero.
func fields(v any) string {
	var list []string
	for f, value := range reflect.ValueOf(v).Fields() {
		switch {
		case value.IsZero():
		case value.Kind() == reflect.Struct:
			list = append(list, f.Name+": "+fields(value.Interface()))
		default:
			list = append(list, fmt.Sprintf("%s: %#v", f.Name, value))
		}
	}
	return "{" + strings.Join(list, ", ") + "}"
}
