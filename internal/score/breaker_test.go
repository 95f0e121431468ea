package score

import (
	"encoding/json"
	"testing"
	"time"
)

// life is an endpoint whose time passes.
type life struct {
	t   *testing.T
	h   *Health
	now time.Time
	all *Probes
}

func newLife(t *testing.T, p Prior, u float64) *life {
	return &life{t, NewHealth(p, begin, always(u)), begin, &Probes{}}
}

func (l *life) after(d time.Duration) *life {
	l.now = l.now.Add(d)
	return l
}

func (l *life) fail(n int) {
	for range n {
		l.h.Failed(l.now)
	}
}

func (l *life) state() State { return l.h.State(l.now, Streamed) }

// claims reports whether a request gets to start a probe now.
func (l *life) claims() bool {
	l.all.Started(l.now)
	return l.h.ClaimProbe(l.now, l.all, false) == ProbeOpen
}

// probeDueIn checks that a probe is due after so long, not a moment before, and claims it.
func (l *life) probeDueIn(d time.Duration) {
	l.t.Helper()
	if s := l.state(); !near(s.ProbeIn, d) {
		l.t.Fatalf("got a probe in %v, want %v", s.ProbeIn, d)
	}
	if d > 0 && l.after(d-ms).claims() {
		l.t.Fatalf("got a probe within %v", d)
	}
	if !l.after(min(d, ms)).claims() {
		l.t.Fatalf("got no probe after %v", d)
	}
}

func (l *life) is(want Position) {
	l.t.Helper()
	if got := l.state().Breaker; got != want {
		l.t.Fatalf("got %v, want %v", got, want)
	}
}

// opened has failed three times and waits for its first probe.
func opened(t *testing.T, u float64) *life {
	l := newLife(t, Prior{}, u)
	l.fail(2)
	l.is(Closed)
	l.fail(1)
	l.is(Open)
	return l
}

func (l *life) recover() {
	l.t.Helper()
	l.probeDueIn(l.state().ProbeIn)
	l.h.Probed(l.now, Streamed, second)
	l.probeDueIn(500 * ms)
	if !l.h.Probed(l.now, Streamed, second) {
		l.t.Fatal("got a breaker that two good probes do not close")
	}
}

func TestBreakerLife(t *testing.T) {
	t.Parallel()
	l := opened(t, 0.5)
	for _, backoff := range []time.Duration{1, 2, 4, 8, 10, 10} {
		l.probeDueIn(backoff * second)
		l.is(Open)
		l.h.ProbeFailed(l.now)
	}
	l.probeDueIn(10 * second)
	if l.h.Probed(l.now, Streamed, second) {
		t.Fatal("got a breaker that one good probe closes")
	}
	l.is(Suspect)
	l.probeDueIn(500 * ms)
	l.h.ProbeFailed(l.now)
	l.probeDueIn(10 * second)
	l.is(Open)
	l.h.Probed(l.now, Streamed, second)
	l.probeDueIn(500 * ms)
	if !l.h.Probed(l.now, Streamed, second) {
		t.Fatal("got a breaker that two good probes do not close")
	}
	l.is(Closed)
	if s := l.state(); !closeTo(s.Failures, 0.02) || s.Consecutive != 0 || s.ProbeIn != 0 || s.Probing {
		t.Errorf("got %+v, want a clean slate", s)
	}
}

func TestBackoffAfterClosing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sound, want time.Duration }{
		"at once":        {0, 4 * second},
		"a minute later": {time.Minute, 4 * second},
		"and more":       {time.Minute + 1, second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := opened(t, 0.5)
			for _, backoff := range []time.Duration{1, 2} {
				l.probeDueIn(backoff * second)
				l.h.ProbeFailed(l.now)
			}
			l.recover()
			l.after(c.sound).fail(3)
			l.probeDueIn(c.want)
			l.h.ProbeFailed(l.now)
			l.probeDueIn(2 * c.want)
		})
	}
}

func TestProbeJitter(t *testing.T) {
	t.Parallel()
	for u, want := range map[float64][]time.Duration{
		0: {750 * ms, 1500 * ms, 3 * second, 6 * second, 7500 * ms},
		1: {1250 * ms, 2500 * ms, 5 * second, 10 * second, 12_500 * ms},
	} {
		l := opened(t, u)
		for _, backoff := range want {
			l.probeDueIn(backoff)
			l.h.ProbeFailed(l.now)
		}
	}
}

func TestOnlyFailuresInARowOpen(t *testing.T) {
	t.Parallel()
	l := newLife(t, Prior{}, 0.5)
	l.fail(2)
	l.h.Content(l.now, Streamed, second)
	l.fail(2)
	l.h.Broke(l.now)
	l.h.Limited(l.now)
	l.is(Closed)
	l.h.Late(l.now, Streamed, second)
	l.is(Suspect)
}

func TestSuspectForFiveSeconds(t *testing.T) {
	t.Parallel()
	l := newLife(t, Prior{}, 0.5)
	l.h.Content(l.now, Streamed, second)
	l.fail(3)
	l.after(5*second - 1).is(Suspect)
	l.after(1).is(Open)
}

func TestRequestsNeitherCloseNorKeepOpen(t *testing.T) {
	t.Parallel()
	l := opened(t, 0.5)
	for range 5 {
		l.h.Content(l.now, Streamed, second)
	}
	l.is(Suspect)
	l.after(500 * ms).fail(7)
	l.probeDueIn(500 * ms)
}

func TestBeginsOpen(t *testing.T) {
	t.Parallel()
	l := newLife(t, Prior{Failure: 0.5}, 0.5)
	l.is(Open)
	l.probeDueIn(0)
	l.h.ProbeFailed(l.now)
	l.probeDueIn(2 * second)
	l.h.Probed(l.now, Streamed, second)
	l.probeDueIn(500 * ms)
	l.h.Probed(l.now, Streamed, second)
	l.is(Closed)
}

func TestLocalNeverOpens(t *testing.T) {
	t.Parallel()
	l := newLife(t, Prior{Local: true}, 0.5)
	l.fail(100)
	l.is(Closed)
}

func TestClockSetBack(t *testing.T) {
	t.Parallel()
	l := opened(t, 0.5)
	l.after(-time.Hour)
	if !l.claims() {
		t.Error("got an endpoint that is not probed for an hour")
	}
}

func TestPositionsInWords(t *testing.T) {
	t.Parallel()
	for p, want := range map[Position]string{Closed: `"closed"`, Suspect: `"suspect"`, Open: `"open"`, 77: `"open"`} {
		got, err := json.Marshal(p)
		if err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
		var back Position
		if err := json.Unmarshal(got, &back); err != nil || back != min(p, Open) {
			t.Errorf("%s: got %v, %v back", got, back, err)
		}
	}
	if err := new(Position).UnmarshalText([]byte("ajar")); err == nil {
		t.Error("got no error for a breaker that is ajar")
	}
}
