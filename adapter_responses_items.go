package holdfast

import (
	"cmp"
	"slices"
	"strings"

	"github.com/holdfast-ai/holdfast/internal/jsonappend"
)

// turn writes a message of the user, the developer or the tools: results as items of their own, all else as messages.
func (e *responsesEncoder) turn(m *Message) error {
	role := m.Role
	if role == RoleTool {
		role = RoleUser
	}
	if t, ok := m.Parts[0].(*Text); ok && len(m.Parts) == 1 && !e.marks(t.Cache) {
		e.part = 0
		e.item(role)
		e.dst = jsonappend.String(e.dst, t.Text)
		e.mark(t.Cache)
		e.dst = append(e.dst, '}')
		return nil
	}
	open := false
	for i, p := range m.Parts {
		e.part, e.inner = i, -1
		result, isResult := p.(*ToolResult)
		if open && isResult {
			e.dst = append(e.dst, "]}"...)
			open = false
		}
		if isResult {
			if err := e.result(result); err != nil {
				return err
			}
			continue
		}
		if !open {
			e.item(role)
			e.dst = append(e.dst, '[')
			open = true
		}
		if err := e.content(p); err != nil {
			return err
		}
	}
	if open {
		e.dst = append(e.dst, "]}"...)
	}
	return nil
}

// item begins a message item, up to its content.
func (e *responsesEncoder) item(role Role) {
	e.dst = append(jsonappend.Comma(e.dst), `{"role":"`...)
	e.dst = append(e.dst, role...)
	e.dst = append(e.dst, `","content":`...)
}

// marks reports whether a cache hint can be said. Other models of OpenAI's cache by themselves.
func (e *responsesEncoder) marks(hint CacheHint) bool { return hint != "" && e.model.Breakpoints }

// mark writes a part's cache hint, or notes that it was left out. More marks than OpenAI writes (the last four) are no fault.
func (e *responsesEncoder) mark(hint CacheHint) {
	switch {
	case hint == "":
	case !e.model.Breakpoints:
		e.note(e.at(".cache"))
	case hint == CacheLong:
		e.dst = append(e.dst, `,"prompt_cache_breakpoint":{"mode":"explicit","ttl":"12h"}`...)
	default: // 30 minutes
		e.dst = append(e.dst, `,"prompt_cache_breakpoint":{"mode":"explicit"}`...)
	}
}

// text writes a text that the model is to read.
func (e *responsesEncoder) text(prefix string, t *Text, hint CacheHint) {
	e.dst = append(jsonappend.Comma(e.dst), `{"type":"input_text","text":"`...)
	e.dst = append(e.dst, prefix...)
	e.dst = jsonappend.Fragment(e.dst, t.Text)
	e.dst = append(e.dst, '"')
	e.mark(hint)
	e.dst = append(e.dst, '}')
}

// content writes a part of what the model is to read.
func (e *responsesEncoder) content(p Part) error {
	switch p := p.(type) {
	case *Text:
		e.text("", p, p.Cache)
		return nil
	case *Image:
		return e.image(p)
	case *Document:
		return e.document(p)
	case *Audio:
		return Unsupported(e.at(""), "the Responses API takes no audio: Chat Completions does, on the models made for it")
	}
	return Unsupported(e.at(""), "the Responses API has no such part here")
}

func (e *responsesEncoder) image(p *Image) error {
	e.dst = append(jsonappend.Comma(e.dst), `{"type":"input_image","detail":"`...)
	switch p.Detail {
	case "low", "high", "original":
		e.dst = append(e.dst, p.Detail...)
	default:
		if p.Detail != "" && p.Detail != "auto" {
			e.note(e.at(".detail"))
		}
		e.dst = append(e.dst, "auto"...)
	}
	switch {
	case len(p.Bytes) > 0:
		if !slices.Contains(openaiImages, mediaType(p.MIME)) {
			return Unsupported(e.at(".mime"), "OpenAI reads PNG, JPEG, WebP and GIF")
		}
		e.dst = append(e.dst, `","image_url":`...)
		e.dst = jsonappend.Base64(e.dst, "data:"+p.MIME+";base64,", p.Bytes)
	case p.URL != "":
		if !hasScheme(p.URL, "https:", "http:", "data:") {
			return Unsupported(e.at(".url"), "must be an https, http or data URL")
		}
		e.dst = append(e.dst, `","image_url":`...)
		e.dst = jsonappend.String(e.dst, p.URL)
	default:
		if err := e.to.elsewhere(e.place(), openaiDialect.Name, p.File); err != nil {
			return err
		}
		e.dst = append(e.dst, `","file_id":`...)
		e.dst = jsonappend.String(e.dst, p.File.ID)
	}
	e.mark(p.Cache)
	e.dst = append(e.dst, '}')
	return nil
}

