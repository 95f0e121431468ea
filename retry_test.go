package holdfast_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
)

// moody is a provider whose errors name their kind, so that a test can ask for any.
type moody struct{ acme }

func (moody) DecodeError(_ int, _ http.Header, body []byte) *holdfast.Error {
	var a acmeAnswer
	if json.Unmarshal(body, &a) != nil || a.Fault == "" {
		return nil
	}
	return &holdfast.Error{Kind: holdfast.Kind(a.Fault), Message: a.Reply}
}

// stage is a network in memory: for each endpoint a list of what to do with its requests; the last entry serves all further ones.
type stage struct {
	mu     sync.Mutex
	plays  map[string][]play
	log    []string    // the endpoints asked, in order
	at     []time.Time // when
	bodies []string
	open   atomic.Int32 // bodies not closed yet
}

type play func(*http.Request) (*http.Response, error)

func (s *stage) wrap(name string, _ http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		s.mu.Lock()
		s.log, s.at, s.bodies = append(s.log, name), append(s.at, time.Now()), append(s.bodies, string(body))
		p := s.plays[name][0]
		if len(s.plays[name]) > 1 {
			s.plays[name] = s.plays[name][1:]
		}
		s.mu.Unlock()
		resp, err := p(r)
		if resp != nil {
			s.open.Add(1)
			resp.Body = &counted{ReadCloser: resp.Body, open: &s.open}
		}
		return resp, err
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type counted struct {
	io.ReadCloser
	open *atomic.Int32
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.ReadCloser.Close()
}

// client returns a client of the stage's endpoints, in the order given; tiers by "name/tier".
func (s *stage) client(t *testing.T, conf holdfast.Config, endpoints ...string) *holdfast.Client {
	t.Helper()
	conf.Adapters = map[string]holdfast.AIServiceAdapter{"moody": moody{}}
	conf.WrapTransport = s.wrap
	for _, e := range endpoints {
		name, tier, _ := strings.Cut(e, "/")
		conf.Endpoints = append(conf.Endpoints, holdfast.Endpoint{
			Name: name, Provider: "moody", URL: "http://" + name + ".test", KeySource: holdfast.Literal("key-of-" + name), Tier: len(tier),
			Models: map[string]string{"*": "model-" + name},
		})
	}
	return newClient(t, conf)
}

func replies(text string) play { return says(200, `{"reply":"`+text+`"}`) }

func fails(k holdfast.Kind, status int, header ...string) play {
	return says(status, `{"fault":"`+string(k)+`"}`, header...)
}

func says(status int, body string, header ...string) play {
	return func(*http.Request) (*http.Response, error) {
		h := http.Header{"Content-Type": {"application/json"}}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func breaks(err error) play {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

func hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
}

var hello = &holdfast.ChatRequest{Messages: holdfast.Ask("How are you today, my friend?")}

// Who is asked, when, and what the Trail says, for each verdict.
func TestWhoIsAsked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		plays     map[string][]play
		endpoints []string
		asked     string
		waits     []time.Duration // before each further request, to the whole second
		fails     holdfast.Kind
	}{
		{
			"an answer at once",
			map[string][]play{"a": {replies("hi")}},
			[]string{"a", "b"},
			"a", nil, "",
		},
		{
			"an equal endpoint before a repeat",
			map[string][]play{"a": {fails(holdfast.KindOverloaded, 529)}, "b": {replies("hi")}},
			[]string{"a", "b"},
			"a b",
			[]time.Duration{0},
			"",
		},
		{
			"one repeat before a tier is left",
			map[string][]play{"a": {fails(holdfast.KindServer, 500)}, "b": {replies("hi")}},
			[]string{"a", "b/+"},
			"a a b",
			[]time.Duration{0, 0},
			"",
		},
		{
			"a repeat in place that helps",
			map[string][]play{"a": {fails(holdfast.KindServer, 500), replies("hi")}},
			[]string{"a", "b/+"},
			"a a",
			[]time.Duration{0},
			"",
		},
		{
			"two repeats at the last endpoint",
			map[string][]play{"a": {fails(holdfast.KindServer, 500)}},
			[]string{"a"},
			"a a a",
			[]time.Duration{0, 1 * time.Second},
			holdfast.KindServer,
		},
		{
			"Retry-After of 2 s is waited for",
			map[string][]play{"a": {fails(holdfast.KindRateLimit, 429, "Retry-After", "2"), replies("hi")}},
			[]string{"a", "b/+"},
			"a a",
			[]time.Duration{2 * time.Second},
			"",
		},
		{
			"Retry-After of 20 s is not, while there is another tier",
			map[string][]play{"a": {fails(holdfast.KindRateLimit, 429, "Retry-After", "20")}, "b": {replies("hi")}},
			[]string{"a", "b/+"},
			"a b",
			[]time.Duration{0},
			"",
		},
		{
			"Retry-After of 20 s is, at the last endpoint",
			map[string][]play{"a": {fails(holdfast.KindRateLimit, 429, "Retry-After", "20"), replies("hi")}},
			[]string{"a"},
			"a a",
			[]time.Duration{20 * time.Second},
			"",
		},
		{
			"Retry-After of an hour is not",
			map[string][]play{"a": {fails(holdfast.KindRateLimit, 429, "Retry-After", "3600")}},
			[]string{"a"},
			"a", nil, holdfast.KindRateLimit,
		},
		{
			"a request at fault goes nowhere else",
			map[string][]play{"a": {fails(holdfast.KindInvalid, 400)}},
			[]string{"a", "b"},
			"a", nil, holdfast.KindInvalid,
		},
		{
			"thinking rejected where none was returned",
			map[string][]play{"a": {fails(holdfast.KindThinking, 400)}, "b": {replies("hi")}},
			[]string{"a", "b/+"},
			"a b",
			[]time.Duration{0},
			"",
		},
		{
			"a policy refusal goes nowhere else",
			map[string][]play{"a": {fails(holdfast.KindPolicy, 400)}},
			[]string{"a", "b"},
			"a", nil, holdfast.KindPolicy,
		},
		{
			"a refused connection is not repeated",
			map[string][]play{"a": {breaks(&os.SyscallError{Syscall: "connect", Err: syscall.ECONNREFUSED})}, "b": {replies("hi")}},
			[]string{"a", "b/+"},
			"a b",
			[]time.Duration{0},
			"",
		},
		{
			"a silent endpoint is not repeated",
			map[string][]play{"a": {breaks(errors.New("net/http: timeout awaiting response headers"))}, "b": {replies("hi")}},
			[]string{"a", "b/+"},
			"a b",
			[]time.Duration{0},
			"",
		},
		{
			"x-should-retry false",
			map[string][]play{"a": {fails(holdfast.KindServer, 500, "X-Should-Retry", "false")}, "b": {replies("hi")}},
			[]string{"a", "b/+"},
			"a b",
			[]time.Duration{0},
			"",
		},
		{
			"x-should-retry true",
			map[string][]play{"a": {fails(holdfast.KindRejected, 418, "X-Should-Retry", "true"), replies("hi")}},
			[]string{"a", "b/+"},
			"a a",
			[]time.Duration{0},
			"",
		},
		{
			"a failing repeat by another verdict",
			map[string][]play{"a": {fails(holdfast.KindServer, 500), fails(holdfast.KindInvalid, 400)}},
			[]string{"a", "b/+"},
			"a a",
			[]time.Duration{0},
			holdfast.KindInvalid,
		},
		{
			"all fail: the last error",
			map[string][]play{"a": {fails(holdfast.KindMalformed, 500)}, "b": {fails(holdfast.KindTLS, 500)}},
			[]string{"a", "b"},
			"a b",
			[]time.Duration{0},
			holdfast.KindTLS,
		},
		{
			"again where it may be over in a moment, until the endpoint counts as ill",
			map[string][]play{"a": {fails(holdfast.KindDNS, 500)}, "b": {fails(holdfast.KindTLS, 500)}},
			[]string{"a", "b"},
			"a b a a",
			[]time.Duration{0, 0, 0},
			holdfast.KindDNS,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &stage{plays: c.plays}
				answer, err := s.client(t, holdfast.Config{}, c.endpoints...).Chat(t.Context(), hello)
				if holdfast.KindOf(err) != c.fails {
					t.Fatalf("got the error %v, want %q", err, c.fails)
				}
				if got := strings.Join(s.log, " "); got != c.asked {
					t.Errorf("asked: got %q, want %q", got, c.asked)
				}
				for i, want := range c.waits {
					if got := s.at[i+1].Sub(s.at[i]).Round(time.Second); got != want && got-want != time.Second {
						t.Errorf("wait %d: got %v, want %v", i, got, want)
					}
				}
				trail := trailOf(answer, err)
				if len(trail.Attempts) != len(s.log) {
					t.Errorf("the Trail has %d attempts, %d were made", len(trail.Attempts), len(s.log))
				}
				for i, a := range trail.Attempts {
					if a.Endpoint != s.log[i] || a.Why == "" || a.Model != "model-"+a.Endpoint {
						t.Errorf("attempt %d: got %+v, want endpoint %s with a reason", i, a, s.log[i])
					}
				}
				if s.open.Load() != 0 {
					t.Errorf("%d bodies were left open", s.open.Load())
				}
				if slices.ContainsFunc(s.bodies, func(b string) bool { return strings.Contains(b, "friend") != true }) {
					t.Errorf("a repeat lost its body: %q", s.bodies)
				}
			})
		})
	}
}

