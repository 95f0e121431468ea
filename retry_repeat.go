package holdfast

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/holdfast-ai/holdfast/internal/score"
)

// errBefore stands for the failure that led to a repeat.
var errBefore = errors.New("the attempt before failed")

// repeat sends the exchange once more, after a wait, through go-retryablehttp. Its first try is the one that has already failed: so a
// call that needs no repeat pays nothing for the possibility. The verdict was made before; its hooks carry it out.
//
// sending is called when the wait is over.
func (x *exchange) repeat(ctx context.Context, wait time.Duration, sending func()) (*http.Response, error) {
	// Headers may leave before any of the body does.
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { x.sent.Store(true) }})
	req, err := x.request(ctx)
	if err != nil {
		return nil, err
	}
	again, err := retryablehttp.FromRequest(req)
	if err != nil {
		return nil, err
	}
	// A function that opens our own buffer: the body is not copied.
	if err := again.SetBody(retryablehttp.ReaderFunc(func() (io.Reader, error) { return x.open(), nil })); err != nil {
		return nil, err
	}
	again.GetBody = nil
	failed := false
	client := retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
				if !failed {
					failed = true
					_ = r.Body.Close()
					return nil, errBefore
				}
				sending()
				x.run.clock.sent() // nothing tells when it is written
				return x.roundTrip(r)
			}),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		RetryMax: 1,
		CheckRetry: func(ctx context.Context, _ *http.Response, err error) (bool, error) {
			return errors.Is(err, errBefore) && ctx.Err() == nil, nil
		},
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return wait },
		PrepareRetry: func(r *http.Request) error { return x.sign(ctx, r) },
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	return client.Do(again)
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// goesOnAt draws the consequences of a failure for the rest of the call, and reports whether the same endpoint is asked again.
func (k *call) goesOnAt(ctx context.Context, x *exchange, e *Error, r rule, repeats int, wait time.Duration) bool {
	holds := k.holds(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.putBehind(x, e, r)
	return k.mayRepeat(ctx, x, r, holds, repeats, wait) && (x.endpoint.Local || k.pay(x.candidate, false))
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
	return k.place == nil && k.isAlone(x) && wait <= maxLastWait && wait < left
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

// limitOf returns how long the endpoint's rate limit blocks it yet.
func (k *call) limitOf(x *exchange) time.Duration {
	now := time.Now()
	if b, is := x.endpoint.blocks.find(x.credentials.id, x.target.Model, now); is && b.kind == KindRateLimit {
		return b.until.Sub(now)
	}
	return 0
}
