package holdfast

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/holdfast-ai/holdfast/internal/pace"
)

// run is one sending of an exchange: what is made anew for each attempt.
type run struct {
	begun  time.Time
	end    context.CancelCauseFunc
	clock  *clock
	body   *timedBody
	answer *AnswerWriter // what was decoded so far; nil before an answer came
	live   *liveStream   // where the rest of a streamed answer comes from
	entry  int           // its place in the Trail
	ahead  time.Duration // until its first content; 0 before

	hedge   *time.Timer // starts a reserve if the first content is late, and tells when it is so late that the endpoint counts as failed
	after   time.Duration
	overdue bool // it is so late that it counts as failed
	helped  bool // a reserve runs in its place
	over    bool
	trial   bool // it takes the place of a probe
	lost    bool // another attempt was the first to have content
	lesson  lesson
	mark    pace.Mark // what its account had taken of its limits when it was sent
	inside  bool      // it counts as running at the endpoint, and holds a slot there if those are counted
}

// encode prepares the request for one endpoint, in its own dialect and with its own name for the model.
func (k *call) encode(ctx context.Context, c *candidate) (*exchange, error) {
	return k.encodeRequest(ctx, c, k.request)
}

func (k *call) encodeRequest(ctx context.Context, c *candidate, req *ChatRequest) (*exchange, error) {
	e := c.endpoint
	req = k.rescue.request(c.how, req)
	cred, err := e.credentialsNow(ctx)
	if err != nil {
		return nil, &Error{Kind: KindSecret, Field: "key", Err: err}
	}
	x := &exchange{endpoint: e, candidate: c, adapter: e.adapter, credentials: cred, why: cmp.Or(c.reason, c.why), buffer: bodies.Get().(*[]byte)}
	x.target = Target{Provider: e.Provider, Model: c.model, Platform: e.base.Host, Account: cred.account, Stream: k.stream}
	if chooser, ok := e.adapter.(DialectChooser); ok {
		if x.adapter = chooser.ChooseDialect(req, x.target); x.adapter == nil {
			return nil, Unsupported("", "the adapter chose no dialect")
		}
	}
	encoded, err := k.rescue.encode((*x.buffer)[:0], x, req)
	if err != nil {
		return nil, err
	}
	x.method, x.body, x.header, x.notes = encoded.Method, encoded.Body, encoded.Header, encoded.Notes
	x.url, err = e.url(encoded.Path, encoded.Method == "")
	return x, err
}

// errNothingToStrip: the provider rejected thinking that was not returned.
var errNothingToStrip = errors.New("there is no thinking to leave out")

// stripped prepares the request once more without returned thinking, which the provider rejected.
func (k *call) stripped(ctx context.Context, x *exchange) (*exchange, error) {
	req := *k.request
	req.Messages = slices.Clone(req.Messages)
	found := false
	for i := range req.Messages {
		m := &req.Messages[i]
		m.Parts = slices.DeleteFunc(slices.Clone(m.Parts), func(p Part) bool {
			_, is := p.(*Thinking)
			found = found || is
			return is
		})
	}
	if !found {
		return nil, errNothingToStrip
	}
	req.Messages = slices.DeleteFunc(req.Messages, func(m Message) bool { return len(m.Parts) == 0 })
	again, err := k.encodeRequest(ctx, x.candidate, &req)
	if err == nil {
		again.why = "again without returned thinking"
		again.notes = append(again.notes, "thinking left out: the provider rejected it")
	}
	return again, err
}

// first is the wait that marks the first sending of an exchange.
const first time.Duration = -1

