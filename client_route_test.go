package holdfast_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

func why() *holdfast.ChatRequest { return &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")} }

// answeredBy asks n times, with a pause behind each call, and returns who answered.
func answeredBy(t *testing.T, client *holdfast.Client, n int, pause time.Duration) string {
	t.Helper()
	var by []string
	for range n {
		answer, err := client.Chat(t.Context(), why())
		if err != nil {
			t.Fatal(err)
		}
		by = append(by, answer.Endpoint)
		time.Sleep(pause)
	}
	return strings.Join(by, " ")
}

// inBubble runs a test with a house of its own.
func inBubble(t *testing.T, f func(t *testing.T, h *house)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		f(t, h)
	})
}

// Of equal endpoints the one that answers faster is asked, once both are known; until then the first of the list.
func TestTheFasterIsAsked(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("slow", speakerOf("claude"), holdfasttest.Reply{BeforeFirst: 2 * time.Second})
		h.endpoint("quick", speakerOf("chat"), holdfasttest.Reply{BeforeFirst: 200 * time.Millisecond})
		client := h.open(t)
		if got := answeredBy(t, client, 4, time.Second); got != "slow quick quick quick" {
			t.Errorf("answered by %s, want the quick one as soon as the other is known to be slow", got)
		}
	})
}

// A conversation stays where its prompt is cached, though another endpoint is a little faster; a new one does not.
func TestConversationsStay(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{BeforeFirst: 700 * time.Millisecond})
		h.endpoint("b", speakerOf("chat"), holdfasttest.Reply{BeforeFirst: 400 * time.Millisecond})
		client := h.open(t)
		ask := func(conversation, first string) string {
			answer, err := client.Chat(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask(first), Conversation: conversation})
			if err != nil {
				t.Fatal(err)
			}
			return answer.Endpoint
		}
		got := []string{ask("", "one"), ask("", "two"), ask("", "one"), ask("c", "x"), ask("c", "y")}
		time.Sleep(301 * time.Second)
		got = append(got, ask("", "one"))
		if s := strings.Join(got, " "); s != "a b a b b b" {
			t.Errorf("answered by %s: want the first conversation at a until five minutes have passed, and the others at b", s)
		}
	})
}

// The local model answers when nobody else can, at most so many at once and in order of arrival, and its answers say so.
func TestLastResort(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("cloud", speakerOf("claude"), holdfasttest.Reply{Error: holdfasttest.Overloaded})
		var mu sync.Mutex
		busy, most := 0, 0
		h.endpoint("local", speakerOf("local")).Respond(func(holdfasttest.Request) holdfasttest.Reply {
			mu.Lock()
			busy++
			most = max(most, busy)
			mu.Unlock()
			time.AfterFunc(time.Second, func() { mu.Lock(); busy--; mu.Unlock() })
			return holdfasttest.Reply{BeforeHeaders: time.Second}
		})
		h.conf.Endpoints[1].Local, h.conf.Endpoints[1].Concurrency = true, 2
		client := h.open(t)
		var asking sync.WaitGroup
		begun := time.Now()
		for i := range 6 {
			asking.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				answer, err := client.Chat(ctx, why())
				if err != nil {
					t.Error(err)
					return
				}
				if !answer.Degraded || answer.Endpoint != "local" {
					t.Errorf("call %d: answered by %s, degraded %v", i, answer.Endpoint, answer.Degraded)
				}
			})
		}
		asking.Wait()
		if took := time.Since(begun); most != 2 || took < 3*time.Second || took > 5*time.Second {
			t.Errorf("got %d at once and all in %v, want 2 and three rounds of a second", most, took)
		}
		// With more than it can take in time, the rest is told at once when its time is over, not later.
		failed := 0
		for range 40 {
			asking.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
				defer cancel()
				if _, err := client.Chat(ctx, why()); err != nil {
					mu.Lock()
					defer mu.Unlock()
					failed++
					if !errors.Is(err, holdfast.KindBusy) && !errors.Is(err, holdfast.KindOverloaded) && !errors.Is(err, holdfast.KindDeadline) {
						t.Errorf("got %v, want that there was no room", err)
					}
				}
			})
		}
		asking.Wait()
		if failed == 0 || failed > 36 {
			t.Errorf("%d of 40 failed: want those for which there is no time", failed)
		}
		if s := client.Status(); s.Endpoints[1].Running != 0 || s.Endpoints[1].Queued != 0 {
			t.Errorf("got %+v, want every slot given back", s.Endpoints[1])
		}
	})
}

