package recent

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	ms     = time.Millisecond
	second = time.Second
)

// begin is the start of an interval.
var begin = time.Unix(1_000_000_000, 0)

// newest returns the last buckets up to now.
func newest(l *Log, now time.Time, n int) []Bucket { return l.Recent(now, nil)[Buckets-n:] }

func TestBuckets(t *testing.T) {
	t.Parallel()
	var l Log
	l.Answered(begin, second)
	l.Answered(begin.Add(Interval-1), -1)
	l.Failed(begin.Add(5*second), "lost", 0)
	l.Answered(begin.Add(Interval), 2*second)
	now := begin.Add(3 * Interval)
	got := newest(&l, now, 5)
	want := []Bucket{
		{Start: begin.Add(-Interval)},
		{begin, 2, 1, second, second, second},
		{begin.Add(Interval), 1, 0, 2 * second, 2 * second, 2 * second},
		{Start: begin.Add(2 * Interval)},
		{Start: now},
	}
	for i := range want {
		if !sameBucket(got[i], want[i]) {
			t.Errorf("%d: got %+v, want %+v", i, got[i], want[i])
		}
	}
}

// sameBucket compares buckets, the percentiles by their precision.
func sameBucket(got, want Bucket) bool {
	return got.Start.Equal(want.Start) && got.Answered == want.Answered && got.Failed == want.Failed && got.Max == want.Max &&
		within(got.P50, want.P50) && within(got.P90, want.P90)
}

func within(got, want time.Duration) bool { return math.Abs(float64(got-want)) <= float64(want)/6 }

func TestRecentAppends(t *testing.T) {
	t.Parallel()
	var l Log
	now := begin.Add(7 * second).In(time.FixedZone("there", 3600))
	got := l.Recent(now, make([]Bucket, 1, 100))
	if len(got) != 1+Buckets || cap(got) != 100 {
		t.Fatalf("got %d of %d", len(got), cap(got))
	}
	for i, b := range got[1:] {
		if want := begin.Add(time.Duration(i-Buckets+1) * Interval); !b.Start.Equal(want) || b.Start.Location() != now.Location() || b.Answered+b.Failed > 0 {
			t.Errorf("%d: got %+v, want an empty one from %v", i, b, want)
		}
	}
}

func TestTenMinutes(t *testing.T) {
	t.Parallel()
	var l Log
	for i := range 200 {
		for range i {
			l.Answered(begin.Add(time.Duration(i)*Interval), second)
		}
	}
	for i, b := range l.Recent(begin.Add(199*Interval), nil) {
		if want := 200 - Buckets + i; b.Answered != want {
			t.Errorf("%d: got %d, want %d", i, b.Answered, want)
		}
	}
	for _, b := range l.Recent(begin.Add(199*Interval+10*time.Minute), nil) {
		if b.Answered > 0 {
			t.Errorf("got %+v after ten minutes", b)
		}
	}
}

func TestPercentiles(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for n := range 200 {
		var (
			l   Log
			all []time.Duration
		)
		for range n + 1 {
			d := time.Duration(math.Exp(math.Log(float64(10*ms)) + r.Float64()*math.Log(120_000))) // to 20 minutes
			all = append(all, d)
			l.Answered(begin, d)
		}
		slices.Sort(all)
		at := func(share float64) time.Duration { return all[int(math.Ceil(share*float64(len(all))))-1] }
		want := Bucket{begin, n + 1, 0, at(0.5), at(0.9), all[n]}
		if got := newest(&l, begin, 1)[0]; !sameBucket(got, want) {
			t.Errorf("of %d: got %+v, want %+v", n+1, got, want)
		}
	}
}

