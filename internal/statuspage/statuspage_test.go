package statuspage

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 28, 14, 3, 22, 0, time.UTC)

// sample is an endpoint of which everything is known.
func sample() Endpoint {
	h := Health{
		Score: 0.46, LatencyCost: 0.42, FailureCost: 0.04, Median: 420 * time.Millisecond, P99: 1130 * time.Millisecond, FailureRate: 0.02,
		Headroom: 1, Breaker: "closed", LastAnswer: now.Add(-3 * time.Second),
	}
	e := Endpoint{
		Name: "eu-west", Provider: "claude", Region: "eu", Countries: []string{"DE"}, ExceptCountries: []string{"CN"}, Health: h, Whole: h,
		ByCountry: []Country{{"DE", h}}, Blocks: []Block{{Model: "opus", Kind: "rate limited", Until: now.Add(24 * time.Second)}},
		Running: 3, Queued: 1, Why: "tier 0", Failures: []Failure{{At: now.Add(-time.Minute), Kind: "overloaded", Status: 529}},
	}
	for i := range 60 {
		e.Recent = append(e.Recent, Interval{Start: now.Add(time.Duration(i-60) * 10 * time.Second)})
	}
	for i, n := range []int{1, 7, 120, 80} {
		r := &e.Recent[20+10*(i/2)+i%2]
		r.Answered, r.Failed, r.P50, r.P90, r.Max = n, i, time.Duration(n)*time.Millisecond, time.Duration(2*n)*time.Millisecond, time.Second
	}
	return e
}

func written(t testing.TB, p *Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestStates(t *testing.T) {
	t.Parallel()
	key, model := Block{Kind: "bad key"}, Block{Model: "opus", Kind: "rate limited", Until: now.Add(24 * time.Second)}
	cases := map[string]struct {
		change func(*Endpoint)
		want   state
		detail string
	}{
		"well":                   {func(*Endpoint) {}, available, "answered 3\u00a0s ago"},
		"failed but goes on":     {func(e *Endpoint) { e.Health.LastAnswer = time.Time{} }, available, "no answer yet"},
		"never asked":            {func(e *Endpoint) { e.Health.LastAnswer, e.Failures = time.Time{}, nil }, untried, "not asked yet"},
		"a model is blocked":     {func(e *Endpoint) { e.Blocks = []Block{model} }, partly, "opus: rate limited, 24\u00a0s left"},
		"two models are":         {func(e *Endpoint) { e.Blocks = []Block{model, model} }, partly, "2 models"},
		"the account is blocked": {func(e *Endpoint) { e.Blocks = []Block{model, key} }, blocked, "bad key, until the key changes"},
		"suspect":                {func(e *Endpoint) { e.Health.Breaker = "suspect"; e.Blocks = []Block{model} }, suspect, "answered 3\u00a0s ago"},
		"open":                   {func(e *Endpoint) { e.Health.Breaker, e.Health.NextProbe = "open", now.Add(7300*time.Millisecond) }, open, "probe in 7\u00a0s"},
		"open, and blocked":      {func(e *Endpoint) { e.Health.Breaker = "open"; e.Blocks = []Block{key} }, open, "probe due"},
		"open, being probed":     {func(e *Endpoint) { e.Health.Breaker, e.Health.Probing = "open", true }, open, "probe under way"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := sample()
			e.Blocks = nil
			c.change(&e)
			p := &Page{At: now}
			if got, detail := e.state(), p.detail(&e); got != c.want || detail != c.detail {
				t.Errorf("got %v, %q, want %v, %q", states[got].word, detail, states[c.want].word, c.detail)
			}
		})
	}
}

// The columns are as tall as the numbers, and the lines as high as the latencies.
func TestPlotsAreTrue(t *testing.T) {
	t.Parallel()
	e := sample()
	page := written(t, &Page{At: now, Endpoints: []Endpoint{e}})
	_, card, _ := strings.Cut(page, `<figure class="attempts">`)
	var heights []float64
	column := regexp.MustCompile(`M([0-9.]+) 74v-([0-9.]+)h7V74z`)
	for _, m := range column.FindAllStringSubmatch(card, -1) {
		x, _ := strconv.ParseFloat(m[1], 64)
		height, _ := strconv.ParseFloat(m[2], 64)
		heights = append(heights, height)
		if r := e.Recent[int(x/step)]; math.Abs(height-max(least, float64(r.Answered)*base/150)) > 0.06 {
			t.Errorf("got a height of %v for %d answers, of 150", height, r.Answered)
		}
	}
	if len(heights) != 4 || strings.Count(card, "74v")-len(heights) != 3 || !strings.Contains(card, ">150</span>") {
		t.Errorf("got %d columns of answers and %d of failures", len(heights), strings.Count(card, "74v")-len(heights))
	}
	// 1 and 7 ms, then a gap, then 120 and 80 ms, of 300 ms: 100 is the bottom, 0 the top
	if want := `<path class="p50" d="M200 99.7H210V97.7H220M300 60H310V73.3H320"/>`; !strings.Contains(page, want) {
		t.Errorf("got %s, want %s", regexp.MustCompile(`<path class="p50"[^>]*>`).FindString(page), want)
	}
	if want := "medians from 1\u00a0ms to 120\u00a0ms, 80\u00a0ms lately; 90th percentile up to 240\u00a0ms"; !strings.Contains(page, want) {
		t.Errorf("got no %q", want)
	}
}

