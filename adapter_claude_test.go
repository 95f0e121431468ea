package holdfast

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-ai/holdfast/internal/sse"
)

var claudeHere = Target{Provider: "claude", Model: "claude-opus-5-5", Platform: "api.anthropic.com", Account: "a1"}

func TestClaudeModelNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"claude-opus-5-5":                                      "claude-opus-5-5",
		"claude-opus-5":                                        "claude-opus-5",
		"claude-opus-5-20260701":                               "claude-opus-5",
		"anthropic.claude-opus-5-5":                            "claude-opus-5-5",
		"us.anthropic.claude-opus-4-5-20251101-v1:0":           "claude-opus-4-5",
		"claude-opus-4-5@20251101":                             "claude-opus-4-5",
		"publishers/anthropic/models/claude-sonnet-4@20250514": "claude-sonnet-4",
		"anthropic/claude-opus-4.5":                            "claude-opus-4-5",
		"anthropic/claude-3.5-sonnet":                          "claude-3-5-sonnet",
		"claude-opus-4-20250514":                               "claude-opus-4",
		"claude-opus-4-0":                                      "claude-opus-4-0",
		"claude-sonnet-4-6-latest":                             "claude-sonnet-4-6",
		"claude-3-haiku-20240307":                              "claude-3-haiku",
		"claude-opus-4-9":                                      "", // newer than the table
		"claude-opus-4.9":                                      "",
		"claude-opus-4-9@20270101":                             "",
		"claude-opus-50":                                       "",
		"claude-opus-6":                                        "",
		"claude-fable-5-2":                                     "",
		"claude-":                                              "",
		"our-best":                                             "",
		"":                                                     "",
	} {
		if got := claudeModelOf(name).id; got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestClaudeModelTable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, m := range claudeModels {
		if seen[m.id] || claudeModelOf(m.id).id != m.id {
			t.Errorf("%s: is hidden by another row", m.id)
		}
		seen[m.id] = true
		if m.maxOutput < 4096 || m.maxOutput > 128000 {
			t.Errorf("%s: got a largest output of %d", m.id, m.maxOutput)
		}
		if m.always && (m.budget || !m.adaptive || !m.unasked) {
			t.Errorf("%s: always thinks, which is adaptive", m.id)
		}
		if m.prefill && (m.adaptive || m.midSystem || m.unforced) {
			t.Errorf("%s: prefill went when adaptive thinking came", m.id)
		}
		if m.maxOutput < claudeUnknown.maxOutput && !strings.HasPrefix(m.id, "claude-3") {
			t.Errorf("%s: a model sold today writes less than the default for unknown ones", m.id)
		}
	}
}

func TestClaudeModelMustBeNamed(t *testing.T) {
	t.Parallel()
	if _, err := (claudeAdapter{}).Encode(nil, &ChatRequest{Messages: Ask("x")}, Target{}); KindOf(err) != KindInvalid {
		t.Errorf("got %v, want %v", err, KindInvalid)
	}
}

// An answer that is appended to its conversation, stored and sent back must reach Claude as Claude wrote it.
func TestClaudeAnswerReturns(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"chat", "thinking", "thinking_omitted", "server_tools", "tools", "tool_caller", "citations", "stop_pause_turn"} {
		raw, err := os.ReadFile(filepath.Join("testdata", "claude", name, "response.json"))
		if err != nil {
			t.Fatal(err)
		}
		w := NewAnswerWriter(claudeAdapter{}, claudeHere)
		if err := (claudeAdapter{}).Decode(raw, w); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		answer := w.Response()
		req := &ChatRequest{Messages: append(Ask("Why?"), answer.Message)}
		var results []*ToolResult
		for _, c := range answer.ToolCalls() {
			results = append(results, Result(c, "done"))
		}
		if results != nil {
			req.Messages = append(req.Messages, Results(results...))
		} else if answer.Stop.Reason != StopPaused {
			req.Messages = append(req.Messages, UserText("More"))
		}
		stored, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		req = new(ChatRequest)
		if err := json.Unmarshal(stored, req); err != nil {
			t.Fatal(err)
		}
		got, err := claudeAdapter{}.Encode(nil, req, claudeHere)
		if err != nil || len(got.Notes) > 0 {
			t.Fatalf("%s: %v %v", name, err, got.Notes)
		}
		var sent struct {
			Messages []struct{ Content []map[string]any }
		}
		var came struct{ Content []map[string]any }
		if json.Unmarshal(got.Body, &sent) != nil || json.Unmarshal(raw, &came) != nil {
			t.Fatalf("%s: not JSON", name)
		}
		for _, block := range came.Content {
			claudeForgets(block)
		}
		if g, w := fmt.Sprint(sent.Messages[1].Content), fmt.Sprint(came.Content); g != w {
			t.Errorf("%s: got %s, want %s", name, g, w)
		}
	}
}

