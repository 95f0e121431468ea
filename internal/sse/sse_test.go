package sse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// told reads every event of src in words: `event data`, or `data …` for a partial one, and the error unless it is io.EOF.
func told(src io.Reader, limit int) (frames []string, err error) {
	r := NewReader(src, limit)
	defer r.Release()
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
		frames = append(frames, inWords(f.Event, f.Data, f.Partial))
	}
}

func inWords(event, data []byte, partial bool) string {
	w := fmt.Sprintf("%s|%s", event, data)
	if partial {
		w += "|partial"
	}
	return w
}

// grammar is the table of the HTML standard's rules and examples, and of what servers do beyond it.
var grammar = map[string]struct {
	body string
	want []string
}{
	"empty body":                   {"", nil},
	"only blank lines":             {"\n\n\r\n\r\r", nil},
	"one event":                    {"data: a\n\n", []string{"|a"}},
	"no space":                     {"data:a\n\n", []string{"|a"}},
	"one space is dropped":         {"data:  a \n\n", []string{"| a "}},
	"tab is kept":                  {"data:\ta\n\n", []string{"|\ta"}},
	"two lines":                    {"data: YHOO\ndata: +2\ndata: 10\n\n", []string{"|YHOO\n+2\n10"}},
	"empty lines of data":          {"data\n\ndata\ndata\n\ndata:\n\n", []string{"|", "|\n", "|"}},
	"colon in the value":           {"data: a: b:c\n\n", []string{"|a: b:c"}},
	"named":                        {"event: add\ndata: 1\n\nevent: remove\ndata: 2\n\n", []string{"add|1", "remove|2"}},
	"name after data":              {"data: 1\nevent: add\n\n", []string{"add|1"}},
	"last name wins":               {"event: a\nevent: b\ndata: 1\n\n", []string{"b|1"}},
	"empty name":                   {"event: a\nevent:\ndata: 1\n\n", []string{"|1"}},
	"name without data is dropped": {"event: a\n\ndata: 1\n\n", []string{"|1"}},
	"comments":                     {": hi\n\ndata: 1\n: between\n\n:\n\n", []string{"|1"}},
	"comment between data":         {"data: 1\n: x\ndata: 2\n\n", []string{"|1\n2"}},
	"comment behind a name":        {"event: a\n: x\ndata: 1\n\n", []string{"a|1"}},
	"id and retry":                 {"id: 7\nretry: 100\ndata: 1\nid\n\nid: 8\n\n", []string{"|1"}},
	"unknown and misspelt fields":  {"foo: bar\nDATA: x\n data: y\ndata : z\ndata: 1\n\n", []string{"|1"}},
	"CRLF":                         {"event: a\r\ndata: 1\r\ndata: 2\r\n\r\ndata: 3\r\n\r\n", []string{"a|1\n2", "|3"}},
	"CR":                           {"event: a\rdata: 1\rdata: 2\r\rdata: 3\r\r", []string{"a|1\n2", "|3"}},
	"mixed line ends":              {"data: 1\r\rdata: 2\n\r\ndata: 3\r\n\ndata: 4\n\r\rdata: 5\r\n\r", []string{"|1", "|2", "|3", "|4", "|5"}},
	"CR LF as two ends":            {"data: 1\n\rdata: 2\r\n\r\n", []string{"|1", "|2"}},
	"byte order mark":              {"\xEF\xBB\xBFdata: 1\n\n", []string{"|1"}},
	"mark and a blank line":        {"\xEF\xBB\xBF\ndata: 1\n\n", []string{"|1"}},
	"mark alone":                   {"\xEF\xBB\xBF", nil},
	"half a mark":                  {"\xEF\xBB", nil},
	"half a mark, then data":       {"\xEF\xBBdata: 1\n\ndata: 2\n\n", []string{"|2"}},
	"second mark is no mark":       {"\xEF\xBB\xBF\xEF\xBB\xBFdata: 1\n\ndata: 2\n\n", []string{"|2"}},
	"mark in the middle":           {"data: 1\n\n\xEF\xBB\xBFdata: 2\n\n", []string{"|1"}},
	"no blank line":                {"data: 1\n\ndata: 2\n", []string{"|1", "|2|partial"}},
	"no line end":                  {"data: 1\n\nevent: e\ndata: 2", []string{"|1", "e|2|partial"}},
	"cut inside a field name":      {"data: 1\n\ndat", []string{"|1"}},
	"cut behind the CR":            {"data: 1\r", []string{"|1|partial"}},
	"cut inside the blank CRLF":    {"data: 1\r\n\r", []string{"|1"}},
	"name alone at the end":        {"event: e", nil},
	"zero byte and UTF-8":          {"data: \x00é\xff\n\n", []string{"|\x00é\xff"}},
}