// attempt sends the request, reads what comes, and records both in the Trail. nil means that the endpoint answers: all of it was read, or
// of a stream the first visible content. patience ends when the attempt is not needed any more before it began.
func (k *call) attempt(ctx, patience context.Context, x *exchange, wait time.Duration) *Error {
	if wait > 0 && x.endpoint.slots != nil { // others may have the slot meanwhile
		sleep(patience, wait)
		wait = 0
	}
	if e := k.enterEndpoint(ctx, patience, x); e != nil {
		return e
	}
	returned := false
	defer func() {
		if !returned { // an adapter or a transport panicked, and the caller may recover
			k.desert(x)
		}
	}()
	own := k.enter(ctx, x, max(0, wait))
	var (
		resp *http.Response
		err  error
	)
	if wait == first {
		k.sending(ctx, x)
		resp, err = x.send(own)
	} else {
		resp, err = x.repeat(own, wait, func() { k.sending(ctx, x) })
	}
	failure := k.receive(own, x, resp, err)
	k.leave(x, resp, failure)
	returned = true
	return failure
}

// enter begins an attempt, which is sent after a wait: its context, its clock and its entry in the Trail.
func (k *call) enter(ctx context.Context, x *exchange, wait time.Duration) context.Context {
	limits := x.endpoint.limits
	release := context.CancelFunc(nil)
	if limits.Total > 0 {
		late := &clockError{KindAttemptTimeout, fmt.Sprintf("the attempt took longer than %s", limits.Total)}
		ctx, release = context.WithTimeoutCause(ctx, wait+limits.Total, late)
	}
	ctx, end := context.WithCancelCause(ctx)
	if release != nil {
		inner := end
		end = func(cause error) { inner(cause); release() }
	}
	x.sent.Store(false)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.begins(x.candidate)
	k.localAsked = k.localAsked || x.endpoint.Local
	inside := x.run.inside
	timing := &timing{clock: clock{end: end, limits: limits, deadline: k.deadline}}
	x.run = run{begun: time.Now(), end: end, clock: &timing.clock, body: &timing.body, entry: len(k.trail.Attempts), inside: inside}
	k.tellChoice(x)
	if k.trail.Attempts == nil {
		k.trail.Attempts = make([]Attempt, 0, 1)
	}
	k.trail.Attempts = append(k.trail.Attempts, Attempt{
		Endpoint: x.endpoint.Name, Provider: x.endpoint.dialect.Name, Model: x.target.Model, Why: x.why, Notes: x.notes,
	})
	if k.running == nil {
		k.running = k.alone[:0]
	}
	k.running = append(k.running, x)
	if k.over || k.leader != nil {
		end(errLost)
	}
	return ctx
}

// sending notes that the request goes out now. ctx is the call's.
func (k *call) sending(ctx context.Context, x *exchange) {
	k.mu.Lock()
	defer k.mu.Unlock()
	x.run.begun = time.Now()
	k.takePace(x)
	if k.guardDue && !x.endpoint.Local {
		k.guardDue = false
		k.guard.Reset(0)
	}
	if x.untraced() {
		x.run.clock.sent()
	}
	k.prepareHedge(ctx, x)
}

// leave ends an attempt, but for the rest of a stream that goes on.
func (k *call) leave(x *exchange, resp *http.Response, failure *Error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	x.run.over = true
	if x.run.hedge != nil {
		x.run.hedge.Stop()
	}
	k.running = slices.DeleteFunc(k.running, func(other *exchange) bool { return other == x })
	k.record(x, resp, failure)
	if failure != nil {
		k.teach(x, failure)
	}
	if failure == nil && x.run.live != nil {
		return
	}
	x.run.clock.stop()
	x.run.end(nil)
	if failure == nil {
		return
	}
	x.leaveEndpoint()
	if k.leader == x {
		k.leader = nil
	}
	if failure.Kind != KindLost {
		k.last = failure
	}
}

// desert ends what an attempt had begun that panicked.
func (k *call) desert(x *exchange) {
	x.leaveEndpoint()
	k.mu.Lock()
	defer k.mu.Unlock()
	x.run.over = true
	if x.run.hedge != nil {
		x.run.hedge.Stop()
	}
	if x.candidate.trial {
		k.endTrial(x.candidate, saysFailed, true)
	}
}

