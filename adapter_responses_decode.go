package holdfast

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/holdfast-ai/holdfast/internal/jsonappend"
	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// Decode reads a response object: its output is a list of items, in the order in which the model made them.
func (responsesAdapter) Decode(body []byte, out *AnswerWriter) error {
	var d responsesDecoder
	d.sub.Reset(body)
	r := readResponse(&d.sub)
	switch err := d.sub.End(); {
	case errors.Is(err, jsonscan.ErrTruncated):
		return &Error{Kind: KindTruncated, Message: "the answer ends in the middle"}
	case err != nil:
		return Malformed("the answer is not JSON")
	case isJSONObject(r.fault):
		return responsesFault(r.fault)
	case jsonKind(r.output) != jsonscan.Array:
		return &Error{Kind: KindIntercepted, Message: "the answer is JSON, but not a response object with its output"}
	}
	out.Start(d.text(r.id), d.text(r.model))
	if err := d.whole(r.output, out); err != nil {
		return err
	}
	status := d.text(r.status)
	if status == "" {
		status = "completed" // some servers leave it out: the whole document is the evidence
	}
	return d.finish(r, status, out)
}

// responsesObject is a response object, its fields as they stand in the JSON.
type responsesObject struct {
	id, model, status, tier, output, usage, reason, fault, background []byte
}

// readResponse reads the response object that s comes to.
func readResponse(s *jsonscan.Scanner) (r responsesObject) {
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "id":
			r.id = s.Raw()
		case "model":
			r.model = s.Raw()
		case "status":
			r.status = s.Raw()
		case "service_tier":
			r.tier = s.Raw()
		case "output":
			r.output = s.Raw()
		case "usage":
			r.usage = s.Raw()
		case "background":
			r.background = s.Raw()
		case "error":
			r.fault = s.Raw()
		case "incomplete_details":
			for ok := s.Object(); ok && s.NextKey(); {
				if string(s.Key()) == "reason" {
					r.reason = s.Raw()
				} else {
					s.Skip()
				}
			}
		default:
			s.Skip()
		}
	}
	return r
}

// responsesItem is an item of the output, its fields as they stand in the JSON.
type responsesItem struct {
	kind, id, status, phase, content []byte
	callID, name, arguments          []byte
	summary, encrypted               []byte
}

func (d *responsesDecoder) readItem(raw []byte) (i responsesItem) {
	s := &d.sub
	s.Reset(raw)
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "type":
			i.kind = s.Raw()
		case "id":
			i.id = s.Raw()
		case "status":
			i.status = s.Raw()
		case "phase":
			i.phase = s.Raw()
		case "content":
			i.content = s.Raw()
		case "call_id":
			i.callID = s.Raw()
		case "name":
			i.name = s.Raw()
		case "arguments":
			i.arguments = s.Raw()
		case "summary":
			i.summary = s.Raw()
		case "encrypted_content":
			i.encrypted = s.Raw()
		default:
			s.Skip()
		}
	}
	return i
}

// responsesContent is a part of an item's content or summary.
type responsesContent struct {
	kind, text, refusal, annotations []byte
}

func readResponsesContent(s *jsonscan.Scanner) (c responsesContent) {
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "type":
			c.kind = s.Raw()
		case "text":
			c.text = s.Raw()
		case "refusal":
			c.refusal = s.Raw()
		case "annotations":
			c.annotations = s.Raw()
		default:
			s.Skip()
		}
	}
	return c
}

// whole reads items that were not streamed.
func (d *responsesDecoder) whole(output []byte, out *AnswerWriter) error {
	items := jsonscan.New(output)
	for index, ok := 0, items.Array(); ok && items.NextElem(); index++ {
		d.close(d.begin(index), items.Raw(), out)
	}
	if items.Err() != nil {
		return Malformed("the answer's output is not JSON")
	}
	return nil
}

// close writes what is still missing of an item, from its final form, and ends it.
func (d *responsesDecoder) close(it *responsesState, raw []byte, out *AnswerWriter) {
	if it.ended || !isJSONObject(raw) {
		return
	}
	item := d.readItem(raw)
	it.ended = true
	switch kind := d.bytes(item.kind); string(kind) {
	case "message":
		if item.phase != nil {
			it.phase = d.text(item.phase)
		}
		d.closeMessage(it, item, out)
	case "function_call":
		d.closeCall(it, item, out)
	case "reasoning":
		d.closeReasoning(it, item, out)
	default: // a hosted tool's item, or one of the future
		if json.Valid(raw) {
			out.Whole(&Opaque{Raw: bytes.Clone(raw), Origin: out.Origin()})
		}
	}
}

