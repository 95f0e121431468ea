package score

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// sound is a candidate with the given median in milliseconds and a score of 0.04 more, changed by what follows.
func sound(median time.Duration, changes ...func(*Candidate)) Candidate {
	c := Candidate{State: State{Price: 1, Median: median * ms, Failures: 0.02, Headroom: 1, LastOK: -1, Hedge: 3 * median * ms}}
	for _, change := range changes {
		change(&c)
	}
	return c
}

func tier(n int) func(*Candidate)                 { return func(c *Candidate) { c.Tier = n } }
func usually(d time.Duration) func(*Candidate)    { return func(c *Candidate) { c.Usual = d * ms } }
func rank(n int) func(*Candidate)                 { return func(c *Candidate) { c.Rank = n } }
func priced(x float64) func(*Candidate)           { return func(c *Candidate) { c.Price = x } }
func left(x float64) func(*Candidate)             { return func(c *Candidate) { c.Headroom = x } }
func failing(x float64) func(*Candidate)          { return func(c *Candidate) { c.Failures = x } }
func blockedFor(d time.Duration) func(*Candidate) { return func(c *Candidate) { c.BlockedFor = d } }
func probeIn(n time.Duration) func(*Candidate)    { return func(c *Candidate) { c.ProbeIn = n * ms } }
func tried(c *Candidate)                          { c.Tried = true }
func affine(c *Candidate)                         { c.Affine = true }
func against(c *Candidate)                        { c.Against = "serves CN only" }
func local(c *Candidate)                          { c.Local = true }
func suspect(c *Candidate)                        { c.Breaker, c.ProbeIn = Suspect, second }
func open(c *Candidate)                           { c.Breaker, c.ProbeIn = Open, second }
func due(c *Candidate)                            { c.ProbeIn = 0 }
func probing(c *Candidate)                        { c.Probing = true }

func TestChoose(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		candidates []Candidate
		want       int
	}{
		"none":                                     {nil, -1},
		"the only one":                             {[]Candidate{sound(500)}, 0},
		"the fastest":                              {[]Candidate{sound(500), sound(400), sound(600)}, 1},
		"the first of equals":                      {[]Candidate{sound(500), sound(500)}, 0},
		"half a second is worth the price":         {[]Candidate{sound(600), sound(101, priced(2))}, 0},
		"a little more than that is not":           {[]Candidate{sound(600), sound(99, priced(2))}, 1},
		"a failure costs two seconds":              {[]Candidate{sound(600), sound(500, failing(0.08))}, 0},
		"half a failure one":                       {[]Candidate{sound(1600), sound(500, failing(0.52))}, 1},
		"nearly empty":                             {[]Candidate{sound(500, left(0.1)), sound(600)}, 1},
		"empty is better than much slower":         {[]Candidate{sound(500, left(0)), sound(900)}, 0},
		"a fifth is enough":                        {[]Candidate{sound(500, left(0.2)), sound(510)}, 0},
		"affinity outweighs some milliseconds":     {[]Candidate{sound(500), sound(990, affine)}, 1},
		"but not half a second":                    {[]Candidate{sound(500), sound(1010, affine)}, 0},
		"nor a tier":                               {[]Candidate{sound(500), sound(400, tier(1), affine)}, 0},
		"nor an open breaker":                      {[]Candidate{sound(500), sound(400, open, affine)}, 0},
		"a tier is not for sale":                   {[]Candidate{sound(100, tier(1)), sound(9000, priced(9))}, 1},
		"tiers may be negative":                    {[]Candidate{sound(100), sound(9000, tier(-1))}, 1},
		"the rank comes before the tier":           {[]Candidate{sound(500, rank(1)), sound(500, tier(5))}, 1},
		"tried":                                    {[]Candidate{sound(400, tried), sound(500)}, 1},
		"all tried":                                {[]Candidate{sound(400, tried), sound(500, tried)}, -1},
		"the next tier when one is tried":          {[]Candidate{sound(400, tried), sound(500, tier(1))}, 1},
		"blocked":                                  {[]Candidate{sound(400, blockedFor(1)), sound(500)}, 1},
		"the next tier when one is blocked":        {[]Candidate{sound(400, blockedFor(1)), sound(500, tier(1))}, 1},
		"filtered":                                 {[]Candidate{sound(400, against), sound(500)}, 1},
		"filtered, whatever happens":               {[]Candidate{sound(400, against), sound(500, open)}, -1},
		"local":                                    {[]Candidate{sound(1, local, tier(-9)), sound(500)}, 1},
		"only local":                               {[]Candidate{sound(1, local)}, -1},
		"open":                                     {[]Candidate{sound(400, open), sound(500)}, 1},
		"only open":                                {[]Candidate{sound(400, open), sound(500, open, due)}, -1},
		"suspect after closed":                     {[]Candidate{sound(400, suspect), sound(9000)}, 1},
		"suspect after closed of the next tier":    {[]Candidate{sound(400, suspect), sound(9000, tier(1))}, 1},
		"suspect if none is closed":                {[]Candidate{sound(400, open), sound(9000, suspect)}, 1},
		"the best of the suspect":                  {[]Candidate{sound(500, suspect), sound(400, suspect)}, 1},
		"the lowest tier of the suspect":           {[]Candidate{sound(400, suspect, tier(1)), sound(500, suspect)}, 1},
		"suspect and blocked":                      {[]Candidate{sound(400, suspect, blockedFor(second)), sound(500, open)}, -1},
		"no number":                                {[]Candidate{sound(400, failing(math.NaN())), sound(500)}, 1},
		"nothing but no number":                    {[]Candidate{sound(400, failing(math.NaN()))}, 0},
		"a state that was never filled is no trap": {[]Candidate{{}, sound(500)}, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Choose(Snapshot{Candidates: c.candidates})
			if got.Index != c.want || got.Trial || got.Reserve != -1 {
				t.Errorf("got %+v, want %d", got, c.want)
			}
			if got.Index >= 0 && got.Hedge != c.candidates[got.Index].Hedge {
				t.Errorf("got a hedge after %v, want that of the endpoint", got.Hedge)
			}
		})
	}
}

