package pace

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

const (
	ms     = time.Millisecond
	second = time.Second
)

var begin = time.Unix(1_000_000_000, 0)

// near reports whether got is want but for rounding.
func near(got, want time.Duration) bool { return (got - want).Abs() <= 10*time.Microsecond }

func closeTo(got, want float64) bool { return math.Abs(got-want) < 1e-6 }

// heard is news of a limit of a kind, after a time.
type heard struct {
	after            time.Duration
	kind             Kind
	limit, remaining int64
	reset            time.Duration
}

func told(news ...heard) (*Pacer, time.Time) {
	p, now := &Pacer{}, begin
	for _, n := range news {
		now = now.Add(n.after)
		p.Saw(now, Mark{}, n.kind, n.limit, n.remaining, n.reset)
	}
	return p, now
}

func TestNothingKnown(t *testing.T) {
	t.Parallel()
	var p Pacer
	if got := p.Took(begin, Cost{1, 1}); got != (Mark{}) {
		t.Errorf("Took: got %v", got)
	}
	if _, wait := p.Take(begin, Cost{1, 1}); wait != 0 {
		t.Errorf("Take: got %v", wait)
	}
	if got := p.Wait(begin, Cost{1, 1}); got != 0 {
		t.Errorf("Wait: got %v", got)
	}
	if got, ok := p.Share(begin); ok || got != 0 {
		t.Errorf("Share: got %v", got)
	}
}

func TestNonsenseIsIgnored(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]heard{
		"an unknown kind":    {0, Kinds, 10, 1, second},
		"no limit":           {0, Requests, 0, 0, second},
		"a negative limit":   {0, Requests, -1, -1, second},
		"a negative rest":    {0, Requests, 10, -1, second},
		"more than there is": {0, Requests, 10, 11, second},
	} {
		p, now := told(n)
		if _, ok := p.Share(now); ok || p.known.Load() {
			t.Errorf("%s: got something known", name)
		}
	}
	for name, n := range map[string]heard{
		"a reset that has passed": {0, Requests, 10, 0, -second},
		"no reset":                {0, Requests, 10, 0, 0},
	} {
		p, now := told(n)
		if got := p.Wait(now, Cost{}); !near(got, 6*second) {
			t.Errorf("%s: got a wait of %v, want that of a limit by the minute", name, got)
		}
	}
}

// The values follow from the formulas: a limit by the minute gives 1/60 a second; what is in the reserve is spaced out so that n requests out of an empty one of
// 0.1 take until the level is the root of 0.2n.
func TestWait(t *testing.T) {
	t.Parallel()
	half := heard{0, Tokens, 1000, 500, 30 * second}
	none := heard{0, Requests, 100, 0, 60 * second}
	cases := map[string]struct {
		news  []heard
		takes []Cost // at once
		after time.Duration
		cost  Cost
		want  time.Duration
	}{
		"it fits":                           {[]heard{half}, nil, 0, Cost{400, 100}, 0},
		"it does not":                       {[]heard{half}, nil, 0, Cost{400, 200}, 6 * second},
		"it does a little later":            {[]heard{half}, nil, 4 * second, Cost{400, 200}, 2 * second},
		"it does in the end":                {[]heard{half}, nil, 6 * second, Cost{400, 200}, 0},
		"nothing is negative":               {[]heard{half}, nil, 0, Cost{400, -200}, 0},
		"larger than the limit":             {[]heard{half}, nil, 0, Cost{5000, 0}, 30 * second},
		"larger than the limit, and full":   {[]heard{half}, nil, 30 * second, Cost{math.MaxInt, math.MaxInt}, 0},
		"of unknown size":                   {[]heard{{0, Tokens, 1000, 0, 60 * second}}, nil, 0, Cost{}, 0},
		"a request is one":                  {[]heard{none}, nil, 0, Cost{}, 600 * ms},
		"input counts as input":             {[]heard{{0, Input, 1000, 0, 60 * second}}, nil, 0, Cost{100, 500}, 6 * second},
		"and output as output":              {[]heard{{0, Output, 1000, 0, 60 * second}}, nil, 0, Cost{100, 500}, 30 * second},
		"the longest of two":                {[]heard{none, half}, nil, 0, Cost{700, 0}, 12 * second},
		"a minute at most":                  {[]heard{{0, Requests, 24, 0, 24 * time.Hour}}, nil, 0, Cost{}, time.Minute},
		"what was taken is not there":       {[]heard{half}, []Cost{{200, 0}, {0, 200}}, 0, Cost{200, 0}, 6 * second},
		"nor more than all":                 {[]heard{half}, []Cost{{math.MaxInt, math.MaxInt}}, 0, Cost{200, 0}, 12 * second},
		"above the reserve all at once":     {[]heard{half}, []Cost{{400, 0}}, 0, Cost{100, 0}, 0},
		"below it one after another":        {[]heard{half}, []Cost{{400, 0}, {45, 0}}, 0, Cost{5, 0}, 2700 * ms},
		"out of nothing even more slowly":   {[]heard{none}, []Cost{{}}, 0, Cost{}, 2683282 * time.Microsecond},
		"those that do not wait leave debt": {[]heard{none}, []Cost{{}, {}}, 0, Cost{}, 3794733 * time.Microsecond},
		"but not without end":               {[]heard{none}, make([]Cost, 1000), 0, Cost{}, 6 * second},
		"unless time passes":                {[]heard{none}, []Cost{{}}, second, Cost{}, 1683282 * time.Microsecond},
		"enough of it":                      {[]heard{none}, []Cost{{}}, 2683283 * time.Microsecond, Cost{}, 0},
		"known for as long as it fills":     {[]heard{none, half}, []Cost{{400, 0}}, 60 * second, Cost{5000, 0}, 0},
		"not longer":                        {[]heard{{0, Requests, 2, 0, 60 * second}}, make([]Cost, 9), 61 * second, Cost{}, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, now := told(c.news...)
			for _, cost := range c.takes {
				p.Took(now, cost)
			}
			now = now.Add(c.after)
			got := p.Wait(now, c.cost)
			if !near(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if _, wait := p.Take(now, c.cost); wait != got {
				t.Errorf("got %v from Take and %v from Wait", wait, got)
			}
			// Who waits so long gets it.
			if _, wait := p.Take(now.Add(got), c.cost); got > 0 && got < mostWait && wait != 0 {
				t.Errorf("got another wait of %v", wait)
			}
		})
	}
}

