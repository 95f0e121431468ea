package holdfast

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/holdfast-ai/holdfast/internal/sse"
)

// Stream asks and returns the answer as it is written. The loop ends with an [EventEnd] that carries the whole answer and its
// [Trail], or with an error. Until the first visible content, failures are handled unseen, as Chat does. An answer that breaks off
// later goes on as far as [Rescue] allows: by default only where the text continues from exactly where it stopped, told by an
// [EventHop]. Else it is an [ErrTruncated] (or what broke it) with what arrived in [Error].Partial, never a success.
//
//	for event, err := range client.Stream(ctx, request) {
//		if err != nil {
//			return err
//		}
//		fmt.Print(event.Text())
//	}
//
// Leaving the loop closes the connection. Each loop over the iterator asks anew. See [Collect] for the answer in one piece.
func (c *Client) Stream(ctx context.Context, req *ChatRequest) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		ctx, call, err := c.begin(ctx, req, true)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer call.finish()
		if err := call.run(ctx); err != nil {
			yield(Event{}, err)
			return
		}
		call.deliver(ctx, yield)
	}
}

// Collect reads a stream to its end and returns the answer.
func Collect(stream iter.Seq2[Event, error]) (*ChatResponse, error) {
	for event, err := range stream {
		if err != nil {
			return nil, err
		}
		if event.Type == EventEnd {
			return event.Response, nil
		}
	}
	return nil, &Error{Kind: KindTruncated, Message: "the stream ended without its end event"}
}

// deliver hands the events of an answer to the caller.
func (k *call) deliver(ctx context.Context, yield func(Event, error) bool) {
	show := func(events ...Event) bool {
		for _, e := range events {
			if !yield(e, nil) {
				k.outcome = outcomeLeft
				return false
			}
		}
		return true
	}
	if !show(Event{Type: EventStart, Response: k.whence()}) || !show(k.used.events()...) {
		return
	}
	for {
		e := k.advance()
		if !show(k.used.events()...) {
			return
		}
		if e == nil && !k.used.run.answer.IsDone() {
			continue
		}
		goesOn, err := k.handOver(ctx, e)
		switch {
		case err != nil:
			yield(Event{}, err)
			return
		case !goesOn:
			yield(Event{Type: EventEnd, Response: k.mirrored(ctx, k.response())}, nil)
			return
		}
		joint := Event{Type: EventHop, Response: k.whence()}
		if k.used.candidate.how == rungRestart {
			joint.Type = EventReset
		}
		if !show(joint) || !show(k.used.events()...) {
			return
		}
	}
}

// collect reads an answer to its end.
func (k *call) collect(ctx context.Context) error {
	for {
		e := k.advance()
		if e == nil && !k.used.run.answer.IsDone() {
			continue
		}
		if goesOn, err := k.handOver(ctx, e); err != nil || !goesOn {
			return err
		}
	}
}

// advance reads one event more of the answer, if it is not whole.
func (k *call) advance() *Error {
	if k.used.run.answer.IsDone() {
		return nil
	}
	return k.used.run.live.advance()
}

// handOver ends an answer that is whole or broke off. It reports whether another attempt goes on with it. What came second may still be on
// its way out: it is waited for, since from here on one goroutine has the call to itself again.
func (k *call) handOver(ctx context.Context, e *Error) (goesOn bool, err error) {
	k.settle()
	if e != nil {
		err = k.goOn(ctx, e)
		return err == nil, err
	}
	k.ended(k.used, nil)
	k.leaveLine()
	return k.resume(ctx), nil
}

// whence is what is known of an answer, and of the way to it, at its beginning.
func (k *call) whence() *ChatResponse {
	start := *k.used.run.answer.Response()
	start.Message.Parts = nil
	start.Degraded = k.degraded()
	k.mu.Lock()
	defer k.mu.Unlock()
	start.Trail = k.trail
	start.Trail.Attempts = slices.Clone(k.trail.Attempts) // the entries of attempts under way still change
	return &start
}

// events returns the events that came since the last call, those first that were held back.
func (x *exchange) events() []Event {
	events := x.run.answer.Events()
	if live := x.run.live; live != nil && live.held != nil {
		events = append(live.held, events...)
		live.held = nil
	}
	return events
}

// broken is the error of an answer that broke off after some of it was shown, or could have been.
func (k *call) broken(e *Error) *Error {
	x := k.used
	e.Phase, e.Sent = PhaseMidStream, true
	e.RequestID = cmp.Or(x.run.answer.response.RequestID, e.RequestID)
	k.clean(x, e)
	e.Partial = x.run.answer.Response()
	e.Partial.Degraded = k.degraded()
	e.Partial.Usage = x.run.answer.joint.before.plus(x.run.answer.spent())
	e.Partial.Usage.Exact = false
	k.ended(x, e)
	return e
}

// liveStream is a streamed answer being read. It reads on the goroutine of whoever advances it.
type liveStream struct {
	decoder StreamDecoder
	answer  *AnswerWriter
	body    *timedBody
	reader  *sse.Reader
	limit   int
	ended   func() *Error // the error of the attempt's context, nil while it goes on
	held    []Event       // what came before the first visible content
	goesOn  bool          // content came behind a stop reason, which therefore says nothing: some servers send one with each piece
	mixed   bool          // the stop reason came with the first content: perhaps it comes with each piece
}

