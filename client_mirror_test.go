package holdfast_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// newMirrorHouse is a house with one endpoint, "user", and a mirror whose candidate is a server too.
func newMirrorHouse(m holdfast.Mirror) (h *house, user, candidate *holdfasttest.Server) {
	h = newHouse()
	s := speakerOf("claude")
	user = h.endpoint("user", s)
	candidate = h.network.NewServer("candidate.test", s.dialect)
	h.servers["candidate"] = candidate
	m.Share = cmp.Or(m.Share, 1)
	m.Endpoint.Name, m.Endpoint.Provider, m.Endpoint.URL, m.Endpoint.Proxy = "candidate", s.provider, candidate.URL+s.path, "direct"
	m.Endpoint.KeySource = holdfast.Literal("key-of-candidate")
	if m.Endpoint.Models == nil {
		m.Endpoint.Models = map[string]string{"default": s.model}
	}
	h.conf.Mirror = &m
	return h, user, candidate
}

// mirrorStage is a client of an endpoint "user" and a candidate on a stage.
func mirrorStage(t *testing.T, s *stage, m holdfast.Mirror) *holdfast.Client {
	t.Helper()
	m.Share = cmp.Or(m.Share, 1)
	m.Endpoint = holdfast.Endpoint{Name: "candidate", Provider: "moody", URL: "http://candidate.test", KeySource: holdfast.Literal("k")}
	return s.client(t, holdfast.Config{Mirror: &m}, "user")
}

func mustChat(t *testing.T, client *holdfast.Client, req *holdfast.ChatRequest) *holdfast.ChatResponse {
	t.Helper()
	answer, err := client.Chat(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func mirrorVerdict(t *testing.T, client *holdfast.Client) holdfast.MirrorVerdict {
	t.Helper()
	if err := client.AwaitMirror(t.Context()); err != nil {
		t.Fatal(err)
	}
	return client.MirrorVerdict()
}

// As many calls are copied as the share says.
func TestMirrorShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{plays: map[string][]play{"user": {replies("hi")}, "candidate": {replies("hi")}}}
		client := mirrorStage(t, s, holdfast.Mirror{Share: 0.25, MaxConcurrent: 2000, MaxPerMinute: 2000})
		for range 2000 {
			mustChat(t, client, hello)
		}
		v := mirrorVerdict(t, client)
		if v.Sampled < 400 || v.Sampled > 600 { // five standard deviations
			t.Errorf("%d calls of 2000 were copied, want about 500", v.Sampled)
		}
		asked := len(slices.DeleteFunc(slices.Clone(s.log), func(name string) bool { return name == "user" }))
		if v.Copied != v.Sampled || v.Answered != v.Sampled || asked != v.Sampled {
			t.Errorf("got %+v and %d requests, want each answered", v, asked)
		}
	})
}

// A call that is not copied costs nothing, and neither does a mirror that is not there.
func TestMirrorCostsNothing(t *testing.T) {
	s := &stage{plays: map[string][]play{"user": {replies("hi")}, "candidate": {replies("hi")}}}
	client := mirrorStage(t, s, holdfast.Mirror{Share: 1e-12})
	without := s.client(t, holdfast.Config{}, "user")
	allocs := func(c *holdfast.Client) float64 {
		return testing.AllocsPerRun(500, func() { _, _ = c.Chat(t.Context(), hello) })
	}
	allocs(client)
	if with, want := allocs(client), allocs(without); with > want+1 {
		t.Errorf("a call that is not copied makes %v allocations, want %v as without a mirror", with, want)
	}
	if v := without.MirrorVerdict(); v.Promote || v.Why == "" || without.AwaitMirror(t.Context()) != nil {
		t.Errorf("got %+v, want a verdict that says that there is no mirror", v)
	}
}

// panicky is a provider whose codec has a fault.
type panicky struct {
	acme
	in string
}

const panicWords = "panic over the secret prompt"

func (p panicky) Encode(dst []byte, req *holdfast.ChatRequest, to holdfast.Target) (holdfast.Encoded, error) {
	if p.in == "encode" {
		panic(panicWords)
	}
	return p.acme.Encode(dst, req, to)
}

func (p panicky) Decode(body []byte, out *holdfast.AnswerWriter) error {
	if p.in == "decode" {
		panic(panicWords)
	}
	return p.acme.Decode(body, out)
}

