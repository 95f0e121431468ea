package holdfast

import (
	"slices"
	"time"

	"github.com/holdfast-ai/holdfast/internal/score"
)

// Status is what a client knows of its endpoints at one moment. It holds no key, prompt or answer, and can be logged and stored.
type Status struct {
	// At is the moment.
	At time.Time `json:"at"`
	// Endpoints are in the order of the configuration.
	Endpoints []EndpointStatus `json:"endpoints"`
	// RetryBudget is how many attempts beyond their first all calls together may still make: of 100, or of as many as there are calls
	// under way if these are more, without those that wait. Calls that are answered in the end give back what they took, and half an attempt
	// more; those that fail give back nothing. So retries dry up when they are of no use. A few of those that wait are let ask beside it, when an
	// endpoint or a probe answers.
	RetryBudget float64 `json:"retry_budget"`
	// Waiting is how many calls wait for an endpoint to become usable, or for their turn there. See [RetryPolicy].Park.
	Waiting int `json:"waiting"`
}

// EndpointStatus is what a client knows of one endpoint.
type EndpointStatus struct {
	Name     string `json:"name"`
	Provider string `json:"provider"`
	Tier     int    `json:"tier"`
	Local    bool   `json:"local,omitempty"`
	// Region, Countries and ExceptCountries are those of the configuration.
	Region          string   `json:"region,omitempty"`
	Countries       []string `json:"countries,omitempty"`
	ExceptCountries []string `json:"except_countries,omitempty"`

	// Health is what was learned of streamed answers, by which endpoints of a tier are compared; Whole is the same of answers asked for in one piece.
	Health Health `json:"health"`
	Whole  Health `json:"whole"`
	// ByCountry is Health for each country of clients, where [Config].HealthByCountry keeps them apart.
	ByCountry map[string]Health `json:"by_country,omitempty"`
	// Blocks keep an account from being used, or one of its models.
	Blocks []Block `json:"blocks,omitempty"`
	// Running is how many attempts are under way, and Queued how many wait for a slot of a Local endpoint.
	Running int `json:"running"`
	Queued  int `json:"queued,omitempty"`
	// Next is set at the endpoint that is asked first now, by a call that may go to any of them.
	Next bool `json:"next,omitempty"`
	// Why says all that in words: what speaks for the endpoint, or why it is not asked now.
	Why string `json:"why"`

	// Recent tells of the last ten minutes, in intervals of ten seconds, oldest first.
	Recent []Interval `json:"recent,omitempty"`
	// Failures are the last ones, at most 20, newest first.
	Failures []Failure `json:"failures,omitempty"`
}

// Health is how well an endpoint answers.
type Health struct {
	// Score is what it costs to ask the endpoint, in seconds: the least is asked. It is the sum of the four costs.
	Score float64 `json:"score"`
	// LatencyCost is the median latency, FailureCost two seconds for each failure per attempt, PriceCost half a second for
	// each time that the price exceeds 1, and HeadroomCost up to 0.3 seconds when less than a fifth of a rate limit is left.
	LatencyCost  float64 `json:"latency_cost"`
	FailureCost  float64 `json:"failure_cost"`
	PriceCost    float64 `json:"price_cost"`
	HeadroomCost float64 `json:"headroom_cost"`

	// Median and P99 are of the time to the first content, or to the end of an answer in one piece.
	Median time.Duration `json:"median"`
	P99    time.Duration `json:"p99"`
	// FailureRate is the share of attempts that fail, recent ones counting most.
	FailureRate float64 `json:"failure_rate"`
	// Headroom is the smallest share that is left of the account's rate limits; 1 if unknown.
	Headroom float64 `json:"headroom"`

	// Breaker is "closed" if the endpoint is asked, "open" if only probes are, and "suspect" if it is open but answered within
	// the last five seconds: then it is asked where no other can be.
	Breaker string `json:"breaker"`
	// Consecutive counts failures since the last answer; three open the breaker.
	Consecutive int `json:"consecutive,omitempty"`
	// LastAnswer is when it answered last; zero if it never did.
	LastAnswer time.Time `json:"last_answer,omitzero"`
	// NextProbe is when an open breaker's next probe is due, at the latest; zero if it is closed. Probing is set while one is under way.
	NextProbe time.Time `json:"next_probe,omitzero"`
	Probing   bool      `json:"probing,omitempty"`
}

