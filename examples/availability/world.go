package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// endpoint is one way to reach the model: for which share of the time it is up, and how long it then takes to the first content, a
// lognormal time of that median.
type endpoint struct {
	name, title string
	up          float64
	median      time.Duration
	sigma       float64
}

// endpoints are in the order in which a configuration would name them: the provider itself is the fastest, while it can be reached; a
// proxy and a detour to another region add to the way; a compatible platform is nearly always there, and serves others too.
var endpoints = []endpoint{
	{"direct", "direct", 0.10, 300 * time.Millisecond, 0.25},
	{"gateway", "through a proxy gateway", 0.98, 380 * time.Millisecond, 0.30},
	{"region", "switching by region", 0.95, 440 * time.Millisecond, 0.30},
	{"platform", "a compatible platform", 0.999, 500 * time.Millisecond, 0.30},
}

// form is how an endpoint is down.
type form int

const (
	up         form = iota
	refuses         // connections are refused, and those that exist are reset
	silent          // a black hole: nothing is answered, connections neither
	overloaded      // 529 and 503, by turns
)

const forms = 3 // of being down

func (f form) String() string {
	return [...]string{up: "up", refuses: "refuses", silent: "is silent", overloaded: "says 529 or 503"}[f]
}

// span is a time for which an endpoint is down, counted from when measuring begins.
type span struct {
	from, to time.Duration
	form     form
}

// world says what happens when: to each endpoint, and to each request. It is the same for everybody who asks.
type world struct {
	settings
	began    time.Time // when measuring begins, behind the warm-up
	spans    [][]span  // by endpoint, in order
	arrivals []time.Duration
}

// settings are what a world is made from.
type settings struct {
	seed     uint64
	length   time.Duration // of what is measured
	warmup   time.Duration // before it, in which everybody meets everybody
	rate     float64       // requests per second
	deadline time.Duration // of each request
	patience time.Duration // with each try, of those who write a loop
}

func newWorld(s settings) *world {
	w := &world{settings: s}
	for i, e := range endpoints {
		w.spans = append(w.spans, e.script(s, rand.New(rand.NewPCG(s.seed, uint64(i)))))
	}
	// Requests come one in each slot, somewhere in it, so that few of them tell as much of an outage as many would.
	slot, random := float64(time.Second)/s.rate, rand.New(rand.NewPCG(s.seed, 1<<32))
	for at := -float64(s.warmup); at < float64(s.length); at += slot {
		w.arrivals = append(w.arrivals, time.Duration(at+slot*random.Float64()))
	}
	return w
}

// script draws when the endpoint is down. The periods are drawn, and then stretched so that it is up for just its share of the time. What is
// rarer, being up or being down, lasts a thirtieth of the run on average, 1 s to 60 s, and never is at the ends of the run.
func (e endpoint) script(s settings, r *rand.Rand) []span {
	rarer := min(e.up, 1-e.up) * float64(s.length)
	typical := float64(min(max(s.length/30, time.Second), time.Minute))
	n := max(1, int(math.Round(rarer/typical)))
	rare, common := periods(r, n, rarer), periods(r, n+1, float64(s.length)-rarer)
	var spans []span
	kind := r.IntN(forms)
	down := func(from, to time.Duration) {
		spans = append(spans, span{from, to, refuses + form(kind%forms)})
		kind++
	}
	at := time.Duration(0)
	for i, length := range common {
		start := at
		if at += length; e.up < 0.5 {
			down(start, at)
		}
		if i == n {
			break
		}
		start = at
		if at += rare[i]; e.up >= 0.5 {
			down(start, at)
		}
	}
	if e.up < 0.5 { // what it is at the ends, it is before and behind them
		spans[0].from, spans[n].to = -s.warmup-time.Hour, s.length+time.Hour
	}
	return spans
}