func newLiveStream(ctx context.Context, d StreamDecoder, w *AnswerWriter, body *timedBody, content io.Reader, limit int) *liveStream {
	return &liveStream{
		decoder: d, answer: w, body: body, reader: sse.NewReader(content, limit), limit: limit,
		ended: func() *Error { return contextError(ctx) },
	}
}

// resumable returns the stream's decoder if its provider gave a mark to go on from.
func (s *liveStream) resumable() (Resumable, bool) {
	if s == nil {
		return nil, false
	}
	r, ok := s.decoder.(Resumable)
	return r, ok && r.Mark() != ""
}

// commit reads up to the first visible content, or to the end of an answer without any. Until then nothing was shown, and any failure
// can be made good elsewhere. lead is asked once, when the first content comes, whether this answer is still needed.
func (s *liveStream) commit(lead func() bool) *Error {
	leads := false
	for {
		if err := s.advance(); err != nil {
			err.Phase = PhaseFirstEvent
			return err
		}
		if !leads && (s.answer.content > 0 || s.answer.IsDone()) {
			if leads = lead(); !leads {
				return &Error{Kind: errLost.kind, Phase: PhaseFirstEvent, Message: errLost.text}
			}
		}
		if leads && (s.answer.visible || s.answer.IsDone()) { // what goes on with an answer is visible from the start
			return nil
		}
		if err := s.hold(s.answer.Events()); err != nil {
			return err
		}
	}
}

// maxHeld bounds how many events are held back: more than any model thinks before it speaks.
const maxHeld = 1 << 18

// hold keeps events until something visible comes. Of counts of tokens that follow each other, as some servers send for a sign
// of life, the last is enough.
func (s *liveStream) hold(events []Event) *Error {
	for _, e := range events {
		if n := len(s.held); e.Type == EventUsage && n > 0 && s.held[n-1].Type == EventUsage {
			s.held[n-1] = e
			continue
		}
		s.held = append(s.held, e)
	}
	if len(s.held) > maxHeld {
		return &Error{Kind: KindAnswerTooLarge, Phase: PhaseFirstEvent, Message: "too many events before the first content"}
	}
	return nil
}

// advance reads one event of the stream into the answer.
func (s *liveStream) advance() *Error {
	f, err := s.reader.Next()
	switch {
	case err == io.EOF:
		return s.end()
	case errors.Is(err, sse.ErrTooLarge):
		return tooLarge(s.limit, PhaseMidStream)
	case err != nil:
		return s.broken(err)
	case f.Partial && !wholeFrame(f.Data):
		return s.end()
	}
	before, stopped := s.answer.content, s.answer.Stopped().Reason != ""
	if err := s.decoder.Decode(Frame{Event: f.Event, Data: f.Data}, s.answer); err != nil {
		return asError(err, PhaseMidStream)
	}
	stops := s.answer.Stopped().Reason != ""
	if s.answer.content > before {
		s.body.moved = true
		s.goesOn, s.mixed = s.goesOn || stopped, s.mixed || (stops && before == 0)
	}
	s.body.busy = s.answer.isBusy()
	s.body.stopped = stops && !s.goesOn && !s.mixed
	switch {
	case s.answer.joint.torn != nil:
		return seamError(s.answer.joint.torn)
	case s.answer.size > s.limit:
		return tooLarge(s.limit, PhaseMidStream)
	}
	return nil
}

// end judges a body that ended cleanly: that alone is no success.
func (s *liveStream) end() *Error {
	s.decoder.End(s.answer)
	switch {
	case s.answer.joint.torn != nil:
		return seamError(s.answer.joint.torn)
	case s.answer.IsDone():
		return nil
	}
	if ended := s.ended(); ended != nil { // a body may end in order when its request is cancelled
		return bodyFailure(ended, nil, PhaseMidStream)
	}
	return &Error{Kind: KindTruncated, Sent: true, Message: "the stream ended without its terminator"}
}

// overBy reports whether an attempt that a clock ended had said before that its answer was over.
func (s *liveStream) overBy(ended *Error) bool {
	clock := ended.Kind == KindStalled || ended.Kind == KindAttemptTimeout || ended.Kind == KindDeadline
	return clock && s.answer.Stopped().Reason != "" && !s.goesOn
}

// broken judges a body that broke off, or that stayed open behind its end. If the answer was whole by then, it stays so.
func (s *liveStream) broken(err error) *Error {
	ended := s.ended()
	switch {
	case ended == nil && s.end() == nil:
		s.answer.Note("the connection broke behind the end of the answer")
		return nil
	case ended != nil && s.overBy(ended) && s.end() == nil:
		s.answer.Note("the stream stayed open behind the end of the answer")
		return nil
	}
	return bodyFailure(ended, err, PhaseMidStream)
}

func limitError(limit int) error { return fmt.Errorf("more than the limit of %d bytes", limit) }

// drainTime bounds the wait for the end of the body after the answer's own end, so that the connection can be used again.
const drainTime = 100 * time.Millisecond

// close ends the reading of the body. After a whole answer its last bytes are taken, briefly, so that the connection stays usable.
func (s *liveStream) close(cancel func()) {
	if s.answer.IsDone() {
		timer := time.AfterFunc(drainTime, cancel)
		_, _ = io.CopyN(io.Discard, s.body, 4<<10)
		timer.Stop()
	}
	s.abandon()
}

func (s *liveStream) abandon() {
	_ = s.body.Close()
	s.reader.Release()
}
