package holdfasttest

func (o openAI) responses(m map[string]any) (*ask, *problem) {
	return nil, &problem{status: 404, kind: invalidRequest, message: "Invalid URL (POST /v1/responses)"}
}