func TestTrialsInThePlaceOfProbes(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		candidates []Candidate
		want       Choice
	}{
		"a first attempt, with a reserve":      {[]Candidate{sound(500), sound(900, open, due)}, Choice{1, 2700 * ms, true, 0}},
		"by what it took before its trouble":   {[]Candidate{sound(500), sound(9000, open, due, usually(1000))}, Choice{1, second, true, 0}},
		"of a lower tier":                      {[]Candidate{sound(500, tier(1)), sound(900, open, due)}, Choice{1, 2700 * ms, true, 0}},
		"not of a higher one":                  {[]Candidate{sound(500), sound(900, open, due, tier(1))}, ask(0, 1500)},
		"not of a higher rank":                 {[]Candidate{sound(500), sound(900, open, due, rank(1), tier(-1))}, ask(0, 1500)},
		"not before it is due":                 {[]Candidate{sound(500), sound(900, open)}, ask(0, 1500)},
		"not two at a time":                    {[]Candidate{sound(500), sound(900, open, due, probing)}, ask(0, 1500)},
		"not in spite of a rate limit":         {[]Candidate{sound(500), sound(900, open, due, blockedFor(1))}, ask(0, 1500)},
		"not in spite of a filter":             {[]Candidate{sound(500), sound(900, open, due, against)}, ask(0, 1500)},
		"not after a failure":                  {[]Candidate{sound(400, tried), sound(500), sound(900, open, due)}, ask(1, 1500)},
		"after a failure, if nothing else can": {[]Candidate{sound(400, tried), sound(900, open, due)}, Choice{1, 2700 * ms, true, -1}},
		"of a higher tier then":                {[]Candidate{sound(400, tried), sound(900, open, due, tier(1))}, Choice{1, 2700 * ms, true, -1}},
		"not what was tried":                   {[]Candidate{sound(400, tried, open, due)}, nowhere},
		"the best of those that are due":       {[]Candidate{sound(900, open, due), sound(800, open, due), sound(700, open)}, Choice{1, 2400 * ms, true, -1}},
		"beside a suspect one":                 {[]Candidate{sound(500, suspect), sound(400, open, due)}, Choice{1, 1200 * ms, true, 0}},
		"a suspect one itself":                 {[]Candidate{sound(400, suspect, due), sound(500, suspect)}, Choice{0, 1200 * ms, true, 1}},
		"a suspect one alone":                  {[]Candidate{sound(400, suspect, due)}, Choice{0, 1200 * ms, true, -1}},
		"never local":                          {[]Candidate{sound(400, open, due, local), sound(500)}, ask(1, 1500)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Choose(Snapshot{Candidates: c.candidates, Trials: true}); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if got := Choose(Snapshot{Candidates: c.candidates}); got.Trial {
				t.Error("got a trial where there are probes")
			}
		})
	}
}

