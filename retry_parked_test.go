package holdfast_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
)

// With every endpoint over its rate limit, a call waits for the first that is back, and for the next if that one fails.
func TestWaitForEachParkedEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := func(seconds string) play { return fails(holdfast.KindRateLimit, 429, "Retry-After", seconds) }
		s := &stage{plays: map[string][]play{
			"a": {limit("50"), replies("hi from a")},
			"b": {limit("20"), fails(holdfast.KindMalformed, 500)},
		}}
		client := s.client(t, holdfast.Config{Retry: holdfast.RetryPolicy{MaxAttempts: 2}}, "a", "b")
		begun := time.Now()
		if _, err := client.Chat(t.Context(), hello); holdfast.KindOf(err) != holdfast.KindRateLimit {
			t.Fatalf("got %v, want the rate limit", err)
		}
		answer, err := client.Chat(t.Context(), hello)
		if err != nil {
			t.Fatal(err)
		}
		if got := time.Since(begun); answer.Text() != "hi from a" || got < 50*time.Second || got > 55*time.Second {
			t.Errorf("got %q after %v, want a's answer after 50s, or up to a tenth later", answer.Text(), got)
		}
		attempts := answer.Trail.Attempts
		if len(attempts) != 2 || attempts[0].Endpoint != "b" || attempts[1].Endpoint != "a" {
			t.Fatalf("got %s, want b and then a", answer.Trail)
		}
		for _, a := range attempts {
			if strings.Count(a.Why, "waited") != 1 {
				t.Errorf("%s: the Trail says %q, want that it was waited for", a.Endpoint, a.Why)
			}
		}
		if len(answer.Trail.Skipped) != 0 {
			t.Errorf("the Trail says that %+v were not asked, and they were", answer.Trail.Skipped)
		}
	})
}

// While one call waits, another may learn that the key is dead: it is not used once more.
func TestParkedEndpointIsJudgedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{plays: map[string][]play{"a": {
			fails(holdfast.KindRateLimit, 429, "Retry-After", "30"), fails(holdfast.KindKey, 401), replies("hi"),
		}}}
		conf := holdfast.Config{Retry: holdfast.RetryPolicy{MaxAttempts: 1}}
		conf.Endpoints = []holdfast.Endpoint{{
			Name: "a", Provider: "moody", URL: "http://a.test", KeySource: holdfast.Literal("k1"), Models: map[string]string{"*": "*"},
		}}
		client := s.client(t, conf)
		_, _ = client.Chat(t.Context(), hello) // is told to wait
		time.AfterFunc(10*time.Second, func() {
			other := *hello
			other.Model = "another" // is not limited, and finds the key dead
			_, _ = client.Chat(t.Context(), &other)
		})
		_, err := client.Chat(t.Context(), hello)
		if len(s.log) != 2 || holdfast.KindOf(err) == "" {
			t.Errorf("got %v after %d requests, want no request with a dead key", err, len(s.log))
		}
	})
}

func TestWaitForTheOnlyEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{plays: map[string][]play{"a": {fails(holdfast.KindRateLimit, 429, "Retry-After", "30"), replies("hi")}}}
		client := s.client(t, holdfast.Config{}, "a")
		short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := client.Chat(short, hello); !errors.Is(err, holdfast.KindRateLimit) {
			t.Errorf("with 5 s left: got %v, want the rate limit at once", err)
		}
		_, err := client.Chat(short, hello)
		var e *holdfast.Error
		if !errors.As(err, &e) || e.Kind != holdfast.KindRateLimit || e.RetryAfter == 0 || len(s.log) != 1 {
			t.Errorf("while blocked: got %v after %d requests, want a rate limit without a request", err, len(s.log))
		}
		begun := time.Now()
		answer, err := client.Chat(t.Context(), hello)
		if err != nil || time.Since(begun) < 30*time.Second || time.Since(begun) > 33*time.Second {
			t.Fatalf("got %v after %v, want an answer after the 30 s, or up to a tenth later", err, time.Since(begun))
		}
		if !strings.Contains(answer.Trail.Attempts[0].Why, "waited") {
			t.Errorf("the Trail does not tell of the wait: %+v", answer.Trail.Attempts)
		}
	})
}
