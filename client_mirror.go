package holdfast

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptrace"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/holdfast-ai/holdfast/internal/clone"
)

// Mirror sends copies of some calls to a candidate, such as another model or a new gateway, and compares its answers with those that users got.
// [Client.MirrorVerdict] tells whether the candidate may be promoted to an endpoint.
//
// Only calls that were answered are copied: when Chat is about to return, or a Stream to bring its EventEnd. A copy runs on a goroutine of its
// own, which Close ends and awaits. It has the values of the call's context, but neither its deadline nor its end, and takes at most
// [Config].Timeout. It is one attempt, without a reserve, a repeat or a rescue. Residency, countries and Models hold for the candidate as for
// any endpoint. Whatever becomes of a copy, no user notices: it is in no [Trail], and neither the state of endpoints and keys nor any budget of
// theirs changes.
//
// A call that is copied costs its caller a copy of the request and of the answer in memory, so that both are the caller's again at once. A call
// that is not costs one random number.
type Mirror struct {
	// Endpoint is the candidate. It never answers a user. Its Name must not be that of an endpoint; give it the Price that it would have as
	// one.
	Endpoint Endpoint `json:"endpoint"`
	// Share is the share of answered calls that are copied, above 0 and at most 1.
	Share float64 `json:"share"`

	// MaxConcurrent bounds the copies under way. 0 means 4. What comes beyond any of these bounds is not copied, and counted.
	MaxConcurrent int `json:"max_concurrent,omitempty"`
	// MaxPerMinute bounds how many copies begin in a minute, on average; after a pause as many may begin at once. 0 means 60.
	MaxPerMinute int `json:"max_per_minute,omitempty"`
	// MaxTokensPerMinute bounds what copies cost, in tokens in and out, likewise. A copy is taken to cost what the call did, so that a call
	// of more tokens is never copied; what it costs beyond that counts afterwards. 0 means 100,000.
	MaxTokensPerMinute int `json:"max_tokens_per_minute,omitempty"`

	// Window is how many copies the verdict looks back on: on that many at least, once there were so many, and on fewer than twice as many.
	// 0 means 1,000, or Promote.LeastCopies if that is more.
	Window int `json:"window,omitempty"`
	// Promote says what the candidate must show.
	Promote Promotion `json:"promote,omitzero"`
	// Same is a comparison of your own, of the answer that a user got with the candidate's; nil means none. It may change and keep both. It
	// is called on the goroutines of copies, several at once, and nobody waits for it but Close, which it must not call. If it panics, the
	// answers count as different.
	Same func(user, candidate *ChatResponse) bool `json:"-"`
}

const (
	defaultMirrorConcurrent = 4
	defaultMirrorRate       = 60
	defaultMirrorTokens     = 100_000
	defaultMirrorWindow     = 1000

	// mostCountedTokens is what an absurd count of a provider's counts as.
	mostCountedTokens = 1 << 29
)

// withDefaults fills in what was left out.
func (m Mirror) withDefaults() Mirror {
	m.MaxConcurrent = cmp.Or(m.MaxConcurrent, defaultMirrorConcurrent)
	m.MaxPerMinute = cmp.Or(m.MaxPerMinute, defaultMirrorRate)
	m.MaxTokensPerMinute = cmp.Or(m.MaxTokensPerMinute, defaultMirrorTokens)
	m.Promote = m.Promote.withDefaults()
	m.Window = cmp.Or(m.Window, max(defaultMirrorWindow, m.Promote.LeastCopies))
	return m
}

// check finds the faults of everything but the candidate.
func (m *Mirror) check(fault faultFunc) {
	if !(m.Share > 0 && m.Share <= 1) {
		fault("share", "must be above 0 and at most 1")
	}
	for field, n := range map[string]int{
		"max_concurrent": m.MaxConcurrent, "max_per_minute": m.MaxPerMinute, "max_tokens_per_minute": m.MaxTokensPerMinute, "window": m.Window,
	} {
		if n < 0 {
			fault(field, "must not be negative")
		}
	}
	if m.Window > 0 && m.Window < m.Promote.withDefaults().LeastCopies {
		fault("window", "must not be less than promote.least_copies, %d", m.Promote.withDefaults().LeastCopies)
	}
	m.Promote.check(func(field, format string, args ...any) { fault("promote."+field, format, args...) })
}

