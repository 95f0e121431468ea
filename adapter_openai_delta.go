package holdfast

import (
	"encoding/json"
	"slices"

	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// thinkingDetails is the Kind of a [Thinking] whose Opaque is an array of OpenRouter's reasoning_details.
const thinkingDetails = "reasoning_details"

// chatDelta holds the members of a delta or message as they stand in the chunk. They are read in the order in which a model
// makes them, which need not be the order in which they are written.
type chatDelta struct {
	thinking, details, content, refusal, annotations, calls, call []byte
}

// thinkingMembers are the names under which readable thinking comes, the first one counting: servers in transition send the
// same text under two.
var thinkingMembers = [...]string{"reasoning_content", "reasoning", "thinking"}

func (d *chatDecoder) delta(raw []byte, out *AnswerWriter) {
	var p chatDelta
	rank := len(thinkingMembers)
	s := &d.inner
	s.Reset(raw)
	for ok := s.Object(); ok && s.NextKey(); {
		switch key := string(s.Key()); key {
		case "content":
			p.content = s.Raw()
		case "reasoning_content", "reasoning", "thinking":
			r := slices.Index(thinkingMembers[:], key)
			if v := s.Raw(); r < rank && isText(v) {
				p.thinking, rank = v, r
			}
		case "reasoning_details":
			p.details = s.Raw()
		case "refusal":
			p.refusal = s.Raw()
		case "annotations":
			p.annotations = s.Raw()
		case "tool_calls":
			p.calls = s.Raw()
		case "function_call":
			p.call = s.Raw()
		default:
			s.Skip()
		}
	}
	d.apply(&p, out)
}

// isText reports whether raw is a string that is not empty.
func isText(raw []byte) bool { return len(raw) > len(`""`) && raw[0] == '"' }

func (d *chatDecoder) apply(p *chatDelta, out *AnswerWriter) {
	if p.thinking != nil {
		d.think(d.unquote(p.thinking), out)
	}
	if len(p.details) > 0 && p.details[0] == '[' {
		d.detail(p.details, p.thinking == nil, out)
	}
	switch {
	case len(p.content) == 0:
	case p.content[0] == '"':
		d.say(d.unquote(p.content), out)
	case p.content[0] == '[':
		d.contents(p.content, out)
	}
	if isText(p.refusal) {
		d.refuse(d.unquote(p.refusal), out)
	}
	if len(p.annotations) > 0 && p.annotations[0] == '[' {
		out.keep(len(p.annotations))
		d.notes.add(p.annotations)
	}
	if len(p.calls) > 0 {
		d.toolCalls(p.calls, out)
	}
	if len(p.call) > 0 && p.call[0] == '{' { // from before tool_calls
		d.fragment(chatFragment{function: p.call}, out)
	}
}

func (d *chatDecoder) unquote(raw []byte) []byte {
	d.inner.Reset(raw)
	b, _ := d.inner.Bytes()
	return b
}

func (d *chatDecoder) say(piece []byte, out *AnswerWriter) {
	if len(piece) == 0 {
		return
	}
	out.Text(piece)
	d.text, _ = out.Part().(*Text)
}

func (d *chatDecoder) refuse(piece []byte, out *AnswerWriter) {
	if len(piece) > 0 {
		d.refused = true
		out.Refusal(piece)
	}
}

func (d *chatDecoder) think(piece []byte, out *AnswerWriter) {
	if len(piece) == 0 {
		return
	}
	d.thinkingBlock(out)
	out.Thinking(piece)
}

// thinkingBlock makes sure that a block of thinking is open, and remembers it.
func (d *chatDecoder) thinkingBlock(out *AnswerWriter) {
	if t, ok := out.Part().(*Thinking); ok {
		d.thoughts = t
		return
	}
	d.thoughts = &Thinking{Origin: out.Origin()}
	d.details = chatArray{}
	out.Open(d.thoughts)
}

// detail keeps reasoning_details as they are, to be returned unchanged. They are shown only where nothing else is.
func (d *chatDecoder) detail(raw []byte, show bool, out *AnswerWriter) {
	s := jsonscan.New(raw)
	for ok := s.Array(); ok && s.NextElem(); {
		elem := s.Raw()
		if len(elem) == 0 || elem[0] != '{' {
			continue
		}
		if d.thoughts == nil {
			d.thinkingBlock(out)
		}
		if text := detailText(elem); show && text != nil {
			d.think(text, out)
		}
		if d.details.append(elem) {
			out.keep(len(elem))
			d.thoughts.Kind, d.thoughts.Opaque = thinkingDetails, d.details.json
		}
	}
}

// detailText returns the readable text of one of the details, nil if it has none.
func detailText(raw []byte) []byte {
	s := jsonscan.New(raw)
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "text", "summary":
			if v := s.Raw(); isText(v) {
				in := jsonscan.New(v)
				text, _ := in.Bytes()
				return text
			}
		default:
			s.Skip()
		}
	}
	return nil
}

// contents reads content that comes as parts: Mistral's thinking and text, and the texts of servers that return parts.
func (d *chatDecoder) contents(raw []byte, out *AnswerWriter) {
	s := jsonscan.New(raw)
	for ok := s.Array(); ok && s.NextElem(); {
		if s.Kind() == jsonscan.String {
			piece, _ := s.Bytes()
			d.say(piece, out)
			continue
		}
		var kind string
		var text, thinking, refusal []byte
		for ok := s.Object(); ok && s.NextKey(); {
			switch string(s.Key()) {
			case "type":
				kind = s.String()
			case "text":
				text = s.Raw()
			case "thinking":
				thinking = s.Raw()
			case "refusal":
				refusal = s.Raw()
			default:
				s.Skip()
			}
		}
		switch {
		case kind == "thinking" || thinking != nil:
			d.thinkingParts(thinking, out)
		case isText(refusal):
			d.refuse(d.unquote(refusal), out)
		case isText(text):
			d.say(d.unquote(text), out)
		}
	}
}

// thinkingParts reads thinking as a string, or as an array of texts.
func (d *chatDecoder) thinkingParts(raw []byte, out *AnswerWriter) {
	if isText(raw) {
		d.think(d.unquote(raw), out)
		return
	}
	s := jsonscan.New(raw)
	if s.Kind() != jsonscan.Array {
		return
	}
	for ok := s.Array(); ok && s.NextElem(); {
		if s.Kind() == jsonscan.String {
			piece, _ := s.Bytes()
			d.think(piece, out)
		} else if text := detailText(s.Raw()); text != nil {
			d.think(text, out)
		}
	}
}

// annotate attaches the annotations of the answer, such as citations, to its last text.
func (d *chatDecoder) annotate(out *AnswerWriter) {
	if d.text == nil || len(d.notes.json) == 0 {
		return
	}
	raw := append([]byte(`{"annotations":`), d.notes.json...)
	d.text.Extra = Extra{d.profile.name(): json.RawMessage(append(raw, '}'))}
	d.text.Origin = out.Origin()
}

// chatArray is a JSON array that grows by elements. Its json is whole after every step.
type chatArray struct{ json []byte }

// add appends the elements of another array.
func (a *chatArray) add(array []byte) {
	s := jsonscan.New(array)
	for ok := s.Array(); ok && s.NextElem(); {
		a.append(s.Raw())
	}
}

// append adds an element if it is valid, and reports whether it was.
func (a *chatArray) append(elem []byte) bool {
	if !json.Valid(elem) {
		return false
	}
	if len(a.json) == 0 {
		a.json = append(a.json, '[')
	} else {
		a.json[len(a.json)-1] = ','
	}
	a.json = append(append(a.json, elem...), ']')
	return true
}
