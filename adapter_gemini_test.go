package holdfast

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/holdfast-ai/holdfast/internal/sse"
)

var geminiHere = Target{Provider: "gemini", Model: "gemini-3.8-flash", Platform: "generativelanguage.googleapis.com", Account: "a1"}

func TestGeminiModels(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		id      string
		levels  []Effort
		budget  int // the largest
		canRest bool
		prefill bool
		signed  bool
	}{
		{"gemini-4-argon", geminiFrom37, 0, false, false, true},
		{"models/gemini-4-argon", geminiFrom37, 0, false, false, true},
		{"gemini-3.8-flash", geminiFrom37, 0, false, false, true},
		{"gemini-3.7-flash", geminiFrom37, 0, false, false, true},
		{"gemini-3.6-flash", geminiAllLevels, 0, false, false, true},
		{"gemini-3.5-flash", geminiAllLevels, 0, false, true, true},
		{"gemini-3.5-flash-001", geminiAllLevels, 0, false, true, true},
		{"gemini-3.5-flash-lite", geminiAllLevels, 0, false, false, true},
		{"gemini-3.1-pro-preview", geminiFrom37, 0, false, true, true},
		{"gemini-3.1-flash-lite", geminiAllLevels, 0, false, true, true},
		{"gemini-3.1-flash-lite-image", geminiImageLevel, 0, false, true, true},
		{"gemini-3-flash-preview", geminiAllLevels, 0, false, true, true},
		{"publishers/google/models/gemini-2.5-pro", nil, 32768, false, true, false},
		{"gemini-2.5-flash", nil, 24576, true, true, false},
		{"gemini-2.5-flash-lite", nil, 24576, true, true, false},
		{"gemini-2.0-flash", nil, 0, true, true, false},
		{"gemini-flash-lite-latest", geminiAllLevels, 0, false, false, true},
		{"gemini-9-xenon", geminiFrom37, 0, false, false, true},
		{"tunedModels/mine", geminiAllLevels, 1 << 20, true, true, false},
	} {
		m := geminiModelOf(c.id)
		if !slices.Equal(m.levels, c.levels) || m.budgetMax != c.budget || m.canRest != c.canRest || m.prefill != c.prefill || m.signed != c.signed {
			t.Errorf("%s: got %+v, want %+v", c.id, *m, c)
		}
	}
}

// Every signature and id of an answer must come back as it came, where it came.
func TestGeminiAnswerReturns(t *testing.T) {
	t.Parallel()
	stream, err := os.ReadFile("testdata/gemini/tools/stream.sse")
	if err != nil {
		t.Fatal(err)
	}
	from := geminiHere
	from.Stream = true
	w, _, err := decodeStream(geminiAdapter{}, from, bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	answer := w.Response()
	var results []*ToolResult
	for _, c := range slices.Backward(answer.ToolCalls()) {
		results = append(results, Result(c, c.ID))
	}
	req := &ChatRequest{Messages: append(Ask("Weather?"), answer.Message, Results(results...))}
	stored, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	req = new(ChatRequest)
	if err := json.Unmarshal(stored, req); err != nil {
		t.Fatal(err)
	}
	if err := req.check(); err != nil {
		t.Fatal(err)
	}
	const calls = `{"text":"Let me look."},{"functionCall":{"name":"get_weather","args":{"city":"Oslo"}},"thoughtSignature":"c2lnLU9zbG8="},` +
		`{"functionCall":{"name":"get_weather","args":{"city":"Bergen"}}},{"functionCall":{"id":"own-1","name":"now","args":{}}}]}`
	const second = `{"functionResponse":{"name":"get_weather","response":{"output":"call_mAitaLmkHPPlz7IP_1"}}},{"functionResponse":{"id":"own-1",`
	got, err := geminiAdapter{}.Encode(nil, req, geminiHere)
	if err != nil || !bytes.Contains(got.Body, []byte(calls)) || !bytes.Contains(got.Body, []byte(second)) {
		t.Errorf("to the same place: got %s, %v", got.Body, err)
	}
	elsewhere := geminiHere
	elsewhere.Platform = "aiplatform.googleapis.com"
	got, err = geminiAdapter{}.Encode(nil, req, elsewhere)
	if err != nil || bytes.Contains(got.Body, []byte("c2lnLU9zbG8=")) || bytes.Count(got.Body, []byte(geminiSkipSignature)) != 1 {
		t.Errorf("to another place: got %s, %v", got.Body, err)
	}
}

// A stream that breaks must leave behind the token to go on from.
func TestGeminiKeepsContinuationToken(t *testing.T) {
	t.Parallel()
	const cut = `data: {"candidates":[{"content":{"parts":[{"text":"a"}]},"continuationToken":"b25l"}]}` + "\n\n" +
		`data: {"candidates":[{"content":{"parts":[{"text":"b"}]},"continuationToken":"dHdv"}]}` + "\n\n" +
		`data: {"candidates":[{"content":{"parts":[{"text":"c"}]}}]}` + "\n\n"
	w, _, err := decodeStream(geminiAdapter{}, geminiHere, strings.NewReader(cut))
	if KindOf(err) == "" && err != error(KindTruncated) {
		t.Fatalf("got %v, want truncated", err)
	}
	if got := string(w.Response().Extra["gemini"]); got != `{"continuationToken":"dHdv"}` {
		t.Errorf("got %s", got)
	}
	if got := w.Response().Text(); got != "abc" {
		t.Errorf("got %q", got)
	}
}

func TestGeminiModelMustBeNamed(t *testing.T) {
	t.Parallel()
	for _, model := range []string{"", "models/"} {
		if _, err := (geminiAdapter{}).Encode(nil, &ChatRequest{Messages: Ask("x")}, Target{Model: model}); KindOf(err) != KindInvalid {
			t.Errorf("%q: got %v", model, err)
		}
	}
}

// Only thinking of another model is left of the conversation: there is nothing to send.
func TestGeminiNothingLeft(t *testing.T) {
	t.Parallel()
	req := &ChatRequest{Messages: []Message{{Role: RoleAssistant, Parts: Parts{&Thinking{Text: "x"}}}}}
	if _, err := (geminiAdapter{}).Encode(nil, req, geminiHere); KindOf(err) != KindUnsupported {
		t.Errorf("got %v", err)
	}
}

// Not parallel: allocations are counted for the whole process.
func TestGeminiEncodeAllocatesNothingPerMessage(t *testing.T) {
	req := &ChatRequest{System: System("Be brief.")}
	for range 500 {
		req.Messages = append(req.Messages, UserText("question"), AssistantText("answer"))
	}
	req.Messages = append(req.Messages, UserText("last"))
	buf := make([]byte, 0, 1<<20)
	got := testing.AllocsPerRun(10, func() {
		if _, err := (geminiAdapter{}).Encode(buf, req, geminiHere); err != nil {
			t.Error(err)
		}
	})
	if got > 10 {
		t.Errorf("got %v allocations for 1,001 messages, want at most 10", got)
	}
}

// geminiChunks is a stream of n pieces of text.
func geminiChunks(n int) string {
	var b strings.Builder
	for i := range n {
		finish := ""
		if i == n-1 {
			finish = `,"finishReason":"STOP"`
		}
		fmt.Fprintf(&b, `data: {"candidates": [{"content": {"parts": [{"text": "word\n %d"}],"role": "model"}%s,"index": 0}],"usageMetadata": `+
			`{"promptTokenCount": 12,"candidatesTokenCount": %d,"totalTokenCount": %d,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 12}]},`+
			`"modelVersion": "gemini-3.8-flash","responseId": "mAitaLmkHPPlz7IP"}`+"\r\n\r\n", i, finish, i+1, i+13)
	}
	return b.String()
}

// geminiRead reads a stream as the client does, without keeping the events.
func geminiRead(stream string) (*ChatResponse, error) {
	from := geminiHere
	from.Stream = true
	w := NewAnswerWriter(geminiAdapter{}, from)
	d := geminiAdapter{}.DecodeStream()
	r := sse.NewReader(strings.NewReader(stream), 0)
	defer r.Release()
	for {
		f, err := r.Next()
		if err != nil {
			break
		}
		if err := d.Decode(Frame{Event: f.Event, Data: f.Data}, w); err != nil {
			return nil, err
		}
		w.Events()
	}
	d.End(w)
	return w.Response(), nil
}

// Not parallel: allocations are counted for the whole process.
func TestGeminiStreamAllocatesLittle(t *testing.T) {
	const chunks = 2000
	stream := geminiChunks(chunks)
	got := testing.AllocsPerRun(5, func() {
		if r, err := geminiRead(stream); err != nil || !strings.HasSuffix(r.Text(), fmt.Sprint(chunks-1)) {
			t.Errorf("got %v", err)
		}
	})
	if got > chunks/10 {
		t.Errorf("got %v allocations for %d chunks, want at most a tenth", got, chunks)
	}
}

func BenchmarkGeminiStream(b *testing.B) {
	stream := geminiChunks(5000)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := geminiRead(stream); err != nil {
			b.Fatal(err)
		}
	}
}

