package score

import "time"

const (
	mostBlock   = 60 * time.Second // limits often end earlier than announced
	leastStep   = time.Second
	mostStep    = 30 * time.Second
	blockSpread = 0.1 // so that clients do not come back in step
)

// Block keeps requests away from what is over its rate limit: an account's use of a model, say. Neither content nor a failure lifts it; it
// passes. The zero Block lets all through. Not safe for concurrent use.
type Block struct {
	until time.Time
	step  time.Duration // of the last block whose length the endpoint did not say
}

// Limited takes in a 429. Of two blocks the later end counts. Where the endpoint does not say how long (a retryAfter of 0 or less), blocks
// double, from one second to thirty, but not for answers to what was sent before the present block began. random is as for [NewHealth].
func (b *Block) Limited(now time.Time, retryAfter time.Duration, random func() float64) {
	if retryAfter <= 0 {
		if b.Left(now) > 0 {
			return
		}
		b.step = min(max(2*b.step, leastStep), mostStep)
		retryAfter = b.step
	}
	end := now.Add(scaled(min(retryAfter, mostBlock), between(1, 1+blockSpread, random)))
	if b.Left(now) == 0 || end.After(b.until) {
		b.until = end
	}
}

// Answered takes in that a request was answered: the next block of unknown length is a short one again.
func (b *Block) Answered() { b.step = 0 }

// Over reports whether the block has passed for so long that nothing is left to be remembered of it.
func (b *Block) Over(now time.Time) bool {
	return b.Left(now) == 0 && (b.step == 0 || since(now, b.until) > mostStep)
}

// Left returns how long the block lasts yet.
func (b *Block) Left(now time.Time) time.Duration {
	return until(now, b.until, scaled(mostBlock, 1+blockSpread))
}