func (p panicky) DecodeStream() holdfast.StreamDecoder {
	if p.in == "stream" {
		panic(panicWords)
	}
	return p.acme.DecodeStream()
}

// Whatever the candidate does, a user's answer is the same, comes at once, and its Trail knows nothing of it.
func TestMirrorTouchesNobody(t *testing.T) {
	t.Parallel()
	stream := says(200, "data: {\"piece\":\"hi\"}\n\ndata: {\"done\":true}\n\n", "Content-Type", "text/event-stream")
	for _, c := range []struct {
		name   string
		in     string // where its codec panics
		plays  play
		kind   holdfast.Kind
		stacks int
	}{
		{"it is slow", "", func(r *http.Request) (*http.Response, error) {
			time.Sleep(time.Minute)
			return replies("hi")(r)
		}, "", 0},
		{"it hangs", "", hangs, holdfast.KindDeadline, 0},
		{"it is dead", "", breaks(errors.New("no route")), holdfast.KindTransport, 0},
		{"its key is wrong", "", fails(holdfast.KindKey, 401), holdfast.KindKey, 0},
		{"it fails", "", fails(holdfast.KindServer, 500), holdfast.KindServer, 0},
		{"it refuses the request", "", fails(holdfast.KindInvalid, 400), holdfast.KindInvalid, 0},
		{"it answers garbage", "", says(200, `{"reply":`), holdfast.KindMalformed, 0},
		{"it answers too much", "", replies(strings.Repeat("x", 5000)), holdfast.KindAnswerTooLarge, 0},
		{"its stream breaks off", "", says(200, "data: {\"piece\":\"hi\"}\n\n", "Content-Type", "text/event-stream"), holdfast.KindTruncated, 0},
		{"its transport panics", "", func(*http.Request) (*http.Response, error) { panic(panicWords) }, "panic", 1},
		{"its transport exits", "", func(*http.Request) (*http.Response, error) { runtime.Goexit(); return nil, nil }, "panic", 1},
		{"its adapter panics at the request", "encode", replies("hi"), "panic", 1},
		{"its adapter panics at the answer", "decode", replies("hi"), "panic", 1},
		{"its adapter panics at the stream", "stream", stream, "panic", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				s := &stage{plays: map[string][]play{"user": {replies("hi")}, "candidate": {c.plays}}}
				client := newClient(t, holdfast.Config{
					Adapters:      map[string]holdfast.AIServiceAdapter{"user": moody{}, "candidate": panicky{in: c.in}, "moody": moody{}},
					WrapTransport: s.wrap, MaxAnswerBytes: 4096, Logger: slog.New(slog.NewTextHandler(&log, nil)),
					Endpoints: []holdfast.Endpoint{{Name: "user", Provider: "moody", URL: "http://user.test", KeySource: holdfast.Literal("k1")}},
					Mirror: &holdfast.Mirror{Share: 1, Endpoint: holdfast.Endpoint{
						Name: "candidate", Provider: map[bool]string{true: "moody", false: "candidate"}[c.in == ""],
						URL: "http://candidate.test", KeySource: holdfast.Literal("k2"),
					}},
				})
				for range 2 {
					begun := time.Now()
					answer := mustChat(t, client, hello)
					if took := time.Since(begun); answer.Text() != "hi" || took != 0 || len(answer.Trail.Attempts) != 1 || len(answer.Trail.Skipped) != 0 {
						t.Errorf("got %q after %v by\n%s", answer.Text(), took, answer.Trail)
					}
					synctest.Wait()
				}
				v := mirrorVerdict(t, client)
				if c.kind != "" && (v.Failures[c.kind] == 0 || v.Answered != 0) || c.kind == "" && v.Answered != 2 {
					t.Errorf("got %+v, want %q", v, c.kind)
				}
				if strings.Contains(log.String(), panicWords) || strings.Contains(log.String(), "panicked") != (c.stacks > 0) {
					t.Errorf("the log says %q", log.String())
				}
				synctest.Wait()
				if n := s.open.Load(); n != 0 {
					t.Errorf("%d bodies were left open", n)
				}
			})
		})
	}
}