func (d *responsesDecoder) closeMessage(it *responsesState, item responsesItem, out *AnswerWriter) {
	parts := jsonscan.New(item.content)
	for index, ok := 0, parts.Array(); ok && parts.NextElem(); index++ {
		d.closeContent(it, index, readResponsesContent(&parts), out)
	}
	if d.current == it {
		d.mark(it, nil, out)
		out.End()
	}
}

// closeContent ends a part of a message's content, and writes it if nothing of it was streamed.
func (d *responsesDecoder) closeContent(it *responsesState, index int, c responsesContent, out *AnswerWriter) {
	if index >= it.parts {
		switch string(d.bytes(c.kind)) {
		case "output_text", "text":
			d.speak(it, index, d.bytes(c.text), out)
		case "refusal":
			d.refuse(it, index, d.bytes(c.refusal), out)
		}
	}
	if d.current == it && d.part == index {
		d.mark(it, c.annotations, out)
		out.End()
	}
}

// mark keeps a message's phase and the annotations of its text with the text.
func (d *responsesDecoder) mark(it *responsesState, annotations []byte, out *AnswerWriter) {
	t, ok := out.Part().(*Text)
	if !ok {
		return
	}
	x := responsesExtra{phase: it.phase}
	s := jsonscan.New(annotations)
	if s.Array() && s.NextElem() && json.Valid(annotations) {
		x.annotations = annotations
	}
	if x.phase == "" && x.annotations == nil {
		return
	}
	t.Extra, t.Origin = Extra{openaiDialect.Name: x.encode()}, out.Origin()
}

func (d *responsesDecoder) closeCall(it *responsesState, item responsesItem, out *AnswerWriter) {
	id := d.text(item.callID)
	if id == "" {
		id = d.text(item.id)
	}
	out.ToolCall(it.index, id, d.text(item.name))
	d.arguments(it, item.arguments, out)
	if string(d.bytes(item.status)) == "incomplete" {
		out.CutToolCall(it.index)
	} else {
		out.EndToolCall(it.index)
	}
}

// arguments takes the whole arguments of a call, which count more than their pieces.
func (d *responsesDecoder) arguments(it *responsesState, raw []byte, out *AnswerWriter) {
	args := d.bytes(raw)
	switch {
	case len(args) == 0:
	case it.parts > 0:
		out.ReplaceToolArgs(it.index, args)
	default:
		it.parts++
		out.ToolArgs(it.index, args)
	}
}

// closeReasoning keeps the item as it must be returned. Only its final form has all of the encrypted content.
func (d *responsesDecoder) closeReasoning(it *responsesState, item responsesItem, out *AnswerWriter) {
	if it.parts == 0 {
		d.thoughts(it, item.summary, out)
	}
	if it.parts == 0 {
		d.thoughts(it, item.content, out)
	}
	opaque := item.opaque()
	t, ok := out.Part().(*Thinking)
	switch {
	case ok && d.current == it:
		t.Opaque = opaque
		out.End()
	case opaque != nil:
		out.Whole(&Thinking{Opaque: opaque, Origin: out.Origin()})
	}
}

// thoughts writes the texts of a summary or of readable reasoning.
func (d *responsesDecoder) thoughts(it *responsesState, raw []byte, out *AnswerWriter) {
	parts := jsonscan.New(raw)
	for index, ok := 0, parts.Array(); ok && parts.NextElem(); index++ {
		c := readResponsesContent(&parts)
		d.think(it, index, d.bytes(c.text), out)
	}
}

