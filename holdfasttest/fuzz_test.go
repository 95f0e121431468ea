package holdfasttest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// FuzzRequest sends every body to every API: whatever it is, it is answered or refused.
func FuzzRequest(f *testing.F) {
	for i := range ways {
		for _, stream := range []bool{false, true} {
			_, body := question(i, stream)
			f.Add(body)
		}
	}
	f.Add(`{"model":"claude-opus-5-5","max_tokens":1,"messages":[null,[],{"role":"user","content":[null,{"type":"tool_result"}]}],"tools":[null],"system":[1]}`)
	f.Add(`{"model":"o3","messages":[{"role":"assistant","tool_calls":[null,{"function":[]}]}],"tools":[{"type":"function"}],"stop":[null]}`)
	f.Add(`{"model":"gpt-6-sol","input":[null,{"type":"reasoning","id":1},{"type":"function_call","id":"fc_r","call_id":"c","arguments":""}],"text":{"format":[]}}`)
	f.Add(`{"contents":[null,{"parts":[null,{"functionCall":[]}]},{"role":"model","parts":[{"functionCall":{}}]}],"generation_config":[],"tools":[null]}`)
	f.Add(`{"contents":[{"parts":[{"text":"a"}]},{"role":"model","parts":[null,{"text":1}]}],"continuationToken":"aG9sZGZhc3R0ZXN0IGNvbnRpbnVhdGlvbiAxIDEgLTE="}`)
	f.Add(`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"text","text":"Let "}]}],"background":true}`)
	f.Fuzz(func(t *testing.T, body string) {
		for i, w := range ways {
			s := holdfasttest.NewHandler(w.dialect)
			s.Always(rich)
			for _, stream := range []bool{false, true} {
				path, _ := question(i, stream)
				r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
				r.Header = http.Header{
					"X-Api-Key": {"key"}, "Anthropic-Version": {"2023-06-01"}, "X-Goog-Api-Key": {"key"},
				}
				if w.dialect == holdfasttest.OpenAI {
					r.Header.Set("Authorization", "Bearer key")
				}
				got := httptest.NewRecorder()
				s.ServeHTTP(got, r)
				log := s.Requests()
				if refused := log[len(log)-1].Refused != ""; refused == (got.Code == http.StatusOK) {
					t.Errorf("%s: got %d, refused %v", w.name, got.Code, refused)
				}
			}
		}
	})
}
