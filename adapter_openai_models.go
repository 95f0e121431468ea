package holdfast

import (
	"slices"
	"strings"
)

// openaiModelFacts is what holdfast believes of a model of OpenAI's. The zero value is a model that nothing is known of: it
// is sent whatever the dialect can say, and the provider judges.
type openaiModelFacts struct {
	// Reasons: the model thinks before it answers.
	Reasons bool
	// Sampling says when temperature, top_p and the penalties are taken.
	Sampling openaiSampling
	// NoStop: the stop parameter is refused.
	NoStop bool
	// ToolsOnResponses: Chat Completions takes function tools only with the effort "none" said aloud.
	ToolsOnResponses bool
	// ResponsesOnly and ChatOnly: the other API does not serve the model.
	ResponsesOnly, ChatOnly bool
	// Breakpoints: parts of the prompt can be marked with prompt_cache_breakpoint.
	Breakpoints bool
	// Efforts lists the levels that the model has; nil if that is not known.
	Efforts []Effort
}

// openaiSampling says when a model takes sampling parameters.
type openaiSampling uint8

const (
	samplingAlways     openaiSampling = iota
	samplingEffortFree                // unless an effort but "none" is asked for: "none" is the default
	samplingEffortOff                 // only with the effort "none" said aloud
	samplingNever
)

// samples reports whether temperature and its like may be sent with this effort.
func (f openaiModelFacts) samples(e Effort) bool {
	switch f.Sampling {
	case samplingAlways:
		return true
	case samplingEffortFree:
		return e == EffortOff || e == ""
	case samplingEffortOff:
		return e == EffortOff
	}
	return false
}

// hasEffort reports whether the model has the level. The empty level is every model's.
func (f openaiModelFacts) hasEffort(e Effort) bool {
	return e == "" || f.Efforts == nil || slices.Contains(f.Efforts, e)
}

// takesEffort reports whether a request may ask for the level. A model that never reasons is off already.
func (f openaiModelFacts) takesEffort(e Effort) bool {
	return f.hasEffort(e) || e == EffortOff && !f.Reasons
}

// effortWord returns the level in OpenAI's word; "" if nothing need be sent, or the level is not the model's.
func (f openaiModelFacts) effortWord(e Effort) string {
	switch {
	case !f.hasEffort(e):
		return ""
	case e == EffortOff:
		return "none"
	}
	return string(e)
}

// mayReason reports whether the model reasons, as far as is known.
func (f openaiModelFacts) mayReason() bool { return f.Reasons || f.Efforts == nil }

// openaiModel returns the facts of a model, by its id as OpenAI, Azure and Bedrock spell it: dated, fine-tuned ("ft:…") or
// behind a prefix such as "us.openai.".
func openaiModel(model string) openaiModelFacts {
	id := strings.ToLower(model)
	id = strings.TrimPrefix(id, "ft:")
	for _, prefix := range []string{"openai.", "openai/"} {
		if i := strings.LastIndex(id, prefix); i >= 0 {
			id = id[i+len(prefix):]
		}
	}
	for _, row := range openaiModels {
		if strings.HasPrefix(id, row.prefix) && (row.has == "" || strings.Contains(id, row.has)) {
			return row.facts
		}
	}
	return openaiModelFacts{}
}

// The sets of efforts, by generation (OpenAI's reasoning guide and model pages).
var (
	effortsO3  = []Effort{EffortLow, EffortMedium, EffortHigh}
	effortsG5  = []Effort{EffortMinimal, EffortLow, EffortMedium, EffortHigh}
	effortsG51 = []Effort{EffortOff, EffortLow, EffortMedium, EffortHigh}
	effortsG52 = []Effort{EffortOff, EffortLow, EffortMedium, EffortHigh, EffortXHigh}
	effortsPro = []Effort{EffortMedium, EffortHigh, EffortXHigh}
	// From 5.6 on, "max" exists; which of the middle levels each size has is not published in one place (unverified), so only
	// "minimal", which ended with gpt-5, is left out.
	effortsG56 = []Effort{EffortOff, EffortLow, EffortMedium, EffortHigh, EffortXHigh, EffortMax}
)

