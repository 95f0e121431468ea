package holdfast_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

// outcome is what became of a request.
type outcome struct {
	answered bool
	first    time.Duration // until the first content
	by       *site         // that answered; of the client the one that was asked first, nil for none
	cloud    int           // attempts at sites that are not local
	local    int
	wasted   int    // answers that were begun at clouds and came second
	wrong    string // what must not happen, and did

	// The oracle's way: when to ask, and how many refusals there are to be before.
	start    time.Duration
	refusals int
}

// oracle is one that knows the world and not its future answers' lengths: it asks, of the sites that will answer in time, the one that is
// expected to do so soonest, price included; local ones only if no other can be asked at once, and if they are expected to be sooner.
//
// It knows the mood of each site at any time, also the next ones; which requests chance refuses, whose answers it breaks, and which come too
// late; what is left of each rate limit, and when one of the slots of a local model that the process has is free. A refusal costs it the time
// that refusals take, since whoever asks must hear of it. What it does not know is which of two answers comes first, and it asks one site
// at a time: so its TTFT is what the best site offers, and a client that hedges may be quicker. It serves requests in the order of arrival.
type oracle struct {
	*world
	buckets []bucket
	slots   [][]time.Duration // by process: when each is free
}

func (w *world) foresee() []outcome {
	o := &oracle{world: w, buckets: make([]bucket, len(w.sites)), slots: make([][]time.Duration, w.crowd())}
	for i := range o.slots {
		o.slots[i] = make([]time.Duration, w.share())
	}
	list := make([]outcome, len(w.arrivals))
	for i, a := range w.arrivals {
		list[i] = o.serve(i, a)
	}
	return list
}

// plan is a way to serve a request.
type plan struct {
	outcome
	cost time.Duration
	ends time.Duration // since the beginning
	slot int
}

func (o *oracle) serve(n int, a arrival) outcome {
	var best plan
	atOnce := false
	for _, s := range o.sites {
		if s.local && atOnce {
			continue
		}
		p, ok := o.plan(s, n, a)
		if !ok {
			continue
		}
		atOnce = atOnce || p.start == 0
		if best.by == nil || p.cost < best.cost {
			best = p
		}
	}
	s := best.by
	switch {
	case s == nil:
	case s.local:
		o.slots[a.process][best.slot] = best.ends
	case s.mood(a.at+best.start).limit > 0:
		o.buckets[s.index].tokens -= float64(1 + best.refusals)
	}
	return best.outcome
}

// plan finds when and how a site can answer a request, if it can in time.
func (o *oracle) plan(s *site, n int, a arrival) (plan, bool) {
	p := plan{outcome: outcome{answered: true, by: s, cloud: 1}}
	at, ok := o.open(s, a)
	if !ok {
		return p, false
	}
	m := s.mood(at)
	if s.local {
		slots := o.slots[a.process]
		for i := range slots {
			if slots[i] < slots[p.slot] {
				p.slot = i
			}
		}
		at, p.cloud, p.local = max(at, slots[p.slot]), 0, 1
	}
	if m.limit > 0 {
		b := &o.buckets[s.index]
		b.refill(at, m)
		at += b.until(1)
	}
	f := o.fate(s, n, 0)
	for f.overload < m.overload && p.refusals < maxRefusals {
		p.refusals++
		f, m = o.fate(s, n, p.refusals), s.mood(at+time.Duration(p.refusals)*refusalTime)
	}
	if m.outage != none || f.overload < m.overload || f.isCut(m) || f.isStalled(m) {
		return p, false
	}
	p.start = at - a.at
	heard := time.Duration(p.refusals) * refusalTime
	p.first = p.start + heard + m.slowed(f.first)
	p.ends = a.at + p.first + f.whole()
	p.cost = p.start + heard + m.slowed(s.median) + time.Duration((s.price-1)*float64(time.Second)/2)
	return p, p.ends <= a.at+requestTime
}

// maxRefusals bounds how often the oracle asks one site, as a client is bounded.
const maxRefusals = 7

// open returns from when on a site takes the request.
func (o *oracle) open(s *site, a arrival) (time.Duration, bool) {
	const behind = time.Millisecond // the turn of the mood
	if o.censors(a.process, s, a.at) {
		return 0, false
	}
	isOpen := func(m mood) bool { return m.outage == none && m.overload < 1 }
	if isOpen(s.mood(a.at)) {
		return a.at, true
	}
	for _, next := range s.script {
		if next.from > a.at && isOpen(next.mood) {
			return next.from + behind, next.from+behind < a.at+requestTime
		}
	}
	return 0, false
}

// figures are what is judged.
type figures struct {
	requests, within int // all, and those within the window
	answered, could  int // of those within, by the client and by the oracle
	p99, best        time.Duration
	attempts, inside float64 // at clouds for each request: of all, and of those within the window
	local            int
	wasted           float64 // share of the answers
	probes           int
	shift, back      time.Duration // negative: not at all
	worst, beyond    float64       // how many points the worst process is below the mean, and of those beyond what chance explains
}

func (w *world) isWithin(i int) bool {
	return w.arrivals[i].at >= w.onset && w.arrivals[i].at < w.recovery
}

func (w *world) figures(got, could []outcome, probes int) figures {
	f := figures{requests: len(got), probes: probes, p99: p99(got), best: p99(could)}
	all, inside, wasted, answered := 0, 0, 0, 0
	for i, o := range got {
		all += o.cloud
		f.local += o.local
		wasted += o.wasted
		answered += one(o.answered)
		if !w.isWithin(i) {
			continue
		}
		f.within++
		inside += o.cloud
		f.answered += one(o.answered)
		f.could += one(could[i].answered)
	}
	f.attempts, f.inside = float64(all)/float64(len(got)), float64(inside)/float64(max(1, f.within))
	f.wasted = float64(wasted) / float64(max(1, answered))
	f.shift, f.back = w.shifts(got)
	f.worst, f.beyond = w.unfairness(got)
	return f
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// p99 is of the times to the first content of all requests that were answered.
func p99(list []outcome) time.Duration {
	var times []time.Duration
	for _, o := range list {
		if o.answered {
			times = append(times, o.first)
		}
	}
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[int(math.Ceil(0.99*float64(len(times))))-1]
}

const (
	leftShare  = 0.05 // of the first attempts that ill sites had before, so much may go there yet once they are left
	backShare  = 0.8  // and so much must go there again once they are back
	sampleSize = 40   // requests that tell of it
)

// shifts measures how long after the onset it is until no more than a rest of the first attempts goes to the ill sites, neither of the next ones
// nor of all that follow in the window; and how long after they are well until most do.
func (w *world) shifts(got []outcome) (shift, back time.Duration) {
	if len(w.ill) == 0 {
		return -1, -1
	}
	ill := make([]int, len(got)+1) // among the requests before each
	for i, o := range got {
		ill[i+1] = ill[i] + one(o.by != nil && slices.Contains(w.ill, o.by.name))
	}
	share := func(from, to int) float64 { return float64(ill[to]-ill[from]) / float64(max(1, to-from)) }
	from := func(at time.Duration) int {
		i, _ := slices.BinarySearchFunc(w.arrivals, at, func(a arrival, at time.Duration) int { return cmp.Compare(a.at, at) })
		return i
	}
	begun, over, well := from(w.onset), from(w.recovery), from(w.well)
	usual := share(0, begun)
	shift, back = -1, -1
	for i := begun; i+sampleSize <= over && shift < 0; i++ {
		if max(share(i, i+sampleSize), share(i, over)) <= leftShare*usual {
			shift = w.arrivals[i].at - w.onset
		}
	}
	for i := well; i+sampleSize <= len(got) && back < 0; i++ {
		if share(i, i+sampleSize) >= backShare*usual {
			back = w.arrivals[i].at - w.well
		}
	}
	return shift, back
}

// unfairness is by how many percentage points the worst process is less available within the window than all of them are. beyond is without
// what chance does to so few requests: three standard deviations, or one request.
func (w *world) unfairness(got []outcome) (worst, beyond float64) {
	all, failed := make([]int, w.crowd()), make([]int, w.crowd())
	n, bad := 0, 0
	for i, o := range got {
		if w.isWithin(i) {
			all[w.arrivals[i].process]++
			failed[w.arrivals[i].process] += one(!o.answered)
			n, bad = n+1, bad+one(!o.answered)
		}
	}
	mean := float64(bad) / float64(max(1, n))
	for p, here := range all {
		if here == 0 {
			continue
		}
		expected := mean * float64(here)
		more := float64(failed[p]) - expected
		worst = max(worst, 100*more/float64(here))
		beyond = max(beyond, 100*(more-max(1, 3*math.Sqrt(expected*(1-mean))))/float64(here))
	}
	return worst, beyond
}

// goals are what a scenario demands. What is zero is not demanded.
type goals struct {
	available float64 // share of what the oracle answers of the requests within the window
	first     float64 // the p99 of the time to the first content, as a factor of the oracle's
	attempts  float64 // at clouds, for each request
	dead      float64 // at clouds, for each request within the window
	shifts    bool    // to others within 5 s, and back within 60 s
	wasted    float64 // answers begun in vain at clouds, as a share of all; 0 means usualWaste
	spread    float64 // percentage points that the worst process may be below the mean
}

// usualWaste is how many answers may be begun in vain: attempts at endpoints that were well and came second, each counted as a whole answer, though it
// costs but its prompt where it is cancelled before its first content.
const usualWaste = 0.01

// few is the share below which the requests that are answered are so few that chance decides on one in ten of them: three standard deviations are allowed.
const few = 0.9

// missed lists the goals that the figures miss. Of failures, one more than the oracle's is always allowed: with some two thousand requests within
// a window, a single one is as much as the ten thousandth parts that the goals speak of.
func (w *world) missed(f figures) (list []string) {
	g := w.goals
	miss := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	allowed := max(1, int((1-g.available)*float64(f.could)))
	if g.available < few {
		allowed += int(3 * math.Sqrt(float64(f.could)*g.available*(1-g.available)))
	}
	if f.answered < f.could-allowed {
		miss("answered %d of %d within the window, want %d: %.2f %% of the oracle's %d", f.answered, f.within, f.could-allowed, 100*g.available, f.could)
	}
	if ratio := f.p99.Seconds() / f.best.Seconds(); g.first > 0 && ratio > g.first {
		miss("TTFT p99 %.2f s, %.2f times the oracle's %.2f s, want %.2f", f.p99.Seconds(), ratio, f.best.Seconds(), g.first)
	}
	if g.attempts > 0 && f.attempts > g.attempts {
		miss("%.3f attempts per request, want %.2f", f.attempts, g.attempts)
	}
	if g.dead > 0 && f.inside > g.dead {
		miss("%.3f attempts per request within the window, want %.2f", f.inside, g.dead)
	}
	if most := cmp.Or(g.wasted, usualWaste); f.wasted > most {
		miss("%.2f %% of the answers were begun in vain, want %.1f %%", 100*f.wasted, 100*most)
	}
	if most := w.mostProbes(); g.dead > 0 && f.probes > most {
		miss("%d probes, want %d: one per endpoint and backoff", f.probes, most)
	}
	if g.shifts && (f.shift < 0 || f.shift > 5*time.Second) {
		miss("shifted away after %s, want 5 s", seconds(f.shift))
	}
	if g.shifts && (f.back < 0 || f.back > time.Minute) {
		miss("shifted back after %s, want a minute", seconds(f.back))
	}
	if f.beyond > g.spread {
		miss("the worst process is %.2f points below the mean, %.2f of them not by chance, want %.1f", f.worst, f.beyond, g.spread)
	}
	return list
}

// mostProbes is how many probes there may be where every endpoint is dead: the backoff is ten seconds once it was doubled a few times, less
// a quarter by chance.
func (w *world) mostProbes() int {
	const first, backoff = 5, 7500 * time.Millisecond
	return w.crowd() * len(w.clouds()) * (first + int((w.recovery-w.onset)/backoff))
}

func seconds(d time.Duration) string {
	if d < 0 {
		return "never"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

const figuresHead = "scenario                         requests  window  answered    oracle  TTFT p99   oracle  attempts  inside  wasted  local  probes  worst    shift     back"

// row is a line of the table: requests, and those of them within the window; which share of those was answered; attempts per request, of all and
// of those within the window; which share of answers was begun in vain; how often the local model was asked; probes; how far the worst process is
// below the mean, in points; and how long the shift away from the ill endpoints took, and the one back.
func (w *world) row(f figures) string {
	percent := func(n int) string { return fmt.Sprintf("%.2f %%", 100*float64(n)/float64(max(1, f.within))) }
	shift, back := "-", "-"
	if len(w.ill) > 0 {
		shift, back = seconds(f.shift), seconds(f.back)
	}
	return fmt.Sprintf("%s %-30s %8d %7d %9s %9s %7.2f s %6.2f s %9.3f %7.3f %5.2f %% %6d %7d %6.2f %8s %8s", w.key, w.name, f.requests, f.within,
		percent(f.answered), percent(f.could), f.p99.Seconds(), f.best.Seconds(), f.attempts, f.inside, 100*f.wasted, f.local, f.probes, f.worst, shift, back)
}

// judge compares what the client did with what the oracle would have done, and returns the row of the table, with the goals that are missed.
func (w *world) judge(t *testing.T, got []outcome, probes int) string {
	t.Helper()
	f := w.figures(got, w.foresee(), probes)
	wrong := 0
	for i, o := range got {
		if o.wrong == "" {
			continue
		}
		if wrong++; wrong <= 5 {
			t.Errorf("request %d at %v: %s", i, w.arrivals[i].at, o.wrong)
		}
	}
	if wrong > 5 {
		t.Errorf("and %d more", wrong-5)
	}
	row := w.row(f)
	t.Log("\n" + figuresHead + "\n" + row)
	for _, m := range w.missed(f) {
		t.Error(m)
		row += "\n    " + m
	}
	return row
}
