package holdfasttest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// gemini is Google's generateContent, of the Developer API and of Vertex AI.
type gemini struct{}

func (gemini) limit() int64 { return 100 << 20 }

func geminiQuota(id, metric, value string) list {
	return list{
		object{"@type", "type.googleapis.com/google.rpc.QuotaFailure", "violations", list{object{
			"quotaMetric", "generativelanguage.googleapis.com/" + metric, "quotaId", id,
			"quotaDimensions",
			object{"location", "global", "model", "%s"},
			"quotaValue", value,
		}}},
		object{"@type", "type.googleapis.com/google.rpc.Help", "links", list{object{
			"description", "Learn more about Gemini API quotas", "url", "https://ai.google.dev/gemini-api/docs/rate-limits",
		}}},
	}
}

func geminiInfo(reason string) list {
	return list{object{
		"@type", "type.googleapis.com/google.rpc.ErrorInfo", "reason", reason, "domain", "googleapis.com",
		"metadata",
		object{"service", "generativelanguage.googleapis.com"},
	}}
}

// https://ai.google.dev/gemini-api/docs/troubleshooting
var geminiErrors = map[Error]problem{
	BadRequest:     {status: 400, kind: "INVALID_ARGUMENT", message: "Request contains an invalid argument."},
	ContextTooLong: {status: 400, kind: "INVALID_ARGUMENT", message: "The input token count exceeds the maximum number of tokens allowed (1048576)."},
	TooLarge:       {status: 413, kind: "INVALID_ARGUMENT", message: "Request payload size exceeds the limit: 104857600 bytes."},
	BadKey:         {status: 400, kind: "INVALID_ARGUMENT", message: "API key not valid. Please pass a valid API key.", details: geminiInfo("API_KEY_INVALID")},
	NoPermission:   {status: 403, kind: "PERMISSION_DENIED", message: "Gemini API has not been used in project 1234 before or it is disabled.", details: geminiInfo("SERVICE_DISABLED")},
	RegionBlocked:  {status: 400, kind: "FAILED_PRECONDITION", message: "User location is not supported for the API use."},
	OutOfCredit:    {status: 402, kind: "FAILED_PRECONDITION", message: "Your prepayment credits are depleted. Please go to AI Studio to manage your project and billing."},
	SpendLimit:     {status: 429, kind: "RESOURCE_EXHAUSTED", message: "Your project has exceeded its monthly spending cap. Please go to AI Studio to manage your project spend cap."},
	RateLimited: {
		status: 429, kind: "RESOURCE_EXHAUSTED", retry: "1", message: "You exceeded your current quota, please check your plan and billing details. Please retry in 1s.",
		details: geminiQuota("GenerateRequestsPerMinutePerProjectPerModel", "generate_content_requests", "150"),
	},
	DailyQuota: {
		status: 429, kind: "RESOURCE_EXHAUSTED", retry: "28800", message: "You exceeded your current quota, please check your plan and billing details.",
		details: geminiQuota("GenerateRequestsPerDayPerProjectPerModel", "generate_requests_per_model_per_day", "1000"),
	},
	ModelMissing: {status: 404, kind: "NOT_FOUND", message: "models/%s is not found for API version v1beta, or is not supported for generateContent. Call ListModels to see the list of available models and their supported methods."},
	BadSignature: {status: 400, kind: "INVALID_ARGUMENT", message: "Corrupted thought signature."},
	Conflict:     {status: 409, kind: "ABORTED", message: "The operation was aborted."},
	TimedOut:     {status: 504, kind: "DEADLINE_EXCEEDED", message: "Deadline expired before operation could complete."},
	ServerError:  {status: 500, kind: "INTERNAL", message: "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting"},
	Overloaded:   {status: 503, kind: "UNAVAILABLE", message: "The model is overloaded. Please try again later."},
}

func (gemini) problem(e Error, status int, model string) problem {
	p := pick(geminiErrors, e, status)
	if e == "" && status == 401 {
		p = problem{status: 401, kind: "UNAUTHENTICATED", message: "Request had invalid authentication credentials."}
	}
	p.message = strings.Replace(p.message, "%s", model, 1)
	if p.details != nil {
		p.details = json.RawMessage(strings.Replace(string(encode(p.details)), `"%s"`, string(encode(model)), 1))
	}
	return p
}

func (g gemini) render(p *problem, _ int) []byte {
	if p.bare != "" {
		return []byte(p.bare)
	}
	return encode(g.body(p))
}

func (gemini) body(p *problem) object {
	o := object{"code", p.status, "message", p.message, "status", p.kind}
	var details []any
	if p.details != nil {
		_ = json.Unmarshal(encode(p.details), &details) // our own JSON
	}
	if p.retry != "" {
		details = append(details, object{"@type", "type.googleapis.com/google.rpc.RetryInfo", "retryDelay", p.retry + "s"})
	}
	if details != nil {
		o = append(o, "details", details)
	}
	return object{"error", o}
}

