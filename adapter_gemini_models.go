package holdfast

import (
	"slices"
	"strings"
)

// geminiModel holds what differs between Gemini models, as far as a request can tell.
type geminiModel struct {
	prefix string
	// levels are the values of thinkingLevel; nil if the model knows none.
	levels []Effort
	// budgetMin and budgetMax bound thinkingBudget; 0 if the model knows none.
	budgetMin, budgetMax int
	// canRest is set if thinking can be switched off.
	canRest bool
	// prefill is set if the model goes on from a last turn of its own.
	prefill bool
	// signed is set if the calls of an open tool loop must carry a thought signature.
	signed bool
	// mediaResults is set if a tool result may hold images and documents.
	mediaResults bool
	// jsonWithTools is set if structured output and tools go together.
	jsonWithTools bool
	// output is the largest maxOutputTokens; 0 if it is not known for sure. Gemini 4 counts it across continuations.
	output int
}

var (
	geminiAllLevels  = []Effort{EffortMinimal, EffortLow, EffortMedium, EffortHigh}
	geminiFrom37     = []Effort{EffortLow, EffortMedium, EffortHigh}
	geminiImageLevel = []Effort{EffortMinimal, EffortHigh}
)

// geminiModels is searched from the top; the first prefix of a model's id holds. Levels and budgets are those of Google's
// pages on thinking (Gemini API and Vertex, autumn 2026). From Gemini 3 on thinking cannot be switched off and signatures
// are demanded; a last turn of the model is refused from 3.5 Flash-Lite and 3.6 Flash on.
var geminiModels = [...]geminiModel{
	{prefix: "gemini-3.5-flash-lite", levels: geminiAllLevels, signed: true, mediaResults: true, jsonWithTools: true},
	{prefix: "gemini-3.5-flash", levels: geminiAllLevels, prefill: true, signed: true, mediaResults: true, jsonWithTools: true},
	{prefix: "gemini-3.6-flash", levels: geminiAllLevels, signed: true, mediaResults: true, jsonWithTools: true},
	{prefix: "gemini-3.1-flash-image", levels: geminiImageLevel, prefill: true, signed: true, mediaResults: true, jsonWithTools: true},
	{prefix: "gemini-3.1-flash-lite-image", levels: geminiImageLevel, prefill: true, signed: true, mediaResults: true, jsonWithTools: true},
	{prefix: "gemini-3.1-flash", levels: geminiAllLevels, prefill: true, signed: true, mediaResults: true, jsonWithTools: true},
	{prefix: "gemini-3.1-pro", levels: geminiFrom37, prefill: true, signed: true, mediaResults: true, jsonWithTools: true},
	{prefix: "gemini-3-flash", levels: geminiAllLevels, prefill: true, signed: true, mediaResults: true, jsonWithTools: true},
	{prefix: "gemini-3-pro-image", levels: []Effort{EffortHigh}, prefill: true, signed: true, mediaResults: true, jsonWithTools: true},
	{prefix: "gemini-3-pro", levels: []Effort{EffortLow, EffortHigh}, prefill: true, signed: true, mediaResults: true, jsonWithTools: true},
	{prefix: "gemini-2.5-pro", budgetMin: 128, budgetMax: 32768, prefill: true, output: 65536},
	{prefix: "gemini-2.5-flash-lite", budgetMin: 512, budgetMax: 24576, canRest: true, prefill: true, output: 65536},
	{prefix: "gemini-2.5-flash", budgetMin: 1, budgetMax: 24576, canRest: true, prefill: true, output: 65536},
	{prefix: "gemini-2", canRest: true, prefill: true},
	{prefix: "gemini-1", canRest: true, prefill: true},
	// Aliases such as gemini-flash-lite-latest change what they stand for; the smallest level is left to the provider's judgement.
	{prefix: "gemini-flash", levels: geminiAllLevels, signed: true, mediaResults: true, jsonWithTools: true},
	{prefix: "gemini-pro", levels: geminiFrom37, signed: true, mediaResults: true, jsonWithTools: true},
	// 3.7 Flash, 3.8 Flash, Gemini 4 Argon and whatever comes after them.
	{prefix: "gemini-", levels: geminiFrom37, signed: true, mediaResults: true, jsonWithTools: true},
	// Tuned models and other families: nothing is known, so the provider is the judge.
	{prefix: "", levels: geminiAllLevels, budgetMin: 1, budgetMax: 1 << 20, canRest: true, prefill: true, mediaResults: true, jsonWithTools: true},
}

// geminiModelOf returns the facts of a model, by its id with or without the resource path before it.
func geminiModelOf(id string) *geminiModel {
	id = id[strings.LastIndexByte(id, '/')+1:]
	i := slices.IndexFunc(geminiModels[:], func(m geminiModel) bool { return strings.HasPrefix(id, m.prefix) })
	return &geminiModels[i]
}

// geminiBudget is how many tokens an effort stands for on models that count them, as Google's OpenAI-compatible endpoint
// translates it.
func geminiBudget(e Effort) int {
	switch e {
	case EffortMinimal, EffortLow:
		return 1024
	case EffortMedium:
		return 8192
	case EffortHigh:
		return 24576
	}
	return 0
}
