package holdfast

import "testing"

func TestOpenAIModelFacts(t *testing.T) {
	t.Parallel()
	type want struct {
		reasons, sampling, samplingOff, noStop, tools, responses, chat bool
		efforts                                                        []Effort // taken
		missing                                                        []Effort // refused
	}
	young := want{
		reasons: true, samplingOff: true, noStop: true, tools: true,
		efforts: []Effort{"", EffortOff, EffortLow, EffortXHigh, EffortMax}, missing: []Effort{EffortMinimal},
	}
	plain := want{sampling: true, samplingOff: true, efforts: []Effort{""}, missing: []Effort{EffortOff, EffortHigh}}
	unknown := want{sampling: true, samplingOff: true, efforts: []Effort{EffortMinimal, EffortMax}}
	pro := want{reasons: true, noStop: true, responses: true, efforts: []Effort{EffortHigh}, missing: []Effort{EffortOff}}
	for model, want := range map[string]want{
		"gpt-6-sol":                     young,
		"gpt-6.1-terra":                 young,
		"gpt-5.6-luna":                  young,
		"us.openai.gpt-5.6-sol":         young,
		"openai/gpt-6-astra":            young,
		"GPT-6-Sol":                     young,
		"gpt-5.5-2026-04-23":            {reasons: true, samplingOff: true, noStop: true, tools: true, efforts: []Effort{EffortXHigh}, missing: []Effort{EffortMinimal}},
		"gpt-5.4-mini":                  {reasons: true, samplingOff: true, noStop: true, tools: true, efforts: []Effort{EffortOff, EffortXHigh}, missing: []Effort{EffortMax}},
		"gpt-5.2":                       {reasons: true, sampling: true, samplingOff: true, noStop: true, efforts: []Effort{EffortOff, EffortXHigh}},
		"gpt-5.1":                       {reasons: true, sampling: true, samplingOff: true, noStop: true, efforts: []Effort{EffortOff}, missing: []Effort{EffortXHigh}},
		"gpt-5-mini":                    {reasons: true, noStop: true, efforts: []Effort{EffortMinimal}, missing: []Effort{EffortOff}},
		"gpt-5.5-pro-2026-04-23":        pro,
		"gpt-5-pro":                     pro,
		"o3-pro":                        pro,
		"gpt-5.3-codex":                 {reasons: true, noStop: true, responses: true, efforts: []Effort{EffortXHigh}},
		"gpt-5.3-chat-latest":           unknown,
		"o4-mini-2025-04-16":            {reasons: true, noStop: true, efforts: []Effort{EffortLow}, missing: []Effort{EffortOff, EffortMinimal}},
		"o1":                            {reasons: true, efforts: []Effort{EffortLow}, missing: []Effort{EffortOff}},
		"gpt-4o":                        plain,
		"gpt-4.1-nano-2025-04-14":       plain,
		"ft:gpt-4.1-mini:acme::abc123":  plain,
		"gpt-4o-audio-preview":          {sampling: true, samplingOff: true, chat: true},
		"gpt-4o-mini-search-preview":    {chat: true},
		"gpt-oss-120b":                  {reasons: true, sampling: true, samplingOff: true, efforts: []Effort{EffortHigh}, missing: []Effort{EffortOff}},
		"gpt-7-whatever":                {reasons: true, samplingOff: true, noStop: true, tools: true, efforts: []Effort{EffortMinimal, EffortMax}},
		"my-azure-deployment":           unknown,
		"":                              unknown,
		"eu.openai.gpt-6-sol@2026-10-1": young,
	} {
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			f := openaiModel(model)
			for _, c := range []struct {
				name      string
				got, want bool
			}{
				{"Reasons", f.Reasons, want.reasons},
				{"samples by default", f.samples(""), want.sampling},
				{"samples with effort off", f.samples(EffortOff), want.samplingOff},
				{"samples with an effort", f.samples(EffortHigh), f.Sampling == samplingAlways},
				{"NoStop", f.NoStop, want.noStop},
				{"ToolsOnResponses", f.ToolsOnResponses, want.tools},
				{"ResponsesOnly", f.ResponsesOnly, want.responses},
				{"ChatOnly", f.ChatOnly, want.chat},
			} {
				if c.got != c.want {
					t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
				}
			}
			for _, e := range want.efforts {
				if !f.hasEffort(e) {
					t.Errorf("effort %q: got none, want it taken", e)
				}
			}
			for _, e := range want.missing {
				if f.hasEffort(e) {
					t.Errorf("effort %q: got it taken, want none", e)
				}
			}
		})
	}
}