// anySnapshot returns one that may be anything: also what no health would come to.
func anySnapshot(r *rand.Rand) Snapshot {
	some := func(d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(2*d))) - d }
	maybe := func(n int) bool { return r.IntN(n) == 0 }
	s := Snapshot{Trials: maybe(2), Dry: maybe(4), Urgent: maybe(3), Left: some(20 * second), LocalMean: some(4 * second), GenMean: some(4 * second)}
	for i := range r.IntN(8) {
		c := Candidate{Name: string(rune('a' + i)), Rank: r.IntN(2), Tried: maybe(3), Affine: maybe(4), State: State{
			Tier: r.IntN(3) - 1, Local: maybe(6), Price: 3 * r.Float64(), Median: some(second), P99: some(second), Hedge: some(second),
			Failures: r.Float64(), Headroom: r.Float64(), Breaker: Position(r.IntN(3)), Consecutive: r.IntN(4), LastOK: some(10 * second),
			ProbeIn: some(second), UrgentIn: some(second), Probing: maybe(3),
		}}
		if maybe(4) {
			c.Against = "elsewhere"
		}
		if maybe(3) {
			c.BlockedFor = some(10 * second)
		}
		s.Candidates = append(s.Candidates, c)
	}
	return s
}

func anySnapshots(t *testing.T, check func(s Snapshot)) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		check(anySnapshot(r))
		if t.Failed() {
			return
		}
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		s := anySnapshot(r)
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back Snapshot
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if len(s.Candidates) > 0 && !reflect.DeepEqual(back, s) {
			t.Fatalf("got %+v back, want %+v", back, s)
		}
		if got, want := Choose(back), Choose(s); got != want {
			t.Fatalf("%s: got %+v, want %+v", text, got, want)
		}
		if got, want := back.Resort(), s.Resort(); got != want {
			t.Fatalf("%s: got %+v, want %+v", text, got, want)
		}
		choice := Choose(s)
		for i := range s.Candidates {
			if got, want := back.Why(choice, i), s.Why(choice, i); got != want || got == "" {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	}
}

// A snapshot of real healths too goes through JSON unchanged.
func TestReplayOfHealths(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	all := make([]*Health, 4)
	for i := range all {
		all[i] = NewHealth(Prior{Tier: i / 2, Price: 1 + r.Float64(), Failure: r.Float64() * 0.6}, begin, r.Float64)
	}
	now := begin
	for range 3000 {
		now = now.Add(time.Duration(r.Int64N(int64(second))))
		h := all[r.IntN(len(all))]
		switch r.IntN(6) {
		case 0, 1:
			h.Content(now, Streamed, time.Duration(r.Int64N(int64(3*second))))
		case 2:
			h.Failed(now)
		case 3:
			h.Limited(now)
		case 4:
			h.Headroom(now, r.Float64())
		case 5:
			if h.ClaimTrial(now, false) {
				h.Probed(now, Streamed, second)
			}
		}
		s := Snapshot{Trials: r.IntN(2) == 0, Left: 10 * second, LocalMean: second, GenMean: second}
		for _, h := range all {
			s.Candidates = append(s.Candidates, Candidate{State: h.State(now, Streamed)})
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back Snapshot
		if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, s) || Choose(back) != Choose(s) || back.Resort() != s.Resort() {
			t.Fatalf("%s: got %+v, %v", text, back, err)
		}
	}
}

