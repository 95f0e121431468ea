package holdfast

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holdfast-ai/holdfast/internal/scrub"
)

// call is one Chat or Stream on its way: the loop over endpoints, one budget, one deadline. One goroutine drives it. What reserves of its
// attempts share with it is guarded by race.mu: the queue, the Trail and all that is learnt for this call.
type call struct {
	client   *Client
	request  *ChatRequest
	stream   bool // answers are asked for as streams
	events   bool // the caller reads the answer as a stream
	begun    time.Time
	deadline time.Time
	cancel   context.CancelFunc

	race
	queue   []candidate
	lost    []candidate // that may be asked again: their attempts only came second
	last    *Error      // of the last attempt that failed
	refused *Error      // the first endpoint that cannot express the request
	parked  []parked    // endpoints that were passed over for a rate limit
	trail   Trail

	used   *exchange // that answers
	rescue *rescue   // what broke off before; nil if nothing did
}

// parked is an endpoint that could be asked once its rate limit has passed.
type parked struct {
	candidate candidate
	block     keyBlock
}

// begin checks the request and lists the candidates.
func (c *Client) begin(ctx context.Context, req *ChatRequest, events bool) (context.Context, *call, error) {
	if c.closed.Load() {
		return nil, nil, &Error{Kind: KindClosed}
	}
	if ctx == nil {
		return nil, nil, invalid("context", "is nil")
	}
	if err := req.check(); err != nil {
		return nil, nil, err
	}
	k := &call{client: c, request: req, events: events, stream: events || c.streams(req), begun: time.Now()}
	k.moved.L = &k.mu
	ctx, k.cancel = context.WithTimeoutCause(ctx, cmp.Or(c.config.Timeout, defaultTimeout), errTotalTimeout)
	if err := contextError(ctx); err != nil {
		k.cancel()
		err.Phase = PhaseBeforeSend
		return nil, nil, err
	}
	k.deadline, _ = ctx.Deadline()
	if c.byCountry {
		k.trail.Country, k.trail.CountryFrom = c.locator.country(ctx)
	}
	k.queue, k.trail.Skipped = k.snapshot().choose()
	return ctx, k, nil
}

// shortAnswer is the largest bound on an answer's tokens that lets Chat ask for it in one piece.
const shortAnswer = 1024

// streams reports whether Chat streams the answer underneath, so that a long one is neither cut off by a proxy nor lost whole.
func (c *Client) streams(req *ChatRequest) bool {
	return !c.config.Unary && (req.MaxOutputTokens == 0 || req.MaxOutputTokens > shortAnswer)
}

func (k *call) snapshot() snapshot {
	c := k.client
	return snapshot{
		endpoints: c.endpoints, model: k.request.Model, country: k.trail.Country, fallback: c.fallback, residency: c.config.Residency,
	}
}

var errTotalTimeout = errors.New("the call's total timeout passed (Config.Timeout)")

// finish ends whatever the call still holds.
func (k *call) finish() {
	defer func() {
		k.cancel()
		if k.client.closed.Load() {
			k.client.closeIdle() // a connection that this call kept busy when Close was called
		}
	}()
	defer func() {
		for _, x := range []*exchange{k.used, k.ready} {
			if x != nil {
				x.finish()
			}
		}
	}()
	k.settle()
}

// finish ends an exchange that answered.
func (x *exchange) finish() {
	if x.run.live != nil {
		x.run.live.close(func() { x.run.end(nil) })
		x.run.live = nil
	}
	x.run.clock.stop()
	x.run.end(nil)
	x.release()
}

// run goes from endpoint to endpoint until one answers: for a stream, until its first visible content is there.
func (k *call) run(ctx context.Context) error {
	for {
		next, ok := k.next(ctx)
		if !ok {
			return k.exhausted(ctx)
		}
		x, err := k.encode(ctx, next)
		if err != nil {
			if e := k.unsendable(next, err); e != nil {
				return k.failed(e)
			}
			continue
		}
		r := k.visit(ctx, x)
		switch {
		case r.verdict == 0:
			return nil
		case r.verdict == giveUp || r.verdict == stop:
			return k.failed(k.final)
		case k.isSpent():
			return k.exhausted(ctx)
		}
	}
}

func (k *call) maxAttempts() int {
	return cmp.Or(k.client.config.Retry.MaxAttempts, defaultMaxAttempts)
}

// next takes the best candidate, waiting for one if none is left but for rate limits that end in time.
func (k *call) next(ctx context.Context) (candidate, bool) {
	for {
		if c, ok := k.pop(ctx); ok {
			return c, true
		}
		if !k.waitForParked(ctx) {
			return candidate{}, false
		}
	}
}

