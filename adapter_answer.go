package holdfast

import (
	"bytes"
	"encoding/json"
	"maps"

	"github.com/holdfast-ai/holdfast/internal/slab"
)

// AnswerWriter is where a codec writes the answer it decodes, whole or streamed. It numbers the blocks, joins their pieces,
// checks tool arguments and makes the events. A codec says what comes in the order in which it comes; a piece of another
// kind than the open block's closes that block. Not safe for concurrent use.
type AnswerWriter struct {
	from    Target
	dialect string
	shows   shows

	response ChatResponse
	events   []Event
	blocks   []*block // every block of the answer so far
	next     int      // the index of the next block; it never goes back
	open     *block   // the block that text, thinking or refusal goes to
	started  bool
	wrote    bool // something beside thinking was written
	visible  bool // something the caller can see was written
	busy     bool // the model works unseen
	content  int  // how many pieces of content came, those included that nobody is shown
	done     bool
	usage    Usage
	notes    []string
	counts   []Usage // what usage events point to, which must not change under their reader
	size     int     // how much memory the answer takes, in bytes, about
	mark     mark
	joint    joint
}

// shows is what of an answer becomes an event.
type shows struct {
	events   bool // anything at all
	args     bool // the arguments of tool calls as they come
	thinking bool // the caller asked for thinking, so that it counts as visible
}

// NewAnswerWriter returns an AnswerWriter for tests of adapters; the client makes its own.
func NewAnswerWriter(a AIServiceAdapter, from Target) *AnswerWriter {
	return newAnswerWriter(a, from, shows{events: from.Stream, args: true})
}

func newAnswerWriter(a AIServiceAdapter, from Target, s shows) *AnswerWriter {
	return &AnswerWriter{from: from, dialect: a.Dialect().Name, shows: s}
}

// From returns where the answer comes from.
func (w *AnswerWriter) From() Target { return w.from }

// Origin returns the mark for what only this provider can read.
func (w *AnswerWriter) Origin() *Origin {
	return &Origin{Provider: w.dialect, Platform: w.from.Platform, Account: w.from.Account, Model: w.from.Model}
}

// Start reports that the answer has begun, with its id and model as far as known. Further calls fill in what was missing.
func (w *AnswerWriter) Start(id, model string) {
	if w.done {
		return
	}
	if w.response.ID == "" {
		w.response.ID = id
	}
	if w.response.Model == "" {
		w.response.Model = model
	}
	if !w.started {
		w.started = true
		w.response.Message.Role = RoleAssistant
	}
}

// Started reports whether Start was called.
func (w *AnswerWriter) Started() bool { return w.started }

// Text appends a piece of visible text. An empty piece says nothing: it closes no block and opens none.
func (w *AnswerWriter) Text(piece []byte) {
	if len(piece) == 0 {
		return
	}
	if _, ok := w.part().(*Text); !ok {
		w.Open(new(Text))
	}
	w.write(EventText, piece)
}

// Thinking appends a piece of readable thinking, as Text does.
func (w *AnswerWriter) Thinking(piece []byte) {
	if len(piece) == 0 {
		return
	}
	if _, ok := w.part().(*Thinking); !ok {
		w.Open(&Thinking{})
	}
	w.write(EventThinking, piece)
}

// Refusal appends a piece of the model's refusal, as Text does.
func (w *AnswerWriter) Refusal(piece []byte) {
	if len(piece) == 0 {
		return
	}
	if _, ok := w.part().(*Refusal); !ok {
		w.Open(new(Refusal))
	}
	w.write(EventRefusal, piece)
}

// Open begins a block of the given kind, even behind one of the same kind. What p already holds of text is kept, as the
// block's beginning. A text, thinking or refusal that is empty when it ends is no part of the answer. Tool calls begin with
// ToolCall.
func (w *AnswerWriter) Open(p Part) {
	w.End()
	if !w.rejoin(p) {
		w.open = w.newBlock(p, 0)
	}
	switch p := p.(type) {
	case *Text:
		w.write(EventText, []byte(p.Text))
	case *Thinking:
		w.write(EventThinking, []byte(p.Text))
	case *Refusal:
		w.write(EventRefusal, []byte(p.Text))
	}
}

// Part returns the open block's part, nil if there is none. The codec may set its Extra, Opaque, Kind and Origin; its text
// is filled in when the block ends.
func (w *AnswerWriter) Part() Part { return w.part() }

func (w *AnswerWriter) part() Part {
	if w.open == nil {
		return nil
	}
	return w.open.part
}

// End closes the open block, if any. Tool calls stay open: see EndToolCall.
func (w *AnswerWriter) End() {
	if w.open != nil {
		b := w.open
		w.open = nil
		w.end(b)
	}
}

