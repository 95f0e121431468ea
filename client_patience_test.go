package holdfast_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// within asks with so much time, and returns how much of it was taken.
func within(t *testing.T, d time.Duration, c *holdfast.Client, r *holdfast.ChatRequest) (*holdfast.ChatResponse, time.Duration, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	begun := time.Now()
	answer, err := c.Chat(ctx, r)
	return answer, time.Since(begun), err
}

// Beside an endpoint that says nothing, one that had no room at first is asked once it has; and the failure of one for good ends the call.
func TestSilentAndNobodyElseAtFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{BeforeHeaders: time.Hour})
		b := h.endpoint("b", speakerOf("chat"), holdfasttest.Reply{Error: holdfasttest.RateLimited, RetryAfter: "20"}, holdfasttest.Reply{})
		h.conf.Endpoints[1].Countries = []string{"SE"}
		h.conf.Endpoints[0].Countries = []string{"SE", "DE"}
		client := h.open(t)
		sweden := holdfast.WithClientCountry(t.Context(), "SE")
		for len(b.Requests()) == 0 { // until b is over its limit
			ctx, cancel := context.WithTimeout(sweden, 4*time.Second)
			_, _ = client.Chat(ctx, why())
			cancel()
		}
		ctx, cancel := context.WithTimeout(sweden, 2*time.Minute)
		defer cancel()
		begun := time.Now()
		answer, err := client.Chat(ctx, why())
		if took := time.Since(begun); err != nil || took > 40*time.Second {
			t.Errorf("got %v after %v, want b's answer soon after its limit\n%s", err, took, trailOf(answer, err))
		}
	})
}

func TestSilentAndARefusal(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{}, holdfasttest.Reply{BeforeHeaders: time.Hour})
		h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{Error: holdfasttest.BadRequest})
		h.conf.Endpoints[1].Price = 1.2
		client := h.open(t)
		answeredBy(t, client, 1, 0)
		answer, took, err := within(t, 2*time.Minute, client, why())
		if holdfast.KindOf(err) != holdfast.KindInvalid || took > 10*time.Second {
			t.Errorf("got %v after %v, want the refusal when the other counts as failed\n%s", err, took, trailOf(answer, err))
		}
	})
}

// What callers do who have little time, or hedge early, says nothing of an endpoint that answers.
func TestTheImpatient(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		usual := holdfasttest.Reply{BeforeHeaders: 500 * time.Millisecond}
		h.endpoint("a", speakerOf("claude"), overloaded, overloaded, usual)
		h.endpoint("b", speakerOf("claude"), usual)
		h.conf.Timeouts.Hedge = 200 * time.Millisecond
		client := h.open(t)
		answeredBy(t, client, 10, 10*time.Second) // both are known
		for i := range 30 {
			_, _, _ = within(t, time.Duration(150+100*(i%5))*time.Millisecond, client, why())
			if _, _, err := within(t, time.Minute, client, why()); err != nil {
				t.Fatal(err)
			}
		}
		for _, e := range client.Status().Endpoints {
			if e.Health.Breaker != "closed" || e.Health.Consecutive > 0 && e.Health.FailureRate > 0.1 {
				t.Errorf("%s: got %+v, want it well", e.Name, e.Health)
			}
		}
	})
}

// A call that has not the time to be held back for what a head said asks: the account is full, and the estimate of its cost may be too high.
func TestPaceAndDeadlines(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("a", speakerOf("claude")).Respond(func(holdfasttest.Request) holdfasttest.Reply {
			return holdfasttest.Reply{BeforeHeaders: 500 * time.Millisecond, Header: http.Header{
				"Anthropic-Ratelimit-Output-Tokens-Limit": {"8000"}, "Anthropic-Ratelimit-Output-Tokens-Remaining": {"8000"},
				"Anthropic-Ratelimit-Output-Tokens-Reset": {time.Now().Add(time.Second).UTC().Format(time.RFC3339)},
			}}
		})
		client := h.open(t)
		request := &holdfast.ChatRequest{Messages: holdfast.Ask("x"), MaxOutputTokens: 4500}
		if _, err := client.Chat(t.Context(), request); err != nil {
			t.Fatal(err)
		}
		var calls sync.WaitGroup
		for range 4 {
			calls.Go(func() {
				if _, _, err := within(t, 6*time.Second, client, request); err != nil {
					t.Errorf("got %v, want an answer", err)
				}
			})
		}
		calls.Wait()
	})
}

