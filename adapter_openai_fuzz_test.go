package holdfast

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-ai/holdfast/internal/sse"
)

// chatVector is one file of a vector of this codec.
type chatVector struct {
	name, provider string
	data           []byte
}

func chatVectors(t testing.TB, file string) []chatVector {
	t.Helper()
	var found []chatVector
	for i := range chatProfiles {
		p := chatProfiles[i].provider
		paths, err := filepath.Glob(filepath.Join("testdata", p, "*", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, chatVector{p + "/" + filepath.Base(filepath.Dir(path)), p, data})
		}
	}
	if len(found) == 0 {
		t.Fatal("no vectors found")
	}
	return found
}

// visible is all that an answer shows: its texts, and its calls with their arguments.
func visible(r *ChatResponse) string {
	var b strings.Builder
	for _, p := range r.Message.Parts {
		switch p := p.(type) {
		case *Text:
			b.WriteString(p.Text)
		case *Refusal:
			b.WriteString(p.Text)
		case *Thinking:
			b.WriteString(p.Text)
		case *ToolCall:
			b.WriteString(p.Name + string(p.Args))
		}
	}
	return b.String()
}

func FuzzChatStream(f *testing.F) {
	for _, v := range chatVectors(f, "stream.sse") {
		f.Add(v.data)
	}
	a := chatAdapterOf("openai-compatible")
	f.Fuzz(func(t *testing.T, body []byte) {
		w, events, err := decodeStream(a, Target{}, bytes.NewReader(body))
		if err == nil && !w.IsDone() {
			t.Fatal("no error and not done")
		}
		var shown, held strings.Builder
		for _, e := range events {
			switch e.Type {
			case EventText, EventThinking, EventRefusal:
				shown.WriteString(e.Delta)
			}
		}
		if err != nil && !errors.Is(err, KindTruncated) {
			return // the last events were not read
		}
		for _, p := range w.Response().Message.Parts {
			switch p := p.(type) {
			case *Text:
				held.WriteString(p.Text)
			case *Thinking:
				held.WriteString(p.Text)
			case *Refusal:
				held.WriteString(p.Text)
			case *ToolCall:
				if err == nil && !p.Incomplete && !isObject(p.Args) {
					t.Fatalf("a call has the arguments %q", p.Args)
				}
				if err == nil && (p.ID == "" || p.Name == "") {
					t.Fatal("a call has no id or no name")
				}
			}
		}
		if err == nil && shown.String() != held.String() {
			t.Fatalf("shown %q, held %q", shown.String(), held.String())
		}
	})
}

func FuzzChatDecode(f *testing.F) {
	for _, v := range chatVectors(f, "response.json") {
		f.Add(v.data)
	}
	a := chatAdapterOf("openai-compatible")
	f.Fuzz(func(t *testing.T, body []byte) {
		w := NewAnswerWriter(a, Target{})
		if err := a.Decode(body, w); err == nil != w.IsDone() {
			t.Fatalf("got error %v, done %v", err, w.IsDone())
		}
		if _, err := json.Marshal(w.Response()); err != nil {
			t.Fatalf("the answer cannot be stored: %v", err)
		}
		a.DecodeError(500, nil, body)
	})
}

// chatStreamOf is a stream of n pieces of text.
func chatStreamOf(n int) []byte {
	var b bytes.Buffer
	chunk := func(delta, finish string) {
		fmt.Fprintf(&b, `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1790000000,"model":"gpt-4.1","service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":%s,"logprobs":null,"finish_reason":%s}],"usage":null,"obfuscation":"abc"}`+"\n\n", delta, finish)
	}
	chunk(`{"role":"assistant","content":""}`, "null")
	for range n {
		chunk(`{"content":" word\n"}`, "null")
	}
	chunk("{}", `"stop"`)
	b.WriteString(`data: {"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}` + "\n\ndata: [DONE]\n\n")
	return b.Bytes()
}

// drainChat decodes a stream as the client does, without keeping the events.
func drainChat(a AIServiceAdapter, stream []byte) (*AnswerWriter, int, error) {
	w := NewAnswerWriter(a, Target{Stream: true})
	d := a.DecodeStream()
	r := sse.NewReader(bytes.NewReader(stream), 0)
	defer r.Release()
	n := 0
	for !w.IsDone() {
		f, err := r.Next()
		if err != nil {
			return w, n, err
		}
		if err := d.Decode(Frame{Event: f.Event, Data: f.Data}, w); err != nil {
			return w, n, err
		}
		n += len(w.Events())
	}
	return w, n, nil
}

func BenchmarkChatStream(b *testing.B) {
	stream := chatStreamOf(5000)
	a := chatAdapterOf("openai-chat")
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := drainChat(a, stream); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChatEncode(b *testing.B) {
	req := &ChatRequest{System: System("Be brief.")}
	for range 25 {
		req.Messages = append(req.Messages, UserText(strings.Repeat("Why is the sky blue? ", 60)), AssistantText(strings.Repeat("Scattering.\n", 100)))
	}
	req.Messages = append(req.Messages, UserText("And?"))
	a := chatAdapterOf("openai-chat")
	buf := make([]byte, 0, 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		enc, err := a.Encode(buf, req, Target{Model: "gpt-4.1"})
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(enc.Body)))
	}
}
