package jsonscan

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// everything reads a whole value with the Scanner into what encoding/json would make of it.
func everything(s *Scanner) any {
	switch s.Kind() {
	case Object:
		m := map[string]any{}
		for ok := s.Object(); ok && s.NextKey(); {
			key := string([]rune(string(s.Key())))
			m[key] = everything(s)
		}
		return m
	case Array:
		a := []any{}
		for ok := s.Array(); ok && s.NextElem(); {
			a = append(a, everything(s))
		}
		return a
	case String:
		return s.String()
	case Number:
		f, _ := s.Float()
		return f
	case True, False:
		return s.Bool()
	}
	s.Skip()
	return nil
}

// documents are valid JSON.
var documents = []string{
	`{}`, `[]`, `""`, `0`, `true`, `false`, `null`, ` { } `, "\t[\r\n]\n",
	`{"a":1,"b":[true,false,null],"c":{"d":"e"}}`,
	` { "a" : 1 , "b" : [ true , { } , [ ] ] } `,
	`[1,-1,0,-0,1.5,1e3,1E+3,1e-3,0.1e1,123456789012345678901234567890,9223372036854775807,-9223372036854775808,1e308,5e-324]`,
	`["","a","\"","\\","\/","\b\f\n\r\t","\u0041\u00e9\u20AC","\ud83d\ude00","\\\"","\\\\"]`,
	`["\ud83d","\ude00","\ud83dx","\ud83d\n","\ud83d\u0041","\ud83d\ud83d\ude00","\ude00\ud83d","\ud800\udbff\udfff"]`,
	`{"a\"b":1,"":2,"\u0041":3,"A":4,"a":{"a":{"a":[[[{"a":1}]]]}}}`,
	`{"long":"` + strings.Repeat("x", 100) + `","escaped":"` + strings.Repeat(`\n`, 100) + `","late":"` + strings.Repeat("x", 40) + `\"y"}`,
	"[\"\xff\",\"a\xc3\",\"\xed\xa0\x80\",\"é€😀\",\"\u2028\"]",
	`{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"Hi \"there\""},"finish_reason":null}],"usage":null}`,
}

func TestAgainstEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, doc := range documents {
		agree(t, []byte(doc))
	}
}

func agree(t *testing.T, doc []byte) {
	t.Helper()
	var want any
	if err := json.Unmarshal(doc, &want); err != nil {
		return
	}
	s := New(doc)
	got := everything(&s)
	if err := s.End(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q: got %#v, %v; want %#v", doc, got, err, want)
	}
	s.Reset(doc)
	if s.Skip(); s.End() != nil {
		t.Errorf("%q: Skip: %v", doc, s.Err())
	}
	s.Reset(doc)
	if raw := s.Raw(); !bytes.Equal(raw, bytes.Trim(doc, " \t\r\n")) || s.End() != nil {
		t.Errorf("%q: got Raw %q, %v", doc, raw, s.Err())
	}
	s.Reset(doc)
	if raw := s.Valid(); raw == nil || &raw[0] == &doc[0] {
		t.Errorf("%q: got Valid %q, want a copy", doc, raw)
	}
}

func TestTruncatedDocumentsFail(t *testing.T) {
	t.Parallel()
	for _, doc := range documents {
		cut(t, []byte(doc))
	}
}

