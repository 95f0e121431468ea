package holdfast

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// geminiFault is a google.rpc.Status with those of its details that change its meaning.
type geminiFault struct {
	code            int
	status, message string
	reason          string // ErrorInfo.reason
	quotas          []string
	noQuota         bool // a quota of 0: the account has none for the model
	delay           time.Duration
}

// geminiError classifies an error object, nil if it is none. The status of the answer counts where the object has no code:
// an error in a stream or in a 200 has only its own.
func geminiError(status int, raw []byte) *Error {
	f := geminiReadFault(raw)
	if inner := geminiMemberOf([]byte(f.message), "error"); inner != nil { // some gateways quote the whole body
		f = geminiReadFault(inner)
	}
	if f.code == 0 && f.status == "" { // another API's error has neither
		return nil
	}
	if f.code == 0 {
		f.code = status
	}
	code := f.reason
	if code == "" && len(f.quotas) > 0 {
		code = f.quotas[0]
	}
	return &Error{Kind: f.kind(), Type: f.status, Code: code, Message: geminiMessage(f.message), RetryAfter: f.delay}
}

// geminiMemberOf returns a member of a JSON object as it stands there, nil if it has none.
func geminiMemberOf(object []byte, name string) []byte {
	s := jsonscan.New(object)
	for ok := s.Kind() == jsonscan.Object && s.Object(); ok && s.NextKey(); {
		if string(s.Key()) == name {
			return s.Raw()
		}
		s.Skip()
	}
	return nil
}

func geminiReadFault(raw []byte) (f geminiFault) {
	s := jsonscan.New(raw)
	for ok := len(raw) > 0 && s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "code":
			f.code = s.Int()
		case "status":
			f.status = s.String()
		case "message":
			f.message = s.String()
		case "details":
			for ok := s.Array(); ok && s.NextElem(); {
				f.detail(s.Raw())
			}
		default:
			s.Skip()
		}
	}
	lower := strings.ToLower(f.message)
	f.noQuota = f.noQuota || geminiWord(lower, "limit: 0")
	if f.delay == 0 {
		_, after, _ := strings.Cut(lower, "retry in ")
		after, _, _ = strings.Cut(after, " ")
		f.delay = geminiDelay(strings.TrimSuffix(after, "."))
	}
	return f
}

// detail reads one detail. Types are told by the members that only they have.
func (f *geminiFault) detail(raw []byte) {
	s := jsonscan.New(raw)
	for ok := len(raw) > 0 && s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "reason":
			f.reason = s.String()
		case "retryDelay":
			f.delay = geminiDelay(s.String())
		case "violations":
			for ok := s.Array(); ok && s.NextElem(); {
				f.violation(s.Raw())
			}
		default:
			s.Skip()
		}
	}
}

func (f *geminiFault) violation(raw []byte) {
	s := jsonscan.New(raw)
	for ok := len(raw) > 0 && s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "quotaId":
			if id := s.String(); id != "" {
				f.quotas = append(f.quotas, id)
			}
		case "quotaValue":
			f.noQuota = f.noQuota || s.String() == "0"
		default:
			s.Skip()
		}
	}
}

// geminiDelay reads "34s" or "34.07s"; 0 of anything that is no sensible wait.
func geminiDelay(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > 24*time.Hour {
		return 0
	}
	return d
}

// geminiWord reports whether text holds word with nothing behind it that would make it longer ("limit: 0", not "limit: 05").
func geminiWord(text, word string) bool {
	for {
		_, after, ok := strings.Cut(text, word)
		if !ok {
			return false
		}
		if after == "" || (after[0] != '.' && (after[0] < '0' || after[0] > '9')) {
			return true
		}
		text = after
	}
}

// geminiTexts are messages that say more than their status does, in lower case. They are judged before it.
var geminiTexts = [...]struct {
	text string
	kind Kind
}{
	{"location is not supported", KindRegion},
	{"not available in your country", KindRegion},
	{"not available in your region", KindRegion},
	{"api key not valid", KindKey},
	{"api key expired", KindKey},
	{"api key not found", KindKey},
	{"reported as leaked", KindKey}, // (unverified)
	{"thought_signature", KindThinking},
	{"thought signature", KindThinking},
	{"input token count", KindContextLength},
	{"exceeds the maximum number of tokens", KindContextLength},
	{"input context is too long", KindContextLength},
	// Handles that only this account knows; the key is not at fault.
	{"cachedcontent not found", KindRejected},       // (unverified)
	{"permission to access the file", KindRejected}, // (unverified)
	{"payload size exceeds", KindTooLarge},          // (unverified)
}

