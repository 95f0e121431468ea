package holdfast

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// DecodeStream implements [AIServiceAdapter].
func (a chatAdapter) DecodeStream() StreamDecoder { return &chatDecoder{profile: a.profile} }

// Decode implements [AIServiceAdapter]. The body is one completion; some servers put blank lines before it.
func (a chatAdapter) Decode(body []byte, out *AnswerWriter) error {
	d := chatDecoder{profile: a.profile, whole: true}
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xEF\xBB\xBF")))
	if len(body) == 0 || body[0] != '{' {
		return a.profile.noAnswer(body, false)
	}
	if err := d.object(body, out); err != nil {
		return err
	}
	switch err := d.scan.End(); {
	case errors.Is(err, jsonscan.ErrTruncated):
		return &Error{Kind: KindTruncated, Message: "the body ends in the middle of the answer"}
	case err != nil && !d.choices:
		return &Error{Kind: KindIntercepted, Message: "the body is not a chat completion"}
	case err != nil:
		return Malformed("the body is not valid JSON")
	case !d.answered:
		return a.profile.noAnswer(body, d.choices)
	}
	return d.finish(out)
}

// noAnswer is the error for a body that holds no choice.
func (p *chatProfile) noAnswer(body []byte, choices bool) *Error {
	if choices {
		return &Error{Kind: KindEmpty, Message: "the completion has no choices"}
	}
	if e := p.decodeError(200, body); e != nil {
		return e
	}
	return &Error{Kind: KindIntercepted, Message: "the body is not a chat completion"}
}

// chatDecoder reads an answer: one chunk after another, or a whole completion as if it were a single chunk.
type chatDecoder struct {
	profile *chatProfile
	whole   bool // the answer is not streamed
	scan    jsonscan.Scanner
	inner   jsonscan.Scanner // for values within the chunk that are read out of order

	id, model bool   // known
	seed      string // what ids of calls are made of where the server gives none
	choices   bool   // the member was seen
	answered  bool   // a choice 0 was seen
	deltas    bool   // a delta was seen: a whole message behind it repeats it
	finished  string // finish_reason
	sequence  string // the stop text that was met
	refused   bool

	usage    Usage
	rawUsage []byte
	counted  bool // usage was seen at all
	final    bool // … at or behind the end of the answer

	thoughts *Thinking // the block that details belong to
	text     *Text     // the last text, which annotations belong to
	details  chatArray
	notes    chatArray
	calls    []chatCall
}

// Decode implements [StreamDecoder].
func (d *chatDecoder) Decode(f Frame, out *AnswerWriter) error {
	data := bytes.TrimSpace(f.Data)
	switch {
	case string(f.Event) == "error":
		if e := d.profile.decodeError(200, data); e != nil {
			return e
		}
		return &Error{Kind: KindServer, Message: "the server reported an error without a word"}
	case len(data) == 0:
		return nil
	case bytes.HasPrefix(data, []byte("[DONE]")):
		if d.finished == "" {
			return &Error{Kind: KindTruncated, Message: "the stream ended without a finish_reason"}
		}
		return d.finish(out)
	case data[0] == '[':
		if e := d.profile.decodeError(200, data); e != nil {
			return e
		}
		return Malformed("an event is an array")
	}
	if err := d.object(data, out); err != nil {
		return err
	}
	if d.scan.Err() != nil {
		return Malformed("an event is not valid JSON")
	}
	return nil
}

// End implements [StreamDecoder]. Several servers send no [DONE]: that the model finished is evidence enough.
func (d *chatDecoder) End(out *AnswerWriter) {
	if d.finished != "" && !out.IsDone() {
		_ = d.finish(out) // what is wrong with the answer leaves it not done: truncated
	}
}

// object walks one chunk or completion. An error within it, or instead of it, is returned.
func (d *chatDecoder) object(data []byte, out *AnswerWriter) error {
	s := &d.scan
	s.Reset(data)
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "id":
			d.identify(s, out)
		case "model":
			d.echoed(s, out)
		case "created":
			if d.seed == "" {
				d.seed = string(s.Raw())
			} else {
				s.Skip()
			}
		case "choices":
			if err := d.choose(s, data, out); err != nil {
				return err
			}
		case "usage":
			d.count(s, out)
		case "x_groq":
			d.groq(s, out)
		case "error":
			if isError(s.Raw()) {
				return d.failed(data)
			}
		case "object":
			if word, _ := s.Bytes(); string(word) == "error" {
				return d.failed(data)
			}
		default:
			s.Skip()
		}
	}
	return nil
}

func (d *chatDecoder) identify(s *jsonscan.Scanner, out *AnswerWriter) {
	if d.id {
		s.Skip()
		return
	}
	id := s.String()
	if d.id = id != ""; d.id {
		d.seed = id
	}
	out.Start(id, "")
}

func (d *chatDecoder) echoed(s *jsonscan.Scanner, out *AnswerWriter) {
	if d.model {
		s.Skip()
		return
	}
	model := s.String()
	d.model = model != ""
	out.Start("", model)
}

