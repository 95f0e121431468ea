package score

import (
	"math/rand/v2"
	"sync"
	"testing"
)

func TestBudget(t *testing.T) {
	t.Parallel()
	type done struct {
		taken     int
		succeeded bool
	}
	cases := map[string]struct {
		takes int
		done  []done
		want  float64
	}{
		"full":                        {0, nil, 100},
		"a failover":                  {1, nil, 99},
		"that succeeds":               {1, []done{{1, true}}, 100},
		"that fails":                  {1, []done{{1, false}}, 99},
		"first attempts give half":    {10, []done{{10, false}, {0, true}, {0, true}, {0, true}}, 91.5},
		"never above a hundred":       {0, []done{{0, true}, {5, true}}, 100},
		"what it took and half":       {10, []done{{8, false}, {2, true}}, 92.5},
		"empty":                       {100, nil, 0},
		"never below nothing":         {101, nil, 0},
		"half is not enough":          {101, []done{{0, true}}, 0.5},
		"a negative count is nothing": {10, []done{{-5, true}}, 90.5},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b Budget
			for i := range c.takes {
				if got := b.Take(); got != (i < 100) {
					t.Fatalf("take %d: got %v", i, got)
				}
			}
			for _, d := range c.done {
				b.Done(d.taken, d.succeeded)
			}
			if got := b.Level(); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	var b Budget
	for b.Take() {
	}
	if b.Done(0, true); b.Take() {
		t.Error("got an attempt for half of one")
	}
	if b.Done(0, true); !b.Take() || b.Level() != 0 {
		t.Error("got none for two halves")
	}
}

// Whatever requests do at the same time: the level stays within its bounds, and no more is taken than there was and was given back.
func TestBudgetIsNeverExceeded(t *testing.T) {
	t.Parallel()
	var (
		b    Budget
		all  sync.WaitGroup
		mu   sync.Mutex
		kept float64
	)
	for seed := range uint64(8) {
		all.Go(func() {
			r, mine := rand.New(rand.NewPCG(seed, 0)), 0.0
			for range 3000 {
				taken := 0
				for range r.IntN(8) {
					if b.Take() {
						taken++
					}
				}
				succeeded := r.IntN(3) == 0
				b.Done(taken, succeeded)
				if succeeded {
					mine -= 0.5
				} else {
					mine += float64(taken)
				}
				if l := b.Level(); l < 0 || l > 100 {
					t.Errorf("got %v", l)
				}
			}
			mu.Lock()
			kept += mine
			mu.Unlock()
		})
	}
	all.Wait()
	if kept > 100 {
		t.Errorf("got %v more than there was", kept-100)
	}
}

// With more requests under way than the budget holds, each may take one; what they spent in vain is forgotten as they end.
func TestBudgetOfManyRequests(t *testing.T) {
	t.Parallel()
	var b Budget
	for range 250 {
		b.Begin()
	}
	for i := range 251 {
		if got := b.Take(); got != (i < 250) {
			t.Fatalf("take %d: got %v", i, got)
		}
	}
	if b.Return(); b.Level() != 1 {
		t.Errorf("got %v, want what was given back", b.Level())
	}
	b.Left(1)
	if b.Level() != 1 {
		t.Errorf("got %v, want neither gain nor loss by a request that was given up", b.Level())
	}
	for range 249 {
		b.Done(1, false)
	}
	if b.Level() != 0 {
		t.Errorf("got %v, want an empty budget and no debt", b.Level())
	}
	if b.Done(0, false); b.Level() != 0 {
		t.Errorf("got %v after a request too many ended", b.Level())
	}
}

// Requests that are parked bring no attempts of their own.
func TestBudgetOfTheParked(t *testing.T) {
	t.Parallel()
	var b Budget
	for range 300 {
		b.Begin()
	}
	for range 250 {
		b.Park()
	}
	if got := b.Level(); got != leastBudget {
		t.Errorf("got %v while all but 50 are parked, want %v", got, leastBudget)
	}
	for range 250 {
		b.Unpark()
	}
	if got := b.Level(); got != 300 {
		t.Errorf("got %v when they go on, want 300", got)
	}
	for range 300 {
		b.Take()
	}
	for range 250 {
		b.Park()
	}
	if got := b.Level(); got != 0 || b.Take() {
		t.Errorf("got %v when all is spent and most wait, want 0", got)
	}
	b.Done(0, false)
	for range 250 {
		b.Unpark()
	}
	if got := b.Level(); got != 0 {
		t.Errorf("got %v when they go on, want that what they spent is not forgotten", got)
	}
}
