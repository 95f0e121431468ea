package holdfast

import (
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter is the longest wait a server may ask for; anything longer is taken for nonsense and ignored.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads how long a server asks to wait, 0 if it does not say anything sensible. The first of these that is
// usable counts: Retry-After-Ms, Retry-After as seconds or as an HTTP date (RFC 9110 §10.2.3; measured against the answer's own
// Date, since clocks differ), what the body said, and the reset of a rate limit that has nothing left.
func retryAfter(h http.Header, inBody time.Duration, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(strings.TrimSpace(h.Get("Retry-After-Ms")), 64); err == nil {
		if d := seconds(ms / 1000); d > 0 {
			return d
		}
	}
	if d := parseRetryAfter(h, now); d > 0 {
		return d
	}
	if inBody > 0 && inBody <= maxRetryAfter {
		return inBody
	}
	return resetOfEmptyLimit(h, now)
}

func parseRetryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if s, err := strconv.ParseFloat(value, 64); err == nil {
		return seconds(s)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return sensible(at.Sub(serverTime(h, now)))
}

// seconds turns a count into a wait, 0 if it is negative, NaN, or longer than a day.
func seconds(s float64) time.Duration {
	if math.IsNaN(s) || s <= 0 || s > maxRetryAfter.Seconds() {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}

func sensible(d time.Duration) time.Duration {
	if d <= 0 || d > maxRetryAfter {
		return 0
	}
	return d
}

// backoff is the wait before the nth repeat (from 0) when the server did not name one: 0.5 s·2^n, at most 8 s, less up to a
// quarter of it so that clients do not come back in step.
func backoff(n int) time.Duration {
	d := 8 * time.Second
	if n < 4 {
		d = 500 * time.Millisecond << n
	}
	return d - rand.N(d/4+1)
}
