package score

import (
	"fmt"
	"strings"
	"time"
)

// Why says in words why the ith candidate is the chosen one, or why it is not. The choice is one that the snapshot led to.
func (s Snapshot) Why(chosen Choice, i int) string {
	if i < 0 || i >= len(s.Candidates) {
		return "not a candidate"
	}
	c := &s.Candidates[i]
	switch {
	case i == chosen.Index && chosen.Trial:
		return "tried in the place of a probe: " + c.rest()
	case i == chosen.Index && c.Against == "" && c.BlockedFor > 0:
		return "waited for: " + c.limit()
	case i == chosen.Index:
		return c.merit()
	case i == chosen.Reserve && chosen.Index >= 0 && chosen.Index < len(s.Candidates):
		return "the reserve of " + s.Candidates[chosen.Index].Name + ": " + c.merit()
	}
	isChosen := chosen.Index >= 0 && chosen.Index < len(s.Candidates)
	again := isChosen && s.Candidates[chosen.Index].Tried
	if why := c.absence(again); why != "" {
		return why
	}
	if !isChosen {
		return c.merit()
	}
	return c.lesser(&s.Candidates[chosen.Index])
}

// absence says why the endpoint could not be asked, if it could not: where none is asked again, for having been tried too.
func (c *Candidate) absence(again bool) string {
	switch {
	case c.Against != "":
		return c.Against
	case c.Tried && !again:
		return "was asked already"
	case c.BlockedFor > 0:
		return c.limit()
	case c.Breaker == Open:
		return c.rest()
	}
	return ""
}

// lesser says why another is preferred.
func (c *Candidate) lesser(best *Candidate) string {
	switch {
	case c.Local && !best.Local:
		return "local, the last resort"
	case c.Breaker != best.Breaker:
		return c.rest()
	case c.Rank != best.Rank:
		return fmt.Sprintf("%s goes before it for this client", best.Name)
	case c.Tier != best.Tier:
		return fmt.Sprintf("tier %d, while %s of tier %d can be asked", c.Tier, best.Name, best.Tier)
	case c.Failed != best.Failed:
		return "failed this call before"
	}
	return fmt.Sprintf("%s; against %.2f s of %s", c.merit(), best.cost(), best.Name)
}

// merit says what speaks for the endpoint, and how its score came about.
func (c *Candidate) merit() string {
	var b strings.Builder
	if c.Local {
		b.WriteString("local, the last resort; ")
	} else {
		fmt.Fprintf(&b, "tier %d; ", c.Tier)
	}
	if c.Breaker != Closed {
		b.WriteString(c.rest() + "; ")
	}
	wait, failures, price, empty := c.Costs()
	fmt.Fprintf(&b, "score %.2f s: %.2f to answer", c.cost(), wait)
	fmt.Fprintf(&b, ", %.2f for %.0f %% failures", failures, 100*c.Failures)
	if price != 0 {
		fmt.Fprintf(&b, ", %.2f for its price", price)
	}
	if empty > 0 {
		fmt.Fprintf(&b, ", %.2f since %.0f %% of its limits are left", empty, 100*c.Headroom)
	}
	if c.Affine {
		fmt.Fprintf(&b, ", less %.2f since it served this conversation last", affinityGain)
	}
	return b.String()
}

func (c *Candidate) limit() string { return "rate-limited for another " + rounded(c.BlockedFor) }

// rest says why the breaker is open, and when that may change.
func (c *Candidate) rest() string {
	var b strings.Builder
	b.WriteString(c.Breaker.String())
	switch c.Consecutive {
	case 0:
	case 1:
		b.WriteString(" after a failure")
	default:
		fmt.Fprintf(&b, " after %d failures in a row", c.Consecutive)
	}
	if c.LastOK >= 0 {
		fmt.Fprintf(&b, ", answered %s ago", rounded(c.LastOK))
	}
	switch {
	case c.Breaker == Closed:
	case c.Probing:
		b.WriteString(", a probe is under way")
	case c.ProbeIn > 0:
		fmt.Fprintf(&b, ", the next probe is due in %s", rounded(c.ProbeIn))
	default:
		b.WriteString(", a probe is due")
	}
	return b.String()
}

func rounded(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }
