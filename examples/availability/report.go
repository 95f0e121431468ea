package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// report is what was measured.
type report struct {
	world  *world
	rows   []row // of holdfast and of the oracle last
	probes int64 // of holdfast that reached an endpoint
}

// row is one way.
type row struct {
	name      string
	results   []outcome
	answered  float64 // the share of requests
	p50, p99  time.Duration
	perSecond float64 // answers
	attempts  float64 // per request
}

func (w *world) row(name string, results []outcome) row {
	r := row{name: name, results: results}
	var first []time.Duration
	for _, o := range results {
		if r.attempts += float64(o.attempts); o.from != nobody {
			first = append(first, o.first)
		}
	}
	slices.Sort(first)
	asked := float64(max(1, len(results)))
	r.answered, r.attempts = float64(len(first))/asked, r.attempts/asked
	r.p50, r.p99 = quantile(first, 0.5), quantile(first, 0.99)
	r.perSecond = float64(len(first)) / w.length.Seconds()
	return r
}

// quantile returns the smallest of sorted values that the share q of them does not exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

func (r *report) holdfast() row { return r.rows[len(r.rows)-2] }
func (r *report) oracle() row   { return r.rows[len(r.rows)-1] }

// goal is something that holdfast is to reach.
type goal struct {
	text, figure string
	holds        bool
}

func (r *report) goals() []goal {
	h, o := r.holdfast(), r.oracle()
	ratio := float64(h.p99) / float64(max(o.p99, 1))
	return []goal{
		{
			"availability at most 0.05 points below the oracle's",
			fmt.Sprintf("%+.2f points", 100*(h.answered-o.answered)), o.answered-h.answered <= 0.0005,
		},
		{"99th percentile of first content at most 1.15 times the oracle's", fmt.Sprintf("%.2f times", ratio), ratio <= 1.15},
		{"at most 1.05 attempts per request", fmt.Sprintf("%.3f", h.attempts), h.attempts <= 1.05},
	}
}

func (r *report) reached() bool {
	return !slices.ContainsFunc(r.goals(), func(g goal) bool { return !g.holds })
}

func (r *report) print(out io.Writer) {
	fmt.Fprintf(out, "%-25s %8s %10s %8s %8s %10s %10s\n", "", "", "", "first content:", "", "answers", "attempts")
	fmt.Fprintf(out, "%-25s %8s %10s %8s %8s %10s %10s\n", "", "up", "answered", "p50", "p99", "per second", "per request")
	for i, row := range r.rows {
		share := ""
		if i < len(endpoints) {
			share = percent(endpoints[i].up)
		}
		fmt.Fprintf(out, "%-25s %8s %10s %6.2f s %6.2f s %10.1f %10.2f\n",
			row.name, share, percent(row.answered), row.p50.Seconds(), row.p99.Seconds(), row.perSecond, row.attempts)
	}
	fmt.Fprintf(out, "\n%s\n%d probes of holdfast's reached an endpoint; they are not among the attempts.\n", r.distortion(), r.probes)
	fmt.Fprintln(out, "\nThe goals of holdfast:")
	for _, g := range r.goals() {
		verdict := "holds"
		if !g.holds {
			verdict = "does not hold"
		}
		fmt.Fprintf(out, "  %-13s  %s: %s\n", verdict, g.text, g.figure)
	}
}

func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }

// distortion tells what the machine itself added to the latencies of the world, by those who ask just once.
func (r *report) distortion() string {
	var added []time.Duration
	for i := range endpoints {
		for n, o := range r.rows[i].results {
			if o.from != nobody {
				added = append(added, o.first-r.world.first(i, uint64(r.world.unmeasured()+n)))
			}
		}
	}
	slices.Sort(added)
	p50, p99 := quantile(added, 0.5), quantile(added, 0.99)
	words := fmt.Sprintf("This machine added %.1f ms to the first content (p50; p99 %.1f ms).", milliseconds(p50), milliseconds(p99))
	if p99 > 50*time.Millisecond {
		words += " That is too much: the figures say little. A smaller -rate helps."
	}
	return words
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
