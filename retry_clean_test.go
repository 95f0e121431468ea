package holdfast_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-ai/holdfast"
)

// leaks is what none of the printed forms of an error may hold.
var leaks = []string{"you today", "key-of-a", "top-secret-part", "hunter2-hunter2", "gateway-cookie"}

// printed is an error in every form in which one is printed or stored.
func printed(err error) string {
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Error("failed", "err", err, "in", struct{ Err error }{err})
	slog.New(slog.NewTextHandler(&b, nil)).Error("failed", "err", err, "in", struct{ Err error }{err})
	fmt.Fprintf(&b, "%v %+v %#v %q %s %+v", err, err, err, err, err, struct{ Err error }{err})
	for e := err; e != nil; e = errors.Unwrap(e) {
		fmt.Fprintf(&b, " %s %+v", e, e)
	}
	var e *holdfast.Error
	if errors.As(err, &e) {
		stored, _ := json.Marshal(e)
		fmt.Fprintf(&b, " %s %+v %v %#v %s %+v", stored, *e, *e, *e, e.Trail, e.Trail)
	}
	return b.String()
}

// Whatever a server or the transport quotes, no printed form of the error holds a key, a prompt or an answer.
func TestErrorsPrintNothingSecret(t *testing.T) {
	t.Parallel()
	const echo = "top: How are you today, my friend? key-of-a gateway-cookie"
	piece := `data: {"piece":"the top-secret-part of the answer"}` + "\n\n"
	for _, c := range []struct {
		name string
		play play
		kind holdfast.Kind
	}{
		{"an error", says(400, `{"fault":"invalid request","reply":"`+echo+`"}`), holdfast.KindInvalid},
		{"a page", says(502, "<html>"+echo, "Content-Type", "text/html"), holdfast.KindGateway},
		{"a page instead of an answer", says(200, echo, "Content-Type", "text/plain"), holdfast.KindIntercepted},
		{"somebody else's JSON", says(418, `{"sent":"How are y\u006fu today, my friend?","key":"key\u002dof-a"}`), holdfast.KindRejected},
		{"a request id", says(400, `{"fault":"invalid request"}`, "X-Request-Id", "key-of-a"), holdfast.KindInvalid},
		{"the transport", breaks(errors.New("odd: " + echo)), holdfast.KindTransport},
		{
			"a desynchronised connection",
			breaks(fmt.Errorf("net/http: HTTP/1.x transport connection broken: malformed HTTP response %q", "the top-secret-part")),
			holdfast.KindMalformed,
		},
		{"a header line", breaks(errors.New("malformed MIME header line: the top-secret-part")), holdfast.KindMalformed},
		{"the environment's proxy", breaks(errors.New(`invalid proxy address "http://me:hunter2-hunter2@:x"`)), holdfast.KindProxy},
		{"a stream that breaks", streams(piece, errors.New("broken: "+echo)), holdfast.KindTruncated},
		{"a stream without its end", streams(piece, io.EOF), holdfast.KindTruncated},
		{"a stream with an error", streams(piece+"data: {\"fault\":\""+echo+"\"}\n\n", io.EOF), "odd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &stage{plays: map[string][]play{"a": {c.play}}}
			conf := holdfast.Config{Adapters: map[string]holdfast.AIServiceAdapter{"moody": talkative{}}, Retry: holdfast.RetryPolicy{MaxAttempts: 1}}
			conf.WrapTransport = s.wrap
			conf.Endpoints = []holdfast.Endpoint{{
				Name: "a", Provider: "moody", URL: "http://a.test", KeySource: holdfast.Literal("key-of-a"),
				Header: map[string]string{"X-Gateway-Token": "gateway-cookie"},
			}}
			_, err := holdfast.Collect(newClient(t, conf).Stream(t.Context(), hello))
			if holdfast.KindOf(err) != c.kind {
				t.Fatalf("got %v, want %q", err, c.kind)
			}
			text := printed(err)
			for _, leak := range leaks {
				if strings.Contains(text, leak) {
					t.Errorf("%q is printed: %s", leak, text)
				}
			}
			if len(trailOf(nil, err).Attempts) != 1 {
				t.Errorf("got %d attempts, want 1", len(trailOf(nil, err).Attempts))
			}
		})
	}
}

// talkative is an adapter that quotes the server in every field of its stream's errors.
type talkative struct{ moody }

func (talkative) DecodeStream() holdfast.StreamDecoder { return talkativeStream{} }

type talkativeStream struct{ acmeStream }

func (s talkativeStream) Decode(f holdfast.Frame, out *holdfast.AnswerWriter) error {
	var a acmeAnswer
	if json.Unmarshal(f.Data, &a) == nil && a.Fault != "" {
		return &holdfast.Error{Kind: "odd", Type: a.Fault, Code: a.Fault, Message: a.Fault, Err: errors.New(a.Fault)}
	}
	return s.acmeStream.Decode(f, out)
}

// What a caller tests for is found though its text is not shown.
func TestReworded(t *testing.T) {
	t.Parallel()
	cause := &refusal{"How are you today, my friend?"}
	s := &stage{plays: map[string][]play{"a": {breaks(cause)}}}
	_, err := s.client(t, holdfast.Config{Retry: holdfast.RetryPolicy{MaxAttempts: 1}}, "a").Chat(t.Context(), hello)
	var found *refusal
	if !errors.Is(err, cause) || !errors.As(err, &found) || found != cause {
		t.Errorf("the error beneath is lost: %v", err)
	}
	if !strings.Contains(err.Error(), "refused: [redacted]") {
		t.Errorf("got %v, want the text without the prompt", err)
	}
}

type refusal struct{ what string }

func (r *refusal) Error() string { return "refused: " + r.what }

// An error survives being stored: all but the answer and the error beneath.
func TestErrorAsJSON(t *testing.T) {
	t.Parallel()
	s := &stage{plays: map[string][]play{"a": {fails(holdfast.KindRateLimit, 429, "Retry-After", "600", "X-Request-Id", "req_1")}}}
	_, err := s.client(t, holdfast.Config{}, "a").Chat(context.Background(), hello)
	stored, jsonErr := json.Marshal(err)
	if jsonErr != nil {
		t.Fatal(jsonErr)
	}
	var back holdfast.Error
	if err := json.Unmarshal(stored, &back); err != nil {
		t.Fatal(err)
	}
	if back.Error() != err.Error() || back.Status != http.StatusTooManyRequests || len(back.Trail.Attempts) != 1 {
		t.Errorf("got %v from %s, want %v", &back, stored, err)
	}
}