// pop takes the best candidate that is left and not blocked.
func (k *call) pop(ctx context.Context) (candidate, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.queue) == 0 {
		k.queue, k.lost = k.lost, nil
	}
	for len(k.queue) > 0 {
		c := k.queue[0]
		k.queue = k.queue[1:]
		if b, is := k.blocked(ctx, c); is {
			k.skip(c, b.why(time.Now()))
			if b.kind == KindRateLimit {
				k.parked = append(k.parked, parked{c, b})
			}
			continue
		}
		if k.last != nil {
			c.why = "after " + k.last.Endpoint + ": " + string(k.last.Kind) + "; " + c.why
		}
		return c, true
	}
	return candidate{}, false
}

// blocked looks up whether the key that the candidate would use is blocked.
func (k *call) blocked(ctx context.Context, c candidate) (keyBlock, bool) {
	if !c.endpoint.blocks.any.Load() {
		return keyBlock{}, false
	}
	cred, err := c.endpoint.credentialsNow(ctx)
	if err != nil {
		return keyBlock{}, false // encode reports it
	}
	return c.endpoint.blocks.find(cred.id, c.model, time.Now())
}

// skip notes that a candidate is passed over. Of a rescue, whose rungs ask the same endpoints, only attempts are told.
func (k *call) skip(c candidate, why string) {
	if k.rescue != nil {
		return
	}
	k.trail.Skipped = append(k.trail.Skipped, Skip{Endpoint: c.endpoint.Name, Why: why})
}

// waitForParked waits, when nothing else is left and no reserve runs, until the first of the endpoints that are only over their rate limit is
// back, and lists them all again. It reports false if there is none or none is back in time.
func (k *call) waitForParked(ctx context.Context) bool {
	if len(k.parked) == 0 {
		return false
	}
	p := slices.MinFunc(k.parked, func(a, b parked) int { return a.block.until.Compare(b.block.until) })
	wait := max(0, time.Until(p.block.until))
	if wait > maxLastWait || time.Now().Add(wait).After(k.deadline) {
		if k.last == nil {
			e := p.candidate.endpoint
			k.last = &Error{
				Kind: p.block.kind, Endpoint: e.Name, Provider: e.dialect.Name, Model: p.candidate.model, RetryAfter: wait,
				Phase: PhaseBeforeSend, Message: "an earlier call was told to wait",
			}
		}
		return false
	}
	if !sleep(ctx, wait) {
		return false
	}
	k.unpark(fmt.Sprintf("waited %s for its rate limit; ", wait.Round(time.Millisecond)))
	return true
}

// unpark lists the parked endpoints again. Those that are still blocked, or blocked once more by another call, are parked anew.
func (k *call) unpark(why string) {
	for _, p := range k.parked {
		c := p.candidate
		if !time.Now().Before(p.block.until) {
			c.why = why + c.why
		}
		k.queue = append(k.queue, c)
		k.trail.Skipped = slices.DeleteFunc(k.trail.Skipped, func(s Skip) bool { return s.Endpoint == c.endpoint.Name })
	}
	k.parked = nil
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

// unsendable notes why a request cannot go to an endpoint. It returns an error only if it can go nowhere.
func (k *call) unsendable(c candidate, err error) *Error {
	e := ownError(err, KindUnsupported)
	if _, ours := errors.AsType[*Error](err); !ours {
		e.Message = scrub.Clean(e.Message, maxMessage, nil, k.texts(nil))
	}
	e.Endpoint, e.Provider, e.Model, e.Phase = c.endpoint.Name, c.endpoint.dialect.Name, c.model, PhaseBeforeSend
	if e.Kind == KindInvalid && k.rescue == nil {
		return e
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.skip(c, describe(e))
	if k.refused == nil {
		k.refused = e
	}
	return nil
}

// exhausted is the error when no candidate is left.
func (k *call) exhausted(ctx context.Context) error {
	if e := contextError(ctx); e != nil {
		return k.failed(e)
	}
	if k.last != nil {
		return k.failed(k.last)
	}
	if k.refused != nil {
		return k.failed(k.refused)
	}
	return k.failed(&Error{Kind: KindNoEndpoint, Phase: PhaseBeforeSend, Message: skippedInWords(k.trail.Skipped)})
}

// failed completes the error of the call.
func (k *call) failed(e *Error) error {
	k.settle()
	e.Trail = k.trail
	return e
}

// visit asks one endpoint, and asks it again in place as far as the verdict and the rules for repeats allow. A verdict of 0 means
// that it answered, or a reserve of it did.
func (k *call) visit(ctx context.Context, x *exchange) rule {
	defer func() {
		if k.used != x {
			x.release()
		}
	}()
	err := k.attempt(ctx, x, first)
	for repeats := 0; ; repeats++ {
		if err == nil {
			k.used = x
			return rule{}
		}
		r, over := k.consequence(x, err)
		if over {
			return r
		}
		if r.verdict == strip && repeats == 0 && !k.isSpent() {
			if stripped, e := k.stripped(ctx, x); e == nil {
				x.release()
				x = stripped
				err = k.attempt(ctx, x, first)
				continue
			}
		}
		wait := cmp.Or(err.RetryAfter, backoff(repeats))
		if !k.goesOnAt(ctx, x, err, r, repeats, wait) {
			return r
		}
		x.why = "again in place after " + string(err.Kind)
		err = k.attempt(ctx, x, wait)
	}
}

// consequence judges a failure, and waits for the reserves that run beside. It reports true if nobody else is to be asked: a reserve has the
// answer, or the call has failed for good.
func (k *call) consequence(x *exchange, e *Error) (r rule, over bool) {
	r = k.judge(x, e)
	k.learn(x, e, r)
	if r.verdict == giveUp || r.verdict == stop {
		k.conclude(e)
	}
	switch {
	case k.takeOver():
		return rule{}, true
	case k.final != nil:
		return rule{verdict: giveUp}, true
	}
	return r, false
}

// judge judges a failure. That of a way to go on with an answer says nothing against the other ways.
func (k *call) judge(x *exchange, e *Error) rule {
	r := judge(e, k.client.config.Retry)
	if x.candidate.how != rungNone && r.verdict == giveUp {
		r.verdict = elsewhere
	}
	return r
}

// goesOnAt draws the consequences of a failure for the rest of the call, and reports whether the same endpoint is asked again.
func (k *call) goesOnAt(ctx context.Context, x *exchange, e *Error, r rule, repeats int, wait time.Duration) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.verdict == otherModel {
		k.dropModel(x)
	}
	if e.Kind == KindLost { // to a reserve that failed in its turn
		k.lost = append(k.lost, x.candidate)
	}
	return k.mayRepeat(ctx, x, r, repeats, wait)
}

// spent reports whether the call has made all its attempts. k.mu is held.
func (k *call) spent() bool { return len(k.trail.Attempts) >= k.maxAttempts() }

func (k *call) isSpent() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.spent()
}