// cut demands that every beginning of a valid document, but for a number alone, is an error, and says that it is cut short.
func cut(t *testing.T, doc []byte) {
	t.Helper()
	doc = bytes.Trim(doc, " \t\r\n")
	if len(doc) == 0 || bytes.IndexByte([]byte("-0123456789"), doc[0]) >= 0 {
		return
	}
	for n := range len(doc) {
		for how, read := range map[string]func(s *Scanner){
			"everything": func(s *Scanner) { everything(s) }, "skip": (*Scanner).Skip, "wrong type": func(s *Scanner) { s.Int() },
		} {
			s := New(doc[:n])
			read(&s)
			if err := s.Err(); err == nil {
				t.Fatalf("%q (%s): got no error, want one", doc[:n], how)
			} else if !errors.Is(err, ErrTruncated) && n > 0 && doc[n-1] != '\\' && !bytes.Contains(doc[max(0, n-11):n], []byte(`\`)) {
				t.Fatalf("%q (%s): got %v, want ErrTruncated", doc[:n], how, err)
			}
		}
	}
}

func TestBrokenDocumentsFail(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{
		`x`, `{x}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a" 1}`, `{"a":1 "b":2}`, `{,}`, `{1:2}`, `{null:1}`, `[,]`, `[1,]`, `[1 2]`, `[1,,2]`,
		`}`, `]`, `,`, `:`, `{]`, `[}`, `tru `, `trux`, `nul,`, `[tru]`, `TRUE`, `{} {}`, `{}x`, `1 2`, `"\x"`, `["\x",1]`, `["\u12"]`,
		`["\u12g4"]`, `{"\q":1}`, `'a'`, "\xEF\xBB\xBF{}", `// x`, "{\"a\":1}\x00",
	} {
		s := New([]byte(doc))
		everything(&s)
		if err := s.End(); err == nil || errors.Is(err, ErrTruncated) {
			t.Errorf("%q: got %v, want an error that says where", doc, err)
		}
		if err := s.Err(); err != nil {
			if s.NextKey() || s.NextElem() || s.Object() || s.Array() || s.Kind() != None || s.String() != "" || s.Int() != 0 || s.Raw() != nil {
				t.Errorf("%q: behind the error something was read", doc)
			}
			if s.Err() != err {
				t.Errorf("%q: the error changed", doc)
			}
		}
	}
}

func TestWrongTypesReadAsAbsent(t *testing.T) {
	t.Parallel()
	values := []string{`{"x":[1]}`, `[{"x":1}]`, `"s"`, `12.9`, `true`, `null`}
	for i, v := range values {
		doc := []byte(`{"a":` + v + `,"b":7}`)
		for name, c := range map[string]struct {
			ok   int // the index of the value that the method takes
			read func(s *Scanner) bool
		}{
			"String": {2, func(s *Scanner) bool { return s.String() == "s" }},
			"Bytes":  {2, func(s *Scanner) bool { b, ok := s.Bytes(); return ok && string(b) == "s" }},
			"Int":    {3, func(s *Scanner) bool { return s.Int() == 12 }},
			"Float":  {3, func(s *Scanner) bool { f, ok := s.Float(); return ok && f == 12.9 }},
			"Bool":   {4, (*Scanner).Bool},
			"Object": {0, func(s *Scanner) (found bool) {
				for ok := s.Object(); ok && s.NextKey(); found = true {
					s.Skip()
				}
				return found
			}},
			"Array": {1, func(s *Scanner) (found bool) {
				for ok := s.Array(); ok && s.NextElem(); found = true {
					s.Skip()
				}
				return found
			}},
		} {
			s := New(doc)
			next := 0
			for ok := s.Object(); ok && s.NextKey(); {
				if string(s.Key()) == "b" {
					next = s.Int()
				} else if got, want := c.read(&s), i == c.ok; got != want {
					t.Errorf("%s of %s: got %v, want %v", name, v, got, want)
				}
			}
			if next != 7 || s.End() != nil {
				t.Errorf("%s of %s: got %d behind it (%v), want 7", name, v, next, s.Err())
			}
		}
	}
}

func TestInt(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]int{
		"0": 0, "-0": 0, "42": 42, "-42": -42, "1.9": 1, "-1.9": -1, "1e3": 1000, "12e-1": 1, "9223372036854775808": math.MaxInt,
		strconv.Itoa(math.MaxInt): math.MaxInt, strconv.Itoa(math.MaxInt - 1): math.MaxInt - 1, strconv.Itoa(math.MinInt): math.MinInt,
		"-99999999999999999999": math.MinInt, "1e999": math.MaxInt, "-1e999": math.MinInt, "1e-999": 0, "-": 0, "1x": 0, `"1"`: 0,
	} {
		s := New([]byte(doc))
		if got := s.Int(); got != want {
			t.Errorf("%s: got %d, want %d", doc, got, want)
		}
	}
}

func TestFloat(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]float64{"0.5": 0.5, "-1e-3": -0.001, "1e-999": 0} {
		s := New([]byte(doc))
		if got, ok := s.Float(); got != want || !ok {
			t.Errorf("%s: got %v, %v; want %v", doc, got, ok, want)
		}
	}
	for _, doc := range []string{"1e999", "-1e999", "-Inf", "-inf", "-", "1x", `"1"`, "null"} {
		s := New([]byte(doc))
		if got, ok := s.Float(); got != 0 || ok {
			t.Errorf("%s: got %v, %v; want 0, false", doc, got, ok)
		}
	}
}

func TestDeepNesting(t *testing.T) {
	t.Parallel()
	const depth = 100_000
	for _, doc := range []string{
		strings.Repeat("[", depth) + strings.Repeat("]", depth),
		strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth),
	} {
		s := New([]byte(doc))
		if s.Skip(); s.End() != nil {
			t.Errorf("Skip: %v", s.Err())
		}
		s.Reset([]byte(doc))
		entered := 0
		for s.Kind() == Object && s.Object() && s.NextKey() || s.Kind() == Array && s.Array() && s.NextElem() {
			entered++
		}
		if entered < depth-1 || s.Err() != nil {
			t.Errorf("entered %d (%v), want %d", entered, s.Err(), depth)
		}
		s.Reset([]byte(`{"deep":` + doc + `,"b":1}`))
		for ok := s.Object(); ok && s.NextKey(); {
			if string(s.Key()) == "deep" {
				if raw := s.Valid(); raw != nil {
					t.Error("got a value that encoding/json would refuse, want nil")
				}
			} else if s.Int() != 1 {
				t.Error("lost what comes behind the deep value")
			}
		}
		s.Reset([]byte(doc[:len(doc)-1]))
		if s.Skip(); !errors.Is(s.Err(), ErrTruncated) {
			t.Errorf("got %v, want ErrTruncated", s.Err())
		}
	}
}