func TestChoiceIsAllowed(t *testing.T) {
	t.Parallel()
	chosen, trials := 0, 0
	anySnapshots(t, func(s Snapshot) {
		choice := Choose(s)
		if choice.Trial {
			trials++
		}
		for _, i := range []int{choice.Index, choice.Reserve} {
			if i < 0 {
				continue
			}
			chosen++
			c := s.Candidates[i]
			isTrial := i == choice.Index && choice.Trial
			if c.Tried || c.BlockedFor > 0 || c.Against != "" || c.Local || c.Breaker == Open && !isTrial || isTrial && !s.Trials {
				t.Errorf("%+v: got %+v", s, choice)
			}
		}
	})
	if chosen < 10_000 || trials < 1000 {
		t.Errorf("only %d choices and %d trials were checked", chosen, trials)
	}
}

// No usable endpoint of the breaker's position, rank and tier that is chosen scores less; and none of a better one is passed over.
func TestChoiceIsMinimal(t *testing.T) {
	t.Parallel()
	anySnapshots(t, func(s Snapshot) {
		s.Trials = false
		choice := Choose(s)
		for i := range s.Candidates {
			c := &s.Candidates[i]
			if c.Tried || c.BlockedFor > 0 || c.Against != "" || c.Local || c.Breaker == Open {
				continue
			}
			if choice.Index < 0 {
				t.Errorf("%+v: got none, want %d", s, i)
				return
			}
			best := &s.Candidates[choice.Index]
			switch {
			case best.Breaker != c.Breaker:
				if best.Breaker != Closed {
					t.Errorf("%+v: got %+v, want the closed %d", s, choice, i)
				}
			case best.Rank != c.Rank:
				if best.Rank > c.Rank {
					t.Errorf("%+v: got %+v, want the rank of %d", s, choice, i)
				}
			case best.Tier != c.Tier:
				if best.Tier > c.Tier {
					t.Errorf("%+v: got %+v, want the tier of %d", s, choice, i)
				}
			case best.cost() > c.cost():
				t.Errorf("%+v: got %+v, want %d", s, choice, i)
			}
		}
	})
}

