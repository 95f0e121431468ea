package score

import (
	"sync"
	"testing"
	"time"
)

func TestOneProbeAtATime(t *testing.T) {
	t.Parallel()
	l := opened(t, 0.5)
	l.after(second)
	l.all.Started(l.now)
	var (
		all sync.WaitGroup
		mu  sync.Mutex
		got int
	)
	for range 16 {
		all.Go(func() {
			if l.h.ClaimProbe(l.now, l.all, false) != NoProbe {
				mu.Lock()
				got++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if got != 1 || !l.state().Probing {
		t.Errorf("got %d probes, and %+v", got, l.state())
	}
	if l.after(lostAfter - 1).claims() {
		t.Error("got a second probe beside the first")
	}
	if !l.after(1).claims() {
		t.Error("got no other probe after one that was never heard of again")
	}
}

func TestProbeOutcomes(t *testing.T) {
	t.Parallel()
	const bad = 3 * afterOne // of the three failures a second ago
	shut, ajar := (bad+0.04)/(bad+2), (bad+0.04)/(bad+3)
	cases := map[string]struct {
		report func(h *Health, now time.Time)
		want   State // as far as it is compared
	}{
		"good": {
			func(h *Health, now time.Time) { h.Probed(now, Streamed, 4*second) },
			State{Breaker: Suspect, Failures: ajar, Median: 4 * second, ProbeIn: 500 * ms, Headroom: 1},
		},
		"good, but free": {
			func(h *Health, now time.Time) { h.Probed(now, Streamed, -1) },
			State{Breaker: Suspect, Failures: ajar, Median: 500 * ms, ProbeIn: 500 * ms, Headroom: 1},
		},
		"failed": {
			func(h *Health, now time.Time) { h.ProbeFailed(now) },
			State{Breaker: Open, Failures: shut, Median: 500 * ms, ProbeIn: 2 * second, Consecutive: 3, Headroom: 1},
		},
		"limited": {
			func(h *Health, now time.Time) { h.ProbeLimited(now) },
			State{Breaker: Open, Failures: shut, Median: 500 * ms, ProbeIn: second, Consecutive: 3},
		},
		"told nothing": {
			func(h *Health, now time.Time) { h.ProbeAbandoned(now) },
			State{Breaker: Open, Failures: shut, Median: 500 * ms, ProbeIn: second, Consecutive: 3, Headroom: 1},
		},
		"good, then failed": {
			func(h *Health, now time.Time) { h.Probed(now, Streamed, -1); h.ProbeFailed(now) },
			State{Breaker: Suspect, Failures: ajar, Median: 500 * ms, ProbeIn: 2 * second, Headroom: 1},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := opened(t, 0.5)
			l.probeDueIn(second)
			c.report(l.h, l.now)
			got := l.state()
			if got.Breaker != c.want.Breaker || !closeTo(got.Failures, c.want.Failures) || !near(got.Median, c.want.Median) ||
				!near(got.ProbeIn, c.want.ProbeIn) || got.Consecutive != c.want.Consecutive || got.Headroom != c.want.Headroom ||
				got.Probing {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestNoProbesWithoutRequests(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		since time.Duration
		want  Probe
	}{"a request": {0, ProbeOpen}, "just": {time.Minute - 1, ProbeOpen}, "a minute": {time.Minute, NoProbe}} {
		l := opened(t, 0.5)
		l.after(second)
		l.all.Started(l.now)
		if got := l.h.ClaimProbe(l.now.Add(c.since), l.all, false); got != c.want {
			t.Errorf("%s ago: got %v, want %v", name, got, c.want)
		}
	}
	if got := opened(t, 0.5).h.ClaimProbe(begin.Add(time.Hour), &Probes{}, false); got != NoProbe {
		t.Error("got a probe before any request")
	}
}

func TestProbesThatAreAllowed(t *testing.T) {
	t.Parallel()
	old := event{0, content(second)}
	down := func(at time.Duration) []event { return []event{{at, failed}, {at, failed}, {at, failed}} }
	cases := map[string]struct {
		probes   *Probes
		prior    Prior
		events   []event
		requests int
		at       time.Duration
		want     Probe
	}{
		"a closed endpoint by default":         {&Probes{}, Prior{}, nil, 100, time.Hour, NoProbe},
		"an open one":                          {&Probes{}, Prior{Failure: 0.6}, nil, 1, 0, ProbeOpen},
		"an open one, off":                     {&Probes{Off: true, Cold: true, Idle: true}, Prior{Failure: 0.6}, nil, 100, time.Hour, NoProbe},
		"local":                                {&Probes{Cold: true, Idle: true}, Prior{Local: true}, nil, 100, time.Hour, NoProbe},
		"cold":                                 {&Probes{Cold: true}, Prior{}, nil, 1, 0, ProbeCold},
		"cold, but known":                      {&Probes{Cold: true}, Prior{}, []event{old}, 100, time.Hour, NoProbe},
		"cold, but known to fail":              {&Probes{Cold: true}, Prior{}, []event{{0, failed}}, 100, time.Hour, NoProbe},
		"idle for too short":                   {&Probes{Idle: true}, Prior{}, []event{old}, 20, 15*second - 1, NoProbe},
		"idle":                                 {&Probes{Idle: true}, Prior{}, []event{old}, 20, 15 * second, ProbeIdle},
		"idle, too few requests":               {&Probes{Idle: true}, Prior{}, []event{old}, 19, 15 * second, NoProbe},
		"idle, never asked":                    {&Probes{Idle: true}, Prior{}, nil, 20, 0, ProbeIdle},
		"open rather than idle":                {&Probes{Idle: true}, Prior{}, down(0), 20, 15 * second, ProbeOpen},
		"open, not due, not idle in its place": {&Probes{Idle: true, Cold: true}, Prior{}, down(15 * second), 20, 15 * second, NoProbe},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, now := happened(c.prior, 0, c.events...), begin.Add(c.at)
			for range c.requests {
				c.probes.Started(now)
			}
			if got := h.ClaimProbe(now, c.probes, false); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestIdleProbesAreFewForAll(t *testing.T) {
	t.Parallel()
	a, b, probes := NewHealth(Prior{}, begin, nil), NewHealth(Prior{}, begin, nil), &Probes{Idle: true}
	got := 0
	for i := range 100 {
		now := begin.Add(time.Duration(i) * 10 * second)
		probes.Started(now)
		for _, h := range []*Health{a, b} {
			if h.ClaimProbe(now, probes, false) == ProbeIdle {
				got++
				h.Probed(now, Streamed, second)
			}
		}
	}
	if got != 5 {
		t.Errorf("got %d idle probes of two endpoints in 100 requests, want 5", got)
	}
}

func TestColdAndIdleProbesThatFailCount(t *testing.T) {
	t.Parallel()
	h, probes := NewHealth(Prior{}, begin, always(0)), &Probes{Cold: true, Idle: true}
	now := begin
	for i, want := range []Probe{ProbeCold, ProbeIdle, ProbeIdle} {
		now = now.Add(time.Minute)
		for range 20 {
			probes.Started(now)
		}
		if got := h.ClaimProbe(now, probes, false); got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
		h.ProbeFailed(now)
		if got := h.State(now, Streamed).Consecutive; got != i+1 {
			t.Fatalf("got %d failures in a row, want %d", got, i+1)
		}
	}
	if got := h.State(now, Streamed).Breaker; got != Open {
		t.Errorf("got %v, want open after three", got)
	}
}

func TestTrials(t *testing.T) {
	t.Parallel()
	l := opened(t, 0.5)
	if l.h.ClaimTrial(l.now, false) {
		t.Error("got a trial before it was due")
	}
	l.after(second)
	if !l.h.ClaimTrial(l.now, false) || l.h.ClaimTrial(l.now, false) {
		t.Error("want one trial")
	}
	l.h.ProbeFailed(l.now)
	if l.after(2*second-1).h.ClaimTrial(l.now, false) {
		t.Error("got a trial within the backoff")
	}
	if !l.after(1).h.ClaimTrial(l.now, false) {
		t.Error("want a trial after it")
	}
	l.h.Probed(l.now, Whole, 20*second)
	if l.after(500 * ms); !l.h.ClaimTrial(l.now, false) || !l.h.Probed(l.now, Whole, 20*second) {
		t.Error("want two good trials to close the breaker")
	}
	if s := l.h.State(l.now, Whole); s.Breaker != Closed || !near(s.Median, 20*second) {
		t.Errorf("got %+v", s)
	}
	if l.h.ClaimTrial(l.now, false) {
		t.Error("got a trial of a closed endpoint")
	}
}

// A request that waits keeps probes going, and does not count as another.
func TestWaitingKeepsProbes(t *testing.T) {
	t.Parallel()
	l := opened(t, 0)
	l.all.Waiting(l.after(10 * second).now)
	if l.claim() != ProbeOpen || l.all.requests != 0 {
		t.Errorf("got no probe for a request that waits, or it counted: %d", l.all.requests)
	}
}

// Where nobody else takes requests, an endpoint that was there a short time ago is asked again sooner than after its backoff.
func TestUrgentProbes(t *testing.T) {
	t.Parallel()
	never := opened(t, 0.5)
	if s := never.state(); s.UrgentIn != s.ProbeIn {
		t.Errorf("got %v for an endpoint that never answered, want %v", s.UrgentIn, s.ProbeIn)
	}
	l := newLife(t, Prior{}, 0.5)
	l.h.Content(l.now, Streamed, second)
	l.fail(3)
	for i, want := range []time.Duration{second, second, second, second, second, 1250 * ms, 1562500 * time.Microsecond} {
		if s := l.state(); s.UrgentIn != want {
			t.Fatalf("probe %d: got %v, want %v", i, s.UrgentIn, want)
		}
		if l.after(want - 1); l.h.ClaimProbe(l.now, awake(l), true) != NoProbe {
			t.Fatalf("probe %d: got one before it was due", i)
		}
		if l.after(1); i > 0 && i < 4 && l.h.ClaimProbe(l.now, awake(l), false) != NoProbe {
			t.Fatalf("probe %d: got one within the backoff that is not urgent", i)
		}
		if l.h.ClaimProbe(l.now, awake(l), true) != ProbeOpen || l.h.ClaimProbe(l.now, awake(l), true) != NoProbe {
			t.Fatalf("probe %d: want one", i)
		}
		l.h.ProbeFailed(l.now)
	}
	l.after(time.Minute) // a quarter of that is longer than the backoff
	l.h.ProbeFailed(l.now)
	if s := l.state(); s.UrgentIn != s.ProbeIn || s.ProbeIn != 10*second {
		t.Errorf("got %v long after, want %v", s.UrgentIn, s.ProbeIn)
	}
	if l.after(9 * second); l.h.ClaimTrial(l.now, true) {
		t.Error("got a trial before it was due")
	}
}

// awake has the probes of an endpoint to which requests come.
func awake(l *life) *Probes {
	l.all.Started(l.now)
	return l.all
}