func TestGrammar(t *testing.T) {
	t.Parallel()
	for name, c := range grammar {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same := func(how string, src io.Reader) {
				t.Helper()
				if got, err := told(src, 0); err != nil || !reflect.DeepEqual(got, c.want) {
					t.Errorf("%s: got %q, %v; want %q", how, got, err, c.want)
				}
			}
			same("at once", strings.NewReader(c.body))
			same("byte by byte", iotest.OneByteReader(strings.NewReader(c.body)))
			same("half by half", iotest.HalfReader(strings.NewReader(c.body)))
			same("with the end", iotest.DataErrReader(strings.NewReader(c.body)))
			for i := range len(c.body) {
				same(fmt.Sprintf("cut at %d", i), io.MultiReader(strings.NewReader(c.body[:i]), strings.NewReader(c.body[i:])))
			}
			if got := naive([]byte(c.body)); !reflect.DeepEqual(got, c.want) {
				t.Errorf("the parser of the test: got %q, want %q", got, c.want)
			}
		})
	}
}

// naive reads a whole body by the words of the standard, with no thought of speed.
func naive(body []byte) (frames []string) {
	body = bytes.TrimPrefix(body, bom)
	var event string
	var data []string
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(body))
	lines := strings.Split(text, "\n")
	last := lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		if line == "" {
			if data != nil {
				frames = append(frames, inWords([]byte(event), []byte(strings.Join(data, "\n")), false))
			}
			event, data = "", nil
			continue
		}
		event, data = naiveLine(line, event, data)
	}
	event, data = naiveLine(last, event, data)
	if data != nil {
		frames = append(frames, inWords([]byte(event), []byte(strings.Join(data, "\n")), true))
	}
	return frames
}

func naiveLine(line, event string, data []string) (string, []string) {
	field, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch field {
	case "event":
		event = value
	case "data":
		data = append(data, value)
	}
	return event, data
}

func TestLimit(t *testing.T) {
	t.Parallel()
	const limit = 20
	at := "data: " + strings.Repeat("x", limit-6)
	exact := []string{"|" + at[6:]}
	cases := map[string]struct {
		body  string
		want  []string
		large bool
	}{
		"exactly the limit":           {at + "\n\n", exact, false},
		"exactly, CRLF":               {at + "\r\n\r\n", exact, false},
		"exactly, partial":            {at, []string{exact[0] + "|partial"}, false},
		"one more":                    {at + "x\n\n", nil, true},
		"one more, partial":           {at + "x", nil, true},
		"one more in the second":      {at + "\n\n" + at + "x\n\n", exact, true},
		"many small":                  {strings.Repeat("data: 1\n\n", 100), slicesRepeat("|1", 100), false},
		"exactly in lines":            {"event: abcde\ndata: x\n\n", []string{"abcde|x"}, false},
		"one more in lines":           {"event: abcdef\ndata: x\n\n", nil, true},
		"comment too long":            {":" + strings.Repeat("x", limit) + "\n", nil, true},
		"comments that add up":        {strings.Repeat(": keep-alive\n", 100) + at + "\n\n", exact, false},
		"blank lines that add up":     {strings.Repeat("\r\n", 100) + at + "\n\n", exact, false},
		"comments inside one event":   {"data: x\n" + strings.Repeat(": x\n", 100) + "\n", nil, true},
		"an endless event":            {strings.Repeat("data: x\n", 100), nil, true},
		"an endless line":             {strings.Repeat("x", 100_000), nil, true},
		"far beyond the first buffer": {"data: 1\n\n" + strings.Repeat("x", 3*bufSize), []string{"|1"}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for how, src := range map[string]io.Reader{
				"at once":      strings.NewReader(c.body),
				"byte by byte": iotest.OneByteReader(strings.NewReader(c.body)),
				"half by half": iotest.HalfReader(strings.NewReader(c.body)),
				"with the end": iotest.DataErrReader(strings.NewReader(c.body)),
			} {
				got, err := told(src, limit)
				if !reflect.DeepEqual(got, c.want) || errors.Is(err, ErrTooLarge) != c.large || (err != nil) != c.large {
					t.Errorf("%s: got %q, %v; want %q, too large %v", how, got, err, c.want, c.large)
				}
			}
		})
	}
}