// geminiReasons are the values of ErrorInfo.reason.
var geminiReasons = map[string]Kind{
	"API_KEY_INVALID":         KindKey,
	"API_KEY_EXPIRED":         KindKey,
	"ACCESS_TOKEN_EXPIRED":    KindKey,
	"CONSUMER_SUSPENDED":      KindKey, // (unverified)
	"CONSUMER_INVALID":        KindKey,
	"BILLING_DISABLED":        KindBilling,
	"SERVICE_DISABLED":        KindPermission,
	"API_KEY_SERVICE_BLOCKED": KindPermission,
}

// geminiStatuses are the names of google.rpc.Code, and what each means where nothing more is known.
var geminiStatuses = map[string]Kind{
	"INVALID_ARGUMENT":    KindInvalid,
	"OUT_OF_RANGE":        KindInvalid,
	"FAILED_PRECONDITION": KindRejected,
	"UNAUTHENTICATED":     KindKey,
	"PERMISSION_DENIED":   KindPermission,
	"NOT_FOUND":           KindModel,
	"ABORTED":             KindConflict,
	"ALREADY_EXISTS":      KindConflict,
	"RESOURCE_EXHAUSTED":  KindRateLimit,
	"CANCELLED":           KindServerTimeout,
	"DEADLINE_EXCEEDED":   KindServerTimeout,
	"UNAVAILABLE":         KindOverloaded,
	"UNIMPLEMENTED":       KindFeature,
	"INTERNAL":            KindServer,
	"UNKNOWN":             KindServer,
	"DATA_LOSS":           KindServer,
}

// geminiCodes stand for a status that is missing or new.
var geminiCodes = map[int]Kind{
	400: KindInvalid, 401: KindKey, 403: KindPermission, 404: KindModel, 408: KindServerTimeout, 409: KindConflict,
	413: KindTooLarge, 429: KindRateLimit, 499: KindServerTimeout, 503: KindOverloaded, 504: KindServerTimeout,
}

// kind classifies: the reason beats the text, the text beats the status, the status beats the number.
func (f *geminiFault) kind() Kind {
	if k, ok := geminiReasons[f.reason]; ok {
		return k
	}
	if f.code == 402 {
		return KindBilling
	}
	text := strings.ToLower(f.message)
	for _, t := range geminiTexts {
		if strings.Contains(text, t.text) {
			return t.kind
		}
	}
	k, ok := geminiStatuses[f.status]
	if !ok {
		k, ok = geminiCodes[f.code]
	}
	switch {
	case !ok && f.code >= 500:
		return KindServer
	case !ok:
		return KindRejected
	case f.code == 413:
		return KindTooLarge
	}
	return f.refine(k, text)
}

// refine looks closer at the statuses that mean several things.
func (f *geminiFault) refine(k Kind, text string) Kind {
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		return false
	}
	switch k {
	case KindRejected: // FAILED_PRECONDITION
		if has("billing", "free tier") {
			return KindBilling
		}
	case KindInvalid:
		if has("not supported", "not enabled", "unsupported") {
			return KindFeature
		}
	case KindModel: // the handle of a cache or file, which only this account knows
		if has("cachedcontent", "cached content", "cachedcontents/", "files/") && !has("models/") {
			return KindRejected
		}
	case KindRateLimit:
		// The text of every quota error speaks of "plan and billing details", so that tells nothing.
		if has("prepay", "credits", "spending cap", "spend limit", "spending limit") {
			return KindBilling
		}
		if f.noQuota || f.longQuota() {
			return KindQuota
		}
	}
	return k
}

// longQuota reports whether a quota of a day or longer is used up.
func (f *geminiFault) longQuota() bool {
	for _, id := range f.quotas {
		if strings.Contains(id, "PerDay") || strings.Contains(id, "PerMonth") || strings.Contains(id, "PerWeek") {
			return true
		}
	}
	return false
}

// geminiMessage returns the first line of a message without what it may quote: the value of a field, a piece of the request,
// the key of the caller.
func geminiMessage(m string) string {
	m, _, _ = strings.Cut(m, "\n")
	if strings.HasPrefix(m, "Invalid value at") {
		m, _, _ = strings.Cut(m, "), ")
	}
	for from := 0; ; {
		n := strings.Index(m[from:], "api_key:")
		if n < 0 {
			break
		}
		from += n + len("api_key:")
		end := strings.IndexAny(m[from:], "'\" .,)")
		if end < 0 {
			end = len(m) - from
		}
		m = m[:from] + "[redacted]" + m[from+end:]
	}
	const most = 300
	if len(m) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(m[cut]) {
			cut--
		}
		m = m[:cut] + " (cut, " + strconv.Itoa(len(m)) + " bytes)"
	}
	return m
}
