package holdfast_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// shop is an endpoint that is open for as many as it takes at once, and refuses the others.
type shop struct {
	*holdfasttest.Server
	down   atomic.Bool
	takes  atomic.Int32 // at once; 0 means all
	inside atomic.Int32
	asked  atomic.Int32 // since it was down last, without probes
	probes atomic.Int32
	answer func(n int32) holdfasttest.Reply // to the nth that it takes
	takesT time.Duration                    // how long one is inside
}

// shop adds one, whose answers come in one piece unless it is told otherwise.
func (h *house) shop(name string) *shop {
	s := &shop{answer: func(int32) holdfasttest.Reply { return holdfasttest.Reply{} }}
	s.Server = h.endpoint(name, speakerOf("claude"))
	s.Respond(func(r holdfasttest.Request) holdfasttest.Reply {
		if isProbe(r) {
			s.probes.Add(1)
		}
		switch {
		case s.down.Load():
			s.asked.Store(0)
			return overloaded
		case isProbe(r):
			return holdfasttest.Reply{}
		}
		n := s.asked.Add(1)
		if most := s.takes.Load(); s.inside.Add(1) > most && most > 0 {
			s.inside.Add(-1)
			return overloaded
		}
		time.AfterFunc(s.takesT, func() { s.inside.Add(-1) })
		return s.answer(n)
	})
	return s
}

// closes is an outage from now on.
func (s *shop) closes(d time.Duration) {
	s.down.Store(true)
	time.AfterFunc(d, func() { s.down.Store(false) })
}

// herd is what became of many calls.
type herd struct {
	mu    sync.Mutex
	calls sync.WaitGroup
	took  []time.Duration // of those that were answered
	more  int             // attempts beyond the first, of the others
	err   error           // of one of them
}

// come lets n calls come, one each gap.
func (g *herd) come(n int, gap time.Duration, ask func() error) {
	for i := range n {
		g.calls.Go(func() {
			time.Sleep(time.Duration(i) * gap)
			begun := time.Now()
			err := ask()
			g.mu.Lock()
			defer g.mu.Unlock()
			var e *holdfast.Error
			if err == nil {
				g.took = append(g.took, time.Since(begun))
			} else if g.err = err; errors.As(err, &e) {
				g.more += max(0, len(e.Trail.Attempts)-1)
			}
		})
	}
}

// must waits for all, and checks that so many were answered, and how soon at the latest.
func (g *herd) must(t *testing.T, least int, most time.Duration) {
	t.Helper()
	g.calls.Wait()
	if len(g.took) < least {
		t.Errorf("%d were answered, want %d: %v", len(g.took), least, g.err)
	}
	if len(g.took) > 0 && slices.Max(g.took) > most {
		t.Errorf("one was answered after %v, want %v at most", slices.Max(g.took), most)
	}
}

// asking asks with so much time.
func asking(t *testing.T, d time.Duration, c *holdfast.Client) func() error {
	return func() error {
		_, _, err := within(t, d, c, why())
		return err
	}
}

// Two hundred calls wait while the only endpoint is down. When it comes back they come one after another, the more the more it answers: so it
// is not buried, not even if it takes only a few at once and refuses the others.
func TestRecoveryUnderAHerd(t *testing.T) {
	t.Parallel()
	const calls, outage = 200, 12 * time.Second
	for name, c := range map[string]struct {
		takes  int32
		within time.Duration // of the recovery
		least  int
	}{
		"twenty at once": {20, 45 * time.Second, 180},
		"all at once":    {0, 10 * time.Second, calls},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *house) {
				a := h.shop("a")
				a.takesT = 2 * time.Second
				a.answer = func(int32) holdfasttest.Reply {
					return holdfasttest.Reply{Chunks: []string{"a", "b", "c", "d"}, BeforeHeaders: 500 * time.Millisecond, Between: 500 * time.Millisecond}
				}
				client := h.open(t)
				mustChat(t, client, why())
				a.takes.Store(c.takes)
				a.closes(outage)
				var g herd
				g.come(calls, 20*time.Millisecond, asking(t, time.Minute, client))
				g.must(t, c.least, outage+c.within)
				if n := a.asked.Load(); n > 4*calls {
					t.Errorf("the endpoint was asked %d times after its recovery, for %d calls", n, calls)
				}
				if s := client.Status(); s.Waiting != 0 {
					t.Errorf("%d still wait", s.Waiting)
				}
			})
		})
	}
}

