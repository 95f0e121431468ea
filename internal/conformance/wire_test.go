package conformance

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
	"google.golang.org/genai"
)

// A wire is an API as its official client has it in its types.
type wire struct {
	// params is the type of a request, streamed the members that the client adds for a stream by itself.
	params   reflect.Type
	streamed []string
	// prepare rewrites what the client's types cannot hold, though the API takes it.
	prepare func(body any) any
	// beside names what the API takes though the client's types say otherwise, as faults.
	beside *regexp.Regexp
	// read decodes an answer of one piece or of many, and returns its text.
	read func(pieces [][]byte, stream bool) (string, error)
}

// geminiRequest is generateContent's request: genai has the types of its members, and puts them together in code.
type geminiRequest struct {
	Contents          []*genai.Content        `json:"contents" api:"required"`
	SystemInstruction *genai.Content          `json:"systemInstruction,omitempty"`
	GenerationConfig  *genai.GenerationConfig `json:"generationConfig,omitempty"`
	Tools             []*genai.Tool           `json:"tools,omitempty"`
	ToolConfig        *genai.ToolConfig       `json:"toolConfig,omitempty"`
	SafetySettings    []*genai.SafetySetting  `json:"safetySettings,omitempty"`
	CachedContent     string                  `json:"cachedContent,omitempty"`
	Labels            map[string]string       `json:"labels,omitempty"`
	ServiceTier       genai.ServiceTier       `json:"serviceTier,omitempty"`
	ContinuationToken []byte                  `json:"continuationToken,omitempty"`
	Store             *bool                   `json:"store,omitempty"`
}

var wires = map[string]wire{
	"claude":           {reflect.TypeFor[anthropic.MessageNewParams](), []string{"stream"}, claudePrepare, nil, claudeRead},
	"openai-chat":      {reflect.TypeFor[openai.ChatCompletionNewParams](), []string{"stream"}, chatPrepare, nil, chatRead},
	"openai-responses": {reflect.TypeFor[responses.ResponseNewParams](), []string{"stream"}, responsesPrepare, unnamed, responsesRead},
	"gemini":           {reflect.TypeFor[geminiRequest](), nil, geminiPrepare, nil, geminiRead},
}

// unnamed is what an assistant's message has only where the API keeps it: history that the caller keeps comes without.
var unnamed = regexp.MustCompile(`^input\[\d+\]\.(id|status): missing$`)

// against returns what the official client has against a request: members and words that it does not know, and what it would
// send differently, had it been asked the same.
func (w wire) against(body []byte) []string {
	var sent any
	if err := json.Unmarshal(body, &sent); err != nil {
		return []string{err.Error()}
	}
	if m, ok := sent.(map[string]any); ok {
		for _, name := range w.streamed {
			delete(m, name)
		}
	}
	faults := slices.DeleteFunc(misfits(asJSON(sent), w.params), func(fault string) bool {
		return w.beside != nil && w.beside.MatchString(fault)
	})
	if w.prepare != nil {
		sent = w.prepare(sent)
	}
	params := reflect.New(w.params).Interface()
	if err := json.Unmarshal(asJSON(sent), params); err != nil {
		return append(faults, "cannot be decoded: "+err.Error())
	}
	again, err := json.Marshal(params)
	if err != nil {
		return append(faults, "cannot be encoded again: "+err.Error())
	}
	var resent any
	if err := json.Unmarshal(again, &resent); err != nil {
		return append(faults, err.Error())
	}
	return append(faults, differences(sent, resent, "")...)
}

func asJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return b
}

// differences lists where two documents differ.
func differences(want, got any, path string) []string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			break
		}
		var out []string
		for name := range w {
			out = append(out, differences(w[name], g[name], path+"."+name)...)
		}
		for name := range g {
			if _, ok := w[name]; !ok {
				out = append(out, strings.TrimPrefix(path+"."+name, ".")+": added by the client")
			}
		}
		return out
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			break
		}
		var out []string
		for i := range w {
			out = append(out, differences(w[i], g[i], fmt.Sprintf("%s[%d]", path, i))...)
		}
		return out
	}
	if reflect.DeepEqual(want, got) {
		return nil
	}
	return []string{fmt.Sprintf("%s: sent %.80s, the client %.80s", strings.TrimPrefix(path, "."), asJSON(want), asJSON(got))}
}

// each rewrites every object of a document, the inner ones first.
func each(v any, rewrite func(map[string]any)) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = each(v[name], rewrite)
		}
		rewrite(v)
	case []any:
		for i := range v {
			v[i] = each(v[i], rewrite)
		}
	}
	return v
}

// claudePrepare spells a text that stands for a list of blocks as that list: the client has only the list.
func claudePrepare(body any) any {
	list := func(m map[string]any, name string) {
		if s, ok := m[name].(string); ok {
			m[name] = []any{map[string]any{"type": "text", "text": s}}
		}
	}
	m, _ := body.(map[string]any)
	list(m, "system")
	messages, _ := m["messages"].([]any)
	for _, msg := range messages {
		msg, _ := msg.(map[string]any)
		list(msg, "content")
		blocks, _ := msg["content"].([]any)
		for _, b := range blocks {
			if b, _ := b.(map[string]any); b["type"] == "tool_result" {
				list(b, "content")
			}
		}
	}
	return body
}

