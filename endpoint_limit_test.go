package holdfast

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-ai/holdfast/internal/pace"
)

var limitsAt = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// head makes a head of lines such as "retry-after: 2".
func head(lines string) http.Header {
	h := http.Header{}
	for line := range strings.Lines(lines) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	return h
}

const claudeHead = `
	date: Tue, 24 Nov 2026 12:00:00 GMT
	anthropic-ratelimit-requests-limit: 4000
	anthropic-ratelimit-requests-remaining: 3999
	anthropic-ratelimit-requests-reset: 2026-11-24T12:00:01Z
	anthropic-ratelimit-tokens-limit: 480000
	anthropic-ratelimit-tokens-remaining: 450000
	anthropic-ratelimit-tokens-reset: 2026-11-24T12:00:05Z
	anthropic-ratelimit-input-tokens-limit: 400000
	anthropic-ratelimit-input-tokens-remaining: 380000
	anthropic-ratelimit-input-tokens-reset: 2026-11-24T12:00:03Z
	anthropic-ratelimit-output-tokens-limit: 80000
	anthropic-ratelimit-output-tokens-remaining: 70000
	anthropic-ratelimit-output-tokens-reset: 2026-11-24T12:00:07Z
	anthropic-priority-input-tokens-limit: 10000
	anthropic-priority-input-tokens-remaining: 0
	anthropic-priority-input-tokens-reset: 2026-11-24T12:01:00Z`

const chatHead = `
	x-ratelimit-limit-requests: 5000
	x-ratelimit-remaining-requests: 4999
	x-ratelimit-reset-requests: 12ms
	x-ratelimit-limit-tokens: 160000
	x-ratelimit-remaining-tokens: 159976
	x-ratelimit-reset-tokens: 1m3.5s`

func TestReadLimits(t *testing.T) {
	t.Parallel()
	const ms, second = time.Millisecond, time.Second
	for name, c := range map[string]struct {
		head string
		want []limit
	}{
		"none":               {"content-type: text/event-stream", nil},
		"nothing but a wait": {"retry-after: 3", nil},
		"Anthropic": {claudeHead, []limit{
			{pace.Requests, 4000, 3999, second},
			{pace.Tokens, 480_000, 450_000, 5 * second},
			{pace.Input, 400_000, 380_000, 3 * second},
			{pace.Output, 80_000, 70_000, 7 * second},
		}},
		"by the server's clock": {
			`date: Tue, 24 Nov 2026 09:00:00 GMT
			anthropic-ratelimit-tokens-limit: 10
			anthropic-ratelimit-tokens-remaining: 5
			anthropic-ratelimit-tokens-reset: 2026-11-24T09:00:05Z`,
			[]limit{{pace.Tokens, 10, 5, 5 * second}},
		},
		"by ours, if it does not say": {
			`date: today
			anthropic-ratelimit-tokens-limit: 10
			anthropic-ratelimit-tokens-remaining: 5
			anthropic-ratelimit-tokens-reset: 2026-11-24T12:00:05+00:00`,
			[]limit{{pace.Tokens, 10, 5, 5 * second}},
		},
		"OpenAI": {chatHead, []limit{{pace.Requests, 5000, 4999, 12 * ms}, {pace.Tokens, 160_000, 159_976, 63_500 * ms}}},
		"a project with less": {
			chatHead + `
			x-ratelimit-limit-project-tokens: 100000
			x-ratelimit-remaining-project-tokens: 2000
			x-ratelimit-reset-project-tokens: 59s`,
			[]limit{{pace.Requests, 5000, 4999, 12 * ms}, {pace.Tokens, 100_000, 2000, 59 * second}},
		},
		"a project with more": {
			chatHead + `
			x-ratelimit-limit-project-tokens: 900000
			x-ratelimit-remaining-project-tokens: 800000`,
			[]limit{{pace.Requests, 5000, 4999, 12 * ms}, {pace.Tokens, 160_000, 159_976, 63_500 * ms}},
		},
		"an older name": {
			`x-ratelimit-limit-tokens_usage_based: 160000
			x-ratelimit-remaining-tokens_usage_based: 3
			x-ratelimit-reset-tokens_usage_based: 9ms`,
			[]limit{{pace.Tokens, 160_000, 3, 9 * ms}},
		},
		"Azure, in plain seconds": {
			`x-ratelimit-limit-tokens: 50000
			x-ratelimit-remaining-tokens: 0
			x-ratelimit-reset-tokens: 31`,
			[]limit{{pace.Tokens, 50_000, 0, 31 * second}},
		},
		"Azure, which does not know": {
			`x-ratelimit-limit-tokens: -1
			x-ratelimit-remaining-tokens: -1
			x-ratelimit-reset-tokens: 0
			x-ratelimit-limit-requests: 0
			x-ratelimit-remaining-requests: 0
			x-ratelimit-reset-requests: 0`, nil,
		},
		"Azure, without limits": {"x-ratelimit-remaining-requests: 79\nx-ratelimit-remaining-tokens: 61353", nil},
		"more than there is":    {"x-ratelimit-limit-tokens: 5\nx-ratelimit-remaining-tokens: 6", nil},
		"no reset":              {"x-ratelimit-limit-tokens: 5\nx-ratelimit-remaining-tokens: 5", []limit{{pace.Tokens, 5, 5, 0}}},
		"a reset that passed": {
			`anthropic-ratelimit-tokens-limit: 10
			anthropic-ratelimit-tokens-remaining: 10
			anthropic-ratelimit-tokens-reset: 2026-11-24T11:59:59Z`,
			[]limit{{pace.Tokens, 10, 10, 0}},
		},
		"an absurd reset": {
			"x-ratelimit-limit-tokens: 5\nx-ratelimit-remaining-tokens: 4\nx-ratelimit-reset-tokens: 25h",
			[]limit{{pace.Tokens, 5, 4, 0}},
		},
		"a limit that stands for none": {"x-ratelimit-limit-tokens: 9223372036854775807\nx-ratelimit-remaining-tokens: 5", nil},
		"no numbers":                   {"x-ratelimit-limit-tokens: many\nx-ratelimit-remaining-tokens: 5", nil},
		"not all of it":                {"x-ratelimit-limit-tokens: 100, 100;w=60\nx-ratelimit-remaining-tokens: 5", nil},
		"empty":                        {"x-ratelimit-limit-tokens:\nx-ratelimit-remaining-tokens:", nil},
		"the first of two":             {"x-ratelimit-limit-tokens: 9\nx-ratelimit-remaining-tokens: 5\nx-ratelimit-remaining-tokens: 4", []limit{{pace.Tokens, 9, 5, 0}}},
	} {
		got, n := readLimits(head(c.head), limitsAt)
		if !slices.Equal(got[:n], c.want) {
			t.Errorf("%s: got %v, want %v", name, got[:n], c.want)
		}
	}
}