// Of many that wait for the same moment, one gets it.
func TestTakeIsOneStep(t *testing.T) {
	t.Parallel()
	p, now := told(heard{0, Requests, 10, 0, 60 * second})
	now = now.Add(6 * second)
	if _, wait := p.Take(now, Cost{}); wait != 0 {
		t.Errorf("got a wait of %v for the first", wait)
	}
	if _, wait := p.Take(now, Cost{}); wait == 0 {
		t.Error("got none for the second")
	}
}

func TestShare(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		news  []heard
		takes []Cost
		after time.Duration
		want  float64
		ok    bool
	}{
		"of one":         {[]heard{{0, Requests, 10, 4, 0}}, nil, 0, 0.4, true},
		"the smallest":   {[]heard{{0, Requests, 10, 4, 0}, {0, Tokens, 1000, 100, 0}, {0, Input, 1000, 900, 0}}, nil, 0, 0.1, true},
		"none left":      {[]heard{{0, Requests, 10, 0, 0}}, nil, 0, 0, true},
		"all of it":      {[]heard{{0, Requests, 10, 10, 0}}, nil, 0, 1, true},
		"less what took": {[]heard{{0, Tokens, 1000, 500, 0}}, []Cost{{100, 100}}, 0, 0.3, true},
		"more with time": {[]heard{{0, Requests, 10, 4, 0}}, nil, 3 * second, 0.45, true},
		"five seconds":   {[]heard{{0, Requests, 10, 4, 0}}, nil, 5 * second, 0.4 + 1.0/12, true},
		"not longer":     {[]heard{{0, Requests, 10, 4, 0}}, nil, 5*second + 1, 0, false},
		"the newer one":  {[]heard{{0, Requests, 10, 4, 0}, {6 * second, Tokens, 10, 7, 0}}, nil, 0, 0.7, true},
	}
	for name, c := range cases {
		p, now := told(c.news...)
		for _, cost := range c.takes {
			p.Took(now, cost)
		}
		if got, ok := p.Share(now.Add(c.after)); !closeTo(got, c.want) || ok != c.ok {
			t.Errorf("%s: got %v, %v, want %v, %v", name, got, ok, c.want, c.ok)
		}
	}
}

// What an answer says is as old as its request.
func TestAnswersOutOfOrder(t *testing.T) {
	t.Parallel()
	saw := func(p *Pacer, now time.Time, m Mark, remaining int64) float64 {
		p.Saw(now, m, Requests, 600, remaining, 0)
		share, _ := p.Share(now)
		return share * 600
	}
	p, now := told(heard{0, Requests, 600, 400, 0})
	old := p.Took(now, Cost{})
	first := p.Took(now, Cost{})
	for range 20 {
		p.Took(now, Cost{})
	}
	second := p.Took(now, Cost{})
	if got := saw(p, now, first, 398); !closeTo(got, 377) {
		t.Errorf("an answer that does not know of 21 others: got %v, want 377", got)
	}
	if got := saw(p, now, second, 377); !closeTo(got, 377) {
		t.Errorf("one that knows of them: got %v, want 377", got)
	}
	if got := saw(p, now, old, 399); !closeTo(got, 377) {
		t.Errorf("one to a request that was sent before: got %v, want 377 as before", got)
	}
	if got := saw(p, now, Mark{}, 400); !closeTo(got, 377) {
		t.Errorf("one to a request that was sent before anything was known: got %v, want 377 as before", got)
	}
	// In two seconds 20 come back.
	slow := p.Took(now, Cost{})
	for range 30 {
		p.Took(now, Cost{})
	}
	if got := saw(p, now.Add(2*time.Second), slow, 376); !closeTo(got, 366) {
		t.Errorf("a slow one: got %v, want 376 less the 10 that did not come back", got)
	}
	slow = p.Took(now, Cost{})
	for range 5 {
		p.Took(now, Cost{})
	}
	if got := saw(p, now.Add(4*time.Second), slow, 365); !closeTo(got, 365) {
		t.Errorf("a slow one with little behind it: got %v, want 365 and no more", got)
	}
}

func TestHowFastItFills(t *testing.T) {
	t.Parallel()
	day := float64(24 * 60 * 60)
	cases := map[string]struct {
		news        []heard
		least, most float64 // seconds
	}{
		"nothing said":                 {[]heard{{0, Requests, 100, 50, 0}}, 60, 60},
		"nothing used":                 {[]heard{{0, Requests, 100, 100, second}}, 60, 60},
		"a minute":                     {[]heard{{0, Requests, 5000, 4999, 12 * ms}}, 60, 60},
		"an hour":                      {[]heard{{0, Requests, 100, 20, 48 * time.Minute}}, 3500, 3600},
		"a day":                        {[]heard{{0, Requests, 10_000, 9_900, 864 * second}}, 0.98 * day, day},
		"a second":                     {[]heard{{0, Requests, 100, 50, 500 * ms}}, 1, 1.05},
		"a hundredth counts as a half": {[]heard{{0, Requests, 100, 50, 5 * ms}}, 0.5, 0.5},
		"a week counts as a day":       {[]heard{{0, Requests, 100, 50, 84 * time.Hour}}, day, day},
		"whole seconds tell little":    {[]heard{{0, Requests, 4000, 3990, second}}, 60, 60},
		"as do thousands":              {[]heard{{0, Tokens, 20_000, 19_000, 3 * second}}, 60, 60},
		"of which some are not":        {[]heard{{0, Tokens, 20_000, 18_999, 6010 * ms}}, 119, 121},
		"the range gets smaller":       {[]heard{{0, Requests, 100, 70, 37 * second}, {0, Requests, 100, 0, 120 * second}}, 117, 121},
		"and moves":                    {[]heard{{0, Requests, 100, 0, 3600 * second}, {0, Requests, 100, 0, 60 * second}}, 59, 63},
	}
	for name, c := range cases {
		p, _ := told(c.news...)
		if got := p.limits[c.news[0].kind].fills; got < c.least || got > c.most {
			t.Errorf("%s: got %v, want %v to %v", name, got, c.least, c.most)
		}
	}
	// The time that an answer took may have passed before the limit was looked at.
	p, now := told(heard{0, Requests, 100, 100, 0})
	m := p.Took(now, Cost{})
	if p.Saw(now.Add(30*second), m, Requests, 100, 50, 2*second); p.limits[Requests].fills != 60 {
		t.Errorf("a slow answer: got %v", p.limits[Requests].fills)
	}
}

// A limit of 1000 requests a minute is used up, of which we take a part.
func TestCrowd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ part, want float64 }{
		"alone":                {1, 0.1},
		"more than there was":  {2, 0.1},
		"half of it":           {0.5, 0.162450},
		"a tenth":              {0.1, 0.501187},
		"a fiftieth":           {0.02, 0.8},
		"nothing of it at all": {0, 0.8},
	} {
		var crowd crowd
		n := news{limit: 1000, used: 500}
		for i := range 100 {
			n.sent, n.order = time.Duration(i)*second, int64(i)
			n.own += c.part * n.limit / usualFill
			if got := crowd.saw(n, usualFill); i < 2 && got != leastReserve {
				t.Errorf("%s: got %v after %d answers", name, got, i)
			}
		}
		if got := crowd.reserve(); !closeTo(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
		// What may have been full in between tells nothing.
		n.sent, n.order, n.own, n.used = n.sent+time.Hour, n.order+1, n.own+1000, 1
		if got := crowd.saw(n, usualFill); !closeTo(got, c.want) {
			t.Errorf("%s: got %v after an hour, want %v", name, got, c.want)
		}
		n.limit = 2000
		if got := crowd.saw(n, usualFill); got != leastReserve {
			t.Errorf("%s: got %v of another limit", name, got)
		}
	}
}

