package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/genai"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

const geminiModel = "gemini-3.5-flash"

// geminiClient returns the client and the bodies that it is answered: it does not tell what it left unread of them.
func geminiClient(t *testing.T, s *holdfasttest.Server) (*genai.Client, *bodies) {
	t.Helper()
	read := &bodies{base: s.Client().Transport}
	c, err := genai.NewClient(t.Context(), &genai.ClientConfig{
		APIKey: "key", Backend: genai.BackendGeminiAPI, HTTPClient: &http.Client{Transport: read},
		HTTPOptions: genai.HTTPOptions{BaseURL: s.URL, APIVersion: "v1beta"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, read
}

var geminiStops = map[string]string{
	"EndTurn": "STOP", "ToolUse": "STOP", "MaxTokens": "MAX_TOKENS", "ContextExceeded": "MAX_TOKENS", "StopSequence": "STOP",
	"Refusal": "PROHIBITED_CONTENT", "ContentFilter": "SAFETY", "Paused": "CONTINUATION",
}

func geminiAsk(t *testing.T, q question) ([]*genai.Content, *genai.GenerateContentConfig) {
	t.Helper()
	c := &genai.GenerateContentConfig{
		SystemInstruction: genai.NewContentFromText("Be brief.", ""), MaxOutputTokens: 1000, StopSequences: q.stop,
		AutomaticContinuation: genai.Ptr(false),
	}
	if q.tools {
		c.Tools = []*genai.Tool{{FunctionDeclarations: []*genai.FunctionDeclaration{{
			Name: "weather", Description: "The weather", ParametersJsonSchema: decoded[map[string]any](t, weatherSchema),
		}}}}
	}
	if q.think {
		c.ThinkingConfig = &genai.ThinkingConfig{IncludeThoughts: true, ThinkingLevel: genai.ThinkingLevelHigh}
	}
	return []*genai.Content{genai.NewContentFromText("Why is the sky blue?", genai.RoleUser)}, c
}

// geminiSaid reads an answer as its users do, whether it came in one piece or in many.
func geminiSaid(pieces ...*genai.GenerateContentResponse) said {
	var out said
	for _, r := range pieces {
		if u := r.UsageMetadata; u != nil {
			out.Usage = holdfasttest.Usage{
				Input: int(u.PromptTokenCount), CacheRead: int(u.CachedContentTokenCount),
				Output: int(u.CandidatesTokenCount + u.ThoughtsTokenCount), Reasoning: int(u.ThoughtsTokenCount),
			}
		}
		if f := r.PromptFeedback; f != nil {
			out.Stop, out.Refusal = string(f.BlockReason), f.BlockReasonMessage
		}
		for _, candidate := range r.Candidates {
			if candidate.Index != 0 {
				continue
			}
			if candidate.FinishReason != "" {
				out.Stop = string(candidate.FinishReason)
			}
			if candidate.Content != nil {
				geminiParts(candidate.Content.Parts, &out)
			}
		}
	}
	return out
}

func geminiParts(parts []*genai.Part, out *said) {
	for _, p := range parts {
		out.Signed = out.Signed || len(p.ThoughtSignature) > 0
		switch {
		case p.FunctionCall != nil:
			args, _ := json.Marshal(p.FunctionCall.Args)
			out.Calls = append(out.Calls, call(p.FunctionCall.Name, string(args)))
		case p.Thought:
			out.Thinking += p.Text
		default:
			out.Text += p.Text
		}
	}
}

func geminiStream(t *testing.T, c *genai.Client, contents []*genai.Content, config *genai.GenerateContentConfig) []*genai.GenerateContentResponse {
	t.Helper()
	var out []*genai.GenerateContentResponse
	for r, err := range c.Models.GenerateContentStream(t.Context(), geminiModel, contents, config) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// known fails the test for every member of an answer that the client's types do not have.
func (b *bodies) known(t *testing.T, of any) {
	t.Helper()
	for _, body := range b.all {
		for _, raw := range pieces(body) {
			for _, fault := range misfits(raw, reflect.TypeOf(of)) {
				t.Errorf("%s\nin %s", fault, raw)
			}
		}
	}
}

// pieces returns the JSON documents of a body: of each event of a stream, or the whole.
func pieces(body []byte) [][]byte {
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		return [][]byte{body}
	}
	var out [][]byte
	for line := range bytes.Lines(body) {
		data, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("data:"))
		data = bytes.TrimSpace(data)
		if bytes.Equal(data, []byte("[DONE]")) {
			break
		}
		if ok && len(data) > 0 {
			out = append(out, data)
		}
	}
	return out
}

func TestGeminiAnswers(t *testing.T) {
	t.Parallel()
	for _, q := range questions {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			s := server(t, holdfasttest.Gemini, q.reply, q.reply)
			c, read := geminiClient(t, s)
			contents, config := geminiAsk(t, q)
			whole, err := c.Models.GenerateContent(t.Context(), geminiModel, contents, config)
			if err != nil {
				t.Fatal(err)
			}
			want := q.wants(geminiStops, func(q question, w *said) {
				w.Usage.CacheWrite = 0
				w.Signed = w.Refusal == "" && (w.Text != "" || w.Calls != nil) // every answer of a model that thinks
				if w.Refusal != "" {
					w.Usage.Output, w.Usage.Reasoning, w.Usage.CacheRead = 0, 0, 0 // there was none
				}
			})
			agree(t, "unary", geminiSaid(whole), want)
			agree(t, "streamed", geminiSaid(geminiStream(t, c, contents, config)...), want)
			accepted(t, s)
			if len(read.all) != 2 {
				t.Errorf("got %d bodies, want 2", len(read.all))
			}
			read.known(t, genai.GenerateContentResponse{})
		})
	}
}

