package bench

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

var (
	markdown = flag.Bool("markdown", false, "print the table at the end as Markdown")
	control  = flag.Bool("control", false, "compare floor with itself, to see the noise")
)

func TestMain(m *testing.M) {
	if os.Getenv(upstreamVariable) != "" {
		serveUpstream()
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	flag.Parse()
	if !given("test.benchtime") {
		flag.Set("test.benchtime", "7x") //nolint:errcheck // a value of the flag's own form
	}
	stop, err := startUpstream()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot start the upstream:", err)
		return 1
	}
	defer stop()
	code := m.Run()
	results.print(os.Stdout, *markdown)
	return code
}

func given(name string) (found bool) {
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// BenchmarkClients compares each contender with floor. One iteration is one round: both sides for about the same CPU time,
// in four shifts, so that what the machine does meanwhile meets both alike. The ratio is the median over the rounds:
// -benchtime=25x is a closer look.
func BenchmarkClients(b *testing.B) {
	compared := contenders
	if *control {
		compared = []contender{floor}
	}
	for _, s := range scenarios {
		for _, d := range dialects {
			for _, c := range compared {
				if c.speaks(d) {
					b.Run(s.name+"/"+string(d)+"/"+c.name, func(b *testing.B) { compare(b, s, d, c) })
				}
			}
		}
	}
}

func compare(b *testing.B, s scenario, d dialect, c contender) {
	base, err := newSide(b.Context(), s, d, floor)
	if err != nil {
		b.Fatal("floor: ", err)
	}
	defer base.stop()
	it, err := newSide(b.Context(), s, d, c)
	if err != nil {
		b.Fatal(err)
	}
	defer it.stop()
	for b.Loop() {
		base.done, it.done = append(base.done, cost{}), append(it.done, cost{})
		for _, side := range []*side{base, it, it, base} {
			if err := side.shift(); err != nil {
				b.Fatal(err)
			}
		}
	}
	r := newResult(s, d, c, base, it)
	b.ReportMetric(0, "ns/op") // of a round: means nothing
	b.ReportMetric(r.ratio, "cpu-x-floor")
	b.ReportMetric(r.cpu, "cpu-µs/req")
	b.ReportMetric(r.allocs, "allocs/req")
	b.ReportMetric(r.bytes, "B/req")
	if s.chunks > 0 {
		b.ReportMetric(r.allocs/float64(s.chunks), "allocs/chunk")
	}
	results.add(r)
}
