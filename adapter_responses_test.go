package holdfast

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestResponsesFaults holds every code that a response may fail with under way to its kind, in each of the three forms.
func TestResponsesFaults(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]Kind{
		"server_error":                   KindServer,
		"rate_limit_exceeded":            KindRateLimit,
		"invalid_prompt":                 KindPolicy,
		"data_residency_mismatch":        KindRegion,
		"bio_policy":                     KindPolicy,
		"misalignment_policy_violation":  KindPolicy,
		"vector_store_timeout":           KindServerTimeout,
		"invalid_image":                  KindInvalid,
		"invalid_image_format":           KindInvalid,
		"invalid_base64_image":           KindInvalid,
		"invalid_image_url":              KindInvalid,
		"image_too_large":                KindInvalid,
		"image_too_small":                KindInvalid,
		"image_parse_error":              KindInvalid,
		"image_content_policy_violation": KindPolicy,
		"invalid_image_mode":             KindInvalid,
		"image_file_too_large":           KindInvalid,
		"unsupported_image_media_type":   KindInvalid,
		"empty_image_file":               KindInvalid,
		"failed_to_download_image":       KindInvalid,
		"image_file_not_found":           KindInvalid,
		"context_length_exceeded":        KindContextLength,
		"insufficient_quota":             KindBilling,
		"server_is_overloaded":           KindOverloaded,
		"invalid_encrypted_content":      KindThinking,
		"a_code_of_next_year":            KindServer,
	} {
		for form, frame := range map[string]string{
			"failed": `{"type":"response.failed","response":{"status":"failed","error":{"code":%q,"message":"m"},"usage":{"input_tokens":3}}}`,
			"flat":   `{"type":"error","code":%q,"message":"m","param":null,"sequence_number":4}`,
			"nested": `{"type":"error","error":{"type":"","code":%q,"message":"m"}}`,
		} {
			w := NewAnswerWriter(responsesAdapter{}, Target{Stream: true})
			err := responsesAdapter{}.DecodeStream().Decode(Frame{Data: fmt.Appendf(nil, frame, code)}, w)
			e, ok := err.(*Error)
			if !ok || e.Kind != want || e.Code != code || e.Message != "m" || e.Type != "" {
				t.Errorf("%s %s: got %#v, want kind %q", form, code, err, want)
			}
			if w.IsDone() {
				t.Errorf("%s %s: got a whole answer", form, code)
			}
			if u := w.CurrentUsage(); form == "failed" && (u.Input != 3 || u.Exact) {
				t.Errorf("%s %s: got usage %+v, want 3 tokens of input, not exact", form, code, u)
			}
		}
	}
}

// TestResponsesPieces cuts a stream at every event: no beginning of it is an answer, and no text of it is lost.
func TestResponsesPieces(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/openai-responses/phases/stream.sse")
	if err != nil {
		t.Fatal(err)
	}
	frames := bytes.SplitAfter(raw, []byte("\n\n"))
	for n := range len(frames) - 2 { // behind the last is nothing
		w, events, err := decodeStream(responsesAdapter{}, Target{}, bytes.NewReader(bytes.Join(frames[:n], nil)))
		if err != KindTruncated || w.IsDone() {
			t.Errorf("%d events: got %v, want %v", n, err, KindTruncated)
		}
		checkDeltas(t, w, events)
		if calls := w.Response().ToolCalls(); n < 11 && len(calls) > 0 {
			t.Errorf("%d events: got a tool call to run, want it incomplete", n)
		}
	}
}

// checkDeltas compares what was shown piece by piece with the parts of the answer.
func checkDeltas(t *testing.T, w *AnswerWriter, events []Event) {
	t.Helper()
	var shown, thought, refused, text, thinking, refusal strings.Builder
	for _, e := range events {
		switch e.Type {
		case EventText:
			shown.WriteString(e.Delta)
		case EventThinking:
			thought.WriteString(e.Delta)
		case EventRefusal:
			refused.WriteString(e.Delta)
		}
	}
	for _, p := range w.Response().Message.Parts {
		switch p := p.(type) {
		case *Text:
			text.WriteString(p.Text)
		case *Thinking:
			thinking.WriteString(p.Text)
		case *Refusal:
			refusal.WriteString(p.Text)
		}
	}
	if shown.String() != text.String() || thought.String() != thinking.String() || refused.String() != refusal.String() {
		t.Errorf("shown %q %q %q, in the parts %q %q %q", shown.String(), thought.String(), refused.String(), text.String(), thinking.String(), refusal.String())
	}
}

