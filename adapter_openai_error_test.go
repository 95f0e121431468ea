package holdfast

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// chatErrorCases has a body for each row of the tables, as the server of the name sends it.
var chatErrorCases = map[string][]struct {
	name   string
	status int
	body   string
	kind   Kind
}{
	"openai-chat": {
		{"a server that timed out", 408, oai("server_error", ""), KindServerTimeout},
		{"a gateway that timed out", 504, oai("server_error", ""), KindServerTimeout},
		{"context", 400, `{"error":{"message":"This model's maximum context length is 128000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, KindContextLength},
		{"unsupported parameter", 400, oai("invalid_request_error", "unsupported_parameter"), KindFeature},
		{"unsupported value", 400, oai("invalid_request_error", "unsupported_value"), KindFeature},
		{"tools with effort", 400, `{"error":{"message":"Function tools with reasoning_effort are not supported for gpt-6-sol in /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'.","type":"invalid_request_error","param":"reasoning_effort","code":null}}`, KindFeature},
		{"invalid value", 400, oai("invalid_request_error", "invalid_value"), KindInvalid},
		{"invalid type", 400, oai("invalid_request_error", "invalid_type"), KindInvalid},
		{"too long a string", 400, oai("invalid_request_error", "string_above_max_length"), KindInvalid},
		{"missing parameter", 400, oai("invalid_request_error", "missing_required_parameter"), KindInvalid},
		{"other invalid", 400, oai("invalid_request_error", ""), KindInvalid},
		{"image", 200, oai("", "invalid_image"), KindInvalid},
		{"image format", 400, oai("invalid_request_error", "invalid_image_format"), KindInvalid},
		{"image base64", 200, oai("", "invalid_base64_image"), KindInvalid},
		{"image URL", 400, oai("invalid_request_error", "invalid_image_url"), KindInvalid},
		{"image mode", 200, oai("", "invalid_image_mode"), KindInvalid},
		{"image too large", 200, oai("", "image_too_large"), KindInvalid},
		{"image too small", 200, oai("", "image_too_small"), KindInvalid},
		{"image parse", 400, oai("invalid_request_error", "image_parse_error"), KindInvalid},
		{"image file too large", 200, oai("", "image_file_too_large"), KindInvalid},
		{"image file not found", 200, oai("", "image_file_not_found"), KindInvalid},
		{"image file empty", 200, oai("", "empty_image_file"), KindInvalid},
		{"image media type", 200, oai("", "unsupported_image_media_type"), KindInvalid},
		{"image download", 200, oai("", "failed_to_download_image"), KindInvalid},
		{"policy", 400, oai("invalid_request_error", "content_policy_violation"), KindPolicy},
		{"policy on an image", 200, oai("", "image_content_policy_violation"), KindPolicy},
		{"invalid prompt", 400, oai("invalid_request_error", "invalid_prompt"), KindPolicy},
		{"biology", 200, oai("", "bio_policy"), KindPolicy},
		{"misalignment", 200, oai("", "misalignment_policy_violation"), KindPolicy},
		{"encrypted reasoning", 400, oai("invalid_request_error", "invalid_encrypted_content"), KindThinking},
		{"key", 401, oai("invalid_request_error", "invalid_api_key"), KindKey},
		{"key, other words", 401, oai("", "invalid_authentication"), KindKey},
		{"organization", 401, `{"error":{"message":"You must be a member of an organization to use the API","type":"invalid_request_error"}}`, KindKey},
		{"deactivated", 401, oai("", "account_deactivated"), KindKey},
		{"egress address", 401, `{"error":{"message":"Your IP address is not permitted","type":"invalid_request_error"}}`, KindRegion},
		{"egress address by code", 401, oai("", "ip_not_authorized"), KindRegion},
		{"egress address, other words", 401, `{"error":{"message":"IP not authorized"}}`, KindRegion},
		{"country", 403, `{"error":{"message":"Country, region, or territory not supported","type":"request_forbidden","param":null,"code":"unsupported_country_region_territory"}}`, KindRegion},
		{"country by type", 403, oai("request_forbidden", ""), KindRegion},
		{"country by message", 403, `{"error":{"message":"Country, region, or territory not supported"}}`, KindRegion},
		{"residency", 200, oai("", "data_residency_mismatch"), KindRegion},
		{"permission", 403, oai("invalid_request_error", ""), KindPermission},
		{"model", 404, oai("invalid_request_error", "model_not_found"), KindModel},
		{"timeout", 408, oai("server_error", ""), KindServerTimeout},
		{"conflict", 409, oai("invalid_request_error", ""), KindConflict},
		{"too large", 413, oai("", ""), KindTooLarge},
		{"unprocessable", 422, oai("invalid_request_error", ""), KindInvalid},
		{"requests", 429, oai("requests", "rate_limit_exceeded"), KindRateLimit},
		{"requests by type", 429, oai("requests", ""), KindRateLimit},
		{"tokens by type", 200, oai("tokens", ""), KindRateLimit},
		{"rate by type", 200, oai("rate_limit_error", ""), KindRateLimit},
		{"slow down", 429, oai("rate_limit_error", "slow_down"), KindRateLimit},
		{"quota", 429, oai("insufficient_quota", "insufficient_quota"), KindBilling},
		{"quota by type", 429, oai("insufficient_quota", ""), KindBilling},
		{"balance", 429, oai("insufficient_quota", "credit_balance_exhausted"), KindBilling},
		{"hard limit", 429, oai("", "billing_hard_limit_reached"), KindBilling},
		{"billing", 429, oai("", "billing_not_active"), KindBilling},
		{"requests per day", 429, `{"error":{"message":"Rate limit reached for gpt-4.1 on requests per day (RPD): Limit 200. Please try again in 7m12s.","type":"requests","code":"rate_limit_exceeded"}}`, KindQuota},
		{"RPD", 429, `{"error":{"message":"Limit (RPD) 200","type":"requests","code":"rate_limit_exceeded"}}`, KindQuota},
		{"TPD", 429, `{"error":{"message":"Limit (TPD) 200","type":"tokens","code":"rate_limit_exceeded"}}`, KindQuota},
		{"above the minute", 429, `{"error":{"message":"Request too large for gpt-4.1 on tokens per min (TPM): Limit 30000, Requested 40000.","type":"tokens","code":"rate_limit_exceeded"}}`, KindRejected},
		{"flex", 429, oai("", "resource_unavailable"), KindOverloaded},
		{"server", 500, oai("server_error", ""), KindServer},
		{"server in a stream", 200, oai("server_error", ""), KindServer},
		{"server by code", 200, oai("", "server_error"), KindServer},
		{"vector store", 200, oai("", "vector_store_timeout"), KindServerTimeout},
		{"overloaded", 503, oai("service_unavailable_error", "server_is_overloaded"), KindOverloaded},
		{"overloaded by type", 200, oai("service_unavailable_error", ""), KindOverloaded},
		{"unknown 4xx", 418, oai("", ""), KindRejected},
		{"unknown 5xx", 599, oai("", ""), KindServer},
		{"nothing known", 200, oai("", ""), KindServer},
		{"Azure's filter", 400, `{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true}}}}}`, KindPolicy},
		{"Azure's filter by the inner code", 400, oai("", "ResponsibleAIPolicyViolation"), KindPolicy},
		{"Azure's key", 401, `{"error":{"code":"401","message":"Access denied due to invalid subscription key"}}`, KindKey},
		{"Azure's gateway", 401, `{"statusCode":401,"message":"Unauthorized. Access token is missing"}`, KindKey},
		{"Azure's network", 403, `{"error":{"code":"AccessDenied","message":"Access denied due to Virtual Network/Firewall rules."}}`, KindRegion},
		{"Azure's firewall", 403, `{"error":{"code":"403","message":"Blocked by firewall rules"}}`, KindRegion},
		{"Azure's deployment", 404, `{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}`, KindModel},
		{"Azure's api-version", 404, `{"error":{"code":"404","message":"Resource not found"}}`, KindPath},
		{"Azure's rate", 429, `{"error":{"code":"429","message":"Requests have exceeded the call rate limit. Please retry after 26 seconds."}}`, KindRateLimit},
		{"Azure's rate by code", 429, oai("", "RateLimitReached"), KindRateLimit},
		{"Azure's capacity", 503, oai("", "NoCapacity"), KindOverloaded},
		{"Azure's operation", 400, oai("", "OperationNotSupported"), KindFeature},
	},
	"openai-compatible": {
		{"string", 500, `{"error":"boom"}`, KindServer},
		{"array", 503, `[{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}]`, KindOverloaded},
		{"exhausted", 200, `[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}]`, KindRateLimit},
		{"location", 400, `[{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}]`, KindRegion},
		{"Google's key", 400, `[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]`, KindKey},
		{"code as a number", 200, `{"error":{"code":404,"message":"no such model"}}`, KindModel},
		{"nested as JSON", 500, `{"error":{"message":"{\"error\":{\"message\":\"{\\\"error\\\":{\\\"code\\\":\\\"insufficient_quota\\\",\\\"message\\\":\\\"no money\\\"}}\"}}"}}`, KindBilling},
		{"FastAPI's detail", 404, `{"detail":"Not Found"}`, KindPath},
		{"FastAPI's list", 422, `{"detail":[{"loc":["body","messages"],"msg":"field required","type":"value_error.missing"}]}`, KindInvalid},
		{"flat", 400, `{"object":"error","message":"bad","type":"BadRequestError","param":null,"code":40001}`, KindInvalid},
		{"deployment that is gone", 404, oai("", "ModelNotFound"), KindModel},
		{"window", 400, oaiSays("input exceeds the context window of this model"), KindContextLength},
		{"prompt", 400, oaiSays("prompt is too long: 9 tokens > 8 maximum"), KindContextLength},
		{"invalid key", 400, oaiSays("Invalid API key"), KindKey},
		{"overloaded", 200, oai("overloaded_error", ""), KindOverloaded},
		{"filter by type", 400, oai("content_filter", ""), KindPolicy},
		{"credits", 400, oaiSays("Insufficient credits"), KindBilling},
		{"key by type", 200, oai("authentication_error", ""), KindKey},
		{"permission by type", 200, oai("permission_error", ""), KindPermission},
		{"permission by Google's type", 200, `[{"error":{"message":"no","status":"PERMISSION_DENIED"}}]`, KindPermission},
		{"timeout by type", 200, `{"error":{"type":"api_error","message":"upstream timeout"}}`, KindServerTimeout},
	},
	"ollama": {
		{"model", 404, `{"error":{"message":"model \"x\" not found, try pulling it first","type":"not_found_error","param":null,"code":null}}`, KindModel},
		{"model in a stream", 200, `{"error":{"message":"model \"x\" not found","type":"not_found_error","param":null,"code":null}}`, KindModel},
		{"request", 400, oai("invalid_request_error", ""), KindInvalid},
		{"server", 500, oai("api_error", ""), KindServer},
		{"native", 404, `{"error":"model 'x' not found"}`, KindModel},
	},
	"llama.cpp": {
		{"loading", 503, `{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}`, KindOverloaded},
		{"loading by message", 500, oaiSays("Loading model"), KindOverloaded},
		{"context", 400, `{"error":{"code":400,"message":"the request exceeds the available context size. try increasing the context size or enable context shift","type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":4096}}`, KindContextLength},
		{"context, formerly", 500, `{"error":{"code":500,"message":"the request exceeds the available context size","type":"server_error"}}`, KindContextLength},
		{"request", 400, `{"error":{"code":400,"message":"tools param requires --jinja flag","type":"invalid_request_error"}}`, KindInvalid},
		{"key", 401, `{"error":{"code":401,"message":"Invalid API Key","type":"authentication_error"}}`, KindKey},
	},
	"vllm": {
		{"context", 400, `{"error":{"message":"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens","type":"BadRequestError","param":null,"code":400}}`, KindContextLength},
		{"flat", 400, `{"object":"error","message":"top_p must be in (0, 1]","type":"BadRequestError","param":null,"code":400}`, KindInvalid},
		{"in a stream without a code", 200, `{"error":{"message":"bad","type":"BadRequestError"}}`, KindInvalid},
		{"model", 404, "{\"error\":{\"message\":\"The model `x` does not exist.\",\"type\":\"NotFoundError\",\"param\":null,\"code\":404}}", KindModel},
		{"model in a stream", 200, "{\"error\":{\"message\":\"The model `x` does not exist.\",\"type\":\"NotFoundError\"}}", KindModel},
		{"engine", 500, `{"error":{"message":"EngineCore encountered an issue","type":"InternalServerError","param":null,"code":500}}`, KindServer},
		{"engine in a stream", 200, `{"error":{"message":"died","type":"InternalServerError"}}`, KindServer},
		{"key", 401, `{"error":"Unauthorized"}`, KindKey},
		{"key in a stream", 200, `{"error":{"message":"no","type":"AuthenticationError"}}`, KindKey},
	},
	"lmstudio": {
		{"context", 200, `{"error":{"message":"Trying to keep the first 9 tokens when context overflows. The model is loaded with context length of only 8 tokens"}}`, KindContextLength},
		{"string", 400, `{"error":"'messages' field is required"}`, KindInvalid},
		{"model", 404, `{"error":{"message":"Model not found"}}`, KindModel},
	},
	"deepseek": {
		{"format", 400, oai("invalid_request_error", "invalid_request_error"), KindInvalid},
		{"key", 401, `{"error":{"message":"Authentication Fails","type":"authentication_error","param":null,"code":"invalid_request_error"}}`, KindKey},
		{"balance", 402, `{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}`, KindBilling},
		{"balance under another status", 400, oaiSays("Insufficient Balance"), KindBilling},
		{"parameters", 422, oai("invalid_request_error", "invalid_request_error"), KindInvalid},
		{"rate", 429, oai("", ""), KindRateLimit},
		{"server", 500, oai("", ""), KindServer},
		{"overloaded", 503, oai("", ""), KindOverloaded},
		{"thinking missing", 400, "{\"error\":{\"message\":\"The `reasoning_content` in the thinking mode must be passed back to the API.\",\"type\":\"invalid_request_error\"}}", KindFeature},
		{"risk", 400, oaiSays("Content Exists Risk"), KindPolicy},
	},
	"qwen": {
		{"arrears", 400, oai("Arrearage", "Arrearage"), KindBilling},
		{"free tier", 403, oai("", "AllocationQuota.FreeTierOnly"), KindBilling},
		{"inspection", 400, oai("data_inspection_failed", "data_inspection_failed"), KindPolicy},
		{"inspection, native", 400, `{"code":"DataInspectionFailed","message":"Input data may contain inappropriate content.","request_id":"r"}`, KindPolicy},
		{"key", 401, oai("invalid_request_error", "invalid_api_key"), KindKey},
		{"key, native", 401, `{"code":"InvalidApiKey","message":"Invalid API-key provided.","request_id":"r"}`, KindKey},
		{"access", 403, oai("", "AccessDenied"), KindPermission},
		{"unpurchased", 403, oai("", "AccessDenied.Unpurchased"), KindPermission},
		{"model", 404, oai("", "ModelNotFound"), KindModel},
		{"throttling", 429, oai("", "Throttling"), KindRateLimit},
		{"rate", 429, oai("", "Throttling.RateQuota"), KindRateLimit},
		{"burst", 429, oai("", "Throttling.BurstRate"), KindRateLimit},
		{"allocation", 429, oai("", "Throttling.AllocationQuota"), KindRateLimit},
		{"tokens per minute", 429, oai("insufficient_quota", "insufficient_quota"), KindRateLimit},
	},
	"moonshot": {
		{"overloaded", 429, oai("engine_overloaded_error", ""), KindOverloaded},
		{"rate", 429, oai("rate_limit_reached_error", ""), KindRateLimit},
		{"money", 429, oai("exceeded_current_quota_error", ""), KindBilling},
		{"balance", 403, `{"error":{"message":"Your account balance is too low","type":"permission_denied_error"}}`, KindBilling},
		{"context", 400, `{"error":{"message":"Invalid request: Your request exceeded model token limit: 8192","type":"invalid_request_error"}}`, KindContextLength},
		{"key", 401, oai("invalid_authentication_error", ""), KindKey},
		{"key in a stream", 200, oai("invalid_authentication_error", ""), KindKey},
		{"model", 404, oai("resource_not_found_error", ""), KindModel},
		{"filter", 400, oai("content_filter", ""), KindPolicy},
	},
	"groq": {
		{"too large a minute", 413, oai("tokens", "rate_limit_exceeded"), KindRejected},
		{"too large", 413, oai("", ""), KindTooLarge},
		{"capacity", 498, oai("", ""), KindOverloaded},
		{"gone", 499, oai("", ""), KindServerTimeout},
		{"dependency", 424, oai("", ""), KindServer},
		{"tool", 400, `{"error":{"message":"Failed to call a function.","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"secret"}}`, KindServer},
		{"JSON", 400, oai("invalid_request_error", "json_validate_failed"), KindServer},
		{"rate", 429, `{"error":{"message":"Rate limit reached for model on tokens per minute (TPM): Limit 6000. Please try again in 1.28s.","type":"tokens","code":"rate_limit_exceeded"}}`, KindRateLimit},
	},
	"mistral": {
		{"order", 400, `{"object":"error","message":"Expected last role User or Tool","type":"invalid_request_message_order","param":null,"code":"3230"}`, KindInvalid},
		{"fields", 422, `{"detail":[{"type":"extra_forbidden","loc":["body","x"],"msg":"Extra inputs are not permitted","input":1}]}`, KindInvalid},
		{"model", 400, `{"object":"error","message":"Invalid model: x","type":"invalid_model","param":null,"code":"1500"}`, KindModel},
		{"key", 401, `{"detail":"Unauthorized"}`, KindKey},
		{"money", 402, `{"detail":"Payment required"}`, KindBilling},
		{"rate", 429, `{"object":"error","message":"Rate limit exceeded","type":"rate_limited","param":null,"code":"1300"}`, KindRateLimit},
		{"capacity", 429, `{"object":"error","message":"Service tier capacity exceeded for this model.","type":"service_tier_capacity_exceeded","param":null,"code":"3505"}`, KindOverloaded},
		{"capacity by code", 429, `{"object":"error","message":"Capacity","type":"x","code":3505}`, KindOverloaded},
	},
	"openrouter": {
		{"request", 400, `{"error":{"code":400,"message":"bad"}}`, KindInvalid},
		{"key", 401, `{"error":{"code":401,"message":"No auth credentials found"}}`, KindKey},
		{"credits", 402, `{"error":{"code":402,"message":"This request requires more credits"}}`, KindBilling},
		{"in flight", 402, `{"error":{"code":402,"message":"Too much in flight","metadata":{"reason":"in_flight_budget_exhausted"}}}`, KindRateLimit},
		{"weight", 402, `{"error":{"code":402,"message":"Too heavy","metadata":{"error_type":"weight_exceeds_budget"}}}`, KindRejected},
		{"moderation", 403, `{"error":{"code":403,"message":"Input was not accepted","metadata":{"reasons":["violence"],"flagged_input":"…","provider_name":"x"}}}`, KindPolicy},
		{"flagged", 403, `{"error":{"code":403,"message":"Your input was flagged"}}`, KindPolicy},
		{"guardrail", 403, `{"error":{"code":403,"message":"Blocked by a guardrail"}}`, KindPolicy},
		{"permission", 403, `{"error":{"code":403,"message":"Key disabled"}}`, KindPermission},
		{"timeout", 408, `{"error":{"code":408,"message":"Timed out"}}`, KindServerTimeout},
		{"rate", 429, `{"error":{"code":429,"message":"Rate limited"}}`, KindRateLimit},
		{"upstream", 502, `{"error":{"code":502,"message":"Bad answer"}}`, KindServer},
		{"upstream under 200", 200, `{"error":{"code":502,"message":"Bad answer"}}`, KindServer},
		{"nobody", 503, `{"error":{"code":503,"message":"No available provider"}}`, KindOverloaded},
		{"money under 200", 200, `{"error":{"code":402,"message":"x"}}`, KindBilling},
	},
	"together": {
		{"money", 402, oaiSays("spending limit"), KindBilling},
		{"context", 403, oaiSays("input tokens plus max_tokens exceed"), KindContextLength},
		{"rate", 429, oai("", ""), KindRateLimit},
		{"overloaded", 503, oai("", ""), KindOverloaded},
	},
	"xai": {
		{"credits", 403, `{"code":"The caller does not have permission","error":"Your team has used all available credits"}`, KindBilling},
		{"limit", 403, `{"code":"x","error":"Your monthly spending limit was reached"}`, KindBilling},
		{"permission", 403, `{"code":"The caller does not have permission","error":"This team may not use the model"}`, KindPermission},
		{"key", 400, `{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***yz."}`, KindKey},
	},
	"zhipu": {
		{"key missing", 401, zhipu(1000), KindKey},
		{"key missing 1", 401, zhipu(1001), KindKey},
		{"key wrong", 401, zhipu(1002), KindKey},
		{"key expired", 401, zhipu(1003), KindKey},
		{"key failed", 401, zhipu(1004), KindKey},
		{"account", 429, zhipu(1110), KindKey},
		{"account 1", 429, zhipu(1111), KindKey},
		{"locked", 429, zhipu(1112), KindKey},
		{"locked 1", 429, zhipu(1121), KindKey},
		{"arrears", 429, zhipu(1113), KindBilling},
		{"caller", 400, zhipu(1210), KindInvalid},
		{"model", 400, zhipu(1211), KindModel},
		{"caller 2", 400, zhipu(1212), KindInvalid},
		{"caller 3", 400, zhipu(1213), KindInvalid},
		{"caller 4", 400, zhipu(1214), KindInvalid},
		{"caller 5", 400, zhipu(1215), KindInvalid},
		{"too long", 400, zhipu(1261), KindContextLength},
		{"unsafe", 400, zhipu(1301), KindPolicy},
		{"rate", 429, zhipu(1302), KindRateLimit},
		{"rate 3", 429, zhipu(1303), KindRateLimit},
		{"day", 429, zhipu(1304), KindQuota},
		{"overload", 429, zhipu(1305), KindOverloaded},
		{"window", 429, zhipu(1308), KindQuota},
		{"plan over", 429, zhipu(1309), KindBilling},
		{"week", 429, zhipu(1310), KindQuota},
		{"overload 12", 429, zhipu(1312), KindOverloaded},
		{"fair use", 429, zhipu(1313), KindQuota},
		{"odd status", 434, zhipu(9999), KindRejected},
		{"odd status 5", 435, zhipu(9999), KindRejected},
	},
}

