package holdfast

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// DecodeError implements [AIServiceAdapter]. It reads Anthropic's errors, and those of the clouds that sell Claude: Google's
// (Vertex AI wraps some in an array) and Amazon's, which names the error in a header.
func (claudeAdapter) DecodeError(status int, header http.Header, body []byte) *Error {
	f := readClaudeFault(body)
	if name := header.Get("X-Amzn-Errortype"); name != "" {
		name, _, _ = strings.Cut(name, ":")
		return &Error{Kind: f.bedrockKind(name, status), Type: name, Message: f.message}
	}
	switch {
	case f.kind != "":
		return &Error{Kind: f.claudeKind(status), Type: f.kind, Code: f.code, Message: f.message, RequestID: f.requestID}
	case f.status != "":
		return &Error{Kind: f.googleKind(status), Type: f.status, Message: f.message, RetryAfter: f.retryAfter}
	}
	return nil
}

// claudeFault is what the body of an error says, in any of the forms.
type claudeFault struct {
	outer               string // the type of the body, "error" from Anthropic
	kind, code, message string
	status              string // Google's word
	requestID           string
	retryAfter          time.Duration
}

func readClaudeFault(body []byte) claudeFault {
	var f claudeFault
	s := jsonscan.New(bytes.TrimSpace(body))
	if s.Kind() == jsonscan.Array && (!s.Array() || !s.NextElem()) {
		return f
	}
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "type":
			f.outer = s.String()
		case "request_id":
			f.requestID = s.String()
		case "message", "Message":
			f.message = s.String()
		case "error":
			f.readError(&s)
		default:
			s.Skip()
		}
	}
	return f
}

func (f *claudeFault) readError(s *jsonscan.Scanner) {
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "type":
			f.kind = s.String()
		case "message":
			f.message = s.String()
		case "status":
			f.status = s.String()
		case "details":
			f.readDetails(s)
		default:
			s.Skip()
		}
	}
}

// readDetails takes Anthropic's error_code from an object, or Google's retryDelay from a list of them.
func (f *claudeFault) readDetails(s *jsonscan.Scanner) {
	if s.Kind() == jsonscan.Array {
		for ok := s.Array(); ok && s.NextElem(); {
			f.readDetail(s)
		}
		return
	}
	f.readDetail(s)
}

func (f *claudeFault) readDetail(s *jsonscan.Scanner) {
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "error_code":
			f.code = s.String()
		case "retryDelay":
			if d, err := time.ParseDuration(s.String()); err == nil && d > 0 {
				f.retryAfter = d
			}
		default:
			s.Skip()
		}
	}
}

var claudeKinds = map[string]Kind{
	"authentication_error": KindKey,
	"billing_error":        KindBilling,
	"permission_error":     KindPermission,
	"not_found_error":      KindModel,
	"conflict_error":       KindConflict,
	"request_too_large":    KindTooLarge,
	"rate_limit_error":     KindRateLimit,
	"api_error":            KindServer,
	"timeout_error":        KindServerTimeout,
	"overloaded_error":     KindOverloaded,
}

// claudeKind judges an error by code, then message, then type, then status.
func (f *claudeFault) claudeKind(status int) Kind {
	switch {
	case f.code == "enforced_spend_limit_reached":
		return KindBilling // a month's limit, sent as a rate limit
	case f.outer == "" && f.kind == "forbidden":
		return KindRegion // from the edge, which never saw the key
	}
	if k, ok := claudeKinds[f.kind]; ok {
		return k
	}
	if f.kind == "invalid_request_error" && (status == http.StatusBadRequest || status < 300) {
		if k := f.messageKind(); k != "" {
			return k
		}
		return KindInvalid
	}
	return claudeStatusKind(status)
}

// claudeMessages tells errors apart that share the type invalid_request_error. Texts are in lower case. That of the prompt
// and that of the credit are unverified.
var claudeMessages = []struct {
	text string
	kind Kind
}{
	{"you have reached your specified", KindBilling}, // "… API usage limits", "… workspace API usage limits"
	{"credit balance is too low", KindBilling},
	{"prompt is too long", KindContextLength},
	{"input is too long", KindContextLength},
	{"exceed context limit", KindContextLength},
	{"invalid `signature`", KindThinking},
	{"latest assistant message cannot be modified", KindThinking},
	{"blocked by content filtering policy", KindPolicy}, // (unverified)
	{"data retention", KindModel},
	{"on-demand throughput isn", KindModel}, // Bedrock: the id needs an inference profile
	{"maximum allowed number of output tokens", KindFeature},
}

// messageKind judges by the message alone; "" if it says nothing special.
func (f *claudeFault) messageKind() Kind {
	text := strings.ToLower(f.message)
	for _, m := range claudeMessages {
		if strings.Contains(text, m.text) {
			return m.kind
		}
	}
	if !strings.Contains(text, "this model") {
		return ""
	}
	for _, refusal := range [...]string{"not support", "deprecated", "cannot both", "not compatible", "not available", "not allowed"} {
		if strings.Contains(text, refusal) {
			return KindFeature
		}
	}
	return ""
}

// claudeBedrockKinds are Amazon Bedrock's exceptions.
var claudeBedrockKinds = map[string]Kind{
	"ThrottlingException":           KindRateLimit,
	"ModelNotReadyException":        KindOverloaded,
	"ServiceQuotaExceededException": KindQuota,
	"ModelTimeoutException":         KindServerTimeout,
	"ModelErrorException":           KindServer,
	"ModelStreamErrorException":     KindServer,
	"InternalServerException":       KindServer,
	"ServiceUnavailableException":   KindOverloaded,
	"AccessDeniedException":         KindPermission,
	"ResourceNotFoundException":     KindModel,
	"UnrecognizedClientException":   KindKey, // (unverified), as the next
	"ExpiredTokenException":         KindKey,
}

func (f *claudeFault) bedrockKind(name string, status int) Kind {
	if k, ok := claudeBedrockKinds[name]; ok {
		return k
	}
	if name == "ValidationException" {
		if k := f.messageKind(); k != "" {
			return k
		}
	}
	return claudeStatusKind(status)
}

// claudeGoogleKinds are the status words of Google's APIs.
var claudeGoogleKinds = map[string]Kind{
	"RESOURCE_EXHAUSTED":  KindRateLimit,
	"FAILED_PRECONDITION": KindPermission, // the project may not use the model
	"PERMISSION_DENIED":   KindPermission,
	"UNAUTHENTICATED":     KindKey,
	"NOT_FOUND":           KindModel, // or not enabled in the region
	"ABORTED":             KindConflict,
	"UNAVAILABLE":         KindOverloaded,
	"INTERNAL":            KindServer,
	"DEADLINE_EXCEEDED":   KindServerTimeout,
}

func (f *claudeFault) googleKind(status int) Kind {
	if f.status == "FAILED_PRECONDITION" && strings.Contains(strings.ToLower(f.message), "location") {
		return KindRegion
	}
	if k, ok := claudeGoogleKinds[f.status]; ok {
		return k
	}
	if f.status == "INVALID_ARGUMENT" {
		if k := f.messageKind(); k != "" {
			return k
		}
	}
	return claudeStatusKind(status)
}

// claudeStatusKind judges an error of a type that is not known. It was Claude's: a 404 is of a model, not of a path, and one
// that came in a success is the server's.
func claudeStatusKind(status int) Kind {
	switch {
	case status < 400:
		return KindServer
	case status == http.StatusNotFound:
		return KindModel
	}
	return kindOfStatus(status, false)
}
