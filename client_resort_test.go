package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

var overloaded = holdfasttest.Reply{Error: holdfasttest.Overloaded}

// slowKey is a KeySource that takes a while, and respects its context.
type slowKey struct {
	wait atomic.Int64
	key  holdfast.Secret
}

func (s *slowKey) Secret(ctx context.Context) (holdfast.Secret, error) {
	if d := time.Duration(s.wait.Load()); d > 0 {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return holdfast.Secret{}, ctx.Err()
		}
	}
	return s.key, nil
}

// A transport that panics, where the caller recovers, keeps no slot of the local model.
func TestSlotAfterPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{plays: map[string][]play{"local": {func(*http.Request) (*http.Response, error) { panic("boom") }, replies("hi")}}}
		client := newClient(t, holdfast.Config{
			Adapters: map[string]holdfast.AIServiceAdapter{"moody": moody{}}, WrapTransport: s.wrap,
			Endpoints: []holdfast.Endpoint{{Name: "local", Provider: "moody", URL: "http://local.test", Local: true, Concurrency: 1}},
		})
		func() {
			defer func() { _ = recover() }()
			_, _ = client.Chat(t.Context(), hello)
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := client.Chat(ctx, hello)
		if s := client.Status().Endpoints[0]; err != nil || s.Running != 0 {
			t.Errorf("got %v, running %d", err, s.Running)
		}
	})
}

// A caller's ClientTrace hears nothing of probes, which outlive the call.
func TestProbeTraced(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("a", speakerOf("claude"), overloaded, overloaded, overloaded, holdfasttest.Reply{BeforeHeaders: time.Second})
		h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{})
		h.conf.Endpoints[1].Tier = 1
		client := h.open(t)
		over := atomic.Bool{}
		late := atomic.Int32{}
		note := func() {
			if over.Load() {
				late.Add(1)
			}
		}
		answeredBy(t, client, 2, 0)
		time.Sleep(2 * time.Second)
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotFirstResponseByte: note, WroteRequest: func(httptrace.WroteRequestInfo) { note() }})
		if _, err := client.Chat(ctx, why()); err != nil {
			t.Fatal(err)
		}
		over.Store(true)
		time.Sleep(5 * time.Second)
		if n := late.Load(); n > 0 {
			t.Errorf("the trace of a call that is over was called %d times", n)
		}
	})
}

// The local model is asked in time also where an answer that broke off is to go on.
func TestNoGuardInRescue(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{Text: sixty, Fault: holdfasttest.CutRST, After: 15, Between: time.Second}, holdfasttest.Reply{BeforeHeaders: time.Hour})
		h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{BeforeHeaders: time.Hour})
		h.endpoint("local", speakerOf("local"), holdfasttest.Reply{Text: sixty, BeforeHeaders: 2 * time.Second})
		h.conf.Endpoints[2].Local = true
		client := h.open(t)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		answer, err := client.Chat(ctx, why())
		if err != nil {
			t.Errorf("got %v, want the local model's answer\n%s", err, trailOf(answer, err))
		}
	})
}

// With probes off, those that are parked hear when a call in the place of a probe is over.
func TestTrialFailsParkedSleep(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		var down atomic.Bool
		h.endpoint("a", speakerOf("claude")).Respond(func(holdfasttest.Request) holdfasttest.Reply {
			if down.Load() {
				return holdfasttest.Reply{BeforeHeaders: 200 * time.Millisecond, Error: holdfasttest.Overloaded}
			}
			return holdfasttest.Reply{}
		})
		h.conf.Probes.By = holdfast.ProbeOff
		client := h.open(t)
		answeredBy(t, client, 1, 0)
		down.Store(true)
		_, _ = client.Chat(t.Context(), why())
		time.Sleep(15 * time.Second)
		synctest.Wait()
		// One call makes the trial, and leaves as it failed; another is parked.
		ctx, cancel := context.WithCancel(t.Context())
		var calls sync.WaitGroup
		calls.Go(func() {
			_, _ = client.Chat(ctx, why())
		})
		time.Sleep(100 * time.Millisecond)
		begun := time.Now()
		calls.Go(func() {
			_, err := client.Chat(t.Context(), why())
			if took := time.Since(begun); err != nil || took > 15*time.Second {
				t.Errorf("got %v after %v, though the endpoint has been well for all but the first second", err, took)
			}
		})
		time.Sleep(500 * time.Millisecond)
		cancel()
		down.Store(false)
		calls.Wait()
	})
}

