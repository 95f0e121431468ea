package holdfast

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// claudeRedacted is the Kind of thinking that came encrypted.
const claudeRedacted = "redacted"

// Decode implements [AIServiceAdapter].
func (a claudeAdapter) Decode(body []byte, out *AnswerWriter) error {
	var d claudeDecoder
	s := jsonscan.New(body)
	if s.Kind() != jsonscan.Object {
		return notClaude()
	}
	message, failed := false, false
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "type":
			b, _ := s.Bytes()
			message = message || string(b) == "message"
			failed = failed || string(b) == "error"
		case "error":
			failed = failed || s.Kind() == jsonscan.Object
			s.Skip()
		case "id":
			out.Start(s.String(), "")
		case "model":
			out.Start("", s.String())
		case "content":
			if err := d.content(&s, out); err != nil {
				return err
			}
		case "usage":
			d.readUsage(s.Raw())
		default:
			d.stopField(&s)
		}
	}
	if err := s.End(); err != nil {
		return claudeBroken(err, "the answer is not valid JSON")
	}
	switch {
	case failed && !message:
		return a.streamError(body)
	case !message || !d.sawContent:
		return notClaude()
	}
	d.usage.Exact = d.usage.Raw != nil
	out.Usage(d.usage)
	d.stop(out, true)
	d.done(out)
	return nil
}

func notClaude() *Error {
	return &Error{Kind: KindIntercepted, Message: "the answer is not a message of Claude's", foreign: true}
}

// claudeBroken tells a document that ends too early from one that is wrong.
func claudeBroken(err error, why string) *Error {
	if errors.Is(err, jsonscan.ErrTruncated) {
		return &Error{Kind: KindTruncated, Message: "the answer ends in the middle of its JSON"}
	}
	return Malformed(why)
}

// claudeDecoder reads an answer's blocks, whole or streamed.
type claudeDecoder struct {
	scan       jsonscan.Scanner // of a frame; reused
	open       claudeBlock
	key        int // of the open tool call
	sawContent bool

	// pending: a tool call ended without any arguments. Whether it has none or was cut off shows only by what follows.
	pending bool
	// input is what a tool call began with; args is set when pieces of its arguments came.
	input []byte
	args  bool
	// whole is the open block that is only kept. Once it is streamed, opaque holds its members, and pieces the input.
	whole     []byte
	opaque    map[string]json.RawMessage
	pieces    []byte
	citations []byte

	usage   Usage
	created int // tokens written to the cache for any time
	ended   claudeStop
	extra   map[string]json.RawMessage
}

// claudeBlock is the kind of the open content block.
type claudeBlock uint8

const (
	blockNone claudeBlock = iota
	blockText
	blockThinking
	blockTool
	blockOpaque
)

func (d *claudeDecoder) content(s *jsonscan.Scanner, out *AnswerWriter) error {
	d.sawContent = s.Kind() == jsonscan.Array
	if !s.Array() {
		return nil
	}
	for i := 0; s.NextElem(); i++ {
		raw := s.Raw()
		if raw == nil {
			return nil // the caller sees the scanner's error
		}
		if err := d.begin(i, raw, out); err != nil {
			return err
		}
		if err := d.end(out); err != nil {
			return err
		}
	}
	return nil
}

// begin opens a content block. Blocks follow each other; one that was not ended ends here.
func (d *claudeDecoder) begin(key int, raw []byte, out *AnswerWriter) error {
	if err := d.end(out); err != nil {
		return err
	}
	if d.pending {
		d.pending = false
		out.EndToolCall(d.key)
	}
	out.Start("", "")
	d.key, d.args = key, false
	d.input, d.pieces, d.citations = d.input[:0], d.pieces[:0], d.citations[:0]
	switch kind := claudeType(raw); kind {
	case "text":
		d.open = blockText
		out.Open(new(Text))
		d.textBlock(raw, out)
	case "thinking", "redacted_thinking":
		d.open = blockThinking
		d.thinkingBlock(raw, kind, out)
	case "tool_use":
		d.open = blockTool
		d.toolBlock(raw, out)
	default:
		d.open = blockOpaque
		if !isObject(raw) {
			return Malformed("a content block is not a JSON object")
		}
		d.whole = append(d.whole[:0], raw...)
	}
	out.Busy(d.open == blockThinking || d.open == blockOpaque)
	return nil
}

// claudeType returns the type of a block without allocating for the known ones.
func claudeType(raw []byte) string {
	s := jsonscan.New(raw)
	for ok := s.Object(); ok && s.NextKey(); {
		if string(s.Key()) != "type" {
			s.Skip()
			continue
		}
		b, _ := s.Bytes()
		for _, known := range [...]string{"text", "thinking", "redacted_thinking", "tool_use"} {
			if string(b) == known {
				return known
			}
		}
		break
	}
	return ""
}

