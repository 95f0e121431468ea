// Package recent remembers what became of attempts in the last ten minutes, for people to look at.
package recent

import (
	"math"
	"sync"
	"time"
)

const (
	// Interval is how long the attempts of one bucket lie apart at most.
	Interval = 10 * time.Second
	// Buckets is how many there are.
	Buckets = 60
	seconds = int64(Interval / time.Second)
	// MostFailures is how many failures are remembered one by one.
	MostFailures = 20
)

// Bucket tells of the attempts that ended within one interval.
type Bucket struct {
	Start            time.Time
	Answered, Failed int
	// P50 and P90 are of how long those that answered took, to within a sixth from 10 ms to 20 minutes; Max is exact. All are 0 if none is known.
	P50, P90, Max time.Duration
}

// Failure is one attempt that failed.
type Failure struct {
	At     time.Time
	Kind   string
	Status int // of HTTP; 0 without an answer
}

// Log remembers what happened at one endpoint, in a fixed amount of memory. The zero Log is empty. Safe for concurrent use.
type Log struct {
	mu       sync.Mutex
	buckets  [Buckets]bucket // by number, modulo their count
	failures [MostFailures]Failure
	failed   int // failures in all
}

type bucket struct {
	number           int64 // of the interval since the epoch
	answered, failed uint32
	most             time.Duration
	classes          [classes]uint16
}

// Times are counted in classes, each a third longer than the one before.
const (
	classes  = 40
	shortest = 10 * time.Millisecond
	ratio    = 1.35
)

var perClass = 1 / math.Log(ratio)

func classOf(d time.Duration) int {
	if d <= shortest {
		return 0
	}
	return min(int(math.Log(float64(d)/float64(shortest))*perClass), classes-1)
}

// typical returns the middle of a class.
func typical(class int) time.Duration {
	return time.Duration(float64(shortest) * math.Pow(ratio, float64(class)+0.5))
}

// Answered notes an attempt that was answered after so long; a negative time is not known.
func (l *Log) Answered(now time.Time, after time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(now)
	b.answered++
	if after < 0 {
		return
	}
	b.most = max(b.most, after)
	if c := &b.classes[classOf(after)]; *c < math.MaxUint16 {
		*c++
	}
}

// Failed notes an attempt that failed.
func (l *Log) Failed(now time.Time, kind string, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bucket(now).failed++
	l.failures[l.failed%MostFailures] = Failure{now, kind, status}
	l.failed++
}

// bucket returns the bucket of a moment, emptied if it was another's. If the clock was set back, what lies ahead is overwritten in its turn.
func (l *Log) bucket(now time.Time) *bucket {
	n := number(now)
	b := &l.buckets[place(n)]
	if b.number != n {
		*b = bucket{number: n}
	}
	return b
}

func number(now time.Time) int64 { return now.Unix() / seconds }

func place(n int64) int { return int((n%Buckets + Buckets) % Buckets) }

// Recent appends the buckets up to now to dst, oldest first, also those without any attempt.
func (l *Log) Recent(now time.Time, dst []Bucket) []Bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := number(now)
	for n := last - Buckets + 1; n <= last; n++ {
		out := Bucket{Start: time.Unix(n*seconds, 0).In(now.Location())}
		if b := &l.buckets[place(n)]; b.number == n {
			out.Answered, out.Failed, out.Max = int(b.answered), int(b.failed), b.most
			out.P50, out.P90 = b.quantile(0.5), b.quantile(0.9)
		}
		dst = append(dst, out)
	}
	return dst
}

// quantile returns the time within which a share of the answers came.
func (b *bucket) quantile(share float64) time.Duration {
	total := 0
	for _, n := range b.classes {
		total += int(n)
	}
	if total == 0 {
		return 0
	}
	class, left := 0, int(math.Ceil(share*float64(total)))
	for left > int(b.classes[class]) {
		left -= int(b.classes[class])
		class++
	}
	return min(typical(class), b.most)
}

// Failures appends the last failures to dst, newest first.
func (l *Log) Failures(dst []Failure) []Failure {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range min(l.failed, MostFailures) {
		dst = append(dst, l.failures[(l.failed-1-i)%MostFailures])
	}
	return dst
}