// isError reports whether the value of an error member says that something failed.
func isError(raw []byte) bool {
	switch string(raw) {
	case "", "null", "false", `""`, "{}":
		return false
	}
	return true
}

func (d *chatDecoder) failed(data []byte) *Error {
	if e := d.profile.decodeError(200, data); e != nil {
		return e
	}
	return &Error{Kind: KindServer, Message: "the server reported an error without a word"}
}

// choose walks the choices. Only the first is read: nothing in the vocabulary asks for more.
func (d *chatDecoder) choose(s *jsonscan.Scanner, data []byte, out *AnswerWriter) error {
	if s.Kind() == jsonscan.Array {
		d.choices = true
	}
	for ok := s.Array(); ok && s.NextElem(); {
		var c chatChoice
		if !c.read(s) || c.index != 0 {
			continue
		}
		if isError(c.failure) {
			return d.failed(data)
		}
		if err := d.choice(&c, out); err != nil {
			return err
		}
	}
	return nil
}

// chatChoice holds the members of a choice as they stand in the chunk: their order there means nothing.
type chatChoice struct {
	index                                        int
	delta, message, finish, stop, usage, failure []byte
}

func (c *chatChoice) read(s *jsonscan.Scanner) bool {
	if s.Kind() != jsonscan.Object {
		s.Skip()
		return false
	}
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "index":
			c.index = s.Int()
		case "delta":
			c.delta = s.Raw()
		case "message":
			c.message = s.Raw()
		case "finish_reason":
			c.finish = s.Raw()
		case "stop_reason":
			c.stop = s.Raw()
		case "usage":
			c.usage = s.Raw()
		case "error":
			c.failure = s.Raw()
		default:
			s.Skip()
		}
	}
	return s.Err() == nil
}

func (d *chatDecoder) choice(c *chatChoice, out *AnswerWriter) error {
	d.answered = true
	if !out.Started() {
		out.Start("", "")
	}
	if len(c.delta) > 0 && c.delta[0] == '{' {
		d.deltas = true
		d.delta(c.delta, out)
	} else if len(c.message) > 0 && !d.deltas {
		// A whole completion; in a stream, one whose pieces did not come before.
		d.delta(c.message, out)
	}
	if isText(c.finish) {
		d.inner.Reset(c.finish)
		d.finished = d.inner.String()
		if e := finishError(d.finished); e != nil {
			return e
		}
		out.Stop(Stop{Reason: finishReason(d.finished), Raw: d.finished}) // finish knows more, when all has come
	}
	if isText(c.stop) && d.profile.has(saysStopText) {
		d.inner.Reset(c.stop)
		d.sequence = d.inner.String()
	}
	if len(c.usage) > 0 {
		d.inner.Reset(c.usage)
		d.count(&d.inner, out)
	}
	return nil
}

// finish reports the answer as whole.
func (d *chatDecoder) finish(out *AnswerWriter) error {
	if !d.named() {
		return Malformed("a tool call has no name")
	}
	d.annotate(out)
	stop := Stop{Reason: finishReason(d.finished), Raw: d.finished}
	switch {
	case stop.Reason == StopEndTurn && d.refused:
		stop.Reason = StopRefusal
	case stop.Reason == StopEndTurn && d.sequence != "":
		stop.Reason, stop.Sequence = StopSequence, d.sequence
	case stop.Reason == StopToolUse && len(d.calls) == 0:
		stop.Reason = StopEndTurn // the calls did not come: nothing is to be run
	}
	out.Stop(stop)
	if d.counted {
		d.usage.Exact = d.final
		if json.Valid(d.rawUsage) {
			d.usage.Raw = bytes.Clone(d.rawUsage)
		}
		out.Usage(d.usage)
	}
	out.Done()
	return nil
}

// finishReasons maps the words for the end of an answer, the vendors' own among them.
var finishReasons = map[string]StopReason{
	"stop": StopEndTurn, "end_turn": StopEndTurn, "eos": StopEndTurn, // eos: Together (unverified)
	"length": StopMaxTokens, "max_tokens": StopMaxTokens,
	"tool_calls": StopToolUse, "function_call": StopToolUse, "tool_use": StopToolUse,
	"stop_sequence":  StopSequence,
	"content_filter": StopFilter, "sensitive": StopFilter, "safety": StopFilter, // sensitive: Zhipu
	"refusal":      StopRefusal,
	"model_length": StopContext, "model_context_window_exceeded": StopContext, // Mistral; Zhipu (unverified)
}

func finishReason(word string) StopReason {
	if r, ok := finishReasons[strings.ToLower(word)]; ok {
		return r
	}
	return StopUnknown
}

// finishErrors are the words that say that the answer broke off.
var finishErrors = map[string]Kind{
	"error":                        KindServer,     // OpenRouter, Mistral
	"network_error":                KindServer,     // Zhipu (unverified)
	"abort":                        KindServer,     // vLLM
	"insufficient_system_resource": KindOverloaded, // DeepSeek (unverified)
}

func finishError(word string) *Error {
	if k, ok := finishErrors[strings.ToLower(word)]; ok {
		return &Error{Kind: k, Code: strings.ToLower(word), Message: "the server broke the answer off"}
	}
	return nil
}