// ToolCall begins a tool call. The key, of the codec's choosing, tells calls apart that are open at the same time. A second
// call with the same key only fills in an id or name that was missing.
func (w *AnswerWriter) ToolCall(key int, id, name string) {
	if b := w.tool(key); b != nil {
		call := b.part.(*ToolCall)
		if call.ID == "" {
			call.ID = id
		}
		if call.Name == "" {
			call.Name = name
		}
		w.begin(b, call.ID != "" && call.Name != "")
		return
	}
	w.End()
	w.endJoint()
	if w.done {
		return
	}
	b := w.newBlock(&ToolCall{ID: id, Name: name}, key)
	w.content++
	w.wrote, w.visible = true, w.visible || w.shows.args
	w.begin(b, id != "" && name != "")
}

// begin makes the event of a tool call, once, when its id and name are known or must do as they are.
func (w *AnswerWriter) begin(b *block, known bool) {
	call, ok := b.part.(*ToolCall)
	if !ok || b.begun || !known {
		return
	}
	b.begun = true
	if w.shows.events && w.shows.args {
		w.events = append(w.events, Event{Type: EventToolCall, Block: b.index, Part: &ToolCall{ID: call.ID, Name: call.Name}})
	}
}

// HasToolCall reports whether a call with this key is open.
func (w *AnswerWriter) HasToolCall(key int) bool { return w.tool(key) != nil }

// OpenToolCall returns the open call with this key, nil if there is none. The codec may set its ID, Name, Extra and Origin.
func (w *AnswerWriter) OpenToolCall(key int) *ToolCall {
	if b := w.tool(key); b != nil {
		return b.part.(*ToolCall)
	}
	return nil
}

// ToolArgs appends a piece of a call's arguments, as raw JSON.
func (w *AnswerWriter) ToolArgs(key int, piece []byte) {
	b := w.tool(key)
	if b == nil || len(piece) == 0 {
		return
	}
	w.begin(b, true)
	w.keep(len(piece))
	w.content++
	delta := b.text.Append(piece)
	if w.shows.args {
		w.event(Event{Type: EventToolArgs, Block: b.index, Delta: delta})
	}
}

// ReplaceToolArgs sets a call's arguments, for protocols that repeat them whole at the end. What the pieces before lack at
// their end is shown as a further piece; any other difference shows only in the whole call.
func (w *AnswerWriter) ReplaceToolArgs(key int, args []byte) {
	b := w.tool(key)
	if b == nil {
		return
	}
	if rest, ok := bytes.CutPrefix(args, []byte(b.text.String())); ok && !b.text.Holds() {
		w.ToolArgs(key, rest)
		return
	}
	w.keep(len(args))
	b.text = slab.Text{}
	b.text.Append(args)
}

// EndToolCall closes a call. Arguments that are not one whole JSON object make it Incomplete.
func (w *AnswerWriter) EndToolCall(key int) {
	if b := w.tool(key); b != nil {
		w.end(b)
	}
}

// CutToolCall closes a call that the provider says is not whole: it is Incomplete, whatever arrived of its arguments.
func (w *AnswerWriter) CutToolCall(key int) {
	if b := w.tool(key); b != nil {
		b.cut = true
		w.end(b)
	}
}

func (w *AnswerWriter) tool(key int) *block {
	for i := len(w.blocks) - 1; i >= 0; i-- {
		b := w.blocks[i]
		if _, ok := b.part.(*ToolCall); ok && b.key == key && !b.ended {
			return b
		}
	}
	return nil
}

// Whole adds a part that arrived in one piece. Nil and empty parts are left out, and so is an Opaque that is not valid JSON.
// A tool call's arguments are checked as those of a streamed one.
func (w *AnswerWriter) Whole(p Part) {
	w.End()
	if w.done || isNilPart(p) || isEmptyPart(p) {
		return
	}
	w.content++
	if w.voids(p) {
		return
	}
	w.endJoint()
	switch p := p.(type) {
	case *Opaque:
		if !json.Valid(p.Raw) {
			return
		}
	case *ToolCall:
		p.Args, p.Incomplete = toolArgs(string(p.Args), !p.Incomplete)
	}
	b := w.newBlock(p, 0)
	w.keep(weight(p))
	b.ended = true
	if w.shows.events {
		w.whole(b)
	}
	w.saw(p)
}

func (w *AnswerWriter) whole(b *block) {
	switch p := b.part.(type) {
	case *Text:
		w.event(Event{Type: EventText, Block: b.index, Delta: p.Text})
	case *Thinking:
		w.event(Event{Type: EventThinking, Block: b.index, Delta: p.Text})
	case *Refusal:
		w.event(Event{Type: EventRefusal, Block: b.index, Delta: p.Text})
	case *ToolCall:
		w.begin(b, true)
		if w.shows.args {
			w.event(Event{Type: EventToolArgs, Block: b.index, Delta: string(p.Args)})
		}
	}
	if !w.hides(b.part) {
		w.events = append(w.events, Event{Type: EventBlockEnd, Block: b.index, Part: b.part})
	}
}

