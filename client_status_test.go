package holdfast_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// Status tells what calls have taught, and holds nothing that is a secret.
func TestStatus(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{Error: holdfasttest.Overloaded})
		h.endpoint("b", speakerOf("chat"), holdfasttest.Reply{Text: "Because of Rayleigh scattering.", BeforeFirst: 400 * time.Millisecond})
		h.endpoint("c", speakerOf("gemini"), holdfasttest.Reply{Error: holdfasttest.RateLimited, RetryAfter: "30"})
		h.conf.Endpoints[1].Tier, h.conf.Endpoints[1].Region = 1, "eu"
		client := h.open(t)
		for range 4 {
			if _, err := client.Chat(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")}); err != nil {
				t.Fatal(err)
			}
		}
		s := client.Status()
		if len(s.Endpoints) != 3 || s.RetryBudget != 100 || s.Waiting != 0 {
			t.Fatalf("got %+v", s)
		}
		a, b, c := s.Endpoints[0], s.Endpoints[1], s.Endpoints[2]
		if a.Health.Breaker != "open" || a.Health.Consecutive != 3 || a.Health.NextProbe.IsZero() || !strings.Contains(a.Why, "open after 3 failures in a row") {
			t.Errorf("a: got %+v: %s", a.Health, a.Why)
		}
		if len(a.Failures) != 3 || a.Failures[0].Kind != holdfast.KindOverloaded || a.Failures[0].Status != 529 || recently(a).Failed != 3 {
			t.Errorf("a: got the failures %+v", a.Failures)
		}
		if b.Health.Breaker != "closed" || b.Health.Median < 390*time.Millisecond || b.Health.Median > 450*time.Millisecond || b.Region != "eu" || b.Tier != 1 {
			t.Errorf("b: got %+v", b.Health)
		}
		if now := recently(b); now.Answered != 4 || now.Max != 400*time.Millisecond || now.P50 < 340*time.Millisecond || now.P50 > 460*time.Millisecond {
			t.Errorf("b: got %+v", now)
		}
		sum := b.Health.LatencyCost + b.Health.FailureCost + b.Health.PriceCost + b.Health.HeadroomCost
		if d := b.Health.Score - sum; d > 1e-9 || d < -1e-9 || b.Health.LatencyCost != b.Health.Median.Seconds() {
			t.Errorf("b: the score %v is not the sum of its costs %v", b.Health.Score, sum)
		}
		if len(c.Blocks) != 1 || c.Blocks[0].Kind != holdfast.KindRateLimit || c.Blocks[0].Model == "" || !strings.Contains(c.Why, "rate-limited") {
			t.Errorf("c: got %+v: %s", c.Blocks, c.Why)
		}
		text, err := json.Marshal(s)
		if err != nil || strings.Contains(string(text), "key-of") || strings.Contains(string(text), "Rayleigh") || strings.Contains(string(text), "Why?") {
			t.Errorf("got %s, %v", text, err)
		}
	})
}

// An endpoint whose key was refused is not the next, however good its score is.
func TestStatusNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{Error: holdfasttest.BadKey})
		h.endpoint("b", speakerOf("chat"), holdfasttest.Reply{Text: "Because of Rayleigh scattering."})
		h.conf.Endpoints[1].Tier = 1
		client := h.open(t)
		if s := client.Status(); !s.Endpoints[0].Next || s.Endpoints[1].Next {
			t.Errorf("got %+v, want the lowest tier", s.Endpoints)
		}
		if _, err := client.Chat(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")}); err != nil {
			t.Fatal(err)
		}
		s := client.Status()
		if s.Endpoints[0].Next || !s.Endpoints[1].Next || s.Endpoints[0].Why != "its key was disabled: bad key; until the key changes" {
			t.Errorf("got %+v: %s", s.Endpoints, s.Endpoints[0].Why)
		}
	})
}

// recently returns the last interval in which anything happened.
func recently(e holdfast.EndpointStatus) (last holdfast.Interval) {
	for _, i := range e.Recent {
		if i.Answered+i.Failed > 0 {
			last = i
		}
	}
	return last
}
