package score

import "sync"

const (
	fullBudget = 100.0
	reward     = 0.5 // of a request that succeeds, beside what it took
)

// Budget bounds the attempts that requests make beyond their first, so that an outage is not amplified. Requests that succeed in the end
// give back what they took, so that going elsewhere is free; the budget runs dry only when requests fail in spite of their retries.
// The zero Budget is full; one serves a process. Safe for concurrent use.
type Budget struct {
	mu    sync.Mutex
	spent float64
}

// Take takes one attempt, and reports whether there was one left.
func (b *Budget) Take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if fullBudget-b.spent < 1 {
		return false
	}
	b.spent++
	return true
}

// Return gives back what was taken for an attempt that was not made, or by a request that the caller gave up.
func (b *Budget) Return(taken int) { b.give(float64(max(taken, 0))) }

// Done reports that a request ended that took so many attempts.
func (b *Budget) Done(taken int, succeeded bool) {
	if succeeded {
		b.give(float64(max(taken, 0)) + reward)
	}
}

func (b *Budget) give(n float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spent = max(0, b.spent-n)
}

// Level returns how many attempts are left, from 0 to 100.
func (b *Budget) Level() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fullBudget - b.spent
}
