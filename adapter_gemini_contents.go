package holdfast

import (
	"fmt"
	"strings"

	"github.com/holdfast-ai/holdfast/internal/jsonappend"
	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// geminiContent is the kind of an entry of contents. Neighbours of one kind are merged, as Gemini wants its turns to
// alternate. Results stand alone all the same, though their role is the user's too: an entry that mixes them with text or
// media is refused (Vertex; 3.6 Flash and newer), and what the user says beside them follows as an entry of its own.
type geminiContent byte

const (
	geminiNothing geminiContent = iota
	geminiUser
	geminiResults
	geminiAnswer
)

// contents writes the conversation, one run of messages of the model or of the other side after the other.
func (e *geminiEncoder) contents() error {
	messages := e.req.Messages
	e.turn = geminiOpenTurn(messages)
	e.key("contents")
	e.dst = append(e.dst, '[')
	before := 0
	for from := 0; from < len(messages); {
		to := geminiRun(messages, from)
		if messages[from].Role == RoleAssistant {
			e.answers(from, to)
		} else if err := e.questions(before, from, to); err != nil {
			return err
		}
		before, from = from, to
	}
	switch {
	case e.content == geminiNothing:
		return errNothingLeft()
	case e.content == geminiAnswer && !e.model.prefill:
		return Unsupported(fmt.Sprintf("messages[%d]", len(messages)-1), "the model does not continue a turn of its own")
	}
	e.dst = append(e.dst, "]}]"...)
	return nil
}

// geminiRun returns the end of the run of messages that begins at from: all of the model's, or none.
func geminiRun(messages []Message, from int) int {
	to := from + 1
	for to < len(messages) && (messages[to].Role == RoleAssistant) == (messages[from].Role == RoleAssistant) {
		to++
	}
	return to
}

// geminiOpenTurn returns the message that began the turn which is still open: the last one that does not answer tool calls.
func geminiOpenTurn(messages []Message) int {
	turn := 0
	for from := 0; from < len(messages); {
		to := geminiRun(messages, from)
		if messages[from].Role != RoleAssistant && !geminiAnswersCalls(messages[from:to]) {
			turn = from
		}
		from = to
	}
	return turn
}

func geminiAnswersCalls(messages []Message) bool {
	for _, m := range messages {
		for _, p := range m.Parts {
			if _, ok := p.(*ToolResult); ok {
				return true
			}
		}
	}
	return false
}

// open begins a part, in an entry of the given kind.
func (e *geminiEncoder) open(kind geminiContent) {
	if e.content != kind {
		if e.content != geminiNothing {
			e.dst = append(e.dst, "]}"...)
		}
		role := `{"role":"user","parts":[`
		if kind == geminiAnswer {
			role = `{"role":"model","parts":[`
		}
		e.dst = append(jsonappend.Comma(e.dst), role...)
		e.content, e.called = kind, false
	}
	e.dst = append(jsonappend.Comma(e.dst), '{')
}

func (e *geminiEncoder) shut() { e.dst = append(e.dst, '}') }

func (e *geminiEncoder) text(kind geminiContent, text string) {
	e.open(kind)
	e.str("text", text)
	e.shut()
}

// answers writes what the model said.
func (e *geminiEncoder) answers(from, to int) {
	for i := from; i < to; i++ {
		for j, p := range e.req.Messages[i].Parts {
			e.answer(place{i, j, -1}, p)
		}
	}
}

func (e *geminiEncoder) answer(at place, p Part) {
	switch p := p.(type) {
	case *Text:
		e.said(at, p)
	case *Refusal:
		if p.Text != "" {
			e.text(geminiAnswer, p.Text)
		}
	case *ToolCall:
		e.call(at, p)
	case *Thinking:
		switch {
		case !e.to.made(geminiName, p.Origin):
			e.note("%v", at)
		case len(p.Opaque) == 0:
			e.note("%v: a summary alone says nothing to the model", at)
		default:
			e.open(geminiAnswer)
			e.str("text", p.Text)
			if p.Kind != geminiSignature {
				e.key("thought")
				e.dst = jsonappend.Bool(e.dst, true)
			}
			e.key("thoughtSignature")
			e.dst = jsonappend.String(e.dst, p.Opaque)
			e.shut()
		}
	case *Opaque:
		if !e.to.made(geminiName, p.Origin) {
			e.note("%v", at)
			return
		}
		e.open(geminiAnswer)
		e.dst = append(e.dst[:len(e.dst)-1], p.Raw...)
	}
}

func (e *geminiEncoder) said(at place, t *Text) {
	if t.Cache != "" {
		e.note("%v.cache", at)
	}
	if t.Text == "" {
		return
	}
	e.open(geminiAnswer)
	e.str("text", t.Text)
	if len(t.Extra) > 0 {
		if s := e.signature(at, t.Extra, t.Origin); s != "" {
			e.str("thoughtSignature", s)
		}
	}
	e.shut()
}

// call writes a call. In the open tool loop a model that demands signatures wants one on the first call of each of its
// turns; where there is none, or one that was made elsewhere, the documented substitute stands for it.
func (e *geminiEncoder) call(at place, c *ToolCall) {
	e.open(geminiAnswer)
	e.key("functionCall")
	e.dst = append(e.dst, '{')
	e.callID(c)
	e.str("name", c.Name)
	if len(c.Args) > 0 {
		e.raw("args", c.Args)
	} else {
		e.raw("args", []byte("{}"))
	}
	e.shut()
	signature := ""
	if len(c.Extra) > 0 {
		signature = e.signature(at, c.Extra, c.Origin)
	}
	if signature == "" && e.model.signed && !e.called && at.message > e.turn {
		signature = geminiSkipSignature
	}
	if signature != "" {
		e.str("thoughtSignature", signature)
	}
	e.shut()
	e.called = true
}

// callID writes the id of a call, unless the decoder made it up. Gemini sets no bounds to ids; these are for safety.
func (e *geminiEncoder) callID(c *ToolCall) {
	if geminiMember(c.Extra, "minted") == "" {
		e.str("id", foldID(c.ID, "_-.:|/", 128))
	}
}

// signature returns the thought signature in extra if the target made it.
func (e *geminiEncoder) signature(at place, extra Extra, origin *Origin) string {
	s := geminiMember(extra, "thoughtSignature")
	if !e.to.made(geminiName, origin) {
		if s != "" || extra[geminiName] == nil {
			e.note("%v.extra", at)
		}
		return ""
	}
	return s
}

// geminiMember returns a member of what Gemini attached to a part: a string as it is, true as "true", else "".
func geminiMember(extra Extra, name string) string {
	if len(extra) == 0 {
		return ""
	}
	s := jsonscan.New(extra[geminiName])
	for ok := s.Object(); ok && s.NextKey(); {
		switch {
		case string(s.Key()) != name:
			s.Skip()
		case s.Kind() == jsonscan.True:
			return "true"
		default:
			return s.String()
		}
	}
	return ""
}

// results writes the results that the messages [from, to) hold, one for each call of the model's turn before and in the
// order of its calls, as Gemini wants them.
func (e *geminiEncoder) results(before, from, to int) error {
	for i := before; i < from; i++ {
		for _, p := range e.req.Messages[i].Parts {
			call, ok := p.(*ToolCall)
			if !ok {
				continue
			}
			if at, r := e.resultOf(call.ID, from, to); r != nil {
				if err := e.result(at, call, r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (e *geminiEncoder) resultOf(id string, from, to int) (place, *ToolResult) {
	for i := from; i < to; i++ {
		for j, p := range e.req.Messages[i].Parts {
			if r, ok := p.(*ToolResult); ok && r.CallID == id {
				return place{i, j, -1}, r
			}
		}
	}
	return place{}, nil
}

func (e *geminiEncoder) result(at place, call *ToolCall, r *ToolResult) error {
	e.open(geminiResults)
	e.key("functionResponse")
	e.dst = append(e.dst, '{')
	e.callID(call)
	e.str("name", call.Name)
	e.key("response")
	e.resultText(r)
	if err := e.resultMedia(at, r); err != nil {
		return err
	}
	e.dst = append(e.dst, "}}"...)
	if r.Cache != "" {
		e.note("%v.cache", at)
	}
	return nil
}

// resultText writes a result's text as the object that Gemini demands: a JSON object as it is, anything else wrapped.
func (e *geminiEncoder) resultText(r *ToolResult) {
	text := r.Parts.Text()
	object := isObject([]byte(text))
	switch {
	case object && r.IsError:
		e.dst = append(e.dst, '{')
		e.raw("error", []byte(text))
	case object:
		e.dst = append(e.dst, strings.TrimSpace(text)...)
		return
	case r.IsError:
		e.dst = append(e.dst, '{')
		e.str("error", text)
	default:
		e.dst = append(e.dst, '{')
		e.str("output", text)
	}
	e.shut()
}

func (e *geminiEncoder) resultMedia(at place, r *ToolResult) error {
	opened := false
	for k, p := range r.Parts {
		at.inner = k
		if t, ok := p.(*Text); ok {
			if t.Cache != "" {
				e.note("%v.cache", at)
			}
			continue
		}
		if !e.model.mediaResults {
			return Unsupported(at.String(), "the model reads text only in tool results")
		}
		if !opened {
			e.key("parts")
			e.dst = append(e.dst, '[')
			opened = true
		}
		e.dst = append(jsonappend.Comma(e.dst), '{')
		if err := e.media(at, p); err != nil {
			return err
		}
		e.shut()
	}
	if opened {
		e.dst = append(e.dst, ']')
	}
	return nil
}

// questions writes messages that are not the model's: first the results of the calls since before, then what stands beside
// them. Instructions of the application have no role of their own here and are the user's text.
func (e *geminiEncoder) questions(before, from, to int) error {
	if err := e.results(before, from, to); err != nil {
		return err
	}
	for i := from; i < to; i++ {
		for j, p := range e.req.Messages[i].Parts {
			at := place{i, j, -1}
			switch p := p.(type) {
			case *ToolResult:
			case *Text:
				if p.Text != "" {
					e.text(geminiUser, p.Text)
				}
				if p.Cache != "" {
					e.note("%v.cache", at)
				}
			default:
				e.open(geminiUser)
				if err := e.media(at, p); err != nil {
					return err
				}
				e.shut()
			}
		}
	}
	return nil
}