// What the candidate does says nothing of the endpoint that answers users, though both are of one account and have one key.
func TestMirrorTeachesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, user, candidate := newMirrorHouse(holdfast.Mirror{})
		defer h.close()
		h.conf.Mirror.Endpoint.KeySource = h.conf.Endpoints[0].KeySource
		candidate.Always(holdfasttest.Reply{Error: holdfasttest.RateLimited, RetryAfter: "50"})
		client := h.open(t)
		for range 3 {
			mustChat(t, client, hello)
			synctest.Wait()
		}
		if n := len(user.Requests()); n != 3 {
			t.Errorf("the user's endpoint was asked %d times, want 3", n)
		}
		v := mirrorVerdict(t, client)
		if v.Failures[holdfast.KindRateLimit] != 1 || v.Dropped.Resting != 2 || len(candidate.Requests()) != 1 {
			t.Errorf("got %+v, want one copy, and the candidate left alone then", v)
		}
		candidate.Always(holdfasttest.Reply{})
		time.Sleep(50 * time.Second)
		mustChat(t, client, hello)
		if v = mirrorVerdict(t, client); v.Answered != 1 {
			t.Errorf("got %+v, want an answer when its rest is over", v)
		}
	})
}

// Copies beyond the bounds are dropped, never queued.
func TestMirrorBounds(t *testing.T) {
	t.Parallel()
	slow := holdfasttest.Reply{BeforeHeaders: 10 * time.Second}
	tokens := holdfasttest.Reply{Usage: holdfasttest.Usage{Input: 300, Output: 100}}
	for _, c := range []struct {
		name            string
		mirror          holdfast.Mirror
		user, candidate holdfasttest.Reply
		copied          int // of five calls
		dropped         holdfast.MirrorDrops
		later           int // of five more, 30 s later
	}{
		{"at once, by default", holdfast.Mirror{}, holdfasttest.Reply{}, slow, 4, holdfast.MirrorDrops{Busy: 1}, 4},
		{"at once", holdfast.Mirror{MaxConcurrent: 2}, holdfasttest.Reply{}, slow, 2, holdfast.MirrorDrops{Busy: 3}, 2},
		{"in a minute", holdfast.Mirror{MaxPerMinute: 4, MaxConcurrent: 5}, holdfasttest.Reply{}, slow, 4, holdfast.MirrorDrops{Budget: 1}, 2},
		{"tokens in a minute", holdfast.Mirror{MaxTokensPerMinute: 1000}, tokens, tokens, 2, holdfast.MirrorDrops{Budget: 3}, 1},
		{
			"tokens that came as a surprise",
			holdfast.Mirror{MaxTokensPerMinute: 1000},
			tokens,
			holdfasttest.Reply{Usage: holdfasttest.Usage{Input: 300, Output: 5000}},
			1,
			holdfast.MirrorDrops{Budget: 4},
			0,
		},
		{"more tokens than in a minute", holdfast.Mirror{MaxTokensPerMinute: 399}, tokens, tokens, 0, holdfast.MirrorDrops{Budget: 5}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h, user, candidate := newMirrorHouse(c.mirror)
				defer h.close()
				user.Always(c.user)
				candidate.Always(c.candidate)
				client := h.open(t)
				ask := func() {
					for range 5 {
						mustChat(t, client, hello)
						synctest.Wait()
					}
				}
				ask()
				if v := client.MirrorVerdict(); v.Running+v.Copied != c.copied || v.Dropped != c.dropped || v.Sampled != 5 {
					t.Errorf("got %+v, want %d copied and %+v", v, c.copied, c.dropped)
				}
				time.Sleep(30 * time.Second)
				ask()
				if v := mirrorVerdict(t, client); v.Copied != c.copied+c.later || v.Answered != v.Copied || len(candidate.Requests()) != v.Copied {
					t.Errorf("got %+v, want %d copies more", v, c.later)
				}
			})
		})
	}
}