// While the others keep silent, the local model is asked so early that it still has the time to answer.
func TestGuard(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("cloud", speakerOf("claude"), holdfasttest.Reply{BeforeHeaders: time.Hour})
		h.endpoint("local", speakerOf("local"), holdfasttest.Reply{BeforeHeaders: 2 * time.Second})
		h.conf.Endpoints[1].Local = true
		h.conf.Endpoints[0].Timeouts.Hedge = time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		begun := time.Now()
		_, types, answer, err := read(h.open(t).Stream(ctx, why()))
		if err != nil || len(types) == 0 || !answer.Degraded {
			t.Fatalf("got %+v, %v, want the local model's answer", answer, err)
		}
		if at := time.Since(begun).Round(time.Second); at != 16*time.Second || !strings.Contains(answer.Trail.Attempts[1].Why, "guard") {
			t.Errorf("answered after %v (%s), want twice its time before the deadline, and two seconds", at, answer.Trail)
		}
	})
}

// An answer of the only endpoint is not degraded for being local.
func TestOnlyLocal(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		server := h.endpoint("local", speakerOf("local"), holdfasttest.Reply{Error: holdfasttest.ServerError}, holdfasttest.Reply{})
		h.conf.Endpoints[0].Local = true
		answer, err := h.open(t).Chat(t.Context(), why())
		if err != nil || answer.Degraded || len(server.Requests()) != 2 {
			t.Errorf("got %+v, %v after %d requests, want an answer at the second try", answer, err, len(server.Requests()))
		}
	})
}

// What the local model cannot do is an error before anything is sent, which names the field; where another can, that one is asked.
func TestWhatIsLacking(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		cloud := h.endpoint("cloud", speakerOf("claude"), holdfasttest.Reply{}, holdfasttest.Reply{Error: holdfasttest.BadKey})
		local := h.endpoint("local", speakerOf("local"), holdfasttest.Reply{})
		h.conf.Endpoints[1].Local = true
		h.conf.Endpoints[1].Lacks = []holdfast.Feature{holdfast.FeatureTools, holdfast.FeatureImages}
		client := h.open(t)
		tools := &holdfast.ChatRequest{
			Messages: holdfast.Ask("Why?"),
			Tools:    []holdfast.Tool{{Name: "look", Schema: json.RawMessage(`{"type":"object","properties":{}}`)}},
		}
		image := &holdfast.ChatRequest{Messages: []holdfast.Message{{
			Role: holdfast.RoleUser, Parts: holdfast.Parts{&holdfast.Text{Text: "What is this?"}, &holdfast.Image{MIME: "image/png", Bytes: []byte("x")}},
		}}}
		if answer, err := client.Chat(t.Context(), tools); err != nil || answer.Endpoint != "cloud" {
			t.Fatalf("got %+v, %v, want the endpoint that has tools", answer, err)
		}
		_, _ = client.Chat(t.Context(), why()) // the key is dead from here on
		for field, request := range map[string]*holdfast.ChatRequest{"tools": tools, "messages[0].parts[1]": image} {
			sent := len(cloud.Requests()) + len(local.Requests())
			_, err := client.Chat(t.Context(), request)
			var e *holdfast.Error
			if !errors.As(err, &e) || e.Kind != holdfast.ErrUnsupported || e.Field != field || !strings.Contains(e.Message, "lack") {
				t.Errorf("got %v, want that the local model cannot take %s", err, field)
			}
			if got := len(cloud.Requests()) + len(local.Requests()); got != sent {
				t.Errorf("%d requests were sent, want none", got-sent)
			}
			if err := client.Supports(t.Context(), request); err != nil {
				t.Errorf("Supports: got %v, want that an endpoint could take it if its key were good", err)
			}
		}
	})
}

