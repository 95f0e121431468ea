package holdfast

import (
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
	running  []*exchange // attempts under way
	leader   *exchange   // the attempt whose content came first, while there is one
	ready    *exchange   // a reserve that answers, until the caller's goroutine takes it over
	reserves int         // goroutines that run reserves
	panicked any         // what an adapter or a transport panicked with in one of them
	over     bool        // no attempt is needed any more
}

// latePoints is after how many hedge points an endpoint counts as failed: from then on a reserve may come from elsewhere than its own
// tier too. A tier is a promise about quality, which a second of delay does not end.
const latePoints = 3

// prepareHedge sets the timer that starts a reserve if the attempt's first content is late. ctx is the call's, since the reserve may outlive
// the attempt. k.mu is held.
func (k *call) prepareHedge(ctx context.Context, x *exchange) {
	if k.client.config.Retry.NoHedge || len(k.queue) == 0 || k.spent() || x.run.hedge != nil {
		return
	}
	x.run.after = x.endpoint.limits.Hedge
	switch {
	case x.run.after > 0:
	case x.target.Stream:
		x.run.after = x.endpoint.first.Hedge()
	default:
		x.run.after = x.endpoint.whole.Hedge()
	}
	x.run.hedge = time.AfterFunc(x.run.after, func() { k.hedge(ctx, x) })
}

// hedge starts a reserve beside an attempt whose first content is late. It is a soft limit: the attempt goes on, and the first content wins.
func (k *call) hedge(ctx context.Context, x *exchange) {
	k.mu.Lock()
	if x.run.over || k.over || k.leader != nil || k.spent() {
		k.mu.Unlock()
		return
	}
	c, ok := k.reserve(ctx, x)
	if !ok {
		k.putOff(x)
		k.mu.Unlock()
		return
	}
	k.reserves++
	k.mu.Unlock()
	c.why = "reserve: no content from " + x.endpoint.Name + " after " + time.Since(x.run.begun).Round(time.Millisecond).String() + "; " + c.why
	k.runReserves(ctx, x, c)
}

// reserve takes the best candidate that may run beside x. k.mu is held.
func (k *call) reserve(ctx context.Context, x *exchange) (candidate, bool) {
	for i, c := range k.queue {
		if !x.run.late && !c.equals(x.candidate) {
			continue
		}
		if _, blocked := k.blocked(ctx, c); !blocked {
			k.queue = slices.Delete(k.queue, i, i+1)
			return c, true
		}
	}
	return candidate{}, false
}

// putOff waits for the moment from which a reserve may come from elsewhere, as none is left beside x. k.mu is held.
func (k *call) putOff(x *exchange) {
	if !x.run.late && len(k.queue) > 0 {
		x.run.late = true
		x.run.hedge.Reset(latePoints*x.run.after - time.Since(x.run.begun))
	}
}

// runReserves runs a reserve, and the next one at once if it fails while the attempt that is late still waits.
func (k *call) runReserves(ctx context.Context, late *exchange, c candidate) {
	done := false
	defer func() {
		if !done { // it panicked: the caller's goroutine does so in its place, where the caller can recover
			k.mu.Lock()
			k.panicked = recover()
			k.reserves--
			k.moved.Broadcast()
			k.mu.Unlock()
		}
	}()
	for {
		x, next := k.tryReserve(ctx, c)
		k.mu.Lock()
		if x != nil {
			k.ready = x
		}
		if next && !k.over && k.leader == nil && !late.run.over && !k.spent() {
			if more, ok := k.reserve(ctx, late); ok {
				c = more
				c.why = "reserve in the place of one that failed; " + c.why
				k.mu.Unlock()
				continue
			}
			k.putOff(late)
		}
		done = true
		k.reserves--
		k.moved.Broadcast()
		k.mu.Unlock()
		return
	}
}

// tryReserve makes one attempt. It returns the exchange if that answers, and else whether another reserve may help.
func (k *call) tryReserve(ctx context.Context, c candidate) (x *exchange, more bool) {
	x, err := k.encode(ctx, c)
	if err != nil {
		return nil, k.unsendable(c, err) == nil
	}
	e := k.attempt(ctx, x, first)
	if e == nil {
		return x, false
	}
	r := k.judge(x, e)
	k.learn(x, e, r)
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.verdict == otherModel {
		k.dropModel(x)
	}
	x.release()
	if e.Kind == KindLost {
		k.lost = append(k.lost, c)
	}
	return nil, r.verdict != giveUp && r.verdict != stop
}

// lead reports whether an attempt whose first content came is the first to have any. All others are not needed any more.
func (k *call) lead(x *exchange) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	x.run.ahead = max(time.Since(x.run.begun), 1)
	switch {
	case k.leader == x:
	case k.over || k.leader != nil:
		return false
	default:
		k.leader = x
		for _, other := range k.running {
			if other != x {
				other.run.end(errLost)
			}
		}
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
	for k.reserves > 0 {
		k.moved.Wait()
	}
	k.passPanicOn()
}

func (k *call) passPanicOn() {
	if v := k.panicked; v != nil {
		k.panicked = nil
		panic(v)
	}
}
