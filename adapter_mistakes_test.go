package holdfast_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
)

// clumsy is an adapter in which one thing is wrong.
type clumsy struct {
	moody
	encode func(dst []byte, req *holdfast.ChatRequest) (holdfast.Encoded, error)
	decode func(*holdfast.AnswerWriter) error
	stream func() holdfast.StreamDecoder
	fail   func() *holdfast.Error
}

func (c clumsy) Encode(dst []byte, req *holdfast.ChatRequest, to holdfast.Target) (holdfast.Encoded, error) {
	if c.encode != nil {
		return c.encode(dst, req)
	}
	return c.moody.Encode(dst, req, to)
}

func (c clumsy) Decode(body []byte, out *holdfast.AnswerWriter) error {
	if c.decode != nil {
		return c.decode(out)
	}
	return c.moody.Decode(body, out)
}

func (c clumsy) DecodeStream() holdfast.StreamDecoder {
	if c.stream != nil {
		return c.stream()
	}
	return c.moody.DecodeStream()
}

func (c clumsy) DecodeError(status int, header http.Header, body []byte) *holdfast.Error {
	if c.fail != nil {
		return c.fail()
	}
	return c.moody.DecodeError(status, header, body)
}

// chooser chooses no dialect.
type chooser struct{ moody }

func (chooser) ChooseDialect(*holdfast.ChatRequest, holdfast.Target) holdfast.AIServiceAdapter {
	return nil
}

// Whatever an adapter does wrong is an error that says so, and nothing is left open.
func TestAdaptersMistakes(t *testing.T) {
	t.Parallel()
	var none *holdfast.Error
	for _, c := range []struct {
		name    string
		adapter holdfast.AIServiceAdapter
		play    play
		kind    holdfast.Kind
		says    string
	}{
		{"no dialect", chooser{}, replies("hi"), holdfast.KindUnsupported, "chose no dialect"},
		{"no decoder", clumsy{stream: func() holdfast.StreamDecoder { return nil }}, streams("data: {}\n\n", io.EOF), holdfast.KindMalformed, "no decoder"},
		{"never done", clumsy{decode: func(*holdfast.AnswerWriter) error { return nil }}, replies("hi"), holdfast.KindTruncated, "does not say"},
		{"nil as an error", clumsy{decode: func(*holdfast.AnswerWriter) error { return none }}, replies("hi"), holdfast.KindMalformed, "nil *Error"},
		{"an error without a kind", clumsy{decode: func(*holdfast.AnswerWriter) error { return new(holdfast.Error) }}, replies("hi"), holdfast.KindMalformed, ""},
		{"a failure without a kind", clumsy{fail: func() *holdfast.Error { return new(holdfast.Error) }}, says(503, "{}"), holdfast.KindOverloaded, ""},
		{"a path that is none", clumsy{encode: func([]byte, *holdfast.ChatRequest) (holdfast.Encoded, error) {
			return holdfast.Encoded{Path: "/%zz"}, nil
		}}, replies("hi"), holdfast.KindUnsupported, ""},
		{"an encoder that quotes", clumsy{encode: func(_ []byte, r *holdfast.ChatRequest) (holdfast.Encoded, error) {
			return holdfast.Encoded{}, errors.New("cannot encode " + r.Messages[0].Text())
		}}, replies("hi"), holdfast.KindUnsupported, "cannot encode [redacted]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &stage{plays: map[string][]play{"a": {c.play}}}
			_, err := holdfast.Collect(newClient(t, holdfast.Config{
				Adapters: map[string]holdfast.AIServiceAdapter{"clumsy": c.adapter}, WrapTransport: s.wrap,
				Endpoints: []holdfast.Endpoint{{Name: "a", Provider: "clumsy", URL: "http://a.test"}},
				Retry:     holdfast.RetryPolicy{MaxAttempts: 1},
			}).Stream(t.Context(), hello))
			if holdfast.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q with %q", err, c.kind, c.says)
			}
			for _, a := range trailOf(nil, err).Attempts {
				if a.Kind != c.kind {
					t.Errorf("the Trail says %q, want %q", a.Kind, c.kind)
				}
			}
			if s.open.Load() != 0 {
				t.Error("the connection was left open")
			}
		})
	}
}

// An adapter may return the same error each time, and several calls may get it at once.
func TestSharedError(t *testing.T) {
	t.Parallel()
	busy := &holdfast.Error{Kind: holdfast.KindOverloaded}
	s := &stage{plays: map[string][]play{"a": {says(503, "{}")}}}
	client := newClient(t, holdfast.Config{
		Adapters: map[string]holdfast.AIServiceAdapter{"clumsy": clumsy{fail: func() *holdfast.Error { return busy }}}, WrapTransport: s.wrap,
		Endpoints: []holdfast.Endpoint{{Name: "a", Provider: "clumsy", URL: "http://a.test"}}, Retry: holdfast.RetryPolicy{MaxAttempts: 1},
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := client.Chat(t.Context(), hello); !errors.Is(err, holdfast.KindOverloaded) && !errors.Is(err, holdfast.KindUnavailable) || err == error(busy) {
				t.Errorf("got %v, want an error of this call", err) // once three have failed, the others are not even sent
			}
		})
	}
	wg.Wait()
	if busy.Endpoint != "" || len(busy.Trail.Attempts) != 0 {
		t.Errorf("the adapter's own error was written to: %+v", busy)
	}
}

