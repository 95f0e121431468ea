package statuspage

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestWords(t *testing.T) {
	t.Parallel()
	cases := map[string][2]string{
		"no cost":                   {seconds(0), "0"},
		"a cost":                    {seconds(0.456), "0.46"},
		"one that is negative":      {seconds(-0.25), "−0.25"},
		"a large one":               {seconds(500439.2), "500,439"},
		"a boundless one":           {seconds(1e300), "–"},
		"no number":                 {seconds(math.NaN()), "–"},
		"no time":                   {duration(0), "–"},
		"a moment":                  {duration(time.Microsecond), "1 ms"},
		"milliseconds":              {duration(412400 * time.Microsecond), "412 ms"},
		"nearly a second":           {duration(999700 * time.Microsecond), "1.00 s"},
		"seconds":                   {duration(1240 * time.Millisecond), "1.24 s"},
		"many":                      {duration(12440 * time.Millisecond), "12.4 s"},
		"nearly a minute":           {duration(59970 * time.Millisecond), "1 min"},
		"minutes":                   {duration(125 * time.Second), "2 min 5 s"},
		"ten of them":               {span(10*time.Minute + 5*time.Second), "10 min"},
		"nearly an hour":            {span(59*time.Minute + 40*time.Second), "1 h"},
		"nearly ten minutes":        {span(9*time.Minute + 59600*time.Millisecond), "10 min"},
		"for ever":                  {span(math.MaxInt64), "9999 d"},
		"hours":                     {span(3*time.Hour + 20*time.Minute), "3 h 20 min"},
		"days":                      {span(49 * time.Hour), "2 d 1 h"},
		"a time that has passed":    {span(-time.Hour), "0 s"},
		"now":                       {ago(now, now.Add(-900*time.Millisecond)), "now"},
		"a moment ahead":            {ago(now, now.Add(time.Minute)), "now"},
		"ago":                       {ago(now, now.Add(-61*time.Second)), "1 min 1 s ago"},
		"no share":                  {percent(0), "0 %"},
		"a tiny one":                {percent(0.0001), "< 0.1 %"},
		"a share":                   {percent(0.0234), "2.3 %"},
		"a large share":             {percent(0.621), "62 %"},
		"all":                       {percent(1), "100 %"},
		"a share that is no number": {percent(math.Inf(1)), "–"},
		"a count":                   {count(999), "999"},
		"a thousand":                {count(1000), "1,000"},
		"millions":                  {count(13381635), "13,381,635"},
		"a negative one":            {count(-100), "−100"},
		"an axis":                   {axis(0.6000000000000001), "0.6"},
		"of thousands":              {axis(500000), "500k"},
		"of millions":               {axis(1.5e6), "1.5M"},
		"rounded up":                {axis(roundUp(0.54)), "0.6"},
		"which is round":            {axis(roundUp(0.3)), "0.3"},
		"rounded up to the next":    {axis(roundUp(8.1)), "10"},
		"nothing to round":          {axis(roundUp(math.NaN())), "1"},
	}
	for name, c := range cases {
		if got := strings.ReplaceAll(c[0], nbsp, " "); got != c[1] {
			t.Errorf("%s: got %q, want %q", name, got, c[1])
		}
	}
}

func TestScale(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		scores []float64
		want   float64
	}{
		"no endpoint":              {nil, 1},
		"one":                      {[]float64{0.46}, 0.5},
		"alike":                    {[]float64{0.46, 1.1, 1.4}, 1.5},
		"one that is far off":      {[]float64{0.4, 0.5, 0.6, 14}, 0.6},
		"no numbers":               {[]float64{math.NaN(), math.Inf(1), -1}, 1},
		"all far off but the best": {[]float64{0.5, 500000}, 0.5},
	}
	for name, c := range cases {
		var p Page
		for _, s := range c.scores {
			p.Endpoints = append(p.Endpoints, Endpoint{Health: Health{Score: s}})
		}
		if got := p.scale(); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// Text has the contrast that WCAG 2 asks for at level AA, and what is drawn that of graphics, in light and dark.
func TestContrast(t *testing.T) {
	t.Parallel()
	light, dark, _ := strings.Cut(style, "@media (prefers-color-scheme: dark)")
	for scheme, css := range map[string]string{"light": light, "dark": dark} {
		colour := map[string]float64{}
		for _, m := range regexp.MustCompile(`--(\w+): #([0-9a-f]{3,6});`).FindAllStringSubmatch(css, -1) {
			colour[m[1]] = luminance(m[2])
		}
		for least, names := range map[float64][]string{
			4.5: {"ink", "soft", "ok", "warn", "bad", "link"}, 3: {"latency", "failures", "price", "limits", "answered", "focus"},
		} {
			for _, name := range names {
				for _, ground := range []string{"paper", "card"} {
					a, b := colour[name], colour[ground]
					if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < least || a == b {
						t.Errorf("%s: %s on %s has a contrast of %.2f, want %v", scheme, name, ground, ratio, least)
					}
				}
			}
		}
	}
}

// luminance is the relative luminance of a colour as WCAG 2 defines it.
func luminance(hex string) (l float64) {
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, _ := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		l += weight * c
	}
	return l
}
