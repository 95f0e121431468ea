package holdfast

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/holdfast-ai/holdfast/internal/jsonappend"
	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// messages writes the conversation. Everything between two messages of the assistant is one turn: its tool results come first,
// since Chat Completions wants them right behind the calls.
func (e *chatEncoder) messages() error {
	e.countCacheHints()
	e.dst = append(e.dst, `,"messages":[`...)
	e.system()
	empty := len(e.dst)
	all := e.req.Messages
	for from := 0; from < len(all); {
		if all[from].Role == RoleAssistant {
			e.assistant(from)
			from++
			continue
		}
		to := from + 1
		for to < len(all) && all[to].Role != RoleAssistant {
			to++
		}
		if err := e.turn(from, to); err != nil {
			return err
		}
		from = to
	}
	if len(e.dst) == empty {
		return errNothingLeft()
	}
	e.dst = append(e.dst, ']')
	return nil
}

// instructor is the role of the application's own instructions. OpenAI's reasoning models know it as developer.
func (e *chatEncoder) instructor() string {
	if e.model.Reasons {
		return "developer"
	}
	return "system"
}

// open begins a message; the caller writes its content.
func (e *chatEncoder) open(role string) {
	e.dst = append(jsonappend.Comma(e.dst), `{"role":"`...)
	e.dst = append(e.dst, role...)
	e.dst = append(e.dst, '"')
}

func (e *chatEncoder) system() {
	texts := e.req.System
	if len(texts) == 0 {
		return
	}
	e.open(e.instructor())
	if !e.profile.has(isOpenAI) || len(texts) == 1 && texts[0].Cache == "" {
		e.dst = append(e.dst, `,"content":"`...)
		for i, t := range texts {
			if i > 0 {
				e.dst = append(e.dst, `\n\n`...)
			}
			e.dst = jsonappend.Fragment(e.dst, t.Text)
			if t.Cache != "" {
				e.note(fmt.Sprintf("system[%d].cache", i))
			}
		}
		e.dst = append(e.dst, '"', '}')
		return
	}
	e.dst = append(e.dst, `,"content":[`...)
	for i, t := range texts {
		e.textPart(t.Text)
		if t.Cache != "" && !e.breakpoint(t.Cache) {
			e.note(fmt.Sprintf("system[%d].cache", i))
		}
		e.dst = append(e.dst, '}')
	}
	e.dst = append(e.dst, ']', '}')
}

// turn writes the messages [from, to), none of which is the assistant's.
func (e *chatEncoder) turn(from, to int) error {
	folded := false
	for i := from; i < to; i++ {
		m := &e.req.Messages[i]
		folded = folded || m.Role == RoleDeveloper && !e.profile.has(takesDeveloper)
		for j, p := range m.Parts {
			if r, ok := p.(*ToolResult); ok {
				if err := e.toolResult(place{i, j, -1}, r); err != nil {
					return err
				}
			}
		}
	}
	if folded {
		return e.said("user", from, to)
	}
	for i := from; i < to; i++ {
		role := "user"
		if e.req.Messages[i].Role == RoleDeveloper {
			role = e.instructor()
		}
		if err := e.said(role, i, i+1); err != nil {
			return err
		}
	}
	return nil
}

// said writes one message with all parts of the messages [from, to), tool results aside. Text alone goes as a string, which every
// server takes.
func (e *chatEncoder) said(role string, from, to int) error {
	parts, texts, marks := 0, 0, 0
	for i := from; i < to; i++ {
		for _, p := range e.req.Messages[i].Parts {
			switch p := p.(type) {
			case *ToolResult:
				continue
			case *Text:
				texts++
				if p.Cache != "" {
					marks++
				}
			}
			parts++
		}
	}
	if parts == 0 {
		return nil
	}
	e.open(role)
	if texts == parts && (!e.profile.has(isOpenAI) || parts == 1 && (marks == 0 || !e.model.Breakpoints)) {
		e.joined(from, to)
		return nil
	}
	e.dst = append(e.dst, `,"content":[`...)
	for i := from; i < to; i++ {
		for j, p := range e.req.Messages[i].Parts {
			if _, ok := p.(*ToolResult); ok {
				continue
			}
			if err := e.part(place{i, j, -1}, p); err != nil {
				return err
			}
		}
	}
	e.dst = append(e.dst, ']', '}')
	return nil
}