// document writes a file. Only one that is sent along can be given a name.
func (e *responsesEncoder) document(p *Document) error {
	e.dst = append(jsonappend.Comma(e.dst), `{"type":"input_file",`...)
	switch {
	case len(p.Bytes) > 0:
		kind, _, _ := strings.Cut(mediaType(p.MIME), "/")
		if kind != "application" && kind != "text" {
			return Unsupported(e.at(".mime"), "OpenAI reads PDF, text and office documents")
		}
		e.dst = append(e.dst, `"filename":`...)
		e.dst = jsonappend.String(e.dst, documentName(p))
		e.dst = append(e.dst, `,"file_data":`...)
		e.dst = jsonappend.Base64(e.dst, "data:"+p.MIME+";base64,", p.Bytes)
	case p.URL != "":
		if !hasScheme(p.URL, "https:", "http:") {
			return Unsupported(e.at(".url"), "must be an https or http URL")
		}
		e.dst = append(e.dst, `"file_url":`...)
		e.dst = jsonappend.String(e.dst, p.URL)
	default:
		if err := e.to.elsewhere(e.place(), openaiDialect.Name, p.File); err != nil {
			return err
		}
		e.dst = append(e.dst, `"file_id":`...)
		e.dst = jsonappend.String(e.dst, p.File.ID)
	}
	if p.Name != "" && len(p.Bytes) == 0 {
		e.note(e.at(".name"))
	}
	e.mark(p.Cache)
	e.dst = append(e.dst, '}')
	return nil
}

// documentName returns the name to send with a file's bytes: OpenAI requires one, and goes by its ending.
func documentName(p *Document) string {
	mime := mediaType(p.MIME)
	switch {
	case p.Name != "":
		return p.Name
	case mime == "application/pdf":
		return "document.pdf"
	case mime == "text/plain":
		return "document.txt"
	case mime == "text/markdown":
		return "document.md"
	case mime == "text/html":
		return "document.html"
	case mime == "text/csv":
		return "document.csv"
	case mime == "application/json":
		return "document.json"
	}
	return "document"
}

// result writes what a tool returned: one text as a string, anything more as parts. The API has no mark for a failed call, so
// the text says it.
func (e *responsesEncoder) result(r *ToolResult) error {
	e.dst = append(jsonappend.Comma(e.dst), `{"type":"function_call_output","call_id":`...)
	e.dst = jsonappend.String(e.dst, responsesCallID(r.CallID))
	e.dst = append(e.dst, `,"output":`...)
	prefix := ""
	if r.IsError {
		prefix = "error: "
	}
	text, only := onlyText(r.Parts)
	switch {
	case only && text.Text != "" && (e.marks(r.Cache) || e.marks(text.Cache)):
		e.dst = append(e.dst, '[')
		e.text(prefix, text, cmp.Or(text.Cache, r.Cache))
		e.dst = append(e.dst, ']')
	case only:
		e.dst = append(append(e.dst, '"'), prefix...)
		e.dst = append(jsonappend.Fragment(e.dst, text.Text), '"')
		if r.Cache != "" {
			e.note(e.at(".cache"))
		}
		if text.Cache != "" {
			e.note(e.place().within(0).String() + ".cache")
		}
	default:
		if err := e.results(r); err != nil {
			return err
		}
	}
	e.dst = append(e.dst, '}')
	return nil
}

