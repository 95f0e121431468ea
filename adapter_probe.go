package holdfast

// Prober is an adapter with a request that costs nothing, for [ProbeFree].
type Prober interface {
	// Probe returns a request without a body, such as that for the list of models. Whatever answers it with a status of 200 to 299, and
	// not with a page, is there.
	Probe(Target) Encoded
}

// Probe asks for the list of models, as little of it as can be.
func (claudeAdapter) Probe(Target) Encoded {
	return Encoded{Method: "GET", Path: "/v1/models?limit=1"}
}

// Probe asks for the list of models.
func (openaiAdapter) Probe(Target) Encoded { return listModels }

// Probe asks for the list of models.
func (responsesAdapter) Probe(Target) Encoded { return listModels }

// Probe asks for the list of models, which nearly every compatible server has (unverified for each of them).
func (chatAdapter) Probe(Target) Encoded { return listModels }

var listModels = Encoded{Method: "GET", Path: "/models"}

// Probe asks for the list of models. Vertex AI has none at such a path (unverified).
func (geminiAdapter) Probe(Target) Encoded {
	return Encoded{Method: "GET", Path: "/models?pageSize=1"}
}