func (e *chatEncoder) joined(from, to int) {
	e.dst = append(e.dst, `,"content":"`...)
	first := true
	for i := from; i < to; i++ {
		for j, p := range e.req.Messages[i].Parts {
			t, ok := p.(*Text)
			if !ok {
				continue
			}
			if !first {
				e.dst = append(e.dst, `\n\n`...)
			}
			first = false
			e.dst = jsonappend.Fragment(e.dst, t.Text)
			if t.Cache != "" {
				e.note(place{i, j, -1}.String() + ".cache")
			}
		}
	}
	e.dst = append(e.dst, '"', '}')
}

// unsaid notes what a text carries beside its words.
func (e *chatEncoder) unsaid(at place, t *Text) {
	if t.Cache != "" {
		e.note(at.String() + ".cache")
	}
	if len(t.Extra) > 0 {
		e.note(at.String() + ".extra")
	}
}

// textPart begins a part; the caller closes it.
func (e *chatEncoder) textPart(text string) {
	e.dst = jsonappend.String(append(jsonappend.Comma(e.dst), `{"type":"text","text":`...), text)
}

func (e *chatEncoder) part(at place, p Part) error {
	var (
		err  error
		hint CacheHint
	)
	switch p := p.(type) {
	case *Text:
		e.textPart(p.Text)
		hint = p.Cache
	case *Image:
		hint, err = p.Cache, e.image(at, p)
	case *Document:
		hint, err = p.Cache, e.document(at, p)
	case *Audio:
		hint, err = p.Cache, e.audio(at, p)
	}
	if err != nil {
		return err
	}
	if hint != "" && !e.breakpoint(hint) {
		e.note(at.String() + ".cache")
	}
	e.dst = append(e.dst, '}')
	return nil
}

// openaiImages are the formats that OpenAI reads.
var openaiImages = []string{"image/png", "image/jpeg", "image/webp", "image/gif"}

func (e *chatEncoder) image(at place, p *Image) error {
	switch {
	case p.File != nil:
		return Unsupported(at.String()+".file", "Chat Completions takes no image by file id: give its bytes")
	case p.URL != "" && !e.profile.has(takesImageURL):
		return Unsupported(at.String()+".url", "this provider fetches no images: give its bytes")
	case len(p.Bytes) > 0 && e.profile.has(isOpenAI) && !slices.Contains(openaiImages, mediaType(p.MIME)):
		return Unsupported(at.String()+".mime", "OpenAI reads PNG, JPEG, WebP and GIF images")
	}
	e.dst = append(jsonappend.Comma(e.dst), `{"type":"image_url","image_url":{"url":`...)
	if p.URL != "" {
		e.dst = jsonappend.String(e.dst, p.URL)
	} else {
		e.dst = jsonappend.Base64(e.dst, "data:"+p.MIME+";base64,", p.Bytes)
	}
	switch {
	case p.Detail == "":
	case e.profile.has(takesDetail):
		e.dst = jsonappend.String(append(e.dst, `,"detail":`...), p.Detail)
	default:
		e.note(at.String() + ".detail")
	}
	e.dst = append(e.dst, '}')
	return nil
}

func (e *chatEncoder) document(at place, p *Document) error {
	switch {
	case !e.profile.has(takesFiles):
		return Unsupported(at.String(), "this provider takes no documents: give the text as a Text part")
	case p.URL != "":
		return Unsupported(at.String()+".url", "Chat Completions fetches no documents: give its bytes")
	}
	e.dst = append(jsonappend.Comma(e.dst), `{"type":"file","file":{`...)
	if p.File != nil {
		if err := e.to.elsewhere(at, e.profile.name(), p.File); err != nil {
			return err
		}
		if p.Name != "" {
			e.note(at.String() + ".name")
		}
		e.dst = jsonappend.String(append(e.dst, `"file_id":`...), p.File.ID)
		e.dst = append(e.dst, '}')
		return nil
	}
	name := p.Name
	switch {
	case name != "":
	case p.MIME == "application/pdf":
		name = "document.pdf" // bytes without a name are refused
	default:
		name = "document"
	}
	e.dst = jsonappend.String(append(e.dst, `"filename":`...), name)
	e.dst = jsonappend.Base64(append(e.dst, `,"file_data":`...), "data:"+p.MIME+";base64,", p.Bytes)
	e.dst = append(e.dst, '}')
	return nil
}

