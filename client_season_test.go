package holdfast_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
	"github.com/holdfast-ai/holdfast/internal/score"
)

// TestSeasons sends many calls through one client, alone and at once, while its one to six endpoints go through weather of their own for minutes: well,
// failing, slow, silent, breaking off, limited, out of reach. Endpoints differ in tier, price, region, countries, models and what they lack, some are local;
// the policy is any. Callers give up or leave at random; some clients are closed in the middle. A season follows from its seed but for random waits and for
// what happens at the same instant. HOLDFAST_SEASONS says how many there are.
//
// Whatever happens:
//
//   - Nothing reaches an endpoint that the call may not go to: no attempt, reserve, probe or copy.
//   - What a caller is shown is the text, whole in an answer and a beginning of it in an error. Each call ends by its deadline.
//   - Attempts are no more than MaxAttempts and one at a local model. The Trail is the same after a way through JSON, and each choice is made again.
//   - No local model runs more at once than it takes. The retry budget lies between nothing and its size.
//   - When the weather has been fine for two minutes, the breakers of all that are wanted are closed, each call is answered at once and by the lowest
//     tier, and the budget is full.
//   - In the end nothing runs, waits or is queued, and no goroutine is left.
func TestSeasons(t *testing.T) {
	t.Parallel()
	seeds, err := strconv.ParseUint(os.Getenv("HOLDFAST_SEASONS"), 10, 64)
	if err != nil {
		seeds = 12
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
	wrapped   bool              // attempts are seen on their way out
	closes    time.Duration     // when the client is closed; 0 means at the end
	client    *holdfast.Client
	faults    atomic.Int32
	mu        sync.Mutex
	calls     []*seasonCall
}

type seasonEndpoint struct {
	*season
	holdfast.Endpoint
	dialect holdfasttest.Dialect
	host    string
	server  *holdfasttest.Server
	weather []weather
	rnd     *rand.Rand // under mu
	mirror  bool
	running int // under mu
}

// weather is how an endpoint is for a while.
type weather struct {
	until   time.Duration
	down    int // how connections fail; not at all at 0
	replies []holdfasttest.Reply
}

// seasonCall is one call.
type seasonCall struct {
	id        int
	at        time.Duration
	way       way
	tools     bool
	model     string
	residency []string
	country   string
	rescue    holdfast.Rescue
	timeout   time.Duration // of its context; 0 means none
	cancel    time.Duration // when the caller gives up; 0 means never
	leave     int           // after how many events the reader leaves; 0 means never
	begun     time.Time
	left      bool
}

type seasonKey struct{}

var seasonAddresses = map[string]string{"SE": "89.160.20.112", "GB": "81.2.69.142", "CN": "111.235.160.1", "": "10.0.0.1"}

func newSeason(t *testing.T, seed uint64) *season {
	r := rand.New(rand.NewPCG(seed, 3))
	s := &season{T: t, seed: seed, begun: time.Now(), storm: time.Duration(30+r.IntN(150)) * time.Second, wrapped: chance(r, 50)}
	c := &s.conf
	c.Timeout = oneOf(r, 0, 0, 20*time.Second, 60*time.Second)
	c.HealthByCountry, c.Unary = chance(r, 30), chance(r, 30)
	c.Probes.By = oneOf(r, holdfast.ProbeBy(""), "", holdfast.ProbeFree, holdfast.ProbeOff)
	if c.Probes.By != holdfast.ProbeOff {
		c.Probes.Cold, c.Probes.Idle = chance(r, 25), chance(r, 25)
	}
	c.Retry = holdfast.RetryPolicy{MaxAttempts: r.IntN(9), NoHedge: chance(r, 20), NoPark: chance(r, 20), Rescue: oneOf(r, "", holdfast.RescueReset, holdfast.RescueAll)}
	if c.Probes.By == holdfast.ProbeOff { // a call in a probe's place needs a reserve
		c.Retry.NoHedge = false
		if c.Retry.MaxAttempts == 1 {
			c.Retry.MaxAttempts = 2
		}
	}
	if !c.Retry.NoPark && chance(r, 30) {
		c.Retry.Park = time.Duration(1+r.IntN(20)) * time.Second
	}
	if chance(r, 30) {
		c.Timeouts = holdfast.Timeouts{FirstContent: time.Duration(r.IntN(10)) * time.Second, Hedge: time.Duration(r.IntN(3)) * time.Second, Total: oneOf(r, 0, 30*time.Second)}
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
		m := s.newEndpoint(r, n)
		m.mirror, m.Local, m.Concurrency = true, false, 0
		s.endpoints = append(s.endpoints, m)
	}
	if chance(r, 15) {
		s.closes = time.Duration(r.Int64N(int64(s.storm)))
	}
	var at time.Duration
	for id := range 40 + r.IntN(80) {
		if chance(r, 60) { // else at the same time as the one before
			at += time.Duration(r.Int64N(int64(s.storm) / 30))
		}
		s.calls = append(s.calls, newSeasonCall(r, id, at%s.storm))
	}
	return s
}

func newSeasonCall(r *rand.Rand, id int, at time.Duration) *seasonCall {
	c := &seasonCall{
		id: id, at: at, way: oneOf(r, stream, stream, chat, unary), tools: chance(r, 20), model: oneOf(r, "", "", "", "big"),
		rescue: oneOf(r, "", "", holdfast.RescueReset, holdfast.RescueAll, holdfast.RescueContinue, holdfast.RescueOff), country: oneOf(r, "SE", "GB", "CN", ""),
	}
	if chance(r, 20) {
		c.residency = oneOf(r, []string{"eu"}, []string{"us"}, []string{"eu", "us"}, []string{"mars"})
	}
	c.timeout = oneOf(r, 0, time.Duration(1+r.IntN(5))*time.Second, time.Duration(5+r.IntN(60))*time.Second, 30*time.Second)
	if chance(r, 10) {
		c.cancel = time.Duration(r.IntN(5000)) * time.Millisecond
	}
	if chance(r, 10) {
		c.leave = 1 + r.IntN(8)
	}
	return c
}

func (s *season) newEndpoint(r *rand.Rand, i int) *seasonEndpoint {
	speaks := stormSpeakers[oneOf(r, 0, 1, 1, 2, 4, 7)]
	e := &seasonEndpoint{season: s, dialect: speaks.dialect, host: fmt.Sprintf("season%d.test", i), rnd: rand.New(rand.NewPCG(s.seed, uint64(10+i)))}
	e.Endpoint = holdfast.Endpoint{
		Name: fmt.Sprint("e", i), Provider: speaks.provider, Proxy: "direct", URL: speaks.path, KeySource: holdfast.Literal("k" + e.host), Tier: r.IntN(3),
		Price: oneOf(r, 0, 0, 1, 2.5), Models: map[string]string{"default": speaks.model}, Region: oneOf(r, "eu", "eu", "us", "asia", ""),
		ExpectedLatency: time.Duration(r.IntN(2)) * time.Second, ExpectedFailures: oneOf(r, 0, 0, 0, 0.1, 0.6),
	}
	if chance(r, 60) {
		e.Models["big"] = speaks.model
	}
	if chance(r, 25) {
		e.Lacks = []holdfast.Feature{holdfast.FeatureTools}
	}
	if s.conf.GeoIP != "" && chance(r, 40) {
		e.Countries = oneOf(r, []string{"SE"}, []string{"GB", "CN"})
	} else if s.conf.GeoIP != "" && chance(r, 30) {
		e.ExceptCountries = []string{"CN"}
	}
	if chance(r, 20) {
		e.Local, e.Concurrency = true, 1+r.IntN(3)
	}
	for at := time.Duration(0); at < s.storm; {
		at += time.Duration(1+r.IntN(40)) * time.Second
		e.weather = append(e.weather, newWeather(r, min(at, s.storm)))
	}
	return e
}

func newWeather(r *rand.Rand, until time.Duration) weather {
	w := weather{until: until}
	well := holdfasttest.Reply{BeforeFirst: time.Duration(r.IntN(600)) * time.Millisecond, Between: oneOf(r, 0, 20*time.Millisecond)}
	add := func(times int, r holdfasttest.Reply) {
		for range times {
			w.replies = append(w.replies, r)
		}
	}
	add(1+r.IntN(4), well)
	if chance(r, 20) { // fine weather
		return w
	}
	if chance(r, 15) {
		w.down = 1 + r.IntN(4)
	}
	only := chance(r, 40)
	if only {
		w.replies = nil
	}
	for range 1 + r.IntN(3) {
		bad := well
		bad.After = r.IntN(12)
		switch r.IntN(6) {
		case 0:
			bad.Error = oneOf(r, holdfasttest.ServerError, holdfasttest.Overloaded, holdfasttest.Conflict, holdfasttest.TimedOut, holdfasttest.RegionBlocked)
			bad.BeforeHeaders = time.Duration(r.IntN(2)*r.IntN(3000)) * time.Millisecond
		case 1:
			bad.Error, bad.RetryAfter = holdfasttest.RateLimited, oneOf(r, "", "0", "1", "2.5", "15", "-1", "x", "1e12", "40")
		case 2:
			bad.BeforeHeaders, bad.BeforeFirst = time.Duration(r.IntN(40_000))*time.Millisecond, time.Duration(r.IntN(2)*r.IntN(40_000))*time.Millisecond
		case 3:
			bad.Fault = oneOf(r, holdfasttest.ResetBeforeHeaders, holdfasttest.CloseBeforeHeaders, holdfasttest.HTML, holdfasttest.Redirect, holdfasttest.EmptyBody, holdfasttest.WrongLength)
		case 4:
			bad.Fault = oneOf(r, holdfasttest.CutFIN, holdfasttest.CutRST, holdfasttest.EndEarly, holdfasttest.NoTerminator, holdfasttest.MalformedEvent, holdfasttest.ErrorInStream, holdfasttest.Stall)
		case 5:
			bad.Header = seasonLimits(r)
			w.replies = nil // others tell nothing, and one that tells of a limit tells each time
		}
		add(1+r.IntN(4), bad)
	}
	return w
}

// pass lets the season pass.
func (s *season) pass() {
	network := holdfasttest.NewNetwork()
	conf := s.conf
	conf.Dial = network.Dial
	if s.wrapped {
		conf.WrapTransport = func(name string, base http.RoundTripper) http.RoundTripper { return s.wrap(name, base) }
	}
	var vanes sync.WaitGroup
	for _, e := range s.endpoints {
		e.server = network.NewServer(e.host, e.dialect)
		e.server.Respond(e.reply)
		e.URL = e.server.URL + e.URL
		if e.mirror {
			conf.Mirror = &holdfast.Mirror{Endpoint: e.Endpoint, Share: 0.5, MaxPerMinute: 10_000, MaxTokensPerMinute: 1 << 30}
		} else {
			conf.Endpoints = append(conf.Endpoints, e.Endpoint)
		}
		vanes.Go(func() {
			for _, w := range e.weather {
				[]func(string){network.Restore, network.Refuse, network.Swallow, network.Unplug, network.Forget}[w.down](e.host)
				time.Sleep(time.Until(s.begun.Add(w.until)))
			}
			network.Restore(e.host)
		})
	}
	client, err := holdfast.New(conf)
	if err != nil {
		s.Fatal(err)
	}
	s.client = client
	over := make(chan struct{})
	vanes.Go(func() { s.watch(over) })
	s.callAll()
	time.Sleep(time.Until(s.begun.Add(s.storm)))
	if s.closes == 0 {
		s.calm()
	}
	close(over)
	vanes.Wait()
	time.Sleep(6 * time.Second) // probes end
	_ = client.AwaitMirror(s.Context())
	synctest.Wait()
	s.judgeEnd()
	_ = client.Close()
	for _, e := range s.endpoints {
		for i, asked := range e.server.Requests() {
			if asked.Refused != "" {
				s.fault("%s refused request %d: %s\n%s", e.Name, i, asked.Refused, asked.Body)
			}
		}
	}
	network.Close()
	if s.Failed() {
		s.Log(s)
	}
}

func (s *season) fault(format string, args ...any) {
	s.Helper()
	if s.faults.Add(1) <= 2 {
		s.Errorf("%v: "+format, append([]any{time.Since(s.begun)}, args...)...)
	}
}

// callAll makes all calls, each in its time, and closes the client in its.
func (s *season) callAll() {
	var all sync.WaitGroup
	for _, c := range s.calls {
		all.Go(func() {
			time.Sleep(c.at)
			s.call(c)
		})
	}
	if s.closes > 0 {
		time.Sleep(s.closes)
		_ = s.client.Close()
		if _, err := s.client.Chat(s.Context(), hello); !errors.Is(err, holdfast.KindClosed) {
			s.fault("a closed client returned %v", err)
		}
	}
	all.Wait()
}

func (s *season) call(c *seasonCall) (*holdfast.ChatResponse, error) {
	c.begun = time.Now()
	ctx := context.WithValue(s.Context(), seasonKey{}, c)
	ctx = holdfast.WithClientIP(ctx, netip.MustParseAddr(seasonAddresses[c.country]))
	end := c.begun.Add(10 * time.Minute)
	if s.conf.Timeout > 0 {
		end = c.begun.Add(s.conf.Timeout)
	}
	if c.cancel > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		defer time.AfterFunc(c.cancel, cancel).Stop()
	}
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	for _, d := range []time.Duration{c.timeout, c.cancel} {
		if at := c.begun.Add(d); d > 0 && at.Before(end) {
			end = at
		}
	}
	req := &holdfast.ChatRequest{Messages: holdfast.Ask(fmt.Sprintf("Tell story %d!", c.id)), Model: c.model, Residency: c.residency, Rescue: c.rescue}
	if c.tools {
		req.Tools = []holdfast.Tool{{Name: "look", Schema: json.RawMessage(`{"type":"object","properties":{}}`)}}
		req.Reasoning.Effort, req.Hints = holdfast.EffortOff, []string{"reasoning"}
	}
	shown, answer, err := s.ask(ctx, c, req)
	if late := time.Since(end); late > 100*time.Millisecond {
		s.fault("call %d ended %v late: %v", c.id, late, err)
	}
	s.judge(c, shown, answer, err)
	return answer, err
}