// mirror is a [Mirror] made ready. Safe for concurrent use.
type mirror struct {
	config    Mirror // with the defaults filled in
	endpoint  *endpoint
	byCountry bool               // whether the candidate minds the client's country
	prices    map[string]float64 // of the endpoints that answer users

	mu             sync.Mutex
	moved          sync.Cond     // when a copy ended
	copies, tokens *rate.Limiter // used under mu, so that both are looked at before either is drawn on
	running        int
	rests          time.Time // until when the candidate is left alone
	young, old     tally
	differences    []MirrorDifference // the latest, oldest first
}

// newMirror checks the mirror of a configuration and makes it ready; nil if there is none.
func newMirror(c *Config) (*mirror, []Fault) {
	if c.Mirror == nil {
		return nil, nil
	}
	var faults []Fault
	c.Mirror.check(func(field, format string, args ...any) {
		faults = append(faults, Fault{"mirror." + field, fmt.Sprintf(format, args...)})
	})
	m := &mirror{config: c.Mirror.withDefaults(), prices: map[string]float64{}}
	m.moved.L = &m.mu
	for i := range c.Endpoints {
		m.prices[c.Endpoints[i].Name] = c.Endpoints[i].price()
	}
	var more []Fault
	m.endpoint, more = newCandidate(c)
	m.byCountry = len(m.endpoint.Countries) > 0 || len(m.endpoint.ExceptCountries) > 0
	m.copies = rate.NewLimiter(rate.Limit(m.config.MaxPerMinute)/60, m.config.MaxPerMinute)
	m.tokens = rate.NewLimiter(rate.Limit(m.config.MaxTokensPerMinute)/60, m.config.MaxTokensPerMinute)
	return m, append(faults, more...)
}

// newCandidate makes the candidate ready, as if it were the last of the endpoints, so that it can be none of them.
func newCandidate(c *Config) (*endpoint, []Fault) {
	own, last := *c, len(c.Endpoints)
	own.Probes = Probes{} // it is never probed
	own.Endpoints = append(slices.Clip(c.Endpoints), c.Mirror.Endpoint)
	e, faults := newEndpoint(&own, last)
	for i := range faults {
		faults[i].Field = "mirror.endpoint" + strings.TrimPrefix(faults[i].Field, fmt.Sprintf("endpoints[%d]", last))
	}
	return e, faults
}

// mirrored has an answered call copied if the lot falls on it, and returns the answer.
func (k *call) mirrored(ctx context.Context, answer *ChatResponse) *ChatResponse {
	if m := k.client.mirror; m != nil && rand.Float64() < m.config.Share {
		m.offer(ctx, k, answer)
	}
	return answer
}

// offer begins a copy of a call, if it may be copied now. The request is copied in memory rather than encoded for the candidate: encoding needs
// the candidate's key, whose source may take its time, and runs its adapter, which may panic; neither is to happen on the caller's goroutine.
func (m *mirror) offer(ctx context.Context, k *call, answer *ChatResponse) {
	at, allowed := m.considered(ctx, k)
	if !m.admit(allowed, countedTokens(answer.Usage)) {
		return
	}
	p := &mirrorCopy{
		mirror: m, client: k.client, at: at, stream: k.stream,
		request: clone.Of(k.request), user: k.measured(clone.Of(answer)),
	}
	if !k.client.inBackground(untracedContext{ctx}, p.run) {
		m.ended(p, &mirrorOutcome{failure: &Error{Kind: KindCanceled}})
	}
}

// considered applies the hard filters to the candidate. The client's country is looked up for it if users' endpoints do not need it.
func (m *mirror) considered(ctx context.Context, k *call) (candidate, bool) {
	f := k.filter()
	f.needs = k.request.needs()
	if m.byCountry && !k.client.byCountry {
		f.country, _ = k.client.locator.country(ctx)
	}
	var at candidate
	against := f.consider(m.endpoint, &at)
	return at, against == ""
}

// admit decides whether a call that the lot fell on is copied, and counts it.
func (m *mirror) admit(allowed bool, tokens int) bool {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &m.young
	t.sampled++
	switch {
	case !allowed:
		t.excluded++
	case now.Before(m.rests):
		t.dropped.Resting++
	case m.running >= m.config.MaxConcurrent:
		t.dropped.Busy++
	case m.copies.TokensAt(now) < 1 || m.tokens.TokensAt(now) < float64(tokens):
		t.dropped.Budget++
	default:
		m.copies.AllowN(now, 1)
		m.tokens.AllowN(now, tokens)
		m.running++
		return true
	}
	return false
}

// countedTokens is what an answer cost as far as its provider said.
func countedTokens(u Usage) int {
	return min(max(u.Input, 0), mostCountedTokens) + min(max(u.Output, 0), mostCountedTokens)
}

// untracedContext is a context without the caller's [httptrace.ClientTrace], which is not made to be called when its call is over.
type untracedContext struct {
	context.Context //nolint:containedctx // it is a context
}

