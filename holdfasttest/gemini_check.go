package holdfasttest

import (
	"encoding/base64"
	"slices"
	"strings"
)

var geminiContent = words("role").with(shape{"parts": words(`text thought thoughtSignature executableCode codeExecutionResult
	videoMetadata mediaResolution partMetadata toolCall toolResponse audioTranscription mediaProcessing speechMetadata`).with(shape{
	"inlineData":       words("mimeType data displayName"),
	"fileData":         words("mimeType fileUri displayName"),
	"functionCall":     words("id name args partialArgs willContinue"),
	"functionResponse": words("id name response parts willContinue scheduling"),
})})

var geminiShape = words("cachedContent labels serviceTier store continuationToken model safetySettings").with(shape{
	"contents":          geminiContent,
	"systemInstruction": geminiContent,
	"generationConfig": words(`temperature topP topK candidateCount maxOutputTokens stopSequences seed presencePenalty
		frequencyPenalty responseMimeType responseSchema responseJsonSchema responseLogprobs logprobs responseModalities
		mediaResolution speechConfig imageConfig audioTimestamp enableEnhancedCivicAnswers enableAffectiveDialog routingConfig
		modelSelectionConfig`).with(shape{"thinkingConfig": words("includeThoughts thinkingBudget thinkingLevel")}),
	"tools": words(`googleSearch googleSearchRetrieval codeExecution urlContext fileSearch computerUse googleMaps retrieval
		enterpriseWebSearch mcpServers`).with(shape{
		"functionDeclarations": words("name description parameters parametersJsonSchema response responseJsonSchema behavior"),
	}),
	"toolConfig": words("retrievalConfig includeServerSideToolInvocations").with(shape{
		"functionCallingConfig": words("mode allowedFunctionNames streamFunctionCallArguments"),
	}),
})

// camel returns v with the names that the shape knows in the API's other spelling, a_b for aB, as the shape has them.
func (s shape) camel(v any) any {
	if s == nil {
		return v
	}
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = s.camel(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, e := range v {
			words := strings.Split(name, "_")
			for i := 1; i < len(words); i++ {
				if w := words[i]; w != "" {
					words[i] = strings.ToUpper(w[:1]) + w[1:]
				}
			}
			if known := strings.Join(words, ""); name != known {
				if _, ok := s[known]; ok {
					name = known
				}
			}
			out[name] = s[name].camel(e)
		}
		return out
	}
	return v
}

func geminiCheck(m map[string]any, facts geminiModel, model string) *problem {
	if path, name := geminiShape.strange(m, nil); name != "" {
		where := ""
		if len(path) > 0 {
			where = " at '" + brackets(path) + "'"
		}
		p := geminiInvalid("Invalid JSON payload received. Unknown name %q%s: Cannot find field.", name, where)
		p.details = list{object{
			"@type", "type.googleapis.com/google.rpc.BadRequest",
			"fieldViolations",
			list{object{"field", brackets(path), "description", p.message}},
		}}
		return p
	}
	contents := objects(m["contents"])
	if len(contents) == 0 {
		return geminiInvalid("* GenerateContentRequest.contents: contents is not specified\n")
	}
	for i, c := range contents {
		if p := geminiParts(c, i, model); p != nil {
			return p
		}
	}
	turns := geminiTurns(contents)
	if p := geminiCalls(turns); p != nil {
		return p
	}
	if facts.signs() {
		if p := geminiSigned(contents); p != nil {
			return p
		}
	}
	if turns[len(turns)-1].role == "model" && facts.noPrefill() {
		return geminiInvalid("Requests ending with a model turn are not supported for this model.")
	}
	return geminiSettings(m, facts)
}

func geminiSettings(m map[string]any, facts geminiModel) *problem {
	config := sub(m, "generationConfig")
	thinking := sub(config, "thinkingConfig")
	switch {
	case has(thinking, "thinkingLevel") && has(thinking, "thinkingBudget"): // (unverified)
		return geminiInvalid("You can only set only one of thinking budget and thinking level.")
	case has(thinking, "thinkingLevel") && facts.version > 0 && !facts.signs(): // (unverified)
		return geminiInvalid("Thinking level is not supported for this model.")
	case has(config, "responseSchema") && has(config, "responseJsonSchema"):
		return geminiInvalid("* GenerateContentRequest.generation_config: only one of response_schema and response_json_schema may be set\n")
	}
	if stops, _ := config["stopSequences"].([]any); len(stops) > 5 { // (unverified)
		return geminiInvalid("The number of stop sequences exceeds the limit of 5.")
	}
	for _, t := range objects(m["tools"]) {
		for i, d := range objects(t["functionDeclarations"]) {
			if !toolName.MatchString(text(d, "name")) {
				return geminiInvalid("* GenerateContentRequest.tools[0].function_declarations[%d].name: [Invalid function name. Must start with a letter or an underscore.]\n", i)
			}
			if has(d, "parameters") && has(d, "parametersJsonSchema") {
				return geminiInvalid("* GenerateContentRequest.tools[0].function_declarations[%d]: only one of parameters and parameters_json_schema may be set\n", i)
			}
		}
	}
	return nil
}

