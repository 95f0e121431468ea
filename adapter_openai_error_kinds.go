package holdfast

// chatErrors holds for every server that speaks Chat Completions, OpenAI's Responses and Azure included: codes before types, types
// before messages. Sources: OpenAI's error codes and openai-go v3.96.0, Microsoft's reference, the repositories of Ollama,
// llama.cpp and vLLM.
var chatErrors = []chatErrorRow{
	// Rates and money share a status; the message tells quotas of a day and requests that no minute can hold.
	{has: "request too large for", kind: KindRejected}, // larger than the whole minute's budget (unverified)
	{status: 429, has: "per day", kind: KindQuota},
	{status: 429, has: "(rpd)", kind: KindQuota},
	{status: 429, has: "(tpd)", kind: KindQuota},
	{status: 408, typ: "server_error", kind: KindServerTimeout},
	{status: 504, typ: "server_error", kind: KindServerTimeout},
	{code: "insufficient_quota", kind: KindBilling},
	{code: "credit_balance_exhausted", kind: KindBilling},
	{code: "billing_hard_limit_reached", kind: KindBilling},
	{code: "billing_not_active", kind: KindBilling},
	{code: "rate_limit_exceeded", kind: KindRateLimit},
	{code: "slow_down", kind: KindRateLimit},
	{code: "ratelimitreached", kind: KindRateLimit}, // Azure
	{code: "resource_unavailable", kind: KindOverloaded},
	{code: "server_is_overloaded", kind: KindOverloaded},
	{code: "nocapacity", kind: KindOverloaded}, // Azure
	{code: "server_error", kind: KindServer},
	{code: "vector_store_timeout", kind: KindServerTimeout},

	{code: "context_length_exceeded", kind: KindContextLength},
	{code: "unsupported_parameter", kind: KindFeature},
	{code: "unsupported_value", kind: KindFeature},
	{code: "operationnotsupported", kind: KindFeature}, // Azure
	{code: "invalid_encrypted_content", kind: KindThinking},
	{code: "content_filter", kind: KindPolicy}, // Azure
	{code: "content_policy_violation", kind: KindPolicy},
	{code: "image_content_policy_violation", kind: KindPolicy},
	{code: "responsibleaipolicyviolation", kind: KindPolicy}, // Azure
	{code: "invalid_prompt", kind: KindPolicy},
	{code: "bio_policy", kind: KindPolicy},
	{code: "misalignment_policy_violation", kind: KindPolicy},
	{code: "invalid_value", kind: KindInvalid},
	{code: "invalid_type", kind: KindInvalid},
	{code: "string_above_max_length", kind: KindInvalid},
	{code: "missing_required_parameter", kind: KindInvalid},
	{code: "invalid_image", kind: KindInvalid},
	{code: "invalid_image_format", kind: KindInvalid},
	{code: "invalid_base64_image", kind: KindInvalid},
	{code: "invalid_image_url", kind: KindInvalid},
	{code: "invalid_image_mode", kind: KindInvalid},
	{code: "image_too_large", kind: KindInvalid},
	{code: "image_too_small", kind: KindInvalid},
	{code: "image_parse_error", kind: KindInvalid},
	{code: "image_file_too_large", kind: KindInvalid},
	{code: "image_file_not_found", kind: KindInvalid},
	{code: "empty_image_file", kind: KindInvalid},
	{code: "unsupported_image_media_type", kind: KindInvalid},
	{code: "failed_to_download_image", kind: KindInvalid},

	{code: "unsupported_country_region_territory", kind: KindRegion},
	{code: "data_residency_mismatch", kind: KindRegion},
	{code: "ip_not_authorized", kind: KindRegion},
	{code: "invalid_api_key", kind: KindKey},
	{code: "invalid_authentication", kind: KindKey},
	{code: "account_deactivated", kind: KindKey},
	{code: "model_not_found", kind: KindModel},
	{code: "modelnotfound", kind: KindModel},
	{code: "deploymentnotfound", kind: KindModel}, // Azure

	{typ: "insufficient_quota", kind: KindBilling},
	{typ: "request_forbidden", kind: KindRegion},
	{typ: "service_unavailable_error", kind: KindOverloaded},
	{typ: "unavailable_error", kind: KindOverloaded}, // llama.cpp, while it loads the model
	{typ: "overloaded_error", kind: KindOverloaded},
	{typ: "engine_overloaded_error", kind: KindOverloaded},
	{typ: "exceed_context_size_error", kind: KindContextLength}, // llama.cpp: 400, formerly 500
	{typ: "content_filter", kind: KindPolicy},
	{typ: "RESOURCE_EXHAUSTED", kind: KindRateLimit},
	{typ: "rate_limit_error", kind: KindRateLimit},
	{typ: "requests", kind: KindRateLimit},
	{typ: "tokens", kind: KindRateLimit},

	{has: "country, region, or territory not supported", kind: KindRegion},
	{has: "user location is not supported", kind: KindRegion},
	{status: 401, has: "ip not authori", kind: KindRegion},
	{status: 401, has: "ip address", kind: KindRegion},
	{status: 403, has: "virtual network", kind: KindRegion}, // Azure
	{status: 403, has: "firewall", kind: KindRegion},        // Azure
	{has: "function tools with reasoning_effort are not supported", kind: KindFeature},
	{has: "maximum context length", kind: KindContextLength}, // vLLM, DeepSeek and many more
	{has: "context size", kind: KindContextLength},           // llama.cpp
	{has: "context window", kind: KindContextLength},
	{has: "context length", kind: KindContextLength}, // LM Studio
	{has: "prompt is too long", kind: KindContextLength},
	{has: "api key not valid", kind: KindKey},
	{has: "incorrect api key", kind: KindKey}, // xAI sends it with 400
	{has: "invalid api key", kind: KindKey},
	{has: "insufficient balance", kind: KindBilling},
	{has: "insufficient credits", kind: KindBilling},
	{has: "loading model", kind: KindOverloaded},

	{typ: "authentication_error", kind: KindKey},
	{typ: "authenticationerror", kind: KindKey},
	{typ: "invalid_authentication_error", kind: KindKey},
	{typ: "permission_error", kind: KindPermission},
	{typ: "permission_denied", kind: KindPermission},
	{typ: "notfounderror", has: "model", kind: KindModel},   // vLLM
	{typ: "not_found_error", has: "model", kind: KindModel}, // Ollama
	{typ: "badrequesterror", kind: KindInvalid},             // vLLM, in the midst of a stream
	// In a stream, where there is no status, the type is all there is.
	{status: 0, typ: "api_error", has: "timeout", kind: KindServerTimeout},
}

