package score

import (
	"testing"
	"time"
)

const second = time.Second

// near reports whether got is want but for rounding.
func near(got, want time.Duration) bool { return (got - want).Abs() <= time.Microsecond }

// A step is a time that is learned so long after the one before.
type step struct{ after, x time.Duration }

func learned(expected time.Duration, steps []step) *Latency {
	l, now := NewLatency(expected), time.Unix(1_000_000_000, 0)
	for _, s := range steps {
		now = now.Add(s.after)
		l.Learn(now, s.x)
	}
	return l
}

// The values follow from the formulas, computed apart from this code: ln 2 = 0.693147, e^(2.33*0.6) = 4.047098, e^(2.33*0.15) = 1.418358.
func TestLatency(t *testing.T) {
	t.Parallel()
	equal := make([]step, 200)
	for i := range equal {
		equal[i] = step{second, second}
	}
	cases := map[string]struct {
		expected    time.Duration
		steps       []step
		median, p99 time.Duration
	}{
		"nothing known":               {0, nil, 500_000_000, 2_023_549_000},
		"negative expectation":        {-second, nil, 500_000_000, 2_023_549_000},
		"expectation":                 {second, nil, second, 4_047_098_000},
		"first replaces expectation":  {0, []step{{0, 2 * second}}, 2 * second, 8_094_195_000},
		"second weighs a half":        {0, []step{{0, second}, {second, 4 * second}}, 2 * second, 24_092_361_000},
		"third a third":               {0, []step{{0, second}, {0, second}, {0, 8 * second}}, 2 * second, 33_183_800_000},
		"third after long":            {0, []step{{0, second}, {0, second}, {time.Minute, 4 * second}}, 2 * second, 21_795_784_000},
		"third after five seconds":    {0, []step{{0, second}, {0, second}, {5 * second, 8 * second}}, 2_266_409_000, 46_570_365_000},
		"least spread":                {0, equal, second, 1_418_358_000},
		"at once weighs a twentieth":  {0, append(equal[:200:200], step{0, 8 * second}), 1_109_569_000, 3_145_522_000},
		"set back weighs a twentieth": {0, append(equal[:200:200], step{-time.Hour, 8 * second}), 1_109_569_000, 3_145_522_000},
		"after two seconds":           {0, append(equal[:200:200], step{2 * second, 8 * second}), 1_457_815_000, 10_601_205_000},
		"an outlier is bounded":       {0, []step{{0, second}, {second, 100 * second}}, 10 * second, 311_933_139_000},
		"after a minute":              {0, append(equal[:200:200], step{time.Minute, 4 * second}), 2 * second, 19_631_760_000},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := learned(c.expected, c.steps)
			if got := l.quantile(0); !near(got, c.median) {
				t.Errorf("median: got %v, want %v", got, c.median)
			}
			if got := l.quantile(2.33); !near(got, c.p99) {
				t.Errorf("99th percentile: got %v, want %v", got, c.p99)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	const longAgo, never = -1 << 63, 1<<63 - 1
	cases := map[string]struct {
		expected time.Duration
		x        []time.Duration
		z        float64
		want     time.Duration
	}{
		"negative teaches nothing":  {second, []time.Duration{-1, longAgo}, 0, second},
		"no time at all":            {second, []time.Duration{0}, 0, time.Millisecond},
		"too short":                 {second, []time.Duration{time.Nanosecond}, 0, time.Millisecond},
		"too long":                  {second, []time.Duration{never}, 0, time.Hour},
		"expectation too short":     {1, nil, 0, time.Millisecond},
		"expectation too long":      {never, nil, 0, time.Hour},
		"no longer than an hour":    {never, nil, 2.33, time.Hour},
		"far above":                 {second, nil, 1e300, time.Hour},
		"far below":                 {second, nil, -1e300, 0},
		"one standard deviation":    {second, nil, 1, 1_822_119_000},
		"one below":                 {second, nil, -1, 548_812_000},
		"longest behind shortest":   {second, []time.Duration{0, never}, 0, 1_897_366_596},
		"negative between":          {second, []time.Duration{second, -1, 4 * second}, 0, 2 * second},
		"from nothing known, short": {0, []time.Duration{50 * time.Millisecond}, 0, 50 * time.Millisecond},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := NewLatency(c.expected)
			for _, x := range c.x {
				l.Learn(time.Time{}, x)
			}
			if got := l.quantile(c.z); !near(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestHedgeAndLate(t *testing.T) {
	t.Parallel()
	for expected, want := range map[time.Duration]struct{ hedge, late time.Duration }{
		10 * time.Millisecond: {300 * time.Millisecond, 40_471_000},
		DefaultExpected:       {2_529_436_000, 2_023_549_000},
		10 * second:           {50_588_721_000, 5 * second},
	} {
		h := NewHealth(Prior{Expected: expected}, begin, nil)
		if got := h.State(begin, Streamed).Hedge; !near(got, want.hedge) {
			t.Errorf("%v expected: got Hedge %v, want %v", expected, got, want.hedge)
		}
		if got := h.streamed.Late(); !near(got, want.late) {
			t.Errorf("%v expected: got Late %v, want %v", expected, got, want.late)
		}
	}
}

func BenchmarkLearn(b *testing.B) {
	now, x := time.Now(), second
	l := NewLatency(0)
	b.ReportAllocs()
	for b.Loop() {
		x ^= second // equal times would end in denormal numbers, which are slow
		l.Learn(now, x)
	}
}
