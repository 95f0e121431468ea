package holdfast

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// decodeOpenAIError reads an error of OpenAI's, of either of its APIs, or of Azure's. It returns nil if the body is none.
func decodeOpenAIError(status int, _ http.Header, body []byte) *Error {
	return chatProfiles[0].decodeError(status, body)
}

// chatFailure is an error as its body tells it.
type chatFailure struct {
	status             int
	typ, code, message string
	hints              string // further words: reasons, parameters, the forms of FastAPI
	found              bool
}

// decodeError reads an error body in any of the forms that servers give it, and judges it. nil means that the body is not the
// server's. The status may be 200, for errors that come instead of an answer or in the midst of one.
func (p *chatProfile) decodeError(status int, body []byte) *Error {
	var f chatFailure
	f.readBody(status, body)
	if !f.found {
		return nil
	}
	return &Error{
		Kind: p.judge(&f), Type: shorten(f.typ, 80), Code: shorten(f.code, 80), Message: shorten(f.message, 300),
		RetryAfter: f.retryAfter(),
	}
}

// readBody reads an error. Where the status says that all is well, a code that is a status takes its place.
func (f *chatFailure) readBody(status int, body []byte) {
	f.read(bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xEF\xBB\xBF"))), 0)
	if f.status = status; status < 400 {
		f.status = 0
		if n, err := strconv.Atoi(f.code); err == nil && n >= 400 && n < 600 {
			f.status = n
		}
	}
}

// maxErrorNesting bounds how deep errors within errors are followed: gateways wrap them, some as JSON in a string.
const maxErrorNesting = 8

func (f *chatFailure) read(raw []byte, depth int) {
	if depth > maxErrorNesting || len(raw) == 0 || !json.Valid(raw) {
		return
	}
	s := jsonscan.New(raw)
	switch s.Kind() {
	case jsonscan.Array: // Gemini's compatible endpoint wraps the error so
		if s.Array() && s.NextElem() {
			f.read(s.Raw(), depth+1)
		}
	case jsonscan.Object:
		f.object(&s, depth)
	}
}

// object reads an error, or the body around it. What stands deeper is closer to the cause and wins.
func (f *chatFailure) object(s *jsonscan.Scanner, depth int) {
	var inner, message []byte
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "error", "detail":
			inner = s.Raw()
		case "message", "msg", "error_msg":
			message = s.Raw()
			f.found = f.found || isText(message)
		case "type", "status": // status: Google's word for the type
			if t := s.String(); t != "" {
				f.typ = t
			}
		case "code", "statusCode", "error_code":
			if c := word(s); c != "" {
				f.code = c
			}
		case "object":
			f.found = s.String() == "error" || f.found
		case "metadata", "innererror":
			f.words(s.Raw())
		case "param":
			f.hint(word(s))
		default:
			s.Skip()
		}
	}
	f.say(message, depth)
	if isError(inner) {
		f.found = true
		f.inner(inner, depth)
	}
}

// inner reads the value of an error member: an object, a string, or FastAPI's list of faults.
func (f *chatFailure) inner(raw []byte, depth int) {
	if raw[0] == '"' {
		if f.message == "" || depth == 0 {
			f.say(raw, depth)
		}
		return
	}
	f.read(raw, depth+1)
}

// say takes a message, or the error that it holds as JSON.
func (f *chatFailure) say(raw []byte, depth int) {
	if !isText(raw) {
		return
	}
	s := jsonscan.New(raw)
	text := s.String()
	f.message = text
	if t := strings.TrimSpace(text); strings.HasPrefix(t, "{") && json.Valid([]byte(t)) {
		f.read([]byte(t), depth+1)
	}
}

// words keeps the strings of an object that explain an error: OpenRouter's metadata, Azure's innererror.
func (f *chatFailure) words(raw []byte) {
	s := jsonscan.New(raw)
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "reasons", "flagged_input":
			f.hint("moderation")
			s.Skip()
		case "code", "reason", "type", "error_type", "limit_type":
			f.hint(word(&s))
		default:
			s.Skip()
		}
	}
}

func (f *chatFailure) hint(word string) {
	if word != "" {
		f.hints += " " + word
	}
}

// word takes a string or a number as a word.
func word(s *jsonscan.Scanner) string {
	if s.Kind() == jsonscan.Number {
		return string(s.Raw())
	}
	return s.String()
}

// retryAfter reads the wait that a message names, in the words of OpenAI, Groq and Azure.
func (f *chatFailure) retryAfter() time.Duration {
	if _, rest, ok := strings.Cut(f.message, "try again in "); ok {
		end := 0
		for end < len(rest) && (rest[end] >= '0' && rest[end] <= '9' || strings.IndexByte(".hms", rest[end]) >= 0) {
			end++
		}
		if d, err := time.ParseDuration(strings.TrimRight(rest[:end], ".")); err == nil {
			return sensible(d)
		}
	}
	if _, rest, ok := strings.Cut(f.message, "retry after "); ok {
		number, unit, _ := strings.Cut(rest, " ")
		if n, err := strconv.ParseFloat(number, 64); err == nil && strings.HasPrefix(unit, "second") {
			return seconds(n)
		}
	}
	return 0
}

// chatErrorRow says what an error means. Every condition that is set must hold; the first row that holds counts.
type chatErrorRow struct {
	status    int    // 0: any
	code, typ string // equal, whatever the case
	has       string // in the message or the words beside it, in lower case
	kind      Kind
}

func (r *chatErrorRow) holds(f *chatFailure, text string) bool {
	return (r.status == 0 || r.status == f.status) &&
		(r.code == "" || strings.EqualFold(r.code, f.code)) &&
		(r.typ == "" || strings.EqualFold(r.typ, f.typ)) &&
		(r.has == "" || strings.Contains(text, r.has))
}

// judge finds the meaning of an error: in the server's own rows, in those of every server, and last by its status.
func (p *chatProfile) judge(f *chatFailure) Kind {
	switch row, own := p.row(f); {
	case own:
		return p.errors[row].kind
	case row >= 0:
		return chatErrors[row].kind
	case f.status == 0:
		return KindServer
	case f.status == http.StatusNotFound && strings.Contains(strings.ToLower(f.message), "model"):
		return KindModel
	}
	return kindOfStatus(f.status, false)
}

// row finds the first row that holds, -1 if none does, and whether it is the server's own.
func (p *chatProfile) row(f *chatFailure) (row int, own bool) {
	text := strings.ToLower(f.message + f.hints)
	holds := func(r chatErrorRow) bool { return r.holds(f, text) }
	if i := slices.IndexFunc(p.errors, holds); i >= 0 {
		return i, true
	}
	return slices.IndexFunc(chatErrors, holds), false
}

// shorten keeps the beginning of what a server said, without what looks like a key: some quote the one that was sent.
func shorten(text string, most int) string {
	if len(text) > most {
		text = text[:most]
		for len(text) > 0 && !utf8.ValidString(text) {
			text = text[:len(text)-1]
		}
	}
	for _, prefix := range [...]string{"Bearer ", "sk-", "gsk_", "xai-"} {
		from := 0
		for {
			i := strings.Index(text[from:], prefix)
			if i < 0 {
				break
			}
			start := from + i
			if start > 0 && isWordByte(text[start-1]) {
				from = start + len(prefix)
				continue
			}
			end := start + len(prefix)
			for end < len(text) && (isWordByte(text[end]) || text[end] == '*') {
				end++
			}
			text = text[:start] + "[redacted]" + text[end:]
			from = start + len("[redacted]")
		}
	}
	return text
}

func isWordByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '-'
}
