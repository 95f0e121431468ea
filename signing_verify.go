package holdfast

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
)

// Verifier is the gateway's half of [Signing]: it tells which client sent a request, or that it cannot be told. Only Secrets
// is required. Safe for concurrent use.
type Verifier struct {
	// Secrets returns a client's secret; the zero Secret means that there is no such client. An error means that it could
	// not be looked up now, and is answered with 503 instead of 401. It is called after the body was read, with a client ID
	// that nobody has proven yet. An unknown client costs the verifier the same time as a wrong signature; that must hold
	// for Secrets too, if who is a client is a secret.
	Secrets func(ctx context.Context, clientID string) (Secret, error)
	// MaxBody bounds the body, which is held in memory: larger ones are answered with 413. 0 means 32 MiB.
	MaxBody int64
	// Schemes are the schemes accepted, as [Signing].Scheme names them; empty means "body-hmac".
	Schemes []string
	// Logger is told when Secrets fails; nil means silence.
	Logger *slog.Logger
}

const defaultMaxBody = 32 << 20

// VerifyError is why a request was not accepted.
type VerifyError struct {
	// Status is what to answer: 401 if the request is not signed, or not by a known client's secret, which is the same
	// answer for an unknown client and a wrong signature; 400 if the body could not be read; 413 if it is too large; 503 if
	// Secrets failed.
	Status int
	// Type and Message are for the answer. They hold nothing of the request.
	Type, Message string
	// Err is the error beneath, for the gateway's own log: of Secrets or of reading the body. nil for 401.
	Err error
}

// Error says what was wrong, the error beneath included.
func (e *VerifyError) Error() string {
	s := fmt.Sprintf("holdfast: verify: %d %s: %s", e.Status, e.Type, e.Message)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the error beneath.
func (e *VerifyError) Unwrap() error { return e.Err }

func unauthorized(message string) *VerifyError {
	return &VerifyError{Status: http.StatusUnauthorized, Type: "unauthorized", Message: message}
}

func unavailable(err error) *VerifyError {
	return &VerifyError{
		Status: http.StatusServiceUnavailable, Type: "unavailable",
		Message: "the signature cannot be checked at the moment", Err: err,
	}
}

// Verify returns the ID of the client that signed r, or a *[VerifyError]. It reads the body whole, and leaves r with a body
// that reads the same bytes again. A header of the scheme that comes twice is refused, and so is a signature in capitals.
func (v *Verifier) Verify(r *http.Request) (clientID string, err error) {
	if v.Secrets == nil {
		return "", unavailable(errors.New("Verifier.Secrets is nil"))
	}
	s, c, err := v.claim(r.Header)
	if err != nil {
		return "", err
	}
	body, err := v.readBody(r)
	if err != nil {
		return "", err
	}
	secret, err := v.Secrets(r.Context(), c.clientID)
	if err != nil {
		return "", unavailable(err)
	}
	known := !secret.IsZero()
	if !known {
		secret = nobody()
	}
	if !s.proven(r, body, c, secret) || !known {
		return "", unauthorized("unknown client or wrong signature")
	}
	return c.clientID, nil
}

// nobody is the secret that claims of unknown clients are checked against, so that they take as long as others. Nobody
// knows it.
var nobody = sync.OnceValue(func() Secret { return NewSecret(rand.Text()) })

// claim finds the scheme by which the request is signed.
func (v *Verifier) claim(h http.Header) (scheme, claim, error) {
	names := v.names()
	for _, name := range names {
		s, ok := schemes[name]
		if !ok {
			return nil, claim{}, unavailable(fmt.Errorf("Verifier.Schemes: %q is not known: %s", name, schemeNames()))
		}
		c, present, err := s.claim(h)
		if err != nil {
			return nil, claim{}, unauthorized(err.Error())
		}
		if present {
			return s, c, nil
		}
	}
	return nil, claim{}, unauthorized(errNotSigned.Error())
}

var defaultSchemes = []string{schemeBodyHMAC}

func (v *Verifier) names() []string {
	if len(v.Schemes) == 0 {
		return defaultSchemes
	}
	return v.Schemes
}

// trustedLength is how much memory a Content-Length alone can claim before any of it has come.
const trustedLength = 64 << 10

// readBody reads the body and puts it back.
func (v *Verifier) readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	limit := v.MaxBody
	if limit <= 0 {
		limit = defaultMaxBody
	}
	if r.ContentLength > limit {
		return nil, bodyTooLarge(limit)
	}
	var buf bytes.Buffer
	buf.Grow(int(min(max(r.ContentLength, 0), trustedLength)) + bytes.MinRead)
	_, err := buf.ReadFrom(io.LimitReader(r.Body, limit+1))
	var larger *http.MaxBytesError
	switch {
	case errors.As(err, &larger):
		return nil, bodyTooLarge(larger.Limit)
	case err != nil:
		return nil, &VerifyError{
			Status: http.StatusBadRequest, Type: "invalid_request", Message: "the body could not be read", Err: err,
		}
	case int64(buf.Len()) > limit:
		return nil, bodyTooLarge(limit)
	}
	r.Body = struct {
		*bytes.Reader
		io.Closer
	}{bytes.NewReader(buf.Bytes()), r.Body}
	return buf.Bytes(), nil
}

func bodyTooLarge(limit int64) *VerifyError {
	return &VerifyError{
		Status: http.StatusRequestEntityTooLarge, Type: "request_too_large",
		Message: fmt.Sprintf("the body is larger than %d bytes", limit),
	}
}

type clientIDKey struct{}

// ClientID returns the ID of the client whose signature [Verifier.Middleware] has verified.
func ClientID(ctx context.Context) (string, bool) {
	id, ok := ctx.Value(clientIDKey{}).(string)
	return id, ok
}

// Middleware lets signed requests through to next, which finds the client's ID with [ClientID]. Others are answered with the
// status of the [VerifyError] and {"error":{"type":"unauthorized","message":"…"}}.
func (v *Verifier) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := v.Verify(r)
		if err != nil {
			v.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientIDKey{}, id)))
	})
}

func (v *Verifier) refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := unavailable(err)
	errors.As(err, &e)
	if e.Status == http.StatusServiceUnavailable && v.Logger != nil {
		v.Logger.ErrorContext(r.Context(), "signature cannot be checked", "error", e.Err)
	}
	var answer struct {
		Error struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"error"`
	}
	answer.Error.Type, answer.Error.Message = e.Type, e.Message
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if e.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", strings.Join(v.names(), ", ")) // RFC 9110, section 15.5.2: a 401 must have it
	}
	w.WriteHeader(e.Status)
	_ = json.NewEncoder(w).Encode(answer) // the client may be gone
}