// A first content that takes long is no refusal: those that wait do not wait for each other's.
func TestSlowFirstContentsOfAHerd(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		a := h.shop("a")
		a.answer = func(int32) holdfasttest.Reply { return holdfasttest.Reply{BeforeFirst: 8 * time.Second} }
		client := h.open(t)
		answeredBy(t, client, 20, time.Second)
		a.closes(9 * time.Second)
		go func() { _ = asking(t, 8*time.Second, client)() }()
		time.Sleep(7 * time.Second) // the breaker is open
		var g herd
		g.come(150, 0, asking(t, 40*time.Second, client))
		g.must(t, 150, 28*time.Second)
	})
}

// While those that waited read long answers, a second outage ends for the others as soon as the endpoint is well: somebody always looks.
func TestSecondOutageUnderLongAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		a := h.shop("a")
		a.answer = func(n int32) holdfasttest.Reply {
			if n == 20 {
				a.closes(8 * time.Second)
			}
			return holdfasttest.Reply{Chunks: slices.Repeat([]string{"x"}, 90), Between: time.Second, BeforeFirst: 300 * time.Millisecond}
		}
		client := h.open(t)
		mustChat(t, client, why())
		a.closes(11 * time.Second)
		go func() { _ = asking(t, 8*time.Second, client)() }()
		time.Sleep(6 * time.Second)
		var g herd
		g.come(40, 0, func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			begun := time.Now()
			first := true
			for _, err := range client.Stream(ctx, why()) {
				if err != nil {
					return err
				}
				if took := time.Since(begun); first && took > 30*time.Second {
					t.Errorf("the first content came after %v, want it soon after both outages", took)
				}
				first = false
			}
			return nil
		})
		g.must(t, 40, 3*time.Minute)
	})
}

// Calls that wait for what only one endpoint answers keep nobody from another one: neither while they wait for a rate limit, nor for long answers.
func TestHerdsOfTwoEndpoints(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]holdfasttest.Reply{
		"limited": {Error: holdfasttest.RateLimited, RetryAfter: "55"},
		"slow":    {BeforeHeaders: 40 * time.Second},
		"silent":  {BeforeHeaders: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *house) {
				a, b := h.shop("a"), h.shop("b")
				h.conf.Endpoints[0].Countries, h.conf.Endpoints[1].Countries = []string{"SE"}, []string{"DE"}
				client := h.open(t)
				from := func(country string, d time.Duration) func() error {
					return func() error {
						ctx, cancel := context.WithTimeout(holdfast.WithClientCountry(t.Context(), country), d)
						defer cancel()
						_, err := client.Chat(ctx, why())
						return err
					}
				}
				for _, country := range []string{"SE", "DE"} {
					if err := from(country, time.Minute)(); err != nil {
						t.Fatal(err)
					}
				}
				a.answer = func(int32) holdfasttest.Reply { return reply }
				a.closes(10 * time.Second)
				b.closes(20 * time.Second)
				var others, g herd
				others.come(1, 0, from("SE", 5*time.Second))
				time.Sleep(6 * time.Second)
				others.come(12, 0, from("SE", 2*time.Minute))
				time.Sleep(8 * time.Second)
				g.come(30, 100*time.Millisecond, from("DE", time.Minute))
				g.must(t, 30, 15*time.Second)
				others.calls.Wait()
			})
		})
	}
}

// A caller who takes time for the error of a stream keeps nobody from his turn.
func TestErrorHeld(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		a := h.shop("a")
		h.conf.Retry.Park = 4 * time.Second
		client := h.open(t)
		mustChat(t, client, why())
		a.closes(11500 * time.Millisecond)
		go func() { _ = asking(t, 5*time.Second, client)() }()
		time.Sleep(6 * time.Second)
		var failed, g herd
		failed.come(8, 0, func() error {
			for _, err := range client.Stream(t.Context(), why()) {
				if err != nil {
					time.Sleep(20 * time.Second) // asks somebody else, say
					return err
				}
			}
			return nil
		})
		time.Sleep(5 * time.Second)
		g.come(3, 0, asking(t, time.Minute, client))
		g.must(t, 3, 4*time.Second)
		failed.calls.Wait()
	})
}

// A call that waits since the retry budget is empty goes on when it is not any more: after others were answered elsewhere.
func TestWaitForTheBudget(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		a := h.shop("a")
		h.endpoint("b", speakerOf("claude"))
		h.conf.Endpoints[0].Countries, h.conf.Endpoints[1].Countries = []string{"SE"}, []string{"DE"}
		client := h.open(t)
		sweden, germany := holdfast.WithClientCountry(t.Context(), "SE"), holdfast.WithClientCountry(t.Context(), "DE")
		chat := func(ctx context.Context, d time.Duration) error {
			ctx, cancel := context.WithTimeout(ctx, d)
			defer cancel()
			_, err := client.Chat(ctx, why())
			return err
		}
		if err := chat(sweden, time.Minute); err != nil {
			t.Fatal(err)
		}
		a.answer = func(n int32) holdfasttest.Reply {
			if n <= 2 {
				return overloaded
			}
			return holdfasttest.Reply{}
		}
		a.closes(7 * time.Second)
		var spend, g herd
		spend.come(120, 0, func() error { return chat(sweden, 4*time.Second) })
		time.Sleep(time.Second)
		g.come(1, 0, func() error { return chat(sweden, time.Minute) })
		time.Sleep(11 * time.Second)
		for range 40 {
			if err := chat(germany, time.Second); err != nil {
				t.Fatal(err)
			}
		}
		g.must(t, 1, 20*time.Second)
		spend.calls.Wait()
	})
}