// With less time than the local model may need twice, it is not asked beside a cloud that is well.
func TestNoGuardAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("cloud", speakerOf("claude"), holdfasttest.Reply{BeforeHeaders: 600 * time.Millisecond})
		h.endpoint("local", speakerOf("local"), holdfasttest.Reply{BeforeHeaders: 200 * time.Millisecond, Between: 800 * time.Millisecond})
		h.conf.Endpoints[1].Local = true
		client := h.open(t)
		for range 20 {
			if answer, _, err := within(t, 5*time.Second, client, why()); err != nil || answer.Degraded {
				t.Errorf("got %v, want the cloud's answer\n%s", err, trailOf(answer, err))
			}
		}
	})
}

// Who queues for the local model leaves the line when the cloud is well again.
func TestLeavingTheLine(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		var down atomic.Bool
		h.endpoint("cloud", speakerOf("claude")).Respond(func(holdfasttest.Request) holdfasttest.Reply {
			if down.Load() {
				return overloaded
			}
			return holdfasttest.Reply{BeforeHeaders: 300 * time.Millisecond}
		})
		h.endpoint("local", speakerOf("local"), holdfasttest.Reply{BeforeHeaders: 3 * time.Second})
		h.conf.Endpoints[1].Local = true
		client := h.open(t)
		answeredBy(t, client, 1, 0)
		down.Store(true)
		time.AfterFunc(2*time.Second, func() { down.Store(false) })
		var calls sync.WaitGroup
		for i := range 200 {
			calls.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				if _, took, err := within(t, 10*time.Minute, client, why()); err != nil || took > 20*time.Second {
					t.Errorf("call %d: got %v after %v, want an answer soon after the recovery", i, err, took)
				}
			})
		}
		calls.Wait()
		if s := client.Status().Endpoints[1]; s.Running != 0 || s.Queued != 0 {
			t.Errorf("%d run and %d are queued", s.Running, s.Queued)
		}
	})
}

// A cloud that breaks every answer off uses up the attempts, and not the last resort.
func TestLastResortAfterBrokenAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		cloud := h.endpoint("cloud", speakerOf("claude"), holdfasttest.Reply{Text: sixty, Fault: holdfasttest.CutRST, After: 10})
		h.endpoint("local", speakerOf("local"), holdfasttest.Reply{Text: sixty})
		h.conf.Endpoints[1].Local = true
		answer, err := h.open(t).Chat(t.Context(), why())
		if err != nil || !answer.Degraded || answer.Text() != sixty {
			t.Fatalf("got %v, want the local model's answer\n%s", err, trailOf(answer, err))
		}
		if n := len(cloud.Requests()); n > 8 {
			t.Errorf("the cloud was asked %d times, want 8 at most", n)
		}
	})
}

// An endpoint that was slow for a while comes back, however answers are asked for.
func TestSlowComesBack(t *testing.T) {
	t.Parallel()
	for _, tokens := range []int{0, 100} { // streamed, and in one piece
		t.Run(fmt.Sprint(tokens), func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *house) {
				var slow atomic.Bool
				h.endpoint("a", speakerOf("claude")).Respond(func(holdfasttest.Request) holdfasttest.Reply {
					if slow.Load() {
						return holdfasttest.Reply{BeforeHeaders: 5 * time.Second}
					}
					return holdfasttest.Reply{BeforeHeaders: 500 * time.Millisecond}
				})
				h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{BeforeHeaders: 1500 * time.Millisecond})
				client := h.open(t)
				i := 0
				ask := func(n int) (byA int) {
					for range n {
						i++
						answer, err := client.Chat(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask(fmt.Sprint(i)), MaxOutputTokens: tokens})
						if err != nil {
							t.Fatal(err)
						}
						if answer.Endpoint == "a" {
							byA++
						}
						time.Sleep(500 * time.Millisecond)
					}
					return byA
				}
				before := ask(40)
				slow.Store(true)
				during := ask(40)
				slow.Store(false)
				ask(60)
				if after := ask(40); before < 35 || during > 15 || after < 35 {
					t.Errorf("a answered %d of 40 calls, %d while it was slow, and %d after that", before, during, after)
				}
			})
		})
	}
}

// Countries matter also where they only keep health apart.
func TestHealthByCountryAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{})
		h.conf.HealthByCountry = true
		client := h.open(t)
		if _, err := client.Chat(holdfast.WithClientCountry(t.Context(), "SE"), why()); err != nil {
			t.Fatal(err)
		}
		if _, known := client.Status().Endpoints[0].ByCountry["SE"]; !known {
			t.Errorf("got %+v, want Sweden's", client.Status().Endpoints[0].ByCountry)
		}
	})
}

