package holdfast

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind is the meaning of a failure, whatever provider, status or exception expressed it. Each kind has one verdict: what to
// do next. A Kind is itself an error, so that errors.Is(err, holdfast.KindRateLimit) works on everything the client returns.
type Kind string

// The kinds. Their verdicts stand in the table in retry_verdict.go.
const (
	// Faults of the request or of the caller's own side.

	// KindInvalid: the request is malformed, here or in the provider's judgement.
	KindInvalid Kind = "invalid request"
	// KindUnsupported: the provider or model cannot express a field; nothing was sent.
	KindUnsupported Kind = "unsupported"
	// KindNoEndpoint: no endpoint may or can take the request.
	KindNoEndpoint Kind = "no endpoint"
	// KindUnavailable: every endpoint that may take the request is ill, and none recovered while the call waited. The message says in
	// which state each is, and RetryAfter when the next may be asked.
	KindUnavailable Kind = "unavailable"
	// KindTooLarge: the request body is larger than the provider takes.
	KindTooLarge Kind = "request too large"
	// KindCanceled: the caller gave up.
	KindCanceled Kind = "canceled"
	// KindDeadline: the caller's deadline or the call's total timeout passed.
	KindDeadline Kind = "deadline exceeded"
	// KindClosed: the client was closed.
	KindClosed Kind = "client closed"

	// What the provider said of the request.

	// KindFeature: the provider refused a feature that holdfast believed the model has.
	KindFeature Kind = "feature refused"
	// KindContextLength: the prompt is longer than the model's context.
	KindContextLength Kind = "context too long"
	// KindThinking: the provider rejected returned thinking or its signature.
	KindThinking Kind = "thinking rejected"
	// KindPolicy: the provider's content policy rejected the request.
	KindPolicy Kind = "policy refusal"
	// KindModel: the model is missing, retired or not granted.
	KindModel Kind = "model not found"
	// KindRejected: a client error (4xx) that is not known more closely.
	KindRejected Kind = "rejected"

	// What the provider said of who is asking.

	// KindKey: the key is missing, wrong or revoked.
	KindKey Kind = "bad key"
	// KindPermission: the key is good but lacks the right.
	KindPermission Kind = "permission denied"
	// KindRegion: the provider does not serve the region or network that the request came from.
	KindRegion Kind = "region blocked"
	// KindBilling: no credit, or a spending limit was reached.
	KindBilling Kind = "out of credit"
	// KindQuota: a quota of a day or longer is used up.
	KindQuota Kind = "quota exhausted"
	// KindRateLimit: too many requests or tokens for now.
	KindRateLimit Kind = "rate limited"

	// Faults of the provider.

	// KindOverloaded: the provider has no capacity.
	KindOverloaded Kind = "overloaded"
	// KindServer: the provider failed.
	KindServer Kind = "server error"
	// KindServerTimeout: the provider, or a proxy before it, gave up waiting.
	KindServerTimeout Kind = "server timeout"
	// KindConflict: the provider asks to try again.
	KindConflict Kind = "conflict"
	// KindGateway: a proxy on the way failed (502, 503, 504, 520 to 530 without the provider's own error).
	KindGateway Kind = "gateway error"
	// KindEmpty: the answer is complete and holds nothing.
	KindEmpty Kind = "empty answer"

	// What came was not the provider's answer.

	// KindPath: 404 or 405 from something that is not the provider: a wrong URL or a proxy.
	KindPath Kind = "wrong path"
	// KindRedirect: a redirect. It is never followed, since credentials would go with it.
	KindRedirect Kind = "redirected"
	// KindIntercepted: a page or another protocol instead of an answer: a captive portal, a proxy or a login page.
	KindIntercepted Kind = "intercepted"
	// KindMalformed: an answer that breaks its protocol.
	KindMalformed Kind = "malformed answer"
	// KindAnswerTooLarge: the answer, or one event of it, is larger than the limit.
	KindAnswerTooLarge Kind = "answer too large"
	// KindTruncated: the answer ended without its protocol's evidence of being whole.
	KindTruncated Kind = "truncated"

	// Faults of the way there.

	// KindDNS: the host name did not resolve.
	KindDNS Kind = "DNS failure"
	// KindRefused: nobody listens there.
	KindRefused Kind = "connection refused"
	// KindConnectTimeout: no connection in time.
	KindConnectTimeout Kind = "connect timeout"
	// KindUnreachable: no route to the host or network.
	KindUnreachable Kind = "unreachable"
	// KindTLS: the server could not prove who it is. TLS is never weakened to get through.
	KindTLS Kind = "TLS not trusted"
	// KindHandshake: the TLS handshake failed or timed out for another reason.
	KindHandshake Kind = "TLS handshake failed"
	// KindProxy: the forward proxy refused.
	KindProxy Kind = "proxy failure"
	// KindReset: the connection broke before the answer's headers.
	KindReset Kind = "connection reset"
	// KindHeaderTimeout: the request was sent and no headers came in time.
	KindHeaderTimeout Kind = "header timeout"
	// KindStalled: no content came for too long. The error's phase tells whether there had been any.
	KindStalled Kind = "stalled"
	// KindAttemptTimeout: the attempt took longer than [Timeouts].Total.
	KindAttemptTimeout Kind = "attempt timeout"
	// KindLost: another attempt of the same call answered first. It stands in the Trail only.
	KindLost Kind = "came second"
	// KindBusy: the local model had no slot free in time. Nothing was sent.
	KindBusy Kind = "no free slot"
	// KindTransport: any other failure of the transport.
	KindTransport Kind = "transport failure"
	// KindSecret: the endpoint's key or signing secret could not be read.
	KindSecret Kind = "secret unavailable"
)