// send makes one round trip. http.Client is not involved: nothing is followed and nothing is added.
//
// The body is a bytes.Reader if it can be: net/http knows that such a body does not block, and writes it in one piece with
// the headers. Any other takes a second write, and over TLS a second record.
func (x *exchange) send(ctx context.Context) (*http.Response, error) {
	if !x.untraced() {
		ctx = x.watch(ctx)
	}
	req, err := x.request(ctx)
	if err != nil {
		return nil, err
	}
	if x.untraced() {
		req.Body = x.open()
	} else {
		req.Body = io.NopCloser(bytes.NewReader(x.body)) // also if there is none: net/http sends again what has no body at all
	}
	return x.roundTrip(req)
}

// untraced reports whether the transport may not tell when it writes the request.
func (x *exchange) untraced() bool { return x.endpoint.wrapped }

// roundTrip holds a round tripper of the caller's to its contract: an answer with a body, or an error, never both or neither.
func (x *exchange) roundTrip(req *http.Request) (*http.Response, error) {
	resp, err := x.endpoint.roundTripper.RoundTrip(req)
	x.run.clock.answered()
	if resp != nil && resp.Body == nil {
		resp.Body = http.NoBody
	}
	switch {
	case resp == nil && err == nil:
		err = errors.New("the transport returned neither an answer nor an error")
	case resp != nil && err != nil:
		_ = resp.Body.Close()
		resp = nil
	}
	if _, ours := errors.AsType[*Error](err); ours {
		err = ownError(err, KindTransport) // it may return the same one each time, or a nil one
	}
	return resp, err
}

// receive reads an answer as far as its success is certain, or for a stream to its first visible content.
func (k *call) receive(ctx context.Context, x *exchange, resp *http.Response, err error) *Error {
	if resp != nil {
		k.seeLimits(x, resp.Header)
	}
	e, ours := errors.AsType[*Error](err)
	switch {
	case ours:
	case err != nil:
		e = transportError(ctx, err, x.sent.Load())
	default:
		e = k.read(ctx, x, resp)
	}
	if e == nil {
		return nil
	}
	if resp != nil {
		x.complete(e, resp)
	}
	k.clean(x, e)
	return e
}

// complete adds to an error what the answer's head says.
func (x *exchange) complete(e *Error, resp *http.Response) {
	e.Sent = true
	e.Status = resp.StatusCode
	e.RequestID = cmp.Or(x.requestID(resp.Header), e.RequestID)
	e.RetryAfter = retryAfter(resp.Header, e.RetryAfter, time.Now())
	switch resp.Header.Get("X-Should-Retry") {
	case "true":
		e.shouldRetry = new(true)
	case "false":
		e.shouldRetry = new(false)
	}
}

// record completes an attempt's entry in the Trail. That of a stream is completed again when the stream ends.
func (k *call) record(x *exchange, resp *http.Response, e *Error) {
	a := &k.trail.Attempts[x.run.entry]
	a.Start, a.Duration, a.Sent = x.run.begun.Sub(k.begun), time.Since(x.run.begun), resp != nil || x.sent.Load()
	if resp != nil {
		a.Status = resp.StatusCode
		a.RequestID = x.requestID(resp.Header)
	}
	if x.run.answer != nil {
		a.learn(x.run.answer)
	}
	if e != nil {
		a.Kind, a.Error, a.RequestID = e.Kind, describe(e), e.RequestID
		a.Usage.Exact = false // a broken attempt may have cost more
	}
}

// response is the answer with its Trail.
func (k *call) response() *ChatResponse {
	k.settle()
	k.outcome = outcomeAnswered
	k.tellPassedOver()
	if r := k.client.routing; r.pairs && !k.probing {
		r.affinity.Served(time.Now(), k.talk, k.used.endpoint.Name)
	}
	r := k.used.run.answer.Response()
	r.Trail, r.Degraded = k.trail, k.degraded()
	return r
}

// degraded reports whether the last resort answers in the place of better endpoints.
func (k *call) degraded() bool { return k.used.endpoint.Local && k.client.routing.clouds }
