package holdfast

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// clockError is the cause with which an attempt's context ends when holdfast itself ends the attempt.
type clockError struct {
	kind Kind
	text string
}

func (e *clockError) Error() string { return e.text }

// errLost ends an attempt whose answer is not needed any more.
var errLost = &clockError{KindLost, "another attempt of this call answered first"}

// endedByUs returns the error of an attempt that holdfast itself ended, nil if it did not.
func endedByUs(ctx context.Context) *Error {
	if cause, ok := errors.AsType[*clockError](context.Cause(ctx)); ok {
		return &Error{Kind: cause.kind, Message: cause.text}
	}
	return nil
}

// step is what an attempt waits for.
type step uint8

const (
	stepConnect  step = iota // bounded by the transport
	stepHeaders              // from when the request is written
	stepContent              // until the first content; the wait for the headers counts
	stepBetween              // from one piece of content to the next
	stepEnd                  // from the stop reason to the end
	stepFinished             // nothing any more
)

// clock ends an attempt in which one step takes too long. It measures only while holdfast waits for the provider, so that a slow reader of a
// stream ends nothing. Only content moves it on: neither comments nor pings, empty deltas or the events of a stream's start do.
type clock struct {
	end      context.CancelCauseFunc
	limits   Timeouts
	deadline time.Time // of the call

	mu     sync.Mutex
	step   step
	limit  time.Duration // of this step; 0 means none
	waited time.Duration // so far in this step
	total  time.Duration // in all steps
	since  time.Time     // when the wait under way began; zero if nobody waits
	timer  *time.Timer
	rings  time.Time // when the timer fires; zero if it is not set
}

// sent begins the wait for the headers. It may be called more than once: a transport may find its connection dead and take another.
func (c *clock) sent() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.step > stepHeaders {
		return
	}
	c.step, c.limit = stepHeaders, shorter(c.limits.Headers, c.limits.FirstContent)
	c.start()
}

// answered ends the wait for the headers.
func (c *clock) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pause()
	c.step, c.limit = stepContent, c.limits.FirstContent
}

// content notes that content came. While a model works unseen, it is given more time.
func (c *clock) content(busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step, c.waited = stepBetween, 0
	c.between(busy)
}

// busy notes, without content, that the model works unseen, or does so no more.
func (c *clock) busy(busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.step == stepBetween {
		c.between(busy)
	}
}

func (c *clock) between(busy bool) {
	c.limit = cmp.Or(c.limits.BetweenContent, stallLimit(time.Until(c.deadline)))
	if busy {
		c.limit *= busyPatience
	}
}

// stopped notes that the model has said why it stopped: nothing of the answer can be missing, and what may still come, such as the count of
// tokens, is not waited for long.
func (c *clock) stopped() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.step != stepEnd {
		c.step, c.waited, c.limit = stepEnd, 0, endPatience
	}
}

const (
	// endPatience is how long an answer whose stop reason came is waited for to end.
	endPatience = time.Second
	// minStall and maxStall bound the default of Timeouts.BetweenContent, a quarter of the time that the call has left.
	minStall = 2 * time.Second
	maxStall = 15 * time.Second
	// busyPatience multiplies the limit between content while the model works unseen.
	busyPatience = 4
)

func stallLimit(left time.Duration) time.Duration { return min(max(left/4, minStall), maxStall) }

// shorter returns the shorter of two limits, where 0 is none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// wait and done enclose a wait for the provider.
func (c *clock) wait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.start()
}

func (c *clock) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pause()
}

func (c *clock) start() {
	now := time.Now()
	if c.since.IsZero() {
		c.since = now
	}
	if c.limit == 0 || c.step == stepFinished {
		return
	}
	// A timer that fires early finds out and is set again: cheaper than setting it anew for every read.
	due := c.since.Add(c.limit - c.waited)
	switch {
	case c.timer == nil:
		c.timer = time.AfterFunc(due.Sub(now), c.ring)
	case c.rings.IsZero() || due.Before(c.rings):
		c.timer.Reset(due.Sub(now))
	default:
		return
	}
	c.rings = due
}

func (c *clock) pause() {
	if !c.since.IsZero() {
		waited := time.Since(c.since)
		c.waited, c.total = c.waited+waited, c.total+waited
		c.since = time.Time{}
	}
}

// ring ends the attempt if the step has taken too long.
func (c *clock) ring() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rings = time.Time{}
	if c.since.IsZero() || c.limit == 0 || c.step == stepFinished {
		return
	}
	if left := c.limit - c.waited - time.Since(c.since); left > 0 {
		c.rings = time.Now().Add(left)
		c.timer.Reset(left)
		return
	}
	c.end(c.late())
}

func (c *clock) late() *clockError {
	switch c.step {
	case stepHeaders:
		if c.limits.Headers > 0 && c.limit == c.limits.Headers {
			return &clockError{KindHeaderTimeout, fmt.Sprintf("no headers within %s of the request", c.limit)}
		}
		return &clockError{KindStalled, fmt.Sprintf("no content within %s of the request", c.limit)}
	case stepContent:
		return &clockError{KindStalled, fmt.Sprintf("no content within %s of the request", c.limit)}
	}
	return &clockError{KindStalled, fmt.Sprintf("no further content for %s", c.limit)}
}

// took returns how long the provider was waited for, from when the request was sent. What a reader took is not in it.
func (c *clock) took() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// stop ends all measuring.
func (c *clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step = stepFinished
	if c.timer != nil {
		c.timer.Stop()
	}
}

// timing is what measures one attempt, in one piece of memory.
type timing struct {
	clock clock
	body  timedBody
}

// timedBody is an answer's body whose reading is measured.
type timedBody struct {
	io.ReadCloser
	clock   *clock
	moved   bool // content came since the last read
	busy    bool // the model works unseen
	told    bool // what the clock knows of that
	stopped bool // the model has said why it stopped
	whole   bool // the answer is not streamed: all but white space is content
	unwatch func() bool
}

// Close may be called more than once.
func (b *timedBody) Close() error {
	if b.unwatch != nil {
		b.unwatch()
	}
	return b.ReadCloser.Close()
}

func (b *timedBody) Read(p []byte) (int, error) {
	switch {
	case b.stopped:
		b.clock.stopped()
	case b.moved:
		b.clock.content(b.busy)
	case b.busy != b.told:
		b.clock.busy(b.busy)
	}
	b.moved, b.told = false, b.busy
	b.clock.wait()
	n, err := b.ReadCloser.Read(p)
	b.clock.done()
	if b.whole && !isBlank(p[:n]) {
		b.moved = true
	}
	return n, err
}

// isBlank reports whether there is only white space in b: some servers keep a connection alive with empty lines.
func isBlank(b []byte) bool {
	for _, c := range b {
		if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}