// A call that nobody can take now is parked, and answered as soon as a probe finds an endpoint well again; without one it fails at once
// when its time is over, and says what is wrong with whom.
func TestParked(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		var down bool
		var mu sync.Mutex
		set := func(to bool) { mu.Lock(); down = to; mu.Unlock() }
		for _, name := range []string{"a", "b"} {
			h.endpoint(name, speakerOf("claude")).Respond(func(holdfasttest.Request) holdfasttest.Reply {
				mu.Lock()
				defer mu.Unlock()
				if down {
					return holdfasttest.Reply{Error: holdfasttest.Overloaded}
				}
				return holdfasttest.Reply{}
			})
		}
		client := h.open(t)
		answeredBy(t, client, 1, 0)
		set(true)
		_, _ = client.Chat(t.Context(), why())
		time.Sleep(6 * time.Second) // nobody is suspect any more
		begun := time.Now()
		time.AfterFunc(12*time.Second, func() { set(false) })
		answer, err := client.Chat(t.Context(), why())
		if took := time.Since(begun); err != nil || took < 12*time.Second || took > 25*time.Second {
			t.Fatalf("got %v after %v, want an answer soon after the endpoints are back\n%s", err, took, trailOf(answer, err))
		}
		set(true)
		for range 2 {
			short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			_, _ = client.Chat(short, why())
			cancel()
			time.Sleep(6 * time.Second)
		}
		before := requestsOf(h)
		var calls sync.WaitGroup
		for range 300 {
			calls.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				begun := time.Now()
				_, err := client.Chat(ctx, why())
				var e *holdfast.Error
				if !errors.As(err, &e) || e.Kind != holdfast.KindUnavailable || !strings.Contains(e.Message, "a open after") || e.RetryAfter <= 0 {
					t.Errorf("got %v, want that nobody can be asked, and why", err)
				}
				if took := time.Since(begun); took > 8*time.Second {
					t.Errorf("it took %v, want that the call ends before there is no time for an answer", took)
				}
			})
		}
		synctest.Wait()
		if s := client.Status(); s.Waiting != 256 {
			t.Errorf("%d wait, want 256 at most", s.Waiting)
		}
		calls.Wait()
		if sent := requestsOf(h) - before; sent > 30 {
			t.Errorf("300 calls sent %d requests to endpoints that are down, want no more than probes", sent)
		}
		if s := client.Status(); s.Waiting != 0 {
			t.Errorf("%d still wait", s.Waiting)
		}
	})
}

func requestsOf(h *house) (n int) {
	for _, s := range h.servers {
		n += len(s.Requests())
	}
	return n
}

// How an endpoint that was down is found well again.
func TestProbes(t *testing.T) {
	t.Parallel()
	for _, by := range []holdfast.ProbeBy{"", holdfast.ProbeFree, holdfast.ProbeOff} {
		for _, s := range speakers {
			t.Run(fmt.Sprintf("%s/%s", by, s.name), func(t *testing.T) {
				inBubble(t, func(t *testing.T, h *house) {
					a := h.endpoint("a", s, holdfasttest.Reply{Error: holdfasttest.ServerError}, holdfasttest.Reply{Error: holdfasttest.ServerError},
						holdfasttest.Reply{Error: holdfasttest.ServerError}, holdfasttest.Reply{})
					h.endpoint("b", s, holdfasttest.Reply{})
					h.conf.Endpoints[1].Tier = 1
					h.conf.Probes.By = by
					client := h.open(t)
					if got := answeredBy(t, client, 2, 0); got != "b b" {
						t.Fatalf("answered by %s, want b while a is down", got)
					}
					if state := client.Status().Endpoints[0].Health.Breaker; state != "open" {
						t.Fatalf("the breaker is %s, want it open", state)
					}
					time.Sleep(2 * time.Second)
					sent := len(a.Requests())
					first, err := client.Chat(t.Context(), why())
					if err != nil {
						t.Fatal(err)
					}
					time.Sleep(2 * time.Second)
					synctest.Wait()
					asked := a.Requests()[sent:]
					want := map[holdfast.ProbeBy]string{"": "b", holdfast.ProbeFree: "b", holdfast.ProbeOff: "a"}[by]
					if first.Endpoint != want {
						t.Errorf("answered by %s, want %s", first.Endpoint, want)
					}
					switch {
					case by == holdfast.ProbeOff && (len(asked) != 1 || !strings.Contains(first.Trail.Attempts[0].Why, "probe")):
						t.Errorf("got %d requests (%s), want the call itself in the place of a probe", len(asked), first.Trail)
					case by != holdfast.ProbeOff && len(asked) != 2:
						t.Errorf("got %d requests, want two probes", len(asked))
					case by == holdfast.ProbeFree && (asked[0].Method != "GET" || asked[0].Refused != ""):
						t.Errorf("got %s %s (%s), want a request that costs nothing", asked[0].Method, asked[0].Path, asked[0].Refused)
					case by == "" && (asked[0].Method != "POST" || strings.Contains(string(asked[0].Body), "Why")):
						t.Errorf("got %s %s, want a tiny question and not the user's", asked[0].Method, asked[0].Body)
					}
					if got := answeredBy(t, client, 2, time.Second); got != "a a" {
						t.Errorf("answered by %s, want a again", got)
					}
				})
			})
		}
	}
}

