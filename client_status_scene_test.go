package holdfast

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// scenes are statuses that the page must show well, by what is in them.
func scenes() map[string]Status {
	return map[string]Status{
		"mixed":        mixedScene(),
		"nothing":      {At: sceneTime, RetryBudget: 100},
		"one endpoint": {At: sceneTime, RetryBudget: 100, Endpoints: []EndpointStatus{well("claude", "claude", 0, 1, 420*time.Millisecond)}},
		"no traffic": {At: sceneTime, RetryBudget: 100, Endpoints: []EndpointStatus{
			fresh("claude", "claude", 0, 500*time.Millisecond), fresh("openai", "openai", 1, 500*time.Millisecond),
		}},
		"ten endpoints": tenScene(),
		"all open": {At: sceneTime, RetryBudget: 2.5, Waiting: 31, Endpoints: []EndpointStatus{
			broken("claude", "claude", 0), broken("openai", "openai", 1),
		}},
		"long names": longScene(),
	}
}

var sceneTime = time.Date(2026, 11, 28, 14, 3, 22, 0, time.UTC)

// fresh is an endpoint that nobody asked yet.
func fresh(name, provider string, tier int, expected time.Duration) EndpointStatus {
	e := EndpointStatus{Name: name, Provider: provider, Tier: tier, Health: healthOf(expected, 0.02, 1, 1), Whole: healthOf(expected+2*time.Second, 0.02, 1, 1)}
	e.Why = fmt.Sprintf("tier %d; score %.2f s: %.2f to answer, 0.04 for 2 %% failures", tier, e.Health.Score, expected.Seconds())
	first := sceneTime.Truncate(10 * time.Second).Add(-590 * time.Second)
	for i := range 60 {
		e.Recent = append(e.Recent, Interval{Start: first.Add(time.Duration(i) * 10 * time.Second)})
	}
	return e
}

func healthOf(median time.Duration, failures, price, headroom float64) Health {
	h := Health{
		LatencyCost: median.Seconds(), FailureCost: 2 * failures, PriceCost: (price - 1) / 2, HeadroomCost: 0.3 * max(0, 1-headroom*5),
		Median: median, P99: median * 27 / 10, FailureRate: failures, Headroom: headroom, Breaker: "closed",
	}
	h.Score = h.LatencyCost + h.FailureCost + h.PriceCost + h.HeadroomCost
	return h
}

// well is an endpoint that answers, with some noise.
func well(name, provider string, tier int, load float64, median time.Duration) EndpointStatus {
	e := fresh(name, provider, tier, median)
	random := rand.New(rand.NewPCG(uint64(len(name)), uint64(median)))
	for i := range e.Recent {
		r := &e.Recent[i]
		r.Answered = int(load * (18 + 6*random.NormFloat64()))
		if r.Answered = max(r.Answered, 0); r.Answered == 0 {
			continue
		}
		if random.Float64() < 0.08 {
			r.Failed = 1 + int(2*random.Float64())
			e.Failures = append([]Failure{{At: r.Start.Add(4 * time.Second), Kind: KindOverloaded, Status: 529}}, e.Failures...)
		}
		r.P50 = time.Duration(float64(median) * (0.9 + 0.25*random.Float64()))
		r.P90 = time.Duration(float64(r.P50) * (1.5 + 0.7*random.Float64()))
		r.Max = r.P90 * 3 / 2
	}
	e.Health.LastAnswer, e.Whole.LastAnswer, e.Running = sceneTime.Add(-1200*time.Millisecond), sceneTime.Add(-1200*time.Millisecond), int(4*load)
	return e
}

// learned gives an endpoint the health that calls have taught.
func (e *EndpointStatus) learned(streamed, whole Health) {
	streamed.LastAnswer, whole.LastAnswer = e.Health.LastAnswer, e.Health.LastAnswer
	e.Health, e.Whole = streamed, whole
	e.Why = fmt.Sprintf("tier %d; score %.2f s: %.2f to answer, %.2f for %.0f %% failures", e.Tier, streamed.Score, streamed.LatencyCost, streamed.FailureCost, 100*streamed.FailureRate)
}

// broken is an endpoint that answered until some minutes ago.
func broken(name, provider string, tier int) EndpointStatus {
	e := well(name, provider, tier, 0.8, 610*time.Millisecond)
	e.Failures = nil
	for i := 34; i < 60; i++ {
		e.Recent[i] = Interval{Start: e.Recent[i].Start, Failed: map[bool]int{true: 9 - 3*(i-34), false: i % 2}[i < 37]}
	}
	e.Health = healthOf(610*time.Millisecond, 0.62, 1, 1)
	e.Whole = healthOf(3100*time.Millisecond, 0.62, 1, 1)
	for i := range 20 {
		f := Failure{At: sceneTime.Add(-time.Duration(3+i*i) * time.Second), Kind: KindOverloaded, Status: 529}
		if i%3 == 1 {
			f = Failure{At: f.At, Kind: KindReset}
		}
		e.Failures = append(e.Failures, f)
	}
	for _, h := range []*Health{&e.Health, &e.Whole} {
		h.Breaker, h.Consecutive, h.NextProbe, h.LastAnswer = "open", 23, sceneTime.Add(7300*time.Millisecond), sceneTime.Add(-258*time.Second)
	}
	e.Running, e.Why = 0, "open after 23 failures in a row, answered 4m18s ago, the next probe is due in 7.3s"
	return e
}

