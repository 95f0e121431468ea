package holdfast

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-ai/holdfast/internal/sse"
)

var update = flag.Bool("update", false, "write what the codecs produce into testdata; read the diff before you believe it")

// TestVectors runs every case under testdata/<provider>/<case>/. The files of a case, all optional but related:
//
//	request.json      a neutral request, with target.json {"provider","model","platform","account","stream"}
//	body.json         the body it must become; path.txt and notes.txt go with it
//	unsupported.txt   or the field that Encode must refuse
//	response.json     a provider's whole answer, and answer.json what it means
//	stream.sse        a provider's streamed answer, with the same answer.json, or stream_answer.json where it differs
//	events.txt        the events of the stream, a line each
//	error.json        {"status","header","body"} and want.json {"kind","type","code","message","retry_after"}
//	failure.txt       the kind of error that response.json or stream.sse must give instead of an answer
func TestVectors(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob(filepath.Join("testdata", "*", "*"))
	if err != nil || len(cases) == 0 {
		t.Fatal("no vectors found")
	}
	for _, dir := range cases {
		provider := filepath.Base(filepath.Dir(dir))
		if builtinAdapter(provider) == nil {
			continue
		}
		t.Run(provider+"/"+filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			vector{t, dir, provider}.run()
		})
	}
}

type vector struct {
	*testing.T
	dir, provider string
}

