package holdfast_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// world is a scenario with all of its chances, which follow from the seed. Times count from its beginning.
type world struct {
	*scenario
	seed     uint64
	random   *rand.Rand
	sites    []*site
	arrivals []arrival

	onset, recovery, end time.Duration // of the window, and of all
	well                 time.Duration // when the ill sites can take their share again; the recovery if the scenario does not say
}

// arrival is a request that comes, to one of the processes.
type arrival struct {
	at      time.Duration
	process int
}

// site is an endpoint as it really is.
type site struct {
	name string
	speaker
	index  int
	price  float64
	local  bool
	slots  int           // answers that a local one gives at once; others wait in a line
	median time.Duration // to the first content, log-normal
	sigma  float64
	writes time.Duration // from there to the end, on average; uniform, give or take a quarter
	script []phase       // in order of time
}

// phase is a mood that begins.
type phase struct {
	from time.Duration
	mood mood
}

// mood is how a site behaves for a while. The zero mood is well. What was begun in one mood ends as that one has it.
type mood struct {
	outage   outage
	overload float64 // share of the requests that are refused with a 529, or what the dialect has for it
	slow     float64 // factor on the time to the first content; 0 means 1
	limit    float64 // requests per second; 0 means no limit
	cut      float64 // share of the answers that break off in the middle
	stall    float64 // share of those that fall silent there

	since time.Duration // when it began
}

// outage is how a site cannot be reached.
type outage int

const (
	none      outage = iota
	blackHole        // it takes requests and never answers
	swallowed        // it takes no connection and refuses none
	refusing         // it refuses connections, and resets those that were open
)

const (
	requestTime = 10 * time.Second
	refusalTime = 50 * time.Millisecond // until a refusal is there
	bucketTime  = 30 * time.Second      // what of a rate limit can be saved up
	bucketStart = 5 * time.Second       // what of it there is when a limit begins
	bucketWait  = 6 * time.Second       // what of it is to be there again at the end of Retry-After
	piecesOfAll = 4                     // into which answers are cut
)

func newWorld(s *scenario, seed uint64, scale float64) *world {
	h := fnv.New64a()
	h.Write([]byte(s.name))
	w := &world{scenario: s, seed: mixed(seed, h.Sum64())}
	w.random = rand.New(rand.NewPCG(w.seed, 0))
	scaled := func(d time.Duration) time.Duration { return time.Duration(scale * float64(d)) }
	w.onset = scaled(s.calm)
	w.recovery = w.onset + scaled(s.window)
	w.end = w.recovery + scaled(s.after)
	w.well = w.recovery
	w.sites = w.field()
	if s.happens != nil {
		s.happens(w)
	}
	for at := w.gap(); at < w.end; at += w.gap() {
		w.arrivals = append(w.arrivals, arrival{at, w.random.IntN(w.crowd())})
	}
	return w
}

// field returns the sites of most scenarios, all well: the cheapest is the quickest, so that it is the right one for all requests.
func (w *world) field() []*site {
	const writes = 1600 * time.Millisecond
	sites := []*site{
		{name: "primary", speaker: speakerOf("claude+prefill"), price: 1, median: 400 * time.Millisecond, sigma: 0.35, writes: writes},
		{name: "second", speaker: speakerOf("chat"), price: 1.2, median: 450 * time.Millisecond, sigma: 0.35, writes: writes},
		{name: "third", speaker: speakerOf("gemini+prefill"), price: 1.5, median: 450 * time.Millisecond, sigma: 0.35, writes: writes},
		{name: "fourth", speaker: speakerOf("claude+prefill"), price: 2, median: 400 * time.Millisecond, sigma: 0.35, writes: writes},
	}
	if !w.noLocal {
		sites = append(sites, &site{
			name: "local", speaker: speakerOf("local+prefill"), price: 1, local: true, slots: w.share() * w.crowd(),
			median: 800 * time.Millisecond, sigma: 0.3, writes: 1800 * time.Millisecond,
		})
	}
	for i, s := range sites {
		s.index = i
	}
	return sites
}

// gap is the time to the next request.
func (w *world) gap() time.Duration {
	return time.Duration(w.random.ExpFloat64() / w.rate * float64(time.Second))
}

func (w *world) site(name string) *site {
	return w.sites[slices.IndexFunc(w.sites, func(s *site) bool { return s.name == name })]
}

// share is how many slots of the local model each process has.
func (w *world) share() int { return cmp.Or(w.slots, 32) / w.crowd() }

func (w *world) clouds() []*site {
	return slices.DeleteFunc(slices.Clone(w.sites), func(s *site) bool { return s.local })
}

// during puts sites into a mood within the window.
func (w *world) during(m mood, names ...string) {
	for _, name := range names {
		w.site(name).turns(w.onset, m).turns(w.recovery, mood{})
	}
}

// turns adds a mood that begins.
func (s *site) turns(from time.Duration, m mood) *site {
	s.script = append(s.script, phase{from, m})
	return s
}

// alternates puts the site into a mood time and again, for times of the given means.
func (w *world) alternates(name string, m mood, well, ill time.Duration) {
	s := w.site(name)
	span := func(mean time.Duration) time.Duration { return time.Duration(w.random.ExpFloat64() * float64(mean)) }
	for at := span(well); at < w.end; {
		s.turns(at, m)
		at += span(ill)
		s.turns(at, mood{})
		at += span(well)
	}
}

func (s *site) mood(at time.Duration) mood {
	var m mood
	for _, p := range s.script {
		if p.from > at {
			break
		}
		m, m.since = p.mood, p.from
	}
	return m
}

// fate is what chance has in store for one request at one site.
type fate struct {
	first    time.Duration // until the first content, if the site is not slow
	between  time.Duration // from one piece of the answer to the next
	overload float64       // compares to the mood's
	broken   float64       // compares to the mood's
	after    int           // pieces until it breaks off
}

// fate is the same for all who ask; nth counts from 0 how often the request was judged there.
func (w *world) fate(s *site, request, nth int) fate {
	r := rand.New(rand.NewPCG(mixed(w.seed, uint64(s.index)), mixed(uint64(request), uint64(nth))))
	first := float64(s.median) * math.Exp(s.sigma*r.NormFloat64())
	writes := float64(s.writes) * (0.75 + 0.5*r.Float64())
	return fate{
		first: time.Duration(first), between: time.Duration(writes / (piecesOfAll - 1)),
		overload: r.Float64(), broken: r.Float64(), after: 1 + r.IntN(piecesOfAll-1),
	}
}

