package holdfast

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// geminiSignature is the Kind of a [Thinking] that stands for an empty text part with a thought signature.
const geminiSignature = "signature"

// geminiPart is a part of the answer, its members raw.
type geminiPart struct {
	whole, text, signature, call []byte
	thought                      bool
	other                        bool // it has a member of another kind
}

func (d *geminiDecoder) content(raw []byte, out *AnswerWriter) error {
	s := jsonscan.New(raw)
	for ok := len(raw) > 0 && s.Object(); ok && s.NextKey(); {
		if string(s.Key()) != "parts" {
			s.Skip()
			continue
		}
		for ok := s.Array(); ok && s.NextElem(); {
			if err := d.part(geminiReadPart(s.Raw()), out); err != nil {
				return err
			}
		}
	}
	if s.Err() != nil && len(raw) > 0 {
		return Malformed("the answer is not valid JSON")
	}
	return nil
}

func geminiReadPart(raw []byte) geminiPart {
	p := geminiPart{whole: raw}
	s := jsonscan.New(raw)
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "text":
			if s.Kind() == jsonscan.String {
				p.text = s.Raw()
			} else {
				s.Skip()
			}
		case "thought":
			p.thought = s.Bool()
		case "thoughtSignature":
			if s.Kind() == jsonscan.String {
				p.signature = s.Raw()
			} else {
				s.Skip()
			}
		case "functionCall":
			if s.Kind() == jsonscan.Object {
				p.call = s.Raw()
			} else {
				s.Skip()
			}
		default:
			p.other = p.other || s.Kind() == jsonscan.Object
			s.Skip()
		}
	}
	return p
}

// part writes one part. Signed parts are kept apart from their neighbours, as Google demands of what it is sent back.
func (d *geminiDecoder) part(p geminiPart, out *AnswerWriter) error {
	if p.call != nil {
		return d.call(p, out)
	}
	if p.text == nil && p.other { // generated images, code and its result, the calls of Google's own tools
		if !json.Valid(p.whole) {
			return Malformed("the answer is not valid JSON")
		}
		out.Whole(&Opaque{Raw: bytes.Clone(p.whole), Origin: out.Origin()})
		return nil
	}
	text := d.value(p.text)
	switch {
	case p.thought:
		d.thought(text, p.signature, out)
	case p.signature == nil:
		if len(text) > 0 {
			out.Text(text)
		}
	case len(text) == 0:
		out.Whole(&Thinking{Kind: geminiSignature, Opaque: bytes.Clone(d.value(p.signature)), Origin: out.Origin()})
	default:
		t := &Text{Origin: out.Origin()}
		out.Open(t)
		out.Text(text)
		t.Extra = geminiExtra(string(d.value(p.signature)), false)
		out.End()
	}
	return nil
}

func (d *geminiDecoder) thought(text, signature []byte, out *AnswerWriter) {
	if len(text) > 0 {
		out.Thinking(text)
		if t := out.Part().(*Thinking); t.Origin == nil {
			t.Origin = out.Origin()
		}
	}
	if signature == nil {
		return
	}
	t, ok := out.Part().(*Thinking)
	if !ok {
		t = &Thinking{Origin: out.Origin()}
		out.Open(t)
	}
	t.Opaque = bytes.Clone(d.value(signature))
	out.End()
}

// geminiExtra is what a text or a call keeps of Gemini's.
func geminiExtra(signature string, minted bool) Extra {
	b, _ := json.Marshal(struct {
		Signature string `json:"thoughtSignature,omitempty"`
		Minted    bool   `json:"minted,omitempty"`
	}{signature, minted})
	return Extra{geminiName: b}
}

// call writes a function call, which comes whole.
func (d *geminiDecoder) call(p geminiPart, out *AnswerWriter) error {
	var id, name string
	var args []byte
	s := jsonscan.New(p.call)
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "id":
			id = s.String()
		case "name":
			name = s.String()
		case "args":
			args = s.Raw()
		case "partialArgs":
			return &Error{
				Kind: KindUnsupported, Field: "extra.gemini.toolConfig",
				Message: "streamFunctionCallArguments brings arguments in a form that cannot be checked: leave it out",
			}
		default:
			s.Skip()
		}
	}
	if name == "" {
		return geminiNoAnswer("UNNAMED_FUNCTION_CALL", "the model called a function without a name")
	}
	if len(args) > 0 && args[0] == '"' { // some gateways quote it
		args = d.value(args)
	}
	minted := id == "" || slices.Contains(d.ids, id)
	if minted {
		id = d.mint()
	}
	d.ids = append(d.ids, id)
	key := d.calls
	d.calls++
	out.ToolCall(key, id, name)
	out.ToolArgs(key, args)
	if minted || p.signature != nil {
		c := out.OpenToolCall(key)
		c.Extra, c.Origin = geminiExtra(string(d.value(p.signature)), minted), out.Origin()
	}
	out.EndToolCall(key)
	return nil
}

// mint makes an id for a call that came without one. It is the same each time the answer is read, and differs from the ids
// of other answers, since the response's id is part of it, or a hash of what stands for it.
func (d *geminiDecoder) mint() string {
	answer := d.id
	if answer == "" {
		answer = string(d.data)
	}
	return "call_" + foldID(answer, "_-", 40) + "_" + strconv.Itoa(d.calls)
}
