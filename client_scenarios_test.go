package holdfast_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
)

var updateScenarios = flag.Bool("update-scenarios", false, "write testdata/scenarios/table.txt anew; no test compares it")

// scenario is an outage as services live through it: a calm, the window in which things go wrong, and what comes after.
type scenario struct {
	key, name           string
	rate                float64 // requests per second of all processes together, without regard for answers
	processes           int     // each with a client of its own; 0 means 4
	calm, window, after time.Duration
	noLocal             bool
	slots               int          // answers that the local model gives at once; 0 means 32
	censor              string       // a site that the first process cannot reach within the window
	happens             func(*world) // what goes wrong
	ill                 []string     // sites that requests are to shift away from
	goals               goals
}

func (s *scenario) crowd() int { return cmp.Or(s.processes, 4) }

// censors reports whether the way from a process to a site is closed.
func (w *world) censors(process int, s *site, at time.Duration) bool {
	return w.censor == s.name && process == 0 && at >= w.onset && at < w.recovery
}

const (
	second = time.Second
	minute = time.Minute
)

// scenarios are the twenty of the specification of the routing, in its order, with its goals.
var scenarios = []*scenario{
	// The cheapest endpoint is up for a tenth of the time, the others fail now and then: each has its own good and bad spells.
	{
		key: "a", name: "up 10/98/95/99.9 %", rate: 3, calm: minute, window: 13 * minute,
		happens: func(w *world) {
			w.alternates("primary", mood{overload: 1}, 20*second, 180*second)
			w.alternates("second", mood{overload: 1}, 490*second, 10*second)
			w.alternates("third", mood{overload: 1}, 190*second, 10*second)
			w.alternates("fourth", mood{overload: 1}, 999*second, 1*second)
		},
		goals: goals{available: 0.9995, first: 1.15, attempts: 1.05, spread: 0.1},
	},
	// The best endpoint takes requests and answers none, for ten minutes.
	{
		key: "b", name: "primary black hole", rate: 4, calm: minute, window: 10 * minute, after: 2 * minute,
		happens: func(w *world) { w.during(mood{outage: blackHole}, "primary") },
		ill:     []string{"primary"},
		goals:   goals{available: 0.9995, first: 1.15, attempts: 1.05, shifts: true, spread: 0.1},
	},
	// The best endpoint refuses three requests of ten.
	{
		key: "c", name: "brown-out, 30 % 529", rate: 3, calm: minute, window: 10 * minute, after: 2 * minute,
		happens: func(w *world) { w.during(mood{overload: 0.3}, "primary") },
		ill:     []string{"primary"},
		goals:   goals{available: 0.9995, first: 1.15, attempts: 1.05, spread: 0.1},
	},
	// The best endpoint answers everything, but its first content takes ten times as long.
	{
		key: "d", name: "gray failure, TTFT x10", rate: 5, calm: minute, window: 7 * minute, after: 2 * minute,
		happens: func(w *world) { w.during(mood{slow: 10}, "primary") },
		ill:     []string{"primary"},
		goals:   goals{available: 0.9995, first: 1.15, attempts: 1.05, shifts: true, spread: 0.1},
	},
	// For one of the processes the name of the best endpoint is gone, and what it sends on old connections is reset.
	{
		key: "e", name: "one country: DNS/TLS", rate: 3, calm: minute, window: 10 * minute, after: 2 * minute,
		censor: "primary",
		goals:  goals{available: 0.9995, first: 1.15, attempts: 1.05, spread: 0.1},
	},
	// The best endpoint lets through less than half of what is asked of it. It says so in its headers and by 429.
	{
		key: "f", name: "rate-limit squeeze", rate: 3, calm: minute, window: 10 * minute, after: 2 * minute,
		happens: func(w *world) { w.during(mood{limit: 0.4 * w.rate}, "primary") },
		goals:   goals{available: 0.9995, first: 1.15, attempts: 1.15, spread: 0.1},
	},
	// No endpoint but the local model answers, and that takes only so many requests at once.
	{
		key: "g", name: "all cloud down, local only", rate: 4.8, calm: minute, window: 8 * minute, after: minute, slots: 24,
		happens: func(w *world) {
			w.during(mood{overload: 1}, "primary", "fourth")
			w.during(mood{outage: refusing}, "second")
			w.during(mood{outage: blackHole}, "third")
		},
		ill:   []string{"primary", "second", "third", "fourth"},
		goals: goals{available: 0.99, first: 2, dead: 0.1, spread: 0.5},
	},
	// The best endpoint comes and goes every half a minute.
	{
		key: "h", name: "flapping, 30 s", rate: 3, calm: minute, window: 12 * minute,
		happens: func(w *world) {
			for at := w.onset; at < w.recovery; at += minute {
				w.site("primary").turns(at, mood{outage: refusing}).turns(at+30*second, mood{})
			}
		},
		goals: goals{available: 0.9995, first: 1.15, attempts: 1.05, spread: 0.1},
	},
	// One answer of twenty breaks off or falls silent in the middle, wherever it comes from.
	{
		key: "i", name: "5 % mid-stream cuts and stalls", rate: 3, calm: minute, window: 10 * minute, after: 2 * minute,
		happens: func(w *world) {
			w.during(mood{cut: 0.025, stall: 0.025}, "primary", "second", "third", "fourth")
		},
		goals: goals{available: 0.9995, first: 1.15, attempts: 1.15, spread: 0.1, wasted: 0.05},
	},
	// The two best endpoints share what fails: they refuse connections at once.
	{
		key: "j", name: "correlated outage of two", rate: 8, calm: minute, window: 3 * minute, after: 2 * minute,
		happens: func(w *world) { w.during(mood{outage: refusing}, "primary", "second") },
		ill:     []string{"primary", "second"},
		goals:   goals{available: 0.9995, first: 1.15, attempts: 1.05, shifts: true, spread: 0.1},
	},
	// So few requests come that there is little to learn from. The best endpoint is a black hole for an hour and a half.
	{
		key: "k", name: "0.2 RPS", rate: 0.2, calm: 40 * minute, window: 90 * minute, after: 60 * minute,
		happens: func(w *world) { w.during(mood{outage: blackHole}, "primary") },
		ill:     []string{"primary"},
		goals:   goals{available: 0.999, first: 1.3, attempts: 1.05, spread: 0.1, wasted: 0.015},
	},
	// The best endpoint fails while much is asked, and takes only some of it at first when it comes back.
	{
		key: "l", name: "thundering recovery", rate: 8, calm: minute, window: 2 * minute, after: 3 * minute,
		happens: func(w *world) { w.recoversSlowly(minute) },
		ill:     []string{"primary"},
		goals:   goals{available: 0.9995, first: 1.15, attempts: 1.05, shifts: true, spread: 0.1},
	},
	// All endpoints but the local one take five times as long to their first content.
	{
		key: "m", name: "all slow x5", rate: 3, calm: 3 * minute, window: 6 * minute, after: 3 * minute,
		happens: func(w *world) { w.during(mood{slow: 5}, "primary", "second", "third", "fourth") },
		goals:   goals{available: 0.999, first: 1.15, spread: 0.1, wasted: 0.25},
	},
	// The best endpoint cannot be reached from the first request on: its packets are dropped.
	{
		key: "n", name: "blocked from cold start", rate: 3, window: 13 * minute,
		happens: func(w *world) { w.during(mood{outage: swallowed}, "primary") },
		goals:   goals{available: 0.999, first: 1.15, spread: 0.1},
	},
	// Nothing answers, and there is no local model: what comes last can be saved by waiting. Each process sees one recovery only, and chance has
	// a part in when it notices: hence so many of them.
	{
		key: "o", name: "all down, no local", rate: 16, processes: 32, calm: 30 * second, window: 8 * minute, after: 30 * second, noLocal: true,
		happens: func(w *world) {
			w.during(mood{overload: 1}, "primary", "fourth")
			w.during(mood{outage: refusing}, "second")
			w.during(mood{outage: blackHole}, "third")
		},
		ill:   []string{"primary", "second", "third", "fourth"},
		goals: goals{available: 0.55, dead: 0.1, spread: 0.5},
	},
	// All endpoints together let through nine of ten requests.
	{
		key: "p", name: "load above all limits", rate: 6, calm: minute, window: 6 * minute, after: minute,
		happens: func(w *world) {
			for name, share := range map[string]float64{"primary": 0.3, "second": 0.25, "third": 0.2, "fourth": 0.15} {
				w.during(mood{limit: share * w.rate}, name)
			}
		},
		goals: goals{available: 0.999, first: 1.15, attempts: 1.15, spread: 0.1},
	},
	// Prompts are so long that the first content takes two seconds, and the best endpoint is a black hole for ten minutes.
	{
		key: "q", name: "long prompts + black hole", rate: 3, calm: minute, window: 10 * minute, after: 2 * minute,
		happens: func(w *world) {
			for _, s := range w.sites {
				s.median, s.sigma = 4*s.median, 0.2
			}
			w.during(mood{outage: blackHole}, "primary")
		},
		ill:   []string{"primary"},
		goals: goals{available: 0.9995, first: 1.15, spread: 0.1, wasted: 0.05},
	},
	// As l, with many processes that learn each by itself.
	{
		key: "r", name: "l with 40 processes", rate: 16, processes: 40, calm: 30 * second, window: minute, after: 2 * minute, slots: 160,
		happens: func(w *world) { w.recoversSlowly(30 * second) },
		ill:     []string{"primary"},
		goals:   goals{available: 0.9995, first: 1.15, spread: 0.1},
	},
	// The best endpoint fails, and each of the others lets through half of what forty processes ask for.
	{
		key: "s", name: "herding, 40 processes", rate: 16, processes: 40, calm: 30 * second, window: minute, after: minute, slots: 160,
		happens: func(w *world) {
			w.during(mood{overload: 1}, "primary")
			w.during(mood{limit: w.rate / 2}, "second", "third", "fourth")
		},
		ill:   []string{"primary"},
		goals: goals{available: 0.999, first: 1.15, spread: 0.1},
	},
	// Every endpoint refuses six requests of ten, and there is no local model.
	{
		key: "t", name: "60 % 529 everywhere, no local", rate: 6, calm: minute, window: 6 * minute, after: minute, noLocal: true,
		happens: func(w *world) { w.during(mood{overload: 0.6}, "primary", "second", "third", "fourth") },
		goals:   goals{available: 0.97, spread: 0.5},
	},
}