func (s *season) ask(ctx context.Context, c *seasonCall, req *holdfast.ChatRequest) (shown string, answer *holdfast.ChatResponse, err error) {
	if c.way != stream {
		if c.way == unary {
			req.MaxOutputTokens = 1000
		}
		answer, err = s.client.Chat(ctx, req)
		return textOf(answer), answer, err
	}
	n := 0
	for event, err := range s.client.Stream(ctx, req) {
		if err != nil {
			return shown, nil, err
		}
		if event.Type == holdfast.EventReset {
			shown = ""
		}
		shown += event.Text()
		answer = event.Response
		if n++; n == c.leave && event.Type != holdfast.EventEnd {
			c.left = true
			return shown, nil, nil
		}
	}
	return shown, answer, nil
}

// text is what every model says to the call.
func (c *seasonCall) text() string {
	words := make([]string, 3+c.id%17)
	for i := range words {
		words[i] = fmt.Sprintf("%d/%d", c.id, i)
	}
	return strings.Join(words, " ")
}

// judge judges what a call came to.
func (s *season) judge(c *seasonCall, shown string, answer *holdfast.ChatResponse, err error) {
	var e *holdfast.Error
	var trail holdfast.Trail
	switch {
	case errors.As(err, &e):
		trail = e.Trail
		if partial := textOf(e.Partial); !strings.HasPrefix(c.text(), shown) || !strings.HasPrefix(c.text(), partial) || c.way == stream && shown != partial {
			s.fault("call %d was shown %q, the error has %q, of %q: %v\n%s", c.id, shown, partial, c.text(), err, trail)
		}
	case err != nil:
		s.fault("call %d: %v is no *Error", c.id, err)
	case c.left:
		return
	default:
		trail = answer.Trail
		if shown != c.text() || answer.Text() != shown {
			s.fault("call %d was shown %q, answered %q, want %q\n%s", c.id, shown, answer.Text(), c.text(), trail)
		}
	}
	most, locals := s.conf.Retry.MaxAttempts, 0
	if most == 0 {
		most = 8
	}
	for _, a := range trail.Attempts {
		at := s.named(a.Endpoint)
		if against := s.against(at, c); against != "" {
			s.fault("call %d was at %s: %s\n%s", c.id, a.Endpoint, against, trail)
		}
		if at.Local {
			locals++
		}
	}
	if resort := min(locals, 1); len(trail.Attempts) > most+resort {
		s.fault("call %d made %d attempts, want %d and %d at a local model\n%s", c.id, len(trail.Attempts), most, resort, trail)
	}
	s.replay(trail)
}

