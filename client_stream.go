package holdfast

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/holdfast-ai/holdfast/internal/sse"
)

// Stream asks and returns the answer as it is written. The loop ends with an [EventEnd] that carries the whole answer and its
// [Trail], or with an error: an answer that broke off is an [ErrTruncated] (or what broke it) with what arrived in
// [Error].Partial, never a success. Until the first visible content, failures are handled unseen, as Chat does.
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

// deliver hands the events of a committed stream to the caller.
func (k *call) deliver(ctx context.Context, yield func(Event, error) bool) {
	w := k.answer
	start := *w.Response()
	start.Message.Parts = nil
	if !yield(Event{Type: EventStart, Response: &start}, nil) {
		return
	}
	events := w.Events()
	if k.live != nil {
		events = append(k.live.held, events...)
		k.live.held = nil
	}
	for {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
		if w.IsDone() {
			k.ended(nil)
			yield(Event{Type: EventEnd, Response: k.response()}, nil)
			return
		}
		if err := k.live.advance(ctx); err != nil {
			yield(Event{}, k.broken(err))
			return
		}
		events = w.Events()
	}
}

// broken is the error of a stream that broke off after the caller saw some of it.
func (k *call) broken(e *Error) error {
	e.Phase, e.Sent = PhaseMidStream, true
	e.RequestID = cmp.Or(k.answer.response.RequestID, e.RequestID)
	k.clean(k.used, e)
	e.Partial = k.answer.Response()
	e.Partial.Usage.Exact = false
	k.ended(e)
	r := judge(e, k.client.config.Retry)
	k.learn(k.used, e, r)
	return k.failed(e)
}

// liveStream is a streamed answer being read. It reads on the caller's goroutine.
type liveStream struct {
	decoder StreamDecoder
	answer  *AnswerWriter
	body    io.ReadCloser
	reader  *sse.Reader
	limit   int
	held    []Event // what came before the first visible content
}

func newLiveStream(d StreamDecoder, w *AnswerWriter, body io.ReadCloser, content io.Reader, limit int) *liveStream {
	return &liveStream{decoder: d, answer: w, body: body, reader: sse.NewReader(content, limit), limit: limit}
}

// commit reads up to the first visible content, or to the end of an answer without any. Until then nothing was shown, and any failure
// can be made good elsewhere. Thinking counts as visible only if the caller asked for it.
func (s *liveStream) commit(ctx context.Context, showThinking bool) *Error {
	for {
		if err := s.advance(ctx); err != nil {
			err.Phase = PhaseFirstEvent
			return err
		}
		if s.answer.visible || s.answer.IsDone() || (showThinking && len(s.answer.blocks) > 0) {
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
func (s *liveStream) advance(ctx context.Context) *Error {
	f, err := s.reader.Next()
	switch {
	case err == io.EOF:
		return s.end()
	case errors.Is(err, sse.ErrTooLarge):
		return tooLarge(s.limit, PhaseMidStream)
	case err != nil:
		return s.broken(ctx, err)
	case f.Partial && !wholeFrame(f.Data):
		return s.end()
	}
	if err := s.decoder.Decode(Frame{Event: f.Event, Data: f.Data}, s.answer); err != nil {
		return asError(err, PhaseMidStream)
	}
	if s.answer.size > s.limit {
		return tooLarge(s.limit, PhaseMidStream)
	}
	return nil
}

// end judges a body that ended cleanly: that alone is no success.
func (s *liveStream) end() *Error {
	s.decoder.End(s.answer)
	if s.answer.IsDone() {
		return nil
	}
	return &Error{Kind: KindTruncated, Sent: true, Message: "the stream ended without its terminator"}
}

// broken judges a body that broke off. If the answer was whole by then, it stays so.
func (s *liveStream) broken(ctx context.Context, err error) *Error {
	if ctx.Err() == nil && s.end() == nil {
		s.answer.Note("the connection broke behind the end of the answer")
		return nil
	}
	return bodyError(ctx, err, PhaseMidStream)
}

func limitError(limit int) error { return fmt.Errorf("more than the limit of %d bytes", limit) }

// drainTime bounds the wait for the end of the body after the answer's own end, so that the connection can be used again.
const drainTime = 100 * time.Millisecond

// close ends the reading of the body. After a whole answer its last bytes are taken, briefly, so that the connection stays usable.
func (s *liveStream) close(cancel context.CancelFunc) {
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