func TestWhy(t *testing.T) {
	t.Parallel()
	named := func(name string, c Candidate) Candidate { c.Name = name; return c }
	rests := sound(100, open, func(c *Candidate) { c.Consecutive, c.LastOK, c.ProbeIn = 4, 12*second, 1500*ms })
	s := Snapshot{Candidates: []Candidate{
		named("best", sound(500)),
		named("dear", sound(300, priced(2), left(0.1), affine)),
		named("slow", sound(900, failing(0.5))),
		named("backup", sound(500, tier(1))),
		named("rests", rests),
		named("suspect", sound(500, suspect)),
		named("limited", sound(500, blockedFor(3*second))),
		named("elsewhere", sound(500, against)),
		named("tried", sound(500, tried)),
		named("here", sound(500, local)),
		named("abroad", sound(500, rank(1))),
		named("trying", sound(500, open, probing)),
	}}
	for i, want := range []string{
		"tier 0; score 0.54 s: 0.50 to answer, 0.04 for 2 % failures; against 0.49 s of dear",
		"tier 0; score 0.49 s: 0.30 to answer, 0.04 for 2 % failures, 0.50 for its price, 0.15 since 10 % of its limits are left, " +
			"less 0.50 since it served this conversation last",
		"tier 0; score 1.90 s: 0.90 to answer, 1.00 for 50 % failures; against 0.49 s of dear",
		"tier 1, while dear of tier 0 can be asked",
		"open after 4 failures in a row, answered 12s ago, the next probe is due in 1.5s",
		"suspect, the next probe is due in 1s",
		"rate-limited for another 3s",
		"serves CN only",
		"was asked already",
		"local, the last resort",
		"dear goes before it for this client",
		"open, a probe is under way",
	} {
		if got := s.Why(Choose(s), i); got != want {
			t.Errorf("%s: got %q, want %q", s.Candidates[i].Name, got, want)
		}
	}
	only := Snapshot{Candidates: []Candidate{named("best", sound(500)), named("ill", sound(100, open, due))}, Trials: true}
	for i, want := range []string{
		"the reserve of ill: tier 0; score 0.54 s: 0.50 to answer, 0.04 for 2 % failures",
		"tried in the place of a probe: open, a probe is due",
	} {
		if got := only.Why(Choose(only), i); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := s.Why(Choice{Index: -1, Reserve: -1}, 99); got != "not a candidate" {
		t.Errorf("got %q", got)
	}
}

func TestWhyOfAResort(t *testing.T) {
	t.Parallel()
	s := Snapshot{Left: 20 * second, Candidates: []Candidate{sound(500, tried, failing(0.3)), sound(400, blockedFor(5*second)), sound(600, tried)}}
	r := s.Resort()
	for i, want := range []string{"score 1.10 s", "rate-limited for another 5s", "tier 0; score 0.64 s"} {
		if got := s.Why(r.Choice, i); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	s.Candidates[0].Against, s.Candidates[2].Against = "its key was disabled", "its key was disabled"
	if got := s.Why(s.Resort().Choice, 1); got != "waited for: rate-limited for another 5s" {
		t.Errorf("got %q", got)
	}
}

func BenchmarkChoose(b *testing.B) {
	s := Snapshot{Candidates: make([]Candidate, 10)}
	for i := range s.Candidates {
		s.Candidates[i] = sound(time.Duration(1000-50*i), tier(i/4), left(0.1))
	}
	trials := Snapshot{Candidates: append(append([]Candidate{}, s.Candidates[:9]...), sound(900, open, due)), Trials: true}
	none := Snapshot{Left: 10 * second}
	for range 10 {
		none.Candidates = append(none.Candidates, sound(500, open, tried))
	}
	b.Run("Choose", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Choose(s)
		}
	})
	b.Run("Trial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Choose(trials)
		}
	})
	b.Run("Resort", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			none.Resort()
		}
	})
	b.Run("Why", func(b *testing.B) {
		choice := Choose(s)
		b.ReportAllocs()
		for b.Loop() {
			s.Why(choice, 3)
		}
	})
}

func TestHurry(t *testing.T) {
	t.Parallel()
	soon := func(c *Candidate) { c.ProbeIn, c.UrgentIn = 8*second, second }
	for name, c := range map[string]struct {
		candidates []Candidate
		want       bool
	}{
		"one is closed":           {[]Candidate{sound(500), sound(500, open, soon)}, false},
		"one is suspect":          {[]Candidate{sound(500, suspect), sound(500, open, soon)}, false},
		"one was tried":           {[]Candidate{sound(500, tried), sound(500, open, soon)}, false},
		"all are open":            {[]Candidate{sound(500, open, soon), sound(500, open, soon)}, true},
		"the other is blocked":    {[]Candidate{sound(500, blockedFor(9*second)), sound(500, open, soon)}, true},
		"the other is forbidden":  {[]Candidate{sound(500, against), sound(500, open, soon)}, true},
		"the other is local":      {[]Candidate{sound(500, local), sound(500, open, soon)}, true},
		"a trial that is not due": {[]Candidate{sound(500, open, func(c *Candidate) { c.ProbeIn, c.UrgentIn = 8*second, 7*second })}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Snapshot{Candidates: c.candidates, Trials: true}
			last := &s.Candidates[len(s.Candidates)-1]
			want, before := last.UrgentIn, last.ProbeIn
			if !c.want {
				want = before
			}
			if s.Hurry(); s.Urgent != c.want || last.ProbeIn != want {
				t.Errorf("got %v and a probe in %v, want %v and %v", s.Urgent, last.ProbeIn, c.want, want)
			}
		})
	}
}
