package seam

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// overlaps is the table of what is dropped from a second half that follows shown.
var overlaps = map[string]struct{ shown, second, want string }{
	"no overlap":                        {"one two", " three", " three"},
	"nothing shown":                     {"", "one", "one"},
	"nothing follows":                   {"one", "", ""},
	"some words":                        {"one two three", "two three four", " four"},
	"the whole first half":              {"one two", "one two three", " three"},
	"all of the second":                 {"one two three", "two three", ""},
	"starts all over":                   {"one two three", "one two and", "one two and"},
	"from the beginning, then cut":      {"one two three", "one two", "one two"},
	"the longest of two":                {"one two one two", "one two one two three", " three"},
	"a shorter one behind a long hope":  {"one two x one two", "one two three", " three"},
	"within a word":                     {"a keyboard", "boards", "s"},
	"chance":                            {"book", "keeping", "keeping"},
	"chance of three":                   {"an often", "tent", "tent"},
	"four in a word":                    {"often", "ften", ""},
	"one at the beginning of a word":    {"the s", "sun", "un"},
	"one behind a line feed":            {"the\ns", "sun", "un"},
	"one behind a bracket":              {"the (s", "sun", "sun"},
	"one at the beginning of the text":  {"s", "sun", "un"},
	"a space":                           {"a ", " b", "b"},
	"a space too many":                  {"a ", "  b", " b"},
	"white space":                       {"a \n\t", "\n\tb", "b"},
	"a space and the end of a word":     {"a  b", " book", " book"},
	"two short words":                   {"s s", "s s", ""},
	"a space and four":                  {"a word", " words", "s"},
	"a character of three bytes":        {"日本", "本物", "本物"},
	"two of them":                       {"日本語", "本語の", "の"},
	"half a character":                  {"aa é", "\u0329", "\u0329"},
	"ellipsis":                          {"he went to the shops", "…to the shops and", " and"},
	"ellipsis and space":                {"he went to the shops", "… to the shops and", " and"},
	"dots":                              {"he went to the shops", "...to the shops and", " and"},
	"white space around the dots":       {"he went to the shops", "\n... to the shops and", " and"},
	"ellipsis and nothing more":         {"he went to the shops", "… to the shops", ""},
	"ellipsis and eleven bytes":         {"he went to this shop", "…o this shop and", "…o this shop and"},
	"ellipsis and twelve bytes":         {"he went to this shop", "…to this shop and", " and"},
	"ellipsis and other text":           {"he went to the shops", "… to the zoo", "… to the zoo"},
	"ellipsis alone":                    {"he went to the shops", "…", "…"},
	"two dots":                          {"he went to the shops", "..to the shops and", "..to the shops and"},
	"white space alone before the rest": {"he went to the shops", "\nto the shops and", "\nto the shops and"},
	"too much white space":              {"he went to the shops", "…" + strings.Repeat(" ", maxLead) + "to the shops", "…" + strings.Repeat(" ", maxLead) + "to the shops"},
	"all white space that can be":       {"he", "…" + strings.Repeat(" ", maxLead-3), "…" + strings.Repeat(" ", maxLead-3)},
	"an ellipsis that was shown":        {"he went …", " … to", " to"},
	"both ways":                         {"he went on… and then he went", "… and then he went on", " on"},
}

func TestOverlap(t *testing.T) {
	t.Parallel()
	for name, c := range overlaps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := alike(t, func() *Seam { return Overlap(c.shown) }, c.second, 1, 2, 3, 5, 8)
			if got != c.want || err != nil {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
			if got := naive(c.shown, c.second); got != c.want {
				t.Errorf("the rule as the test has it: got %q, want %q", got, c.want)
			}
		})
	}
}

// naive drops the overlap of a whole second half by the words of the rule, with no thought of speed.
func naive(shown, second string) string {
	tail := shown[max(0, len(shown)-MaxOverlap):]
	for !utf8.ValidString(tail) {
		tail = tail[1:]
	}
	best := 0
	for i := range tail {
		end := tail[i:]
		if n := len(end); strings.HasPrefix(second, end) && naivelyCounts(tail[:i], end) {
			best = max(best, n)
		}
		for lead := 1; lead <= min(maxLead, len(second)); lead++ {
			if strings.HasPrefix(second[lead:], end) && naivelyLeads(second, lead) && len(end) >= leastBehind {
				best = max(best, lead+len(end))
			}
		}
	}
	return second[best:]
}

func naivelyCounts(before, end string) bool {
	if len(end) >= 4 || strings.TrimSpace(end) == "" {
		return true
	}
	behindSpace := before == "" || strings.TrimSpace("x"+before) != "x"+before
	return behindSpace && strings.TrimLeftFunc(end, unicode.IsSpace) == end
}