// Close ends the probes under way and waits for them.
func TestCloseEndsProbes(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		a := h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{Error: holdfasttest.ServerError}, holdfasttest.Reply{Error: holdfasttest.ServerError},
			holdfasttest.Reply{Error: holdfasttest.ServerError}, holdfasttest.Reply{BeforeHeaders: time.Hour})
		h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{})
		h.conf.Endpoints[1].Tier = 1
		client := h.open(t)
		answeredBy(t, client, 2, 0)
		time.Sleep(2 * time.Second)
		answeredBy(t, client, 1, 0)
		synctest.Wait()
		begun := time.Now()
		_ = client.Close()
		if len(a.Requests()) != 4 || time.Since(begun) != 0 {
			t.Errorf("closing took %v after %d requests, want it at once after a probe", time.Since(begun), len(a.Requests()))
		}
	})
}

// Residency holds for everything that is sent: whatever fails, and however an answer could be saved elsewhere.
func TestResidencyIsNeverLeft(t *testing.T) {
	t.Parallel()
	for name, a := range map[string][]holdfasttest.Reply{
		"down":     {{Error: holdfasttest.Overloaded}},
		"silent":   {{BeforeHeaders: time.Hour}},
		"limited":  {{Error: holdfasttest.RateLimited, RetryAfter: "30"}},
		"breaking": {{Text: sixty, Fault: holdfasttest.CutRST, After: 10}},
		"stalling": {{Text: sixty, Fault: holdfasttest.Stall, After: 10}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *house) {
				h.endpoint("eu", speakerOf("claude+prefill"), a...)
				h.endpoint("eu2", speakerOf("claude+prefill"), a...)
				h.conf.Endpoints[0].Region, h.conf.Endpoints[1].Region = "eu", "eu"
				others := []*holdfasttest.Server{h.endpoint("us", speakerOf("claude+prefill")), h.endpoint("nowhere", speakerOf("chat")), h.endpoint("local", speakerOf("local"))}
				h.conf.Endpoints[2].Region, h.conf.Endpoints[4].Region, h.conf.Endpoints[4].Local = "us", "desk", true
				client := h.open(t)
				for range 8 {
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
					request := why()
					request.Residency, request.Rescue = []string{"eu"}, holdfast.RescueAll
					_, _, answer, err := read(client.Stream(ctx, request))
					cancel()
					if err == nil {
						t.Errorf("got %q, want an error", answer.Text())
					}
					time.Sleep(5 * time.Second)
				}
				for _, s := range others {
					if n := len(s.Requests()); n != 0 {
						t.Errorf("%d requests reached %s", n, s.URL)
					}
				}
				request := why()
				request.Residency = []string{"mars"}
				_, err := client.Chat(t.Context(), request)
				var e *holdfast.Error
				if !errors.As(err, &e) || e.Kind != holdfast.KindNoEndpoint || e.Field != "residency" || !strings.Contains(e.Message, "eu2 residency: it processes data in eu, allowed: mars") ||
					!strings.Contains(e.Message, "nowhere residency: it processes data in a region not named") {
					t.Errorf("got %v, want the policy and whom it excluded", err)
				}
			})
		})
	}
}

