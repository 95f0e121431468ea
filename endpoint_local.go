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
	if e.slots != nil && !e.slots.TryTake() {
		waiting, cancel := context.WithTimeout(patience, x.candidate.room)
		defer cancel()
		if e.slots.Take(waiting) != nil {
			return k.noSlot(ctx, patience, x)
		}
	}
	x.run.inside = true
	e.running.Add(1)
	return nil
}

// noSlot is the error of an attempt that got no slot.
func (k *call) noSlot(ctx, patience context.Context, x *exchange) *Error {
	err := contextError(ctx)
	switch {
	case err != nil:
	case patience.Err() != nil: // another attempt has content; if that breaks off, this one may be made yet
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
	if k.probing || k.events { // a reader takes its time
		return
	}
	now := time.Now()
	if x.endpoint.Local {
		k.client.routing.localMean.Learn(now.Sub(x.run.begun))
	}
	if k.stream {
		k.client.routing.genMean.Learn(now.Sub(x.run.begun) - x.run.ahead)
	}
}
