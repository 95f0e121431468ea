package holdfast

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
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

	claims  int           // attempts at endpoints that are not local, made or about to be
	taken   int           // of those, out of the retry budget
	dry     bool          // nothing was left of it
	cost    pace.Cost     // what it takes of its providers' limits, about
	waited  time.Duration // for rate limits
	pauses  int           // before somebody was asked again
	parkEnd time.Time
	probing bool   // this is a probe, or a mirror's copy: it teaches nothing as an attempt
	talk    uint64 // what the conversation is known by; 0 if that is of no use
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
	if e.Kind == KindInvalid && k.rescue == nil {
		return e
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	c.against = describe(e)
	k.refund(c)
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
	k.tellStates(ctx)
	if k.last != nil {
		return k.failed(k.last)
	}
	e := k.limited(ctx)
	if e == nil {
		e = k.refused
	}
	if e == nil {
		e = k.unavailable(ctx)
	}
	if e == nil {
		e = &Error{Kind: KindNoEndpoint, Phase: PhaseBeforeSend, Message: skippedInWords(k.trail.Skipped)}
		if len(k.field) == 0 && slices.ContainsFunc(k.trail.Skipped, func(s Skip) bool { return strings.HasPrefix(s.Why, residencyWords) }) {
			e.Field = residencyWords
		}
	}
	return k.failed(e)
}

// unavailable is the error of a call that nobody was asked for, since those who may take it are ill or over their rate limits.
func (k *call) unavailable(ctx context.Context) *Error {
	holds, now := k.holds(ctx), time.Now()
	var e *Error
	for g := k.nextGroup(0); g.from < len(k.field); g = k.nextGroup(g.to) {
		s := k.view(g, holds, now)
		for i := range s.Candidates {
			v := &s.Candidates[i]
			if v.Against != "" {
				continue
			}
			if in := max(v.BlockedFor, v.ProbeIn, time.Second); e == nil || in < e.RetryAfter {
				e = &Error{Kind: KindUnavailable, Phase: PhaseBeforeSend, RetryAfter: in}
			}
		}
	}
	if e != nil {
		e.Message = skippedInWords(k.trail.Skipped)
	}
	return e
}

// limited is the error of a call that nobody was asked for, since a rate limit is in the way everywhere, or at all that can take the request.
func (k *call) limited(ctx context.Context) *Error {
	holds := k.holds(ctx)
	first := -1
	for i := range holds {
		switch wait := holds[i].limited; {
		case k.field[i].against != "":
		case wait <= 0:
			return nil
		case first < 0 || wait < holds[first].limited:
			first = i
		}
	}
	if first < 0 {
		return nil
	}
	c := &k.field[first]
	return &Error{
		Kind: KindRateLimit, Endpoint: c.endpoint.Name, Provider: c.endpoint.dialect.Name, Model: c.model, RetryAfter: holds[first].limited,
		Phase: PhaseBeforeSend, Message: "an earlier call was told to wait",
	}
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
		if r.verdict == strip && repeats == 0 && !k.isSpent() {
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

// limitOf returns how long the endpoint's rate limit blocks it yet.
func (k *call) limitOf(x *exchange) time.Duration {
	now := time.Now()
	if b, is := x.endpoint.blocks.find(x.credentials.id, x.target.Model, now); is && b.kind == KindRateLimit {
		return b.until.Sub(now)
	}
	return 0
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
	holds := k.holds(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.putBehind(x, e, r)
	return k.mayRepeat(ctx, x, r, holds, repeats, wait) && (x.endpoint.Local || k.pay(x.candidate))
}

// putBehind notes what a failure means for the rest of the call. k.mu is held.
func (k *call) putBehind(x *exchange, e *Error, r rule) {
	c := x.candidate
	switch {
	case e.Kind == KindLost: // it only came second
		c.tried = false
	case r.verdict == otherModel:
		k.dropModel(x)
	case r.silent:
		c.against, c.silent = describe(e), time.Now()
	case r.verdict != repeat && !r.again:
		c.against = describe(e)
	case e.RetryAfter > 0:
		c.resumes = time.Now().Add(e.RetryAfter)
	}
}

// spent reports whether the call has made all its attempts. k.mu is held.
func (k *call) spent() bool { return len(k.trail.Attempts) >= k.maxAttempts() }

func (k *call) isSpent() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.spent()
}

// maxWait bounds the wait before a repeat in place while another tier could be asked instead.
const maxWait = 3 * time.Second

// mayRepeat decides on a repeat in place: never of a silent endpoint; never while an equal endpoint is left; once before a
// tier is left, if the wait is short; with more patience where the call has but one endpoint, until that counts as ill. k.mu is held.
func (k *call) mayRepeat(ctx context.Context, x *exchange, r rule, holds []hold, repeats int, wait time.Duration) bool {
	now := time.Now()
	left := k.deadline.Sub(now)
	if r.verdict != repeat || r.silent || k.spent() || ctx.Err() != nil {
		return false
	}
	if !x.endpoint.Local && x.candidate.health.State(now, k.form()).Breaker == score.Open {
		return false
	}
	others, equal := k.left(x, holds, now)
	switch {
	case equal:
		return false
	case others:
		return repeats < 1 && wait <= maxWait && wait < left/4
	}
	return k.isAlone(x) && wait <= maxLastWait && wait < left
}

// left reports whether others can be asked, and whether one of them is as good as x. k.mu is held.
func (k *call) left(x *exchange, holds []hold, now time.Time) (others, equal bool) {
	for g := k.nextGroup(0); g.from < len(k.field); g = k.nextGroup(g.to) {
		s := k.view(g, holds, now)
		s.Trials = false
		if c := score.Choose(s); c.Index >= 0 {
			others = true
			equal = equal || k.field[g.from+c.Index].equals(x.candidate)
		} else if s.Resort().Step == score.AskLocal && k.mayAskLocal() {
			others = true
		}
	}
	return others, equal
}

// isAlone reports whether the call has no other endpoint than x's. k.mu is held.
func (k *call) isAlone(x *exchange) bool {
	for i := range k.field {
		if c := &k.field[i]; c.against == "" && c.endpoint != x.endpoint {
			return false
		}
	}
	return true
}

// dropModel gives up the candidates that would ask the same model of the same provider. k.mu is held.
func (k *call) dropModel(x *exchange) {
	for i := range k.field {
		c := &k.field[i]
		if c.against == "" && c.model == x.target.Model && c.endpoint.dialect.Name == x.endpoint.dialect.Name && c.how == x.candidate.how {
			c.against = "the same model just failed in a way that only another can help"
		}
	}
}

// learn remembers what a failure says of the endpoint's key, and tells the operator what he must know.
func (k *call) learn(x *exchange, err *Error, r rule) {
	tell := x.endpoint.learn(x.credentials.id, x.target.Model, err, r, time.Now())
	if log := k.client.config.Logger; tell && log != nil {
		log.Warn("holdfast: "+string(err.Kind), "endpoint", x.endpoint.Name, "provider", x.endpoint.Provider, "model", x.target.Model,
			"status", err.Status, "type", err.Type, "code", err.Code, "request_id", err.RequestID)
	}
}