func geminiParts(c map[string]any, i int, model string) *problem {
	switch text(c, "role") {
	case "user", "model", "":
	default:
		return geminiInvalid("Please use a valid role: user, model.")
	}
	parts := objects(c["parts"])
	if len(parts) == 0 {
		return geminiInvalid("* GenerateContentRequest.contents[%d].parts: contents.parts must not be empty.\n", i)
	}
	data := []string{"text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult", "toolCall", "toolResponse"}
	for j, p := range parts {
		held := slices.DeleteFunc(slices.Clone(data), func(name string) bool { return !has(p, name) })
		switch {
		case len(held) != 1:
			return geminiInvalid("* GenerateContentRequest.contents[%d].parts[%d].data: required oneof field 'data' must have one initialized field\n", i, j)
		case has(p, "functionCall") && has(sub(p, "functionCall"), "args") && sub(sub(p, "functionCall"), "args") == nil:
			return geminiInvalid("Invalid value at 'contents[%d].parts[%d].function_call.args' (type.googleapis.com/google.protobuf.Struct)", i, j)
		case has(p, "functionResponse") && text(sub(p, "functionResponse"), "name") == "":
			return geminiInvalid("* GenerateContentRequest.contents[%d].parts[%d].function_response.name: Name cannot be empty.\n", i, j)
		case has(p, "functionResponse") && sub(sub(p, "functionResponse"), "response") == nil:
			return geminiInvalid("Invalid value at 'contents[%d].parts[%d].function_response.response' (type.googleapis.com/google.protobuf.Struct)", i, j)
		}
		if s := text(p, "thoughtSignature"); s != "" && !geminiAccepts(s, model) {
			bad := gemini{}.problem(BadSignature, 0, "")
			return &bad
		}
	}
	return nil
}

// skipValidator is the signature that the provider documents for calls it did not make.
const skipValidator = "skip_thought_signature_validator"

func geminiAccepts(signature, model string) bool {
	if signature == skipValidator || signature == base64.StdEncoding.EncodeToString([]byte(skipValidator)) {
		return true
	}
	by, ok := signed(Gemini, strings.NewReplacer("-", "+", "_", "/").Replace(signature))
	return ok && by == model
}

type geminiTurn struct {
	role             string
	calls, responses []string // by name
	other            bool     // holds something else too
}

// geminiTurns joins neighbors of the same role.
func geminiTurns(contents []map[string]any) []geminiTurn {
	var turns []geminiTurn
	for _, c := range contents {
		role := text(c, "role")
		if role == "" {
			role = "user"
		}
		if n := len(turns); n == 0 || turns[n-1].role != role {
			turns = append(turns, geminiTurn{role: role})
		}
		t := &turns[len(turns)-1]
		for _, p := range objects(c["parts"]) {
			switch {
			case has(p, "functionCall"):
				t.calls = append(t.calls, text(sub(p, "functionCall"), "name"))
			case has(p, "functionResponse"):
				t.responses = append(t.responses, text(sub(p, "functionResponse"), "name"))
			default:
				t.other = true
			}
		}
	}
	return turns
}

// geminiCalls checks that each turn of calls has its turn of responses.
func geminiCalls(turns []geminiTurn) *problem {
	for i, t := range turns {
		var before geminiTurn
		if i > 0 {
			before = turns[i-1]
		}
		switch {
		case len(t.calls) > 0 && (t.role != "model" || i == 0):
			return geminiInvalid("Please ensure that function call turn comes immediately after a user turn or after a function response turn.")
		case len(t.responses) > 0 && (t.role != "user" || len(before.calls) == 0):
			return geminiInvalid("Please ensure that function response turn comes immediately after a function call turn.")
		case len(before.calls) != len(t.responses):
			return geminiInvalid("Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.")
		case !slices.Equal(before.calls, t.responses) && len(t.responses) > 0:
			return geminiInvalid("Please ensure that the function response parts name the functions of the function call turn, in their order.")
		}
	}
	if last := turns[len(turns)-1]; len(last.calls) > 0 {
		return geminiInvalid("Please ensure that function call turn is followed by a function response turn.")
	}
	return nil
}

// geminiSigned checks that the first call of every step of the current turn comes back signed.
func geminiSigned(contents []map[string]any) *problem {
	begin := 0
	for i, c := range contents {
		plain := slices.ContainsFunc(objects(c["parts"]), func(p map[string]any) bool { return !has(p, "functionResponse") })
		if text(c, "role") != "model" && plain {
			begin = i
		}
	}
	for i, c := range contents[begin:] {
		for _, p := range objects(c["parts"]) {
			if !has(p, "functionCall") {
				continue
			}
			if text(p, "thoughtSignature") == "" {
				return geminiInvalid("Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call `default_api:%s` , position %d. Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more details.", text(sub(p, "functionCall"), "name"), begin+i+1)
			}
			break
		}
	}
	return nil
}
