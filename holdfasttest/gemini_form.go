package holdfasttest

import "fmt"

// thought is how long a piece of thinking is, in characters.
const thought = 24

var geminiStops = map[StopReason]string{
	EndTurn: "STOP", MaxTokens: "MAX_TOKENS", StopSequence: "STOP", ToolUse: "STOP", ContentFilter: "SAFETY",
	ContextExceeded: "MAX_TOKENS", Paused: "CONTINUATION",
}

// geminiForm shapes answers of generateContent.
type geminiForm struct {
	model  geminiModel
	show   bool // thoughts are shown
	pieces bool // a stream is a JSON array in pieces
}

func (f geminiForm) array() bool { return f.pieces }

// parts returns the content parts, each with the share of the output that it is.
func (f geminiForm) parts(a *answer, thoughts, texts []string) []object {
	var out []object
	if f.show {
		for _, t := range thoughts {
			out = append(out, object{"text", t, "thought", true})
		}
	}
	for _, t := range texts {
		out = append(out, object{"text", t})
	}
	for i, c := range a.ToolCalls {
		call := object{"name", c.Name, "args", raw(c.Args)}
		if c.ID == "" && f.model.signs() {
			c.ID = fmt.Sprintf("%06d%02d", a.n, i)
		}
		if c.ID != "" {
			call = append(call, "id", c.ID)
		}
		p := object{"functionCall", call}
		if i == 0 && f.model.signs() {
			p = append(p, "thoughtSignature", f.signature(a))
		}
		out = append(out, p)
	}
	return out
}

func (geminiForm) signature(a *answer) string { return sign(Gemini, a.ask.model, a.n) }

// signsText reports whether the last text part is signed.
func (f geminiForm) signsText(a *answer) bool { return f.model.signs() && len(a.ToolCalls) == 0 }

// blocked reports whether the prompt was refused before any output.
func (geminiForm) blocked(a *answer) bool {
	return a.Refusal != "" && len(a.chunks) == 0 && len(a.ToolCalls) == 0
}

func (f geminiForm) response(a *answer, candidate object, usage object) object {
	o := object{}
	if f.blocked(a) {
		o = append(o, "promptFeedback", object{"blockReason", "PROHIBITED_CONTENT", "blockReasonMessage", a.Refusal})
	} else {
		o = append(o, "candidates", list{candidate})
	}
	return append(o, "usageMetadata", usage, "modelVersion", a.Model, "responseId", fmt.Sprintf("resp%018d", a.n))
}

// candidate returns the candidate with these parts, the last said pieces in.
func (f geminiForm) candidate(a *answer, parts []object, last bool, said int) object {
	body := object{"role", "model"}
	if len(parts) > 0 {
		body = object{"parts", parts, "role", "model"}
	}
	o := object{"content", body}
	if last {
		reason := a.StopReason.word(geminiStops)
		if a.Refusal != "" {
			reason = "SAFETY"
			o = append(o, "finishMessage", a.Refusal)
		}
		o = append(o, "finishReason", reason)
		if reason == "CONTINUATION" {
			o = append(o, "continuationToken", f.token(a, said))
		}
	} else if a.Checkpoints > 0 && said%a.Checkpoints == 0 && f.model.continuable() {
		o = append(o, "continuationToken", f.token(a, said))
	}
	return append(o, "index", 0)
}

// usage counts up to a share of the output, 1 being all.
func (f geminiForm) usage(a *answer, share float64) object {
	u := a.Usage
	said := int(float64(u.Output-u.Reasoning) * share)
	o := object{"promptTokenCount", u.Input}
	if f.blocked(a) {
		return append(o, "totalTokenCount", u.Input)
	}
	o = append(o, "candidatesTokenCount", said, "totalTokenCount", u.Input+said+u.Reasoning)
	if u.CacheRead > 0 {
		o = append(o, "cachedContentTokenCount", u.CacheRead)
	}
	o = append(o, "promptTokensDetails", list{object{"modality", "TEXT", "tokenCount", u.Input}})
	if u.Reasoning > 0 {
		o = append(o, "thoughtsTokenCount", u.Reasoning)
	}
	return o
}

func (f geminiForm) whole(a *answer) any {
	var texts, thoughts []string
	if len(a.chunks) > 0 {
		texts = []string{a.Text}
	}
	if a.Thinking != "" {
		thoughts = []string{a.Thinking}
	}
	parts := f.parts(a, thoughts, texts)
	if n := len(parts); n > 0 && f.signsText(a) {
		parts[n-1] = append(parts[n-1], "thoughtSignature", f.signature(a))
	}
	return f.response(a, f.candidate(a, parts, true, f.length(a.speech())), f.usage(a, 1))
}

func (f geminiForm) events(a *answer) []event {
	if f.blocked(a) {
		return []event{newEvent(terminator, "", f.whole(a))}
	}
	parts := f.parts(a, fragments(a.Thinking, thought), a.chunks)
	var out []event
	for i, p := range parts {
		share := float64(i+1) / float64(len(parts)+1)
		out = append(out, newEvent(content, "", f.response(a, f.candidate(a, []object{p}, false, i+1), f.usage(a, share))))
	}
	last := []object{{"text", ""}}
	if f.signsText(a) {
		last[0] = append(last[0], "thoughtSignature", f.signature(a))
	}
	if len(parts) == 0 {
		last = nil
	}
	return append(out, newEvent(terminator, "", f.response(a, f.candidate(a, last, true, len(parts)), f.usage(a, 1))))
}

func (geminiForm) failure(p *problem, _, _ int) event { return newEvent(frame, "", gemini{}.body(p)) }

func (geminiForm) ping() event { return event{} }