// results writes the parts of a result, each with its own mark: there is none for the whole.
func (e *responsesEncoder) results(r *ToolResult) error {
	e.dst = append(e.dst, '[')
	if r.IsError {
		e.dst = append(e.dst, `{"type":"input_text","text":"error:"}`...)
	}
	for i, p := range r.Parts {
		if t, ok := p.(*Text); ok && t.Text == "" {
			continue
		}
		e.inner = i
		if err := e.content(p); err != nil {
			return err
		}
	}
	e.dst = append(e.dst, ']')
	if r.Cache != "" {
		e.inner = -1
		e.note(e.at(".cache"))
	}
	return nil
}

// onlyText reports whether parts are nothing but at most one text, and returns it.
func onlyText(parts Parts) (*Text, bool) {
	switch len(parts) {
	case 0:
		return new(Text), true
	case 1:
		t, ok := parts[0].(*Text)
		return t, ok
	}
	return nil, false
}

// responsesCallID makes a tool call's id acceptable: at most 64 bytes.
func responsesCallID(id string) string { return foldID(id, "_-", 64) }

// assistant writes each part of the model's answer as the item that it was, in the same order: the API wants the reasoning
// before the call that came of it. Ids of items are not sent: without store, the server does not know them.
func (e *responsesEncoder) assistant(m *Message) error {
	for i, p := range m.Parts {
		e.part = i
		switch p := p.(type) {
		case *Text:
			e.spoken(p)
		case *Refusal:
			e.dst = append(jsonappend.Comma(e.dst), `{"type":"message","role":"assistant","content":[{"type":"refusal","refusal":`...)
			e.dst = jsonappend.String(e.dst, p.Text)
			e.dst = append(e.dst, "}]}"...)
		case *ToolCall:
			e.call(p)
		case *Thinking:
			e.own(p.Opaque, e.to.made(openaiDialect.Name, p.Origin) && isReasoningItem(p.Opaque))
		case *Opaque:
			e.own(p.Raw, e.to.made(openaiDialect.Name, p.Origin) && isObject(p.Raw))
		default:
			return Unsupported(e.at(""), "the Responses API has no such part here")
		}
	}
	return nil
}

// own writes an item that only its maker can read, if the target is its maker.
func (e *responsesEncoder) own(raw []byte, made bool) {
	if !made {
		e.note(e.at(""))
		return
	}
	e.dst = append(jsonappend.Comma(e.dst), raw...)
}

func (e *responsesEncoder) call(p *ToolCall) {
	e.dst = append(jsonappend.Comma(e.dst), `{"type":"function_call","call_id":`...)
	e.dst = jsonappend.String(e.dst, responsesCallID(p.ID))
	e.dst = append(e.dst, `,"name":`...)
	e.dst = jsonappend.String(e.dst, p.Name)
	e.dst = append(e.dst, `,"arguments":`...)
	if len(p.Args) > 0 {
		e.dst = jsonappend.String(e.dst, []byte(p.Args))
	} else {
		e.dst = append(e.dst, `"{}"`...)
	}
	e.dst = append(e.dst, '}')
	if len(p.Extra) > 0 {
		e.note(e.at(".extra"))
	}
}

// spoken writes a text of the model's. Its phase must go back unchanged (gpt-5.3-codex and later).
func (e *responsesEncoder) spoken(p *Text) {
	var x responsesExtra
	if len(p.Extra) > 0 {
		if e.to.made(openaiDialect.Name, p.Origin) {
			x = readResponsesExtra(p)
		} else {
			e.note(e.at(".extra"))
		}
	}
	e.dst = append(jsonappend.Comma(e.dst), `{"type":"message","role":"assistant",`...)
	if x.phase != "" {
		e.dst = append(e.dst, `"phase":`...)
		e.dst = append(jsonappend.String(e.dst, x.phase), ',')
	}
	e.dst = append(e.dst, `"content":`...)
	if x.annotations == nil {
		e.dst = jsonappend.String(e.dst, p.Text)
	} else {
		e.dst = append(e.dst, `[{"type":"output_text","text":`...)
		e.dst = jsonappend.String(e.dst, p.Text)
		e.dst = append(e.dst, `,"annotations":`...)
		e.dst = append(e.dst, x.annotations...)
		e.dst = append(e.dst, "}]"...)
	}
	e.dst = append(e.dst, '}')
	if p.Cache != "" { // the API takes no mark on what the model said
		e.note(e.at(".cache"))
	}
}
