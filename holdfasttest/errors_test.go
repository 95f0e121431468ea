package holdfasttest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// answered is what a client reads of an error: its status, and type and code as "type/code" or Gemini's status.
func answered(t *testing.T, s *holdfasttest.Server, i int) (string, http.Header, string) {
	t.Helper()
	m := meet(t, s.Client(), s, i, false)
	if m.err != nil || m.cut != nil {
		t.Fatal(m.err, m.cut)
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(m.body), &body); err != nil {
		t.Fatalf("%v in %q", err, m.body)
	}
	e := dig[map[string]any](body, "error")
	what := fmt.Sprint(m.status)
	for _, name := range []string{"type", "status"} {
		if s, ok := e[name].(string); ok {
			what += " " + s
		}
	}
	if code, ok := e["code"].(string); ok {
		what += "/" + code
	}
	return what, m.header, m.body
}

func TestErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err  holdfasttest.Error
		want [5]string // in the order of ways: claude, chat, local, responses (as chat), gemini
	}{
		{holdfasttest.BadRequest, [5]string{"400 invalid_request_error", "400 invalid_request_error/invalid_value", "400 invalid_request_error", "", "400 INVALID_ARGUMENT"}},
		{holdfasttest.ContextTooLong, [5]string{"400 invalid_request_error", "400 invalid_request_error/context_length_exceeded", "400 exceed_context_size_error", "", "400 INVALID_ARGUMENT"}},
		{holdfasttest.TooLarge, [5]string{"413 request_too_large", "413 invalid_request_error", "400 invalid_request_error", "", "413 INVALID_ARGUMENT"}},
		{holdfasttest.BadKey, [5]string{"401 authentication_error", "401 invalid_request_error/invalid_api_key", "401 authentication_error", "", "400 INVALID_ARGUMENT"}},
		{holdfasttest.NoPermission, [5]string{"403 permission_error", "403 invalid_request_error/missing_scope", "401 authentication_error", "", "403 PERMISSION_DENIED"}},
		{holdfasttest.RegionBlocked, [5]string{"403 forbidden", "403 request_forbidden/unsupported_country_region_territory", "", "", "400 FAILED_PRECONDITION"}},
		{holdfasttest.SpendLimit, [5]string{"400 invalid_request_error", "429 insufficient_quota/billing_hard_limit_reached", "", "", "429 RESOURCE_EXHAUSTED"}},
		{holdfasttest.OutOfCredit, [5]string{"400 invalid_request_error", "429 insufficient_quota/insufficient_quota", "429 api_error", "", "402 FAILED_PRECONDITION"}},
		{holdfasttest.MonthlyCap, [5]string{"429 rate_limit_error", "429 insufficient_quota/credit_balance_exhausted", "", "", "402 FAILED_PRECONDITION"}},
		{holdfasttest.RateLimited, [5]string{"429 rate_limit_error", "429 requests/rate_limit_exceeded", "429 api_error", "", "429 RESOURCE_EXHAUSTED"}},
		{holdfasttest.DailyQuota, [5]string{"429 rate_limit_error", "429 requests/rate_limit_exceeded", "429 api_error", "", "429 RESOURCE_EXHAUSTED"}},
		{holdfasttest.SlowDown, [5]string{"429 rate_limit_error", "429 rate_limit_error/slow_down", "429 api_error", "", "429 RESOURCE_EXHAUSTED"}},
		{holdfasttest.ModelMissing, [5]string{"404 not_found_error", "404 invalid_request_error/model_not_found", "404 not_found_error", "", "404 NOT_FOUND"}},
		{holdfasttest.PolicyBlocked, [5]string{"400 invalid_request_error", "400 invalid_request_error/invalid_prompt", "400 invalid_request_error", "", "400 INVALID_ARGUMENT"}},
		{holdfasttest.BadSignature, [5]string{"400 invalid_request_error", "400 invalid_request_error/invalid_encrypted_content", "400 invalid_request_error", "", "400 INVALID_ARGUMENT"}},
		{holdfasttest.Conflict, [5]string{"409 conflict_error", "409 invalid_request_error", "500 api_error", "", "409 ABORTED"}},
		{holdfasttest.TimedOut, [5]string{"504 timeout_error", "408 server_error", "500 api_error", "", "504 DEADLINE_EXCEEDED"}},
		{holdfasttest.ServerError, [5]string{"500 api_error", "500 server_error", "500 api_error", "", "500 INTERNAL"}},
		{holdfasttest.Overloaded, [5]string{"529 overloaded_error", "503 service_unavailable_error/server_is_overloaded", "503 api_error", "", "503 UNAVAILABLE"}},
	}
	for i, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			s := holdfasttest.NewServer(w.dialect)
			defer s.Close()
			for _, tt := range tests {
				want := tt.want[i]
				if w.name == "responses" {
					want = tt.want[1]
				}
				s.Script(holdfasttest.Reply{Error: tt.err})
				if got, _, body := answered(t, s, i); want != "" && got != want || strings.Contains(body, "%s") {
					t.Errorf("%s: got %s, want %s in %s", tt.err, got, want, body)
				}
			}
			if got := s.Left(); got != 0 {
				t.Errorf("got %d replies left, want none", got)
			}
		})
	}
}

