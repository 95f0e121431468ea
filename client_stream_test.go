package holdfast_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
)

const twoPieces = "data: {\"piece\":\"All \"}\n\ndata: {\"piece\":\"well.\"}\n\ndata: {\"done\":true,\"tokens\":3}\n\n"

func TestStreamIsCancelledMidway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{plays: map[string][]play{"a": {streams(`data: {"piece":"some "}`+"\n\n", nil)}}}
		client := s.client(t, holdfast.Config{}, "a")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		var text string
		var last error
		for event, err := range client.Stream(ctx, hello) {
			text, last = text+event.Text(), err
		}
		var e *holdfast.Error
		if text != "some " || !errors.Is(last, context.Canceled) || !errors.As(last, &e) || e.Partial.Text() != "some " {
			t.Errorf("got %q and %v, want the beginning and the cancellation", text, last)
		}
		if s.open.Load() != 0 {
			t.Error("the connection was left open")
		}
	})
}

// streams sends what is given and then ends with err; nil means that it hangs until the request is cancelled.
func streams(body string, err error) play {
	return func(r *http.Request) (*http.Response, error) {
		content, w := io.Pipe()
		go func() {
			_, _ = io.WriteString(w, body)
			if err == nil {
				<-r.Context().Done()
				_ = w.CloseWithError(r.Context().Err())
				return
			}
			_ = w.CloseWithError(err)
		}()
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: content}, nil
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	whole := "data: {\"piece\":\"All \"}\n\ndata: {\"piece\":\"well.\"}\n\ndata: {\"done\":true,\"tokens\":3}\n\n"
	for _, c := range []struct {
		name  string
		plays map[string][]play
		text  string
		fails holdfast.Kind
		asked string
	}{
		{"whole", map[string][]play{"a": {streams(whole, io.EOF)}}, "All well.", "", "a"},
		{"without the last blank line", map[string][]play{"a": {streams(whole[:len(whole)-2], io.EOF)}}, "All well.", "", "a"},
		{"open after its end", map[string][]play{"a": {streams(whole, nil)}}, "All well.", "", "a"},
		{
			"a failure before the first content is unseen",
			map[string][]play{"a": {streams("data: {\"tokens\":0}\n\n", io.ErrUnexpectedEOF)}, "b": {streams(whole, io.EOF)}},
			"All well.", "", "a b",
		},
		{"cut after content", map[string][]play{"a": {streams("data: {\"piece\":\"All \"}\n\n", io.ErrUnexpectedEOF)}, "b": {streams(whole, io.EOF)}}, "All ", holdfast.KindTruncated, "a"},
		{"no terminator", map[string][]play{"a": {streams("data: {\"piece\":\"All \"}\n\n", io.EOF)}}, "All ", holdfast.KindTruncated, "a"},
		{"a malformed event", map[string][]play{"a": {streams("data: {\"piece\":\"All \"}\n\ndata: {\n\n", io.EOF)}}, "All ", holdfast.KindMalformed, "a"},
		{"a whole answer instead of a stream", map[string][]play{"a": {says(200, `{"reply":"All well."}`)}}, "All well.", "", "a"},
		{"an event larger than the limit", map[string][]play{"a": {streams("data: {\"piece\":\"All \"}\n\ndata: "+strings.Repeat("x", 70<<10), nil)}}, "All ", holdfast.KindAnswerTooLarge, "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &stage{plays: c.plays}
				client := s.client(t, holdfast.Config{MaxAnswerBytes: 64 << 10}, "a", "b")
				var text string
				var types []holdfast.EventType
				var end *holdfast.ChatResponse
				var fail error
				for event, err := range client.Stream(t.Context(), hello) {
					text += event.Text()
					if err != nil {
						fail = err
						continue
					}
					types = append(types, event.Type)
					if event.Type == holdfast.EventEnd {
						end = event.Response
					}
				}
				if text != c.text || holdfast.KindOf(fail) != c.fails || strings.Join(s.log, " ") != c.asked {
					t.Errorf("got %q, %v, asked %q; want %q, %q, asked %q", text, fail, s.log, c.text, c.fails, c.asked)
				}
				if types[0] != holdfast.EventStart || slices.Contains(types[1:], holdfast.EventStart) {
					t.Errorf("events: got %v, want one start, first", types)
				}
				var e *holdfast.Error
				switch {
				case c.fails == "" && (end == nil || end.Text() != c.text || types[len(types)-1] != holdfast.EventEnd):
					t.Errorf("got the end %+v, want the whole answer last", end)
				case c.fails != "" && (!errors.As(fail, &e) || e.Partial.Text() != c.text || e.Phase != holdfast.PhaseMidStream || end != nil):
					t.Errorf("got %+v, want an error mid-stream with the partial answer", fail)
				}
				if trail := trailOf(end, fail); len(trail.Attempts) != len(s.log) {
					t.Errorf("the Trail has %d attempts, %d were made", len(trail.Attempts), len(s.log))
				}
				if s.open.Load() != 0 {
					t.Error("the connection was left open")
				}
			})
		})
	}
}

func TestLeavingALoopClosesTheConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{plays: map[string][]play{"a": {streams("data: {\"piece\":\"All \"}\n\n", nil)}}}
		for range s.client(t, holdfast.Config{}, "a").Stream(t.Context(), hello) {
			break
		}
		if s.open.Load() != 0 {
			t.Error("the connection was left open")
		}
	})
}