// claudeForgets removes from an answer's block what a request's does not have or what is its default.
func claudeForgets(block map[string]any) {
	if c, ok := block["caller"].(map[string]any); ok && c["type"] == "direct" {
		delete(block, "caller")
	}
	citations, ok := block["citations"].([]any)
	if !ok {
		delete(block, "citations")
	}
	for _, c := range citations {
		delete(c.(map[string]any), "file_id")
	}
}

// Whatever part of a stream arrives, the answer is whole only behind the stop_reason.
func TestClaudeStreamCutAnywhere(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"stream", "tools", "thinking", "server_tools", "citations"} {
		raw, err := os.ReadFile(filepath.Join("testdata", "claude", name, "stream.sse"))
		if err != nil {
			t.Fatal(err)
		}
		// The frame that proves the answer whole is whole itself from its last brace on.
		proof := bytes.LastIndex(raw, []byte("}\n\nevent: message_stop"))
		for cut := range len(raw) {
			w, _, err := decodeStream(claudeAdapter{}, claudeHere, bytes.NewReader(raw[:cut]))
			if whole := cut > proof; w.IsDone() != whole || (err == nil) != whole {
				t.Fatalf("%s cut at %d of %d: got done %v, %v", name, cut, len(raw), w.IsDone(), err)
			}
		}
	}
}

func TestClaudeBodyCutAnywhere(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"chat", "tools", "thinking", "server_tools", "citations", "refusal"} {
		raw, err := os.ReadFile(filepath.Join("testdata", "claude", name, "response.json"))
		if err != nil {
			t.Fatal(err)
		}
		raw = bytes.TrimSpace(raw)
		for cut := 1; cut < len(raw); cut++ {
			w := NewAnswerWriter(claudeAdapter{}, claudeHere)
			if err := (claudeAdapter{}).Decode(raw[:cut], w); KindOf(err) != KindTruncated || w.IsDone() {
				t.Fatalf("%s cut at %d of %d: got %v", name, cut, len(raw), err)
			}
		}
	}
}

// An error must not quote the answer it could not read.
func TestClaudeErrorsQuoteNothing(t *testing.T) {
	t.Parallel()
	const secret = "xyzzy"
	for _, body := range []string{
		`{"type":"message","content":[{"type":"text","text":"xyzzy"}] xyzzy}`,
		`{"type":"message","content":["xyzzy"],"stop_reason":"end_turn"}`,
		`{"xyzzy":"xyzzy"}`, "xyzzy", `["xyzzy"]`,
	} {
		err := claudeAdapter{}.Decode([]byte(body), NewAnswerWriter(claudeAdapter{}, claudeHere))
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %v", body, err)
		}
		d := claudeAdapter{}.DecodeStream()
		w := NewAnswerWriter(claudeAdapter{}, claudeHere)
		if err := d.Decode(Frame{Event: []byte("content_block_start"), Data: []byte(body)}, w); err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("stream: %s: got %v", body, err)
		}
	}
}

// Not parallel: allocations are counted for the whole process.
func TestClaudeEncodeAllocatesNothingPerMessage(t *testing.T) {
	req := &ChatRequest{System: System("Be brief.")}
	for range 500 {
		req.Messages = append(req.Messages, UserText("question"), AssistantText("answer"))
	}
	req.Messages = append(req.Messages, UserText("last"))
	buf := make([]byte, 0, 1<<20)
	got := testing.AllocsPerRun(10, func() {
		if _, err := (claudeAdapter{}).Encode(buf, req, claudeHere); err != nil {
			t.Error(err)
		}
	})
	if got > 5 {
		t.Errorf("got %v allocations for 1,001 messages, want at most 5", got)
	}
}

// claudeChunks is a stream of n pieces of text.
func claudeChunks(n int) string {
	var b strings.Builder
	b.WriteString("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\"," +
		"\"content\":[],\"model\":\"claude-opus-5-5\",\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n" +
		"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n")
	for i := range n {
		fmt.Fprintf(&b, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" word\\n %d\"}}\n\n", i)
	}
	b.WriteString("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n" +
		"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":15}}\n\n" +
		"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
	return b.String()
}

// claudeRead reads a stream as the client does, without keeping the events.
func claudeRead(stream string) (*AnswerWriter, error) {
	from := claudeHere
	from.Stream = true
	w := NewAnswerWriter(claudeAdapter{}, from)
	d := claudeAdapter{}.DecodeStream()
	r := sse.NewReader(strings.NewReader(stream), 0)
	defer r.Release()
	for !w.IsDone() {
		f, err := r.Next()
		if err != nil {
			return w, err
		}
		if err := d.Decode(Frame{Event: f.Event, Data: f.Data}, w); err != nil {
			return w, err
		}
		w.Events()
	}
	return w, nil
}

