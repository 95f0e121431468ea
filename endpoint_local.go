package holdfast

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-ai/holdfast/internal/slots"
)

// defaultConcurrency is how many requests a local endpoint takes at once.
const defaultConcurrency = 4

func newSlots(e *Endpoint) *slots.Slots {
	switch {
	case !e.Local:
		return nil
	case e.Concurrency == 0:
		return slots.New(defaultConcurrency)
	}
	return slots.New(e.Concurrency)
}

// enterEndpoint counts an attempt as under way. At a local endpoint it waits for a slot, in order of arrival, as long as the call can wait
// and still be answered in time.
func (k *call) enterEndpoint(ctx, patience context.Context, x *exchange) *Error {
	e := x.endpoint
	if e.slots != nil && !e.slots.TryTake() && !k.queue(ctx, patience, x) {
		return k.noSlot(ctx, patience, x)
	}
	x.run.inside = true
	e.running.Add(1)
	return nil
}

// queue waits for a slot, and reports whether it has one. A call that waits for nothing else leaves the line when a better endpoint is well again.
func (k *call) queue(ctx, patience context.Context, x *exchange) bool {
	begun, line := time.Now(), x.endpoint.slots.Join()
	t := time.NewTimer(x.candidate.room)
	defer t.Stop()
	for {
		var woken <-chan struct{}
		if patience == ctx { // it is no reserve
			woken = k.client.routing.parking.Woken()
			if k.recovered(ctx, begun) {
				line.Leave()
				return false
			}
		}
		select {
		case <-line.Turn():
			return true
		case <-woken:
			continue
		case <-t.C:
		case <-patience.Done():
		}
		line.Leave()
		return false
	}
}

// recovered reports whether an endpoint that is not local, and may be asked, has answered anybody since then. It may be asked once more.
func (k *call) recovered(ctx context.Context, since time.Time) bool {
	holds := k.holds(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	k.back = false
	for g := k.nextGroup(0); g.from < len(k.field); g = k.nextGroup(g.to) {
		s := k.view(g, holds, now)
		for i := range s.Candidates {
			v := &s.Candidates[i]
			if !v.Local && !v.Absent() && v.LastOK >= 0 && v.LastOK < now.Sub(since) {
				k.field[g.from+i].tried, k.back = false, true
			}
		}
	}
	return k.back
}

// noSlot is the error of an attempt that got no slot.
func (k *call) noSlot(ctx, patience context.Context, x *exchange) *Error {
	err := contextError(ctx)
	switch {
	case err != nil:
	case patience.Err() != nil || patience == ctx && k.back: // another attempt has content, or a better one may be made; this one may follow yet
		err = &Error{Kind: errLost.kind, Message: errLost.text}
	default:
		err = &Error{Kind: KindBusy, Message: fmt.Sprintf("none within %s (concurrency)", x.candidate.room.Round(time.Millisecond))}
	}
	err.Endpoint, err.Provider, err.Model, err.Phase = x.endpoint.Name, x.endpoint.dialect.Name, x.target.Model, PhaseBeforeSend
	k.mu.Lock()
	defer k.mu.Unlock()
	k.begins(x.candidate)
	if k.last == nil && err.Kind != KindLost {
		k.last = err
	}
	return err
}

// leaveEndpoint ends what enterEndpoint began. It may be called again.
func (x *exchange) leaveEndpoint() {
	if !x.run.inside {
		return
	}
	x.run.inside = false
	x.endpoint.running.Add(-1)
	if x.endpoint.slots != nil {
		x.endpoint.slots.Give()
	}
}

// learnTimes learns how long a whole answer took, by which is known how long before the deadline the last resort must be asked.
func (k *call) learnTimes(x *exchange) {
	if k.probing {
		return
	}
	took := x.run.clock.took() // by a stream's reader the endpoint is not judged
	if x.endpoint.Local {
		k.client.routing.localMean.Learn(took)
	}
	if k.stream {
		k.client.routing.genMean.Learn(took - x.run.ahead)
	}
}
