package score

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Step is what a request does that no endpoint can take now.
type Step uint8

// The steps.
const (
	GiveUp   Step = iota // no endpoint can take it in time
	AskLocal             // it asks the local model, once For was enough to get a slot there
	AskAgain             // it asks an endpoint again, after a [Pause]
	Wait                 // it waits For a rate limit to pass, then chooses anew
	Park                 // it waits until an endpoint becomes usable, For at most
)

var stepNames = [...]string{"give up", "ask local", "ask again", "wait", "park"}

// String returns the step in words.
func (s Step) String() string {
	if int(s) >= len(stepNames) {
		return stepNames[GiveUp]
	}
	return stepNames[s]
}

// MarshalText returns the step in words.
func (s Step) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a step in words.
func (s *Step) UnmarshalText(text []byte) error {
	i := slices.Index(stepNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("score: no step is called %q", text)
	}
	*s = Step(i)
	return nil
}

const (
	slotMargin  = 200 * time.Millisecond // before the deadline, beside half of what the local model takes
	parkMargin  = 500 * time.Millisecond // before the deadline, beside what an answer takes
	soon        = 2 * time.Second        // the longest pause before an endpoint is asked again: a rate limit that ends earlier is rather waited for
	leastPause  = 50 * time.Millisecond
	firstSpread = 100 * time.Millisecond
)

// Resort is what a request does when [Choose] finds nothing for it.
type Resort struct {
	Step   Step          `json:"step"`
	Choice Choice        `json:"choice"` // whom it asks, or waits for
	For    time.Duration `json:"for"`    // how long it waits at most
	Next   time.Duration `json:"next"`   // of Wait and Park: when to start the probe that is due then, or to choose anew; For if nothing is
}

// Resort decides what a request does when no attempt of it runs and [Choose] found nothing.
//
// The local model comes first, once per request. Without one, or after it failed, the request waits for an endpoint that it did not try and
// whose rate limit ends within two seconds; else it asks again the best of those it tried, unless the retry budget is Dry; else it waits for a
// longer rate limit; else for anything to become usable. Whatever it waits for must leave the time that an answer takes. The local model is asked
// again only where the request may go nowhere else.
func (s Snapshot) Resort() Resort {
	if s.Left <= 0 {
		return Resort{Choice: nowhere}
	}
	if i := s.local(false); i >= 0 {
		return Resort{Step: AskLocal, Choice: s.at(i), For: max(0, s.Left-max(0, s.LocalMean)/2-slotMargin)}
	}
	most := s.Left - max(0, s.GenMean)
	if i, wait := s.limited(true); i >= 0 && wait <= soon && wait < most {
		return Resort{Step: Wait, Choice: s.at(i), For: wait}
	}
	if c := s.again(); c.Index >= 0 && !s.Dry {
		return Resort{Step: AskAgain, Choice: c}
	}
	if i, wait := s.limited(false); i >= 0 && wait < most {
		next, _ := s.next()
		return Resort{Step: Wait, Choice: s.at(i), For: wait, Next: min(next, wait)}
	}
	if next, ok := s.next(); ok && most > parkMargin {
		most -= parkMargin
		return Resort{Step: Park, Choice: nowhere, For: most, Next: min(next, most)}
	}
	return Resort{Choice: nowhere}
}

// Guard returns how long it is until a request without any content starts its attempt at the local model beside the others, which needs
// no budget.
func (s Snapshot) Guard() time.Duration { return max(0, s.Left-2*max(0, s.LocalMean)) }

// Pause returns how long to wait before an endpoint is asked again for the nth time, from 0. random is as for [NewHealth].
func Pause(n int, random func() float64) time.Duration {
	most := soon
	if n < 5 { // where 2^n is beyond it
		most = firstSpread << max(n, 0)
	}
	return leastPause + scaled(most, between(0, 1, random))
}

// local returns the best of the local models, or -1.
func (s *Snapshot) local(again bool) int {
	best := -1
	var bests standing
	for i := range s.Candidates {
		c := &s.Candidates[i]
		if !c.Local || c.Against != "" || c.BlockedFor > 0 || c.Tried && !again {
			continue
		}
		if at := c.standing(); best < 0 || at.before(bests) {
			best, bests = i, at
		}
	}
	return best
}

// again chooses among the endpoints that were tried too: among local ones only if no other is allowed.
func (s *Snapshot) again() Choice {
	c := s.choose(true)
	if c.Index >= 0 || s.clouded() {
		return c
	}
	return s.at(s.local(true))
}

// clouded reports whether the request may go to an endpoint that is not local.
func (s *Snapshot) clouded() bool {
	for i := range s.Candidates {
		if c := &s.Candidates[i]; !c.Local && c.Against == "" {
			return true
		}
	}
	return false
}

// limited returns the endpoint that only a rate limit keeps from being asked, and whose limit ends first, and when; -1 if there is none.
func (s *Snapshot) limited(untried bool) (index int, wait time.Duration) {
	index = -1
	for i := range s.Candidates {
		c := &s.Candidates[i]
		if c.Against != "" || c.Breaker != Closed || c.BlockedFor <= 0 || untried && c.Tried {
			continue
		}
		if index < 0 || c.BlockedFor < wait {
			index, wait = i, c.BlockedFor
		}
	}
	return index, wait
}

// next returns how long it is until a limit ends or a probe is due, and whether there is an endpoint at all to wait for.
func (s *Snapshot) next() (next time.Duration, ok bool) {
	next = math.MaxInt64
	for i := range s.Candidates {
		c := &s.Candidates[i]
		if c.Against != "" {
			continue
		}
		ok = true
		switch {
		case c.BlockedFor > 0:
			next = min(next, c.BlockedFor)
		case c.Breaker != Closed && !c.Probing:
			next = min(next, c.ProbeIn)
		}
	}
	return max(next, leastPause), ok // a probe that is due but that nobody starts must not keep the request spinning
}

func (s *Snapshot) at(i int) Choice {
	if i < 0 {
		return nowhere
	}
	return Choice{Index: i, Reserve: -1, Hedge: s.Candidates[i].Hedge}
}