func TestBarsAreTrue(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		h    Health
		want string
		cut  bool
	}{
		"all four":                             {Health{Score: 1, LatencyCost: 0.5, FailureCost: 0.25, PriceCost: 0.15, HeadroomCost: 0.1}, "latency 0 25 failures 25 12.5 price 37.5 7.5 limits 45 5", false},
		"too long":                             {Health{Score: 9, LatencyCost: 1, FailureCost: 8}, "latency 0 50 failures 50 50", true},
		"a cost that is negative or no number": {Health{Score: 1, LatencyCost: 1, PriceCost: -1, FailureCost: math.NaN()}, "latency 0 50", false},
	}
	rect := regexp.MustCompile(`<rect class=(\w+) height="12" x="([0-9.]+)%" width="([0-9.]+)%"/>`)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var d document
			d.bar(&c.h, 2)
			var got []string
			for _, m := range rect.FindAllStringSubmatch(string(d.html), -1) {
				got = append(got, m[1:]...)
			}
			if strings.Join(got, " ") != c.want || strings.Contains(string(d.html), "class=cut") != c.cut {
				t.Errorf("got %v in %s, want %s", got, d.html, c.want)
			}
		})
	}
}

// The policy lets in the style and the script of the page as it is written, and nothing else.
func TestPolicy(t *testing.T) {
	t.Parallel()
	page := written(t, &Page{At: now, Endpoints: []Endpoint{sample()}})
	for element, directive := range map[string]string{"style": "style-src", "script": "script-src"} {
		found := regexp.MustCompile(`(?s)<` + element + `>(.*)</` + element + `>`).FindStringSubmatch(page)
		if found == nil || strings.Count(page, "<"+element) != 1 {
			t.Fatalf("want one element %s", element)
		}
		sum := sha256.Sum256([]byte(found[1]))
		if want := directive + " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"; !strings.Contains(Policy(), want) {
			t.Errorf("got %s, want %s", Policy(), want)
		}
	}
	if m := regexp.MustCompile(`<[^>]*\s(style|on\w+)=|https?:|(src|href)="?[^"#?d]`).FindString(strings.ReplaceAll(page, "xmlns=&#39;http:", "")); m != "" {
		t.Errorf("the page has %s", m)
	}
}

// What is no number is not shown as one, and nothing is drawn of it.
func TestNoNumbers(t *testing.T) {
	t.Parallel()
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64} {
		e := sample()
		e.Health = Health{Score: x, LatencyCost: x, FailureCost: -x, PriceCost: x, HeadroomCost: x, FailureRate: x, Headroom: x, Median: math.MinInt64}
		var d document
		p := &Page{At: now, Endpoints: []Endpoint{e}, RetryBudget: x, Waiting: math.MinInt}
		d.summary(p)
		d.overview(p)
		d.card(p, 0)
		if m := regexp.MustCompile(`NaN|Inf`).Find(d.html); m != nil {
			t.Errorf("%v: the page has %s", x, m)
		}
	}
}

// What is drawn is told in words or hidden from those who cannot see it, and headings lead from one level to the next.
func TestAccessible(t *testing.T) {
	t.Parallel()
	page := written(t, &Page{At: now, Endpoints: []Endpoint{sample(), sample()}})
	for _, svg := range regexp.MustCompile(`<svg [^>]*>`).FindAllString(page, -1) {
		if !strings.Contains(svg, `aria-hidden="true"`) && !regexp.MustCompile(`role=img aria-label="[^"]+"`).MatchString(svg) {
			t.Errorf("%s says nothing", svg)
		}
	}
	level := 0
	for _, m := range regexp.MustCompile(`<h([1-6])`).FindAllStringSubmatch(page, -1) {
		next, _ := strconv.Atoi(m[1])
		if next > level+1 {
			t.Errorf("a heading of level %d follows one of level %d", next, level)
		}
		level = next
	}
	if th := regexp.MustCompile(`<th( role=\w+)?( class=\w+)?>`).FindString(page); th != "" {
		t.Errorf("%s has no scope", th)
	}
}

func TestWriteFails(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	if err := Write(broken{gone}, &Page{At: now}); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}

type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }
