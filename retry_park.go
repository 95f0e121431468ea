package holdfast

import (
	"cmp"
	"context"
	"time"

	"github.com/holdfast-ai/holdfast/internal/score"
)

// defaultPark bounds the wait for any endpoint to become usable.
const defaultPark = 30 * time.Second

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