// The first call after the recovery of an endpoint that never answered waits for the probe that it starts.
func TestNeverAnsweredThenWell(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("a", speakerOf("claude"), overloaded, overloaded, overloaded, holdfasttest.Reply{})
		client := h.open(t)
		if _, err := client.Chat(t.Context(), why()); !errors.Is(err, holdfast.KindOverloaded) {
			t.Errorf("got %v, want that it is overloaded", err)
		}
		time.Sleep(time.Hour)
		if _, err := client.Chat(t.Context(), why()); err != nil {
			t.Errorf("got %v, want an answer", err)
		}
	})
}

// So does the first call to the only endpoint, if that is expected to fail.
func TestExpectedFailuresAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{})
		h.conf.Endpoints[0].ExpectedFailures = 0.5
		client := h.open(t)
		_, err := client.Chat(t.Context(), why())
		if err != nil {
			t.Errorf("got %v", err)
		}
	})
}

// Who waits for a long rate limit hears of another endpoint that is well again meanwhile.
func TestWaitInsteadOfPark(t *testing.T) {
	t.Parallel()
	for _, after := range []string{"180", "100", "50"} {
		t.Run(after, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *house) {
				var down atomic.Bool
				limited := atomic.Bool{}
				h.endpoint("a", speakerOf("claude")).Respond(func(holdfasttest.Request) holdfasttest.Reply {
					if limited.Load() {
						return holdfasttest.Reply{Error: holdfasttest.RateLimited, RetryAfter: after}
					}
					return holdfasttest.Reply{BeforeFirst: 300 * time.Millisecond}
				})
				h.endpoint("b", speakerOf("chat")).Respond(func(holdfasttest.Request) holdfasttest.Reply {
					if down.Load() {
						return overloaded
					}
					return holdfasttest.Reply{BeforeFirst: 100 * time.Millisecond}
				})
				client := h.open(t)
				answeredBy(t, client, 3, time.Second)
				h.conf.Endpoints = nil
				down.Store(true)
				for range 5 {
					answeredBy(t, client, 1, 0)
				}
				time.Sleep(6 * time.Second)
				limited.Store(true)
				time.AfterFunc(3*time.Second, func() { down.Store(false) })
				begun := time.Now()
				answer, err := client.Chat(t.Context(), why())
				if took := time.Since(begun); err != nil || took > 15*time.Second {
					t.Errorf("got %v after %v, want an answer of b, which is well after 3 s\n%s", err, took, trailOf(answer, err))
				}
			})
		})
	}
}

// A request that one endpoint cannot express, while the other is only ill, is not unsupported.
func TestUnsupportedWhileIll(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("cloud", speakerOf("claude"), overloaded)
		h.endpoint("local", speakerOf("local"), holdfasttest.Reply{})
		h.conf.Endpoints[1].Local = true
		h.conf.Endpoints[1].Lacks = []holdfast.Feature{holdfast.FeatureTools}
		client := h.open(t)
		req := &holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), Tools: []holdfast.Tool{{Name: "look", Schema: []byte(`{"type":"object","properties":{}}`)}}}
		for i := range 3 {
			_, err := client.Chat(t.Context(), req)
			if i > 0 && errors.Is(err, holdfast.ErrUnsupported) {
				t.Errorf("got %v, want that the cloud is ill", err)
			}
			time.Sleep(6 * time.Second)
		}
	})
}

