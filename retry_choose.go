package holdfast

import (
	"context"
	"time"

	"github.com/holdfast-ai/holdfast/internal/score"
)

// seek looks for whom to ask now. If there is nobody, it says what the call may do instead: of the first way to go on that leaves anything.
func (k *call) seek(ctx context.Context) (*candidate, score.Resort) {
	holds := k.holds(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	k.dry = false
	var hope score.Resort
	for g := k.nextGroup(0); g.from < len(k.field); g = k.nextGroup(g.to) {
		s := k.view(g, holds, now)
		c := k.choose(ctx, g, holds, &s, now)
		if c != nil {
			return c, score.Resort{}
		}
		if i, wait := k.shortWait(g, holds, &s, score.Choice{Index: -1}); i >= 0 && !k.spent() && !k.dry {
			return nil, score.Resort{Step: score.Wait, Choice: score.Choice{Index: g.from + i, Reserve: -1}, For: wait}
		}
		s.Dry = k.dry
		s.LocalMean, s.GenMean = k.client.routing.localMean.Value(), k.client.routing.genMean.Value()
		r := s.Resort()
		switch {
		case r.Step == score.AskLocal && k.mayAskLocal():
			return k.askLocal(g, s, r), r
		case r.Step == score.AskLocal || k.spent():
			continue
		case r.Step == score.Park && !k.worthParking(&s):
			continue
		case r.Step == score.AskAgain && k.client.config.Retry.MaxAttempts == 1:
			continue
		case hope.Step == score.GiveUp:
			hope = r
			hope.Choice.Index += g.from
		}
	}
	return nil, hope
}

// choose chooses among the candidates of a group that were not asked yet, nil if none can be. Probes that are due run beside the call. k.mu
// is held.
func (k *call) choose(ctx context.Context, g group, holds []hold, s *score.Snapshot, now time.Time) *candidate {
	if k.spent() {
		return nil
	}
	choice, moment := k.settleOn(g, holds, s, now)
	if moment {
		return nil
	}
	k.startProbes(ctx, g, s, choice, now)
	if choice.Index < 0 {
		return nil
	}
	c := &k.field[g.from+choice.Index]
	if !k.pay(c, choice.Trial) {
		return nil
	}
	return k.ask(g, *s, choice)
}

// settleOn chooses until nothing is in the way of the choice: that another call came first, to a trial or to what was left of an account's limits. It
// reports, with no choice, if an endpoint better than the chosen one lacks but a moment. k.mu is held.
func (k *call) settleOn(g group, holds []hold, s *score.Snapshot, now time.Time) (choice score.Choice, moment bool) {
	for {
		choice = score.Choose(*s)
		if i, _ := k.shortWait(g, holds, s, choice); i >= 0 {
			return choice, true
		}
		if choice.Index < 0 {
			return choice, false
		}
		c := &k.field[g.from+choice.Index]
		switch {
		case choice.Trial && !c.health.ClaimTrial(now, s.Urgent):
			s.Candidates[choice.Index].Probing = true
		case holds == nil || k.fits(g, holds, s, choice, now):
			return choice, false
		default:
			k.abandon(c, choice, now)
		}
	}
}

// abandon gives up the trial that was claimed, if the choice is one. k.mu is held.
func (k *call) abandon(c *candidate, choice score.Choice, now time.Time) {
	if choice.Trial {
		c.health.ProbeAbandoned(now)
		k.client.routing.parking.Wake(now, score.NewsBad)
	}
}

// fits takes what the call costs from the mirror of the account's limits. It reports false, and how long that takes to be otherwise, if there is no
// room for it by now: another call came first. k.mu is held.
func (k *call) fits(g group, holds []hold, s *score.Snapshot, choice score.Choice, now time.Time) bool {
	h, c := &holds[g.from+choice.Index], &k.field[g.from+choice.Index]
	if h.pacer == nil || c.paced {
		return true
	}
	var wait time.Duration
	if c.mark, wait = h.pacer.Take(now, k.cost); wait > 0 && k.waitsFor(wait, now) {
		h.pace, s.Candidates[choice.Index].BlockedFor = wait, wait
		return false
	}
	c.paced = wait == 0
	return true
}

// pay takes an attempt from the retry budget, but for the first of the call, one in the place of a probe, and one that the call was invited to while it
// waited for its turn, of which there are few (see score.Parking). k.mu is held.
func (k *call) pay(c *candidate, trial bool) bool {
	free := k.claims == 0 || trial || k.free
	k.free = false
	if !free {
		if !k.client.routing.budget.Take() {
			k.dry = true
			return false
		}
		k.taken++
	}
	c.paid = !free
	k.claims++
	return true
}

// begins notes that a candidate that was chosen is asked now, or is not after all. k.mu is held.
func (k *call) begins(c *candidate) {
	if c.pending {
		c.pending = false
		k.pending--
	}
}

// refund gives back what was taken for an attempt that was not made. k.mu is held.
func (k *call) refund(c *candidate) {
	k.begins(c)
	if c.trial {
		k.endTrial(c, saysNothing, false)
	}
	if c.endpoint.Local {
		return
	}
	k.claims--
	if c.paid {
		c.paid = false
		k.taken--
		k.client.routing.budget.Return()
	}
}

// mayAskLocal reports whether the last resort may be asked. It is none of the attempts that are counted, unless there is to be no second
// one at all. k.mu is held.
func (k *call) mayAskLocal() bool {
	if k.spent() && k.localAsked {
		return false
	}
	return k.client.config.Retry.MaxAttempts != 1 || len(k.trail.Attempts) == 0
}

// worthParking reports whether an endpoint may become usable while the call waits: one that answered before, or is being probed, and not one that
// perhaps never will. A call of the line also waits for the retry budget. k.mu is held.
func (k *call) worthParking(s *score.Snapshot) bool {
	for i := range s.Candidates {
		c := &s.Candidates[i]
		ill := c.Breaker != score.Closed && (c.LastOK >= 0 || c.Probing)
		limited := c.BlockedFor > 0 && c.BlockedFor < s.Left
		if c.Against == "" && (ill || limited || k.dry && k.place != nil) {
			return true
		}
	}
	return false
}

// ask takes the candidate that was chosen. k.mu is held.
func (k *call) ask(g group, s score.Snapshot, choice score.Choice) *candidate {
	c := &k.field[g.from+choice.Index]
	c.tried, c.hedge, c.trial, c.pending = true, choice.Hedge, choice.Trial, true
	k.pending++
	c.choice = Choice{snapshot: s, choice: choice}
	c.reason = k.whyNow(c)
	return c
}

// askLocal takes a local candidate. k.mu is held.
func (k *call) askLocal(g group, s score.Snapshot, r score.Resort) *candidate {
	c := k.ask(g, s, r.Choice)
	c.room = r.For
	return c
}

// whyNow says why a candidate is asked now. k.mu is held.
func (k *call) whyNow(c *candidate) string {
	why := c.waited + c.why
	c.waited = ""
	if c.trial {
		why = "in the place of a probe; " + why
	}
	if k.last != nil {
		why = "after " + k.last.Endpoint + ": " + string(k.last.Kind) + "; " + why
	}
	return why
}

// startProbes starts the probes that are due: of open and of slow endpoints that the call might have asked in the place of the chosen one, or of any if none
// is chosen; of others where those probes are allowed. k.mu is held.
func (k *call) startProbes(ctx context.Context, g group, s *score.Snapshot, choice score.Choice, now time.Time) {
	probes := &k.client.routing.probes
	if probes.Off || k.probing {
		return
	}
	for i := range s.Candidates {
		v := &s.Candidates[i]
		closed := v.Breaker == score.Closed
		switch {
		case v.Local || v.Against != "" || v.BlockedFor > 0 || v.Probing:
		case closed && !v.Slow && !probes.Cold && !probes.Idle || !closed && v.ProbeIn > 0:
		case (v.Slow || !closed) && choice.Index >= 0 && isBehind(v, &s.Candidates[choice.Index]):
		default:
			c := &k.field[g.from+i]
			if c.health.ClaimProbe(now, probes, s.Urgent) != score.NoProbe {
				v.Probing = true
				k.client.probe(ctx, c, k.trail.Country)
			}
		}
	}
}

// isBehind reports whether v would be asked only after the other, however healthy it is.
func isBehind(v, other *score.Candidate) bool {
	return v.Rank > other.Rank || v.Rank == other.Rank && v.Tier > other.Tier
}