// deepseekErrors: DeepSeek's reference.
var deepseekErrors = []chatErrorRow{
	{status: 402, kind: KindBilling},
	// It wants its thinking back; what it lacks is ours to know beforehand.
	{has: "in the thinking mode must be passed back", kind: KindFeature},
	{has: "content exists risk", kind: KindPolicy}, // (unverified)
}

// qwenErrors: Alibaba's table of Model Studio's errors. insufficient_quota is a limit of tokens per minute there.
var qwenErrors = []chatErrorRow{
	{code: "Arrearage", kind: KindBilling},
	{code: "AllocationQuota.FreeTierOnly", kind: KindBilling}, // (unverified)
	{code: "data_inspection_failed", kind: KindPolicy},
	{code: "DataInspectionFailed", kind: KindPolicy},
	{code: "InvalidApiKey", kind: KindKey},
	{code: "AccessDenied", kind: KindPermission},
	{code: "AccessDenied.Unpurchased", kind: KindPermission},
	{code: "Throttling", kind: KindRateLimit},
	{code: "Throttling.RateQuota", kind: KindRateLimit},
	{code: "Throttling.BurstRate", kind: KindRateLimit},
	{code: "Throttling.AllocationQuota", kind: KindRateLimit},
	{code: "insufficient_quota", kind: KindRateLimit},
}

