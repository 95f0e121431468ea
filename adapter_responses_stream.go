package holdfast

import (
	"net/http"

	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

func (responsesAdapter) DecodeStream() StreamDecoder { return new(responsesDecoder) }

// responsesDecoder decodes one answer. Items are told apart by their index in the output: their ids change between events on
// some servers.
type responsesDecoder struct {
	scan, sub, str jsonscan.Scanner

	items   map[int]*responsesState
	last    *responsesState // the item of the last event
	current *responsesState // the item whose text, refusal or reasoning is being written
	part    int             // and which part of its content or summary
	refused bool

	// Of an answer that is made in the background and can be resumed: its id, and from where.
	background bool
	id, from   string
}

// responsesState is what has come of an item of the output.
type responsesState struct {
	index int
	phase string
	parts int // how many parts of its content, summary or arguments have begun
	ended bool
}

// responsesFrame is an event, its fields as they stand in the JSON.
type responsesFrame struct {
	kind, delta, item, content, response, fault []byte
	arguments, text, refusal                    []byte
	output, part, sequence                      int
}

// Decode reads an event. It is scanned once; its fields are taken out of it afterwards, whatever their order.
func (d *responsesDecoder) Decode(f Frame, out *AnswerWriter) error {
	var e responsesFrame
	d.scan.Reset(f.Data)
	if d.scan.Kind() != jsonscan.Object {
		return nil // [DONE], or a server's own keep-alive
	}
	d.read(&e)
	if err := d.scan.End(); err != nil {
		return Malformed("an event is not JSON")
	}
	kind := d.bytes(e.kind)
	if len(kind) == 0 {
		kind = f.Event
	}
	if len(kind) == 0 || string(kind) == "error" {
		switch {
		case isJSONObject(e.fault):
			return responsesFault(e.fault)
		case len(kind) > 0:
			return responsesFault(f.Data)
		}
	}
	return d.event(kind, &e, out)
}

func (d *responsesDecoder) read(e *responsesFrame) {
	s := &d.scan
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "type":
			e.kind = s.Raw()
		case "delta":
			e.delta = s.Raw()
		case "output_index":
			e.output = s.Int()
		case "sequence_number":
			e.sequence = s.Int()
		case "content_index", "summary_index":
			e.part = s.Int()
		case "item":
			e.item = s.Raw()
		case "part":
			e.content = s.Raw()
		case "response":
			e.response = s.Raw()
		case "error":
			e.fault = s.Raw()
		case "arguments":
			e.arguments = s.Raw()
		case "text":
			e.text = s.Raw()
		case "refusal":
			e.refusal = s.Raw()
		default:
			s.Skip()
		}
	}
}

func (d *responsesDecoder) event(kind []byte, e *responsesFrame, out *AnswerWriter) error {
	switch string(kind) {
	case "response.output_text.delta":
		out.Start("", "")
		d.speak(d.item(e.output), e.part, d.bytes(e.delta), out)
	case "response.refusal.delta":
		out.Start("", "")
		d.refuse(d.item(e.output), e.part, d.bytes(e.delta), out)
	case "response.function_call_arguments.delta":
		out.Start("", "")
		d.argue(d.item(e.output), d.bytes(e.delta), out)
	case "response.reasoning_summary_text.delta":
		out.Start("", "")
		d.think(d.item(e.output), e.part, d.bytes(e.delta), out)
	case "response.reasoning_text.delta":
		out.Start("", "")
		d.think(d.item(e.output), -1-e.part, d.bytes(e.delta), out) // numbered apart from the summaries
	case "response.created", "response.queued", "response.in_progress":
		d.sub.Reset(e.response)
		r := readResponse(&d.sub)
		out.Start(d.text(r.id), d.text(r.model))
		if d.background = string(r.background) == "true"; d.background {
			d.id = responsesPathID(d.text(r.id))
		}
	case "response.completed":
		return d.end(e, "completed", out)
	case "response.incomplete":
		return d.end(e, "incomplete", out)
	case "response.failed":
		return d.end(e, "failed", out)
	default:
		d.boundary(kind, e, out)
	}
	return nil
}

// boundary takes the events at the beginning and end of items and their parts. All others are news of hosted tools, whose
// items come whole at their end.
func (d *responsesDecoder) boundary(kind []byte, e *responsesFrame, out *AnswerWriter) {
	switch string(kind) {
	case "response.output_item.added":
		out.Start("", "")
		d.checkpoint(e.sequence, out)
		it, item := d.begin(e.output), d.readItem(e.item)
		it.phase = d.text(item.phase)
		switch string(d.bytes(item.kind)) {
		case "function_call":
			out.ToolCall(it.index, d.text(item.callID), d.text(item.name))
		case "message":
		default: // reasoning, or a tool of OpenAI's
			out.Busy(true)
		}
	case "response.output_text.done":
		if it := d.item(e.output); e.part >= it.parts {
			d.speak(it, e.part, d.bytes(e.text), out)
		}
	case "response.refusal.done":
		if it := d.item(e.output); e.part >= it.parts {
			d.refuse(it, e.part, d.bytes(e.refusal), out)
		}
	case "response.content_part.done":
		d.sub.Reset(e.content)
		if it := d.item(e.output); !it.ended {
			d.closeContent(it, e.part, readResponsesContent(&d.sub), out)
		}
	case "response.function_call_arguments.done":
		if it := d.item(e.output); d.calls(it, out) {
			d.arguments(it, e.arguments, out)
		}
	case "response.output_item.done":
		out.Start("", "")
		out.Busy(false)
		d.close(d.item(e.output), e.item, out)
	}
}

// item returns the state of an item, made at its first event.
func (d *responsesDecoder) item(index int) *responsesState {
	if d.last != nil && d.last.index == index {
		return d.last
	}
	if it := d.items[index]; it != nil {
		d.last = it
		return it
	}
	return d.begin(index)
}