// What attempts calls make beyond their first comes out of the retry budget where they fail, also of those that wait for their turn; but for the few
// that are invited to see whether an endpoint that answers probes answers calls too.
func TestBudgetOfAHerd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		probes holdfast.ProbeBy
		spare  int
	}{"all is down": {holdfast.ProbeToken, 0}, "only probes are answered": {holdfast.ProbeFree, 100}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *house) {
				a, b := h.shop("a"), h.shop("b")
				h.conf.Probes.By = c.probes
				client := h.open(t)
				answeredBy(t, client, 10, time.Second)
				for _, s := range []*shop{a, b} {
					s.answer = func(int32) holdfasttest.Reply { return overloaded }
					s.down.Store(c.probes == holdfast.ProbeToken)
				}
				var under, most atomic.Int32
				var g herd
				g.come(600, 20*time.Millisecond, func() error {
					most.Store(max(most.Load(), under.Add(1)))
					defer under.Add(-1)
					return asking(t, 40*time.Second, client)()
				})
				time.Sleep(4 * time.Second) // the endpoints are suspect yet, or asked anew time and again, and the budget is empty
				if s := client.Status(); s.RetryBudget != 0 || s.Waiting == 0 {
					t.Errorf("the budget is %v and %d wait, want that they do where it is empty", s.RetryBudget, s.Waiting)
				}
				g.calls.Wait()
				if want := max(100, int(most.Load())) + c.spare; g.more > want {
					t.Errorf("%d attempts beyond the first, of calls of which up to %d were under way; want %d at most", g.more, most.Load(), want)
				}
			})
		})
	}
}

// After a good probe, one that is answered with a 429 is not followed by the next at once.
func TestProbesOfALimitedEndpoint(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		begun := time.Now()
		var probes atomic.Int32
		h.endpoint("a", speakerOf("claude")).Respond(func(r holdfasttest.Request) holdfasttest.Reply {
			const rtt = 10 * time.Millisecond
			switch d := time.Since(begun); {
			case d < time.Second:
				return holdfasttest.Reply{}
			case d < 4*time.Second:
				return overloaded
			case isProbe(r) && probes.Add(1) == 1 || d > 20*time.Second:
				return holdfasttest.Reply{BeforeHeaders: rtt}
			}
			return holdfasttest.Reply{Error: holdfasttest.RateLimited, RetryAfter: "10", BeforeHeaders: rtt}
		})
		client := h.open(t)
		mustChat(t, client, why())
		time.Sleep(2 * time.Second)
		if _, _, err := within(t, time.Minute, client, why()); err != nil {
			t.Error(err)
		}
		if n := probes.Load(); n > 10 {
			t.Errorf("%d probes within 16 s at an endpoint that said each time to come again after 10 s", n)
		}
	})
}

// countedKey counts how often it is read, and fails from the thousandth time on, which ends what spins.
type countedKey struct{ reads atomic.Int32 }

func (k *countedKey) Secret(context.Context) (holdfast.Secret, error) {
	if k.reads.Add(1) > 1000 {
		return holdfast.Secret{}, errors.New("read too often")
	}
	return holdfast.NewSecret("k"), nil
}

// The guard waits in vain for a slot at the last resort, for a call that left that line before since the cloud was well again: it does not spin.
func TestGuardAfterLeavingTheLine(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		a := h.shop("a")
		h.endpoint("local", speakerOf("local"), holdfasttest.Reply{BeforeHeaders: 2 * time.Second}, holdfasttest.Reply{BeforeHeaders: 2 * time.Minute})
		key := &countedKey{}
		h.conf.Endpoints[1].Local, h.conf.Endpoints[1].Concurrency, h.conf.Endpoints[1].KeySource = true, 1, key
		client := h.open(t)
		mustChat(t, client, why())
		a.answer = func(int32) holdfasttest.Reply { return holdfasttest.Reply{BeforeHeaders: time.Hour} }
		a.closes(12 * time.Second)
		time.Sleep(2 * time.Second)
		mustChat(t, client, why()) // by the local model
		var g herd
		g.come(5, 1500*time.Millisecond, asking(t, 40*time.Second, client))
		g.calls.Wait()
		if n := key.reads.Load(); n > 100 {
			t.Errorf("the local model's key was read %d times for 7 calls", n)
		}
	})
}