func (c untracedContext) Value(key any) any {
	v := c.Context.Value(key)
	if _, is := v.(*httptrace.ClientTrace); is {
		return nil
	}
	return v
}

// mirrorCopy is a copy of one call.
type mirrorCopy struct {
	mirror  *mirror
	client  *Client
	at      candidate
	stream  bool         // whether the user's answer was asked for as a stream, and so is the candidate's
	request *ChatRequest // its own, as is the user's answer
	user    measured
}

// measured is an answer and how long it took from when the attempt that answered was sent, as far as that can be compared.
type measured struct {
	*ChatResponse
	first time.Duration // until its first content; 0 if it was not streamed
	whole time.Duration // until its end; 0 if a reader of the stream took part of it
}

// measured measures the answer of a call. One that several attempts made has no time that another could be held against.
func (k *call) measured(answer *ChatResponse) measured {
	m := measured{ChatResponse: answer}
	if k.rescue != nil {
		return m
	}
	if k.stream {
		m.first = k.used.run.ahead
	}
	if !k.events {
		m.whole = time.Since(k.used.run.begun)
	}
	return m
}

// mirrorOutcome is what became of a copy.
type mirrorOutcome struct {
	panicked  bool
	failure   *Error
	candidate measured
	compared  comparison
}

// run makes the copy. Whatever panics in it is the candidate's failure.
func (p *mirrorCopy) run(ctx context.Context) {
	o := mirrorOutcome{panicked: true}
	defer func() {
		if o.panicked {
			_ = recover()
			p.tellPanic("the copy of a call")
		}
		p.mirror.ended(p, &o)
	}()
	o = p.outcome(ctx)
}

func (p *mirrorCopy) outcome(ctx context.Context) (o mirrorOutcome) {
	if o.candidate, o.failure = p.ask(ctx); o.failure != nil {
		return o
	}
	o.compared = compare(p.request, p.user.ChatResponse, o.candidate.ChatResponse)
	if p.mirror.config.Same != nil {
		o.compared.judged = true
		o.compared.same = p.same(clone.Of(o.candidate.ChatResponse))
	}
	return o
}

// same asks the comparison of the user's own. It has the answers to itself.
func (p *mirrorCopy) same(candidate *ChatResponse) (same bool) {
	done := false
	defer func() {
		if !done {
			_ = recover()
			p.tellPanic("Mirror.Same")
		}
	}()
	same = p.mirror.config.Same(clone.Of(p.user.ChatResponse), candidate)
	done = true
	return same
}

// tellPanic tells the operator where something panicked, but not with what: that may quote a prompt.
func (p *mirrorCopy) tellPanic(what string) {
	if log := p.client.config.Logger; log != nil {
		log.Warn("holdfast: "+what+" panicked", slog.String("endpoint", p.at.endpoint.Name), slog.String("stack", string(debug.Stack())))
	}
}

// ask asks the candidate, once.
func (p *mirrorCopy) ask(ctx context.Context) (measured, *Error) {
	c := p.client
	ctx, cancel := context.WithTimeoutCause(ctx, cmp.Or(c.config.Timeout, defaultTimeout), errTotalTimeout)
	k := &call{client: c, request: p.request, stream: p.stream, probing: true, begun: time.Now(), cancel: cancel}
	k.moved.L = &k.mu
	k.deadline, _ = ctx.Deadline()
	defer k.finish()
	k.field = []candidate{p.at}
	x, err := k.encode(ctx, &k.field[0])
	if err != nil {
		e := cmp.Or(contextError(ctx), ownError(err, KindUnsupported))
		e.Phase = PhaseBeforeSend
		return measured{}, e
	}
	defer x.leaveEndpoint() // also if it panics
	x.why = "mirror"
	if e := k.attempt(ctx, ctx, x, first); e != nil {
		x.release()
		return measured{}, e
	}
	k.used = x
	for !x.run.answer.IsDone() {
		if e := k.advance(); e != nil {
			return measured{}, k.broken(e)
		}
	}
	k.ended(x, nil)
	return k.measured(k.response()), nil
}

// AwaitMirror waits until no copy of a [Mirror] is under way, or returns the context's error. It is for programs that ask a list of questions
// to compare two models; Close would end the copies of the last ones. Without a Mirror it returns at once.
func (c *Client) AwaitMirror(ctx context.Context) error {
	m := c.mirror
	if m == nil {
		return nil
	}
	defer context.AfterFunc(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.moved.Broadcast()
	})()
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.running > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		m.moved.Wait()
	}
	return nil
}
