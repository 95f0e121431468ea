package holdfast

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

// read judges the head of an answer and reads its body.
func (k *call) read(ctx context.Context, x *exchange, resp *http.Response) *Error {
	limit := k.client.config.maxAnswer()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer resp.Body.Close()
		return x.failure(resp)
	}
	form := formOf(resp.Header)
	if form == formForeign {
		defer resp.Body.Close()
		return foreignPage(resp)
	}
	timed := x.run.body
	timed.ReadCloser, timed.clock = resp.Body, x.run.clock
	if x.endpoint.wrapped { // its body may know nothing of the context, which is how the clocks end an attempt
		timed.unwatch = context.AfterFunc(ctx, func() { _ = timed.ReadCloser.Close() })
	}
	resp.Body = timed
	body, err := unzipped(resp)
	if err != nil {
		resp.Body.Close()
		return encodingError(ctx, err)
	}
	w := k.rescue.writer(x, k.shows(), k.request)
	w.response.Endpoint, w.response.RequestID = x.endpoint.Name, x.requestID(resp.Header)
	x.run.answer = w
	if k.stream && form == formStream {
		return k.readStream(ctx, x, timed, body, limit)
	}
	defer resp.Body.Close()
	timed.whole = true
	return k.readWhole(ctx, x, body, limit)
}

// shows is what of the answer becomes an event.
func (k *call) shows() shows {
	return shows{events: k.events, args: k.request.StreamToolArgs, thinking: k.request.Reasoning.Summary}
}

// readStream reads a streamed answer as far as nothing of it is shown yet.
func (k *call) readStream(ctx context.Context, x *exchange, timed *timedBody, body io.Reader, limit int) *Error {
	decoder := x.adapter.DecodeStream()
	if decoder == nil {
		timed.Close()
		return Malformed("the adapter has no decoder for streams")
	}
	live := newLiveStream(ctx, decoder, x.run.answer, timed, body, limit)
	defer func() {
		if x.run.live == nil { // it failed, or the adapter panicked
			live.abandon()
		}
	}()
	if e := live.commit(func() bool { return k.lead(x) }); e != nil {
		return e
	}
	if e := k.empty(x.run.answer); e != nil {
		return e
	}
	x.run.live = live
	return nil
}

// readWhole reads and decodes an answer that is not streamed.
func (k *call) readWhole(ctx context.Context, x *exchange, body io.Reader, limit int) *Error {
	w := x.run.answer
	buf := answers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= maxPooledBody {
			buf.Reset()
			answers.Put(buf)
		}
	}()
	n, err := buf.ReadFrom(io.LimitReader(body, int64(limit)+1))
	switch {
	case err != nil:
		return bodyError(ctx, err, PhaseFirstEvent)
	case n > int64(limit):
		return tooLarge(limit, PhaseFirstEvent)
	case len(bytes.TrimSpace(buf.Bytes())) == 0:
		return &Error{Kind: KindIntercepted, Phase: PhaseFirstEvent, Message: "the answer's body is empty"}
	}
	if err := x.adapter.Decode(buf.Bytes(), w); err != nil {
		return asError(err, PhaseFirstEvent)
	}
	switch {
	case !w.IsDone():
		return &Error{Kind: KindTruncated, Phase: PhaseFirstEvent, Message: "the answer does not say that it is finished"}
	case w.joint.torn != nil:
		return seamError(w.joint.torn)
	case w.joint.joined && w.size > limit:
		return tooLarge(limit, PhaseFirstEvent)
	}
	if e := k.empty(w); e != nil {
		return e
	}
	if !k.lead(x) {
		return &Error{Kind: errLost.kind, Phase: PhaseFirstEvent, Message: errLost.text}
	}
	return nil
}

var answers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func tooLarge(limit int, phase Phase) *Error {
	return &Error{Kind: KindAnswerTooLarge, Phase: phase, Err: limitError(limit)}
}

// empty refuses an answer that is complete and holds nothing, unless the caller just gave tool results: then the model may have
// nothing to add.
func (k *call) empty(w *AnswerWriter) *Error {
	if !w.IsDone() || w.wrote || w.joint.joined {
		return nil
	}
	last := k.request.Messages[len(k.request.Messages)-1]
	if r := w.response.Stop.Reason; (r != StopEndTurn && r != StopUnknown) || last.Role == RoleTool {
		return nil
	}
	return &Error{Kind: KindEmpty, Phase: PhaseFirstEvent}
}

func asError(err error, phase Phase) *Error {
	e := ownError(err, KindMalformed)
	e.Phase = cmp.Or(e.Phase, phase)
	e.Sent = true
	return e
}

// ownError returns an adapter's error as one that may be written to: an adapter may return the same one each time. What has no
// kind gets one: without, an attempt would count as answered.
func ownError(err error, kind Kind) *Error {
	e, is := errors.AsType[*Error](err)
	switch {
	case !is:
		return &Error{Kind: kind, Message: err.Error()}
	case e == nil:
		return &Error{Kind: kind, Message: "a nil *Error was returned as the error"}
	}
	own := *e
	if own.Kind = cmp.Or(own.Kind, kind); own.Kind == KindLost { // only we can say so
		own.Kind = kind
	}
	return &own
}