// What the model said goes back as it came, signatures included.
func TestGeminiToolLoop(t *testing.T) {
	t.Parallel()
	for _, streamed := range []bool{false, true} {
		s := server(t, holdfasttest.Gemini, holdfasttest.Reply{
			Thinking: "Ask.", Text: "Let me see.", ToolCalls: []holdfasttest.ToolCall{{Name: "weather", Args: weatherArgs}, {Name: "weather"}},
		}, holdfasttest.Reply{Text: "It rains."})
		c, _ := geminiClient(t, s)
		contents, config := geminiAsk(t, question{tools: true, think: true})
		model, results := &genai.Content{Role: genai.RoleModel}, &genai.Content{Role: genai.RoleUser}
		var answer []*genai.GenerateContentResponse
		if streamed {
			answer = geminiStream(t, c, contents, config)
		} else {
			whole, err := c.Models.GenerateContent(t.Context(), geminiModel, contents, config)
			if err != nil {
				t.Fatal(err)
			}
			answer = append(answer, whole)
		}
		for _, r := range answer {
			for _, p := range r.Candidates[0].Content.Parts {
				if reflect.ValueOf(*p).IsZero() {
					continue
				}
				model.Parts = append(model.Parts, p)
				if f := p.FunctionCall; f != nil {
					results.Parts = append(results.Parts, &genai.Part{FunctionResponse: &genai.FunctionResponse{
						ID: f.ID, Name: f.Name, Response: map[string]any{"output": "rain"},
					}})
				}
			}
		}
		second, err := c.Models.GenerateContent(t.Context(), geminiModel, append(contents, model, results), config)
		if err != nil {
			t.Fatalf("streamed %v: %v", streamed, err)
		}
		if got := second.Text(); got != "It rains." {
			t.Errorf("got %q, want the second answer", got)
		}
	}
}

func TestGeminiTakes(t *testing.T) {
	t.Parallel()
	s := server(t, holdfasttest.Gemini)
	c, read := geminiClient(t, s)
	contents, config := geminiAsk(t, question{tools: true, think: true})
	contents = append(contents, genai.NewContentFromParts([]*genai.Part{
		genai.NewPartFromBytes([]byte("png"), "image/png"), genai.NewPartFromBytes([]byte("%PDF-"), "application/pdf"),
		genai.NewPartFromBytes([]byte("RIFF"), "audio/wav"), genai.NewPartFromURI("https://generativelanguage.googleapis.com/v1beta/files/a", "image/png"),
		genai.NewPartFromText("Compare."),
	}, genai.RoleUser))
	config.ResponseMIMEType, config.ResponseJsonSchema = "application/json", decoded[map[string]any](t, weatherSchema)
	config.Temperature, config.TopP, config.TopK, config.Seed = genai.Ptr[float32](0.5), genai.Ptr[float32](0.9), genai.Ptr[float32](40), genai.Ptr[int32](7)
	config.PresencePenalty, config.FrequencyPenalty = genai.Ptr[float32](0.1), genai.Ptr[float32](0.2)
	config.ToolConfig = &genai.ToolConfig{FunctionCallingConfig: &genai.FunctionCallingConfig{
		Mode: genai.FunctionCallingConfigModeAny, AllowedFunctionNames: []string{"weather"},
	}}
	config.SafetySettings = []*genai.SafetySetting{{Category: genai.HarmCategoryHarassment, Threshold: genai.HarmBlockThresholdBlockNone}}
	if _, err := c.Models.GenerateContent(t.Context(), geminiModel, contents, config); err != nil {
		t.Error(err)
	}
	geminiStream(t, c, contents, config)
	read.known(t, genai.GenerateContentResponse{})

	count, err := c.Models.CountTokens(t.Context(), geminiModel, contents, nil)
	if err != nil || count.TotalTokens == 0 {
		t.Errorf("count of tokens: got %v, %v", count, err)
	}
	if m, err := c.Models.Get(t.Context(), geminiModel, nil); err != nil || m.Name != "models/"+geminiModel {
		t.Errorf("model: got %v, %v", m, err)
	}
	n := 0
	for _, err := range c.Models.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n == 0 {
		t.Error("no models are listed")
	}
}

func TestGeminiErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		give   holdfasttest.Error
		status int
		word   string
		detail string
	}{
		{holdfasttest.BadRequest, 400, "INVALID_ARGUMENT", ""},
		{holdfasttest.ContextTooLong, 400, "INVALID_ARGUMENT", ""},
		{holdfasttest.TooLarge, 413, "INVALID_ARGUMENT", ""},
		{holdfasttest.BadKey, 400, "INVALID_ARGUMENT", "API_KEY_INVALID"},
		{holdfasttest.NoPermission, 403, "PERMISSION_DENIED", "SERVICE_DISABLED"},
		{holdfasttest.RegionBlocked, 400, "FAILED_PRECONDITION", ""},
		{holdfasttest.SpendLimit, 429, "RESOURCE_EXHAUSTED", ""},
		{holdfasttest.OutOfCredit, 402, "FAILED_PRECONDITION", ""},
		{holdfasttest.RateLimited, 429, "RESOURCE_EXHAUSTED", "PerMinute"},
		{holdfasttest.DailyQuota, 429, "RESOURCE_EXHAUSTED", "PerDay"},
		{holdfasttest.ModelMissing, 404, "NOT_FOUND", ""},
		{holdfasttest.BadSignature, 400, "INVALID_ARGUMENT", ""},
		{holdfasttest.Conflict, 409, "ABORTED", ""},
		{holdfasttest.TimedOut, 504, "DEADLINE_EXCEEDED", ""},
		{holdfasttest.ServerError, 500, "INTERNAL", ""},
		{holdfasttest.Overloaded, 503, "UNAVAILABLE", ""},
	} {
		t.Run(string(tt.give), func(t *testing.T) {
			t.Parallel()
			reply := holdfasttest.Reply{Error: tt.give, RetryAfter: "17"}
			s := server(t, holdfasttest.Gemini, reply, reply)
			c, read := geminiClient(t, s)
			contents, config := geminiAsk(t, question{})
			_, unary := c.Models.GenerateContent(t.Context(), geminiModel, contents, config)
			var streamed error
			for _, streamed = range c.Models.GenerateContentStream(t.Context(), geminiModel, contents, config) {
			}
			for _, err := range []error{unary, streamed} {
				var e genai.APIError
				if !errors.As(err, &e) {
					t.Fatalf("got %v, want an API error", err)
				}
				details, _ := json.Marshal(e.Details)
				if e.Code != tt.status || e.Status != tt.word || e.Message == "" || !strings.Contains(string(details), tt.detail) {
					t.Errorf("got %d %s %q %s, want %d %s %s", e.Code, e.Status, e.Message, details, tt.status, tt.word, tt.detail)
				}
				if !strings.Contains(string(details), `"retryDelay":"17s"`) {
					t.Errorf("details %s do not say how long to wait", details)
				}
			}
			read.known(t, struct {
				Error genai.APIError `json:"error"`
			}{})
		})
	}
	t.Run("in the stream", func(t *testing.T) {
		t.Parallel()
		s := server(t, holdfasttest.Gemini, holdfasttest.Reply{Fault: holdfasttest.ErrorInStream, After: 1})
		c, _ := geminiClient(t, s)
		contents, config := geminiAsk(t, question{})
		n := 0
		var last error
		for _, err := range c.Models.GenerateContentStream(t.Context(), geminiModel, contents, config) {
			last = err
			n++
		}
		var e genai.APIError
		if !errors.As(last, &e) || e.Status != "UNAVAILABLE" || n < 2 {
			t.Errorf("got %v behind %d pieces, want UNAVAILABLE behind some", last, n-1)
		}
	})
}
