package holdfast

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast/internal/score"
)

// flaky answers, or fails in one way or another, at random.
type flaky struct {
	mu     sync.Mutex
	random *rand.Rand
}

func (f *flaky) upTo(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.random.IntN(n)
}

func (f *flaky) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := func(status int, body string) (*http.Response, error) {
		h := http.Header{"Content-Type": {"application/json"}}
		if status == http.StatusTooManyRequests {
			h.Set("Retry-After", "3")
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
	switch f.upTo(5) {
	case 0:
		return answer(529, "")
	case 1:
		return answer(http.StatusTooManyRequests, "")
	case 2:
		return nil, errors.New("dial tcp: connection refused")
	case 3:
		select {
		case <-time.After(time.Duration(f.upTo(8000)) * time.Millisecond):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return answer(http.StatusOK, `{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}`)
}

// Whatever happens, what led to an attempt leads to the same one when it is read again from JSON and decided once more; and a snapshot says of
// each endpoint why it was chosen or not.
func TestChoicesReplay(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			world := &flaky{random: rand.New(rand.NewPCG(seed, 2))}
			conf := Config{Timeout: 15 * time.Second, WrapTransport: func(string, http.RoundTripper) http.RoundTripper { return world }}
			conf.Probes.By = []ProbeBy{ProbeToken, ProbeOff}[seed%2]
			for i := range 2 + random.IntN(4) {
				conf.Endpoints = append(conf.Endpoints, Endpoint{
					Name: fmt.Sprint("e", i), Provider: "openai-chat", URL: "http://e.test", KeySource: Literal("k"), Tier: random.IntN(2),
					Price: 1 + random.Float64(), Local: i == 3,
				})
			}
			client, err := New(conf)
			if err != nil {
				t.Fatal(err)
			}
			chosen := 0
			for range 60 {
				var trail Trail
				answer, err := client.Chat(context.Background(), &ChatRequest{Messages: Ask("Why?"), MaxOutputTokens: 10})
				if e, failed := errors.AsType[*Error](err); failed {
					trail = e.Trail
				} else {
					trail = answer.Trail
				}
				chosen += replay(t, trail)
				time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
			}
			if chosen == 0 {
				t.Error("nothing was chosen")
			}
			_ = client.Close()
		})
	}
}

// replayed decides once more on what was known.
func (c Choice) replayed() score.Choice {
	if c.choice.Index >= 0 && c.snapshot.Candidates[c.choice.Index].Local {
		return c.snapshot.Resort().Choice
	}
	return score.Choose(c.snapshot)
}

// replay decides once more on every choice of a Trail, and returns how many there are.
func replay(t *testing.T, trail Trail) int {
	t.Helper()
	text, err := json.Marshal(trail)
	var again Trail
	if err == nil {
		err = json.Unmarshal(text, &again)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range again.Choices {
		if got := c.replayed(); got.Index != c.choice.Index || got.Trial != c.choice.Trial {
			t.Errorf("decided %+v, and then %+v, on\n%s", c.choice, got, text)
		}
		if c.String() != trail.Choices[i].String() || strings.Contains(c.String(), ": \n") {
			t.Errorf("got %s, want what was said at first: %s", c, trail.Choices[i])
		}
		if a := trail.Attempts[c.Attempt()]; a.Endpoint != c.Endpoint() {
			t.Errorf("chose %s for an attempt at %s", c.Endpoint(), a.Endpoint)
		}
	}
	return len(again.Choices)
}

// The choice among what is nothing is nothing.
func TestNoChoice(t *testing.T) {
	t.Parallel()
	var none Choice
	if none.choice = (score.Choice{Index: -1, Reserve: -1}); none.Endpoint() != "" || len(none.Reasons()) != 0 || none.replayed().Index != -1 {
		t.Errorf("got %s", none)
	}
}