// chatPrepare takes out the choice of one tool, which the client's decoder takes for a choice among several. The types of its
// members have been looked at before.
func chatPrepare(body any) any {
	m, _ := body.(map[string]any)
	if _, ok := m["tool_choice"].(map[string]any); ok {
		delete(m, "tool_choice")
	}
	return body
}

// responsesPrepare names the type of messages that leave it out, as the API allows: the client's decoder finds them by it.
func responsesPrepare(body any) any {
	m, _ := body.(map[string]any)
	items, _ := m["input"].([]any)
	for _, item := range items {
		if item, _ := item.(map[string]any); item["role"] != nil && item["type"] == nil {
			item["type"] = "message"
		}
	}
	return chatPrepare(body)
}

// geminiPrepare makes base64 of the one signature that is none: the documented pass for calls that Gemini did not make. The
// client leaves out empty texts and arguments, too.
func geminiPrepare(body any) any {
	return each(body, func(m map[string]any) {
		if m["text"] == "" {
			delete(m, "text")
		}
		if args, ok := m["args"].(map[string]any); ok && len(args) == 0 {
			delete(m, "args")
		}
		if m["thoughtSignature"] == "skip_thought_signature_validator" {
			m["thoughtSignature"] = "c2tpcA=="
		}
	})
}

func claudeRead(pieces [][]byte, stream bool) (string, error) {
	var m anthropic.Message
	for _, raw := range pieces {
		if !stream {
			err := json.Unmarshal(raw, &m)
			return claudeSaid(&m).Text, err
		}
		var event anthropic.MessageStreamEventUnion
		if err := json.Unmarshal(raw, &event); err != nil {
			return "", err
		}
		if event.Type == "ping" || event.AsAny() == nil {
			continue
		}
		if err := m.Accumulate(event); err != nil {
			return "", err
		}
	}
	return claudeSaid(&m).Text, nil
}

func chatRead(pieces [][]byte, stream bool) (string, error) {
	if !stream {
		var c openai.ChatCompletion
		err := json.Unmarshal(pieces[0], &c)
		return chatSaid(c).Text, err
	}
	var all openai.ChatCompletionAccumulator
	for _, raw := range pieces {
		var chunk openai.ChatCompletionChunk
		if err := json.Unmarshal(raw, &chunk); err != nil {
			return "", err
		}
		if !all.AddChunk(chunk) {
			return "", fmt.Errorf("the client cannot join the chunk %s", raw)
		}
	}
	return chatSaid(all.ChatCompletion).Text, nil
}

func responsesRead(pieces [][]byte, stream bool) (string, error) {
	var r responses.Response
	if !stream {
		err := json.Unmarshal(pieces[0], &r)
		return r.OutputText(), err
	}
	text := ""
	for _, raw := range pieces {
		var event responses.ResponseStreamEventUnion
		if err := json.Unmarshal(raw, &event); err != nil {
			return "", err
		}
		if event.Type == "response.output_text.delta" {
			text += event.Delta
		}
	}
	return text, nil
}

func geminiRead(pieces [][]byte, _ bool) (string, error) {
	var all []*genai.GenerateContentResponse
	for _, raw := range pieces {
		var r genai.GenerateContentResponse
		if err := json.Unmarshal(raw, &r); err != nil {
			return "", err
		}
		all = append(all, &r)
	}
	return geminiSaid(all...).Text, nil
}

func TestWiresNotice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ dialect, body, fault string }{
		{"claude", `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}`, ""},
		{"claude", `{"model":"m","messages":[{"role":"user","content":"hi"}]}`, "max_tokens: missing"},
		{"claude", `{"model":"m","max_tokens":1,"messages":[{"role":"tool","content":"hi"}]}`, `messages[0].role: "tool"`},
		{"claude", `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"hi","x":1}]}]}`, "messages[0].content[0].x: unknown"},
		{"openai-chat", `{"model":"m","messages":[{"role":"user","content":"hi"}],"max_output_tokens":1}`, "max_output_tokens: unknown"},
		{"openai-chat", `{"model":"m","messages":[{"role":"tool","content":"hi"}]}`, "messages[0].tool_call_id: missing"},
		{"openai-responses", `{"model":"m","input":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}`, `type: "text" is no`},
		{"gemini", `{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"seed":1.5}}`, "generationConfig.seed: json.Number is no"},
		{"gemini", `{"contents":[{"parts":[{"text":"hi","thought":true}]}],"generationConfig":{"responseMimetype":"x"}}`, "responseMimetype: unknown"},
	} {
		got := strings.Join(wires[tt.dialect].against([]byte(tt.body)), "\n")
		if tt.fault == "" && got != "" || tt.fault != "" && !strings.Contains(got, tt.fault) {
			t.Errorf("%s %s: got %q, want %q", tt.dialect, tt.body, got, tt.fault)
		}
	}
}
