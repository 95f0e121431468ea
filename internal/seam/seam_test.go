package seam

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// pass sends pieces through s and returns what each Take passes on, and at last Flush.
func pass(s *Seam, pieces ...string) (out []string, err error) {
	for _, p := range pieces {
		b, err := s.Take([]byte(p))
		if err != nil {
			return out, err
		}
		out = append(out, string(b))
	}
	b, err := s.Flush()
	return append(out, string(b)), err
}

// cut cuts text into pieces of at least size bytes, which end where characters do.
func cut(text string, size int) (pieces []string) {
	from := 0
	for i := range text {
		if i-from >= size {
			pieces = append(pieces, text[from:i])
			from = i
		}
	}
	return append(pieces, text[from:])
}

// alike checks that second comes out of the seam the same however it is cut, and returns it.
func alike(t *testing.T, seam func() *Seam, second string, sizes ...int) (string, error) {
	t.Helper()
	whole, wantErr := pass(seam(), second)
	want := strings.Join(whole, "")
	if !strings.HasSuffix(second, want) {
		t.Errorf("%q: got %q, want an end of it", second, want)
	}
	for _, size := range sizes {
		got, err := pass(seam(), cut(second, size)...)
		if joined := strings.Join(got, ""); joined != want || !errors.Is(err, wantErr) {
			t.Errorf("%q cut at %d: got %q, %v; want %q, %v", second, size, joined, err, want, wantErr)
		}
		if i := slices.IndexFunc(got, func(s string) bool { return !utf8.ValidString(s) }); i >= 0 {
			t.Errorf("%q cut at %d: got half a character in %q", second, size, got[i])
		}
	}
	return want, wantErr
}

func TestEcho(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		repeat string
		pieces []string
		want   []string
		bad    bool
	}{
		"nothing to repeat":      {"", []string{"a"}, []string{"a", ""}, false},
		"in one piece":           {"ab", []string{"abc"}, []string{"c", ""}, false},
		"exactly":                {"ab", []string{"ab"}, []string{"", ""}, false},
		"in small pieces":        {"aé", []string{"a", "", "é", "b"}, []string{"", "", "", "b", ""}, false},
		"over a piece's end":     {"abc", []string{"ab", "cd", "e"}, []string{"", "d", "e", ""}, false},
		"repeated twice":         {"ab", []string{"abab"}, []string{"ab", ""}, false},
		"another text":           {"ab", []string{"xy"}, nil, true},
		"another behind a piece": {"abc", []string{"a", "xc"}, []string{""}, true},
		"another character":      {"é", []string{"è"}, nil, true},
		"ends within":            {"abc", []string{"ab"}, []string{"", ""}, true},
		"empty":                  {"abc", nil, []string{""}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := pass(Echo(c.repeat), c.pieces...)
			if !slices.Equal(got, c.want) || errors.Is(err, ErrMismatch) != c.bad {
				t.Errorf("got %q, %v; want %q, mismatch %v", got, err, c.want, c.bad)
			}
		})
	}
}

func TestMismatchStays(t *testing.T) {
	t.Parallel()
	s := Echo("ab")
	for _, piece := range []string{"x", "ab"} {
		if out, err := s.Take([]byte(piece)); len(out) > 0 || !errors.Is(err, ErrMismatch) {
			t.Errorf("Take of %q: got %q, %v; want a mismatch", piece, out, err)
		}
	}
	if _, err := s.Flush(); !errors.Is(err, ErrMismatch) || s.Settled() {
		t.Errorf("got %v, settled %v; want the error again, unsettled", err, s.Settled())
	}
}