// moonshotErrors: Moonshot's reference.
var moonshotErrors = []chatErrorRow{
	{typ: "exceeded_current_quota_error", kind: KindBilling},
	{typ: "rate_limit_reached_error", kind: KindRateLimit},
	{status: 403, has: "balance", kind: KindBilling},
	{has: "token limit", kind: KindContextLength},
	{typ: "resource_not_found_error", kind: KindModel},
}

// zhipuErrors: the business codes of Zhipu, which outrank the status: 1113 comes with 429.
var zhipuErrors = []chatErrorRow{
	{code: "1000", kind: KindKey},
	{code: "1001", kind: KindKey},
	{code: "1002", kind: KindKey},
	{code: "1003", kind: KindKey},
	{code: "1004", kind: KindKey},
	{code: "1110", kind: KindKey},
	{code: "1111", kind: KindKey},
	{code: "1112", kind: KindKey},
	{code: "1121", kind: KindKey},
	{code: "1113", kind: KindBilling},
	{code: "1210", kind: KindInvalid},
	{code: "1211", kind: KindModel},
	{code: "1212", kind: KindInvalid},
	{code: "1213", kind: KindInvalid},
	{code: "1214", kind: KindInvalid},
	{code: "1215", kind: KindInvalid},
	{code: "1261", kind: KindContextLength},
	{code: "1301", kind: KindPolicy},
	{code: "1302", kind: KindRateLimit},
	{code: "1303", kind: KindRateLimit},
	{code: "1304", kind: KindQuota},
	{code: "1305", kind: KindOverloaded},
	{code: "1308", kind: KindQuota},
	{code: "1309", kind: KindBilling}, // the plan has ended
	{code: "1310", kind: KindQuota},
	{code: "1312", kind: KindOverloaded},
	{code: "1313", kind: KindQuota}, // fair use
}

// groqErrors: Groq's reference.
var groqErrors = []chatErrorRow{
	{status: 413, code: "rate_limit_exceeded", kind: KindRejected}, // one request above the limit of a minute
	{status: 498, kind: KindOverloaded},                            // flex tier
	// The model wrote a call or JSON that does not parse: an accident of sampling (unverified).
	{code: "tool_use_failed", kind: KindServer},
	{code: "json_validate_failed", kind: KindServer},
}

// mistralErrors: Mistral's reference.
var mistralErrors = []chatErrorRow{
	{typ: "service_tier_capacity_exceeded", kind: KindOverloaded}, // (unverified)
	{code: "3505", kind: KindOverloaded},                          // the same (unverified)
	{typ: "invalid_model", kind: KindModel},
}

// openrouterErrors: OpenRouter's table. Its codes are HTTP statuses, in the body even when the status is 200.
var openrouterErrors = []chatErrorRow{
	{has: "in_flight_budget_exhausted", kind: KindRateLimit}, // clears by itself
	{has: "weight_exceeds_budget", kind: KindRejected},
	{status: 402, kind: KindBilling},
	{status: 403, has: "moderation", kind: KindPolicy},
	{status: 403, has: "flagged", kind: KindPolicy},
	{status: 403, has: "guardrail", kind: KindPolicy},
	{status: 502, kind: KindServer},
	{status: 503, kind: KindOverloaded},
}

// togetherErrors: Together's table, where 403 means a context that is too long.
var togetherErrors = []chatErrorRow{
	{status: 402, kind: KindBilling},
	{status: 403, kind: KindContextLength},
}

// xaiErrors: xAI's reference; that missing credits are a 403 is unverified.
var xaiErrors = []chatErrorRow{
	{status: 403, has: "credits", kind: KindBilling},
	{status: 403, has: "spending limit", kind: KindBilling},
}
