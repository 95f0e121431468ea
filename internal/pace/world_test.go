package pace

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"time"
)

// world is a provider that limits an account, and processes that share the account, in a time of their own.
type world struct {
	setup
	random *rand.Rand
	now    time.Duration
	events events
	limits [Kinds]served
	procs  []*process

	sent, refused    int
	offered, granted [Kinds]float64
	waited           time.Duration // from arrival to sending, of all requests that were sent
}

type setup struct {
	size      [Kinds]float64 // of each limit; 0: none
	fills     [Kinds]float64 // seconds; 0: a minute
	processes int
	load      float64       // of what the limits give
	bursts    bool          // all of a minute's requests come in its first ten seconds
	latency   time.Duration // until a head comes, between half and twice as long
	late      bool          // the head tells of the moment at which it is sent, not of that at which the request came
	coarse    bool          // resets are times in whole seconds and tokens are rounded, as Anthropic does; else durations in milliseconds
	cost      Cost          // on average
	guess     float64       // how many times as much as it is the cost is thought to be; 0: a fifth more or less
	window    bool          // limits come back all at once, every time that they fill
	blind     bool          // answers are not looked at
}

const lasts = 5 * time.Minute

// served is a token bucket.
type served struct {
	limit, fills, level float64
	window              bool
	at                  time.Duration
}

func (s *served) fill(now time.Duration) {
	switch {
	case !s.window:
		s.level = min(s.limit, s.level+(now-s.at).Seconds()*s.limit/s.fills)
	case math.Floor(now.Seconds()/s.fills) > math.Floor(s.at.Seconds()/s.fills):
		s.level = s.limit
	}
	s.at = now
}

// reset returns how long it was until the limit was full.
func (s *served) reset() time.Duration {
	seconds := (s.limit - s.level) / s.limit * s.fills
	if s.window {
		seconds = s.fills - math.Mod(s.at.Seconds(), s.fills)
	}
	return time.Duration(seconds * float64(time.Second))
}

type process struct {
	pacer Pacer
	queue []request
	wakes int // which wake-up is the latest
}

type request struct {
	cost Cost // as the provider counts it
	came time.Duration
}

type event struct {
	at time.Duration
	do func()
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func newWorld(s setup, seed uint64) *world {
	w := &world{setup: s, random: rand.New(rand.NewPCG(seed, 1))}
	for k := range w.limits {
		fills := s.fills[k]
		if fills == 0 {
			fills = 60
		}
		w.limits[k] = served{s.size[k], fills, s.size[k], s.window, 0}
	}
	for range s.processes {
		w.procs = append(w.procs, &process{})
	}
	return w
}

func (w *world) after(d time.Duration, do func()) { heap.Push(&w.events, event{w.now + d, do}) }

// run lets requests arrive at random for five minutes, and lets those that were sent by then be answered.
func (w *world) run() {
	for _, p := range w.procs {
		w.arrivals(p, 0)
	}
	for len(w.events) > 0 {
		e := heap.Pop(&w.events).(event)
		if e.at > lasts {
			return
		}
		w.now = e.at
		e.do()
	}
}

// rate returns how many requests a second the limits allow.
func (w *world) rate() float64 {
	rate := math.Inf(1)
	for k := range Kind(Kinds) {
		if l := w.limits[k]; l.limit > 0 {
			rate = min(rate, l.limit/l.fills/float64(w.cost.of(k)))
		}
	}
	return rate
}

// arrivals schedules the arrivals of one minute after another.
func (w *world) arrivals(p *process, minute time.Duration) {
	within := time.Minute
	if w.bursts {
		within = 10 * time.Second
	}
	n := w.rate() * 60 * w.load / float64(w.processes)
	for at := 0.0; ; {
		at += w.random.ExpFloat64() * within.Seconds() / n
		if at >= within.Seconds() {
			break
		}
		came := minute + time.Duration(at*float64(time.Second))
		heap.Push(&w.events, event{came, func() { w.arrive(p, came) }})
	}
	if next := minute + time.Minute; next < lasts {
		heap.Push(&w.events, event{next, func() { w.arrivals(p, next) }})
	}
}

func (w *world) arrive(p *process, came time.Duration) {
	c := Cost{w.varied(w.cost.Input), w.varied(w.cost.Output)}
	for k := range Kind(Kinds) {
		w.offered[k] += float64(c.of(k))
	}
	p.queue = append(p.queue, request{c, came})
	w.pump(p)
}

// varied returns a number from a half to three halves of n.
func (w *world) varied(n int) int { return int(float64(n) * (0.5 + w.random.Float64())) }

func (w *world) time() time.Time { return begin.Add(w.now) }

// pump sends what may be sent.
func (w *world) pump(p *process) {
	for len(p.queue) > 0 {
		r := p.queue[0]
		guess := w.guess
		if guess == 0 {
			guess = 0.8 + 0.4*w.random.Float64()
		}
		sent, wait := p.pacer.Take(w.time(), Cost{int(guess * float64(r.cost.Input)), int(guess * float64(r.cost.Output))})
		if wait > 0 {
			p.wakes++
			mine := p.wakes
			w.after(wait, func() {
				if mine == p.wakes {
					w.pump(p)
				}
			})
			return
		}
		p.queue = p.queue[1:]
		w.sent++
		w.waited += w.now - r.came
		w.after(20*time.Millisecond+time.Duration(w.random.Int64N(int64(20*time.Millisecond))), func() { w.serve(p, sent, r) })
	}
}

// serve admits a request or refuses it.
func (w *world) serve(p *process, sent Mark, r request) {
	fits := true
	for k := range w.limits {
		w.limits[k].fill(w.now)
		fits = fits && (w.limits[k].limit == 0 || w.limits[k].level >= float64(r.cost.of(Kind(k))))
	}
	latency := 50 * time.Millisecond
	if fits {
		for k := range w.limits {
			w.limits[k].level -= float64(r.cost.of(Kind(k)))
			w.granted[k] += float64(r.cost.of(Kind(k)))
		}
		latency = time.Duration(float64(w.latency) * math.Pow(2, 2*w.random.Float64()-1))
	} else {
		w.refused++
	}
	at, limits := w.now, w.limits
	w.after(latency, func() {
		if w.late {
			for k := range w.limits {
				w.limits[k].fill(w.now)
			}
			at, limits = w.now, w.limits
		}
		w.answer(p, sent, at, limits)
	})
}

// answer tells a process what the limits were at a time.
func (w *world) answer(p *process, sent Mark, at time.Duration, limits [Kinds]served) {
	if w.blind {
		return
	}
	for k := range limits {
		l := &limits[k]
		if l.limit == 0 {
			continue
		}
		remaining, reset := math.Floor(l.level), l.reset()
		if w.coarse {
			reset = (at + reset).Truncate(time.Second) - w.now.Truncate(time.Second)
			if k != int(Requests) {
				remaining = min(l.limit, 1000*math.Round(remaining/1000))
			}
		} else {
			reset = reset.Round(time.Millisecond)
		}
		p.pacer.Saw(w.time(), sent, Kind(k), int64(l.limit), int64(remaining), reset)
	}
	w.pump(p)
}

// used returns which share was granted of what could have been: of what was asked for or, if that is less, of what the limits gave.
func (w *world) used() float64 {
	most := 0.0
	for k, l := range w.limits {
		if l.limit > 0 {
			most = max(most, w.granted[k]/min(w.offered[k], l.limit*(1+lasts.Seconds()/l.fills)))
		}
	}
	return most
}
