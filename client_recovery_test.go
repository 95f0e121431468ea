package holdfast_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// An endpoint that always took six seconds to its first content comes back after an outage: its probes are given that time.
func TestSlowEndpointComesBack(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		var down atomic.Bool
		a := h.endpoint("a", speakerOf("claude"))
		a.Respond(func(holdfasttest.Request) holdfasttest.Reply {
			if down.Load() {
				return overloaded
			}
			return holdfasttest.Reply{BeforeHeaders: 6 * time.Second}
		})
		client := h.open(t)
		answeredBy(t, client, 20, 0)
		down.Store(true)
		_, _ = client.Chat(t.Context(), why())
		time.Sleep(10 * time.Second)
		down.Store(false)
		failed := 0
		for range 30 {
			if _, err := client.Chat(t.Context(), why()); err != nil {
				failed++
			}
			time.Sleep(20 * time.Second)
		}
		if failed > 3 {
			t.Errorf("%d of 30 calls failed in the %v after it was well", failed, 10*time.Minute)
		}
	})
}

// A provider that gives no list of models, or not with this key, is there all the same: the key stays good.
func TestFreeProbeRefused(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403, 404, 405, 501} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *house) {
				var down atomic.Bool
				url := h.network.Serve("a.test", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					switch {
					case r.Method == "GET":
						w.WriteHeader(status)
						_, _ = w.Write([]byte(`{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: api.model.read.","type":"invalid_request_error","code":null}}`))
					case down.Load():
						w.WriteHeader(500)
						_, _ = w.Write([]byte(`{"error":{"message":"oops","type":"server_error"}}`))
					default:
						_, _ = w.Write([]byte(`{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}`))
					}
				}))
				h.conf.Endpoints = []holdfast.Endpoint{{Name: "a", Provider: "openai-chat", URL: url, Proxy: "direct", KeySource: holdfast.Literal("k")}}
				h.conf.Probes.By = holdfast.ProbeFree
				client := h.open(t)
				req := &holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), MaxOutputTokens: 100, Model: "gpt-6-sol"}
				mustChat(t, client, req)
				down.Store(true)
				_, _ = client.Chat(t.Context(), req)
				down.Store(false)
				failed := 0
				var last error
				for range 30 {
					time.Sleep(20 * time.Second)
					if _, err := client.Chat(t.Context(), req); err != nil {
						failed++
						last = err
					}
				}
				if failed > 2 {
					t.Errorf("%d of 30 calls failed in ten minutes after the endpoint was well: %v", failed, last)
				}
			})
		})
	}
}

// With probes off, an endpoint comes back though its reserve is faster: its trial is given the time that it took before.
func TestTrialOfTheSlower(t *testing.T) {
	t.Parallel()
	for _, tier := range []int{0, 1} {
		t.Run(fmt.Sprint(tier), func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *house) {
				var down atomic.Bool
				h.endpoint("a", speakerOf("claude")).Respond(func(holdfasttest.Request) holdfasttest.Reply {
					if down.Load() {
						return overloaded
					}
					return holdfasttest.Reply{BeforeFirst: 2 * time.Second}
				})
				h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{BeforeFirst: 200 * time.Millisecond})
				h.conf.Endpoints[1].Tier, h.conf.Endpoints[1].Price = tier, 9
				h.conf.Probes.By = holdfast.ProbeOff
				client := h.open(t)
				if got := answeredBy(t, client, 30, time.Second); got != strings.Repeat("a ", 29)+"a" {
					t.Fatal(got)
				}
				down.Store(true)
				answeredBy(t, client, 10, time.Second)
				down.Store(false)
				got := answeredBy(t, client, 120, time.Second)
				if n := strings.Count(got, "a"); n < 60 {
					t.Errorf("a answered %d of 120 calls after its outage, as quickly as before it: %s", n, client.Status().Endpoints[0].Why)
				}
			})
		})
	}
}

