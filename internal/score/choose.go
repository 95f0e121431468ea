package score

import (
	"cmp"
	"math"
	"time"
)

// affinityGain is what the endpoint gains that served a conversation last: moving on loses its prompt cache, which costs more than a few
// milliseconds.
const affinityGain = 0.5

// Candidate is an endpoint as one request sees it.
type Candidate struct {
	Name    string `json:"name"`
	Rank    int    `json:"rank,omitempty"`    // compares before the tier: the least first, such as those that name the client's country
	Tried   bool   `json:"tried,omitempty"`   // the request asked it already
	Failed  bool   `json:"failed,omitempty"`  // it failed the request before: behind those of its tier that did not
	Affine  bool   `json:"affine,omitempty"`  // it served the request's conversation last
	Against string `json:"against,omitempty"` // why the request must not go there, whatever happens
	State
}

// Snapshot is all that decides where a request goes. It can be marshalled to JSON and decides the same afterwards.
type Snapshot struct {
	Candidates []Candidate `json:"candidates"`
	Trials     bool        `json:"trials,omitempty"` // [Probes].Off
	Urgent     bool        `json:"urgent,omitempty"` // probes are due earlier than where other endpoints take the requests. See [Snapshot.Hurry]
	Dry        bool        `json:"dry,omitempty"`    // nothing is left of the retry budget

	// What [Snapshot.Resort] needs beside.
	Left      time.Duration `json:"left,omitempty"` // until the deadline
	LocalMean time.Duration `json:"local_mean,omitempty"`
	GenMean   time.Duration `json:"gen_mean,omitempty"`
}

// Choice is which endpoint to ask.
type Choice struct {
	Index int           `json:"index"` // among the candidates; -1 for none
	Hedge time.Duration `json:"hedge"` // how long to wait for content before a reserve is started
	// Trial means that the request takes the place of a probe, if [Health.ClaimTrial] allows it. Its reserve is started at once when it fails.
	Trial   bool `json:"trial,omitempty"`
	Reserve int  `json:"reserve"` // of a trial: what would have been chosen; -1 for none
}

var nowhere = Choice{Index: -1, Reserve: -1}

// Hurry makes probes due earlier if no endpoint takes requests, local ones aside: while requests wait, or go to the last resort, an endpoint that was
// there a short time ago is asked again after a quarter of the time since, a second at least and the backoff at most. Else a few probes that fail
// by chance, as they do where every endpoint refuses half of what it is asked, shut all out for half a minute.
func (s *Snapshot) Hurry() {
	for i := range s.Candidates {
		if c := &s.Candidates[i]; !c.barred() && c.Breaker != Open {
			return
		}
	}
	s.Urgent = true
	for i := range s.Candidates {
		s.Candidates[i].ProbeIn = s.Candidates[i].UrgentIn
	}
}

// Choose returns which of the endpoints that the request did not try yet is to be asked. Local ones are never chosen.
//
// A closed breaker comes before a suspect one, whatever their tiers: three failures in a row end a promise of quality. Then the lower rank
// comes first, then the lower tier, then what did not fail the request, then the lower score, then the order of the list. An open endpoint is never chosen but for a trial.
//
// Where trials replace probes, an open endpoint whose probe would be due is chosen by a request's first attempt, if its rank and tier are no
// higher than those of the endpoint that would have been chosen, which is then the reserve; or by any, if there is none.
func Choose(s Snapshot) Choice { return s.choose(false) }

// choose chooses also among the endpoints that were tried, if again.
func (s *Snapshot) choose(again bool) Choice {
	best, trial, isFirst := -1, -1, true
	var bests, trials standing
	for i := range s.Candidates {
		c := &s.Candidates[i]
		isFirst = isFirst && !c.Tried
		if c.barred() || c.Tried && !again {
			continue
		}
		at := c.standing()
		if c.Breaker != Open && (best < 0 || at.before(bests)) {
			best, bests = i, at
		}
		at.breaker = Closed // a trial is not chosen for being suspect
		if s.Trials && c.due() && (trial < 0 || at.before(trials)) {
			trial, trials = i, at
		}
	}
	if trial >= 0 && (best < 0 || isFirst && !trials.behind(bests)) {
		return s.trial(trial, again)
	}
	if best < 0 {
		return nowhere
	}
	return Choice{Index: best, Reserve: -1, Hedge: s.Candidates[best].Hedge}
}

// trial makes a trial of a candidate, beside the best of the others.
func (s *Snapshot) trial(index int, again bool) Choice {
	best := -1
	var bests standing
	for i := range s.Candidates {
		c := &s.Candidates[i]
		if i == index || c.barred() || c.Breaker == Open || c.Tried && !again {
			continue
		}
		if at := c.standing(); best < 0 || at.before(bests) {
			best, bests = i, at
		}
	}
	// It is given the time that it took before its trouble: with less, one that is slower than its reserve would never come back.
	return Choice{Index: index, Trial: true, Reserve: best, Hedge: cmp.Or(s.Candidates[index].Usual, s.Candidates[index].Hedge)}
}

// barred reports whether the endpoint cannot be chosen, whatever its breaker says.
func (c *Candidate) barred() bool { return c.Against != "" || c.Local || c.BlockedFor > 0 }

// cost is the endpoint's score, less what it gains by affinity. A score that is no number is the worst.
func (c *Candidate) cost() float64 {
	score := c.Score()
	if c.Affine {
		score -= affinityGain
	}
	if math.IsNaN(score) {
		return math.Inf(1)
	}
	return score
}

// standing is what candidates are compared by.
type standing struct {
	breaker    Position
	rank, tier int
	failed     bool
	score      float64
}

func (c *Candidate) standing() standing {
	return standing{c.Breaker, c.Rank, c.Tier, c.Failed, c.cost()}
}

func (s standing) before(other standing) bool {
	switch {
	case s.breaker != other.breaker:
		return s.breaker < other.breaker
	case s.rank != other.rank:
		return s.rank < other.rank
	case s.tier != other.tier:
		return s.tier < other.tier
	case s.failed != other.failed:
		return other.failed
	}
	return s.score < other.score
}

// behind reports whether the rank is higher, or the tier of an equal rank is.
func (s standing) behind(other standing) bool {
	return s.rank > other.rank || s.rank == other.rank && s.tier > other.tier
}

// Absent reports whether something in the endpoint itself keeps a request from it: neither what others have before it, nor that the request was
// there already.
func (c *Candidate) Absent() bool {
	return c.Against != "" || c.BlockedFor > 0 || c.Breaker == Open && !c.Local
}