func (d *claudeDecoder) textBlock(raw []byte, out *AnswerWriter) {
	s := jsonscan.New(raw)
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "text":
			if b, ok := s.Bytes(); ok {
				out.Text(b)
			}
		case "citations":
			for ok := s.Array(); ok && s.NextElem(); {
				d.cite(s.Raw())
			}
		default:
			s.Skip()
		}
	}
}

func (d *claudeDecoder) cite(raw []byte) {
	if !json.Valid(raw) {
		return
	}
	if len(d.citations) > 0 {
		d.citations = append(d.citations, ',')
	}
	d.citations = append(d.citations, raw...)
}

func (d *claudeDecoder) thinkingBlock(raw []byte, kind string, out *AnswerWriter) {
	t := &Thinking{Origin: out.Origin()}
	if kind == "redacted_thinking" {
		t.Kind = claudeRedacted
	}
	out.Open(t)
	s := jsonscan.New(raw)
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "thinking":
			if b, ok := s.Bytes(); ok && t.Kind == "" {
				out.Thinking(b)
			}
		case "signature", "data":
			if b, ok := s.Bytes(); ok && len(b) > 0 {
				t.Opaque = bytes.Clone(b)
			}
		default:
			s.Skip()
		}
	}
}

func (d *claudeDecoder) toolBlock(raw []byte, out *AnswerWriter) {
	var id, name string
	extra := map[string]json.RawMessage(nil)
	s := jsonscan.New(raw)
	for ok := s.Object(); ok && s.NextKey(); {
		switch key := string(s.Key()); key {
		case "id":
			id = s.String()
		case "name":
			name = s.String()
		case "input":
			d.input = append(d.input[:0], s.Raw()...)
		case "caller", "toolset_name":
			if v := s.Valid(); v != nil && string(v) != "null" && claudeCaller(v) != "direct" {
				if extra == nil {
					extra = map[string]json.RawMessage{}
				}
				extra[key] = v
			}
		default:
			s.Skip()
		}
	}
	out.ToolCall(d.key, id, name)
	if call := out.OpenToolCall(d.key); call != nil && extra != nil {
		kept, _ := json.Marshal(extra) // of valid JSON: cannot fail
		call.Extra, call.Origin = Extra{claudeDialect.Name: kept}, out.Origin()
	}
}

// claudeCaller returns the type of a caller object. "direct" is the ordinary one, which need not be kept.
func claudeCaller(raw []byte) string {
	s := jsonscan.New(raw)
	for ok := s.Object(); ok && s.NextKey(); {
		if string(s.Key()) == "type" {
			return s.String()
		}
		s.Skip()
	}
	return ""
}

// end closes the open block, if any.
func (d *claudeDecoder) end(out *AnswerWriter) error {
	open := d.open
	d.open = blockNone
	out.Busy(false)
	switch open {
	case blockText:
		if t, ok := out.Part().(*Text); ok && len(d.citations) > 0 {
			raw := append(append([]byte(`{"citations":[`), d.citations...), ']', '}')
			t.Extra, t.Origin = Extra{claudeDialect.Name: raw}, out.Origin()
		}
		out.End()
	case blockThinking:
		out.End()
	case blockTool:
		input := bytes.TrimSpace(d.input)
		if !d.args && len(input) > 0 && string(input) != "null" && len(bytes.Join(bytes.Fields(input), nil)) > len("{}") {
			out.ToolArgs(d.key, input)
			d.args = true
		}
		if d.pending = !d.args; d.args {
			out.EndToolCall(d.key)
		}
	case blockOpaque:
		return d.endOpaque(out)
	}
	return nil
}

// endOpaque adds a block that is only kept. Its input may have been streamed as pieces of JSON.
func (d *claudeDecoder) endOpaque(out *AnswerWriter) error {
	raw := json.RawMessage(bytes.Clone(d.whole))
	if d.opaque != nil {
		if len(d.pieces) > 0 {
			d.opaque["input"] = d.pieces
		}
		var err error
		if raw, err = json.Marshal(d.opaque); err != nil {
			return Malformed("the input of a content block is not valid JSON")
		}
		d.opaque = nil
	}
	out.Whole(&Opaque{Raw: raw, Origin: out.Origin()})
	return nil
}

func (d *claudeDecoder) done(out *AnswerWriter) {
	if len(d.extra) > 0 {
		if raw, err := json.Marshal(d.extra); err == nil {
			out.Extra(raw)
		}
	}
	out.Done()
}

// streamError reads an error that came with the status 200.
func (a claudeAdapter) streamError(body []byte) *Error {
	if e := a.DecodeError(http.StatusOK, nil, body); e != nil {
		return e
	}
	return &Error{Kind: KindServer, Message: "an error without a type"}
}