func slicesRepeat(s string, n int) (all []string) {
	for range n {
		all = append(all, s)
	}
	return all
}

func TestTooLargeStays(t *testing.T) {
	t.Parallel()
	r := NewReader(strings.NewReader("data: 12345\n\ndata: 1\n\n"), 8)
	defer r.Release()
	for range 3 {
		if f, err := r.Next(); !errors.Is(err, ErrTooLarge) {
			t.Fatalf("got %q, %v; want the error again", f.Data, err)
		}
	}
}

func TestLargeEvents(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789abcdef", 20<<20/16)
	var lines strings.Builder
	for i := 0; i < len(large); i += 1 << 20 {
		lines.WriteString("data: " + large[i:i+1<<20] + "\n")
	}
	body := "data: before\n\ndata: " + large + "\n\ndata: between\n\n" + lines.String() + "\ndata: after\n\n"
	for _, limit := range []int{0, math.MaxInt} {
		r := NewReader(strings.NewReader(body), limit)
		want := []string{"before", large, "between", strings.Join(chunks(large, 1<<20), "\n"), "after"}
		for i, w := range want {
			f, err := r.Next()
			if err != nil || string(f.Data) != w {
				t.Fatalf("event %d: got %d bytes, %v; want %d", i, len(f.Data), err, len(w))
			}
		}
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want EOF", err)
		}
		r.Release()
	}
}

func chunks(s string, size int) (all []string) {
	for ; len(s) > 0; s = s[size:] {
		all = append(all, s[:size])
	}
	return all
}

// Events of every size around that of the buffer, so that each way of moving and growing it is walked.
func TestEventsAroundTheBuffer(t *testing.T) {
	t.Parallel()
	var body bytes.Buffer
	var want []int
	for _, size := range []int{1, bufSize - 9, bufSize - 8, bufSize - 7, 5, bufSize, 3, 2*bufSize - 8, 2 * bufSize, 7, bufSize - 10, bufSize/2 - 8, bufSize / 2} {
		body.WriteString("data: " + strings.Repeat("y", size) + "\n\n")
		want = append(want, size)
	}
	for _, src := range []io.Reader{bytes.NewReader(body.Bytes()), iotest.HalfReader(bytes.NewReader(body.Bytes())), iotest.OneByteReader(bytes.NewReader(body.Bytes()))} {
		r := NewReader(src, 0)
		var got []int
		for {
			f, err := r.Next()
			if err != nil {
				break
			}
			if len(bytes.Trim(f.Data, "y")) > 0 {
				t.Fatal("the event holds foreign bytes")
			}
			got = append(got, len(f.Data))
		}
		r.Release()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got sizes %v, want %v", got, want)
		}
	}
}

func TestReadErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	for body, want := range map[string][]string{
		"":                       nil,
		"\xEF\xBB":               nil,
		"data: 1":                nil,
		"data: 1\n":              nil,
		"data: 1\n\ndata: 2\n":   {"|1"},
		"data: 1\n\ndata: 2\n\n": {"|1", "|2"},
	} {
		for _, src := range []io.Reader{
			io.MultiReader(strings.NewReader(body), iotest.ErrReader(broken)),
			&together{data: body, err: broken},
		} {
			got, err := told(src, 0)
			if !errors.Is(err, broken) || !reflect.DeepEqual(got, want) {
				t.Errorf("%q: got %q, %v; want %q and the body's own error", body, got, err, want)
			}
		}
	}
}