// With probes off, the calls that are lost to a silent endpoint become fewer, with a reserve of another tier
func TestTrialsOfABlackHole(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		a := h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{BeforeHeaders: time.Hour})
		h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{BeforeFirst: 300 * time.Millisecond})
		h.conf.Probes.By = holdfast.ProbeOff
		h.conf.Endpoints[1].Tier = 1
		client := h.open(t)
		for range 30 {
			answeredBy(t, client, 1, 200*time.Millisecond)
		}
		before := len(a.Requests())
		slow := 0
		begun := time.Now()
		for time.Since(begun) < 2*time.Minute {
			at := time.Now()
			answeredBy(t, client, 1, 0)
			if time.Since(at) > 400*time.Millisecond {
				slow++
			}
			time.Sleep(200 * time.Millisecond)
		}
		if n := len(a.Requests()) - before; n > 20 {
			t.Errorf("%d calls in two minutes took the place of a probe (%d slower), want one each ten seconds", n, slow)
		}
	})
}

// and with an equal one.
func TestTrialsOfABlackHoleBesideAnEqual(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		a := h.endpoint("a", speakerOf("claude"), overloaded, overloaded, overloaded, holdfasttest.Reply{BeforeHeaders: time.Hour})
		h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{BeforeFirst: 300 * time.Millisecond})
		h.conf.Endpoints[0].Region = "eu"
		h.conf.Probes.By = holdfast.ProbeOff
		client := h.open(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, _ = client.Chat(ctx, &holdfast.ChatRequest{Messages: holdfast.Ask("x"), Residency: []string{"eu"}}) // opens a's breaker
		cancel()
		for i := range 10 {
			mustChat(t, client, &holdfast.ChatRequest{Messages: holdfast.Ask(fmt.Sprint("x", i))})
		}
		before, slow, begun := len(a.Requests()), 0, time.Now()
		for i := 0; time.Since(begun) < 2*time.Minute; i++ {
			at := time.Now()
			mustChat(t, client, &holdfast.ChatRequest{Messages: holdfast.Ask(fmt.Sprint("y", i))})
			if time.Since(at) > 400*time.Millisecond {
				slow++
			}
			time.Sleep(200 * time.Millisecond)
		}
		if n := len(a.Requests()) - before; n > 20 {
			t.Errorf("%d calls in two minutes took the place of a probe (%d slower), want one each ten seconds", n, slow)
		}
	})
}

// A trial does not wait as long as the Hedge that its endpoint was given.
func TestTrialPatience(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("a", speakerOf("claude"), overloaded, overloaded, overloaded, holdfasttest.Reply{BeforeHeaders: time.Hour})
		h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{BeforeFirst: 200 * time.Millisecond})
		h.conf.Endpoints[1].Tier = 1
		h.conf.Endpoints[0].Timeouts.Hedge = 30 * time.Second
		h.conf.Probes.By = holdfast.ProbeOff
		client := h.open(t)
		answeredBy(t, client, 10, 0)
		time.Sleep(2 * time.Second)
		begun := time.Now()
		answer, err := client.Chat(t.Context(), why())
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("a trial took %v\n%s", took, trailOf(answer, err))
		}
	})
}

// An endpoint that never says a word is found to be ill also by callers who have little time, or hedge early.
func TestSilentFromTheStart(t *testing.T) {
	t.Parallel()
	for _, tier := range []int{0, 1} {
		for _, limit := range []time.Duration{2 * time.Second, 4 * time.Second, 10 * time.Second} {
			for _, hedge := range []time.Duration{0, 200 * time.Millisecond} {
				t.Run(fmt.Sprint(tier, limit, hedge), func(t *testing.T) {
					inBubble(t, func(t *testing.T, h *house) {
						a := h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{BeforeHeaders: time.Hour})
						h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{BeforeFirst: 100 * time.Millisecond})
						h.conf.Endpoints[1].Tier, h.conf.Timeouts.Hedge = tier, hedge
						client := h.open(t)
						failed := 0
						for i := range 100 {
							ctx, cancel := context.WithTimeout(t.Context(), limit)
							if _, err := client.Chat(ctx, &holdfast.ChatRequest{Messages: holdfast.Ask(fmt.Sprint("x", i))}); err != nil {
								failed++
							}
							cancel()
							time.Sleep(time.Second)
						}
						if n := len(a.Requests()); n > 40 {
							t.Errorf("100 calls sent %d requests to an endpoint that never said a word, and %d failed: %s", n, failed, client.Status().Endpoints[0].Why)
						}
					})
				})
			}
		}
	}
}

