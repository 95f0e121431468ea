package conformance

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-ai/holdfast"
)

// deviations are the cases in which the official client reads something else than holdfast, or nothing, and why that is as it
// should be. The client must go on to read them so.
var deviations = map[string]string{
	"claude/refusal_midway":            "what came before a refusal is to be discarded",
	"claude/refusal_unexplained":       "what came before a refusal is to be discarded",
	"gemini/array_stream":              "a stream that comes as one JSON array",
	"gemini/ids_missing_and_twice":     "arguments that come as a string",
	"gemini/odd_types":                 "values of a wrong type, which are passed over",
	"openai-chat/azure_stream":         "Azure's late verdicts, in chunks without a delta",
	"openai-responses/last_event_only": "a stream without deltas",
	"openai-responses/no_deltas":       "a stream without deltas",
	"openai-responses/no_types":        "events that only their frame names",
	"openai-responses/text_done_only":  "a stream without deltas",
	"openai-responses/wrong_types":     "values of a wrong type, which are passed over",
}

// The files that hold holdfast's codecs are held to the official clients' types: every request, and every answer that is one.
func TestVectors(t *testing.T) {
	t.Parallel()
	for dialect, w := range wires {
		cases, err := filepath.Glob(filepath.Join("..", "..", "testdata", dialect, "*"))
		if err != nil || len(cases) == 0 {
			t.Fatalf("no vectors of %s: %v", dialect, err)
		}
		for _, dir := range cases {
			name := dialect + "/" + filepath.Base(dir)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				v := vector{t, dir}
				if body := v.read("body.json"); body != nil {
					for _, fault := range w.against(body) {
						t.Errorf("body.json: %s", fault)
					}
				}
				if v.read("failure.txt") != nil {
					return
				}
				against := append(v.answer(w, false, "response.json", "answer.json"),
					v.answer(w, true, "stream.sse", "stream_answer.json", "answer.json")...)
				if why, ok := deviations[name]; ok && len(against) == 0 {
					t.Errorf("the client reads it as holdfast does, though it is %s", why)
				} else if !ok && len(against) > 0 {
					t.Error(strings.Join(against, "\n"))
				}
			})
		}
	}
}

type vector struct {
	*testing.T
	dir string
}

func (v vector) read(name string) []byte {
	b, err := os.ReadFile(filepath.Join(v.dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		v.Fatal(err)
	}
	return b
}

// answer reads an answer with the official client and compares the text with what holdfast reads.
func (v vector) answer(w wire, stream bool, name string, wants ...string) []string {
	body := v.read(name)
	if body == nil {
		return nil
	}
	var want holdfast.ChatResponse
	for _, file := range wants {
		if raw := v.read(file); raw != nil {
			if err := json.Unmarshal(raw, &want); err != nil {
				v.Fatal(err)
			}
			break
		}
	}
	all := [][]byte{body}
	if stream {
		all = pieces(body)
	}
	got, err := w.read(all, stream)
	switch {
	case err != nil:
		return []string{name + ": the client cannot read it: " + err.Error()}
	case got != want.Text():
		return []string{name + ": the client reads " + string(asJSON(got)) + ", holdfast " + string(asJSON(want.Text()))}
	}
	return nil
}
