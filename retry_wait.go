package holdfast

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-ai/holdfast/internal/score"
)

// maxLastWait bounds the wait for a rate limit, or for what an endpoint asked for, when nobody else can be asked.
const maxLastWait = 2 * time.Minute

// next finds the endpoint to ask, waiting for one where nobody can be asked now. It reports false if there is none in time.
func (k *call) next(ctx context.Context) (*candidate, bool) {
	for {
		var woken <-chan struct{}
		c, r := k.seek(ctx)
		if c == nil && r.Step == score.Wait { // what happens between the look and the wait must not be missed
			woken = k.client.routing.parking.Woken()
			c, r = k.seek(ctx)
		}
		switch {
		case c != nil:
			return c, true
		case !k.wait(ctx, r, woken):
			return nil, false
		}
	}
}

// wait does what is left to a call that nobody can take now, and reports whether it is to look again.
func (k *call) wait(ctx context.Context, r score.Resort, woken <-chan struct{}) bool {
	switch r.Step {
	case score.AskAgain:
		if k.place != nil {
			return k.askLater(ctx, r)
		}
		k.pauses++
		return sleep(ctx, score.Pause(k.pauses-1, nil)) && k.askAgain(r)
	case score.Wait:
		return k.waitForLimit(ctx, r, woken)
	case score.Park:
		return k.park(ctx, r)
	}
	return false
}

// askAgain lets the best of those be asked once more that were asked already.
func (k *call) askAgain(r score.Resort) bool {
	return k.again(r.Choice.Index, "again, as nobody else is left; ")
}

// waitForLimit waits for a rate limit to pass, or for another endpoint to become usable meanwhile.
func (k *call) waitForLimit(ctx context.Context, r score.Resort, woken <-chan struct{}) bool {
	if r.For > maxLastWait {
		return k.park(ctx, r)
	}
	next := r.For
	if r.Next > 0 {
		next = min(next, r.Next)
	}
	begun := time.Now()
	if !waitOrWake(ctx, next, woken) {
		return false
	}
	waited := time.Since(begun)
	k.waited += waited
	if waited < r.For {
		return true // to look whether it was another that was waited for
	}
	why := fmt.Sprintf("waited %s for its rate limit; ", k.waited.Round(time.Millisecond))
	return k.again(r.Choice.Index, why)
}

// again lets a candidate be asked once more.
func (k *call) again(i int, why string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.field[i].tried, k.field[i].waited, k.field[i].resumes = false, why, time.Time{}
	return true
}

// waitOrWake waits so long, or until something happened that is worth a look. It reports false if the context ended first.
func waitOrWake(ctx context.Context, d time.Duration, woken <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-woken:
	case <-t.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// sleep waits, and reports false if the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