// maxResponsesItems bounds what is remembered of items, should a server begin them without end.
const maxResponsesItems = 1 << 14

// begin makes the state of a new item, even where another had its index.
func (d *responsesDecoder) begin(index int) *responsesState {
	if d.items == nil {
		d.items = make(map[int]*responsesState, 4)
	}
	if len(d.items) >= maxResponsesItems {
		clear(d.items)
	}
	it := &responsesState{index: index}
	d.items[index], d.last = it, it
	return it
}

// speak writes a piece of a message's text. Each part of the content is a text of its own.
func (d *responsesDecoder) speak(it *responsesState, part int, piece []byte, out *AnswerWriter) {
	if len(piece) == 0 {
		return
	}
	if _, open := out.Part().(*Text); !open || d.current != it || d.part != part {
		t := new(Text)
		if it.phase != "" {
			t.Extra, t.Origin = Extra{openaiDialect.Name: responsesExtra{phase: it.phase}.encode()}, out.Origin()
		}
		out.Open(t)
		d.current, d.part = it, part
	}
	it.parts = max(it.parts, part+1)
	out.Text(piece)
}

func (d *responsesDecoder) refuse(it *responsesState, part int, piece []byte, out *AnswerWriter) {
	if len(piece) == 0 {
		return
	}
	if _, open := out.Part().(*Refusal); !open || d.current != it || d.part != part {
		out.Open(new(Refusal))
		d.current, d.part = it, part
	}
	it.parts = max(it.parts, part+1)
	d.refused = true
	out.Refusal(piece)
}

// think writes a piece of reasoning. An item is one thought: a blank line stands between the parts of its summary.
func (d *responsesDecoder) think(it *responsesState, part int, piece []byte, out *AnswerWriter) {
	if len(piece) == 0 {
		return
	}
	switch _, open := out.Part().(*Thinking); {
	case !open || d.current != it:
		out.Open(&Thinking{Origin: out.Origin()})
	case d.part != part:
		out.Thinking([]byte("\n\n"))
	}
	d.current, d.part, it.parts = it, part, 1
	out.Thinking(piece)
}

// calls makes sure that the item is an open tool call. Its beginning may have been skipped.
func (d *responsesDecoder) calls(it *responsesState, out *AnswerWriter) bool {
	if !it.ended && !out.HasToolCall(it.index) {
		out.ToolCall(it.index, "", "")
	}
	return !it.ended
}

func (d *responsesDecoder) argue(it *responsesState, piece []byte, out *AnswerWriter) {
	if len(piece) > 0 && d.calls(it, out) {
		it.parts = 1
		out.ToolArgs(it.index, piece)
	}
}

// end takes the last event. It carries the response as a whole, which serves where no item was streamed.
func (d *responsesDecoder) end(e *responsesFrame, status string, out *AnswerWriter) error {
	d.sub.Reset(e.response)
	r := readResponse(&d.sub)
	out.Start(d.text(r.id), d.text(r.model))
	if isJSONObject(r.fault) {
		if isJSONObject(r.usage) {
			out.Usage(readResponsesUsage(r.usage))
		}
		return responsesFault(r.fault)
	}
	if len(d.items) == 0 {
		if err := d.whole(r.output, out); err != nil {
			return err
		}
	}
	if status == "completed" && string(d.bytes(r.status)) == "incomplete" {
		status = "incomplete"
	}
	return d.finish(r, status, out)
}

// End does nothing: only a terminal event proves that the answer is whole.
func (*responsesDecoder) End(*AnswerWriter) {}

// responsesKinds are the codes of a response that failed under way, where the HTTP status says nothing (openai-go v3.96.0,
// ResponseErrorCode).
var responsesKinds = map[string]Kind{
	"server_error":                   KindServer,
	"rate_limit_exceeded":            KindRateLimit,
	"vector_store_timeout":           KindServerTimeout,
	"data_residency_mismatch":        KindRegion,
	"invalid_prompt":                 KindPolicy,
	"bio_policy":                     KindPolicy,
	"misalignment_policy_violation":  KindPolicy,
	"image_content_policy_violation": KindPolicy,
	"invalid_image":                  KindInvalid,
	"invalid_image_format":           KindInvalid,
	"invalid_base64_image":           KindInvalid,
	"invalid_image_url":              KindInvalid,
	"image_too_large":                KindInvalid,
	"image_too_small":                KindInvalid,
	"image_parse_error":              KindInvalid,
	"invalid_image_mode":             KindInvalid,
	"image_file_too_large":           KindInvalid,
	"unsupported_image_media_type":   KindInvalid,
	"empty_image_file":               KindInvalid,
	"failed_to_download_image":       KindInvalid,
	"image_file_not_found":           KindInvalid,
	// Not in the list, but in the errors before the stream.
	"context_length_exceeded":   KindContextLength,
	"insufficient_quota":        KindBilling,
	"invalid_encrypted_content": KindThinking, // (unverified)
	"server_is_overloaded":      KindOverloaded,
}

// responsesFault returns the error that an error object in a 200 stands for, by its code. raw may be an event of the type
// "error" too, which has the same fields.
func responsesFault(raw []byte) *Error {
	body := append(append([]byte(`{"error":`), raw...), '}')
	e := decodeOpenAIError(http.StatusOK, nil, body)
	if e == nil {
		e = &Error{}
	}
	if e.Type == "error" {
		e.Type = ""
	}
	kind, known := responsesKinds[e.Code]
	if !known {
		kind, known = responsesKinds[e.Type]
	}
	switch {
	case known:
		e.Kind = kind
	case e.Kind == "":
		e.Kind = KindServer
	}
	return e
}