func TestUnusualTimes(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]time.Duration{
		-second: 0, 0: 0, 1: 1, ms: ms, 10 * ms: 10 * ms, 100 * time.Hour: time.Duration(float64(shortest) * math.Pow(ratio, classes-0.5)),
	} {
		var l Log
		l.Answered(begin, d)
		if got := newest(&l, begin, 1)[0]; got.P50 != want || got.P90 != want || got.Max != max(d, 0) || got.Answered != 1 {
			t.Errorf("%v: got %+v, want %v", d, got, want)
		}
	}
}

// A class that is full stays full; the counts and the largest are still right.
func TestManyAnswers(t *testing.T) {
	t.Parallel()
	var l Log
	for range 100_000 {
		l.Answered(begin, second)
	}
	for range 50_000 {
		l.Answered(begin, 10*second)
	}
	if got := newest(&l, begin, 1)[0]; !sameBucket(got, Bucket{begin, 150_000, 0, second, 10 * second, 10 * second}) {
		t.Errorf("got %+v", got)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	var l Log
	if got := l.Failures(nil); got != nil {
		t.Errorf("got %v of none", got)
	}
	for i := range 3*MostFailures + 7 {
		l.Failed(begin.Add(time.Duration(i)*second), fmt.Sprint("kind ", i), 500+i)
		got := l.Failures(make([]Failure, 1))[1:]
		if len(got) != min(i+1, MostFailures) {
			t.Fatalf("got %d failures after %d", len(got), i+1)
		}
		for j, f := range got {
			if want := (Failure{begin.Add(time.Duration(i-j) * second), fmt.Sprint("kind ", i-j), 500 + i - j}); f != want {
				t.Fatalf("%d after %d: got %v, want %v", j, i+1, f, want)
			}
		}
	}
}

// What was noted before the clock was set back is not counted again, and what lies ahead is overwritten in its turn.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	var l Log
	l.Answered(begin.Add(10*time.Minute), second) // takes the place that begin has
	l.Answered(begin.Add(time.Minute), second)
	l.Answered(begin, second)
	count := func(at time.Time) (n int) {
		for _, b := range l.Recent(at, nil) {
			n += b.Answered
		}
		return n
	}
	for after, want := range map[time.Duration]int{0: 1, time.Minute: 2, 10 * time.Minute: 1, -Interval: 0} {
		if got := count(begin.Add(after)); got != want {
			t.Errorf("after %v: got %d answers, want %d", after, got, want)
		}
	}
	for _, at := range []time.Time{{}, time.Unix(-12_345, 0), time.Unix(0, 0), time.Unix(1<<55, 0), time.Unix(-1<<55, 0)} {
		l.Answered(at, second)
		l.Failed(at, "odd", 1)
		if got := newest(&l, at, 1)[0]; got.Answered != 1 || got.Failed != 1 {
			t.Errorf("%v: got %+v", at, got)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	var (
		l   Log
		all sync.WaitGroup
	)
	for range 8 {
		all.Go(func() {
			for range 1000 {
				l.Answered(begin, second)
				l.Failed(begin, "lost", 0)
				l.Recent(begin, nil)
				l.Failures(nil)
			}
		})
	}
	all.Wait()
	if got := newest(&l, begin, 1)[0]; got.Answered != 8000 || got.Failed != 8000 {
		t.Errorf("got %+v", got)
	}
}

func TestNotingAllocatesNothing(t *testing.T) {
	var l Log
	dst := make([]Bucket, 0, Buckets)
	if n := testing.AllocsPerRun(100, func() {
		l.Answered(begin, second)
		l.Failed(begin, "lost", 0)
		dst = l.Recent(begin, dst[:0])
	}); n > 0 {
		t.Errorf("got %v allocations", n)
	}
}

func BenchmarkAnswered(b *testing.B) {
	var l Log
	b.ReportAllocs()
	for b.Loop() {
		l.Answered(begin, 734*ms)
	}
}

func BenchmarkFailed(b *testing.B) {
	var l Log
	b.ReportAllocs()
	for b.Loop() {
		l.Failed(begin, "lost", 0)
	}
}
