package holdfast

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-ai/holdfast/internal/score"
)

// race is the state of the attempts of a call that run at the same time. The first attempt, and all that follow failures, run on the
// caller's goroutine; only a reserve, started when the first content is late, runs on one of its own, and the call waits for it.
type race struct {
	mu         sync.Mutex
	moved      sync.Cond
	running    []*exchange          // attempts under way
	alone      [1]*exchange         // its memory while there is but one
	leader     *exchange            // the attempt whose content came first, while there is one
	ready      *exchange            // a reserve that answers, until the caller's goroutine takes it over
	reserves   int                  // goroutines that run reserves
	stops      []context.CancelFunc // what they read keys with
	guard      *time.Timer          // asks the last resort in time; nil if there is none
	guardDue   bool                 // it is time, but nothing ran that it could be asked beside
	localAsked bool                 // the last resort was asked
	panicked   any                  // what an adapter or a transport panicked with in one of them
	over       bool                 // no attempt is needed any more
	reserved   time.Time            // when a reserve was taken last
	askedAgain int                  // how often it was one that had failed the call
	final      *Error               // the failure after which nobody else is asked; what already answers still may
}

// latePoints is after how many hedge points an endpoint counts as failed: from then on a reserve may come from elsewhere than its own
// tier too. A tier is a promise about quality, which a second of delay does not end.
const latePoints = 3

// hedgeShare bounds a learned hedge point to a share of the time that the call has left, so that a silent endpoint leaves some for others.
const hedgeShare = 4

// prepareHedge sets the timer that starts a reserve if the attempt's first content is late. ctx is the call's, since the reserve may outlive
// the attempt. k.mu is held.
func (k *call) prepareHedge(ctx context.Context, x *exchange) {
	if k.probing || x.run.hedge != nil {
		return
	}
	x.run.after = min(x.candidate.hedge, max(time.Until(k.deadline)/hedgeShare, 1))
	if x.run.trial = x.candidate.trial; !x.run.trial {
		x.run.after = cmp.Or(x.endpoint.limits.Hedge, x.run.after)
	}
	wait := x.run.after
	if k.client.config.Retry.NoHedge || len(k.field) == 1 { // nobody to help: only whether it counts as failed is of interest
		wait *= latePoints
	}
	entry := x.run.entry
	x.run.hedge = time.AfterFunc(wait, func() { k.hedge(ctx, x, entry) })
}

// hedge starts a reserve beside an attempt whose first content is late. It is a soft limit: the attempt goes on, and the first content wins.
// By the time that it has the lock the attempt may be over, and the exchange be sent again: entry tells one sending from another.
func (k *call) hedge(ctx context.Context, x *exchange, entry int) {
	k.mu.Lock()
	if x.run.entry != entry || x.run.over {
		k.mu.Unlock()
		return
	}
	if time.Since(x.run.begun) >= latePoints*x.run.after {
		x.run.overdue = true
		k.wasLate(x)
	}
	if x.run.overdue && k.final != nil { // a reserve failed for good, and this one says nothing
		x.run.end(errLost)
	}
	if !k.mayHelp(x) || x.run.helped || k.client.config.Retry.NoHedge {
		k.putOff(x)
		k.mu.Unlock()
		return
	}
	k.reserves++
	why := "reserve: no content from " + x.endpoint.Name + " after " + time.Since(x.run.begun).Round(time.Millisecond).String() + "; "
	k.mu.Unlock()
	k.runReserves(ctx, x, why, func(ctx context.Context) *candidate { return k.reserve(ctx, x) })
}

// mayHelp reports whether a reserve beside x is of use. k.mu is held.
func (k *call) mayHelp(x *exchange) bool {
	return !x.run.over && !k.over && k.final == nil && k.leader == nil
}