// opaque returns a reasoning item in the form in which it can be sent, nil if it would tell the model nothing.
func (i responsesItem) opaque() []byte {
	content := jsonscan.New(i.content)
	readable := content.Array() && content.NextElem()
	if len(i.encrypted) <= len(`""`) || i.encrypted[0] != '"' {
		i.encrypted = nil
	}
	if i.encrypted == nil && !readable {
		return nil
	}
	raw := []byte(`{"type":"reasoning"`)
	if jsonKind(i.id) == jsonscan.String {
		raw = append(jsonappend.Key(raw, "id"), i.id...)
	}
	raw = jsonappend.Key(raw, "summary")
	if jsonKind(i.summary) == jsonscan.Array {
		raw = append(raw, i.summary...)
	} else {
		raw = append(raw, "[]"...)
	}
	if readable {
		raw = append(jsonappend.Key(raw, "content"), i.content...)
	}
	if i.encrypted != nil {
		raw = append(jsonappend.Key(raw, "encrypted_content"), i.encrypted...)
	}
	if raw = append(raw, '}'); !json.Valid(raw) {
		return nil
	}
	return raw
}

// finish takes the end of a response: its final count, why it ended, and that it is whole.
func (d *responsesDecoder) finish(r responsesObject, status string, out *AnswerWriter) error {
	if isJSONObject(r.usage) {
		u := readResponsesUsage(r.usage)
		u.Exact = true
		out.Usage(u)
	}
	switch status {
	case "completed":
		reason := StopEndTurn
		if d.refused {
			reason = StopRefusal
		}
		out.Stop(Stop{Reason: reason, Raw: "completed"})
	case "incomplete":
		out.Stop(responsesStop(d.text(r.reason)))
	case "failed":
		return &Error{Kind: KindServer, Message: "the response failed, and does not say why"}
	default: // cancelled, or not run yet
		return &Error{Kind: KindTruncated, Message: "the response was not finished"}
	}
	if tier := d.text(r.tier); tier != "" {
		out.Extra(append(jsonappend.String([]byte(`{"service_tier":`), tier), '}'))
	}
	out.Done()
	return nil
}

// responsesStop maps the reason of an incomplete response.
func responsesStop(reason string) Stop {
	switch reason {
	case "max_output_tokens":
		return Stop{Reason: StopMaxTokens, Raw: reason}
	case "content_filter":
		return Stop{Reason: StopFilter, Raw: reason}
	case "":
		reason = "incomplete"
	}
	return Stop{Reason: StopUnknown, Raw: reason} // max_messages, steered
}

func readResponsesUsage(raw []byte) Usage {
	u := Usage{Raw: bytes.Clone(raw)}
	if !json.Valid(raw) {
		u.Raw = nil
	}
	s := jsonscan.New(raw)
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "input_tokens":
			u.Input = s.Int()
		case "output_tokens":
			u.Output = s.Int()
		case "input_tokens_details":
			readInputDetails(&s, &u)
		case "output_tokens_details":
			for ok := s.Object(); ok && s.NextKey(); {
				if string(s.Key()) == "reasoning_tokens" {
					u.Reasoning = s.Int()
				} else {
					s.Skip()
				}
			}
		default:
			s.Skip()
		}
	}
	return u
}

// readInputDetails reads what the cache did. The tokens written for 12 hours are among those written.
func readInputDetails(s *jsonscan.Scanner, u *Usage) {
	written := 0
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "cached_tokens":
			u.CacheRead = s.Int()
		case "cache_write_tokens":
			written = s.Int()
		case "cache_write_tokens_details":
			for ok := s.Object(); ok && s.NextKey(); {
				if string(s.Key()) == "ttl_12h_tokens" {
					u.CacheWriteLong = s.Int()
				} else {
					s.Skip()
				}
			}
		default:
			s.Skip()
		}
	}
	u.CacheWrite = max(0, written-u.CacheWriteLong)
}

// jsonKind returns the kind of a raw value.
func jsonKind(raw []byte) jsonscan.Kind {
	s := jsonscan.New(raw)
	return s.Kind()
}

func isJSONObject(raw []byte) bool { return jsonKind(raw) == jsonscan.Object }

// bytes returns the meaning of a raw string, nothing of any other value. It is valid until the next call.
func (d *responsesDecoder) bytes(raw []byte) []byte {
	if n := len(raw); n >= 2 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : n-1]
	}
	if len(raw) == 0 {
		return nil
	}
	d.str.Reset(raw)
	b, _ := d.str.Bytes()
	return b
}

// text returns the meaning of a raw string as a string of its own.
func (d *responsesDecoder) text(raw []byte) string {
	b := d.bytes(raw)
	if len(b) == 0 {
		return ""
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}