// Block keeps an account, or its use of one model, from being asked.
type Block struct {
	// Model is the provider's name of the model; empty for all.
	Model string `json:"model,omitempty"`
	// Kind is why.
	Kind Kind `json:"kind"`
	// Until is when it ends; zero means when the key changes.
	Until time.Time `json:"until,omitzero"`
}

// Interval tells of the attempts that ended in a stretch of time.
type Interval struct {
	Start    time.Time `json:"start"`
	Answered int       `json:"answered"`
	Failed   int       `json:"failed"`
	// P50, P90 and Max are of the latency of those that answered, as in [Health]; P50 and P90 to within about 15 %.
	P50 time.Duration `json:"p50,omitempty"`
	P90 time.Duration `json:"p90,omitempty"`
	Max time.Duration `json:"max,omitempty"`
}

// Failure is an attempt that failed.
type Failure struct {
	At     time.Time `json:"at"`
	Kind   Kind      `json:"kind"`
	Status int       `json:"status,omitempty"` // of HTTP
}

// Status returns what is known of the endpoints now. It costs some microseconds for each and asks nobody.
func (c *Client) Status() Status {
	s := Status{At: time.Now()}
	if c.routing == nil {
		return s
	}
	s.RetryBudget, s.Waiting = c.routing.budget.Level(), c.routing.parking.Parked()
	view := score.Snapshot{Candidates: make([]score.Candidate, len(c.endpoints))}
	for i, e := range c.endpoints {
		v := &view.Candidates[i]
		v.Name, v.State = e.Name, e.health.all.State(s.At, score.Streamed)
		for _, b := range e.blocked(s.At) {
			switch {
			case b.Kind == KindRateLimit:
				v.BlockedFor = b.Until.Sub(s.At)
			case b.Model == "":
				v.Against = keyBlock{b.Kind, b.Until}.why(s.At)
			}
		}
	}
	choice := score.Choose(view)
	for i, e := range c.endpoints {
		s.Endpoints = append(s.Endpoints, e.status(s.At, view.Candidates[i].State, view.Why(choice, i)))
		s.Endpoints[i].Next = i == choice.Index
	}
	return s
}

// blocked lists the blocks of the key that was used last. What is blocked of a key that was changed since is no concern any more.
func (e *endpoint) blocked(now time.Time) []Block {
	cred := e.credentials.Load()
	if cred == nil {
		return nil
	}
	return e.blocks.status(cred.id, now)
}

func (e *endpoint) status(now time.Time, state score.State, why string) EndpointStatus {
	s := EndpointStatus{
		Name: e.Name, Provider: e.Provider, Tier: e.Tier, Local: e.Local, Region: e.Region,
		Countries: slices.Clone(e.Countries), ExceptCountries: slices.Clone(e.ExceptCountries),
		Health: newHealth(now, state), Whole: newHealth(now, e.health.all.State(now, score.Whole)),
		Blocks: e.blocked(now), Running: int(e.running.Load()), Why: why,
	}
	if e.slots != nil {
		s.Queued = e.slots.Waiting()
	}
	for country, h := range e.health.countries() {
		if s.ByCountry == nil {
			s.ByCountry = map[string]Health{}
		}
		s.ByCountry[country] = newHealth(now, h.State(now, score.Streamed))
	}
	s.Recent, s.Failures = e.recently(now)
	return s
}

func newHealth(now time.Time, s score.State) Health {
	h := Health{
		Score: s.Score(), Median: s.Median, P99: s.P99, FailureRate: s.Failures, Headroom: s.Headroom,
		Breaker: s.Breaker.String(), Consecutive: s.Consecutive, Probing: s.Probing,
	}
	h.LatencyCost, h.FailureCost, h.PriceCost, h.HeadroomCost = s.Costs()
	if s.LastOK >= 0 {
		h.LastAnswer = now.Add(-s.LastOK)
	}
	if s.Breaker != score.Closed {
		h.NextProbe = now.Add(s.ProbeIn)
	}
	return h
}
