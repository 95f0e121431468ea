package holdfast

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// race is the state of the attempts of a call that run at the same time. The first attempt, and all that follow failures, run on the
// caller's goroutine; only a reserve, started when the first content is late, runs on one of its own, and the call waits for it.
type race struct {
	mu       sync.Mutex
	moved    sync.Cond
	running  []*exchange          // attempts under way
	alone    [1]*exchange         // its memory while there is but one
	leader   *exchange            // the attempt whose content came first, while there is one
	ready    *exchange            // a reserve that answers, until the caller's goroutine takes it over
	reserves int                  // goroutines that run reserves
	stops    []context.CancelFunc // what they read keys with
	panicked any                  // what an adapter or a transport panicked with in one of them
	over     bool                 // no attempt is needed any more
	final    *Error               // the failure after which nobody else is asked; what already answers still may
}

// latePoints is after how many hedge points an endpoint counts as failed: from then on a reserve may come from elsewhere than its own
// tier too. A tier is a promise about quality, which a second of delay does not end.
const latePoints = 3

// hedgeShare bounds a learned hedge point to a share of the time that the call has left, so that a silent endpoint leaves some for others.
const hedgeShare = 4

// prepareHedge sets the timer that starts a reserve if the attempt's first content is late. ctx is the call's, since the reserve may outlive
// the attempt. k.mu is held.
func (k *call) prepareHedge(ctx context.Context, x *exchange) {
	if k.client.config.Retry.NoHedge || len(k.queue) == 0 || k.spent() || x.run.hedge != nil {
		return
	}
	x.run.after = cmp.Or(x.endpoint.limits.Hedge, min(x.latency().Hedge(), max(time.Until(k.deadline)/hedgeShare, 1)))
	entry := x.run.entry
	x.run.hedge = time.AfterFunc(x.run.after, func() { k.hedge(ctx, x, entry) })
}

// hedge starts a reserve beside an attempt whose first content is late. It is a soft limit: the attempt goes on, and the first content wins.
// By the time that it has the lock the attempt may be over, and the exchange be sent again: entry tells one sending from another.
func (k *call) hedge(ctx context.Context, x *exchange, entry int) {
	k.mu.Lock()
	if x.run.entry != entry || !k.mayHelp(x) {
		k.mu.Unlock()
		return
	}
	k.reserves++
	why := "reserve: no content from " + x.endpoint.Name + " after " + time.Since(x.run.begun).Round(time.Millisecond).String() + "; "
	k.mu.Unlock()
	k.runReserves(ctx, x, why)
}

// mayHelp reports whether a reserve beside x is of use. k.mu is held.
func (k *call) mayHelp(x *exchange) bool {
	return !x.run.over && !k.over && k.final == nil && k.leader == nil && !k.spent()
}

// reserve takes the best candidate that may run beside x. Their keys are looked up without the lock, which the attempts need to go on: a
// KeySource may take its time.
func (k *call) reserve(ctx context.Context, x *exchange) (candidate, bool) {
	k.mu.Lock()
	list, late := slices.Clone(k.queue), x.run.late
	k.mu.Unlock()
	for _, c := range list {
		if !late && !c.equals(x.candidate) {
			continue
		}
		if _, blocked := k.blocked(ctx, c); !blocked && k.take(c, x) {
			return c, true
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.putOff(x)
	return candidate{}, false
}

// take takes a candidate that may run beside x from the queue, if it is still there.
func (k *call) take(c candidate, x *exchange) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.Index(k.queue, c)
	if i < 0 || !k.mayHelp(x) {
		return false
	}
	k.queue = slices.Delete(k.queue, i, i+1)
	return true
}

// putOff waits for the moment from which a reserve may come from elsewhere, as none is left beside x. k.mu is held.
func (k *call) putOff(x *exchange) {
	if !x.run.late && len(k.queue) > 0 && k.mayHelp(x) {
		x.run.late = true
		x.run.hedge.Reset(latePoints*x.run.after - time.Since(x.run.begun))
	}
}

// runReserves runs a reserve, and the next one at once if it fails while the attempt that is late still waits.
func (k *call) runReserves(ctx context.Context, late *exchange, why string) {
	done := false
	keys, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		k.mu.Lock()
		defer k.mu.Unlock()
		if !done { // it panicked: the caller's goroutine does so in its place, where the caller can recover
			k.panicked = recover()
		}
		k.reserves--
		k.moved.Broadcast()
	}()
	k.mu.Lock()
	k.stops = append(k.stops, cancel)
	k.mu.Unlock()
	for more := true; more; why = "reserve in the place of one that failed; " {
		c, ok := k.reserve(keys, late)
		if !ok {
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
func (k *call) tryReserve(ctx, keys context.Context, c candidate, why string) (x *exchange, more bool) {
	x, err := k.encode(keys, c)
	if err != nil && keys.Err() != nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.lost = append(k.lost, c)
		return nil, false
	}
	if err != nil {
		return nil, k.unsendable(c, err) == nil
	}
	x.why = why + x.why
	e := k.attempt(ctx, x, first)
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
	if r.verdict == otherModel {
		k.dropModel(x)
	}
	x.release()
	if e.Kind == KindLost {
		k.lost = append(k.lost, c)
	}
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