// The hard filters hold for the candidate.
func TestMirrorFilters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		candidate holdfast.Endpoint
		country   string
		request   holdfast.ChatRequest
		want      [3]int // copied, excluded, unable
	}{
		{"none", holdfast.Endpoint{Region: "eu"}, "", holdfast.ChatRequest{}, [3]int{1, 0, 0}},
		{"another region", holdfast.Endpoint{Region: "us"}, "", holdfast.ChatRequest{}, [3]int{0, 1, 0}},
		{"no region", holdfast.Endpoint{}, "", holdfast.ChatRequest{}, [3]int{0, 1, 0}},
		{"a country that it names", holdfast.Endpoint{Region: "eu", Countries: []string{"SE"}}, "SE", holdfast.ChatRequest{}, [3]int{1, 0, 0}},
		{"another country", holdfast.Endpoint{Region: "eu", Countries: []string{"SE"}}, "CN", holdfast.ChatRequest{}, [3]int{0, 1, 0}},
		{"no country", holdfast.Endpoint{Region: "eu", Countries: []string{"SE"}}, "", holdfast.ChatRequest{}, [3]int{0, 1, 0}},
		{"a country that it does not serve", holdfast.Endpoint{Region: "eu", ExceptCountries: []string{"CN"}}, "CN", holdfast.ChatRequest{}, [3]int{0, 1, 0}},
		{"one that it does", holdfast.Endpoint{Region: "eu", ExceptCountries: []string{"CN"}}, "SE", holdfast.ChatRequest{}, [3]int{1, 0, 0}},
		{"a model that it has not", holdfast.Endpoint{Region: "eu", Models: map[string]string{"smart": "claude-opus-5-5"}}, "", holdfast.ChatRequest{}, [3]int{0, 1, 0}},
		{"a region of the request's too", holdfast.Endpoint{Region: "eu"}, "", holdfast.ChatRequest{Residency: []string{"eu", "us"}}, [3]int{1, 0, 0}},
		{"not one of the request's", holdfast.Endpoint{Region: "eu2"}, "", holdfast.ChatRequest{Residency: []string{"eu"}}, [3]int{0, 1, 0}},
		{"what its models lack", holdfast.Endpoint{Region: "eu", Lacks: []holdfast.Feature{holdfast.FeatureTools}}, "", holdfast.ChatRequest{Tools: []holdfast.Tool{{Name: "time"}}}, [3]int{0, 1, 0}},
		{"what it cannot express", holdfast.Endpoint{Region: "eu"}, "", holdfast.ChatRequest{Seed: new(int64(5))}, [3]int{0, 0, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h, _, candidate := newMirrorHouse(holdfast.Mirror{Endpoint: c.candidate})
				defer h.close()
				h.conf.Endpoints, h.conf.Residency = nil, []string{"eu", "eu2"}
				h.endpoint("other", speaker{"", holdfasttest.OpenAI, "openai", "/v1", "gpt-6-sol"})
				h.conf.Endpoints[0].Region = "eu"
				ctx := t.Context()
				if c.country != "" {
					ctx = holdfast.WithClientCountry(ctx, c.country)
				}
				c.request.Messages = holdfast.Ask("How are you?")
				answer, err := h.open(t).Chat(ctx, &c.request)
				if err != nil || answer.Trail.Country != "" {
					t.Fatalf("got country %q and %v; want an answer, and a Trail that knows nothing of the candidate's countries", answer.Trail.Country, err)
				}
				v := mirrorVerdict(t, h.client)
				if got := [3]int{v.Answered, v.Excluded, v.Unable}; got != c.want || len(candidate.Requests()) != c.want[0] {
					t.Errorf("got %v answered, excluded and unable, want %v (%+v)", got, c.want, v)
				}
			})
		})
	}
}

const mirrorTool = `{"type":"object","properties":{"city":{"type":"string"}}}`

