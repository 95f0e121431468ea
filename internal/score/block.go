package score

import "time"

const (
	mostBlock   = 60 * time.Second // limits often end earlier than announced
	leastStep   = time.Second
	mostStep    = 30 * time.Second
	blockSpread = 0.1 // so that clients do not come back in step
)

// block keeps requests away from an endpoint that is over its rate limit. No content or failure lifts it; it passes.
type block struct {
	until time.Time
	step  time.Duration // of the last block whose length the endpoint did not say
}

// limited takes in a 429. Of two blocks the later end counts. Where the endpoint does not say how long, blocks double, but not for answers
// to what was sent before the present block began.
func (b *block) limited(now time.Time, retryAfter time.Duration, random func() float64) {
	if retryAfter <= 0 {
		if b.left(now) > 0 {
			return
		}
		b.step = min(max(2*b.step, leastStep), mostStep)
		retryAfter = b.step
	}
	end := now.Add(scaled(min(retryAfter, mostBlock), between(1, 1+blockSpread, random)))
	if b.left(now) == 0 || end.After(b.until) {
		b.until = end
	}
}

// left returns how long the block lasts yet.
func (b *block) left(now time.Time) time.Duration {
	return until(now, b.until, scaled(mostBlock, 1+blockSpread))
}