// geminiSeeds adds the vectors' files of one name.
func geminiSeeds(f *testing.F, name string) {
	files, err := filepath.Glob(filepath.Join("testdata", "gemini", "*", name))
	if err != nil || len(files) == 0 {
		f.Fatal("no vectors found")
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
}

func FuzzGeminiStream(f *testing.F) {
	geminiSeeds(f, "stream.sse")
	f.Fuzz(func(t *testing.T, stream []byte) {
		w, events, err := decodeStream(geminiAdapter{}, geminiHere, bytes.NewReader(stream))
		var text strings.Builder
		for _, e := range events {
			text.WriteString(e.Text())
		}
		if got, want := w.Response().Text(), text.String(); err == nil && got != want {
			t.Errorf("text: got %q, want %q", got, want)
		}
		if (err == nil) != w.IsDone() {
			t.Errorf("done is %v with the error %v", w.IsDone(), err)
		}
		proof := bytes.Contains(stream, []byte("finishReason")) || bytes.Contains(stream, []byte("blockReason"))
		if w.IsDone() && !proof && !bytes.ContainsRune(stream, '\\') {
			t.Error("done without evidence")
		}
	})
}

func FuzzGeminiDecode(f *testing.F) {
	geminiSeeds(f, "response.json")
	f.Fuzz(func(t *testing.T, body []byte) {
		geminiAdapter{}.DecodeError(400, nil, body)
		w := NewAnswerWriter(geminiAdapter{}, geminiHere)
		err := geminiAdapter{}.Decode(body, w)
		if (err == nil) != w.IsDone() {
			t.Fatalf("done is %v with the error %v", w.IsDone(), err)
		}
		answer := w.Response()
		if err != nil || !utf8.ValidString(answer.Text()) {
			if err == nil {
				t.Error("the text is not valid UTF-8")
			}
			return
		}
		req := &ChatRequest{Messages: append(Ask("x"), answer.Message)}
		for _, c := range answer.ToolCalls() {
			req.Messages = append(req.Messages, Results(Result(c, "y")))
		}
		req.Messages = append(req.Messages, UserText("z"))
		if req.check() != nil {
			return
		}
		if e, err := (geminiAdapter{}).Encode(nil, req, geminiHere); err != nil || !json.Valid(e.Body) {
			t.Errorf("the answer cannot be sent back: %v: %s", err, e.Body)
		}
	})
}
