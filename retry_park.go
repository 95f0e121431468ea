package holdfast

import (
	"cmp"
	"context"
	"time"

	"github.com/holdfast-ai/holdfast/internal/score"
)

// defaultPark bounds the wait for any endpoint to become usable.
const defaultPark = 30 * time.Second

// park waits until any endpoint may be usable, or a probe is due, and it is the call's turn to look. It reports false if the call has waited long
// enough. Time in which others of the line are answered does not count.
func (k *call) park(ctx context.Context, r score.Resort) bool {
	parking, begun := &k.client.routing.parking, time.Now()
	left := min(cmp.Or(k.client.config.Retry.Park, defaultPark)-k.parked, r.For)
	if k.client.config.Retry.NoPark || left <= 0 || !k.enterLine() {
		return false
	}
	k.client.routing.probes.Waiting(begun)
	looks := k.awaitTurn(ctx, left, r)
	if now := time.Now(); !parking.Moves(now) {
		k.parked += now.Sub(begun)
	}
	return looks
}

// enterLine takes the call's place among those that wait, or returns to it. It reports false if there is no room.
func (k *call) enterLine() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if k.place == nil {
		k.place = k.client.routing.parking.Enter(now)
		return k.place != nil
	}
	k.place.Back(now, k.free)
	k.free = false
	return true
}

// leaveLine gives up the call's place, if it has one.
func (k *call) leaveLine() {
	if k.place != nil {
		k.place.Leave(time.Now(), k.free)
		k.free = false
	}
}

// awaitTurn waits for the call's turn, so long at most, or as long as its time allows while others of the line are answered: then it looks all the
// same. Now and then it asks for a turn by itself: when a probe may be due, and for what nobody tells it, such as a retry budget that fills again.
func (k *call) awaitTurn(ctx context.Context, left time.Duration, r score.Resort) bool {
	parking, begun := &k.client.routing.parking, time.Now()
	k.client.routing.budget.Park()
	defer k.client.routing.budget.Unpark()
	end, look := time.NewTimer(left), time.NewTimer(min(r.Next, score.ParkedLook))
	defer end.Stop()
	defer look.Stop()
	for {
		select {
		case k.free = <-k.place.Turn():
			return true
		case now := <-look.C:
			look.Reset(score.ParkedLook)
			k.place.Want(now)
		case now := <-end.C:
			if rest := r.For - now.Sub(begun); rest > 0 && parking.Moves(now) {
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

// askLater lets a call that was refused after it waited for its turn ask again when it is invited to; or after a while, the longer the more often
// it was refused, since perhaps nobody else is answered, so that nobody is invited. It leaves itself the time for an answer.
func (k *call) askLater(ctx context.Context, r score.Resort) bool {
	now := time.Now()
	if k.asksAt.IsZero() {
		pause := score.ParkedPause(k.pauses, k.client.routing.parking.Moves(now), nil)
		k.pauses++
		k.asksAt = now.Add(max(score.Pause(0, nil), min(pause, (k.deadline.Sub(now)-k.client.routing.genMean.Value())/2)))
	}
	pause := k.asksAt.Sub(now)
	if k.free || pause <= 0 {
		k.asksAt = time.Time{}
		return k.askAgain(r)
	}
	k.enterLine()
	r.For, r.Next = pause, pause
	return k.awaitTurn(ctx, pause, r)
}