// periods divides a time into n random ones.
func periods(r *rand.Rand, n int, total float64) []time.Duration {
	weights, sum := make([]float64, n), 0.0
	for i := range weights {
		weights[i] = 0.5 + r.ExpFloat64()
		sum += weights[i]
	}
	list := make([]time.Duration, n)
	for i, weight := range weights {
		list[i] = time.Duration(total * weight / sum)
	}
	return list
}

// state returns how an endpoint is at a time.
func (w *world) state(endpoint int, at time.Duration) form {
	for _, s := range w.spans[endpoint] {
		if s.from <= at && at < s.to {
			return s.form
		}
	}
	return up
}

// first is how long an endpoint takes to the first content of its answer to a request.
func (w *world) first(endpoint int, request uint64) time.Duration {
	r := rand.New(rand.NewPCG(w.seed<<8|uint64(endpoint), request))
	e := endpoints[endpoint]
	return time.Duration(float64(e.median) * math.Exp(e.sigma*r.NormFloat64()))
}

// now is the time since measuring began.
func (w *world) now() time.Duration { return time.Since(w.began) }

// ground is the network on which providers are started.
type ground struct {
	open func(host string) *holdfasttest.Server
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// stage is a set of providers, which one of those who ask has for itself.
type stage struct {
	world   *world
	dialer  func(ctx context.Context, network, addr string) (net.Conn, error)
	servers []*holdfasttest.Server
	probes  atomic.Int64 // requests that are none of ours
}

func (w *world) stage(g ground, name string) *stage {
	s := &stage{world: w, dialer: g.dial}
	for i, e := range endpoints {
		server := g.open(e.name + "." + name + ".test")
		server.Respond(func(r holdfasttest.Request) holdfasttest.Reply { return s.reply(i, r) })
		s.servers = append(s.servers, server)
	}
	return s
}

func (s *stage) close() {
	for _, server := range s.servers {
		server.Close()
	}
}

// text is the answer to every request. It comes in pieces.
const text = "Kelp has no roots. What grips the rock is the holdfast."

const (
	pieces  = 3
	between = 150 * time.Millisecond
)

// question is how a request tells its number to the provider.
func question(n int) string { return fmt.Sprintf("Request %d: how does kelp hold on?", n) }

// number reads the number of a request. Whoever sends something else, such as a probe, gets one by the time.
func (s *stage) number(r holdfasttest.Request) uint64 {
	_, rest, _ := strings.Cut(string(r.Body), "Request ")
	digits, _, _ := strings.Cut(rest, ":")
	if n, err := strconv.ParseUint(digits, 10, 64); err == nil {
		return n
	}
	s.probes.Add(1)
	return uint64(s.world.now())
}

// reply answers a request that arrives now. An endpoint that goes down lets answers under way end, so that its share of answers is its
// share of the time.
func (s *stage) reply(endpoint int, r holdfasttest.Request) holdfasttest.Reply {
	n := s.number(r)
	switch s.world.state(endpoint, s.world.now()) {
	case refuses:
		return holdfasttest.Reply{Fault: holdfasttest.ResetBeforeHeaders}
	case silent:
		return holdfasttest.Reply{BeforeHeaders: time.Hour}
	case overloaded:
		if n%2 == 0 {
			return holdfasttest.Reply{Status: 503}
		}
		return holdfasttest.Reply{Error: holdfasttest.Overloaded}
	}
	return holdfasttest.Reply{Chunks: strings.SplitAfterN(text, " ", pieces), BeforeHeaders: s.world.first(endpoint, n), Between: between}
}

// dial connects to a provider, as far as it can be reached now.
func (s *stage) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	switch s.world.state(s.at(addr), s.world.now()) {
	case refuses:
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	case silent:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.dialer(ctx, network, addr)
}

// at returns the endpoint at an address.
func (s *stage) at(addr string) int {
	return slices.IndexFunc(s.servers, func(server *holdfasttest.Server) bool {
		host := strings.TrimPrefix(server.URL, "http://")
		return addr == host || addr == host+":80"
	})
}
