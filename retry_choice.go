package holdfast

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-ai/holdfast/internal/score"
)

// Choice tells why an attempt went to one endpoint and not to the others: it is the moment at which that was decided, and what was known
// then. It can be stored as JSON, and says the same when it is read again.
type Choice struct {
	attempt  int
	at       time.Duration
	snapshot score.Snapshot
	choice   score.Choice
}

// Attempt is the attempt's place in [Trail].Attempts.
func (c Choice) Attempt() int { return c.attempt }

// At is when it was made, counted from the start of the call.
func (c Choice) At() time.Duration { return c.at }

// Endpoint is the endpoint that was chosen.
func (c Choice) Endpoint() string {
	if c.choice.Index < 0 || c.choice.Index >= len(c.snapshot.Candidates) {
		return ""
	}
	return c.snapshot.Candidates[c.choice.Index].Name
}

// Reason says in words what spoke for an endpoint or against it.
type Reason struct {
	Endpoint string `json:"endpoint"`
	Why      string `json:"why"`
}

// Reasons says for each endpoint that the call could have gone to, in the order of the configuration, what spoke for it or against it:
// first of all its score, in seconds, of which the least is chosen within a tier.
func (c Choice) Reasons() []Reason {
	list := make([]Reason, len(c.snapshot.Candidates))
	for i := range list {
		list[i] = Reason{c.snapshot.Candidates[i].Name, c.snapshot.Why(c.choice, i)}
	}
	return list
}

// String says which endpoint was chosen, and why each was or was not.
func (c Choice) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s chosen", c.Endpoint())
	for _, r := range c.Reasons() {
		fmt.Fprintf(&b, "\n  %s: %s", r.Endpoint, r.Why)
	}
	return b.String()
}

type choiceJSON struct {
	Attempt  int            `json:"attempt"`
	At       time.Duration  `json:"at"`
	Endpoint string         `json:"endpoint"`
	Reasons  []Reason       `json:"reasons"`
	Choice   score.Choice   `json:"choice"`
	Snapshot score.Snapshot `json:"snapshot"`
}

// MarshalJSON writes the choice, the reasons in words, and the figures behind them.
func (c Choice) MarshalJSON() ([]byte, error) {
	return json.Marshal(choiceJSON{c.attempt, c.at, c.Endpoint(), c.Reasons(), c.choice, c.snapshot})
}

// UnmarshalJSON reads what MarshalJSON wrote. The reasons are told anew from the figures.
func (c *Choice) UnmarshalJSON(data []byte) error {
	var read choiceJSON
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	n := len(read.Snapshot.Candidates)
	for _, i := range []int{read.Choice.Index, read.Choice.Reserve} {
		if i < -1 || i >= n {
			return fmt.Errorf("holdfast: a choice names candidate %d of %d", i, n)
		}
	}
	*c = Choice{read.Attempt, read.At, read.Snapshot, read.Choice}
	return nil
}

// tellChoice adds to the Trail how the attempt that begins was chosen. k.mu is held.
func (k *call) tellChoice(x *exchange) {
	c := x.candidate
	if c.choice.snapshot.Candidates == nil || k.probing { // again in place
		return
	}
	c.choice.attempt = x.run.entry
	c.choice.at = x.run.begun.Sub(k.begun)
	k.trail.Choices = append(k.trail.Choices, c.choice)
	c.choice = Choice{}
}

// tellPassedOver adds to the Trail the endpoints that might have taken the call and were not asked, for a reason that lies in themselves.
func (k *call) tellPassedOver() {
	if len(k.trail.Choices) == 0 {
		return
	}
	last := &k.trail.Choices[len(k.trail.Choices)-1]
	for i := range last.snapshot.Candidates {
		v := &last.snapshot.Candidates[i]
		if i != last.choice.Index && v.Absent() && !k.wasAsked(v.Name) {
			k.passOver(v.Name, last.snapshot.Why(last.choice, i))
		}
	}
	for i := range k.field {
		if c := &k.field[i]; c.against != "" && !k.wasAsked(c.endpoint.Name) {
			k.passOver(c.endpoint.Name, c.against)
		}
	}
}

// passOver notes why an endpoint was not asked. The first reason counts.
func (k *call) passOver(endpoint, why string) {
	for _, s := range k.trail.Skipped {
		if s.Endpoint == endpoint {
			return
		}
	}
	k.trail.Skipped = append(k.trail.Skipped, Skip{Endpoint: endpoint, Why: why})
}

func (k *call) wasAsked(endpoint string) bool {
	for i := range k.trail.Attempts {
		if k.trail.Attempts[i].Endpoint == endpoint {
			return true
		}
	}
	return false
}