func TestZeroScanner(t *testing.T) {
	t.Parallel()
	var s Scanner
	if s.Kind() != None || s.Object() || !errors.Is(s.Err(), ErrTruncated) {
		t.Errorf("got %v, want the error of an empty document", s.Err())
	}
	s.Reset([]byte(`"a\nb"`))
	if got := s.String(); got != "a\nb" || s.End() != nil {
		t.Errorf("got %q, %v; want a fresh start", got, s.Err())
	}
}

// Many backslashes, quotes and short values must not cost more than one look at each byte.
func TestHostileDocumentsTakeLinearTime(t *testing.T) {
	t.Parallel()
	const size = 1 << 21
	for _, doc := range []string{
		`"` + strings.Repeat(`\\`, size) + `"`, `"` + strings.Repeat(`\"`, size) + `"`, `"` + strings.Repeat(`\`, 2*size),
		`[` + strings.Repeat(`"",`, size) + `""]`, `"` + strings.Repeat(`\ud83d`, size/4) + `"`,
	} {
		s := New([]byte(doc))
		everything(&s)
	}
}

const chunk = `{"id":"chatcmpl-AbCdEf","object":"chat.completion.chunk","created":1760000000,"model":"gpt-6","service_tier":"default",` +
	`"choices":[{"index":0,"delta":{"content":" some \"text\" "},"logprobs":null,"finish_reason":null}],"usage":null}`

// readChunk reads a chunk as a codec does.
func readChunk(s *Scanner, text []byte) (int, []byte) {
	created := 0
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "created":
			created = s.Int()
		case "choices":
			for ok := s.Array(); ok && s.NextElem(); {
				for ok := s.Object(); ok && s.NextKey(); {
					if string(s.Key()) != "delta" {
						s.Skip()
						continue
					}
					for ok := s.Object(); ok && s.NextKey(); {
						if string(s.Key()) == "content" {
							b, _ := s.Bytes()
							text = append(text, b...)
						} else {
							s.Skip()
						}
					}
				}
			}
		default:
			s.Skip()
		}
	}
	return created, text
}

func TestWalkingAllocatesNothing(t *testing.T) {
	doc, text := []byte(chunk), make([]byte, 0, 100)
	var s Scanner
	got := testing.AllocsPerRun(100, func() {
		s.Reset(doc)
		created, read := readChunk(&s, text[:0])
		if created != 1760000000 || string(read) != ` some "text" ` || s.End() != nil {
			t.Fatalf("got %d, %q, %v", created, read, s.Err())
		}
	})
	if got > 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

// FuzzScanner demands that nothing panics or hangs, that valid documents read as encoding/json reads them, that their beginnings
// are errors, and that reading them by the wrong methods neither fails nor loses its place.
func FuzzScanner(f *testing.F) {
	for _, doc := range documents {
		f.Add([]byte(doc), []byte{0, 1, 2, 3, 4, 5, 6, 7})
	}
	f.Add([]byte(`{"a":[tru`), []byte{8})
	f.Add([]byte(`{"a":}`+"\x00"), []byte{6})
	f.Fuzz(func(t *testing.T, doc, methods []byte) {
		agree(t, doc)
		valid := json.Valid(doc)
		if valid && len(doc) < 300 {
			cut(t, doc)
		}
		s := New(doc)
		wander(&s, &chooser{methods, 0})
		if err := s.End(); valid && err != nil {
			t.Errorf("%q: got %v, want no error", doc, err)
		}
	})
}

// chooser gives its bytes round and round.
type chooser struct {
	bytes []byte
	next  int
}

func (c *chooser) choose() byte {
	if len(c.bytes) == 0 {
		return 0
	}
	c.next++
	return c.bytes[c.next%len(c.bytes)]
}

// wander takes one value by the methods that the bytes choose.
func wander(s *Scanner, methods *chooser) {
	switch methods.choose() % 9 {
	case 0:
		for ok := s.Object(); ok && s.NextKey(); {
			wander(s, methods)
		}
	case 1:
		for ok := s.Array(); ok && s.NextElem(); {
			wander(s, methods)
		}
	case 2:
		_ = s.String()
	case 3:
		s.Int()
	case 4:
		s.Float()
	case 5:
		s.Bool()
	case 6:
		s.Skip()
	case 7:
		s.Raw()
	default:
		s.Valid()
	}
}

func BenchmarkScanner(b *testing.B) {
	doc, text := []byte(chunk), make([]byte, 0, 100)
	b.Run("Scanner", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		b.ReportAllocs()
		var s Scanner
		for b.Loop() {
			s.Reset(doc)
			readChunk(&s, text[:0])
		}
	})
	b.Run("Skip", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		var s Scanner
		for b.Loop() {
			s.Reset(doc)
			s.Skip()
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		b.ReportAllocs()
		for b.Loop() {
			var c struct {
				Created int
				Choices []struct{ Delta struct{ Content string } }
			}
			if err := json.Unmarshal(doc, &c); err != nil {
				b.Fatal(err)
			}
		}
	})
}