// replay reads a Trail from JSON and makes its choices once more.
func (s *season) replay(trail holdfast.Trail) {
	text, err := json.Marshal(trail)
	var again holdfast.Trail
	if err == nil {
		err = json.Unmarshal(text, &again)
	}
	if err != nil || again.String() != trail.String() {
		s.fault("%v: got %s, want %s", err, again, trail)
	}
	for _, c := range trail.Choices {
		var read struct {
			Choice   score.Choice
			Snapshot score.Snapshot
		}
		if text, err = json.Marshal(c); err == nil {
			err = json.Unmarshal(text, &read)
		}
		if err != nil {
			s.fault("%v", err)
			continue
		}
		made := score.Choose(read.Snapshot)
		if read.Snapshot.Candidates[read.Choice.Index].Local {
			made = read.Snapshot.Resort().Choice
		}
		if made != read.Choice {
			s.fault("chose %+v, and then %+v, on\n%s", read.Choice, made, text)
		}
	}
}

func (s *season) named(name string) *seasonEndpoint {
	return s.endpoints[slices.IndexFunc(s.endpoints, func(e *seasonEndpoint) bool { return e.Name == name })]
}

// against says why a call must not go to an endpoint, "" if it may.
func (s *season) against(e *seasonEndpoint, c *seasonCall) string {
	byCountry := slices.ContainsFunc(s.endpoints, func(e *seasonEndpoint) bool { return len(e.Countries)+len(e.ExceptCountries) > 0 })
	model := c.model
	if model == "" {
		model = "default"
	}
	switch {
	case len(s.conf.Residency) > 0 && !slices.Contains(s.conf.Residency, e.Region), len(c.residency) > 0 && !slices.Contains(c.residency, e.Region):
		return "residency"
	case c.tools && len(e.Lacks) > 0:
		return "lacks tools"
	case e.Models[model] == "":
		return "the model"
	case byCountry && (len(e.Countries) > 0 && !slices.Contains(e.Countries, c.country) || slices.Contains(e.ExceptCountries, c.country)),
		c.country == "" && len(e.Countries)+len(e.ExceptCountries) > 0:
		return "the country"
	}
	return ""
}

