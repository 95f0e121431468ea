package statuspage

import (
	"html"
	"math"
	"strings"
	"testing"
	"time"
)

// FuzzWrite writes a page with foreign texts and numbers, and one that is alike but for harmless texts: their elements and attributes
// must be the same.
func FuzzWrite(f *testing.F) {
	f.Add(`</script><script>`, `"`, `'>`, `<!--`, "&lt;\x00", "\xff\u202e", `{}`, 1.0, int64(1))
	f.Add("a", "b", "", "", "]]>", "\n", "`", math.NaN(), int64(-1))
	f.Add("a", "b", "c", "d", "e", "f", "g", math.Inf(1), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, name, provider, region, country, model, kind, why string, x float64, n int64) {
		page := func(clean func(string) string) string {
			e := sample()
			e.Name, e.Provider, e.Region, e.Why = clean(name), clean(provider), clean(region), clean(why)
			e.Countries, e.ExceptCountries = []string{clean(country)}, []string{clean(country)}
			e.ByCountry[0].Code, e.Failures[0].Kind = clean(country), clean(kind)
			e.Blocks[0].Model, e.Blocks[0].Kind = clean(model), clean(kind)
			e.Health = Health{
				Score: x, LatencyCost: x, FailureCost: -x, PriceCost: 1 / x, Median: time.Duration(n), P99: time.Duration(-n), FailureRate: x, Headroom: x,
				Breaker: "open", NextProbe: now.Add(time.Duration(n)), LastAnswer: now.Add(time.Duration(n)),
			}
			e.Recent = e.Recent[:10]
			e.Recent[7].P50, e.Recent[8].P90, e.Recent[9].Answered, e.Recent[9].Failed = time.Duration(n), time.Duration(n), int(n), int(-n)
			return written(t, &Page{At: now, Endpoints: []Endpoint{e}, RetryBudget: x, Waiting: int(n)})
		}
		foreign := page(func(s string) string { return s })
		got, texts := skeleton(t, foreign)
		want, _ := skeleton(t, page(func(s string) string { return strings.Repeat("x", min(len(s), 1)) }))
		if got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		if shown := replaced(name); shown != "" && !strings.Contains(texts, "\x00"+shown+"\x00") {
			t.Errorf("the name %q is not shown as it is", name)
		}
	})
}

// replaced returns a text without what HTML has no place for.
func replaced(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' || r >= 0x7f && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, string([]rune(s)))
}

// skeleton reads a page as a browser does, and returns its elements with the names of their attributes, and its texts, each between zero
// bytes.
func skeleton(t *testing.T, page string) (elements, texts string) {
	var e, x strings.Builder
	for rest := page; rest != ""; {
		text, tag, found := strings.Cut(rest, "<")
		x.WriteString("\x00" + html.UnescapeString(text) + "\x00")
		if !found {
			break
		}
		name, attributes := "", ""
		name, attributes, rest = readTag(tag)
		e.WriteString("<" + name + attributes + ">\n")
		if name == "style" || name == "script" {
			_, after, ok := strings.Cut(rest, "</"+name)
			if !ok {
				t.Fatalf("%s does not end", name)
			}
			rest = "</" + name + after
		}
	}
	return e.String(), x.String()
}

// readTag reads a tag behind its "<", and returns its name, the names of its attributes, and what follows it.
func readTag(s string) (name, attributes, rest string) {
	end := strings.IndexAny(s, " \n\t>/")
	if strings.HasPrefix(s, "/") {
		end = strings.IndexByte(s, '>')
	}
	if end < 0 {
		return s, "", ""
	}
	name, s = s[:end], s[end:]
	for s != "" && s[0] != '>' {
		if end = strings.IndexAny(s, "=> \n\t"); end < 0 {
			return name, attributes, ""
		}
		attributes += " " + s[:end]
		if s = s[end:]; s[0] == '>' {
			break
		}
		if s[0] != '=' {
			s = s[1:]
			continue
		}
		quote := " >"
		if s = s[1:]; strings.HasPrefix(s, `"`) {
			quote, s = `"`, s[1:]
		}
		if end = strings.IndexAny(s, quote); end < 0 {
			return name, attributes, ""
		}
		if s = s[end:]; quote == `"` {
			s = s[1:]
		}
	}
	return name, attributes, strings.TrimPrefix(s, ">")
}
