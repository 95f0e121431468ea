package holdfast_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// TestSeasons sends many calls through one client, alone and at once, while each of its one to six endpoints has weather of its own for minutes: fine,
// failing, slow, silent, breaking off, limited, out of reach. Endpoints differ in tier, price, region, countries, models and in what they lack; some are
// local, and one may be a mirror's candidate. The policy is any, callers give up or leave, and some clients are closed in the middle. A season follows
// from its seed but for random waits and for what happens at the same instant. HOLDFAST_SEASONS says how many there are.
//
// Whatever happens:
//
//   - Nothing reaches an endpoint that the call may not go to: no attempt, reserve, probe or copy.
//   - What a caller is shown is the text, whole in an answer and a beginning of it in an error. Each call ends by its deadline.
//   - There are no more attempts than MaxAttempts, and one at a local model. The Trail is the same after a way through JSON, and each choice is made again.
//   - No local model runs more at once than it takes. The retry budget lies between nothing and its size, and answers fill it.
//   - When the weather has been fine for two minutes, each call is answered at once, by the lowest tier, all of whose breakers are closed.
//   - In the end nothing runs, waits or is queued, and no goroutine is left.
func TestSeasons(t *testing.T) {
	t.Parallel()
	seeds, err := strconv.ParseUint(os.Getenv("HOLDFAST_SEASONS"), 10, 64)
	if err != nil {
		seeds = 24
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newSeason(t, seed).pass() })
		})
	}
}

// season is what happens to one client.
type season struct {
	*testing.T
	seed      uint64
	begun     time.Time
	storm     time.Duration // how long the weather is bad
	conf      holdfast.Config
	endpoints []*seasonEndpoint // the mirror's candidate is the last, if there is one
	closes    time.Duration     // when the client is closed; 0 means in the end
	client    *holdfast.Client
	mu        sync.Mutex
	calls     []*seasonCall // by their ids
}

type seasonEndpoint struct {
	holdfast.Endpoint
	dialect holdfasttest.Dialect
	server  *holdfasttest.Server
	mirror  bool
	weather []weather
	rnd     *rand.Rand // under the season's mu, as is running
	running int        // requests, where they are seen on their way out
}

// weather is how an endpoint is for a while.
type weather struct {
	until   time.Duration
	down    int // how connections fail: not at all at 0
	replies []holdfasttest.Reply
}

type seasonCall struct {
	id             int
	at             time.Duration
	way            way
	tools          bool
	model, country string
	residency      []string
	rescue         holdfast.Rescue
	limit, cancel  time.Duration // the deadline, and when the caller gives up; 0 means never
	leave          int           // after how many events the reader leaves; 0 means never
}

type seasonKey struct{} // of the call, among the values of its context

var seasonAddresses = map[string]string{"SE": "89.160.20.112", "GB": "81.2.69.142", "CN": "111.235.160.1", "": "10.0.0.1"}

func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }

func newSeason(t *testing.T, seed uint64) *season {
	r := rand.New(rand.NewPCG(seed, 3))
	s := &season{T: t, seed: seed, begun: time.Now(), storm: 30*time.Second + upTo(r, 150*time.Second)}
	c := &s.conf
	c.Timeout, c.HealthByCountry, c.Unary = oneOf(r, 0, 0, 20*time.Second, time.Minute), chance(r, 30), chance(r, 30)
	if c.Probes.By = oneOf(r, "", "", holdfast.ProbeFree, holdfast.ProbeOff); c.Probes.By != holdfast.ProbeOff {
		c.Probes.Cold, c.Probes.Idle = chance(r, 25), chance(r, 25)
	}
	c.Retry = holdfast.RetryPolicy{MaxAttempts: r.IntN(9), NoHedge: chance(r, 20), NoPark: chance(r, 20), Rescue: oneOf(r, "", holdfast.RescueReset, holdfast.RescueAll)}
	if c.Probes.By == holdfast.ProbeOff { // which needs reserves
		c.Retry.NoHedge, c.Retry.MaxAttempts = false, oneOf(r, 0, 2, 3, 8)
	}
	if !c.Retry.NoPark && chance(r, 30) {
		c.Retry.Park = upTo(r, 20*time.Second)
	}
	if chance(r, 30) {
		c.Timeouts = holdfast.Timeouts{FirstContent: oneOf(r, 0, time.Second+upTo(r, 10*time.Second)), Hedge: oneOf(r, 0, time.Second+upTo(r, 2*time.Second)), Total: oneOf(r, 0, 30*time.Second)}
	}
	if chance(r, 20) {
		c.Residency = []string{"eu", "us"}
	}
	if chance(r, 50) {
		c.GeoIP = "testdata/maxmind/GeoIP2-Country-Test.mmdb"
	}
	n := 1 + r.IntN(6)
	for i := range n {
		s.endpoints = append(s.endpoints, s.newEndpoint(r, i))
	}
	if chance(r, 25) {
		e := s.newEndpoint(r, n)
		e.mirror, e.Local, e.Concurrency = true, false, 0
		s.endpoints = append(s.endpoints, e)
	}
	if chance(r, 15) {
		s.closes = upTo(r, s.storm)
	}
	at := time.Duration(0)
	for id := range 40 + r.IntN(80) {
		if chance(r, 60) { // else at once with the one before
			at = (at + upTo(r, s.storm/30)) % s.storm
		}
		call := &seasonCall{
			id: id, at: at, way: oneOf(r, stream, stream, chat, unary), tools: chance(r, 20), model: oneOf(r, "", "", "", "big"), country: oneOf(r, "SE", "GB", "CN", ""),
			rescue: oneOf(r, "", "", holdfast.RescueReset, holdfast.RescueAll, holdfast.RescueContinue, holdfast.RescueOff),
			limit:  oneOf(r, 0, upTo(r, 5*time.Second), upTo(r, time.Minute), 30*time.Second), leave: max(0, r.IntN(80)-70),
			residency: oneOf(r, nil, nil, nil, nil, []string{"eu"}, []string{"us"}, []string{"eu", "us"}, []string{"mars"}),
		}
		if chance(r, 10) {
			call.cancel = upTo(r, 5*time.Second)
		}
		s.calls = append(s.calls, call)
	}
	return s
}

func (s *season) newEndpoint(r *rand.Rand, i int) *seasonEndpoint {
	speaks := stormSpeakers[oneOf(r, 0, 1, 1, 2, 4, 7)]
	e := &seasonEndpoint{dialect: speaks.dialect, rnd: rand.New(rand.NewPCG(s.seed, uint64(10+i)))}
	e.Endpoint = holdfast.Endpoint{
		Name: fmt.Sprintf("e%d.test", i), Provider: speaks.provider, Proxy: "direct", URL: speaks.path, KeySource: holdfast.Literal("key"), Tier: r.IntN(3),
		Price: oneOf(r, 0, 0, 1, 2.5), Models: map[string]string{"default": speaks.model}, Region: oneOf(r, "eu", "eu", "us", "asia", ""),
		ExpectedLatency: upTo(r, 2*time.Second), ExpectedFailures: oneOf(r, 0, 0, 0, 0.1, 0.6), Lacks: oneOf(r, nil, nil, nil, []holdfast.Feature{holdfast.FeatureTools}),
	}
	if chance(r, 60) {
		e.Models["big"] = speaks.model
	}
	if s.conf.GeoIP != "" {
		e.Countries = oneOf(r, nil, nil, nil, []string{"SE"}, []string{"GB", "CN"})
	}
	if s.conf.GeoIP != "" && e.Countries == nil {
		e.ExceptCountries = oneOf(r, nil, nil, []string{"CN"})
	}
	if chance(r, 20) {
		e.Local, e.Concurrency = true, 1+r.IntN(3)
	}
	for at := time.Duration(0); at < s.storm; {
		at = min(s.storm, at+time.Second+upTo(r, 40*time.Second))
		e.weather = append(e.weather, newWeather(r, at))
	}
	return e
}