func trailOf(answer *holdfast.ChatResponse, err error) holdfast.Trail {
	var e *holdfast.Error
	if errors.As(err, &e) {
		return e.Trail
	}
	return answer.Trail
}

func TestCancellation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{plays: map[string][]play{"a": {hangs}, "b": {replies("hi")}}}
		client := s.client(t, holdfast.Config{Timeout: time.Minute, Retry: holdfast.RetryPolicy{NoHedge: true}}, "a", "b")

		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := client.Chat(gone, hello)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, holdfast.KindCanceled) || len(s.log) != 0 {
			t.Errorf("cancelled before: got %v after %d requests", err, len(s.log))
		}

		late, cancel := context.WithTimeout(t.Context(), -time.Second)
		defer cancel()
		if _, err = client.Chat(late, hello); !errors.Is(err, context.DeadlineExceeded) || len(s.log) != 0 {
			t.Errorf("deadline over: got %v after %d requests", err, len(s.log))
		}

		cause := errors.New("the user closed the window")
		waiting, cancelCause := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancelCause(cause) })
		_, err = client.Chat(waiting, hello)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) || len(s.log) != 1 {
			t.Errorf("cancelled while waiting: got %v after %d requests, want the cancellation and its cause", err, len(s.log))
		}

		begun := time.Now()
		_, err = client.Chat(t.Context(), hello)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Minute {
			t.Errorf("total timeout: got %v after %v", err, time.Since(begun))
		}
		if !strings.Contains(err.Error(), "total timeout") {
			t.Errorf("the error does not say whose deadline passed: %v", err)
		}
	})
}

