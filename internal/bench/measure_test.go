package bench

import (
	"context"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// cost is what operations took of this process.
type cost struct {
	ops           int
	cpu           time.Duration // user and system
	allocs, bytes uint64
}

func (c cost) cpuPerOp() float64    { return float64(c.cpu) / float64(c.ops) }
func (c cost) allocsPerOp() float64 { return float64(c.allocs) / float64(c.ops) }
func (c cost) bytesPerOp() float64  { return float64(c.bytes) / float64(c.ops) }

// cpuTime returns the CPU time of this process so far, all threads together: the collector's work counts too.
func cpuTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// measure runs ops operations. The heap is collected before, so that none pays for another's garbage.
func measure(ops int, run func(ops int) error) (cost, error) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begin, err := cpuTime()
	if err != nil {
		return cost{}, err
	}
	if err := run(ops); err != nil {
		return cost{}, err
	}
	end, err := cpuTime()
	runtime.ReadMemStats(&after)
	return cost{ops: ops, cpu: end - begin, allocs: after.Mallocs - before.Mallocs, bytes: after.TotalAlloc - before.TotalAlloc}, err
}

// shiftCPU is about the CPU time of one side's shift, of which a round has two: long enough for several collections.
const shiftCPU = 40 * time.Millisecond

// A side is one of the two that a round compares.
type side struct {
	run  func(ops int) error
	ops  int    // per shift
	done []cost // by round
	stop func()
}

// newSide opens a contender's connections, lets it warm up and finds how many operations fill a shift.
func newSide(ctx context.Context, s scenario, d dialect, c contender) (*side, error) {
	a, err := s.open(c, d)
	if err != nil {
		return nil, err
	}
	side := &side{stop: a.close, run: func(ops int) error { return s.run(ctx, c, d, a, ops) }}
	least := max(1, 2*s.parallel)
	for ops := least; ; ops *= 2 {
		got, err := measure(ops, side.run)
		if err != nil {
			side.stop()
			return nil, err
		}
		if got.cpu > shiftCPU/2 {
			side.ops = max(least, int(float64(ops)*float64(shiftCPU)/float64(got.cpu)))
			return side, nil
		}
	}
}

// shift works for the round that was begun last.
func (s *side) shift() error {
	got, err := measure(s.ops, s.run)
	round := &s.done[len(s.done)-1]
	round.ops += got.ops
	round.cpu += got.cpu
	round.allocs += got.allocs
	round.bytes += got.bytes
	return err
}

// median returns the middle of what f says of each round.
func (s *side) median(f func(cost) float64) float64 {
	values := make([]float64, len(s.done))
	for i, c := range s.done {
		values[i] = f(c)
	}
	return median(values)
}

// ratios compares the CPU time per operation round by round.
func (s *side) ratios(to *side) []float64 {
	values := make([]float64, len(s.done))
	for i := range s.done {
		values[i] = s.done[i].cpuPerOp() / to.done[i].cpuPerOp()
	}
	return values
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