func (v vector) read(name string) []byte {
	b, err := os.ReadFile(filepath.Join(v.dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		v.Fatal(err)
	}
	return b
}

func (v vector) run() {
	target := Target{Provider: v.provider}
	if raw := v.read("target.json"); raw != nil {
		v.decode("target.json", raw, &target)
	}
	adapter := builtinAdapter(v.provider)
	ran := false
	if raw := v.read("request.json"); raw != nil {
		ran = true
		var req ChatRequest
		v.decode("request.json", raw, &req)
		if err := req.check(); err != nil {
			v.Fatalf("request.json: %v", err)
		}
		if c, ok := adapter.(DialectChooser); ok {
			adapter = c.ChooseDialect(&req, target)
		}
		v.encode(adapter, &req, target)
	} else if c, ok := adapter.(DialectChooser); ok {
		adapter = c.ChooseDialect(&ChatRequest{}, target)
	}
	if raw := v.read("response.json"); raw != nil {
		ran = true
		to := target
		to.Stream = false
		w := NewAnswerWriter(adapter, to)
		v.answer("answer.json", w, adapter.Decode(raw, w))
	}
	if raw := v.read("stream.sse"); raw != nil {
		ran = true
		to := target
		to.Stream = true
		v.stream(adapter, to, raw)
	}
	if raw := v.read("error.json"); raw != nil {
		ran = true
		v.failure(adapter, raw)
	}
	if !ran {
		v.Error("the folder holds no case")
	}
}

func (v vector) encode(adapter AIServiceAdapter, req *ChatRequest, to Target) {
	got, err := adapter.Encode(nil, req, to)
	if want := v.read("unsupported.txt"); want != nil {
		var e *Error
		if !errors.As(err, &e) || e.Kind != KindUnsupported {
			v.Fatalf("Encode: got %v, want unsupported", err)
		}
		if w := strings.TrimSpace(string(want)); e.Field != w {
			v.Errorf("unsupported field: got %q (%s), want %q", e.Field, e.Message, w)
		}
		if e.Message == "" {
			v.Error("the refusal does not say why")
		}
		return
	}
	if err != nil {
		v.Fatalf("Encode: %v", err)
	}
	v.equalJSON("body.json", got.Body)
	if want := v.read("path.txt"); want != nil && got.Path != strings.TrimSpace(string(want)) {
		v.Errorf("path: got %q, want %q", got.Path, want)
	}
	if want := v.read("notes.txt"); want != nil && strings.Join(got.Notes, "\n") != strings.TrimSpace(string(want)) {
		v.Errorf("notes: got %q, want %q", got.Notes, want)
	} else if want == nil && len(got.Notes) > 0 {
		v.Errorf("notes without notes.txt: %q", got.Notes)
	}
	prefix := []byte("kept")
	if again, err := adapter.Encode(bytes.Clone(prefix), req, to); err != nil || !bytes.Equal(again.Body, append(prefix, got.Body...)) {
		v.Errorf("Encode does not append to what it is given: %v", err)
	}
}

func (v vector) stream(adapter AIServiceAdapter, from Target, raw []byte) {
	w, events, err := decodeStream(adapter, from, bytes.NewReader(raw))
	name := "answer.json"
	if _, e := os.Stat(filepath.Join(v.dir, "stream_answer.json")); e == nil {
		name = "stream_answer.json"
	}
	v.answer(name, w, err)
	var lines strings.Builder
	for _, e := range events {
		part := ""
		if e.Part != nil {
			part = e.Part.partType()
		}
		lines.WriteString(strings.TrimRight(strings.Join([]string{e.Type.String(), string(rune('0' + e.Block)), quoted(e.Delta), part}, " "), " ") + "\n")
	}
	if want := v.read("events.txt"); want != nil && string(want) != lines.String() {
		if *update {
			v.write("events.txt", []byte(lines.String()))
			return
		}
		v.Errorf("events: got\n%s\nwant\n%s", lines.String(), want)
	}
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	b, _ := json.Marshal(s)
	return string(b)
}

// decodeStream runs a codec over a stream as the client does, without a network.
func decodeStream(adapter AIServiceAdapter, from Target, body io.Reader) (*AnswerWriter, []Event, error) {
	from.Stream = true
	w := NewAnswerWriter(adapter, from)
	decoder := adapter.DecodeStream()
	r := sse.NewReader(body, 0)
	defer r.Release()
	var events []Event
	for !w.IsDone() {
		f, err := r.Next()
		if err == io.EOF {
			decoder.End(w)
			events = append(events, w.Events()...)
			if !w.IsDone() {
				return w, events, KindTruncated
			}
			break
		}
		if err != nil {
			return w, events, err
		}
		if f.Partial && !wholeFrame(f.Data) {
			continue
		}
		if err := decoder.Decode(Frame{Event: f.Event, Data: f.Data}, w); err != nil {
			return w, events, err
		}
		events = append(events, w.Events()...)
	}
	return w, events, nil
}

func (v vector) answer(name string, w *AnswerWriter, err error) {
	if want := v.read("failure.txt"); want != nil {
		kind := KindOf(err)
		if k, ok := err.(Kind); ok {
			kind = k
		}
		if string(kind) != strings.TrimSpace(string(want)) {
			v.Errorf("failure: got %v, want %s", err, want)
		}
		return
	}
	if err != nil {
		v.Fatalf("decode: %v", err)
	}
	if !w.IsDone() {
		v.Fatal("the codec did not report the answer as whole")
	}
	got, err := json.Marshal(w.Response())
	if err != nil {
		v.Fatal(err)
	}
	v.equalJSON(name, got)
}

func (v vector) failure(adapter AIServiceAdapter, raw []byte) {
	var in struct {
		Status int
		Header map[string]string
		Body   json.RawMessage
	}
	v.decode("error.json", raw, &in)
	header := http.Header{}
	for k, value := range in.Header {
		header.Set(k, value)
	}
	body := []byte(in.Body)
	var text string
	if json.Unmarshal(in.Body, &text) == nil {
		body = []byte(text)
	}
	e := adapter.DecodeError(in.Status, header, body)
	if e == nil {
		e = &Error{}
	}
	got, _ := json.Marshal(map[string]any{
		"kind": e.Kind, "type": e.Type, "code": e.Code, "message": e.Message, "retry_after": int(e.RetryAfter / time.Millisecond),
	})
	v.equalJSON("want.json", got)
}

func (v vector) decode(name string, raw []byte, into any) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		v.Fatalf("%s: %v", name, err)
	}
}

func (v vector) equalJSON(name string, got []byte) {
	v.Helper()
	want := v.read(name)
	var g, w any
	if err := json.Unmarshal(got, &g); err != nil {
		v.Fatalf("%s: not JSON: %v\n%s", name, err, got)
	}
	if want != nil {
		if err := json.Unmarshal(want, &w); err != nil {
			v.Fatalf("%s: %v", name, err)
		}
	}
	if reflect.DeepEqual(g, w) {
		return
	}
	if *update {
		var out bytes.Buffer
		if err := json.Indent(&out, got, "", "  "); err != nil {
			v.Fatal(err)
		}
		v.write(name, append(out.Bytes(), '\n'))
		return
	}
	v.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
}

func (v vector) write(name string, b []byte) {
	if err := os.WriteFile(filepath.Join(v.dir, name), b, 0o644); err != nil {
		v.Fatal(err)
	}
}