func (gemini) header(h http.Header, _ int, _ *problem) {
	h.Set("Server", "scaffolding on HTTPServer2")
	h.Set("Server-Timing", "gfet4t7; dur=412")
	h["Vary"] = []string{"Origin", "X-Origin", "Referer"}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("X-Xss-Protection", "0")
	if strings.HasPrefix(h.Get("Content-Type"), "application/json") {
		h.Set("Content-Type", "application/json; charset=UTF-8")
	} else {
		h.Set("Content-Disposition", "attachment")
		h.Set("Content-Type", "text/event-stream")
	}
}

var geminiPath = regexp.MustCompile(`^/v1(?:beta1?)?/(projects/[^/]+/locations/[^/]+/publishers/google/)?models/([^/:]+):(\w+)$`)

func (g gemini) read(s *Server, r *http.Request, body []byte) (*ask, *problem) {
	path := geminiPath.FindStringSubmatch(r.URL.Path)
	if p := g.admit(s, r, path != nil && path[1] != ""); p != nil {
		return nil, p
	}
	if r.Method == http.MethodGet {
		return g.lookUp(s, r.URL.Path)
	}
	if path == nil || r.Method != http.MethodPost {
		return nil, &problem{status: 404, bare: "<!DOCTYPE html><html lang=en><title>Error 404 (Not Found)!!1</title>"}
	}
	model, method := path[2], path[3]
	m, err := parse(body)
	if err != nil {
		return nil, geminiInvalid("Invalid JSON payload received. %v", err)
	}
	m, _ = geminiShape.camel(m).(map[string]any)
	a := &ask{model: model, stream: method == "streamGenerateContent", size: sizeOf(m)}
	switch method {
	case "countTokens":
		n := promptTokens(a)
		a.plain = object{"totalTokens", n, "promptTokensDetails", list{object{"modality", "TEXT", "tokenCount", n}}}
		return a, nil
	case "generateContent", "streamGenerateContent":
	default:
		return nil, &problem{status: 404, kind: "NOT_FOUND", message: "Method not found."}
	}
	if p := geminiCheck(m, geminiModelOf(model), model); p != nil {
		return nil, p
	}
	if !s.has(model) {
		p := g.problem(ModelMissing, 0, model)
		return nil, &p
	}
	a.fields, a.prefill = m, geminiPrefill(m)
	if token := text(m, "continuationToken"); token != "" {
		left, p := g.goOn(s, token, model)
		if p != nil {
			return nil, p
		}
		a.left = left
	}
	a.form = geminiForm{
		model:  geminiModelOf(model),
		show:   flag(sub(sub(m, "generationConfig"), "thinkingConfig"), "includeThoughts"),
		pieces: a.stream && r.URL.Query().Get("alt") != "sse",
	}
	return a, nil
}

func (g gemini) admit(s *Server, r *http.Request, vertex bool) *problem {
	key := r.Header.Get("X-Goog-Api-Key")
	if key == "" {
		key = r.URL.Query().Get("key")
	}
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case key == "" && vertex && bearer && s.knows(token):
		return nil
	case key == "" && bearer:
		return &problem{
			status: 401, kind: "UNAUTHENTICATED", details: geminiInfo("ACCESS_TOKEN_TYPE_UNSUPPORTED"),
			message: "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
		}
	case key == "":
		return &problem{status: 403, kind: "PERMISSION_DENIED", message: "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API."}
	case !s.knows(key):
		p := g.problem(BadKey, 0, "")
		return &p
	}
	return nil
}

// lookUp answers what the host says about its models.
func (g gemini) lookUp(s *Server, path string) (*ask, *problem) {
	info := func(name string) object {
		return object{
			"name", "models/" + name, "version", "001", "displayName", name, "inputTokenLimit", 1048576, "outputTokenLimit", 65536,
			"supportedGenerationMethods",
			list{"generateContent", "countTokens"},
			"temperature", 1, "topP", 0.95, "topK", 64,
		}
	}
	if path == "/v1beta/models" {
		models := list{}
		for _, n := range s.list("gemini-4-argon", "gemini-3.8-flash", "gemini-3.5-flash", "gemini-2.5-flash") {
			models = append(models, info(n))
		}
		return &ask{plain: object{"models", models}}, nil
	}
	name, ok := strings.CutPrefix(path, "/v1beta/models/")
	if !ok || !s.has(name) {
		p := g.problem(ModelMissing, 0, name)
		return nil, &p
	}
	return &ask{plain: info(name)}, nil
}

// geminiModel is what a model's name says.
type geminiModel struct {
	version int // 306 for 3.6; 0 if the name says nothing
	lite    bool
}

var geminiName = regexp.MustCompile(`^gemini-(\d)(?:\.(\d))?(?:-|$)`)

func geminiModelOf(name string) geminiModel {
	m := geminiName.FindStringSubmatch(name)
	if m == nil {
		return geminiModel{}
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return geminiModel{major*100 + minor, strings.Contains(name, "-lite")}
}

// signs reports whether calls carry signatures that must come back.
func (m geminiModel) signs() bool { return m.version >= 300 }

// noPrefill reports whether a conversation must not end with a model turn.
func (m geminiModel) noPrefill() bool { return m.version >= 306 || m.version == 305 && m.lite }

func geminiInvalid(format string, args ...any) *problem {
	return &problem{status: 400, kind: "INVALID_ARGUMENT", message: fmt.Sprintf(format, args...)}
}
