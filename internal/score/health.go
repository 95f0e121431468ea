// Package score judges endpoints by what became of the attempts there, and so tells which to ask next. It knows of time and of failures,
// not of what is sent, reads no clock and starts nothing.
package score

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// DefaultExpectedWhole is the time expected of a whole answer of which nothing is known: half a second to its first content and two to
// write it.
const DefaultExpectedWhole = 2500 * time.Millisecond

// DefaultFailure is the share of attempts that is expected to fail at an endpoint of which nothing is known.
const DefaultFailure = 0.02

const (
	beginsOpen   = 0.5 // an endpoint expected to fail this often is probed before it is used
	dearest      = 1e6
	headroomLife = 5 * time.Second
)

// Form is how an answer is asked for. Latency is learned for each form apart.
type Form uint8

// The forms, and what their latency is.
const (
	Streamed Form = iota // from the request to the first content
	Whole                // from the request to the end
)

// Prior is what is known of an endpoint before anything is learned. The zero Prior is one of which nothing is.
type Prior struct {
	Expected      time.Duration // of a streamed answer; 0 or less means DefaultExpected
	ExpectedWhole time.Duration // of a whole one; 0 or less means DefaultExpectedWhole
	Failure       float64       // share of attempts that fails, from 0 to 1; 0 means DefaultFailure. From 0.5 on, the breaker begins open
	Price         float64       // 1 for the cheapest endpoint; 0 means 1
	Tier          int           // the lowest that answers is asked
	Local         bool          // the last resort: its breaker never opens and it is never probed
}

// withDefaults puts the default in the place of what makes no sense.
func (p Prior) withDefaults() Prior {
	if p.ExpectedWhole <= 0 {
		p.ExpectedWhole = DefaultExpectedWhole
	}
	if !(p.Failure > 0) {
		p.Failure = DefaultFailure
	}
	p.Failure = min(p.Failure, 1)
	if !(p.Price > 0) {
		p.Price = 1
	}
	p.Price = min(p.Price, dearest)
	return p
}

// Health is what is known of how well one endpoint answers. Each attempt there reports what became of it, once for its first content or for
// the lack of it; each probe likewise. Safe for concurrent use.
type Health struct {
	prior  Prior
	random func() float64

	mu       sync.Mutex
	tally    tally
	streamed *Latency
	whole    *Latency
	breaker  breaker
	headroom float64
	headAt   time.Time
	lastOK   time.Time
	last     time.Time // of what is known of the endpoint, good or bad
	cold     bool      // nothing is, and no probe has asked
	troubled bool      // an estimate of latency is kept from before it was late
	unheard  float64   // how surprising it is, in sum, that attempts waited in vain since there was content, each of them for too short to tell
	brisk    int       // probes in a row that took no longer than is usual, of an endpoint that was slow
}

// NewHealth returns the health of an endpoint of which only the prior is known. random returns numbers from 0 up to 1, and is called with
// the endpoint locked; nil means [rand.Float64].
func NewHealth(p Prior, now time.Time, random func() float64) *Health {
	p = p.withDefaults()
	h := &Health{
		prior: p, random: random, streamed: NewLatency(p.Expected), whole: NewLatency(p.ExpectedWhole),
		breaker: breaker{backoff: leastBackoff}, headroom: 1, cold: true,
	}
	if p.Failure >= beginsOpen && !p.Local {
		h.breaker.open, h.breaker.nextProbe = true, now
	}
	return h
}

// Content reports that the first content came so long after the request, or a whole answer. A negative time tells nothing of latency. It
// reports whether that is news: whether the endpoint failed the last time.
func (h *Health) Content(now time.Time, form Form, after time.Duration) (news bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	news = h.breaker.open || h.breaker.failures > 0
	h.answered(now)
	if h.troubled && !h.breaker.open {
		h.troubled = false
		h.streamed.forget()
		h.whole.forget()
	}
	h.latency(form).LearnAnswer(now, after)
	return news
}

// Failed reports a failure before any content: DNS, TLS, refused, reset, 5xx, overloaded.
func (h *Health) Failed(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed(now)
}

// Late reports that no content came within three hedge points. The attempt may go on, and content that comes yet is still reported; a failure
// or the end of the attempt is not.
func (h *Health) Late(now time.Time, form Form, waited time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.late(now, form, waited)
}

// IsLate reports whether a wait for content is so long that it says something of the endpoint, whoever ended it and why.
func (h *Health) IsLate(form Form, waited time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return waited >= h.latency(form).Late()
}

// GivenUp reports that an attempt was cancelled before any content, because another won or the deadline came. It counts as a failure
// if the endpoint took longer than it does nearly always, and reports whether it did; also if many were cancelled earlier without any content between
// them, so that those who have little time find out too. It is not for attempts that were Late.
func (h *Health) GivenUp(now time.Time, form Form, waited time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	late := h.latency(form).Late()
	if waited < late {
		if h.unheard += h.latency(form).surprise(waited); h.unheard < surprising {
			return false
		}
	}
	h.late(now, form, waited)
	return true
}

// Broke reports that an answer was cut, or fell silent, after its first content.
func (h *Health) Broke(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tally.decay(now)
	h.tally.bad++
}

// Limited reports a 429, which is no failure: nothing is left of a limit. See [Block] for how long.
func (h *Health) Limited(now time.Time) { h.Headroom(now, 0) }

// Headroom reports which shares of its limits the account has left, such as those of requests and of tokens; the smallest counts, for five
// seconds. Negative, infinite and NaN shares, as come of a limit of 0 or -1, are unknown.
func (h *Health) Headroom(now time.Time, left ...float64) {
	least := math.Inf(1)
	for _, share := range left {
		if share >= 0 {
			least = min(least, share)
		}
	}
	if math.IsInf(least, 1) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.headroom, h.headAt = min(least, 1), now
}

func (h *Health) answered(now time.Time) {
	h.tally.decay(now)
	h.tally.ok++
	h.breaker.failures, h.unheard = 0, 0
	h.lastOK, h.last, h.cold = now, now, false
}

func (h *Health) failed(now time.Time) {
	h.tally.decay(now)
	h.tally.bad++
	h.last, h.cold = now, false
	h.breaker.failures++
	if !h.prior.Local {
		h.breaker.trip(now, h.random)
	}
}

func (h *Health) late(now time.Time, form Form, waited time.Duration) {
	h.troubled = true
	h.streamed.keep()
	h.whole.keep()
	h.failed(now)
	h.latency(form).Learn(now, waited)
}

func (h *Health) latency(form Form) *Latency {
	if form == Whole {
		return h.whole
	}
	return h.streamed
}

// since returns how long ago t was; 0 if it lies ahead, since the clock was set back.
func since(now, t time.Time) time.Duration { return max(0, now.Sub(t)) }

// until returns how long it is to t: 0 if t has passed, or lies further ahead than it can, since the clock was set back.
func until(now, t time.Time, most time.Duration) time.Duration {
	d := t.Sub(now)
	if d > most {
		return 0
	}
	return max(0, d)
}

// between returns a random number between two. Whatever the source returns, it does not lie beyond them.
func between(least, most float64, random func() float64) float64 {
	if random == nil {
		random = rand.Float64
	}
	u := random()
	if !(u > 0) {
		u = 0
	}
	return least + (most-least)*min(u, 1)
}

// scaled returns d times f, for an f and a d that are small.
func scaled(d time.Duration, f float64) time.Duration { return time.Duration(float64(d) * f) }
