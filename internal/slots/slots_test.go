package slots

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// is checks how many slots are free and how many wait.
func is(t *testing.T, s *Slots, free, waiting int) {
	t.Helper()
	if s.free != free || s.Waiting() != waiting {
		t.Errorf("got %d free and %d waiting, want %d and %d", s.free, s.Waiting(), free, waiting)
	}
}

func TestTakeAndGive(t *testing.T) {
	t.Parallel()
	s := New(2)
	is(t, s, 2, 0)
	if err := s.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !s.TryTake() || s.TryTake() {
		t.Error("want one more slot and no third")
	}
	is(t, s, 0, 0)
	s.Give()
	s.Give()
	is(t, s, 2, 0)
}

func TestFewerThanOneIsOne(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, -5} {
		is(t, New(n), 1, 0)
	}
}

func TestFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(1)
		s.TryTake()
		var (
			order []int
			mu    sync.Mutex
		)
		for i := range 10 {
			go func() {
				if s.Take(t.Context()) == nil {
					mu.Lock()
					defer mu.Unlock()
					order = append(order, i)
				}
			}()
			synctest.Wait()
		}
		is(t, s, 0, 10)
		if s.TryTake() {
			t.Error("got a slot before those who wait")
		}
		for i := range 10 {
			s.Give()
			synctest.Wait()
			is(t, s, 0, 9-i)
		}
		if !slices.IsSorted(order) || len(order) != 10 {
			t.Errorf("got the order %v", order)
		}
		s.Give()
		is(t, s, 1, 0)
	})
}

// One who no longer waits is passed over, wherever it stood.
func TestWhoGoesIsPassedOver(t *testing.T) {
	t.Parallel()
	for gone := range 3 {
		synctest.Test(t, func(t *testing.T) {
			s := New(1)
			s.TryTake()
			errs := make([]error, 3)
			for i := range errs {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if i == gone {
					time.AfterFunc(time.Second, cancel)
				}
				go func() { errs[i] = s.Take(ctx) }()
				synctest.Wait()
			}
			time.Sleep(2 * time.Second)
			is(t, s, 0, 2)
			for range 3 {
				s.Give()
				synctest.Wait()
			}
			for i, err := range errs {
				if (i == gone) != errors.Is(err, context.Canceled) {
					t.Errorf("%d: got %v where %d is gone", i, err, gone)
				}
			}
			is(t, s, 1, 0)
		})
	}
}

func TestEndedContextTakesNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := New(1)
	if err := s.Take(ctx); err != context.Canceled {
		t.Errorf("got %v, want the context's own error", err)
	}
	is(t, s, 1, 0)
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(1)
		s.TryTake()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun := time.Now()
		if err := s.Take(ctx); err != context.DeadlineExceeded || time.Since(begun) != time.Minute {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
		is(t, s, 0, 0)
	})
}

// A slot is given as the context of the one whose turn it is ends. What comes first counts, and the slot is never lost.
func TestGivenAsTheContextEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		both func(s *Slots, cancel func())
		err  error
	}{
		"given first": {func(s *Slots, cancel func()) { s.give(); cancel() }, nil},
		"ended first": {func(s *Slots, cancel func()) { cancel(); s.give() }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := New(1)
				s.TryTake()
				ctx, cancel := context.WithCancel(t.Context())
				var first error
				second := false
				go func() { first = s.Take(ctx) }()
				synctest.Wait()
				go func() { second = s.Take(t.Context()) == nil }()
				synctest.Wait()
				s.mu.Lock() // who wakes up finds both done
				c.both(s, cancel)
				s.mu.Unlock()
				synctest.Wait()
				if first != c.err || second != (c.err != nil) {
					t.Errorf("got %v for the first and %v for the second", first, second)
				}
				if !second {
					is(t, s, 0, 1)
					s.Give()
					synctest.Wait()
				}
				is(t, s, 0, 0)
				s.Give()
				is(t, s, 1, 0)
			})
		})
	}
}

// Whoever comes and goes, no more than three are inside at once, and in the end all slots are free.
func TestNoSlotIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 3
		s := New(most)
		var (
			all                   sync.WaitGroup
			mu                    sync.Mutex
			inside, served, ended int
		)
		enter := func(by int) {
			mu.Lock()
			defer mu.Unlock()
			if inside += by; inside > most || inside < 0 {
				t.Errorf("got %d inside", inside)
			}
		}
		for seed := range uint64(100) {
			all.Go(func() {
				r := rand.New(rand.NewPCG(seed, 0))
				// Whole milliseconds, so that much happens at the same moment.
				some := func(n int) time.Duration { return time.Duration(r.IntN(n)) * time.Millisecond }
				for range 100 {
					ctx, cancel := context.WithTimeout(t.Context(), some(100))
					got := r.IntN(4) == 0 && s.TryTake() || s.Take(ctx) == nil
					mu.Lock()
					if got {
						served++
					} else {
						ended++
					}
					mu.Unlock()
					if got {
						enter(1)
						time.Sleep(some(4))
						enter(-1)
						s.Give()
					}
					cancel()
					time.Sleep(some(4))
				}
			})
		}
		all.Wait()
		is(t, s, most, 0)
		if served < 1000 || ended < 1000 {
			t.Errorf("got %d served and %d that gave up, want many of both", served, ended)
		}
	})
}

func TestTakingAFreeSlotAllocatesNothing(t *testing.T) {
	s, ctx := New(1), t.Context()
	if n := testing.AllocsPerRun(100, func() {
		if s.Take(ctx) == nil {
			s.Give()
		}
		if s.TryTake() {
			s.Give()
		}
	}); n > 0 {
		t.Errorf("got %v allocations", n)
	}
}

// Who leaves the line takes nothing along: neither a place nor a slot that was just given.
func TestLeave(t *testing.T) {
	t.Parallel()
	s := New(1)
	first, second, third := s.Join(), s.Join(), s.Join()
	<-first.Turn()
	second.Leave()
	if s.Waiting() != 1 {
		t.Fatalf("got %d waiting, want the third", s.Waiting())
	}
	s.Give()
	<-third.Turn()
	third.Leave() // instead of Give: its turn had come
	if s.free != 1 || s.Waiting() != 0 {
		t.Errorf("got %d free and %d waiting, want the slot back", s.free, s.Waiting())
	}
}