// What a panic in an adapter leaves behind is nothing: the caller may go on.
func TestAdapterPanics(t *testing.T) {
	t.Parallel()
	panics := clumsy{
		decode: func(*holdfast.AnswerWriter) error { panic("decode") },
		stream: func() holdfast.StreamDecoder { return panicking{} },
	}
	for name, p := range map[string]play{"whole": replies("hi"), "stream": streams("data: {}\n\n", nil)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &stage{plays: map[string][]play{"a": {p}}}
				client := newClient(t, holdfast.Config{
					Adapters: map[string]holdfast.AIServiceAdapter{"clumsy": panics}, WrapTransport: s.wrap,
					Endpoints: []holdfast.Endpoint{{Name: "a", Provider: "clumsy", URL: "http://a.test"}},
				})
				func() {
					defer func() {
						if recover() == nil {
							t.Error("the panic was swallowed")
						}
					}()
					_, _ = holdfast.Collect(client.Stream(t.Context(), hello))
				}()
				if s.open.Load() != 0 {
					t.Error("the connection was left open")
				}
			})
		})
	}
}

type panicking struct{ acmeStream }

func (panicking) Decode(holdfast.Frame, *holdfast.AnswerWriter) error { panic("decode") }

// A round tripper of the caller's may break its contract.
func TestTransportsMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		play play
		kind holdfast.Kind
	}{
		{"nothing", func(*http.Request) (*http.Response, error) { return nil, nil }, holdfast.KindTransport},
		{"no body", func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 200}, nil }, holdfast.KindIntercepted},
		{"both", func(r *http.Request) (*http.Response, error) {
			resp, _ := replies("hi")(r)
			return resp, errors.New("and yet")
		}, holdfast.KindTransport},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &stage{plays: map[string][]play{"a": {c.play}}}
				conf := holdfast.Config{Adapters: map[string]holdfast.AIServiceAdapter{"moody": moody{}}}
				conf.WrapTransport = func(name string, base http.RoundTripper) http.RoundTripper {
					return roundTrip(func(r *http.Request) (*http.Response, error) {
						resp, err := c.play(r)
						if resp != nil && resp.Body != nil {
							s.open.Add(1)
							resp.Body = &counted{ReadCloser: resp.Body, open: &s.open}
						}
						return resp, err
					})
				}
				conf.Endpoints = []holdfast.Endpoint{{Name: "a", Provider: "moody", URL: "http://a.test"}}
				_, err := newClient(t, conf).Chat(t.Context(), hello)
				if holdfast.KindOf(err) != c.kind || s.open.Load() != 0 {
					t.Errorf("got %v with %d bodies open, want %q and none", err, s.open.Load(), c.kind)
				}
			})
		})
	}
}

// Callers make mistakes too.
func TestNilArguments(t *testing.T) {
	t.Parallel()
	client := (&stage{}).client(t, holdfast.Config{}, "a")
	var noContext context.Context
	for name, ask := range map[string]func() error{
		"request": func() error { _, err := client.Chat(t.Context(), nil); return err },
		"context": func() error { _, err := client.Chat(noContext, hello); return err },
	} {
		if err := ask(); !errors.Is(err, holdfast.KindInvalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("nil %s: got %v, want an invalid request that names it", name, err)
		}
		if err := client.Supports(t.Context(), nil); !errors.Is(err, holdfast.KindInvalid) {
			t.Errorf("Supports: got %v", err)
		}
	}
	if _, err := new(holdfast.Client).Chat(t.Context(), hello); !errors.Is(err, holdfast.KindNoEndpoint) {
		t.Errorf("zero Client: got %v, want no endpoint", err)
	}
}

// A packed answer that breaks off is truncated; one in a packing that nobody asked for is malformed; a caller who gave up is told so.
func TestPackedAnswers(t *testing.T) {
	t.Parallel()
	packed := func(encoding, body string, err error) play {
		return func(r *http.Request) (*http.Response, error) {
			resp, _ := streams(body, err)(r)
			resp.Header = http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {encoding}}
			return resp, nil
		}
	}
	var whole strings.Builder
	z := gzip.NewWriter(&whole)
	_, _ = io.WriteString(z, `{"reply":"hi"}`)
	_ = z.Close()
	for _, c := range []struct {
		name string
		play play
		kind holdfast.Kind
	}{
		{"whole", packed("gzip", whole.String(), io.EOF), ""},
		{"cut in its head", packed("gzip", whole.String()[:4], io.EOF), holdfast.KindTruncated},
		{"cut in its middle", packed("gzip", whole.String()[:20], io.EOF), holdfast.KindTruncated},
		{"broken in its head", packed("gzip", "", io.ErrUnexpectedEOF), holdfast.KindTruncated},
		{"empty", packed("gzip", "", io.EOF), holdfast.KindIntercepted},
		{"not gzip", packed("gzip", `{"reply":"hi there"}`, io.EOF), holdfast.KindMalformed},
		{"unknown", packed("br", "?", io.EOF), holdfast.KindMalformed},
		{"the caller gave up", packed("gzip", "", nil), holdfast.KindDeadline},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &stage{plays: map[string][]play{"a": {c.play}, "b": {hangs}}}
				conf := holdfast.Config{Timeout: time.Minute, Retry: holdfast.RetryPolicy{MaxAttempts: 1}}
				_, err := s.client(t, conf, "a", "b").Chat(t.Context(), hello)
				if holdfast.KindOf(err) != c.kind || s.open.Load() != 0 {
					t.Errorf("got %v with %d bodies open, want %q and none", err, s.open.Load(), c.kind)
				}
			})
		})
	}
}