// However a loop is left, the connection is closed behind it, and nothing is yielded any more.
func TestWaysOutOfALoop(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(iter.Seq2[holdfast.Event, error]){
		"break":  func(s iter.Seq2[holdfast.Event, error]) { firstText(s) },
		"return": func(s iter.Seq2[holdfast.Event, error]) { s(func(holdfast.Event, error) bool { return false }) },
		"panic": func(s iter.Seq2[holdfast.Event, error]) {
			defer func() { _ = recover() }()
			for event := range s {
				panic(event)
			}
		},
		"a pull that stops": func(s iter.Seq2[holdfast.Event, error]) {
			next, stop := iter.Pull2(s)
			next()
			stop()
		},
		"to the end": func(s iter.Seq2[holdfast.Event, error]) {
			for range s {
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &stage{plays: map[string][]play{"a": {streams(twoPieces, io.EOF)}}}
				stream := s.client(t, holdfast.Config{}, "a").Stream(t.Context(), hello)
				for asked := 1; asked <= 2; asked++ { // each loop asks anew
					leave(stream)
					if s.open.Load() != 0 || len(s.log) != asked {
						t.Errorf("%d bodies were left open after %d requests, want none after %d", s.open.Load(), len(s.log), asked)
					}
				}
			})
		})
	}
}

func firstText(stream iter.Seq2[holdfast.Event, error]) string {
	for event := range stream {
		if event.Text() != "" {
			return event.Text()
		}
	}
	return ""
}

// counting says what it costs with every piece, as exactly as it can.
type counting struct{ moody }

func (counting) DecodeStream() holdfast.StreamDecoder { return countingStream{} }

type countingStream struct{ acmeStream }

func (s countingStream) Decode(f holdfast.Frame, out *holdfast.AnswerWriter) error {
	out.Usage(holdfast.Usage{Input: 7, Output: 2, Exact: true})
	return s.acmeStream.Decode(f, out)
}

// What a broken attempt cost is in the Trail, and never called exact: the provider may have gone on.
func TestUsageOfABrokenStream(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"before content": "data: {}\n\n", "after content": "data: {\"piece\":\"All \"}\n\n"} {
		s := &stage{plays: map[string][]play{"a": {streams(body, io.EOF)}}}
		_, err := holdfast.Collect(newClient(t, holdfast.Config{
			Adapters: map[string]holdfast.AIServiceAdapter{"counting": counting{}}, WrapTransport: s.wrap,
			Endpoints: []holdfast.Endpoint{{Name: "a", Provider: "counting", URL: "http://a.test"}}, Retry: holdfast.RetryPolicy{MaxAttempts: 1},
		}).Stream(t.Context(), hello))
		var e *holdfast.Error
		if !errors.As(err, &e) || len(e.Trail.Attempts) != 1 {
			t.Fatalf("%s: got %v, want an error after one attempt", name, err)
		}
		a := e.Trail.Attempts[0]
		if a.Usage.Input != 7 || a.Usage.Output != 2 || a.Usage.Exact || !a.Sent || a.Status != 200 || a.Kind != holdfast.KindTruncated {
			t.Errorf("%s: got %+v, want the count so far, not exact, of a truncated answer", name, a)
		}
		if e.Partial != nil && e.Partial.Usage.Exact {
			t.Errorf("%s: the partial answer's usage is called exact", name)
		}
	}
}

// The largest limit that can be spelled is no limit of less than nothing.
func TestLargestLimit(t *testing.T) {
	t.Parallel()
	s := &stage{plays: map[string][]play{"a": {replies("hi"), streams(twoPieces, io.EOF)}}}
	client := s.client(t, holdfast.Config{MaxAnswerBytes: math.MaxInt}, "a")
	if answer, err := client.Chat(t.Context(), hello); err != nil || answer.Text() != "hi" {
		t.Errorf("got %v, %v", answer, err)
	}
	if answer, err := holdfast.Collect(client.Stream(t.Context(), hello)); err != nil || answer.Text() != "All well." {
		t.Errorf("stream: got %v, %v", answer, err)
	}
}

// A configuration may be changed for the next client while the last one asks.
func TestConfigIsTakenAsItIs(t *testing.T) {
	t.Parallel()
	s := &stage{plays: map[string][]play{"a": {replies("hi")}}}
	conf := holdfast.Config{
		Adapters: map[string]holdfast.AIServiceAdapter{"moody": moody{}}, WrapTransport: s.wrap, Residency: []string{"eu"},
		Endpoints: []holdfast.Endpoint{{
			Name: "a", Provider: "moody", URL: "http://a.test", Region: "eu", Countries: []string{"SE"},
			Models: map[string]string{"default": "one"}, Header: map[string]string{"X-Team": "one"},
		}},
		Country: "SE",
	}
	client := newClient(t, conf)
	e := &conf.Endpoints[0]
	conf.Residency[0], e.Countries[0], e.Models["default"], e.Header["X-Team"] = "us", "US", "two", "two"
	answer, err := client.Chat(context.Background(), hello)
	if err != nil {
		t.Fatal(err)
	}
	if got := answer.Trail.Attempts[0].Model; got != "one" || !strings.Contains(s.bodies[0], "one") {
		t.Errorf("asked for the model %q in %s, want the one that was configured", got, s.bodies[0])
	}
}
