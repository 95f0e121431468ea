package holdfasttest

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// openAI is OpenAI's host with both of its APIs; local, a server of local models with Chat Completions alone.
type openAI struct{ local bool }

func (openAI) limit() int64 { return 64 << 20 }

const invalidRequest = "invalid_request_error"

// https://platform.openai.com/docs/guides/error-codes
var openAIErrors = map[Error]problem{
	BadRequest:     {status: 400, kind: invalidRequest, code: "invalid_value", param: "messages", message: "Invalid value for 'messages'."},
	ContextTooLong: {status: 400, kind: invalidRequest, code: "context_length_exceeded", param: "messages", message: "Your input exceeds the context window of this model. Please adjust your input and try again."},
	TooLarge:       {status: 413, kind: invalidRequest, message: "The request body is too large."},
	BadKey:         {status: 401, kind: invalidRequest, code: "invalid_api_key", message: "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys."},
	NoPermission:   {status: 403, kind: invalidRequest, code: "missing_scope", message: "You have insufficient permissions for this operation."},
	RegionBlocked:  {status: 403, kind: "request_forbidden", code: "unsupported_country_region_territory", message: "Country, region, or territory not supported"},
	SpendLimit:     {status: 429, kind: "insufficient_quota", code: "billing_hard_limit_reached", message: "Billing hard limit has been reached."},
	OutOfCredit:    {status: 429, kind: "insufficient_quota", code: "insufficient_quota", message: "You exceeded your current quota, please check your plan and billing details."},
	MonthlyCap:     {status: 429, kind: "insufficient_quota", code: "credit_balance_exhausted", message: "Your credit balance is exhausted."},
	RateLimited: {
		status: 429, kind: "requests", code: "rate_limit_exceeded", header: map[string]string{"Retry-After": "1", "X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "1s"},
		message: "Rate limit reached for %s in organization org-holdfast on requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in 1s.",
	},
	DailyQuota: {
		status: 429, kind: "requests", code: "rate_limit_exceeded", header: map[string]string{"Retry-After": "28800", "X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "8h0m0s"},
		message: "Rate limit reached for %s in organization org-holdfast on requests per day (RPD): Limit 10000, Used 10000, Requested 1. Please try again in 8h0m0s.",
	},
	SlowDown: {
		status: 429, kind: "rate_limit_error", code: "slow_down", header: map[string]string{"Retry-After": "1"},
		message: "Your request rate grew too fast. Please reduce it to its former level and increase it gradually.",
	},
	ModelMissing:  {status: 404, kind: invalidRequest, code: "model_not_found", message: "The model `%s` does not exist or you do not have access to it."},
	PolicyBlocked: {status: 400, kind: invalidRequest, code: "invalid_prompt", message: "Invalid prompt: your prompt was flagged as potentially violating our usage policy."},
	BadSignature:  {status: 400, kind: invalidRequest, code: "invalid_encrypted_content", message: "The encrypted content could not be verified."},
	Conflict:      {status: 409, kind: invalidRequest, message: "The resource is locked by another request."},
	TimedOut:      {status: 408, kind: "server_error", message: "The request timed out."},
	ServerError:   {status: 500, kind: "server_error", message: "The server had an error while processing your request. Sorry about that!"},
	Overloaded:    {status: 503, kind: "service_unavailable_error", code: "server_is_overloaded", message: "The server is currently overloaded. Please try again later."},
}

// https://github.com/ollama/ollama/blob/main/openai/openai.go
var localErrors = map[Error]problem{
	BadRequest:     {status: 400, kind: invalidRequest, message: "invalid request"},
	ContextTooLong: {status: 400, kind: "exceed_context_size_error", message: "the request exceeds the available context size"},
	BadKey:         {status: 401, kind: "authentication_error", message: "unauthorized"},
	ModelMissing:   {status: 404, kind: "not_found_error", message: "model %q not found, try pulling it first"},
	RateLimited:    {status: 429, kind: "api_error", message: "too many requests"},
	ServerError:    {status: 500, kind: "api_error", message: "llama runner process has terminated"},
	Overloaded:     {status: 503, kind: "api_error", message: "server busy, please try again. maximum pending requests exceeded"},
}

func (o openAI) problem(e Error, status int, model string) problem {
	table := openAIErrors
	if o.local {
		table = localErrors
	}
	p := pick(table, e, status)
	p.message = strings.NewReplacer("%s", model, "%q", strconv.Quote(model)).Replace(p.message)
	return p
}

func (o openAI) render(p *problem, _ int) []byte {
	if p.bare != "" {
		return []byte(p.bare)
	}
	return encode(object{"error", openAIError(p)})
}

func openAIError(p *problem) object {
	return object{"message", p.message, "type", p.kind, "param", orNull(p.param), "code", orNull(p.code)}
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (o openAI) header(h http.Header, n int, p *problem) {
	if o.local {
		return
	}
	h.Set("Server", "cloudflare")
	h.Set("Cf-Ray", fmt.Sprintf("9a20%012x-IAD", n))
	h.Set("Cf-Cache-Status", "DYNAMIC")
	h.Set("X-Request-Id", requestID("req_", n))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains; preload")
	h.Set("Openai-Version", "2020-10-01")
	h.Set("Openai-Processing-Ms", "172")
	h.Set("Openai-Organization", "org-holdfast")
	h.Set("Openai-Project", "proj_holdfast")
	h.Set("X-Openai-Proxy-Wasm", "v0.1")
	if p != nil && p.status != http.StatusTooManyRequests {
		return
	}
	h.Set("X-Ratelimit-Limit-Requests", "500")
	h.Set("X-Ratelimit-Limit-Tokens", "500000")
	h.Set("X-Ratelimit-Remaining-Requests", "499")
	h.Set("X-Ratelimit-Remaining-Tokens", "499000")
	h.Set("X-Ratelimit-Reset-Requests", "120ms")
	h.Set("X-Ratelimit-Reset-Tokens", "6ms")
}

func (o openAI) read(s *Server, r *http.Request, body []byte) (*ask, *problem) {
	if p := o.admit(s, r); p != nil {
		return nil, p
	}
	if r.Method == http.MethodGet {
		if id, ok := strings.CutPrefix(r.URL.Path, "/v1/responses/"); ok && !o.local {
			return o.stored(s, r, id)
		}
		return o.lookUp(s, r.URL.Path)
	}
	read := o.chat
	switch {
	case r.Method != http.MethodPost:
		return nil, &problem{status: 405, kind: invalidRequest, message: fmt.Sprintf("Not allowed to %s on %s.", r.Method, r.URL.Path)}
	case r.URL.Path == "/v1/chat/completions":
	case o.local && (r.URL.Path == "/chat/completions" || r.URL.Path == "/beta/chat/completions"): // DeepSeek's
	case o.local:
		return nil, &problem{status: 404, bare: "404 page not found"}
	case r.URL.Path == "/v1/responses":
		read = o.responses
	case r.URL.Path == "/v1/responses/input_tokens":
		read = o.countInput
	default:
		return nil, o.noSuchPath(r)
	}
	m, err := parse(body)
	if err != nil {
		return nil, &problem{status: 400, kind: invalidRequest, message: "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"}
	}
	model := text(m, "model")
	if model == "" {
		return nil, refused("model", "missing_required_parameter", "Missing required parameter: 'model'.")
	}
	a, p := read(m)
	if p == nil && !s.has(model) {
		missing := o.problem(ModelMissing, 0, model)
		p = &missing
	}
	if p != nil {
		return nil, p
	}
	a.model, a.stream, a.size, a.fields = model, flag(m, "stream"), sizeOf(m), m
	return a, nil
}

func (o openAI) countInput(m map[string]any) (*ask, *problem) {
	a, p := o.responses(m)
	if p == nil {
		a.plain = object{"object", "response.input_tokens", "input_tokens", promptTokens(&ask{size: sizeOf(m)})}
	}
	return a, p
}

func (o openAI) admit(s *Server, r *http.Request) *problem {
	if o.local {
		return nil
	}
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || key == "" {
		return &problem{status: 401, kind: invalidRequest, message: "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."}
	}
	if !s.knows(key) {
		p := o.problem(BadKey, 0, "")
		return &p
	}
	return nil
}

func (o openAI) noSuchPath(r *http.Request) *problem {
	return &problem{status: 404, kind: invalidRequest, message: fmt.Sprintf("Invalid URL (%s %s)", r.Method, r.URL.Path)}
}

// lookUp answers what the host says about its models.
func (o openAI) lookUp(s *Server, path string) (*ask, *problem) {
	names, owner := s.list("gpt-6-astra", "gpt-6.1-sol", "gpt-6-sol", "gpt-6-luna", "gpt-4.1"), "openai"
	if o.local {
		names, owner = s.list("qwen3:8b", "llama3.3:70b"), "library"
	}
	info := func(name string) object {
		return object{"id", name, "object", "model", "created", 1780272000, "owned_by", owner}
	}
	name, one := strings.CutPrefix(path, "/v1/models/")
	switch {
	case path == "/v1/models":
		data := list{}
		for _, n := range names {
			data = append(data, info(n))
		}
		return &ask{plain: object{"object", "list", "data", data}}, nil
	case one && s.has(name):
		return &ask{plain: info(name)}, nil
	case one:
		p := o.problem(ModelMissing, 0, name)
		return nil, &p
	case o.local && path == "/api/version":
		return &ask{plain: object{"version", "0.30.0"}}, nil
	}
	return nil, &problem{status: 404, kind: invalidRequest, message: fmt.Sprintf("Invalid URL (GET %s)", path)}
}

func refused(param, code, format string, args ...any) *problem {
	return &problem{status: 400, kind: invalidRequest, param: param, code: code, message: fmt.Sprintf(format, args...)}
}

// openAIModel is what a model's name says; the zero value if it says nothing.
type openAIModel struct {
	gpt int // 506 for gpt-5.6
	o   int // 3 for o3
}

var openAIName = regexp.MustCompile(`(?:^|[/.])(?:gpt-(\d)(?:\.(\d))?|o(\d))(?:\D|$)`)

func openAIModelOf(name string) openAIModel {
	m := openAIName.FindStringSubmatch(name)
	if m == nil {
		return openAIModel{}
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	o, _ := strconv.Atoi(m[3])
	return openAIModel{major*100 + minor, o}
}

func (m openAIModel) reasons() bool { return m.gpt >= 500 || m.o > 0 }

// noTools reports whether Chat Completions refuses tools unless the effort is none.
func (m openAIModel) noTools() bool { return m.gpt == 504 || m.gpt == 506 || m.gpt >= 600 }

func (m openAIModel) noStop() bool { return m.gpt >= 500 || m.o >= 3 }

// openAISampling checks what reasoning models refuse, in both APIs.
func openAISampling(m map[string]any, facts openAIModel, effort string) *problem {
	if !facts.reasons() || effort == "none" {
		return nil
	}
	usual := map[string]float64{"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0, "n": 1}
	for _, name := range []string{"temperature", "top_p", "presence_penalty", "frequency_penalty"} {
		if v, ok := number(m, name); ok && v != usual[name] {
			return refused(name, "unsupported_value", "Unsupported value: '%s' does not support %v with this model. Only the default (%v) value is supported.", name, m[name], usual[name])
		}
	}
	for _, name := range []string{"logit_bias", "top_logprobs"} {
		if has(m, name) {
			return refused(name, "unsupported_parameter", "Unsupported parameter: '%s' is not supported with this model.", name)
		}
	}
	return nil
}

// strictSchema checks a schema that the provider is to enforce.
func strictSchema(s map[string]any, param, what string) *problem {
	if text(s, "type") != "object" {
		return refused(param, "invalid_function_parameters", "Invalid schema for %s: schema must be a JSON Schema of 'type: \"object\"'.", what)
	}
	if extra, ok := s["additionalProperties"].(bool); !ok || extra {
		return refused(param, "invalid_function_parameters", "Invalid schema for %s: In context=(), 'additionalProperties' is required to be supplied and to be false.", what)
	}
	required := map[string]bool{}
	names, _ := s["required"].([]any)
	for _, r := range names {
		name, _ := r.(string)
		required[name] = true
	}
	for _, name := range sorted(sub(s, "properties")) {
		if !required[name] {
			return refused(param, "invalid_function_parameters", "Invalid schema for %s: In context=(), 'required' is required to be supplied and to be an array including every key in properties. Missing '%s'.", what, name)
		}
	}
	return nil
}

func created(a *answer) int64 { return max(a.now.Unix(), 1) }
