package holdfast_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// Close ends the copies under way, waits for them, and lets none begin.
func TestMirrorClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var under atomic.Int32
		s := &stage{plays: map[string][]play{"user": {replies("hi"), replies("hi"), func(r *http.Request) (*http.Response, error) {
			time.Sleep(time.Minute)
			return replies("hi")(r)
		}}, "candidate": {func(r *http.Request) (*http.Response, error) {
			under.Add(1)
			defer under.Add(-1)
			<-r.Context().Done()
			time.Sleep(time.Second) // it is slow to notice
			return nil, r.Context().Err()
		}}}}
		client := mirrorStage(t, s, holdfast.Mirror{})
		mustChat(t, client, hello)
		mustChat(t, client, hello)
		late := make(chan error)
		go func() {
			_, err := client.Chat(context.Background(), hello)
			late <- err
		}()
		synctest.Wait()
		if n := under.Load(); n != 2 {
			t.Fatalf("%d copies are under way, want 2", n)
		}
		begun := time.Now()
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		if n, took := under.Load(), time.Since(begun); n != 0 || took != time.Second {
			t.Errorf("Close returned after %v with %d copies under way", took, n)
		}
		if err := <-late; err != nil {
			t.Errorf("got %v, want that a call under way goes on to its end", err)
		}
		v := mirrorVerdict(t, client)
		if v.Dropped.Closed != 3 || v.Copied != 0 || v.Running != 0 || len(v.Differences) != 0 {
			t.Errorf("got %+v, want all three dropped, which is not the candidate's fault", v)
		}
	})
}

// The caller may do with the request and the answer what he likes when Chat has returned, or at the end of a stream.
func TestMirrorRequestIsTheCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, user, candidate := newMirrorHouse(holdfast.Mirror{Same: func(user, candidate *holdfast.ChatResponse) bool { return user.Text() == candidate.Text() }})
		defer h.close()
		user.Always(holdfasttest.Reply{Text: "fine", ToolCalls: []holdfasttest.ToolCall{{Name: "weather", Args: `{"city":"a"}`}}})
		candidate.Always(holdfasttest.Reply{Text: "fine", ToolCalls: []holdfasttest.ToolCall{{Name: "weather", Args: `{"city":"a"}`}}})
		client := h.open(t)
		request := func() *holdfast.ChatRequest {
			return &holdfast.ChatRequest{
				System: holdfast.System("Be kind."), Messages: holdfast.Ask("the question"), Metadata: map[string]string{"user_id": "1"},
				Tools: []holdfast.Tool{{Name: "weather", Schema: json.RawMessage(mirrorTool)}},
				Extra: holdfast.Extra{"claude": json.RawMessage(`{"service_tier":"auto"}`)},
			}
		}
		spoil := func(r *holdfast.ChatRequest, a *holdfast.ChatResponse) {
			r.System[0].Text = "x"
			r.Messages[0].Parts[0].(*holdfast.Text).Text = "x"
			r.Messages = append(r.Messages[:0], holdfast.UserText("x"))
			r.Metadata["user_id"] = "x"
			r.Tools[0].Schema[0], r.Tools[0].Name = 'x', "x"
			r.Extra["claude"][0] = 'x'
			for _, part := range a.Message.Parts {
				switch p := part.(type) {
				case *holdfast.Text:
					p.Text = "x"
				case *holdfast.ToolCall:
					p.Args[0], p.Name = 'x', "x"
				}
			}
			a.Message.Parts[0] = nil
		}
		r := request()
		spoil(r, mustChat(t, client, r))
		r = request()
		for event, err := range client.Stream(t.Context(), r) {
			if err != nil {
				t.Fatal(err)
			}
			if event.Type == holdfast.EventEnd {
				spoil(r, event.Response)
			}
		}
		v := mirrorVerdict(t, client)
		if v.Answered != 2 || v.Tools.Same != 2 || v.Same.Same != 2 {
			t.Errorf("got %+v, want what was asked and answered compared", v)
		}
		for i, r := range candidate.Requests() {
			if got, want := string(r.Body), string(user.Requests()[i].Body); got != want {
				t.Errorf("the candidate was asked\n%s, want\n%s", got, want)
			}
		}
	})
}

// A stream is copied when it has reached its end; one that was left, and a call that failed, are not.
func TestMirrorStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, user, candidate := newMirrorHouse(holdfast.Mirror{})
		defer h.close()
		client := h.open(t)
		for event, err := range client.Stream(t.Context(), hello) {
			if err != nil {
				t.Fatal(err)
			}
			if event.Type == holdfast.EventText {
				break
			}
		}
		user.Script(holdfasttest.Reply{Error: holdfasttest.BadRequest}, holdfasttest.Reply{Error: holdfasttest.BadRequest})
		if _, _, _, err := read(client.Stream(t.Context(), hello)); err == nil {
			t.Fatal("got an answer, want an error")
		}
		if _, err := client.Chat(t.Context(), hello); err == nil {
			t.Fatal("got an answer, want an error")
		}
		synctest.Wait()
		if v := client.MirrorVerdict(); v.Sampled != 0 || len(candidate.Requests()) != 0 {
			t.Errorf("got %+v, want no copy of what was not answered", v)
		}
		if _, err := holdfast.Collect(client.Stream(t.Context(), hello)); err != nil {
			t.Fatal(err)
		}
		v := mirrorVerdict(t, client)
		if v.Answered != 1 || v.FirstContent.Of != 1 && v.Whole.Of != 0 || !candidate.Requests()[0].Stream {
			t.Errorf("got %+v, want the stream copied as one", v)
		}
	})
}

