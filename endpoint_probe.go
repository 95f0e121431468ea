package holdfast

import (
	"context"
	"net/http"
	"time"

	"github.com/holdfast-ai/holdfast/internal/score"
)

// Probes says how holdfast finds out whether an endpoint whose breaker is open answers again. Probes run only while calls come that would
// have asked the endpoint: such a call starts one beside itself, at most every second to ten seconds for each endpoint, the more seldom the
// longer it has been away, and no user waits for it. It takes five seconds at most, or as long as the endpoint nearly always takes to its first
// content, if that is longer, up to 30. Two good ones close the breaker. An endpoint that answers but took much longer than is usual for it is
// probed too, at most every 15 seconds and once in 20 calls, so that it is asked again when it is as fast as before. See
// [Config].HealthByCountry, which keeps a breaker for each country.
type Probes struct {
	// By is what a probe asks for. Empty means ProbeToken.
	By ProbeBy `json:"by,omitempty"`
	// Cold also probes each endpoint once before it was ever asked, and Idle one that was not asked for 15 seconds, at most once in 20
	// calls: so that one which was slow is found to be fast again. Both cost money without anything having failed.
	Cold bool `json:"cold,omitempty"`
	Idle bool `json:"idle,omitempty"`
}

// ProbeBy is what a probe asks for.
type ProbeBy string

const (
	// ProbeToken asks the model for one token: what costs least of all that shows that it answers.
	ProbeToken ProbeBy = "token"
	// ProbeFree asks for the list of models, which costs nothing. It shows that the endpoint is reached and takes the key, not that the
	// model has capacity.
	ProbeFree ProbeBy = "free"
	// ProbeOff asks for nothing. Instead, now and then one call takes the place of a probe, with a reserve ready beside it.
	ProbeOff ProbeBy = "off"
)

const probeNames = `"token", "free" or "off"`

func (p ProbeBy) valid() bool { return p == "" || p == ProbeToken || p == ProbeFree || p == ProbeOff }

// probe starts a probe of an endpoint, which its health has claimed, beside the call. It has the call's values, not its deadline. The second
// one, which a breaker needs to close, follows by itself: the next call may be long in coming.
func (c *Client) probe(ctx context.Context, at *candidate, country string) {
	own := at.afresh()
	started := c.inBackground(untracedContext{ctx}, func(ctx context.Context) {
		done := false
		defer func() {
			if !done { // an adapter or a transport panicked: what a probe finds is nobody's concern but the endpoint's
				_ = recover()
				own.health.ProbeFailed(time.Now())
				c.routing.parking.Wake(time.Now(), score.NewsBad)
			}
		}()
		for again := true; again; again = c.followUp(ctx, own.health) {
			c.runProbe(ctx, &own, country)
		}
		done = true
	})
	if !started {
		at.health.ProbeAbandoned(time.Now())
	}
}

// followUp waits until the probe is due that follows a good one, and claims it.
func (c *Client) followUp(ctx context.Context, h *score.Health) bool {
	wait, ok := h.FollowUp(time.Now())
	return ok && sleep(ctx, wait) && h.ClaimProbe(time.Now(), &c.routing.probes, false) != score.NoProbe
}

func (c *Client) runProbe(ctx context.Context, at *candidate, country string) {
	patience := min(max(score.ProbeTimeout, at.health.State(time.Now(), score.Streamed).Usual), score.MostProbeTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errTotalTimeout)
	defer cancel()
	k := &call{client: c, stream: true, probing: true, begun: time.Now(), request: &ChatRequest{Messages: Ask("Hi"), MaxOutputTokens: 1}}
	k.trail.Country = country
	k.moved.L = &k.mu
	k.field = []candidate{*at}
	k.deadline, _ = ctx.Deadline()
	k.cancel = func() {}
	defer k.finish()
	x, err := k.encodeProbe(ctx, &k.field[0])
	if err != nil {
		at.health.ProbeAbandoned(time.Now())
		c.routing.parking.Wake(time.Now(), score.NewsBad)
		return
	}
	var e *Error
	if c.config.Probes.By == ProbeFree {
		e = k.attemptFree(ctx, x)
	} else if e = k.attempt(ctx, ctx, x, first); e == nil {
		k.used = x
	}
	k.probed(at.health, x, e)
	if k.used == nil {
		x.release()
	}
}

// encodeProbe prepares the request.
func (k *call) encodeProbe(ctx context.Context, c *candidate) (*exchange, error) {
	if k.client.config.Probes.By != ProbeFree {
		return k.encode(ctx, c)
	}
	cred, err := c.endpoint.credentialsNow(ctx)
	if err != nil {
		return nil, err
	}
	x := &exchange{endpoint: c.endpoint, candidate: c, adapter: c.endpoint.adapter, credentials: cred}
	x.target = Target{Provider: c.endpoint.Provider, Model: c.model, Platform: c.endpoint.base.Host, Account: cred.account}
	free := x.adapter.(Prober).Probe(x.target) // New has seen to it that it is one
	x.method, x.header = free.Method, free.Header
	x.url, err = c.endpoint.url(free.Path, true)
	return x, err
}

// attemptFree asks for what costs nothing, and reads none of the answer but its status.
func (k *call) attemptFree(ctx context.Context, x *exchange) *Error {
	ctx = k.enter(ctx, x, 0)
	resp, err := x.send(ctx)
	var e *Error
	switch {
	case err != nil:
		e = transportError(ctx, err, x.sent.Load())
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		e = x.failure(resp)
		x.complete(e, resp)
	case formOf(resp.Header) == formForeign:
		e = foreignPage(resp)
	}
	if resp != nil {
		_ = resp.Body.Close()
	}
	k.leave(x, resp, e)
	if e == nil {
		x.run.ahead = -1 // tells nothing of how long an answer takes
	}
	return e
}

// refusesList reports whether a provider answered that it gives no list of models, or not with this key: it is there, and who may not list its
// models may well ask them.
func refusesList(e *Error) bool {
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return !e.foreign
	}
	return false
}

// probed takes in what a probe found.
func (k *call) probed(h *score.Health, x *exchange, e *Error) {
	ahead, answered := k.answersProbe(x, e)
	now, news := time.Now(), score.NewsBad
	switch {
	case answered:
		if news = score.NewsProbed; h.Probed(now, score.Streamed, ahead) {
			news = score.NewsClosed
		}
	case saysOf(e) == saysLimited:
		h.ProbeLimited(now)
	case saysOf(e) == saysNothing:
		h.ProbeAbandoned(now)
	default:
		h.ProbeFailed(now)
	}
	k.client.routing.parking.Wake(now, news) // also if it failed: who is parked must know when the next one is due
}

// answersProbe reports whether an endpoint is well, and how long it took, which is negative if unknown. A provider that refuses the request for what it
// says is there and able to judge it.
func (k *call) answersProbe(x *exchange, e *Error) (ahead time.Duration, answered bool) {
	if e == nil {
		return x.run.ahead, true
	}
	if k.client.config.Probes.By == ProbeFree && refusesList(e) {
		return -1, true
	}
	r := k.judge(x, e)
	k.learn(x, e, r)
	return -1, e.Kind == KindEmpty || saysOf(e) == saysNothing && (r.verdict == giveUp || e.Kind == KindRejected)
}
