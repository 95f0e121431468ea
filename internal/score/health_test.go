package score

import (
	"math"
	"sync"
	"testing"
	"time"
)

const ms = time.Millisecond

var begin = time.Unix(1_000_000_000, 0)

// always is a source of random numbers that returns one: with 0.5, backoffs last as long as they are called.
func always(u float64) func() float64 { return func() float64 { return u } }

func closeTo(got, want float64) bool { return math.Abs(got-want) < 1e-9 }

// An event is reported so long after the beginning.
type event struct {
	at     time.Duration
	report func(h *Health, now time.Time)
}

func content(after time.Duration) func(*Health, time.Time) {
	return func(h *Health, now time.Time) { h.Content(now, Streamed, after) }
}

func room(left ...float64) func(*Health, time.Time) {
	return func(h *Health, now time.Time) { h.Headroom(now, left...) }
}

func failed(h *Health, now time.Time) { h.Failed(now) }
func broke(h *Health, now time.Time)  { h.Broke(now) }

func happened(p Prior, u float64, events ...event) *Health {
	h := NewHealth(p, begin, always(u))
	for _, e := range events {
		e.report(h, begin.Add(e.at))
	}
	return h
}

// afterOne is what a second leaves of a count: 2^(-1/20).
const afterOne = 0.9659363289248456

// Of nothing known: a share of (0 + 2*0.02)/(0 + 0 + 2) = 0.02, and a median of 0.5 s, so a score of 0.5 + 2*0.02 = 0.54.
func TestWhatAnAttemptTeaches(t *testing.T) {
	t.Parallel()
	late := func(waited time.Duration) func(*Health, time.Time) {
		return func(h *Health, now time.Time) { h.Late(now, Streamed, waited) }
	}
	givenUp := func(waited time.Duration) func(*Health, time.Time) {
		return func(h *Health, now time.Time) { h.GivenUp(now, Streamed, waited) }
	}
	type want struct {
		failures float64
		median   time.Duration
		row      int           // failures in a row
		lastOK   time.Duration // ago
	}
	cases := map[string]struct {
		events []event
		at     time.Duration
		want   want
	}{
		"nothing known":                {nil, 0, want{0.02, 500 * ms, 0, -1}},
		"nothing known, later":         {nil, time.Hour, want{0.02, 500 * ms, 0, -1}},
		"content":                      {[]event{{0, content(second)}}, 0, want{0.04 / 3, second, 0, 0}},
		"content, by a clock set back": {[]event{{0, content(-1)}}, 0, want{0.04 / 3, 500 * ms, 0, 0}},
		"two contents": {
			[]event{{0, content(second)}, {0, content(4 * second)}},
			second,
			want{0.04 / (2*afterOne + 2), 2 * second, 0, second},
		},
		"a failure":                        {[]event{{0, failed}}, 0, want{1.04 / 3, 500 * ms, 1, -1}},
		"a failure weighs half after 20 s": {[]event{{0, failed}}, 20 * second, want{0.54 / 2.5, 500 * ms, 1, -1}},
		"a quarter after 40 s":             {[]event{{0, failed}}, 40 * second, want{0.29 / 2.25, 500 * ms, 1, -1}},
		"decayed before it is added to":    {[]event{{0, failed}, {20 * second, failed}}, 20 * second, want{1.54 / 3.5, 500 * ms, 2, -1}},
		"a clock set back decays nothing":  {[]event{{20 * second, failed}, {0, failed}}, 0, want{2.04 / 4, 500 * ms, 2, -1}},
		"content ends a row of failures":   {[]event{{0, failed}, {0, failed}, {0, content(second)}}, 0, want{2.04 / 5, second, 0, 0}},
		"late fails and teaches":           {[]event{{0, late(8 * second)}}, 0, want{1.04 / 3, 8 * second, 1, -1}},
		"late, and content yet": {
			[]event{{0, late(2 * second)}, {second, content(2 * second)}},
			second,
			want{(afterOne + 0.04) / (afterOne + 3), 2 * second, 0, 0},
		},
		"given up late":                     {[]event{{0, givenUp(2024 * ms)}}, 0, want{1.04 / 3, 2024 * ms, 1, -1}},
		"given up before it was late":       {[]event{{0, givenUp(2023 * ms)}}, 0, want{0.02, 500 * ms, 0, -1}},
		"given up after 5 s is always late": {[]event{{0, content(20 * second)}, {0, givenUp(5 * second)}}, 0, want{1.04 / 4, 10 * second, 1, 0}},
		"a cut is no failure in a row":      {[]event{{0, content(second)}, {0, broke}}, 0, want{1.04 / 4, second, 0, 0}},
		"a cut keeps the row":               {[]event{{0, failed}, {0, broke}}, 0, want{2.04 / 4, 500 * ms, 1, -1}},
		"a rate limit is no failure":        {[]event{{0, (*Health).Limited}}, 0, want{0.02, 500 * ms, 0, -1}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := happened(Prior{}, 0.5, c.events...).State(begin.Add(c.at), Streamed)
			if !closeTo(s.Failures, c.want.failures) || !near(s.Median, c.want.median) || s.Consecutive != c.want.row || s.LastOK != c.want.lastOK {
				t.Errorf("got %+v, want %+v", s, c.want)
			}
		})
	}
}