func newWeather(r *rand.Rand, until time.Duration) weather {
	w := weather{until: until}
	fine := holdfasttest.Reply{BeforeFirst: upTo(r, 600*time.Millisecond), Between: oneOf(r, 0, 20*time.Millisecond)}
	if w.replies = slices.Repeat([]holdfasttest.Reply{fine}, r.IntN(5)); len(w.replies) > 0 && chance(r, 25) {
		return w
	}
	w.down = max(0, r.IntN(30)-25)
	for range 1 + r.IntN(3) {
		bad := fine
		bad.After = r.IntN(12)
		switch r.IntN(6) {
		case 0:
			bad.Error = oneOf(r, holdfasttest.ServerError, holdfasttest.Overloaded, holdfasttest.Conflict, holdfasttest.TimedOut, holdfasttest.RegionBlocked)
			bad.BeforeHeaders = oneOf(r, 0, upTo(r, 3*time.Second))
		case 1:
			bad.Error, bad.RetryAfter = holdfasttest.RateLimited, oneOf(r, "", "0", "1", "2.5", "15", "-1", "x", "1e12", "40")
		case 2:
			bad.BeforeHeaders, bad.BeforeFirst = upTo(r, 40*time.Second), oneOf(r, 0, upTo(r, 40*time.Second))
		case 3:
			bad.Fault = oneOf(r, holdfasttest.ResetBeforeHeaders, holdfasttest.CloseBeforeHeaders, holdfasttest.HTML, holdfasttest.Redirect, holdfasttest.EmptyBody)
		case 4:
			bad.Fault = oneOf(r, holdfasttest.CutFIN, holdfasttest.CutRST, holdfasttest.EndEarly, holdfasttest.NoTerminator, holdfasttest.ErrorInStream, holdfasttest.Stall)
		case 5: // who tells of a limit tells each time
			bad.Header = limitHeader(r)
			w.replies = []holdfasttest.Reply{bad}
			return w
		}
		w.replies = append(w.replies, slices.Repeat([]holdfasttest.Reply{bad}, 1+r.IntN(4))...)
	}
	return w
}

// limitHeader is what a head says of a limit of a minute at most: what fits together, or what makes no sense.
func limitHeader(r *rand.Rand) http.Header {
	limit, fills := 1+r.IntN(100), 1+r.IntN(60)
	used := r.IntN(limit + 1)
	said := []string{strconv.Itoa(limit), strconv.Itoa(limit - used), strconv.Itoa(fills*used/limit) + "s"}
	if chance(r, 40) {
		said[r.IntN(3)] = oneOf(r, "0", "-1", "x", "", "1e9", "99999999999999999999")
	}
	return http.Header{"X-Ratelimit-Limit-Requests": said[:1], "X-Ratelimit-Remaining-Requests": said[1:2], "X-Ratelimit-Reset-Requests": said[2:]}
}

// pass lets the season pass.
func (s *season) pass() {
	network := holdfasttest.NewNetwork()
	s.conf.Dial = network.Dial
	if s.seed%2 == 0 {
		s.conf.WrapTransport = s.wrap
	}
	var beside sync.WaitGroup
	for _, e := range s.endpoints {
		e.server = network.NewServer(e.Name, e.dialect)
		e.server.Respond(func(asked holdfasttest.Request) holdfasttest.Reply { return s.reply(e, asked) })
		if e.URL = e.server.URL + e.URL; e.mirror {
			s.conf.Mirror = &holdfast.Mirror{Endpoint: e.Endpoint, Share: 0.5, MaxPerMinute: 10_000, MaxTokensPerMinute: 1 << 30}
		} else {
			s.conf.Endpoints = append(s.conf.Endpoints, e.Endpoint)
		}
		beside.Go(func() {
			for _, w := range e.weather {
				[]func(string){network.Restore, network.Refuse, network.Swallow, network.Unplug, network.Forget}[w.down](e.Name)
				time.Sleep(time.Until(s.begun.Add(w.until)))
			}
			network.Restore(e.Name)
		})
	}
	s.client = newClient(s.T, s.conf)
	for _, c := range s.calls {
		beside.Go(func() {
			time.Sleep(c.at)
			s.call(c)
			s.look()
		})
	}
	if s.closes > 0 {
		time.Sleep(s.closes)
		_ = s.client.Close()
		if _, err := s.client.Chat(s.Context(), hello); !errors.Is(err, holdfast.KindClosed) {
			s.fault("a closed client returned %v", err)
		}
	}
	if beside.Wait(); s.closes == 0 {
		s.calm()
	}
	time.Sleep(time.Minute) // for probes to end
	_ = s.client.AwaitMirror(s.Context())
	synctest.Wait()
	status := s.look()
	for i, e := range status.Endpoints {
		if e.Running != 0 || e.Queued != 0 || status.Waiting != 0 {
			s.fault("%d run at %s, %d are queued there, and %d wait", e.Running, e.Name, e.Queued, status.Waiting)
		}
		for _, asked := range s.endpoints[i].server.Requests() {
			if asked.Refused != "" {
				s.fault("%s refused a request: %s\n%s", e.Name, asked.Refused, asked.Body)
			}
		}
	}
	_ = s.client.Close()
	network.Close()
}