// reserve takes the best candidate that may run beside x. Their keys are looked up without the lock, which the attempts need to go on.
func (k *call) reserve(ctx context.Context, x *exchange) *candidate {
	holds := k.holds(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	c := k.pick(x, holds, now, func(g group, s *score.Snapshot) *candidate {
		if !x.run.overdue && !x.run.trial {
			k.keepEqual(g, s, x)
		}
		return k.choose(ctx, g, holds, s, now)
	})
	if c == nil && x.run.overdue {
		c = k.pick(x, holds, now, func(g group, s *score.Snapshot) *candidate {
			if c := k.local(g, s); c != nil {
				return c
			}
			return k.askedBefore(g, s, now)
		})
	}
	if c != nil {
		x.run.helped, k.reserved = true, now
	}
	k.putOff(x)
	return c
}

// pick looks for a candidate in one group after the other. k.mu is held.
func (k *call) pick(x *exchange, holds []hold, now time.Time, from func(g group, s *score.Snapshot) *candidate) *candidate {
	for g := k.nextGroup(0); g.from < len(k.field) && k.mayHelp(x); g = k.nextGroup(g.to) {
		s := k.view(g, holds, now)
		s.Trials = false
		if c := from(g, &s); c != nil {
			return c
		}
	}
	return nil
}

// askedBefore takes the best of those that failed the call before, if none was asked for a while, the longer the more often: what one refused for a
// moment it may take by now. k.mu is held.
func (k *call) askedBefore(g group, s *score.Snapshot, now time.Time) *candidate {
	if k.spent() || now.Sub(k.reserved) < lookAgain<<min(k.askedAgain, mostDoubled) {
		return nil
	}
	for i := range s.Candidates {
		s.Candidates[i].Tried = k.isAsking(k.field[g.from+i].endpoint)
	}
	choice := score.Choose(*s)
	if choice.Index < 0 || !k.pay(&k.field[g.from+choice.Index], false) {
		return nil
	}
	k.askedAgain++
	return k.ask(g, *s, choice)
}

// isAsking reports whether the call asks an endpoint now, or is about to. k.mu is held.
func (k *call) isAsking(e *endpoint) bool {
	return slices.ContainsFunc(k.running, func(x *exchange) bool { return x.endpoint == e }) ||
		slices.ContainsFunc(k.field, func(c candidate) bool { return c.pending && c.endpoint == e })
}

// keepEqual rules out what is not as good as x: it is asked only when x is so late that it counts as failed.
func (k *call) keepEqual(g group, s *score.Snapshot, x *exchange) {
	for i := range s.Candidates {
		if v := &s.Candidates[i]; v.Against == "" && !k.field[g.from+i].equals(x.candidate) {
			v.Against = "not while " + x.endpoint.Name + " is only a little late"
		}
	}
}

// local takes the last resort, if there is one that was not asked. k.mu is held.
func (k *call) local(g group, s *score.Snapshot) *candidate {
	s.LocalMean = k.client.routing.localMean.Value()
	r := s.Resort()
	if r.Step != score.AskLocal || !k.mayAskLocal() {
		return nil
	}
	return k.askLocal(g, *s, r)
}

// lookAgain is how often a reserve is looked for beside an attempt that is late, while there is none.
const lookAgain = time.Second

// mostDoubled is how often that is doubled for those that failed the call before.
const mostDoubled = 5

// putOff sets the timer to the next look for a reserve, and to the moment from which x counts as failed and one may come from elsewhere. k.mu is held.
func (k *call) putOff(x *exchange) {
	left := latePoints*x.run.after - time.Since(x.run.begun)
	switch {
	case x.run.over || k.over || k.leader != nil:
	case x.run.hedge == nil: // it is about to be sent again
	case k.client.config.Retry.NoHedge || x.run.helped:
		if left > 0 {
			x.run.hedge.Reset(left)
		}
	case left > 0:
		x.run.hedge.Reset(min(left, lookAgain))
	default:
		x.run.hedge.Reset(lookAgain)
	}
}

// guardShare keeps the guard from coming at once where a call has less time than the last resort may need twice.
const guardShare = 4

// setGuard sets the timer by which the last resort is asked beside the others, if there is no content by then, while it still has the time
// to answer.
func (k *call) setGuard(ctx context.Context) {
	if k.client.config.Retry.NoHedge || !slices.ContainsFunc(k.field, func(c candidate) bool { return c.endpoint.Local }) {
		return
	}
	s := score.Snapshot{Left: time.Until(k.deadline), LocalMean: k.client.routing.localMean.Value()}
	k.guard = time.AfterFunc(max(s.Guard(), s.Left/guardShare), func() { k.startGuard(ctx) })
}

func (k *call) startGuard(ctx context.Context) {
	k.mu.Lock()
	i := slices.IndexFunc(k.running, func(x *exchange) bool { return !x.endpoint.Local && k.mayHelp(x) })
	if i < 0 {
		k.guardDue = !k.over
		k.mu.Unlock()
		return
	}
	x := k.running[i]
	k.reserves++
	k.mu.Unlock()
	k.runReserves(ctx, x, "guard: no content yet, and the time that the local model needs is left; ", func(ctx context.Context) *candidate {
		holds := k.holds(ctx)
		k.mu.Lock()
		defer k.mu.Unlock()
		for g := k.nextGroup(0); g.from < len(k.field) && k.mayHelp(x); g = k.nextGroup(g.to) {
			s := k.view(g, holds, time.Now())
			if c := k.local(g, &s); c != nil {
				return c
			}
		}
		return nil
	})
}

// runReserves runs a reserve, and the next one at once if it fails while the attempt that is late still waits.
func (k *call) runReserves(ctx context.Context, late *exchange, why string, pick func(context.Context) *candidate) {
	done := false
	keys, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		k.mu.Lock()
		defer k.mu.Unlock()
		if !done { // it panicked: the caller's goroutine does so in its place, where the caller can recover
			k.panicked = recover()
		}
		late.run.helped = false
		k.putOff(late)
		k.reserves--
		k.moved.Broadcast()
	}()
	k.mu.Lock()
	k.stops = append(k.stops, cancel)
	k.mu.Unlock()
	for more := true; more; why = "reserve in the place of one that failed; " {
		c := pick(keys)
		if c == nil {
			break
		}
		var x *exchange
		if x, more = k.tryReserve(ctx, keys, c, why); x != nil {
			k.mu.Lock()
			k.ready = x
			k.mu.Unlock()
		}
	}
	done = true
}

