package holdfast

import "strings"

// chatProfile is what holdfast believes of one kind of server that speaks Chat Completions: what it calls things, what it
// lacks, and what it adds. A server that differs only in data is a new row of chatProfiles and nothing else.
type chatProfile struct {
	// provider is the name that endpoints give; it is the dialect's too, unless dialect says otherwise.
	provider, dialect string
	// url is the default base URL, requestID the response header with the id of the exchange.
	url, requestID string
	takes          chatFeature

	// Names of request members that differ; empty where the server has no such thing.
	maxTokens, seed, user, budget string
	// required is the word for "must call a tool" in tool_choice.
	required string
	// efforts are the levels taken as reasoning_effort, and off is the member that switches thinking off; empty where the
	// server has none.
	efforts []Effort
	off     string

	prefill  chatPrefill
	passBack chatPassBack
	// thinking is the member of an assistant's message that passBack returns thinking in.
	thinking string
	// ids is the form of tool call ids: the bytes beside letters and digits, and the length: exact if idExact, else the largest.
	ids     string
	idLen   int
	idExact bool

	// errors are the rows that come before those of every server.
	errors []chatErrorRow
}

// chatFeature is a set of things that a server takes.
type chatFeature uint32

const (
	takesDeveloper    chatFeature = 1 << iota // messages of the role system or developer in the middle
	takesToolChoice                           // tool_choice
	takesParallel                             // parallel_tool_calls
	takesStrict                               // strict tools
	takesPenalties                            // presence_penalty, frequency_penalty
	takesTopK                                 // top_k
	takesJSON                                 // response_format json_object
	takesSchema                               // response_format json_schema
	takesUsageOption                          // stream_options.include_usage
	takesImageURL                             // images by URL; by data URI is taken everywhere
	takesDetail                               // image_url.detail
	takesAudio                                // input_audio parts
	takesFiles                                // file parts
	takesTier                                 // service_tier
	isOpenAI                                  // OpenAI itself: openaiModels has the rest
	thinksSummaryOnly                         // shows its thinking on another API only
	reasonsBeside                             // completion_tokens leaves out reasoning_tokens
	saysStopText                              // stop_reason is the stop text that was met
)

// plainChat is what nearly every server takes.
const plainChat = takesToolChoice | takesParallel | takesStrict | takesPenalties | takesJSON | takesSchema | takesUsageOption |
	takesImageURL | takesDetail

// chatPrefill is how a server is made to continue a last message of the assistant.
type chatPrefill uint8

const (
	prefillNever    chatPrefill = iota // it is a finished turn there: another answer would follow
	prefillPlain                       // of itself, unless it thinks
	prefillPrefix                      // "prefix":true in the message
	prefillBeta                        // the same, under /beta
	prefillPartial                     // "partial":true in the message
	prefillContinue                    // continue_final_message, add_generation_prompt
)

// chatPassBack is which thinking of its own a server wants back.
type chatPassBack uint8

const (
	passNever   chatPassBack = iota
	passCalls                // that of turns with tool calls, as a string
	passMust                 // the same, and a turn with calls but without it is refused while thinking is on
	passDetails              // reasoning_details, unchanged
	passParts                // parts of the content
)

func (p *chatProfile) has(f chatFeature) bool { return p.takes&f == f }

// Sets of efforts that servers take.
var (
	effortsAny   = []Effort{EffortMinimal, EffortLow, EffortMedium, EffortHigh, EffortXHigh, EffortMax}
	effortsThree = []Effort{EffortLow, EffortMedium, EffortHigh}
)

// Members that switch thinking off.
const (
	offEffort   = `"reasoning_effort":"none"`
	offThinking = `"thinking":{"type":"disabled"}`
	offQwen     = `"enable_thinking":false`
	offTemplate = `"chat_template_kwargs":{"enable_thinking":false}`
)

