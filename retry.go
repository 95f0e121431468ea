package holdfast

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/holdfast-ai/holdfast/internal/pace"
	"github.com/holdfast-ai/holdfast/internal/score"
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
	field   []candidate  // who may be asked, the best way to go on first
	few     [2]candidate // its memory where there are no more
	last    *Error       // of the last attempt that failed
	refused *Error       // the first endpoint that cannot express the request
	trail   Trail

	pending int           // candidates that were chosen and are about to be asked
	claims  int           // attempts at endpoints that are not local, made or about to be
	taken   int           // of those, out of the retry budget
	dry     bool          // nothing was left of it
	place   *score.Place  // among the calls that wait for anybody to become usable; nil if it never did
	asksAt  time.Time     // when it asks those again who refused it, if it is not invited earlier
	free    bool          // its next attempt is not out of the retry budget
	cost    pace.Cost     // what it takes of its providers' limits, about
	waited  time.Duration // for rate limits
	pauses  int           // before somebody was asked again
	parked  time.Duration // for anybody to become usable
	breaks  int           // how often its answer broke off
	back    bool          // a better endpoint recovered while the call waited for the last resort
	probing bool          // this is a probe, or a mirror's copy: it teaches nothing as an attempt
	talk    uint64        // what the conversation is known by; 0 if that is of no use
	outcome outcome

	used   *exchange // that answers
	rescue *rescue   // what broke off before; nil if nothing did
}

// outcome is how a call ended, for the retry budget.
type outcome uint8

const (
	outcomeFailed outcome = iota
	outcomeAnswered
	outcomeLeft // the caller did not wait for the end
)

// begin checks the request and lists the candidates.
func (c *Client) begin(ctx context.Context, req *ChatRequest, events bool) (context.Context, *call, error) {
	if c.closed.Load() {
		return nil, nil, &Error{Kind: KindClosed}
	}
	if c.routing == nil {
		return nil, nil, &Error{Kind: KindNoEndpoint, Message: "the Client was not made by New"}
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
	k.line(ctx)
	return ctx, k, nil
}

// line lists the candidates.
func (k *call) line(ctx context.Context) {
	r := k.client.routing
	f := k.filter()
	k.field, k.trail.Skipped = f.allowed(k.few[:0])
	if len(k.field) < len(f.endpoints) {
		k.refused = f.incapable()
	}
	if slices.ContainsFunc(f.endpoints, func(e *endpoint) bool { return e.pacers.any.Load() }) {
		k.cost = k.request.cost()
	}
	r.probes.Started(k.begun)
	r.budget.Begin()
	if r.pairs {
		k.talk = r.conversation(k.request)
		k.prefer(r.affinity.Last(k.begun, k.talk))
	}
	if r.locals && r.clouds {
		k.setGuard(ctx)
	}
}

// prefer marks the endpoint that served the conversation last.
func (k *call) prefer(endpoint string) {
	for i := range k.field {
		k.field[i].affine = endpoint != "" && k.field[i].endpoint.Name == endpoint
	}
}

// shortAnswer is the largest bound on an answer's tokens that lets Chat ask for it in one piece.
const shortAnswer = 1024

// streams reports whether Chat streams the answer underneath, so that a long one is neither cut off by a proxy nor lost whole.
func (c *Client) streams(req *ChatRequest) bool {
	return !c.config.Unary && (req.MaxOutputTokens == 0 || req.MaxOutputTokens > shortAnswer)
}

func (k *call) filter() filter {
	c := k.client
	f := filter{
		endpoints: c.endpoints, model: k.request.Model, country: k.trail.Country, fallback: c.fallback,
		residency: [2][]string{c.config.Residency, k.request.Residency},
	}
	if c.lacking {
		f.needs = k.request.needs()
	}
	return f
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
	defer k.account()
	defer k.leaveLine()
	k.settle()
}

// account settles the call's account with the retry budget.
func (k *call) account() {
	if k.probing {
		return
	}
	b := &k.client.routing.budget
	if k.outcome == outcomeLeft {
		b.Left(k.taken)
		return
	}
	b.Done(k.taken, k.outcome == outcomeAnswered)
}

// finish ends an exchange that answered.
func (x *exchange) finish() {
	if x.run.live != nil {
		x.run.live.close(func() { x.run.end(nil) })
		x.run.live = nil
	}
	x.run.clock.stop()
	x.run.end(nil)
	x.leaveEndpoint()
	x.release()
}

// run goes from endpoint to endpoint until one answers: for a stream, until its first visible content is there.
func (k *call) run(ctx context.Context) error {
	for {
		next, ok := k.next(ctx)
		if !ok {
			if k.takeOver() { // the last resort, which the guard asked meanwhile
				return nil
			}
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
		}
	}
}

func (k *call) maxAttempts() int {
	return cmp.Or(k.client.config.Retry.MaxAttempts, defaultMaxAttempts)
}

// unsendable notes why a request cannot go to an endpoint. It returns an error only if it can go nowhere.
func (k *call) unsendable(c *candidate, err error) *Error {
	e := ownError(err, KindUnsupported)
	if _, ours := errors.AsType[*Error](err); !ours {
		e.Message = scrub.Clean(e.Message, maxMessage, nil, k.texts(nil))
	}
	e.Endpoint, e.Provider, e.Model, e.Phase = c.endpoint.Name, c.endpoint.dialect.Name, c.model, PhaseBeforeSend
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refund(c)
	if e.Kind == KindInvalid && k.rescue == nil {
		return e
	}
	c.against = describe(e)
	if k.refused == nil {
		k.refused = e
	}
	return nil
}

// failed completes the error of the call.
func (k *call) failed(e *Error) error {
	k.settle()
	if e.Kind == KindCanceled {
		k.outcome = outcomeLeft
	}
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
	err := k.attempt(ctx, ctx, x, first)
	for repeats := 0; ; repeats++ {
		if err == nil {
			k.used = x
			return rule{}
		}
		r, over := k.consequence(x, err)
		if over {
			return r
		}
		if r.verdict == strip && repeats == 0 && k.mayStrip(x) {
			if stripped, e := k.stripped(ctx, x); e == nil {
				x.release()
				x = stripped
				err = k.attempt(ctx, ctx, x, first)
				continue
			}
		}
		wait := cmp.Or(err.RetryAfter, k.limitOf(x), backoff(repeats))
		if !k.goesOnAt(ctx, x, err, r, repeats, wait) {
			return r
		}
		x.why = "again in place after " + string(err.Kind)
		err = k.attempt(ctx, ctx, x, wait)
	}
}

// mayStrip reports whether the request may be sent once more without returned thinking.
func (k *call) mayStrip(x *exchange) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.spent() && (x.endpoint.Local || k.pay(x.candidate, false))
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

// spent reports whether the call has made all its attempts. k.mu is held.
func (k *call) spent() bool { return len(k.trail.Attempts)+k.pending >= k.maxAttempts() }

func (k *call) isSpent() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.spent()
}

// learn remembers what a failure says of the endpoint's key, and tells the operator what he must know.
func (k *call) learn(x *exchange, err *Error, r rule) {
	tell := x.endpoint.learn(x.credentials.id, x.target.Model, err, r, time.Now())
	if log := k.client.config.Logger; tell && log != nil {
		log.Warn("holdfast: "+string(err.Kind), "endpoint", x.endpoint.Name, "provider", x.endpoint.Provider, "model", x.target.Model,
			"status", err.Status, "type", err.Type, "code", err.Code, "request_id", err.RequestID)
	}
}