// chatAudio gives the format of a media type in the API's word.
var chatAudio = map[string]string{
	"audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/vnd.wave": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3",
}

func (e *chatEncoder) audio(at place, p *Audio) error {
	format := chatAudio[mediaType(p.MIME)]
	switch {
	case !e.profile.has(takesAudio):
		return Unsupported(at.String(), "this provider takes no audio")
	case p.URL != "":
		return Unsupported(at.String()+".url", "Chat Completions fetches no audio: give its bytes")
	case p.File != nil:
		return Unsupported(at.String()+".file", "Chat Completions takes no audio by file id: give its bytes")
	case format == "":
		return Unsupported(at.String()+".mime", "Chat Completions takes WAV and MP3")
	}
	e.dst = append(jsonappend.Comma(e.dst), `{"type":"input_audio","input_audio":{"format":"`...)
	e.dst = append(append(e.dst, format...), `","data":`...)
	e.dst = append(jsonappend.Base64(e.dst, "", p.Bytes), '}')
	return nil
}

// toolResult writes a tool's message. It has no mark for failure, so the text says it.
func (e *chatEncoder) toolResult(at place, r *ToolResult) error {
	e.open("tool")
	e.dst = jsonappend.String(append(e.dst, `,"tool_call_id":`...), e.profile.id(r.CallID))
	hint := resultHint(r)
	marked := hint != "" && e.model.Breakpoints && e.surplus == 0
	if marked {
		e.dst = append(e.dst, `,"content":[{"type":"text","text":"`...)
	} else {
		e.dst = append(e.dst, `,"content":"`...)
	}
	if r.IsError {
		e.dst = append(e.dst, "error: "...)
	}
	for i, p := range r.Parts {
		t, ok := p.(*Text)
		if !ok {
			return Unsupported(at.within(i).String(), "Chat Completions takes only text from a tool")
		}
		if t.Cache != "" && !marked {
			e.note(at.within(i).String() + ".cache")
		}
		if i > 0 {
			e.dst = append(e.dst, `\n\n`...)
		}
		e.dst = jsonappend.Fragment(e.dst, t.Text)
	}
	e.dst = append(e.dst, '"')
	switch {
	case marked:
		e.breakpoint(hint)
		e.dst = append(e.dst, '}', ']')
	case hint != "":
		e.breakpoint(hint) // counts it as left out
		if r.Cache != "" {
			e.note(at.String() + ".cache")
		}
	}
	e.dst = append(e.dst, '}')
	return nil
}

// breakpoint writes a cache hint into the open part and reports whether it could.
func (e *chatEncoder) breakpoint(hint CacheHint) bool {
	switch {
	case !e.model.Breakpoints:
		return false
	case e.surplus > 0:
		e.surplus--
		return false
	case hint == CacheLong:
		e.dst = append(e.dst, `,"prompt_cache_breakpoint":{"mode":"explicit","ttl":"12h"}`...)
	default:
		e.dst = append(e.dst, `,"prompt_cache_breakpoint":{"mode":"explicit"}`...)
	}
	return true
}

// countCacheHints finds how many hints are more than OpenAI takes: the first ones are left out, the last ones reach furthest.
func (e *chatEncoder) countCacheHints() {
	if !e.model.Breakpoints {
		return
	}
	n := 0
	for _, t := range e.req.System {
		n += hints(t.Cache)
	}
	for i := range e.req.Messages {
		for _, p := range e.req.Messages[i].Parts {
			n += hints(cacheHint(p))
		}
	}
	e.surplus = max(0, n-chatMaxBreakpoints)
}

func hints(h CacheHint) int {
	if h == "" {
		return 0
	}
	return 1
}

// storesConversation reports whether a request's Extra sets "store":true.
func storesConversation(raw json.RawMessage) bool {
	s := jsonscan.New(raw)
	stored := false
	for ok := s.Object(); ok && s.NextKey(); {
		if string(s.Key()) == "store" {
			stored = s.Bool()
		} else {
			s.Skip()
		}
	}
	return stored
}

// members returns what stands between the braces of a JSON object; nil if raw is none, or empty.
func members(raw json.RawMessage) []byte {
	if !isObject(raw) {
		return nil
	}
	raw = bytes.TrimSpace(raw)
	return bytes.TrimSpace(raw[1 : len(raw)-1])
}
