package holdfast

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/holdfast-ai/holdfast/internal/slab"
)

// block is a part under construction.
type block struct {
	index int
	key   int // of a tool call
	part  Part
	text  slab.Text
	begun bool // a tool call whose EventToolCall was made
	ended bool
	cut   bool // ended by the bound on the answer, not by the protocol
	void  bool // written, and no part of the answer
}

// blockSize is about what a block takes in memory beside its text.
const blockSize = 512

// keep counts bytes that the answer, or its decoder, keeps until the end.
func (w *AnswerWriter) keep(bytes int) { w.size += bytes }

// weight returns how many bytes a part holds.
func weight(p Part) int {
	n := attached(p)
	switch p := p.(type) {
	case *Text:
		n += len(p.Text)
	case *Thinking:
		n += len(p.Text)
	case *Refusal:
		n += len(p.Text)
	case *ToolCall:
		n += len(p.Args)
	case *Opaque:
		n += len(p.Raw)
	case *Image:
		n += len(p.Bytes) + len(p.URL)
	case *Audio:
		n += len(p.Bytes) + len(p.URL)
	case *Document:
		n += len(p.Bytes) + len(p.URL)
	}
	return n
}

// attached returns how many bytes a part holds beside its text or arguments.
func attached(p Part) int {
	switch p := p.(type) {
	case *Text:
		return p.Extra.weight()
	case *Thinking:
		return len(p.Opaque)
	case *ToolCall:
		return len(p.ID) + len(p.Name) + p.Extra.weight()
	}
	return 0
}

func (x Extra) weight() int {
	n := 0
	for _, raw := range x {
		n += len(raw)
	}
	return n
}

func (w *AnswerWriter) newBlock(p Part, key int) *block {
	w.keep(blockSize)
	b := &block{index: w.next, key: key, part: p, void: w.done || w.voids(p)}
	if !b.void {
		w.next++
		w.blocks = append(w.blocks, b)
	}
	return b
}

func (w *AnswerWriter) write(t EventType, piece []byte) {
	if len(piece) == 0 || w.done {
		return
	}
	w.content++
	if t == EventText && w.joint.seam != nil {
		if piece = w.takeSeam(piece); len(piece) == 0 {
			return // it holds no more than what was counted before
		}
	}
	w.keep(len(piece))
	delta := w.open.text.Append(piece)
	if delta == "" || w.open.void {
		return
	}
	w.wrote = w.wrote || t != EventThinking
	w.visible = w.visible || w.isVisible(t, delta)
	w.event(Event{Type: t, Block: w.open.index, Delta: delta})
}

// isVisible reports whether a piece shows the caller anything. White space alone does not: an answer that begins with it can still
// come from elsewhere.
func (w *AnswerWriter) isVisible(t EventType, delta string) bool {
	if t == EventThinking {
		return w.shows.thinking
	}
	return t != EventText || strings.TrimSpace(delta) != ""
}

// hides reports whether a part that has ended is not shown: a tool call whose arguments are not whole. The answer holds it, marked.
func (w *AnswerWriter) hides(p Part) bool {
	call, is := p.(*ToolCall)
	return is && call.Incomplete && !w.shows.args
}

// saw notes that a part has ended.
func (w *AnswerWriter) saw(p Part) {
	switch p := p.(type) {
	case *Thinking:
		w.visible = w.visible || w.shows.thinking
		return
	case *ToolCall:
		w.visible = w.visible || !w.hides(p)
	case *Text:
		w.visible = w.visible || strings.TrimSpace(p.Text) != ""
	default:
		w.visible = true
	}
	w.wrote = true
}

func (w *AnswerWriter) end(b *block) {
	if b.ended || w.done {
		return
	}
	b.ended = true
	w.begin(b, true)
	if _, is := b.part.(*Text); is {
		w.flushSeam(b)
	}
	if rest := b.text.Flush(); !b.void && (w.shows.args || b.eventType() != EventToolArgs) {
		w.event(Event{Type: b.eventType(), Block: b.index, Delta: rest})
	}
	b.fill(b.part)
	if b.void {
		return
	}
	if isEmptyPart(b.part) {
		w.blocks = w.blocks[:len(w.blocks)-1] // it is the last: whatever opens a block closes this one first
		w.next--
		w.keep(-blockSize)
		return
	}
	w.keep(attached(b.part))
	w.saw(b.part)
	if w.shows.events && !w.hides(b.part) {
		w.events = append(w.events, Event{Type: EventBlockEnd, Block: b.index, Part: b.part})
	}
}

func (b *block) eventType() EventType {
	switch b.part.(type) {
	case *Thinking:
		return EventThinking
	case *Refusal:
		return EventRefusal
	case *ToolCall:
		return EventToolArgs
	}
	return EventText
}

// fill puts the collected text into the part.
func (b *block) fill(into Part) {
	text := b.text.String()
	switch p := into.(type) {
	case *Text:
		p.Text = text
	case *Thinking:
		p.Text = text
	case *Refusal:
		p.Text = text
	case *ToolCall:
		p.Args, p.Incomplete = toolArgs(text, b.ended && !b.cut)
	}
}

// snapshot returns a copy of the part as far as it has come.
func (b *block) snapshot() Part {
	part := b.part
	switch p := part.(type) {
	case *Text:
		part = new(*p)
	case *Thinking:
		part = new(*p)
	case *Refusal:
		part = new(*p)
	case *ToolCall:
		part = new(*p)
	}
	b.fill(part)
	return part
}

// isEmptyPart reports whether a part says nothing: servers open blocks that they leave empty.
func isEmptyPart(p Part) bool {
	switch p := p.(type) {
	case *Text:
		return p.Text == "" && p.Extra == nil
	case *Thinking:
		return p.Text == "" && len(p.Opaque) == 0
	case *Refusal:
		return p.Text == ""
	}
	return false
}

// toolArgs checks arguments: nothing at all means none, anything else must be one whole JSON object.
func toolArgs(text string, ended bool) (args json.RawMessage, incomplete bool) {
	trimmed := bytes.TrimSpace([]byte(text))
	switch {
	case !ended:
		return nil, true
	case len(trimmed) == 0 || string(trimmed) == "null":
		return json.RawMessage("{}"), false
	case trimmed[0] != '{' || !json.Valid(trimmed):
		return nil, true
	}
	return trimmed, false
}
