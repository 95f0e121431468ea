package holdfast

import (
	"net/http"
	"strconv"
	"time"

	"github.com/holdfast-ai/holdfast/internal/pace"
)

// A limit is what an answer's head says of one rate limit of the account, for the model that answered.
type limit struct {
	kind      pace.Kind
	limit     int64         // more than 0
	remaining int64         // from 0 to limit
	reset     time.Duration // until the limit is full again, at most a day; 0 if unknown
}

// limitHeader names the headers that tell of one limit, in canonical form.
type limitHeader struct {
	kind                    pace.Kind
	limit, remaining, reset string
}

// limitHeaders are the limits that providers tell of. The first four are Anthropic's. The others are OpenAI's, with the limit of a project and an
// older name for that of tokens, and those of many servers that speak as it does.
//
// Anthropic's limits of its Priority Tier (anthropic-priority-…) are not among them: what goes beyond those is served in the standard tier, and
// what is served in the Priority Tier counts against the standard limits too, so these alone decide what is refused
// (https://platform.claude.com/docs/en/api/service-tiers).
var limitHeaders = [...]limitHeader{
	anthropicLimit(pace.Requests, "Requests"),
	anthropicLimit(pace.Tokens, "Tokens"),
	anthropicLimit(pace.Input, "Input-Tokens"),
	anthropicLimit(pace.Output, "Output-Tokens"),
	openAILimit(pace.Requests, "Requests"),
	openAILimit(pace.Tokens, "Tokens"),
	openAILimit(pace.Tokens, "Project-Tokens"),
	openAILimit(pace.Tokens, "Tokens_usage_based"),
}

func anthropicLimit(k pace.Kind, of string) limitHeader {
	const family = "Anthropic-Ratelimit-"
	return limitHeader{k, family + of + "-Limit", family + of + "-Remaining", family + of + "-Reset"}
}

func openAILimit(k pace.Kind, of string) limitHeader {
	const family = "X-Ratelimit-"
	return limitHeader{k, family + "Limit-" + of, family + "Remaining-" + of, family + "Reset-" + of}
}

// readLimits returns the rate limits that an answer's head tells of: the first count of limits, at most one of a kind. Where it tells of two, the
// one with less remaining counts. What makes no sense is unknown and left out, as are limits without a size: Azure sends 0 and -1 where it does
// not know, and nothing but what remains elsewhere.
func readLimits(h http.Header, now time.Time) (limits [pace.Kinds]limit, count int) {
	asked := false // for the server's time
	for i := range limitHeaders {
		l, ok := limitHeaders[i].read(h)
		if !ok {
			continue
		}
		at := 0
		for at < count && limits[at].kind != l.kind {
			at++
		}
		if at == count {
			count++
		} else if limits[at].remaining <= l.remaining {
			continue
		}
		reset := headerValue(h, limitHeaders[i].reset)
		if isTime(reset) && !asked {
			now, asked = serverTime(h, now), true
		}
		l.reset = parseReset(reset, now)
		limits[at] = l
	}
	return limits, count
}

// read reads one limit but for its reset. It reports false if there is none.
func (n *limitHeader) read(h http.Header) (l limit, ok bool) {
	text := headerValue(h, n.remaining)
	if text == "" { // as in most heads
		return limit{}, false
	}
	l.kind = n.kind
	if l.remaining, ok = parseCount(text); !ok {
		return limit{}, false
	}
	if l.limit, ok = parseCount(headerValue(h, n.limit)); !ok {
		return limit{}, false
	}
	return l, l.limit > 0 && l.remaining <= l.limit
}

// headerValue returns the first value of a header whose name is in canonical form. It is [http.Header.Get] without a look at the name.
func headerValue(h http.Header, name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// mostCount has so many digits. More tokens a minute are nobody's limit but a number that stands for none.
const mostCount = 15

// parseCount reads a count of requests or tokens: digits and nothing else, so that -1 is none.
func parseCount(s string) (n int64, ok bool) {
	if s == "" || len(s) > mostCount {
		return 0, false
	}
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = 10*n + int64(d)
	}
	return n, true
}

// resetOfEmptyLimit returns the longest reset among the limits of which 0 is left.
func resetOfEmptyLimit(h http.Header, now time.Time) time.Duration {
	var longest time.Duration
	for i := range limitHeaders {
		if n := &limitHeaders[i]; headerValue(h, n.remaining) == "0" {
			longest = max(longest, parseReset(headerValue(h, n.reset), now))
		}
	}
	return longest
}

// parseReset reads a reset in any of the forms seen: "6m0s", "1.5", RFC 3339. It is 0 if it is none of these, has passed, or is more than a day.
func parseReset(value string, now time.Time) time.Duration {
	if isTime(value) { // first, as a parser that fails allocates its error
		if at, err := time.Parse(time.RFC3339, value); err == nil {
			return sensible(at.Sub(now))
		}
		return 0
	}
	if isNumber(value) {
		if s, err := strconv.ParseFloat(value, 64); err == nil {
			return seconds(s)
		}
	}
	if d, err := time.ParseDuration(value); err == nil {
		return sensible(d)
	}
	return 0
}

// isTime reports whether a reset can be nothing but a time: all durations and numbers that make sense are shorter.
func isTime(value string) bool { return len(value) >= len("2006-01-02T15:04:05Z") && value[4] == '-' }

// isNumber reports whether a reset has no unit.
func isNumber(value string) bool {
	last := len(value) - 1
	return last >= 0 && ('0' <= value[last] && value[last] <= '9' || value[last] == '.')
}

// serverTime returns the time by the clock of the server that sent the head, or now if it does not say: clocks differ.
func serverTime(h http.Header, now time.Time) time.Time {
	if date, err := http.ParseTime(headerValue(h, "Date")); err == nil {
		return date
	}
	return now
}