// A choice from anywhere can be read and printed, whatever it says.
func TestStrangeChoices(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"choice":{"index":-1,"reserve":0},"snapshot":{"candidates":[{"name":"a"}]}}`, `{"choice":{"index":-1,"reserve":-1}}`, `{}`,
		`{"choice":{"index":0,"reserve":0,"trial":true},"snapshot":{"candidates":[{"name":"a","local":true}]}}`,
	} {
		var c holdfast.Choice
		if json.Unmarshal([]byte(text), &c) == nil {
			_, _, _ = c.String(), c.Endpoint(), c.Reasons()
			if _, err := json.Marshal(c); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

// Beside an endpoint that says nothing, one that refused the call a moment ago is asked again, when the silent one counts as failed.
func TestSilentAndRefusedBefore(t *testing.T) {
	t.Parallel()
	for name, refusals := range map[string]int{"once": 1, "four times": 4} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *house) {
				b := h.endpoint("b", speakerOf("chat"), append(slices.Repeat([]holdfasttest.Reply{overloaded}, refusals), holdfasttest.Reply{})...)
				a := h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{BeforeHeaders: time.Hour})
				h.conf.Endpoints[1].Price = 1.2
				client := h.open(t)
				answer, took, err := within(t, 2*time.Minute, client, why())
				if err != nil || took > 30*time.Second {
					t.Errorf("got %v after %v, want b's answer\n%s", err, took, trailOf(answer, err))
				}
				if n, m := len(a.Requests()), len(b.Requests()); n != 1 || m < refusals+1 {
					t.Errorf("a was asked %d times and b %d, want 1 and %d", n, m, refusals+1)
				}
			})
		})
	}
}

// One reserve is taken at a time: not the last resort and, unseen, one that refused the call before.
func TestLastResortAndRefusedBefore(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		b := h.endpoint("b", speakerOf("chat"), overloaded, holdfasttest.Reply{})
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{BeforeHeaders: time.Hour})
		h.endpoint("local", speakerOf("local"), holdfasttest.Reply{Error: holdfasttest.Overloaded})
		h.conf.Endpoints[1].Price = 1.2
		h.conf.Endpoints[2].Local = true
		h.conf.Retry.MaxAttempts = 4
		client := h.open(t)
		answer, took, err := within(t, 2*time.Minute, client, why())
		if err != nil || took > 30*time.Second || len(b.Requests()) != 2 {
			t.Errorf("got %v after %v, want b's answer when the local model failed\n%s", err, took, trailOf(answer, err))
		}
		if s := client.Status(); s.RetryBudget != 100 {
			t.Errorf("the budget is %v after an answer, want 100", s.RetryBudget)
		}
	})
}

// lateKey takes its time from the second reading on.
type lateKey struct{ reads atomic.Int32 }

func (k *lateKey) Secret(ctx context.Context) (holdfast.Secret, error) {
	if k.reads.Add(1) > 1 {
		select {
		case <-time.After(4500 * time.Millisecond):
		case <-ctx.Done():
			return holdfast.Secret{}, ctx.Err()
		}
	}
	return holdfast.NewSecret("k"), nil
}

// While the key of one that refused the call before is read, no other reserve goes there too.
func TestRefusedBeforeWithALateKey(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		b := h.endpoint("b", speakerOf("chat"), overloaded, holdfasttest.Reply{BeforeHeaders: time.Hour})
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{BeforeHeaders: time.Hour})
		h.endpoint("c", speakerOf("claude"), // its own reserve takes b; then it fails, and that of a looks for another
			holdfasttest.Reply{Error: holdfasttest.Overloaded, BeforeHeaders: 10500 * time.Millisecond}, holdfasttest.Reply{BeforeHeaders: time.Hour})
		h.conf.Endpoints[1].Price, h.conf.Endpoints[2].Price = 1.2, 3
		h.conf.Endpoints[0].KeySource = &lateKey{}
		client := h.open(t)
		answer, _, err := within(t, time.Minute, client, why())
		if holdfast.KindOf(err) != holdfast.KindDeadline || len(b.Requests()) != 2 {
			t.Errorf("got %v, with b asked %d times, want twice\n%s", err, len(b.Requests()), trailOf(answer, err))
		}
	})
}

// The guard asks the last resort in vain while the attempt that it stands beside is about to be repeated in place.
func TestGuardBeforeARepeat(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{Error: holdfasttest.Overloaded, RetryAfter: "1", BeforeHeaders: time.Second}, holdfasttest.Reply{})
		local := h.endpoint("local", speakerOf("local"), holdfasttest.Reply{Error: holdfasttest.Overloaded})
		h.conf.Endpoints[1].Local = true
		client := h.open(t)
		answer, took, err := within(t, 7*time.Second, client, why())
		if err != nil || took < 2*time.Second || len(local.Requests()) != 1 {
			t.Errorf("got %v after %v, and %d requests at the local model, want a's answer\n%s", err, took, len(local.Requests()), trailOf(answer, err))
		}
	})
}
