package score

import (
	"sync"
	"time"
)

// Probe is what a probe is for.
type Probe uint8

// The kinds of probes.
const (
	NoProbe   Probe = iota
	ProbeOpen       // whether an open breaker may close
	ProbeCold       // how an endpoint answers that was never asked
	ProbeIdle       // how one answers now that was not asked for a while
	ProbeSlow       // the same of one that was slow when it was asked last, lest it stay out for good
)

const (
	idleAfter    = 15 * time.Second
	idleRequests = 20          // at least, from one idle probe to the next, so that they cost little beside the requests
	asleepAfter  = time.Minute // without requests no probes
)

// Probes says which probes there are, and keeps account of the requests they depend on; one serves all endpoints of a process. The zero
// Probes are those of open breakers, and of endpoints that were slow when they were asked last. Its exported fields must not change while it is used. Safe for concurrent use.
type Probes struct {
	// Cold and Idle allow those kinds too. Both cost money without anything having failed.
	Cold, Idle bool
	// Off allows none: instead, a request takes a probe's place now and then. See [Choice].Trial.
	Off bool

	mu       sync.Mutex
	started  time.Time // the last request
	requests int       // since the last idle probe
}

// Waiting reports that a request waits for an endpoint: probes go on.
func (p *Probes) Waiting(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started = now
}

// Started reports that a request of the user's started.
func (p *Probes) Started(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started = now
	p.requests++
}

func (p *Probes) awake(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.started.IsZero() && since(now, p.started) < asleepAfter
}

// takeIdle reports whether an idle probe may start, and takes it that it does.
func (p *Probes) takeIdle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.requests < idleRequests {
		return false
	}
	p.requests = 0
	return true
}

// ClaimProbe returns the probe that the caller is to start now, on behalf of a request that could go to this endpoint: one with a tiny
// prompt and an answer of one token, which takes ProbeTimeout at most. Its outcome is reported by Probed, ProbeFailed, ProbeLimited or
// ProbeAbandoned. One probe runs at a time. None is claimed where
// requests may not go because of a rate limit. It is urgent where a snapshot says so.
func (h *Health) ClaimProbe(now time.Time, allowed *Probes, urgent bool) Probe {
	if allowed.Off || h.prior.Local {
		return NoProbe
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.breaker.probing(now) || !allowed.awake(now) {
		return NoProbe
	}
	kind := NoProbe
	switch {
	case h.breaker.open:
		if h.breaker.due(now, h.lastOK, urgent) {
			kind = ProbeOpen
		}
	case allowed.Cold && h.cold:
		kind = ProbeCold
	case h.isSlow() && (h.brisk > 0 && since(now, h.last) >= shortly || h.isIdle(now) && allowed.takeIdle()):
		kind = ProbeSlow
	case allowed.Idle && h.isIdle(now) && allowed.takeIdle():
		kind = ProbeIdle
	}
	if kind != NoProbe {
		h.claim(now, kind)
	}
	return kind
}

func (h *Health) isSlow() bool { return h.streamed.isSlow() || h.whole.isSlow() }

func (h *Health) isIdle(now time.Time) bool {
	return h.last.IsZero() || since(now, h.last) >= idleAfter
}

// ClaimTrial reports whether a request that [Choose] made a trial may be one: another may have come first, and then the choice is to
// be made again. Its outcome is reported as that of a probe, and not as that of an attempt.
func (h *Health) ClaimTrial(now time.Time, urgent bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.breaker.due(now, h.lastOK, urgent) {
		return false
	}
	h.claim(now, ProbeOpen)
	return true
}

func (h *Health) claim(now time.Time, kind Probe) {
	h.breaker.probe, h.breaker.probeAt, h.cold = kind, now, false
}

// Probed reports that a probe went well, and how long it took to its first content; a negative time, as of a probe that asks for no
// content, tells nothing of latency. It reports whether the breaker closed.
func (h *Health) Probed(now time.Time, form Form, after time.Duration) (closed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answered(now)
	slow := h.breaker.probe == ProbeSlow
	h.breaker.probe = NoProbe
	closed = h.breaker.probed(now)
	if closed {
		h.tally = tally{}
		h.streamed.restore()
		h.whole.restore()
	}
	h.latency(form).Learn(now, after)
	if slow {
		h.quickened(after)
	}
	return closed
}

// quickened takes in how long a probe of a slow endpoint took. Two in a row that took no longer than is usual end the slowness.
func (h *Health) quickened(after time.Duration) {
	switch h.brisk++; {
	case after < 0 || !h.streamed.isUsual(after) || !h.isSlow():
		h.brisk = 0
	case h.brisk >= closesAt:
		h.brisk = 0
		h.streamed.recover()
		h.whole.recover()
	}
}

// ProbeFailed reports that a probe failed in any way that counts as a failure of an attempt, or took too long.
func (h *Health) ProbeFailed(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	kind := h.breaker.probe
	h.breaker.probe, h.brisk = NoProbe, 0
	if kind == ProbeCold || kind == ProbeIdle || kind == ProbeSlow || !h.breaker.open {
		h.failed(now)
		return
	}
	h.breaker.probeFailed(now, h.random)
}

// ProbeLimited reports that a probe was answered with a 429. The breaker stays as it is; the next probe follows after the backoff.
func (h *Health) ProbeLimited(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.breaker.probe = NoProbe
	h.headroom, h.headAt = 0, now
	if h.breaker.open {
		h.breaker.postpone(now, h.random)
	}
}

// ProbeAbandoned reports that a probe told nothing: it was cancelled, or refused for what is no matter of health. The next follows
// after the backoff.
func (h *Health) ProbeAbandoned(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.breaker.probe = NoProbe
	if h.breaker.open {
		h.breaker.postpone(now, h.random)
	}
}

// FollowUp returns how long it is until the probe is due that follows a good one to close the breaker, or to end a slowness, and whether there is to
// be one.
func (h *Health) FollowUp(now time.Time) (in time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.brisk > 0 {
		return max(0, shortly-since(now, h.last)), true
	}
	return h.breaker.probeIn(now), h.breaker.open && h.breaker.good > 0
}