// event adds e unless it carries nothing.
func (w *AnswerWriter) event(e Event) {
	if w.shows.events && e.Delta != "" {
		w.events = append(w.events, e)
	}
}

// Usage replaces the token count. After Done it makes no event.
func (w *AnswerWriter) Usage(u Usage) {
	w.usage = u
	if !w.shows.events || w.done {
		return
	}
	if len(w.counts) == cap(w.counts) {
		w.counts = make([]Usage, 0, min(2*cap(w.counts)+2, 32))
	}
	w.counts = append(w.counts, w.joint.before.plus(u))
	w.events = append(w.events, Event{Type: EventUsage, Usage: &w.counts[len(w.counts)-1]})
}

// CurrentUsage returns the token count so far.
func (w *AnswerWriter) CurrentUsage() Usage { return w.usage }

// Stop records why the answer ended. A later call with a reason replaces it.
func (w *AnswerWriter) Stop(s Stop) {
	if !w.done && (s.Reason != "" || w.response.Stop.Reason == "") {
		w.response.Stop = s
	}
}

// Stopped returns what Stop recorded; its Reason is empty before.
func (w *AnswerWriter) Stopped() Stop { return w.response.Stop }

// Extra keeps a copy of what the provider said beside the answer. What is not valid JSON is ignored: such an answer could not
// be stored.
func (w *AnswerWriter) Extra(raw json.RawMessage) {
	if !json.Valid(raw) {
		return
	}
	if w.response.Extra == nil {
		w.response.Extra = Extra{}
	}
	w.response.Extra[w.dialect] = bytes.Clone(raw)
}

// Discard withdraws all content so far: the provider declared it void. The blocks behind it are numbered on.
func (w *AnswerWriter) Discard() {
	if w.done {
		return
	}
	if w.joint.mute { // only of its own part: what others said before stays
		w.joint.torn = errWithdrawn
		return
	}
	shown := len(w.blocks) > 0
	w.blocks, w.open, w.joint.block, w.joint.seam = nil, nil, nil, nil
	if w.shows.events && shown {
		w.events = append(w.events, Event{Type: EventReset})
	}
}

// Done reports that the answer is whole. Open blocks are closed. What is written afterwards, but for Usage and Extra, is
// ignored.
func (w *AnswerWriter) Done() {
	if w.done {
		return
	}
	w.close()
}

// Note adds a remark about how the answer came, for the [Trail]. It quotes nothing of the answer.
func (w *AnswerWriter) Note(remark string) {
	w.keep(len(remark))
	w.notes = append(w.notes, remark)
}

// Busy says whether the model works unseen from here on: it thinks, which is often not sent, or a tool of the provider's runs. It is then
// waited for longer; see [Timeouts].BetweenContent. An open Thinking says so by itself.
func (w *AnswerWriter) Busy(busy bool) { w.busy = busy }

func (w *AnswerWriter) isBusy() bool {
	_, thinks := w.part().(*Thinking)
	return thinks || w.busy
}

// IsDone reports whether Done was called.
func (w *AnswerWriter) IsDone() bool { return w.done }

// close ends every block and sets the stop reason that follows from the parts.
func (w *AnswerWriter) close() {
	w.End()
	w.endJoint()
	calls := false
	for _, b := range w.blocks {
		if !b.ended { // what ended is shared with other attempts to go on
			b.cut = b.cut || b.text.Len() == 0 && cutShort(w.response.Stop.Reason)
		}
		w.end(b)
		c, ok := b.part.(*ToolCall)
		calls = calls || ok && !c.Incomplete
	}
	switch reason := &w.response.Stop.Reason; {
	case calls && (*reason == StopEndTurn || *reason == ""):
		*reason = StopToolUse
	case *reason == "":
		*reason = StopUnknown
	}
	w.done = true
}

// cutShort reports whether an answer that stopped so may lack what the model meant to say: a call without arguments is then
// one whose arguments are missing.
func cutShort(r StopReason) bool {
	switch r {
	case StopMaxTokens, StopContext, StopFilter, StopRefusal:
		return true
	}
	return false
}

// Response returns the answer as written so far. What is written later does not change it.
func (w *AnswerWriter) Response() *ChatResponse {
	r := w.response
	r.Provider = w.dialect
	r.Usage = w.joint.before.plus(w.usage)
	r.Extra = maps.Clone(w.response.Extra)
	r.Message.Role = RoleAssistant
	r.Message.Parts = make(Parts, 0, len(w.blocks))
	for _, b := range w.blocks {
		part := b.part
		if !b.ended {
			part = b.snapshot()
		}
		if !isEmptyPart(part) {
			r.Message.Parts = append(r.Message.Parts, part)
		}
	}
	return &r
}

// Events returns the events since the last call. They are valid until the next call of the codec.
func (w *AnswerWriter) Events() []Event {
	e := w.events
	w.events = w.events[:0]
	return e
}