func TestClosedClient(t *testing.T) {
	t.Parallel()
	client := (&stage{}).client(t, holdfast.Config{}, "a")
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Chat(t.Context(), hello); !errors.Is(err, holdfast.KindClosed) {
		t.Errorf("got %v, want the client to be closed", err)
	}
	if _, err := holdfast.Collect(client.Stream(t.Context(), hello)); !errors.Is(err, holdfast.KindClosed) {
		t.Errorf("stream: got %v, want the client to be closed", err)
	}
}

func TestOnlyAnotherModelHelps(t *testing.T) {
	t.Parallel()
	s := &stage{plays: map[string][]play{"a": {fails(holdfast.KindContextLength, 400)}, "b": {replies("hi")}, "c": {replies("hi")}}}
	conf := holdfast.Config{}
	for _, e := range [][2]string{{"a", "small"}, {"b", "small"}, {"c", "large"}} {
		conf.Endpoints = append(conf.Endpoints, holdfast.Endpoint{
			Name: e[0], Provider: "moody", URL: "http://" + e[0] + ".test", Models: map[string]string{"default": e[1]},
		})
	}
	if _, err := s.client(t, conf).Chat(t.Context(), hello); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "c"}; !reflect.DeepEqual(s.log, want) {
		t.Errorf("asked %v, want %v: the same model would say the same", s.log, want)
	}
}

func TestMaxAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{plays: map[string][]play{"a": {fails(holdfast.KindServer, 500)}, "b": {fails(holdfast.KindServer, 500)}}}
		_, err := s.client(t, holdfast.Config{Retry: holdfast.RetryPolicy{MaxAttempts: 1}}, "a", "b").Chat(t.Context(), hello)
		if err == nil || len(s.log) != 1 {
			t.Errorf("got %v after %d requests, want one", err, len(s.log))
		}
	})
}

// Nothing of the key, the prompt or the answer may stand in an error, whatever the provider echoes.
func TestErrorsAreClean(t *testing.T) {
	t.Parallel()
	echo := `{"fault":"invalid request","reply":"Bad prompt: How are you today, my friend? with key key-of-a and Bearer abcdefghijkl, see docs"}`
	s := &stage{plays: map[string][]play{"a": {says(400, echo)}}}
	_, err := s.client(t, holdfast.Config{}, "a").Chat(t.Context(), hello)
	if err == nil {
		t.Fatal("no error")
	}
	trail, _ := json.Marshal(trailOf(nil, err))
	for _, secret := range []string{"you today", "key-of-a", "abcdefghijkl"} {
		if strings.Contains(err.Error()+string(trail), secret) {
			t.Errorf("%q stands in the error or its Trail: %v %s", secret, err, trail)
		}
	}
	if !strings.Contains(err.Error(), "see docs") {
		t.Errorf("nothing is left of the provider's message: %v", err)
	}
}

func TestConcurrentCalls(t *testing.T) {
	t.Parallel()
	s := &stage{plays: map[string][]play{"a": {fails(holdfast.KindOverloaded, 529)}, "b": {replies("hi")}}}
	client := s.client(t, holdfast.Config{}, "a", "b")
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if answer, err := client.Chat(t.Context(), hello); err != nil || answer.Text() != "hi" {
				t.Errorf("got %v, %v", answer, err)
			}
		})
	}
	wg.Wait()
}

// A provider that rejects returned thinking is asked once more without it, and only once.
func TestThinkingIsStripped(t *testing.T) {
	t.Parallel()
	req := &holdfast.ChatRequest{Messages: []holdfast.Message{
		holdfast.UserText("How are you?"),
		{Role: holdfast.RoleAssistant, Parts: holdfast.Parts{&holdfast.Thinking{Text: "hm"}, &holdfast.Text{Text: "Well."}}},
		{Role: holdfast.RoleAssistant, Parts: holdfast.Parts{&holdfast.Thinking{Text: "nothing else"}}},
		holdfast.UserText("And now?"),
	}}
	for _, c := range []struct {
		name  string
		plays []play
		asked string
	}{
		{"once", []play{fails(holdfast.KindThinking, 400), replies("hi")}, "a a"},
		{"and no more", []play{fails(holdfast.KindThinking, 400)}, "a a b"},
	} {
		s := &stage{plays: map[string][]play{"a": c.plays, "b": {replies("hi")}}}
		answer, err := s.client(t, holdfast.Config{}, "a", "b").Chat(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(s.log, " "); got != c.asked {
			t.Errorf("%s: asked %q, want %q", c.name, got, c.asked)
		}
		if notes := strings.Join(answer.Trail.Attempts[1].Notes, " "); !strings.Contains(notes, "thinking left out") {
			t.Errorf("%s: the Trail notes %q, want that thinking was left out", c.name, notes)
		}
	}
	if len(req.Messages) != 4 || len(req.Messages[1].Parts) != 2 {
		t.Errorf("the caller's request was changed: %+v", req)
	}
}
