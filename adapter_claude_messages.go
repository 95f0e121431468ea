package holdfast

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"github.com/holdfast-ai/holdfast/internal/jsonappend"
)

func (e *claudeEncoder) writeSystem() error {
	if len(e.req.System) == 0 {
		return nil
	}
	e.key("system")
	e.out = append(e.out, '[')
	for i, t := range e.req.System {
		e.open("text")
		e.text("text", t.Text)
		e.mark(t.Cache, "system[%d].cache", i)
		e.out = append(e.out, '}')
	}
	e.out = append(e.out, ']')
	return nil
}

// writeMessages writes the turns. Messages of the same side that follow each other become one turn: results of tools must
// stand in the very turn behind their calls, before anything else.
func (e *claudeEncoder) writeMessages() error {
	e.key("messages")
	e.out = append(e.out, '[')
	empty := len(e.out)
	msgs := e.req.Messages
	for i := 0; i < len(msgs); {
		end := i + 1
		assistant := msgs[i].Role == RoleAssistant
		for end < len(msgs) && (msgs[end].Role == RoleAssistant) == assistant {
			end++
		}
		var err error
		if assistant {
			err = e.assistantTurn(i, end)
		} else {
			err = e.userTurn(i, end)
		}
		if err != nil {
			return err
		}
		i = end
	}
	if len(e.out) == empty {
		return errNothingLeft()
	}
	e.out = append(e.out, ']')
	return nil
}

// userTurn writes the messages from i to end, all but the assistant's. Instructions of the developer at their end get the
// role "system" where the model has it; others are the user's text, as the API demands a user's turn before them and the
// assistant's behind.
func (e *claudeEncoder) userTurn(i, end int) error {
	system := end
	if e.model.midSystem && claudeFirstParty(e.to.Platform) {
		for system > i && e.req.Messages[system-1].Role == RoleDeveloper {
			system--
		}
		if system == i {
			system = end
		}
	}
	if err := e.turn("user", i, system); err != nil || system == end {
		return err
	}
	return e.turn("system", system, end)
}

func (e *claudeEncoder) assistantTurn(i, end int) error {
	if end == len(e.req.Messages) {
		if err := e.planPrefill(i, end); err != nil {
			return err
		}
	}
	return e.turn("assistant", i, end)
}

// turn writes one turn, or nothing if all of it is left out.
func (e *claudeEncoder) turn(role string, i, end int) error {
	start := len(e.out)
	e.out = append(jsonappend.Comma(e.out), '{')
	e.text("role", role)
	e.key("content")
	e.out = append(e.out, '[')
	empty := len(e.out)
	for _, results := range [...]bool{true, false} {
		for m := i; m < end; m++ {
			for n, p := range e.req.Messages[m].Parts {
				if _, is := p.(*ToolResult); is != results {
					continue
				}
				if err := e.part(place{m, n, -1}, role, p); err != nil {
					return err
				}
			}
		}
	}
	if len(e.out) == empty {
		e.out = e.out[:start]
		return nil
	}
	e.out = append(e.out, ']', '}')
	return nil
}

// planPrefill looks at a conversation that ends with the assistant. A turn that holds a provider's own block was paused and is
// sent back as it is; any other is a prefill, and few models take one.
func (e *claudeEncoder) planPrefill(i, end int) error {
	for m := i; m < end; m++ {
		for _, p := range e.req.Messages[m].Parts {
			if o, ok := p.(*Opaque); ok && e.to.made(claudeDialect.Name, o.Origin) {
				return nil
			}
		}
	}
	for m := end - 1; m >= i; m-- {
		parts := e.req.Messages[m].Parts
		for n := len(parts) - 1; n >= 0; n-- {
			at := place{m, n, -1}
			text := ""
			switch p := parts[n].(type) {
			case *Text:
				text = p.Text
			case *Refusal:
				text = p.Text
			case *Thinking:
				if e.returns(p) {
					return Unsupported(at.String(), "thinking cannot be continued")
				}
			}
			if strings.TrimSpace(text) != "" {
				e.tail = at
				return e.checkPrefill(end - 1)
			}
		}
	}
	return nil
}

func (e *claudeEncoder) checkPrefill(message int) error {
	field := fmt.Sprintf("messages[%d]", message)
	switch {
	case !e.model.prefill:
		return Unsupported(field, "this model does not continue a message of the assistant: the last message must be the user's")
	case e.thinking == thinkingManual:
		return Unsupported(field, "a last message of the assistant does not go with thinking")
	}
	return nil
}

func (e *claudeEncoder) part(at place, role string, p Part) error {
	switch p := p.(type) {
	case *Text:
		e.textPart(at, role, p)
	case *Refusal:
		e.textPart(at, role, &Text{Text: p.Text})
	case *Image:
		return e.image(at, p)
	case *Document:
		return e.document(at, p)
	case *Audio:
		return Unsupported(at.String(), "Claude takes no audio")
	case *ToolCall:
		return e.toolCall(at, p)
	case *ToolResult:
		return e.toolResult(at, p)
	case *Thinking:
		e.thinkingPart(at, p)
	case *Opaque:
		if !e.to.made(claudeDialect.Name, p.Origin) {
			e.note(at.String() + ": only its origin can read it")
			return nil
		}
		e.out = append(jsonappend.Comma(e.out), p.Raw...)
	}
	return nil
}

func (e *claudeEncoder) textPart(at place, role string, t *Text) {
	text := t.Text
	if at == e.tail {
		if text = strings.TrimRightFunc(text, unicode.IsSpace); len(text) < len(t.Text) {
			e.note(at.String() + ".text: the white space at its end, which Claude does not take there")
		}
	}
	if role == "assistant" && strings.TrimSpace(text) == "" {
		e.note(at.String() + ".text: is only white space, which Claude does not take back") // (unverified)
		return
	}
	e.open("text")
	e.text("text", text)
	if len(t.Extra) > 0 && role == "assistant" {
		e.citations(at, t)
	}
	e.mark(t.Cache, "messages[%d].parts[%d].cache", at.message, at.part)
	e.out = append(e.out, '}')
}

// citations returns what Claude attached to its text. The file_id of an answer's citation is not part of a request's.
func (e *claudeEncoder) citations(at place, t *Text) {
	var extra struct {
		Citations []map[string]json.RawMessage `json:"citations"`
	}
	if !e.to.made(claudeDialect.Name, t.Origin) || json.Unmarshal(t.Extra[claudeDialect.Name], &extra) != nil {
		e.note(at.String() + ".extra: only its origin can read it")
		return
	}
	for _, c := range extra.Citations {
		delete(c, "file_id")
	}
	if raw, err := json.Marshal(extra.Citations); err == nil && len(extra.Citations) > 0 {
		e.raw("citations", string(raw))
	}
}

func (e *claudeEncoder) thinkingPart(at place, t *Thinking) {
	if !e.returns(t) {
		e.note(at.String() + ": only its origin can read it")
		return
	}
	if t.Kind == claudeRedacted {
		e.open("redacted_thinking")
		e.key("data")
		e.out = append(jsonappend.String(e.out, t.Opaque), '}')
		return
	}
	e.open("thinking")
	e.text("thinking", t.Text)
	e.key("signature")
	e.out = append(jsonappend.String(e.out, t.Opaque), '}')
}

// open begins a content block.
func (e *claudeEncoder) open(kind string) {
	e.out = append(jsonappend.Comma(e.out), '{')
	e.text("type", kind)
}