// A copy keeps the values of the caller's context, but neither its deadline, nor its end, nor its trace.
func TestMirrorContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		h, _, candidate := newMirrorHouse(holdfast.Mirror{})
		defer h.close()
		candidate.Always(holdfasttest.Reply{BeforeHeaders: time.Minute})
		var value atomic.Value
		h.conf.Timeout = 2 * time.Minute
		h.conf.WrapTransport = func(name string, base http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if name == "candidate" && r.Context().Value(key{}) != nil {
					value.Store(r.Context().Value(key{}))
				}
				return base.RoundTrip(r)
			})
		}
		var traced atomic.Int32
		ctx := httptrace.WithClientTrace(context.WithValue(t.Context(), key{}, "tenant"), &httptrace.ClientTrace{GetConn: func(string) { traced.Add(1) }})
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		begun := time.Now()
		if _, err := h.open(t).Chat(ctx, hello); err != nil {
			t.Fatal(err)
		}
		cancel()
		v := mirrorVerdict(t, h.client)
		if took := time.Since(begun); v.Answered != 1 || took != time.Minute || value.Load() != "tenant" || traced.Load() != 1 {
			t.Errorf("got %+v after %v, value %v, %d connections traced", v, took, value.Load(), traced.Load())
		}
		candidate.Always(holdfasttest.Reply{BeforeHeaders: time.Hour})
		mustChat(t, h.client, hello)
		begun = time.Now()
		if v = mirrorVerdict(t, h.client); v.Failures[holdfast.KindDeadline] != 1 || time.Since(begun) != 2*time.Minute {
			t.Errorf("got %+v after %v, want the client's Timeout", v, time.Since(begun))
		}
	})
}

// One attempt: what fails is neither repeated nor resumed, and no reserve is asked, at the candidate or elsewhere.
func TestMirrorAsksOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, user, candidate := newMirrorHouse(holdfast.Mirror{})
		defer h.close()
		candidate.Script(
			holdfasttest.Reply{Error: holdfasttest.ServerError},
			holdfasttest.Reply{Text: sixty, Fault: holdfasttest.CutRST, After: 3},
			holdfasttest.Reply{BeforeHeaders: time.Minute},
		)
		client := h.open(t)
		for range 3 {
			mustChat(t, client, &holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), Rescue: holdfast.RescueAll})
			if err := client.AwaitMirror(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		v := client.MirrorVerdict()
		if len(candidate.Requests()) != 3 || len(user.Requests()) != 3 || v.Answered != 1 || v.Copied != 3 {
			t.Errorf("got %+v by %d requests, want one for each call", v, len(candidate.Requests()))
		}
	})
}

// A local candidate is asked no more at a time than its Concurrency, also after its transport panicked.
func TestMirrorLocalCandidate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := func(r *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return replies("hi")(r)
		}
		s := &stage{plays: map[string][]play{"user": {replies("hi")}, "candidate": {func(*http.Request) (*http.Response, error) { panic("no") }, slow}}}
		client := s.client(t, holdfast.Config{Probes: holdfast.Probes{By: holdfast.ProbeOff}, Mirror: &holdfast.Mirror{
			Share: 1, Endpoint: holdfast.Endpoint{Name: "candidate", Provider: "moody", URL: "http://candidate.test", Local: true, Concurrency: 1},
		}}, "user")
		for range 3 {
			mustChat(t, client, hello)
			synctest.Wait()
		}
		if v := mirrorVerdict(t, client); v.Failures["panic"] != 1 || v.Answered != 1 || v.Dropped.Busy != 1 {
			t.Errorf("got %+v, want a panic, an answer, and one call that found no slot", v)
		}
	})
}

// Awaiting ends with the context.
func TestMirrorAwait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, _, candidate := newMirrorHouse(holdfast.Mirror{})
		defer h.close()
		candidate.Always(holdfasttest.Reply{BeforeHeaders: time.Minute})
		mustChat(t, h.open(t), hello)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.client.AwaitMirror(ctx); err != context.DeadlineExceeded {
			t.Errorf("got %v, want the context's error", err)
		}
	})
}