func mixedScene() Status {
	first := well("claude-eu", "claude", 0, 1, 420*time.Millisecond)
	first.Region, first.ExceptCountries, first.Next = "eu", []string{"CN"}, true
	gateway := well("claude-hk", "claude", 0, 0.3, 780*time.Millisecond)
	gateway.Region, gateway.Countries = "hk", []string{"CN", "HK", "MO"}
	gateway.learned(healthOf(780*time.Millisecond, 0.035, 1.2, 0.12), healthOf(3700*time.Millisecond, 0.035, 1.2, 0.12))
	gateway.ByCountry = map[string]Health{"CN": healthOf(910*time.Millisecond, 0.05, 1.2, 0.12), "HK": healthOf(640*time.Millisecond, 0.01, 1.2, 0.12)}
	macao := healthOf(1400*time.Millisecond, 0.7, 1.2, 0.12)
	macao.Breaker, macao.Consecutive, macao.NextProbe = "open", 4, sceneTime.Add(2*time.Second)
	gateway.ByCountry["MO"] = macao
	limited := well("openai", "openai", 1, 0.5, 530*time.Millisecond)
	limited.learned(healthOf(530*time.Millisecond, 0.012, 1.5, 0.03), healthOf(2900*time.Millisecond, 0.012, 1.5, 0.03))
	limited.Blocks = []Block{{Model: "gpt-6-sol", Kind: KindRateLimit, Until: sceneTime.Add(24 * time.Second)}}
	limited.Why = "rate-limited for another 24s"
	keyless := fresh("gemini", "gemini", 1, 480*time.Millisecond)
	keyless.Blocks, keyless.Why = []Block{{Kind: KindKey}}, "its key was disabled: bad key; until the key changes"
	keyless.Failures = []Failure{{At: sceneTime.Add(-41 * time.Minute), Kind: KindKey, Status: 401}}
	local := fresh("workstation", "ollama", 0, 900*time.Millisecond)
	local.Local, local.Why = true, "local, the last resort"
	return Status{At: sceneTime, RetryBudget: 87.4, Waiting: 2, Endpoints: []EndpointStatus{first, gateway, limited, broken("deepseek", "deepseek", 2), keyless, local}}
}

func tenScene() Status {
	s := Status{At: sceneTime, RetryBudget: 99.1}
	for i, name := range []string{"claude-eu", "claude-us", "claude-ap", "openai-eu", "openai-us", "gemini", "mistral", "groq", "together"} {
		e := well(name, []string{"claude", "openai", "gemini"}[i%3], i/3, 1/float64(1+i), time.Duration(300+130*i)*time.Millisecond)
		e.Next = i == 0
		s.Endpoints = append(s.Endpoints, e)
	}
	s.Endpoints[4].Health.Breaker, s.Endpoints[4].Health.Consecutive = "suspect", 3
	s.Endpoints[4].Health.NextProbe = sceneTime.Add(300 * time.Millisecond)
	slow := well("llama-at-home", "llama.cpp", 0, 0.05, 14*time.Second)
	slow.Local, slow.Queued = true, 3
	s.Endpoints = append(s.Endpoints, slow)
	return s
}

func longScene() Status {
	const long = "production-europe-west-frankfurt-availability-zone-3-claude-messages-through-the-corporate-gateway"
	e := broken(long, "openai-compatible-with-a-name-of-its-own", 12)
	e.Region = "European-Economic-Area-and-the-United-Kingdom-without-Switzerland"
	for i := range 26 {
		e.Countries = append(e.Countries, string([]byte{'A', byte('A' + i)}))
	}
	e.Blocks = []Block{{Model: "publishers/anthropic/models/claude-opus-5-5@20261101-with-a-very-long-suffix", Kind: KindAnswerTooLarge, Until: sceneTime.Add(49 * time.Hour)}}
	e.Whole = healthOf(437*time.Second, 0.999, 1e6, 0)
	e.ByCountry = map[string]Health{}
	for i, code := range e.Countries {
		e.ByCountry[code] = healthOf(time.Duration(i*i+1)*200*time.Millisecond, float64(i)/26, 1, 1)
	}
	evil := well(`<script>alert("1")</script>&amp;'`, `"><img src=x onerror=alert(1)>`, 0, 12345, time.Second)
	evil.Why = "</style><i onclick='x'>\u202e\x00"
	return Status{At: sceneTime, RetryBudget: 50, Waiting: 123456, Endpoints: []EndpointStatus{e, evil}}
}
