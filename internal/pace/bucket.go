package pace

import (
	"math"
	"time"
)

const (
	// usualFill is how many seconds a limit takes to fill of which nothing else is known: nearly all are told by the minute.
	usualFill = 60
	// Limits by the second are the fastest and limits by the day the slowest.
	leastFill, mostFill = 0.5, 24 * 60 * 60
	// mostDebt bounds what requests that did not wait leave to those after them.
	mostDebt = 0.1
	// leastWait is too short to wait for, and covers what rounding leaves of a wait that is over.
	leastWait = time.Microsecond
)

// bucket mirrors one limit. What is in it is told as a share of the limit.
type bucket struct {
	limit float64 // 0: never heard of
	fills float64 // seconds from empty to full
	level float64 // what remains, from 0 to 1, at the time at
	debt  float64 // what was taken out of the reserve and is not spaced out yet
	at    time.Duration
	heard time.Duration // when the last news came
	order int64         // requests that had been sent when that of the last news was

	crowd   crowd
	reserve float64 // the level below which requests are spaced out
}

// news is what an answer says of a limit.
type news struct {
	limit, used float64
	rounded     float64       // by how much used may be wrong
	reset       float64       // seconds; 0: not known
	sent        time.Duration // when its request was
	order       int64         // requests that had been sent then, with its own; 0: not known
	own         float64       // what they had taken
	taken       float64       // since then
}

func (b *bucket) saw(at time.Duration, n news) {
	if n.order < b.order {
		return
	}
	if b.limit == 0 {
		b.fills = usualFill
	}
	b.fill(at)
	flight := max(0, at-n.sent).Seconds()
	b.learn(n, flight)
	b.reserve = b.crowd.saw(n, b.fills)
	b.limit, b.at, b.heard, b.order = n.limit, at, at, n.order
	b.rise(max(0, 1-n.used/n.limit-max(0, n.taken/n.limit-flight/b.fills)))
}

// learn learns how fast the limit fills. A reset is told in whole seconds or in milliseconds, as of a moment between the request and the answer, and
// what was used is rounded, so an answer allows for a range; the estimate moves into it, and no further.
func (b *bucket) learn(n news, flight float64) {
	if n.reset == 0 || n.used == 0 {
		return
	}
	precision := 0.001
	if n.reset == math.Trunc(n.reset) {
		precision = 1
	}
	slack := max(1, n.rounded)
	least, most := (n.reset-precision)*n.limit/(n.used+slack), math.Inf(1)
	if n.used > slack {
		most = (n.reset + precision + flight) * n.limit / (n.used - slack)
	}
	b.fills = min(max(b.fills, least), most)
	b.fills = min(max(b.fills, leastFill), mostFill)
}

// fill lets time pass.
func (b *bucket) fill(at time.Duration) {
	if b.limit == 0 || at <= b.at {
		return
	}
	part := b.part()
	level := min(1, b.level+part*(at-b.at).Seconds()/b.fills)
	b.debt = max(0, b.debt-(spaced(level, b.reserve)-spaced(b.level, b.reserve))/part)
	b.at = at
	b.rise(level)
}

// rise sets the level. From the reserve on, nothing is spaced out.
func (b *bucket) rise(level float64) {
	b.level = level
	if level >= b.reserve {
		b.debt = 0
	}
}

// part is which part of what comes back is for us. Below the reserve, others are expected to go on taking what they took.
func (b *bucket) part() float64 {
	if b.level < b.reserve {
		return leastReserve / b.reserve
	}
	return 1
}

// take takes n from what remains. What exceeds it is refused by the provider and takes nothing.
func (b *bucket) take(at time.Duration, n float64) {
	if b.limit == 0 {
		return
	}
	b.fill(at)
	share := n / b.limit
	b.level = max(0, b.level-share)
	b.debt = min(b.debt+min(share, max(0, b.reserve-b.level)), mostDebt)
}

// wait returns how long it is until n fits.
func (b *bucket) wait(at time.Duration, n float64) time.Duration {
	if b.limit == 0 || n == 0 || (at-b.heard).Seconds() > b.fills {
		return 0
	}
	b.fill(at)
	part, fits := b.part(), n/b.limit
	if b.debt > 0 {
		fits = max(fits, min(levelOf(spaced(b.level, b.reserve)+b.debt*part, b.reserve), b.reserve))
	}
	d := time.Duration((min(fits, 1) - b.level) / part * b.fills * float64(time.Second))
	if d < leastWait {
		return 0
	}
	return d
}

// spaced returns how much may be taken from the reserve while the level rises from 0 to the given one, in proportion to the level at each moment.
func spaced(level, reserve float64) float64 { return level * level / (2 * reserve) }

// levelOf is the inverse of spaced.
func levelOf(spaced, reserve float64) float64 { return math.Sqrt(2 * reserve * spaced) }