// What is known of one country's way to an endpoint says nothing of another's, where they are kept apart.
func TestHealthByCountry(t *testing.T) {
	t.Parallel()
	for _, apart := range []bool{false, true} {
		t.Run(fmt.Sprint(apart), func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *house) {
				h.endpoint("a", speakerOf("claude"))
				h.endpoint("b", speakerOf("claude"))
				h.conf.Endpoints[1].Tier = 1
				h.conf.HealthByCountry = apart
				h.conf.GeoIP = "testdata/maxmind/GeoIP2-Country-Test.mmdb"
				client := h.open(t)
				ask := func(ip string) string {
					answer, err := client.Chat(holdfast.WithClientIP(t.Context(), netip.MustParseAddr(ip)), why())
					if err != nil {
						t.Fatal(err)
					}
					return answer.Endpoint
				}
				h.network.Forget("a.test")
				for range 3 {
					ask("89.160.20.112")
				}
				h.network.Restore("a.test")
				want := map[bool]string{false: "b", true: "a"}[apart]
				if got := ask("81.2.69.142"); got != want {
					t.Errorf("answered by %s, want %s", got, want)
				}
				if n := len(client.Status().Endpoints[0].ByCountry); (n > 0) != apart {
					t.Errorf("Status tells of %d countries", n)
				}
			})
		})
	}
}

// A thousand calls at once while the first endpoint dies: none is lost, and few are sent to it once it is known to be dead.
func TestTheFirstDiesUnderAThousandCalls(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		a := h.endpoint("a", speakerOf("claude+prefill"), holdfasttest.Reply{Text: sixty, Between: 10 * time.Millisecond, BeforeFirst: 200 * time.Millisecond})
		h.endpoint("b", speakerOf("claude+prefill"), holdfasttest.Reply{Text: sixty, Between: 10 * time.Millisecond, BeforeFirst: 300 * time.Millisecond})
		client := h.open(t)
		answeredBy(t, client, 1, 0)
		died := time.Now().Add(time.Second)
		time.AfterFunc(time.Second, a.Close)
		var calls sync.WaitGroup
		var late atomic.Int32
		for i := range 1000 {
			calls.Go(func() {
				time.Sleep(time.Duration(i) * 4 * time.Millisecond)
				begun := time.Now()
				request := why()
				request.Messages = holdfast.Ask(fmt.Sprint("Why? ", i))
				text, _, answer, err := read(client.Stream(t.Context(), request))
				if err != nil || text != sixty {
					t.Errorf("call %d: got %q, %v, want the whole answer\n%s", i, text, err, trailOf(answer, err))
					return
				}
				for _, a := range answer.Trail.Attempts {
					if a.Endpoint == "a" && !begun.Add(a.Start).Before(died) {
						late.Add(1)
					}
				}
			})
		}
		calls.Wait()
		if n := late.Load(); n > 3 {
			t.Errorf("%d attempts at the dead endpoint, want no more than it takes to open the breaker", n)
		}
	})
}

// A choice that is read again from JSON says the same, and what it was made on leads to the same choice.
func TestChoicesAreReplayed(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{Error: holdfasttest.Overloaded})
		h.endpoint("b", speakerOf("chat"), holdfasttest.Reply{})
		answer, err := h.open(t).Chat(t.Context(), why())
		if err != nil {
			t.Fatal(err)
		}
		if len(answer.Trail.Choices) != 2 || answer.Trail.Choices[1].Endpoint() != "b" || answer.Trail.Choices[1].Attempt() != 1 {
			t.Fatalf("got %v, want one for each attempt", answer.Trail.Choices)
		}
		reasons := answer.Trail.Choices[0].Reasons()
		if len(reasons) != 2 || !strings.Contains(reasons[0].Why, "score 0.54 s: 0.50 to answer, 0.04 for 2 % failures") {
			t.Errorf("got %v", reasons)
		}
		if !strings.Contains(answer.Trail.Choices[1].Reasons()[0].Why, "asked already") {
			t.Errorf("got %v", answer.Trail.Choices[1].Reasons())
		}
		text, err := json.Marshal(answer.Trail)
		if err != nil {
			t.Fatal(err)
		}
		var again holdfast.Trail
		if err := json.Unmarshal(text, &again); err != nil || again.String() != answer.Trail.String() {
			t.Errorf("got %s, %v, want %s", again, err, answer.Trail)
		}
		if err := json.Unmarshal([]byte(`{"choice":{"index":3,"reserve":-1},"snapshot":{"candidates":[{"name":"a"}]}}`), new(holdfast.Choice)); err == nil {
			t.Error("a choice of a candidate that is none was read")
		}
	})
}
