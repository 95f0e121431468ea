package score

import (
	"math"
	"time"
)

// DefaultExpected is the time expected of an endpoint of which nothing is known.
const DefaultExpected = 500 * time.Millisecond

const (
	priorVariance = 0.36 // two of three times lie within a factor of 1.8
	leastSigma    = 0.15 // so that equal times in a row do not make an outlier of every other
	mostSquare    = 4    // of one deviation, so that a single absurd time does not widen the estimate for long

	memory      = 10.0 // seconds until what was learned before weighs 1/e
	leastWeight = 0.05
	mostWeight  = 0.5
	equals      = 10 // so many first times weigh at least as much as each one before them

	p99        = 2.33 // standard deviations above the median
	hedgeAt    = 1.25 // times the 99th percentile
	leastHedge = 300 * time.Millisecond
	mostLate   = 5 * time.Second
)

// Times beyond these count as these. Some clocks tell less than a millisecond from nothing.
const (
	shortest = time.Millisecond
	longest  = time.Hour
)

// Latency estimates how long an endpoint takes to its first token. Times are taken to be log-normal, so the estimate is of
// their logarithm. It forgets: the longer ago the last time was learned, the more the next one weighs.
// Not safe for concurrent use: a [Health] guards its own.
type Latency struct {
	mean     float64 // of ln seconds
	variance float64
	n        int       // times learned
	last     time.Time // when

	median, high time.Duration // of the estimate as it is

	usual   float64 // mean of answers only, slow to move
	answers int     // that it is of
	calm    *calm   // from before a trouble; nil without
}

// calm is an estimate that is kept for when a trouble is over.
type calm struct{ mean, variance float64 }

// NewLatency returns an estimate that has learned nothing and expects the given time; 0 or less means DefaultExpected.
func NewLatency(expected time.Duration) *Latency {
	if expected <= 0 {
		expected = DefaultExpected
	}
	l := &Latency{mean: logarithm(expected), variance: priorVariance}
	l.settle()
	return l
}

// Learn takes in that a first token came x after its request, or that it has not come for so long. A negative x, from a clock
// that was set back, teaches nothing.
func (l *Latency) Learn(now time.Time, x time.Duration) {
	if x < 0 {
		return
	}
	l.learn(now, logarithm(x))
}

// learn takes in a logarithm.
func (l *Latency) learn(now time.Time, value float64) {
	a := l.weight(now)
	d := value - l.mean
	l.mean += a * d
	if l.n > 0 { // a single time has no spread
		l.variance += a * (min(d*d, mostSquare) - l.variance)
	}
	l.n++
	l.last = now
	l.settle()
}

// settle computes what is asked for more often than anything is learned.
func (l *Latency) settle() { l.median, l.high = l.quantile(0), l.quantile(p99) }

// weight returns the share of the next time in the estimate. If the clock was set back, it is the least that is due.
func (l *Latency) weight(now time.Time) float64 {
	a := mostWeight
	if l.n > 0 {
		a = 1 - math.Exp(-now.Sub(l.last).Seconds()/memory)
		a = min(max(a, leastWeight), mostWeight)
	}
	if l.n < equals {
		a = max(a, 1/float64(l.n+1))
	}
	return a
}

func (l *Latency) quantile(z float64) time.Duration { return quantile(l.mean, l.variance, z) }

func quantile(mean, variance, z float64) time.Duration {
	seconds := math.Exp(mean + z*max(leastSigma, math.Sqrt(variance)))
	return time.Duration(min(seconds, longest.Seconds()) * float64(time.Second))
}

// untroubled returns the estimate from before a trouble, if there is one: what is learned in it makes nothing less late.
func (l *Latency) untroubled() (mean, variance float64) {
	if l.calm != nil {
		return l.calm.mean, l.calm.variance
	}
	return l.mean, l.variance
}

// usually returns the 99th percentile of when it is not troubled.
func (l *Latency) usually() time.Duration {
	if l.calm == nil {
		return l.high
	}
	return quantile(l.calm.mean, l.calm.variance, p99)
}

// Late returns how long an attempt must have waited for a first token to teach something, though it was cancelled.
func (l *Latency) Late() time.Duration { return min(l.usually(), mostLate) }

// surprising is how surprising a wait of the 99th percentile is.
var surprising = surpriseAt(p99)

// surpriseAt returns the negative logarithm of the probability of more than z standard deviations.
func surpriseAt(z float64) float64 { return -math.Log(math.Erfc(z/math.Sqrt2) / 2) }

// surprise returns how surprising it is that no content came within x, by the estimate from before a trouble: the negative logarithm of its
// probability. Those of several attempts add up.
func (l *Latency) surprise(x time.Duration) float64 {
	mean, variance := l.untroubled()
	return surpriseAt((logarithm(x) - mean) / max(leastSigma, math.Sqrt(variance)))
}

func logarithm(x time.Duration) float64 { return math.Log(min(max(x, shortest), longest).Seconds()) }