// Calls that stand in line while others of it are answered have more than RetryPolicy.Park: it bounds the wait for anybody to become usable.
func TestParkWhileOthersAreAnswered(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		takes int32
		reply holdfasttest.Reply
		time  time.Duration
		least int
	}{
		"as they are written": {10, holdfasttest.Reply{Chunks: slices.Repeat([]string{"x"}, 10), Between: 500 * time.Millisecond}, 5 * time.Second, 50},
		"in one piece":        {4, holdfasttest.Reply{BeforeHeaders: 3 * time.Second}, 3 * time.Second, 35},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *house) {
				a := h.shop("a")
				a.takesT = c.time
				a.answer = func(int32) holdfasttest.Reply { return c.reply }
				h.conf.Retry.Park = 15 * time.Second
				client := h.open(t)
				mustChat(t, client, why())
				time.Sleep(c.time)
				a.takes.Store(c.takes)
				a.closes(12 * time.Second)
				go func() { _ = asking(t, 5*time.Second, client)() }()
				time.Sleep(6 * time.Second) // the breaker is open
				var g herd
				g.come(60, 10*time.Millisecond, asking(t, 2*time.Minute, client))
				for range 30 {
					time.Sleep(time.Second)
					if s := client.Status(); s.RetryBudget < 0 {
						t.Errorf("the budget is %v", s.RetryBudget)
					}
				}
				g.must(t, c.least, 80*time.Second)
			})
		})
	}
}

// Who was refused after it waited does not wait to be invited for longer than it has.
func TestRefusedWithLittleTime(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		begun := time.Now()
		h.endpoint("a", speakerOf("claude")).Respond(func(r holdfasttest.Request) holdfasttest.Reply {
			const outage, refusals = 8 * time.Second, 11 * time.Second
			switch d := time.Since(begun); {
			case d == 0:
				return holdfasttest.Reply{}
			case d < outage:
				return overloaded
			case bytes.Contains(r.Body, []byte("long")): // the only one that is answered
				return holdfasttest.Reply{Chunks: slices.Repeat([]string{"x"}, 120), Between: time.Second}
			case d < refusals && !isProbe(r):
				return holdfasttest.Reply{Error: holdfasttest.Overloaded, BeforeHeaders: 200 * time.Millisecond}
			}
			return holdfasttest.Reply{}
		})
		client := h.open(t)
		mustChat(t, client, why())
		time.Sleep(time.Millisecond)
		go func() { _ = asking(t, 5*time.Second, client)() }()
		time.Sleep(6 * time.Second)
		var long, g herd
		long.come(1, 0, func() error {
			_, _, err := within(t, 4*time.Minute, client, &holdfast.ChatRequest{Messages: holdfast.Ask("long")})
			return err
		})
		time.Sleep(500 * time.Millisecond)
		g.come(2, 100*time.Millisecond, asking(t, 8*time.Second, client))
		g.must(t, 2, 8*time.Second)
		long.must(t, 1, 4*time.Minute)
	})
}

// With probes off, calls that wait take the places of probes, also when the retry budget is empty.
func TestTrialsOfAHerd(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		a := h.shop("a")
		h.conf.Probes.By = holdfast.ProbeOff
		client := h.open(t)
		mustChat(t, client, why())
		a.closes(8 * time.Second)
		var g herd
		g.come(150, 10*time.Millisecond, asking(t, time.Minute, client))
		g.must(t, 150, 25*time.Second)
	})
}

// A caller who takes time for the end of an answer keeps nobody from his turn: the answer is over.
func TestEndHeld(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		a := h.shop("a")
		a.takesT = time.Second
		a.answer = func(int32) holdfasttest.Reply {
			return holdfasttest.Reply{Chunks: []string{"a", "b"}, Between: time.Second}
		}
		client := h.open(t)
		mustChat(t, client, why())
		time.Sleep(2 * time.Second)
		a.takes.Store(2)
		a.closes(10 * time.Second)
		go func() { _ = asking(t, 5*time.Second, client)() }()
		time.Sleep(6 * time.Second)
		var last atomic.Int64
		begun := time.Now()
		var g herd
		g.come(20, 0, func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			for event, err := range client.Stream(ctx, why()) {
				if err != nil {
					return err
				}
				if event.Type == holdfast.EventEnd {
					last.Store(int64(time.Since(begun)))
					time.Sleep(time.Minute)
				}
			}
			return nil
		})
		g.must(t, 18, 3*time.Minute)
		if got := time.Duration(last.Load()); got > 25*time.Second {
			t.Errorf("the last answer was whole after %v, want 25 s", got)
		}
	})
}
