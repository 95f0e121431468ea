package score

import "time"

// What a second of waiting is worth.
const (
	failureCosts = 2.0 // seconds, the time that a retry takes
	priceCosts   = 0.5 // for each time that the price is above the cheapest
	emptyCosts   = 0.3 // where nothing is left of a limit
	nearlyEmpty  = 0.2 // from this share on
)

// State is the health of an endpoint at one moment, as a value. Times are told from that moment, so that it needs no clock to be read
// and is the same after a way through JSON.
type State struct {
	Tier     int           `json:"tier,omitempty"`
	Local    bool          `json:"local,omitempty"`
	Price    float64       `json:"price"`
	Median   time.Duration `json:"median"` // latency
	P99      time.Duration `json:"p99"`
	Hedge    time.Duration `json:"hedge"`          // how long to wait for content before a reserve is started
	Usual    time.Duration `json:"usual"`          // Hedge, by what the endpoint took before a trouble
	Slow     bool          `json:"slow,omitempty"` // the latency is much longer than is usual
	Failures float64       `json:"failures"`       // share of attempts
	Headroom float64       `json:"headroom"`       // share of the account's limits; 1 if unknown

	Breaker     Position      `json:"breaker"`
	Consecutive int           `json:"consecutive,omitempty"` // failures in a row
	LastOK      time.Duration `json:"last_ok"`               // so long ago; negative: never
	BlockedFor  time.Duration `json:"blocked_for,omitempty"` // by a rate limit (see [Block]); 0 or less: not
	ProbeIn     time.Duration `json:"probe_in,omitempty"`    // where the breaker is open; 0 or less: it is due
	Probing     bool          `json:"probing,omitempty"`     // a probe, or a trial, is under way
	UrgentIn    time.Duration `json:"urgent_in,omitempty"`   // ProbeIn, where no endpoint takes requests. See [Snapshot.Hurry]
}

// State returns how well the endpoint answers in a form now. Rate limits depend on who asks for which model, so that BlockedFor is the
// caller's to fill in.
func (h *Health) State(now time.Time, form Form) State {
	h.mu.Lock()
	defer h.mu.Unlock()
	latency := h.latency(form)
	s := State{
		Tier: h.prior.Tier, Local: h.prior.Local, Price: h.prior.Price,
		Median: latency.median, P99: latency.high, Slow: latency.isSlow(),
		Failures: h.tally.share(now, h.prior.Failure), Headroom: 1,
		Breaker: h.breaker.position(now, h.lastOK), Consecutive: h.breaker.failures, LastOK: -1,
		ProbeIn: h.breaker.probeIn(now), UrgentIn: h.breaker.urgentIn(now, h.lastOK), Probing: h.breaker.probing(now),
	}
	s.Hedge = max(leastHedge, scaled(s.P99, hedgeAt))
	s.Usual = max(leastHedge, scaled(latency.usually(), hedgeAt))
	if !h.lastOK.IsZero() {
		s.LastOK = since(now, h.lastOK)
	}
	if !h.headAt.IsZero() && since(now, h.headAt) <= headroomLife {
		s.Headroom = h.headroom
	}
	return s
}

// Score returns what it costs to ask the endpoint, in seconds of waiting: the less the better.
func (s *State) Score() float64 {
	wait, failures, price, empty := s.Costs()
	return wait + failures + price + empty
}

// Costs returns what the score is made of, in seconds: the wait for content, what failures cost, what the price is worth, and what speaks for
// sparing an account that is nearly empty.
func (s *State) Costs() (wait, failures, price, empty float64) {
	return s.Median.Seconds(), failureCosts * s.Failures, priceCosts * (s.Price - 1), emptyCosts * max(0, 1-s.Headroom/nearlyEmpty)
}

// due reports whether a probe is due.
func (s *State) due() bool {
	return s.Breaker != Closed && !s.Probing && s.ProbeIn <= 0 && s.BlockedFor <= 0
}
