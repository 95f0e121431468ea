package holdfast

import (
	"fmt"
	"slices"
)

// Feature is something that a request may need and a model may lack. See [Endpoint].Lacks.
type Feature string

// The features.
const (
	FeatureTools     Feature = "tools"
	FeatureImages    Feature = "images"
	FeatureDocuments Feature = "documents"
	FeatureAudio     Feature = "audio"
	FeatureSchema    Feature = "schema"
)

const featureNames = `"tools", "images", "documents", "audio" or "schema"`

func (f Feature) valid() bool {
	return slices.Contains([]Feature{FeatureTools, FeatureImages, FeatureDocuments, FeatureAudio, FeatureSchema}, f)
}

// need is a feature that a request needs, and the field by which it does.
type need struct {
	feature Feature
	field   string
}

// needs lists what the request needs of a model beyond text. A history of tool calls needs tools too.
func (r *ChatRequest) needs() []need {
	var list []need
	add := func(f Feature, field string) {
		if !slices.ContainsFunc(list, func(n need) bool { return n.feature == f }) {
			list = append(list, need{f, field})
		}
	}
	if len(r.Tools) > 0 {
		add(FeatureTools, "tools")
	}
	if r.Output.Format == OutputSchema {
		add(FeatureSchema, "output.schema")
	}
	for i, m := range r.Messages {
		m.Parts.needs(fmt.Sprintf("messages[%d]", i), add)
	}
	return list
}

func (parts Parts) needs(at string, add func(f Feature, field string)) {
	for j, part := range parts {
		field := fmt.Sprintf("%s.parts[%d]", at, j)
		switch p := part.(type) {
		case *Image:
			add(FeatureImages, field)
		case *Document:
			add(FeatureDocuments, field)
		case *Audio:
			add(FeatureAudio, field)
		case *ToolCall:
			add(FeatureTools, field)
		case *ToolResult:
			add(FeatureTools, field)
			p.Parts.needs(field, add)
		}
	}
}