// mixed makes one number of two (SplitMix64).
func mixed(a, b uint64) uint64 {
	x := a*0x9e3779b97f4a7c15 + b + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// slowed returns the time to the first content in a mood.
func (m mood) slowed(d time.Duration) time.Duration {
	if m.slow == 0 {
		return d
	}
	return time.Duration(m.slow * float64(d))
}

func (f fate) isCut(m mood) bool     { return f.broken < m.cut }
func (f fate) isStalled(m mood) bool { return f.broken >= m.cut && f.broken < m.cut+m.stall }

// whole is how long the site writes behind the first content.
func (f fate) whole() time.Duration { return (piecesOfAll - 1) * f.between }

// bucket is a rate limit as providers keep it.
type bucket struct {
	limit, tokens float64
	since, at     time.Duration
}

// refill brings the bucket up to date. When a mood begins there is little in it.
func (b *bucket) refill(at time.Duration, m mood) {
	if b.limit == 0 || b.since != m.since {
		*b = bucket{limit: m.limit, tokens: m.limit * bucketStart.Seconds(), since: m.since, at: m.since}
	}
	b.tokens = min(b.tokens+b.limit*(at-b.at).Seconds(), b.limit*bucketTime.Seconds())
	b.at = at
}

// until is how long it takes until there are so many tokens.
func (b *bucket) until(tokens float64) time.Duration {
	return time.Duration(max(0, (tokens-b.tokens)/b.limit) * float64(time.Second))
}

// take takes a token, if there is one.
func (b *bucket) take() bool {
	const rounding = 1e-6
	if b.tokens < 1-rounding {
		return false
	}
	b.tokens--
	return true
}

// header tells of the limit as the provider does. Gemini does not.
func (b *bucket) header(d holdfasttest.Dialect) http.Header {
	limit, left := strconv.Itoa(int(b.limit*bucketTime.Seconds())), strconv.Itoa(int(max(0, b.tokens)))
	switch d {
	case holdfasttest.Claude:
		return http.Header{"Anthropic-Ratelimit-Requests-Limit": {limit}, "Anthropic-Ratelimit-Requests-Remaining": {left}}
	case holdfasttest.OpenAI:
		return http.Header{"X-Ratelimit-Limit-Requests": {limit}, "X-Ratelimit-Remaining-Requests": {left}}
	}
	return nil
}

// performance is a world with servers and clients, in a bubble.
type performance struct {
	*world
	begun   time.Time
	network *holdfasttest.Network
	servers []*holdfasttest.Server // by site

	mu      sync.Mutex
	buckets []bucket
	judged  []map[int]int // by site and request: how often its fate was asked for
	probes  []int         // by site: requests that are none of ours
	dials   []int         // by site: connections that failed
	unsent  []int         // by site: attempts without a connection
}

func newPerformance(w *world) *performance {
	n := len(w.sites)
	p := &performance{
		world: w, begun: time.Now(), network: holdfasttest.NewNetwork(), buckets: make([]bucket, n), judged: make([]map[int]int, n),
		probes: make([]int, n), dials: make([]int, n), unsent: make([]int, n),
	}
	for i, s := range w.sites {
		p.judged[i] = map[int]int{}
		server := holdfasttest.NewHandler(s.dialect)
		server.Respond(func(r holdfasttest.Request) holdfasttest.Reply { return p.reply(s, r) })
		var h http.Handler = server
		if s.local {
			h = &line{next: server, slots: make(chan struct{}, s.slots)}
		}
		p.network.Serve(s.host(), h)
		p.servers = append(p.servers, server)
	}
	return p
}

func (s *site) host() string { return s.name + ".test" }

// now is the time since the beginning.
func (p *performance) now() time.Duration { return time.Since(p.begun) }

// endpoint is how a client of one process is told of a site.
func (p *performance) endpoint(s *site) holdfast.Endpoint {
	e := holdfast.Endpoint{
		Name: s.name, Provider: s.provider, URL: "http://" + s.host() + s.path, Proxy: "direct", KeySource: holdfast.Literal("key-of-" + s.name),
		Models: map[string]string{"default": s.model}, Price: s.price, Local: s.local,
	}
	if s.local {
		e.Concurrency = p.share()
	}
	return e
}

// client returns one process's.
func (p *performance) client(process int) (*holdfast.Client, error) {
	conf := holdfast.Config{Dial: p.dialer(process)}
	for _, s := range p.sites {
		conf.Endpoints = append(conf.Endpoints, p.endpoint(s))
	}
	return holdfast.New(conf)
}

// direct does to the network what the site's script says.
func (p *performance) direct(ctx context.Context, s *site) {
	for _, next := range s.script {
		timer := time.NewTimer(next.from - p.now())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		switch next.mood.outage {
		case swallowed:
			p.network.Swallow(s.host())
		case refusing:
			p.network.Refuse(s.host())
		default:
			p.network.Restore(s.host())
		}
	}
}

// dialer makes the connections of one process.
func (p *performance) dialer(process int) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, _ := strings.Cut(addr, ".")
		s := p.site(host)
		closed := func() bool { return p.censors(process, s, p.now()) }
		var c net.Conn
		err := error(&net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: s.host(), IsNotFound: true}})
		if !closed() {
			c, err = p.network.Dial(ctx, network, addr)
		}
		if err != nil {
			p.count(p.dials, s)
			return nil, err
		}
		if p.censor == "" {
			return c, nil
		}
		return &censoredConn{Conn: c, closed: closed}, nil
	}
}

// censoredConn is reset when something is sent where nothing may be sent any more.
type censoredConn struct {
	net.Conn
	closed func() bool
}

func (c *censoredConn) Write(b []byte) (int, error) {
	if c.closed() {
		c.Conn.Close()
		return 0, &net.OpError{Op: "write", Net: "memory", Err: os.NewSyscallError("write", syscall.ECONNRESET)}
	}
	return c.Conn.Write(b)
}

func (p *performance) count(counter []int, s *site) {
	p.mu.Lock()
	defer p.mu.Unlock()
	counter[s.index]++
}

// reply is what a site answers now.
func (p *performance) reply(s *site, r holdfasttest.Request) holdfasttest.Reply {
	at := r.At.Sub(p.begun)
	m := s.mood(at)
	p.mu.Lock()
	defer p.mu.Unlock()
	n, ours := numberOf(r.Body)
	if !ours {
		n = -1
		p.probes[s.index]++
	}
	switch m.outage {
	case blackHole, swallowed:
		return holdfasttest.Reply{BeforeHeaders: time.Hour}
	case refusing:
		return holdfasttest.Reply{Fault: holdfasttest.ResetBeforeHeaders}
	}
	var header http.Header
	if b := &p.buckets[s.index]; m.limit > 0 {
		b.refill(at, m)
		if !b.take() {
			wait := math.Ceil(b.until(m.limit * bucketWait.Seconds()).Seconds())
			return holdfasttest.Reply{Error: holdfasttest.RateLimited, RetryAfter: strconv.Itoa(int(wait)), BeforeHeaders: refusalTime, Header: b.header(s.dialect)}
		}
		header = b.header(s.dialect)
	}
	f := p.fate(s, n, p.judged[s.index][n])
	p.judged[s.index][n]++
	if f.overload < m.overload {
		return holdfasttest.Reply{Error: holdfasttest.Overloaded, BeforeHeaders: refusalTime, Header: header}
	}
	first := m.slowed(f.first)
	reply := holdfasttest.Reply{
		Chunks: story(n), BeforeHeaders: first / 2, BeforeFirst: first - first/2, Between: f.between, Header: header, After: f.after,
	}
	switch {
	case f.isCut(m):
		reply.Fault = holdfasttest.CutRST
	case f.isStalled(m):
		reply.Fault = holdfasttest.Stall
	}
	return reply
}

// question is what request n asks, by which the servers know it.
func question(n int) string { return fmt.Sprintf("Tell me story #%d#.", n) }

// numberOf finds the number of a request. Probes have none.
func numberOf(body []byte) (n int, ours bool) {
	_, rest, _ := bytes.Cut(body, []byte("story #"))
	digits, _, ours := bytes.Cut(rest, []byte("#"))
	n, err := strconv.Atoi(string(digits))
	return n, ours && err == nil
}

// story is the answer to request n, of which no piece stands in any other.
func story(n int) []string {
	list := make([]string, piecesOfAll)
	for i := range list {
		list[i] = fmt.Sprintf("%s %d.%d, ", []string{"Blåst", "grips", "grünen", "海帯"}[i], n, i)
	}
	return list
}

// line lets only so many requests through to a local model at once, the others in the order of their arrival.
type line struct {
	next  http.Handler
	slots chan struct{}
}

// ServeHTTP reads the body before it waits: only then the server notices that a client leaves.
func (l *line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
		l.next.ServeHTTP(w, r)
	case <-r.Context().Done():
	}
}