// TestResponsesEscapes reads strings that need unescaping, wherever they stand among the others.
func TestResponsesEscapes(t *testing.T) {
	t.Parallel()
	stream := `data: {"delta":"a\n\u2600\"","item_id":"x\ny","output_index":0,"t\u0079pe":"response.output_text\u002edelta","content_index":0}` + "\n\n" +
		`data: {"response":{"model":"m\u0021","id":"r\u0021","status":"compl\u0065ted"},"type":"response.completed"}` + "\n\n"
	w, _, err := decodeStream(responsesAdapter{}, Target{}, strings.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	r := w.Response()
	if r.Text() != "a\n☀\"" || r.ID != "r!" || r.Model != "m!" || r.Stop.Reason != StopEndTurn {
		t.Errorf("got %q %q %q %v", r.Text(), r.ID, r.Model, r.Stop)
	}
}

// TestResponsesReturns sends an answer back to its maker: reasoning, calls and phases must be there again, in their order.
func TestResponsesReturns(t *testing.T) {
	t.Parallel()
	to := Target{Provider: "openai-responses", Model: "gpt-6-sol", Platform: "api.openai.com", Account: "a1"}
	for _, name := range []string{"tools", "phases", "annotations", "thinking", "refusal"} {
		raw, err := os.ReadFile(filepath.Join("testdata/openai-responses", name, "response.json"))
		if err != nil {
			t.Fatal(err)
		}
		w := NewAnswerWriter(responsesAdapter{}, to)
		if err := (responsesAdapter{}).Decode(raw, w); err != nil {
			t.Fatal(err)
		}
		stored, err := json.Marshal(w.Response().Message)
		if err != nil {
			t.Fatal(err)
		}
		var answer Message
		if err := json.Unmarshal(stored, &answer); err != nil {
			t.Fatal(err)
		}
		req := &ChatRequest{Messages: []Message{UserText("Hi"), answer, UserText("And?")}}
		got, err := responsesAdapter{}.Encode(nil, req, to)
		if err != nil || len(got.Notes) > 0 {
			t.Fatalf("%s: got %v and notes %q", name, err, got.Notes)
		}
		var sent struct {
			Input []struct{ Type, Phase string }
		}
		var had struct {
			Output []struct{ Type, Phase string }
		}
		if json.Unmarshal(got.Body, &sent) != nil || json.Unmarshal(raw, &had) != nil {
			t.Fatal("not JSON")
		}
		if middle := sent.Input[1 : len(sent.Input)-1]; fmt.Sprint(middle) != fmt.Sprint(had.Output) {
			t.Errorf("%s: got %v, want %v", name, middle, had.Output)
		}
	}
}

// TestResponsesAllocations holds the stream to less than one allocation for ten pieces of text.
func TestResponsesAllocations(t *testing.T) {
	d := responsesAdapter{}.DecodeStream()
	w := NewAnswerWriter(responsesAdapter{}, Target{Stream: true})
	frame := Frame{Data: []byte(`{"type":"response.output_text.delta","item_id":"msg_1","output_index":0,"content_index":0,"delta":" sky\n","logprobs":[],"obfuscation":"x","sequence_number":5}`)}
	got := testing.AllocsPerRun(1000, func() {
		if err := d.Decode(frame, w); err != nil {
			t.Fatal(err)
		}
		w.Events()
	})
	if got > 0.1 {
		t.Errorf("got %v allocations a piece, want at most 0.1", got)
	}
}

func seedResponses(f *testing.F, name string) {
	files, err := filepath.Glob("testdata/openai-responses/*/" + name)
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds")
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
}

func FuzzResponsesStream(f *testing.F) {
	seedResponses(f, "stream.sse")
	f.Fuzz(func(t *testing.T, raw []byte) {
		w, events, err := decodeStream(responsesAdapter{}, Target{}, bytes.NewReader(raw))
		checkDeltas(t, w, events)
		if w.IsDone() != (err == nil) {
			t.Errorf("done %v, error %v", w.IsDone(), err)
		}
		if w.IsDone() && !bytes.Contains(raw, []byte("completed")) && !bytes.Contains(raw, []byte("incomplete")) && !bytes.Contains(raw, []byte(`\u`)) {
			t.Error("done without a terminal event")
		}
		checkStored(t, w)
	})
}

func FuzzResponsesDecode(f *testing.F) {
	seedResponses(f, "response.json")
	f.Fuzz(func(t *testing.T, raw []byte) {
		w := NewAnswerWriter(responsesAdapter{}, Target{})
		err := responsesAdapter{}.Decode(raw, w)
		if w.IsDone() != (err == nil) {
			t.Errorf("done %v, error %v", w.IsDone(), err)
		}
		checkStored(t, w)
	})
}

// checkStored checks that the answer can be stored, and sent back as part of a conversation.
func checkStored(t *testing.T, w *AnswerWriter) {
	t.Helper()
	r := w.Response()
	if _, err := json.Marshal(r); err != nil {
		t.Errorf("the answer cannot be stored: %v", err)
	}
	req := &ChatRequest{Messages: []Message{UserText("Hi"), r.Message, UserText("And?")}}
	if req.check() != nil {
		return
	}
	got, err := responsesAdapter{}.Encode(nil, req, w.From())
	if err != nil || !json.Valid(got.Body) {
		t.Errorf("sent back: got %v and %q", err, got.Body)
	}
}
