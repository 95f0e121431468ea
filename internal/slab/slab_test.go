package slab

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAppend(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		pieces []string
		want   []string // what each Append returns, and at last Flush
	}{
		"nothing":                    {nil, []string{""}},
		"ASCII":                      {[]string{"a", "", "bc"}, []string{"a", "", "bc", ""}},
		"whole characters":           {[]string{"é", "😀"}, []string{"é", "😀", ""}},
		"two bytes":                  {[]string{"a\xc3", "\xa9b"}, []string{"a", "éb", ""}},
		"three bytes":                {[]string{"\xe2", "\x82", "\xac"}, []string{"", "", "€", ""}},
		"four bytes":                 {[]string{"\xf0", "\x9f", "\x98", "\x80x"}, []string{"", "", "", "😀x", ""}},
		"an empty piece between":     {[]string{"\xf0\x9f", "", "\x98\x80"}, []string{"", "", "😀", ""}},
		"never completed":            {[]string{"a\xe2\x82"}, []string{"a", "\uFFFD\uFFFD"}},
		"completed wrongly":          {[]string{"\xe2\x82", "x"}, []string{"", "\uFFFD\uFFFDx", ""}},
		"a new beginning":            {[]string{"\xe2", "\xe2\x82\xac"}, []string{"", "\uFFFD€", ""}},
		"stray bytes":                {[]string{"\xffa\x80", "\xc0\xaf"}, []string{"\uFFFDa\uFFFD", "\uFFFD\uFFFD", ""}},
		"surrogate in UTF-8":         {[]string{"\xed\xa0\x80"}, []string{"\uFFFD\uFFFD\uFFFD", ""}},
		"the replacement itself":     {[]string{"\uFFFD", "\xef\xbf", "\xbd"}, []string{"\uFFFD", "", "\uFFFD", ""}},
		"zero":                       {[]string{"\x00"}, []string{"\x00", ""}},
		"beyond the last code point": {[]string{"\xf4\x90", "\x80\x80"}, []string{"\uFFFD\uFFFD", "\uFFFD\uFFFD", ""}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b, s Text
			for i, p := range c.pieces {
				holds := i > 0 && b.Holds()
				if got := b.Append([]byte(p)); got != c.want[i] {
					t.Errorf("piece %d (behind held bytes: %v): got %q, want %q", i, holds, got, c.want[i])
				}
				if got := s.AppendString(p); got != c.want[i] {
					t.Errorf("piece %d as a string: got %q, want %q", i, got, c.want[i])
				}
			}
			last := c.want[len(c.want)-1]
			if b.Holds() != (last != "") {
				t.Errorf("got Holds %v, want %v", b.Holds(), last != "")
			}
			if got := b.Flush(); got != last {
				t.Errorf("Flush: got %q, want %q", got, last)
			}
			if got := b.Flush(); got != "" {
				t.Errorf("second Flush: got %q, want nothing", got)
			}
			want := strings.Join(c.want, "")
			if got := b.String(); got != want || b.Len() != len(want) {
				t.Errorf("got %q of %d bytes, want %q", got, b.Len(), want)
			}
		})
	}
}

func TestStringsStayAsTheText(t *testing.T) {
	t.Parallel()
	var text Text
	piece := []byte("....")
	var given, kept, whole []string
	for i := range 10_000 {
		for j := range piece {
			piece[j] = byte('a' + (i+j)%26)
		}
		s := text.Append(piece)
		given, kept = append(given, s), append(kept, strings.Clone(s))
		if i%1000 == 0 {
			w := text.String()
			given, kept = append(given, w), append(kept, strings.Clone(w))
		}
		if i%7 == 0 {
			text.Append([]byte("\xc3"))
		}
		if i%14 == 0 {
			whole = append(whole, text.Flush())
		}
	}
	for i := range given {
		if given[i] != kept[i] {
			t.Fatalf("string %d: got %q, want it to stay %q", i, given[i], kept[i])
		}
	}
	if len(whole) == 0 || !utf8.ValidString(text.String()) {
		t.Error("the text is not valid UTF-8")
	}
}

// Two texts that go on from one do not disturb each other, nor it.
func TestFork(t *testing.T) {
	t.Parallel()
	var text Text
	text.AppendString("a long beginning, \xe2")
	one, two := text.Fork(), text.Fork()
	one.AppendString("one")
	two.AppendString("two")
	text.AppendString("\x82\xac")
	for got, want := range map[string]string{
		one.String(): "a long beginning, one", two.String(): "a long beginning, two", text.String(): "a long beginning, €",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAppendCostsNoAllocation(t *testing.T) {
	piece := []byte("a few words ")
	got := testing.AllocsPerRun(5, func() {
		var text Text
		for range 5000 {
			text.Append(piece)
		}
	})
	if got > 30 {
		t.Errorf("got %v allocations for 5000 pieces, want at most 30", got)
	}
}

// FuzzAppend demands that how a text is cut makes no difference, and that nothing valid is lost.
func FuzzAppend(f *testing.F) {
	f.Add("é😀 plain \xff\xe2\x82", uint8(1))
	f.Add("\xed\xa0\x80\xf0\x9f", uint8(2))
	f.Fuzz(func(t *testing.T, text string, size uint8) {
		var whole, cut Text
		whole.AppendString(text)
		whole.Flush()
		var joined strings.Builder
		for rest := text; rest != ""; {
			n := min(int(size)+1, len(rest))
			joined.WriteString(cut.AppendString(rest[:n]))
			rest = rest[n:]
		}
		joined.WriteString(cut.Flush())
		if cut.String() != whole.String() || joined.String() != cut.String() {
			t.Errorf("got %q, joined %q, want %q", cut.String(), joined.String(), whole.String())
		}
		if !utf8.ValidString(cut.String()) || utf8.ValidString(text) && cut.String() != text {
			t.Errorf("got %q, want %q", cut.String(), text)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for name, piece := range map[string]string{"ASCII": "a few words ", "Chinese": "一些中文字", "broken": "a\xffb"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(5000 * len(piece)))
			for b.Loop() {
				var text Text
				for range 5000 {
					text.AppendString(piece)
				}
			}
		})
	}
}