// An endpoint whose key does not come rests for a while: not every call waits for it.
func TestHangingKeyRests(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{})
		h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{})
		h.conf.Endpoints[1].Tier = 1
		k := &slowKey{key: holdfast.NewSecret("k")}
		h.conf.Endpoints[0].KeySource = k
		client := h.open(t)
		answeredBy(t, client, 1, 0)
		k.wait.Store(int64(time.Hour))
		slow := 0
		for i := range 60 {
			begun := time.Now()
			mustChat(t, client, &holdfast.ChatRequest{Messages: holdfast.Ask(fmt.Sprint("x", i))})
			if time.Since(begun) > time.Second {
				slow++
			}
			time.Sleep(time.Second)
		}
		if slow > 10 {
			t.Errorf("%d of 60 calls waited for a key that does not come", slow)
		}
	})
}

// The guard comes again if the wait for a slot was called off for an answer that then broke off unseen.
func TestGuardAfterAWaitInVain(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		url := h.network.Serve("cloud.test", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(15 * time.Second) // behind the guard
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = w.Write([]byte("data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hmm\"}}]}\n\n"))
			w.(http.Flusher).Flush()
			time.Sleep(100 * time.Millisecond)
			panic(http.ErrAbortHandler) // before anything that the caller can see
		}))
		h.conf.Endpoints = []holdfast.Endpoint{{Name: "cloud", Provider: "openai-compatible", URL: url, Proxy: "direct", Timeouts: holdfast.Timeouts{Hedge: time.Hour}}}
		h.endpoint("local", speakerOf("local"), holdfasttest.Reply{BeforeHeaders: 5 * time.Second}, holdfasttest.Reply{})
		h.conf.Endpoints[1].Local, h.conf.Endpoints[1].Concurrency, h.conf.Endpoints[1].Region = true, 1, "desk"
		client := h.open(t)
		var other sync.WaitGroup
		other.Go(func() { // has the local model's only slot from 13 s to 18 s
			time.Sleep(13 * time.Second)
			_, _ = client.Chat(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("x"), Residency: []string{"desk"}})
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err := client.Chat(ctx, why())
		if err != nil {
			t.Errorf("got %v, want the local model's answer at 18 s", err)
		}
		other.Wait()
	})
}

// A call that waits before it asks the local model again keeps no slot from others.
func TestNoSlotWhileWaiting(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("local", speakerOf("local"), holdfasttest.Reply{Error: holdfasttest.Overloaded, RetryAfter: "60"}, holdfasttest.Reply{})
		h.conf.Endpoints[0].Local, h.conf.Endpoints[0].Concurrency = true, 1
		client := h.open(t)
		var calls sync.WaitGroup
		calls.Go(func() { _, _ = client.Chat(t.Context(), why()) })
		time.Sleep(time.Second)
		begun := time.Now()
		answer, err := client.Chat(t.Context(), why())
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("another call waited %v for a slot that nobody used: %v\n%s", took, err, trailOf(answer, err))
		}
		calls.Wait()
	})
}

// While nobody else can be asked, an endpoint that was well a short time ago is not left alone for as long as it must rest after an earlier outage.
func TestOutageAfterOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		var down atomic.Bool
		h.endpoint("a", speakerOf("claude")).Respond(func(holdfasttest.Request) holdfasttest.Reply {
			if down.Load() {
				return overloaded
			}
			return holdfasttest.Reply{}
		})
		client := h.open(t)
		var late time.Duration
		for i := range 7 {
			outage := 8 * time.Second
			if i == 0 {
				outage = 20 * time.Second // from then on, the backoff is ten seconds
			}
			mustChat(t, client, why())
			down.Store(true)
			time.AfterFunc(outage, func() { down.Store(false) })
			_, took, err := within(t, time.Minute, client, why())
			if err != nil || took < outage {
				t.Errorf("got %v after %v of an outage of %v", err, took, outage)
			}
			if i > 0 {
				late += took - outage
			}
			time.Sleep(2 * time.Second) // until the breaker is closed
		}
		if most := 6 * 2 * time.Second; late > most {
			t.Errorf("got answers %v late in all, want %v at most", late, most)
		}
	})
}
