package holdfast

// openaiAdapter is OpenAI itself: each request goes by the Responses API, which serves every current model with tools, unless
// it needs what only Chat Completions has and the model permits it there. Where only one of them is served, as by a classic
// deployment of Azure's, the endpoint's provider is "openai-responses" or "openai-chat".
type openaiAdapter struct {
	responsesAdapter
	chat AIServiceAdapter
}

// ChooseDialect returns the adapter of one of the two APIs. If neither can carry the request, it is the one whose refusal names
// the field that decides it.
func (a openaiAdapter) ChooseDialect(req *ChatRequest, to Target) AIServiceAdapter {
	model := openaiModel(to.Model)
	switch {
	case a.chat == nil, model.ResponsesOnly:
		return a.responsesAdapter
	case model.ChatOnly:
		return a.chat
	case !needsChat(req):
		return a.responsesAdapter
	}
	// The codec itself knows best whether the model permits it. Such requests are rare enough to be encoded twice.
	if _, err := a.chat.Encode(nil, req, to); err != nil {
		return a.responsesAdapter
	}
	return a.chat
}

// needsChat reports whether a request has what the Responses API cannot express, and not as a hint.
func needsChat(req *ChatRequest) bool {
	for _, f := range [...]struct {
		set   bool
		field string
	}{
		{len(req.Stop) > 0, "stop"},
		{req.Seed != nil, "seed"},
		{req.PresencePenalty != nil, "presence_penalty"},
		{req.FrequencyPenalty != nil, "frequency_penalty"},
	} {
		if f.set && !req.hinted(f.field) {
			return true
		}
	}
	for _, m := range req.Messages {
		for _, p := range m.Parts {
			if _, ok := p.(*Audio); ok {
				return true
			}
		}
	}
	return false
}