var seasonPrompt = regexp.MustCompile(`Tell story (\d+)!`)

// asked returns the call that a request belongs to, nil for a probe.
func (s *season) asked(body []byte) *seasonCall {
	m := seasonPrompt.FindSubmatch(body)
	if m == nil {
		return nil
	}
	id, _ := strconv.Atoi(string(m[1]))
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[id]
}

// reply is what the weather lets an endpoint answer.
func (e *seasonEndpoint) reply(asked holdfasttest.Request) holdfasttest.Reply {
	c := e.asked(asked.Body)
	s := e.season
	s.mu.Lock()
	defer s.mu.Unlock()
	r := holdfasttest.Reply{BeforeFirst: 100 * time.Millisecond}
	if i := slices.IndexFunc(e.weather, func(w weather) bool { return asked.At.Before(s.begun.Add(w.until)) }); i >= 0 {
		r = oneOf(e.rnd, e.weather[i].replies...)
	}
	if c == nil {
		if e.Local || e.mirror || s.conf.Probes.By == holdfast.ProbeOff || s.conf.Probes.By == holdfast.ProbeFree || !bytes.Contains(asked.Body, []byte(`"Hi"`)) {
			s.fault("%s was asked %s", e.Name, asked.Body)
		}
		return r
	}
	if against := s.against(e, c); against != "" {
		s.fault("call %d reached %s: %s", c.id, e.Name, against)
	}
	r.Text = c.text()
	var body any
	_ = json.Unmarshal(asked.Body, &body)
	if prompt, ok := findText(body, promptBegin); ok {
		end, _, _ := strings.Cut(prompt[len(promptBegin):], promptEnd)
		r.Chunks = strings.SplitAfter(r.Text[strings.LastIndex(r.Text, end)+len(end):], " ")
	}
	return r
}

