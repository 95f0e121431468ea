package holdfast

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// geminiDecoder decodes one answer, whole or streamed: every event is a response that holds the new parts only. It keeps
// the first candidate; others come only to callers who asked for them in Extra.
type geminiDecoder struct {
	s     jsonscan.Scanner // walks the frame
	inner jsonscan.Scanner // walks one value of it
	data  []byte           // the frame

	id string // the answer's

	candidate bool // some candidate was seen
	finish    StopReason
	blocked   bool
	failure   *Error // what the finish reason says was no answer
	calls     int
	ids       []string

	usage    Usage
	rawUsage []byte
	counted  bool

	beside [len(geminiBeside)][]byte // raw values of the members in geminiBeside
}

// geminiBeside are the members of a candidate, and promptFeedback, that are kept in [ChatResponse].Extra. The token stands
// first: a stream that breaks can go on from the last one seen.
var geminiBeside = [...]string{
	"continuationToken", "citationMetadata", "groundingMetadata", "urlContextMetadata", "logprobsResult", "safetyRatings", "promptFeedback",
}

const (
	geminiToken    = 0
	geminiFeedback = len(geminiBeside) - 1
)

// Decode reads one event.
func (d *geminiDecoder) Decode(f Frame, out *AnswerWriter) error {
	data := bytes.TrimSpace(f.Data)
	if len(data) == 0 || string(data) == "[DONE]" { // some gateways add it
		return nil
	}
	return d.frame(data, out)
}

// End calls out.Done if a finish reason or a blocked prompt was seen. The stream has no mark of its end, and counts and
// grounding may follow the finish reason, so only the end of the body is the end.
func (d *geminiDecoder) End(out *AnswerWriter) {
	if d.finish != "" || d.blocked {
		d.done(out)
	}
}

// whole ends an answer that came in one piece: its document is complete, so a missing finish reason is only unknown.
func (d *geminiDecoder) whole(out *AnswerWriter) error {
	switch {
	case d.candidate || d.blocked:
		if out.Stopped().Reason == "" {
			out.Stop(Stop{Reason: StopUnknown})
		}
		d.done(out)
		return nil
	case d.counted:
		return &Error{Kind: KindEmpty, Message: "the answer holds no candidate"}
	}
	return Malformed("the answer is not a generateContent response")
}

func (d *geminiDecoder) done(out *AnswerWriter) {
	d.keep(out)
	d.count(out, true)
	out.Done()
}

// frame reads one response, or the array of responses that the stream is without alt=sse.
func (d *geminiDecoder) frame(data []byte, out *AnswerWriter) error {
	d.data = data
	d.s.Reset(data)
	switch d.s.Kind() {
	case jsonscan.Object:
		if err := d.response(out); err != nil {
			return err
		}
	case jsonscan.Array:
		for ok := d.s.Array(); ok && d.s.NextElem(); {
			if err := d.response(out); err != nil {
				return err
			}
		}
	default:
		return Malformed("the answer is not a JSON object")
	}
	if d.s.End() != nil {
		return geminiBroken(data)
	}
	d.count(out, d.finish != "" || d.blocked)
	if d.failure != nil {
		return d.failure
	}
	return nil
}

// geminiBroken returns the error for a document that is not JSON, or not all of it.
func geminiBroken(data []byte) error {
	var raw json.RawMessage
	if errors.Is(json.NewDecoder(bytes.NewReader(data)).Decode(&raw), io.ErrUnexpectedEOF) {
		return &Error{Kind: KindTruncated, Message: "the answer ends in the middle of its JSON"}
	}
	return Malformed("the answer is not valid JSON")
}

func (d *geminiDecoder) response(out *AnswerWriter) error {
	if !out.Started() {
		d.start(out)
	}
	for ok := d.s.Object(); ok && d.s.NextKey(); {
		switch string(d.s.Key()) {
		case "candidates":
			for ok := d.s.Array(); ok && d.s.NextElem(); {
				if err := d.candidates(out); err != nil {
					return err
				}
			}
		case "promptFeedback":
			d.feedback(d.s.Raw(), out)
		case "usageMetadata":
			d.counts(d.s.Raw())
		case "error":
			if err := d.failed(); err != nil {
				return err
			}
		default:
			d.s.Skip()
		}
	}
	return nil
}

// failed reads an error that came in the place of an answer.
func (d *geminiDecoder) failed() error {
	kind, raw := d.s.Kind(), d.s.Raw()
	if kind == jsonscan.Null || d.s.Err() != nil {
		return nil
	}
	if err := geminiError(0, raw); err != nil {
		return err
	}
	return Malformed("the answer is an error of no known form")
}

// start finds the answer's id and model, which stand behind its content.
func (d *geminiDecoder) start(out *AnswerWriter) {
	var id, model string
	s := jsonscan.New(d.data)
	if s.Kind() == jsonscan.Array && s.Array() {
		s.NextElem()
	}
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "responseId":
			id = s.String()
		case "modelVersion":
			model = s.String()
		case "error": // not an answer at all
			return
		default:
			s.Skip()
		}
	}
	d.id = id
	out.Start(id, model)
}

