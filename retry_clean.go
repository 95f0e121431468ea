package holdfast

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/holdfast-ai/holdfast/internal/scrub"
)

// How much of what a provider wrote an error keeps, in bytes.
const (
	maxMessage   = 300
	maxCode      = 64
	maxRequestID = 128
)

// clean says with whom an exchange failed, and takes out of the error whatever quotes a key, the request or the answer.
func (k *call) clean(x *exchange, e *Error) {
	e.Endpoint, e.Provider, e.Model = x.endpoint.Name, x.endpoint.dialect.Name, x.target.Model
	secrets, sent := x.credentials.confidential, k.texts(x)
	e.Message = scrub.Clean(e.Message, maxMessage, secrets, sent)
	e.Type, e.Code = scrub.Clean(e.Type, maxCode, secrets, sent), scrub.Clean(e.Code, maxCode, secrets, sent)
	e.RequestID = scrub.Clean(e.RequestID, maxRequestID, secrets, nil)
	if e.Err == nil || e.Kind == KindCanceled || e.Kind == KindDeadline {
		return // a context's error and its cause are the caller's own words
	}
	if text := e.Err.Error(); text != "" {
		e.Err = reworded(e.Err, scrub.Clean(text, maxMessage, secrets, sent))
	}
}

// quietError is an error whose own text must not be printed. [errors.Is] and [errors.As] look through it; Unwrap does not, since
// loggers print all that it leads to.
type quietError struct {
	text string
	err  error
}

func (e *quietError) Error() string        { return e.text }
func (e *quietError) Is(target error) bool { return errors.Is(e.err, target) }
func (e *quietError) As(target any) bool   { return errors.As(e.err, target) }

// reworded returns err with another text, or err itself if that is its text already.
func reworded(err error, text string) error {
	if err.Error() == text {
		return err
	}
	return &quietError{text, err}
}

// requestID returns the provider's id of an exchange.
func (x *exchange) requestID(h http.Header) string {
	for _, name := range [...]string{x.endpoint.dialect.RequestIDHeader, "X-Request-Id", "Request-Id"} {
		if name == "" {
			continue
		}
		if id := h.Get(name); id != "" {
			return x.cleanID(id)
		}
	}
	return ""
}

// cleanID cleans an id of the provider's. It leaves those alone that look like every provider's, which costs next to nothing.
func (x *exchange) cleanID(id string) string {
	plain := len(id) <= maxRequestID
	for i := 0; plain && i < len(id); i++ {
		c := id[i]
		plain = '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-' || c == '_'
	}
	if plain && !slices.ContainsFunc(x.credentials.confidential, func(s string) bool { return strings.Contains(id, s) }) {
		return id
	}
	return scrub.Clean(id, maxRequestID, x.credentials.confidential, nil)
}

// texts lists what must not come back in an error of an exchange: what was sent, and what there is of the answer, which an attempt to go on
// with it was sent too.
func (k *call) texts(x *exchange) []string {
	all := k.request.texts()
	if k.rescue != nil {
		all = append(k.rescue.from.appendTexts(all), k.rescue.text)
	}
	if x != nil && x.run.answer != nil {
		all = x.run.answer.appendTexts(all)
	}
	return all
}

// texts lists what of the request must not come back in an error: everything a user or a tool may have written.
func (r *ChatRequest) texts() []string {
	var all []string
	for _, t := range r.System {
		all = append(all, t.Text)
	}
	for _, m := range r.Messages {
		all = m.Parts.appendTexts(all)
	}
	return append(all, r.EndUser)
}

func (p Parts) appendTexts(all []string) []string {
	for _, part := range p {
		switch part := part.(type) {
		case *Text:
			all = append(all, part.Text)
		case *ToolCall:
			all = append(all, string(part.Args))
		case *ToolResult:
			all = part.Parts.appendTexts(all)
		case *Thinking:
			all = append(all, part.Text)
		case *Refusal:
			all = append(all, part.Text)
		case *Image:
			all = append(all, part.URL)
		case *Audio:
			all = append(all, part.URL)
		case *Document:
			all = append(all, part.URL, part.Name)
			if strings.HasPrefix(part.MIME, "text/") {
				all = append(all, string(part.Bytes))
			}
		}
	}
	return all
}
