package holdfast_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

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
		"twenty at once": {20, 40 * time.Second, 180},
		"all at once":    {calls, 10 * time.Second, calls},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *house) {
				var down atomic.Bool
				var inside, asked atomic.Int32
				h.endpoint("a", speakerOf("claude")).Respond(func(holdfasttest.Request) holdfasttest.Reply {
					if down.Load() {
						return overloaded
					}
					asked.Add(1)
					if inside.Add(1) > c.takes {
						inside.Add(-1)
						return overloaded
					}
					time.AfterFunc(2*time.Second, func() { inside.Add(-1) })
					return holdfasttest.Reply{Chunks: []string{"a", "b", "c", "d"}, BeforeHeaders: 500 * time.Millisecond, Between: 500 * time.Millisecond}
				})
				client := h.open(t)
				mustChat(t, client, why())
				down.Store(true)
				begun := time.Now()
				var answered atomic.Int32
				var all sync.WaitGroup
				for i := range calls {
					all.Go(func() {
						time.Sleep(time.Duration(i) * 20 * time.Millisecond)
						if _, _, err := within(t, time.Minute, client, why()); err == nil {
							answered.Add(1)
						}
					})
				}
				time.Sleep(outage)
				down.Store(false)
				all.Wait()
				took := time.Since(begun) - outage
				if n := int(answered.Load()); n < c.least || took > c.within {
					t.Errorf("answered %d of %d within %v of the recovery, want %d within %v", n, calls, took, c.least, c.within)
				}
				if n := asked.Load(); n > 3*calls {
					t.Errorf("the endpoint was asked %d times after its recovery, for %d calls", n, calls)
				}
				if s := client.Status(); s.Waiting != 0 {
					t.Errorf("%d still wait", s.Waiting)
				}
			})
		})
	}
}

// Where all calls fail, what attempts they make beyond their first comes out of the retry budget, also of those that wait for their turn.
func TestBudgetOfAHerd(t *testing.T) {
	inBubble(t, func(t *testing.T, h *house) {
		var down atomic.Bool
		for _, name := range []string{"a", "b"} {
			h.endpoint(name, speakerOf("claude")).Respond(func(holdfasttest.Request) holdfasttest.Reply {
				if down.Load() {
					return overloaded
				}
				return holdfasttest.Reply{}
			})
		}
		client := h.open(t)
		answeredBy(t, client, 10, time.Second)
		down.Store(true)
		const calls = 600
		var under, most, more atomic.Int32
		var all sync.WaitGroup
		for i := range calls {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 20 * time.Millisecond)
				most.Store(max(most.Load(), under.Add(1)))
				_, _, err := within(t, 20*time.Second, client, why())
				under.Add(-1)
				var e *holdfast.Error
				if !errors.As(err, &e) {
					t.Errorf("got %v, want an Error", err)
					return
				}
				more.Add(max(0, int32(len(e.Trail.Attempts))-1))
			})
		}
		all.Wait()
		if got, want := more.Load(), max(100, most.Load()); got > want {
			t.Errorf("%d attempts beyond the first of %d calls, %d of which were under way at once, want %d at most", got, calls, most.Load(), want)
		}
	})
}
