package pace

import (
	"testing"
	"time"
)

// Limits as they are sold.
var (
	openAI    = [Kinds]float64{Requests: 600, Tokens: 400_000}
	anthropic = [Kinds]float64{Requests: 4000, Input: 400_000, Output: 80_000}
)

// Twice as many requests come as the limits allow.
func TestPacing(t *testing.T) {
	t.Parallel()
	const ms, second = time.Millisecond, time.Second
	cases := map[string]struct {
		setup   setup
		refused float64 // at most so many percent
	}{
		"alone":                       {setup{size: openAI, processes: 1, latency: second}, 0},
		"alone, slow":                 {setup{size: openAI, processes: 1, latency: 30 * second}, 0.1},
		"alone, rounded":              {setup{size: anthropic, processes: 1, latency: second, coarse: true}, 0},
		"alone, rounded, slow":        {setup{size: anthropic, processes: 1, latency: 30 * second, coarse: true}, 0.1},
		"alone, told late":            {setup{size: openAI, processes: 1, latency: 3 * second, late: true}, 0},
		"alone, bursts":               {setup{size: openAI, processes: 1, latency: second, bursts: true}, 0.1},
		"alone, a second's limit":     {setup{size: [Kinds]float64{Requests: 20}, fills: [Kinds]float64{Requests: 1}, processes: 1, latency: 200 * ms}, 1},
		"alone, few requests":         {setup{size: [Kinds]float64{10}, processes: 1, latency: second}, 2},
		"alone, cost underestimated":  {setup{size: openAI, processes: 1, latency: second, guess: 0.2}, 0.1},
		"alone, cost overestimated":   {setup{size: openAI, processes: 1, latency: second, guess: 5}, 0},
		"four":                        {setup{size: openAI, processes: 4, latency: second}, 0.1},
		"four, fast":                  {setup{size: openAI, processes: 4, latency: 100 * ms}, 0.1},
		"four, slow":                  {setup{size: openAI, processes: 4, latency: 10 * second}, 2},
		"four, rounded":               {setup{size: anthropic, processes: 4, latency: second, coarse: true}, 0.1},
		"four, told late":             {setup{size: openAI, processes: 4, latency: 3 * second, late: true}, 0.1},
		"four, rounded and told late": {setup{size: anthropic, processes: 4, latency: 3 * second, coarse: true, late: true}, 0.1},
		"four, bursts":                {setup{size: openAI, processes: 4, latency: second, bursts: true}, 1},
		"four, few requests":          {setup{size: [Kinds]float64{50}, processes: 4, latency: second}, 3},
		"four, cost underestimated":   {setup{size: openAI, processes: 4, latency: second, guess: 0.2}, 0.5},
		"four, cost overestimated":    {setup{size: openAI, processes: 4, latency: second, guess: 5}, 0.1},
		"eight":                       {setup{size: openAI, processes: 8, latency: 3 * second}, 0.5},
		"twenty":                      {setup{size: openAI, processes: 20, latency: second}, 0.5},
		"twenty, rounded":             {setup{size: anthropic, processes: 20, latency: second, coarse: true}, 0.5},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.setup.load, c.setup.cost = 2, Cost{900, 100}
			w := newWorld(c.setup, 1)
			w.run()
			if got := w.used(); got < 0.95 {
				t.Errorf("got %.1f %% of what the limits give", 100*got)
			}
			if got := 100 * w.refusedShare(); got > c.refused {
				t.Errorf("got %.2f %% refused, want at most %v %%", got, c.refused)
			}
		})
	}
}

// Those who look at nothing use the limits up too, but two of five of their requests are refused.
func TestWithoutPacing(t *testing.T) {
	t.Parallel()
	w := newWorld(setup{size: openAI, processes: 4, load: 2, latency: time.Second, cost: Cost{900, 100}, blind: true}, 0)
	w.run()
	if got := w.refusedShare(); got < 0.3 {
		t.Errorf("got %.2f %% refused", 100*got)
	}
}

// Limits that come back all at once are no worse with pacing than without.
func TestWindows(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]setup{
		"alone":         {size: openAI, processes: 1, latency: time.Second},
		"alone, slow":   {size: openAI, processes: 1, latency: 10 * time.Second},
		"four":          {size: openAI, processes: 4, latency: time.Second},
		"four, rounded": {size: anthropic, processes: 4, latency: time.Second, coarse: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.load, s.cost, s.window = 2, Cost{900, 100}, true
			paced := newWorld(s, 1)
			paced.run()
			s.blind = true
			blind := newWorld(s, 1)
			blind.run()
			if paced.used() < 0.98*blind.used() || paced.refusedShare() > 1.3*blind.refusedShare() {
				t.Errorf("got %.3f used and %.3f refused, without pacing %.3f and %.3f",
					paced.used(), paced.refusedShare(), blind.used(), blind.refusedShare())
			}
		})
	}
}

func (w *world) refusedShare() float64 { return float64(w.refused) / float64(w.sent) }

// Where the limits are enough, nobody waits.
func TestNobodyWaitsForNothing(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]setup{
		"alone":           {size: openAI, processes: 1, latency: time.Second},
		"alone, slow":     {size: openAI, processes: 1, latency: 30 * time.Second},
		"alone, bursts":   {size: openAI, processes: 1, latency: time.Second, bursts: true},
		"four":            {size: openAI, processes: 4, latency: time.Second},
		"four, rounded":   {size: anthropic, processes: 4, latency: 3 * time.Second, coarse: true},
		"four, told late": {size: openAI, processes: 4, latency: 10 * time.Second, late: true},
		"four, bursts":    {size: openAI, processes: 4, latency: time.Second, bursts: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.load, s.cost = 0.7, Cost{900, 100}
			w := newWorld(s, 1)
			w.run()
			if w.refused > 0 || w.waited/time.Duration(w.sent) > time.Millisecond {
				t.Errorf("got %d refused and %v waited, of %d", w.refused, w.waited, w.sent)
			}
		})
	}
}

// Those who share a limit get about the same of it.
func TestShares(t *testing.T) {
	t.Parallel()
	w := newWorld(setup{size: openAI, processes: 4, load: 2, latency: time.Second, cost: Cost{900, 100}}, 1)
	w.run()
	for _, p := range w.procs {
		if got := float64(p.pacer.taken[Requests]) / float64(w.sent); got < 0.2 || got > 0.3 {
			t.Errorf("got %.2f for one of four", got)
		}
	}
}
