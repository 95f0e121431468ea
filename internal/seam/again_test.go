package seam

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ whole, stripped, second, want string }{
		"the rest alone":            {"The sky is", " ", "blue.", "blue."},
		"all over":                  {"The sky is", " ", "The sky is blue.", "blue."},
		"all over, no white space":  {"The sky is", "", "The sky is blue.", " blue."},
		"another beginning":         {"The sky is", " ", "The sea is blue.", "The sea is blue."},
		"the beginning of it alone": {"The sky is", "", "The s", "The s"},
		"it alone":                  {"The sky is", "", "The sky is", ""},
		"white space again":         {"The sky is", "\n\n", "\n\nblue", "blue"},
		"nothing was shown":         {"", "", "The sky", "The sky"},
		"nothing":                   {"The sky is", " ", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := alike(t, func() *Seam { return Again(c.whole, c.stripped) }, c.second, 1, 2, 3, 7)
			if got != c.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestRetold(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("All work and no play. ", 200) + "The end is near"
	for name, c := range map[string]struct{ shown, second, want string }{
		"short, all over":      {"The sky is", "The sky is blue.", " blue."},
		"long, all over":       {long, long + ", they say.", ", they say."},
		"long, the last words": {long, "The end is near, they say.", ", they say."},
		"long, another text":   {long, "All work is done.", "All work is done."},
		"long, cut off":        {long, long[:3000], long[:3000]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := alike(t, func() *Seam { return Retold(c.shown) }, c.second, 1, 7, 100)
			if got != c.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

// FuzzAgain demands that how the second half is cut makes no difference.
func FuzzAgain(f *testing.F) {
	f.Add("The sky is", " ", "The sky is blue")
	f.Add("é", "\n", "é\n\n")
	f.Fuzz(func(t *testing.T, whole, stripped, second string) {
		if !utf8.ValidString(whole) || !utf8.ValidString(stripped) || !utf8.ValidString(second) {
			t.Skip("texts are valid UTF-8")
		}
		alike(t, func() *Seam { return Again(whole, stripped) }, second, 1, 3)
	})
}
