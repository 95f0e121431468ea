// Availability compares four ways to reach a model, each with outages of its own, with a loop over the four, with holdfast over the four, and
// with an oracle that always knows which of them is up:
//
//	go run ./examples/availability             in 2 minutes, of which 90 s count
//	go run ./examples/availability -fast       in 15 s
//
// It prints a table and draws availability.svg. The providers run in this process and answer over the loopback interface; there is no key.
// Every way asks the same requests at the same times, of providers that have the same outages at the same times and take the same time for
// the same request. Nothing else differs: who is asked when is all that is compared. An outage meets the requests that arrive in it;
// answers under way end well, so that an endpoint's share of answers is its share of the time. (What becomes of an answer that breaks
// off, examples/unbreakable shows.) What counts begins after a warm-up, so that no way is judged by its first request.
//
// Time is real. Holdfast acts by seconds of the real world: it hedges after what an endpoint usually takes, and asks one that is
// down again after 1 s to 10 s. A clock that ran faster would change what is compared, and turn the machine's own delays into seconds. So
// it is the world that is short: outages last seconds in place of minutes. Whoever needs a second to see that the endpoint in use fell
// silent pays forty times as much for that in 90 s as in an hour, and with some seeds it shows: one such outage is enough to make the
// 99th percentile that of the reserves. A test does without that. It takes the same code, client and providers and all, through an hour of
// fake time (testing/synctest, which only tests can have) in a minute or two:
//
//	go test -run FakeTime -v ./examples/availability -length 1h -plot hour.svg
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"time"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

func main() {
	s := settings{warmup: 10 * time.Second, deadline: 10 * time.Second, patience: 5 * time.Second}
	flag.Uint64Var(&s.seed, "seed", 1, "the outages, latencies and requests: others for each seed")
	flag.DurationVar(&s.length, "duration", 90*time.Second, "how long to measure, after a warm-up")
	flag.Float64Var(&s.rate, "rate", 30, "requests per second, along each way")
	file := flag.String("o", "availability.svg", "the file for the plot")
	fast := flag.Bool("fast", false, "hurry: measure 7s, with less patience")
	check := flag.Bool("check", false, "exit with 1 if a goal is missed")
	flag.Parse()
	if s.length <= 0 || s.rate <= 0 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if *fast {
		s.length, s.warmup, s.deadline, s.patience = 7*time.Second, 3*time.Second, 4*time.Second, 2*time.Second
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	reached, err := run(ctx, s, loopback(), os.Stdout, *file)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err != nil || *check && !reached {
		os.Exit(1)
	}
}

// loopback is the ground of a program. A test may have another.
func loopback() ground {
	return ground{
		open: func(string) *holdfasttest.Server { return holdfasttest.NewServer(holdfasttest.Claude) },
		dial: new(net.Dialer).DialContext,
	}
}

// run measures, prints a table and draws the plot. It reports whether holdfast reached its goals.
func run(ctx context.Context, s settings, g ground, out io.Writer, file string) (reached bool, err error) {
	w := newWorld(s)
	fmt.Fprintf(out, "%s with outages, after a warm-up of %s; %g requests per second along each way; seed %d.\n\n",
		brief(s.length), brief(s.warmup), s.rate, s.seed)
	r, err := w.measure(ctx, g)
	if err != nil {
		return false, err
	}
	r.print(out)
	fmt.Fprintf(out, "\nThe plot is in %s.\n", file)
	return r.reached(), os.WriteFile(file, r.plot(), 0o644)
}

// measure asks along every way at once.
func (w *world) measure(ctx context.Context, g ground) (*report, error) {
	single, loop, best := w.stage(g, "alone"), w.stage(g, "loop"), w.stage(g, "holdfast")
	defer single.close()
	defer loop.close()
	defer best.close()
	var ways []way
	for i := range endpoints {
		ways = append(ways, single.alone(i))
	}
	client, err := best.client()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ways = append(ways, loop.inOrder(), holdfastOver(client))
	results, err := w.drive(ctx, ways)
	if err != nil {
		return nil, err
	}
	r := &report{world: w, probes: best.probes.Load()}
	for i, way := range ways {
		r.rows = append(r.rows, w.row(way.name, results[i]))
	}
	r.rows = append(r.rows, w.row("an oracle", w.oracle()))
	return r, nil
}