// wrap sees what leaves, probes too.
func (s *season) wrap(name string, base http.RoundTripper) http.RoundTripper {
	e := s.named(name)
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		body, _ := r.Body.(interface{ Len() int })
		c, _ := r.Context().Value(seasonKey{}).(*seasonCall)
		if c == nil {
			s.fault("a request to %s has no call: %v", name, body)
		} else if against := s.against(e, c); against != "" {
			s.fault("call %d sent something to %s: %s", c.id, name, against)
		}
		e.runs(1)
		resp, err := base.RoundTrip(r)
		if err != nil {
			e.runs(-1)
			return resp, err
		}
		resp.Body = &seasonBody{ReadCloser: resp.Body, ended: sync.OnceFunc(func() { e.runs(-1) })}
		return resp, nil
	})
}

func (e *seasonEndpoint) runs(more int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running += more; e.Local && e.running > e.Concurrency {
		e.fault("%d run at %s, which takes %d", e.running, e.Name, e.Concurrency)
	}
}

type seasonBody struct {
	io.ReadCloser
	ended func()
}

func (b *seasonBody) Close() error {
	defer b.ended()
	return b.ReadCloser.Close()
}

// watch looks at the client's own figures.
func (s *season) watch(over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		case <-time.After(997 * time.Millisecond):
		}
		status := s.client.Status()
		s.mu.Lock()
		most := max(100, float64(len(s.calls)))
		s.mu.Unlock()
		if b := status.RetryBudget; b < 0 || b > most || status.Waiting < 0 || status.Waiting > 256 {
			s.fault("the budget is %v, and %d wait", b, status.Waiting)
		}
		for i, e := range status.Endpoints {
			if at := s.endpoints[i]; at.Local && e.Running > at.Concurrency || e.Running < 0 {
				s.fault("%d run at %s", e.Running, e.Name)
			}
		}
	}
}

