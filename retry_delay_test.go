package holdfast

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		header map[string]string
		inBody time.Duration
		want   time.Duration
	}{
		{"none", nil, 0, 0},
		{"seconds", map[string]string{"Retry-After": "2"}, 0, 2 * time.Second},
		{"fractions", map[string]string{"Retry-After": "0.25"}, 0, 250 * time.Millisecond},
		{"milliseconds win", map[string]string{"Retry-After": "2", "Retry-After-Ms": "150"}, 0, 150 * time.Millisecond},
		{"nonsense milliseconds give way", map[string]string{"Retry-After": "2", "Retry-After-Ms": "soon"}, 0, 2 * time.Second},
		{"an hour", map[string]string{"Retry-After": "3600"}, 0, time.Hour},
		{"a date", map[string]string{"Retry-After": "Tue, 24 Nov 2026 12:00:07 GMT"}, 0, 7 * time.Second},
		{
			"a date by the server's clock",
			map[string]string{"Retry-After": "Tue, 24 Nov 2026 09:00:07 GMT", "Date": "Tue, 24 Nov 2026 09:00:00 GMT"},
			0, 7 * time.Second,
		},
		{"a date in the past", map[string]string{"Retry-After": "Tue, 24 Nov 2026 11:00:00 GMT"}, 0, 0},
		{"negative", map[string]string{"Retry-After": "-5"}, 0, 0},
		{"NaN", map[string]string{"Retry-After": "NaN"}, 0, 0},
		{"infinite", map[string]string{"Retry-After": "+Inf"}, 0, 0},
		{"absurd", map[string]string{"Retry-After": "86401"}, 0, 0},
		{"nonsense", map[string]string{"Retry-After": "tomorrow"}, 0, 0},
		{"zero", map[string]string{"Retry-After": "0"}, 0, 0},
		{"in the body", nil, 34 * time.Second, 34 * time.Second},
		{"the header before the body", map[string]string{"Retry-After": "1"}, 34 * time.Second, time.Second},
		{"an absurd body", nil, 25 * time.Hour, 0},
		{
			"the reset of an empty limit",
			map[string]string{"Anthropic-Ratelimit-Tokens-Remaining": "0", "Anthropic-Ratelimit-Tokens-Reset": "2026-11-24T12:00:09Z"},
			0, 9 * time.Second,
		},
		{
			"the longest of two",
			map[string]string{
				"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "12ms",
				"X-Ratelimit-Remaining-Tokens": "0", "X-Ratelimit-Reset-Tokens": "1m3.5s",
			},
			0, 63500 * time.Millisecond,
		},
		{
			"a limit with something left",
			map[string]string{"X-Ratelimit-Remaining-Requests": "3", "X-Ratelimit-Reset-Requests": "6m0s"},
			0, 0,
		},
		{"plain seconds", map[string]string{"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "8"}, 0, 8 * time.Second},
		{"an odd -1", map[string]string{"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "-1"}, 0, 0},
	} {
		h := http.Header{}
		for k, v := range c.header {
			h.Set(k, v)
		}
		if got := retryAfter(h, c.inBody, now); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for n, full := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 8 * time.Second} {
		for range 100 {
			if got := backoff(n); got > full || got < full*3/4 {
				t.Fatalf("backoff(%d): got %v, want between %v and %v", n, got, full*3/4, full)
			}
		}
	}
}