// A verdict holds no prompt, answer or key, and says where to look.
func TestMirrorVerdictHoldsNoContent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		h, user, candidate := newMirrorHouse(holdfast.Mirror{Same: func(user, candidate *holdfast.ChatResponse) bool { panic(user.Text() + candidate.Text()) }})
		defer h.close()
		h.conf.Logger = slog.New(slog.NewTextHandler(&log, nil))
		user.Always(holdfasttest.Reply{Text: "usersecret"})
		candidate.Script(holdfasttest.Reply{Text: "candidatesecret"}, holdfasttest.Reply{Status: 400, Body: `{"type":"error","error":{"type":"promptsecret","message":"promptsecret key-of-candidate"}}`})
		client := h.open(t)
		for range 2 {
			mustChat(t, client, &holdfast.ChatRequest{Messages: holdfast.Ask("promptsecret"), System: holdfast.System("systemsecret")})
			synctest.Wait()
		}
		v := mirrorVerdict(t, client)
		told, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"secret", "key-of"} {
			if strings.Contains(string(told), word) || strings.Contains(log.String(), word) {
				t.Errorf("%s\nor\n%s\nholds %q", told, log.String(), word)
			}
		}
		if len(v.Differences) != 2 || !slices.Equal(v.Differences[0].Differs, []string{"same"}) || v.Differences[1].Kind != holdfast.KindInvalid ||
			v.Differences[0].Endpoint != "user" || v.Differences[0].RequestID == "" || v.Differences[0].CandidateID == "" {
			t.Errorf("got %+v", v.Differences)
		}
		var again holdfast.MirrorVerdict
		if err := json.Unmarshal(told, &again); err != nil || !reflect.DeepEqual(again.Failures, v.Failures) || again.Why != v.Why {
			t.Errorf("got %+v and %v, want the same back from JSON", again, err)
		}
	})
}

// Each fault of a mirror, alone, by the name that a file gives it.
func TestMirrorConfigFaults(t *testing.T) {
	t.Setenv("FALLBACK_ENDPOINT", "")
	mirror := func(endpoint, rest string) string {
		return `{"endpoints":[{"name":"a","provider":"ollama"}],"mirror":{"endpoint":{` + endpoint + `}` + rest + `}}`
	}
	well := `"name":"b","provider":"openai-compatible","url":"http://127.0.0.1:1/v1"`
	for _, c := range []struct{ name, config, field string }{
		{"no share", mirror(well, ``), "mirror.share"},
		{"a negative share", mirror(well, `,"share":-0.1`), "mirror.share"},
		{"more than all", mirror(well, `,"share":1.5`), "mirror.share"},
		{"the name of an endpoint", mirror(strings.Replace(well, `"b"`, `"a"`, 1), `,"share":1`), "mirror.endpoint.name"},
		{"no name", mirror(`"provider":"ollama"`, `,"share":1`), "mirror.endpoint.name"},
		{"no URL", mirror(`"name":"b","provider":"openai-compatible"`, `,"share":1`), "mirror.endpoint.url"},
		{"an unknown provider", mirror(`"name":"b","provider":"hal"`, `,"share":1`), "mirror.endpoint.provider"},
		{"a country in words", mirror(well+`,"countries":["China"]`, `,"share":1`), "mirror.endpoint.countries[0]"},
		{"an unknown key", mirror(well+`,"colour":1`, `,"share":1`), "mirror.endpoint.colour"},
		{"negative copies", mirror(well, `,"share":1,"max_concurrent":-1`), "mirror.max_concurrent"},
		{"a negative rate", mirror(well, `,"share":1,"max_per_minute":-1`), "mirror.max_per_minute"},
		{"negative tokens", mirror(well, `,"share":1,"max_tokens_per_minute":-1`), "mirror.max_tokens_per_minute"},
		{"a negative window", mirror(well, `,"share":1,"window":-1`), "mirror.window"},
		{"a window that is too small", mirror(well, `,"share":1,"window":99`), "mirror.window"},
		{"negative demands", mirror(well, `,"share":1,"promote":{"least_copies":-1}`), "mirror.promote.least_copies"},
		{"more than every answer", mirror(well, `,"share":1,"promote":{"least_answered":99}`), "mirror.promote.least_answered"},
		{"a length below 1", mirror(well, `,"share":1,"promote":{"most_length":0.5}`), "mirror.promote.most_length"},
		{"a negative time", mirror(well, `,"share":1,"promote":{"most_time":-1}`), "mirror.promote.most_time"},
	} {
		_, err := holdfast.ParseConfig([]byte(c.config))
		if got := faultsOf(t, err); len(got) != 1 || got[0] != c.field {
			t.Errorf("%s: got faults of %q, want one of %q (%v)", c.name, got, c.field, err)
		}
	}
	conf, err := holdfast.ParseConfig([]byte(mirror(well, `,"share":0.05,"max_concurrent":2,"window":500,"promote":{"least_copies":500,"most_cost":1}`)))
	if err != nil {
		t.Fatal(err)
	}
	newClient(t, conf)
	conf.Mirror.Share = 0
	conf.Mirror.Endpoint.Name = "a"
	_, err = holdfast.New(conf)
	if got := faultsOf(t, err); !slices.Equal(got, []string{"mirror.endpoint.name", "mirror.share"}) {
		t.Errorf("New finds faults of %q", got)
	}
}