func oai(typ, code string) string {
	return fmt.Sprintf(`{"error":{"message":"Something.","type":%q,"param":null,"code":%q}}`, typ, code)
}

func oaiSays(message string) string { return fmt.Sprintf(`{"error":{"message":%q}}`, message) }

func zhipu(code int) string {
	return fmt.Sprintf(`{"error":{"code":"%d","message":"Something."}}`, code)
}

func TestChatErrorKinds(t *testing.T) {
	t.Parallel()
	for provider, cases := range chatErrorCases {
		for _, c := range cases {
			t.Run(provider+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				e := chatAdapterOf(provider).DecodeError(c.status, nil, []byte(c.body))
				if e == nil {
					t.Fatal("got no error, want one")
				}
				if e.Kind != c.kind {
					t.Errorf("got %q, want %q", e.Kind, c.kind)
				}
				if strings.Contains(e.Error(), "secret") {
					t.Errorf("the error quotes what the model wrote: %v", e)
				}
			})
		}
	}
}

// TestChatErrorRows shows that every row of the tables decides at least one of the cases above.
func TestChatErrorRows(t *testing.T) {
	t.Parallel()
	for i := range chatProfiles {
		p := &chatProfiles[i]
		reached := func(own bool, row int) bool {
			for provider, cases := range chatErrorCases {
				if own && provider != p.provider {
					continue
				}
				for _, c := range cases {
					f := chatFailure{}
					f.readBody(c.status, []byte(c.body))
					if r, o := chatProfileOf(provider).row(&f); r == row && o == own {
						return true
					}
				}
			}
			return false
		}
		for row := range p.errors {
			if !reached(true, row) {
				t.Errorf("%s: no case reaches the row %+v", p.provider, p.errors[row])
			}
		}
		if i > 0 {
			continue
		}
		for row := range chatErrors {
			if !reached(false, row) {
				t.Errorf("no case reaches the row %+v", chatErrors[row])
			}
		}
	}
}