// calm calls twice a second for two minutes of fine weather.
func (s *season) calm() {
	c := &seasonCall{way: chat, country: "GB"}
	for n := range 260 {
		s.mu.Lock()
		c = &seasonCall{id: len(s.calls), way: oneOf(s.endpoints[0].rnd, stream, chat), country: "GB"}
		s.calls = append(s.calls, c)
		s.mu.Unlock()
		answer, err := s.call(c)
		if n >= 240 {
			s.judgeCalm(c, answer, err)
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// judgeCalm judges a call when all has been well for long.
func (s *season) judgeCalm(c *seasonCall, answer *holdfast.ChatResponse, err error) {
	var best []*seasonEndpoint
	order := func(e *seasonEndpoint) int {
		at := e.Tier
		if e.Local {
			at = 1000
		}
		if !slices.Contains(e.Countries, c.country) {
			at += 100
		}
		return at
	}
	for _, e := range s.endpoints {
		if e.mirror || s.against(e, c) != "" {
			continue
		}
		if len(best) > 0 && order(e) < order(best[0]) {
			best = nil
		}
		if len(best) == 0 || order(e) == order(best[0]) {
			best = append(best, e)
		}
	}
	if len(best) == 0 {
		if !errors.Is(err, holdfast.KindNoEndpoint) {
			s.fault("got %v, want that nobody may be asked", err)
		}
		return
	}
	names := make([]string, len(best))
	for i, e := range best {
		names[i] = e.Name
	}
	if err != nil || len(answer.Trail.Attempts) != 1 || !slices.Contains(names, answer.Endpoint) {
		s.fault("call %d in fine weather: got %v, want an answer of one of %s at the first attempt\n%s", c.id, err, names, trailOf(answer, err))
		return
	}
	status := s.client.Status()
	for i, e := range status.Endpoints {
		health := e.Health
		if s.conf.HealthByCountry && s.conf.GeoIP != "" {
			health = e.ByCountry[c.country]
		}
		if slices.Contains(names, e.Name) && health.Breaker != "closed" {
			s.fault("the breaker of %s is still %s\n%+v", s.endpoints[i].Name, health.Breaker, e)
		}
	}
	if status.RetryBudget != 100 {
		s.fault("the retry budget is %v", status.RetryBudget)
	}
}

func (s *season) judgeEnd() {
	status := s.client.Status()
	for _, e := range status.Endpoints {
		if e.Running != 0 || e.Queued != 0 {
			s.fault("%d run at %s, and %d are queued", e.Running, e.Name, e.Queued)
		}
	}
	if status.Waiting != 0 {
		s.fault("%d wait", status.Waiting)
	}
}

func (s *season) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "season %d: %s, wrapped %v, closes %v\n", s.seed, fields(s.conf), s.wrapped, s.closes)
	for _, e := range s.endpoints {
		fmt.Fprintf(&b, "%s\n", fields(e.Endpoint))
		for _, w := range e.weather {
			fmt.Fprintf(&b, "\tuntil %v: down %d\n", w.until, w.down)
			for _, r := range w.replies {
				fmt.Fprintf(&b, "\t\t%s\n", fields(r))
			}
		}
	}
	return b.String()
}

// seasonLimits are what a head says of a limit: what is consistent, or what makes no sense.
func seasonLimits(r *rand.Rand) http.Header {
	limit, fills := 1+r.IntN(100), 1+r.IntN(60)
	used := r.IntN(limit + 1)
	texts := []string{strconv.Itoa(limit), strconv.Itoa(limit - used), strconv.Itoa(fills*used/limit) + "s"}
	if chance(r, 40) {
		texts[r.IntN(3)] = oneOf(r, "0", "-1", "x", "", "1e9", "99999999999999999999")
	}
	return http.Header{"X-Ratelimit-Limit-Requests": texts[:1], "X-Ratelimit-Remaining-Requests": texts[1:2], "X-Ratelimit-Reset-Requests": texts[2:]}
}