func TestParseReset(t *testing.T) {
	t.Parallel()
	const ms, second = time.Millisecond, time.Second
	for value, want := range map[string]time.Duration{
		"12ms": 12 * ms, "1s": second, "6m0s": 360 * second, "1h2m3.5s": 3_723_500 * ms, "2m59.56s": 179_560 * ms,
		"8": 8 * second, "0.5": 500 * ms, "1.": second, "1e2": 100 * second, "0": 0, "-1": 0, "86400": 24 * time.Hour, "86401": 0,
		"2026-11-24T12:00:09Z": 9 * second, "2026-11-24T12:00:09.25Z": 9250 * ms, "2026-11-24T14:00:09+02:00": 9 * second,
		"2026-11-24T11:00:00Z": 0, "2026-11-26T12:00:09Z": 0, "2026-11-24 12:00:09.000": 0, "1764000000": 0,
		"": 0, "soon": 0, "soon2": 0, "NaN": 0, "Inf": 0, "-5s": 0, "9999999h": 0, ".": 0,
	} {
		if got := parseReset(value, limitsAt); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

// Names that are not in canonical form are never found.
func TestLimitHeadersAreCanonical(t *testing.T) {
	t.Parallel()
	for _, l := range limitHeaders {
		for _, name := range []string{l.limit, l.remaining, l.reset} {
			if want := http.CanonicalHeaderKey(name); name != want {
				t.Errorf("got %q, want %q", name, want)
			}
		}
	}
}

func TestReadingLimitsAllocatesNothing(t *testing.T) {
	for _, lines := range []string{"content-type: application/json", claudeHead, chatHead} {
		h := head(lines)
		if n := testing.AllocsPerRun(100, func() { readLimits(h, limitsAt) }); n > 0 {
			t.Errorf("got %v allocations for %s", n, lines)
		}
	}
}

// FuzzReadLimits demands that no value is read that makes no sense, whatever the headers say.
func FuzzReadLimits(f *testing.F) {
	f.Add("4000", "3999", "2026-11-24T12:00:01Z", "Tue, 24 Nov 2026 12:00:00 GMT")
	f.Add("160000", "159976", "1m3.5s", "")
	f.Add("-1", "-1", "0", "today")
	f.Add("9223372036854775808", "99999999999999999999", "9e999", "")
	f.Fuzz(func(t *testing.T, most, remaining, reset, date string) {
		h := http.Header{"Date": {date}, "Retry-After": {}}
		for _, l := range limitHeaders {
			h[l.limit], h[l.remaining], h[l.reset] = []string{most}, []string{remaining}, []string{reset}
		}
		got, n := readLimits(h, limitsAt)
		for i, l := range got[:n] {
			if l.kind >= pace.Kinds || l.limit <= 0 || l.remaining < 0 || l.remaining > l.limit || l.reset < 0 || l.reset > maxRetryAfter {
				t.Errorf("got %+v", l)
			}
			if slices.ContainsFunc(got[:i], func(other limit) bool { return other.kind == l.kind }) {
				t.Errorf("got two of kind %v", l.kind)
			}
		}
		if d := resetOfEmptyLimit(h, limitsAt); d < 0 || d > maxRetryAfter {
			t.Errorf("got a reset of %v", d)
		}
	})
}

func BenchmarkReadLimits(b *testing.B) {
	for name, lines := range map[string]string{"none": "content-type: application/json\ndate: now\nserver: x", "Anthropic": claudeHead, "OpenAI": chatHead} {
		h := head(lines)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				readLimits(h, limitsAt)
			}
		})
	}
}