func TestChatErrorFields(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 400)
	for name, c := range map[string]struct {
		body               string
		typ, code, message string
		after              time.Duration
	}{
		"object":         {`{"error":{"message":"M","type":"T","param":"p","code":"C"}}`, "T", "C", "M", 0},
		"null":           {`{"error":{"message":"M","type":null,"param":null,"code":null}}`, "", "", "M", 0},
		"number":         {`{"error":{"message":"M","code":429}}`, "", "429", "M", 0},
		"string":         {`{"error":"M"}`, "", "", "M", 0},
		"string beside":  {`{"error":"E","message":"M"}`, "", "", "E", 0},
		"code beside":    {`{"code":"C","error":"M"}`, "", "C", "M", 0},
		"flat":           {`{"object":"error","message":"M","type":"T","code":7}`, "T", "7", "M", 0},
		"array":          {`[{"error":{"message":"M","status":"T","code":5}}]`, "T", "5", "M", 0},
		"nested":         {`{"error":{"message":"{\"error\":{\"message\":\"M\",\"type\":\"T\",\"code\":\"C\"}}","type":"outer","code":"500"}}`, "T", "C", "M", 0},
		"not quite JSON": {`{"error":{"message":"{oops"}}`, "", "", "{oops", 0},
		"detail":         {`{"detail":[{"loc":["body"],"msg":"M","type":"T"}]}`, "T", "", "M", 0},
		"wait in ms":     {`{"error":{"message":"Please try again in 20ms."}}`, "", "", "Please try again in 20ms.", 20 * time.Millisecond},
		"wait in s":      {`{"error":{"message":"Please try again in 1.5s. Visit us"}}`, "", "", "Please try again in 1.5s. Visit us", 1500 * time.Millisecond},
		"wait in m":      {`{"error":{"message":"try again in 6m0s"}}`, "", "", "try again in 6m0s", 6 * time.Minute},
		"wait absurd":    {`{"error":{"message":"try again in 900h"}}`, "", "", "try again in 900h", 0},
		"wait of Azure":  {`{"error":{"message":"Please retry after 26 seconds."}}`, "", "", "Please retry after 26 seconds.", 26 * time.Second},
		"long":           {`{"error":{"message":"` + long + `"}}`, "", "", strings.Repeat("é", 150), 0},
		"key":            {`{"error":{"message":"Incorrect API key provided: sk-proj-ab**yz. Task-sk-1 stays"}}`, "", "", "Incorrect API key provided: [redacted]. Task-sk-1 stays", 0},
		"bearer":         {`{"error":{"message":"got Bearer gsk_abc and xai-1"}}`, "", "", "got [redacted] and [redacted]", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := decodeOpenAIError(429, nil, []byte(c.body))
			if e == nil {
				t.Fatal("got no error, want one")
			}
			if e.Type != c.typ || e.Code != c.code || e.Message != c.message || e.RetryAfter != c.after {
				t.Errorf("got %q %q %q %v, want %q %q %q %v", e.Type, e.Code, e.Message, e.RetryAfter, c.typ, c.code, c.message, c.after)
			}
		})
	}
}

func TestChatErrorIsForeign(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"", "<html>no</html>", "null", "7", `"text"`, "[]", "{}", "[1]", `{"error":null}`, `{"error":{}}`, `{"error":""}`, `{"error":{"message":`,
		`{"status":"down"}`, `{"code":3}`, strings.Repeat("[", 20_000), strings.Repeat(`{"error":`, 5_000) + "1" + strings.Repeat("}", 5_000),
	} {
		if e := decodeOpenAIError(500, nil, []byte(body)); e != nil && !strings.HasPrefix(body, `{"error":{"error"`) {
			t.Errorf("%.20q: got %v, want none", body, e)
		}
	}
}
