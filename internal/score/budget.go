package score

import "sync"

const (
	leastBudget = 100.0
	reward      = 0.5 // of a request that succeeds, beside what it took
)

// Budget bounds the attempts that requests make beyond their first, so that an outage is not amplified. It holds 100 attempts, or as many as
// there are requests under way if these are more: when an endpoint dies under a thousand requests, each of them can go elsewhere. Requests that
// succeed in the end give back what they took, so that going elsewhere is free; the budget runs dry only when requests fail in spite of their
// retries. The zero Budget is full; one serves a process. Safe for concurrent use.
type Budget struct {
	mu     sync.Mutex
	spent  float64
	under  int // requests under way that are not parked
	parked int
}

// Begin reports that a request begins. It must end by Done or Left.
func (b *Budget) Begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.under++
}

// Take takes one attempt, and reports whether there was one left.
func (b *Budget) Take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.size()-b.spent < 1 {
		return false
	}
	b.spent++
	return true
}

// Return gives back what was taken for an attempt that was not made.
func (b *Budget) Return() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spent = max(0, b.spent-1)
}

// Done reports that a request ended that took so many attempts.
func (b *Budget) Done(taken int, succeeded bool) {
	given := 0.0
	if succeeded {
		given = float64(max(taken, 0)) + reward
	}
	b.end(given)
}

// Park reports that a request that began waits for any endpoint to become usable, until Unpark. Meanwhile the budget does not hold an attempt for
// it: else those that wait would let those that come ask the more the longer an outage lasts.
func (b *Budget) Park() { b.move(1) }

// Unpark reports that it goes on.
func (b *Budget) Unpark() { b.move(-1) }

func (b *Budget) move(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.under, b.parked = b.under-n, b.parked+n
}

// Left reports that the caller gave up a request that took so many attempts, which says nothing of them.
func (b *Budget) Left(taken int) { b.end(float64(max(taken, 0))) }

// end ends a request. What was spent above the size that is left is forgotten.
func (b *Budget) end(given float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.under = max(0, b.under-1)
	b.spent = min(max(0, b.spent-given), max(leastBudget, float64(b.under+b.parked)))
}

func (b *Budget) size() float64 { return max(leastBudget, float64(b.under)) }

// Level returns how many attempts are left.
func (b *Budget) Level() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, b.size()-b.spent)
}