func TestGivenUpTellsWhetherItCounted(t *testing.T) {
	t.Parallel()
	h := NewHealth(Prior{}, begin, always(0.5))
	if h.GivenUp(begin, Streamed, second) || h.GivenUp(begin, Whole, 4999*ms) || !h.GivenUp(begin, Whole, 5*second) {
		t.Error("got a bound other than 2.02 s for a streamed answer and 5 s for a whole one")
	}
}

func TestFormsAreLearnedApart(t *testing.T) {
	t.Parallel()
	h := NewHealth(Prior{}, begin, always(0.5))
	h.Content(begin, Whole, 8*second)
	for form, want := range map[Form]time.Duration{Streamed: 500 * ms, Whole: 8 * second} {
		if s := h.State(begin, form); !near(s.Median, want) || !closeTo(s.Failures, 0.04/3) {
			t.Errorf("form %d: got %+v, want a median of %v and a common share of failures", form, s, want)
		}
	}
	if got := NewHealth(Prior{}, begin, nil).State(begin, Whole).Median; !near(got, 2500*ms) {
		t.Errorf("got %v, want the default", got)
	}
}

func TestHedge(t *testing.T) {
	t.Parallel()
	for expected, want := range map[time.Duration]time.Duration{0: 2_529_436_000, 10 * ms: 300 * ms} {
		if got := NewHealth(Prior{Expected: expected}, begin, nil).State(begin, Streamed).Hedge; !near(got, want) {
			t.Errorf("%v expected: got %v, want %v", expected, got, want)
		}
	}
}

