package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// A result is one contender in one scenario.
type result struct {
	scenario     scenario
	dialect      dialect
	contender    string
	ratio        float64 // CPU time per request, floor's taken as 1
	low, high    float64 // the least and greatest ratio of a round
	cpu          float64 // µs per request
	allocs       float64 // per request
	bytes        float64 // per request
	floorCPU     float64
	floorAllocs  float64
	floorBytes   float64
	measuredSize int // rounds
}

func newResult(s scenario, d dialect, c contender, base, it *side) result {
	ratios := it.ratios(base)
	return result{
		scenario: s, dialect: d, contender: c.name,
		ratio: median(ratios), low: slices.Min(ratios), high: slices.Max(ratios), measuredSize: len(ratios),
		cpu: it.median(cost.cpuPerOp) / 1e3, allocs: it.median(cost.allocsPerOp), bytes: it.median(cost.bytesPerOp),
		floorCPU: base.median(cost.cpuPerOp) / 1e3, floorAllocs: base.median(cost.allocsPerOp), floorBytes: base.median(cost.bytesPerOp),
	}
}

// resultTable collects results; benchmarks run one after another.
type resultTable []result

var results resultTable

func (t *resultTable) add(r result) { *t = append(*t, r) }

var columns = []string{
	"scenario", "wire", "client", "CPU × floor", "(range)", "CPU µs", "floor", "allocs", "floor", "KB", "floor", "allocs/chunk",
}

func (r result) row() []string {
	chunk := ""
	if n := r.scenario.chunks; n > 0 {
		chunk = fmt.Sprintf("%.3f", r.allocs/float64(n))
	}
	return []string{
		r.scenario.name, string(r.dialect), r.contender,
		fmt.Sprintf("%.2f", r.ratio), fmt.Sprintf("%.2f–%.2f", r.low, r.high),
		fmt.Sprintf("%.0f", r.cpu), fmt.Sprintf("%.0f", r.floorCPU),
		fmt.Sprintf("%.0f", r.allocs), fmt.Sprintf("%.0f", r.floorAllocs),
		fmt.Sprintf("%.1f", r.bytes/1e3), fmt.Sprintf("%.1f", r.floorBytes/1e3),
		chunk,
	}
}

// print writes the table, if there is one, for people to read or as Markdown.
func (t resultTable) print(w io.Writer, markdown bool) {
	if len(t) == 0 {
		return
	}
	if markdown {
		fmt.Fprintf(w, "\n| %s |\n|---|---|---|%s\n", strings.Join(columns, " | "), strings.Repeat("---:|", len(columns)-3))
		for _, r := range t {
			fmt.Fprintf(w, "| %s |\n", strings.Join(r.row(), " | "))
		}
		return
	}
	fmt.Fprintf(w, "\nCPU time per request, floor taken as 1 (median of %d rounds):\n\n", t[0].measuredSize)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, strings.Join(columns, "\t")+"\t")
	for _, r := range t {
		fmt.Fprintln(tw, strings.Join(r.row(), "\t")+"\t")
	}
	tw.Flush() //nolint:errcheck // standard output
}
