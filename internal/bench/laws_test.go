package bench

import (
	"context"
	"slices"
	"testing"
)

// lawful are the contenders that the laws hold for. The laws count allocations, which are exact: they do not depend on the
// machine or its load.
var lawful = []contender{holdfastClient}

// least returns the smallest cost of an operation in several tries: a collection in between, which empties pools, or a
// connection that net/http tends in the background can only add to it.
func least(t *testing.T, s scenario, d dialect, c contender) cost {
	t.Helper()
	a, err := s.open(c, d)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	ops := 50
	if s.chunks > 0 {
		ops = 4
	}
	var tries []cost
	for range 8 {
		got, err := measure(ops, func(ops int) error { return s.run(context.WithoutCancel(t.Context()), c, d, a, ops) })
		if err != nil {
			t.Fatal(err)
		}
		tries = append(tries, got)
	}
	return slices.MinFunc(tries[1:], func(a, b cost) int { return int(a.allocs) - int(b.allocs) })
}

func eachLawful(t *testing.T, law func(t *testing.T, c contender, d dialect)) {
	for _, c := range lawful {
		for _, d := range c.dialects {
			t.Run(c.name+"/"+string(d), func(t *testing.T) { law(t, c, d) })
		}
	}
}

// One allocation for ten chunks, everything between the call and the end of the answer included.
func TestStreamAllocatesLittle(t *testing.T) {
	eachLawful(t, func(t *testing.T, c contender, d dialect) {
		s, _ := findScenario("stream5000")
		if got := least(t, s, d, c).allocsPerOp() / float64(s.chunks); got > 0.1 {
			t.Errorf("got %.3f allocations per chunk, want at most 0.1", got)
		}
	})
}

// A long answer costs per chunk what a short one does.
func TestStreamIsLinear(t *testing.T) {
	eachLawful(t, func(t *testing.T, c contender, d dialect) {
		s500, _ := findScenario("stream500")
		s5000, _ := findScenario("stream5000")
		small, middle, large := least(t, s500, d, c).bytesPerOp(), least(t, s5000, d, c).bytesPerOp(), least(t, stream50000, d, c).bytesPerOp()
		near, far := (middle-small)/4500, (large-middle)/45_000
		t.Logf("%.1f bytes per chunk up to 5,000, %.1f up to 50,000", near, far)
		if far > 1.5*near {
			t.Errorf("got %.1f bytes per chunk between 5,000 and 50,000 chunks, want the %.1f of shorter answers", far, near)
		}
	})
}

// A conversation of 501 messages takes as many allocations to send as one of 51, but for the few that net/http makes for a longer body.
// One for every other message would show as 25 and 225 more.
func TestRequestAllocationsDoNotGrow(t *testing.T) {
	eachLawful(t, func(t *testing.T, c contender, d dialect) {
		one, _ := findScenario("unary_small")
		many, _ := findScenario("unary_large")
		short, long, longer := least(t, one, d, c).allocsPerOp(), least(t, many, d, c).allocsPerOp(), least(t, unary501, d, c).allocsPerOp()
		t.Logf("%.1f, %.1f and %.1f allocations", short, long, longer)
		if long > short+20 || longer > long+20 {
			t.Errorf("got %.1f, %.1f and %.1f allocations for 1, 51 and 501 messages, want the same", short, long, longer)
		}
	})
}