// What is compared, and how.
func TestMirrorCompares(t *testing.T) {
	t.Parallel()
	call := func(name, args string) holdfasttest.ToolCall { return holdfasttest.ToolCall{Name: name, Args: args} }
	calls := func(list ...holdfasttest.ToolCall) holdfasttest.Reply { return holdfasttest.Reply{ToolCalls: list} }
	text := func(text string) holdfasttest.Reply { return holdfasttest.Reply{Text: text} }
	tools := []holdfast.Tool{{Name: "weather", Schema: json.RawMessage(mirrorTool)}, {Name: "time", Schema: json.RawMessage(mirrorTool)}}
	schema := holdfast.Output{Format: holdfast.OutputSchema, Schema: json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false}`)}
	shares := func(of, same int) holdfast.MirrorShare { return holdfast.MirrorShare{Of: of, Same: same} }
	for _, c := range []struct {
		name            string
		tools           []holdfast.Tool
		output          holdfast.Output
		user, candidate holdfasttest.Reply
		same            holdfast.MirrorShare
		form            holdfast.MirrorForm
		differs         string
	}{
		{"the same call", tools, holdfast.Output{}, calls(call("weather", `{"city":"a"}`)), calls(call("weather", ` {"city" : "a"}`)), shares(1, 1), holdfast.MirrorForm{}, ""},
		{"another order of members, another spelling", tools, holdfast.Output{}, calls(call("weather", `{"city":"é","n":1}`)), calls(call("weather", `{"n":1.0,"city":"\u00e9"}`)), shares(1, 1), holdfast.MirrorForm{}, ""},
		{"another order of calls", tools, holdfast.Output{}, calls(call("weather", ""), call("time", "")), calls(call("time", "{}"), call("weather", "{}")), shares(1, 1), holdfast.MirrorForm{}, ""},
		{"another argument", tools, holdfast.Output{}, calls(call("weather", `{"city":"a"}`)), calls(call("weather", `{"city":"b"}`)), shares(1, 0), holdfast.MirrorForm{}, "tools"},
		{"another tool", tools, holdfast.Output{}, calls(call("weather", "")), calls(call("time", "")), shares(1, 0), holdfast.MirrorForm{}, "tools"},
		{"one call more", tools, holdfast.Output{}, calls(call("time", "")), calls(call("time", ""), call("time", "")), shares(1, 0), holdfast.MirrorForm{}, "tools"},
		{"one of two twice", tools, holdfast.Output{}, calls(call("time", ""), call("weather", "")), calls(call("time", ""), call("time", "")), shares(1, 0), holdfast.MirrorForm{}, "tools"},
		{"a call instead of a text", tools, holdfast.Output{}, text("hi"), calls(call("time", "")), shares(1, 0), holdfast.MirrorForm{}, "tools length"},
		{"no calls", tools, holdfast.Output{}, text("hi"), text("ho"), shares(0, 0), holdfast.MirrorForm{}, ""},
		{"the form", nil, schema, text(`{"n":1}`), text(`{"n":2.0}`), shares(0, 0), holdfast.MirrorForm{Of: 1, User: 1, Candidate: 1}, ""},
		{"another form", nil, schema, text(`{"n":1}`), text(`{"n":"2"}`), shares(0, 0), holdfast.MirrorForm{Of: 1, User: 1}, "form"},
		{"a form that the user's lacks", nil, schema, text("Hello!"), text(`{"n":2}`), shares(0, 0), holdfast.MirrorForm{Of: 1, Candidate: 1}, ""},
		{"any object", nil, holdfast.Output{Format: holdfast.OutputJSON}, text(`{}`), text(`[]`), shares(0, 0), holdfast.MirrorForm{Of: 1, User: 1}, "form"},
		{"a call in the place of the form", tools, schema, calls(call("time", "")), calls(call("time", "")), shares(1, 1), holdfast.MirrorForm{}, ""},
		{"a longer text", nil, holdfast.Output{}, text("1234567890"), text("123456789012345678901"), shares(0, 0), holdfast.MirrorForm{}, "length"},
		{"a shorter text", nil, holdfast.Output{}, text("1234567890"), text("1234"), shares(0, 0), holdfast.MirrorForm{}, "length"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h, user, candidate := newMirrorHouse(holdfast.Mirror{})
				defer h.close()
				user.Always(c.user)
				candidate.Always(c.candidate)
				mustChat(t, h.open(t), &holdfast.ChatRequest{Messages: holdfast.Ask("How?"), Tools: c.tools, Output: c.output, Hints: []string{"output"}})
				v := mirrorVerdict(t, h.client)
				differs := ""
				for _, d := range v.Differences {
					differs += strings.Join(d.Differs, " ")
				}
				if v.Answered != 1 || v.Tools != c.same || v.Form != c.form || differs != c.differs {
					t.Errorf("got tools %+v, form %+v, differs %q in %+v", v.Tools, v.Form, differs, v)
				}
			})
		})
	}
}

// Times, length and cost, of Chat and of Stream.
func TestMirrorMeasures(t *testing.T) {
	t.Parallel()
	near := func(got, want time.Duration) bool { return got > want*97/100 && got < want*103/100 }
	synctest.Test(t, func(t *testing.T) {
		h, user, candidate := newMirrorHouse(holdfast.Mirror{Endpoint: holdfast.Endpoint{Price: 2}})
		defer h.close()
		h.conf.Endpoints[0].Price = 5
		user.Always(holdfasttest.Reply{Text: "one two three", BeforeFirst: time.Second, Between: time.Second, Usage: holdfasttest.Usage{Input: 10, Output: 20}})
		candidate.Always(holdfasttest.Reply{Text: "one", BeforeFirst: 500 * time.Millisecond, Between: 1 * time.Second, Usage: holdfasttest.Usage{Input: 10, Output: 50}})
		client := h.open(t)
		mustChat(t, client, hello)
		for event, err := range client.Stream(t.Context(), hello) {
			if err != nil {
				t.Fatal(err)
			}
			if event.Type == holdfast.EventText {
				time.Sleep(time.Minute) // a reader that takes his time
			}
		}
		v := mirrorVerdict(t, client)
		if f := v.FirstContent; f.Of != 2 || !near(f.User, time.Second) || !near(f.Candidate, 500*time.Millisecond) {
			t.Errorf("got first contents of %+v", f)
		}
		if w := v.Whole; w.Of != 1 || !near(w.User, 3*time.Second) || !near(w.Candidate, 500*time.Millisecond) {
			t.Errorf("got whole answers of %+v", w)
		}
		if v.Cost != (holdfast.MirrorCost{Of: 2, UserTokens: 60, CandidateTokens: 120, Ratio: 0.8}) {
			t.Errorf("got %+v, want 60 tokens at 5 and 120 at 2", v.Cost)
		}
		if v.Length.Of != 2 || v.Length.Median < 0.22 || v.Length.Median > 0.24 {
			t.Errorf("got %+v, want 3 of 13 bytes", v.Length)
		}
	})
}

// An answer that two attempts made took a time that no other can be held against.
func TestMirrorMeasuresNoRescue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, user, _ := newMirrorHouse(holdfast.Mirror{})
		defer h.close()
		user.Script(holdfasttest.Reply{Text: sixty, Fault: holdfasttest.CutRST, After: 3})
		if answer := mustChat(t, h.open(t), hello); len(answer.Trail.Attempts) != 2 {
			t.Fatalf("got %s, want an answer that was asked for anew", answer.Trail)
		}
		if v := mirrorVerdict(t, h.client); v.Answered != 1 || v.Whole.Of != 0 || v.FirstContent.Of != 0 || v.Length.Of != 1 {
			t.Errorf("got %+v, want an answer without times", v)
		}
	})
}

// A candidate is promoted for all that it showed, or not, for what it lacks.
func TestMirrorPromotes(t *testing.T) {
	t.Parallel()
	well := holdfasttest.Reply{Text: "fine", Usage: holdfasttest.Usage{Input: 10, Output: 10}}
	for _, c := range []struct {
		name    string
		promote holdfast.Promotion
		reply   func(n int) holdfasttest.Reply
		same    func(user, candidate *holdfast.ChatResponse) bool
		calls   int
		want    bool
		why     []string
	}{
		{"all is well", holdfast.Promotion{}, nil, nil, 100, true, []string{"answered 100 of 100, at least 99% asked for", "1 times as long, 0.5 to 2 asked for", "costs 1 times as much, at most 1.5 asked for"}},
		{"too few copies", holdfast.Promotion{}, nil, nil, 99, false, []string{"99 copies, at least 100 asked for"}},
		{"none", holdfast.Promotion{}, nil, nil, 0, false, []string{"0 copies, at least 100 asked for"}},
		{"few are enough", holdfast.Promotion{LeastCopies: 5}, nil, nil, 5, true, []string{"answered 5 of 5"}},
		{"one failed", holdfast.Promotion{}, func(n int) holdfasttest.Reply {
			if n == 0 {
				return holdfasttest.Reply{Error: holdfasttest.ServerError}
			}
			return well
		}, nil, 100, true, []string{"answered 99 of 100, at least 99% asked for"}},
		{"two failed", holdfast.Promotion{}, func(n int) holdfasttest.Reply {
			if n < 2 {
				return holdfasttest.Reply{Error: holdfasttest.ServerError}
			}
			return well
		}, nil, 100, false, []string{"answered 98 of 100, at least 99% asked for"}},
		{"too dear", holdfast.Promotion{LeastCopies: 3}, func(int) holdfasttest.Reply {
			return holdfasttest.Reply{Text: "fine", Usage: holdfasttest.Usage{Input: 10, Output: 30}}
		}, nil, 3, false, []string{"costs 2 times as much, at most 1.5 asked for"}},
		{"dear, which is allowed", holdfast.Promotion{LeastCopies: 3, MostCost: 2}, func(int) holdfasttest.Reply {
			return holdfasttest.Reply{Text: "fine", Usage: holdfasttest.Usage{Input: 10, Output: 30}}
		}, nil, 3, true, []string{"costs 2 times as much, at most 2 asked for"}},
		{"too slow", holdfast.Promotion{LeastCopies: 3}, func(int) holdfasttest.Reply {
			slow := well
			slow.BeforeFirst = time.Second
			return slow
		}, nil, 3, false, []string{"first content after 1.48s, users' after 500ms", "whole after 1.48s", "at most 1.5 times that asked for"}},
		{"too wordy", holdfast.Promotion{LeastCopies: 3}, func(int) holdfasttest.Reply {
			return holdfasttest.Reply{Text: "fine fine fine", Usage: well.Usage}
		}, nil, 3, false, []string{"3.51 times as long, 0.5 to 2 asked for"}},
		{"not the same", holdfast.Promotion{LeastCopies: 3}, nil, func(user, candidate *holdfast.ChatResponse) bool {
			return user.Text() != candidate.Text()
		}, 3, false, []string{"the same by Mirror.Same in 0 of 3, at least 90% asked for"}},
		{"the same", holdfast.Promotion{LeastCopies: 3}, nil, func(user, candidate *holdfast.ChatResponse) bool {
			same := user.Text() == candidate.Text() && user.Endpoint == "user" && candidate.Endpoint == "candidate"
			user.Message.Parts[0], candidate.Message.Parts = nil, nil // they are its own
			return same
		}, 3, true, []string{"the same by Mirror.Same in 3 of 3"}},
		{"a comparison that panics", holdfast.Promotion{LeastCopies: 3}, nil, func(_, _ *holdfast.ChatResponse) bool { panic("no") }, 3, false, []string{"in 0 of 3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h, user, candidate := newMirrorHouse(holdfast.Mirror{Promote: c.promote, Same: c.same, MaxPerMinute: 1000})
				defer h.close()
				usual := well
				usual.BeforeFirst = 500 * time.Millisecond
				user.Always(usual)
				var n atomic.Int32
				candidate.Respond(func(holdfasttest.Request) holdfasttest.Reply {
					r := well
					if c.reply != nil {
						r = c.reply(int(n.Add(1)) - 1)
					}
					r.BeforeFirst += 500 * time.Millisecond
					return r
				})
				client := h.open(t)
				for range c.calls {
					mustChat(t, client, hello)
				}
				v := mirrorVerdict(t, client)
				if v.Promote != c.want {
					t.Errorf("got %v: %s", v.Promote, v.Why)
				}
				for _, words := range c.why {
					if !strings.Contains(v.Why, words) {
						t.Errorf("got %q, want %q in it", v.Why, words)
					}
				}
				if parts := len(strings.Split(v.Why, "; ")); !c.want && parts > 2 {
					t.Errorf("got %q, want only what it lacks", v.Why)
				}
			})
		})
	}
}

// The verdict forgets: a candidate that was mended, or that broke, is judged by what it does now.
func TestMirrorWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken, well := fails(holdfast.KindServer, 500), replies("hi")
		plays := slices.Concat(slices.Repeat([]play{broken}, 10), slices.Repeat([]play{well}, 20), slices.Repeat([]play{broken}, 20))
		s := &stage{plays: map[string][]play{"user": {replies("hi")}, "candidate": plays}}
		client := mirrorStage(t, s, holdfast.Mirror{Window: 10, MaxPerMinute: 1000, Promote: holdfast.Promotion{LeastCopies: 10}})
		var got []string
		for i := range 50 {
			mustChat(t, client, hello)
			if v := mirrorVerdict(t, client); (i+1)%10 == 0 {
				got = append(got, map[bool]string{true: "yes", false: "no"}[v.Promote])
				if v.Copied < 10 || v.Copied > 19 || len(v.Differences) > 10 {
					t.Errorf("it looks back on %d copies and %d differences", v.Copied, len(v.Differences))
				}
			}
		}
		if want := "no yes yes no no"; strings.Join(got, " ") != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