// tryReserve makes one attempt. It returns the exchange if that answers, and else whether another reserve may help. Its key is read in a
// context of its own, which ends when no reserve is needed any more.
func (k *call) tryReserve(ctx, keys context.Context, c *candidate, why string) (x *exchange, more bool) {
	x, err := k.encode(keys, c)
	if err != nil && keys.Err() != nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.refund(c)
		c.tried = false
		return nil, false
	}
	if err != nil {
		return nil, k.unsendable(c, err) == nil
	}
	x.why = why + x.why
	e := k.attempt(ctx, keys, x, first)
	if e == nil {
		return x, false
	}
	r := k.judge(x, e)
	k.learn(x, e, r)
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.verdict == giveUp && k.final == nil {
		k.final = e // the attempt that is late may still answer
	}
	k.putBehind(x, e, r)
	k.guardDue = k.guardDue || e.Kind == KindLost && c.endpoint.Local && k.guard != nil
	x.release()
	return nil, r.verdict != giveUp && r.verdict != stop
}

// conclude ends the search after a failure of the attempt on the caller's goroutine: no reserve is waited for but one that has content.
func (k *call) conclude(e *Error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.final == nil {
		k.final = e
	}
	k.over = true
	for _, x := range k.running {
		if x != k.leader {
			x.run.end(errLost)
		}
	}
	k.stopReserves()
}

// lead reports whether an attempt whose first content came is the first to have any. All others are not needed any more.
func (k *call) lead(x *exchange) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	x.run.ahead = max(time.Since(x.run.begun), 1)
	k.hadContent(x)
	switch {
	case k.leader == x:
	case k.over || k.leader != nil || x.run.lost:
		return false
	default:
		k.leader = x
		for _, other := range k.running {
			if other != x {
				other.run.lost = true // also if x fails before the other has noticed
				other.run.end(errLost)
			}
		}
		k.stopReserves()
	}
	return true
}

// takeOver waits for the reserves that run, after the attempt on the caller's goroutine ended without an answer. It reports whether one of
// them answers.
func (k *call) takeOver() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.ready == nil && k.reserves > 0 {
		k.moved.Wait()
	}
	k.passPanicOn()
	if k.ready == nil {
		return false
	}
	k.used, k.ready = k.ready, nil
	return true
}

// settle ends whatever still runs beside the attempt that answers, and waits for it, so that the Trail is whole.
func (k *call) settle() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	if k.guard != nil {
		k.guard.Stop()
	}
	for _, x := range k.running {
		x.run.end(errLost)
	}
	k.stopReserves()
	for k.reserves > 0 {
		k.moved.Wait()
	}
	k.passPanicOn()
}

// stopReserves ends the wait for the keys of reserves that were not begun yet. k.mu is held.
func (k *call) stopReserves() {
	for _, stop := range k.stops {
		stop()
	}
	k.stops = nil
}

func (k *call) passPanicOn() {
	if v := k.panicked; v != nil {
		k.panicked = nil
		panic(v)
	}
}