// candidates reads one candidate. Its index stands behind its content, so the content is found first and read then.
func (d *geminiDecoder) candidates(out *AnswerWriter) error {
	var content, finish, message []byte
	var beside [len(geminiBeside)][]byte
	index := 0
	for ok := d.s.Object(); ok && d.s.NextKey(); {
		switch key := d.s.Key(); string(key) {
		case "content":
			content = d.s.Raw()
		case "finishReason":
			finish = d.s.Raw()
		case "finishMessage":
			message = d.s.Raw()
		case "index":
			index = d.s.Int()
		default:
			if n := geminiBesideOf(key); n >= 0 && d.s.Kind() != jsonscan.Null {
				beside[n] = d.s.Raw()
			} else {
				d.s.Skip()
			}
		}
	}
	if index != 0 || d.s.Err() != nil {
		return nil
	}
	d.candidate = true
	if err := d.content(content, out); err != nil {
		return err
	}
	for n, raw := range beside {
		if raw != nil {
			d.beside[n] = append(d.beside[n][:0], raw...)
		}
	}
	if beside[geminiToken] != nil {
		d.keep(out)
		out.Checkpoint()
	}
	if finish != nil {
		d.finished(d.value(finish), message, out)
	}
	return nil
}

func geminiBesideOf(key []byte) int {
	for n, name := range geminiBeside {
		if string(key) == name {
			return n
		}
	}
	return -1
}

// value returns a raw string's meaning, "" of any other value. The bytes are valid until the next call.
func (d *geminiDecoder) value(raw []byte) []byte {
	if len(raw) == 0 {
		return nil
	}
	d.inner.Reset(raw)
	b, _ := d.inner.Bytes()
	return b
}

// geminiNoAnswer is the error for a candidate that broke off over its own tool call. It is an accident of sampling, not a fault of
// the request or of the protocol: asking again helps, so the answer counts as empty.
func geminiNoAnswer(reason, why string) *Error {
	return &Error{Kind: KindEmpty, Type: reason, Message: why}
}

func (d *geminiDecoder) finished(reason, message []byte, out *AnswerWriter) {
	word := string(reason)
	switch word {
	case "", "FINISH_REASON_UNSPECIFIED": // not finished
		return
	case "MALFORMED_FUNCTION_CALL":
		d.failure = geminiNoAnswer(word, "the model wrote a function call that cannot be read")
	case "UNEXPECTED_TOOL_CALL":
		d.failure = geminiNoAnswer(word, "the model called a function that it was not given")
	}
	d.finish = geminiStop(word)
	out.Stop(Stop{Reason: d.finish, Raw: word, Detail: strings.ToValidUTF8(string(d.value(message)), "\uFFFD")})
}

func geminiStop(reason string) StopReason {
	switch reason {
	case "STOP":
		return StopEndTurn
	case "MAX_TOKENS":
		return StopMaxTokens
	case "PROHIBITED_CONTENT":
		return StopRefusal
	case "SAFETY", "RECITATION", "BLOCKLIST", "SPII", "MODEL_ARMOR":
		return StopFilter
	case "CONTINUATION":
		return StopResumable
	}
	if strings.HasPrefix(reason, "IMAGE_") {
		return StopFilter
	}
	return StopUnknown
}

// feedback reads promptFeedback: a blocked prompt is answered with a refusal.
func (d *geminiDecoder) feedback(raw []byte, out *AnswerWriter) {
	var reason, message string
	s := jsonscan.New(raw)
	for ok := len(raw) > 0 && s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "blockReason":
			reason = s.String()
		case "blockReasonMessage":
			message = s.String()
		default:
			s.Skip()
		}
	}
	if reason == "" || reason == "BLOCKED_REASON_UNSPECIFIED" || d.blocked {
		return
	}
	d.blocked = true
	d.beside[geminiFeedback] = append(d.beside[geminiFeedback][:0], raw...)
	if message == "" {
		message = "The prompt was blocked: " + reason
	}
	out.Refusal([]byte(message))
	out.Stop(Stop{Reason: StopRefusal, Raw: reason, Detail: message})
}

// counts reads usageMetadata, a running total. Thinking is not part of the candidates' count.
func (d *geminiDecoder) counts(raw []byte) {
	var prompt, tools, candidates, thoughts, cached int
	s := jsonscan.New(raw)
	if s.Kind() != jsonscan.Object {
		return
	}
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "promptTokenCount":
			prompt = s.Int()
		case "toolUsePromptTokenCount":
			tools = s.Int()
		case "candidatesTokenCount":
			candidates = s.Int()
		case "thoughtsTokenCount":
			thoughts = s.Int()
		case "cachedContentTokenCount":
			cached = s.Int()
		default:
			s.Skip()
		}
	}
	d.counted = true
	d.rawUsage = append(d.rawUsage[:0], raw...)
	d.usage = Usage{Input: prompt + tools, CacheRead: cached, Output: candidates + thoughts, Reasoning: thoughts}
}

// count hands the token count on where it changed. Only the last one carries the provider's own object.
func (d *geminiDecoder) count(out *AnswerWriter, last bool) {
	u, now := d.usage, out.CurrentUsage()
	if !d.counted {
		return
	}
	if last {
		u.Exact = true
		if bytes.Equal(now.Raw, d.rawUsage) {
			return
		}
		if json.Valid(d.rawUsage) {
			u.Raw = bytes.Clone(d.rawUsage)
		}
	} else if u.Input == now.Input && u.Output == now.Output && u.Reasoning == now.Reasoning && u.CacheRead == now.CacheRead {
		return
	}
	out.Usage(u)
}

// keep writes what came beside the parts.
func (d *geminiDecoder) keep(out *AnswerWriter) {
	b := []byte{'{'}
	for n, raw := range d.beside {
		if !json.Valid(raw) {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), geminiBeside[n]...), '"', ':')
		b = append(b, raw...)
	}
	if len(b) > 1 {
		out.Extra(append(b, '}'))
	}
}