func TestErrorDetails(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		way    int
		reply  holdfasttest.Reply
		header map[string]string // "" means absent
		body   string
	}{
		{
			"claude, region", 0,
			holdfasttest.Reply{Error: holdfasttest.RegionBlocked},
			map[string]string{"Request-Id": "", "Server": "cloudflare"},
			`{"error":{"type":"forbidden","message":"Request not allowed"}}`,
		},
		{
			"claude, spend limit", 0,
			holdfasttest.Reply{Error: holdfasttest.SpendLimit},
			nil,
			`"message":"You have reached your specified API usage limits`,
		},
		{
			"claude, monthly cap", 0,
			holdfasttest.Reply{Error: holdfasttest.MonthlyCap},
			map[string]string{"Retry-After": ""},
			`"details":{"error_code":"enforced_spend_limit_reached"}`,
		},
		{
			"claude, rate", 0,
			holdfasttest.Reply{Error: holdfasttest.RateLimited},
			map[string]string{"Retry-After": "1", "Anthropic-Ratelimit-Requests-Remaining": "0", "X-Should-Retry": "true"},
			`"request_id":"req_`,
		},
		{
			"claude, date", 0,
			holdfasttest.Reply{Error: holdfasttest.RateLimited, RetryAfter: "Tue, 24 Nov 2026 10:00:00 GMT"},
			map[string]string{"Retry-After": "Tue, 24 Nov 2026 10:00:00 GMT"},
			"",
		},
		{
			"openai, rate", 1,
			holdfasttest.Reply{Error: holdfasttest.RateLimited},
			map[string]string{"Retry-After": "1", "X-Ratelimit-Reset-Requests": "1s"},
			`"param":null`,
		},
		{
			"openai, header taken away", 1,
			holdfasttest.Reply{Error: holdfasttest.RateLimited, Header: http.Header{"retry-after": nil, "Retry-After-Ms": {"1500"}}},
			map[string]string{"Retry-After": "", "Retry-After-Ms": "1500"},
			"",
		},
		{
			"gemini, minute", 4,
			holdfasttest.Reply{Error: holdfasttest.RateLimited},
			map[string]string{"Retry-After": ""},
			`{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1s"}`,
		},
		{
			"gemini, longer", 4, holdfasttest.Reply{Error: holdfasttest.RateLimited, RetryAfter: "34.07"}, nil, `"retryDelay":"34.07s"`,
		},
		{"gemini, day", 4, holdfasttest.Reply{Error: holdfasttest.DailyQuota}, nil, `"quotaId":"GenerateRequestsPerDay`},
		{"gemini, key", 4, holdfasttest.Reply{Error: holdfasttest.BadKey}, nil, `"reason":"API_KEY_INVALID"`},
		{"status alone", 0, holdfasttest.Reply{Status: 402}, nil, `"type":"billing_error"`},
		{"status and error", 1, holdfasttest.Reply{Status: 418, Error: holdfasttest.ServerError}, nil, `"type":"server_error"`},
		{"own body", 1, holdfasttest.Reply{Status: 429, Body: `{"error":{"code":"1113"}}`}, nil, `{"error":{"code":"1113"}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := holdfasttest.NewServer(ways[tt.way].dialect)
			defer s.Close()
			s.Script(tt.reply)
			_, header, body := answered(t, s, tt.way)
			for name, want := range tt.header {
				if got := header.Get(name); got != want {
					t.Errorf("got %s %q, want %q", name, got, want)
				}
			}
			if !strings.Contains(body, tt.body) {
				t.Errorf("got %s, want %s", body, tt.body)
			}
			if got, want := s.Requests()[0].Status, tt.reply.Status; want != 0 && got != want {
				t.Errorf("got status %v, want %v", got, want)
			}
		})
	}
}

func TestWhoMayAsk(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		way    int
		header http.Header
		want   int
	}{
		{"claude, key", 0, http.Header{"X-Api-Key": {"good"}}, 200},
		{"claude, bearer", 0, http.Header{"Authorization": {"Bearer good"}}, 200},
		{"claude, wrong key", 0, http.Header{"X-Api-Key": {"bad"}}, 401},
		{"claude, both", 0, http.Header{"X-Api-Key": {"good"}, "Authorization": {"Bearer good"}}, 401},
		{"claude, none", 0, http.Header{}, 401},
		{"claude, Google's header", 0, http.Header{"X-Goog-Api-Key": {"good"}}, 401},
		{"claude, no version", 0, http.Header{"X-Api-Key": {"good"}, "Anthropic-Version": {}}, 400},
		{"claude, wrong version", 0, http.Header{"X-Api-Key": {"good"}, "Anthropic-Version": {"2024-01-01"}}, 400},
		{"openai, key", 1, http.Header{"Authorization": {"Bearer good"}}, 200},
		{"openai, wrong key", 1, http.Header{"Authorization": {"Bearer bad"}}, 401},
		{"openai, no scheme", 1, http.Header{"Authorization": {"good"}}, 401},
		{"openai, Claude's header", 1, http.Header{"X-Api-Key": {"good"}}, 401},
		{"local, none", 2, http.Header{}, 200},
		{"gemini, key", 4, http.Header{"X-Goog-Api-Key": {"good"}}, 200},
		{"gemini, wrong key", 4, http.Header{"X-Goog-Api-Key": {"bad"}}, 400},
		{"gemini, none", 4, http.Header{}, 403},
		{"gemini, bearer", 4, http.Header{"Authorization": {"Bearer good"}}, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := holdfasttest.NewServer(ways[tt.way].dialect)
			defer s.Close()
			s.Keys("good")
			path, body := question(tt.way, false)
			req, _ := http.NewRequest(http.MethodPost, s.URL+path, strings.NewReader(body))
			req.Header = tt.header
			if _, ok := tt.header["Anthropic-Version"]; !ok {
				req.Header.Set("Anthropic-Version", "2023-06-01")
			}
			res, err := s.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if got := res.StatusCode; got != tt.want {
				b, _ := io.ReadAll(res.Body)
				t.Errorf("got %v, want %v: %s", got, tt.want, b)
			}
		})
	}
}

func TestModels(t *testing.T) {
	t.Parallel()
	lists := []struct {
		dialect   holdfasttest.Dialect
		path, one string
	}{
		{holdfasttest.Claude, "/v1/models", "/v1/models/known"},
		{holdfasttest.OpenAI, "/v1/models", "/v1/models/known"},
		{holdfasttest.Local, "/v1/models", "/v1/models/known"},
		{holdfasttest.Gemini, "/v1beta/models", "/v1beta/models/known"},
	}
	get := func(s *holdfasttest.Server, path string) (int, string) {
		req, _ := http.NewRequest(http.MethodGet, s.URL+path, nil)
		req.Header = http.Header{"Anthropic-Version": {"2023-06-01"}}
		switch path[:6] {
		case "/v1bet":
			req.Header.Set("X-Goog-Api-Key", "key")
		default:
			req.Header.Set("Authorization", "Bearer key")
		}
		res, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	for _, l := range lists {
		s := holdfasttest.NewServer(l.dialect)
		defer s.Close()
		if status, body := get(s, l.path); status != 200 || len(body) < 100 {
			t.Errorf("%s: got %d %s, want a few models", l.dialect, status, body)
		}
		s.Models("known")
		if status, body := get(s, l.path); status != 200 || strings.Count(body, "known") == 0 || strings.Contains(body, "flash") {
			t.Errorf("%s: got %d %s, want one model", l.dialect, status, body)
		}
		if status, _ := get(s, l.one); status != 200 {
			t.Errorf("%s: got %d, want the model", l.dialect, status)
		}
		if status, _ := get(s, l.path+"/other"); status != 404 {
			t.Errorf("%s: got %d, want 404", l.dialect, status)
		}
	}
	for i, w := range ways {
		s := holdfasttest.NewServer(w.dialect)
		defer s.Close()
		s.Models("known")
		if got, _, _ := answered(t, s, i); !strings.HasPrefix(got, "404 ") {
			t.Errorf("%s: got %s for a model that does not exist, want 404", w.name, got)
		}
	}
}