// chatProfiles has a row for each server. Sources: the vendors' API references and repositories; what their references do not
// say in so many words is marked (unverified) here.
var chatProfiles = []chatProfile{
	{
		provider: "openai-chat", dialect: "openai", url: "https://api.openai.com/v1", requestID: "x-request-id",
		takes:     plainChat | takesDeveloper | takesAudio | takesFiles | takesTier | isOpenAI | thinksSummaryOnly,
		maxTokens: "max_completion_tokens", seed: "seed", user: "safety_identifier",
		efforts: effortsAny, off: offEffort, ids: "_-", idLen: 64, // longest id of a call (unverified)
	},
	{ // Nothing is known of the server: it is sent what most understand, in the older words, and it judges the rest.
		provider: "openai-compatible",
		takes:    plainChat | takesTopK | takesAudio | takesFiles, maxTokens: "max_tokens", seed: "seed", user: "user",
		efforts: effortsAny, off: offEffort,
	},
	{
		provider: "ollama", url: "http://localhost:11434/v1",
		takes:     plainChat &^ (takesToolChoice | takesParallel | takesStrict | takesImageURL | takesDetail),
		maxTokens: "max_tokens", seed: "seed", efforts: effortsThree, off: offEffort, passBack: passCalls, thinking: "reasoning",
	},
	{
		provider: "llama.cpp", url: "http://localhost:8080/v1",
		takes: plainChat&^takesDetail | takesTopK | takesAudio, maxTokens: "max_tokens", seed: "seed",
		off: offTemplate, prefill: prefillPlain, passBack: passCalls, thinking: "reasoning_content",
	},
	{
		provider: "vllm", url: "http://localhost:8000/v1",
		takes: plainChat | takesTopK | takesAudio | saysStopText, maxTokens: "max_tokens", seed: "seed", user: "user",
		efforts: effortsThree, off: offTemplate, prefill: prefillContinue, passBack: passCalls, thinking: "reasoning",
	},
	{
		provider: "lmstudio", url: "http://localhost:1234/v1",
		// JSON without a schema and images by URL are refused (unverified).
		takes:     plainChat&^(takesParallel|takesStrict|takesJSON|takesImageURL|takesDetail) | takesTopK,
		maxTokens: "max_tokens", seed: "seed", efforts: effortsThree,
	},
	{
		provider: "deepseek", url: "https://api.deepseek.com",
		// No seed and no JSON schema in its reference; which efforts V4 has is unverified.
		takes:     plainChat &^ (takesParallel | takesSchema | takesDetail | takesStrict),
		maxTokens: "max_tokens", efforts: []Effort{EffortHigh, EffortMax}, off: offThinking,
		prefill: prefillBeta, passBack: passMust, thinking: "reasoning_content", errors: deepseekErrors,
	},
	{
		provider: "qwen", url: "https://dashscope.aliyuncs.com/compatible-mode/v1",
		takes: plainChat | takesTopK, maxTokens: "max_tokens", seed: "seed", budget: "thinking_budget", off: offQwen,
		prefill: prefillPartial, errors: qwenErrors,
	},
	{
		provider: "moonshot", url: "https://api.moonshot.ai/v1",
		// No seed in its reference; that thinking must come back with tool calls is unverified.
		takes: plainChat &^ (takesParallel | takesDetail), maxTokens: "max_tokens", off: offThinking,
		prefill: prefillPartial, passBack: passCalls, thinking: "reasoning_content", errors: moonshotErrors,
	},
	{
		provider: "zhipu", url: "https://open.bigmodel.cn/api/paas/v4",
		// tool_choice takes only "auto"; no penalties, seed or JSON schema in its reference (unverified).
		takes:     plainChat &^ (takesToolChoice | takesParallel | takesStrict | takesPenalties | takesSchema | takesDetail),
		maxTokens: "max_tokens", user: "user_id", off: offThinking,
		passBack: passCalls, thinking: "reasoning_content", errors: zhipuErrors,
	},
	{
		provider: "groq", url: "https://api.groq.com/openai/v1", requestID: "x-request-id",
		takes: plainChat | takesTier, maxTokens: "max_tokens", seed: "seed", user: "user",
		efforts: effortsThree, off: offEffort, errors: groqErrors,
	},
	{
		provider: "mistral", url: "https://api.mistral.ai/v1",
		// Its usage comes unasked; ids of tool calls are nine letters and digits (unverified).
		takes:     plainChat &^ takesUsageOption,
		maxTokens: "max_tokens", seed: "random_seed", required: "any", efforts: []Effort{EffortHigh}, off: offEffort,
		prefill: prefillPrefix, passBack: passParts, idLen: 9, idExact: true, errors: mistralErrors,
	},
	{
		provider: "openrouter", url: "https://openrouter.ai/api/v1", requestID: "X-Generation-Id",
		takes: plainChat | takesTopK | takesAudio | takesFiles, maxTokens: "max_tokens", seed: "seed", user: "user",
		efforts: effortsAny, off: offEffort, passBack: passDetails, errors: openrouterErrors,
	},
	{
		provider: "together", url: "https://api.together.xyz/v1",
		takes: plainChat | takesTopK, maxTokens: "max_tokens", seed: "seed", efforts: effortsThree, errors: togetherErrors,
	},
	{
		provider: "xai", url: "https://api.x.ai/v1",
		takes: plainChat | reasonsBeside, maxTokens: "max_tokens", seed: "seed", user: "user",
		efforts: effortsThree, errors: xaiErrors,
	},
}

// chatProfileOf returns the row of a provider, nil if there is none.
func chatProfileOf(provider string) *chatProfile {
	for i := range chatProfiles {
		if chatProfiles[i].provider == provider {
			return &chatProfiles[i]
		}
	}
	return nil
}

// chatAdapterOf returns the adapter of a provider that speaks Chat Completions, nil of any other.
func chatAdapterOf(provider string) AIServiceAdapter {
	if p := chatProfileOf(provider); p != nil {
		return chatAdapter{p}
	}
	return nil
}

// name is the dialect's.
func (p *chatProfile) name() string {
	if p.dialect != "" {
		return p.dialect
	}
	return p.provider
}

// id folds the id of a tool call into the server's form.
func (p *chatProfile) id(id string) string {
	switch {
	case p.idLen == 0:
		return id
	case p.idExact && len(id) != p.idLen:
		return foldID("\x00"+id, p.ids, p.idLen)
	}
	return foldID(id, p.ids, p.idLen)
}

// xaiReasons reports whether a model of xAI's reasons: it refuses stop and the penalties then (xAI's reference).
func xaiReasons(model string) bool {
	m := strings.ToLower(model)
	switch {
	case strings.Contains(m, "non-reasoning"), strings.HasPrefix(m, "grok-2"), strings.HasPrefix(m, "grok-code"):
		return false
	case strings.HasPrefix(m, "grok-3"):
		return strings.HasPrefix(m, "grok-3-mini")
	}
	return strings.HasPrefix(m, "grok-")
}
