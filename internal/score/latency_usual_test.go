package score

import (
	"testing"
	"time"
)

// used has answered so often in the usual time, one request a second.
func used(t *testing.T, n int, usual time.Duration) *life {
	l := newLife(t, Prior{}, 0.5)
	for range n {
		l.all.Started(l.after(second).now)
		l.h.Content(l.now, Streamed, usual)
	}
	return l
}

func (l *life) requests(n int) *life {
	for range n {
		l.all.Started(l.now)
	}
	return l
}

func (l *life) claim() Probe { return l.h.ClaimProbe(l.now, l.all, false) }

// An endpoint that was slow when it was asked last is probed, though no probe of idle ones is allowed, and after two that took no longer than
// is usual it takes what is usual again.
func TestSlowIsProbed(t *testing.T) {
	t.Parallel()
	l := used(t, 30, 400*ms)
	for range 8 {
		l.h.Content(l.after(second).now, Streamed, 8*second)
	}
	if m := l.state().Median; m < second {
		t.Fatalf("got a median of %v, want it to be slow", m)
	}
	if got := l.requests(20).after(15*second - 1).claim(); got != NoProbe {
		t.Fatalf("got probe %d before it was idle", got)
	}
	if got := l.after(1).claim(); got != ProbeSlow {
		t.Fatalf("got probe %d, want one of a slow endpoint", got)
	}
	if _, more := l.h.FollowUp(l.now); more || l.h.Probed(l.now, Streamed, 6*second) {
		t.Error("got more of a probe than one")
	}
	if got := l.after(20 * second).claim(); got != NoProbe {
		t.Errorf("got probe %d without twenty requests more", got)
	}
	if got := l.requests(20).claim(); got != ProbeSlow {
		t.Fatalf("got probe %d, want the next", got)
	}
	l.h.Probed(l.now, Streamed, 450*ms)
	if in, more := l.h.FollowUp(l.now); !more || in != shortly {
		t.Errorf("got a second probe in %v, %v", in, more)
	}
	if got := l.after(shortly - 1).claim(); got != NoProbe {
		t.Errorf("got probe %d at once", got)
	}
	if got := l.after(1).claim(); got != ProbeSlow {
		t.Fatalf("got probe %d, want the second one without more requests", got)
	}
	l.h.Probed(l.now, Streamed, 500*ms)
	if m := l.state().Median; m > 800*ms {
		t.Errorf("got a median of %v, want what is usual", m)
	}
	if got := l.requests(100).after(time.Minute - 1).claim(); got != NoProbe {
		t.Errorf("got probe %d of an endpoint that is well", got)
	}
}

func TestSlowStaysSlow(t *testing.T) {
	t.Parallel()
	for name, then := range map[string]func(l *life){
		"a slow one":              func(l *life) { l.h.Probed(l.now, Streamed, 3*second) },
		"one that failed":         func(l *life) { l.h.ProbeFailed(l.now) },
		"one that tells no times": func(l *life) { l.h.Probed(l.now, Streamed, -1) },
	} {
		l := used(t, 30, 400*ms)
		for range 8 {
			l.h.Content(l.after(second).now, Streamed, 20*second)
		}
		l.requests(20).after(15 * second).claim()
		l.h.Probed(l.now, Streamed, 400*ms)
		l.after(shortly).claim()
		then(l)
		if m := l.state().Median; m < 700*ms {
			t.Errorf("%s: got a median of %v, want it slow still", name, m)
		}
		if _, more := l.h.FollowUp(l.now); more {
			t.Errorf("%s: got a third probe", name)
		}
	}
	if l := used(t, 9, 400*ms); l.h.streamed.isSlow() {
		t.Error("got slow without knowing what is usual")
	}
	var none Latency
	none.LearnAnswer(begin, -1)
	if none.answers != 0 {
		t.Error("got an answer of a negative time")
	}
}

// How long an endpoint kept silent while it was down says nothing of how long it takes to answer.
func TestLatencyFromBeforeAnOutage(t *testing.T) {
	t.Parallel()
	l := used(t, 30, 400*ms)
	before := l.state()
	for range 3 {
		l.h.Late(l.after(5*second).now, Streamed, 5*second)
	}
	if m := l.state().Median; m < second {
		t.Fatalf("got a median of %v, want it to have learned of the silence", m)
	}
	l.recover()
	if after := l.state(); after.Median > 2*before.Median || after.Breaker != Closed {
		t.Errorf("got %v, want about the %v of before", after.Median, before.Median)
	}
	// A single late answer is no outage.
	l = used(t, 30, 400*ms)
	l.h.Late(l.after(second).now, Streamed, 5*second)
	l.h.Content(l.now, Streamed, 6*second)
	for range 3 {
		l.h.Failed(l.after(second).now)
	}
	slow := l.state().Median
	l.recover()
	if got := l.state().Median; got < slow/2 {
		t.Errorf("got %v, want what was learned from an answer to stay: %v", got, slow)
	}
}

func TestAbsent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		Candidate
		want bool
	}{
		"well":           {sound(400), false},
		"tried":          {sound(400, tried), false},
		"limited":        {sound(400, blockedFor(second)), true},
		"open":           {sound(400, open), true},
		"suspect":        {sound(400, suspect), false},
		"not to be used": {Candidate{Against: "no"}, true},
	} {
		if got := c.Absent(); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// Within a tier, who failed the request before comes behind those that did not; another tier comes behind both.
func TestFailedBefore(t *testing.T) {
	t.Parallel()
	failed := func(c *Candidate) { c.Failed = true }
	s := Snapshot{Candidates: []Candidate{sound(100, failed), sound(900), sound(100, tier(1))}}
	if c := Choose(s); c.Index != 1 || s.Why(c, 0) != "failed this call before" {
		t.Errorf("got %+v: %s", c, s.Why(c, 0))
	}
	s.Candidates[1].Tried = true
	if c := Choose(s); c.Index != 0 {
		t.Errorf("got %+v, want the one that failed before another tier", c)
	}
}