const (
	// maxWait bounds the wait before a repeat in place while another tier could be asked instead.
	maxWait = 3 * time.Second
	// maxLastWait bounds it when this is the last endpoint.
	maxLastWait = 2 * time.Minute
	// lastRepeats is how often the last endpoint is asked again, as often as the official clients do.
	lastRepeats = 2
)

// mayRepeat decides on a repeat in place: never of a silent endpoint; never while an equal endpoint is left; once before a
// tier is left, if the wait is short; twice at the last endpoint, with more patience.
func (k *call) mayRepeat(ctx context.Context, x *exchange, r rule, repeats int, wait time.Duration) bool {
	left := time.Until(k.deadline)
	if r.verdict != repeat || r.silent || k.spent() || ctx.Err() != nil {
		return false
	}
	others, equal := k.left(ctx, x)
	switch {
	case equal:
		return false
	case others:
		return repeats < 1 && wait <= maxWait && wait < left/4
	}
	return repeats < lastRepeats && wait <= maxLastWait && wait < left
}

// left reports whether other candidates are left, and whether one of them is of the same rank and tier. k.mu is held.
func (k *call) left(ctx context.Context, x *exchange) (others, equal bool) {
	for _, c := range slices.Concat(k.queue, k.lost) {
		if _, blocked := k.blocked(ctx, c); blocked {
			continue
		}
		others = true
		equal = equal || c.equals(x.candidate)
	}
	return others, equal
}

// dropModel removes the candidates that would ask the same model of the same provider, also those whose rate limit could be waited for.
// k.mu is held.
func (k *call) dropModel(x *exchange) {
	same := func(c candidate) bool {
		return c.model == x.target.Model && c.endpoint.dialect.Name == x.endpoint.dialect.Name && c.how == x.candidate.how
	}
	k.parked = slices.DeleteFunc(k.parked, func(p parked) bool { return same(p.candidate) })
	k.queue = slices.DeleteFunc(k.queue, func(c candidate) bool {
		if same(c) {
			k.skip(c, "the same model just failed in a way that only another can help")
		}
		return same(c)
	})
}

// learn remembers what a failure says of the endpoint's key, and tells the operator what he must know.
func (k *call) learn(x *exchange, err *Error, r rule) {
	tell := x.endpoint.learn(x.credentials.id, x.target.Model, err, r, time.Now())
	if log := k.client.config.Logger; tell && log != nil {
		log.Warn("holdfast: "+string(err.Kind), "endpoint", x.endpoint.Name, "provider", x.endpoint.Provider, "model", x.target.Model,
			"status", err.Status, "type", err.Type, "code", err.Code, "request_id", err.RequestID)
	}
}