// recoversSlowly makes the primary fail within the window, and let through a fifth of the load, then half of it, for so long each.
func (w *world) recoversSlowly(step time.Duration) {
	w.well = w.recovery + 2*step
	w.site("primary").turns(w.onset, mood{overload: 1}).turns(w.recovery, mood{limit: w.rate / 5}).
		turns(w.recovery+step, mood{limit: w.rate / 2}).turns(w.well, mood{})
}

// TestScenarios plays the scenarios with the real client over memory, and holds what comes of them against what an oracle would have done in the
// same world. In every one of them, no text is doubled or lacks anything, no call makes more attempts than it may, and no goroutine is left.
//
// HOLDFAST_SCENARIOS=full plays each with five seeds, in windows three times as long.
func TestScenarios(t *testing.T) {
	t.Parallel()
	seeds, longer := 1, 1
	if os.Getenv("HOLDFAST_SCENARIOS") == "full" {
		seeds, longer = 5, 3
	}
	rows := make([]string, len(scenarios)*seeds)
	t.Run("each", func(t *testing.T) {
		for i, s := range scenarios {
			for seed := range seeds {
				t.Run(fmt.Sprintf("%s/%d", s.key, seed), func(t *testing.T) {
					t.Parallel()
					long := *s
					long.window *= time.Duration(longer)
					w := newWorld(&long, uint64(seed), 1)
					var got []outcome
					probes := 0
					synctest.Test(t, func(t *testing.T) { got, probes = w.play(t) })
					rows[i*seeds+seed] = w.judge(t, got, probes)
				})
			}
		}
	})
	rows = slices.DeleteFunc(rows, func(row string) bool { return row == "" }) // of what was not asked for
	table := figuresHead + "\n" + strings.Join(rows, "\n") + "\n"
	t.Log("\n" + table)
	if *updateScenarios {
		file := filepath.Join("testdata", "scenarios", "table.txt")
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(table), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

// play lets clients ask, each in its process, and returns what became of the requests and how many probes there were beside.
func (w *world) play(t *testing.T) (list []outcome, probes int) {
	p := newPerformance(w)
	clients := make([]*holdfast.Client, w.crowd())
	for i := range clients {
		c, err := p.client(i)
		if err != nil {
			t.Fatal(err)
		}
		clients[i] = c
	}
	list = make([]outcome, len(w.arrivals))
	p.perform(t.Context(), func(ctx context.Context, n int, a arrival) { list[n] = p.ask(ctx, clients[a.process], n) })
	for _, c := range clients {
		_ = c.Close()
	}
	p.network.Close()
	p.mu.Lock() // net/http may still be dialing for a probe that is over
	defer p.mu.Unlock()
	for i := range p.sites {
		probes += p.probes[i] + max(0, p.dials[i]-p.unsent[i])
	}
	return list, probes
}

// perform lets requests arrive and waits for all of them.
func (p *performance) perform(ctx context.Context, request func(ctx context.Context, n int, a arrival)) {
	directing, cancel := context.WithCancel(ctx)
	var requests, directors sync.WaitGroup
	for _, s := range p.sites {
		directors.Go(func() { p.direct(directing, s) })
	}
	for n, a := range p.arrivals {
		time.Sleep(a.at - p.now())
		requests.Go(func() { request(ctx, n, a) })
	}
	requests.Wait()
	cancel()
	directors.Wait()
}

// ask makes request n and looks at what comes.
func (p *performance) ask(ctx context.Context, client *holdfast.Client, n int) outcome {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	o := outcome{wrong: "ended with neither an answer nor an error"}
	begun := time.Now()
	want, text := strings.Join(story(n), ""), ""
	var trail holdfast.Trail
	req := &holdfast.ChatRequest{Messages: holdfast.Ask(question(n)), Rescue: holdfast.RescueAll}
	for event, err := range client.Stream(ctx, req) {
		var e *holdfast.Error
		switch {
		case errors.As(err, &e):
			trail, o.wrong = e.Trail, ""
			if !strings.HasPrefix(want, text) {
				o.wrong = fmt.Sprintf("broke off behind %q, want a beginning of %q", text, want)
			}
		case err != nil:
			o.wrong = fmt.Sprintf("got %v, want an Error", err)
		case event.Type == holdfast.EventReset:
			text = ""
		case event.Type == holdfast.EventEnd:
			trail, o.answered, o.wrong = event.Response.Trail, true, ""
			if whole := event.Response.Text(); text != want || whole != want {
				o.wrong = fmt.Sprintf("got %q, and %q in the end, want %q", text, whole, want)
			}
		}
		if text += event.Text(); o.first == 0 && text != "" {
			o.first = time.Since(begun)
		}
	}
	if took := time.Since(begun); took > requestTime+second {
		o.wrong = fmt.Sprintf("took %v, want %v at most", took, requestTime)
	}
	p.follow(trail, &o)
	return o
}

// follow counts the attempts that a request made.
func (p *performance) follow(trail holdfast.Trail, o *outcome) {
	const most = 8
	for i, a := range trail.Attempts {
		s := p.site(a.Endpoint)
		if i == 0 {
			o.by = s
		}
		if s.local {
			o.local++
		} else {
			o.cloud++
		}
		if a.Kind == holdfast.KindLost && !s.local && s.mood(p.now()).outage == none {
			o.wasted++
		}
		if !a.Sent {
			p.count(p.unsent, s)
		}
	}
	if o.cloud > most || o.local > most {
		o.wrong = fmt.Sprintf("%d attempts and %d at the local model, want %d at most", o.cloud, o.local, most)
	}
}

// TestOracle does what the oracle would do, with a client that only does as it is told, in shorter versions of the scenarios. What is foreseen comes
// true to the microsecond, so that the oracle and the servers live in the same world.
func TestOracle(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios {
		t.Run(s.key, func(t *testing.T) {
			t.Parallel()
			w := newWorld(s, 0, 0.05)
			foreseen := w.foresee()
			synctest.Test(t, func(t *testing.T) {
				p := newPerformance(w)
				defer p.network.Close()
				p.perform(t.Context(), func(ctx context.Context, n int, _ arrival) {
					want := foreseen[n]
					if !want.answered {
						return
					}
					got, err := p.obey(ctx, n, want)
					if err != nil || !got.answered || got.first.Round(time.Microsecond) != want.first.Round(time.Microsecond) || got.wrong != "" {
						t.Errorf("request %d at %v: got %+v, %v, want %+v by %s", n, w.arrivals[n].at, got, err, want, want.by.name)
					}
				})
			})
		})
	}
}

// obey makes request n in the foreseen way.
func (p *performance) obey(ctx context.Context, n int, plan outcome) (outcome, error) {
	begun := time.Now()
	time.Sleep(plan.start)
	for refusals := 0; ; refusals++ {
		waited := time.Since(begun)
		client, err := holdfast.New(holdfast.Config{
			Dial: p.network.Dial, Endpoints: []holdfast.Endpoint{p.endpoint(plan.by)}, Retry: holdfast.RetryPolicy{MaxAttempts: 1, NoHedge: true},
		})
		if err != nil {
			return outcome{}, err
		}
		got := p.ask(ctx, client, n)
		_ = client.Close()
		if got.first += waited; got.answered || refusals == plan.refusals {
			return got, nil
		}
	}
}