// openaiModels holds the facts by the beginning of the model's id, the first match counting; has, where given, must also
// occur in it.
//
// Sources: the constants of openai-go v3.96.0 (a model in ResponsesModel but not in ChatModel is Responses-only) and its
// comment on stop ("not supported with latest reasoning models o3 and o4-mini"); OpenAI's model pages and reasoning guide,
// which has sampling go with the effort "none" only, from gpt-5.1 on; that gpt-5.4, 5.5, 5.6 and 6 refuse tools on Chat
// Completions, from 5.6 on unless the effort is "none", stands in their own 400; cache breakpoints came with gpt-5.6.
var openaiModels = []struct {
	prefix, has string
	facts       openaiModelFacts
}{
	// Open weights, on anybody's server: that server's rules.
	{prefix: "gpt-oss", facts: openaiModelFacts{Reasons: true, Efforts: effortsO3}},

	// Made for one API only.
	{prefix: "gpt-audio", facts: openaiModelFacts{ChatOnly: true}},
	{prefix: "gpt-4o", has: "audio", facts: openaiModelFacts{ChatOnly: true}},
	{prefix: "gpt-5", has: "-search", facts: openaiModelFacts{ChatOnly: true, Sampling: samplingNever}},
	{prefix: "gpt-4o", has: "search", facts: openaiModelFacts{ChatOnly: true, Sampling: samplingNever}},
	{prefix: "computer-use-preview", facts: openaiModelFacts{ResponsesOnly: true, Reasons: true}},
	{prefix: "codex-mini", facts: reasoning(nil).responsesOnly()},
	{prefix: "o1-pro", facts: reasoning(effortsO3).responsesOnly()},
	{prefix: "o3-pro", facts: reasoning(effortsO3).responsesOnly()},
	{prefix: "o3-deep-research", facts: reasoning(nil).responsesOnly()},
	{prefix: "o4-mini-deep-research", facts: reasoning(nil).responsesOnly()},
	{prefix: "gpt-5", has: "-chat", facts: openaiModelFacts{}}, // the ChatGPT models do not reason
	{prefix: "gpt-5-pro", facts: reasoning([]Effort{EffortHigh}).responsesOnly()},
	{prefix: "gpt-5", has: "-pro", facts: reasoning(effortsPro).responsesOnly()},
	{prefix: "gpt-5", has: "-codex", facts: reasoning(nil).responsesOnly()},
	{prefix: "gpt-5.6-cyber", facts: reasoning(nil).responsesOnly().breakpoints()},
	{prefix: "gpt-6-cyber", facts: reasoning(nil).responsesOnly().breakpoints()},
	{prefix: "gpt-6-rosalind", facts: reasoning(nil).responsesOnly().breakpoints()},
	{prefix: "gpt-daybreak", facts: reasoning(nil).responsesOnly()},
	{prefix: "gpt-rosalind", facts: reasoning(nil).responsesOnly()},

	{prefix: "gpt-6", facts: reasoning(effortsG56).quiet().toolsOnResponses().breakpoints()},
	{prefix: "gpt-5.6", facts: reasoning(effortsG56).quiet().toolsOnResponses().breakpoints()},
	{prefix: "gpt-5.5", facts: reasoning(effortsG52).quiet().toolsOnResponses()},
	{prefix: "gpt-5.4", facts: reasoning(effortsG52).quiet().toolsOnResponses()},
	{prefix: "gpt-5.3", facts: reasoning(effortsG52).free()},
	{prefix: "gpt-5.2", facts: reasoning(effortsG52).free()},
	{prefix: "gpt-5.1", facts: reasoning(effortsG51).free()},
	{prefix: "gpt-5.", facts: reasoning(nil).quiet().toolsOnResponses()},
	{prefix: "gpt-5", facts: reasoning(effortsG5)},

	{prefix: "o4-mini", facts: reasoning(effortsO3)},
	{prefix: "o3", facts: reasoning(effortsO3)},
	{prefix: "o1", facts: openaiModelFacts{Reasons: true, Sampling: samplingNever, Efforts: effortsO3}},

	{prefix: "gpt-4", facts: openaiModelFacts{Efforts: []Effort{}}},
	{prefix: "chatgpt-4o", facts: openaiModelFacts{Efforts: []Effort{}}},
	{prefix: "gpt-3.5", facts: openaiModelFacts{Efforts: []Effort{}}},

	// A generation younger than this table most likely keeps the rules of its elders.
	{prefix: "gpt-", facts: reasoning(nil).quiet().toolsOnResponses().breakpoints()},
}

// reasoning returns the facts of a reasoning model that refuses sampling and stop.
func reasoning(efforts []Effort) openaiModelFacts {
	return openaiModelFacts{Reasons: true, Sampling: samplingNever, NoStop: true, Efforts: efforts}
}

func (f openaiModelFacts) responsesOnly() openaiModelFacts {
	f.ResponsesOnly = true
	return f
}

// quiet: with its reasoning switched off, the model takes sampling parameters.
func (f openaiModelFacts) quiet() openaiModelFacts {
	f.Sampling = samplingEffortOff
	return f
}

// free: as quiet, and it does not reason unless asked to.
func (f openaiModelFacts) free() openaiModelFacts {
	f.Sampling = samplingEffortFree
	return f
}

func (f openaiModelFacts) toolsOnResponses() openaiModelFacts {
	f.ToolsOnResponses = true
	return f
}

func (f openaiModelFacts) breakpoints() openaiModelFacts {
	f.Breakpoints = true
	return f
}
