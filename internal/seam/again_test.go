package seam

import "testing"

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

// FuzzAgain demands that how the second half is cut makes no difference.
func FuzzAgain(f *testing.F) {
	f.Add("The sky is", " ", "The sky is blue")
	f.Add("é", "\n", "é\n\n")
	f.Fuzz(func(t *testing.T, whole, stripped, second string) {
		alike(t, func() *Seam { return Again(whole, stripped) }, second, 1, 3)
	})
}
