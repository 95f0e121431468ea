package jsonappend

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestString(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                    `""`,
		"plain":               `"plain"`,
		`a"b\c/d`:             `"a\"b\\c/d"`,
		"\n\r\t\b\f":          `"\n\r\t\u0008\u000c"`,
		"\x00\x1f\x7f":        `"\u0000\u001f` + "\x7f" + `"`,
		"<a href='x'>&":       `"<a href='x'>&"`,
		"é€😀":                 `"é€😀"`,
		"\u2028\u2029":        "\"\u2028\u2029\"",
		"\xff":                "\"\uFFFD\"",
		"a\xc3":               "\"a\uFFFD\"",
		"\xe2\x82x":           "\"\uFFFD\uFFFDx\"",
		"\xed\xa0\x80":        "\"\uFFFD\uFFFD\uFFFD\"",
		"\uFFFD":              "\"\uFFFD\"",
		"\xf0\x9f\x98\"\xff😀": "\"\uFFFD\uFFFD\uFFFD\\\"\uFFFD😀\"",
	} {
		if got := string(String([]byte("before "), in)); got != "before "+want {
			t.Errorf("String(%q): got %s, want %s behind what was there", in, got, want)
		}
		if got := string(String(nil, []byte(in))); got != want {
			t.Errorf("String([]byte(%q)): got %s, want %s", in, got, want)
		}
		if got := string(Fragment(nil, in)); got != want[1:len(want)-1] {
			t.Errorf("Fragment(%q): got %s, want it without quotes", in, got)
		}
	}
}

// Every byte at every place of a word and behind it, among neighbours that could carry into it.
func TestEscapesAtEveryPlace(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		for at := range 20 {
			for _, around := range []string{"a", "!", "#", "]", "\x80", "\x01"} {
				in := strings.Repeat(around, at) + string(rune(c)) + strings.Repeat(around, 20-at)
				var got, want string
				raw, _ := json.Marshal(in)
				if err := json.Unmarshal(raw, &want); err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal(String(nil, in), &got); err != nil || got != want {
					t.Fatalf("%q: got %q, %v", in, got, err)
				}
			}
		}
	}
}

func TestKeysAndCommas(t *testing.T) {
	t.Parallel()
	b := Key([]byte("{"), `a"`)
	b = Int(b, 1)
	b = Key(b, "b")
	b = append(b, '[')
	for i := range 3 {
		b = Int(Comma(b), i-1)
	}
	b = append(b, ']')
	b = Bool(Key(b, "c"), true)
	b = Bool(Key(b, "d"), false)
	b = append(String(Key(b, "e"), "{"), '}')
	if got, want := string(b), `{"a\"":1,"b":[-1,0,1],"c":true,"d":false,"e":"{"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := Comma(nil); len(got) > 0 {
		t.Errorf("got %s, want no comma before the first value", got)
	}
}

func TestBase64(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "a", "ab", "abc", "\xff\xfe\xfd\xfc"} {
		want := `"data:image/png;base64,` + base64.StdEncoding.EncodeToString([]byte(in)) + `"`
		if got := string(Base64(nil, "data:image/png;base64,", []byte(in))); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := string(Base64(nil, `"`, nil)); got != `"\""` {
		t.Errorf("got %s, want the prefix escaped", got)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{
		0: "0", 1: "1", -1.5: "-1.5", 0.1: "0.1", 1e20: "100000000000000000000", 1e21: "1e+21", 1e-6: "0.000001", 1e-7: "1e-07",
		math.MaxFloat64: "1.7976931348623157e+308", math.SmallestNonzeroFloat64: "5e-324",
		math.Inf(1): "null", math.Inf(-1): "null", math.NaN(): "null",
	} {
		if got := string(Float(nil, f)); got != want {
			t.Errorf("Float(%g): got %s, want %s", f, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", -7: "-7", math.MaxInt32: "2147483647", math.MinInt32: "-2147483648"} {
		if got := string(Int(nil, n)); got != want {
			t.Errorf("Int: got %s, want %s", got, want)
		}
	}
}

var samples = map[string]string{
	"ASCII":   strings.Repeat("The quick brown fox jumps over the lazy dog. ", 100),
	"lines":   strings.Repeat("if err != nil {\n\treturn \"x\"\n}\n", 100),
	"Chinese": strings.Repeat("敏捷的棕色狐狸跳过了懒狗。", 100),
	"mixed":   strings.Repeat("naïve café – “x”, ", 100),
	"broken":  strings.Repeat("abc\xffdef ", 100),
}

func TestNothingIsAllocated(t *testing.T) {
	dst := make([]byte, 0, 64<<10)
	for name, s := range samples {
		b := []byte(s)
		if got := testing.AllocsPerRun(20, func() {
			dst = String(dst[:0], s)
			dst = String(dst, b)
			dst = Base64(dst, "data:", b)
			dst = Float(Int(Key(dst, "key"), 123456), 0.7)
		}); got > 0 {
			t.Errorf("%s: got %v allocations, want none", name, got)
		}
	}
}

func FuzzString(f *testing.F) {
	for _, s := range samples {
		f.Add(s[:60])
	}
	f.Add("\x00\x1f\"\\\xe2\x82\u2028\xed\xa0\x80")
	f.Fuzz(func(t *testing.T, in string) {
		got := String(nil, in)
		var back, want string
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		raw, _ := json.Marshal(in)
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		if back != want {
			t.Errorf("got %q, want %q", back, want)
		}
		if other := String(nil, []byte(in)); string(other) != string(got) {
			t.Errorf("from bytes: got %s, want %s", other, got)
		}
	})
}

func FuzzFloat(f *testing.F) {
	for _, x := range []float64{0, 0.7, -1e-9, 1e21, math.MaxFloat64} {
		f.Add(x)
	}
	f.Fuzz(func(t *testing.T, x float64) {
		var back *float64
		if err := json.Unmarshal(Float(nil, x), &back); err != nil {
			t.Fatal(err)
		}
		finite := !math.IsNaN(x) && !math.IsInf(x, 0)
		if finite != (back != nil) || finite && *back != x {
			t.Errorf("got %v, want %v", back, x)
		}
	})
}

func BenchmarkString(b *testing.B) {
	dst := make([]byte, 0, 64<<10)
	for name, s := range samples {
		raw := []byte(s)
		b.Run(name+"/string", func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			b.ReportAllocs()
			for b.Loop() {
				dst = String(dst[:0], s)
			}
		})
		b.Run(name+"/bytes", func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				dst = String(dst[:0], raw)
			}
		})
	}
}
