package holdfast

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// An AIServiceAdapter is a codec for one dialect of LLM API. Values go in and bytes come out, and back: it knows no network,
// clock or environment and holds no state between calls, so all of retry, failover, signing and limits works with it
// unchanged. It must be safe for concurrent use.
//
// To add a provider of your own, implement it and register it in [Config].Adapters under the name that endpoints give as
// their Provider. What it must promise:
//
//   - Encode refuses what the provider or model cannot express with [Unsupported], naming the field. It never drops a field
//     silently: hints that mean nothing are left out and listed in Encoded.Notes.
//   - Decode and the StreamDecoder ignore what they do not know, and call [AnswerWriter.Done] only when the protocol's own
//     evidence shows that the answer is whole.
//   - Errors quote no prompt and no answer.
//
// An adapter that serves several dialects implements [DialectChooser] too; one whose provider can go on with an answer that broke off,
// [Continuer] or [Resumer].
type AIServiceAdapter interface {
	// Dialect returns the constants of the API.
	Dialect() Dialect
	// Encode appends the body of req to dst. The request has been checked (see [ChatRequest]): its parts are whole and of
	// known types, its tool calls and results belong together. The memory of the returned body is used again for other
	// requests: it must be dst's, or made for this call.
	Encode(dst []byte, req *ChatRequest, to Target) (Encoded, error)
	// Decode reads the whole body of a successful answer that is not streamed. Its bytes are valid only during the call.
	Decode(body []byte, out *AnswerWriter) error
	// DecodeStream returns a decoder for one streamed answer.
	DecodeStream() StreamDecoder
	// DecodeError reads the body of a failed answer. It returns nil if the body is not the dialect's form of an error;
	// the status alone is judged then. It sets Kind, Type, Code, Message, and RetryAfter if the body has one.
	DecodeError(status int, header http.Header, body []byte) *Error
}

// A DialectChooser is an [AIServiceAdapter] that picks, for each request, the adapter that can carry it.
type DialectChooser interface {
	ChooseDialect(req *ChatRequest, to Target) AIServiceAdapter
}

// StreamDecoder decodes one streamed answer. It is used by one goroutine.
type StreamDecoder interface {
	// Decode reads one event of the stream. A returned error ends the stream.
	Decode(f Frame, out *AnswerWriter) error
	// End is called once when the body ended, or broke off, before out.Done. It calls out.Done if what it saw proves that
	// the answer is whole, and does nothing otherwise: the answer is then truncated.
	End(out *AnswerWriter)
}

// Frame is one server-sent event. Its bytes are valid only during the call.
type Frame struct {
	// Event is the event's name; empty if it has none.
	Event []byte
	// Data is the event's data, line ends already joined.
	Data []byte
}

// Dialect holds the constants of an API.
type Dialect struct {
	// Name is the provider's name in [Origin] and [Extra].
	Name string
	// URL is the base URL of endpoints that give none; empty if every endpoint must.
	URL string
	// KeyHeader carries the key, behind KeyPrefix: "Authorization" and "Bearer ". Endpoints may override both.
	KeyHeader, KeyPrefix string
	// Header is sent with every request. It is not changed after the first call.
	Header http.Header
	// RequestIDHeader is the response header with the id to quote to the provider's support.
	RequestIDHeader string
}

// Target tells a codec where a request goes.
type Target struct {
	// Provider is the provider as the endpoint spells it, such as "claude" or "openai-compatible".
	Provider string `json:"provider"`
	// Model is the model's name at the provider.
	Model string `json:"model"`
	// Platform is the host that will answer, and Account a hash of the account that asks. See [Origin].
	Platform string `json:"platform,omitempty"`
	Account  string `json:"account,omitempty"`
	// Stream asks for a streamed answer.
	Stream bool `json:"stream,omitempty"`
}

// Encoded is a request in a provider's form.
type Encoded struct {
	// Method is the HTTP method; empty means POST. A request of another has no body.
	Method string
	// Path is joined to the endpoint's URL, such as "/v1/messages". It may carry a query.
	Path string
	// Header is sent beyond Dialect.Header; nil for most requests.
	Header http.Header
	// Body is the JSON body.
	Body []byte
	// Notes says which hints were left out, for the [Trail]: the field's path, and behind ": " the reason where it needs one.
	// They never quote a field's content.
	Notes []string
}

// Unsupported returns the error of a codec that cannot express a field of a request. The field is named as its JSON spells
// it, such as "messages[2].parts[0]"; why says what would be right. [ErrUnsupported] matches it.
func Unsupported(field, why string) *Error {
	return &Error{Kind: KindUnsupported, Field: field, Message: why}
}

// Malformed returns the error of a codec for an answer that is not what the protocol says. It must quote nothing of it.
func Malformed(why string) *Error {
	return &Error{Kind: KindMalformed, Message: why}
}

// made reports whether something of this origin may be returned to the target: only to the very place that made it.
func (t Target) made(dialect string, o *Origin) bool {
	return o != nil && *o == Origin{Provider: dialect, Platform: t.Platform, Account: t.Account, Model: t.Model}
}

// foldID returns id if it is non-empty, at most limit bytes long and made of letters, digits and the bytes in also; otherwise an id
// of that form derived from it, the same one each time, so that a call and its result still match.
func foldID(id, also string, limit int) string {
	fits := id != "" && len(id) <= limit
	for i := 0; fits && i < len(id); i++ {
		c := id[i]
		fits = '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte(also, c) >= 0
	}
	if fits {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])[:min(limit, 24)]
}

// withExtra sets the members that the request's Extra holds for one of the given provider names in the body that begins at from.
// Objects are joined member by member; anything else replaces what is there.
func withExtra(body []byte, from int, req *ChatRequest, names ...string) ([]byte, error) {
	for i, name := range names {
		raw, ok := req.Extra[name]
		if !ok || slices.Contains(names[:i], name) {
			continue
		}
		if !isObject(raw) {
			return body, invalid("extra."+name, "must be a JSON object")
		}
		joined, err := join(body[from:], raw)
		if err != nil {
			return body, invalid("extra."+name, "cannot be joined to the request")
		}
		body = append(body[:from], joined...)
	}
	return body, nil
}

// join lays the members of one JSON object over another's.
func join(under, over json.RawMessage) (json.RawMessage, error) {
	var members, more map[string]json.RawMessage
	if err := json.Unmarshal(under, &members); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(over, &more); err != nil {
		return nil, err
	}
	for name, value := range more {
		if there, ok := members[name]; ok && isObject(there) && isObject(value) {
			joined, err := join(there, value)
			if err != nil {
				return nil, err
			}
			value = joined
		}
		members[name] = value
	}
	return json.Marshal(members)
}

// builtinAdapter returns the adapter of a provider that holdfast knows, nil of any other.
func builtinAdapter(provider string) AIServiceAdapter {
	switch provider {
	case "claude":
		return claudeAdapter{}
	case "openai":
		return openaiAdapter{chat: chatAdapterOf("openai-chat")}
	case "openai-responses":
		return responsesAdapter{}
	case geminiName:
		return geminiAdapter{}
	}
	return chatAdapterOf(provider)
}

// wholeFrame reports whether an event that the body ended without a blank line is whole all the same.
func wholeFrame(data []byte) bool {
	return string(bytes.TrimSpace(data)) == "[DONE]" || json.Valid(data)
}

// providerNames lists the providers that holdfast knows.
func providerNames() []string {
	names := []string{"claude", "openai", "openai-responses", geminiName}
	for i := range chatProfiles {
		names = append(names, chatProfiles[i].provider)
	}
	return names
}
