package holdfast_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// account is a provider's token bucket of requests, with the headers that tell of it.
type account struct {
	headers string // whose
	limit   float64
	second  float64 // what comes back in a second

	mu      sync.Mutex
	level   float64
	at      time.Time
	refused int
	served  int
}

func (a *account) reply(r holdfasttest.Request) holdfasttest.Reply {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.level = min(a.limit, a.level+r.At.Sub(a.at).Seconds()*a.second)
	a.at = r.At
	if a.level < 1 {
		a.refused++
		return holdfasttest.Reply{Error: holdfasttest.RateLimited, RetryAfter: "1", Header: a.header()}
	}
	a.level--
	a.served++
	return holdfasttest.Reply{BeforeFirst: 300 * time.Millisecond, Header: a.header()}
}

func (a *account) header() http.Header {
	limit, left := strconv.Itoa(int(a.limit)), strconv.Itoa(int(a.level))
	full := time.Duration((a.limit - a.level) / a.second * float64(time.Second))
	if a.headers == "claude" {
		return http.Header{
			"Anthropic-Ratelimit-Requests-Limit": {limit}, "Anthropic-Ratelimit-Requests-Remaining": {left},
			"Anthropic-Ratelimit-Requests-Reset": {a.at.Add(full).Format(time.RFC3339)},
		}
	}
	return http.Header{"X-Ratelimit-Limit-Requests": {limit}, "X-Ratelimit-Remaining-Requests": {left}, "X-Ratelimit-Reset-Requests": {full.String()}}
}

// Calls are held back before the wall: hardly any runs into a 429, and what the account gives is used.
func TestPace(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"claude", "chat"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *house) {
				a := &account{headers: name, limit: 60, second: 1, level: 60, at: time.Now()}
				h.endpoint("a", speakerOf(name)).Respond(a.reply)
				client := h.open(t)
				var calls sync.WaitGroup
				var mu sync.Mutex
				failed := 0
				const seconds = 120
				for i := range 3 * seconds { // three a second, of which one comes back
					calls.Go(func() {
						time.Sleep(time.Duration(i) * time.Second / 3)
						ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
						defer cancel()
						if _, err := client.Chat(ctx, &holdfast.ChatRequest{Messages: holdfast.Ask(fmt.Sprint("Why? ", i))}); err != nil {
							mu.Lock()
							failed++
							mu.Unlock()
						}
					})
				}
				calls.Wait()
				room := 60 + seconds
				t.Logf("%d served of %d that there was room for, %d refused, %d failed", a.served, room, a.refused, failed)
				if a.refused > a.served/20 || a.served < room*85/100 {
					t.Errorf("%d served of %d that there was room for, and %d refused", a.served, room, a.refused)
				}
				if left := client.Status().Endpoints[0].Health.Headroom; left > 0.5 {
					t.Errorf("Status tells of a headroom of %v", left)
				}
			})
		})
	}
}

// An account that has room again in a moment is waited for before a call leaves the tier; one that has none for long is not.
func TestPaceAndTiers(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		a := &account{limit: 5, second: 2, level: 5, at: time.Now()}
		h.endpoint("a", speakerOf("chat")).Respond(a.reply)
		h.endpoint("b", speakerOf("chat"), holdfasttest.Reply{})
		h.conf.Endpoints[1].Tier = 1
		client := h.open(t)
		by := map[string]int{}
		for range 40 { // as many as there is room for, but not evenly
			for range 2 {
				answer, err := client.Chat(t.Context(), why())
				if err != nil {
					t.Fatal(err)
				}
				by[answer.Endpoint]++
			}
			time.Sleep(500 * time.Millisecond)
		}
		if by["a"] < 60 {
			t.Errorf("answered by %v, want a for most", by)
		}
		a.mu.Lock()
		a.second, a.level = 0.01, 0
		a.mu.Unlock()
		time.Sleep(10 * time.Second)
		begun := time.Now()
		for range 5 {
			if _, err := client.Chat(t.Context(), why()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("five calls took %v, want the next tier where this one has no room", took)
		}
	})
}