// naivelyLeads reports whether the first n bytes of second are an ellipsis with all white space around it that there is room for.
func naivelyLeads(second string, n int) bool {
	dots := strings.TrimSpace(second[:n])
	next, size := utf8.DecodeRuneInString(second[n:])
	return (dots == "…" || dots == "...") && (!unicode.IsSpace(next) || n+size > maxLead)
}

// Each piece passes as soon as no longer overlap is possible.
func TestOverlapHoldsNoLongerThanItMust(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		shown  string
		pieces []string
		want   []string
	}{
		"nothing like it":               {"one two", []string{"x", "y"}, []string{"x", "y", ""}},
		"like it for a while":           {"one two", []string{"o", "n", "x"}, []string{"", "", "onx", ""}},
		"the end of the overlap":        {"one two", []string{"tw", "o", " three"}, []string{"", "", " three", ""}},
		"a longer one may come":         {"two, two", []string{"two", ",", " ", "three"}, []string{"", "", "", ", three", ""}},
		"the only place does not count": {"a book", []string{"ok", "ay"}, []string{"ok", "ay", ""}},
		"dots":                          {"he went to the shops", []string{".", "..", " ", "to the ", "zoo"}, []string{"", "", "", "", "... to the zoo", ""}},
		"too short for dots":            {"he went to the shop", []string{"…", "shop"}, []string{"", "…shop", ""}},
		"ends while held":               {"one two", []string{"on", ""}, []string{"", "", "on"}},
		"an empty piece":                {"one two", []string{"", "two"}, []string{"", "", ""}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := pass(Overlap(c.shown), c.pieces...); !slices.Equal(got, c.want) || err != nil {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestMaxOverlap(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := 0; b.Len() < 2*MaxOverlap; i++ {
		fmt.Fprintf(&b, "%d,", i)
	}
	shown := b.String()
	cases := map[string]struct{ shown, second, want string }{
		"the bound":              {shown, shown[len(shown)-MaxOverlap:] + "x", "x"},
		"beyond the bound":       {shown, shown[len(shown)-MaxOverlap-1:], shown[len(shown)-MaxOverlap-1:]},
		"all over again":         {shown, shown, shown},
		"a character lies on it": {strings.Repeat("é", MaxOverlap) + "x", strings.Repeat("é", MaxOverlap/2-1) + "xy", "y"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, _ := alike(t, func() *Seam { return Overlap(c.shown) }, c.second, 1, 100); got != c.want {
				t.Errorf("got %d bytes, want %d", len(got), len(c.want))
			}
		})
	}
}

// The worst of texts, byte by byte, must not cost the cube of its length: a second would be a thousand times too much.
func TestManyTinyPieces(t *testing.T) {
	t.Parallel()
	for name, shown := range map[string]string{
		"one letter":     strings.Repeat("a", MaxOverlap),
		"two letters":    strings.Repeat("ab", MaxOverlap/2),
		"a late letter":  strings.Repeat("a", MaxOverlap-1) + "b",
		"spaces":         strings.Repeat(" ", MaxOverlap),
		"growing powers": strings.Repeat(strings.Repeat("a", 40)+"b", MaxOverlap/41),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			if _, err := pass(Overlap(shown), cut(shown[1:]+shown, 1)...); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("took %v, want some milliseconds", took)
			}
		})
	}
}

// FuzzOverlap holds the seam against the naive rule, however the second half is cut.
func FuzzOverlap(f *testing.F) {
	for _, c := range overlaps {
		f.Add(c.shown, c.second, uint8(4))
	}
	f.Fuzz(func(t *testing.T, shown, second string, size uint8) {
		shown, second = strings.ToValidUTF8(shown, "?"), strings.ToValidUTF8(second, "?")
		got, err := alike(t, func() *Seam { return Overlap(shown) }, second, 1, int(size))
		if want := naive(shown, second); got != want || err != nil {
			t.Errorf("%q behind %q: got %q, %v; want %q", second, shown, got, err, want)
		}
		dropped := strings.TrimSuffix(second, got)
		if n, _ := lead([]byte(dropped)); !strings.HasSuffix(shown, dropped) && (n == 0 || !strings.HasSuffix(shown, dropped[n:])) {
			t.Errorf("%q behind %q: got %q dropped, want an end of what was shown", second, shown, dropped)
		}
	})
}

func BenchmarkOverlap(b *testing.B) {
	prose := strings.Repeat("It is a truth universally acknowledged, that a single man must be in want. ", 30)
	for name, c := range map[string]struct{ shown, second string }{
		"none":  {prose, "Quite another text follows here."},
		"some":  {prose, "must be in want. However little known"},
		"worst": {strings.Repeat("a", MaxOverlap), strings.Repeat("a", MaxOverlap)},
	} {
		b.Run(name, func(b *testing.B) {
			pieces := cut(c.second, 4)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := pass(Overlap(c.shown), pieces...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