func (s *season) fault(format string, args ...any) {
	s.Helper()
	s.Errorf("at %v: %s", time.Since(s.begun), fmt.Sprintf(format, args...))
}

// look looks at the client's own figures.
func (s *season) look() holdfast.Status {
	status := s.client.Status()
	if b := status.RetryBudget; b < 0 || b > max(100, float64(len(s.calls))) || status.Waiting < 0 {
		s.fault("the budget is %v, and %d wait", b, status.Waiting)
	}
	for i, e := range status.Endpoints {
		if at := s.endpoints[i]; at.Local && e.Running > at.Concurrency || e.Running < 0 {
			s.fault("%d run at %s", e.Running, e.Name)
		}
	}
	return status
}

var seasonPrompt = regexp.MustCompile(`Tell story (\d+)!`)

// reply is what the weather lets an endpoint answer.
func (s *season) reply(e *seasonEndpoint, asked holdfasttest.Request) holdfasttest.Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := holdfasttest.Reply{BeforeFirst: 100 * time.Millisecond}
	if i := slices.IndexFunc(e.weather, func(w weather) bool { return asked.At.Before(s.begun.Add(w.until)) }); i >= 0 {
		r = oneOf(e.rnd, e.weather[i].replies...)
	}
	m := seasonPrompt.FindSubmatch(asked.Body)
	if m == nil { // a probe
		if e.Local || e.mirror || s.conf.Probes.By != "" || !bytes.Contains(asked.Body, []byte(`"Hi"`)) {
			s.fault("%s was asked %s", e.Name, asked.Body)
		}
		return r
	}
	id, _ := strconv.Atoi(string(m[1]))
	c := s.calls[id]
	if against := s.against(e, c); against != "" {
		s.fault("call %d reached %s: %s", id, e.Name, against)
	}
	r.Text = c.text()
	var body any
	_ = json.Unmarshal(asked.Body, &body) // the server has understood it
	if prompt, ok := findText(body, promptBegin); ok {
		end, _, _ := strings.Cut(prompt[len(promptBegin):], promptEnd)
		r.Chunks = strings.SplitAfter(r.Text[strings.LastIndex(r.Text, end)+len(end):], " ")
	}
	return r
}

// wrap sees what leaves for an endpoint, probes and copies too, and on behalf of which call.
func (s *season) wrap(name string, base http.RoundTripper) http.RoundTripper {
	e := s.named(name)
	runs := func(more int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if e.running += more; e.Local && e.running > e.Concurrency {
			s.fault("%d run at %s, which takes %d", e.running, name, e.Concurrency)
		}
	}
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if c, _ := r.Context().Value(seasonKey{}).(*seasonCall); c == nil || s.against(e, c) != "" {
			s.fault("%v sent something to %s", c, name)
		}
		runs(1)
		resp, err := base.RoundTrip(r)
		if err != nil {
			runs(-1)
			return resp, err
		}
		resp.Body = &seasonBody{resp.Body, sync.OnceFunc(func() { runs(-1) })}
		return resp, nil
	})
}

type seasonBody struct {
	io.ReadCloser
	ended func()
}

func (b *seasonBody) Close() error {
	defer b.ended()
	return b.ReadCloser.Close()
}
