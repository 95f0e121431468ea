package score

import (
	"math"
	"time"
)

// slowWeight is what an answer weighs in what is usual.
const slowWeight = 0.02

// slowFrom is from which multiple of what is usual on an endpoint is slow.
const slowFrom = 1.5

// LearnAnswer takes in that content came after x.
func (l *Latency) LearnAnswer(now time.Time, x time.Duration) {
	if x < 0 {
		return
	}
	value := logarithm(x)
	l.answers++
	l.usual += max(slowWeight, 1/float64(l.answers)) * (value - l.usual)
	l.learn(now, value)
}

// isSlow reports whether answers take much longer lately than is usual.
func (l *Latency) isSlow() bool {
	return l.answers >= equals && l.mean > l.usual+math.Log(slowFrom)
}

// isUsual reports whether x is nothing unusual.
func (l *Latency) isUsual(x time.Duration) bool {
	return l.answers == 0 || logarithm(x) <= l.usual+math.Log(slowFrom)
}

// recover comes back to what is usual.
func (l *Latency) recover() {
	if l.answers > 0 {
		l.mean = min(l.mean, l.usual)
		l.settle()
	}
}

// keep keeps the estimate as it is before a trouble, and forget lets it go once that is over.
func (l *Latency) keep() {
	if l.calm == nil {
		l.calm = &calm{l.mean, l.variance}
	}
}

func (l *Latency) forget() {
	l.calm = nil
}

// restore comes back to the estimate from before the trouble: how long an endpoint kept silent while it was down says nothing of how long it takes
// to answer.
func (l *Latency) restore() {
	if l.calm != nil {
		l.mean, l.variance, l.calm = l.calm.mean, l.calm.variance, nil
		l.settle()
	}
}