func TestSpace(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		stripped string
		pieces   []string
		want     []string
	}{
		"nothing stripped":         {"", []string{" a"}, []string{" a", ""}},
		"comes again":              {" \n", []string{" \na"}, []string{"a", ""}},
		"comes again in pieces":    {" \n", []string{" ", "", "\n", "a"}, []string{"", "", "", "a", ""}},
		"does not come again":      {" \n", []string{"a"}, []string{"a", ""}},
		"only its beginning":       {" \n", []string{" a", " "}, []string{"a", " ", ""}},
		"only its end":             {" \n", []string{"\n", "a"}, []string{"\n", "a", ""}},
		"more than was stripped":   {" ", []string{"  a"}, []string{" a", ""}},
		"more, in pieces":          {" ", []string{" ", " ", "a"}, []string{"", " ", "a", ""}},
		"half a character is kept": {"\u2003", []string{"\u2002a"}, []string{"\u2002a", ""}},
		"wide":                     {"\u2003 ", []string{"\u2003", " a"}, []string{"", "a", ""}},
		"space alone":              {" \n", []string{" "}, []string{"", ""}},
		"empty":                    {" ", nil, []string{""}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := pass(Space(c.stripped), c.pieces...); !slices.Equal(got, c.want) || err != nil {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestSettled(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		seam  *Seam
		piece string // what settles it
	}{
		"echo":             {Echo("ab"), "ab"},
		"space":            {Space(" \n"), " \n"},
		"other than space": {Space(" \n"), "a"},
		"overlap":          {Overlap("one two"), "two"},
		"no overlap":       {Overlap("one two"), "x"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.seam.Settled() {
				t.Error("got settled before the second half, want not")
			}
			if _, err := c.seam.Take([]byte(c.piece)); err != nil || !c.seam.Settled() {
				t.Errorf("got settled %v, %v; want settled by %q", c.seam.Settled(), err, c.piece)
			}
		})
	}
	for name, s := range map[string]*Seam{"zero": {}, "echo": Echo(""), "space": Space(""), "overlap": Overlap("")} {
		if !s.Settled() {
			t.Errorf("%s with nothing to drop: got unsettled, want settled", name)
		}
	}
	s := Overlap("one two")
	if s.Flush(); !s.Settled() {
		t.Error("got unsettled behind Flush, want settled")
	}
}

func TestSettledCostsNoAllocation(t *testing.T) {
	s := Overlap("one two")
	if _, err := s.Take([]byte("two")); err != nil {
		t.Fatal(err)
	}
	piece := []byte(" three")
	got := testing.AllocsPerRun(100, func() {
		if out, err := s.Take(piece); &out[0] != &piece[0] || err != nil {
			t.Errorf("got %q, %v; want the piece itself", out, err)
		}
	})
	if got > 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

func FuzzEcho(f *testing.F) {
	f.Add("ab", "abc", uint8(1))
	f.Add("aé", "aèb", uint8(2))
	f.Add("abc", "ab", uint8(1))
	f.Fuzz(func(t *testing.T, repeat, second string, size uint8) {
		repeat, second = strings.ToValidUTF8(repeat, "?"), strings.ToValidUTF8(second, "?")
		got, err := alike(t, func() *Seam { return Echo(repeat) }, second, 1, int(size))
		want, echoed := strings.CutPrefix(second, repeat)
		if echoed != (err == nil) || echoed && got != want {
			t.Errorf("got %q, %v; want %q, mismatch %v", got, err, want, !echoed)
		}
	})
}

func FuzzSpace(f *testing.F) {
	f.Add(" \n", " \na", uint8(1))
	f.Add("\u2003\u2003", "\u2003\u2002", uint8(2))
	f.Fuzz(func(t *testing.T, stripped, second string, size uint8) {
		stripped, second = strings.ToValidUTF8(stripped, "?"), strings.ToValidUTF8(second, "?")
		got, err := alike(t, func() *Seam { return Space(stripped) }, second, 1, int(size))
		want := second
		for i, r := range stripped {
			if !strings.HasPrefix(second, stripped[:i+utf8.RuneLen(r)]) {
				break
			}
			want = second[i+utf8.RuneLen(r):]
		}
		if got != want || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	})
}