func TestHeadroom(t *testing.T) {
	t.Parallel()
	zero := 0.0
	cases := map[string]struct {
		events []event
		at     time.Duration
		want   float64
	}{
		"never seen":                  {nil, 0, 1},
		"seen":                        {[]event{{0, room(0.1)}}, 0, 0.1},
		"the smallest counts":         {[]event{{0, room(0.5, 0.1, 0.9)}}, 0, 0.1},
		"the latest counts":           {[]event{{0, room(0.1)}, {second, room(0.5)}}, second, 0.5},
		"for five seconds":            {[]event{{0, room(0.1)}}, 5 * second, 0.1},
		"no longer":                   {[]event{{0, room(0.1)}}, 5*second + 1, 1},
		"unknown of one":              {[]event{{0, room(-1, 0.5)}}, 0, 0.5},
		"unknown":                     {[]event{{0, room(0.1)}, {0, room(-1)}}, 0, 0.1},
		"of a limit of 0":             {[]event{{0, room(3 / zero)}}, 0, 1},
		"nothing of a limit of 0":     {[]event{{0, room(zero/zero, 0.3)}}, 0, 0.3},
		"none told":                   {[]event{{0, room()}}, 0, 1},
		"more than all":               {[]event{{0, room(7)}}, 0, 1},
		"nothing left":                {[]event{{0, room(0)}}, 0, 0},
		"nothing is left after a 429": {[]event{{0, room(0.5)}, {0, (*Health).Limited}}, 0, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := happened(Prior{}, 0, c.events...).State(begin.Add(c.at), Streamed).Headroom; got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestPriors(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	cases := map[string]struct {
		prior           Prior
		failures, price float64
		breaker         Position
	}{
		"none":           {Prior{}, 0.02, 1, Closed},
		"given":          {Prior{Failure: 0.1, Price: 2}, 0.1, 2, Closed},
		"cheap":          {Prior{Price: 0.5}, 0.02, 0.5, Closed},
		"negative":       {Prior{Failure: -1, Price: -1, Expected: -1, ExpectedWhole: -1}, 0.02, 1, Closed},
		"no numbers":     {Prior{Failure: nan, Price: nan}, 0.02, 1, Closed},
		"infinite":       {Prior{Failure: inf, Price: inf}, 1, 1e6, Open},
		"half":           {Prior{Failure: 0.5}, 0.5, 1, Open},
		"less than half": {Prior{Failure: 0.49}, 0.49, 1, Closed},
		"local":          {Prior{Failure: 0.9, Local: true, Tier: 9}, 0.9, 1, Closed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := NewHealth(c.prior, begin, nil).State(begin, Streamed)
			want := State{
				Tier: c.prior.Tier, Local: c.prior.Local, Price: c.price, Median: s.Median, P99: s.P99, Hedge: s.Hedge, Usual: s.Hedge,
				Failures: c.failures, Headroom: 1, Breaker: c.breaker, LastOK: -1,
			}
			if s != want {
				t.Errorf("got %+v", s)
			}
		})
	}
}

func TestScore(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		prior  Prior
		events []event
		want   float64
	}{
		"nothing known":                {Prior{}, nil, 0.54},
		"slow":                         {Prior{Expected: 2 * second}, nil, 2.04},
		"dear":                         {Prior{Price: 3}, nil, 1.54},
		"unsafe region":                {Prior{Failure: 0.3}, nil, 1.1},
		"answered":                     {Prior{}, []event{{0, content(second)}}, 1 + 2*0.04/3},
		"failed":                       {Prior{}, []event{{0, failed}}, 0.5 + 2*1.04/3},
		"enough headroom":              {Prior{}, []event{{0, room(0.2)}}, 0.54},
		"half of that":                 {Prior{}, []event{{0, room(0.1)}}, 0.69},
		"none":                         {Prior{}, []event{{0, room(0)}}, 0.84},
		"a failure costs less with ok": {Prior{}, []event{{0, content(second)}, {0, content(second)}, {0, failed}}, 1 + 2*1.04/5},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := happened(c.prior, 0, c.events...).State(begin, Streamed)
			if got := s.Score(); !closeTo(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestHealthConcurrently(t *testing.T) {
	t.Parallel()
	h, probes := NewHealth(Prior{}, begin, nil), &Probes{Cold: true, Idle: true}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 500 {
				now := begin.Add(time.Duration(i) * 100 * ms)
				probes.Started(now)
				h.Failed(now)
				h.Limited(now)
				h.Headroom(now, 0.5)
				h.Late(now, Whole, second)
				h.GivenUp(now, Streamed, 6*second)
				h.Broke(now)
				if h.ClaimProbe(now, probes, false) != NoProbe {
					h.Probed(now, Streamed, ms)
				}
				h.Content(now, Streamed, ms)
				if s := h.State(now, Streamed); !(s.Score() > 0) || s.Failures > 1 {
					t.Errorf("got %+v", s)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkState(b *testing.B) {
	all := make([]*Health, 10)
	for i := range all {
		all[i] = happened(Prior{}, 0.5, event{0, content(second)}, event{0, failed}, event{0, room(0.5)})
	}
	candidates := make([]Candidate, len(all))
	now := begin.Add(second)
	b.ReportAllocs()
	for b.Loop() {
		for i, h := range all {
			candidates[i].State = h.State(now, Streamed)
		}
	}
}

// Waits in vain add up, also those of callers who have little time; content ends the sum.
func TestUnheard(t *testing.T) {
	t.Parallel()
	h := NewHealth(Prior{}, begin, always(0.5))
	late := h.streamed.Late()
	counted := 0
	for range 12 {
		if h.GivenUp(begin, Streamed, late/2) {
			counted++
		}
	}
	if s := h.State(begin, Streamed); counted < 3 || s.Breaker != Open {
		t.Errorf("got %d of 12 waits counted, and %+v", counted, s)
	}
	h = NewHealth(Prior{}, begin, always(0.5))
	for range 12 {
		if h.GivenUp(begin, Streamed, late/2) {
			t.Error("got a wait counted of an endpoint that answers others")
		}
		h.Content(begin, Streamed, second)
	}
}

func TestIsLate(t *testing.T) {
	t.Parallel()
	h := NewHealth(Prior{}, begin, always(0.5))
	if h.IsLate(Streamed, 2*second) || !h.IsLate(Streamed, 2100*ms) {
		t.Error("want what is late to begin at the 99th percentile")
	}
	h.Late(begin, Streamed, 9*second)
	if !h.IsLate(Streamed, 2100*ms) {
		t.Error("want what was learned in a trouble to make nothing less late")
	}
}
