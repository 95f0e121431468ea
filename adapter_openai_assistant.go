package holdfast

import (
	"github.com/holdfast-ai/holdfast/internal/jsonappend"
	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// chatTurn is what a message of the assistant comes to at the target.
type chatTurn struct {
	texts, refusals, calls, thoughts int
	marks                            int // cache hints on its texts
}

// assistant writes a message of the assistant, or nothing if nothing in it can be returned here.
func (e *chatEncoder) assistant(i int) {
	m := &e.req.Messages[i]
	turn := e.weigh(i)
	if turn.texts+turn.refusals+turn.calls == 0 {
		return
	}
	e.open("assistant")
	e.answer(i, turn)
	e.thinking(i, turn)
	if turn.calls > 0 {
		e.dst = append(e.dst, `,"tool_calls":[`...)
		for j, p := range m.Parts {
			if c, ok := p.(*ToolCall); ok {
				e.toolCall(place{i, j, -1}, c)
			}
		}
		e.dst = append(e.dst, ']')
	}
	if e.prefilled && i == len(e.req.Messages)-1 {
		switch e.profile.prefill {
		case prefillPrefix, prefillBeta:
			e.dst = append(e.dst, `,"prefix":true`...)
		case prefillPartial:
			e.dst = append(e.dst, `,"partial":true`...)
		}
	}
	e.dst = append(e.dst, '}')
}

// weigh counts what may be returned and notes what may not.
func (e *chatEncoder) weigh(i int) chatTurn {
	var t chatTurn
	parts := e.req.Messages[i].Parts
	for _, p := range parts {
		switch p := p.(type) {
		case *Text:
			t.texts++
			t.marks += hints(p.Cache)
		case *Refusal:
			t.refusals++
		case *ToolCall:
			t.calls++
		}
	}
	for j, p := range parts {
		switch p := p.(type) {
		case *Thinking:
			if e.returns(t, p) {
				t.thoughts++
			} else {
				e.note(place{i, j, -1}.String())
			}
		case *Opaque:
			e.note(place{i, j, -1}.String())
		}
	}
	return t
}

// returns reports whether a piece of thinking goes back to the target.
func (e *chatEncoder) returns(t chatTurn, p *Thinking) bool {
	if e.muted || !e.to.made(e.profile.name(), p.Origin) {
		return false
	}
	switch e.profile.passBack {
	case passCalls, passMust:
		return t.calls > 0 && p.Text != ""
	case passDetails:
		return p.Kind == thinkingDetails && len(p.Opaque) > 0
	case passParts:
		return p.Text != ""
	}
	return false
}

// answer writes the content: a string where it can be one, parts where the server knows more than text.
func (e *chatEncoder) answer(i int, t chatTurn) {
	switch {
	case e.profile.passBack == passParts && t.thoughts > 0:
		e.answerParts(i)
	case e.profile.has(isOpenAI) && t.texts > 0 && (t.texts > 1 || t.refusals > 0 || t.marks > 0 && e.model.Breakpoints):
		e.answerParts(i)
	case e.profile.has(isOpenAI) && t.texts == 0:
		e.refusal(i, t)
	default:
		e.dst = append(e.dst, `,"content":"`...)
		for j, p := range e.req.Messages[i].Parts {
			switch p := p.(type) {
			case *Text:
				e.dst = jsonappend.Fragment(e.dst, p.Text)
				e.unsaid(place{i, j, -1}, p)
			case *Refusal:
				e.dst = jsonappend.Fragment(e.dst, p.Text)
			}
		}
		e.dst = append(e.dst, '"')
	}
}

// refusal writes a message without text, in OpenAI's form.
func (e *chatEncoder) refusal(i int, t chatTurn) {
	e.dst = append(e.dst, `,"content":null`...)
	if t.refusals == 0 {
		return
	}
	e.dst = append(e.dst, `,"refusal":"`...)
	for _, p := range e.req.Messages[i].Parts {
		if r, ok := p.(*Refusal); ok {
			e.dst = jsonappend.Fragment(e.dst, r.Text)
		}
	}
	e.dst = append(e.dst, '"')
}

// answerParts writes the content as parts: OpenAI's text and refusal, Mistral's text and thinking.
func (e *chatEncoder) answerParts(i int) {
	e.dst = append(e.dst, `,"content":[`...)
	for j, p := range e.req.Messages[i].Parts {
		at := place{i, j, -1}
		switch p := p.(type) {
		case *Text:
			e.textPart(p.Text)
			if p.Cache != "" && !e.breakpoint(p.Cache) {
				e.note(at.String() + ".cache")
			}
			if len(p.Extra) > 0 {
				e.note(at.String() + ".extra")
			}
			e.dst = append(e.dst, '}')
		case *Refusal:
			if !e.profile.has(isOpenAI) {
				e.textPart(p.Text)
			} else {
				e.dst = jsonappend.String(append(jsonappend.Comma(e.dst), `{"type":"refusal","refusal":`...), p.Text)
			}
			e.dst = append(e.dst, '}')
		case *Thinking:
			if e.profile.passBack == passParts && e.returns(chatTurn{}, p) {
				e.dst = append(jsonappend.Comma(e.dst), `{"type":"thinking","thinking":[`...)
				e.textPart(p.Text)
				e.dst = append(e.dst, '}', ']', '}')
			}
		}
	}
	e.dst = append(e.dst, ']')
}

// thinking writes what goes back beside the content.
func (e *chatEncoder) thinking(i int, t chatTurn) {
	if t.thoughts == 0 || e.profile.passBack == passParts {
		return
	}
	details := e.profile.passBack == passDetails
	if details {
		e.dst = append(e.dst, `,"reasoning_details":[`...)
	} else {
		e.dst = append(jsonappend.Key(e.dst, e.profile.thinking), '"')
	}
	for _, p := range e.req.Messages[i].Parts {
		think, ok := p.(*Thinking)
		switch {
		case !ok || !e.returns(t, think):
		case details:
			e.details(think.Opaque)
		default:
			e.dst = jsonappend.Fragment(e.dst, think.Text)
		}
	}
	if details {
		e.dst = append(e.dst, ']')
	} else {
		e.dst = append(e.dst, '"')
	}
}

// details writes the elements of an array that the server wants back unchanged.
func (e *chatEncoder) details(array []byte) {
	s := jsonscan.New(array)
	for ok := s.Array(); ok && s.NextElem(); {
		if raw := s.Valid(); raw != nil {
			e.dst = append(jsonappend.Comma(e.dst), raw...)
		}
	}
}

func (e *chatEncoder) toolCall(at place, c *ToolCall) {
	e.dst = jsonappend.String(append(jsonappend.Comma(e.dst), `{"id":`...), e.profile.id(c.ID))
	e.dst = jsonappend.String(append(e.dst, `,"type":"function","function":{"name":`...), c.Name)
	e.dst = append(e.dst, `,"arguments":`...)
	if len(c.Args) == 0 {
		e.dst = append(e.dst, `"{}"`...)
	} else {
		e.dst = jsonappend.String(e.dst, []byte(c.Args))
	}
	e.dst = append(e.dst, '}')
	if len(c.Extra) > 0 {
		extra := members(c.Extra[e.profile.name()])
		if len(extra) > 0 && e.to.made(e.profile.name(), c.Origin) {
			e.dst = append(append(e.dst, ','), extra...)
		} else {
			e.note(at.String() + ".extra")
		}
	}
	e.dst = append(e.dst, '}')
}