// together returns its data and its error in one Read.
type together struct {
	data string
	err  error
}

func (r *together) Read(p []byte) (int, error) { return copy(p, r.data), r.err }

func TestNoProgress(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"", "data: 1\n\ndata"} {
		r := NewReader(io.MultiReader(strings.NewReader(before), idle{}), 0)
		var err error
		for err == nil {
			_, err = r.Next()
		}
		if !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("got %v, want io.ErrNoProgress", err)
		}
		r.Release()
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestRelease(t *testing.T) {
	t.Parallel()
	r := NewReader(strings.NewReader("data: 1\n\ndata: 2\n\n"), 0)
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	r.Release()
	r.Release()
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want io.EOF after Release", err)
	}
	// The buffer that went back twice would be held by two readers at once.
	a, b := NewReader(strings.NewReader("data: aaaa\n\n"), 0), NewReader(strings.NewReader("data: bbbb\n\n"), 0)
	defer a.Release()
	defer b.Release()
	f, _ := a.Next()
	if _, err := b.Next(); err != nil || string(f.Data) != "aaaa" {
		t.Errorf("got %q, want the event untouched by another reader", f.Data)
	}
}

// Lines that end in CR alone must not cost a search through all that is buffered.
func TestShortLinesCostLinearTime(t *testing.T) {
	t.Parallel()
	body := "data: " + strings.Repeat("x", 8<<20) + "\r\r" + strings.Repeat("\r:", 4<<20) + "\rdata: 1\r\r"
	got := 0
	r := NewReader(strings.NewReader(body), 0)
	defer r.Release()
	for {
		if _, err := r.Next(); err != nil {
			break
		}
		got++
	}
	if got != 2 {
		t.Errorf("got %d events, want 2", got)
	}
}

func TestEventsCostNoAllocation(t *testing.T) {
	body := strings.Repeat("event: content_block_delta\ndata: {\"type\":\"content_block_delta\"}\n\n", 2000)
	got := testing.AllocsPerRun(5, func() {
		r := NewReader(strings.NewReader(body), 0)
		for {
			if _, err := r.Next(); err != nil {
				break
			}
		}
		r.Release()
	})
	if got > 5 {
		t.Errorf("got %v allocations for 2000 events, want at most 5", got)
	}
}

// FuzzReader holds the Reader against the naive parser, however the body is cut.
func FuzzReader(f *testing.F) {
	for _, c := range grammar {
		f.Add([]byte(c.body), uint8(3))
	}
	f.Fuzz(func(t *testing.T, body []byte, size uint8) {
		want := naive(body)
		for _, src := range []io.Reader{bytes.NewReader(body), &pieces{body, int(size) + 1}} {
			if got, err := told(src, 0); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		}
		limit := int(size) + 1
		a, errA := told(bytes.NewReader(body), limit)
		b, errB := told(iotest.OneByteReader(bytes.NewReader(body)), limit)
		if !reflect.DeepEqual(a, b) || errors.Is(errA, ErrTooLarge) != errors.Is(errB, ErrTooLarge) {
			t.Errorf("limit %d: got %q, %v at once and %q, %v byte by byte", limit, a, errA, b, errB)
		}
	})
}

// pieces gives size bytes a Read.
type pieces struct {
	rest []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.rest[:min(p.size, len(p.rest))])
	p.rest = p.rest[n:]
	return n, nil
}

func BenchmarkReader(b *testing.B) {
	for _, end := range []string{"\n", "\r\n"} {
		event := "event: content_block_delta" + end + `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"some words"}}` + end + end
		body := strings.Repeat(event, 5000)
		b.Run(fmt.Sprintf("%q", end), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				r := NewReader(strings.NewReader(body), 0)
				for {
					if _, err := r.Next(); err != nil {
						break
					}
				}
				r.Release()
			}
		})
	}
}
