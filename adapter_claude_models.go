package holdfast

import (
	"slices"
	"strings"
)

// claudeModel is what the codec must know of a model before it asks. The models API says none of it but the efforts, and is
// absent on Bedrock, Vertex AI and Foundry, so it is a table.
type claudeModel struct {
	// id is the model's name without date, region or vendor prefix.
	id string
	// maxOutput is the largest max_tokens, and the default, since the API demands one.
	maxOutput int
	// prefill: the last message may be the assistant's.
	prefill  bool
	sampling claudeSampling
	// budget: thinking "enabled" with budget_tokens is accepted; adaptive: thinking "adaptive" is.
	budget, adaptive bool
	// unasked: the model thinks unless told not to; always: it cannot be told not to.
	unasked, always bool
	efforts         []Effort
	// unforced: tool_choice "any" and "tool" are refused; unforcedBedrock: on Bedrock they are, unless thinking is off.
	unforced, unforcedBedrock bool
	// midSystem: messages of the role "system" are accepted in the middle of a conversation.
	midSystem bool
	// schemas: output_config.format and strict tools are accepted.
	schemas bool
}

// claudeSampling says which of temperature, top_p and top_k a model takes.
type claudeSampling uint8

const (
	samplingFree     claudeSampling = iota
	samplingOne                     // temperature or top_p, not both
	samplingDefaults                // only the default values
	samplingNone
)

var (
	claudeEfforts45 = []Effort{EffortLow, EffortMedium, EffortHigh}
	claudeEfforts46 = []Effort{EffortLow, EffortMedium, EffortHigh, EffortMax}
	claudeEfforts   = []Effort{EffortLow, EffortMedium, EffortHigh, EffortXHigh, EffortMax}
)

// claudeModels comes from Anthropic's pages: model overview (largest outputs), the migration guides to 4.6 and each later model (prefill,
// sampling, thinking, forced tools), effort, mid-conversation system messages and structured outputs; state of November 2026.
// What those pages leave open is marked.
var claudeModels = []claudeModel{
	{
		id: "claude-fable-5-1", maxOutput: 128000, sampling: samplingNone, adaptive: true, unasked: true, always: true,
		efforts: claudeEfforts, unforced: true, midSystem: true, schemas: true,
	},
	{
		id: "claude-mythos-5-1", maxOutput: 128000, sampling: samplingNone, adaptive: true, unasked: true, always: true,
		efforts: claudeEfforts, unforced: true, midSystem: true, schemas: true,
	}, // as Fable 5.1 (unverified)
	{
		id: "claude-opus-5-5", maxOutput: 128000, sampling: samplingNone, adaptive: true, unasked: true, always: true,
		efforts: claudeEfforts, unforced: true, midSystem: true, schemas: true,
	},
	// Whether Sonnet 5.5 and Haiku 5.5 take the role "system" is open; folding it into the user's turn is always accepted.
	{
		id: "claude-sonnet-5-5", maxOutput: 128000, sampling: samplingNone, adaptive: true, unasked: true, always: true,
		efforts: claudeEfforts, unforced: true, schemas: true,
	},
	{
		id: "claude-haiku-5-5", maxOutput: 128000, sampling: samplingNone, adaptive: true, unasked: true,
		efforts: claudeEfforts, schemas: true,
	},
	{
		id: "claude-fable-5", maxOutput: 128000, sampling: samplingNone, adaptive: true, unasked: true, always: true,
		efforts: claudeEfforts, midSystem: true, schemas: true,
	},
	{
		id: "claude-mythos-5", maxOutput: 128000, sampling: samplingNone, adaptive: true, unasked: true, always: true,
		efforts: claudeEfforts, midSystem: true, schemas: true,
	},
	{
		id: "claude-mythos-preview", maxOutput: 128000, sampling: samplingOne, budget: true, adaptive: true, unasked: true,
		efforts: claudeEfforts46, schemas: true,
	}, // all but budget unverified
	{
		id: "claude-opus-5", maxOutput: 128000, sampling: samplingNone, adaptive: true, unasked: true,
		efforts: claudeEfforts, midSystem: true, schemas: true,
	},
	{
		id: "claude-sonnet-5", maxOutput: 128000, sampling: samplingDefaults, adaptive: true, unasked: true,
		efforts: claudeEfforts, unforcedBedrock: true, schemas: true,
	},
	{
		id: "claude-opus-4-8", maxOutput: 128000, sampling: samplingNone, adaptive: true,
		efforts: claudeEfforts, midSystem: true, schemas: true,
	},
	{id: "claude-opus-4-7", maxOutput: 128000, sampling: samplingNone, adaptive: true, efforts: claudeEfforts, schemas: true},
	{
		id: "claude-opus-4-6", maxOutput: 128000, sampling: samplingOne, budget: true, adaptive: true,
		efforts: claudeEfforts46, schemas: true,
	},
	{
		id: "claude-sonnet-4-6", maxOutput: 128000, sampling: samplingOne, budget: true, adaptive: true,
		efforts: claudeEfforts46, schemas: true,
	},
	{
		id: "claude-opus-4-5", maxOutput: 64000, prefill: true, sampling: samplingOne, budget: true,
		efforts: claudeEfforts45, schemas: true,
	},
	{id: "claude-sonnet-4-5", maxOutput: 64000, prefill: true, sampling: samplingOne, budget: true, schemas: true},
	{id: "claude-haiku-4-5", maxOutput: 64000, prefill: true, sampling: samplingOne, budget: true, schemas: true},
	// The largest outputs of what follows are from pages that are gone (unverified).
	{id: "claude-opus-4-1", maxOutput: 32000, prefill: true, sampling: samplingOne, budget: true},
	{id: "claude-opus-4-0", maxOutput: 32000, prefill: true, sampling: samplingOne, budget: true},
	{id: "claude-opus-4", maxOutput: 32000, prefill: true, sampling: samplingOne, budget: true},
	{id: "claude-sonnet-4-0", maxOutput: 64000, prefill: true, sampling: samplingOne, budget: true},
	{id: "claude-sonnet-4", maxOutput: 64000, prefill: true, sampling: samplingOne, budget: true},
	{id: "claude-3-7-sonnet", maxOutput: 64000, prefill: true, budget: true},
	{id: "claude-3-5-sonnet", maxOutput: 8192, prefill: true},
	{id: "claude-3-5-haiku", maxOutput: 8192, prefill: true},
	{id: "claude-3-opus", maxOutput: 4096, prefill: true},
	{id: "claude-3-sonnet", maxOutput: 4096, prefill: true},
	{id: "claude-3-haiku", maxOutput: 4096, prefill: true},
}

