package score

import (
	"encoding/json"
	"testing"
	"time"
)

// ask is the choice of an endpoint with a hedge after so many milliseconds.
func ask(index int, hedge time.Duration) Choice {
	return Choice{Index: index, Hedge: hedge * ms, Reserve: -1}
}

// The local model takes 3 s and an answer 2 s to write.
func TestResort(t *testing.T) {
	t.Parallel()
	slept := sound(500, open, tried)
	cases := map[string]struct {
		left       time.Duration
		candidates []Candidate
		want       Resort
	}{
		"nothing":           {10 * second, nil, Resort{Choice: nowhere}},
		"no time":           {0, []Candidate{sound(500, local)}, Resort{Choice: nowhere}},
		"less than no time": {-1 << 63, []Candidate{sound(500, tried)}, Resort{Choice: nowhere}},
		"all filtered": {
			10 * second,
			[]Candidate{sound(500, against), sound(500, against, local)},
			Resort{Choice: nowhere},
		},
		"local":                             {10 * second, []Candidate{slept, sound(500, local)}, Resort{AskLocal, ask(1, 1500), 8300 * ms, 0}},
		"local, no time to wait for a slot": {second, []Candidate{slept, sound(500, local)}, Resort{AskLocal, ask(1, 1500), 0, 0}},
		"local before a rate limit": {
			10 * second,
			[]Candidate{sound(400, blockedFor(ms)), sound(500, local)},
			Resort{AskLocal, ask(1, 1500), 8300 * ms, 0},
		},
		"the best of local ones": {
			10 * second,
			[]Candidate{sound(500, local, tier(1)), sound(600, local), sound(1, local, against)},
			Resort{AskLocal, ask(1, 1800), 8300 * ms, 0},
		},
		"local only once": {
			10 * second,
			[]Candidate{sound(500, tried), sound(500, local, tried)},
			Resort{AskAgain, ask(0, 1500), 0, 0},
		},
		"local again if there is no other": {
			10 * second,
			[]Candidate{sound(500, against), sound(500, local, tried)},
			Resort{AskAgain, ask(1, 1500), 0, 0},
		},
		"not while a cloud one only rests": {
			10 * second,
			[]Candidate{slept, sound(500, local, tried)},
			Resort{Park, nowhere, 7500 * ms, second},
		},
		"again": {
			10 * second,
			[]Candidate{sound(500, tried), sound(400, tried)},
			Resort{AskAgain, ask(1, 1200), 0, 0},
		},
		"again what is suspect": {
			10 * second,
			[]Candidate{slept, sound(400, tried, suspect)},
			Resort{AskAgain, ask(1, 1200), 0, 0},
		},
		"a short limit rather than again": {
			10 * second,
			[]Candidate{sound(500, tried), sound(400, blockedFor(2*second))},
			Resort{Wait, ask(1, 1200), 2 * second, 0},
		},
		"again rather than a long one": {
			10 * second,
			[]Candidate{sound(500, tried), sound(400, blockedFor(2*second+1))},
			Resort{AskAgain, ask(0, 1500), 0, 0},
		},
		"again rather than a short one tried": {
			10 * second,
			[]Candidate{sound(500, tried), sound(400, tried, blockedFor(second))},
			Resort{AskAgain, ask(0, 1500), 0, 0},
		},
		"a long limit rather than nothing": {
			10 * second,
			[]Candidate{slept, sound(400, blockedFor(7999*ms)), sound(400, blockedFor(9*second))},
			Resort{Wait, ask(1, 1200), 7999 * ms, second},
		},
		"also of one that was tried": {
			10 * second,
			[]Candidate{sound(400, tried, blockedFor(5*second))},
			Resort{Wait, ask(0, 1200), 5 * second, 5 * second},
		},
		"one that leaves no time to answer": {
			10 * second,
			[]Candidate{sound(400, blockedFor(8*second))},
			Resort{Park, nowhere, 7500 * ms, 7500 * ms},
		},
		"one of an endpoint also open": {
			10 * second,
			[]Candidate{sound(400, blockedFor(3*second), suspect)},
			Resort{Park, nowhere, 7500 * ms, 3 * second},
		},
		"park until a probe is due": {
			10 * second,
			[]Candidate{slept, sound(400, open, probeIn(700))},
			Resort{Park, nowhere, 7500 * ms, 700 * ms},
		},
		"park, though a probe is due": {10 * second, []Candidate{sound(400, open, due)}, Resort{Park, nowhere, 7500 * ms, 50 * ms}},
		"park while a probe is under way": {
			10 * second,
			[]Candidate{sound(400, open, due, probing)},
			Resort{Park, nowhere, 7500 * ms, 7500 * ms},
		},
		"no time to park":  {2500 * ms, []Candidate{slept}, Resort{Choice: nowhere}},
		"a moment to park": {2501 * ms, []Candidate{slept}, Resort{Park, nowhere, ms, ms}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Snapshot{Candidates: c.candidates, Left: c.left, LocalMean: 3 * second, GenMean: 2 * second}
			if got := s.Resort(); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestResortToATrial(t *testing.T) {
	t.Parallel()
	s := Snapshot{Candidates: []Candidate{sound(500, tried, open, due)}, Trials: true, Left: 10 * second}
	want := Resort{Step: AskAgain, Choice: Choice{0, 1500 * ms, true, -1}}
	if got := s.Resort(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Who may not be asked again for lack of a retry budget is waited for.
func TestResortWithoutBudget(t *testing.T) {
	t.Parallel()
	s := Snapshot{Candidates: []Candidate{sound(500, tried, suspect)}, Dry: true, Left: 10 * second, GenMean: 2 * second}
	if got, want := s.Resort(), (Resort{Park, nowhere, 7500 * ms, second}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Whatever the snapshot: what is asked is allowed, and what is waited for comes in time.
func TestResortIsAllowed(t *testing.T) {
	t.Parallel()
	var steps [Park + 1]int
	anySnapshots(t, func(s Snapshot) {
		r := s.Resort()
		steps[r.Step]++
		if i := r.Choice.Index; i >= 0 {
			c := s.Candidates[i]
			if c.Against != "" || (c.BlockedFor > 0) != (r.Step == Wait) ||
				r.Step == AskLocal && (!c.Local || c.Tried) || r.Step == AskAgain && s.Dry || r.Step == AskAgain && c.Local && s.clouded() {
				t.Errorf("%+v: got %+v", s, r)
			}
		} else if r.Step != GiveUp && r.Step != Park {
			t.Errorf("%+v: got %+v without an endpoint", s, r)
		}
		if r.For < 0 || r.For > max(0, s.Left) || r.Next < 0 || r.Next > r.For || r.Step == Park && r.Next == 0 {
			t.Errorf("%+v: got %+v beyond the time that is left", s, r)
		}
	})
	for step, n := range steps {
		if n < 100 {
			t.Errorf("%v was decided %d times only", Step(step), n)
		}
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	for left, want := range map[time.Duration]time.Duration{10 * second: 4 * second, 6 * second: 0, second: 0, -second: 0} {
		if got := (Snapshot{Left: left, LocalMean: 3 * second}).Guard(); got != want {
			t.Errorf("%v left: got %v, want %v", left, got, want)
		}
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	for n, most := range map[int]time.Duration{
		-1: 150 * ms, 0: 150 * ms, 1: 250 * ms, 2: 450 * ms, 3: 850 * ms, 4: 1650 * ms, 5: 2050 * ms, 1 << 40: 2050 * ms,
	} {
		if got := Pause(n, always(0)); got != 50*ms {
			t.Errorf("%d: got %v, want 50 ms at least", n, got)
		}
		if got := Pause(n, always(1)); got != most {
			t.Errorf("%d: got %v, want %v at most", n, got, most)
		}
	}
	if got := Pause(0, nil); got < 50*ms || got > 150*ms {
		t.Errorf("got %v by chance, want between 50 and 150 ms", got)
	}
}

func TestStepsInWords(t *testing.T) {
	t.Parallel()
	for step, want := range map[Step]string{GiveUp: `"give up"`, AskLocal: `"ask local"`, AskAgain: `"ask again"`, Wait: `"wait"`, Park: `"park"`} {
		got, err := json.Marshal(step)
		var back Step
		if err != nil || string(got) != want || json.Unmarshal(got, &back) != nil || back != step {
			t.Errorf("got %s, %v, and %v back, want %s", got, err, back, want)
		}
	}
	if err := new(Step).UnmarshalText([]byte("pray")); err == nil || Step(99).String() != "give up" {
		t.Error("got a step that is none")
	}
}