// Reserves that are chosen at the same time make no more attempts than there may be.
func TestAttemptsOverMax(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		keys := make([]*slowKey, 6)
		silent := holdfasttest.Reply{BeforeHeaders: time.Hour}
		for i := range keys {
			r := silent
			if i == 1 {
				r = holdfasttest.Reply{BeforeHeaders: 2500 * time.Millisecond, Error: holdfasttest.Overloaded}
			}
			h.endpoint(fmt.Sprint("e", i), speakerOf("claude"), r)
			keys[i] = &slowKey{key: holdfast.NewSecret("k")}
			h.conf.Endpoints[i].KeySource = keys[i]
			h.conf.Endpoints[i].ExpectedLatency = time.Duration(500+i) * time.Millisecond
		}
		h.conf.Timeouts.Hedge = 2 * time.Second
		h.conf.Retry.MaxAttempts = 3
		client := h.open(t)
		keys[2].wait.Store(int64(time.Second))
		keys[3].wait.Store(int64(time.Second))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		answer, err := client.Chat(ctx, why())
		var e *holdfast.Error
		if errors.As(err, &e); len(e.Trail.Attempts) > 3 {
			t.Errorf("%d attempts\n%s", len(e.Trail.Attempts), trailOf(answer, err))
		}
	})
}

// A source of keys that hangs costs a call five seconds, and the next ones nothing.
func TestHangingKey(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{})
		h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{})
		k := &slowKey{key: holdfast.NewSecret("k")}
		h.conf.Endpoints[0].KeySource = k
		client := h.open(t)
		answeredBy(t, client, 1, 0)
		k.wait.Store(int64(time.Hour))
		for range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			begun := time.Now()
			_, err := client.Chat(ctx, why())
			cancel()
			if err != nil {
				t.Errorf("got %v after %v, though b is well", err, time.Since(begun))
			}
		}
	})
}

// The guard is not lost if its time comes while nothing runs.
func TestGuardLost(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{BeforeHeaders: 13950 * time.Millisecond, Fault: holdfasttest.Redirect})
		h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{BeforeHeaders: time.Hour})
		h.endpoint("local", speakerOf("local"), holdfasttest.Reply{BeforeHeaders: 3 * time.Second})
		k := &slowKey{key: holdfast.NewSecret("k")}
		k.wait.Store(int64(100 * time.Millisecond))
		h.conf.Endpoints[1].KeySource = k
		h.conf.Endpoints[1].Tier = 1
		h.conf.Endpoints[2].Local = true
		h.conf.Endpoints[0].Timeouts.Hedge = time.Hour
		client := h.open(t)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		answer, err := client.Chat(ctx, why())
		if err != nil {
			t.Errorf("got %v, want the local model's answer\n%s", err, trailOf(answer, err))
		}
	})
}

// Beyond MaxAttempts the local model is asked once, however many ways there are to go on with an answer.
func TestLocalBeyondMax(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("a", speakerOf("claude+prefill"), holdfasttest.Reply{Text: sixty, Fault: holdfasttest.CutRST, After: 10})
		h.endpoint("b", speakerOf("claude+prefill"), overloaded)
		h.endpoint("local", speakerOf("local+prefill"), holdfasttest.Reply{Fault: holdfasttest.Redirect})
		h.conf.Endpoints[2].Local = true
		h.conf.Retry.MaxAttempts = 2
		client := h.open(t)
		req := why()
		req.Rescue = holdfast.RescueAll
		_, _, answer, err := read(client.Stream(t.Context(), req))
		var e *holdfast.Error
		if errors.As(err, &e); len(e.Trail.Attempts) > 3 {
			t.Errorf("%d attempts, want at most 2 and one at the local model\n%s", len(e.Trail.Attempts), trailOf(answer, err))
		}
	})
}
