package holdfast

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
)

// transportError turns what net/http returned instead of an answer into an Error. How each failure looks was measured with
// Go 1.26; where net/http gives no type, its text decides, and a test holds the text to the Go version in use.
func transportError(ctx context.Context, err error, sent bool) *Error {
	e := contextError(ctx)
	if e == nil {
		err = stripURL(err)
		e = &Error{Kind: kindOfTransport(err), Err: unquoted(err)}
	}
	e.Phase, e.Sent = PhaseHeaders, sent
	if !sent {
		e.Phase = PhaseBeforeSend
	}
	return e
}

// contextError returns the error of a call or attempt whose context ended, nil if it has not.
func contextError(ctx context.Context) *Error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	if e := endedByUs(ctx); e != nil {
		return e
	}
	e := &Error{Kind: KindDeadline, Err: err}
	if errors.Is(err, context.Canceled) {
		e.Kind = KindCanceled
	}
	if cause := context.Cause(ctx); cause != err && cause != nil {
		e.Err = causedError{err, cause}
	}
	return e
}

// causedError is a context's error together with the cause its owner gave.
type causedError struct{ err, cause error }

func (e causedError) Error() string   { return e.err.Error() + ": " + e.cause.Error() }
func (e causedError) Unwrap() []error { return []error{e.err, e.cause} }

// stripURL takes off *url.Error, which repeats the URL: a query may hold what must not be printed.
func stripURL(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	return err
}

func kindOfTransport(err error) Kind {
	if k := kindOfTLS(err); k != "" {
		return k
	}
	var (
		dns *net.DNSError
		op  *net.OpError
	)
	switch {
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return KindProxy
	case errors.As(err, &dns):
		return KindDNS
	case errors.Is(err, syscall.ECONNREFUSED):
		return KindRefused
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETDOWN):
		return KindUnreachable
	case op != nil && op.Op == "dial" && (op.Timeout() || errors.Is(err, os.ErrDeadlineExceeded)):
		return KindConnectTimeout
	case errors.Is(err, errConnectTimeout):
		return KindConnectTimeout
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return KindReset
	}
	return kindOfText(err.Error())
}

// kindOfTLS knows the failures in which a server could not prove who it is. They are final for that endpoint.
func kindOfTLS(err error) Kind {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		certificate  x509.CertificateInvalidError
		record       tls.RecordHeaderError
		alert        tls.AlertError
	)
	switch {
	case errors.As(err, &verification), errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &certificate):
		return KindTLS
	case errors.As(err, &record):
		return KindIntercepted
	case errors.As(err, &alert):
		return KindHandshake
	}
	return ""
}

// textKinds is the last resort: failures that net/http tells apart by text alone. Some quote what they choke on behind that text,
// which may be a password of the proxy's URL or the rest of another answer.
var textKinds = []struct {
	text   string
	kind   Kind
	quotes bool
}{
	{text: "TLS handshake timeout", kind: KindHandshake},
	{text: "server gave HTTP response to HTTPS client", kind: KindIntercepted},
	{text: "Proxy Authentication Required", kind: KindProxy},
	{text: "invalid proxy address", kind: KindProxy, quotes: true},
	{text: "proxyconnect", kind: KindProxy},
	{text: "timeout awaiting response headers", kind: KindHeaderTimeout},
	{text: "malformed HTTP response", kind: KindMalformed, quotes: true},
	{text: "malformed HTTP status code", kind: KindMalformed, quotes: true},
	{text: "malformed HTTP version", kind: KindMalformed, quotes: true},
	{text: "malformed MIME header", kind: KindMalformed, quotes: true},
	{text: "server response headers exceeded", kind: KindMalformed},
	{text: "unsupported transfer encoding", kind: KindMalformed, quotes: true},
	{text: "bad Content-Length", kind: KindMalformed, quotes: true},
	{text: "REFUSED_STREAM", kind: KindReset},
	{text: "ENHANCE_YOUR_CALM", kind: KindRateLimit},
	{text: "stream error", kind: KindReset},
	{text: "GOAWAY", kind: KindReset},
	{text: "client connection lost", kind: KindReset},
	{text: "client conn could not be established", kind: KindReset},
	{text: "server closed idle connection", kind: KindReset},
	{text: "connection reset", kind: KindReset},
	{text: "remote error: tls", kind: KindHandshake},
	{text: "tls:", kind: KindHandshake},
}

func kindOfText(text string) Kind {
	for _, t := range textKinds {
		if strings.Contains(text, t.text) {
			return t.kind
		}
	}
	return KindTransport
}

// unquoted cuts from an error's text what net/http quotes in it.
func unquoted(err error) error {
	text := err.Error()
	for _, t := range textKinds {
		if at := strings.Index(text, t.text); at >= 0 && t.quotes {
			return reworded(err, text[:at+len(t.text)])
		}
	}
	return err
}

// bodyError turns a failure while reading an answer's body into an Error.
func bodyError(ctx context.Context, err error, phase Phase) *Error {
	return bodyFailure(contextError(ctx), err, phase)
}

func bodyFailure(ended *Error, err error, phase Phase) *Error {
	e := ended
	if e == nil {
		e = &Error{Kind: KindTruncated, Err: unquoted(stripURL(err))}
	}
	e.Phase, e.Sent = phase, true
	return e
}