// Kinds that callers test for most often, under the names that such errors have in Go.
const (
	ErrUnsupported = KindUnsupported
	ErrTruncated   = KindTruncated
)

// Error makes a Kind a target of errors.Is.
func (k Kind) Error() string { return string(k) }

// KindOf returns the kind of an error of this package, or "" if err is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// Error is the failure of a call, or of one attempt of it. It can be logged and stored: it holds no key, no prompt and no
// answer but in Partial, and neither fmt nor JSON nor slog shows that.
type Error struct {
	Kind Kind `json:"kind"`
	// Endpoint, Provider and Model say with whom; empty if it never came to that.
	Endpoint string `json:"endpoint,omitempty"`
	Provider string `json:"provider,omitempty"`
	Model    string `json:"model,omitempty"`
	// Field names the field of the request or configuration at fault, as its JSON spells it.
	Field string `json:"field,omitempty"`
	// Status is the HTTP status, 0 without an answer. Type, Code and Message are the provider's own, Message shortened and
	// cleaned of anything that was sent.
	Status  int    `json:"status,omitempty"`
	Type    string `json:"type,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// RequestID is the provider's id of the exchange.
	RequestID string `json:"request_id,omitempty"`
	// RetryAfter is how long the provider asked to wait; 0 if it did not say.
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	// Phase is how far the exchange came, and Sent whether any of the request left: if so, it may have been billed.
	Phase Phase `json:"phase,omitempty"`
	Sent  bool  `json:"sent,omitempty"`
	// Partial is what arrived of an answer that broke off.
	Partial *ChatResponse `json:"-"`
	// Trail is set on the error of a call: every attempt, and every endpoint that was passed over.
	Trail Trail `json:"trail,omitzero"`
	// Err is the error beneath, such as a *net.OpError. Its text is cleaned too.
	Err error `json:"-"`

	// shouldRetry is the server's x-should-retry; nil if it did not say.
	shouldRetry *bool
	// foreign is set when the body was not the provider's: a page of a proxy or a portal. Keys are not judged by it.
	foreign bool
}

// Phase is how far an exchange came.
type Phase string

// The phases, in order.
const (
	PhaseBeforeSend Phase = "before send"
	PhaseHeaders    Phase = "awaiting headers"
	PhaseFirstEvent Phase = "before first content"
	PhaseMidStream  Phase = "mid-stream"
)

// Error says with whom, what kind, and what came: "holdfast: eu-west: rate limited: 429 rate_limit_error: …".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("holdfast: ")
	if e.Endpoint != "" {
		b.WriteString(e.Endpoint + ": ")
	}
	b.WriteString(string(e.Kind))
	if e.Field != "" {
		b.WriteString(": " + e.Field)
	}
	detail := make([]string, 0, 3)
	if e.Status != 0 {
		detail = append(detail, fmt.Sprint(e.Status))
	}
	if e.Type != "" {
		detail = append(detail, e.Type)
	}
	if e.Code != "" && e.Code != e.Type {
		detail = append(detail, e.Code)
	}
	if len(detail) > 0 {
		b.WriteString(": " + strings.Join(detail, " "))
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + e.RequestID + ")")
	}
	return b.String()
}

// Unwrap returns the error beneath.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is match the error's [Kind].
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == e.Kind
}
