package holdfast

import (
	"bytes"
	"encoding/json"

	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// DecodeStream implements [AIServiceAdapter].
func (claudeAdapter) DecodeStream() StreamDecoder { return &claudeStream{} }

// claudeStream reads the events
//
//	message_start  (content_block_start  content_block_delta*  content_block_stop)*  message_delta+  message_stop
//
// with ping, error and unknown ones anywhere. The answer is whole with message_stop, or when the body ends cleanly behind a
// stop_reason.
type claudeStream struct{ claudeDecoder }

// claudeEvent is the type of an event.
type claudeEvent uint8

const (
	eventUnknown claudeEvent = iota
	eventMessageStart
	eventBlockStart
	eventDelta
	eventBlockStop
	eventMessageDelta
	eventMessageStop
	eventPing
	eventError
)

func claudeEventOf(name []byte) claudeEvent {
	switch string(name) {
	case "content_block_delta":
		return eventDelta
	case "content_block_start":
		return eventBlockStart
	case "content_block_stop":
		return eventBlockStop
	case "message_start":
		return eventMessageStart
	case "message_delta":
		return eventMessageDelta
	case "message_stop":
		return eventMessageStop
	case "ping":
		return eventPing
	case "error":
		return eventError
	}
	return eventUnknown
}

// Decode implements [StreamDecoder]. The text of a delta goes out while its frame is walked; everything else waits for the
// frame's end.
func (d *claudeStream) Decode(f Frame, out *AnswerWriter) error {
	s := &d.scan
	s.Reset(f.Data)
	kind := claudeEventOf(f.Event)
	if s.Kind() != jsonscan.Object {
		if kind == eventUnknown || kind == eventPing {
			return nil // such as the "[DONE]" of a gateway
		}
		return Malformed("an event is not a JSON object")
	}
	index := 0
	var delta, block, message, usage []byte
	failed := false
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "type":
			if b, ok := s.Bytes(); ok {
				kind = claudeEventOf(b)
			}
		case "index":
			index = s.Int()
		case "delta":
			if kind == eventDelta && d.open != blockOpaque {
				d.delta(s, out)
			} else {
				delta = s.Raw()
			}
		case "content_block":
			block = s.Raw()
		case "message":
			message = s.Raw()
		case "usage":
			usage = s.Raw()
		case "error":
			failed = s.Kind() == jsonscan.Object
			s.Skip()
		default:
			s.Skip()
		}
	}
	if err := s.Err(); err != nil {
		return Malformed("an event is not valid JSON")
	}
	switch kind {
	case eventDelta:
		return d.late(delta, out)
	case eventBlockStart:
		return d.begin(index, block, out)
	case eventBlockStop:
		return d.end(out)
	case eventMessageStart:
		d.messageStart(message, out)
	case eventMessageDelta:
		return d.messageDelta(delta, usage, out)
	case eventMessageStop:
		return d.messageStop(out)
	case eventError:
		return claudeAdapter{}.streamError(f.Data)
	case eventUnknown:
		if failed {
			return claudeAdapter{}.streamError(f.Data)
		}
	}
	return nil
}

// delta takes the pieces of a delta. The name of the member tells its type.
func (d *claudeStream) delta(s *jsonscan.Scanner, out *AnswerWriter) {
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "text":
			if b, ok := s.Bytes(); ok {
				out.Text(b)
			}
		case "partial_json":
			if b, ok := s.Bytes(); ok && len(b) > 0 && d.open == blockTool {
				d.args = true
				out.ToolArgs(d.key, b)
			}
		case "thinking":
			if b, ok := s.Bytes(); ok {
				if _, open := out.Part().(*Thinking); !open {
					out.Open(&Thinking{Origin: out.Origin()})
				}
				out.Thinking(b)
			}
		case "signature":
			b, ok := s.Bytes()
			if t, open := out.Part().(*Thinking); open && ok {
				t.Opaque = bytes.Clone(b)
			}
		case "citation":
			raw := s.Raw()
			out.keep(len(raw))
			d.cite(raw)
		default:
			s.Skip()
		}
	}
}

// late takes a delta that could not be read on the way: it stood before its type, or belongs to a block that is only kept.
func (d *claudeStream) late(raw []byte, out *AnswerWriter) error {
	if raw == nil {
		return nil
	}
	if d.open != blockOpaque {
		d.scan.Reset(raw)
		d.delta(&d.scan, out)
		return nil
	}
	out.keep(len(raw))
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return Malformed("an event is not valid JSON")
	}
	if d.opaque == nil && json.Unmarshal(d.whole, &d.opaque) != nil {
		return Malformed("a content block is not a JSON object")
	}
	for name, value := range fields {
		switch name {
		case "type":
		case "partial_json":
			s := jsonscan.New(value)
			b, _ := s.Bytes()
			d.pieces = append(d.pieces, b...)
		default:
			d.opaque[name] = claudeJoin(d.opaque[name], value)
		}
	}
	return nil
}

// claudeJoin appends a streamed member to what there is of it: text to text; anything else takes its place.
func claudeJoin(have, more json.RawMessage) json.RawMessage {
	if len(have) < 2 || have[0] != '"' || len(more) < 2 || more[0] != '"' {
		return more
	}
	return append(have[:len(have)-1:len(have)-1], more[1:]...)
}

func (d *claudeStream) messageStart(raw []byte, out *AnswerWriter) {
	var id, model string
	s := jsonscan.New(raw)
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "id":
			id = s.String()
		case "model":
			model = s.String()
		case "usage":
			d.readUsage(s.Raw())
		case "stop_reason", "stop_sequence", "stop_details":
			s.Skip() // of a message that has not begun
		default:
			d.stopField(&s)
		}
	}
	out.Start(id, model)
	out.Usage(d.usage)
}

func (d *claudeStream) messageDelta(delta, usage []byte, out *AnswerWriter) error {
	if err := d.end(out); err != nil {
		return err
	}
	s := jsonscan.New(delta)
	if delta != nil {
		for ok := s.Object(); ok && s.NextKey(); {
			d.stopField(&s)
		}
	}
	if usage != nil {
		d.readUsage(usage)
		d.usage.Exact = d.ended.reason != ""
		out.Usage(d.usage)
	}
	d.stop(out, false)
	return nil
}

func (d *claudeStream) messageStop(out *AnswerWriter) error {
	if d.ended.reason == "" {
		return &Error{Kind: KindTruncated, Message: "the stream ended without a stop_reason"}
	}
	d.done(out)
	return nil
}

// End implements [StreamDecoder]. Behind a stop_reason nothing of the answer can be missing but message_stop.
func (d *claudeStream) End(out *AnswerWriter) {
	if d.ended.reason != "" {
		out.Note("the stream ended after its stop reason, without message_stop")
		d.done(out)
	}
}