// Not parallel: allocations are counted for the whole process.
func TestClaudeStreamAllocatesLittle(t *testing.T) {
	const chunks = 2000
	stream := claudeChunks(chunks)
	got := testing.AllocsPerRun(5, func() {
		if w, err := claudeRead(stream); err != nil || !strings.HasSuffix(w.Response().Text(), fmt.Sprint(chunks-1)) {
			t.Errorf("got %v", err)
		}
	})
	if got > chunks/20 {
		t.Errorf("got %v allocations for %d chunks, want at most %d", got, chunks, chunks/20)
	}
}

func BenchmarkClaudeStream(b *testing.B) {
	const chunks = 5000
	stream := claudeChunks(chunks)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := claudeRead(stream); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzClaudeStream(f *testing.F) {
	claudeSeeds(f, "stream.sse")
	f.Fuzz(func(t *testing.T, raw []byte) {
		w, events, err := decodeStream(claudeAdapter{}, claudeHere, bytes.NewReader(raw))
		if w.IsDone() != (err == nil) {
			t.Errorf("done is %v with the error %v", w.IsDone(), err)
		}
		if w.IsDone() && !bytes.Contains(raw, []byte("stop_reason")) && !bytes.Contains(raw, []byte(`\u`)) {
			t.Error("whole without a stop_reason")
		}
		var shown, ended strings.Builder
		blocks := map[int]string{}
		for _, e := range events {
			switch e.Type {
			case EventReset:
				shown.Reset()
				clear(blocks)
			case EventText:
				shown.WriteString(e.Delta)
				blocks[e.Block] += e.Delta
			case EventBlockEnd:
				if p, ok := e.Part.(*Text); ok && p.Text != blocks[e.Block] {
					t.Errorf("block %d: shown %q, ended as %q", e.Block, blocks[e.Block], p.Text)
				}
			}
		}
		ended.WriteString(w.Response().Text())
		if w.IsDone() && shown.String() != ended.String() {
			t.Errorf("shown %q, kept %q", shown.String(), ended.String())
		}
		claudeStores(t, w)
	})
}

func FuzzClaudeDecode(f *testing.F) {
	claudeSeeds(f, "response.json")
	f.Add([]byte(`{"type":"message","content":[{"type":"text","text":"a` + "\xe2\x82" + `"}],"stop_reason":"end_turn"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		w := NewAnswerWriter(claudeAdapter{}, claudeHere)
		if err := (claudeAdapter{}).Decode(raw, w); err != nil {
			if w.IsDone() || KindOf(err) == "" {
				t.Errorf("done is %v with the error %v", w.IsDone(), err)
			}
			return
		}
		if want, ok := claudeText(raw); ok && w.Response().Text() != want {
			t.Errorf("got %q, want %q", w.Response().Text(), want)
		}
		claudeStores(t, w)
	})
}

// claudeText reads the text of an answer by other means. It gives up on bodies that readers may take differently, such as
// those that say something twice.
func claudeText(raw []byte) (string, bool) {
	var message map[string]any
	if json.Unmarshal(raw, &message) != nil || message["stop_reason"] == "refusal" {
		return "", false
	}
	again, _ := json.Marshal(message)
	blocks, _ := message["content"].([]any)
	text := ""
	for _, b := range blocks {
		block, _ := b.(map[string]any)
		if piece, ok := block["text"].(string); ok && block["type"] == "text" {
			text += piece
		}
	}
	return text, bytes.Count(raw, []byte{':'}) == bytes.Count(again, []byte{':'}) // nothing was said twice
}

func FuzzClaudeError(f *testing.F) {
	claudeSeeds(f, "error.json")
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, status := range []int{200, 400, 403, 404, 429, 500, 529} {
			if e := (claudeAdapter{}).DecodeError(status, nil, raw); e != nil && e.Kind == "" {
				t.Errorf("%d: an error without a kind", status)
			}
		}
	})
}

// claudeStores checks that an answer can be stored and, where it is whole, sent back.
func claudeStores(t *testing.T, w *AnswerWriter) {
	t.Helper()
	stored, err := json.Marshal(w.Response())
	if err != nil {
		t.Fatalf("the answer cannot be stored: %v", err)
	}
	var again ChatResponse
	if err := json.Unmarshal(stored, &again); err != nil {
		t.Fatalf("the answer cannot be read back: %v", err)
	}
	req := &ChatRequest{Messages: append(Ask("x"), again.Message, UserText("y"))}
	if !w.IsDone() || req.check() != nil {
		return
	}
	got, err := claudeAdapter{}.Encode(nil, req, claudeHere)
	if err == nil && !json.Valid(got.Body) {
		t.Errorf("the request is not JSON: %s", got.Body)
	}
	if err != nil && KindOf(err) != KindUnsupported {
		t.Errorf("got %v", err)
	}
}

func claudeSeeds(f *testing.F, name string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "claude", "*", name))
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
