package holdfast

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/holdfast-ai/holdfast/internal/score"
)

const (
	// defaultPark bounds the wait for any endpoint to become usable.
	defaultPark = 30 * time.Second
	// maxLastWait bounds the wait for a rate limit, or for what an endpoint asked for, when nobody else can be asked.
	maxLastWait = 2 * time.Minute
)

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

// askLater lets a call that was refused after it waited for its turn ask again when it is invited to; or after a while, the longer the more often: it
// may be that nobody else is answered, so that nobody is invited.
func (k *call) askLater(ctx context.Context, r score.Resort) bool {
	now := time.Now()
	if k.asksAt.IsZero() {
		k.pauses++
		k.asksAt = now.Add(score.ParkedPause(k.pauses-1, k.client.routing.parking.Moves(), nil))
	}
	pause := k.asksAt.Sub(now)
	if k.free || pause <= 0 || !k.enterLine() {
		k.asksAt = time.Time{}
		return sleep(ctx, min(pause, score.Pause(0, nil))) && k.askAgain(r)
	}
	r.For, r.Next = pause, pause
	return k.awaitTurn(ctx, pause, r)
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

// park waits until any endpoint may be usable, or a probe is due, and it is the call's turn to look.
func (k *call) park(ctx context.Context, r score.Resort) bool {
	begun := time.Now()
	left := min(cmp.Or(k.client.config.Retry.Park, defaultPark)-k.parked, r.For)
	if left <= 0 && k.client.routing.parking.Moves() {
		left = min(score.ParkedLook, r.For)
	}
	if k.client.config.Retry.NoPark || left <= 0 || !k.enterLine() {
		return false
	}
	k.client.routing.probes.Waiting(begun)
	k.client.routing.budget.Park()
	looks := k.awaitTurn(ctx, left, r)
	k.client.routing.budget.Unpark()
	k.parked += time.Since(begun)
	return looks
}

// enterLine takes the call's place among those that wait, or returns to it. It reports false if there is no room.
func (k *call) enterLine() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if k.place != nil {
		return k.place.Back(now, k.free)
	}
	k.place = k.client.routing.parking.Enter(now)
	return k.place != nil
}

// leaveLine gives up the call's place, if it has one.
func (k *call) leaveLine() {
	if k.place != nil {
		k.place.Leave(time.Now())
	}
}

// awaitTurn waits for the call's turn, so long at most: then it looks for the last time. As long as others that waited are being answered, it waits for as
// long as the call's time allows. After r.Next there may be something to look at, and perhaps earlier, unseen: that the retry budget is not
// empty any more, say.
func (k *call) awaitTurn(ctx context.Context, left time.Duration, r score.Resort) bool {
	begun := time.Now()
	end, due := time.NewTimer(left), time.NewTimer(min(r.Next, score.ParkedLook))
	defer end.Stop()
	defer due.Stop()
	for {
		select {
		case k.free = <-k.place.Turn():
			return true
		case now := <-due.C:
			due.Reset(score.ParkedLook)
			k.place.Want(now)
		case now := <-end.C:
			if rest := r.For - now.Sub(begun); rest > 0 && k.client.routing.parking.Moves() {
				end.Reset(min(rest, score.ParkedLook))
				continue
			}
			k.free = false
			k.place.Force(now)
			return true
		case <-ctx.Done():
			return false
		}
	}
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