func TestClockSetBack(t *testing.T) {
	t.Parallel()
	p, now := told(heard{0, Requests, 10, 0, 60 * second})
	p.Wait(now.Add(3*second), Cost{})
	if got := p.Wait(now.Add(3*second-ms), Cost{}); !near(got, 3*second) {
		t.Errorf("overtaken: got %v", got)
	}
	now = now.Add(-time.Hour)
	if got := p.Wait(now, Cost{}); !near(got, 3*second) {
		t.Errorf("got %v, want as much as before", got)
	}
	if got := p.Wait(now.Add(2*second), Cost{}); !near(got, second) {
		t.Errorf("got %v, want time to go on", got)
	}
	for _, at := range []time.Time{{}, now, time.Unix(1<<60, 0), now, time.Unix(-1<<60, 0), now} {
		p.Saw(at, p.Took(at, Cost{5, 5}), Requests, 10, 0, second)
		if got := p.Wait(at, Cost{5, 5}); got < 0 || got > mostWait {
			t.Errorf("at %v: got %v", at, got)
		}
	}
}

// Whatever comes, in whatever order: no wait is negative or longer than a minute, and no share beyond its bounds.
func FuzzPacer(f *testing.F) {
	f.Add(uint64(1), int64(1000), int64(60))
	f.Add(uint64(2), int64(math.MaxInt64), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, seed uint64, size, reset int64) {
		r := rand.New(rand.NewPCG(seed, 0))
		var (
			p     Pacer
			marks = []Mark{{}}
		)
		now := begin
		for range 200 {
			now = now.Add(time.Duration(r.Int64N(int64(10*second))) - 2*second)
			c := Cost{int(r.Int64()>>r.IntN(63)) - 5, int(r.Int64()>>r.IntN(63)) - 5}
			switch r.IntN(3) {
			case 0:
				marks = append(marks, p.Took(now, c))
			case 1:
				limit := size >> r.IntN(63)
				p.Saw(now, marks[r.IntN(len(marks))], Kind(r.IntN(Kinds)), limit, limit-r.Int64()>>r.IntN(63), time.Duration(reset>>r.IntN(63)))
			}
			if got := p.Wait(now, c); got < 0 || got > mostWait {
				t.Fatalf("got a wait of %v", got)
			}
			if got, _ := p.Share(now); !(got >= 0 && got <= 1) {
				t.Fatalf("got a share of %v", got)
			}
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	var (
		p   Pacer
		all sync.WaitGroup
	)
	for range 8 {
		all.Go(func() {
			for i := range 1000 {
				now := begin.Add(time.Duration(i) * ms)
				m, wait := p.Take(now, Cost{10, 10})
				if wait > 0 {
					m = p.Took(now, Cost{10, 10})
				}
				p.Saw(now, m, Tokens, 1000, int64(i), second)
				p.Wait(now, Cost{10, 10})
				p.Share(now)
			}
		})
	}
	all.Wait()
	if p.taken[Requests] == 0 || p.taken[Requests] > 8000 {
		t.Errorf("got %d requests", p.taken[Requests])
	}
}

func TestNothingIsAllocated(t *testing.T) {
	p, now := told(heard{0, Requests, 10, 5, second})
	if n := testing.AllocsPerRun(100, func() {
		m, _ := p.Take(now, Cost{1, 1})
		p.Saw(now, m, Tokens, 1000, 500, second)
		p.Took(now, Cost{1, 1})
		p.Wait(now, Cost{1, 1})
		p.Share(now)
	}); n > 0 {
		t.Errorf("got %v allocations", n)
	}
}

func BenchmarkNothingKnown(b *testing.B) {
	var p Pacer
	for range b.N { // not b.Loop, which takes longer than what is measured
		if _, wait := p.Take(begin, Cost{1, 1}); wait > 0 {
			b.Fatal(wait)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	p, now := told(heard{0, Requests, 5000, 4000, second}, heard{0, Tokens, 1_000_000, 400_000, 6 * second})
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(ms)
		m, _ := p.Take(now, Cost{100, 100})
		p.Saw(now, m, Requests, 5000, 4000, 12*second)
		p.Saw(now, m, Tokens, 1_000_000, 400_000, 36*second)
	}
}