// claudeUnknown stands for a model that is not in the table: a newer one, or a gateway's own name. The provider judges what
// it is asked, except for a prefill, which no model since 4.6 takes. Its largest output is one that every model sold
// today has.
var claudeUnknown = claudeModel{
	maxOutput: 32000, budget: true, adaptive: true, unasked: true, efforts: claudeEfforts, schemas: true,
}

// claudeModelOf finds a model by any of its spellings: with a date ("-20251101", "@20251101"), a vendor's or region's
// prefix ("us.anthropic.", "anthropic/"), a version behind it ("-v1:0"), or dots in its number.
func claudeModelOf(name string) *claudeModel {
	start := strings.LastIndex(name, "claude-")
	if start < 0 {
		return &claudeUnknown
	}
	name = name[start:]
	i := slices.IndexFunc(claudeModels, func(m claudeModel) bool { return claudeSpells(name, m.id) })
	if i < 0 {
		return &claudeUnknown
	}
	return &claudeModels[i]
}

// claudeSpells reports whether name means the model with this id. A further number of one or two digits makes it another
// model: claude-opus-4-9 is no claude-opus-4, claude-opus-4-20250514 is.
func claudeSpells(name, id string) bool {
	if len(name) < len(id) {
		return false
	}
	for i := range len(id) {
		if c := name[i]; c != id[i] && (c != '.' || id[i] != '-') {
			return false
		}
	}
	rest := name[len(id):]
	if rest == "" {
		return true
	}
	isDigit := func(i int) bool { return i < len(rest) && '0' <= rest[i] && rest[i] <= '9' }
	if rest[0] != '-' && rest[0] != '.' {
		return !isDigit(0)
	}
	n := 1
	for isDigit(n) {
		n++
	}
	another := (n == 2 || n == 3) && (n == len(rest) || strings.IndexByte("-.@:", rest[n]) >= 0)
	return !another
}

// claudeFirstParty reports whether a platform is Anthropic's own or unknown, such as a gateway before it. Bedrock, Vertex AI
// and Foundry lack some features.
func claudeFirstParty(platform string) bool {
	for _, host := range []string{"amazonaws.com", "bedrock-mantle.", "aiplatform.", "services.ai.azure.com"} {
		if strings.Contains(platform, host) {
			return false
		}
	}
	return true
}
