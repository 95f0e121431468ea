// Package pace holds requests back before they run into the rate limits of an account. It knows of token buckets and of time, not of what is sent,
// reads no clock and starts nothing.
package pace

import (
	"sync"
	"sync/atomic"
	"time"
)

// Kind is what a limit counts.
type Kind uint8

// The kinds. Input and output are limited apart by some providers, together by others, and both by some.
const (
	Requests Kind = iota
	Tokens        // of input and output together
	Input
	Output

	Kinds = 4
)

// Cost is how many tokens a request is expected to take, as its provider counts them: some count the output that was asked for, some what is
// written, and most do not count input that was cached. The zero Cost is of a request whose tokens are not known.
type Cost struct{ Input, Output int }

// mostTokens is more than any limit, and small enough to be added up.
const mostTokens = 1 << 40

// of returns what the request takes of a limit.
func (c Cost) of(k Kind) int64 {
	input, output := min(max(0, int64(c.Input)), mostTokens), min(max(0, int64(c.Output)), mostTokens)
	switch k {
	case Requests:
		return 1
	case Input:
		return input
	case Output:
		return output
	}
	return input + output
}

// Mark is the moment at which a request was sent. The zero Mark is of one that was sent before anything was known.
type Mark struct {
	sent  time.Duration // since the first news; 0 before
	taken [Kinds]int64  // until then, with what the request takes itself
}

const (
	// mostWait is the longest that Wait demands. Who would wait longer asks elsewhere.
	mostWait = time.Minute
	// shareLife is for how long a share counts after the last news.
	shareLife = 5 * time.Second
	// setBack is how much earlier than the last time a time must be to tell of a clock that was set back. Goroutines overtake each other by less.
	setBack = time.Second
)

// Pacer mirrors the limits that an account has for one model: what remained of them by the last answer, less what was taken since, and more as time
// passes.
//
// Providers fill their limits continuously, and an answer says when a limit is full again, which tells how fast. Between answers, requests are under
// way of which the last one did not know yet: each takes its cost from the mirror as it is sent. An answer tells of a moment between its request and
// its arrival, without saying which, so the level it tells of is lowered by what was taken since its request was sent, as far as that is more than what
// came back in the same time. If requests reach the provider in about the order in which they were sent, that is too high only by what was sent in a
// burst while they travelled. Answers to requests that were sent before one that was answered already tell of the past, and count for nothing.
//
// Others may use the same account, unseen but for what is missing from one answer to the next. Each limit has a reserve for them: a tenth of it where
// nothing is missing, up to eight tenths where nearly all is. Below the reserve, requests are spaced out: at the rate at which the limit fills where the
// reserve is full, and at less the less is left. So the level falls to where all who share the limit take together what it gives, each about the same,
// and what remains of the reserve absorbs what they do not know of each other. Who is alone loses a tenth of the limit by it, once. It takes some
// requests to tell: many who share a limit of a few requests a minute run into it. For limits that do not fill continuously but all at once, pacing is no
// help and no harm.
//
// What is known is forgotten when no news came for as long as the limit takes to fill. The zero Pacer knows nothing and holds nothing back. Safe for
// concurrent use.
type Pacer struct {
	known atomic.Bool // nothing is, for most endpoints

	mu     sync.Mutex
	begun  time.Time     // of the first news
	clock  time.Duration // the latest time seen, since then
	taken  [Kinds]int64  // since the first news
	limits [Kinds]bucket
}

// Saw takes in what an answer said of a limit: its size, how much of it remains, and in how long it will be full again, 0 if it did not say. sent is what
// Took or Take returned for its request. What makes no sense is ignored.
func (p *Pacer) Saw(now time.Time, sent Mark, k Kind, limit, remaining int64, reset time.Duration) {
	if k >= Kinds || limit <= 0 || remaining < 0 || remaining > limit {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.known.Load() {
		p.begun = now
		p.known.Store(true)
	}
	at := p.since(now)
	n := news{
		limit: float64(limit), used: float64(limit - remaining), reset: max(0, reset).Seconds(),
		sent: sent.sent, order: sent.taken[Requests], own: float64(sent.taken[k]), taken: float64(p.taken[k] - sent.taken[k]),
	}
	if k != Requests && remaining%rounding == 0 {
		n.rounded = rounding / 2
	}
	p.limits[k].saw(at, n)
}

// rounding is what Anthropic rounds remaining tokens to.
const rounding = 1000

// Took reports that a request is sent, whatever Wait says. What it returns is for Saw, when the answer comes.
func (p *Pacer) Took(now time.Time, c Cost) Mark {
	if !p.known.Load() {
		return Mark{}
	}
	return p.took(now, c)
}

// Wait returns how long to wait until a request fits: 0 if it does or nothing is known, and at most a minute. It is an estimate: others may be
// faster. A request that is larger than a limit fits when the limit is full.
func (p *Pacer) Wait(now time.Time, c Cost) time.Duration {
	if !p.known.Load() {
		return 0
	}
	return p.fits(now, c)
}

// Take is Took if the request fits, and Wait if it does not, in one step: of many that wait for the same moment, one gets it.
func (p *Pacer) Take(now time.Time, c Cost) (Mark, time.Duration) {
	if !p.known.Load() {
		return Mark{}, 0
	}
	return p.takeIfFits(now, c)
}

// Share returns the smallest share that remains of a limit, from 0 to 1. It reports false if there was no news for five seconds.
func (p *Pacer) Share(now time.Time) (share float64, ok bool) {
	if !p.known.Load() {
		return 0, false
	}
	return p.least(now)
}

func (p *Pacer) took(now time.Time, c Cost) Mark {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.take(p.since(now), c)
}

func (p *Pacer) fits(now time.Time, c Cost) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wait(p.since(now), c)
}

func (p *Pacer) takeIfFits(now time.Time, c Cost) (Mark, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.since(now)
	if d := p.wait(at, c); d > 0 {
		return Mark{}, d
	}
	return p.take(at, c), 0
}

func (p *Pacer) least(now time.Time) (share float64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.since(now)
	share = 1
	for i := range p.limits {
		if b := &p.limits[i]; b.limit > 0 && at-b.heard <= shareLife {
			b.fill(at)
			share, ok = min(share, b.level), true
		}
	}
	if !ok {
		return 0, false
	}
	return share, true
}

// since returns the time since the first news. It does not go back: if the clock was set back, it goes on from the latest time.
func (p *Pacer) since(now time.Time) time.Duration {
	at := now.Sub(p.begun)
	if at < p.clock-setBack {
		p.begun = now.Add(-p.clock)
	}
	p.clock = max(p.clock, at)
	return p.clock
}

func (p *Pacer) take(at time.Duration, c Cost) Mark {
	for k := range Kind(Kinds) {
		n := c.of(k)
		p.taken[k] += n
		p.limits[k].take(at, float64(n))
	}
	return Mark{at, p.taken}
}

func (p *Pacer) wait(at time.Duration, c Cost) time.Duration {
	var longest time.Duration
	for k := range Kind(Kinds) {
		longest = max(longest, p.limits[k].wait(at, float64(c.of(k))))
	}
	return min(longest, mostWait)
}
