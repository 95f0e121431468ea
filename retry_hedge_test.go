package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// The winner's rival is cancelled at once, and what it cost is known.
func TestLoserIsCancelled(t *testing.T) {
	t.Parallel()
	for _, s := range speakers {
		for _, tls := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/tls=%v", s.name, tls), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					h := newHouse()
					defer h.close()
					h.serve(tls, "a", s, holdfasttest.Reply{Text: blue, BeforeFirst: time.Hour})
					h.serve(tls, "b", s, holdfasttest.Reply{Text: blue, BeforeFirst: time.Second, Between: 100 * time.Millisecond})
					begun := time.Now()
					var first time.Time
					for event, err := range h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why is the sky blue?")}) {
						if err != nil {
							t.Fatal(err)
						}
						if first.IsZero() && event.Text() != "" {
							first = time.Now()
						}
						if event.Type == holdfast.EventEnd {
							a := event.Response.Trail.Attempts
							if len(a) != 2 || a[0].Kind != holdfast.KindLost || a[1].Kind != "" || a[0].Usage.Exact || !a[0].Sent {
								t.Errorf("got %s, want a loser and an answer", event.Response.Trail)
							}
						}
					}
					lost := h.servers["a"].Requests()[0]
					h.servers["a"].Wait()
					if lost = h.servers["a"].Requests()[0]; !lost.Aborted || lost.Ended.Sub(first) > 20*time.Millisecond {
						t.Errorf("the loser's request ended %v after the winner's first content, aborted %v", lost.Ended.Sub(first), lost.Aborted)
					}
					if at := first.Sub(begun).Round(100 * time.Millisecond); at != 3500*time.Millisecond {
						t.Errorf("the first content came after %v, want the hedge point of 2.5 s and a second", at)
					}
				})
			})
		}
	}
}

// An endpoint that is down for a minute serves calls again when it is back: those after the one that found so, by its probes.
func TestDownForAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		begun := time.Now()
		a := h.endpoint("a", speakerOf("claude"))
		a.Respond(func(r holdfasttest.Request) holdfasttest.Reply {
			if r.At.Sub(begun) < time.Minute {
				return holdfasttest.Reply{Error: holdfasttest.Overloaded}
			}
			return holdfasttest.Reply{}
		})
		h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{})
		h.conf.Endpoints[1].Tier = 1
		h.open(t)
		var by []string
		for range 5 {
			_, _, answer, err := read(h.client.Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")}))
			if err != nil {
				t.Fatal(err)
			}
			by = append(by, answer.Endpoint)
			time.Sleep(20 * time.Second)
		}
		if got := strings.Join(by, " "); got != "b b b b a" {
			t.Errorf("answered by %s, want b for a minute, and a after the next call", got)
		}
	})
}

// What an adapter panics with in a reserve reaches the caller's goroutine, where it can be recovered.
func TestReservePanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{plays: map[string][]play{"a": {hangs}, "b": {func(*http.Request) (*http.Response, error) { panic("of b") }}}}
		client := s.client(t, holdfast.Config{}, "a", "b")
		defer func() {
			if got := recover(); got != "of b" {
				t.Errorf("recovered %v, want what the transport panicked with", got)
			}
		}()
		_, err := client.Chat(t.Context(), hello)
		t.Errorf("got %v, want a panic", err)
	})
}

// A reserve that cannot carry the request is passed over, and the attempt that is late is waited for.
func TestReserveCannotCarry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		h.endpoint("a", speakerOf("claude+prefill"), holdfasttest.Reply{Text: sixty, BeforeFirst: 10 * time.Second})
		b := h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{})
		text, _, answer, err := read(h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), TopK: 5}))
		if err != nil || text != sixty || len(b.Requests()) != 0 {
			t.Fatalf("got %q, %v, want the answer that was late", text, err)
		}
		if skipped := answer.Trail.Skipped; len(skipped) != 1 || !strings.Contains(skipped[0].Why, "top_k") {
			t.Errorf("got %v, want why b was passed over", skipped)
		}
	})
}

// A reserve that came second, and whose transport is slow to notice, has no part in what goes on when the answer breaks off.
func TestLateLoser(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		s := speakerOf("claude+prefill")
		h.endpoint("a", s, holdfasttest.Reply{Text: sixty, BeforeFirst: 400 * time.Millisecond, Fault: holdfasttest.CutRST, After: 3})
		h.endpoint("b", s, holdfasttest.Reply{Text: sixty})
		h.endpoint("c", s, holdfasttest.Reply{Text: sixty, BeforeFirst: 600 * time.Millisecond})
		h.conf.Timeouts.Hedge = 300 * time.Millisecond
		h.conf.WrapTransport = func(name string, base http.RoundTripper) http.RoundTripper {
			if name != "b" {
				return base
			}
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				time.Sleep(300 * time.Millisecond)
				return base.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
			})
		}
		text, _, answer, err := read(h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")}))
		if err != nil || text != sixty || answer.Text() != sixty {
			t.Errorf("got %q, %v, want it once", text, err)
		}
	})
}

// An endpoint that falls silent does not teach that reserves may come ever later.
func TestSilenceDoesNotPutOffReserves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{BeforeHeaders: time.Hour})
		h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{Text: sixty})
		h.open(t)
		for call := range 20 {
			begun := time.Now()
			if _, _, _, err := read(h.client.Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")})); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took > 30*time.Second {
				t.Errorf("call %d took %v, want the reserve's answer soon", call, took)
			}
		}
	})
}

// What ends a call ends it at once and is what the caller hears, whatever a reserve does meanwhile.
func TestFinalFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		a, b  holdfasttest.Reply
		kind  holdfast.Kind
		asked string
		took  time.Duration
	}{
		"the first is final, the reserve hangs": {
			holdfasttest.Reply{Error: holdfasttest.BadRequest, BeforeHeaders: 5 * time.Second},
			holdfasttest.Reply{BeforeHeaders: time.Hour},
			holdfast.KindInvalid, "a invalid request, b came second", 5 * time.Second,
		},
		"the first is final, the reserve failed": {
			holdfasttest.Reply{Error: holdfasttest.BadRequest, BeforeHeaders: 5 * time.Second},
			holdfasttest.Reply{Error: holdfasttest.ServerError, BeforeHeaders: time.Second},
			holdfast.KindInvalid, "a invalid request, b server error", 5 * time.Second,
		},
		"the reserve is final": {
			holdfasttest.Reply{Error: holdfasttest.ServerError, BeforeHeaders: 5 * time.Second},
			holdfasttest.Reply{Error: holdfasttest.BadRequest},
			holdfast.KindInvalid, "a server error, b invalid request", 5 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHouse()
				defer h.close()
				s := speakerOf("claude")
				h.endpoint("a", s, c.a)
				h.endpoint("b", s, c.b)
				other := h.endpoint("c", s, holdfasttest.Reply{Text: sixty})
				h.conf.Endpoints[2].Tier = 1
				begun := time.Now()
				_, _, _, err := read(h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")}))
				var e *holdfast.Error
				if !errors.As(err, &e) || e.Kind != c.kind || trailInWords(e.Trail) != c.asked || len(other.Requests()) != 0 {
					t.Errorf("got %v, want %s: %s", err, c.kind, c.asked)
				}
				if took := time.Since(begun); took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
			})
		})
	}
}
