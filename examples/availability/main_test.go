package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// The flags of TestFakeTime: -length 1h makes the comparison one of an hour.
var (
	length = flag.Duration("length", 2*time.Minute, "how long to measure, in fake time")
	rate   = flag.Float64("rate", 10, "requests per second, along each way")
	seed   = flag.Uint64("seed", 1, "the outages, latencies and requests")
	goals  = flag.Bool("goals", true, "fail unless holdfast reaches its goals")
	plotTo = flag.String("plot", "", "the file for the plot; none if empty")
)

func fakeSettings() settings {
	return settings{seed: *seed, length: *length, warmup: 30 * time.Second, rate: *rate, deadline: 10 * time.Second, patience: 5 * time.Second}
}

// TestFakeTime makes the comparison over a network in memory. Nothing there takes time but what the world says, so that each way can be held
// to the millisecond.
func TestFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := holdfasttest.NewNetwork()
		defer network.Close()
		w := newWorld(fakeSettings())
		r, err := w.measure(t.Context(), ground{
			open: func(host string) *holdfasttest.Server { return network.NewServer(host, holdfasttest.Claude) },
			dial: network.Dial,
		})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		r.print(&out)
		t.Logf("\n%s", &out)
		if *plotTo != "" {
			if err := os.WriteFile(*plotTo, r.plot(), 0o644); err != nil {
				t.Error(err)
			}
		}
		checkAlone(t, r)
		if h, o := r.holdfast(), r.oracle(); o.answered-h.answered > 0.0005 || *goals && !r.reached() {
			t.Error("holdfast missed a goal")
		}
	})
}

// checkAlone demands that whoever asks one endpoint is answered if it is up, in just the time that the world has drawn.
func checkAlone(t *testing.T, r *report) {
	t.Helper()
	w := r.world
	for i, e := range endpoints {
		for n, got := range r.rows[i].results {
			n += w.unmeasured()
			want := outcome{from: nobody, attempts: 1}
			if w.state(i, w.arrivals[n]) == up {
				want = outcome{i, w.first(i, uint64(n)), 1}
			}
			if got != want {
				t.Errorf("%s, request %d: got %v, want %v", e.name, n, got, want)
				break
			}
		}
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		for _, length := range []time.Duration{8 * time.Second, 90 * time.Second, time.Hour} {
			w := newWorld(settings{seed: seed, length: length, warmup: 10 * time.Second, rate: 1})
			for i, e := range endpoints {
				down, end := time.Duration(0), -2*time.Hour
				for _, s := range w.spans[i] {
					if s.from < end || s.to <= s.from {
						t.Fatalf("%s, seed %d: the span from %s to %s begins before %s", e.name, seed, s.from, s.to, end)
					}
					end = s.to
					down += min(s.to, length) - max(s.from, 0)
				}
				if got := 1 - down.Seconds()/length.Seconds(); math.Abs(got-e.up) > 1e-6 {
					t.Errorf("%s, seed %d: got up for %v of the time, want %v", e.name, seed, got, e.up)
				}
			}
		}
	}
}

func TestDraws(t *testing.T) {
	t.Parallel()
	w := newWorld(settings{seed: 7})
	for i, e := range endpoints {
		var list []time.Duration
		for n := range uint64(20_000) {
			list = append(list, w.first(i, n))
		}
		slices.Sort(list)
		for q, deviations := range map[float64]float64{0.5: 0, 0.99: 2.326} {
			got, want := quantile(list, q).Seconds(), e.median.Seconds()*math.Exp(e.sigma*deviations)
			if math.Abs(got/want-1) > 0.03 {
				t.Errorf("%s: got %.3f s at %v, want %.3f s", e.name, got, q, want)
			}
		}
	}
}

func TestArrivals(t *testing.T) {
	t.Parallel()
	w := newWorld(settings{seed: 3, length: 10 * time.Second, warmup: 2 * time.Second, rate: 10})
	if got := w.unmeasured(); len(w.arrivals) != 120 || got != 20 || !slices.IsSorted(w.arrivals) {
		t.Errorf("got %d requests, %d of them before time, want 120 and 20 in order: %v", len(w.arrivals), got, w.arrivals)
	}
}

func TestOracle(t *testing.T) {
	t.Parallel()
	w := &world{settings: settings{length: 5 * time.Second}, spans: make([][]span, len(endpoints))}
	w.spans[0] = []span{{1 * time.Second, 5 * time.Second, silent}}
	w.spans[1] = []span{{2 * time.Second, 3 * time.Second, refuses}, {4 * time.Second, 5 * time.Second, overloaded}}
	w.spans[2] = []span{{4 * time.Second, 5 * time.Second, overloaded}}
	w.spans[3] = []span{{4 * time.Second, 4500 * time.Millisecond, silent}}
	w.arrivals = []time.Duration{-1, 0, time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second, 4500 * time.Millisecond}
	var got []int
	for n, o := range w.oracle() {
		got = append(got, o.from)
		if o.from != nobody && o.first != w.first(o.from, uint64(n+1)) {
			t.Errorf("request %d: got an answer after %s, not as it was drawn", n, o.first)
		}
	}
	if want := []int{0, 1, 2, 1, nobody, 3}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	var list []time.Duration
	for i := range 200 {
		list = append(list, time.Duration(i+1))
	}
	for _, c := range []struct {
		list []time.Duration
		q    float64
		want time.Duration
	}{{nil, 0.5, 0}, {list[:1], 0.99, 1}, {list[:2], 0.5, 1}, {list, 0.5, 100}, {list, 0.99, 198}, {list, 1, 200}} {
		if got := quantile(c.list, c.q); got != c.want {
			t.Errorf("got %d at %v of %d, want %d", got, c.q, len(c.list), c.want)
		}
	}
}

// TestPlot draws a run in which nobody but the oracle was answered, where shares and scales have nothing to divide by.
func TestPlot(t *testing.T) {
	t.Parallel()
	w := newWorld(settings{seed: 1, length: 20 * time.Second, rate: 5})
	r := &report{world: w}
	for range len(endpoints) + 2 {
		r.rows = append(r.rows, w.row("<nobody> & nothing", slices.Repeat([]outcome{{from: nobody}}, len(w.arrivals))))
	}
	r.rows = append(r.rows, w.row("an oracle", w.oracle()))
	image := r.plot()
	for decoder := xml.NewDecoder(bytes.NewReader(image)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, image)
		}
	}
	if bytes.Contains(image, []byte("NaN")) || bytes.Contains(image, []byte("Inf")) || bytes.Contains(image, []byte("%!")) {
		t.Errorf("a number is none in\n%s", image)
	}
}
